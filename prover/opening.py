"""The opening of a hiding tile commitment at a multilinear point: Mercury, with one change.

C commits to F(X) = sum_{i < 2^k} f_i X^i + rho X^(2^k). At r (k coordinates, r[0] on the top bit
of i) the value is v = sum_{i < 2^k} f_i eq(r, i). Write i + b j for an index, b = 2^(k - k//2);
split r into u2 (its first k//2 coordinates, weighing j) and u1 (the rest, weighing i); and let
P_u(X) = sum_i eq(u, i) X^i. The messages, with the challenges that follow each:

  1. h = sum_i eq(u1, i) F_i, with F_i(X) = sum_j F[i + b j] X^j                            alpha
  2. q and g in F = (X^b - alpha) q + g, deg g < b                                          gamma
  3. S in g(X) P_u1(1/X) + g(1/X) P_u1(X) + gamma (h(X) P_u2(1/X) + h(1/X) P_u2(X))
       = 2 (h(alpha) + gamma v) + X S(X) + S(1/X)/X,  and  D(X) = X^(b-1) g(1/X)            z
  4. g(z), g(1/z), h(z), h(1/z), h(alpha), S(z); S(1/z) and D(z) follow from them           delta
  5. W, the quotient that shows these values                                          zeta, omega
  6. W' = M / (X - zeta), M the linear combination of all polynomials that must vanish at zeta

(1) to (4) are Mercury (Eagen and Gabizon, eprint 2025/385, section 5), (5) and (6) the Shplonk
batching (Boneh, Drake, Fisch, Gabizon, eprint 2020/081, section 4). The change: the quotient
identity of (2) is checked at zeta, beside the batch and told apart from it by omega, which is drawn
after W; so only q and W' are as long as the tile. Since g = F mod (X^b - alpha) is told by its
degree, sum_i eq(u1, i) g_i = h(alpha), which (3) has as a constant term, says that h is right. The
blinder rho is F_0's coefficient at 2^(k//2): it meets no coefficient of P_u2 and stays out of v.

The verifying half is pure. Solidity: contracts/verifier/MercuryVerifier.sol.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from prover import pairing
from prover.curve import (
    GENERATOR,
    GENERATOR_G2,
    POINT_BYTES,
    Affine,
    Point,
    PointG2,
    check_point,
    decode_point,
    encode_point,
    msm,
    negate,
)
from prover.errors import (
    DegenerateChallenge,
    NonCanonicalScalar,
    OpeningRejected,
    UnsupportedSize,
    WrongLength,
    ZeroInverse,
)
from prover.field import ELEMENT_BYTES, P, batch_inverse, decode_scalar, encode_scalar

if TYPE_CHECKING:
    from prover.kernels.interface import Kernels, Vec
    from prover.srs import Srs
    from prover.transcript import Transcript

LEAST_SIZE = 2
MOST_SIZE = 28  # the largest k of any published BN254 ceremony

# The messages of the prover in the order of the proof, the challenges drawn after them, and the
# part that is absorbed by nobody because nothing is drawn after it.
ROUNDS: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = (
    (("h",), ("alpha",)),
    (("q", "g"), ("gamma",)),
    (("s", "d"), ("z",)),
    (("evaluations",), ("delta",)),
    (("w",), ("zeta", "omega")),
)
EVALUATION_BYTES = 6 * ELEMENT_BYTES
PROOF_BYTES = 7 * POINT_BYTES + EVALUATION_BYTES


class Evaluations(NamedTuple):
    """Round 4, in order; `_inverse` is at 1/z."""

    g_z: int
    g_inverse: int
    h_z: int
    h_inverse: int
    h_alpha: int
    s_z: int


class Challenges(NamedTuple):
    """The challenges, in order."""

    alpha: int
    gamma: int
    z: int
    delta: int
    zeta: int
    omega: int


class Coefficients(NamedTuple):
    """What each polynomial is multiplied by in M = F + sum; `one` is for the constant 1."""

    h: int
    q: int
    g: int
    s: int
    d: int
    w: int
    one: int


# The relation, used by both halves


def split(k: int) -> tuple[int, int]:
    """The numbers of high coordinates (u2) and of low ones (u1)."""
    return k // 2, k - k // 2


def check_size(k: int, most: int = MOST_SIZE) -> None:
    """Raises UnsupportedSize for a number of coordinates outside 2..most."""
    if not LEAST_SIZE <= k <= most:
        raise UnsupportedSize(most, k)


def eq_polynomial(u: Sequence[int], x: int) -> int:
    """P_u(x) = prod_m ((1 - u_m) + u_m x^(2^(len(u) - 1 - m)))."""
    result = 1
    for coordinate in reversed(u):
        result = result * (1 + coordinate * (x - 1)) % P
        x = x * x % P
    return result


def linear_coefficients(
    point: Sequence[int], value: int, sent: Evaluations, drawn: Challenges
) -> Coefficients:
    """The coefficients of M, from everything sent and drawn; raises DegenerateChallenge.

    M = F - (zeta^b - alpha) q - g
          + omega (sum_i delta^i Z_{T \\ T_i}(zeta) (f_i - r_i(zeta)) - Z_T(zeta) W)
    over f_i = g, h, S, D with T_i = {z, 1/z}, {z, 1/z, alpha}, {z, 1/z}, {z}, T = {z, 1/z, alpha},
    r_i the interpolation of the claimed values of f_i on T_i, and Z_A the product of X - a, a in A.
    """
    high, low = split(len(point))
    alpha, gamma, z, delta, zeta, omega = drawn
    try:  # 1/(z - 1/z) = z/(z^2 - 1), and 1/(1/z - alpha) = z/(1 - alpha z)
        z_inverse, pair, left, right = batch_inverse([z, z * z - 1, z - alpha, 1 - alpha * z])
    except ZeroInverse:
        raise DegenerateChallenge from None
    pair, right = pair * z % P, right * z % P

    cross = sent.g_z * eq_polynomial(point[high:], z_inverse)
    cross += sent.g_inverse * eq_polynomial(point[high:], z)
    cross += gamma * sent.h_z * eq_polynomial(point[:high], z_inverse)
    cross += gamma * sent.h_inverse * eq_polynomial(point[:high], z)
    s_inverse = z * (cross - 2 * (sent.h_alpha + gamma * value) - z * sent.s_z) % P
    d_z = pow(z, (1 << low) - 1, P) * sent.g_inverse % P

    at_z, at_inverse, at_alpha = zeta - z, zeta - z_inverse, zeta - alpha
    vanishing = at_z * at_inverse * at_alpha % P
    if vanishing == 0:
        raise DegenerateChallenge
    g_rest = (sent.g_z * at_inverse - sent.g_inverse * at_z) * pair
    s_rest = (sent.s_z * at_inverse - s_inverse * at_z) * pair
    h_rest = at_alpha * pair * (sent.h_z * at_inverse * left - sent.h_inverse * at_z * right)
    h_rest += sent.h_alpha * at_z * at_inverse * left * right
    g_weight = omega * at_alpha % P
    h_weight = omega * delta % P
    s_weight = g_weight * delta * delta % P
    d_weight = s_weight * delta * at_inverse % P
    constant = g_weight * g_rest + h_weight * h_rest + s_weight * s_rest + d_weight * d_z
    return Coefficients(
        h=h_weight,
        q=(alpha - pow(zeta, 1 << low, P)) % P,
        g=(g_weight - 1) % P,
        s=s_weight,
        d=d_weight,
        w=-omega * vanishing % P,
        one=-constant % P,
    )


def exchange(transcript: Transcript, round_number: int, *messages: bytes) -> list[int]:
    """Absorbs the messages of a round and draws its challenges."""
    names, challenges = ROUNDS[round_number]
    for name, message in zip(names, messages, strict=True):
        transcript.absorb_bytes(f"opening/{name}", message)
    return [transcript.challenge(f"opening/{name}") for name in challenges]


# The prover


def prove_opening(
    kernels: Kernels,
    srs: Srs,
    cells: Vec,
    blinder: int,
    point: Sequence[int],
    transcript: Transcript,
) -> bytes:
    """The 640 bytes that open commit(cells, blinder) at the point.

    cells: at most 2^k field elements, missing ones zero; srs: of the same kernels, k_max >= k;
    transcript: has absorbed the commitment, the point and the value.
    Raises UnsupportedSize, WrongLength (more than 2^k cells), and DegenerateChallenge or
    PointAtInfinity (both negligible for a hiding commitment): retry with other randomness.
    """
    k = len(point)
    check_size(k, srs.k_max)
    if len(cells) > 1 << k:
        raise WrongLength(1 << k, len(cells))
    high, low = split(k)
    block = 1 << low
    missing = kernels.zeros((1 << k) - len(cells))
    f = kernels.concat([cells, missing, kernels.from_ints([blinder])])
    eq_high, eq_low = kernels.eq_table(point[:high]), kernels.eq_table(point[high:])
    sent: list[bytes] = []

    def send(round_number: int, *messages: bytes) -> list[int]:
        sent.extend(messages)
        return exchange(transcript, round_number, *messages)

    def commitment(polynomial: Vec) -> bytes:
        return encode_point(kernels.msm(srs.points, polynomial))

    rows = [f[start : start + block] for start in range(0, len(f), block)]
    h = kernels.from_ints([kernels.inner(row, eq_low[: len(row)]) for row in rows])
    (alpha,) = send(0, commitment(h))

    q, g = kernels.divide_power(f, block, alpha)
    (gamma,) = send(1, commitment(q), commitment(g))

    cross = [
        (weight, kernels.correlate(*pair))
        for weight, left, right in ((1, g, eq_low), (gamma, h, eq_high))
        for pair in ((left, right), (right, left))
    ]
    s = _combination(kernels, cross)[1:]
    d = kernels.concat([g[::-1]])
    (z,) = send(2, commitment(s), commitment(d))
    if z == 0:
        raise DegenerateChallenge

    z_inverse = pow(z, -1, P)
    values = Evaluations(
        g_z=kernels.evaluate(g, z),
        g_inverse=kernels.evaluate(g, z_inverse),
        h_z=kernels.evaluate(h, z),
        h_inverse=kernels.evaluate(h, z_inverse),
        h_alpha=kernels.evaluate(h, alpha),
        s_z=kernels.evaluate(s, z),
    )
    (delta,) = send(3, b"".join(encode_scalar(value) for value in values))

    shown = ((g, (z, z_inverse)), (h, (z, z_inverse, alpha)), (s, (z, z_inverse)), (d, (z,)))
    w = _combination(
        kernels,
        [
            (pow(delta, i, P), _quotient(kernels, polynomial, points))
            for i, (polynomial, points) in enumerate(shown)
        ],
    )
    zeta, omega = send(4, commitment(w))

    value = kernels.inner(h[: 1 << high], eq_high)
    drawn = Challenges(alpha, gamma, z, delta, zeta, omega)
    coefficients = linear_coefficients(point, value, values, drawn)
    polynomials = (h, q, g, s, d, w, kernels.from_ints([1]))
    m = _combination(kernels, [(1, f), *zip(coefficients, polynomials, strict=True)])
    sent.append(commitment(_quotient(kernels, m, (zeta,))))
    return b"".join(sent)


def _combination(kernels: Kernels, terms: Sequence[tuple[int, Vec]]) -> Vec:
    """sum of coefficient * polynomial, as long as the longest."""
    total = kernels.zeros(max(len(polynomial) for _, polynomial in terms))
    for coefficient, polynomial in terms:
        kernels.add_scaled(total[: len(polynomial)], coefficient, polynomial)
    return total


def _quotient(kernels: Kernels, polynomial: Vec, points: Sequence[int]) -> Vec:
    """(f - r) / prod (X - t) over the points t, r the interpolation of f on them."""
    for point in points:
        polynomial, _ = kernels.divide_power(polynomial, 1, point)
    return polynomial


# The verifier


def verify_opening(
    s_g2: PointG2,
    commitment: Point,
    point: Sequence[int],
    value: int,
    proof: bytes,
    transcript: Transcript,
    k_max: int = MOST_SIZE,
) -> None:
    """Returns if the proof opens the commitment at the point to the value, else raises.

    Checked in this order: size, commitment, value, point, proof bytes, algebra. Raises
    UnsupportedSize, NonCanonicalCoordinate, PointAtInfinity, PointNotOnCurve, NonCanonicalScalar,
    WrongLength, DegenerateChallenge or OpeningRejected, for the first that is wrong.

    The caller must still check: that s_g2 is [s]_2 of the SRS that it trusts; that the transcript
    has absorbed whatever determines the commitment, the point and the value; and that the point
    was drawn after the commitment's cells were fixed, where it relies on that.
    """
    check_size(len(point), k_max)
    check_point(commitment)
    for scalar in (value, *point):
        if not 0 <= scalar < P:
            raise NonCanonicalScalar(scalar)
    messages, points, sent = _decode(proof)
    drawn = Challenges(
        *(
            challenge
            for number, (names, _) in enumerate(ROUNDS)
            for challenge in exchange(transcript, number, *(messages[name] for name in names))
        )
    )
    coefficients = linear_coefficients(point, value, sent, drawn)
    opening = points.pop("opening")
    left = msm(
        [commitment, *points.values(), GENERATOR, opening],
        [1, *coefficients, drawn.zeta],
    )
    if not pairing.product_is_one([(left, GENERATOR_G2), (negate(opening), s_g2)]):
        raise OpeningRejected


def _decode(proof: bytes) -> tuple[dict[str, bytes], dict[str, Affine], Evaluations]:
    """The messages as bytes, as points and as scalars, checked in the order of the bytes."""
    if len(proof) != PROOF_BYTES:
        raise WrongLength(PROOF_BYTES, len(proof))
    messages: dict[str, bytes] = {}
    points: dict[str, Affine] = {}
    sent: list[int] = []
    start = 0
    for name in [*(name for names, _ in ROUNDS for name in names), "opening"]:
        size = EVALUATION_BYTES if name == "evaluations" else POINT_BYTES
        messages[name] = data = proof[start : start + size]
        start += size
        if name == "evaluations":
            words = range(0, size, ELEMENT_BYTES)
            sent = [decode_scalar(data[i : i + ELEMENT_BYTES]) for i in words]
        else:
            points[name] = decode_point(data)
    return messages, points, Evaluations(*sent)
