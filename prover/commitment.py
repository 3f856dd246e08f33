"""Hiding commitments to tiles: univariate KZG in the coefficient basis.

    commit(f, rho) = sum_{i < 2^k} f_i [s^i]_1 + rho [s^(2^k)]_1

Hiding for a uniform rho that is used for nothing else; linear in (f, rho). Source: Kate, Zaverucha,
Goldberg, ASIACRYPT 2010, section 3, with the blinder above the cells that claims speak of.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from prover.curve import Point, add
from prover.errors import UnsupportedSize, WrongLength

if TYPE_CHECKING:
    from prover.kernels.interface import Int64s, Kernels, Rows, Vec
    from prover.srs import Srs


def commit(
    kernels: Kernels,
    srs: Srs,
    values: Int64s | Vec,
    blinder: int,
    k: int,
    runs: Sequence[tuple[int, Vec]] = (),
    scattered: tuple[Int64s, Vec] | None = None,
    picked: Sequence[tuple[int, Vec, Rows]] = (),
) -> Point:
    """The commitment to values plus runs, in a tile of 2^k cells, blinded by `blinder`.

    values: at most 2^k cells from the first on, int64 (the fast way for small integers) or field
    elements; runs: (first cell, field elements), added to them, for the few field elements among
    small integers; scattered: (cells, field elements), the same for cells that are no neighbours;
    picked: (first cell, elements, rows), in order: what cells of `values` are sums of
    (Kernels.pick).
    Missing cells are zero. srs: of the same kernels.
    Raises UnsupportedSize where the SRS is too small, WrongLength where cells leave the tile.
    """
    if not 1 <= k <= srs.k_max:
        raise UnsupportedSize(srs.k_max, k)
    for start, cells in ((0, values), *runs):
        if start < 0 or start + len(cells) > 1 << k:
            raise WrongLength(1 << k, start + len(cells))
    if scattered is not None and not (0 <= scattered[0].min() <= scattered[0].max() < 1 << k):
        raise WrongLength(1 << k, int(scattered[0].max()) + 1)
    small = values.dtype.kind == "i"
    msm, parts, done = kernels.msm_small if small else kernels.msm, list[Point](), 0
    for start, elements, rows in picked:
        end = start + rows.shape[1]
        parts += [
            msm(srs.points[done:start], values[done:start]),
            kernels.msm_picked(srs.points[start:end], elements, rows),
        ]
        done = end
    total = reduce(add, [*parts, msm(srs.points[done:], values[done:])])
    for start, cells in (*runs, (1 << k, kernels.from_ints([blinder]))):
        total = add(total, kernels.msm(srs.points[start : start + len(cells)], cells))
    if scattered is not None:
        at, cells = scattered
        total = add(total, kernels.msm(_chosen(srs.points, at), cells))
    return total


def _chosen(points: Any, at: Int64s) -> Any:
    return [points[i] for i in at] if isinstance(points, list) else points[at]
