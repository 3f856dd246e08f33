"""Shifted and strided views: what convolutions, pooling, padding and concatenation read.

A view's coordinate is `x + offset`, and what lies outside a tensor reads as zero: a shift costs
nothing. Every stride-th cell is no view; it is copied, exactly, by an einsum with the public matrix
D[x, X] = [X = stride x], of which phase t is D[x, X - t].
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError
from prover.compiler.lower.network import (
    NOTHING,
    NOWHERE,
    Cells,
    Lengths,
    Network,
    Part,
    Plan,
    flat,
    numbered,
    window,
)
from prover.program.addresses import bits_for
from prover.program.gadgets.shared import one
from prover.program.ir import FIXED, Affine, Contraction, Index, View

WORTH = 16  # terms that a copy must spare the verifier
MOST_PICKED = 1 << 20  # cells of the public matrix of an order
MOST_PADDING = 4 / 3  # of a length: beyond it a power of two is not worth its cells


def slid(cells: Cells, axis: int, start: int, length: int) -> Cells | None:
    """`length` cells of an axis from `start` on, zeros outside; None where all of them are outside.

    For an axis that `whole_axes` has seen.
    """
    part = cells.parts[axis][0] if cells.parts[axis] else None
    if part is None and length > 1:
        raise CompileError(f"{cells.name}: an axis of one cell, read over {length}")
    if start + length <= 0 or start >= (1 if part is None else part.length):
        return None
    if part is None:
        return cells
    if length == 1:
        return window(cells, axis, start, 1)
    moved = Part(part.dim, part.offset + start, length)
    return replace(cells, parts=(*cells.parts[:axis], (moved,), *cells.parts[axis + 1 :]))


def whole_axes(net: Network, name: str, cells: Cells, axes: Sequence[int], reads: int = 1) -> Cells:
    """The same value with nothing but zeros outside the given axes: a copy where they are windows
    of a larger tensor, and where powers of two spare the verifier terms, as each of `reads` views
    to come meets every box of a tensor."""
    cells = joined(net, name, cells, axes)
    if not all(_is_whole(net, cells, axis) for axis in axes):
        cells = _copied(net, f"{name}.whole", cells, cells.lengths)
    plan = tuple(
        tuple(map(rounded, lengths)) if axis in axes else lengths
        for axis, lengths in enumerate(cells.lengths)
    )
    now, then = boxes(net.tensors[cells.tensor].shape), boxes(flat(plan))
    if reads * (now - then) - now - then <= WORTH:
        return cells
    return _copied(net, f"{name}.padded", cells, plan)


def joined(net: Network, name: str, cells: Cells, axes: Sequence[int]) -> Cells:
    """The same value, copied where one of the axes is in several parts, as a reshape left it."""
    for axis in axes:
        inner = cells.lengths[axis]
        if len(inner) < 2:
            continue
        key = (cells.name, cells.tensor, cells.parts, cells.fixed, axis, inner)
        if key not in net.copies:
            n, plan = math.prod(inner), list(cells.lengths)
            plan[axis] = (n,)
            if n * n > MOST_PICKED:
                raise CompileError(f"{name}: an axis of {cells.name} in parts {inner}")
            table = net.table(f"joined{inner}", np.eye(n, dtype=np.int64).reshape(n, *inner))
            every = numbered((*plan, inner))
            view = net.view(cells, [every[-1] if a == axis else every[a] for a in range(len(plan))])
            at = tuple(map(Index, (*every[axis], *every[-1])))
            product = Contraction(one(View(table, at)), one(view))
            made, stored = f"{name}.joined{len(net.copies)}", tuple(plan)
            net.copies[key] = kept(net, made, cells, stored, stored, NOTHING, (product,), inner)
        cells = net.copies[key]
    return cells


def _is_whole(net: Network, cells: Cells, axis: int) -> bool:
    """Whether nothing but zeros, stored or not, lies outside what the value has of an axis."""
    return all(
        part.dim != NOWHERE and part.offset == 0 and part.length == _ends(net, cells)[part.dim]
        for part in cells.parts[axis]
    )


def _ends(net: Network, cells: Cells) -> Lengths:
    """Where the zeros of a tensor begin, along each of its axes."""
    shape = net.tensors[cells.tensor].shape
    ends = net.padded.get(cells.tensor, shape)
    return ends if len(ends) == len(shape) else shape


def _copied(net: Network, name: str, cells: Cells, lengths: Plan) -> Cells:
    """The value as a tensor of its own, zeros after it where the lengths are greater."""
    key = (cells.name, cells.tensor, cells.parts, cells.fixed, lengths)
    if key not in net.copies:
        view = net.view(cells, numbered(lengths))
        made = f"{name}{len(net.copies)}"
        net.copies[key] = kept(net, made, cells, cells.lengths, lengths, one(view))
    return net.copies[key]


def kept(
    net: Network,
    name: str,
    source: Cells,
    plan: Plan,
    stored: Plan,
    linear: Affine = NOTHING,
    contractions: Sequence[Contraction] = (),
    summed: Lengths = (),
    factor: int = 1,
) -> Cells:
    """An exact sum of at most `factor` cells of `source` each, as a tensor of lengths `stored`, of
    which the value has `plan`: zeros follow it."""
    tensor = net.tensors[source.tensor]
    pending = net.pending(name, stored, source.exponent, linear, contractions, summed)
    made = net.exact(pending, name, factor * min(tensor.lo, 0), factor * max(tensor.hi, 0))
    if stored != plan:
        net.padded[made.tensor] = flat(plan)
    parts = tuple(
        tuple(Part(part.dim, 0, n) for part, n in zip(parts, own, strict=True))
        for parts, own in zip(made.parts, plan, strict=True)
    )
    return replace(made, parts=parts)


def boxes(shape: Sequence[int]) -> int:
    """In how many dyadic boxes a tensor is stored (docs/protocol/layout.md#boxes)."""
    return math.prod(n.bit_count() for n in shape)


def rounded(length: int) -> int:
    """The next power of two, where it is near."""
    full = 1 << bits_for(length)
    return full if full <= MOST_PADDING * length else length


def phase(
    net: Network, name: str, cells: Cells, axis: int, stride: int, start: int
) -> Cells | None:
    """Cells start, start + stride, ... of an axis, start < stride, None where there are none; made
    once for all that read the same value."""
    if stride == 1:
        return cells
    if start >= math.prod(cells.lengths[axis]):
        return None
    if not cells.parts[axis]:
        return cells
    key = (cells.name, cells.tensor, cells.parts, cells.fixed, axis, stride, start)
    if key not in net.copies:
        length = -(-(cells.parts[axis][0].length - start) // stride)
        made = f"{name}.phase{len(net.copies)}"
        net.copies[key] = strided(net, made, cells, axis, stride, [start], length, pad=True)
    return net.copies[key]


def strided(
    net: Network,
    name: str,
    cells: Cells,
    axis: int,
    stride: int,
    starts: Sequence[int],
    length: int,
    pad: bool = False,
) -> Cells:
    """out[x] = sum over starts of in[stride x + start], x < length, as a tensor."""
    (part,) = cells.parts[axis]
    plan, own = list(cells.lengths), list(_stored(net, cells))
    plan[axis] = (length,) if length > 1 else ()
    own[axis] = tuple(map(rounded, plan[axis])) if pad else plan[axis]
    summed = len(flat(own))
    every = numbered(tuple(own))
    matrix = every_stride(net, stride, length, part.length)
    row = Index(every[axis][0]) if length > 1 else Index(FIXED)
    picked = tuple((1, View(matrix, (row, Index(summed, -start)))) for start in starts)
    view = net.view(cells, (*every[:axis], (summed,), *every[axis + 1 :]))
    product = Contraction(Affine(picked), one(view))
    return kept(
        net, name, cells, tuple(plan), tuple(own), NOTHING, (product,), (part.length,), len(starts)
    )


def _stored(net: Network, cells: Cells) -> Plan:
    """The lengths with the zeros that follow."""
    shape, ends = net.tensors[cells.tensor].shape, _ends(net, cells)

    def full(part: Part) -> int:
        to_its_end = part.dim != NOWHERE and part.offset == 0 and part.length == ends[part.dim]
        return shape[part.dim] if to_its_end else part.length

    return tuple(tuple(map(full, parts)) for parts in cells.parts)


def every_stride(net: Network, stride: int, rows: int, columns: int) -> int:
    """The public matrix D[x, X] = [X = stride x], in powers of two: one box."""
    columns = max(columns, stride * (rows - 1) + 1)
    height, width = (1 << bits_for(n) for n in (rows, columns))
    picked = stride * np.arange(height)[:, None] == np.arange(width)
    return net.table(f"every{stride}.{height}x{width}", picked.astype(np.int64))


def reordered(net: Network, name: str, cells: Cells, axis: int, places: Sequence[int]) -> Cells:
    """out[x] = in[places[x]] along an axis, as a tensor: an exact sum with the public matrix
    [X = places[x]], of at most MOST_PICKED cells."""
    cells = joined(net, name, cells, (axis,))
    if not cells.parts[axis]:
        raise CompileError(f"{name}: an axis of one cell, read at {len(places)} places")
    (part,) = cells.parts[axis]
    height, width = (1 << bits_for(n) for n in (len(places), part.length))
    if height * width > MOST_PICKED:
        raise CompileError(f"{name}: {part.length} cells in an order that needs {height} x {width}")
    picked = np.zeros((height, width), np.int64)
    picked[np.arange(len(places)), places] = 1
    table = net.table(f"{name}.order", picked)
    plan = list(cells.lengths)
    plan[axis] = (len(places),) if len(places) > 1 else ()
    every, summed = numbered(tuple(plan)), len(flat(plan))
    row = Index(every[axis][0]) if len(places) > 1 else Index(FIXED)
    view = net.view(cells, (*every[:axis], (summed,), *every[axis + 1 :]))
    product = Contraction(one(View(table, (row, Index(summed)))), one(view))
    return kept(net, name, cells, tuple(plan), tuple(plan), NOTHING, (product,), (part.length,))
