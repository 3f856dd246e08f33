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

from prover.compiler import arithmetic, cells, movement
from prover.compiler.errors import UnsupportedOp, at_node
from prover.compiler.lower.network import HIDDEN
from prover.compiler.nodes import Nodes, Rule, Shape, Shapes
from prover.compiler.trace import INPUT, Graph, Node, Ref


def taken_apart(graph: Graph, nodes: Nodes, late: bool = False) -> Nodes:
    """The same values, by operators that `lower` knows; `late`: by rules that come after those of
    `rewrite`, which know some operators as parts of norms."""
    shapes = {INPUT: graph.input_shape, **dict(graph.further)}
    found: Nodes = {}

    def shape(arg: Any) -> Shape:
        return shapes[arg.name] if isinstance(arg, Ref) else np.shape(arg)

    def knowing(rule: arithmetic.Late) -> Rule:
        return lambda node, shapes: rule(node, shapes, found)

    after = {target: knowing(rule) for target, rule in arithmetic.LATE.items()}
    first: Mapping[str, Rule] = after if late else RULES
    inner: Mapping[str, Rule] = {**RULES, **first}

    def made_of(node: Node, rules: Mapping[str, Rule]) -> Iterator[Node]:
        rule = rules.get(node.target)
        for part in (node,) if rule is None else rule(node, shape):
            yield from (part,) if part.target == node.target else made_of(part, inner)

    for name, node in nodes.items():
        if node.target == "getitem" and isinstance(node.args[0], Ref):
            source = nodes[node.args[0].name]
            if source.target in arithmetic.SEVERAL:
                node = arithmetic.SEVERAL[source.target](node, source)
        shapes[name] = node.shape
        with at_node(node):
            for made in made_of(node, first):
                found[made.name] = made
                shapes[made.name] = made.shape
    return found


def _made(node: Node, what: str, target: str, args: tuple[Any, ...], shape: Shape) -> Node:
    return Node(f"{node.name}_{what}", f"aten.{target}", args, shape)


def _scaled(node: Node, what: str, x: Any, factor: Any, shape: Shape) -> tuple[list[Node], Any]:
    """The nodes that make factor x, and what names it."""
    if factor == 1:
        return [], x
    if not isinstance(x, Ref):
        return [], factor * np.asarray(x)
    made = _made(node, what, "mul.Scalar", (x, factor), shape)
    return [made], Ref(made.name)


def _product_and_sum(node: Node, shapes: Shapes) -> Iterator[Node]:
    """beta a + alpha x y."""
    added, x, y, beta, alpha = node.args
    product = _made(node, "product", "matmul.default", (x, y), node.shape)
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
        yield _made(node, "finite", "add.Tensor", (x, finite, 1), node.shape)
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
        yield _made(node, what, "slice.Tensor", args, node.shape)
    yield _made(node, "gate", "sigmoid.default", (Ref(f"{node.name}_second"),), node.shape)
    factors = (Ref(f"{node.name}_first"), Ref(f"{node.name}_gate"))
    yield replace(node, target="aten.mul.Tensor", args=factors)


def _greater(node: Node, shapes: Shapes) -> Iterator[Node]:
    """max(x, y) = y + max(0, x - y); min(x, y) = y - max(0, y - x)."""
    x, y = node.args
    least = "minimum" in node.target
    pair = (y, x, 1) if least else (x, y, 1)
    yield _made(node, "apart", "sub.Tensor", pair, node.shape)
    yield _made(node, "above", "relu.default", (Ref(f"{node.name}_apart"),), node.shape)
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
    yield _made(node, "turned", "transpose.int", (x, axis, last), tuple(shape))
    args = (Ref(f"{node.name}_turned"), last, *rest)
    yield _made(node, "shares", "softmax.int", args, tuple(shape))
    back = (Ref(f"{node.name}_shares"), axis, last)
    yield replace(node, target="aten.transpose.int", args=back)


