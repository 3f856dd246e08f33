"""aten.cat and stack: each piece beside the others along one axis, at the finest of their scales.

A piece is seen through a shift; one that is a window of a larger tensor, or a single cell of the
axis, is multiplied with a public vector of ones that stands where the piece does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower import slide
from prover.compiler.lower.network import (
    NOWHERE,
    Argument,
    Array,
    Cells,
    Lengths,
    Network,
    Part,
    Plan,
    Value,
    agreed,
    match,
    numbered,
    regroup,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one, times
from prover.program.ir import FIXED, Affine, Contraction, Index, View

TARGETS = ("aten.cat.default", "aten.stack.default")


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    join = np.stack if "stack" in node.target else np.concatenate
    return np.asarray(join(args[0], axis=args[1]))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Value:
    axis = args[1] % len(node.shape)
    pieces = []
    for number, piece in enumerate(args[0]):
        made = net.operand(f"{node.name}.constant{number}", piece)
        if "stack" in node.target:
            made = regroup(made, (*made.shape[:axis], 1, *made.shape[axis:]))
        pieces.append(made)
    if not any(isinstance(piece, Value) for piece in args[0]):
        raise UnsupportedOp(node.name, node.target, "expected a value among the pieces")
    return joined(net, node.name, pieces, axis, node.shape)


def joined(
    net: Network, name: str, pieces: Sequence[Cells], axis: int, shape: Sequence[int]
) -> Value:
    """The pieces along an axis; exact, and so not rounded again, where their scales are equal. What
    has that axis in parts which others are no multiples of is copied with it whole."""
    inner = max(math.prod(piece.lengths[axis][1:]) for piece in pieces)
    if any(piece.shape[axis] % inner for piece in pieces):
        pieces = [slide.joined(net, name, piece, (axis,)) for piece in pieces]
    plan = _plan(net, name, pieces, axis, shape)
    net.plans[name] = plan
    axes, exponent = numbered(plan), max(piece.exponent for piece in pieces)
    terms: list[tuple[int, View]] = []
    products: list[Contraction] = []
    at = 0
    for piece in pieces:
        count = piece.shape[axis] // math.prod(plan[axis][1:])
        factor = 1 << exponent - piece.exponent
        view = _moved(net, piece, axis, axes, -at)
        tensor = net.tensors[piece.tensor]
        if _ends(piece.parts[axis][:1], tensor.shape, at, count, plan[axis][0]):
            terms.append((factor, view))
        else:
            ones = net.table(f"ones{count}", np.ones(count, dtype=np.int64))
            place = View(ones, (Index(axes[axis][0], -at),))
            products.append(Contraction(times(one(place), factor), one(view)))
        at += count
    made = net.pending(name, plan, exponent, Affine(tuple(terms)), products)
    tensors = [net.tensors[piece.tensor] for piece in pieces]
    if len({piece.exponent for piece in pieces}) > 1 or any(t.lo < -(1 << 15) for t in tensors):
        return made
    lo, hi = min(0, *(t.lo for t in tensors)), max(0, *(t.hi for t in tensors))
    return net.exact(made, name, lo, hi)


def _ends(own: tuple[Part, ...], shape: Lengths, at: int, count: int, total: int) -> bool:
    """Whether a piece reads zeros all along the axis but where it stands: it is its whole tensor,
    or what it leaves out of that would stand beyond the axis."""
    if not own or own[0].dim == NOWHERE or own[0].length != count:
        return False
    before = own[0].offset == 0 or at == 0
    return before and (own[0].offset + count == shape[own[0].dim] or at + count == total)


def _plan(
    net: Network, name: str, pieces: Sequence[Cells], axis: int, shape: Sequence[int]
) -> Plan:
    """The joined axis may be in parts if each piece is a multiple of the inner ones."""
    planned = net.plan(name, shape)
    every = range(len(shape))
    before = agreed(name, planned[:axis], *((p, every[:axis]) for p in pieces))
    after = agreed(name, planned[axis + 1 :], *((p, every[axis + 1 :]) for p in pieces))
    inner: Lengths = max((planned[axis][1:], *(p.lengths[axis][1:] for p in pieces)), key=len)
    rest = math.prod(inner)
    for piece in pieces:
        if piece.parts[axis] and piece.lengths[axis][1:] != inner:
            match(piece, piece.parts[axis], (piece.shape[axis] // rest, *inner))
    return (*before, (shape[axis] // rest, *inner), *after)


def _moved(net: Network, piece: Cells, axis: int, axes: Sequence[Sequence[int]], by: int) -> View:
    """The piece with the first part of an axis seen `by` cells further on."""
    own = [a if lengths else () for a, lengths in zip(axes, piece.lengths, strict=True)]
    if len(piece.parts[axis]) != len(axes[axis]):
        own[axis] = ()
    view = net.view(piece, own)
    first = axes[axis][0]
    return View(
        view.tensor,
        tuple(
            Index(i.axis, i.offset + by) if i.axis == first and i.axis != FIXED else i
            for i in view.index
        ),
    )
