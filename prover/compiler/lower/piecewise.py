"""Functions of straight pieces: leaky_relu, prelu of one slope, softshrink, hardtanh, relu6, clamp,
abs, hardsigmoid, hardswish.

f(x) = constant + slope x + sum_k bend_k relu(x - k), each term exact on the stored x: the only
errors are those of the scale of x, to which k is rounded, and of 15 bits of a slope.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.mul import FACTOR_BITS
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Network,
    Pending,
    Value,
    aligned,
    numbered,
    placed,
)
from prover.compiler.lower.rectify import above
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction, View
from prover.quantizer import INT16_MAX, INT16_MIN, round_half_even


class Pieces(NamedTuple):
    """slope x + sum of bend relu(x - at); constant beside."""

    slope: float
    bends: tuple[tuple[float, float], ...]  # at, bend
    constant: float = 0.0


TIMES_X = ("aten.hardswish.default", "aten.hardswish_.default")
SIGMOID = Pieces(0.0, ((-3.0, 1 / 6), (3.0, -1 / 6)))
PLAIN = {
    "aten.relu6.default": Pieces(0.0, ((0.0, 1.0), (6.0, -1.0))),
    "aten.relu6_.default": Pieces(0.0, ((0.0, 1.0), (6.0, -1.0))),
    "aten.abs.default": Pieces(-1.0, ((0.0, 2.0),)),
    "aten.hardsigmoid.default": SIGMOID,
    **dict.fromkeys(TIMES_X, SIGMOID),
}
LEAKY = ("aten.leaky_relu.default", "aten.leaky_relu_.default", "aten.prelu.default")
SHRUNK = "aten.softshrink.default"
CUT = (
    "aten.hardtanh.default", "aten.hardtanh_.default", "aten.clamp.default",
    "aten.clamp_min.default", "aten.clamp_max.default",
)  # fmt: skip
TARGETS = (*PLAIN, *LEAKY, *CUT, SHRUNK)


def pieces(node: Node, args: tuple[Argument, ...]) -> Pieces:
    if node.target in PLAIN:
        return PLAIN[node.target]
    if node.target in LEAKY:
        if isinstance(args[1], Value) or np.size(args[1]) != 1:
            raise UnsupportedOp(node.name, node.target, "expected one constant slope")
        slope = float(np.ravel(args[1])[0])
        return Pieces(slope, ((0.0, 1.0 - slope),))
    if node.target == SHRUNK:
        return Pieces(1.0, ((-args[1], -1.0), (args[1], 1.0)), args[1])
    lo: float | None = args[1]
    hi: float | None = args[2] if len(args) > 2 else None
    if "clamp_max" in node.target:
        lo, hi = None, args[1]
    if (lo is None and hi is None) or not np.isfinite([n for n in (lo, hi) if n is not None]).all():
        raise UnsupportedOp(node.name, node.target, f"expected finite bounds, got {lo} and {hi}")
    if lo is not None and hi is not None and lo > hi:
        raise UnsupportedOp(node.name, node.target, f"expected bounds in order, got {lo}, {hi}")
    if lo is None:
        return Pieces(1.0, ((float(args[-1]), -1.0),))
    bends = ((lo, 1.0),) if hi is None else ((lo, 1.0), (hi, -1.0))
    return Pieces(0.0, bends, lo)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, f = args[0], pieces(node, args)
    made = f.constant + f.slope * x
    for at, bend in f.bends:
        made = made + bend * np.maximum(x - at, 0.0)
    ranges.record(f"{node.name}.factor", made)
    return np.asarray(made * x if node.target in TIMES_X else made)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells = net.stored(args[0])
    plan = aligned(net, node.name, node.shape, cells)
    made = _sum(net, node.name, cells, pieces(node, args))
    if node.target not in TIMES_X:
        return made
    name = f"{node.name}.factor"
    factor = net.requantize(made, name, net.fit(name, made))
    left, right = (one(net.view(v, placed(v.lengths, plan))) for v in (cells, factor))
    exponent = cells.exponent + factor.exponent
    return net.pending(node.name, plan, exponent, Affine(), (Contraction(left, right),))


def _sum(net: Network, name: str, cells: Cells, f: Pieces) -> Pending:
    """The pieces on x's own scale, times 2^bits for the slopes."""
    plan = cells.lengths
    x = net.view(cells, numbered(plan))
    whole = all(float(s).is_integer() for s in (f.slope, *(bend for _, bend in f.bends)))
    bits = 0 if whole else FACTOR_BITS
    slope, constant = round(f.slope * (1 << bits)), f.constant
    terms: list[tuple[int, View]] = []
    total = 0
    for number, (at, bend) in enumerate(f.bends):
        (place,) = (int(n) for n in round_half_even(np.array([at]), cells.exponent))
        weight = round(bend * (1 << bits))
        if place > INT16_MAX:  # no x reaches it
            continue
        if place < INT16_MIN:  # every x is beyond it
            slope += weight
            total -= weight * place
            continue
        bent = above(net, f"{name}.bend{number}", plan, Affine(((1, x),), -place))
        terms.append((weight, net.view(bent, numbered(plan))))
    total += round(math.ldexp(constant, cells.exponent + bits))
    if slope:
        terms.append((slope, x))
    if not terms:
        raise CompileError(f"{name}: a constant, whatever its input")
    return net.pending(name, plan, cells.exponent + bits, Affine(tuple(terms), total))
