"""Points of G1: cells of eight words on the device, Montgomery coordinates, zeros at infinity."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda

from prover import curve
from prover.curve import GENERATOR, POINT_BYTES, Point
from prover.errors import PointNotOnCurve, WrongLength
from prover.kernels.cuda.cells import POINT_WORDS, empty, from_host
from prover.kernels.cuda.curve import (
    add_affine,
    infinity,
    inverse_fq,
    load_sum,
    multiple,
    store_sum,
)
from prover.kernels.cuda.field import canonical
from prover.kernels.cuda.kernel import SIMULATED, kernel, launch, on_device
from prover.kernels.cuda.limbs import (
    add_fq,
    b_fq,
    equal,
    less,
    load,
    mul_fq,
    one,
    one_fq,
    order_fq,
    square_fq,
    store,
    zero,
)
from prover.kernels.cuda.msm import SUM_WORDS
from prover.kernels.cuda.multilinear import powers
from prover.kernels.interface import Points

DIGIT = 2 if SIMULATED else 8  # bits of a fixed-base window
WINDOWS, IN_A_WORD = 256 // DIGIT, 64 // DIGIT


@kernel
def _enter_points(plain: Any, out: Any, bad: Any, n: Any) -> None:
    """bad[0] = the first index whose point is not canonical, on the curve or zeros, if any."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        x, y = load(plain, 2 * i), load(plain, 2 * i + 1)
        finite = not (equal(x, zero()) and equal(y, zero()))
        good = less(x, order_fq()) and less(y, order_fq())
        x, y = mul_fq(square_fq(), x), mul_fq(square_fq(), y)
        cube = mul_fq(mul_fq(x, x), x)
        if finite and not equal(mul_fq(y, y), add_fq(cube, b_fq())):
            good = False
        if not good:
            cuda.atomic.min(bad, 0, i)
        store(out, 2 * i, x)
        store(out, 2 * i + 1, y)


@kernel
def _leave_points(points: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fq(load(points, i), one()))


def points_from_bytes(data: bytes | memoryview) -> Points:
    if len(data) % POINT_BYTES:
        raise WrongLength(len(data) // POINT_BYTES * POINT_BYTES, len(data))
    big_endian = np.frombuffer(data, dtype=">u8").reshape(-1, 2, 4)
    little = np.ascontiguousarray(big_endian[:, :, ::-1], dtype=np.uint64)
    points = from_host(little, POINT_WORDS)
    bad = on_device(np.array([len(points)], dtype=np.int64))
    launch(_enter_points, len(points), points.words, points.words, bad)
    first = int(bad.copy_to_host()[0])
    if first < len(points):
        wrong = data[POINT_BYTES * first : POINT_BYTES * (first + 1)]
        curve.decode_point(bytes(wrong))  # raises
    return points


def _coordinates(points: Any) -> Any:
    """Canonical coordinates on this side, of shape (points, 2, 4)."""
    out = empty(len(points), POINT_WORDS)
    launch(_leave_points, 2 * len(points), points.flat(), out.words)
    return out.copy_to_host().reshape(-1, 2, 4)


def points_to_bytes(points: Points) -> bytes:
    data: bytes = _coordinates(points)[:, :, ::-1].astype(">u8").tobytes()
    return data


def load_points(points: Sequence[Point]) -> Points:
    for point in points:
        if point is not None and not curve.is_on_curve(point):
            raise PointNotOnCurve(*point)
    records = (
        bytes(POINT_BYTES) if point is None else curve.encode_point(point) for point in points
    )
    return points_from_bytes(b"".join(records))


def points_to_ints(points: Points) -> list[Point]:
    data = points_to_bytes(points)
    words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    pairs = zip(words[::2], words[1::2], strict=True)
    return [None if x == y == 0 else (x, y) for x, y in pairs]


@kernel
def _to_affine(sums: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        x, y, zz, zzz = load_sum(sums, i)
        inverse = inverse_fq(zzz)  # zero at infinity, and so are the coordinates
        root = mul_fq(inverse, zz)  # 1/Z
        store(out, 2 * i, mul_fq(x, mul_fq(root, root)))
        store(out, 2 * i + 1, mul_fq(y, inverse))


def _affine(sums: Any) -> Any:
    out = empty(len(sums), POINT_WORDS)
    launch(_to_affine, len(out), sums.words, out.words)
    return out


@kernel
def _multiples(bases: Any, out: Any, n: Any) -> None:
    """out[w, d] = d bases[w]."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        w, d = i >> DIGIT, i & (1 << DIGIT) - 1
        base = load(bases, 2 * w), load(bases, 2 * w + 1), one_fq(), one_fq()
        store_sum(out, i, multiple(base, d))


@functools.cache
def _generator_table() -> Any:
    """The points d 2^(DIGIT w) G at [w, d], for the digits d of the windows w of a scalar."""
    bases = load_points([curve.multiply(GENERATOR, 1 << DIGIT * w) for w in range(WINDOWS)])
    sums = empty(WINDOWS << DIGIT, SUM_WORDS)
    launch(_multiples, len(sums), bases.words, sums.words)
    return _affine(sums)


@kernel
def _fixed_base(scalars: Any, table: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        total = infinity()
        for w in range(WINDOWS):
            word = scalars[4 * i + w // IN_A_WORD] >> np.uint64(DIGIT * (w % IN_A_WORD))
            k = (w << DIGIT) + np.int64(word & np.uint64((1 << DIGIT) - 1))
            total = add_affine(total, load(table, 2 * k), load(table, 2 * k + 1))
        store_sum(out, i, total)


def generator_powers(s: int, n: int) -> Points:
    sums = empty(n, SUM_WORDS)
    launch(_fixed_base, n, canonical(powers(s, n)).words, _generator_table().words, sums.words)
    return _affine(sums)
