"""Functions of numbers that are others put together: slopes, spreads, extremes and where they
stand, powers, distances, signs, thresholds; products with vectors and with constants on the left.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler import cells
from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.activation import POWER
from prover.compiler.lower.network import HIDDEN
from prover.compiler.lower.reduce import axes_of
from prover.compiler.lower.root import HALVES
from prover.compiler.nodes import Nodes, Rule, Several, Shape, Shapes
from prover.compiler.trace import Node, Ref


def _kept(shape: Shape, axes: Iterable[int]) -> Shape:
    """With those axes as one cell."""
    gone = {axis % len(shape) for axis in axes} if shape else set()
    return tuple(1 if axis in gone else n for axis, n in enumerate(shape))


# --- cell by cell ---


def _slopes(node: Node, shapes: Shapes) -> Iterable[Node]:
    """prelu: x + (1 - a) max(0, -x), a slope for each channel (He et al. 2015)."""
    x, slope = node.args
    if isinstance(slope, Ref) or np.size(slope) == 1:
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
    """x^p: whole ones and square roots as they are; others of what is positive, by table."""
    x, power = node.args
    if isinstance(power, Ref) or np.size(power) != 1:
        raise UnsupportedOp(node.name, node.target, "expected one constant power")
    power = float(power)
    made = Several(node, shapes)
    if power == 1:
        return made.seen(x)
    if power == -1:
        return made.ending("reciprocal.default", x)
    if power in HALVES or (power >= 0 and power.is_integer()):
        return [node]
    if power < 0:
        whole = made.add("power", "pow.Tensor_Scalar", node.shape, x, -power)
        return made.ending("reciprocal.default", whole)
    return [replace(node, target=POWER, args=(x, power))]


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


def _compared(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x > y as x - y > 0."""
    x, y = node.args
    kind = node.target.replace(".Tensor", ".Scalar").removeprefix("aten.")
    if not isinstance(y, Ref) and np.size(y) == 1:
        return [replace(node, target=f"aten.{kind}", args=(x, float(np.ravel(y)[0])))]
    made = Several(node, shapes)
    apart = made.add("apart", "sub.Tensor", node.shape, x, y, 1)
    return made.ending(kind, apart, 0.0)


# --- along axes ---


def _spread(node: Node, shapes: Shapes) -> Iterable[Node]:
    """var and std: of the squared distances from the mean, over n - correction."""
    x, axes, correction = _spread_arguments(node)
    made, shape = Several(node, shapes), shapes(x)
    axes = axes_of((x, axes), len(shape))
    few, count = _kept(shape, axes), math.prod(shape[a] for a in axes)
    if count <= correction:
        what = f"expected more than {correction} cells, got {count}"
        raise UnsupportedOp(node.name, node.target, what)
    mean = made.add("mean", "mean.dim", few, x, axes, True, None)
    apart = made.add("apart", "sub.Tensor", shape, x, mean, 1)
    squares = made.add("squares", "square.default", shape, apart)
    total = made.add("sum", "sum.dim_IntList", few, squares, axes, True, None)
    found = made.add("var", "div.Scalar", few, total, float(count - correction))
    if "std" in node.target:
        found = made.add("root", "sqrt.default", few, found)
    return made.seen(found)


def _spread_arguments(node: Node) -> tuple[Any, Any, float]:
    """x, axes, by how much the divisor is less than their cells."""
    x, *rest = node.args
    if node.target.endswith(".correction"):
        return x, rest[0], 1.0 if rest[1] is None else float(rest[1])
    if node.target.endswith(".dim"):
        return x, rest[0], float(rest[1])
    return x, None, float(rest[0] if rest else True)


