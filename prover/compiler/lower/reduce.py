"""aten.sum, mean, amax and max over axes: an einsum with ones, and the Max gadget."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.flags import counted
from prover.compiler.lower.mul import scaled
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Cells,
    Flags,
    Network,
    Pending,
    Value,
    flat,
    numbered,
    regroup,
    whole,
)
from prover.compiler.lower.slide import joined
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction, Index, Max, Role, View

SUMS = ("aten.sum.dim_IntList", "aten.sum.default", "aten.mean.dim", "aten.mean.default")
MAXES = ("aten.amax.default", "aten.max.dim", "aten.max.default")
TARGETS = (*SUMS, *MAXES)
ONE = Affine((), 1)


def axes_of(args: tuple[Argument, ...], rank: int) -> tuple[int, ...]:
    """The reduced axes, in order; all of them where none are named."""
    given: Any = args[1] if len(args) > 1 else None
    if given is None or given == ():
        return tuple(range(rank))
    named = (given,) if isinstance(given, int) else given
    return tuple(sorted(axis % rank for axis in named))


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Any:
    x = args[0]
    axes = axes_of(_named(node, args), x.ndim)
    if node.target in MAXES:
        made = x.max(axis=axes)
        if node.target == "aten.max.dim":
            kept = np.expand_dims(made, axes) if args[2] else made
            return np.asarray(kept), x.argmax(axis=axes[0], keepdims=args[2]).astype(np.float64)
    else:
        made = x.mean(axis=axes) if "mean" in node.target else x.sum(axis=axes)
    return np.asarray(made).reshape(node.shape)


def _named(node: Node, args: tuple[Argument, ...]) -> tuple[Argument, ...]:
    return args[:1] if node.target.endswith(".default") and "amax" not in node.target else args


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Any:
    x = counted(net, node, args[0]) if isinstance(args[0], Flags) else args[0]
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells = (net.ordered if node.target in MAXES else net.stored)(x)
    axes = axes_of(_named(node, args), len(cells.parts))
    if node.target not in MAXES:
        made = summed(net, node.name, cells, axes)
        if "mean" in node.target:
            count = math.prod(cells.shape[axis] for axis in axes)
            made = scaled(net, node.name, made, 1 / count)
        return regroup(made, node.shape)
    top = greatest(net, node, cells, axes)
    if node.target != "aten.max.dim":
        return regroup(top, node.shape)
    kept = [1 if axis in axes else n for axis, n in enumerate(cells.shape)]
    return (regroup(top, kept) if args[2] else top), None  # where it stands is aten.argmax's


def summed(net: Network, name: str, cells: Cells, axes: tuple[int, ...]) -> Pending:
    """sum over axes, which go; exact."""
    left = [axis for axis in range(len(cells.parts)) if axis not in axes]
    plan = tuple(cells.lengths[axis] for axis in left)
    inner = tuple(cells.lengths[axis] for axis in axes)
    every = numbered((*plan, *inner))
    places = dict(zip((*left, *axes), every, strict=True))
    view = one(net.view(cells, [places[axis] for axis in range(len(cells.parts))]))
    net.plans[name] = plan
    if not flat(inner):
        return net.pending(name, plan, cells.exponent, view)
    return net.pending(name, plan, cells.exponent, Affine(), (Contraction(view, ONE),), flat(inner))


def greatest(net: Network, node: Node, cells: Cells, axes: tuple[int, ...]) -> Cells:
    """The greatest along one axis, as a tensor."""
    axes = tuple(axis for axis in axes if cells.parts[axis]) or axes[:1]
    if len(axes) == 1:
        cells = joined(net, node.name, cells, axes)
    if len(axes) != 1 or len(cells.parts[axes[0]]) != 1:
        what = f"expected one axis of more than one cell, got {[cells.lengths[a] for a in axes]}"
        raise UnsupportedOp(node.name, node.target, what)
    (axis,) = axes
    left = [a for a in range(len(cells.parts)) if a != axis]
    plan = tuple(cells.lengths[a] for a in left)
    every = numbered((*plan, cells.lengths[axis]), 0 if flat(plan) else 1)
    places = dict(zip((*left, axis), every, strict=True))
    view = net.view(cells, [places[a] for a in range(len(cells.parts))])
    lead, n = flat(plan) or (1,), cells.shape[axis]
    lengths = (*lead, n)
    tensor = net.tensors[cells.tensor]
    named = [(i, dim) for i, dim in zip(view.index, tensor.shape, strict=True) if i.axis >= 0]
    if any(i.offset or lengths[i.axis] != dim for i, dim in named):  # a lookup's column is whole
        copied = net.pending(f"{node.name}.of", (lead, (n,)), cells.exponent, one(view))
        made = net.exact(copied, f"{node.name}.of", tensor.lo, tensor.hi)
        view = View(made.tensor, tuple(map(Index, range(len(lengths)))))
    out = net.tensor(node.name, lead, Role.ACTIVATION, tensor.lo, tensor.hi)
    net.ops.append(Max(out, lengths, one(view), BITS))
    net.plans[node.name] = plan
    fixed = () if flat(plan) else ((0, 0),)
    return Cells(node.name, whole(plan), cells.exponent, out, len(lead), fixed)
