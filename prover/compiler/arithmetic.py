"""Functions of numbers, cell by cell, that are others put together: slopes, powers, quotients; what
is chosen by a threshold, a sign or a mask.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.activation import POWER
from prover.compiler.lower.network import HIDDEN
from prover.compiler.lower.root import HALVES, MOST_POWER
from prover.compiler.nodes import Late, Nodes, Rule, Several, Shapes
from prover.compiler.trace import Node, Ref

# --- cell by cell ---


def _slopes(node: Node, shapes: Shapes) -> Iterable[Node]:
    """prelu: x + (1 - a) max(0, -x), a slope for each channel (He et al. 2015). A slope that is no
    parameter is one of `piecewise`, which has it in the program."""
    x, slope = node.args
    if isinstance(slope, Ref) or (np.size(slope) == 1 and not node.learned):
        return [node]
    made, shape = Several(node, shapes), node.shape
    along = (-1, *(1 for _ in shape[2:])) if len(shape) > 1 else (-1,)
    negated = made.add("negated", "neg.default", shape, x)
    below = made.add("below", "relu.default", shape, negated)
    more = made.add("more", "mul.Tensor", shape, below, 1 - np.reshape(slope, along))
    return made.ending("add.Tensor", x, more, 1)


def _leaky(node: Node, shapes: Shapes) -> Iterable[Node]:
    """rrelu in evaluation mode: the mean of its slopes."""
    x, low, high, training, *_ = node.args
    if training:
        raise UnsupportedOp(node.name, node.target, "slopes in training mode are random")
    return Several(node, shapes).ending("leaky_relu.default", x, (low + high) / 2)


def _power(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x^p: whole ones and square roots as they are, halves by 1/sqrt x; others of what is positive,
    by table."""
    x, power = node.args
    if isinstance(x, Ref) and not isinstance(power, Ref) and np.size(power) == 1:
        power = float(np.ravel(power)[0])
    else:
        raise UnsupportedOp(node.name, node.target, "expected one constant power of a value")
    made = Several(node, shapes)
    if power == 1:
        return made.seen(x)
    if power == -1:
        return made.ending("reciprocal.default", x)
    if power in HALVES or (power >= 0 and power.is_integer()):
        return [replace(node, target="aten.pow.Tensor_Scalar", args=(x, power))]
    if power >= 0:
        return [replace(node, target=POWER, args=(x, power))]
    if power.is_integer():
        whole = made.add("power", "pow.Tensor_Scalar", node.shape, x, -power)
        return made.ending("reciprocal.default", whole)
    if (2 * power).is_integer() and -2 * power <= MOST_POWER:
        root = made.add("root", "rsqrt.default", node.shape, x)
        return made.ending("pow.Tensor_Scalar", root, -2 * power)
    below = Node(f"{node.name}_power", POWER, (x, -power), node.shape)
    return [below, *made.ending("reciprocal.default", Ref(below.name))]


def _exponential(node: Node, shapes: Shapes) -> Iterable[Node]:
    """a^x = exp(x log a)."""
    made, (base, x) = Several(node, shapes), node.args
    if isinstance(base, Ref) or np.size(base) != 1 or float(base) <= 0 or float(base) == 1:
        raise UnsupportedOp(node.name, node.target, f"expected a positive base, got {base}")
    scaled = made.add("scaled", "mul.Scalar", node.shape, x, math.log(float(base)))
    return made.ending("exp.default", scaled)


def _between(node: Node, shapes: Shapes) -> Iterable[Node]:
    """lerp: x + w (y - x)."""
    made, (x, y, weight) = Several(node, shapes), node.args
    apart = made.add("apart", "sub.Tensor", node.shape, y, x, 1)
    part = made.add("part", "mul.Tensor", node.shape, apart, weight)
    return made.ending("add.Tensor", x, part, 1)


def _product_added(node: Node, shapes: Shapes) -> Iterable[Node]:
    """addcmul: x + value a b."""
    made, (x, a, b, value) = Several(node, shapes), node.args
    term = made.add("product", "mul.Tensor", node.shape, a, b)
    if value != 1:
        term = made.add("scaled", "mul.Scalar", node.shape, term, value)
    return made.ending("add.Tensor", x, term, 1)


# --- choices ---


def _filled(node: Node, shapes: Shapes) -> Iterable[Node]:
    """masked_fill by a finite number."""
    x, mask, value = node.args
    if isinstance(value, Ref) or np.size(value) != 1 or float(value) <= HIDDEN:
        return [node]
    args = (mask, np.asarray(float(value)), x)
    return [replace(node, target="aten.where.self", args=args)]


