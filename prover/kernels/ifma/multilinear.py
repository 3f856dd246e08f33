"""Multilinear tables and the rounds of the sumchecks over them, eight cells at a time."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from prover.field import P
from prover.kernels import checks
from prover.kernels.cpu import multilinear as scalar
from prover.kernels.cpu.field import empty, from_ints, zeros
from prover.kernels.cpu.kernel import addresses, cell, plain, ranges, run_all, scalars
from prover.kernels.ifma.field import add, add_up, in_parts
from prover.kernels.ifma.field import total as vector_total
from prover.kernels.ifma.shape import LIMBS, WIDTH
from prover.kernels.interface import Int64s, Vec
from prover.kernels.native import COMPILING, entry
from prover.kernels.native import inner as helper

if COMPILING:
    from prover.kernels.ifma.cells import load, load_at, load_raw, spread, store_fr, store_raw
    from prover.kernels.ifma.lanes import (
        add_fr,
        constant,
        gap_fr,
        mul_2_fr,
        mul_fr,
        mul_raw_fr,
        one_fr,
        product_2_fr,
        rough_2_fr,
        rough_fr,
        shifted,
        sub_fr,
        zero,
    )
    from prover.kernels.ifma.words import (
        add_products,
        beyond,
        load_words,
        no_sums,
        noted,
        parts,
        put_across,
        raised,
        settled,
        take_across,
    )

    lift_low_fr, lift_high_fr = constant(2**260 % P), constant(2**520 % P)

LEAST_ROUND = 1 << 11
STEP = 4 * WIDTH  # powers: four chains of products
RISE = 1 << 31  # what makes the words of a small matrix positive
TERMS = 512  # between two `settled`


@entry
def _eq_table(point: Any, out: Any) -> None:
    # The last variables first: a variable more doubles the table by a copy above it.
    size = WIDTH
    for k in range(point.shape[0] - 1, -1, -1):
        factor = spread(point, k)
        for i in range(0, size, WIDTH):
            value = load(out, i)
            high = mul_fr(factor, value)
            store_fr(out, size + i, high)
            store_fr(out, i, sub_fr(value, high))
        size *= 2


def eq_table(point: Sequence[int]) -> Vec:
    if len(point) < 4:
        return scalar.eq_table(point)
    out = empty(1 << len(point))
    out[:WIDTH] = scalar.eq_table(point[-3:])
    _eq_table(from_ints(point[:-3]), out)
    return out


@entry
def _powers(factor: Any, out: Any) -> None:
    step = spread(factor, 0)
    for i in range(STEP, out.shape[0] - WIDTH + 1, WIDTH):
        store_fr(out, i, mul_fr(step, load(out, i - STEP)))


def powers(base: int, n: int) -> Vec:
    if n <= STEP:
        return scalar.powers(base, n)
    out = empty(-(-n // WIDTH) * WIDTH)
    out[:STEP] = scalar.powers(base, STEP)
    _powers(cell(pow(base, STEP, P)), out)
    return out[:n]


@entry
def _limbs(v: Any, out: Any) -> None:
    for block in range(out.shape[0]):
        store_raw(out, block, load(v, WIDTH * block))


@entry
def _wide_sums(ints: Any, v: Any, low: int, high: int, out: Any) -> bool:
    # Lanes along a row; v has its limbs, WIDTH cells a row. False where an integer is too large,
    # as of those of 64 bits some may be.
    seen = raised(load_words(ints, 0), RISE)
    width, blocks = ints.shape[1], v.shape[0]
    for i in range(low, high, 4):  # four rows, so that their sums take turns
        at_a, at_b = i * width, min(i + 1, high - 1) * width
        at_c, at_d = min(i + 2, high - 1) * width, min(i + 3, high - 1) * width
        sum_a, sum_b, sum_c, sum_d = no_sums(), no_sums(), no_sums(), no_sums()
        for first in range(0, blocks, TERMS):
            for block in range(first, min(blocks, first + TERMS)):
                x, j = load_raw(v, block), WIDTH * block
                words_a = raised(load_words(ints, at_a + j), RISE)
                sum_a = add_products(sum_a, words_a, x)
                words_b = raised(load_words(ints, at_b + j), RISE)
                sum_b = add_products(sum_b, words_b, x)
                words_c = raised(load_words(ints, at_c + j), RISE)
                sum_c = add_products(sum_c, words_c, x)
                words_d = raised(load_words(ints, at_d + j), RISE)
                sum_d = add_products(sum_d, words_d, x)
                seen = noted(noted(seen, words_a, ints), words_b, ints)
                seen = noted(noted(seen, words_c, ints), words_d, ints)
            sum_a, sum_b = settled(sum_a), settled(sum_b)
            sum_c, sum_d = settled(sum_c), settled(sum_d)
        put_across(out, i, sum_a)
        put_across(out, min(i + 1, high - 1), sum_b)
        put_across(out, min(i + 2, high - 1), sum_c)
        put_across(out, min(i + 3, high - 1), sum_d)
    return not beyond(seen)


@helper
def _store_sum(out: Any, i: int, total: Any, taken: Any) -> None:
    low, high = parts(total)
    value = add_fr(mul_raw_fr(lift_low_fr(), low), mul_raw_fr(lift_high_fr(), high))
    store_fr(out, i, sub_fr(value, taken))


@entry
def _wide_end(sums: Any, shift: Any, out: Any) -> None:
    taken = spread(shift, 0)
    for i in range(0, out.shape[0], WIDTH):
        _store_sum(out, i, take_across(sums, i), taken)


@entry
def _tall(columns: Any, v: Any, shift: Any, out: Any, low: int, high: int) -> None:
    # Lanes along a column; four blocks of rows, which share a cell of v and a line of memory.
    taken, count, width = spread(shift, 0), columns.shape[0], columns.shape[1]
    for block in range(low, high, 4 * WIDTH):
        a, b = min(block, high - WIDTH), min(block + WIDTH, high - WIDTH)
        c, d = min(block + 2 * WIDTH, high - WIDTH), min(block + 3 * WIDTH, high - WIDTH)
        sum_a, sum_b, sum_c, sum_d = no_sums(), no_sums(), no_sums(), no_sums()
        for first in range(0, count, TERMS):
            for j in range(first, min(count, first + TERMS)):
                x, at = spread(v, j), j * width
                sum_a = add_products(sum_a, raised(load_words(columns, at + a), RISE), x)
                sum_b = add_products(sum_b, raised(load_words(columns, at + b), RISE), x)
                sum_c = add_products(sum_c, raised(load_words(columns, at + c), RISE), x)
                sum_d = add_products(sum_d, raised(load_words(columns, at + d), RISE), x)
            sum_a, sum_b = settled(sum_a), settled(sum_b)
            sum_c, sum_d = settled(sum_c), settled(sum_d)
        _store_sum(out, a, sum_a, taken)
        _store_sum(out, b, sum_b, taken)
        _store_sum(out, c, sum_c, taken)
        _store_sum(out, d, sum_d, taken)


def small_matvec(ints: Int64s, v: Vec) -> Vec:
    """Below 2^31 in magnitude by vectors: sum x v = sum (x + 2^31) v - 2^31 sum v. Row-major or
    column-major, neither is copied."""
    checks.matrix_fits(ints, v)
    rows, columns = ints.shape
    if not ints.size or max(rows, columns) < WIDTH:
        return scalar.small_matvec(ints, v)
    if rows >= WIDTH and (columns < 4 * WIDTH or ints.T.flags.carray):
        if ints.itemsize == 8 and (ints.min() < -RISE or ints.max() >= RISE):
            return scalar.small_matvec(ints, v)
        out, shift, turned = empty(rows), cell(RISE * vector_total(v)), plain(ints.T)
        cuts = ranges(rows, max(4 * WIDTH, 2**16 // columns))
        run_all([functools.partial(_tall, turned, plain(v), shift, out, *cut) for cut in cuts])
        return out
    whole = columns // WIDTH * WIDTH
    if not whole:
        return scalar.small_matvec(ints, v)
    ints, limbs = plain(ints), np.empty((whole // WIDTH, LIMBS, WIDTH), dtype=np.uint64)
    _limbs(plain(v[:whole]), limbs)
    raw = np.zeros((LIMBS + 1, -(-rows // WIDTH) * WIDTH), dtype=np.uint64)
    cuts = ranges(rows, max(1, 2**16 // whole))
    if not all(run_all([functools.partial(_wide_sums, ints, limbs, *cut, raw) for cut in cuts])):
        return scalar.small_matvec(ints, v)
    out = empty(raw.shape[1])
    _wide_end(raw, cell(RISE * vector_total(v[:whole])), out)
    out = out[:rows]
    if whole < columns:
        out = add(out, scalar.small_matvec(ints[:, whole:], v[whole:]))
    return out


@entry
def _fold(v: Any, r: Any, out: Any, low: int, high: int) -> None:
    half, factor = out.shape[0], shifted(spread(r, 0))
    for block in range(low, high, 2 * WIDTH):
        i, j = min(block, high - WIDTH), min(block + WIDTH, high - WIDTH)
        left, right = load(v, i), load(v, j)
        gap_l, gap_r = gap_fr(load(v, half + i), left), gap_fr(load(v, half + j), right)
        rise_l, rise_r = product_2_fr(factor, gap_l, factor, gap_r)
        store_fr(out, i, add_fr(rise_l, left))
        store_fr(out, j, add_fr(rise_r, right))


def fold(v: Vec, r: int) -> Vec:
    if checks.half_length(v) < WIDTH:
        return scalar.fold(v, r)
    out = empty(len(v) // 2)
    in_parts(_fold, len(out), plain(v), cell(r), out)
    return out


def _sums(
    kernel: Callable[..., None],
    rest: Callable[..., None],
    rows: int,
    half: int,
    *arguments: Any,
) -> list[int]:
    """The sums of `rows` accumulators over the half cube: its whole blocks of cells cut among
    threads, then the scalar tier's kernel on the others."""
    whole = half // WIDTH
    cuts = ranges(whole, LEAST_ROUND // WIDTH)
    outs = [zeros(rows) for _ in cuts]
    run_all(
        [
            functools.partial(kernel, *arguments, low * WIDTH, high * WIDTH, out)
            for (low, high), out in zip(cuts, outs, strict=True)
        ]
    )
    if whole * WIDTH < half:
        rest(*arguments, whole * WIDTH, half, outs[0])
    return [sum(column) % P for column in zip(*map(scalars, outs), strict=True)]


@entry
def _round_lookup(
    e: Any, cut: Any, helper: Any, slices: Any, beta: Any, low: int, high: int, out: Any
) -> None:
    # As the scalar tier's sum_lookup. Of pair k, rows 5 k..: product, its rise and bend, sum, step.
    count, half, top = slices.shape[0], e.shape[0] // 2, spread(beta, 0)
    pairs = (count + 1) // 2
    state = np.empty((5 * pairs, LIMBS, WIDTH), np.uint64)
    totals = np.zeros((count + 4, LIMBS, WIDTH), np.uint64)
    for x in range(low, high, WIDTH):
        e_t, helper_t, cut_t = load(e, half + x), load(helper, half + x), load(cut, half + x)
        e_step = gap_fr(e_t, load(e, x))
        helper_step = gap_fr(helper_t, load(helper, x))
        cut_2, helper_2 = add_fr(cut_t, gap_fr(cut_t, load(cut, x))), add_fr(helper_t, helper_step)
        at_1, at_2 = rough_2_fr(cut_t, helper_t, cut_2, helper_2)
        store_raw(totals, count + 2, add_fr(at_1, load_raw(totals, count + 2)))
        store_raw(totals, count + 3, add_fr(at_2, load_raw(totals, count + 3)))
        for k in range(pairs):
            end = load_at(slices[2 * k], half + x)
            value, climb = gap_fr(top, end), gap_fr(load_at(slices[2 * k], x), end)
            row, product, rise, bend, total, step = 5 * k, value, climb, zero(), one_fr(), zero()
            if 2 * k + 1 < count:
                end = load_at(slices[2 * k + 1], half + x)
                other, also = gap_fr(top, end), gap_fr(load_at(slices[2 * k + 1], x), end)
                total, step = add_fr(value, other), add_fr(climb, also)
                product, bend = mul_2_fr(value, other, climb, also)
                rise = sub_fr(rough_fr(add_fr(value, climb), add_fr(other, also)), product)
                bend = add_fr(bend, bend)
            store_raw(state, row, product)
            store_raw(state, row + 1, rise)
            store_raw(state, row + 2, bend)
            store_raw(state, row + 3, total)
            store_raw(state, row + 4, step)
        for t in range(count + 2):
            before = load_raw(state, 0)
            relation = sub_fr(rough_fr(helper_t, before), load_raw(state, 3))
            for k in range(1, pairs):
                product, total = load_raw(state, 5 * k), load_raw(state, 5 * k + 3)
                crossed, taken = rough_2_fr(relation, product, before, total)
                relation = sub_fr(crossed, taken)
                if k < pairs - 1:
                    before = mul_fr(before, product)
            store_raw(totals, t, add_fr(rough_fr(e_t, relation), load_raw(totals, t)))
            e_t, helper_t = add_fr(e_t, e_step), add_fr(helper_t, helper_step)
            for k in range(0, 5 * pairs, 5):
                rise = load_raw(state, k + 1)
                store_raw(state, k, add_fr(load_raw(state, k), rise))
                store_raw(state, k + 1, add_fr(rise, load_raw(state, k + 2)))
                store_raw(state, k + 3, add_fr(load_raw(state, k + 3), load_raw(state, k + 4)))
    for t in range(count + 4):
        add_up(load_raw(totals, t), out, t)


def round_lookup(
    e: Vec, cut: Vec, helper: Vec, slices: Sequence[Vec], beta: int
) -> tuple[list[int], list[int]]:
    count, half = checks.slice_count(slices), checks.half_length(e, cut, helper, *slices)
    if half < WIDTH:
        return scalar.round_lookup(e, cut, helper, slices, beta)
    slices = [plain(f) for f in slices]
    arguments = (plain(e), plain(cut), plain(helper), addresses(slices), cell(beta))
    sums = _sums(_round_lookup, scalar.sum_lookup, count + 4, half, *arguments)
    return sums[:-2], sums[-2:]


@entry
def _round_table(
    e: Any, cut: Any, helper: Any, table: Any, mult: Any, beta: Any, low: int, high: int, out: Any
) -> None:
    # As the scalar tier's sum_table.
    half, top = e.shape[0] // 2, spread(beta, 0)
    totals = np.zeros((5, LIMBS, WIDTH), np.uint64)
    for x in range(low, high, WIDTH):
        e_t, cut_t, helper_t = load(e, half + x), load(cut, half + x), load(helper, half + x)
        mult_t, gap = load(mult, half + x), gap_fr(top, load(table, half + x))
        e_step, cut_step = gap_fr(e_t, load(e, x)), gap_fr(cut_t, load(cut, x))
        helper_step, mult_step = gap_fr(helper_t, load(helper, x)), gap_fr(mult_t, load(mult, x))
        gap_step = gap_fr(load(table, x), load(table, half + x))
        for t in range(3):
            relation = rough_fr(e_t, sub_fr(rough_fr(helper_t, gap), mult_t))
            store_raw(totals, t, add_fr(relation, load_raw(totals, t)))
            if t < 2:
                total = add_fr(rough_fr(cut_t, helper_t), load_raw(totals, 3 + t))
                store_raw(totals, 3 + t, total)
                cut_t = add_fr(cut_t, cut_step)
            e_t, helper_t = add_fr(e_t, e_step), add_fr(helper_t, helper_step)
            mult_t, gap = add_fr(mult_t, mult_step), add_fr(gap, gap_step)
    for t in range(5):
        add_up(load_raw(totals, t), out, t)


def round_table(
    e: Vec, cut: Vec, helper: Vec, table: Vec, mult: Vec, beta: int
) -> tuple[list[int], list[int]]:
    half = checks.half_length(e, cut, helper, table, mult)
    if half < WIDTH:
        return scalar.round_table(e, cut, helper, table, mult, beta)
    vectors = [plain(vector) for vector in (e, cut, helper, table, mult)]
    sums = _sums(_round_table, scalar.sum_table, 5, half, *vectors, cell(beta))
    return sums[:-2], sums[-2:]


@entry
def _round_product(factors: Any, half: int, low: int, high: int, out: Any) -> None:
    count = factors.shape[0]
    totals = np.zeros((count + 1, LIMBS, WIDTH), np.uint64)
    for x in range(low, high, WIDTH):
        a_t, b_t, c_t, c_step = load_at(factors[0], x), load_at(factors[1], x), zero(), zero()
        a_step = gap_fr(load_at(factors[0], x + half), a_t)
        b_step = gap_fr(load_at(factors[1], x + half), b_t)
        if count == 3:
            c_t = load_at(factors[2], x)
            c_step = gap_fr(load_at(factors[2], x + half), c_t)
        for t in range(count + 1):
            if count == 3:
                product = rough_fr(mul_fr(a_t, b_t), c_t)
                c_t = add_fr(c_t, c_step)
            else:
                product = rough_fr(a_t, b_t)
            store_raw(totals, t, add_fr(product, load_raw(totals, t)))
            a_t, b_t = add_fr(a_t, a_step), add_fr(b_t, b_step)
    for t in range(count + 1):
        add_up(load_raw(totals, t), out, t)


def round_product(factors: Sequence[Vec]) -> list[int]:
    degree, half = checks.factor_count(factors), checks.half_length(*factors)
    if half < WIDTH:
        return scalar.round_product(factors)
    factors = [plain(factor) for factor in factors]
    where = addresses(factors)
    return _sums(_round_product, scalar.sum_product, degree + 1, half, where, half)
