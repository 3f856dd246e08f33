"""Multilinear tables and the rounds of the sumchecks over them."""

from collections.abc import Callable, Sequence

from prover.field import P, product
from prover.kernels import checks
from prover.kernels.interface import Int64s, Vec
from prover.kernels.reference.field import from_ints


def eq_table(point: Sequence[int]) -> Vec:
    table = [1]
    for r in point:
        table = [value * weight % P for value in table for weight in (1 - r, r)]
    return from_ints(table)


def powers(base: int, n: int) -> Vec:
    return from_ints([pow(base, i, P) for i in range(n)])


def small_matvec(ints: Int64s, v: Vec) -> Vec:
    checks.matrix_fits(ints, v)
    return from_ints([sum(x * y for x, y in zip(row, v, strict=True)) for row in ints.tolist()])


def fold(v: Vec, r: int) -> Vec:
    half = checks.half_length(v)
    folded: Vec = (v[:half] + r * (v[half:] - v[:half])) % P
    return folded


def _round(
    vectors: Sequence[Vec], first: int, degree: int, summand: Callable[..., int]
) -> list[int]:
    """The sums of summand(cells) over the half cube, the first variable at first..degree."""
    checks.half_length(*vectors)
    evaluations = []
    for t in range(first, degree + 1):
        folded = [fold(vector, t) for vector in vectors]
        evaluations.append(sum(summand(*cells) for cells in zip(*folded, strict=True)) % P)
    return evaluations


def round_lookup(
    e: Vec, cut: Vec, helper: Vec, slices: Sequence[Vec], beta: int
) -> tuple[list[int], list[int]]:
    count = checks.slice_count(slices)

    def relation(e: int, helper: int, *fs: int) -> int:
        gaps = [beta - f for f in fs]
        numerator = sum(product(gaps[:k] + gaps[k + 1 :]) for k in range(count))
        return e * (helper * product(gaps) - numerator)

    found = _round([e, helper, *slices], 1, count + 2, relation)
    return found, _round([cut, helper], 1, 2, lambda cut, helper: cut * helper)


def round_table(
    e: Vec, cut: Vec, helper: Vec, table: Vec, mult: Vec, beta: int
) -> tuple[list[int], list[int]]:
    def relation(e: int, helper: int, table: int, mult: int) -> int:
        return e * (helper * (beta - table) - mult)

    found = _round([e, helper, table, mult], 1, 3, relation)
    return found, _round([cut, helper], 1, 2, lambda cut, helper: cut * helper)


def round_product(factors: Sequence[Vec]) -> list[int]:
    degree = checks.factor_count(factors)
    return _round(factors, 0, degree, lambda *cells: product(cells))
