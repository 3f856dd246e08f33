"""Multi-scalar multiplication over G1: signed Pippenger buckets, added up in affine batches.

The windows of a scalar are signed digits, so that 2^(c-1) buckets serve c bits. A counting sort
lays each bucket's points side by side; a bucket is then summed by a pairwise tree, in place, the
additions of one level of all buckets sharing inversions (`add_pairs`). The buckets of a window are
summed with their weights d = hi 2^s + lo as 2^s sum_hi hi (row hi) + sum_lo lo (column lo); the row
and column sums are again such trees, and only the last, short sums need Jacobian formulas.
"""

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from prover.curve import Point
from prover.field import P
from prover.kernels import checks
from prover.kernels.cpu.curve import (
    add,
    add_pairs,
    double,
    infinity,
    inverse_fq,
    load_affine,
)
from prover.kernels.cpu.field import empty
from prover.kernels.cpu.kernel import entry, inner, integers, plain, run_all, threads, words
from prover.kernels.cpu.limbs import (
    add_raw,
    constant,
    less,
    load,
    mul_fq,
    mul_fr,
    one,
    store,
    sub_fq,
    sub_raw,
    widen,
    zero,
)
from prover.kernels.interface import Int64s, Points, Vec

CHUNK = 1024  # pairs that share an inversion: it costs about 400 multiplications
GROUP = 1 << 15  # points in a tree: 64 bytes each, to stay within a core's cache

