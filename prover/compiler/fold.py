"""Constants that a linear layer takes over from the normalisation before it, exactly in floats.

W (gamma sqrt(n) u + beta) + b = (W diag(gamma) sqrt(n)) u + (W beta + b): one rounding less a cell.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.check import checked
from prover.compiler.lower import dense, embedding, layer_norm, reshape
from prover.compiler.trace import PREVIOUS, Graph, Node, Ref

KEPT = (*reshape.DROPOUTS, "aten.contiguous.default", "aten.clone.default")


@checked
def fold_norms(graph: Graph) -> Graph:
    """Norms of which only linear layers read the features lose gamma, beta and sqrt(n) to them."""
    nodes = list(graph.nodes)
    readers = reader_places(graph)
    for at, node in enumerate(graph.nodes):
        if node.target not in layer_norm.TARGETS:
            continue
        layers = _layers(nodes, readers, node.name)
        if node.name == graph.state:  # the next step reads it as well
            continue
        if any(tied(graph, nodes[place].args[1]) for place in layers):
            continue
        if not layers or len(node.args[1]) != 1:
            continue
        _, gamma, beta, _ = layer_norm.arguments(node, node.args)
        if isinstance(gamma, str):
            continue
        n = node.shape[-1]
        factor = (np.ones(n) if gamma is None else gamma) * math.sqrt(n)
        for place in layers:
            source, weight, bias = nodes[place].args
            if beta is not None:
                moved = weight @ beta
                bias = moved if bias is None else bias + moved
            nodes[place] = replace(nodes[place], args=(source, weight * factor, bias))
        nodes[at] = layer_norm.without_affine(node)
    return replace(graph, nodes=tuple(nodes))


def tied(graph: Graph, weight: Any) -> bool:
    """Whether an embedding has these numbers too: one tensor is both, if nothing is folded in."""
    rows = (n.args[0] for n in graph.nodes if n.target in embedding.TARGETS)
    return any(np.array_equal(found, weight) for found in rows)


def reader_places(graph: Graph) -> dict[str, list[int]]:
    """The places of the nodes that read each node, whatever the argument."""
    found: dict[str, list[int]] = {}
    previous = ""

    def see(arg: Any, place: int) -> None:
        if isinstance(arg, tuple):
            for part in arg:
                see(part, place)
        elif isinstance(arg, Ref):
            found.setdefault(arg.name, []).append(place)
        elif arg is PREVIOUS:
            found.setdefault(previous, []).append(place)

    for place, node in enumerate(graph.nodes):
        see(node.args, place)
        previous = node.name
    return found


def _layers(nodes: list[Node], readers: dict[str, list[int]], name: str) -> list[int]:
    """The linear layers that are all that reads a value's features; none if something else does."""
    found: list[int] = []
    for place in readers.get(name, []):
        node = nodes[place]
        if node.target in dense.TARGETS and isinstance(node.args[1], np.ndarray):
            found.append(place)
            continue
        rank = len(node.shape)
        swapped = node.target == "aten.transpose.int" and rank - 1 not in (
            node.args[1] % rank,
            node.args[2] % rank,
        )
        further = _layers(nodes, readers, node.name) if swapped or node.target in KEPT else []
        if not further:
            return []
        found += further
    return found
