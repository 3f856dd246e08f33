"""Each gadget of the closed list: the relations that pin its output, and how its output and hints
are computed.

Uniqueness proofs: docs/protocol/gadgets.md. `expand` and `run` name hints alike ("out.r",
"out.u1", ...).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from prover.program.evaluate import Ints, Values, affine_values, expr_values
from prover.program.ir import (
    Affine,
    Contraction,
    Expr,
    Gather,
    Index,
    Linear,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Table,
    View,
)
from prover.program.relations import Relations, TableSpec


def whole(tensor: int, rank: int) -> View:
    """A tensor seen along all the axes of a relation, in order."""
    return View(tensor, tuple(Index(a) for a in range(rank)))


def plus(a: Affine, *more: tuple[int, View], const: int = 0) -> Affine:
    return Affine(a.terms + more, a.const + const)


def minus(a: Affine) -> Affine:
    return Affine(tuple((-c, v) for c, v in a.terms), -a.const)


def _limbs(bits: int, limb: int) -> int:
    return -(-bits // limb)


def _range(rel: Relations, name: str, shape: tuple[int, ...], value: Affine, bits: int) -> None:
    """value is in [0, 2^bits), bits a multiple of limb: upper limbs are hints, the lowest is what
    is left."""
    table = rel.table(TableSpec(0, 1 << rel.limb, None, 0))
    lowest = value
    for i in range(1, _limbs(bits, rel.limb)):
        limb = rel.hint(f"{name}.u{i}", shape, 0, (1 << rel.limb) - 1)
        view = whole(limb, len(shape))
        rel.lookup(shape, table, Affine(((1, view),)))
        lowest = plus(lowest, (-(1 << rel.limb * i), view))
    rel.lookup(shape, table, lowest)


def _range_hints(name: str, value: Ints, bits: int, limb: int) -> dict[str, Ints]:
    mask = (1 << limb) - 1
    return {f"{name}.u{i}": value >> limb * i & mask for i in range(1, _limbs(bits, limb))}


def _scaled(shift: int, limb: int) -> tuple[int, int]:
    """A remainder in [0, 2^shift) is looked up times 2^e, in whole limbs of `bits` in all.

    Whole limbs, because a hint limb that is merely looked up scaled need not be an integer: a
    remainder could then leave its range.
    """
    bits = _limbs(shift, limb) * limb
    return bits - shift, bits


# -- linear ----------------------------------------------------------------------------------------


def _expand_linear(rel: Relations, op: Linear) -> None:
    shape = op.expr.axes[: op.expr.free]
    lhs = plus(minus(op.expr.linear), (1, whole(op.out, len(shape))))
    rel.einsum(op.expr.axes, op.expr.free, lhs, *op.expr.contractions)


def _run_linear(program: Program, op: Linear, values: Values) -> dict[str, Ints]:
    return {program.tensors[op.out].name: expr_values(op.expr, values)}


# -- requantize, relu ------------------------------------------------------------------------------


def _expand_rounded(
    rel: Relations, expr: Expr, shift: int, name: str, *scaled: tuple[int, View]
) -> None:
    """2^shift * (sum of scaled views) + remainder = expr + 2^(shift-1)."""
    shape = expr.axes[: expr.free]
    half = (1 << shift) >> 1
    lhs = plus(minus(expr.linear), *((c << shift, v) for c, v in scaled), const=-half)
    if shift:
        view = whole(rel.hint(f"{name}.r", shape, 0, (1 << shift) - 1), len(shape))
        lhs = plus(lhs, (1, view))
        extra, bits = _scaled(shift, rel.limb)
        _range(rel, f"{name}.r", shape, Affine(((1 << extra, view),)), bits)
    rel.einsum(expr.axes, expr.free, lhs, *expr.contractions)


def _run_rounded(
    expr: Expr, shift: int, name: str, limb: int, values: Values
) -> tuple[Ints, dict[str, Ints]]:
    total = expr_values(expr, values) + ((1 << shift) >> 1)
    rounded, hints = total >> shift, {}
    if shift:
        remainder = total - (rounded << shift)
        extra, bits = _scaled(shift, limb)
        hints = {f"{name}.r": remainder}
        hints |= _range_hints(f"{name}.r", remainder << extra, bits, limb)
    return rounded, hints


def _expand_requantize(rel: Relations, op: Requantize) -> None:
    tensor = rel.tensors[op.out]
    view = whole(op.out, len(tensor.shape))
    _expand_rounded(rel, op.expr, op.shift, tensor.name, (1, view))
    if tensor.role != Role.OUTPUT:  # a public output is an int16 by its encoding
        _range(rel, tensor.name, tensor.shape, Affine(((1, view),), 1 << op.bits - 1), op.bits)


def _run_requantize(program: Program, op: Requantize, values: Values) -> dict[str, Ints]:
    tensor = program.tensors[op.out]
    out, hints = _run_rounded(op.expr, op.shift, tensor.name, program.limb, values)
    hints[tensor.name] = out
    if tensor.role != Role.OUTPUT:
        hints |= _range_hints(tensor.name, out + (1 << op.bits - 1), op.bits, program.limb)
    return hints


def _expand_relu(rel: Relations, op: Relu) -> None:
    tensor = rel.tensors[op.out]
    rank = len(tensor.shape)
    negative = rel.hint(f"{tensor.name}.n", tensor.shape, 0, (1 << op.bits) - 1)
    up, down = whole(op.out, rank), whole(negative, rank)
    _expand_rounded(rel, op.expr, op.shift, tensor.name, (1, up), (-1, down))
    for name, view in ((tensor.name, up), (f"{tensor.name}.n", down)):
        _range(rel, name, tensor.shape, Affine(((1, view),)), op.bits)
    rel.einsum(tensor.shape, rank, Affine(), Contraction(Affine(((1, up),)), Affine(((1, down),))))


def _run_relu(program: Program, op: Relu, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    rounded, hints = _run_rounded(op.expr, op.shift, name, program.limb, values)
    for part, value in ((name, np.maximum(rounded, 0)), (f"{name}.n", np.maximum(-rounded, 0))):
        hints[part] = value
        hints |= _range_hints(part, value, op.bits, program.limb)
    return hints


# -- table, gather, range --------------------------------------------------------------------------


def _expand_table(rel: Relations, op: Table) -> None:
    table = rel.table(TableSpec(op.lo, rel.tensors[op.table].size, op.table, 1))
    rel.lookup(op.axes, table, op.index, whole(op.out, len(op.axes)))


def _run_table(program: Program, op: Table, values: Values) -> dict[str, Ints]:
    rows = affine_values(op.index, op.axes, tuple(range(len(op.axes))), values) - op.lo
    return {program.tensors[op.out].name: _rows(values[op.table].reshape(-1), rows)}


def _expand_gather(rel: Relations, op: Gather) -> None:
    rows, width = rel.tensors[op.source].shape
    table = rel.table(TableSpec(0, rows, op.source, width))
    rel.lookup(op.axes, table, op.index, whole(op.out, len(op.axes) + 1))


def _run_gather(program: Program, op: Gather, values: Values) -> dict[str, Ints]:
    rows = affine_values(op.index, op.axes, tuple(range(len(op.axes))), values)
    return {program.tensors[op.out].name: _rows(values[op.source], rows)}


def _rows(table: Ints, rows: Ints) -> Ints:
    return table[np.clip(rows, 0, len(table) - 1)]  # a row outside is refused by the range check


def _expand_range(rel: Relations, op: Range) -> None:
    tensor = rel.tensors[op.tensor]
    view = whole(op.tensor, len(tensor.shape))
    value = Affine(((1, view),), 1 << op.bits - 1)
    _range(rel, f"{tensor.name}.range", tensor.shape, value, op.bits)


def _run_range(program: Program, op: Range, values: Values) -> dict[str, Ints]:
    shifted = values[op.tensor] + (1 << op.bits - 1)
    name = f"{program.tensors[op.tensor].name}.range"
    return _range_hints(name, shifted, op.bits, program.limb)


_EXPAND: dict[type, Callable[[Relations, Any], None]] = {
    Linear: _expand_linear,
    Requantize: _expand_requantize,
    Relu: _expand_relu,
    Table: _expand_table,
    Gather: _expand_gather,
    Range: _expand_range,
}
_RUN: dict[type, Callable[[Program, Any, Values], dict[str, Ints]]] = {
    Linear: _run_linear,
    Requantize: _run_requantize,
    Relu: _run_relu,
    Table: _run_table,
    Gather: _run_gather,
    Range: _run_range,
}


def expand(program: Program) -> Relations:
    """All relations of a program; its own tensors keep their numbers, hints follow."""
    rel = Relations(program.limb, list(program.tensors))
    rel.table(
        TableSpec(0, 1 << program.limb, None, 0)
    )  # table 0 is public: gaps take its first row
    for op in program.ops:
        _EXPAND[type(op)](rel, op)
    return rel


def run(program: Program, op: Op, values: Values) -> dict[str, Ints]:
    """The output and the hints of one gadget, by name; int64."""
    return _RUN[type(op)](program, op, values)


def reads(op: Op) -> set[int]:
    """The tensors that a gadget reads."""
    match op:
        case Linear(_, expr) | Requantize(_, expr, _, _) | Relu(_, expr, _, _):
            affines = [expr.linear] + [a for c in expr.contractions for a in (c.x, c.y)]
            return {v.tensor for a in affines for _, v in a.terms}
        case Table(_, _, index, table, _):
            return {v.tensor for _, v in index.terms} | {table}
        case Gather(_, _, index, source):
            return {v.tensor for _, v in index.terms} | {source}
        case Range(tensor, _):
            return {tensor}
