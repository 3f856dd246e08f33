"""Ranges recorded on example inputs: the graph in float64, every value's least and greatest cell.

Compilation is a function of the weights and of these numbers, whatever they were recorded on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from prover.compiler.errors import CompileError, RangesMismatch, at_node, unknown

PER_CHANNEL = "scales: per-channel"  # no node has such a name
SCALES = {False: "tensor", True: "channel"}
HEADROOM = 2.0  # how far beyond what was recorded an input may drive a value


@dataclass
class Ranges:
    """(least, greatest) by the name of a value; `per_channel`: of a network whose channels are
    evened (equalize.py), whose values are others."""

    seen: dict[str, tuple[float, float]] = field(default_factory=dict)
    per_channel: bool = False

    def record(self, name: str, values: npt.NDArray[Any]) -> None:
        """Widens a range to what these values reach."""
        if not values.size:
            raise CompileError(f"{name}: expected cells, got none")
        lo, hi = float(np.min(values)), float(np.max(values))
        if not (np.isfinite(lo) and np.isfinite(hi)):
            raise CompileError(f"{name}: the example inputs drive it to NaN or infinity")
        before = self.seen.get(name, (lo, hi))
        self.seen[name] = (min(lo, before[0]), max(hi, before[1]))

    def of(self, name: str) -> tuple[float, float]:
        if name not in self.seen:
            raise CompileError(f"{name}: no range was recorded for it")
        return self.seen[name]

    @staticmethod
    def from_dict(found: Mapping[str, Sequence[float]]) -> Ranges:
        """The inverse of `to_dict`."""
        seen = {name: (lo, hi) for name, (lo, hi) in found.items() if name != PER_CHANNEL}
        return Ranges(seen, PER_CHANNEL in found)

    def to_dict(self) -> dict[str, list[float]]:
        """By name, and an entry of its own for scales of channels."""
        made = {name: [lo, hi] for name, (lo, hi) in sorted(self.seen.items())}
        return made | ({PER_CHANNEL: [1.0, 1.0]} if self.per_channel else {})

    def check_scales(self, per_channel: bool) -> None:
        """Raises RangesMismatch unless they were recorded with the same scales."""
        if self.per_channel != per_channel:
            wanted, got = (f"--scales per-{SCALES[c]}" for c in (per_channel, self.per_channel))
            raise RangesMismatch(f"expected ranges that were recorded with {wanted}, got {got}")


def example_inputs(
    shape: tuple[int, ...], ends: tuple[float, float], whole: bool = False, count: int = 16
) -> npt.NDArray[np.float64]:
    """What ranges are recorded on where nobody gave examples: uniform over the declared range."""
    rng = np.random.default_rng(0)
    if whole:
        return rng.integers(int(ends[0]), int(ends[1]) + 1, (count, *shape)).astype(np.float64)
    return rng.uniform(*ends, (count, *shape))


def evaluate(
    graph: Any,
    given: npt.NDArray[Any],
    ranges: Ranges,
    seen: dict[str, Any] | None = None,
    further: Mapping[str, npt.NDArray[Any]] | None = None,
) -> npt.NDArray[Any]:
    """The graph on one input (and a step's further ones) in float64; widens `ranges` on the way,
    and puts what each node makes into `seen`."""
    from prover.compiler.lower import OPS
    from prover.compiler.resolve import resolved

    inputs = {"input": given} | dict(further or {})
    values: dict[str, Any] = {n: np.asarray(x, dtype=np.float64) for n, x in inputs.items()}
    previous = "input"
    for node in graph.nodes:
        if node.target not in OPS:
            raise unknown(node)
        args = resolved(node.args, values, previous)
        with at_node(node):
            made = OPS[node.target].reference(node, args, ranges)
            if isinstance(made, np.ndarray) and np.isfinite(made).all():
                ranges.record(node.name, made)
        values[node.name] = made
        if seen is not None and isinstance(made, np.ndarray):
            seen[node.name] = made
        previous = node.name
    result = values[previous]
    if not isinstance(result, np.ndarray):
        raise CompileError(f"expected one tensor as the output, got {previous!r}")
    return result
