"""Vectors over Fr: cells of four 64-bit words on the device, Montgomery form."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import cuda

from prover import field
from prover.field import P
from prover.kernels import checks
from prover.kernels.cuda.cells import empty, from_host, join
from prover.kernels.cuda.kernel import (
    CHUNK,
    LANES,
    RADIX_INVERSE,
    cell,
    device,
    integers,
    kernel,
    launch,
    on_device,
)
from prover.kernels.cuda.limbs import (
    add_fr,
    load,
    mul_fr,
    one,
    one_fr,
    square_fr,
    store,
    sub_fr,
    top_bit_fr,
    widen,
    zero,
)
from prover.kernels.interface import Int64s, Rows, Vec

TOP_BIT = np.uint64(1 << 63)


def zeros(n: int) -> Vec:
    out = empty(n)
    out[:] = from_ints([0])
    return out


@kernel
def _enter(canonical: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fr(square_fr(), load(canonical, i)))


def from_ints(values: Sequence[int]) -> Vec:
    data = b"".join((int(value) % P).to_bytes(32, "little") for value in values)
    out = from_host(np.frombuffer(bytearray(data), dtype=np.uint64))
    launch(_enter, len(out), out.words, out.words)
    return out


@kernel
def _from_int64(values: Any, out: Any, n: Any) -> None:
    # x + 2^63 has no sign, and is the word of x with its top bit flipped
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        word = np.uint64(np.int64(values[i])) ^ TOP_BIT
        store(out, i, sub_fr(mul_fr(square_fr(), widen(word)), top_bit_fr()))


def from_int64(values: Int64s) -> Vec:
    out = empty(len(values))
    launch(_from_int64, len(out), on_device(values), out.words)
    return out


@kernel
def _leave(a: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fr(load(a, i), one()))


def canonical(a: Any) -> Any:
    """a's cells as canonical integers, out of Montgomery form, on the device."""
    out = empty(len(a))
    launch(_leave, len(a), a.flat(), out.words)
    return out


def to_ints(a: Any) -> list[int]:
    return integers(canonical(a).words)


def concat(parts: Sequence[Vec]) -> Vec:
    return join(list(parts))


@kernel
def _add(a: Any, b: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, add_fr(load(a, i), load(b, i)))


@kernel
def _sub(a: Any, b: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, sub_fr(load(a, i), load(b, i)))


@kernel
def _mul(a: Any, b: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fr(load(a, i), load(b, i)))


def _cell_by_cell(function: Any, a: Any, b: Any) -> Any:
    out = empty(checks.same_length(a, b))
    launch(function, len(out), a.flat(), b.flat(), out.words)
    return out


def add(a: Vec, b: Vec) -> Vec:
    return _cell_by_cell(_add, a, b)


def sub(a: Vec, b: Vec) -> Vec:
    return _cell_by_cell(_sub, a, b)


def mul(a: Vec, b: Vec) -> Vec:
    return _cell_by_cell(_mul, a, b)


@kernel
def _scale(a: Any, c: Any, out: Any, n: Any) -> None:
    factor = load(c, 0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fr(factor, load(a, i)))


def scale(a: Any, c: int) -> Vec:
    out = empty(len(a))
    launch(_scale, len(a), a.flat(), cell(c), out.words)
    return out


@kernel
def _add_scaled(acc: Any, c: Any, a: Any, out: Any, n: Any) -> None:
    factor = load(c, 0)
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, add_fr(load(acc, i), mul_fr(factor, load(a, i))))


def add_scaled(acc: Any, c: int, a: Any) -> None:
    checks.same_length(acc, a)
    out = empty(len(acc))
    launch(_add_scaled, len(acc), acc.flat(), cell(c), a.flat(), out.words)
    acc[:] = out


