"""Multi-scalar multiplication over G1: the scalar tier's, its affine additions eight at a time."""

from typing import Any

import numpy as np

from prover.curve import Point
from prover.field import Q
from prover.kernels.cpu import curve as scalar
from prover.kernels.cpu import limbs
from prover.kernels.cpu.kernel import entry, inner
from prover.kernels.cpu.msm import by_bucket, by_line, sum_scalars, sum_small, weigh_lines
from prover.kernels.ifma.lanes import (
    LIMBS,
    WIDTH,
    choose,
    fall_fq,
    gap_fq,
    join_fq,
    load,
    load_raw,
    load_x,
    load_y,
    mul_raw_fq,
    one_fq,
    special,
    store_fq,
    store_raw,
    store_xy,
    sub_fq,
)
from prover.kernels.interface import Int64s, Points, Vec

CHUNK = 4096  # pairs that share an inversion, which is the scalar tier's: about 400 of its products
BLOCKS = CHUNK // WIDTH
CACHED = 1 << 14  # points, 64 bytes each, that are summed while they lie in a core's cache
sixty_four_fq = limbs.constant(64 * 2**256 % Q)
EVERY = (1 << WIDTH) - 1  # the mask of all lanes
PADDING = 2 * WIDTH


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
    points: Any, at: Any, k: int, last: int, stride: int, scratch: Any, masks: Any, product: Any
) -> Any:
    """Notes the denominators of the pairs k..k+7 and the product before them: the one after them.

    The mask of a block has the lanes that the formula does not hold for, and those from `last` on:
    their denominator is one.
    """
    block = k // WIDTH % BLOCKS
    x1, x2 = load_x(points, at, k, 0), load_x(points, at, k, stride)
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
    return mul_raw_fq(product, denominator)


@inner
def _write_some(points: Any, at: Any, k: int, mask: int, aside: Any) -> None:
    """Copies the points of aside to k..k+7, but for the lanes of the mask."""
    for lane in range(WIDTH):
        if not mask >> lane & 1:
            limbs.store(points, 2 * at[k + lane], limbs.load(aside, 2 * lane))
            limbs.store(points, 2 * at[k + lane] + 1, limbs.load(aside, 2 * lane + 1))


