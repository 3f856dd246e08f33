"""The laws of the groups, against py_ecc, and of sums of multiples on every kernel tier."""

import random

import numpy as np
import pytest
from py_ecc import bn128

from prover import curve
from prover.curve import GENERATOR, GENERATOR_G2, Point, PointG2
from prover.errors import (
    NonCanonicalCoordinate,
    PointAtInfinity,
    PointNotOnCurve,
    WrongLength,
)
from prover.field import P, Q
from prover.kernels import TIERS, features, get
from prover.kernels.interface import Kernels

SCALARS = [0, 1, 2, 3, P - 1, P, P + 1, -1, 2**128 + 1]


@pytest.fixture(scope="module", params=TIERS)
def tier(request: pytest.FixtureRequest) -> Kernels:
    if request.param == "ifma" and (missing := features.missing_for_ifma()):
        pytest.skip(f"this processor lacks {', '.join(missing)}")
    return get(request.param)


@pytest.fixture(scope="module")
def points() -> list[Point]:
    rng = random.Random(11)
    return [None, GENERATOR, *(curve.multiply(GENERATOR, rng.randrange(P)) for _ in range(6))]


def theirs(point: Point) -> object:
    return None if point is None else (bn128.FQ(point[0]), bn128.FQ(point[1]))


def ours(point: object) -> Point:
    return None if point is None else (int(point[0].n), int(point[1].n))  # type: ignore[index]


def test_addition_is_py_eccs(points: list[Point]) -> None:
    for left in points:
        for right in [*points, curve.negate(left)]:
            assert curve.add(left, right) == ours(bn128.add(theirs(left), theirs(right)))


def test_group_laws(points: list[Point]) -> None:
    for a in points:
        assert curve.add(a, None) == a
        assert curve.add(a, curve.negate(a)) is None
        for b in points:
            assert curve.add(a, b) == curve.add(b, a)
            for c in points[:3]:
                assert curve.add(curve.add(a, b), c) == curve.add(a, curve.add(b, c))


@pytest.mark.parametrize("scalar", SCALARS)
def test_multiples_are_py_eccs(points: list[Point], scalar: int) -> None:
    for point in points[:4]:
        expected = None if point is None else bn128.multiply(theirs(point), scalar % P)
        assert curve.multiply(point, scalar) == ours(expected)


def test_msm_is_the_sum_of_multiples(points: list[Point]) -> None:
    scalars = [5, -7, 0, P - 1, 2**254, -(2**62), 1, 3]
    expected: Point = None
    for point, scalar in zip(points, scalars, strict=True):
        expected = curve.add(expected, curve.multiply(point, scalar))
    assert curve.msm(points, scalars) == expected
    assert curve.msm([], []) is None


def test_every_sum_lies_on_the_curve(points: list[Point]) -> None:
    assert all(curve.is_on_curve(curve.add(a, b)) for a in points for b in points)
    for outside in ((1, 3), (0, 0), (Q + 1, 2), (1, 2 + Q), (1, 2 - Q)):
        assert not curve.is_on_curve(outside)


def test_points_are_encoded_canonically(points: list[Point]) -> None:
    for point in points[1:]:
        assert curve.decode_point(curve.encode_point(point)) == point
    with pytest.raises(PointAtInfinity):
        curve.encode_point(None)