@kernel
def _outer(a: Any, b: Any, width: Any, out: Any, n: Any) -> None:
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        store(out, i, mul_fr(load(a, i // width), load(b, i % width)))


def outer(a: Any, b: Any) -> Vec:
    out = empty(len(a) * len(b))
    launch(_outer, len(out), a.flat(), b.flat(), len(b), out.words)
    return out


@kernel
def _sum_rows(values: Any, width: Any, lanes: Any, out: Any, n: Any) -> None:
    """out[row, lane] = the sum of values[row, lane + k lanes], rows `width` long."""
    for i in range(cuda.grid(1), n, cuda.gridsize(1)):
        row, acc = i // lanes, zero()
        for j in range(i % lanes, width, lanes):
            acc = add_fr(acc, load(values, row * width + j))
        store(out, i, acc)


def sum_rows(values: Any, rows: int, lanes: int = 1) -> Any:
    """A vector of the sums of `rows` runs of values (flat words), each cut into `lanes` sums."""
    width = values.size // (4 * rows) if rows else 0
    while width > lanes:
        few = max(lanes, width // CHUNK)
        out = empty(rows * few)
        launch(_sum_rows, rows * few, values, width, few, out.words)
        values, width = out.words, few
    return values


def row_sums(values: Any, rows: int) -> list[int]:
    """The sums of `rows` runs of values (flat words), as canonical integers."""
    lanes = CHUNK
    cut = integers(sum_rows(values, rows, lanes)) if values.size else []
    width = len(cut) // rows
    sums = [sum(cut[row * width : (row + 1) * width]) for row in range(rows)]
    return [value * RADIX_INVERSE % P for value in sums]


def total(a: Any) -> int:
    return row_sums(a.flat(), 1)[0]


@kernel
def _inner(a: Any, b: Any, length: Any, out: Any, lanes: Any) -> None:
    for lane in range(cuda.grid(1), lanes, cuda.gridsize(1)):
        acc = zero()
        for i in range(lane, length, lanes):
            acc = add_fr(acc, mul_fr(load(a, i), load(b, i)))
        store(out, lane, acc)


def inner(a: Any, b: Any) -> int:
    length = checks.same_length(a, b)
    out = empty(min(length, LANES))
    launch(_inner, len(out), a.flat(), b.flat(), length, out.words)
    return row_sums(out.words, 1)[0]


@device
def power(squares: Any, exponent: Any) -> Any:
    """base^exponent from base^(2^j) at squares[j]; exponent below 2^32."""
    value, j = one_fr(), 0
    while exponent >> j:
        if exponent >> j & 1:
            value = mul_fr(value, load(squares, j))
        j += 1
    return value


# Montgomery's trick in levels: the products of chunks are inverted like the cells themselves, until
# few are left. Thread t has the cells t, t + lanes, t + 2 lanes, ...


@kernel
def _chunk_products(a: Any, length: Any, before: Any, products: Any, lanes: Any) -> None:
    """before[i] = the product of what its chunk has before i."""
    for lane in range(cuda.grid(1), lanes, cuda.gridsize(1)):
        acc = one_fr()
        for i in range(lane, length, lanes):
            store(before, i, acc)
            acc = mul_fr(acc, load(a, i))
        store(products, lane, acc)


@kernel
def _chunk_inverses(a: Any, length: Any, before: Any, inverses: Any, lanes: Any) -> None:
    """before[i] = 1/a[i], from the inverses of the chunks' products."""
    for lane in range(cuda.grid(1), lanes, cuda.gridsize(1)):
        acc = load(inverses, lane)
        for i in range(lane + (length - 1 - lane) // lanes * lanes, -1, -lanes):
            store(before, i, mul_fr(acc, load(before, i)))
            acc = mul_fr(acc, load(a, i))


def batch_inverse(a: Any) -> Vec:
    if len(a) <= CHUNK:  # raises ZeroInverse: a product is zero if a cell is
        return from_ints(field.batch_inverse(to_ints(a)))
    cells, lanes = a.flat(), -(-len(a) // CHUNK)
    out, products = empty(len(a)), empty(lanes)
    launch(_chunk_products, lanes, cells, len(a), out.words, products.words)
    inverses: Any = batch_inverse(products)
    launch(_chunk_inverses, lanes, cells, len(a), out.words, inverses.words)
    return out


def pick(values: Any, rows: Rows) -> Any:
    checks.rows_fit(values, rows)
    return functools.reduce(add, [values[row] for row in rows])
