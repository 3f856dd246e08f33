"""Multi-scalar multiplication over G1: the scalar tier's, its affine additions eight at a time."""

from typing import Any

import numpy as np

from prover.curve import Point
from prover.field import Q
from prover.kernels.cpu import curve as scalar
from prover.kernels.cpu.msm import sum_scalars, sum_small
from prover.kernels.cpu.segments import place, summing
from prover.kernels.ifma.field import canonical
from prover.kernels.ifma.shape import LIMBS, WIDTH
from prover.kernels.interface import Int64s, Points, Vec
from prover.kernels.native import COMPILING, entry, inner

if COMPILING:
    from prover.kernels.cpu import limbs
    from prover.kernels.ifma.cells import choose, load, load_raw, store_fq, store_raw
    from prover.kernels.ifma.gather import load_x, load_y, prefetch, special, store_xy
    from prover.kernels.ifma.lanes import (
        fall_fq,
        gap_fq,
        join_fq,
        mul_raw_2_fq,
        one_fq,
        product_2_fq,
        sub_fq,
    )

    sixty_four_fq = limbs.constant(64 * 2**256 % Q)

CHUNK = 4096  # pairs that share an inversion, which is the scalar tier's: about 400 of its products
BLOCKS = CHUNK // WIDTH
AHEAD = 4 * WIDTH  # pairs between asking for points and adding them
EVERY = (1 << WIDTH) - 1  # the mask of all lanes


@inner
def _invert(ends: Any) -> None:
    """64 times the inverses of the cells of ends, none of them zero, in place.

    With them as ends of chains of mul_raw, a slope comes out 4 times too large in units of a 16th.
    """
    count = ends.shape[0]
    prefixes = np.empty_like(ends)
    product = limbs.one_fq()
    for i in range(count):
        limbs.store(prefixes, i, product)
        product = limbs.mul_fq(product, limbs.load(ends, i))
    product = limbs.mul_fq(scalar.inverse_fq(product), sixty_four_fq())
    for i in range(count - 1, -1, -1):
        value = limbs.load(ends, i)
        limbs.store(ends, i, limbs.mul_fq(product, limbs.load(prefixes, i)))
        product = limbs.mul_fq(product, value)


@inner
def _enter_block(
    points: Any, left: Any, right: Any, k: int, last: int, scratch: Any, masks: Any, product: Any
) -> Any:
    """Notes the denominators of the pairs k..k+7 and the product before them; returns the first.

    The mask of a block has the lanes that the formula does not hold for, and those from `last` on:
    their denominator is one.
    """
    block = k // WIDTH % BLOCKS
    x1, x2 = load_x(points, left, k), load_x(points, right, k)
    mask = special(x1, x2)
    if last < k + WIDTH:
        mask |= EVERY & EVERY << max(0, last - k)
    masks[block] = mask
    denominator = gap_fq(x2, x1)
    if mask:
        denominator = choose(mask, one_fq(), denominator)
    store_raw(scratch, 4 * block, denominator)
    store_raw(scratch, 4 * block + 1, product)
    store_raw(scratch, 4 * block + 2, x1)
    store_raw(scratch, 4 * block + 3, join_fq(x1, x2))
    return denominator


@inner
def _write_some(out: Any, places: Any, k: int, mask: int, aside: Any) -> None:
    """Copies the points of aside to places[k..k+7], but for the lanes of the mask."""
    for lane in range(WIDTH):
        if not mask >> lane & 1:
            place(aside, 2 * lane, out, places[k + lane])


