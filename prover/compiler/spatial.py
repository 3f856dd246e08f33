"""Borders, other sizes, windows of several sizes, as `einproof.along` with a constant matrix for
each axis (lower/along.py); transposed convolutions, which are convolutions of a spread input.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.along import Matrix, picked
from prover.compiler.lower.conv import each
from prover.compiler.nodes import Rule, Several, Shapes
from prover.compiler.trace import Node, Ref

# --- borders and sizes ---

BORDERS = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}
NAMED = {"reflection": "reflect", "replication": "edge"}


def _bordered(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Borders of what is inside; of a constant, zeros and then that constant there."""
    x, counts = node.args[:2]
    mode = node.args[2] if node.target == "aten.pad.default" else "constant"
    kind = BORDERS.get(mode) or next((k for n, k in NAMED.items() if n in node.target), None)
    made = Several(node, shapes)
    pairs = list(zip(counts[::2], counts[1::2], strict=True))[::-1]
    first = len(node.shape) - len(pairs)
    if kind is None:
        value = node.args[3 if node.target == "aten.pad.default" else 2]
        if mode != "constant" or not value or min(counts) < 0:
            return [node]
        args = (x, counts, 0.0) if "_nd" in node.target else (x, counts, "constant", 0.0)
        zeros = made.add("zeros", node.target.removeprefix("aten."), node.shape, *args)
        outside = np.full(node.shape, float(value))
        sizes = zip(pairs, node.shape[first:], strict=True)
        outside[(..., *(slice(before, n - after) for (before, after), n in sizes))] = 0
        return made.ending("add.Tensor", zeros, outside, 1)
    if min(counts) < 0:
        raise UnsupportedOp(node.name, node.target, f"expected cells more, got {counts}")
    for axis, pair in enumerate(pairs, first):
        if any(pair):
            n = made.shape(x)[axis]
            around: Any = np.pad(np.arange(n), pair, mode=kind)  # type: ignore[call-overload]
            x = made.along(f"axis{axis}", x, axis, picked(around, n))
    return made.seen(x)


def _resized(node: Node, shapes: Shapes) -> Iterable[Node]:
    """The nearest cell, or the two beside a place by their distances, axis by axis."""
    made, x = Several(node, shapes), node.args[0]
    linear = "linear" in node.target
    corners = node.args[2] if linear else False
    factors = node.args[3 if linear else 2]
    rank = 2 if "2d" in node.target else 1
    for number, m in enumerate(node.shape[-rank:]):
        axis = len(node.shape) - rank + number
        n = made.shape(x)[axis]
        step = 1 / factors[number] if factors else n / m
        if linear:
            matrix = _between(n, m, step, corners)
        else:
            matrix = picked(np.floor(np.arange(m) * step).astype(np.int64).clip(0, n - 1), n)
        if not np.array_equal(matrix, np.eye(n)):
            x = made.along(f"axis{axis}", x, axis, matrix)
    return made.seen(x)


def _between(n: int, m: int, step: float, corners: bool) -> Matrix:
    at = np.arange(m) * ((n - 1) / max(m - 1, 1)) if corners else (np.arange(m) + 0.5) * step - 0.5
    at = at.clip(0, n - 1)
    left = np.floor(at).astype(np.int64)
    part = (at - left)[:, None]
    right = (left + 1).clip(0, n - 1)
    return np.asarray(picked(left, n) * (1 - part) + picked(right, n) * part)


# --- windows of several sizes ---


