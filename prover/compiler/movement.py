"""What moves, repeats or adds up cells along axes, as `einproof.along` with a constant matrix for
each axis (lower/along.py): flips, rolls, repeats, constant indices, running sums.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.along import Matrix, picked
from prover.compiler.nodes import Late, Nodes, Rule, Several, Shapes
from prover.compiler.trace import Node, Ref
from prover.quantizer import IntArray

# --- other orders ---


def _flip(node: Node, shapes: Shapes) -> Iterable[Node]:
    made, x = Several(node, shapes), node.args[0]
    named = {"aten.fliplr.default": (1,), "aten.flipud.default": (0,)}
    for axis in named.get(node.target) or node.args[1]:
        n = node.shape[axis]
        if n > 1:
            x = made.along(f"axis{axis % len(node.shape)}", x, axis, picked(range(n)[::-1], n))
    return made.seen(x)


def _roll(node: Node, shapes: Shapes) -> Iterable[Node]:
    """out[y] = in[y - shift], around; where no axis is named, of all cells in a row."""
    made, (x, shifts, axes) = Several(node, shapes), node.args
    if not axes:
        n = math.prod(node.shape)
        x, axes = made.add("row", "reshape.default", (n,), x, (n,)), (0,)
    for number, (shift, axis) in enumerate(zip(shifts, axes, strict=True)):
        n = made.shape(x)[axis]
        if shift % n:
            x = made.along(f"axis{number}", x, axis, picked((np.arange(n) - shift) % n, n))
    return made.seen(x)


def _repeat(node: Node, shapes: Shapes) -> Iterable[Node]:
    """The whole of an axis, that many times."""
    made, (x, times) = Several(node, shapes), node.args
    rank = len(node.shape)
    times = (1,) * (rank - len(times)) + tuple(times)
    shape = (1,) * (rank - len(shapes(x))) + shapes(x)
    if shape != shapes(x):
        x = made.add("ranked", "reshape.default", shape, x, shape)
    for axis, (n, count) in enumerate(zip(shape, times, strict=True)):
        if n > 1 and count > 1:
            x = made.along(f"axis{axis}", x, axis, picked(np.arange(n * count) % n, n))
    if made.shape(x) != node.shape:
        return made.ending("expand.default", x, node.shape, False)
    return made.seen(x)


def _shuffle(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Channels of each group beside those of the others (Zhang et al. 2018)."""
    made, (x, groups) = Several(node, shapes), node.args
    n = node.shape[1]
    places = np.arange(n).reshape(groups, -1).T.ravel()
    return made.seen(made.along("order", x, 1, picked(places, n)))


def _turned(node: Node, shapes: Shapes) -> Iterable[Node]:
    """rot90: a quarter turn is a swap of two axes, and then the first of them backwards."""
    made, (x, times, axes) = Several(node, shapes), node.args
    first, second = (axis % len(node.shape) for axis in axes)
    for turn in range(times % 4):
        shape = list(made.shape(x))
        shape[first], shape[second] = shape[second], shape[first]
        x = made.add(f"swap{turn}", "transpose.int", tuple(shape), x, first, second)
        x = made.along(f"turn{turn}", x, first, picked(range(shape[first])[::-1], shape[first]))
    return made.seen(x)


def _beside(node: Node, shapes: Shapes) -> Iterable[Node]:
    """hstack and vstack of what has two axes or more."""
    if len(node.shape) < 2 or any(len(shapes(x)) < 2 for x in node.args[0]):
        raise UnsupportedOp(node.name, node.target, "expected tensors of two axes or more")
    return Several(node, shapes).ending("cat.default", node.args[0], int("hstack" in node.target))