@inner
def _leave_blocks(
    points: Any,
    left: Any,
    right: Any,
    places: Any,
    k: int,
    out: Any,
    scratch: Any,
    masks: Any,
    aside: Any,
    here: Any,
    after_l: Any,
    after_r: Any,
) -> Any:
    """Adds the pairs k..k+15, given the inverses of the products after them: those before them.

    mul_raw leaves out a factor 16 each time: `_invert` makes up for it, but for the 4 of `fall`.
    """
    l, r = 4 * (k // WIDTH % BLOCKS), 4 * (k // WIDTH % BLOCKS + 1)
    inverse_l, inverse_r = mul_raw_2_fq(
        after_l, load_raw(scratch, l + 1), after_r, load_raw(scratch, r + 1)
    )
    y_l, y_r = load_y(points, left, k), load_y(points, left, k + WIDTH)
    rise_l = gap_fq(load_y(points, right, k), y_l)
    rise_r = gap_fq(load_y(points, right, k + WIDTH), y_r)
    slope_l, slope_r = mul_raw_2_fq(rise_l, inverse_l, rise_r, inverse_r)
    after_l, after_r = mul_raw_2_fq(after_l, load_raw(scratch, l), after_r, load_raw(scratch, r))
    x3_l, x3_r = product_2_fq(slope_l, slope_l, slope_r, slope_r)
    x3_l, x3_r = sub_fq(x3_l, load_raw(scratch, l + 3)), sub_fq(x3_r, load_raw(scratch, r + 3))
    fall_l, fall_r = (
        fall_fq(load_raw(scratch, l + 2), x3_l),
        fall_fq(load_raw(scratch, r + 2), x3_r),
    )
    y3_l, y3_r = product_2_fq(fall_l, slope_l, fall_r, slope_r)
    y3_l, y3_r = sub_fq(y3_l, y_l), sub_fq(y3_r, y_r)
    mask_l, mask_r = masks[l // 4], masks[r // 4]
    if mask_l | mask_r == 0:  # not a function: a call with arrays counts their references
        store_xy(out, places, k, x3_l, y3_l)
        store_xy(out, places, k + WIDTH, x3_r, y3_r)
    else:
        store_xy(aside, here, 0, x3_l, y3_l)
        _write_some(out, places, k, mask_l, aside)
        store_xy(aside, here, 0, x3_r, y3_r)
        _write_some(out, places, k + WIDTH, mask_r, aside)
    return after_l, after_r


@inner
def _add_some(
    points: Any, left: Any, right: Any, places: Any, first: int, last: int, masks: Any, out: Any
) -> None:
    """The additions k, first <= k < last, that are in the masks: by the complete formulas."""
    count = 0
    for k in range(first, last):
        count += masks[k // WIDTH % BLOCKS] >> k % WIDTH & 1
    if count:
        aside, scratch = np.empty((2 * count, 8), np.uint64), np.empty((2 * count, 4), np.uint64)
        which, at = np.empty(count, np.int64), np.arange(0, 2 * count, 2)
        count = 0
        for k in range(first, last):
            if masks[k // WIDTH % BLOCKS] >> k % WIDTH & 1:
                place(points, left[k], aside, 2 * count)
                place(points, right[k], aside, 2 * count + 1)
                which[count] = places[k]
                count += 1
        scalar.add_pairs(aside, at, 1, scratch, np.empty(count, np.int64))
        for j in range(count):
            place(aside, 4 * j, out, which[j])


@inner
def add_level(points: Any, left: Any, right: Any, places: Any, count: int, out: Any) -> None:
    """As the scalar tier's.

    Every lane has a chain of products of denominators, blocks taking turns at two, so that one
    multiplies while the other waits for its product.
    """
    scratch, masks = np.empty((4 * BLOCKS * LIMBS, 8), np.uint64), np.empty(BLOCKS, np.int64)
    ends, aside = np.empty((2 * WIDTH, 4), np.uint64), np.empty((WIDTH, 8), np.uint64)
    here = np.arange(WIDTH).astype(np.int32)
    for first in range(0, count, CHUNK):
        last = min(count, first + CHUNK)
        stop = first + -(-(last - first) // (2 * WIDTH)) * 2 * WIDTH
        chain_l, chain_r = one_fq(), one_fq()
        for k in range(first, stop, 2 * WIDTH):
            for ahead in (k + AHEAD, k + AHEAD + WIDTH):
                if ahead < last:
                    prefetch(points, left, ahead)
                    prefetch(points, right, ahead)
            gap_l = _enter_block(points, left, right, k, last, scratch, masks, chain_l)
            gap_r = _enter_block(points, left, right, k + WIDTH, last, scratch, masks, chain_r)
            chain_l, chain_r = mul_raw_2_fq(chain_l, gap_l, chain_r, gap_r)
        store_fq(ends, 0, chain_l)
        store_fq(ends, WIDTH, chain_r)
        _invert(ends)
        chain_l, chain_r = load(ends, 0), load(ends, WIDTH)
        for k in range(stop - 2 * WIDTH, first - 1, -2 * WIDTH):
            chain_l, chain_r = _leave_blocks(
                points, left, right, places, k, out, scratch, masks, aside, here, chain_l, chain_r
            )
        _add_some(points, left, right, places, first, last, masks, out)


_summing = summing(add_level)


@entry
def sum_segments(points: Any, order: Any, starts: Any, sums: Any) -> None:
    """As the scalar tier's."""
    _summing(points, order, starts, sums)


def msm(points: Points, scalars: Vec) -> Point:
    return sum_scalars(sum_segments, canonical, points, scalars)


def msm_small(points: Points, ints: Int64s) -> Point:
    return sum_small(sum_segments, points, ints)
