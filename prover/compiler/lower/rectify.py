"""aten.relu where scales are recorded: in the gadget that rounds what comes before it."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Network,
    Plan,
    Value,
    aligned,
    flat,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.ir import Affine, Relu, Role

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


def above(net: Network, name: str, plan: Plan, x: Affine) -> Cells:
    """max(0, x) of a difference of 16-bit integers over the axes of a plan, exactly."""
    shape = flat(plan) or (1,)
    out = net.tensor(name, shape, Role.ACTIVATION, 0, (1 << BITS) - 1)
    net.ops.append(Relu(out, net.pending(name, plan, 0, x).expr, 0, BITS))
    return net.cells(name, out, plan, 0)
