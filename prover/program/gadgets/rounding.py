"""Requantize and ReLU: 2^shift * rounded + remainder = expr + 2^(shift-1), 0 <= remainder <
2^shift.

Unique: docs/protocol/gadgets.md#rounding.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prover.program.evaluate import Ints, Values, expr_values
from prover.program.gadgets.shared import (
    limbs,
    one,
    plus,
    prove_range,
    range_hints,
    times,
    whole,
)
from prover.program.ir import Affine, Contraction, Expr, Program, Relu, Requantize, Role, View
from prover.program.relations import Relations


def scaled(shift: int, limb: int) -> tuple[int, int]:
    """A remainder in [0, 2^shift) is looked up times 2^e, in whole limbs of `bits` in all: (e,
    bits).

    Whole limbs, because a hint limb that is merely looked up scaled need not be an integer: a
    remainder could then leave its range.
    """
    bits = limbs(shift, limb) * limb
    return bits - shift, bits


def expand_rounded(
    rel: Relations, expr: Expr, shift: int, name: str, *rounded: tuple[int, View]
) -> None:
    """2^shift * (sum of rounded views) + remainder = expr + 2^(shift-1)."""
    shape = expr.axes[: expr.free]
    half = (1 << shift) >> 1
    lhs = plus(times(expr.linear, -1), *((c << shift, v) for c, v in rounded), const=-half)
    if shift:
        view = whole(rel.hint(f"{name}.r", shape, 0, (1 << shift) - 1), len(shape))
        lhs = plus(lhs, (1, view))
        extra, bits = scaled(shift, rel.limb)
        prove_range(rel, f"{name}.r", shape, Affine(((1 << extra, view),)), bits)
    rel.einsum(expr.axes, expr.free, lhs, *expr.contractions)


def run_rounded(
    expr: Expr, shift: int, name: str, limb: int, values: Values
) -> tuple[Ints, dict[str, Ints]]:
    """(rounded, hints)."""
    total = expr_values(expr, values) + ((1 << shift) >> 1)
    rounded, hints = total >> shift, {}
    if shift:
        remainder = total - (rounded << shift)
        extra, bits = scaled(shift, limb)
        hints = {f"{name}.r": remainder}
        hints |= range_hints(f"{name}.r", remainder << extra, bits, limb)
    return rounded, hints


def _ranges(op: Requantize, role: Role, looked_up: Mapping[int, tuple[int, int]]) -> bool:
    """Whether the gadget itself proves its output's range: a public output is an int16 by its
    encoding, and the index of a table's row is one of its rows."""
    lo, hi = looked_up.get(op.out, (0, 1 << op.bits))
    return role != Role.OUTPUT and not -(1 << op.bits - 1) <= lo <= hi < 1 << op.bits - 1


def expand_requantize(rel: Relations, op: Requantize) -> None:
    tensor = rel.tensors[op.out]
    view = whole(op.out, len(tensor.shape))
    expand_rounded(rel, op.expr, op.shift, tensor.name, (1, view))
    if _ranges(op, tensor.role, rel.looked_up):
        value = Affine(((1, view),), 1 << op.bits - 1)
        prove_range(rel, tensor.name, tensor.shape, value, op.bits)


def run_requantize(program: Program, op: Requantize, values: Values) -> dict[str, Ints]:
    tensor = program.tensors[op.out]
    out, hints = run_rounded(op.expr, op.shift, tensor.name, program.limb, values)
    if _ranges(op, tensor.role, program.looked_up):
        hints |= range_hints(tensor.name, out, op.bits, program.limb, 1 << op.bits - 1)
    return hints | {tensor.name: out}


def expand_relu(rel: Relations, op: Relu) -> None:
    tensor = rel.tensors[op.out]
    rank = len(tensor.shape)
    negative = rel.hint(f"{tensor.name}.n", tensor.shape, 0, (1 << op.bits) - 1)
    up, down = whole(op.out, rank), whole(negative, rank)
    expand_rounded(rel, op.expr, op.shift, tensor.name, (1, up), (-1, down))
    for name, view in ((tensor.name, up), (f"{tensor.name}.n", down)):
        prove_range(rel, name, tensor.shape, one(view), op.bits)
    rel.einsum(tensor.shape, rank, Affine(), Contraction(one(up), one(down)))


def run_relu(program: Program, op: Relu, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    rounded, hints = run_rounded(op.expr, op.shift, name, program.limb, values)
    parts = (
        (name, np.maximum(rounded, 0), name),
        (f"{name}.n", np.maximum(-rounded, 0), f"{name}, what its ReLU cuts off"),
    )
    for part, value, label in parts:
        hints[part] = value
        hints |= range_hints(part, value, op.bits, program.limb, label=label)
    return hints
