"""Multi-scalar multiplication over G1: signed Pippenger buckets, one thread a run of additions.

A scalar's windows are signed digits, so that 2^(c-1) buckets serve c bits. A counting sort lays the
places of each bucket's points side by side; runs of SEGMENT of them are summed, one thread a run,
then runs of those sums, until a bucket has one. Threads then weigh WEIGHED buckets d each,
sum_d d B_d = (sum of running sums) + low sum_d B_d, and their results are summed alike, a window at
a time. The windows are combined on this side, in plain integers.

Sums are complete formulas: equal, opposite and infinite points are points like any other. In which
order a bucket's points come depends on the threads; their sum does not.
"""

import functools
from typing import Any

import numpy as np
import numpy.typing as npt
from numba import cuda

from prover import curve
from prover.curve import Point
from prover.field import Q
from prover.kernels import checks
from prover.kernels.cuda.cells import empty
from prover.kernels.cuda.curve import add, add_affine, infinity, load_sum, multiple, store_sum
from prover.kernels.cuda.field import pick
from prover.kernels.cuda.kernel import RADIX, SIMULATED, device, integers, kernel, launch, on_device
from prover.kernels.cuda.limbs import half_fr, less, load, mul_fr, one, store, sub_fq, sub_fr, zero
from prover.kernels.interface import Int64s, Points, Rows

SEGMENT = 3 if SIMULATED else 32  # additions of a thread
WEIGHED = 3 if SIMULATED else 32  # buckets of a thread
MOST_ENTRIES = 1 << 28  # digits sorted together, 4 bytes each
SUM_WORDS = 16
SCALAR_BITS = 253  # of a centred scalar's magnitude
Counts = npt.NDArray[np.int64]


@kernel
def _magnitudes(scalars: Any, out: Any, negative: Any, n: Any) -> None:
    """Scalars as absolute values of centred integers, and whether they are negative."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        scalar = load(scalars, i)
        value, sign = mul_fr(scalar, one()), 0
        if not less(value, half_fr()):
            value, sign = mul_fr(sub_fr(zero(), scalar), one()), 1
        store(out, i, value)
        negative[i] = sign


@device
def _bits(magnitudes: Any, words: Any, i: Any, first: Any, c: Any) -> Any:
    """Bits first .. first + c - 1 of the i-th magnitude, of `words` words; c at most 31."""
    word, bit = first >> 6, first & 63
    if word >= words:
        return 0
    value = magnitudes[words * i + word] >> np.uint64(bit)
    if bit + c > 64 and word + 1 < words:
        value = value | magnitudes[words * i + word + 1] << np.uint64(64 - bit)
    return np.int64(value & np.uint64((1 << c) - 1))


@kernel
def _sort(
    magnitudes: Any, words: Any, negative: Any, c: Any, low: Any, high: Any,
    places: Any, entries: Any, fill: Any, n: Any
) -> None:  # fmt: skip
    """A step of the counting sort by bucket, (window - low) 2^(c-1) + |digit| - 1.

    places[bucket] counts up for each digit that is not zero, of windows low..high-1; with `fill`
    the entry at the place that it had is the point's index i, or -1 - i where it is subtracted.
    """
    half = 1 << c - 1
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        carry = 0
        for window in range(high):
            digit = _bits(magnitudes, words, i, window * c, c) + carry
            carry = 0
            if digit > half:
                digit, carry = digit - (1 << c), 1
            if window >= low and digit != 0:
                bucket = (window - low) * half + abs(digit) - 1
                place = cuda.atomic.add(places, bucket, 1)
                if fill:
                    entries[place] = i if (digit > 0) == (negative[i] == 0) else -1 - i


@device
def _segment(tasks: Any, buckets: Any, task: Any) -> Any:
    """The bucket b with tasks[b] <= task < tasks[b + 1]."""
    low, high = 0, buckets
    while high - low > 1:
        middle = (low + high) // 2
        if tasks[middle] <= task:
            low = middle
        else:
            high = middle
    return low


@kernel
def _sum_entries(
    points: Any, entries: Any, starts: Any, tasks: Any, buckets: Any, out: Any, n: Any
) -> None:
    """out[task] = the sum of a run of a bucket's points."""
    for task in range(cuda.grid(1), n, cuda.gridsize(1)):
        bucket = _segment(tasks, buckets, task)
        first = starts[bucket] + (task - tasks[bucket]) * SEGMENT
        total = infinity()
        for place in range(first, min(first + SEGMENT, starts[bucket + 1])):
            i = np.int64(entries[place])
            if i >= 0:
                total = add_affine(total, load(points, 2 * i), load(points, 2 * i + 1))
            else:
                i = -1 - i
                y = sub_fq(zero(), load(points, 2 * i + 1))
                total = add_affine(total, load(points, 2 * i), y)
        store_sum(out, task, total)


@kernel
def _sum_sums(sums: Any, starts: Any, tasks: Any, buckets: Any, out: Any, n: Any) -> None:
    """out[task] = the sum of a run of a bucket's sums."""
    for task in range(cuda.grid(1), n, cuda.gridsize(1)):
        bucket = _segment(tasks, buckets, task)
        first = starts[bucket] + (task - tasks[bucket]) * SEGMENT
        total = infinity()
        for place in range(first, min(first + SEGMENT, starts[bucket + 1])):
            total = add(total, load_sum(sums, place))
        store_sum(out, task, total)


