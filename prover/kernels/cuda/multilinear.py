"""Multilinear tables and the rounds of the sumchecks over them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda

from prover.field import P
from prover.kernels import checks
from prover.kernels.cuda.cells import empty, join
from prover.kernels.cuda.field import (
    add_scaled,
    from_ints,
    power,
    row_sums,
    sum_rows,
    total,
)
from prover.kernels.cuda.kernel import LANES, cell, cells, device, kernel, launch, on_device
from prover.kernels.cuda.limbs import (
    add_fr,
    add_word_product,
    high_part,
    load,
    low_part,
    mul_fr,
    one_fr,
    square_fr,
    store,
    sub_fr,
    zero,
    zero_wide,
)
from prover.kernels.interface import Int64s, Vec

WARP = 32
WORD = 1 << 32


@kernel
def _double_table(table: Any, r: Any, k: Any, out: Any, n: Any) -> None:
    factor = load(r, k)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        value = load(table, i)
        high = mul_fr(factor, value)
        store(out, 2 * i, sub_fr(value, high))
        store(out, 2 * i + 1, high)


def eq_table(point: Sequence[int]) -> Vec:
    coordinates = cells(point)
    table: Any = from_ints([1])
    for k in range(len(point)):
        out = empty(2 << k)
        launch(_double_table, 1 << k, table.words, coordinates, k, out.words)
        table = out
    return table


def squares(base: int) -> Any:
    """base^(2^j) for j < 32, on the device."""
    return cells([pow(base, 1 << j, P) for j in range(32)])


@kernel
def _powers(base: Any, length: Any, out: Any, lanes: Any) -> None:
    step = power(base, lanes)
    for lane in range(cuda.grid(1), lanes, cuda.gridsize(1)):
        value = power(base, lane)
        for i in range(lane, length, lanes):
            store(out, i, value)
            value = mul_fr(value, step)


def powers(base: int, n: int) -> Vec:
    out = empty(n)
    launch(_powers, min(n, LANES), squares(base), n, out.words)
    return out


@kernel
def _small_matvec(
    ints: Any, columns: Any, bias: Any, v: Any, shift: Any, lanes: Any, out: Any, n: Any
) -> None:
    """out[row, lane]: lane's share of the sum of (ints[row, j] + bias) v[j], less the shift."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        row, lane, acc = i // lanes, i % lanes, zero_wide()
        for j in range(lane, columns, lanes):
            word = np.uint32(np.int64(ints[row * columns + j]) + bias)
            acc = add_word_product(acc, word, load(v, j))
        value = add_fr(mul_fr(square_fr(), high_part(acc)), mul_fr(one_fr(), low_part(acc)))
        if lane == 0:
            value = sub_fr(value, load(shift, 0))
        store(out, i, value)


def _word_matvec(ints: Any, bias: int, v: Any) -> Any:
    """The product with integers in [-bias, 2^32 - bias), of at most 32 bits each."""
    rows, columns = ints.shape
    lanes = 1
    while lanes < WARP and columns >= 4 * lanes:
        lanes *= 2
    out, flat = empty(rows * lanes), on_device(ints)
    shift = cell(bias * total(v))
    launch(_small_matvec, len(out), flat, columns, bias, v.flat(), shift, lanes, out.words)
    out.words, out.length = sum_rows(out.words, rows), rows
    return out


def small_matvec(ints: Int64s, v: Vec) -> Vec:
    checks.matrix_fits(ints, v)
    half = WORD // 2
    if ints.dtype.itemsize <= 4:
        return _word_matvec(ints, half, v)
    if ints.size == 0 or (-half <= ints.min() and ints.max() < half):
        return _word_matvec(ints.astype(np.int32), half, v)
    low = _word_matvec((ints & WORD - 1).astype(np.uint32), 0, v)
    high = _word_matvec((ints >> 32).astype(np.int32), half, v)
    add_scaled(low, WORD, high)
    return low


@kernel
def _fold(v: Any, r: Any, out: Any, half: Any) -> None:
    factor = load(r, 0)
    for i in range(cuda.grid(1), half, cuda.gridsize(1)):
        low = load(v, i)
        store(out, i, add_fr(low, mul_fr(factor, sub_fr(load(v, half + i), low))))


def fold(v: Any, r: int) -> Vec:
    out = empty(checks.half_length(v))
    launch(_fold, len(out), v.flat(), cell(r), out.words)
    return out


