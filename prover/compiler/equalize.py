"""A scale for each channel between two layers, exactly in floats (Nagel et al. 2019, section 4.1).

ReLU and pooling commute with a positive factor for each channel, so that of 2^d out of one layer
and 2^-d into the next nothing is left but the sizes of weights and of what is between them:

    W' f(W x + b) = (W' diag(2^-d)) f(diag(2^d) (W x + b)),     2 d = log2(|W'|_c / |W|_c)

where |W|_c is the greatest weight that makes channel c, |W'|_c the greatest that reads it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from prover.compiler.check import checked
from prover.compiler.fold import KEPT, reader_places, tied
from prover.compiler.lower import conv, dense, pool, rectify, reshape
from prover.compiler.lower.batch_norm import fold_batch_norms
from prover.compiler.trace import Graph, Node
from prover.quantizer import FloatArray, IntArray

EVEN = (*rectify.TARGETS, *KEPT)  # f(2^d x) = 2^d f(x), cell by cell
MOST = 24  # bits by which a channel is moved
PASSES = 16  # at most, until nothing moves


@checked
def equalized(graph: Graph) -> Graph:
    """The same function, batch norms folded, each channel between layers in steps of its own."""
    graph = fold_batch_norms(graph)
    nodes, readers = list(graph.nodes), reader_places(graph)
    pairs = [(at, _layers_after(graph, readers, node)) for at, node in enumerate(nodes)]
    for _ in range(PASSES):
        moved = [_even(nodes, at, after) for at, after in pairs if after]
        if not any(moved):
            break
    return replace(graph, nodes=tuple(nodes), evened=True)


def _even(nodes: list[Node], at: int, after: list[int]) -> bool:
    """Moves factors from a layer to those after it; whether there were any."""
    made = _greatest(nodes[at].args[1], 0)
    read = np.max([_read(nodes[place], len(made)) for place in after], axis=0)
    shift = _shift(made, read)
    nodes[at] = _written(nodes[at], shift)
    for place in after:
        nodes[place] = _reading(nodes[place], shift)
    return bool(shift.any())


def _shift(made: FloatArray, read: FloatArray) -> IntArray:
    """d of each channel; 0 of what nothing makes, or nothing reads."""
    used = (made > 0) & (read > 0)
    ratio = np.where(used, read, 1.0) / np.where(used, made, 1.0)
    return np.asarray(np.rint(np.log2(ratio) / 2).clip(-MOST, MOST), dtype=np.int64)


def _greatest(weight: FloatArray, axis: int) -> FloatArray:
    """|W| at most, for each place of an axis."""
    others = tuple(a for a in range(weight.ndim) if a != axis)
    return np.asarray(np.abs(weight).max(axis=others))


def _read(node: Node, channels: int) -> FloatArray:
    """The greatest weight that reads each channel, which flattening may have spread over cells."""
    return np.asarray(_greatest(node.args[1], 1).reshape(channels, -1).max(axis=1))


def _written(node: Node, shift: IntArray) -> Node:
    source, weight, bias, *rest = node.args
    bias = None if bias is None else np.ldexp(bias, shift)
    return replace(node, args=(source, np.ldexp(weight, _along(shift, weight, 0)), bias, *rest))


def _reading(node: Node, shift: IntArray) -> Node:
    source, weight, *rest = node.args
    each = np.repeat(shift, weight.shape[1] // len(shift))
    return replace(node, args=(source, np.ldexp(weight, -_along(each, weight, 1)), *rest))


def _along(shift: IntArray, weight: FloatArray, axis: int) -> IntArray:
    return shift.reshape(tuple(-1 if a == axis else 1 for a in range(weight.ndim)))


# --- which layers ---


def _is_layer(graph: Graph, node: Node) -> bool:
    """A linear layer or a convolution with constants of its own."""
    if node.target not in (*dense.TARGETS, *conv.TARGETS) or node.name == graph.state:
        return False
    weight, bias = node.args[1:3]
    if not isinstance(weight, np.ndarray) or not isinstance(bias, np.ndarray | None):
        return False
    return weight.ndim >= 2 and bool(np.isfinite(weight).all()) and not tied(graph, weight)


def _layers_after(graph: Graph, readers: Mapping[str, list[int]], node: Node) -> list[int]:
    """The layers that are all that reads a layer's channels, each by itself; none if something
    else does."""
    if not _is_layer(graph, node):
        return []
    found: list[int] = []

    def seen(source: Node, last: bool) -> bool:
        """Whether layers alone read the channels, on the last axis or on axis 1; notes which."""
        places = readers.get(source.name, [])
        kept = source.name == graph.state or not places
        return not kept and all(read(source, place, last) for place in places)

    def read(source: Node, place: int, last: bool) -> bool:
        reader = graph.nodes[place]
        if _is_layer(graph, reader):
            found.append(place)
            return _ungrouped(reader) and (reader.target in dense.TARGETS) == last
        if reader.target in EVEN or (reader.target in pool.TARGETS and not last):
            return seen(reader, last)
        flat = (source.shape[0], math.prod(source.shape[1:]))
        moved = reader.target in reshape.TARGETS and reader.shape == flat and not last
        return moved and seen(reader, True)

    channels_last = node.target in dense.TARGETS
    batched = channels_last or len(node.shape) == node.args[1].ndim
    return found if batched and seen(node, channels_last) else []


def _ungrouped(node: Node) -> bool:
    return node.target in dense.TARGETS or node.args[6] == 1
