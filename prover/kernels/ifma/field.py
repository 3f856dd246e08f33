"""Vectors over Fr, eight cells at a time.

The cells are the scalar tier's. A length that is no multiple of eight ends in a block that overlaps
the one before it, or, where a cell must not be done twice, in the scalar tier's hands; vectors too
short for a block are the scalar tier's altogether.
"""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from prover.field import P
from prover.kernels import checks
from prover.kernels.cpu import field as scalar
from prover.kernels.cpu.field import empty
from prover.kernels.cpu.kernel import (
    THREAD_WORK,
    cell,
    integers,
    plain,
    ranges,
    run_all,
    scalars,
)
from prover.kernels.ifma.shape import WIDTH
from prover.kernels.interface import Int64s, Vec
from prover.kernels.native import COMPILING, entry
from prover.kernels.native import inner as helper

if COMPILING:
    from prover.kernels.cpu import limbs
    from prover.kernels.ifma.cells import choose, load, load_16, spread, store_fr
    from prover.kernels.ifma.lanes import (
        add_fr,
        constant,
        mul_2_fr,
        mul_fr,
        one_fr,
        product_2_fr,
        product_fr,
        shifted,
        sub_fr,
        zero,
    )
    from prover.kernels.ifma.words import load_words, magnitude, negative

    one, square_fr = constant(1), constant(2**512 % P)


def in_parts(kernel: Callable[..., None], length: int, *arguments: Any) -> None:
    """The kernel over 0..length (at least one block), cut among threads."""
    run_all([functools.partial(kernel, *arguments, *part) for part in ranges(length)])


