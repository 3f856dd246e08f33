"""Univariate polynomials over Fr, coefficients from the constant up."""

from typing import Any

from prover.kernels import checks
from prover.kernels.cpu.field import empty, zeros
from prover.kernels.cpu.kernel import cell, plain, scalars
from prover.kernels.interface import Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.cpu.limbs import add_fr, load, mul_fr, store, zero


@entry
def _divide_power(rest: Any, b: int, alpha: Any) -> None:
    factor = load(alpha, 0)
    for i in range(rest.shape[0] - 1, b - 1, -1):
        store(rest, i - b, add_fr(load(rest, i - b), mul_fr(factor, load(rest, i))))


def divide_power(f: Vec, b: int, alpha: int) -> tuple[Vec, Vec]:
    checks.divisor_degree(b)
    rest = zeros(max(len(f), b))
    rest[: len(f)] = f
    _divide_power(rest, b, cell(alpha))
    return rest[b:], rest[:b]


@entry
def _evaluate(f: Any, point: Any, out: Any) -> None:
    # Horner's rule is one chain of dependent multiplications: run four, one for each i mod 4.
    z = load(point, 0)
    z_4 = mul_fr(mul_fr(z, z), mul_fr(z, z))
    blocks = f.shape[0] // 4
    a_0, a_1, a_2, a_3 = zero(), zero(), zero(), zero()
    for i in range(f.shape[0] - 1, 4 * blocks - 1, -1):
        a_0 = add_fr(mul_fr(z, a_0), load(f, i))
    for block in range(blocks - 1, -1, -1):
        a_0 = add_fr(mul_fr(z_4, a_0), load(f, 4 * block))
        a_1 = add_fr(mul_fr(z_4, a_1), load(f, 4 * block + 1))
        a_2 = add_fr(mul_fr(z_4, a_2), load(f, 4 * block + 2))
        a_3 = add_fr(mul_fr(z_4, a_3), load(f, 4 * block + 3))
    value = add_fr(mul_fr(z, a_3), a_2)
    value = add_fr(mul_fr(z, value), a_1)
    store(out, 0, add_fr(mul_fr(z, value), a_0))


def evaluate(f: Vec, z: int) -> int:
    out = empty(1)
    _evaluate(plain(f), cell(z), out)
    return scalars(out)[0]


@entry
def _correlate(a: Any, b: Any, out: Any) -> None:
    for j in range(out.shape[0]):
        acc = zero()
        for i in range(min(b.shape[0], a.shape[0] - j)):
            acc = add_fr(acc, mul_fr(load(a, i + j), load(b, i)))
        store(out, j, acc)


def correlate(a: Vec, b: Vec) -> Vec:
    out = empty(max(len(a), len(b)))
    _correlate(plain(a), plain(b), out)
    return out