def _divided(node: Node, shapes: Shapes) -> Iterable[Node]:
    """tensor_split: into so many parts, or at these places."""
    x, given, axis = node.args
    n = shapes(x)[axis]
    if isinstance(given, int):
        sizes = tuple(n // given + (part < n % given) for part in range(given))
    else:
        places = [min(max(at + n if at < 0 else at, 0), n) for at in given]
        sizes = tuple(np.diff([0, *places, n]).tolist())
        if min(sizes) < 1:
            raise ValueError(f"expected places that part all of {n}, in order, got {given}")
    return Several(node, shapes).ending("split_with_sizes.default", x, sizes, axis)


# --- constant indices ---


def _selected(node: Node, shapes: Shapes) -> Iterable[Node]:
    """index_select: rows of an axis, by constant places."""
    made, (x, axis, index) = Several(node, shapes), node.args
    return made.seen(made.along("rows", x, axis, _chosen(node, index, shapes(x)[axis])))


def _indexed(node: Node, shapes: Shapes) -> Iterable[Node]:
    """x[:, i] and x[:, i, j] for constant places: of those axes as one."""
    made, (x, given) = Several(node, shapes), node.args
    shape, named = shapes(x), [a for a, index in enumerate(given) if index is not None]
    index = [given[a] for a in named]
    if any(isinstance(i, Ref) for i in index) or not isinstance(x, Ref):
        raise UnsupportedOp(node.name, node.target, "places that depend on the input")
    if named != list(range(named[0], named[0] + len(named))):
        raise UnsupportedOp(node.name, node.target, "places along axes that are apart")
    lengths = tuple(shape[a] for a in named)
    wrapped = [np.asarray(i) % n for i, n in zip(index, lengths, strict=True)]
    places = np.ravel_multi_index(np.broadcast_arrays(*wrapped), lengths)
    first = named[0]
    if len(named) > 1:
        joined = (*shape[:first], math.prod(lengths), *shape[first + len(named) :])
        x = made.add("joined", "reshape.default", joined, x, joined)
    matrix = picked(places.ravel(), math.prod(lengths))
    return made.seen(made.along("places", x, first, matrix))


def _chosen(node: Node, index: Any, n: int) -> Matrix:
    if isinstance(index, Ref):
        raise UnsupportedOp(node.name, node.target, "places that depend on the input")
    return picked(np.ravel(index) % n, n)


# --- sums and differences ---


def _running_sum(node: Node, shapes: Shapes) -> Iterable[Node]:
    made, (x, axis, *_) = Several(node, shapes), node.args
    n = node.shape[axis] if node.shape else 1
    if n == 1:
        return made.seen(x)
    return made.seen(made.along("sums", x, axis, np.tril(np.ones((n, n), dtype=np.int64))))


def _differences(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Of neighbours, `times` times over."""
    made, (x, times, axis, *beside) = Several(node, shapes), node.args
    if beside != [None, None] or not times:
        raise UnsupportedOp(node.name, node.target, "expected neighbours of one tensor")
    n = shapes(x)[axis]
    matrix = np.diff(np.eye(n, dtype=np.int64), times, axis=0)
    return made.seen(made.along("apart", x, axis, matrix))


# --- blocks in another order ---

REARRANGED = "einproof.rearranged"  # of a value: where each of its cells was, in a row (rewrite.py)


def _rearranged(node: Node, shapes: Shapes, nodes: Nodes) -> Iterable[Node]:
    """The longest blocks that stay together, in their new order: rows of a matrix, for each of as
    many as have the same order. None cuts across an axis of x."""
    made, (x, places) = Several(node, shapes), node.args
    own = shapes(x)
    width = max(w for k in range(len(own) + 1) if _runs(places, w := math.prod(own[k:])))
    blocks = places[::width] // width
    m = len(blocks)
    lead = max(n for k in range(len(own)) if _repeats(blocks, n := math.prod(own[:k])))
    shape = (lead, m // lead, width)
    rows = made.add("rows", "reshape.default", shape, x, shape)
    order = made.along("order", rows, 1, picked(blocks[: m // lead], m // lead))
    return made.ending("reshape.default", order, node.shape)


def _runs(places: IntArray, width: int) -> bool:
    """Whether blocks of that many cells lie as they did, and where blocks of that many did."""
    rows = places.reshape(-1, width)
    return bool((rows == rows[:, :1] + np.arange(width)).all() and not (rows[:, 0] % width).any())


def _repeats(blocks: IntArray, lead: int) -> bool:
    """Whether each of so many parts has the order of the first within itself."""
    n = len(blocks) // lead
    if n * lead != len(blocks):
        return False
    parts = blocks.reshape(lead, n)
    same = (parts == parts[0] + n * np.arange(lead)[:, None]).all()
    return bool(same and parts[0].max() < n)


LATE: dict[str, Late] = {REARRANGED: _rearranged}

RULES: dict[str, Rule] = {
    **dict.fromkeys(("aten.flip.default", "aten.fliplr.default", "aten.flipud.default"), _flip),
    "aten.roll.default": _roll,
    "aten.repeat.default": _repeat,
    "aten.tile.default": _repeat,
    "aten.channel_shuffle.default": _shuffle,
    "aten.index_select.default": _selected,
    "aten.index.Tensor": _indexed,
    "aten.cumsum.default": _running_sum,
    "aten.diff.default": _differences,
    "aten.tensor_split.sections": _divided,
    "aten.tensor_split.indices": _divided,
    "aten.hstack.default": _beside,
    "aten.vstack.default": _beside,
    "aten.rot90.default": _turned,
}
