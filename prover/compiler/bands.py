"""Parts of the graph that only move and scale cells along the last axis, found and made one node.

Rotary embeddings (Su et al. 2021) are written in many ways: halves or neighbouring pairs, slices,
chunks, stacks or complex numbers. What they have in common is that each cell that comes out is a
constant combination of cells of one value: here every such part is followed cell by cell, as
(which cell, times what), and where the cells lie at a few fixed distances it is

    y[.., d] = sum over distances s of C_s[.., d] x[.., d + s],       `einproof.bands`
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prover.compiler.nodes import CASTS, Nodes, keeps_cells, names
from prover.compiler.trace import INPUT, Node, Ref

TARGET = "einproof.bands"
MOST_BANDS, MOST_NODES = 4, 24
JOINS = ("aten.cat.default", "aten.stack.default", "aten.view_as_real.default")
FACTORS = ("aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor", "aten.div.Scalar")
SUMS = ("aten.add.Tensor", "aten.sub.Tensor")
SHAPES = (
    "aten.view.default", "aten.reshape.default", "aten.flatten.using_ints", "aten.unflatten.int",
    "aten.unsqueeze.default", "aten.squeeze.dim", "aten._unsafe_view.default",
)  # fmt: skip
PARTS = (
    "aten.slice.Tensor", "aten.select.int", "aten.unbind.int", "aten.chunk.default",
    "aten.split.Tensor", "aten.split_with_sizes.default", "getitem",
)  # fmt: skip
FOLLOWED = {
    *CASTS, *JOINS, *FACTORS, *SUMS, *SHAPES, *PARTS, "aten.neg.default",
    "aten.view_as_complex.default",
}  # fmt: skip
Array = npt.NDArray[Any]


class _Term(NamedTuple):
    """One cell of x times a number, for each cell of a value; both of the value's shape."""

    cell: Array
    factor: Array


_Terms = list[_Term]


class _Stray(Exception):
    """A value that is no combination of x's cells."""


def bands(nodes: Nodes) -> Nodes:
    """The nodes with every such part, the largest first, as one."""
    made = dict(nodes)
    inside: set[str] = set()
    for name in reversed(nodes):
        node = made[name]
        if name in inside or node.target not in FOLLOWED or not node.shape:
            continue
        for x, shape, between in _bases(node, made):
            if not any(made[n].target in JOINS for n in between):
                continue
            found = _found(node, x, shape, made)
            if found is not None:
                made[name] = replace(node, target=TARGET, args=(Ref(x), *found))
                inside |= between
                break
    return made


def _bases(node: Node, nodes: Nodes) -> Iterator[tuple[str, tuple[int, ...], set[str]]]:
    """Values of the node's shape that it is made from, the nearest first, with what lies
    between."""
    seen, edge = {node.name}, [node.name]
    while edge and len(seen) < MOST_NODES:
        here = nodes[edge.pop(0)]
        for name in names(here.args):
            if name in seen:
                continue
            before = nodes.get(name)
            if before is not None and before.shape == node.shape:
                read = before.args[0] if keeps_cells(before) else None
                if not (isinstance(read, Ref) and read.name in nodes):  # else what was copied is
                    yield name, before.shape, set(seen)
            if before is not None and before.target in FOLLOWED:
                seen.add(name)
                edge.append(name)


