"""From one operator of torch to gadgets: one file an operator, and the list of what is known."""

from __future__ import annotations

from collections.abc import Callable

from prover.compiler.lower import linear, relu, reshape
from prover.compiler.lower.builder import Builder, Value
from prover.compiler.trace import Node

Lowering = Callable[[Builder, Value, Node], Value]

LOWERINGS: dict[str, Lowering] = {
    "aten.linear.default": linear.lower,
    "aten.relu.default": relu.lower,
    "aten.relu_.default": relu.lower,
    **dict.fromkeys(reshape.TARGETS, reshape.lower),
}
