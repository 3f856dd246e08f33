"""Ways of writing one thing, brought to one operator, before anything else reads a graph.

RMSNorm and unit length from their parts, masks from `where` and from sums with -inf, the parts of a
packed projection, shares of a single key, and what only moves and scales the cells of an axis, such
as rotary embeddings, to `einproof.bands`. Each rule keeps the name of the node that it replaces;
nodes that nothing reads any more go.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from prover.compiler.bands import bands
from prover.compiler.check import check_constants, check_order, checked
from prover.compiler.composite import taken_apart
from prover.compiler.errors import CompileError
from prover.compiler.lower import views
from prover.compiler.lower.layer_norm import FOLDED
from prover.compiler.lower.network import HIDDEN
from prover.compiler.movement import REARRANGED
from prover.compiler.nodes import Nodes, chained, keeps_cells, named, readers
from prover.compiler.products import TURNED_PART
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Graph, Node, Ref
from prover.program.validate import MAX_RANK

Rule: TypeAlias = Callable[[Node, Nodes, Mapping[str, int]], Node | None]


@checked
def rewritten(graph: Graph) -> Graph:
    """The same function of the input, by operators of the set (docs/protocol/graph.md): what a
    front end ends with."""
    check_order(graph, graph.nodes, "the front end")
    check_constants(graph)
    nodes = taken_apart(graph, named(graph))
    check_order(graph, nodes.values(), taken_apart.__name__)
    for rule in RULES:
        count = readers(nodes)
        for name in list(nodes):
            made = rule(nodes[name], nodes, count)
            if made is not None:
                nodes[name] = made
        check_order(graph, nodes.values(), rule.__name__)
    nodes = bands(nodes)
    check_order(graph, nodes.values(), bands.__name__)
    return chained(graph, taken_apart(graph, nodes, late=True))


# --- norms ---


def _norm(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """x * rsqrt(mean(x^2) + eps), or x / sqrt(..): aten.rms_norm with no gain."""
    for x, root in _pairs(node):
        under = _under_root(node, root, nodes)
        if under is None or under.target != "aten.add.Tensor" or under.args[2] != 1:
            continue
        for mean, eps in (under.args[:2], under.args[1::-1]):
            squares = _mean_of_squares(mean, nodes)
            known = np.size(eps) == 1 and not under.learned  # else it is a weight like others
            if squares == source(x, nodes) is not None and known:
                args = (x, (node.shape[-1],), None, float(np.ravel(eps)[0]))
                return replace(node, target="aten.rms_norm.default", args=args)
    return None


def _unit(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """x / max(|x|, eps) along the last axis, for an eps that no row comes near: the norm before its
    gain and sqrt(n)."""
    if node.target != "aten.div.Tensor" or not isinstance(node.args[0], Ref):
        return None
    length, least = _node(node.args[1], nodes), 0.0
    while length is not None and ("expand" in length.target or "clamp_min" in length.target):
        if "clamp_min" in length.target:
            if isinstance(length.args[1], Ref) or np.size(length.args[1]) != 1:
                return None
            least = max(least, float(np.ravel(length.args[1])[0]))
        length = _node(length.args[0], nodes)
    if length is None or length.target not in ("aten.linalg_vector_norm.default", NORM):
        return None
    x, order, axes, keep = length.args[:4]
    n, rank = node.shape[-1], len(node.shape)
    last = axes is not None and [a % rank for a in axes] == [rank - 1]
    if order not in (2, None) or not last or not keep or least > LEAST:
        return None
    if source(x, nodes) != source(node.args[0], nodes):
        return None
    args = (node.args[0], (n,), FOLDED, least**2 / n)
    return replace(node, target="aten.rms_norm.default", args=args)


def _gain(node: Node, nodes: Nodes, count: Mapping[str, int]) -> Node | None:
    """A norm times a constant of its features, where nothing else reads the norm."""
    for x, gain in _pairs(node):
        inner = _node(x, nodes)
        if inner is None or inner.target != "aten.rms_norm.default" or inner.args[2] is not None:
            continue
        n = node.shape[-1]
        if isinstance(gain, np.ndarray) and gain.shape[-1:] == (n,) and gain.size == n:
            if "div" in node.target or not _alone(x, nodes, count):
                continue
            args = (inner.args[0], inner.args[1], gain.reshape(n), inner.args[3])
            return replace(node, target=inner.target, args=args)
    return None


NORM = "aten.norm.ScalarOpt_dim"
LEAST = 1e-5  # of a length


def _under_root(node: Node, root: Any, nodes: Nodes) -> Node | None:
    """s where `root` is 1/sqrt(s) for a product, sqrt(s) for a quotient."""
    made = _node(root, nodes)
    if made is None:
        return None
    quotient = node.target == "aten.div.Tensor"
    power = made.target == "aten.pow.Tensor_Scalar" and made.args[1] == (0.5 if quotient else -0.5)
    if made.target == f"aten.{'sqrt' if quotient else 'rsqrt'}.default" or power:
        return _node(made.args[0], nodes)
    return None


def _mean_of_squares(mean: Any, nodes: Nodes) -> str | None:
    """x where `mean` is the mean of x^2 over the last axis, which is kept."""
    made = _node(mean, nodes)
    if made is None or made.target != "aten.mean.dim" or not made.args[2]:
        return None
    squares = _node(made.args[0], nodes)
    if squares is None or [a % len(squares.shape) for a in made.args[1]] != [
        len(squares.shape) - 1
    ]:
        return None
    x = source(squares.args[0], nodes)
    if squares.target == "aten.pow.Tensor_Scalar" and squares.args[1] == 2:
        return x
    if squares.target == "aten.square.default":
        return x
    both = squares.target == "aten.mul.Tensor" and x == source(squares.args[1], nodes)
    return x if both else None


# --- masks ---


def _masks(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """where(kept, x, -inf), x + (0 or -inf), masked_fill by a tensor: masked_fill by a number."""
    found: tuple[Any, Any, bool] | None = None
    if node.target in ("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf"):
        mask, yes, no = node.args
        if isinstance(yes, Ref) and _hides(no):
            found = (yes, mask, True)
        elif isinstance(no, Ref) and _hides(yes):
            found = (no, mask, False)
    elif node.target in ("aten.masked_fill.Tensor", "aten.masked_fill_.Tensor"):
        if _hides(node.args[2]):
            found = (node.args[0], node.args[1], False)
    elif node.target in ("aten.add.Tensor", "aten.add_.Tensor") and node.args[2] == 1:
        for x, given in _pairs(replace(node, target="aten.mul.Tensor")):
            if isinstance(given, np.ndarray) and given.size > 1:
                hidden = given <= HIDDEN
                if hidden.any() and not given[~hidden].any():
                    found = (x, hidden, False)
    if found is None or getattr(_node(found[0], nodes), "shape", None) != node.shape:
        return None
    x, mask, kept = found
    if isinstance(mask, np.ndarray):
        mask, kept = np.asarray(mask, bool) != kept, False
    args = (x, mask, -np.inf, kept)
    return replace(node, target="aten.masked_fill.Scalar", args=args)


def _hides(value: Any) -> bool:
    return not isinstance(value, Ref) and bool(np.all(np.asarray(value) <= HIDDEN))


# --- a single key ---


def _single(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """Attention to one key, which is there: its share is 1, the answer its value."""
    if node.target == "aten.scaled_dot_product_attention.default":
        _, keys, value, mask = node.args[:4]
        known = _node(keys, nodes)
        if known is None or known.shape[-2] != 1 or node.args[4] or not _seen(mask):
            return None
        if known.shape[:-2] != node.shape[:-2]:
            return None
    elif node.target in ("aten.matmul.default", "aten.bmm.default"):
        shares, value = _node(node.args[0], nodes), node.args[1]
        if shares is None or shares.shape[-1] != 1:
            return None
        while shares is not None and shares.target in MOVED:
            shares = _node(shares.args[0], nodes)
        if shares is None or shares.target != "aten.softmax.int" or shares.shape[-1] != 1:
            return None
        scores = _node(shares.args[0], nodes)
        if scores is None or "masked" in scores.target:
            return None
    else:
        return None
    if not isinstance(value, Ref):
        return None
    return replace(node, target="aten.expand.default", args=(value, node.shape))


def _seen(mask: Any) -> bool:
    """Whether a constant mask, or none, hides nothing."""
    if mask is None or not isinstance(mask, np.ndarray):
        return mask is None
    return bool(mask.all() if mask.dtype == np.bool_ else (mask > HIDDEN).all())


# --- parts ---


def _part(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """Some outputs of a linear map, queries of a packed projection say, however they are taken
    apart: a slice of its last axis, so that parts and heads are one axis and a stack's layers have
    room. Over a batch of sequences, a map with those rows alone: packed, its cells would have an
    axis for batch, tokens, parts and heads, and features, one more than a tensor has."""
    steps, read = [node], _node(node.args[0], nodes) if node.target in PARTS else None
    while read is not None and read.target in MOVED:
        steps.append(read)
        read = _node(read.args[0], nodes)
    if read is None or read.target != "aten.linear.default":
        return None
    (x, weight, bias), rows = read.args, read.shape[:-1]
    if not isinstance(weight, np.ndarray):
        return None
    cells = np.arange(math.prod(read.shape)).reshape(read.shape)
    taken: Any = cells
    try:
        for step in reversed(steps):
            taken = views.reference(step, (taken, *step.args[1:]), Ranges())
    except CompileError:  # every other cell, say: `bands` may know what it is a part of
        return None
    first = int(taken.flat[0])
    own = slice(first, first + taken.shape[-1])
    if not np.array_equal(taken, cells[..., own]):
        return _turned_part(node, read, taken)
    if sum(length > 1 for length in rows) < 2:
        cut: tuple[Any, ...] = (Ref(read.name), len(rows), own.start, own.stop, 1)
        return replace(node, target="aten.slice.Tensor", args=cut)
    args = (x, weight[own], None if bias is None else bias[own])
    return replace(node, target=read.target, args=args)


def _turned_part(node: Node, read: Node, taken: Any) -> Node | None:
    """Of a batch, a part whose rows and features are seen in another order: heads before tokens."""
    (x, weight, bias), width = read.args, read.shape[-1]
    own = np.unique(taken % width)
    if sum(length > 1 for length in read.shape[:-1]) < 2 or len(own) == width:
        return None
    cells = taken // width * len(own) + np.searchsorted(own, taken % width)
    if cells.size != math.prod(read.shape[:-1]) * len(own):
        return None
    first = (0,) * cells.ndim
    steps = [
        int(np.moveaxis(cells, a, 0)[(-1, *first[1:])] - cells[first]) for a in range(cells.ndim)
    ]
    order = sorted(range(cells.ndim), key=lambda a: -steps[a])
    lengths = tuple(cells.shape[a] for a in order)
    back = tuple(order.index(a) for a in range(cells.ndim))
    if not np.array_equal(np.arange(cells.size).reshape(lengths).transpose(back), cells):
        return None
    args = (x, weight[own], None if bias is None else bias[own], lengths, back)
    return replace(node, target=TURNED_PART, args=args)


PARTS = (*views.SLICED, *views.TAKEN)
MOVED = tuple(
    target
    for target in (*views.SAME, *views.PERMUTED, *views.SPLIT)
    if "dropout" not in target  # in training mode it is to be refused
)


def _rearranged(node: Node, nodes: Nodes, _: Mapping[str, int]) -> Node | None:
    """Windows, patches and their like: views by more axes than a tensor has, turned and joined
    again. Blocks of cells in another order, which `movement` takes apart."""
    steps, read = [node], _node(node.args[0], nodes) if node.target in TURNED else None
    while read is not None and read.target in TURNED:
        steps.append(read)
        read = _node(read.args[0], nodes)
    x = steps[-1].args[0]
    wide = [sum(n > 1 for n in step.shape) > MAX_RANK for step in steps]
    if not any(wide) or wide[0] or (read is None and steps[-1].target in views.PERMUTED):
        return None
    cells: Any = np.arange(math.prod(node.shape))
    cells = cells if read is None else cells.reshape(read.shape)
    for step in reversed(steps):
        cells = views.reference(step, (cells, *step.args[1:]), Ranges())
    return replace(node, target=REARRANGED, args=(x, cells.ravel()))


TURNED = tuple(t for t in (*views.SAME, *views.PERMUTED) if "dropout" not in t)


# --- reading ---


def source(arg: Any, nodes: Nodes) -> str | None:
    """The name of what an argument reads, before any cast."""
    while isinstance(arg, Ref):
        node = nodes.get(arg.name)
        if node is None or not keeps_cells(node):
            return arg.name
        arg = node.args[0]
    return None


def _node(arg: Any, nodes: Nodes) -> Node | None:
    name = source(arg, nodes)
    return None if name is None else nodes.get(name)


def _pairs(node: Node) -> list[tuple[Any, Any]]:
    """(x, y) of a product both ways round, of a quotient one."""
    if node.target not in ("aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor"):
        return []
    x, y = node.args[:2]
    ways = [(x, y)] if "div" in node.target else [(x, y), (y, x)]
    return [(a, b) for a, b in ways if isinstance(a, Ref)]


def _alone(arg: Any, nodes: Nodes, count: Mapping[str, int]) -> bool:
    """Whether one node reads each of those from the norm to here."""
    while isinstance(arg, Ref):
        if count.get(arg.name, 0) != 1:
            return False
        node = nodes[arg.name]
        if not keeps_cells(node):
            return True
        arg = node.args[0]
    return False


RULES: tuple[Rule, ...] = (_norm, _unit, _gain, _masks, _single, _part, _rearranged)