def _einsum(node: Node, shapes: Shapes) -> Iterator[Node]:
    """Of two operands: what one alone has is summed; axes are brought to (batch, rows, inner) and
    (batch, inner, columns), a matrix product, and its axes in the order that was asked for. Of one
    operand: summed and turned."""
    equation, operands = node.args[0].replace(" ", ""), list(node.args[1])
    given, arrow, out = equation.partition("->")
    terms = given.split(",")
    if len(operands) not in (1, 2) or not arrow or "." in equation:
        what = f"expected one or two operands and every axis named, got {equation!r}"
        raise UnsupportedOp(node.name, node.target, what)
    if any(len(set(t)) < len(t) for t in (*terms, out)):
        raise UnsupportedOp(node.name, node.target, f"a diagonal, {equation!r}")
    for number, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        elsewhere = set(out).union(*(t for i, t in enumerate(terms) if i != number))
        alone = tuple(place for place, a in enumerate(term) if a not in elsewhere)
        if not alone:
            continue
        terms[number] = "".join(a for a in term if a in elsewhere)
        if not isinstance(operand, Ref):
            operands[number] = np.sum(operand, axis=alone)
            continue
        shape = tuple(n for place, n in enumerate(shapes(operand)) if place not in alone)
        kept = (operand, alone, False, None)
        yield _made(node, f"sum{number}", "sum.dim_IntList", kept, shape)
        operands[number] = Ref(f"{node.name}_sum{number}")
    if len(operands) == 1:
        order = [terms[0].index(axis) for axis in out]
        yield replace(node, target="aten.permute.default", args=(operands[0], order))
        return
    if not isinstance(operands[0], Ref):  # a constant is the second of two
        operands, terms = operands[::-1], terms[::-1]
    x, y = terms
    length = {
        axis: n
        for term, operand in zip(terms, operands, strict=True)
        for axis, n in zip(term, shapes(operand), strict=True)
    }
    batch = [a for a in out if a in x and a in y]
    rows, columns = ([a for a in out if a in own and a not in batch] for own in (x, y))
    inner = [a for a in x if a in y and a not in out]
    lead = tuple(length[a] for a in batch)
    size = [math.prod(length[a] for a in axes) for axes in (rows, inner, columns)]
    factors: list[Any] = []
    for what, term, operand, groups, shape in (
        ("x", x, operands[0], (rows, inner), (*lead, size[0], size[1])),
        ("y", y, operands[1], (inner, columns), (*lead, size[1], size[2])),
    ):
        order = [term.index(a) for a in (*batch, *groups[0], *groups[1])]
        if not isinstance(operand, Ref):
            factors.append(np.asarray(operand).transpose(order).reshape(shape))
            continue
        turned = tuple(length[term[place]] for place in order)
        yield _made(node, f"{what}_turned", "permute.default", (operand, order), turned)
        seen = (Ref(f"{node.name}_{what}_turned"), shape)
        yield _made(node, what, "reshape.default", seen, shape)
        factors.append(Ref(f"{node.name}_{what}"))
    shape = (*lead, size[0], size[2])
    yield _made(node, "product", "matmul.default", tuple(factors), shape)
    made = [*batch, *rows, *columns]
    apart = tuple(length[a] for a in made)
    yield _made(node, "apart", "reshape.default", (Ref(f"{node.name}_product"), apart), apart)
    args = (Ref(f"{node.name}_apart"), [made.index(a) for a in out])
    yield replace(node, target="aten.permute.default", args=args)


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
    yield _made(node, "most", "amax.default", (x, axes, True), kept)
    yield _made(node, "below", "sub.Tensor", (x, made["most"], 1), shape)
    yield _made(node, "exp", "exp.default", (made["below"],), shape)
    yield _made(node, "sum", "sum.dim_IntList", (made["exp"], axes, True, None), kept)
    yield _made(node, "log", "log.default", (made["sum"],), kept)
    if "softmax" in node.target:
        yield replace(node, target="aten.sub.Tensor", args=(made["below"], made["log"], 1))
        return
    yield _made(node, "total", "add.Tensor", (made["log"], made["most"], 1), kept)
    seen = (Ref(f"{node.name}_total"), node.shape)
    yield replace(node, target="aten.reshape.default", args=seen)


def _least(node: Node, shapes: Shapes) -> Iterator[Node]:
    """min x = -max(-x)."""
    x, *rest = node.args
    yield _made(node, "negated", "neg.default", (x,), shapes(x))
    greatest = "amax.default" if "amin" in node.target else "max.default"
    yield _made(node, "most", greatest, (Ref(f"{node.name}_negated"), *rest), node.shape)
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
        yield _made(node, what, f"{kind}.Tensor", (made, along, *rest), node.shape)
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
    yield _made(node, "rows", "reshape.default", (x, rows), rows)
    args = (Ref(f"{node.name}_rows"), shape, gamma, beta, eps, False)
    yield _made(node, "unit", "layer_norm.default", args, rows)
    yield _made(
        node, "cells", "reshape.default", (Ref(f"{node.name}_unit"), node.shape), node.shape
    )


RULES: dict[str, Rule] = {
    **movement.RULES,
    **arithmetic.RULES,
    **dict.fromkeys(CELLS, _step),
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
    "aten.einsum.default": _einsum,
}
