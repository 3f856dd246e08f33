"""The laws of Fr and of its multilinear and univariate polynomials, on every kernel tier."""

import functools
import random
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from prover import field
from prover.errors import NonCanonicalScalar, WrongLength, ZeroInverse
from prover.field import P, Q
from prover.kernels import TIERS, features, get
from prover.kernels.interface import Kernels, Vec

EDGES = [0, 1, 2, P - 1, P - 2, (P + 1) // 2, 2**64, 2**253]


@pytest.fixture(scope="module", params=TIERS)
def tier(request: pytest.FixtureRequest) -> Kernels:
    if request.param == "ifma" and (missing := features.missing_for_ifma()):
        pytest.skip(f"this processor lacks {', '.join(missing)}")
    return get(request.param)


def draw(rng: random.Random, n: int) -> list[int]:
    return [rng.choice(EDGES) if rng.random() < 0.3 else rng.randrange(P) for _ in range(n)]


@pytest.fixture
def rng() -> random.Random:
    return random.Random(7)


def same(tier: Kernels, a: Vec, b: Vec) -> bool:
    return tier.to_ints(a) == tier.to_ints(b)


def test_ring_laws(tier: Kernels, rng: random.Random) -> None:
    triples = [(x, y, z) for x in EDGES for y in EDGES for z in draw(rng, 3)]
    x, y, z = (tier.from_ints(column) for column in zip(*triples, strict=True))
    zero, one = tier.zeros(len(x)), tier.from_ints([1] * len(x))
    add, sub, mul = tier.add, tier.sub, tier.mul
    assert same(tier, add(x, y), add(y, x))
    assert same(tier, mul(x, y), mul(y, x))
    assert same(tier, add(add(x, y), z), add(x, add(y, z)))
    assert same(tier, mul(mul(x, y), z), mul(x, mul(y, z)))
    assert same(tier, mul(x, add(y, z)), add(mul(x, y), mul(x, z)))
    assert same(tier, add(x, zero), x)
    assert same(tier, mul(x, one), x)
    assert same(tier, mul(x, zero), zero)
    assert same(tier, sub(add(x, y), y), x)
    assert same(tier, sub(zero, sub(x, y)), sub(y, x))


def test_inverses(tier: Kernels, rng: random.Random) -> None:
    values = [value or 3 for value in [*EDGES, *draw(rng, 20)]]
    a = tier.from_ints(values)
    assert tier.to_ints(tier.mul(a, tier.batch_inverse(a))) == [1] * len(values)
    assert tier.to_ints(tier.batch_inverse(a)) == [field.inverse(value) for value in values]


def test_every_result_is_canonical(tier: Kernels, rng: random.Random) -> None:
    a, b = tier.from_ints([*EDGES, P, -1, *draw(rng, 30)]), tier.from_ints([P - 1] * 40)
    results = [tier.add(a, b), tier.sub(a, b), tier.mul(a, b), tier.scale(a, -1), tier.outer(a, a)]
    results += [tier.from_int64(np.array([-1, -(2**63)])), tier.fold(a, P - 1)]
    assert all(0 <= value < P for result in results for value in tier.to_ints(result))


def test_sums_and_products_of_vectors(tier: Kernels, rng: random.Random) -> None:
    x, y, c = draw(rng, 24), draw(rng, 24), rng.randrange(P)
    a, b = tier.from_ints(x), tier.from_ints(y)
    assert tier.total(a) == sum(x) % P
    assert tier.inner(a, b) == tier.total(tier.mul(a, b))
    assert tier.inner(a, b) == tier.to_ints(tier.correlate(a, b))[0]
    assert tier.total(tier.outer(a, b)) == tier.total(a) * tier.total(b) % P
    accumulated = tier.concat([a])
    tier.add_scaled(accumulated, c, b)
    assert same(tier, accumulated, tier.add(a, tier.scale(b, c)))
    assert tier.to_ints(a) == x, "a vector that was only read has changed"


def test_small_matvec_is_the_field_product(tier: Kernels, rng: random.Random) -> None:
    ints = np.random.default_rng(1).integers(-(2**15), 2**15, (5, 24))
    v = tier.from_ints(draw(rng, 24))
    rows = [tier.inner(tier.from_int64(row), v) for row in ints]
    assert tier.to_ints(tier.small_matvec(ints, v)) == rows


# Multilinear tables


@pytest.mark.parametrize("n", [0, 1, 4])
def test_eq_table_sums_to_one_and_selects(tier: Kernels, rng: random.Random, n: int) -> None:
    table = tier.eq_table(draw(rng, n))
    assert tier.total(table) == 1
    for x in range(1 << n):
        bits = [x >> n - 1 - i & 1 for i in range(n)]  # the first variable on the top bit
        assert tier.to_ints(tier.eq_table(bits)) == [int(y == x) for y in range(1 << n)]


def test_folding_all_variables_evaluates(tier: Kernels, rng: random.Random) -> None:
    values, point = draw(rng, 16), draw(rng, 4)
    v = tier.from_ints(values)
    folded = functools.reduce(tier.fold, point, v)
    assert tier.to_ints(folded) == [tier.inner(v, tier.eq_table(point))]
    assert same(tier, tier.fold(v, 0), v[:8])
    assert same(tier, tier.fold(v, 1), v[8:])


def interpolate(evaluations: Sequence[int], point: int) -> int:
    """At the point, the polynomial with these values at 0, 1, ... (Lagrange)."""
    total = 0
    for i, value in enumerate(evaluations):
        others = [j for j in range(len(evaluations)) if j != i]
        numerator = field.product(point - j for j in others)
        total += value * numerator * field.inverse(field.product(i - j for j in others))
    return total % P


BETA = 1234567


def lookup_rounds(tier: Kernels, vectors: Sequence[Vec]) -> tuple[list[int], ...]:
    return tier.round_lookup(*vectors[:3], vectors[3:], BETA)


def lookup_relation(e: int, _cut: int, helper: int, *slices: int) -> int:
    denominator = field.product(BETA - f for f in slices)
    fractions = sum(field.inverse(BETA - f) for f in slices)  # N / D
    return e * denominator * (helper - fractions)


def table_rounds(tier: Kernels, vectors: Sequence[Vec]) -> tuple[list[int], ...]:
    return tier.round_table(*vectors, BETA)


def table_relation(e: int, _cut: int, helper: int, table: int, mult: int) -> int:
    return e * (helper * (BETA - table) - mult)


def helpers(_e: int, cut: int, helper: int, *_others: int) -> int:
    return cut * helper


def product_rounds(tier: Kernels, vectors: Sequence[Vec]) -> tuple[list[int], ...]:
    at_0, *others = tier.round_product(vectors)
    before = sum(tier.to_ints(functools.reduce(tier.mul, vectors)))
    assert (at_0 + others[0] - before) % P == 0
    return (others,)


def product_summand(*factors: int) -> int:
    return field.product(factors)


Rounds = Callable[[Kernels, Sequence[Vec]], tuple[list[int], ...]]
ROUNDS = [
    pytest.param(table_rounds, {table_relation: 3, helpers: 2}, 5, id="table"),
    pytest.param(product_rounds, {product_summand: 2}, 2, id="product of 2"),
    pytest.param(product_rounds, {product_summand: 3}, 3, id="product of 3"),
    *(
        pytest.param(lookup_rounds, {lookup_relation: k + 2, helpers: 2}, 3 + k, id=f"{k} slices")
        for k in range(1, 9)
    ),
]


@pytest.mark.parametrize(("rounds_of", "summands", "width"), ROUNDS)
def test_rounds_carry_the_sums_down_to_one_cell(
    tier: Kernels,
    rng: random.Random,
    rounds_of: Rounds,
    summands: dict[Callable[..., int], int],
    width: int,
) -> None:
    """The sumcheck's own law: with what its claim leaves for 0, a round's values from 1 to the
    degree are those of a polynomial that carries the claim on."""
    columns = [draw(rng, 16) for _ in range(width)]
    vectors = [tier.from_ints(column) for column in columns]
    claims = [sum(map(summand, *columns)) % P for summand in summands]
    for _ in range(4):
        found, challenge = rounds_of(tier, vectors), rng.randrange(P)
        assert [len(values) for values in found] == list(summands.values())
        claims = [
            interpolate([claim - values[0], *values], challenge)
            for claim, values in zip(claims, found, strict=True)
        ]
        vectors = [tier.fold(vector, challenge) for vector in vectors]
    cells = [tier.to_ints(vector)[0] for vector in vectors]
    assert claims == [summand(*cells) % P for summand in summands]


# Univariate polynomials


@pytest.mark.parametrize(("length", "b"), [(16, 4), (13, 4), (4, 4), (3, 4), (9, 1)])
def test_division_leaves_a_short_remainder(
    tier: Kernels, rng: random.Random, length: int, b: int
) -> None:
    f, alpha, z = tier.from_ints(draw(rng, length)), rng.randrange(P), rng.randrange(P)
    quotient, remainder = tier.divide_power(f, b, alpha)
    assert (len(quotient), len(remainder)) == (max(length - b, 0), b)
    product = (pow(z, b, P) - alpha) * tier.evaluate(quotient, z)
    assert tier.evaluate(f, z) == (product + tier.evaluate(remainder, z)) % P


def test_evaluation_is_an_inner_product_with_powers(tier: Kernels, rng: random.Random) -> None:
    for length in range(10):
        f, z = tier.from_ints(draw(rng, length)), rng.randrange(P)
        assert tier.evaluate(f, z) == tier.inner(f, tier.powers(z, length))


def test_correlation_is_a_product_of_polynomials(tier: Kernels, rng: random.Random) -> None:
    """sum_j c_j z^j holds the terms of a(z) b(1/z) with powers from 0 up."""
    x, y = draw(rng, 7), draw(rng, 5)
    c = tier.to_ints(tier.correlate(tier.from_ints(x), tier.from_ints(y)))
    terms = [0] * 7
    for i, left in enumerate(x):
        for j, right in enumerate(y):
            if i >= j:
                terms[i - j] = (terms[i - j] + left * right) % P
    assert c == terms


# The plain-integer definitions


def test_both_orders_are_prime() -> None:
    """By Fermat for a few bases, and by their size; BN254's orders are public constants."""
    for modulus in (P, Q):
        assert modulus.bit_length() == 254
        assert all(pow(base, modulus - 1, modulus) == 1 for base in (2, 3, 5, 7, 11))


def test_plain_inverse() -> None:
    for modulus in (P, Q):
        values = [1, 2, modulus - 1, 2**200]
        inverses = field.batch_inverse(values, modulus)
        assert inverses == [field.inverse(value, modulus) for value in values]
        assert all(x * y % modulus == 1 for x, y in zip(values, inverses, strict=True))
        for zero in (0, modulus, -modulus):
            with pytest.raises(ZeroInverse):
                field.inverse(zero, modulus)
    assert field.batch_inverse([]) == []


def test_centred_is_the_signed_representative() -> None:
    for value in (0, 1, -1, 2**62, -(2**62), P // 2, -(P // 2)):
        assert field.centred(value % P) == value


def test_scalars_are_encoded_canonically() -> None:
    for value in EDGES:
        assert field.decode_scalar(field.encode_scalar(value)) == value
    assert field.encode_scalar(-1) == (P - 1).to_bytes(32, "big")
    for bad in (P, P + 1, 2**256 - 1):
        with pytest.raises(NonCanonicalScalar):
            field.decode_scalar(bad.to_bytes(32, "big"))
    for length in (0, 31, 33):
        with pytest.raises(WrongLength, match=f"32 bytes, got {length}"):
            field.decode_scalar(bytes(length))
