"""Max and average pooling over rows and columns, and averages down to one cell.

The windows are shifted views of the phases (slide.py). Averages go axis by axis: each sums its
windows by one einsum. The maximum of windows w_0, w_1, ... is w_0 + u_1 + u_2 + ..., with
u_i = relu(w_i - (w_0 + u_1 + ... + u_(i-1))): exact, and nothing but range checks of differences.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.conv import Kernel, each, walked, windows
from prover.compiler.lower.mul import scaled
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Lengths,
    Network,
    Pending,
    Plan,
    Value,
    flat,
    numbered,
    regroup,
    whole,
)
from prover.compiler.lower.rectify import above
from prover.compiler.lower.reduce import summed
from prover.compiler.lower.slide import reordered, rounded, strided, whole_axes
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine

MAX = ("aten.max_pool1d.default", "aten.max_pool2d.default")
AVERAGE = ("aten.avg_pool1d.default", "aten.avg_pool2d.default")
ADAPTIVE = ("aten.adaptive_avg_pool1d.default", "aten.adaptive_avg_pool2d.default")
TARGETS = (*MAX, *AVERAGE, *ADAPTIVE)


def _kernel(node: Node, shape: Lengths, args: tuple[Argument, ...]) -> Kernel:
    rank = 1 if "1d" in node.target else 2
    if node.target in ADAPTIVE:
        wanted, given = node.shape[-rank:], shape[-rank:]
        if any(n % m for n, m in zip(given, wanted, strict=True)):
            what = f"expected windows of one size, got {given} to {wanted}"
            raise UnsupportedOp(node.name, node.target, what)
        size = tuple(n // m for n, m in zip(given, wanted, strict=True))
        return Kernel(size, size, (0,) * rank, (1,) * rank)
    size = each(args[1], rank)
    stride = each(args[2], rank) if args[2] else size
    padding = each(args[3], rank)
    dilation = each(args[4], rank) if node.target in MAX else (1,) * rank
    if node.target in AVERAGE:
        divisor = args[6] if len(args) > 6 else None
        if any(padding) and not args[5]:
            raise UnsupportedOp(node.name, node.target, "averages of fewer cells at the border")
        if args[4] and any(padding):
            raise UnsupportedOp(node.name, node.target, "ceil_mode with padding")
        if divisor is not None:
            raise UnsupportedOp(node.name, node.target, f"a divisor of its own, {divisor}")
    made = Kernel(size, stride, padding, dilation)
    for axis in range(rank):  # ceil_mode: a window may begin inside and end outside
        n, k = node.shape[axis - rank], (size[axis] - 1) * dilation[axis] + 1
        end = (n - 1) * stride[axis] + k - padding[axis]
        if node.target in AVERAGE and end > shape[axis - rank] + padding[axis]:
            raise UnsupportedOp(node.name, node.target, "averages of fewer cells at the border")
    return made


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    kernel = _kernel(node, args[0].shape, args)
    rank = len(kernel.size)
    seen = []
    for at in np.ndindex(*kernel.size):
        window = args[0]
        for axis, d in enumerate(at):
            place = window.ndim - rank + axis
            n, start = node.shape[axis - rank], kernel.starts(axis)[d]
            outside = -np.inf if node.target in MAX else 0.0
            window = walked(window, place, start, kernel.stride[axis], n, outside)
        seen.append(window)
    return np.asarray(np.max(seen, axis=0) if node.target in MAX else np.mean(seen, axis=0))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Value:
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells = net.stored(args[0])
    kernel = _kernel(node, cells.shape, args)
    axes = tuple(range(len(cells.parts) - len(kernel.size), len(cells.parts)))
    if node.target in MAX:
        return _greatest(net, node, cells, axes, kernel)
    if kernel.size == tuple(cells.shape[a] for a in axes) and not any(kernel.before):
        total = summed(net, node.name, cells, axes)
    else:
        total = _sums(net, node, cells, axes, kernel)
    return regroup(scaled(net, node.name, total, 1 / math.prod(kernel.size)), node.shape)


def _bordered(
    net: Network, node: Node, cells: Cells, axes: Lengths, kernel: Kernel
) -> tuple[Cells, Kernel]:
    """With the cells at its border beyond it, too: a window that leaves the input has them, unless
    it is dilated."""
    if max(kernel.dilation) > 1:
        what = "dilated windows that leave an input which may be negative"
        raise UnsupportedOp(node.name, node.target, what)
    for number, axis in enumerate(axes):
        size, stride, before = (v[number] for v in (kernel.size, kernel.stride, kernel.before))
        n, end = cells.shape[axis], (node.shape[axis] - 1) * stride + size - before
        if n > 1 and (before or end > n):
            places = np.arange(-before, max(end, n)).clip(0, n - 1)
            name = f"{node.name}.border{number}"
            cells = reordered(net, name, cells, axis, places.tolist())
    return cells, kernel._replace(before=(0,) * len(axes))


def _planned(node: Node, cells: Cells, axes: Lengths) -> Plan:
    return tuple(
        ((n,) if n > 1 else ()) if axis in axes else cells.lengths[axis]
        for axis, n in enumerate(node.shape)
    )


def _sums(net: Network, node: Node, cells: Cells, axes: Lengths, kernel: Kernel) -> Pending:
    """The sum over each window."""
    for number, axis in enumerate(axes):
        if not cells.parts[axis]:
            continue
        cells = whole_axes(net, node.name, cells, [axis])
        name, starts = f"{node.name}.sums{number}", kernel.starts(number)
        cells = strided(net, name, cells, axis, kernel.stride[number], starts, node.shape[axis])
    net.plans[node.name] = _planned(node, cells, axes)
    return net.accumulated(cells, node.name, net.plans[node.name])


def _greatest(net: Network, node: Node, cells: Cells, axes: Lengths, kernel: Kernel) -> Cells:
    """The greatest of each window. Outside the input nothing counts, and zero is nothing only
    beside what is never negative."""
    lengths = tuple(node.shape[axis] for axis in axes)
    tensor = net.tensors[cells.tensor]
    reaches = any(
        start < 0 or start + (n - 1) * stride >= cells.shape[axis]
        for a, (axis, n, stride) in enumerate(zip(axes, lengths, kernel.stride, strict=True))
        for start in kernel.starts(a)
    )
    if reaches and tensor.lo < 0:
        cells, kernel = _bordered(net, node, cells, axes, kernel)
        reaches = False
    plan = _planned(node, cells, axes)
    net.plans[node.name] = plan
    stored = tuple(tuple(map(rounded, n)) if axis in axes else n for axis, n in enumerate(plan))
    longer = tuple(math.prod(stored[axis]) for axis in axes)
    seen = windows(net, node.name, cells, axes, kernel, longer)
    every = numbered(stored)
    first, *others = [net.view(window, every) for window in seen.values()]
    top = one(first)
    for number, other in enumerate(others):
        below = tuple((-c, view) for c, view in top.terms)
        more = above(net, f"{node.name}.above{number}", stored, Affine(((1, other), *below)))
        top = Affine((*top.terms, (1, net.view(more, every))))
    made = net.pending(node.name, stored, cells.exponent, top)
    kept = net.exact(made, node.name, min(tensor.lo, 0), max(tensor.hi, 0))
    left = [
        cells.shape[axis] - node.shape[axis] * stride
        for axis, stride in zip(axes, kernel.stride, strict=True)
    ]
    if stored != plan and kernel.size == kernel.stride and not reaches and max(left) <= 0:
        net.padded[kept.tensor] = flat(plan)  # all windows beyond its end are of zeros
    return replace(kept, parts=whole(plan))
