"""Divide and Rsqrt: a quotient and an inverse square root, each between two-sided checks.

Unique: docs/protocol/gadgets.md#divide. A remainder that is only bounded below, or above, is free.
"""

from __future__ import annotations

import numpy as np

from prover.program.evaluate import Ints, ValueRefused, Values, affine_values
from prover.program.gadgets.shared import one, plus, prove_range, range_hints, whole
from prover.program.ir import Affine, Contraction, Divide, Program, Rsqrt
from prover.program.relations import Relations


def expand_divide(rel: Relations, op: Divide) -> None:
    """numerator = denominator * out + r, 0 <= r < denominator."""
    tensor, rank = rel.tensors[op.out], len(op.axes)
    out = whole(op.out, rank)
    remainder = whole(rel.hint(f"{tensor.name}.r", op.axes, 0, (1 << op.rest_bits) - 1), rank)
    lhs = plus(op.numerator, (-1, remainder))
    rel.einsum(op.axes, rank, lhs, Contraction(op.denominator, one(out)))
    prove_range(rel, f"{tensor.name}.r", op.axes, one(remainder), op.rest_bits)
    above = plus(op.denominator, (-1, remainder), const=-1)
    prove_range(rel, f"{tensor.name}.e", op.axes, above, op.rest_bits)
    value = Affine(((1, out),), 1 << op.bits - 1)
    prove_range(rel, tensor.name, op.axes, value, op.bits)


def run_divide(program: Program, op: Divide, values: Values) -> dict[str, Ints]:
    name, axes = program.tensors[op.out].name, range(len(op.axes))
    numerator = affine_values(op.numerator, op.axes, axes, values)
    denominator = affine_values(op.denominator, op.axes, axes, values)
    if int(denominator.min()) < 1:
        raise ValueRefused(f"{name}: expected positive denominators, got {denominator.min()}")
    out = numerator // denominator
    rest = numerator - denominator * out
    made = {name: out, f"{name}.r": rest}
    made |= range_hints(name, out, op.bits, program.limb, 1 << op.bits - 1)
    made |= range_hints(f"{name}.r", rest, op.rest_bits, program.limb)
    return made | range_hints(f"{name}.e", denominator - rest - 1, op.rest_bits, program.limb)


def expand_rsqrt(rel: Relations, op: Rsqrt) -> None:
    """t = x y;  a = 2^(2q) - t y >= 0;  (y+1)^2 x - 2^(2q) - 1 = 2 t + x - 1 - a >= 0."""
    tensor, rank = rel.tensors[op.out], len(op.axes)
    out, most = whole(op.out, rank), (1 << op.rest_bits) - 1
    t = whole(rel.hint(f"{tensor.name}.t", op.axes, 0, most), rank)
    a = whole(rel.hint(f"{tensor.name}.a", op.axes, 0, most), rank)
    rel.einsum(op.axes, rank, one(t), Contraction(op.x, one(out)))
    rel.einsum(op.axes, rank, Affine(((-1, a),), 1 << 2 * op.shift), Contraction(one(t), one(out)))
    prove_range(rel, f"{tensor.name}.a", op.axes, one(a), op.rest_bits)
    above = plus(op.x, (2, t), (-1, a), const=-1)
    prove_range(rel, f"{tensor.name}.e", op.axes, above, op.rest_bits)
    prove_range(rel, tensor.name, op.axes, one(out), op.bits)


def run_rsqrt(program: Program, op: Rsqrt, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    x = affine_values(op.x, op.axes, range(len(op.axes)), values)
    if int(x.min()) < 1:
        raise ValueRefused(f"{name}: expected positive radicands, got {x.min()}")
    out, target = inverse_root(x, op.shift), 1 << 2 * op.shift
    t = x * out
    a = target - t * out
    made = {name: out, f"{name}.t": t, f"{name}.a": a}
    made |= range_hints(name, out, op.bits, program.limb)
    made |= range_hints(f"{name}.a", a, op.rest_bits, program.limb)
    return made | range_hints(f"{name}.e", 2 * t + x - 1 - a, op.rest_bits, program.limb)


def inverse_root(x: Ints, shift: int) -> Ints:
    """floor(2^shift / sqrt(x)) for x >= 1, shift <= 30: float64 comes within 1, integers decide."""
    target = 1 << 2 * shift
    out: Ints = np.floor((1 << shift) / np.sqrt(x.astype(np.float64))).astype(np.int64)
    out -= (out * out * x > target).astype(np.int64)
    out += ((out + 1) * (out + 1) * x <= target).astype(np.int64)
    return out