@kernel
def _weigh(sums: Any, starts: Any, half: Any, parts: Any, out: Any, n: Any) -> None:
    """out[window, part] = sum_d d (the sum of bucket d) over the part's WEIGHED digits d."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        window, low = i // parts, i % parts * WEIGHED
        running, weighed = infinity(), infinity()
        for d in range(min(low + WEIGHED, half), low, -1):
            bucket = window * half + d - 1
            if starts[bucket] < starts[bucket + 1]:
                running = add(running, load_sum(sums, starts[bucket]))
            weighed = add(weighed, running)
        store_sum(out, i, add(weighed, multiple(running, low)))


def _offsets(counts: Counts) -> Counts:
    """Where segments of these lengths start, and where the last one ends."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])


def _reduce(function: Any, sources: list[Any], starts: Counts) -> tuple[Any, Counts]:
    """One level of sums: what is left, and where its segments start."""
    tasks = _offsets(-(-np.diff(starts) // SEGMENT))
    out = empty(int(tasks[-1]), SUM_WORDS)
    segments = on_device(starts), on_device(tasks), len(starts) - 1
    launch(function, len(out), *sources, *segments, out.words)
    return out.words, tasks


def _reduce_all(sums: Any, starts: Counts) -> tuple[Any, Counts]:
    """Levels of sums until no segment has more than one."""
    while np.diff(starts).max(initial=0) > 1:
        sums, starts = _reduce(_sum_sums, [sums], starts)
    return sums, starts


def _window_sums(
    points: Any, magnitudes: Any, negative: Any, n: int, c: int, low: int, high: int
) -> list[curve.Jacobian]:
    """For each window low..high-1 the sum of (its digit) * point."""
    half, windows = 1 << c - 1, high - low
    words = magnitudes.size // n
    counts = on_device(np.zeros(windows * half, np.int32))
    none = cuda.device_array(0, np.int32)
    launch(_sort, n, magnitudes, words, negative, c, low, high, counts, none, False)
    starts = _offsets(counts.copy_to_host().astype(np.int64))
    entries = cuda.device_array(int(starts[-1]), np.int32)
    places = on_device(starts[:-1].astype(np.int32))
    launch(_sort, n, magnitudes, words, negative, c, low, high, places, entries, True)
    sums, starts = _reduce(_sum_entries, [points, entries], starts)
    sums, starts = _reduce_all(sums, starts)
    parts = -(-half // WEIGHED)
    weighed = empty(windows * parts, SUM_WORDS)
    launch(_weigh, len(weighed), sums, on_device(starts), half, parts, weighed.words)
    sums, _ = _reduce_all(weighed.words, np.arange(windows + 1) * parts)
    return sums_to_jacobian(sums)


def sums_to_jacobian(sums: Any) -> list[curve.Jacobian]:
    """(X, Y, ZZ, ZZZ) is (X ZZ, Y ZZZ, ZZ) in Jacobian coordinates, here in plain integers."""
    inverse = pow(RADIX, -1, Q)
    values = [value * inverse % Q for value in integers(sums)]
    quads = zip(*(values[j::4] for j in range(4)), strict=True)
    return [(x * zz % Q, y * zzz % Q, zz) for x, y, zz, zzz in quads]


def _windows(c: int, largest: int) -> int:
    """The fewest windows of c bits whose signed digits reach `largest`."""
    windows = 1
    while largest > ((1 << c * windows) - 1) // ((1 << c) - 1) << c - 1:
        windows += 1
    return windows


@functools.lru_cache(maxsize=1024)
def _plan(size: int, largest: int) -> int:
    """The width c of a window that costs least, counted in additions."""
    return min(range(2, 18), key=lambda c: _windows(c, largest) * (size + (3 << c - 1)))


def _sum(points: Any, magnitudes: Any, negative: Any, n: int, largest: int) -> Point:
    """The sum over scalars of absolute values up to `largest`."""
    if n == 0 or largest == 0:
        return None
    c = _plan(n, largest)
    windows, step = _windows(c, largest), max(1, MOST_ENTRIES // n)
    sums: list[curve.Jacobian] = []
    for low in range(0, windows, step):
        high = min(windows, low + step)
        sums += _window_sums(points.flat(), magnitudes, negative, n, c, low, high)
    total = curve.INFINITY
    for window in reversed(sums):
        for _ in range(c):
            total = curve.double_jacobian(total)
        total = curve.add_jacobian(total, window)
    return curve.to_affine(total)


def msm(points: Points, scalars: Any) -> Point:
    checks.enough_points(points, scalars)
    n = len(scalars)
    magnitudes, negative = empty(n), cuda.device_array(n, np.int8)
    launch(_magnitudes, n, scalars.flat(), magnitudes.words, negative)
    return _sum(points, magnitudes.words, negative, n, (1 << SCALAR_BITS) - 1)


def msm_small(points: Points, ints: Int64s) -> Point:
    checks.enough_points(points, ints)
    checks.small_enough(ints)
    wide = np.asarray(ints, dtype=np.int64)
    magnitudes = on_device(np.abs(wide).astype(np.uint64))
    negative = on_device((wide < 0).astype(np.int8))
    largest = int(np.abs(wide).max(initial=0))
    # Beyond small integers the plan depends on the length alone, and is remembered by it.
    rounded = largest if largest <= 1 << 16 else (1 << largest.bit_length()) - 1
    return _sum(points, magnitudes, negative, len(wide), rounded)


def msm_picked(points: Points, values: Any, rows: Rows) -> Point:
    return msm(points, pick(values, rows))
