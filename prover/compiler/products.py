"""Products of matrices and vectors, constant or not, on either side: as products that
`lower/matmul.py` knows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.nodes import Late, Nodes, Rule, Several, Shapes, part_of
from prover.compiler.trace import Node, Ref


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


def _outer(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Each cell of one vector times each of another."""
    made, (x, y) = Several(node, shapes), node.args
    column = (*shapes(x), 1)
    if not isinstance(x, Ref):
        return made.ending("mul.Tensor", y, np.reshape(x, column))
    return made.ending("mul.Tensor", made.add("column", "reshape.default", column, x, column), y)


def _bilinear(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x^T W y + b for each W: a linear layer of the products of all pairs."""
    made, (x, y, weight, bias) = Several(node, shapes), node.args
    if not (isinstance(x, Ref) and isinstance(y, Ref) and isinstance(weight, np.ndarray)):
        raise UnsupportedOp(node.name, node.target, "expected two values and constant weights")
    lead, (outputs, n, m) = node.shape[:-1], weight.shape
    column = made.add("column", "unsqueeze.default", (*lead, n, 1), x, -1)
    row = made.add("row", "unsqueeze.default", (*lead, 1, m), y, -2)
    pairs = made.add("pairs", "mul.Tensor", (*lead, n, m), column, row)
    flat = made.add("flat", "reshape.default", (*lead, n * m), pairs, (*lead, n * m))
    return made.ending("linear.default", flat, weight.reshape(outputs, n * m), bias)


def _turned_part(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """A layer, its outputs seen by these lengths, and their axes in this order."""
    made, (x, weight, bias, lengths, order) = Several(node, shapes), node.args
    shape = (*shapes(x)[:-1], len(weight))
    layer = made.add("layer", "linear.default", shape, x, weight, bias)
    seen = made.add("seen", "reshape.default", lengths, layer, lengths)
    return made.ending("permute.default", seen, order)


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
        yield part_of(node, f"sum{number}", "sum.dim_IntList", kept, shape)
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
        yield part_of(node, f"{what}_turned", "permute.default", (operand, order), turned)
        seen = (Ref(f"{node.name}_{what}_turned"), shape)
        yield part_of(node, what, "reshape.default", seen, shape)
        factors.append(Ref(f"{node.name}_{what}"))
    shape = (*lead, size[0], size[2])
    yield part_of(node, "product", "matmul.default", tuple(factors), shape)
    made = [*batch, *rows, *columns]
    apart = tuple(length[a] for a in made)
    yield part_of(node, "apart", "reshape.default", (Ref(f"{node.name}_product"), apart), apart)
    args = (Ref(f"{node.name}_apart"), [made.index(a) for a in out])
    yield replace(node, target="aten.permute.default", args=args)


TURNED_PART = "einproof.turned_part"  # of a linear map's outputs (rewrite.py)
LATE: dict[str, Late] = {TURNED_PART: _turned_part}

RULES: dict[str, Rule] = {
    "aten.matmul.default": _matrices,
    "aten.mv.default": _matrices,
    "aten.mm.default": _matrices,
    "aten.dot.default": _matrices,
    "aten.linear.default": _layer,
    "aten.outer.default": _outer,
    "aten.bilinear.default": _bilinear,
    "aten.einsum.default": _einsum,
}
