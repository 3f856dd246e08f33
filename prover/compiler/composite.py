"""Operators that are others put together, taken apart before the rules of `rewrite` read a graph.

Each rule yields nodes in order, the last under the name of the one that it replaces; what it adds
is named after that one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler import arithmetic, cells, measures, movement, products, spatial
from prover.compiler.errors import CompileError, UnsupportedOp, at_node
from prover.compiler.lower.network import HIDDEN
from prover.compiler.nodes import Late, Nodes, Rule, Shape, Shapes, part_of
from prover.compiler.several import SEVERAL
from prover.compiler.trace import INPUT, Graph, Node, Ref


def taken_apart(graph: Graph, nodes: Nodes, late: bool = False) -> Nodes:
    """The same values, by operators that `lower` knows; `late`: by rules that come after those of
    `rewrite`, which know some operators as parts of norms."""
    shapes = {INPUT: graph.input_shape, **dict(graph.further)}
    found: Nodes = {}

    def shape(arg: Any) -> Shape:
        return shapes[arg.name] if isinstance(arg, Ref) else np.shape(arg)

    def knowing(rule: Late) -> Rule:
        return lambda node, shapes: rule(node, shapes, found)

    after = {target: knowing(rule) for target, rule in LATE.items()}
    first: Mapping[str, Rule] = after if late else RULES
    inner: Mapping[str, Rule] = {**RULES, **first}

    def made_of(node: Node, rules: Mapping[str, Rule]) -> Iterator[Node]:
        rule = rules.get(node.target)
        for part in (node,) if rule is None else rule(node, shape):
            yield from (part,) if part.target == node.target else made_of(part, inner)

    for name, node in nodes.items():
        if node.target == "getitem" and isinstance(node.args[0], Ref):
            source = nodes[node.args[0].name]
            if source.target in SEVERAL:
                node = SEVERAL[source.target](node, source)
        shapes[name] = node.shape
        with at_node(node):
            for made in made_of(node, first):
                if made.name in found:
                    raise CompileError(f"expected one node {made.name!r}, got two")
                found[made.name] = made
                shapes[made.name] = made.shape
    return found


def _scaled(node: Node, what: str, x: Any, factor: Any, shape: Shape) -> tuple[list[Node], Any]:
    """The nodes that make factor x, and what names it."""
    if factor == 1:
        return [], x
    if isinstance(x, np.ndarray):  # of no axes, numpy makes a number of it, as the code's own are
        return [], np.asarray(factor * x)
    if not isinstance(x, Ref):
        return [], factor * x
    made = part_of(node, what, "mul.Scalar", (x, factor), shape)
    return [made], Ref(made.name)


def _product_and_sum(node: Node, shapes: Shapes) -> Iterator[Node]:
    """beta a + alpha x y."""
    added, x, y, beta, alpha = node.args
    product = part_of(node, "product", "matmul.default", (x, y), node.shape)
    yield product
    scaled, term = _scaled(node, "scaled", Ref(product.name), alpha, node.shape)
    yield from scaled
    yield from _sum(replace(node, target="aten.add.Tensor", args=(term, added, beta)), shapes)


def _sum(node: Node, shapes: Shapes) -> Iterator[Node]:
    """x + alpha y; of a constant with -inf, what is finite first."""
    x, y, alpha = node.args
    scaled, y = _scaled(node, "second", y, alpha, shapes(y))
    yield from scaled
    if not isinstance(x, Ref):
        x, y = (y, x) if "add" in node.target else (x, y)
    hidden = np.asarray(y) <= HIDDEN if isinstance(y, np.ndarray) else np.zeros(1, bool)
    if "add" in node.target and hidden.any() and y[~hidden].any():
        finite = np.where(hidden, 0.0, y)
        yield part_of(node, "finite", "add.Tensor", (x, finite, 1), node.shape)
        x, y = Ref(f"{node.name}_finite"), np.where(hidden, -np.inf, 0.0)
    yield replace(node, args=(x, y, 1))


def _reversed_difference(node: Node, shapes: Shapes) -> Iterator[Node]:
    """y - alpha x."""
    x, y, alpha = node.args
    scaled, term = _scaled(node, "first", x, -alpha, shapes(x))
    yield from scaled
    yield replace(node, target="aten.add.Tensor", args=(term, y, 1))


def _gated(node: Node, shapes: Shapes) -> Iterator[Node]:
    """glu: the first half of an axis times the sigmoid of the second (Dauphin et al. 2017)."""
    x, axis = node.args
    n = node.shape[axis]
    for what, start in (("first", 0), ("second", n)):
        args = (x, axis, start, start + n, 1)
        yield part_of(node, what, "slice.Tensor", args, node.shape)
    yield part_of(node, "gate", "sigmoid.default", (Ref(f"{node.name}_second"),), node.shape)
    factors = (Ref(f"{node.name}_first"), Ref(f"{node.name}_gate"))
    yield replace(node, target="aten.mul.Tensor", args=factors)


def _greater(node: Node, shapes: Shapes) -> Iterator[Node]:
    """max(x, y) = y + max(0, x - y); min(x, y) = y - max(0, y - x)."""
    x, y = node.args
    least = "minimum" in node.target
    pair = (y, x, 1) if least else (x, y, 1)
    yield part_of(node, "apart", "sub.Tensor", pair, node.shape)
    yield part_of(node, "above", "relu.default", (Ref(f"{node.name}_apart"),), node.shape)
    kind = "sub" if least else "add"
    yield replace(node, target=f"aten.{kind}.Tensor", args=(y, Ref(f"{node.name}_above"), 1))


def _softmax(node: Node, shapes: Shapes) -> Iterator[Node]:
    """Along another axis than the last: turned, and back."""
    x, axis, *rest = node.args
    last = len(node.shape) - 1
    if axis % (last + 1) == last:
        yield node
        return
    shape = list(node.shape)
    shape[axis], shape[last] = shape[last], shape[axis]
    yield part_of(node, "turned", "transpose.int", (x, axis, last), tuple(shape))
    args = (Ref(f"{node.name}_turned"), last, *rest)
    yield part_of(node, "shares", "softmax.int", args, tuple(shape))
    back = (Ref(f"{node.name}_shares"), axis, last)
    yield replace(node, target="aten.transpose.int", args=back)


def _bags(node: Node, shapes: Shapes) -> Iterator[Node]:
    """embedding_bag of bags that are equally long: rows, and what each bag of them comes to."""
    weight, index, offsets, _, mode, _, shares, ends, padding = node.args
    (n,), (bags, width) = shapes(index), node.shape
    equal = not isinstance(offsets, Ref) and not ends
    if not equal or n % bags or list(offsets) != list(range(0, n, n // bags)):
        raise UnsupportedOp(node.name, node.target, "expected bags of one length: ids of two axes")
    if shares is not None or padding not in (None, -1):
        what = "expected bags without weights or padding: embedding, mul by them, and sum"
        raise UnsupportedOp(node.name, node.target, what)
    shape = (bags, n // bags, width)
    yield part_of(node, "rows", "embedding.default", (weight, index), (n, width))
    yield part_of(node, "bags", "reshape.default", (Ref(f"{node.name}_rows"), shape), shape)
    kind, rest = (("sum.dim_IntList", (None,)), ("mean.dim", (None,)), ("amax.default", ()))[mode]
    args = (Ref(f"{node.name}_bags"), (1,), False, *rest)
    yield replace(node, target=f"aten.{kind}", args=args)


def _step(node: Node, shapes: Shapes) -> Iterator[Node]:
    """Of a recurrent network, from a state (batch, hidden)."""
    state = node.args[1][0] if node.target == cells.LSTM else node.args[1]
    batch, hidden = shapes(state)
    yield from CELLS[node.target](node, (batch, hidden))


CELLS = {cells.LSTM: cells.lstm, cells.GRU: cells.gru, **dict.fromkeys(cells.PLAIN, cells.plain)}


def _logarithm(node: Node, shapes: Shapes) -> Iterator[Node]:
    """log_softmax: d - log sum exp d, d = x - max x; logsumexp: max x + log sum exp d."""
    x, axes, *_ = node.args
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    shape = shapes(x)
    kept = tuple(1 if axis in (a % len(shape) for a in axes) else n for axis, n in enumerate(shape))
    made = {what: Ref(f"{node.name}_{what}") for what in ("most", "below", "exp", "sum", "log")}
    yield part_of(node, "most", "amax.default", (x, axes, True), kept)
    yield part_of(node, "below", "sub.Tensor", (x, made["most"], 1), shape)
    yield part_of(node, "exp", "exp.default", (made["below"],), shape)
    yield part_of(node, "sum", "sum.dim_IntList", (made["exp"], axes, True, None), kept)
    yield part_of(node, "log", "log.default", (made["sum"],), kept)
    if "softmax" in node.target:
        yield replace(node, target="aten.sub.Tensor", args=(made["below"], made["log"], 1))
        return
    yield part_of(node, "total", "add.Tensor", (made["log"], made["most"], 1), kept)
    seen = (Ref(f"{node.name}_total"), node.shape)
    yield replace(node, target="aten.reshape.default", args=seen)


def _least(node: Node, shapes: Shapes) -> Iterator[Node]:
    """min x = -max(-x)."""
    x, *rest = node.args
    yield part_of(node, "negated", "neg.default", (x,), shapes(x))
    greatest = "amax.default" if "amin" in node.target else "max.default"
    yield part_of(node, "most", greatest, (Ref(f"{node.name}_negated"), *rest), node.shape)
    yield replace(node, target="aten.neg.default", args=(Ref(f"{node.name}_most"),))


def _group_norm(node: Node, shapes: Shapes) -> Iterator[Node]:
    """Of groups of channels, or each by itself: a layer norm of their cells, then a factor and a
    summand for each channel (Wu and He 2018; Ulyanov et al. 2016)."""
    batch, channels, *space = node.shape
    if "group" in node.target:
        x, groups, gamma, beta, eps = node.args[:5]
    else:
        x, gamma, beta, *_, own, _, eps = node.args[:8]
        groups = channels
        if not own:
            raise UnsupportedOp(node.name, node.target, "statistics that are stored")
    n = channels // groups * math.prod(space)
    yield from _normed(node, x, (batch, groups, n), (n,), None, None, eps)
    made = Ref(f"{node.name}_cells")
    for what, constant in (("scaled", gamma), ("moved", beta)):
        if constant is None:
            continue
        along = np.reshape(constant, (channels, *(1 for _ in space)))
        kind, rest = ("mul", ()) if what == "scaled" else ("add", (1,))
        yield part_of(node, what, f"{kind}.Tensor", (made, along, *rest), node.shape)
        made = Ref(f"{node.name}_{what}")
    yield replace(node, target="aten.alias.default", args=(made,))


def _layer_norm(node: Node, shapes: Shapes) -> Iterator[Node]:
    """Over several axes: of all their cells as one."""
    x, shape, gamma, beta, eps = node.args[:5]
    if len(shape) == 1:
        yield node
        return
    n = math.prod(shape)
    gamma, beta = (None if c is None else np.reshape(c, n) for c in (gamma, beta))
    lead = node.shape[: len(node.shape) - len(shape)]
    yield from _normed(node, x, (*lead, n), (n,), gamma, beta, eps)
    yield replace(node, target="aten.alias.default", args=(Ref(f"{node.name}_cells"),))


def _normed(
    node: Node, x: Any, rows: Shape, shape: Shape, gamma: Any, beta: Any, eps: float
) -> Iterator[Node]:
    """A layer norm of x seen as rows, as `node` has its cells."""
    yield part_of(node, "rows", "reshape.default", (x, rows), rows)
    args = (Ref(f"{node.name}_rows"), shape, gamma, beta, eps, False)
    yield part_of(node, "unit", "layer_norm.default", args, rows)
    yield part_of(
        node, "cells", "reshape.default", (Ref(f"{node.name}_unit"), node.shape), node.shape
    )


LATE = {
    **arithmetic.LATE,
    **measures.LATE,
    **movement.LATE,
    **products.LATE,
}  # after the rules of `rewrite`
RULES: dict[str, Rule] = {
    **arithmetic.RULES,
    **measures.RULES,
    **movement.RULES,
    **products.RULES,
    **spatial.RULES,
    **dict.fromkeys(CELLS, _step),
    "einproof.embedding_bag": _bags,
    "aten.addmm.default": _product_and_sum,
    "aten.baddbmm.default": _product_and_sum,
    "aten.add.Tensor": _sum,
    "aten.add_.Tensor": _sum,
    "aten.sub.Tensor": _sum,
    "aten.rsub.Scalar": _reversed_difference,
    "aten.rsub.Tensor": _reversed_difference,
    "aten.glu.default": _gated,
    "aten.maximum.default": _greater,
    "aten.minimum.default": _greater,
    "aten.softmax.int": _softmax,
    "aten.log_softmax.int": _logarithm,
    "aten.logsumexp.default": _logarithm,
    "aten.amin.default": _least,
    "aten.min.default": _least,
    "aten.group_norm.default": _group_norm,
    "aten.instance_norm.default": _group_norm,
    "aten.layer_norm.default": _layer_norm,
}
