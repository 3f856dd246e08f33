"""Univariate polynomials over Fr, coefficients from the constant up."""

from prover.field import P
from prover.kernels import checks
from prover.kernels.interface import Vec
from prover.kernels.reference.field import from_ints


def divide_power(f: Vec, b: int, alpha: int) -> tuple[Vec, Vec]:
    checks.divisor_degree(b)
    rest = f.tolist() + [0] * (b - len(f))
    for i in reversed(range(b, len(rest))):  # X^i = (X^b - alpha) X^(i-b) + alpha X^(i-b)
        rest[i - b] = (rest[i - b] + alpha * rest[i]) % P
    return from_ints(rest[b:]), from_ints(rest[:b])


def evaluate(f: Vec, z: int) -> int:
    value = 0
    for coefficient in f[::-1]:
        value = (value * z + coefficient) % P
    return value


def correlate(a: Vec, b: Vec) -> Vec:
    length = max(len(a), len(b))
    return from_ints([sum(x * y for x, y in zip(a[j:], b, strict=False)) for j in range(length)])
