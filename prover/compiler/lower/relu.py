"""aten.relu: rounds the accumulator before it and cuts off the negative half, in one gadget."""

from __future__ import annotations

from prover.compiler.lower.builder import Builder, Value
from prover.compiler.trace import Node


def lower(builder: Builder, value: Value, node: Node) -> Value:
    """Whatever the value is, an accumulator or a tensor."""
    return builder.relu(value, node.name)
