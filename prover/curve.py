"""The groups of BN254 in plain integers: G1 in full, and of G2 what an SRS check needs.

G1: y^2 = x^3 + 3 over Fq, prime order P, generator (1, 2).
G2: y^2 = x^3 + 3/(9+i) over Fq2 = Fq[i]/(i^2+1); its order-P subgroup must be checked for.
A point is an affine pair, infinity is None. Sources: EIP-196, EIP-197.
"""

from collections.abc import Sequence
from typing import TypeAlias

from prover.errors import (
    NonCanonicalCoordinate,
    PointAtInfinity,
    PointNotOnCurve,
    WrongLength,
)
from prover.field import ELEMENT_BYTES, P, Q, inverse

Affine: TypeAlias = tuple[int, int]
Point: TypeAlias = Affine | None
Jacobian: TypeAlias = tuple[int, int, int]  # (X/Z^2, Y/Z^3) in affine form; Z = 0: infinity
Fq2: TypeAlias = tuple[int, int]  # (a, b) is a + b i
PointG2: TypeAlias = tuple[Fq2, Fq2] | None

B = 3
GENERATOR: Affine = (1, 2)
POINT_BYTES = 2 * ELEMENT_BYTES
INFINITY: Jacobian = (1, 1, 0)


def is_on_curve(point: Point) -> bool:
    """Whether point is canonical and on G1 (whose order is prime, so that is also membership)."""
    if point is None:
        return True
    x, y = point
    return 0 <= x < Q and 0 <= y < Q and (y * y - x * x * x - B) % Q == 0


def double_jacobian(point: Jacobian) -> Jacobian:
    """2 point (Explicit-Formulas Database, dbl-2009-l)."""
    x, y, z = point
    a, b = x * x % Q, y * y % Q
    c = b * b % Q
    d = 2 * ((x + b) * (x + b) - a - c) % Q
    e = 3 * a
    x3 = (e * e - 2 * d) % Q
    return x3, (e * (d - x3) - 8 * c) % Q, 2 * y * z % Q


def add_jacobian(left: Jacobian, right: Jacobian) -> Jacobian:
    """left + right, complete (Explicit-Formulas Database, add-1998-cmo-2, and special cases)."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    if z1 == 0 or z2 == 0:
        return right if z1 == 0 else left
    zz1, zz2 = z1 * z1 % Q, z2 * z2 % Q
    u, s = x1 * zz2 % Q, y1 * zz2 * z2 % Q
    h, r = (x2 * zz1 - u) % Q, (y2 * zz1 * z1 - s) % Q
    if h == 0:
        return double_jacobian(left) if r == 0 else INFINITY
    hh = h * h % Q
    hhh, v = h * hh % Q, u * hh % Q
    x3 = (r * r - hhh - 2 * v) % Q
    return x3, (r * (v - x3) - s * hhh) % Q, z1 * z2 * h % Q


def to_affine(point: Jacobian) -> Point:
    """The affine form, None for infinity."""
    x, y, z = point
    if z == 0:
        return None
    w = inverse(z, Q)
    return x * w * w % Q, y * w * w * w % Q


def negate(point: Point) -> Point:
    """-point."""
    return None if point is None else (point[0], -point[1] % Q)


def add(left: Point, right: Point) -> Point:
    """left + right, complete."""
    if left is None or right is None:
        return right if left is None else left
    return to_affine(add_jacobian((*left, 1), (*right, 1)))


def multiply(point: Point, scalar: int) -> Point:
    """scalar * point, for any integer scalar."""
    if point is None:
        return None
    total = INFINITY
    for bit in bin(scalar % P)[2:]:
        total = double_jacobian(total)
        if bit == "1":
            total = add_jacobian(total, (*point, 1))
    return to_affine(total)


def msm(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    """sum_i scalars[i] points[i], for integers of any sign, by Pippenger's buckets."""
    terms = [
        ((point[0], point[1] if scalar > 0 else -point[1] % Q, 1), abs(scalar))
        for point, scalar in zip(points, scalars, strict=True)
        if point is not None and scalar != 0
    ]
    width = max(1, len(terms).bit_length() - 2)
    longest = max((scalar.bit_length() for _, scalar in terms), default=0)
    total = INFINITY
    for shift in reversed(range(0, longest, width)):
        buckets = [INFINITY] * (1 << width)
        for term, scalar in terms:
            digit = scalar >> shift & (1 << width) - 1
            buckets[digit] = add_jacobian(buckets[digit], term)
        for _ in range(width):
            total = double_jacobian(total)
        running = INFINITY
        for bucket in buckets[:0:-1]:  # adding every running sum counts bucket d just d times
            running = add_jacobian(running, bucket)
            total = add_jacobian(total, running)
    return to_affine(total)