def _found(
    node: Node, x: str, shape: tuple[int, ...], nodes: Nodes
) -> tuple[tuple[int, ...], tuple[Array, ...]] | None:
    """Distances and factors; None where the node is something else."""
    cells = np.arange(math.prod(shape)).reshape(shape)
    known: dict[str, Any] = {x: [_Term(cells, np.ones(shape))]}
    try:
        terms = _followed(node.name, nodes, known)
    except _Stray:
        return None
    width = shape[-1]
    made: dict[int, Array] = {}
    for term in terms:
        if np.iscomplexobj(term.factor):
            return None
        used = term.factor != 0
        apart = term.cell - cells
        if (term.cell // width != cells // width)[used].any():
            return None  # from another row
        for distance in np.unique(apart[used]):
            here = np.where(used & (apart == distance), term.factor, 0.0)
            made[int(distance)] = made.get(int(distance), np.zeros(shape)) + here
            if len(made) > MOST_BANDS:
                return None
    kept = {s: _short(c) for s, c in sorted(made.items()) if np.any(c)}
    return (tuple(kept), tuple(kept.values())) if kept else None


def _short(factors: Array) -> Array:
    """Length 1 along the axes on which nothing depends."""
    for axis in range(factors.ndim - 1):
        first = factors.take([0], axis=axis)
        if (factors == first).all():
            factors = first
    return factors


# --- what each operator makes of combinations ---


def _followed(name: str, nodes: Nodes, known: dict[str, Any]) -> Any:
    if name not in known:
        node = nodes.get(name)
        if node is None or node.target not in FOLLOWED or name == INPUT:
            raise _Stray
        known[name] = _made(node, [_value(a, nodes, known) for a in node.args])
    return known[name]


def _value(arg: Any, nodes: Nodes, known: dict[str, Any]) -> Any:
    if isinstance(arg, Ref):
        return _followed(arg.name, nodes, known)
    if isinstance(arg, tuple):
        return tuple(_value(part, nodes, known) for part in arg)
    return arg


def _made(node: Node, args: list[Any]) -> Any:
    """The terms of one operator's value; a tuple of them where it makes several."""
    x = args[0]
    if node.target in CASTS:
        if not keeps_cells(node):
            raise _Stray
        return x
    if node.target in FACTORS:
        return _scaled(node, x, args[1])
    if node.target in SUMS:
        return _sum(node, x, args[1], -1 if "sub" in node.target else 1, args[2])
    if node.target in JOINS[:2]:
        return _joined(node, x, args[1])
    if node.target == "aten.view_as_complex.default":
        return [
            _Term(t.cell[..., part], t.factor[..., part] * (1, 1j)[part])
            for t in x
            for part in (0, 1)
        ]
    if node.target == "aten.view_as_real.default":
        return [_Term(np.stack([t.cell] * 2, -1), _real_and_imaginary(t.factor)) for t in x]
    if node.target == "getitem":
        return x[args[1]]
    if node.target == "aten.neg.default":
        return [_Term(t.cell, -t.factor) for t in x]
    if node.target in SHAPES:
        return [_Term(*(a.reshape(node.shape) for a in t)) for t in x]
    return _parted(node, x, args)


def _real_and_imaginary(factor: Array) -> Array:
    return np.stack([np.real(factor), np.imag(factor)], -1)


def _is_terms(value: Any) -> bool:
    return isinstance(value, list)


def _scaled(node: Node, x: Any, y: Any) -> _Terms:
    if not _is_terms(x):
        x, y = y, x
    if not _is_terms(x) or _is_terms(y) or ("div" in node.target and not np.all(y)):
        raise _Stray
    factor = 1 / np.asarray(y) if "div" in node.target else np.asarray(y)
    return [
        _Term(np.broadcast_to(t.cell, node.shape), np.broadcast_to(t.factor * factor, node.shape))
        for t in x
    ]


def _sum(node: Node, x: Any, y: Any, sign: int, alpha: Any) -> _Terms:
    if not (_is_terms(x) and _is_terms(y)):
        raise _Stray  # a constant added is no factor of x
    both = [*x, *(_Term(t.cell, sign * alpha * t.factor) for t in y)]
    return [_Term(*(np.broadcast_to(a, node.shape) for a in t)) for t in both]


def _joined(node: Node, values: Any, axis: Any) -> _Terms:
    """Each value's terms in its place, nothing elsewhere."""
    axis = axis if axis is not None else 0
    join = np.stack if "stack" in node.target else np.concatenate
    if not all(_is_terms(v) and v for v in values):
        raise _Stray
    made = []
    for place, value in enumerate(values):
        for term in value:
            others = [v[0] for v in values]
            others[place] = term
            cell = join([t.cell for t in others], axis)
            zero = [t.factor * (i == place) for i, t in enumerate(others)]
            made.append(_Term(cell, join(zero, axis)))
    return made


def _parted(node: Node, x: Any, args: list[Any]) -> Any:
    """Slices, or a tuple of them."""
    if not _is_terms(x):
        raise _Stray
    if node.target == "aten.slice.Tensor":
        rank = x[0].cell.ndim
        step = args[4] if len(args) > 4 else 1
        at = (slice(None),) * (args[1] % rank) + (slice(args[2], args[3], step),)
        return [_Term(t.cell[at], t.factor[at]) for t in x]
    if node.target == "aten.select.int":
        return [_Term(*(a.take(args[2], axis=args[1]) for a in t)) for t in x]
    axis = args[1] if node.target == "aten.unbind.int" else args[2]
    length = x[0].cell.shape[axis]
    if node.target == "aten.unbind.int":
        return tuple([_Term(*(a.take(i, axis=axis) for a in t)) for t in x] for i in range(length))
    size = math.ceil(length / args[1]) if "chunk" in node.target else args[1]
    cuts = np.cumsum(size)[:-1] if isinstance(size, tuple) else range(size, length, size)
    pieces = [[np.split(a, list(cuts), axis) for a in t] for t in x]
    count = len(list(cuts)) + 1
    return tuple([_Term(cell[i], factor[i]) for cell, factor in pieces] for i in range(count))
