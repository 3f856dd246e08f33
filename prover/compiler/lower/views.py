"""Operators that only name cells anew: reshapes, permutations, slices, splits, broadcasts, and
dropout in evaluation mode. They cost no cells."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower import along, reshape
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Flags,
    Masked,
    Network,
    Value,
    aligned,
    expand,
    permute,
    regroup,
    repeated,
    window,
)
from prover.compiler.nodes import kind_of
from prover.compiler.ranges import Ranges
from prover.compiler.trace import INPUT, Node

SAME = (
    *reshape.TARGETS, "aten._unsafe_view.default", "aten.alias.default", "aten.clone.default",
    "aten.detach.default",
)  # fmt: skip
SWAPPED = ("aten.transpose.int", "aten.swapaxes.default", "aten.swapdims.default")
TURNED = ("aten.t.default", "aten.mT.default")
PERMUTED = (
    *SWAPPED, *TURNED, "aten.permute.default", "aten.movedim.int", "aten.movedim.intlist",
    "aten.numpy_T.default",
)  # fmt: skip
SLICED = ("aten.slice.Tensor", "aten.select.int", "aten.narrow.default")
SPLIT = (
    "aten.split.Tensor", "aten.split_with_sizes.default", "aten.chunk.default", "aten.unbind.int",
)  # fmt: skip
EXPANDED = ("aten.expand.default", "aten.expand_as.default", "aten.broadcast_to.default")
REPEATED = ("aten.repeat_interleave.self_int",)
CASTS = (
    "aten.to.dtype", "aten.to.dtype_layout", "aten.to.device", "aten._to_copy.default",
)  # fmt: skip
WIDE = ("torch.int16", "torch.int32", "torch.int64")  # what holds every id
TAKEN = ("getitem",)
TARGETS = (*SAME, *PERMUTED, *SLICED, *SPLIT, *EXPANDED, *REPEATED, *CASTS, *TAKEN)


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
    if node.target in REPEATED:
        return np.repeat(x, args[1], axis=_repeats(node, x.ndim, args)).reshape(node.shape)
    if node.target in CASTS:
        return np.asarray(x, dtype=np.float64)
    if node.target in SPLIT:
        cuts = (_cut(x, *w) for w in _windows(node, x.shape, args))
        return tuple(c.squeeze(args[1]) for c in cuts) if "unbind" in node.target else tuple(cuts)
    return _cut(x, *_window(node, x.shape, args)).reshape(node.shape)


def _cut(x: Array, axis: int, start: int, length: int, step: int = 1) -> Array:
    return x[(slice(None),) * axis + (slice(start, start + length, step),)]


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Any:
    x = args[0]
    if node.target == "getitem":
        return x[args[1]]
    if node.target in SAME:
        if "dropout" in node.target and args[2] is not False:
            raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
        if isinstance(x, Masked):
            return replace(x, value=regroup(x.value, node.shape), mask=_full(x, node))
        if isinstance(x, Flags):
            return replace(x, cells=regroup(x.cells, node.shape))
        return regroup(x, node.shape)
    if node.target in CASTS:
        return _cast(net, node, x)
    if isinstance(x, Flags) and node.target in (*EXPANDED, *PERMUTED, *SLICED):
        return replace(x, cells=lower(net, node, (x.cells, *args[1:])))
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected one tensor")
    if node.target in PERMUTED:
        return permute(x, _order(node, len(x.parts), args))
    if node.target in EXPANDED:
        return expand(x, node.shape)
    if node.target in REPEATED:
        return repeated(x, _repeats(node, len(x.parts), args), args[1])
    cells = net.stored(x)
    if node.target in SPLIT:
        cuts = (window(cells, *w) for w in _windows(node, x.shape, args))
        if "unbind" in node.target:
            shape = tuple(np.delete(x.shape, args[1]))
            return tuple(regroup(c, shape) for c in cuts)
        return tuple(cuts)
    axis, start, length, step = _window(node, x.shape, args)
    if step > 1 and length > step:
        places = range(start, start + length, step)
        return along.lower(net, node, (cells, axis, along.picked(places, x.shape[axis])))
    return regroup(window(cells, axis, start, 1 if step > 1 else length), node.shape)


def _cast(net: Network, node: Node, x: Argument) -> Any:
    """Integers have no fractions; truth values become 0 and 1."""
    kind = kind_of(node)
    if isinstance(x, Flags):
        if "bool" in kind:
            return x
        if not x.opposite:
            return x.cells
        plan = aligned(net, node.name, node.shape, x.cells)
        made = net.accumulated(x.cells, node.name, plan, -1)
        linear = replace(made.expr.linear, const=1)
        return replace(made, expr=replace(made.expr, linear=linear))
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    if "bool" in kind:
        raise UnsupportedOp(node.name, node.target, "a cast to truth values: compare with 0")
    if "int" in kind and not (isinstance(x, Cells) and x.name == INPUT and not x.exponent):
        raise UnsupportedOp(node.name, node.target, "a cast to integers, which cuts fractions off")
    if "int" in kind and kind not in WIDE:
        what = f"a cast to {kind}, in which ids wrap around: expected one of {', '.join(WIDE)}"
        raise UnsupportedOp(node.name, node.target, what)
    return x


def _repeats(node: Node, rank: int, args: tuple[Argument, ...]) -> int:
    if not isinstance(args[1], int) or args[2] is None:
        raise UnsupportedOp(node.name, node.target, "expected one number of times, and an axis")
    return int(args[2] % rank)


def _full(x: Masked, node: Node) -> Any:
    if isinstance(x.mask, Flags):
        if x.value.shape != node.shape:
            raise UnsupportedOp(node.name, node.target, "a reshape between a mask and its softmax")
        return x.mask
    return np.broadcast_to(x.mask, x.value.shape).reshape(node.shape)


def _order(node: Node, rank: int, args: tuple[Argument, ...]) -> list[int]:
    """Which axis of x each axis of the result is."""
    order = list(range(rank))
    if node.target == "aten.permute.default":
        return [axis % rank for axis in args[1]]
    if node.target == "aten.numpy_T.default":
        return order[::-1]
    if "movedim" in node.target:
        source, place = (np.atleast_1d(a) % rank for a in args[1:3])
        order = [axis for axis in order if axis not in source]
        for to, axis in sorted(zip(place.tolist(), source.tolist(), strict=True)):
            order.insert(to, axis)
        return order
    if node.target in SWAPPED:
        a, b = args[1] % rank, args[2] % rank
        order[a], order[b] = order[b], order[a]
    elif rank > 1:
        order[-2:] = order[:-3:-1]
    return order


def _window(
    node: Node, shape: tuple[int, ...], args: tuple[Argument, ...]
) -> tuple[int, int, int, int]:
    """Axis, start, length, step."""
    axis = args[1] % len(shape)
    if node.target == "aten.select.int":
        return axis, args[2] % shape[axis], 1, 1
    if node.target == "aten.narrow.default":
        return axis, args[2] % shape[axis], args[3], 1
    start, end, _ = slice(args[2], args[3], None).indices(shape[axis])
    if end <= start:
        raise CompileError(f"{node.name}: an empty slice")
    return axis, start, end - start, args[4] if len(args) > 4 else 1


def _windows(
    node: Node, shape: tuple[int, ...], args: tuple[Argument, ...]
) -> list[tuple[int, int, int]]:
    if node.target == "aten.unbind.int":
        return [(args[1] % len(shape), i, 1) for i in range(shape[args[1]])]
    axis = args[2] % len(shape)
    length, size = shape[axis], args[1]
    if node.target == "aten.chunk.default":
        size = math.ceil(length / size)
    sizes = size
    if isinstance(size, int):
        sizes = [min(size, length - at) for at in range(0, length, size)]
    starts = [sum(sizes[:i]) for i in range(len(sizes))]
    return [(axis, start, n) for start, n in zip(starts, sizes, strict=True)]
