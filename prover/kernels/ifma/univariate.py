"""Univariate polynomials over Fr, eight coefficients at a time."""

from typing import Any

from prover.field import P
from prover.kernels.cpu import univariate as scalar
from prover.kernels.cpu.field import empty, zeros
from prover.kernels.cpu.kernel import cell, plain, scalars
from prover.kernels.ifma.shape import WIDTH
from prover.kernels.interface import Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.ifma.cells import load, spread, store_fr
    from prover.kernels.ifma.lanes import add_fr, mul_fr, zero

STEP = 4 * WIDTH  # Horner's rule in four chains of eight lanes


@entry
def _divide_power(rest: Any, b: int, alpha: Any) -> None:
    factor = spread(alpha, 0)
    for i in range(rest.shape[0] - WIDTH, b - 1, -WIDTH):
        store_fr(rest, i - b, add_fr(load(rest, i - b), mul_fr(factor, load(rest, i))))


def divide_power(f: Vec, b: int, alpha: int) -> tuple[Vec, Vec]:
    if b < WIDTH or len(f) < b + WIDTH:  # a block must not feed itself
        return scalar.divide_power(f, b, alpha)
    rest = plain(f).copy()
    _divide_power(rest, b, cell(alpha))
    left = b + (len(rest) - b) % WIDTH
    quotient, remainder = scalar.divide_power(rest[:left], b, alpha)
    rest[:b], rest[b:left] = remainder, quotient
    return rest[b:], rest[:b]


@entry
def _evaluate(f: Any, power: Any, out: Any) -> None:
    z = spread(power, 0)
    a_0, a_1, a_2, a_3 = zero(), zero(), zero(), zero()
    for i in range(f.shape[0] - STEP, -1, -STEP):
        a_0 = add_fr(mul_fr(z, a_0), load(f, i))
        a_1 = add_fr(mul_fr(z, a_1), load(f, i + WIDTH))
        a_2 = add_fr(mul_fr(z, a_2), load(f, i + 2 * WIDTH))
        a_3 = add_fr(mul_fr(z, a_3), load(f, i + 3 * WIDTH))
    store_fr(out, 0, a_0)
    store_fr(out, WIDTH, a_1)
    store_fr(out, 2 * WIDTH, a_2)
    store_fr(out, 3 * WIDTH, a_3)


def evaluate(f: Vec, z: int) -> int:
    if len(f) < 4 * STEP:
        return scalar.evaluate(f, z)
    whole, out = len(f) // STEP * STEP, empty(STEP)
    _evaluate(plain(f[:whole]), cell(pow(z, STEP, P)), out)
    value = scalar.evaluate(f[whole:], z) if whole < len(f) else 0
    value = value * pow(z, whole - STEP, P) % P
    for coefficient in reversed(scalars(out)):
        value = (value * z + coefficient) % P
    return value


@entry
def _correlate(a: Any, b: Any, out: Any) -> None:
    for j in range(0, out.shape[0], WIDTH):
        acc = zero()
        for i in range(min(b.shape[0], a.shape[0] - j - WIDTH + 1)):
            acc = add_fr(acc, mul_fr(spread(b, i), load(a, i + j)))
        store_fr(out, j, acc)


def correlate(a: Vec, b: Vec) -> Vec:
    if min(len(a), len(b)) < WIDTH:
        return scalar.correlate(a, b)
    length = max(len(a), len(b))
    padded, out = zeros(len(a) + 2 * WIDTH), empty(-(-length // WIDTH) * WIDTH)
    padded[: len(a)] = a
    _correlate(padded, plain(b), out)
    return out[:length]