order_fr, half_order_fr = constant(P), constant(P // 2 + 1)


@entry
def _magnitudes(scalars: Any, out: Any, index: Any, largest: Any) -> int:
    """The nonzero scalars as absolute values of centred integers.

    index has the scalar's place i, or -1 - i where it is negative. Returns how many there are.
    """
    count, top = 0, zero()
    for i in range(scalars.shape[0]):
        value = mul_fr(load(scalars, i), one())
        if less(zero(), value):
            index[count] = i
            if not less(value, half_order_fr()):
                value, index[count] = sub_raw(order_fr(), value), -1 - i
            store(out, count, value)
            count += 1
            if less(top, value):
                top = value
    store(largest, 0, top)
    return count


@entry
def _small_magnitudes(ints: Any, out: Any, index: Any, largest: Any) -> int:
    """`_magnitudes` for int64 scalars."""
    count, top = 0, np.uint64(0)
    for i in range(ints.shape[0]):
        if ints[i] != 0:
            index[count] = i if ints[i] > 0 else -1 - i
            value = np.uint64(abs(ints[i]))
            store(out, count, widen(value))
            count += 1
            top = max(top, value)
    store(largest, 0, widen(top))
    return count


@inner
def _sum_segments(points: Any, starts: Any, scratch: Any, kinds: Any) -> None:
    """Sums points[starts[s]:starts[s+1]] into its first place, for every s, level by level."""
    segments, longest = starts.shape[0] - 1, 0
    at = np.empty(points.shape[0] // 2, np.int64)
    for s in range(segments):
        longest = max(longest, starts[s + 1] - starts[s])
    stride = 1
    while stride < longest:
        count = 0
        for s in range(segments):
            for i in range(starts[s], starts[s + 1] - stride, 2 * stride):
                at[count] = i
                count += 1
        for first in range(0, count, CHUNK):
            add_pairs(points, at[first : min(count, first + CHUNK)], stride, scratch, kinds)
        stride *= 2


@inner
def _digit(magnitudes: Any, k: int, window: int, c: int) -> Any:
    """Bits window*c .. window*c + c - 1 of the k-th magnitude."""
    word, bit = window * c >> 6, window * c & 63
    value = magnitudes[k, word] >> np.uint64(bit)
    if bit + c > 64 and word < 3:
        value |= magnitudes[k, word + 1] << np.uint64(64 - bit)
    return np.int64(value & np.uint64((1 << c) - 1))


@inner
def _place(points: Any, i: int, negative: bool, out: Any, position: int) -> None:
    """Copies the i-th point, negated or not."""
    y = load(points, 2 * i + 1)
    store(out, 2 * position, load(points, 2 * i))
    store(out, 2 * position + 1, sub_fq(zero(), y) if negative else y)


@inner
def _offsets(counts: Any) -> None:
    """Turns counts[s+1] of every segment s into the segments' starts, in place."""
    for s in range(counts.shape[0] - 1):
        counts[s + 1] += counts[s]


@entry
def _add_offset(magnitudes: Any, count: int, offset: Any) -> None:
    """Adds 2^(c-1) to all digits but the top one: less that, they are then the signed ones."""
    for k in range(count):
        store(magnitudes, k, add_raw(load(magnitudes, k), load(offset, 0)))


@inner
def by_bucket(
    points: Any, magnitudes: Any, index: Any, count: int, c: int, top: int, low: int, high: int
) -> Any:
    """The points of the windows low..high-1 (of `top` in all), negated where a digit is negative.

    Returns them and the starts of their segments w * 2^(c-1) + |digit| - 1.
    """
    half = 1 << c - 1
    windows = high - low
    digits = np.empty((windows, count), np.int32)
    starts = np.zeros(windows * half + 1, np.int64)
    for w in range(windows):
        shift = half if low + w < top - 1 else 0
        for k in range(count):
            digit = _digit(magnitudes, k, low + w, c) - shift
            digits[w, k] = digit
            if digit != 0:
                starts[w * half + abs(digit)] += 1
    _offsets(starts)
    ends = starts[:-1].copy()
    work = np.empty((starts[-1], 8), np.uint64)
    for w in range(windows):
        for k in range(count):
            digit = digits[w, k]
            if digit != 0:
                s = w * half + abs(digit) - 1
                i = index[k]
                _place(points, i if i >= 0 else -1 - i, (digit < 0) != (i < 0), work, ends[s])
                ends[s] += 1
    return work, starts


@inner
def by_line(work: Any, starts: Any, windows: int, c: int) -> Any:
    """The buckets' sums by row and column of their digits d = hi * width + lo.

    Returns them and the starts of their segments: in a window hi = 1..half / width, then
    lo = 1..width-1.
    """
    half, split = 1 << c - 1, c // 2
    width, rows = 1 << split, half >> split
    lines = rows + width - 1
    line_starts = np.zeros(windows * lines + 1, np.int64)
    for fill in range(2):
        if fill:
            _offsets(line_starts)
            ends = line_starts[:-1].copy()
            table = np.empty((line_starts[-1], 8), np.uint64)
        for s in range(windows * half):
            if starts[s] == starts[s + 1]:
                continue
            base, d = s // half * lines, s % half + 1
            hi, lo = d >> split, d & width - 1
            for line in (base + hi - 1 if hi else -1, base + rows + lo - 1 if lo else -1):
                if line >= 0 and fill:
                    _place(work, starts[s], False, table, ends[line])
                    ends[line] += 1
                elif line >= 0:
                    line_starts[line + 1] += 1
    return table, line_starts


@inner
def weigh_lines(table: Any, line_starts: Any, c: int, low: int, high: int, out: Any) -> None:
    """out[w], for low <= w < high: the Jacobian sum of a window from the sums of its lines."""
    half, split = 1 << c - 1, c // 2
    width, rows = 1 << split, half >> split
    lines = rows + width - 1
    for w in range(high - low):
        total = infinity()
        for part in range(2):
            first, length = (w * lines, rows) if part == 0 else (w * lines + rows, width - 1)
            running, weighted = infinity(), infinity()
            for line in range(first + length - 1, first - 1, -1):
                if line_starts[line] < line_starts[line + 1]:
                    running = add(running, load_affine(table, line_starts[line]))
                weighted = add(weighted, running)
            total = add(total, weighted)
            if part == 0:
                for _ in range(split):
                    total = double(total)
        for axis in range(3):
            store(out, 3 * (low + w) + axis, total[axis])


@entry
def _window_sums(
    points: Any,
    magnitudes: Any,
    index: Any,
    count: int,
    c: int,
    top: int,
    low: int,
    high: int,
    out: Any,
) -> None:
    """out[w], for low <= w < high: the Jacobian sum of (digit w of scalar) * point.

    top is the number of windows in all.
    """
    kinds = np.empty(CHUNK, np.int64)
    scratch = np.empty((2 * CHUNK, 4), np.uint64)
    work, starts = by_bucket(points, magnitudes, index, count, c, top, low, high)
    _sum_segments(work, starts, scratch, kinds)
    table, line_starts = by_line(work, starts, high - low, c)
    _sum_segments(table, line_starts, scratch, kinds)
    weigh_lines(table, line_starts, c, low, high, out)


@entry
def _combine(sums: Any, c: int, out: Any) -> None:
    """sum_w 2^(c w) sums[w], as canonical affine coordinates, zeros at infinity."""
    total = infinity()
    for w in range(sums.shape[0] - 1, -1, -1):
        for _ in range(c):
            total = double(total)
        total = add(total, (load(sums, 3 * w), load(sums, 3 * w + 1), load(sums, 3 * w + 2)))
    x, y, z = total
    inverse = inverse_fq(z)
    square = mul_fq(inverse, inverse)
    store(out, 0, mul_fq(mul_fq(x, square), one()))
    store(out, 1, mul_fq(mul_fq(mul_fq(y, square), inverse), one()))


def _offset(c: int, windows: int) -> int:
    """2^(c-1) in every window but the top one."""
    return sum(1 << c * w + c - 1 for w in range(windows - 1))


def _windows(c: int, largest: int) -> int:
    """The fewest windows of c bits whose signed digits reach `largest`."""
    windows = max(1, largest.bit_length() // c)
    while largest + _offset(c, windows) >> c * (windows - 1) > 1 << c - 1:
        windows += 1
    return windows


@functools.lru_cache(maxsize=1024)
def _plan(size: int, largest: int) -> int:
    """The width c of a window that costs least, counted in batched additions."""

    def cost(c: int) -> float:
        half, windows = 1 << c - 1, _windows(c, largest)
        return windows * (size + 2 * min(half, size) + 12 * math.sqrt(half) + 2 * c)

    return min(range(2, 17), key=cost)


def _sum(
    kernel: Callable[..., None],
    points: Points,
    magnitudes: Vec,
    index: Int64s,
    count: int,
    largest: int,
) -> Point:
    """The sum that `_magnitudes` has prepared."""
    if count == 0:
        return None
    # Beyond small integers the plan depends on the length alone, and is remembered by it.
    c = _plan(count, largest if largest < 1 << 16 else (1 << largest.bit_length()) - 1)
    windows = _windows(c, largest)
    _add_offset(magnitudes, count, words(_offset(c, windows)))
    sums = np.empty((windows, 12), dtype=np.uint64)
    workers = threads() if count * windows >= 1 << 10 else 1
    groups = max(min(workers, windows), -(-windows * count // GROUP))
    groups = min(windows, -(-groups // workers) * workers)
    cuts = [windows * g // groups for g in range(groups + 1)]
    run_all(
        [
            functools.partial(kernel, points, magnitudes, index, count, c, windows, low, high, sums)
            for low, high in itertools.pairwise(cuts)
        ]
    )
    out = empty(2)
    _combine(sums, c, out)
    x, y = integers(out)
    return None if x == y == 0 else (x, y)


def sum_scalars(kernel: Callable[..., None], points: Points, scalars: Vec) -> Point:
    """msm, the windows summed by a tier's kernel."""
    checks.enough_points(points, scalars)
    magnitudes, index = empty(len(scalars)), np.empty(len(scalars), dtype=np.int64)
    largest = empty(1)
    count = _magnitudes(plain(scalars), magnitudes, index, largest)
    return _sum(kernel, plain(points), magnitudes, index, count, integers(largest)[0])


def sum_small(kernel: Callable[..., None], points: Points, ints: Int64s) -> Point:
    """msm_small, the windows summed by a tier's kernel."""
    checks.enough_points(points, ints)
    checks.small_enough(ints)
    magnitudes, index = empty(len(ints)), np.empty(len(ints), dtype=np.int64)
    largest = empty(1)
    count = _small_magnitudes(plain(ints), magnitudes, index, largest)
    return _sum(kernel, plain(points), magnitudes, index, count, integers(largest)[0])


def msm(points: Points, scalars: Vec) -> Point:
    return sum_scalars(_window_sums, points, scalars)


def msm_small(points: Points, ints: Int64s) -> Point:
    return sum_small(_window_sums, points, ints)
