"""The kernel tiers in lock-step: each against the reference on the same inputs."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from prover import curve
from prover.curve import GENERATOR
from prover.errors import (
    EinproofError,
    NonCanonicalCoordinate,
    PointNotOnCurve,
    WrongLength,
    ZeroInverse,
)
from prover.field import P, Q
from prover.kernels import available, features, get
from prover.kernels.cpu import kernel
from prover.kernels.interface import ElementOverflow, Kernels, LengthMismatch, UnknownKernels

REFERENCE = get("reference")
EDGES = [0, 1, 2, P - 1, P - 2, P // 2, P // 2 + 1, 2**64 - 1, 2**64, 2**128, 2**192 - 1, 2**253]
INT64S = [0, 1, -1, 2**15, -(2**15), 2**31, -(2**31), 2**62, -(2**62), 2**63 - 1, -(2**63)]


@pytest.fixture(scope="module", params=["scalar", "ifma"])
def tier(request: pytest.FixtureRequest) -> Kernels:
    if request.param == "ifma" and (missing := features.missing_for_ifma()):
        pytest.skip(f"this processor lacks {', '.join(missing)}")
    return get(request.param)


def cells(rng: random.Random, n: int) -> list[int]:
    """Random elements with the edges among them."""
    return [rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(P) for _ in range(n)]


def both(tier: Kernels, work: Callable[[Kernels], Any]) -> None:
    """The work gives the same on the tier as on the reference."""
    assert work(tier) == work(REFERENCE)


def vector(call: Callable[[Kernels], Any]) -> Callable[[Kernels], list[int]]:
    return lambda k: k.to_ints(call(k))


LENGTHS = [1, 2, 3, 7, 64, 129]


@pytest.mark.parametrize("n", LENGTHS)
def test_elementwise(tier: Kernels, n: int) -> None:
    rng = random.Random(n)
    a, b, c = cells(rng, n), cells(rng, n), rng.choice([*EDGES, -1, P + 5, rng.randrange(P)])
    for name in ("add", "sub", "mul"):
        both(tier, vector(lambda k, name=name: getattr(k, name)(k.from_ints(a), k.from_ints(b))))
    both(tier, vector(lambda k: k.scale(k.from_ints(a), c)))
    both(tier, vector(lambda k: k.outer(k.from_ints(a), k.from_ints(b))))
    both(tier, lambda k: k.total(k.from_ints(a)))
    both(tier, lambda k: k.inner(k.from_ints(a), k.from_ints(b)))
    both(tier, vector(lambda k: k.concat([k.from_ints(a), k.zeros(2), k.from_ints(b)])))
    both(tier, vector(lambda k: k.powers(c, n)))
    both(tier, lambda k: k.evaluate(k.from_ints(a), c))


def test_every_pair_of_edges(tier: Kernels) -> None:
    pairs = [(x, y) for x in EDGES for y in EDGES]
    left, right = [x for x, _ in pairs], [y for _, y in pairs]
    for name in ("add", "sub", "mul"):
        both(
            tier,
            vector(lambda k, name=name: getattr(k, name)(k.from_ints(left), k.from_ints(right))),
        )


def test_conversions(tier: Kernels) -> None:
    wild = [*EDGES, -1, -P, P, 2**300, -(2**300) + 7]
    both(tier, vector(lambda k: k.from_ints(wild)))
    both(tier, vector(lambda k: k.from_int64(np.array(INT64S, dtype=np.int64))))
    both(tier, vector(lambda k: k.concat([])))
    for empty in (lambda k: k.from_ints([]), lambda k: k.zeros(0), lambda k: k.powers(3, 0)):
        both(tier, vector(empty))
    both(tier, lambda k: k.total(k.zeros(0)))
    both(tier, lambda k: k.evaluate(k.zeros(0), 3))


def test_strided_and_read_only_vectors(tier: Kernels) -> None:
    """Slices with a step, fancy indices and frozen arrays are vectors like any other."""
    values = cells(random.Random(1), 32)
    order = np.random.default_rng(1).permutation(16)

    def work(k: Kernels) -> list[list[int]]:
        v = k.from_ints(values)
        frozen = v[:16].copy()
        frozen.setflags(write=False)
        k.add_scaled(v[16:], 5, v[:16])
        k.add_scaled(v[1::2], 7, frozen)
        strided = k.mul(v[::2], frozen[order])
        return [k.to_ints(v), k.to_ints(strided), k.to_ints(k.fold(v[::-1], 9))]

    both(tier, work)


@pytest.mark.parametrize("n", LENGTHS)
def test_batch_inverse(tier: Kernels, n: int) -> None:
    values = [value or 1 for value in cells(random.Random(n), n)]
    both(tier, vector(lambda k: k.batch_inverse(k.from_ints(values))))
    for k in (tier, REFERENCE):
        with pytest.raises(ZeroInverse):
            k.batch_inverse(k.from_ints([*values, 0]))
        with pytest.raises(ZeroInverse):
            k.batch_inverse(k.from_ints([0, *values]))


def some_rows(rng: np.random.Generator, shape: tuple[int, int], values: int) -> Any:
    """Places in `values` values, half of them the same one."""
    rows = rng.integers(0, values, shape)
    rows[rng.random(shape) < 0.5] = values // 2
    return rows.astype(np.int32)


@pytest.mark.parametrize("shape", [(1, 1), (4, 129), (2, 64), (3, 0)])
def test_pick(tier: Kernels, shape: tuple[int, int]) -> None:
    rows = some_rows(np.random.default_rng(shape[1]), shape, 7)
    values = cells(random.Random(shape[0]), 7)
    both(tier, vector(lambda k: k.pick(k.from_ints(values), rows)))
    both(tier, vector(lambda k: k.pick(k.from_ints(values), rows[:, ::2])))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 7])
def test_eq_table(tier: Kernels, n: int) -> None:
    point = cells(random.Random(n), n)
    both(tier, vector(lambda k: k.eq_table(point)))


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (64, 10), (5, 0), (0, 5), (301, 65), (40, 1030)])
def test_small_matvec(tier: Kernels, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(shape[0])
    small = rng.integers(-(2**15), 2**15, shape)
    edges = rng.choice(np.array(INT64S, dtype=np.int64), shape)
    v = cells(random.Random(shape[1]), shape[1])
    for ints in (small, edges, small.T.copy().T):
        both(tier, vector(lambda k, ints=ints: k.small_matvec(ints, k.from_ints(v))))


def test_small_matvec_of_extremes(tier: Kernels) -> None:
    """Sums as far from zero as they get, in both directions."""
    n = 4096
    ints = np.array([[2**63 - 1] * n, [-(2**63)] * n], dtype=np.int64)
    both(tier, vector(lambda k: k.small_matvec(ints, k.from_ints([P - 1] * n))))


@pytest.mark.parametrize("shape", [(3, 8205), (9, 31), (1, 8), (17, 1), (2, 40)])
def test_small_matvec_of_32_bits(tier: Kernels, shape: tuple[int, int]) -> None:
    """The extremes of the integers that vectors multiply, in rows and columns of any length."""
    limits = np.array([-(2**31), 2**31 - 1, 0, -1], dtype=np.int64)
    v = [P - 1] * shape[1]
    for ints in (np.full(shape, limits[0]), np.full(shape, limits[1]), np.resize(limits, shape)):
        both(tier, vector(lambda k, ints=ints: k.small_matvec(ints, k.from_ints(v))))


@pytest.mark.parametrize("half", [1, 2, 5, 64])
def test_rounds(tier: Kernels, half: int) -> None:
    rng = random.Random(half)
    columns = [cells(rng, 2 * half) for _ in range(11)]
    beta = rng.randrange(P)
    both(tier, vector(lambda k: k.fold(k.from_ints(columns[0]), beta)))
    for count in range(1, 9):

        def lookup(k: Kernels, count: int = count) -> tuple[list[int], list[int]]:
            e, cut, helper, *slices = [k.from_ints(column) for column in columns[: 3 + count]]
            return k.round_lookup(e, cut, helper, slices, beta)

        both(tier, lookup)

    def table(k: Kernels) -> tuple[list[int], list[int]]:
        e, cut, helper, table, mult = [k.from_ints(column) for column in columns[:5]]
        return k.round_table(e, cut, helper, table, mult, beta)

    both(tier, table)
    for count in (2, 3):
        both(
            tier,
            lambda k, count=count: k.round_product([k.from_ints(c) for c in columns[:count]]),
        )


@pytest.fixture
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """Two threads or as many as asked for, whatever the processor has."""
    count: int = getattr(request, "param", 2)
    monkeypatch.setattr(kernel, "threads", lambda: count)
    kernel._pool.cache_clear()
    yield count
    kernel._pool.cache_clear()


def test_rounds_cut_among_threads(tier: Kernels, workers: int) -> None:
    """Rounds long enough for two parts in either tier."""
    columns = [cells(random.Random(i), 1 << 13) for i in range(5)]

    def held(k: Kernels, count: int) -> list[Any]:
        return [k.from_ints(column) for column in columns[:count]]

    both(tier, lambda k: k.round_product(held(k, 2)))
    both(tier, lambda k: k.round_product(held(k, 3)))
    both(tier, lambda k: k.round_lookup(*held(k, 3), held(k, 5)[3:], 5))
    both(tier, lambda k: k.round_table(*held(k, 5), 5))


@pytest.mark.parametrize("workers", [2, 3], indirect=True)
def test_vectors_cut_among_threads(tier: Kernels, workers: int) -> None:
    """Lengths at which eight cells at a time are cut, too, and end in a block that is not whole."""
    rng, n = random.Random(workers), 2 * (8192 + 5)
    a, b = cells(rng, n), cells(rng, n)
    for name in ("add", "sub", "mul"):
        both(tier, vector(lambda k, name=name: getattr(k, name)(k.from_ints(a), k.from_ints(b))))
    both(tier, vector(lambda k: k.scale(k.from_ints(a), P - 5)))
    both(tier, vector(lambda k: k.fold(k.from_ints(a), P - 5)))
    both(tier, lambda k: k.total(k.from_ints(a)))
    both(tier, lambda k: k.inner(k.from_ints(a), k.from_ints(b)))

    def added(k: Kernels) -> list[int]:
        acc = k.from_ints(a)
        k.add_scaled(acc, P - 5, k.from_ints(b))
        return k.to_ints(acc)

    both(tier, added)
    wide = np.random.default_rng(workers).integers(-(1 << 63), 1 << 63, n)
    both(tier, vector(lambda k: k.from_int64(wide)))


@pytest.mark.parametrize("shape", [(130, 1030), (1030, 130)])
def test_small_matvec_cut_among_threads(
    tier: Kernels, workers: int, shape: tuple[int, int]
) -> None:
    """Row-major and column-major, in parts of four rows and of four blocks of eight, which do not
    divide them."""
    ints = np.random.default_rng(workers).integers(-(2**15), 2**15, shape)
    v = cells(random.Random(workers), shape[1])
    for matrix in (ints, ints.T.copy().T):
        both(tier, vector(lambda k, m=matrix: k.small_matvec(m, k.from_ints(v))))


@pytest.mark.parametrize(
    ("length", "b"), [(1, 1), (13, 4), (16, 4), (3, 8), (64, 8), (9, 1), (61, 12), (40, 16)]
)
def test_divide_power(tier: Kernels, length: int, b: int) -> None:
    rng = random.Random(length)
    f, alpha = cells(rng, length), rng.randrange(P)

    def work(k: Kernels) -> list[list[int]]:
        return [k.to_ints(part) for part in k.divide_power(k.from_ints(f), b, alpha)]

    both(tier, work)


@pytest.mark.parametrize("lengths", [(1, 1), (8, 8), (3, 9), (9, 3), (64, 64), (13, 20), (20, 13)])
def test_correlate(tier: Kernels, lengths: tuple[int, int]) -> None:
    a, b = (cells(random.Random(n), n) for n in lengths)
    both(tier, vector(lambda k: k.correlate(k.from_ints(a), k.from_ints(b))))


# G1. Sums of multiples of one point make equal, opposite and vanishing partial sums likely.

FEW = [curve.multiply(GENERATOR, i) for i in (1, 2, 3)]
SPECIAL = [None, *FEW, *map(curve.negate, FEW)]


@pytest.fixture(scope="module")
def random_points() -> list[curve.Point]:
    rng = random.Random(5)
    return [curve.multiply(GENERATOR, rng.randrange(P)) for _ in range(64)]


def sums(tier: Kernels, points: list[curve.Point], scalars: list[int]) -> None:
    both(tier, lambda k: k.msm(k.load_points(points), k.from_ints(scalars)))


def small_sums(tier: Kernels, points: list[curve.Point], ints: list[int]) -> None:
    array = np.array(ints, dtype=np.int64)
    both(tier, lambda k: k.msm_small(k.load_points(points), array))


@pytest.mark.parametrize("n", [0, 1, 2, 3, 17, 64])
def test_msm(tier: Kernels, random_points: list[curve.Point], n: int) -> None:
    rng = random.Random(n)
    sums(tier, random_points, cells(rng, n))
    sums(tier, random_points, [rng.randrange(P) for _ in range(n)])
    for limit in (1, 2**7, 2**15, 2**16, 2**31, 2**62):
        small_sums(tier, random_points, [rng.randrange(-limit, limit + 1) for _ in range(n)])


@pytest.mark.parametrize("seed", range(20))
def test_msm_with_equal_and_opposite_points(tier: Kernels, seed: int) -> None:
    rng = random.Random(seed)
    points = [rng.choice(SPECIAL) for _ in range(rng.choice([2, 5, 40]))]
    few = [0, 1, P - 1, 2, rng.randrange(P)]
    sums(tier, points, [rng.choice(few) for _ in points])
    small_sums(tier, points, [rng.choice([0, 1, -1, 255, -256]) for _ in points])


@pytest.mark.parametrize("scalar", [0, 1, P - 1, P // 2, P // 2 + 1, 2**15, 2**128, P - 2**15])
def test_msm_of_one_scalar_and_one_point(tier: Kernels, scalar: int) -> None:
    for n in (1, 2, 33):
        sums(tier, [GENERATOR] * n, [scalar] * n)
        sums(tier, [None] * n, [scalar] * n)


@pytest.mark.parametrize(
    "value", [0, 1, -1, 127, 128, -128, 2**15, -(2**15), 2**16, 2**62, -(2**62)]
)
def test_msm_small_of_one_scalar_and_one_point(tier: Kernels, value: int) -> None:
    for n in (1, 2, 33):
        small_sums(tier, [GENERATOR] * n, [value] * n)


def test_msm_that_cancels(tier: Kernels, random_points: list[curve.Point]) -> None:
    points = [p for point in random_points for p in (point, curve.negate(point))]
    sums(tier, points, [7] * len(points))
    small_sums(tier, points, [-3] * len(points))


@pytest.mark.parametrize(("count", "values"), [(1, 1), (1, 64), (4, 3), (4, 20), (4, 60)])
def test_msm_picked(
    tier: Kernels, random_points: list[curve.Point], count: int, values: int
) -> None:
    """Few values, and as many as there are points; zero among them; equal and opposite points."""
    rng = random.Random(values)
    rows = some_rows(np.random.default_rng(count), (count, 64), values)
    special = [rng.choice(SPECIAL) for _ in random_points]
    for points in (random_points, special):
        for scalars in (cells(rng, values), [rng.randrange(P) for _ in range(values)]):
            both(
                tier,
                lambda k, p=points, s=scalars: k.msm_picked(k.load_points(p), k.from_ints(s), rows),
            )


def test_large_msm_picked_is_the_sum_of_its_cells(tier: Kernels) -> None:
    """A value that most cells have, in pieces longer than a run; all threads."""
    n, powers = 20_000, tier.generator_powers(1234567, 20_000)
    for values, most in ((3, 0.9), (300, 0.5), (19_000, 0.1)):
        rng = np.random.default_rng(values)
        rows = rng.integers(0, values, (4, n)).astype(np.int32)
        rows[rng.random(rows.shape) < most] = 1
        v = tier.from_ints([0, *(cells(random.Random(values), values - 1))])
        expected = tier.msm(powers, tier.pick(v, rows))
        assert tier.msm_picked(powers, v, rows) == expected
        assert tier.msm_picked(powers, tier.zeros(values), rows) is None


def test_large_msm_equals_its_power_sum(tier: Kernels) -> None:
    """Many windows and threads: sum_i a_i [s^i] is [a(s)], for random, equal and small a."""
    s, n = 1234567, 5000
    powers = tier.generator_powers(s, n)
    rng = np.random.default_rng(2)
    for ints in (rng.integers(-(2**15), 2**15, n), rng.integers(-1, 2, n), np.full(n, -(2**15))):
        expected = curve.multiply(GENERATOR, tier.evaluate(tier.from_int64(ints), s))
        assert tier.msm_small(powers, ints) == expected
        assert tier.msm(powers, tier.from_int64(ints)) == expected
    for values in (cells(random.Random(3), n), [P - 2] * n):
        a = tier.from_ints(values)
        assert tier.msm(powers, a) == curve.multiply(GENERATOR, tier.evaluate(a, s))


def test_large_msm_of_equal_and_opposite_points(tier: Kernels) -> None:
    """Buckets larger than a batch in which most additions are doublings, cancel or do nothing."""
    rng, n = np.random.default_rng(4), 40000
    which, points = rng.integers(0, len(SPECIAL), n), tier.load_points(SPECIAL)
    for ints in (np.full(n, 3), rng.integers(-1, 2, n), rng.integers(-(2**15), 2**15, n)):
        expected = None
        for i, point in enumerate(SPECIAL):
            part = curve.multiply(point, int(ints[which == i].sum()))
            expected = curve.add(expected, part)
        assert tier.msm_small(points[which], ints) == expected


def test_generator_powers(tier: Kernels) -> None:
    for s in (0, 1, P - 1, 3, 2**200 + 17):
        both(tier, lambda k, s=s: k.points_to_ints(k.generator_powers(s, 9)))
    both(tier, lambda k: k.points_to_ints(k.generator_powers(5, 0)))


def test_points_in_and_out(tier: Kernels, random_points: list[curve.Point]) -> None:
    points = [*random_points, *SPECIAL]
    both(tier, lambda k: k.points_to_ints(k.load_points(points)))
    both(tier, lambda k: k.points_to_bytes(k.load_points(points)))
    data = REFERENCE.points_to_bytes(points)
    both(tier, lambda k: k.points_to_ints(k.points_from_bytes(data)))
    both(tier, lambda k: k.points_to_ints(k.load_points(points)[3:10]))


def encoded(x: int, y: int) -> bytes:
    return x.to_bytes(32, "big") + y.to_bytes(32, "big")


GOOD = encoded(1, 2)
BAD = {
    "off curve": (encoded(1, 3), PointNotOnCurve),
    "x, by a bit of its top word": (encoded(1 ^ 1 << 255, 2), NonCanonicalCoordinate),
    "x, just too large": (encoded(Q, 2), NonCanonicalCoordinate),
    "y, just too large": (encoded(1, Q + 2), NonCanonicalCoordinate),
    "y, negated twice": (encoded(1, 2 * Q - 2), NonCanonicalCoordinate),
}


@pytest.mark.parametrize("label", BAD)
def test_one_bad_point_among_many(
    tier: Kernels, random_points: list[curve.Point], label: str
) -> None:
    """Whole blocks of eight, of which one has a point that is not one, at every place."""
    bad, error = BAD[label]
    good = REFERENCE.points_to_bytes((random_points * 16)[:16])
    assert tier.points_to_bytes(tier.points_from_bytes(good)) == good
    hole = good[:640] + bytes(64) + good[704:]
    assert tier.points_to_bytes(tier.points_from_bytes(hole)) == hole
    for i in range(16):
        with pytest.raises(error):
            tier.points_from_bytes(good[: 64 * i] + bad + good[64 * i + 64 :])


REFUSED: list[tuple[str, Callable[[Kernels], Any], type[EinproofError]]] = [
    ("short bytes", lambda k: k.points_from_bytes(GOOD[:-1]), WrongLength),
    ("off curve", lambda k: k.points_from_bytes(GOOD + encoded(1, 3)), PointNotOnCurve),
    ("x too large", lambda k: k.points_from_bytes(encoded(Q + 1, 2)), NonCanonicalCoordinate),
    ("y too large", lambda k: k.points_from_bytes(encoded(1, Q + 2)), NonCanonicalCoordinate),
    ("load off curve", lambda k: k.load_points([(1, 2), (1, 1)]), PointNotOnCurve),
    ("load too large", lambda k: k.load_points([(Q + 1, 2)]), PointNotOnCurve),
    ("few points", lambda k: k.msm(k.load_points([GENERATOR]), k.zeros(2)), LengthMismatch),
    ("few small", lambda k: k.msm_small([], np.ones(1, dtype=np.int64)), LengthMismatch),
    (
        "63 bits",
        lambda k: k.msm_small(k.load_points([GENERATOR]), np.array([2**62 + 1])),
        ElementOverflow,
    ),
    (
        "least int64",
        lambda k: k.msm_small(k.load_points([GENERATOR]), np.array([-(2**63)])),
        ElementOverflow,
    ),
    ("add", lambda k: k.add(k.zeros(1), k.zeros(2)), LengthMismatch),
    ("inner", lambda k: k.inner(k.zeros(1), k.zeros(2)), LengthMismatch),
    ("add_scaled", lambda k: k.add_scaled(k.zeros(1), 1, k.zeros(2)), LengthMismatch),
    ("fold odd", lambda k: k.fold(k.zeros(3), 1), LengthMismatch),
    ("fold empty", lambda k: k.fold(k.zeros(0), 1), LengthMismatch),
    ("no slices", lambda k: k.round_lookup(*[k.zeros(2)] * 3, [], 1), LengthMismatch),
    (
        "9 slices",
        lambda k: k.round_lookup(*[k.zeros(2)] * 3, [k.zeros(2)] * 9, 1),
        LengthMismatch,
    ),
    ("1 factor", lambda k: k.round_product([k.zeros(2)]), LengthMismatch),
    (
        "matrix",
        lambda k: k.small_matvec(np.ones((2, 2), dtype=np.int64), k.zeros(3)),
        LengthMismatch,
    ),
    ("rows below", lambda k: k.pick(k.zeros(2), np.full((1, 2), -1, np.int32)), LengthMismatch),
    ("rows above", lambda k: k.pick(k.zeros(2), np.full((1, 2), 2, np.int32)), LengthMismatch),
    ("no rows", lambda k: k.pick(k.zeros(2), np.zeros((0, 2), np.int32)), LengthMismatch),
    (
        "few picked",
        lambda k: k.msm_picked(k.load_points([GENERATOR]), k.zeros(2), np.zeros((1, 2), np.int32)),
        LengthMismatch,
    ),
    ("divisor", lambda k: k.divide_power(k.zeros(4), 0, 1), LengthMismatch),
]


@pytest.mark.parametrize(
    ("call", "error"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED]
)
def test_misuse_is_refused_alike(
    tier: Kernels, call: Callable[[Kernels], Any], error: type[EinproofError]
) -> None:
    for k in (tier, REFERENCE):
        with pytest.raises(error):
            call(k)


def test_get_names_the_choices(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnknownKernels, match="reference, scalar, ifma, cuda; got 'abacus'"):
        get("abacus")
    monkeypatch.setenv("EINPROOF_KERNELS", "reference")
    assert get() is REFERENCE
    monkeypatch.delenv("EINPROOF_KERNELS")
    assert get().name == ("scalar" if features.missing_for_ifma() else "ifma")


def test_a_processor_without_ifma_gets_the_scalar_tier(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were its code to run, the process would abort: it must not even be loaded."""
    monkeypatch.delenv("EINPROOF_KERNELS", raising=False)
    present = frozenset({"avx2", "avx512f", "avx512dq", "avx512vl"})
    monkeypatch.setattr(features, "host_features", lambda: present)
    assert get().name == "scalar"
    assert available() == ["reference", "scalar"]
    with pytest.raises(UnknownKernels, match="this one lacks avx512ifma"):
        get("ifma")
    monkeypatch.setattr(features, "host_features", lambda: present | {"avx512ifma"})
    assert features.missing_for_ifma() == []


def test_features_that_numba_is_told_to_assume(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CPU_NAME", "generic")
    assert features.missing_for_ifma() == list(features.NEEDED)
    monkeypatch.setenv("NUMBA_CPU_FEATURES", "+avx512f,+avx512dq,-avx512vl,+avx512ifma")
    assert features.missing_for_ifma() == ["avx512vl"]
