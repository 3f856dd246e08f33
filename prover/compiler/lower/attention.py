"""aten.scaled_dot_product_attention: softmax(q k^T / sqrt(d)) v, full, causal, or with a constant
mask; and masked_fill with -inf, which a softmax must follow."""

from __future__ import annotations

import math

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.matmul import product
from prover.compiler.lower.mul import scaled
from prover.compiler.lower.network import (
    Argument,
    Array,
    Masked,
    Network,
    Pending,
    Value,
    permute,
)
from prover.compiler.lower.softmax import shares, softmax
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.quantizer import IntArray

TARGETS = ("aten.scaled_dot_product_attention.default",)
MASKED = ("aten.masked_fill.Scalar", "aten.masked_fill_.Scalar")


def _mask(node: Node, args: tuple[Argument, ...], rows: int, columns: int) -> IntArray | None:
    """1 where a key is left out."""
    given, dropout, causal = args[3:6]
    if dropout:
        raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
    if len(args) > 7 and args[7]:
        raise UnsupportedOp(node.name, node.target, "grouped queries")
    if given is None:
        return np.triu(np.ones((rows, columns), np.int64), 1) if causal else None
    if not isinstance(given, np.ndarray):
        raise UnsupportedOp(node.name, node.target, "a mask that depends on the input")
    if given.dtype == np.bool_:
        return (~given).astype(np.int64)
    hidden = np.isneginf(given)
    if given[~hidden].any():
        raise UnsupportedOp(node.name, node.target, "a mask of other numbers than 0 and -inf")
    return hidden.astype(np.int64)


def _scale(args: tuple[Argument, ...], width: int) -> float:
    return 1 / math.sqrt(width) if len(args) < 7 or args[6] is None else float(args[6])


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    q, k, v = args[:3]
    scores = q @ k.swapaxes(-1, -2) * _scale(args, q.shape[-1])
    mask = _mask(node, args, *scores.shape[-2:])
    ranges.record(f"{node.name}.shares.z", scores)
    if mask is not None:
        scores = np.where(mask == 1, -np.inf, scores)
    return np.asarray(shares(scores) @ v)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    if not all(isinstance(a, Value) for a in args[:3]):
        raise UnsupportedOp(node.name, node.target, "expected queries, keys and values")
    q, k, v = (net.stored(a) for a in args[:3])
    rank = len(k.parts)
    turned = permute(k, (*range(rank - 2), rank - 1, rank - 2))
    shape = (*node.shape[:-1], k.shape[-2])
    name = f"{node.name}.shares"
    scores = product(net, name, q, turned, shape)
    scores = scaled(net, name, scores, _scale(args, q.shape[-1]))
    mask = _mask(node, args, *shape[-2:])
    p = softmax(net, name, scores, mask, f"{name}.z")
    return product(net, node.name, p, v, node.shape)


def reference_masked(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, mask, value = args
    return np.where(mask, value, x)


def lower_masked(net: Network, node: Node, args: tuple[Argument, ...]) -> Masked:
    x, mask, value = args
    if not isinstance(mask, np.ndarray) or value > -1e4 or not isinstance(x, Value):
        raise UnsupportedOp(
            node.name, node.target, "expected a constant mask and -inf, before a softmax"
        )
    return Masked(x, np.asarray(mask, np.int64))