# Rounds: the vectors lie one after another in one array; a thread sums, for one t, every
# `lanes`-th x.


@device
def _at(columns: Any, column: Any, x: Any, half: Any, t: Any) -> Any:
    """The column's v[x] + t (v[x + half] - v[x])."""
    value = load(columns, 2 * half * column + x)
    step = sub_fr(load(columns, 2 * half * column + x + half), value)
    for _ in range(t):
        value = add_fr(value, step)
    return value


def _sums(function: Any, rows: int, points: int, vectors: Sequence[Vec], *arguments: Any) -> Any:
    """The sums of `rows` accumulators, over threads for each of `points` values of t."""
    half, columns = len(vectors[0]) // 2, join(list(vectors))
    lanes = min(half, LANES)
    out = empty(rows * lanes)
    launch(function, points * lanes, columns.words, half, lanes, *arguments, out.words)
    return row_sums(out.words, rows)


@kernel
def _sum_lookup(
    columns: Any, half: Any, lanes: Any, count: Any, beta: Any, out: Any, n: Any
) -> None:
    # sum e (helper D - N) at t = 1..count+2 in as many rows, then sum cut helper in as many
    gap_0 = load(beta, 0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        t, lane = 1 + i // lanes, i % lanes
        relation, helpers = zero(), zero()
        for x in range(lane, half, lanes):
            helper = _at(columns, 2, x, half, t)
            denominator, numerator = sub_fr(gap_0, _at(columns, 3, x, half, t)), one_fr()
            for k in range(1, count):
                gap = sub_fr(gap_0, _at(columns, 3 + k, x, half, t))
                numerator = add_fr(mul_fr(numerator, gap), denominator)
                denominator = mul_fr(denominator, gap)
            summand = sub_fr(mul_fr(helper, denominator), numerator)
            relation = add_fr(relation, mul_fr(_at(columns, 0, x, half, t), summand))
            helpers = add_fr(helpers, mul_fr(_at(columns, 1, x, half, t), helper))
        store(out, i, relation)
        store(out, n + i, helpers)


def round_lookup(
    e: Vec, cut: Vec, helper: Vec, slices: Sequence[Vec], beta: int
) -> tuple[list[int], list[int]]:
    count = checks.slice_count(slices)
    checks.half_length(e, cut, helper, *slices)
    points, vectors = count + 2, [e, cut, helper, *slices]
    sums = _sums(_sum_lookup, 2 * points, points, vectors, count, cell(beta))
    return sums[:points], sums[points : points + 2]


@kernel
def _sum_table(columns: Any, half: Any, lanes: Any, beta: Any, out: Any, n: Any) -> None:
    # sum e (helper (beta - table) - mult) at t = 1..3 in 3 rows, then sum cut helper in 3
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        t, lane = 1 + i // lanes, i % lanes
        relation, helpers = zero(), zero()
        for x in range(lane, half, lanes):
            helper = _at(columns, 2, x, half, t)
            gap = sub_fr(load(beta, 0), _at(columns, 3, x, half, t))
            summand = sub_fr(mul_fr(helper, gap), _at(columns, 4, x, half, t))
            relation = add_fr(relation, mul_fr(_at(columns, 0, x, half, t), summand))
            helpers = add_fr(helpers, mul_fr(_at(columns, 1, x, half, t), helper))
        store(out, i, relation)
        store(out, n + i, helpers)


def round_table(
    e: Vec, cut: Vec, helper: Vec, table: Vec, mult: Vec, beta: int
) -> tuple[list[int], list[int]]:
    checks.half_length(e, cut, helper, table, mult)
    sums = _sums(_sum_table, 6, 3, [e, cut, helper, table, mult], cell(beta))
    return sums[:3], sums[3:5]


@kernel
def _sum_product(columns: Any, half: Any, lanes: Any, count: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        t, lane, acc = i // lanes, i % lanes, zero()
        for x in range(lane, half, lanes):
            product = _at(columns, 0, x, half, t)
            for k in range(1, count):
                product = mul_fr(product, _at(columns, k, x, half, t))
            acc = add_fr(acc, product)
        store(out, i, acc)


def round_product(factors: Sequence[Vec]) -> list[int]:
    degree = checks.factor_count(factors)
    checks.half_length(*factors)
    sums: list[int] = _sums(_sum_product, degree + 1, degree + 1, factors, degree)
    return sums
