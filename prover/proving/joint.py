"""The joint sumcheck: parts of different sizes, the smaller ones joining late, under one Libra
mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from prover.field import P
from prover.sumcheck import HALF, Mask, coefficients


class Part(Protocol):
    """A summand over its own last variables; `claim` its sum with no factor for lateness, `round`
    with it."""

    @property
    def variables(self) -> int: ...

    @property
    def claim(self) -> int: ...

    def round(self) -> list[int]: ...

    def fold(self, r: int) -> None: ...


def run(
    parts: Sequence[Part], mask: Mask, n: int, draw: Callable[[tuple[int, ...]], int]
) -> tuple[list[tuple[int, ...]], list[int]]:
    """All n rounds: (what was sent, the point). draw absorbs a round's coefficients and gives its
    challenge."""
    sent: list[tuple[int, ...]] = []
    point: list[int] = []
    for i in range(n):
        polynomial = mask.round(point)
        for part in parts:
            if part.variables < n - i:  # not joined: its claim halves with every bound variable
                terms = [part.claim * pow(HALF, i + 1, P)]
            else:
                terms = coefficients(part.round())
            for d, c in enumerate(terms):
                polynomial[d] = (polynomial[d] + c) % P
        sent.append((polynomial[0], *polynomial[2:]))
        point.append(draw(sent[-1]))
        for part in parts:
            if part.variables >= n - i:
                part.fold(point[-1])
    return sent, point
