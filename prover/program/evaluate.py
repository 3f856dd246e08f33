"""Views, affine combinations and einsum expressions of integer tensors, in int64 numpy.

Weights come as they are stored, in fewer bits, and are never widened as a whole: only a matrix
product, which takes them piece by piece, sees them so (`stored_values`).

Overflow is excluded by the bounds that `validate` computes, not by checks here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prover.errors import EinproofError
from prover.program.ir import FIXED, Affine, Contraction, Expr, View

Ints: TypeAlias = npt.NDArray[np.int64]
Stored: TypeAlias = npt.NDArray[np.signedinteger[Any]]  # of 64 bits or fewer
Values: TypeAlias = Mapping[int, Stored]
PIECE = 1 << 17  # cells that are converted at a time: they stay in a core's cache


class ValueRefused(EinproofError):
    """A tensor that is missing, of another shape or type, or outside its range."""


def within(values: npt.NDArray[Any], lo: int, hi: int, name: str) -> None:
    """Raises ValueRefused, naming the tensor, unless all values are in [lo, hi]."""
    low, high = int(values.min()), int(values.max())
    if low < lo or high > hi:
        raise ValueRefused(f"{name}: expected values in [{lo}, {hi}], got [{low}, {high}]")


def in_bytes(cells: Stored, kind: str) -> Iterator[bytes]:
    """The cells in row-major order as integers of a numpy type, a piece at a time."""
    flat = cells.reshape(-1)
    for start in range(0, flat.size, PIECE):
        yield flat[start : start + PIECE].astype(kind).tobytes()


def view_values(view: View, lengths: Sequence[int], axes: Sequence[int], values: Values) -> Stored:
    """V[map(x)] for x over the chosen axes (lengths[a] each), zero outside V; a broadcast axis has
    length 1."""
    cells = values[view.tensor]
    for dim, index in enumerate(view.index):  # cut each dimension to what its axis sees
        if index.axis == FIXED:
            length, offset = 1, index.offset
        else:
            length, offset = lengths[index.axis], index.offset
        start, stop = max(offset, 0), min(offset + length, cells.shape[dim])
        kept = cells[(slice(None),) * dim + (slice(start, max(start, stop)),)]
        before = min(max(-offset, 0), length)
        pad = [(0, 0)] * cells.ndim
        pad[dim] = (before, length - before - kept.shape[dim])
        cells = np.pad(kept, pad) if any(pad[dim]) else kept
    kept_dims = [d for d, i in enumerate(view.index) if i.axis != FIXED]
    cells = cells.reshape([cells.shape[d] for d in kept_dims])
    order = [view.index[d].axis for d in kept_dims]
    cells = cells.transpose([order.index(a) for a in axes if a in order])
    return cells.reshape([lengths[a] if a in order else 1 for a in axes])


def affine_values(
    affine: Affine, lengths: Sequence[int], axes: Sequence[int], values: Values
) -> Ints:
    """sum coef * view + const over the chosen axes; int64, of full shape."""
    return stored_values(affine, lengths, axes, values).astype(np.int64, copy=False)


def stored_values(
    affine: Affine, lengths: Sequence[int], axes: Sequence[int], values: Values
) -> Stored:
    """The same; one view by itself, such as a large weight, is not copied, and of its own type."""
    shape = [lengths[a] for a in axes]
    if len(affine.terms) == 1 and affine.terms[0][0] == 1 and not affine.const:
        return np.broadcast_to(view_values(affine.terms[0][1], lengths, axes, values), shape)
    total = np.asarray(affine.const, dtype=np.int64)
    for coef, view in affine.terms:
        cells = view_values(view, lengths, axes, values).astype(np.int64, copy=False)
        total = total + (cells if coef == 1 else coef * cells)
    return np.broadcast_to(total, shape)


def contraction_values(expr: Expr, c: Contraction, values: Values) -> Ints:
    """sum over the summed axes of X * Y, over the free axes of expr in order."""
    batch, inner, y_free = expr.batch(c), expr.summed(c), expr.y_free(c)
    x_free = tuple(a for a in expr.x_free(c) if a in c.x.axes)  # not those that nothing names
    x = stored_values(c.x, expr.axes, batch + x_free + inner, values)
    y = stored_values(c.y, expr.axes, batch + y_free + inner, values)

    def size(axes: tuple[int, ...]) -> int:
        return int(np.prod([expr.axes[a] for a in axes], dtype=np.int64))

    x = x.reshape(size(batch), size(x_free), size(inner))
    y = y.reshape(size(batch), size(y_free), size(inner))
    z = matmul_int64(x, y.transpose(0, 2, 1))
    order = batch + x_free + y_free
    z = z.reshape([expr.axes[a] for a in order])
    named = sorted(order)
    z = z.transpose([order.index(a) for a in named])
    free = range(expr.free)
    z = z.reshape([expr.axes[a] if a in named else 1 for a in free])
    return np.broadcast_to(z, [expr.axes[a] for a in free])


def matmul_int64(x: Stored, y: Stored) -> Ints:
    """x @ y exactly, of (b, m, k) and (b, k, n): through float64 where every partial sum is below
    2^53, else in int64."""
    reach = _reach(x) * _reach(y) * x.shape[-1]
    if reach >= 1 << 53:
        wide = (x.astype(np.int64, copy=False), y.astype(np.int64, copy=False))
        return np.asarray(np.matmul(*wide), dtype=np.int64)
    if x.size > y.size:  # the smaller one is converted whole, the larger one piece by piece
        return matmul_int64(y.transpose(0, 2, 1), x.transpose(0, 2, 1)).transpose(0, 2, 1)
    found = np.empty((x.shape[0], x.shape[1], y.shape[2]), dtype=np.int64)
    small, step = x.astype(np.float64), max(1, PIECE // max(1, y.shape[0] * y.shape[1]))
    for start in range(0, y.shape[2], step):
        piece = y[:, :, start : start + step].astype(np.float64)
        found[:, :, start : start + step] = small @ piece
    return found


def _reach(x: Stored) -> int:
    """The greatest magnitude."""
    return max(int(x.max(initial=0)), -int(x.min(initial=0)))


def expr_values(expr: Expr, values: Values) -> Ints:
    """`linear + sum of contractions` over the free axes."""
    total = affine_values(expr.linear, expr.axes, range(expr.free), values)
    for c in expr.contractions:
        total = total + contraction_values(expr, c, values)
    return total