def in_blocks(kernel: Callable[..., None], length: int, *arguments: Any) -> None:
    """The same for whole blocks, counted: each is done once."""
    cuts = ranges(length // WIDTH, THREAD_WORK // WIDTH)
    run_all([functools.partial(kernel, *arguments, *part) for part in cuts])


@entry
def _from_int64(values: Any, out: Any, low: int, high: int) -> None:
    for block in range(low, high, WIDTH):
        i = min(block, high - WIDTH)
        words = load_words(values, i)
        size = mul_fr(square_fr(), magnitude(words))
        store_fr(out, i, choose(negative(words), sub_fr(zero(), size), size))


def from_int64(values: Int64s) -> Vec:
    if len(values) < WIDTH:
        return scalar.from_int64(values)
    out = empty(len(values))
    in_parts(_from_int64, len(out), plain(values), out)
    return out


@entry
def _canonical(a: Any, out: Any, low: int, high: int) -> None:
    for block in range(low, high, WIDTH):
        i = min(block, high - WIDTH)
        store_fr(out, i, product_fr(load_16(a, i), one()))


def canonical(a: Vec) -> Vec:
    """The cells as integers of four words, out of Montgomery form."""
    if len(a) < WIDTH:
        return scalar.canonical(a)
    out = empty(len(a))
    in_parts(_canonical, len(out), plain(a), out)
    return out


def to_ints(a: Vec) -> list[int]:
    return integers(canonical(a))


@entry
def _add(a: Any, b: Any, out: Any, low: int, high: int) -> None:
    for block in range(low, high, WIDTH):
        i = min(block, high - WIDTH)
        store_fr(out, i, add_fr(load(a, i), load(b, i)))


def add(a: Vec, b: Vec) -> Vec:
    if checks.same_length(a, b) < WIDTH:
        return scalar.add(a, b)
    out = empty(len(a))
    in_parts(_add, len(out), plain(a), plain(b), out)
    return out


@entry
def _sub(a: Any, b: Any, out: Any, low: int, high: int) -> None:
    for block in range(low, high, WIDTH):
        i = min(block, high - WIDTH)
        store_fr(out, i, sub_fr(load(a, i), load(b, i)))


def sub(a: Vec, b: Vec) -> Vec:
    if checks.same_length(a, b) < WIDTH:
        return scalar.sub(a, b)
    out = empty(len(a))
    in_parts(_sub, len(out), plain(a), plain(b), out)
    return out


@entry
def _mul(a: Any, b: Any, out: Any, low: int, high: int) -> None:
    for block in range(low, high, 2 * WIDTH):
        i, j = min(block, high - WIDTH), min(block + WIDTH, high - WIDTH)
        left, right = product_2_fr(load_16(a, i), load(b, i), load_16(a, j), load(b, j))
        store_fr(out, i, left)
        store_fr(out, j, right)


def mul(a: Vec, b: Vec) -> Vec:
    if checks.same_length(a, b) < WIDTH:
        return scalar.mul(a, b)
    out = empty(len(a))
    in_parts(_mul, len(out), plain(a), plain(b), out)
    return out


@entry
def _scale(a: Any, c: Any, out: Any, low: int, high: int) -> None:
    factor = shifted(spread(c, 0))
    for block in range(low, high, 2 * WIDTH):
        i, j = min(block, high - WIDTH), min(block + WIDTH, high - WIDTH)
        left, right = product_2_fr(factor, load(a, i), factor, load(a, j))
        store_fr(out, i, left)
        store_fr(out, j, right)


def scale(a: Vec, c: int) -> Vec:
    if len(a) < WIDTH:
        return scalar.scale(a, c)
    out = empty(len(a))
    in_parts(_scale, len(out), plain(a), cell(c), out)
    return out


@entry
def _add_scaled(acc: Any, c: Any, a: Any, low: int, high: int) -> None:
    factor = shifted(spread(c, 0))
    for i in range(low * WIDTH, high * WIDTH, WIDTH):
        store_fr(acc, i, add_fr(product_fr(factor, load(a, i)), load(acc, i)))


def add_scaled(acc: Vec, c: int, a: Vec) -> None:
    whole = checks.same_length(acc, a) // WIDTH * WIDTH
    if whole:
        target = plain(acc[:whole])
        in_blocks(_add_scaled, whole, target, cell(c), plain(a[:whole]))
        if not acc.flags.carray:
            acc[:whole] = target
    if whole < len(acc):
        scalar.add_scaled(acc[whole:], c, a[whole:])


@entry
def _outer(a: Any, b: Any, out: Any, low: int, high: int) -> None:
    width = b.shape[0]
    for row in range(low, high):
        factor = spread(a, row)
        for block in range(0, width, WIDTH):
            i = min(block, width - WIDTH)
            store_fr(out, row * width + i, mul_fr(factor, load(b, i)))


def outer(a: Vec, b: Vec) -> Vec:
    if len(b) < WIDTH:
        return scalar.outer(a, b)
    out = empty(len(a) * len(b))
    cuts = ranges(len(a), max(1, THREAD_WORK // len(b)))
    run_all([functools.partial(_outer, plain(a), plain(b), out, *part) for part in cuts])
    return out


@helper
def add_up(acc: Any, out: Any, i: int) -> None:
    """Adds the eight lanes of acc to out[i]."""
    eight, total = np.empty((WIDTH, 4), np.uint64), limbs.load(out, i)
    store_fr(eight, 0, acc)
    for lane in range(WIDTH):
        total = limbs.add_fr(total, limbs.load(eight, lane))
    limbs.store(out, i, total)


def sum_blocks(kernel: Callable[..., None], length: int, *arguments: Any) -> int:
    """The sum over whole blocks that a kernel adds to its last argument, cut among threads."""
    cuts = ranges(length // WIDTH, THREAD_WORK // WIDTH)
    outs = [scalar.zeros(1) for _ in cuts]
    run_all(
        [
            functools.partial(kernel, *arguments, *part, out)
            for part, out in zip(cuts, outs, strict=True)
        ]
    )
    return sum(scalars(scalar.concat(outs))) % P


@entry
def _total(a: Any, low: int, high: int, out: Any) -> None:
    acc = zero()
    for i in range(low * WIDTH, high * WIDTH, WIDTH):
        acc = add_fr(acc, load(a, i))
    add_up(acc, out, 0)


def total(a: Vec) -> int:
    whole = len(a) // WIDTH * WIDTH
    if not whole:
        return scalar.total(a)
    rest = scalar.total(a[whole:]) if whole < len(a) else 0
    return (sum_blocks(_total, whole, plain(a[:whole])) + rest) % P


@entry
def _inner(a: Any, b: Any, low: int, high: int, out: Any) -> None:
    acc = zero()
    for i in range(low * WIDTH, high * WIDTH, WIDTH):
        acc = add_fr(product_fr(load_16(a, i), load(b, i)), acc)
    add_up(acc, out, 0)


def inner(a: Vec, b: Vec) -> int:
    whole = checks.same_length(a, b) // WIDTH * WIDTH
    if not whole:
        return scalar.inner(a, b)
    rest = scalar.inner(a[whole:], b[whole:]) if whole < len(a) else 0
    return (sum_blocks(_inner, whole, plain(a[:whole]), plain(b[:whole])) + rest) % P


# Batch inversion: a chain of products in every lane, two of them in turn, so that one multiplies
# while the other waits for its product.


@entry
def _prefixes(a: Any, out: Any, ends: Any) -> None:
    left, right = one_fr(), one_fr()
    for i in range(0, a.shape[0], 2 * WIDTH):
        store_fr(out, i, left)
        store_fr(out, i + WIDTH, right)
        left, right = mul_2_fr(load(a, i), left, load(a, i + WIDTH), right)
    store_fr(ends, 0, left)
    store_fr(ends, WIDTH, right)


@entry
def _suffixes(a: Any, out: Any, ends: Any) -> None:
    left, right = load(ends, 0), load(ends, WIDTH)
    for i in range(a.shape[0] - 2 * WIDTH, -1, -2 * WIDTH):
        store_fr(out, i, mul_fr(left, load(out, i)))
        store_fr(out, i + WIDTH, mul_fr(right, load(out, i + WIDTH)))
        left, right = mul_2_fr(load(a, i), left, load(a, i + WIDTH), right)


def batch_inverse(a: Vec) -> Vec:
    whole = len(a) // (2 * WIDTH) * (2 * WIDTH)
    if len(a) < 4 * WIDTH:
        return scalar.batch_inverse(a)
    a, out, ends = plain(a), empty(len(a)), empty(2 * WIDTH)
    _prefixes(a[:whole], out, ends)
    # The rest shares the inversion of the chains' ends; a zero in a chain is one at its end.
    inverses = scalar.batch_inverse(scalar.concat([ends, a[whole:]]))
    _suffixes(a[:whole], out, inverses[: 2 * WIDTH])
    out[whole:] = inverses[2 * WIDTH :]
    return out