def encode_point(point: Point) -> bytes:
    """64 bytes, x then y, big-endian; raises PointAtInfinity."""
    if point is None:
        raise PointAtInfinity
    return point[0].to_bytes(ELEMENT_BYTES, "big") + point[1].to_bytes(ELEMENT_BYTES, "big")


def decode_point(data: bytes) -> Affine:
    """The point of 64 bytes; raises WrongLength or what `check_point` raises."""
    if len(data) != POINT_BYTES:
        raise WrongLength(POINT_BYTES, len(data))
    x = int.from_bytes(data[:ELEMENT_BYTES], "big")
    y = int.from_bytes(data[ELEMENT_BYTES:], "big")
    return check_point((x, y))


def check_point(point: Point) -> Affine:
    """The same point, finite and on G1.

    Raises NonCanonicalCoordinate, PointAtInfinity (EIP-196 encodes it as zeros) or PointNotOnCurve.
    """
    x, y = point or (0, 0)
    for coordinate in (x, y):
        if not 0 <= coordinate < Q:
            raise NonCanonicalCoordinate(coordinate)
    if x == 0 and y == 0:
        raise PointAtInfinity
    if not is_on_curve((x, y)):
        raise PointNotOnCurve(x, y)
    return x, y


def multiply_fq2(left: Fq2, right: Fq2) -> Fq2:
    """left * right in Fq2."""
    (a, b), (c, d) = left, right
    return (a * c - b * d) % Q, (a * d + b * c) % Q


def inverse_fq2(value: Fq2) -> Fq2:
    """1/value in Fq2; raises ZeroInverse on zero."""
    a, b = value
    norm = inverse(a * a + b * b, Q)
    return a * norm % Q, -b * norm % Q


B_G2 = multiply_fq2((3, 0), inverse_fq2((9, 1)))
GENERATOR_G2: PointG2 = (
    (
        10857046999023057135944570762232829481370756359578518086990519993285655852781,
        11559732032986387107991004021392285783925812861821192530917403151452391805634,
    ),
    (
        8495653923123431417604973247489272438418190587263600148770280649306958101930,
        4082367875863433681332203403145435568316851327593401208105741076214120093531,
    ),
)


def is_on_curve_g2(point: PointG2) -> bool:
    """Whether point is canonical and satisfies the equation of G2's curve (see is_in_g2)."""
    if point is None:
        return True
    x, y = point
    if not all(0 <= coordinate < Q for coordinate in (*x, *y)):
        return False
    cube, square = multiply_fq2(multiply_fq2(x, x), x), multiply_fq2(y, y)
    return all((s - c - b) % Q == 0 for s, c, b in zip(square, cube, B_G2, strict=True))


def add_g2(left: PointG2, right: PointG2) -> PointG2:
    """left + right on G2's curve, complete, by the chord and the tangent."""
    if left is None or right is None:
        return right if left is None else left
    (x1, y1), (x2, y2) = left, right
    rise, run = ((y2[0] - y1[0]) % Q, (y2[1] - y1[1]) % Q), ((x2[0] - x1[0]), (x2[1] - x1[1]))
    if x1 == x2:
        if y1 != y2 or y1 == (0, 0):
            return None
        rise, run = multiply_fq2((3, 0), multiply_fq2(x1, x1)), (2 * y1[0], 2 * y1[1])
    slope = multiply_fq2(rise, inverse_fq2(run))
    square = multiply_fq2(slope, slope)
    x3 = (square[0] - x1[0] - x2[0]) % Q, (square[1] - x1[1] - x2[1]) % Q
    drop = multiply_fq2(slope, (x1[0] - x3[0], x1[1] - x3[1]))
    return x3, ((drop[0] - y1[0]) % Q, (drop[1] - y1[1]) % Q)


def multiply_g2(point: PointG2, scalar: int) -> PointG2:
    """scalar * point for scalar >= 0, not reduced: point need not have order P."""
    total: PointG2 = None
    for bit in bin(scalar)[2:]:
        total = add_g2(total, total)
        if bit == "1":
            total = add_g2(total, point)
    return total


def is_in_g2(point: PointG2) -> bool:
    """Whether point is on G2's curve and in its subgroup of order P."""
    return is_on_curve_g2(point) and multiply_g2(point, P) is None
