"""Multilinear tables and the rounds of the sumchecks over them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prover.field import P
from prover.kernels import checks
from prover.kernels.cpu.field import empty, from_ints, zeros
from prover.kernels.cpu.kernel import addresses, cell, plain, ranges, run_all, scalars
from prover.kernels.interface import Int64s, Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.cpu.limbs import (
        add_fr,
        add_word_product,
        high_part,
        load,
        load_at,
        low_part,
        mul_fr,
        one_fr,
        square_fr,
        store,
        sub_fr,
        widen,
        zero,
        zero_wide,
    )

LEAST_ROUND = 1 << 10  # a cell of a round costs some forty multiplications
TOP_BIT = np.uint64(1 << 63)


@entry
def _eq_table(point: Any, out: Any) -> None:
    store(out, 0, one_fr())
    for k in range(point.shape[0]):
        r = load(point, k)
        for i in range((1 << k) - 1, -1, -1):
            value = load(out, i)
            high = mul_fr(r, value)
            store(out, 2 * i + 1, high)
            store(out, 2 * i, sub_fr(value, high))


def eq_table(point: Sequence[int]) -> Vec:
    out = empty(1 << len(point))
    _eq_table(from_ints(point), out)
    return out


@entry
def _powers(base: Any, out: Any) -> None:
    factor, power = load(base, 0), one_fr()
    for i in range(out.shape[0]):
        store(out, i, power)
        power = mul_fr(factor, power)


def powers(base: int, n: int) -> Vec:
    out = empty(n)
    _powers(cell(base), out)
    return out


@entry
def _small_matvec(ints: Any, v: Any, low: int, high: int, out: Any) -> None:
    # Words must not be negative: sum x v = sum (x + 2^63) v - 2^63 sum v.
    columns = v.shape[0]
    shift = zero()
    for j in range(columns):
        shift = add_fr(shift, load(v, j))
    shift = mul_fr(shift, mul_fr(square_fr(), widen(TOP_BIT)))
    for i in range(low, high):
        acc = zero_wide()
        for j in range(columns):
            acc = add_word_product(acc, np.uint64(np.int64(ints[i, j])) ^ TOP_BIT, load(v, j))
        reduced = add_fr(mul_fr(square_fr(), high_part(acc)), mul_fr(one_fr(), low_part(acc)))
        store(out, i, sub_fr(reduced, shift))


def small_matvec(ints: Int64s, v: Vec) -> Vec:
    checks.matrix_fits(ints, v)
    rows, columns = ints.shape
    ints, v, out = plain(ints), plain(v), empty(rows)
    parts = ranges(rows, max(1, 2**14 // max(1, columns)))
    run_all([functools.partial(_small_matvec, ints, v, *part, out) for part in parts])
    return out


@entry
def _fold(v: Any, r: Any, out: Any) -> None:
    half, factor = out.shape[0], load(r, 0)
    for i in range(half):
        low = load(v, i)
        store(out, i, add_fr(low, mul_fr(factor, sub_fr(load(v, half + i), low))))


def fold(v: Vec, r: int) -> Vec:
    out = empty(checks.half_length(v))
    _fold(plain(v), cell(r), out)
    return out


def _sums(kernel: Callable[..., None], rows: int, half: int, *arguments: Any) -> list[int]:
    """The sums of `rows` accumulators over the half cube, cut among threads."""
    parts = ranges(half, LEAST_ROUND)
    outs = [zeros(rows) for _ in parts]
    run_all(
        [
            functools.partial(kernel, *arguments, low, high, out)
            for (low, high), out in zip(parts, outs, strict=True)
        ]
    )
    return [sum(column) % P for column in zip(*map(scalars, outs), strict=True)]


@entry
def sum_lookup(
    e: Any, cut: Any, helper: Any, slices: Any, beta: Any, low: int, high: int, out: Any
) -> None:
    # out: sum e (helper D - N) at t = 1..K+2, then sum cut helper at t = 1, 2.
    # Slices two by two: D is the product of quadratics, the pairs' products, told by differences;
    # with r = helper at first, a pair of product p and sum s turns r into r p - s (the p before).
    count, half = slices.shape[0], e.shape[0] // 2
    pairs = (count + 1) // 2
    product, rise, bend, total, step = np.empty((5, pairs, 4), np.uint64)
    for x in range(low, high):
        e_t, helper_t, cut_t = load(e, half + x), load(helper, half + x), load(cut, half + x)
        e_step = sub_fr(e_t, load(e, x))
        helper_step = sub_fr(helper_t, load(helper, x))
        at_2 = mul_fr(add_fr(cut_t, sub_fr(cut_t, load(cut, x))), add_fr(helper_t, helper_step))
        for i, part in ((count + 2, mul_fr(cut_t, helper_t)), (count + 3, at_2)):
            store(out, i, add_fr(load(out, i), part))
        for k in range(pairs):
            f, g = 2 * k, 2 * k + 1
            value = sub_fr(load(beta, 0), load_at(slices[f], half + x))
            climb = sub_fr(load_at(slices[f], x), load_at(slices[f], half + x))
            other, other_climb = one_fr(), zero()
            if g < count:
                other = sub_fr(load(beta, 0), load_at(slices[g], half + x))
                other_climb = sub_fr(load_at(slices[g], x), load_at(slices[g], half + x))
            here, square = mul_fr(value, other), mul_fr(climb, other_climb)
            after = mul_fr(add_fr(value, climb), add_fr(other, other_climb))
            store(product, k, here)
            store(rise, k, sub_fr(after, here))
            store(bend, k, add_fr(square, square))
            store(total, k, add_fr(value, other) if g < count else one_fr())
            store(step, k, add_fr(climb, other_climb) if g < count else zero())
        for t in range(count + 2):
            relation = sub_fr(mul_fr(helper_t, load(product, 0)), load(total, 0))
            before = load(product, 0)
            for k in range(1, pairs):
                taken = mul_fr(before, load(total, k))
                relation = sub_fr(mul_fr(relation, load(product, k)), taken)
                if k < pairs - 1:
                    before = mul_fr(before, load(product, k))
            store(out, t, add_fr(load(out, t), mul_fr(e_t, relation)))
            e_t, helper_t = add_fr(e_t, e_step), add_fr(helper_t, helper_step)
            for k in range(pairs):
                store(product, k, add_fr(load(product, k), load(rise, k)))
                store(rise, k, add_fr(load(rise, k), load(bend, k)))
                store(total, k, add_fr(load(total, k), load(step, k)))


def round_lookup(
    e: Vec, cut: Vec, helper: Vec, slices: Sequence[Vec], beta: int
) -> tuple[list[int], list[int]]:
    count, half = checks.slice_count(slices), checks.half_length(e, cut, helper, *slices)
    e, cut, helper = plain(e), plain(cut), plain(helper)
    slices = [plain(f) for f in slices]
    sums = _sums(sum_lookup, count + 4, half, e, cut, helper, addresses(slices), cell(beta))
    return sums[:-2], sums[-2:]


@entry
def sum_table(
    e: Any, cut: Any, helper: Any, table: Any, mult: Any, beta: Any, low: int, high: int, out: Any
) -> None:
    # out: sum e (helper (beta - table) - mult) at t = 1..3, then sum cut helper at t = 1, 2.
    half = e.shape[0] // 2
    for x in range(low, high):
        e_t, cut_t, helper_t = load(e, half + x), load(cut, half + x), load(helper, half + x)
        mult_t, gap = load(mult, half + x), sub_fr(load(beta, 0), load(table, half + x))
        e_step, cut_step = sub_fr(e_t, load(e, x)), sub_fr(cut_t, load(cut, x))
        helper_step, mult_step = sub_fr(helper_t, load(helper, x)), sub_fr(mult_t, load(mult, x))
        gap_step = sub_fr(load(table, x), load(table, half + x))
        for t in range(3):
            relation = mul_fr(e_t, sub_fr(mul_fr(helper_t, gap), mult_t))
            store(out, t, add_fr(load(out, t), relation))
            if t < 2:
                store(out, 3 + t, add_fr(load(out, 3 + t), mul_fr(cut_t, helper_t)))
                cut_t = add_fr(cut_t, cut_step)
            e_t, helper_t = add_fr(e_t, e_step), add_fr(helper_t, helper_step)
            mult_t, gap = add_fr(mult_t, mult_step), add_fr(gap, gap_step)


def round_table(
    e: Vec, cut: Vec, helper: Vec, table: Vec, mult: Vec, beta: int
) -> tuple[list[int], list[int]]:
    half = checks.half_length(e, cut, helper, table, mult)
    vectors = [plain(vector) for vector in (e, cut, helper, table, mult)]
    sums = _sums(sum_table, 5, half, *vectors, cell(beta))
    return sums[:-2], sums[-2:]


@entry
def sum_product(factors: Any, half: int, low: int, high: int, out: Any) -> None:
    count = factors.shape[0]
    value, step = np.empty((count, 4), np.uint64), np.empty((count, 4), np.uint64)
    for x in range(low, high):
        for k in range(count):
            start = load_at(factors[k], x)
            store(value, k, start)
            store(step, k, sub_fr(load_at(factors[k], x + half), start))
        for t in range(count + 1):
            product = load(value, 0)
            for k in range(1, count):
                product = mul_fr(product, load(value, k))
            store(out, t, add_fr(load(out, t), product))
            for k in range(count):
                store(value, k, add_fr(load(value, k), load(step, k)))


def round_product(factors: Sequence[Vec]) -> list[int]:
    degree, half = checks.factor_count(factors), checks.half_length(*factors)
    factors = [plain(factor) for factor in factors]
    return _sums(sum_product, degree + 1, half, addresses(factors), half)