def _greatest(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Over several axes: one after the other."""
    made, x = Several(node, shapes), node.args[0]
    axes = axes_of(node.args if "amax" in node.target else (x,), len(shapes(x)))
    axes = tuple(axis for axis in axes if shapes(x)[axis] > 1)
    if len(axes) < 2:
        return [node]
    for axis in axes:
        x = made.add(f"axis{axis}", "amax.default", _kept(made.shape(x), [axis]), x, (axis,), True)
    return made.seen(x)


def _place(node: Node, shapes: Shapes) -> Iterable[Node]:
    """argmax along any axis, or of all cells; argmin x = argmax(-x)."""
    made, (x, axis, _) = Several(node, shapes), node.args
    if "argmin" in node.target:
        x = made.add("negated", "neg.default", shapes(x), x)
    shape = shapes(node.args[0])
    last = len(shape) - 1
    if axis is None:
        whole = (math.prod(shape),)
        x = made.add("row", "reshape.default", whole, x, whole) if last else x
    elif axis % (last + 1) != last:
        order = [*(a for a in range(last + 1) if a != axis % (last + 1)), axis % (last + 1)]
        turned = tuple(shape[a] for a in order)
        x = made.add("turned", "permute.default", turned, x, order)
    lead = made.shape(x)[:-1]
    if lead == node.shape:
        return made.ending("argmax.default", x, -1, False)
    return made.seen(made.add("first", "argmax.default", lead, x, -1, False))


# --- products ---


def _matrices(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Vectors as matrices of one row or column; a constant matrix on the left from the right."""
    x, y = node.args[:2]
    made, ranks = Several(node, shapes), (len(shapes(x)), len(shapes(y)))
    if ranks[1] == 1 and not isinstance(y, Ref):
        y = np.reshape(y, (-1, 1))
    elif ranks[1] == 1:
        y = made.add("column", "reshape.default", (*shapes(y), 1), y, (*shapes(y), 1))
    if ranks[0] == 1 and not isinstance(x, Ref):
        x = np.reshape(x, (1, -1))
    elif ranks[0] == 1:
        x = made.add("row", "reshape.default", (1, *shapes(x)), x, (1, *shapes(x)))
    if isinstance(x, Ref) or np.ndim(x) != 2:
        if not made.nodes and y is node.args[1]:
            return [node]
        shape = (*made.shape(x)[:-1], made.shape(y)[-1])
        return made.seen(made.add("product", "matmul.default", shape, x, y))
    *lead, inner, columns = made.shape(y)
    turned = made.add("turned", "transpose.int", (*lead, columns, inner), y, -1, -2)
    shape = (*lead, columns, len(x))
    product = made.add("product", "matmul.default", shape, turned, x.T)
    back = (*lead, len(x), columns)
    return made.seen(made.add("back", "transpose.int", back, product, -1, -2))


def _layer(node: Node, shapes: Shapes) -> Iterable[Node]:
    """A linear layer whose weights depend on the input."""
    x, weight, bias = node.args
    if not isinstance(weight, Ref):
        return [node]
    made, (rows, columns) = Several(node, shapes), shapes(weight)
    turned = made.add("turned", "transpose.int", (columns, rows), weight, 0, 1)
    if bias is None:
        return made.ending("matmul.default", x, turned)
    product = made.add("product", "matmul.default", node.shape, x, turned)
    return made.ending("add.Tensor", product, bias, 1)


# --- several results ---


def _extreme(part: Node, source: Node) -> Node:
    """values, indices = max or min along an axis."""
    least = "min" in source.target
    x, axis, keep = source.args
    if part.args[1] == 0 and not least:
        return part
    if part.args[1] == 0:
        return replace(part, target="aten.amin.default", args=(x, (axis,), keep))
    kind = "argmin" if least else "argmax"
    return replace(part, target=f"aten.{kind}.default", args=(x, axis, keep))


def _top(part: Node, source: Node) -> Node:
    """The greatest or least one."""
    x, count, axis, largest, _ = source.args
    if count != 1:
        raise UnsupportedOp(source.name, source.target, f"expected one, got {count}: no sorting")
    kind, own = ("max", "amax") if largest else ("min", "amin")
    if part.args[1] == 0:
        return replace(part, target=f"aten.{own}.default", args=(x, (axis,), True))
    return replace(part, target=f"aten.arg{kind}.default", args=(x, axis, True))


def _moments(part: Node, source: Node) -> Node:
    """var or std, and the mean."""
    if part.args[1] == 0:
        return replace(part, target=source.target.replace("_mean", ""), args=source.args)
    axes = None if source.target.endswith(".default") else source.args[1]
    return replace(part, target="aten.mean.dim", args=(source.args[0], axes, True, None))


def _adaptive(part: Node, source: Node) -> Node:
    """The greatest of each window; not where it stands."""
    if part.args[1] != 0:
        raise UnsupportedOp(source.name, source.target, "where the greatest of a window stands")
    pool = source.target.split(".")[1]
    return replace(part, target=f"einproof.{pool}", args=source.args)


def _state(part: Node, source: Node) -> Node:
    own = Ref(f"{source.name}_{cells.STATES[part.args[1]]}")
    return replace(part, target="aten.alias.default", args=(own,))


#: What makes several tensors: each by itself, where it is taken.
SEVERAL: dict[str, Callable[[Node, Node], Node]] = {
    cells.LSTM: _state,
    "aten.max.dim": _extreme,
    "aten.min.dim": _extreme,
    "aten.topk.default": _top,
    **{
        f"aten.{kind}_mean.{form}": _moments
        for kind in ("var", "std")
        for form in ("correction", "dim", "default")
    },
    "aten.adaptive_max_pool1d.default": _adaptive,
    "aten.adaptive_max_pool2d.default": _adaptive,
}


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


def _length(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """Norms of order 2, 1 and infinity."""
    x, order, axes = (*node.args, None)[:3]
    order = 2.0 if order is None else float(order)
    made, shape = Several(node, shapes), shapes(x)
    axes = axes_of((x, axes), len(shape))
    few = _kept(shape, axes)
    if order == 2:
        squares = made.add("squares", "square.default", shape, x)
        total = made.add("sum", "sum.dim_IntList", few, squares, axes, True, None)
        return made.seen(made.add("root", "sqrt.default", few, total))
    if order not in (1, math.inf):
        raise UnsupportedOp(node.name, node.target, f"expected order 1, 2 or infinity, got {order}")
    size = made.add("size", "abs.default", shape, x)
    if order == 1:
        return made.seen(made.add("sum", "sum.dim_IntList", few, size, axes, True, None))
    return made.seen(made.add("most", "amax.default", few, size, axes, True))


def _cosine(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """x y / (|x| |y|) along an axis."""
    x, y, axis, _ = node.args
    made, shape = Several(node, shapes), np.broadcast_shapes(shapes(x), shapes(y))
    few = _kept(shape, [axis])

    def dot(what: str, a: Any, b: Any) -> Ref:
        own = np.broadcast_shapes(made.shape(a), made.shape(b))
        product = made.add(f"{what}_product", "mul.Tensor", own, a, b)
        args = (product, (axis,), True, None)
        return made.add(f"{what}_sum", "sum.dim_IntList", _kept(own, [axis]), *args)

    found = dot("both", x, y)
    for what, v in (("x", x), ("y", y)):
        total = dot(what, v, v)
        root = made.add(f"{what}_root", "rsqrt.default", made.shape(total), total)
        found = made.add(f"{what}_part", "mul.Tensor", few, found, root)
    return made.seen(found)


def _distance(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """|x - y + eps| along the last axis."""
    x, y, order, eps, keep = node.args
    made, shape = Several(node, shapes), np.broadcast_shapes(shapes(x), shapes(y))
    apart = made.add("apart", "sub.Tensor", shape, x, y, 1)
    moved = made.add("moved", "add.Tensor", shape, apart, np.asarray(float(eps)), 1)
    length = replace(node, args=(moved, order, (-1,), keep))
    return [*made.nodes, *_length(length, made.shape, nodes)]


Late = Callable[[Node, Shapes, Nodes], Iterable[Node]]
LATE: dict[str, Late] = {
    "aten.div.Tensor": _quotient,
    "aten.reciprocal.default": _quotient,
    "aten.linalg_vector_norm.default": _length,
    "aten.norm.ScalarOpt_dim": _length,
    "aten.norm.Scalar": _length,
    "aten.cosine_similarity.default": _cosine,
    "aten.pairwise_distance.default": _distance,
}

RULES: dict[str, Rule] = {
    "aten.prelu.default": _slopes,
    "aten.rrelu.default": _leaky,
    "aten.pow.Tensor_Scalar": _power,
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
    **{f"aten.{kind}.Tensor": _compared for kind in ("gt", "ge", "lt", "le")},
    **{
        f"aten.{kind}.{form}": _spread
        for kind in ("var", "std")
        for form in ("correction", "dim", "default")
    },
    "aten.amax.default": _greatest,
    "aten.max.default": _greatest,
    "aten.argmax.default": _place,
    "aten.argmin.default": _place,
    "aten.matmul.default": _matrices,
    "aten.mv.default": _matrices,
    "aten.mm.default": _matrices,
    "aten.dot.default": _matrices,
    "aten.linear.default": _layer,
}