def _average(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Where windows differ in how many cells they have, each axis by itself; as they are, where
    they do not."""
    rank = 1 if "1d" in node.target else 2
    x, kernel, stride, padding, ceil, include, *divisor = node.args
    size, walk = each(kernel, rank), each(stride or kernel, rank)
    before, number = each(padding, rank), divisor[0] if divisor else None
    windows, over = [], False
    lengths = shapes(x)[-rank:], node.shape[-rank:]
    for n, m, k, s, b in zip(*lengths, size, walk, before, strict=True):
        starts = np.arange(m) * s - b
        ends = np.minimum(starts + k, n + b)
        low, high = starts.clip(0), ends.clip(0, n)
        windows.append((low, high, ends - starts if include else high - low))
        over = over or bool((starts + k > n + b).any())
    if over or number is not None or (any(before) and (not include or ceil)):
        return _windowed(node, shapes, windows, number)
    return [node]


def _adaptive(node: Node, shapes: Shapes) -> Iterable[Node]:
    """Windows from floor(i n / m) to ceil((i + 1) n / m)."""
    rank = 1 if "1d" in node.target else 2
    pairs = list(zip(shapes(node.args[0])[-rank:], node.shape[-rank:], strict=True))
    if all(n % m == 0 for n, m in pairs):
        return [node]
    windows = []
    for n, m in pairs:
        low, high = np.arange(m) * n // m, -(-(np.arange(m) + 1) * n // m)
        windows.append((low, high, high - low))
    return _windowed(node, shapes, windows, None)


def _windowed(
    node: Node, shapes: Shapes, windows: Sequence[tuple[Any, Any, Any]], divisor: int | None
) -> Iterable[Node]:
    """The cells from `low` to `high` along each axis, divided by a count."""
    made, x = Several(node, shapes), node.args[0]
    for number, (low, high, count) in enumerate(windows):
        axis = len(node.shape) - len(windows) + number
        at = np.arange(made.shape(x)[axis])
        inside = (at >= low[:, None]) & (at < high[:, None])
        matrix = inside / count[:, None] if divisor is None else inside.astype(np.int64)
        x = made.along(f"axis{axis}", x, axis, matrix)
    return made.seen(x) if divisor is None else made.ending("div.Scalar", x, float(divisor))


def _adaptive_most(node: Node, shapes: Shapes) -> Iterable[Node]:
    """The greatest of windows of one size."""
    rank = 1 if "1d" in node.target else 2
    x, wanted, given = node.args[0], node.shape[-rank:], shapes(node.args[0])[-rank:]
    if any(n % m for n, m in zip(given, wanted, strict=True)):
        what = f"expected windows of one size, got {given} to {wanted}"
        raise UnsupportedOp(node.name, node.target, what)
    size = tuple(n // m for n, m in zip(given, wanted, strict=True))
    one, none = (1,) * rank, (0,) * rank
    return Several(node, shapes).ending(f"max_pool{rank}d.default", x, size, size, none, one, False)


# --- transposed convolutions ---


def _transposed(node: Node, shapes: Shapes) -> Iterable[Node]:
    """out[s x + d - p] += W[d] in[x]: in with zeros between its cells and around them, convolved
    with the kernel turned round (Dumoulin and Visin 2016, section 4)."""
    x, weight, bias, stride, padding, more, groups, dilation = node.args
    if not isinstance(weight, np.ndarray) or isinstance(bias, Ref):
        raise UnsupportedOp(node.name, node.target, "expected a constant kernel and bias")
    made, rank = Several(node, shapes), weight.ndim - 2
    stride, padding, more, dilation = (each(v, rank) for v in (stride, padding, more, dilation))
    for number, k in enumerate(weight.shape[2:]):
        axis = len(node.shape) - rank + number
        n, s = made.shape(x)[axis], stride[number]
        around = dilation[number] * (k - 1) - padding[number]
        at = np.arange((n - 1) * s + 1 + 2 * around + more[number]) - around
        spread = (at[:, None] == s * np.arange(n)).astype(np.int64)
        if not np.array_equal(spread, np.eye(n)):
            x = made.along(f"axis{axis}", x, axis, spread)
    inputs, each_group, *size = weight.shape
    parts = weight.reshape(groups, inputs // groups, each_group, *size).swapaxes(1, 2)
    turned = parts.reshape(groups * each_group, inputs // groups, *size)
    turned = np.ascontiguousarray(np.flip(turned, tuple(range(2, 2 + rank))))
    one, none = (1,) * rank, (0,) * rank
    return made.ending(f"conv{rank}d.default", x, turned, bias, one, none, dilation, groups)


def _spread_pixels(node: Node, shapes: Shapes) -> Iterable[Node]:
    """pixel_shuffle: a transposed convolution, each channel to its place in a square (Shi et al.
    2016)."""
    x, side = node.args
    weight = _squares(node.shape[-3], side)
    none, pair = (0, 0), (side, side)
    args = (x, weight, None, pair, none, none, 1, (1, 1))
    return _transposed(replace(node, args=args), shapes)


def _gathered_pixels(node: Node, shapes: Shapes) -> Iterable[Node]:
    """pixel_unshuffle: its inverse."""
    x, side = node.args
    weight, pair = _squares(node.shape[-3] // side**2, side), (side, side)
    made = Several(node, shapes)
    return made.ending("conv2d.default", x, weight, None, pair, (0, 0), (1, 1), 1)


def _squares(channels: int, side: int) -> Matrix:
    """1 for channel c side^2 + i side + j, in c's cell (i, j)."""
    every = np.eye(channels * side**2)
    return every.reshape(-1, channels, side, side)


RULES: dict[str, Rule] = {
    "aten.pad.default": _bordered,
    "aten.constant_pad_nd.default": _bordered,
    "aten.reflection_pad1d.default": _bordered,
    "aten.reflection_pad2d.default": _bordered,
    "aten.replication_pad1d.default": _bordered,
    "aten.replication_pad2d.default": _bordered,
    "aten.upsample_nearest1d.vec": _resized,
    "aten.upsample_nearest2d.vec": _resized,
    "aten.upsample_linear1d.vec": _resized,
    "aten.upsample_bilinear2d.vec": _resized,
    "aten.avg_pool1d.default": _average,
    "aten.avg_pool2d.default": _average,
    "aten.adaptive_avg_pool1d.default": _adaptive,
    "aten.adaptive_avg_pool2d.default": _adaptive,
    "einproof.adaptive_max_pool1d": _adaptive_most,
    "einproof.adaptive_max_pool2d": _adaptive_most,
    "aten.conv_transpose1d.default": _transposed,
    "aten.conv_transpose2d.input": _transposed,
    "aten.pixel_shuffle.default": _spread_pixels,
    "aten.pixel_unshuffle.default": _gathered_pixels,
}
