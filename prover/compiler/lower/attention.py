"""aten.scaled_dot_product_attention: softmax(q k^T / sqrt(d)) v, full, causal, or with a constant
mask, or one of which tokens are there; with fewer keys than queries; and masked_fill with -inf,
which a softmax must follow."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.add import total
from prover.compiler.lower.flags import both
from prover.compiler.lower.matmul import product
from prover.compiler.lower.mul import scaled
from prover.compiler.lower.network import (
    HIDDEN,
    Argument,
    Array,
    Flags,
    Masked,
    Network,
    Pending,
    Value,
    permute,
    repeated,
)
from prover.compiler.lower.softmax import shares, softmax
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.quantizer import IntArray

TARGETS = ("aten.scaled_dot_product_attention.default",)
MASKED = ("aten.masked_fill.Scalar", "aten.masked_fill_.Scalar")


def _mask(
    node: Node, args: tuple[Argument, ...], rows: int, columns: int
) -> IntArray | Flags | None:
    """1 where a key is left out."""
    given, dropout, causal = args[3:6]
    if dropout:
        raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
    if given is None:
        return np.triu(np.ones((rows, columns), np.int64), 1) if causal else None
    if isinstance(given, Flags):
        return replace(given, opposite=not given.opposite)
    if not isinstance(given, np.ndarray):
        raise UnsupportedOp(node.name, node.target, "a mask of numbers that depend on the input")
    if given.dtype == np.bool_:
        return (~given).astype(np.int64)
    return (given <= HIDDEN).astype(np.int64)


def _bias(given: Argument) -> Array | None:
    """The finite numbers of a constant mask: ALiBi's slopes, relative places."""
    if not isinstance(given, np.ndarray) or given.dtype == np.bool_:
        return None
    finite = np.where(given <= HIDDEN, 0.0, given)
    return finite if finite.any() else None


def _groups(
    node: Node, args: tuple[Argument, ...], queries: tuple[int, ...], keys: tuple[int, ...]
) -> int:
    """How many heads of queries share one of keys (Ainslie et al. 2023)."""
    if len(args) < 8 or not args[7]:
        return 1
    heads, shared = queries[-3], keys[-3]
    if heads % shared:
        raise UnsupportedOp(node.name, node.target, f"{heads} heads of queries, {shared} of keys")
    return heads // shared


def _scale(args: tuple[Argument, ...], width: int) -> float:
    return 1 / math.sqrt(width) if len(args) < 7 or args[6] is None else float(args[6])


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    q, k, v = args[:3]
    if (groups := _groups(node, args, q.shape, k.shape)) > 1:
        k, v = (np.repeat(a, groups, axis=-3) for a in (k, v))
    scores = q @ k.swapaxes(-1, -2) * _scale(args, q.shape[-1])
    mask = _mask(node, args, *scores.shape[-2:])
    assert not isinstance(mask, Flags)
    if (bias := _bias(args[3])) is not None:
        scores = scores + bias
    ranges.record(f"{node.name}.shares.z", scores)
    if mask is not None:
        scores = np.where(mask == 1, -np.inf, scores)
    return np.asarray(shares(scores) @ v)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    if not all(isinstance(a, Value | np.ndarray) for a in args[:3]):
        raise UnsupportedOp(node.name, node.target, "expected queries, keys and values")
    sides = zip(("queries", "keys", "values"), args[:3], strict=True)
    q, k, v = (net.operand(f"{node.name}.{side}", a) for side, a in sides)
    if (groups := _groups(node, args, q.shape, k.shape)) > 1:
        k, v = (repeated(a, len(a.parts) - 3, groups) for a in (k, v))
    rank = len(k.parts)
    turned = permute(k, (*range(rank - 2), rank - 1, rank - 2))
    shape = (*node.shape[:-1], k.shape[-2])
    name = f"{node.name}.shares"
    scores = product(net, name, q, turned, shape)
    scores = scaled(net, name, scores, _scale(args, q.shape[-1]))
    mask = _mask(node, args, *shape[-2:])
    if (bias := _bias(args[3])) is not None:
        added = replace(node, name=name, target="aten.add.Tensor", shape=shape)
        scores = total(net, added, scores, bias)
    p = softmax(net, name, scores, mask, f"{name}.z")
    return product(net, node.name, p, v, node.shape)


def reference_masked(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, mask, value, *kept = args
    return np.where(np.asarray(mask, bool) != any(kept), value, x)


def lower_masked(net: Network, node: Node, args: tuple[Argument, ...]) -> Masked | Flags:
    x, mask, value, *kept = args
    if isinstance(x, np.ndarray) and isinstance(mask, Flags) and value <= HIDDEN and not x.any():
        return replace(mask, opposite=mask.opposite == any(kept), added=True)
    if isinstance(x, Flags) and x.added and isinstance(mask, np.ndarray) and value <= HIDDEN:
        seen = np.asarray(mask, bool) == any(kept)
        return replace(both(net, node, x, seen), added=True)
    if not isinstance(mask, np.ndarray | Flags) or value > HIDDEN or not isinstance(x, Value):
        raise UnsupportedOp(
            node.name,
            node.target,
            "expected a mask that is constant or made of token ids, and -inf, before a softmax",
        )
    if isinstance(mask, Flags):
        return Masked(x, replace(mask, opposite=mask.opposite != any(kept)))
    return Masked(x, np.asarray(mask, np.int64))
