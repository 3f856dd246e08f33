"""Vectors whose cells are sums of few distinct elements, and sums of points with such scalars.

    cell x = sum_k values[rows[k, x]]

The lookups' helper is one: as many cells as there are rows looked up, made of as many inverses as
the tables have rows. sum_x (cell x) points[x] = sum_v values[v] (the points x with rows[k, x] = v,
added up): one addition for each k and x, where a scalar of full size takes sixteen.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from prover.curve import Point
from prover.kernels import checks
from prover.kernels.cpu.buckets import by_bucket
from prover.kernels.cpu.field import empty
from prover.kernels.cpu.kernel import aligned, plain, ranges, run_all, threads
from prover.kernels.cpu.segments import RUN
from prover.kernels.interface import Points, Rows, Vec

PART = 1 << 12  # cells that are added up at a time: in a core's cache, and by one thread


def add_picked(add: Callable[[Vec, Vec], Vec], values: Vec, rows: Rows) -> Vec:
    """pick, by a tier's addition."""
    checks.rows_fit(values, rows)
    out = empty(rows.shape[1])

    def part(low: int, high: int) -> None:
        for start in range(low, high, PART):
            at = slice(start, min(high, start + PART))
            found = [np.take(values, row[at], axis=0) for row in rows]
            out[at] = functools.reduce(add, found)

    run_all([functools.partial(part, *cut) for cut in ranges(rows.shape[1])])
    return out


def sum_picked(
    sum_segments: Callable[..., None],
    msm: Callable[[Points, Vec], Point],
    pick: Callable[[Vec, Rows], Vec],
    points: Points,
    values: Vec,
    rows: Rows,
) -> Point:
    """msm_picked, by a tier's functions."""
    checks.rows_fit(values, rows)
    checks.enough_points(points, rows[0])
    seen = np.zeros(len(values), dtype=bool)
    for row in rows:
        seen[row] = True
    used = np.flatnonzero(seen & values.any(axis=1))
    count, cells = rows.shape
    if 4 * len(used) >= 3 * cells:  # as many elements as cells: no addition is saved
        return msm(points, pick(values, rows))
    digits = np.zeros(len(values), dtype=np.uint64)
    digits[used] = np.arange(1, len(used) + 1, dtype=np.uint64)
    magnitudes = np.concatenate([digits[row] for row in rows]).reshape(-1, 1)
    references = np.tile(np.arange(0, 2 * cells, 2, dtype=np.int32), count)
    bits = len(used).bit_length() + 1
    order, starts = by_bucket(magnitudes, references, 0, count * cells, bits, 1, 0, 1)
    buckets = _sums(sum_segments, plain(points), order, starts[: len(used) + 1])
    return msm(buckets, values[used])


def _sums(sum_segments: Callable[..., None], points: Points, order: Any, starts: Any) -> Points:
    """The segments' sums, by pieces of a run at most, which are dealt out to the threads."""
    ends = np.unique(np.concatenate([starts, np.arange(0, starts[-1], RUN)]))
    pieces = aligned(len(ends) - 1, 8)
    deal = np.searchsorted(ends, starts[-1] * np.arange(threads() + 1) // threads())
    run_all(
        [
            functools.partial(sum_segments, points, order, ends[a : b + 1], pieces[a:b])
            for a, b in itertools.pairwise(deal)
        ]
    )
    sums = aligned(len(starts) - 1, 8)
    every = np.arange(0, 2 * len(pieces), 2, dtype=np.int32)
    sum_segments(pieces, every, np.searchsorted(ends, starts), sums)
    return sums
