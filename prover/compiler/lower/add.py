"""aten.add and aten.sub: of values and constants, broadcast; folded into the accumulators that they
add up, so that a residual connection costs nothing beside the rounding that its layer needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.flags import both
from prover.compiler.lower.network import (
    HIDDEN,
    Argument,
    Array,
    Flags,
    Masked,
    Network,
    Pending,
    Plan,
    Value,
    aligned,
    flat,
    placed,
)
from prover.compiler.quantize import BIAS_BITS, largest_exponent
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.ir import FIXED, Affine, Contraction, Index, View
from prover.quantizer import round_half_even

TARGETS = ("aten.add.Tensor", "aten.sub.Tensor", "aten.add_.Tensor")
MOST_APART = 30  # bits between two accumulators that are added as they are


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, y, alpha = args
    return np.asarray(x + _sign(node) * alpha * y)


def _sign(node: Node) -> int:
    return -1 if "sub" in node.target else 1


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending | Masked | Flags:
    """A sum; of scores and a mask of 0 and -inf, masked scores; of two such masks, both."""
    x, y = args[:2]
    if not any(isinstance(v, Flags) for v in (x, y)):
        return total(net, node, x, y)
    scores, mask = (y, x) if isinstance(x, Flags) else (x, y)
    if mask.added and isinstance(scores, np.ndarray) and not scores[scores > HIDDEN].any():
        return replace(both(net, node, mask, scores > HIDDEN), added=True)
    if not mask.added or not isinstance(scores, Value) or scores.shape != node.shape:
        raise UnsupportedOp(node.name, node.target, "a sum with truth values")
    return Masked(scores, replace(mask, opposite=not mask.opposite, added=False))


def total(net: Network, node: Node, x: Argument, y: Argument) -> Pending:
    """x + y, or x - y, at the finer of both scales."""
    values = [v for v in (x, y) if isinstance(v, Value)]
    plan = aligned(net, node.name, node.shape, *values)
    terms = [(x, 1), (y, _sign(node))]
    sums = [net.accumulated(v, node.name, plan, s) for v, s in terms if isinstance(v, Value)]
    if len(sums) == 2 and abs(sums[0].exponent - sums[1].exponent) > MOST_APART:
        raise CompileError(f"{node.name}: scales 2^{sums[0].exponent} and 2^{sums[1].exponent}")
    made = sums[0] if len(sums) == 1 else _sum(net, node.name, plan, *sums)
    for constant, sign in terms:
        if not isinstance(constant, Value):
            offsets = sign * np.asarray(constant, np.float64)
            if not np.isfinite(offsets).all():
                raise UnsupportedOp(node.name, node.target, "expected finite numbers to add")
            public = np.asarray(constant).dtype.kind in "iu" and made.exponent == 0
            secret = node.learned and isinstance(constant, np.ndarray)
            made = _offset(net, node.name, plan, made, offsets, public, secret)
    return made


def _sum(net: Network, name: str, plan: Plan, x: Pending, y: Pending) -> Pending:
    """Both accumulators over one set of axes: the summed ones of y follow those of x."""
    exponent = max(x.exponent, y.exponent)
    x = net.accumulated(x, name, plan, 1 << exponent - x.exponent)
    y = net.accumulated(y, name, plan, 1 << exponent - y.exponent)
    free = len(flat(plan))
    more = len(x.expr.axes) - free

    def moved(a: Affine) -> Affine:
        def move(i: Index) -> Index:
            return i if i.axis == FIXED or i.axis < free else Index(i.axis + more, i.offset)

        views = ((c, View(v.tensor, tuple(map(move, v.index)))) for c, v in a.terms)
        return Affine(tuple(views), a.const)

    products = [Contraction(moved(c.x), moved(c.y)) for c in y.expr.contractions]
    linear = Affine(
        x.expr.linear.terms + y.expr.linear.terms, x.expr.linear.const + y.expr.linear.const
    )
    summed = x.expr.axes[free:] + y.expr.axes[free:]
    return net.pending(name, plan, exponent, linear, (*x.expr.contractions, *products), summed)


def _offset(
    net: Network, name: str, plan: Plan, x: Pending, constant: Array, public: bool, secret: bool
) -> Pending:
    """x + constant: secret weights of at most 32 bits, however fine x is; beside whole numbers,
    such as token ids and places, a public table; a number that is not secret, in the program."""
    if constant.size > 1 and public:
        own = plan[len(plan) - constant.ndim :]
        lengths = tuple(a if n > 1 else () for a, n in zip(own, constant.shape, strict=True))
        table = net.table(f"{name}.constant", constant.astype(np.int64).reshape(flat(lengths)))
        view = net.view(net.cells(name, table, lengths, 0), placed(lengths, plan))
        linear = Affine((*x.expr.linear.terms, (1, view)), x.expr.linear.const)
    elif constant.size == 1 and not secret:
        finest = largest_exponent(constant, 1 << 46)
        exponent = x.exponent if finest is None else min(x.exponent, finest)
        value = int(round_half_even(constant.reshape(1), exponent)[0]) << x.exponent - exponent
        linear = Affine(x.expr.linear.terms, x.expr.linear.const + value)
    else:
        finest = largest_exponent(constant, (1 << BIAS_BITS - 1) - 1)
        exponent = x.exponent if finest is None else min(x.exponent, finest)
        own = plan[len(plan) - constant.ndim :]
        lengths = tuple(a if n > 1 else () for a, n in zip(own, constant.shape, strict=True))
        whole = round_half_even(constant, exponent)
        cells, _ = net.integers(f"{name}.constant", whole, lengths, BIAS_BITS, exponent)
        view = net.view(cells, placed(lengths, plan))
        linear = Affine(
            (*x.expr.linear.terms, (1 << x.exponent - exponent, view)), x.expr.linear.const
        )
    return net.pending(
        name, plan, x.exponent, linear, x.expr.contractions, x.expr.axes[len(flat(plan)) :]
    )
