"""A step function of rows as few terms: dyadic intervals that lie in each other and add up."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Run(NamedTuple):
    """A value on [start, end)."""

    start: int
    end: int
    value: int


class Stroke(NamedTuple):
    """A value that is added on [first, first + 2^bits), first a multiple of 2^bits."""

    first: int
    bits: int
    value: int


class _Node(NamedTuple):
    """An interval of which a value is known: with any of `best` there, and with no other, the
    fewest strokes within it are enough."""

    first: int
    bits: int
    best: frozenset[int]
    halves: tuple[_Node, ...]


def painted(runs: Iterable[Run], bits: int) -> list[Stroke]:
    """The fewest strokes that add up to the runs' values, and to 0 elsewhere, on 2^bits rows.

    Fitch, Toward Defining the Course of Evolution (1971): on a tree, what both halves would like is
    best for the whole, else what either would, at one stroke more.
    """
    strokes: list[Stroke] = []
    _paint(_node(joined(runs), 0, bits), 0, strokes)
    return strokes


def joined(runs: Iterable[Run]) -> list[Run]:
    """In order, neighbours of one value as one; without zeros."""
    found: list[Run] = []
    for run in sorted(runs):
        if found and found[-1].end == run.start and found[-1].value == run.value:
            found[-1] = Run(found[-1].start, run.end, run.value)
        elif run.value:
            found.append(run)
    return found


def filled(runs: Iterable[Run], length: int) -> list[Run]:
    """In order, with runs of 0 between them: all of [0, length)."""
    found, at = list[Run](), 0
    for run in sorted(runs):
        if at < run.start:
            found.append(Run(at, run.start, 0))
        found.append(run)
        at = run.end
    return [*found, Run(at, length, 0)] if at < length else found


def _node(runs: list[Run], first: int, bits: int) -> _Node:
    end = first + (1 << bits)
    inside = [run for run in runs if run.start < end and first < run.end]
    if not inside or (inside[0].start <= first and end <= inside[0].end):
        value = inside[0].value if inside else 0
        return _Node(first, bits, frozenset((value,)), ())
    middle = first + (1 << bits - 1)
    left, right = _node(inside, first, bits - 1), _node(inside, middle, bits - 1)
    return _Node(first, bits, left.best & right.best or left.best | right.best, (left, right))


def _paint(node: _Node, value: int, strokes: list[Stroke]) -> None:
    if value not in node.best:
        wanted = min(node.best)
        strokes.append(Stroke(node.first, node.bits, wanted - value))
        value = wanted
    for half in node.halves:
        _paint(half, value, strokes)
