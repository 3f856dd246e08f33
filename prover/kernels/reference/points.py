"""Points of G1: lists of affine pairs, None for infinity."""

from collections.abc import Sequence

from prover import curve
from prover.curve import GENERATOR, POINT_BYTES, Point
from prover.errors import PointNotOnCurve, WrongLength
from prover.field import P
from prover.kernels.interface import Points

INFINITY = bytes(POINT_BYTES)


def load_points(points: Sequence[Point]) -> Points:
    for point in points:
        if point is not None and not curve.is_on_curve(point):
            raise PointNotOnCurve(*point)
    return list(points)


def points_to_ints(points: Points) -> list[Point]:
    return list(points)


def points_from_bytes(data: bytes | memoryview) -> Points:
    if len(data) % POINT_BYTES:
        raise WrongLength(len(data) // POINT_BYTES * POINT_BYTES, len(data))
    records = [bytes(data[i : i + POINT_BYTES]) for i in range(0, len(data), POINT_BYTES)]
    return [None if record == INFINITY else curve.decode_point(record) for record in records]


def points_to_bytes(points: Points) -> bytes:
    return b"".join(INFINITY if point is None else curve.encode_point(point) for point in points)


def generator_powers(s: int, n: int) -> Points:
    return [curve.multiply(GENERATOR, pow(s, i, P)) for i in range(n)]