@inner
def _leave_blocks(
    points: Any,
    at: Any,
    k: int,
    stride: int,
    scratch: Any,
    masks: Any,
    aside: Any,
    here: Any,
    left: Any,
    right: Any,
) -> Any:
    """Adds the pairs k..k+15, given the inverses of the products after them: those before them.

    Two blocks side by side: in either, a multiplication waits for the one before. mul_raw leaves
    out a factor 16 each time: `_invert` makes up for it, but for the 4 of `fall`.
    """
    l, r = 4 * (k // WIDTH % BLOCKS), 4 * (k // WIDTH % BLOCKS + 1)
    inverse_l = mul_raw_fq(left, load_raw(scratch, l + 1))
    inverse_r = mul_raw_fq(right, load_raw(scratch, r + 1))
    left, right = mul_raw_fq(left, load_raw(scratch, l)), mul_raw_fq(right, load_raw(scratch, r))
    y_l, y_r = load_y(points, at, k, 0), load_y(points, at, k + WIDTH, 0)
    rise_l = gap_fq(load_y(points, at, k, stride), y_l)
    rise_r = gap_fq(load_y(points, at, k + WIDTH, stride), y_r)
    slope_l, slope_r = mul_raw_fq(rise_l, inverse_l), mul_raw_fq(rise_r, inverse_r)
    x3_l = sub_fq(mul_raw_fq(slope_l, slope_l), load_raw(scratch, l + 3))
    x3_r = sub_fq(mul_raw_fq(slope_r, slope_r), load_raw(scratch, r + 3))
    y3_l = mul_raw_fq(fall_fq(load_raw(scratch, l + 2), x3_l), slope_l)
    y3_r = mul_raw_fq(fall_fq(load_raw(scratch, r + 2), x3_r), slope_r)
    y3_l, y3_r = sub_fq(y3_l, y_l), sub_fq(y3_r, y_r)
    mask_l, mask_r = masks[l // 4], masks[r // 4]
    if mask_l | mask_r == 0:  # not a function: a call with arrays counts their references
        store_xy(points, at, k, 0, x3_l, y3_l)
        store_xy(points, at, k + WIDTH, 0, x3_r, y3_r)
    else:
        store_xy(aside, here, 0, 0, x3_l, y3_l)
        _write_some(points, at, k, mask_l, aside)
        store_xy(aside, here, 0, 0, x3_r, y3_r)
        _write_some(points, at, k + WIDTH, mask_r, aside)
    return left, right


@inner
def _sum_segments(points: Any, starts: Any) -> None:
    """Sums points[starts[s]:starts[s+1]] into its first place, for every s.

    Runs of segments that fit in a core's cache, one after another; a run level by level, the
    additions of a level sharing inversions. Every lane has a chain of products of denominators,
    blocks taking turns at two, so that one multiplies while the other waits for its product.
    """
    segments, begin = starts.shape[0] - 1, 0
    at = np.empty(points.shape[0] // 2 + PADDING, np.int64)
    scratch, masks = np.empty((4 * BLOCKS, LIMBS, WIDTH), np.uint64), np.empty(BLOCKS, np.int64)
    ends, aside = np.empty((2 * WIDTH, 4), np.uint64), np.empty((WIDTH, 8), np.uint64)
    here = np.arange(WIDTH)
    rest, kinds = np.empty(CHUNK, np.int64), np.empty(CHUNK, np.int64)
    rest_scratch = np.empty((2 * CHUNK, 4), np.uint64)
    while begin < segments:
        end, longest = begin, 0
        while end < segments and (end == begin or starts[end + 1] - starts[begin] <= CACHED):
            longest = max(longest, starts[end + 1] - starts[end])
            end += 1
        stride = 1
        while stride < longest:
            count = 0
            for s in range(begin, end):
                for i in range(starts[s], starts[s + 1] - stride, 2 * stride):
                    at[count] = i
                    count += 1
            at[count : count + PADDING] = at[0]
            for first in range(0, count, CHUNK):
                last = min(count, first + CHUNK)
                stop = first + -(-(last - first) // (2 * WIDTH)) * 2 * WIDTH
                left, right = one_fq(), one_fq()
                for k in range(first, stop, 2 * WIDTH):
                    left = _enter_block(points, at, k, last, stride, scratch, masks, left)
                    right = _enter_block(points, at, k + WIDTH, last, stride, scratch, masks, right)
                store_fq(ends, 0, left)
                store_fq(ends, WIDTH, right)
                _invert(ends)
                left, right = load(ends, 0), load(ends, WIDTH)
                for k in range(stop - 2 * WIDTH, first - 1, -2 * WIDTH):
                    left, right = _leave_blocks(
                        points, at, k, stride, scratch, masks, aside, here, left, right
                    )
                special_count = 0
                for k in range(first, last):
                    if masks[k // WIDTH % BLOCKS] >> k % WIDTH & 1:
                        rest[special_count] = at[k]
                        special_count += 1
                if special_count:
                    scalar.add_pairs(points, rest[:special_count], stride, rest_scratch, kinds)
            stride *= 2
        begin = end


@entry
def _window_sums(
    points: Any,
    magnitudes: Any,
    index: Any,
    count: int,
    c: int,
    top: int,
    low: int,
    high: int,
    out: Any,
) -> None:
    """As the scalar tier's."""
    work, starts = by_bucket(points, magnitudes, index, count, c, top, low, high)
    for lines in range(2):  # one place that calls: its code is long to compile
        if lines:
            work, starts = by_line(work, starts, high - low, c)
        _sum_segments(work, starts)
    weigh_lines(work, starts, c, low, high, out)


def msm(points: Points, scalars: Vec) -> Point:
    return sum_scalars(_window_sums, points, scalars)


def msm_small(points: Points, ints: Int64s) -> Point:
    return sum_small(_window_sums, points, ints)
