"""Sums of many points on the compiled tiers, against the power sum that defines them.

The sizes are those at which the code takes another way: more pairs than share an inversion,
segments longer than a run, windows and points cut among threads.
"""

import importlib
import random
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from prover import curve
from prover.curve import GENERATOR
from prover.field import P
from prover.kernels import features, get
from prover.kernels.cpu import kernel
from prover.kernels.interface import Kernels

MSM = importlib.import_module("prover.kernels.cpu.msm")  # the package has a function of that name
S = 987654321
MANY = 20_000  # above a run of segments.RUN, and above ifma's pairs that share an inversion

Ints = npt.NDArray[np.int64]


@pytest.fixture(scope="module", params=["scalar", "ifma"])
def tier(request: pytest.FixtureRequest) -> Kernels:
    if request.param == "ifma" and (missing := features.missing_for_ifma()):
        pytest.skip(f"this processor lacks {', '.join(missing)}")
    return get(request.param)


@pytest.fixture(scope="module")
def powers(tier: Kernels) -> object:
    return tier.generator_powers(S, MANY)


def power_sum(values: list[int]) -> curve.Point:
    """[sum_i values[i] S^i], in plain integers."""
    total = 0
    for value in reversed(values):
        total = (total * S + value) % P
    return curve.multiply(GENERATOR, total)


SHAPES: dict[str, Callable[[np.random.Generator], Ints]] = {
    "one bucket": lambda g: np.full(MANY, 5),
    "one bucket, both signs": lambda g: g.choice([-7, 7], MANY),
    "few buckets": lambda g: g.integers(-3, 4, MANY),
    "one bucket and many small ones": lambda g: np.where(
        g.random(MANY) < 0.9, 11, g.integers(-(2**15), 2**15, MANY)
    ),
    "all buckets": lambda g: g.integers(-(2**15), 2**15, MANY),
    "the ends of int16": lambda g: g.choice([-(2**15), 2**15 - 1], MANY),
    "sparse": lambda g: np.where(g.random(MANY) < 0.01, g.integers(-9, 9, MANY), 0),
    "three windows": lambda g: g.integers(-(2**40), 2**40, MANY),
    "62 bits": lambda g: g.integers(-(2**62), 2**62 + 1, MANY),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_structured_integers(tier: Kernels, powers: object, shape: str) -> None:
    ints = SHAPES[shape](np.random.default_rng(7)).astype(np.int64)
    expected = power_sum(ints.tolist())
    assert tier.msm_small(powers, ints) == expected
    assert tier.msm(powers, tier.from_int64(ints)) == expected


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32])
def test_integers_as_they_are_stored(tier: Kernels, powers: object, dtype: type) -> None:
    limits = np.iinfo(dtype)
    ints = np.random.default_rng(8).integers(limits.min, limits.max + 1, MANY).astype(dtype)
    ints[:2] = limits.min, limits.max
    assert tier.msm_small(powers, ints) == power_sum(ints.tolist())
    assert tier.to_ints(tier.from_int64(ints)) == [int(i) % P for i in ints]


@pytest.mark.parametrize("workers", [1, 2, 3, 5])
def test_any_number_of_threads(
    tier: Kernels, powers: object, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows, or the points of one window, are cut in as many parts as there are threads."""
    for module in (MSM, kernel):
        monkeypatch.setattr(module, "threads", lambda: workers)
    kernel._pool.cache_clear()
    g = np.random.default_rng(9)
    for limit in (1, 2**15, 2**60):
        ints = g.integers(-limit, limit, MANY)
        assert tier.msm_small(powers, ints) == power_sum(ints.tolist())
    rng = random.Random(9)
    values = [rng.randrange(P) for _ in range(600)]
    assert tier.msm(powers, tier.from_ints(values)) == power_sum(values)
    kernel._pool.cache_clear()


def test_points_are_cut_where_there_is_one_window() -> None:
    assert MSM._plan(1 << 20, 1 << 15, 1).parts == 1
    assert MSM._plan(1 << 20, 1 << 15, 2).parts == 2
    assert MSM._plan(1 << 20, P, 2).parts == 1


@pytest.mark.parametrize("n", [4095, 4096, 4097, 8193, 8200])
def test_segments_of_any_length_and_repeated_points(tier: Kernels, n: int) -> None:
    """Buckets in which a point meets itself, its negative and infinity at every level."""
    few = [None, *(curve.multiply(GENERATOR, i) for i in (1, 2, 5))]
    few += [curve.negate(point) for point in few[1:]]
    which, points = np.random.default_rng(n).integers(0, len(few), n), tier.load_points(few)
    for ints in (np.full(n, -9), np.random.default_rng(1).integers(-2, 3, n)):
        expected = None
        for i, point in enumerate(few):
            expected = curve.add(expected, curve.multiply(point, int(ints[which == i].sum())))
        assert tier.msm_small(points[which], ints) == expected


def test_generator_powers_are_powers(tier: Kernels, powers: object) -> None:
    for i in (0, 1, 4095, 4096, MANY - 1):
        expected = curve.multiply(GENERATOR, pow(S, i, P))
        assert tier.points_to_ints(powers[i : i + 1]) == [expected]  # type: ignore[index]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(1, 8), (3, 100), (4, 24), (5, 2056), (40, 3), (7, 40), (1, 1)])
def test_small_matvec_of_any_integers(tier: Kernels, dtype: type, shape: tuple[int, int]) -> None:
    limits, rng = np.iinfo(dtype), random.Random(4)
    ints = np.random.default_rng(3).integers(limits.min, limits.max, shape, dtype, endpoint=True)
    ints.flat[0], ints.flat[-1] = limits.min, limits.max
    v = [rng.choice([P - 1, rng.randrange(P)]) for _ in range(shape[1])]
    expected = [sum(int(x) * y for x, y in zip(row, v, strict=True)) % P for row in ints]
    assert tier.to_ints(tier.small_matvec(ints, tier.from_ints(v))) == expected