def _triangle(node: Node, shapes: Shapes) -> Iterable[Node]:
    """tril, triu."""
    x, diagonal = node.args
    keep = np.tril if "tril" in node.target else np.triu
    mask = np.asarray(keep(np.ones(node.shape[-2:]), diagonal), bool)
    return [replace(node, target="aten.where.self", args=(mask, x, np.zeros(())))]


def _threshold(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x where it is above, a number elsewhere."""
    made, (x, least, value) = Several(node, shapes), node.args
    above = made.add("above", "gt.Scalar", node.shape, x, least)
    return made.ending("where.self", above, x, np.asarray(float(value)))


def _hard_shrink(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x where |x| is above, 0 elsewhere."""
    made, (x, least) = Several(node, shapes), node.args
    size = made.add("size", "abs.default", node.shape, x)
    above = made.add("above", "gt.Scalar", node.shape, size, least)
    return made.ending("where.self", above, x, np.zeros(()))


def _sign(node: Node, shapes: Shapes) -> Iterable[Node]:
    """[x > 0] - [x < 0]."""
    made, (x,) = Several(node, shapes), node.args
    above = made.add("above", "gt.Scalar", node.shape, x, 0.0)
    below = made.add("below", "lt.Scalar", node.shape, x, 0.0)
    low = made.add("low", "where.self", node.shape, below, np.asarray(-1.0), np.zeros(()))
    return made.ending("where.self", above, np.ones(()), low)


def _chosen(node: Node, shapes: Shapes) -> Iterable[Node]:
    """where between two numbers."""
    mask, *sides = node.args
    args = (mask, *(np.asarray(float(side)) for side in sides))
    return [replace(node, target="aten.where.self", args=args)]


def _bounded(node: Node, shapes: Shapes) -> Iterable[Node]:
    """clamp between tensors: their maximum, then minimum."""
    made, (x, low, high) = Several(node, shapes), node.args
    if low is not None:
        x = made.add("floored", "maximum.default", node.shape, x, low)
    return made.seen(x) if high is None else made.ending("minimum.default", x, high)


def _compared(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x > y as x - y > 0."""
    x, y = node.args
    kind = node.target.replace(".Tensor", ".Scalar").removeprefix("aten.")
    if not isinstance(y, Ref) and np.size(y) == 1 and not node.learned:
        return [replace(node, target=f"aten.{kind}", args=(x, float(np.ravel(y)[0])))]
    made = Several(node, shapes)
    apart = made.add("apart", "sub.Tensor", node.shape, x, y, 1)
    return made.ending(kind, apart, 0.0)


# --- after the rules of rewrite.py, which know some of these as parts of norms ---


def _quotient(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """x / y = x r r with r = y^(-1/2), for y that is positive; of y = sqrt(z), x z^(-1/2)."""
    x, y = (1.0, *node.args) if "reciprocal" in node.target else node.args[:2]
    if not isinstance(y, Ref):
        return [node]
    made, under = Several(node, shapes), nodes.get(y.name)
    if under is not None and under.target == "aten.sqrt.default":
        inverse = made.add("root", "rsqrt.default", shapes(y), under.args[0])
        return made.ending("mul.Tensor", inverse, x)
    root = made.add("root", "rsqrt.default", shapes(y), y)
    if isinstance(x, Ref):
        return made.ending("mul.Tensor", made.add("part", "mul.Tensor", node.shape, x, root), root)
    return made.ending("mul.Tensor", made.add("inverse", "square.default", shapes(y), root), x)


LATE: dict[str, Late] = {
    "aten.div.Tensor": _quotient,
    "aten.reciprocal.default": _quotient,
}

RULES: dict[str, Rule] = {
    "aten.prelu.default": _slopes,
    "aten.rrelu.default": _leaky,
    "aten.pow.Tensor_Scalar": _power,
    "aten.pow.Tensor_Tensor": _power,
    "aten.pow.Scalar": _exponential,
    "aten.lerp.Scalar": _between,
    "aten.lerp.Tensor": _between,
    "aten.addcmul.default": _product_added,
    "aten.masked_fill.Scalar": _filled,
    "aten.masked_fill.Tensor": _filled,
    "aten.tril.default": _triangle,
    "aten.triu.default": _triangle,
    "aten.threshold.default": _threshold,
    "aten.hardshrink.default": _hard_shrink,
    "aten.sign.default": _sign,
    "aten.sgn.default": _sign,
    "aten.where.Scalar": _chosen,
    "aten.clamp.Tensor": _bounded,
    **{f"aten.{kind}.Tensor": _compared for kind in ("gt", "ge", "lt", "le")},
}
