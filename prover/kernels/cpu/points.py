"""Points of G1: uint64 arrays of shape (n, 8), Montgomery coordinates, zeros at infinity."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prover import curve
from prover.curve import GENERATOR, POINT_BYTES, B, Point
from prover.errors import PointNotOnCurve, WrongLength
from prover.field import Q
from prover.kernels.cpu.curve import add_pairs
from prover.kernels.cpu.field import canonical
from prover.kernels.cpu.kernel import aligned, integers, plain, ranges, run_all
from prover.kernels.cpu.multilinear import powers
from prover.kernels.cpu.segments import CHUNK, sum_segments
from prover.kernels.interface import Points, Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.cpu.limbs import (
        add_fq,
        constant,
        equal,
        less,
        load,
        mul_fq,
        one,
        order_fq,
        square_fq,
        store,
        zero,
    )

    b_fq = constant(B * 2**256 % Q)

DIGIT = 8  # bits of a fixed-base window: its digits are the bytes of a scalar
SHARE = 1 << 12  # multiples whose table entries are listed at a time
READ = 1 << 12  # points whose bytes are turned at a time


@entry
def enter_points(canonical: Any, out: Any) -> int:
    """Returns the first index whose point is not canonical, on the curve or zeros, else -1."""
    for i in range(out.shape[0]):
        x, y = load(canonical, 2 * i), load(canonical, 2 * i + 1)
        if not (less(x, order_fq()) and less(y, order_fq())):
            return i
        finite = not (equal(x, zero()) and equal(y, zero()))
        x, y = mul_fq(square_fq(), x), mul_fq(square_fq(), y)
        cube = mul_fq(mul_fq(x, x), x)
        if finite and not equal(mul_fq(y, y), add_fq(cube, b_fq())):
            return i
        store(out, 2 * i, x)
        store(out, 2 * i + 1, y)
    return -1


@entry
def _leave_points(points: Any, out: Any) -> None:
    for i in range(2 * points.shape[0]):
        store(out, i, mul_fq(load(points, i), one()))


def read_points(enter_points: Callable[[Vec, Points], int], data: bytes | memoryview) -> Points:
    """points_from_bytes, by a tier's enter_points."""
    if len(data) % POINT_BYTES:
        raise WrongLength(len(data) // POINT_BYTES * POINT_BYTES, len(data))
    turned = np.frombuffer(data, dtype="<u8").reshape(-1, 2, 4)[:, :, ::-1]
    out = aligned(len(turned), 8)

    def enter(low: int, high: int) -> None:
        for start in range(low, high, READ):
            part = slice(start, min(high, start + READ))
            little = np.ascontiguousarray(turned[part].byteswap())
            bad = start + enter_points(little.reshape(-1, 4), out[part])
            if bad >= start:
                wrong = data[POINT_BYTES * bad : POINT_BYTES * (bad + 1)]
                curve.decode_point(bytes(wrong))  # raises

    run_all([functools.partial(enter, *cut) for cut in ranges(len(out))])
    return out


def points_from_bytes(data: bytes | memoryview) -> Points:
    return read_points(enter_points, data)


def points_to_bytes(points: Points) -> bytes:
    out = aligned(len(points), 8)
    _leave_points(plain(points), out)
    return out.reshape(-1, 2, 4)[:, :, ::-1].astype(">u8").tobytes()


def load_points(points: Sequence[Point]) -> Points:
    for point in points:
        if point is not None and not curve.is_on_curve(point):
            raise PointNotOnCurve(*point)
    records = (
        bytes(POINT_BYTES) if point is None else curve.encode_point(point) for point in points
    )
    return points_from_bytes(b"".join(records))


def points_to_ints(points: Points) -> list[Point]:
    out = aligned(len(points), 8)
    _leave_points(plain(points), out)
    coordinates = integers(out)
    pairs = zip(coordinates[::2], coordinates[1::2], strict=True)
    return [None if x == y == 0 else (x, y) for x, y in pairs]


@entry
def _add_halves(work: Any) -> None:
    """work[i] += work[i + n] for i < n, half the length of work."""
    n = work.shape[0] // 2
    at, kinds = np.arange(n), np.empty(CHUNK, np.int64)
    scratch = np.empty((2 * CHUNK, 4), np.uint64)
    for first in range(0, n, CHUNK):
        add_pairs(work, at[first : min(n, first + CHUNK)], n, scratch, kinds)


@functools.cache
def _generator_table() -> Points:
    """The points d 2^(8w) G at [w, d], for the 32 bytes w of a scalar and their values d."""
    base, bases = GENERATOR, []
    for _ in range(32):
        bases.append(base)
        base = curve.check_point(curve.multiply(base, 1 << DIGIT))
    table = np.zeros((32, 1 << DIGIT, 8), dtype=np.uint64)
    steps = load_points(bases)
    for known in (1 << bit for bit in range(DIGIT)):  # d < known are known: d + known = d + step
        work = np.empty((2, 32, known, 8), dtype=np.uint64)
        work[0], work[1] = table[:, :known], steps[:, None]
        _add_halves(work.reshape(-1, 8))
        table[:, known : 2 * known] = work[0]
        steps = load_points([curve.add(step, step) for step in points_to_ints(steps)])
    return table


def fixed_base(sum_segments: Callable[..., None], scalars: Vec) -> Points:
    """Multiples of the generator by canonical integers, by a tier's additions."""
    table, out = _generator_table().reshape(-1, 8), aligned(len(scalars), 8)
    digits, first = scalars.view(np.uint8), np.arange(32, dtype=np.int32) << DIGIT

    def fill(low: int, high: int) -> None:
        for start in range(low, high, SHARE):
            stop = min(high, start + SHARE)
            order = ((digits[start:stop] + first) << 1).reshape(-1)
            starts = np.arange(0, len(order) + 1, 32)
            sum_segments(table, order, starts, out[start:stop])

    run_all([functools.partial(fill, *part) for part in ranges(len(scalars), SHARE)])
    return out


def generator_powers(s: int, n: int) -> Points:
    return fixed_base(sum_segments, canonical(powers(s, n)))
