"""aten.conv1d and conv2d: one contraction over the input's channels for each cell of the kernel.

out[o, y, x] = bias[o] + sum_d sum_i weight[d, o, i] in[i, y + d_y, x + d_x]: a shift is free, so
nothing is copied for a stride of 1 (slide.py has other strides). Groups are a batch axis.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower import rectify
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Lengths,
    Network,
    Pending,
    Plan,
    Value,
    agreed,
    common,
    flat,
    numbered,
    regroup,
    whole,
    window,
)
from prover.compiler.lower.slide import joined, phase, rounded, slid, whole_axes
from prover.compiler.quantize import BIAS_BITS, quantize_linear, stored_bits
from prover.compiler.ranges import Ranges
from prover.compiler.trace import INPUT, PREVIOUS, Graph, Node, Ref
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction

TARGETS = (
    "aten.conv1d.default", "aten.conv1d.padding", "aten.conv2d.default", "aten.conv2d.padding",
)  # fmt: skip
MOST_OFFSETS = 128  # cells of a kernel: a contraction each


class Kernel(NamedTuple):
    """How the kernel walks along each spatial axis."""

    size: Lengths
    stride: Lengths
    before: Lengths  # zeros before the input
    dilation: Lengths

    def starts(self, axis: int) -> list[int]:
        """Where each of its cells reads for the first output."""
        return [d * self.dilation[axis] - self.before[axis] for d in range(self.size[axis])]


def each(value: int | Lengths, rank: int) -> Lengths:
    """One number for each of `rank` axes, as torch lets them be given."""
    given = (value,) if isinstance(value, int) else tuple(value)
    return given * rank if len(given) == 1 else given


def _kernel(node: Node, weight: Array, args: tuple[Argument, ...]) -> tuple[Kernel, int]:
    stride, padding, dilation, groups = args[3:7]
    size = weight.shape[2:]
    rank = len(size)
    stride, dilation = each(stride, rank), each(dilation, rank)
    if padding == "valid":
        padding = 0
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, size, strict=True))
    return Kernel(size, stride, each(padding, rank), dilation), groups


def _checked(node: Node, args: tuple[Argument, ...]) -> tuple[Array, Array]:
    weight, bias = args[1:3]
    if not isinstance(weight, np.ndarray) or isinstance(bias, Value):
        raise UnsupportedOp(node.name, node.target, "expected a constant kernel and bias")
    bias = np.zeros(len(weight)) if bias is None else bias
    for what, array in (("weight", weight), ("bias", bias)):
        if not np.isfinite(array).all():
            raise CompileError(f"{node.name}: expected a finite {what}, got NaN or infinity")
    return weight, bias


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    weight, bias = _checked(node, args)
    kernel, groups = _kernel(node, weight, args)
    rank = len(kernel.size)
    x = args[0] if args[0].ndim == rank + 2 else args[0][None]
    lead, real = (len(x), len(weight)), node.shape[-rank:]
    longer = tuple(map(rounded, real))
    made = _convolved(x, weight, kernel, groups, (*lead, *longer)) + bias.reshape(-1, *(1,) * rank)
    if longer != real:
        ranges.record(f"{node.name}.beyond", made)
    return np.asarray(made[(..., *map(slice, real))].reshape(node.shape))


def _convolved(x: Array, weight: Array, kernel: Kernel, groups: int, shape: Lengths) -> Array:
    """On as many rows and columns as `shape` has."""
    parts = x.reshape(len(x), groups, -1, *x.shape[2:])
    weights = weight.reshape(groups, -1, weight.shape[1], math.prod(kernel.size))
    made = np.zeros((shape[0], groups, weights.shape[1], *shape[2:]))
    for number, at in enumerate(np.ndindex(*kernel.size)):
        seen = parts
        for axis, (d, n) in enumerate(zip(at, shape[2:], strict=True)):
            seen = walked(seen, 3 + axis, kernel.starts(axis)[d], kernel.stride[axis], n)
        made += np.einsum("ngi...,goi->ngo...", seen, weights[..., number])
    return made.reshape(shape)


def walked(x: Array, axis: int, start: int, stride: int, length: int, outside: float = 0) -> Array:
    """x at start, start + stride, ... along an axis."""
    at = start + stride * np.arange(length)
    inside = (at >= 0) & (at < x.shape[axis])
    shape = [1] * x.ndim
    shape[axis] = length
    return np.asarray(
        np.where(inside.reshape(shape), x.take(at.clip(0, x.shape[axis] - 1), axis), outside)
    )


def windows(
    net: Network, name: str, cells: Cells, axes: Lengths, kernel: Kernel, lengths: Lengths
) -> dict[Lengths, Cells]:
    """What each cell of a kernel sees, by its place in the kernel; without those that see nothing
    but zeros."""
    cells = joined(net, name, cells, axes)
    plain = [axis for axis, stride in zip(axes, kernel.stride, strict=True) if stride == 1]
    cells = whole_axes(net, name, cells, plain, math.prod(kernel.size))
    found = {}
    for at in itertools.product(*map(range, kernel.size)):
        seen: Cells | None = cells
        walk = list(zip(axes, enumerate(at), kernel.stride, lengths, strict=True))
        for axis, (a, d), stride, _ in walk:
            start = kernel.starts(a)[d] % stride
            seen = phase(net, name, seen, axis, stride, start) if seen else None
        for axis, (a, d), stride, n in walk:
            seen = slid(seen, axis, kernel.starts(a)[d] // stride, n) if seen else None
        if seen is not None:
            found[at] = seen
    return found


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    """Axes (batch, groups, outputs, rows, columns, inputs), the last one summed."""
    weight, bias = _checked(node, args)
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value to convolve")
    kernel, groups = _kernel(node, weight, args)
    count = math.prod(kernel.size)
    if count > MOST_OFFSETS:
        what = f"a kernel of {count} cells, at most {MOST_OFFSETS}"
        raise UnsupportedOp(node.name, node.target, what)
    rank = len(kernel.size)
    lead, channels = len(args[0].shape) - rank - 1, args[0].shape[-rank - 1]
    spatial = args[0].shape[lead + 1 :]
    shape = (*args[0].shape[:lead], groups, channels // groups, *spatial)
    cells = regroup(net.stored(args[0]), shape)

    plan = net.plan(node.name, node.shape)
    before = agreed(node.name, plan[:lead], (cells, range(lead)))
    outer = _cut(node.name, plan[lead], groups, len(weight) // groups)
    (group,) = agreed(node.name, outer[:1], (cells, [lead]))
    plan = (*before, (*group, *outer[1]), *plan[lead + 1 :])
    if any(len(lengths) > 1 for lengths in plan[lead + 1 :]):
        raise UnsupportedOp(node.name, node.target, f"rows or columns in parts: {plan}")
    net.plans[node.name] = plan

    precision = net.weight_bits, net.per_channel
    integers, offsets, exponent = quantize_linear(weight, bias, cells.exponent, *precision)
    integers = integers.reshape(groups, -1, channels // groups, count).transpose(3, 0, 1, 2)
    inputs = cells.lengths[lead + 1]
    kept = ((count,) if count > 1 else (), group, outer[1], inputs)
    matrix, _ = net.integers(f"{node.name}.weight", integers, kept, stored_bits(*precision), 0)
    space = plan[lead + 1 :]
    if _may_be_longer(net, node):
        space = tuple(tuple(map(rounded, lengths)) for lengths in space)
    axes = numbered((*before, group, outer[1], *space, inputs))
    g, o, *places, i = axes[lead:]
    products = []
    where = tuple(range(lead + 2, lead + 2 + rank))
    lengths = tuple(math.prod(n) for n in space)
    for at, seen in windows(net, node.name, cells, where, kernel, lengths).items():
        own = window(matrix, 0, int(np.ravel_multi_index(at, kernel.size)), 1)
        x, y = net.view(own, ((), g, o, i)), net.view(seen, (*axes[:lead], g, i, *places))
        if not (one(x).axes | one(y).axes):
            raise UnsupportedOp(node.name, node.target, "a convolution of one cell with one")
        products.append(Contraction(one(x), one(y)))
    linear = Affine()
    if offsets.any():
        vector, _ = net.integers(f"{node.name}.bias", offsets, (group, outer[1]), BIAS_BITS, 0)
        linear = one(net.view(vector, (g, o)))
    stored = (*before, (*group, *outer[1]), *space)
    made = net.pending(node.name, stored, exponent, linear, products, flat((inputs,)))
    return replace(made, parts=whole(plan))


def _may_be_longer(net: Network, node: Node) -> bool:
    """Rows and columns in powers of two, where they are near, are fewer boxes for the verifier.
    What lies beyond the real ones is never read, but has to be within the range as well: so only
    where it was, and where a ReLU alone reads the node."""
    beyond = f"{node.name}.beyond"
    if node.name not in net.wide or beyond not in net.ranges.seen:
        return False
    (low, high), (least, most) = net.ranges.of(beyond), net.ranges.of(node.name)
    return least <= low and high <= most


def read_by_relus_alone(graph: Graph) -> frozenset[str]:
    """The convolutions that may be stored longer than they are."""
    read, layers, found, previous = reads(graph), set(), set(), INPUT
    for node in graph.nodes:
        if node.target in TARGETS:
            layers.add(node.name)
        if node.target in rectify.TARGETS:
            source = node.args[0]
            name = source.name if isinstance(source, Ref) else previous
            if name in layers and read[name] == 1:
                found.add(name)
        previous = node.name
    return frozenset(found)


def reads(graph: Graph) -> dict[str, int]:
    """How often each node's value is an argument."""
    given = (INPUT, *(name for name, _ in graph.further))
    count = dict.fromkeys((*given, *(node.name for node in graph.nodes)), 0)
    previous = INPUT

    def see(arg: object) -> None:
        if isinstance(arg, tuple):
            for part in arg:
                see(part)
        elif arg is PREVIOUS or isinstance(arg, Ref):
            count[arg.name if isinstance(arg, Ref) else previous] += 1

    for node in graph.nodes:
        see(node.args)
        previous = node.name
    return count


def _cut(name: str, channel: Lengths, groups: int, each: int) -> Plan:
    """The parts of the output's channels that count groups, and those within a group."""
    (parts,) = common(name, (channel,), (tuple(n for n in (groups, each) if n > 1),))
    first = next(i for i in range(len(parts) + 1) if math.prod(parts[:i]) == groups)
    return parts[:first], parts[first:]
