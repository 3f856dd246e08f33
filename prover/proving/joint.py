"""The joint sumcheck: parts of different sizes, the smaller ones joining late, under one Libra
mask."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from prover.field import P
from prover.kernels.interface import Kernels, T
from prover.sumcheck import HALF, Mask

LEAST_AT_ONCE = 10  # variables left below which another thread costs more than it saves


class Part(Protocol):
    """A summand over its own last variables; `claim` its sum with no factor for lateness, `round`
    with it, as coefficients."""

    @property
    def variables(self) -> int: ...

    @property
    def claim(self) -> int: ...

    def round(self) -> list[int]: ...

    def fold(self, r: int) -> None: ...


def run(
    kernels: Kernels,
    parts: Sequence[Part],
    mask: Mask,
    n: int,
    draw: Callable[[tuple[int, ...]], int],
) -> tuple[list[tuple[int, ...]], list[int]]:
    """All n rounds: (what was sent, the point). draw absorbs a round's coefficients and gives its
    challenge."""
    sent: list[tuple[int, ...]] = []
    point: list[int] = []
    for i in range(n):
        joined = [part for part in parts if part.variables >= n - i]
        # of one that has not joined, the claim halves with every bound variable
        waiting = sum(part.claim for part in parts if part.variables < n - i)
        polynomial = mask.round(point)
        polynomial[0] = (polynomial[0] + waiting * pow(HALF, i + 1, P)) % P
        for found in _at_once(kernels, n - i, [part.round for part in joined]):
            for d, c in enumerate(found):
                polynomial[d] = (polynomial[d] + c) % P
        sent.append((polynomial[0], *polynomial[2:]))
        point.append(draw(sent[-1]))
        _at_once(kernels, n - i, [partial(part.fold, point[-1]) for part in joined])
    return sent, point


def _at_once(kernels: Kernels, variables: int, tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The tasks' results, one after the other where parts are short."""
    if variables < LEAST_AT_ONCE:
        return [task() for task in tasks]
    return kernels.run_all(tasks)
