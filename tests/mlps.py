"""Random ReLU networks as traced graphs (no torch), and what they compute in float64."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from prover.compiler.trace import PREVIOUS, Graph, Node
from prover.quantizer import FloatArray

INPUT_RANGE = (-1.0, 2.0)


def linear(name: str, rows: int, weight: FloatArray, bias: FloatArray | None) -> Node:
    return Node(name, "aten.linear.default", (PREVIOUS, weight, bias), (rows, len(weight)))


def relu(name: str, shape: tuple[int, ...]) -> Node:
    return Node(name, "aten.relu.default", (PREVIOUS,), shape)


def random_graph(
    seed: int, layers: int, batch: int, most: int = 300, last_relu: bool = False
) -> Graph:
    """`layers` linear layers of random widths with ReLUs between, on scales from 2^-6 to 2^6."""
    rng = np.random.default_rng(seed)
    widths = [int(w) for w in rng.integers(1, most + 1, layers + 1)]
    nodes = []
    for i, (width, out) in enumerate(pairwise(widths)):
        scale = 2.0 ** rng.uniform(-6, 6)
        weight = rng.normal(size=(out, width)) * scale
        bias = None if rng.random() < 0.2 else rng.normal(size=out) * scale
        nodes.append(linear(f"linear_{i}", batch, weight, bias))
        if i + 1 < layers or last_relu:
            nodes.append(relu(f"relu_{i}", (batch, out)))
    return Graph((batch, widths[0]), tuple(nodes))


def float_run(graph: Graph, x: FloatArray) -> FloatArray:
    """What the graph computes, in float64."""
    for node in graph.nodes:
        if node.target == "aten.linear.default":
            _, weight, bias = node.args
            x = x @ weight.T + (0.0 if bias is None else bias)
        elif node.target == "aten.relu.default":
            x = np.maximum(x, 0.0)
        x = x.reshape(node.shape)
    return x