@pytest.mark.parametrize(
    ("x", "y", "error"),
    [
        (0, 0, PointAtInfinity),
        (1, 3, PointNotOnCurve),
        (Q + 1, 2, NonCanonicalCoordinate),
        (1, Q + 2, NonCanonicalCoordinate),
        (2**256 - 1, 0, NonCanonicalCoordinate),
        (Q, 0, NonCanonicalCoordinate),
    ],
)
def test_what_is_no_point_is_refused(x: int, y: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        curve.decode_point(x.to_bytes(32, "big") + y.to_bytes(32, "big"))


def test_bytes_of_another_length_are_refused() -> None:
    for length in (0, 63, 65):
        with pytest.raises(WrongLength, match=f"64 bytes, got {length}"):
            curve.decode_point(bytes(length))


# G2


def from_py_ecc(point: object) -> PointG2:
    if point is None:
        return None
    x, y = (tuple(int(c) for c in coordinate.coeffs) for coordinate in point)  # type: ignore[attr-defined]
    return x, y


@pytest.mark.parametrize("scalar", [1, 2, 3, 17, 2**200 + 1, P - 1])
def test_multiples_in_g2_are_py_eccs(scalar: int) -> None:
    expected = from_py_ecc(bn128.multiply(bn128.G2, scalar))
    assert curve.multiply_g2(GENERATOR_G2, scalar) == expected
    assert curve.is_on_curve_g2(expected)


def test_membership_in_g2() -> None:
    assert curve.is_in_g2(GENERATOR_G2)
    assert curve.is_in_g2(curve.multiply_g2(GENERATOR_G2, 12345))
    assert curve.is_in_g2(None)
    assert GENERATOR_G2 is not None
    x, y = GENERATOR_G2
    assert not curve.is_in_g2((x, (y[0] + 1, y[1])))
    assert not curve.is_in_g2((x, (y[0] + Q, y[1])))


def test_a_point_outside_the_subgroup_is_not_in_g2() -> None:
    """The curve over Fq2 has order P (2Q - P): a point found by its x is hardly one of order P."""
    x = (1, 0)
    while True:
        cube = curve.multiply_fq2(curve.multiply_fq2(x, x), x)
        root = square_root(((cube[0] + curve.B_G2[0]) % Q, (cube[1] + curve.B_G2[1]) % Q))
        if root is not None:
            break
        x = (x[0] + 1, 0)
    point = (x, root)
    assert curve.is_on_curve_g2(point)
    assert not curve.is_in_g2(point)
    assert curve.is_in_g2(curve.multiply_g2(point, 2 * Q - P))


def square_root(value: tuple[int, int]) -> tuple[int, int] | None:
    """In Fq2 with Q = 3 mod 4, by the norm; None if there is none."""
    a, b = value
    norm = pow(a * a + b * b, (Q + 1) // 4, Q)
    for half in ((a + norm) * pow(2, -1, Q) % Q, (a - norm) * pow(2, -1, Q) % Q):
        x = pow(half, (Q + 1) // 4, Q)
        if x and curve.multiply_fq2((x, y := b * pow(2 * x, -1, Q) % Q), (x, y)) == (a % Q, b % Q):
            return x, y
    return None


# Sums of multiples, on every tier


def test_msm_is_linear(tier: Kernels, points: list[Point]) -> None:
    rng = random.Random(3)
    loaded = tier.load_points(points)
    a, b = (tier.from_ints([rng.randrange(P) for _ in points]) for _ in range(2))
    c = rng.randrange(P)
    combined = tier.add(a, tier.scale(b, c))
    right = curve.multiply(tier.msm(loaded, b), c)
    assert tier.msm(loaded, combined) == curve.add(tier.msm(loaded, a), right)


def test_msm_small_is_msm(tier: Kernels, points: list[Point]) -> None:
    ints = np.array([0, 1, -1, 2**15, -(2**15), 2**62, -(2**62), 12345])
    loaded = tier.load_points(points)
    assert tier.msm_small(loaded, ints) == tier.msm(loaded, tier.from_int64(ints))
    assert tier.msm_small(loaded, ints) == curve.msm(points, ints.tolist())


def test_generator_powers_commit_to_the_evaluation(tier: Kernels) -> None:
    """sum_i f_i [s^i] = [f(s)]: what KZG rests on."""
    rng = random.Random(4)
    s, f = rng.randrange(P), tier.from_ints([rng.randrange(P) for _ in range(12)])
    powers = tier.generator_powers(s, 12)
    assert tier.points_to_ints(powers[:2]) == [GENERATOR, curve.multiply(GENERATOR, s)]
    assert tier.msm(powers, f) == curve.multiply(GENERATOR, tier.evaluate(f, s))
