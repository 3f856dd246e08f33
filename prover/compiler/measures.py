"""What a row of numbers comes to: its spread, its greatest and where that stands, its length, and
how far it is from another."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.reduce import axes_of
from prover.compiler.nodes import Late, Nodes, Rule, Several, Shape, Shapes
from prover.compiler.trace import Node, Ref

MOMENTS = ("correction", "dim", "default")  # the forms of var and std
LEAST = 1e-5  # of a length: what is beside one that is less tells nothing


def _kept(shape: Shape, axes: Iterable[int]) -> Shape:
    """With those axes as one cell."""
    gone = {axis % len(shape) for axis in axes} if shape else set()
    return tuple(1 if axis in gone else n for axis, n in enumerate(shape))


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


# --- after the rules of rewrite.py, which know some of these as parts of norms ---


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
    """x y / (max(|x|, eps) max(|y|, eps)) along an axis of what both are broadcast to."""
    x, y, axis, eps = node.args
    made, full = Several(node, shapes), np.broadcast_shapes(shapes(x), shapes(y))
    axis = axis % len(full) - len(full)  # from the last: the ranks may differ

    def dot(what: str, a: Any, b: Any) -> Ref:
        own = np.broadcast_shapes(made.shape(a), made.shape(b))
        product = made.add(f"{what}_product", "mul.Tensor", own, a, b)
        args = (product, (axis,), True, None)
        return made.add(f"{what}_sum", "sum.dim_IntList", _kept(own, [axis]), *args)

    vectors: dict[str, Any] = {}
    for what, v in (("x", x), ("y", y)):
        shape = list((1,) * (-axis - len(shapes(v))) + shapes(v))
        shape[axis] = full[axis]
        if not isinstance(v, Ref):
            v = np.broadcast_to(v, shape)
            v = v / np.linalg.norm(v, axis=axis, keepdims=True).clip(eps)
        elif tuple(shape) != shapes(v):
            v = made.add(f"{what}_wide", "expand.default", tuple(shape), v, tuple(shape), False)
        vectors[what] = v
    found = dot("both", *vectors.values())
    for what, v in vectors.items():
        if not isinstance(v, Ref):
            continue
        total = dot(what, v, v)
        if eps > LEAST:
            total = made.add(f"{what}_most", "clamp_min.default", made.shape(total), total, eps**2)
        root = made.add(f"{what}_root", "rsqrt.default", made.shape(total), total)
        found = made.add(f"{what}_part", "mul.Tensor", _kept(full, [axis]), found, root)
    return made.seen(found)


def _distance(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """|x - y + eps| along the last axis."""
    x, y, order, eps, keep = node.args
    made, shape = Several(node, shapes), np.broadcast_shapes(shapes(x), shapes(y))
    apart = made.add("apart", "sub.Tensor", shape, x, y, 1)
    moved = made.add("moved", "add.Tensor", shape, apart, np.asarray(float(eps)), 1)
    length = replace(node, args=(moved, order, (-1,), keep))
    return [*made.nodes, *_length(length, made.shape, nodes)]


LATE: dict[str, Late] = {
    "aten.linalg_vector_norm.default": _length,
    "aten.norm.ScalarOpt_dim": _length,
    "aten.norm.Scalar": _length,
    "aten.cosine_similarity.default": _cosine,
    "aten.pairwise_distance.default": _distance,
}

RULES: dict[str, Rule] = {
    **{f"aten.{kind}.{form}": _spread for kind in ("var", "std") for form in MOMENTS},
    "aten.amax.default": _greatest,
    "aten.max.default": _greatest,
    "aten.argmax.default": _place,
    "aten.argmin.default": _place,
}
