"""Operators that leave every cell and its row-major place alone: reshapes, and dropout in
evaluation mode.
"""

from __future__ import annotations

import math

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.builder import Builder, Value, reshaped
from prover.compiler.trace import PREVIOUS, Node

DROPOUTS = (
    "aten.dropout.default",
    "aten.feature_dropout.default",
    "aten.alpha_dropout.default",
    "aten.feature_alpha_dropout.default",
)
TARGETS = (
    "aten.flatten.using_ints",
    "aten.view.default",
    "aten.reshape.default",
    "aten.unflatten.int",
    "aten.squeeze.default",
    "aten.squeeze.dim",
    "aten.squeeze.dims",
    "aten.unsqueeze.default",
    "aten.contiguous.default",
    *DROPOUTS,
)


def lower(builder: Builder, value: Value, node: Node) -> Value:
    """The same cells under another shape."""
    if node.args[0] is not PREVIOUS or math.prod(node.shape) != math.prod(value.shape):
        raise UnsupportedOp(node.name, node.target, f"expected {value.shape} regrouped")
    if node.target in DROPOUTS and node.args[2] is not False:
        raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
    return reshaped(value, node.shape)
