"""aten.batch_norm in evaluation: a factor and a summand for each channel, constants.

`fold_batch_norms` has given them to the layer before, where only the norm reads that; what is left
is multiplied and added here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prover.compiler.check import checked
from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower import conv, dense
from prover.compiler.lower.add import total
from prover.compiler.lower.mul import lower as mul
from prover.compiler.lower.network import Argument, Array, Network, Pending, Value
from prover.compiler.ranges import Ranges
from prover.compiler.trace import INPUT, PREVIOUS, Graph, Node, Ref

TARGETS = ("aten.batch_norm.default",)
LAYERS = (*conv.TARGETS, *dense.TARGETS)


def constants(node: Node, args: tuple[Argument, ...]) -> tuple[Array, Array]:
    """Factor and summand of each channel, float64."""
    gamma, beta, mean, variance, training, _, eps = args[1:8]
    if training or mean is None or variance is None:
        raise UnsupportedOp(node.name, node.target, "statistics of its own input")
    factor = 1 / np.sqrt(variance + eps)
    factor = factor if gamma is None else factor * gamma
    summand = -mean * factor
    return factor, summand if beta is None else summand + beta


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    factor, summand = (_along(c, args[0].ndim) for c in constants(node, args))
    return np.asarray(args[0] * factor + summand)


def _along(channel: Array, rank: int) -> Array:
    """Over axis 1."""
    return channel.reshape(-1, *(1,) * (rank - 2))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    factor, summand = (_along(c, len(node.shape)) for c in constants(node, args))
    name = f"{node.name}.scaled"
    made = mul(net, replace(node, name=name, target="aten.mul.Tensor"), (args[0], factor))
    return total(net, replace(node, target="aten.add.Tensor"), made, summand)


@checked
def fold_batch_norms(graph: Graph) -> Graph:
    """Norms right after a layer that nothing else reads become that layer, exactly in floats:
    gamma (W x + b - mean) / sigma + beta."""
    nodes = list(graph.nodes)
    read = conv.reads(graph)
    sources = [INPUT, *(node.name for node in nodes)]
    gone = set()
    for at, node in enumerate(graph.nodes):
        before = nodes[at - 1] if at else None
        if node.target not in TARGETS or node.args[0] is not PREVIOUS or before is None:
            continue
        if before.target not in LAYERS or read[before.name] > 1 or before.name == graph.state:
            continue
        source, weight, bias = before.args[:3]
        if not isinstance(weight, np.ndarray):
            continue
        if len(node.shape) != weight.ndim:  # channels are along another axis: no batch, or more
            continue
        factor, summand = constants(node, node.args)
        source = Ref(sources[at - 1]) if source is PREVIOUS else source
        weight = weight * factor.reshape(-1, *(1,) * (weight.ndim - 1))
        bias = summand if bias is None else bias * factor + summand
        args = (source, weight, bias, *before.args[3:])
        nodes[at] = replace(before, name=node.name, args=args)
        gone.add(before.name)
    return replace(graph, nodes=tuple(node for node in nodes if node.name not in gone))
