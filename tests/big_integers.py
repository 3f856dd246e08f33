"""A program run by its definition, cell by cell in Python integers: slow, and hard to get wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import product

import numpy as np

from prover.program.ir import (
    FIXED,
    Affine,
    Argmax,
    Divide,
    Expr,
    Floor,
    Gather,
    Linear,
    Max,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Table,
    View,
)

Point = tuple[int, ...]
Cells = dict[int, dict[Point, int]]


def points(shape: tuple[int, ...]) -> product[Point]:
    return product(*(range(length) for length in shape))


def run(program: Program, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Every tensor by name, as arrays of Python integers; checks no range."""
    cells: Cells = {}
    for i, t in enumerate(program.tensors):
        if t.name in given:
            cells[i] = {p: int(given[t.name][p]) for p in points(t.shape)}
        elif t.role == Role.TABLE:
            cells[i] = dict(zip(points(t.shape), t.values, strict=True))
    for length, ops in program.steps():
        made = [op for op in ops if not isinstance(op, Range)]
        for op in made:
            cells[op.out] = {}
        for layer in range(length or 1):  # a cell that is not made yet reads as zero
            for op in made:
                for p in points(program.tensors[op.out].shape):
                    if length is None or p[0] == layer:
                        cells[op.out][p] = _cell(op, p, cells)
    arrays = {}
    for i, t in enumerate(program.tensors):
        arrays[t.name] = np.empty(t.shape, dtype=object)
        for p in points(t.shape):
            arrays[t.name][p] = cells[i][p]
    return arrays


def _cell(op: Op, p: Point, cells: Cells) -> int:
    match op:
        case Linear(_, expr):
            return _expr(expr, p, cells)
        case Requantize(_, expr, shift, _):
            return _round(_expr(expr, p, cells), shift)
        case Relu(_, expr, shift, _):
            return max(0, _round(_expr(expr, p, cells), shift))
        case Floor(_, _, x, shift):
            return _affine(x, p, cells) // 2**shift
        case Table(_, _, index, table, lo):
            return cells[table][(_affine(index, p, cells) - lo,)]
        case Gather(_, axes, index, source):
            return cells[source][(_affine(index, p[: len(axes)], cells), p[-1])]
        case Max(_, axes, x, _) | Argmax(_, axes, x, _):
            row = [_affine(x, (*p, i), cells) for i in range(axes[-1])]
            return max(row) if isinstance(op, Max) else row.index(max(row))
        case Divide(_, _, numerator, denominator, _, _):
            return _affine(numerator, p, cells) // _affine(denominator, p, cells)
        case Rsqrt(_, _, x, shift, _, _):
            return math.isqrt((1 << 2 * shift) // _affine(x, p, cells))
    raise ValueError(f"no cells come from {op}")


def _round(value: int, shift: int) -> int:
    return (2 * value + 2**shift) // 2 ** (shift + 1)


def _expr(expr: Expr, p: Point, cells: Cells) -> int:
    total = _affine(expr.linear, p, cells)
    for c in expr.contractions:
        named = c.x.axes | c.y.axes
        lengths = [n if a in named else 1 for a, n in enumerate(expr.axes)]
        for rest in points(tuple(lengths[expr.free :])):
            total += _affine(c.x, p + rest, cells) * _affine(c.y, p + rest, cells)
    return total


def _affine(affine: Affine, p: Point, cells: Cells) -> int:
    return affine.const + sum(coef * _view(view, p, cells) for coef, view in affine.terms)


def _view(view: View, p: Point, cells: Cells) -> int:
    at = tuple(i.offset if i.axis == FIXED else p[i.axis] + i.offset for i in view.index)
    return cells[view.tensor].get(at, 0)
