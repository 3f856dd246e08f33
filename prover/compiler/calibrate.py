"""Which integers each feature of a value can take: worst-case intervals over the declared input
range.

Interval arithmetic on the quantised integers themselves (Moore 1966), one interval a feature:
whatever the input, as long as each of its cells is in the declared range, no feature leaves its
interval.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from prover.quantizer import IntArray


@dataclass(frozen=True)
class Interval:
    """lo[i] <= feature i <= hi[i]; int64."""

    lo: IntArray
    hi: IntArray

    @classmethod
    def uniform(cls, lo: int, hi: int, features: int) -> Interval:
        return cls(np.full(features, lo, dtype=np.int64), np.full(features, hi, dtype=np.int64))

    @property
    def span(self) -> tuple[int, int]:
        return int(self.lo.min()), int(self.hi.max())

    def linear(self, weight: IntArray, bias: IntArray) -> Interval:
        """Of weight @ x + bias: each weight meets the end that its sign asks for."""
        up, down = np.maximum(weight, 0), np.minimum(weight, 0)
        return Interval(up @ self.lo + down @ self.hi + bias, up @ self.hi + down @ self.lo + bias)

    def shifted(self, shift: int) -> Interval:
        """Of floor(x / 2^shift + 1/2)."""
        half = (1 << shift) >> 1
        return Interval((self.lo + half) >> shift, (self.hi + half) >> shift)

    def relu(self) -> Interval:
        return Interval(np.maximum(self.lo, 0), np.maximum(self.hi, 0))
