"""Multi-scalar multiplication over G1."""

from prover import curve
from prover.curve import Point
from prover.field import centred
from prover.kernels import checks
from prover.kernels.interface import Int64s, Points, Rows, Vec
from prover.kernels.reference.field import pick


def msm(points: Points, scalars: Vec) -> Point:
    checks.enough_points(points, scalars)
    return curve.msm(points[: len(scalars)], [centred(scalar) for scalar in scalars])


def msm_small(points: Points, ints: Int64s) -> Point:
    checks.enough_points(points, ints)
    checks.small_enough(ints)
    return curve.msm(points[: len(ints)], ints.tolist())


def msm_picked(points: Points, values: Vec, rows: Rows) -> Point:
    return msm(points, pick(values, rows))
