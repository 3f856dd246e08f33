"""Vectors over Fr: uint64 arrays of shape (n, 4), Montgomery form."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from prover.errors import ZeroInverse
from prover.field import P
from prover.kernels import checks
from prover.kernels.cpu.kernel import aligned, cell, integers, plain, scalars
from prover.kernels.interface import Int64s, Vec
from prover.kernels.native import COMPILING, entry
from prover.kernels.native import inner as helper

if COMPILING:
    from prover.kernels.cpu.limbs import (
        add_fr,
        equal,
        load,
        mul_fr,
        one,
        one_fr,
        square_fr,
        store,
        sub_fr,
        widen,
        zero,
    )

EXPONENT = P - 2


def empty(n: int) -> Vec:
    """A vector of n cells not yet written."""
    return aligned(n, 4)


def zeros(n: int) -> Vec:
    out = empty(n)
    out.fill(0)
    return out


@entry
def _enter(canonical: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        store(out, i, mul_fr(square_fr(), load(canonical, i)))


def from_ints(values: Sequence[int]) -> Vec:
    data = bytearray(b"".join((int(value) % P).to_bytes(32, "little") for value in values))
    out = empty(len(values))
    if len(values):
        _enter(np.frombuffer(data, dtype=np.uint64).reshape(-1, 4), out)
    return out


@entry
def _from_int64(values: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        value = np.int64(values[i])
        if value < 0:  # the wrap of -2^63 to uint64 is its magnitude
            store(out, i, sub_fr(zero(), mul_fr(square_fr(), widen(np.uint64(-value)))))
        else:
            store(out, i, mul_fr(square_fr(), widen(np.uint64(value))))


def from_int64(values: Int64s) -> Vec:
    out = empty(len(values))
    _from_int64(plain(values), out)
    return out


@entry
def _leave(a: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        store(out, i, mul_fr(load(a, i), one()))


def canonical(a: Vec) -> Vec:
    """The cells as integers of four words, out of Montgomery form."""
    out = empty(len(a))
    _leave(plain(a), out)
    return out


def to_ints(a: Vec) -> list[int]:
    return integers(canonical(a))


def concat(parts: Sequence[Vec]) -> Vec:
    out = empty(sum(map(len, parts)))
    return np.concatenate(parts, out=out) if len(parts) else out


@entry
def _add(a: Any, b: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        store(out, i, add_fr(load(a, i), load(b, i)))


def add(a: Vec, b: Vec) -> Vec:
    out = empty(checks.same_length(a, b))
    _add(plain(a), plain(b), out)
    return out


@entry
def _sub(a: Any, b: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        store(out, i, sub_fr(load(a, i), load(b, i)))


def sub(a: Vec, b: Vec) -> Vec:
    out = empty(checks.same_length(a, b))
    _sub(plain(a), plain(b), out)
    return out


@entry
def _mul(a: Any, b: Any, out: Any) -> None:
    for i in range(out.shape[0]):
        store(out, i, mul_fr(load(a, i), load(b, i)))


def mul(a: Vec, b: Vec) -> Vec:
    out = empty(checks.same_length(a, b))
    _mul(plain(a), plain(b), out)
    return out


@entry
def _scale(a: Any, c: Any, out: Any) -> None:
    factor = load(c, 0)
    for i in range(out.shape[0]):
        store(out, i, mul_fr(factor, load(a, i)))


def scale(a: Vec, c: int) -> Vec:
    out = empty(len(a))
    _scale(plain(a), cell(c), out)
    return out


@entry
def _add_scaled(acc: Any, c: Any, a: Any) -> None:
    factor = load(c, 0)
    for i in range(acc.shape[0]):
        store(acc, i, add_fr(load(acc, i), mul_fr(factor, load(a, i))))


def add_scaled(acc: Vec, c: int, a: Vec) -> None:
    checks.same_length(acc, a)
    target = plain(acc)
    _add_scaled(target, cell(c), plain(a))
    if target is not acc:
        acc[...] = target


@entry
def _outer(a: Any, b: Any, out: Any) -> None:
    width = b.shape[0]
    for i in range(a.shape[0]):
        factor = load(a, i)
        for j in range(width):
            store(out, i * width + j, mul_fr(factor, load(b, j)))


def outer(a: Vec, b: Vec) -> Vec:
    out = empty(len(a) * len(b))
    _outer(plain(a), plain(b), out)
    return out


@entry
def _total(a: Any, out: Any) -> None:
    acc = zero()
    for i in range(a.shape[0]):
        acc = add_fr(acc, load(a, i))
    store(out, 0, acc)


def total(a: Vec) -> int:
    out = empty(1)
    _total(plain(a), out)
    return scalars(out)[0]


@entry
def _inner(a: Any, b: Any, out: Any) -> None:
    acc = zero()
    for i in range(a.shape[0]):
        acc = add_fr(acc, mul_fr(load(a, i), load(b, i)))
    store(out, 0, acc)


def inner(a: Vec, b: Vec) -> int:
    checks.same_length(a, b)
    out = empty(1)
    _inner(plain(a), plain(b), out)
    return scalars(out)[0]


@helper
def inverse_fr(x: Any) -> Any:
    """x^(P-2): 1/x, or zero for zero (Fermat)."""
    power = x
    for i in range(252, -1, -1):
        power = mul_fr(power, power)
        if EXPONENT_WORDS[i >> 6] >> np.uint64(i & 63) & np.uint64(1):
            power = mul_fr(power, x)
    return power


EXPONENT_WORDS = tuple(np.uint64(EXPONENT >> 64 * j & 2**64 - 1) for j in range(4))


@entry
def _batch_inverse(a: Any, out: Any) -> bool:
    acc = one_fr()
    for i in range(a.shape[0]):
        store(out, i, acc)
        acc = mul_fr(acc, load(a, i))
    if equal(acc, zero()):
        return False
    acc = inverse_fr(acc)
    for i in range(a.shape[0] - 1, -1, -1):
        store(out, i, mul_fr(acc, load(out, i)))
        acc = mul_fr(acc, load(a, i))
    return True


def batch_inverse(a: Vec) -> Vec:
    out = empty(len(a))
    if not _batch_inverse(plain(a), out):
        raise ZeroInverse("expected invertible field elements, got a 0 among them")
    return out
