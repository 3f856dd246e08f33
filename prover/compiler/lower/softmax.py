"""aten.softmax over the last axis: deterministic zkAttn (zkLLM, CCS 2024, section 5, with the shift
pinned).

m = the row's maximum, d = m - z >= 0, d = 2^b hi + lo, e = round(T_hi[hi] T_lo[lo] / 2^s),
p = round(2^q e / sum e). A masked cell is lowered by more than any z can exceed it, so that it is
never the maximum, and reads a row of T_hi that is 0: what it holds contributes nothing. Where it
may hold anything, rather than what the statement makes of it, it is first made 0.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Flags,
    Lengths,
    Masked,
    Network,
    Pending,
    Plan,
    Value,
    aligned,
    common,
    later,
    placed,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one, times
from prover.program.ir import (
    Affine,
    Contraction,
    Divide,
    Expr,
    Floor,
    Index,
    Max,
    Role,
    Table,
    View,
)
from prover.quantizer import IntArray

TARGETS = ("aten.softmax.int", "aten._softmax.default")
REACH = 1 << 14  # of z: a masked cell is lowered by twice as much, and m - z still fits 16 bits
DIGIT = 8
SHARES = 14  # p counts in 2^-14
NARROW = 10  # bits of e from which a 16-bit remainder of the division does


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, axis = args[:2]
    _last(node, x.ndim, axis)
    ranges.record(f"{node.name}.z", x[np.isfinite(x)])
    return shares(x)


def shares(x: Array) -> Array:
    """softmax along the last axis, in float64."""
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _last(node: Node, rank: int, axis: int) -> None:
    if axis % rank != rank - 1:
        raise UnsupportedOp(node.name, node.target, f"expected the last axis, got {axis}")


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Cells:
    x, axis = args[:2]
    value, mask = (x.value, x.mask) if isinstance(x, Masked) else (x, None)
    if not isinstance(value, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    _last(node, len(value.parts), axis)
    plan = aligned(net, node.name, node.shape, value)
    recorded = f"{node.name}.z" if mask is None else value.name
    scores = net.accumulated(value, node.name, plan)
    return softmax(net, node.name, scores, mask, recorded)


def softmax(
    net: Network, name: str, value: Pending, mask: IntArray | Flags | None, recorded: str
) -> Cells:
    """Shares along the last axis of an accumulator, whose range is recorded; `mask` is 1 where a
    cell is left out."""
    plan = value.lengths
    if len(plan[-1]) == value.expr.free == 1 and not isinstance(mask, Flags):
        made = softmax(
            net, name, _row(value), None if mask is None else _flat(mask, value), recorded
        )
        (last,) = made.parts[-1]
        return replace(made, parts=(*value.parts[:-1], (last,)), fixed=((0, 0),))
    if len(plan[-1]) != 1 or value.expr.free < 2:
        raise CompileError(f"{name}: expected rows of one axis of more than one cell, got {plan}")
    exponent = net.fit(recorded, value, most=REACH - 1)
    z = net.requantize(value, f"{name}.z", exponent, lo=-REACH, hi=REACH - 1)
    shape, free = net.tensors[z.tensor].shape, len(net.tensors[z.tensor].shape) - 1
    every = tuple(range(free + 1))
    seen = View(z.tensor, tuple(map(Index, every)))
    hidden = _mask(net, name, plan, mask)
    if isinstance(mask, Flags) and (mask.unwritten or net.stepwise):
        seen = _blank(net, name, shape, exponent, seen, hidden)
    lowered = _sum(one(seen), times(hidden, -2 * REACH))
    top = net.tensor(f"{name}.max", shape[:-1], Role.ACTIVATION, -REACH, REACH - 1)
    net.ops.append(Max(top, shape, lowered, BITS))
    above = View(top, tuple(map(Index, every[:-1])))
    below = _sum(one(above), times(lowered, -1))
    e = _exp(net, name, value, below, exponent, hidden)
    return _shares(net, name, value, e)


def _row(value: Pending) -> Pending:
    """A single row, over an axis of rows: what is compared has axes before the last."""
    expr = value.expr
    products = tuple(Contraction(later(c.x), later(c.y)) for c in expr.contractions)
    lifted = Expr((1, *expr.axes), 2, products, later(expr.linear))
    return replace(value, parts=whole(((1,), value.lengths[-1])), expr=lifted)


def _flat(mask: IntArray, value: Pending) -> IntArray:
    return np.broadcast_to(mask, value.shape).reshape(1, -1)


def _sum(a: Affine, b: Affine) -> Affine:
    return Affine(a.terms + b.terms, a.const + b.const)


def _mask(net: Network, name: str, plan: Plan, mask: IntArray | Flags | None) -> Affine:
    """1 where a cell is left out: a public mask, or truth values that depend on the input,
    repeated over the axes along which it does not vary."""
    if isinstance(mask, Flags):
        own = mask.cells
        if common(name, plan, own.lengths) != plan:
            raise CompileError(f"{name}: a mask of {own.shape} for scores of {plan}")
        flags = one(net.view(own, placed(own.lengths, plan)))
        return replace(times(flags, -1), const=1) if mask.opposite else flags
    if mask is None or not mask.any():
        return Affine()
    lengths = [n for axis in plan for n in axis]
    cells = np.broadcast_to(mask, [math.prod(axis) for axis in plan]).reshape(lengths)
    if cells.min(axis=-1).any():
        raise CompileError(f"{name}: a row with every cell masked")
    named = []
    for axis in range(len(lengths)):
        first = cells.take([0], axis=axis)
        if (cells == first).all():
            cells = first
        else:
            named.append(axis)
    content = cells.reshape([lengths[a] for a in named]).astype(np.int64)
    table = net.table(f"{name}.mask", content)
    return one(View(table, tuple(map(Index, named))))


def _blank(net: Network, name: str, shape: Lengths, exponent: int, z: View, hidden: Affine) -> View:
    """z, but 0 where it is hidden: -2^15 is then no more than any z of 16 bits, so that the maximum
    is that of the others whatever is hidden."""
    kept = replace(times(hidden, -1), const=1 - hidden.const)
    product = net.pending(
        f"{name}.kept", (shape,), exponent, Affine(), (Contraction(one(z), kept),)
    )
    made = net.exact(product, product.name, -REACH, REACH - 1)
    return replace(z, tensor=made.tensor)


def _exp(
    net: Network,
    name: str,
    like: Pending,
    below: Affine,
    exponent: int,
    hidden: Affine,
) -> Cells:
    """e = exp(-d) in units of 2^-bits, d >= 0 over 2^exponent; masked cells 0."""
    shape, plan = like.expr.axes[: like.expr.free], like.lengths
    bits = digits_of_shares(shape[-1])
    factor_bits = (BITS + bits) // 2
    rows, base = 1 << BITS - DIGIT, 1 << DIGIT
    steps = np.arange(base)
    low = np.rint(np.ldexp(np.exp(-np.ldexp(steps, -exponent)), factor_bits)).astype(np.int64)
    high = np.rint(np.ldexp(np.exp(-np.ldexp(steps * base, -exponent)), factor_bits))
    high = np.concatenate([high, np.zeros(rows if hidden.terms else 0)]).astype(np.int64)
    every = tuple(map(Index, range(len(shape))))
    digit = net.tensor(f"{name}.digit", shape, Role.ACTIVATION, 0, rows - 1)
    upper = Floor(digit, shape, below, DIGIT)
    net.ops.append(upper)
    factors = []
    for part, index, content in (
        ("high", _sum(one(upper.whole), times(hidden, rows)), high),
        ("low", upper.rest, low),
    ):
        table = net.table(f"{name}.exp.{part}", content)
        out = net.tensor(f"{name}.{part}", shape, Role.ACTIVATION, 0, 1 << factor_bits)
        net.ops.append(Table(out, shape, index, table, 0))
        factors.append(one(View(out, every)))
    product = net.pending(
        f"{name}.powers", plan, 2 * factor_bits, Affine(), (Contraction(factors[0], factors[1]),)
    )
    return net.requantize(product, product.name, bits, lo=0, hi=1 << bits)


def digits_of_shares(keys: int) -> int:
    """Bits of e: as many as let the sum of a row be at most 2^16, unless that is too few."""
    bits = min(SHARES, BITS - (keys - 1).bit_length())
    return bits if bits >= NARROW else SHARES


def _shares(net: Network, name: str, like: Pending, e: Cells) -> Cells:
    """p = round(2^q e / sum e): the floor, of a numerator with half of the sum added."""
    shape, keys = net.tensors[e.tensor].shape, net.tensors[e.tensor].shape[-1]
    bits = digits_of_shares(keys)
    free = len(shape) - 1
    cells = one(View(e.tensor, tuple(map(Index, range(free + 1)))))
    total = net.pending(
        f"{name}.sum",
        (shape[:-1],),
        bits,
        Affine(),
        (Contraction(cells, Affine((), 1)),),
        shape[-1:],
    )
    denominator = net.exact(total, total.name, 0, keys << bits)
    below = one(View(denominator.tensor, tuple(map(Index, range(free)))))
    out = net.tensor(name, shape, Role.ACTIVATION, 0, 1 << SHARES)
    if keys << bits <= 1 << BITS:
        less = net.pending(f"{name}.half", (shape[:-1],), 1, replace(below, const=-2))
        half = net.requantize(less, less.name, 0)  # floor((sum - 1) / 2), which fits 16 bits
        more = one(View(half.tensor, tuple(map(Index, range(free)))))
        op = Divide(out, shape, _sum(times(cells, 1 << SHARES), more), below, BITS, BITS)
    else:
        above = _sum(times(cells, 2 << SHARES), below)
        op = Divide(out, shape, above, times(below, 2), BITS, 2 * BITS)
    net.ops.append(op)
    net.plans.setdefault(name, like.lengths)
    return Cells(name, like.parts, SHARES, out, len(shape))
