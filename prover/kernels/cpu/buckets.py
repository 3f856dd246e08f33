"""A multi-scalar multiplication's points by bucket: lists of references, 2 i + (1 if negated)."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prover.field import P
from prover.kernels.interface import Vec
from prover.kernels.native import COMPILING, entry, inner

if COMPILING:
    from prover.kernels.cpu.limbs import (
        add_raw,
        constant,
        less,
        load,
        store,
        sub_raw,
        zero,
    )

    order_fr, half_order_fr = constant(P), constant(P // 2 + 1)


Int32s: TypeAlias = npt.NDArray[np.int32]
Int64s: TypeAlias = npt.NDArray[np.int64]

# Scalars as magnitudes and references


@entry
def centre(canonical: Any, magnitudes: Any, references: Any, largest: Any) -> int:
    """The nonzero integers below P as magnitudes of centred ones, and references to their points.

    May be done in place. Returns how many there are.
    """
    count, top = 0, zero()
    for i in range(canonical.shape[0]):
        value = load(canonical, i)
        if less(zero(), value):
            references[count] = 2 * i
            if not less(value, half_order_fr()):
                value, references[count] = sub_raw(order_fr(), value), 2 * i + 1
            store(magnitudes, count, value)
            count += 1
            if less(top, value):
                top = value
    store(largest, 0, top)
    return count


@entry
def enter(ints: Any, magnitudes: Any, references: Any, largest: Any) -> int:
    """`centre` for integers of up to 62 bits, whose magnitudes have one word."""
    count, top = 0, np.int64(0)
    for i in range(ints.shape[0]):
        value = np.int64(ints[i])
        if value != 0:
            references[count] = 2 * i + (value < 0)
            value = abs(value)
            magnitudes[count, 0] = value
            count += 1
            top = max(top, value)
    largest[0, 0] = top
    return count


@entry
def add_offset(magnitudes: Any, count: int, offset: Any) -> None:
    """Adds 2^(c-1) to all digits but the top one: less that, they are then the signed ones."""
    if magnitudes.shape[1] == 1:
        for k in range(count):
            magnitudes[k, 0] += offset[0, 0]
    else:
        for k in range(count):
            store(magnitudes, k, add_raw(load(magnitudes, k), load(offset, 0)))


@inner
def _digit(magnitudes: Any, k: int, window: int, c: int) -> Any:
    """Bits window*c .. window*c + c - 1 of the k-th magnitude."""
    word, bit = window * c >> 6, window * c & 63
    value = magnitudes[k, word] >> np.uint64(bit)
    if bit + c > 64 and word + 1 < magnitudes.shape[1]:
        value |= magnitudes[k, word + 1] << np.uint64(64 - bit)
    return np.int64(value & np.uint64((1 << c) - 1))


# Lists of references, one for each segment s: order[starts[s]:starts[s+1]]


@inner
def _offsets(counts: Any) -> None:
    """Turns counts[s+1] of every segment s into the segments' starts, in place."""
    for s in range(counts.shape[0] - 1):
        counts[s + 1] += counts[s]


def by_bucket(
    magnitudes: Vec,
    references: Int32s,
    first: int,
    last: int,
    c: int,
    top: int,
    low: int,
    high: int,
) -> tuple[Int32s, Int64s]:
    """The points first..last-1 by their digits in the windows low..high-1, of `top` in all.

    Segment w * 2^(c-1) + |digit| - 1; negated where a digit is negative.
    """
    windows, count = high - low, last - first
    order = np.empty(windows * count, dtype=np.int32)
    starts = np.zeros((windows << c - 1) + 1, dtype=np.int64)
    _by_bucket(magnitudes, references, first, count, c, top, low, windows, order, starts)
    return order, starts


@entry
def _by_bucket(
    magnitudes: Any,
    references: Any,
    first: int,
    count: int,
    c: int,
    top: int,
    low: int,
    windows: int,
    order: Any,
    starts: Any,
) -> None:
    half, digits = 1 << c - 1, np.empty((windows, count), np.int32)
    for w in range(windows):
        shift = half if low + w < top - 1 else 0
        for k in range(count):
            digit = _digit(magnitudes, first + k, low + w, c) - shift
            digits[w, k] = digit
            if digit != 0:
                starts[w * half + abs(digit)] += 1
    _offsets(starts)
    ends = starts[:-1].copy()
    for w in range(windows):
        for k in range(count):
            digit = digits[w, k]
            if digit != 0:
                s = w * half + abs(digit) - 1
                order[ends[s]] = references[first + k] ^ (digit < 0)
                ends[s] += 1


def by_line(starts: Int64s, windows: int, c: int) -> tuple[Int32s, Int64s]:
    """The buckets that have points by row and column of their digits d = hi * width + lo.

    In a window the segments are hi = 1..half / width, then lo = 1..width-1.
    """
    half, split = 1 << c - 1, c // 2
    lines = (half >> split) + (1 << split) - 1
    order = np.empty(2 * windows * half, dtype=np.int32)
    line_starts = np.zeros(windows * lines + 1, dtype=np.int64)
    _by_line(starts, windows, c, order, line_starts)
    return order, line_starts


@entry
def _by_line(starts: Any, windows: int, c: int, order: Any, line_starts: Any) -> None:
    half, split = 1 << c - 1, c // 2
    width, rows = 1 << split, half >> split
    lines, ends = rows + width - 1, line_starts
    for fill in range(2):
        if fill:
            _offsets(line_starts)
            ends = line_starts[:-1].copy()
        for s in range(windows * half):
            if starts[s] == starts[s + 1]:
                continue
            base, d = s // half * lines, s % half + 1
            hi, lo = d >> split, d & width - 1
            for line in (base + hi - 1 if hi else -1, base + rows + lo - 1 if lo else -1):
                if line >= 0 and fill:
                    order[ends[line]] = 2 * s
                    ends[line] += 1
                elif line >= 0:
                    line_starts[line + 1] += 1
