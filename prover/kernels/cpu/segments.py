"""Sums of segments of points, each a pairwise tree of affine additions.

A tier brings `add_level`, the additions of one level, and an entry point for what `summing` makes
of it: that code is long, and compiled once.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from prover.kernels.cpu.curve import add_pairs
from prover.kernels.native import COMPILING, entry, inner

if COMPILING:
    from prover.kernels.cpu.limbs import load, store, sub_fq, zero

CHUNK = 1024  # pairs that share an inversion: it costs about 400 multiplications
RUN = 1 << 14  # points whose tree is summed while half of them lie in a core's cache
PADDING = 16  # references beyond the last pair of a level, for blocks that are not full


@inner
def place(points: Any, reference: int, out: Any, position: int) -> None:
    """Copies the point that is referred to."""
    i = reference >> 1
    y = load(points, 2 * i + 1)
    store(out, 2 * position, load(points, 2 * i))
    store(out, 2 * position + 1, sub_fq(zero(), y) if reference & 1 else y)


@inner
def add_level(points: Any, left: Any, right: Any, places: Any, count: int, out: Any) -> None:
    """out[places[k]] = points that left[k] and right[k] refer to, added, for k < count.

    out may be points where places[k] is left[k]'s, and no point is named twice.
    """
    aside, scratch = np.empty((2 * CHUNK, 8), np.uint64), np.empty((2 * CHUNK, 4), np.uint64)
    kinds, at = np.empty(CHUNK, np.int64), np.arange(0, 2 * CHUNK, 2)
    for first in range(0, count, CHUNK):
        length = min(count - first, CHUNK)
        for k in range(length):
            place(points, left[first + k], aside, 2 * k)
            place(points, right[first + k], aside, 2 * k + 1)
        add_pairs(aside, at[:length], 1, scratch, kinds)
        for k in range(length):
            place(aside, 4 * k, out, places[first + k])


def summing(add_level: Callable[..., None]) -> Any:
    """sum_segments over a tier's additions."""

    @inner
    def sum_segments(points: Any, order: Any, starts: Any, sums: Any) -> None:
        """sums[s] = the points that order[starts[s]:starts[s+1]] refers to, added up; zeros: none.

        Runs of segments one after another; a run level by level, the first level from the points
        into a table of its own, the others within that.
        """
        segments, begin, largest = starts.shape[0] - 1, 0, RUN
        for s in range(segments):
            largest = max(largest, starts[s + 1] - starts[s])
        table = np.empty((largest, 8), np.uint64)
        left, right = np.empty((2, largest // 2 + PADDING), np.int32)
        places, tops = np.empty(largest // 2 + PADDING, np.int32), np.empty(segments + 1, np.int32)
        while begin < segments:
            end, longest, used, count, stride = begin, 0, 0, 0, 0
            while end < segments and (end == begin or starts[end + 1] - starts[begin] <= RUN):
                a, b = starts[end], starts[end + 1]
                longest = max(longest, b - a)
                tops[end] = used
                for i in range(a, b - 1, 2):
                    left[count], right[count], places[count] = order[i], order[i + 1], used
                    count, used = count + 1, used + 1
                if (b - a) % 2:
                    place(points, order[b - 1], table, used)
                    used += 1
                end += 1
            tops[end] = used
            source, longest = points, (longest + 1) // 2
            while True:  # one place that calls: its code is long to compile
                for k in range(count, count + PADDING if count else 0):
                    left[k], right[k], places[k] = left[0], right[0], places[0]
                add_level(source, left, right, places, count, table)
                source, count, stride = table, 0, max(1, 2 * stride)
                if stride >= longest:
                    break
                for s in range(begin, end):
                    for i in range(tops[s], tops[s + 1] - stride, 2 * stride):
                        left[count], right[count], places[count] = 2 * i, 2 * (i + stride), i
                        count += 1
            for s in range(begin, end):
                if tops[s] < tops[s + 1]:
                    place(table, 2 * tops[s], sums, s)
                else:
                    store(sums, 2 * s, zero())
                    store(sums, 2 * s + 1, zero())
            begin = end

    return sum_segments


_summing = summing(add_level)


@entry
def sum_segments(points: Any, order: Any, starts: Any, sums: Any) -> None:
    """sums[s] = the points that order[starts[s]:starts[s+1]] refers to, added up."""
    _summing(points, order, starts, sums)
