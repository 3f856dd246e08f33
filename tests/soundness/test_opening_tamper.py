"""The opening refuses every tampered statement and every prover that leaves a part out.

A malicious prover claims v + 1 and pays for it in one place. For each place: the proof is refused,
and once the verifier is made to skip just that place's check it is accepted. So the attack is
real, and the check is what stops it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from prover import opening
from prover.curve import GENERATOR, GENERATOR_G2, encode_point, multiply
from prover.errors import DegenerateChallenge, OpeningRejected, ProofError
from prover.field import P, encode_scalar
from prover.opening import Challenges, Coefficients, Evaluations, exchange, split
from prover.srs import Srs
from prover.transcript import Transcript
from tests.openings import (
    STATE,
    Statement,
    evaluate,
    honest,
    random_cells,
    reference_srs,
    secret,
    tampered,
)

Polynomial = list[int]
K_MAX = 6


def test_every_tampering_has_its_error() -> None:
    base = honest(5)  # Solidity, in tests/differential, takes the same list at even and odd k
    srs = reference_srs(K_MAX)
    base.verify(srs)
    for label, statement, expected in tampered(base, K_MAX):
        with pytest.raises(ProofError) as caught:
            statement.verify(srs)
        got = type(caught.value).__name__, caught.value.args
        assert got == (type(expected).__name__, expected.args), label


def test_another_srs_is_refused() -> None:
    srs = reference_srs(K_MAX)
    other = Srs(srs.k_max, srs.points, srs.s_g1, GENERATOR_G2)
    with pytest.raises(OpeningRejected):
        honest(4).verify(other)


@pytest.mark.parametrize("degenerate", ["z=0", "z=1", "z=-1", "z=alpha", "z=1/alpha", "zeta"])
def test_degenerate_challenges_are_refused(degenerate: str) -> None:
    alpha, z, zeta = 5, 7, 11
    if degenerate == "zeta":
        cases = [(alpha, z, bad) for bad in (z, pow(z, -1, P), alpha)]
    else:
        bad = {"z=0": 0, "z=1": 1, "z=-1": P - 1, "z=alpha": alpha, "z=1/alpha": pow(alpha, -1, P)}
        cases = [(alpha, bad[degenerate], zeta)]
    sent = Evaluations(1, 2, 3, 4, 5, 6)
    for alpha, z, zeta in cases:
        with pytest.raises(DegenerateChallenge):
            drawn = Challenges(alpha, 2, z, 3, zeta, 4)
            opening.linear_coefficients([1, 2, 3], 0, sent, drawn)
    opening.linear_coefficients([1, 2, 3], 0, sent, Challenges(5, 2, 7, 3, 11, 4))


# A second prover, in plain integers and on its own, that can be made to cheat


def value_at(f: Polynomial, x: int) -> int:
    result = 0
    for c in reversed(f):
        result = (result * x + c) % P
    return result


def plus(*terms: tuple[int, Polynomial]) -> Polynomial:
    total = [0] * max(len(f) for _, f in terms)
    for c, f in terms:
        for i, a in enumerate(f):
            total[i] = (total[i] + c * a) % P
    return total


def divide(f: Polynomial, roots: list[int]) -> Polynomial:
    """The quotient by prod (X - root); the remainder, if any, is dropped."""
    for root in roots:
        carry, quotient = 0, []
        for c in reversed(f):
            carry = (carry * root + c) % P
            quotient.append(carry)
        f = quotient[:-1][::-1]
    return f


def eq_coefficients(u: list[int]) -> Polynomial:
    """Of P_u: the product of the factors, the last coordinate on the lowest power."""
    result = [1]
    for c in reversed(u):
        result = [a * (1 - c) % P for a in result] + [a * c % P for a in result]
    return result


def cross(a: Polynomial, b: Polynomial, shift: int) -> int:
    """The coefficient of X^shift in a(X) b(1/X) + a(1/X) b(X)."""
    pairs = [(i, j) for i in range(len(a)) for j in range(len(b)) if abs(i - j) == shift]
    both = 2 if shift == 0 else 1
    return both * sum(a[i] * b[j] for i, j in pairs) % P


def lagrange(points: list[tuple[int, int]], x: int) -> int:
    """The interpolation of (place, value) pairs, at x."""
    total = 0
    for i, (place, value) in enumerate(points):
        for j, (other, _) in enumerate(points):
            if i != j:
                value = value * (x - other) * pow(place - other, -1, P) % P
        total += value
    return total % P


@dataclass
class Prover:
    """Mercury by its definition. `cheats` names what is done wrong on the way to value + 1."""

    k: int
    cheats: frozenset[str] = field(default_factory=frozenset)

    def statement(self) -> Statement:
        """What it claims, with its proof."""
        cells, blinder, point = random_cells(self.k)
        value = (evaluate(cells, point) + (1 if self.cheats else 0)) % P
        f = [*cells, blinder]
        return Statement(self.commit(f), point, value, self.prove(f, point, value))

    def commit(self, f: Polynomial) -> tuple[int, int]:
        point = multiply(GENERATOR, value_at(f, secret()))
        assert point is not None
        return point

    def prove(self, f: Polynomial, point: list[int], value: int) -> bytes:
        transcript = Transcript(STATE)
        sent: list[bytes] = []

        def send(number: int, *polynomials: Polynomial) -> list[int]:
            messages = [encode_point(self.commit(each)) for each in polynomials]
            sent.extend(messages)
            return exchange(transcript, number, *messages)

        high, low = split(self.k)
        block = 1 << low
        eq_high, eq_low = eq_coefficients(point[:high]), eq_coefficients(point[high:])

        rows = [f[i : i + block] for i in range(0, len(f), block)]
        h = [sum(a * b for a, b in zip(row, eq_low, strict=False)) % P for row in rows]
        if self.cheats & {"h", "g", "degree"}:  # an h that tells the false value
            h[0] += pow(eq_high[0], -1, P)
        (alpha,) = send(0, h)

        g = [sum(row[i] * pow(alpha, j, P) for j, row in enumerate(rows) if i < len(row)) % P
             for i in range(block)]  # fmt: skip
        q = [
            sum(f[i + block * n] * pow(alpha, n - 1, P)
                for n in range(1, len(f) // block + 1) if i + block * n < len(f)) % P
            for i in range(len(f) - block)
        ]  # fmt: skip
        gap = (value_at(h, alpha) - sum(a * b for a, b in zip(g, eq_low, strict=True))) % P
        if "g" in self.cheats:  # a g that agrees with h, not with F
            g[0] += gap * pow(eq_low[0], -1, P)
        if "degree" in self.cheats:  # the same, the difference hidden in a multiple of X^b - alpha
            c = gap * pow(-alpha * eq_low[0], -1, P) % P
            g = plus((1, g), (c, [-alpha, *[0] * (block - 1), 1]))
            q = plus((1, q), (-c, [1]))
        DEFECT[:] = [plus((1, f), (-1, [*[0] * block, *q]), (alpha, q), (-1, g))]
        (gamma,) = send(1, q, g)

        s = [
            (cross(g, eq_low, n) + gamma * cross(h, eq_high, n)) % P
            for n in range(1, max(len(g), len(h)))
        ]
        if "S" in self.cheats:
            s[0] += 1
        d = g[:block][::-1]
        (z,) = send(2, s, d)
        inverse = pow(z, -1, P)

        values = Evaluations(
            value_at(g, z),
            value_at(g, inverse),
            value_at(h, z),
            value_at(h, inverse),
            value_at(h, alpha),
            value_at(s, z),
        )
        values = self.bend(values, point, value, alpha, gamma, z, s)
        data = b"".join(encode_scalar(each) for each in values)
        sent.append(data)
        (delta,) = exchange(transcript, 3, data)

        shown = {
            "g": (g, [z, inverse]),
            "h": (h, [z, inverse, alpha]),
            "s": (s, [z, inverse]),
            "d": (d, [z]),
        }
        parts = [
            (pow(delta, i, P), divide(polynomial, roots))
            for i, (name, (polynomial, roots)) in enumerate(shown.items())
            if name not in SKIPPED
        ]
        w = plus(*parts)
        zeta, omega = send(4, w)

        drawn = Challenges(alpha, gamma, z, delta, zeta, omega)
        weights = opening.linear_coefficients(point, value, values, drawn)
        m = plus((1, f), *zip(weights, (h, q, g, s, d, w, [1]), strict=True))
        sent.append(encode_point(self.commit(divide(m, [zeta]))))
        return b"".join(sent)

    def bend(
        self,
        true: Evaluations,
        point: list[int],
        value: int,
        alpha: int,
        gamma: int,
        z: int,
        s: Polynomial,
    ) -> Evaluations:
        """Values with which the identity of step 3 holds at z, one of them a lie."""
        high, _ = split(self.k)
        inverse = pow(z, -1, P)
        low_z, low_inverse = (opening.eq_polynomial(point[high:], x) for x in (z, inverse))
        high_z, high_inverse = (opening.eq_polynomial(point[:high], x) for x in (z, inverse))
        wrong = (
            true.g_z * low_inverse
            + true.g_inverse * low_z
            + gamma * (true.h_z * high_inverse + true.h_inverse * high_z)
            - 2 * (true.h_alpha + gamma * value)
            - z * true.s_z
            - inverse * value_at(s, inverse)
        ) % P
        if "g(z)" in self.cheats:
            return true._replace(g_z=(true.g_z - wrong * pow(low_inverse, -1, P)) % P)
        if "h(z)" in self.cheats:
            slope = gamma * high_inverse
            return true._replace(h_z=(true.h_z - wrong * pow(slope, -1, P)) % P)
        if "h(alpha)" in self.cheats:
            return true._replace(h_alpha=(true.h_alpha + wrong * pow(2, -1, P)) % P)
        if "S(z)" in self.cheats:
            return true._replace(s_z=(true.s_z + wrong * inverse) % P)
        return true


SKIPPED: set[str] = set()  # the parts that the verifier was made to skip
DEFECT: list[Polynomial] = []  # F - (X^b - alpha) q - g of the last proof
TRUE_COEFFICIENTS = opening.linear_coefficients


def rests(
    point: list[int], value: int, sent: Evaluations, drawn: Challenges
) -> dict[str, tuple[int, int]]:
    """Of each part of the batch its weight and r_i(zeta), by their definitions."""
    alpha, gamma, z, delta, zeta, omega = drawn
    high, low = split(len(point))
    inverse = pow(z, -1, P)
    low_z, low_inverse = (opening.eq_polynomial(point[high:], x) for x in (z, inverse))
    high_z, high_inverse = (opening.eq_polynomial(point[:high], x) for x in (z, inverse))
    left = sent.g_z * low_inverse + sent.g_inverse * low_z
    left += gamma * (sent.h_z * high_inverse + sent.h_inverse * high_z)
    s_inverse = z * (left - 2 * (sent.h_alpha + gamma * value) - z * sent.s_z) % P
    values = {
        "g": {z: sent.g_z, inverse: sent.g_inverse},
        "h": {z: sent.h_z, inverse: sent.h_inverse, alpha: sent.h_alpha},
        "s": {z: sent.s_z, inverse: s_inverse},
        "d": {z: pow(z, (1 << low) - 1, P) * sent.g_inverse % P},
    }
    parts = {}
    for i, (name, shown) in enumerate(values.items()):
        weight = omega * pow(delta, i, P)
        for place in (z, inverse, alpha):
            if place not in shown:
                weight = weight * (zeta - place) % P
        parts[name] = weight % P, lagrange(list(shown.items()), zeta)
    return parts


def without(part: str) -> Callable[..., Coefficients]:
    """linear_coefficients of a verifier that skips g, h, s or d of the batch, or the quotient."""

    def coefficients(
        point: list[int], value: int, sent: Evaluations, drawn: Challenges
    ) -> Coefficients:
        full = TRUE_COEFFICIENTS(point, value, sent, drawn)
        if part == "quotient":
            return full._replace(one=full.one - value_at(DEFECT[0], drawn.zeta))
        weight, rest = rests(point, value, sent, drawn)[part]
        changed = {part: (getattr(full, part) - weight) % P, "one": (full.one + weight * rest) % P}
        return full._replace(**changed)

    return coefficients


@pytest.fixture
def skip(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    def skipping(part: str) -> None:
        SKIPPED.add(part)
        monkeypatch.setattr(opening, "linear_coefficients", without(part))

    yield skipping
    SKIPPED.clear()


@pytest.mark.parametrize("k", [2, 3, 4, 5])
def test_the_plain_prover_makes_the_same_bytes(k: int) -> None:
    assert Prover(k).statement() == honest(k)


def test_the_coefficients_are_the_definition() -> None:
    point, value = [3, 1 << 200, 5, 7, 11], 13
    sent = Evaluations(*range(100, 106))
    drawn = Challenges(*range(1 << 250, (1 << 250) + 6))
    got = opening.linear_coefficients(point, value, sent, drawn)
    parts = rests(point, value, sent, drawn)
    assert (got.h, got.s, got.d) == tuple(parts[name][0] for name in "hsd")
    assert got.g == (parts["g"][0] - 1) % P
    assert got.q == (drawn.alpha - pow(drawn.zeta, 8, P)) % P
    places = (drawn.z, pow(drawn.z, -1, P), drawn.alpha)
    vanishing = 1
    for place in places:
        vanishing = vanishing * (drawn.zeta - place) % P
    assert got.w == -drawn.omega * vanishing % P
    assert got.one == -sum(weight * rest for weight, rest in parts.values()) % P


@pytest.mark.parametrize("k", [4, 5])
@pytest.mark.parametrize(
    ("cheats", "part"),
    [
        ({"h", "g"}, "quotient"),
        ({"degree"}, "d"),
        ({"S"}, "s"),
        ({"h", "S(z)"}, "s"),
        ({"S(z)"}, "s"),
        ({"g(z)"}, "g"),
        ({"h(z)"}, "h"),
        ({"h(alpha)"}, "h"),
    ],
)
def test_a_false_value_passes_only_where_its_check_is_skipped(
    k: int, cheats: set[str], part: str, skip: Callable[[str], None]
) -> None:
    srs = reference_srs(K_MAX)
    with pytest.raises(OpeningRejected):
        Prover(k, frozenset(cheats)).statement().verify(srs)
    skip(part)
    Prover(k, frozenset(cheats)).statement().verify(srs)
    with pytest.raises(OpeningRejected):  # a lenient verifier is no proof of a lenient test
        honest(k)._replace(value=0).verify(srs)
