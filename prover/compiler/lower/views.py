"""Operators that only name cells anew: reshapes, permutations, slices, splits, broadcasts, and
dropout in evaluation mode. They cost no cells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower import reshape
from prover.compiler.lower.network import (
    Argument,
    Array,
    Masked,
    Network,
    Value,
    expand,
    permute,
    regroup,
    window,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node

SAME = (
    *reshape.TARGETS, "aten._unsafe_view.default", "aten.alias.default", "aten.clone.default",
    "aten.detach.default", "aten.dropout_.default",
)  # fmt: skip
PERMUTED = ("aten.transpose.int", "aten.permute.default", "aten.t.default")
SLICED = ("aten.slice.Tensor", "aten.select.int", "aten.narrow.default")
SPLIT = ("aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default")
EXPANDED = ("aten.expand.default",)
TAKEN = ("getitem",)
TARGETS = (*SAME, *PERMUTED, *SLICED, *SPLIT, *EXPANDED, *TAKEN)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Any:
    x = args[0]
    if node.target == "getitem":
        return x[args[1]]
    if node.target in SAME:
        return x.reshape(node.shape)
    if node.target in PERMUTED:
        return x.transpose(_order(node, x.ndim, args))
    if node.target in EXPANDED:
        return np.broadcast_to(x, node.shape)
    if node.target in SPLIT:
        return tuple(_cut(x, *w) for w in _windows(node, x.shape, args))
    return _cut(x, *_window(node, x.shape, args)).reshape(node.shape)


def _cut(x: Array, axis: int, start: int, length: int) -> Array:
    return x[(slice(None),) * axis + (slice(start, start + length),)]


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Any:
    x = args[0]
    if node.target == "getitem":
        return x[args[1]]
    if node.target in SAME:
        if "dropout" in node.target and args[2] is not False:
            raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
        if isinstance(x, Masked):
            return replace(x, value=regroup(x.value, node.shape), mask=_full(x, node))
        return regroup(x, node.shape)
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected one tensor")
    if node.target in PERMUTED:
        return permute(x, _order(node, len(x.parts), args))
    if node.target in EXPANDED:
        return expand(x, node.shape)
    cells = net.stored(x)
    if node.target in SPLIT:
        return tuple(window(cells, *w) for w in _windows(node, x.shape, args))
    cut = window(cells, *_window(node, x.shape, args))
    return regroup(cut, node.shape)


def _full(x: Masked, node: Node) -> Any:
    return np.broadcast_to(x.mask, x.value.shape).reshape(node.shape)


def _order(node: Node, rank: int, args: tuple[Argument, ...]) -> list[int]:
    order = list(range(rank))
    if node.target == "aten.permute.default":
        return [axis % rank for axis in args[1]]
    a, b = (0, rank - 1) if node.target == "aten.t.default" else (args[1] % rank, args[2] % rank)
    order[a], order[b] = order[b], order[a]
    return order


def _window(node: Node, shape: tuple[int, ...], args: tuple[Argument, ...]) -> tuple[int, int, int]:
    """Axis, start, length."""
    axis = args[1] % len(shape)
    if node.target == "aten.select.int":
        return axis, args[2] % shape[axis], 1
    if node.target == "aten.narrow.default":
        return axis, args[2] % shape[axis], args[3]
    start, end, step = slice(args[2], args[3], None).indices(shape[axis])
    if len(args) > 4 and args[4] != 1:
        raise UnsupportedOp(node.name, node.target, f"expected a step of 1, got {args[4]}")
    if step != 1 or end <= start:
        raise CompileError(f"{node.name}: an empty slice")
    return axis, start, end - start


def _windows(
    node: Node, shape: tuple[int, ...], args: tuple[Argument, ...]
) -> list[tuple[int, int, int]]:
    axis = args[2] % len(shape)
    length, size = shape[axis], args[1]
    if node.target == "aten.chunk.default":
        size = math.ceil(length / size)
    sizes = size
    if isinstance(size, int):
        sizes = [min(size, length - at) for at in range(0, length, size)]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [(axis, start, n) for start, n in zip(starts, sizes, strict=True)]
