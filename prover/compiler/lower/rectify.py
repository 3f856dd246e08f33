"""aten.relu where scales are recorded: in the gadget that rounds what comes before it."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import Argument, Array, Cells, Network, Value, aligned
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node

TARGETS = ("aten.relu.default", "aten.relu_.default")


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    ranges.record(f"{node.name}.before", args[0])
    return np.asarray(np.maximum(args[0], 0.0))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Cells:
    x = args[0]
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    x = net.accumulated(x, node.name, aligned(net, node.name, node.shape, x))
    return net.relu(x, node.name, net.fit(f"{node.name}.before", x))
