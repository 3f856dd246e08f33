"""Strokes add up to the step function that they are made of, and there are no fewer."""

from __future__ import annotations

import random
from functools import cache

import pytest

from prover.program.paint import Run, filled, painted

BITS = 3


def added(strokes: list[tuple[int, int, int]], bits: int) -> list[int]:
    found = [0] * (1 << bits)
    for first, size, value in strokes:
        assert first % (1 << size) == 0
        for x in range(first, first + (1 << size)):
            found[x] += value
    return found


@cache
def fewest(values: tuple[int, ...], inherited: int) -> int:
    """Over every way to paint: an interval anew or not, then its halves."""
    if len(values) == 1:
        return int(values[0] != inherited)
    middle = len(values) // 2
    return min(
        (colour != inherited) + fewest(values[:middle], colour) + fewest(values[middle:], colour)
        for colour in {*values, inherited}
    )


def runs_of(values: list[int]) -> list[Run]:
    return [Run(x, x + 1, value) for x, value in enumerate(values)]


@pytest.mark.parametrize("seed", range(40))
def test_strokes_add_up_and_are_fewest(seed: int) -> None:
    rng = random.Random(seed)
    values = [rng.choice((0, 0, 1, 1, 5, -3)) for _ in range(1 << BITS)]
    strokes = painted(runs_of(values), BITS)
    assert added(strokes, BITS) == values
    assert len(strokes) == fewest(tuple(values), 0)


def test_long_runs_are_few_strokes() -> None:
    assert painted([Run(0, 8, 7)], 3) == [(0, 3, 7)]
    assert painted([Run(0, 1 << 19, 1), Run(1 << 19, 1 << 20, 1)], 20) == [(0, 20, 1)]
    assert len(painted([Run(0, 6, 1), Run(6, 8, 2)], 3)) == 2


def test_what_lies_between_is_zero() -> None:
    assert filled([Run(2, 3, 9)], 5) == [(0, 2, 0), (2, 3, 9), (3, 5, 0)]
