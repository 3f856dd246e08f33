"""Multi-scalar multiplication over G1: signed Pippenger buckets, added up in affine batches.

The windows of a scalar are signed digits, so that 2^(c-1) buckets serve c bits. A counting sort
lists each bucket's points; a bucket is then summed by a pairwise tree, the additions of one level
of many buckets sharing inversions. The buckets of a window are summed with their weights
d = hi 2^s + lo as 2^s sum_hi hi (row hi) + sum_lo lo (column lo); the row and column sums are again
such trees, and only the last, short sums need Jacobian formulas.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from prover.curve import Point
from prover.kernels import checks
from prover.kernels.cpu.buckets import add_offset, by_bucket, by_line, centre, enter
from prover.kernels.cpu.curve import add, double, infinity, inverse_fq, load_affine
from prover.kernels.cpu.field import canonical, empty
from prover.kernels.cpu.kernel import aligned, integers, plain, run_all, threads, words
from prover.kernels.cpu.segments import sum_segments
from prover.kernels.interface import Int64s, Points, Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.cpu.limbs import load, mul_fq, one, store

GROUP = 1 << 20  # references, 4 bytes each, that a task holds at once
LEAST_SHARED = 1 << 9  # points below which a second thread costs more than it saves

References = npt.NDArray[np.int32]


@entry
def _weigh_lines(lines: Any, c: int, low: int, high: int, out: Any) -> None:
    """out[w], for low <= w < high: the Jacobian sum of a window from the sums of its
    lines."""
    half, split = 1 << c - 1, c // 2
    width, rows = 1 << split, half >> split
    for w in range(high - low):
        total = infinity()
        for part in range(2):
            first, length = w * (rows + width - 1), rows
            if part:
                first, length = first + rows, width - 1
            running, weighted = infinity(), infinity()
            for line in range(first + length - 1, first - 1, -1):
                running = add(running, load_affine(lines, line))
                weighted = add(weighted, running)
            total = add(total, weighted)
            if part == 0:
                for _ in range(split):
                    total = double(total)
        for axis in range(3):
            store(out, 3 * (low + w) + axis, total[axis])


@entry
def _combine(sums: Any, c: int, out: Any) -> None:
    """sum_w 2^(c w) sum_p sums[p, w], as canonical affine coordinates, zeros at infinity."""
    total, (parts, windows, _) = infinity(), sums.shape
    for w in range(windows - 1, -1, -1):
        for _ in range(c):
            total = double(total)
        for i in range(w, parts * windows, windows):
            point = load(sums, 3 * i), load(sums, 3 * i + 1), load(sums, 3 * i + 2)
            total = add(total, point)
    x, y, z = total
    inverse = inverse_fq(z)
    square = mul_fq(inverse, inverse)
    store(out, 0, mul_fq(mul_fq(x, square), one()))
    store(out, 1, mul_fq(mul_fq(mul_fq(y, square), inverse), one()))


# The plan


def _offset(c: int, windows: int) -> int:
    """2^(c-1) in every window but the top one."""
    return sum(1 << c * w + c - 1 for w in range(windows - 1))


def _windows(c: int, largest: int) -> int:
    """The fewest windows of c bits whose signed digits reach `largest`."""
    windows = max(1, largest.bit_length() // c)
    while largest + _offset(c, windows) >> c * (windows - 1) > 1 << c - 1:
        windows += 1
    return windows


class _Plan(NamedTuple):
    """Windows of c bits; the points in `parts`, each with buckets of its own."""

    c: int
    windows: int
    parts: int


@functools.lru_cache(maxsize=1024)
def _plan(size: int, largest: int, workers: int) -> _Plan:
    """What takes the busiest worker least, counted in batched additions."""

    def cost(plan: _Plan) -> float:
        half, part = 1 << plan.c - 1, size / plan.parts
        window = part + 2 * min(half, part) + 12 * math.sqrt(half) + 2 * plan.c
        return -(-plan.windows * plan.parts // workers) * window + 6 * plan.parts * plan.windows

    plans = (_Plan(c, _windows(c, largest), parts) for c in range(2, 17) for parts in {1, workers})
    return min(plans, key=cost)


def _sum_windows(
    sum_segments: Callable[..., None],
    points: Points,
    magnitudes: Vec,
    references: References,
    plan: _Plan,
    part: tuple[int, int],
    windows: tuple[int, int],
    out: Vec,
) -> None:
    """out[w], for the windows low..high-1: the Jacobian sum of (digit w of scalar) * point over the
    points of a part."""
    (first, last), (low, high) = part, windows
    order, starts = by_bucket(magnitudes, references, first, last, plan.c, plan.windows, low, high)
    buckets = aligned(len(starts) - 1, 8)
    sum_segments(points, order, starts, buckets)
    order, starts = by_line(starts, high - low, plan.c)
    lines = aligned(len(starts) - 1, 8)
    sum_segments(buckets, order, starts, lines)
    _weigh_lines(lines, plan.c, low, high, out)


def _sum(
    sum_segments: Callable[..., None],
    points: Points,
    magnitudes: Vec,
    references: References,
    count: int,
    largest: int,
) -> Point:
    """The sum of what `centre` or `enter` has prepared."""
    if count == 0:
        return None
    workers = threads() if count >= LEAST_SHARED else 1
    # Beyond small integers the plan depends on the length alone, and is remembered by it.
    bound = largest if largest < 1 << 16 else (1 << largest.bit_length()) - 1
    plan = _plan(count, bound, workers)
    c, windows, parts = plan
    if windows > 1:
        add_offset(magnitudes, count, words(_offset(c, windows)))
    sums = np.empty((parts, windows, 12), dtype=np.uint64)
    groups = max(-(-workers // parts), -(-windows * count // (GROUP * parts)))
    groups = min(windows, -(-groups // workers) * workers)
    run_all(
        [
            functools.partial(
                _sum_windows, sum_segments, points, magnitudes, references, plan,
                (count * part // parts, count * (part + 1) // parts),
                (windows * group // groups, windows * (group + 1) // groups),
                sums[part],
            )
            for group in range(groups)
            for part in range(parts)
        ]
    )  # fmt: skip
    out = empty(2)
    _combine(sums, c, out)
    x, y = integers(out)
    return None if x == y == 0 else (x, y)


def sum_scalars(
    sum_segments: Callable[..., None],
    canonical: Callable[[Vec], Vec],
    points: Points,
    scalars: Vec,
) -> Point:
    """msm, by a tier's functions."""
    checks.enough_points(points, scalars)
    magnitudes, references = canonical(scalars), np.empty(len(scalars), dtype=np.int32)
    largest = empty(1)
    count = centre(magnitudes, magnitudes, references, largest)
    return _sum(sum_segments, plain(points), magnitudes, references, count, integers(largest)[0])


def sum_small(sum_segments: Callable[..., None], points: Points, ints: Int64s) -> Point:
    """msm_small, by a tier's sum_segments."""
    checks.enough_points(points, ints)
    checks.small_enough(ints)
    magnitudes = np.empty((len(ints), 1), dtype=np.uint64)
    references, largest = np.empty(len(ints), dtype=np.int32), np.zeros((1, 1), dtype=np.uint64)
    count = enter(plain(ints), magnitudes, references, largest)
    return _sum(sum_segments, plain(points), magnitudes, references, count, int(largest[0, 0]))


def msm(points: Points, scalars: Vec) -> Point:
    return sum_scalars(sum_segments, canonical, points, scalars)


def msm_small(points: Points, ints: Int64s) -> Point:
    return sum_small(sum_segments, points, ints)
