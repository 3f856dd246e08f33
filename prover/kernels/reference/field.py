"""Vectors over Fr: object arrays of canonical Python integers."""

from collections.abc import Sequence

import numpy as np

from prover import field
from prover.field import P
from prover.kernels import checks
from prover.kernels.interface import Int64s, Rows, Vec


def zeros(n: int) -> Vec:
    return from_ints([0] * n)


def from_ints(values: Sequence[int]) -> Vec:
    vector = np.empty(len(values), dtype=object)
    vector[:] = [int(value) % P for value in values]
    return vector


def from_int64(values: Int64s) -> Vec:
    return from_ints(values.tolist())


def to_ints(a: Vec) -> list[int]:
    return list(a)


def concat(parts: Sequence[Vec]) -> Vec:
    return from_ints([value for part in parts for value in part])


def add(a: Vec, b: Vec) -> Vec:
    checks.same_length(a, b)
    return (a + b) % P


def sub(a: Vec, b: Vec) -> Vec:
    checks.same_length(a, b)
    return (a - b) % P


def mul(a: Vec, b: Vec) -> Vec:
    checks.same_length(a, b)
    return a * b % P


def scale(a: Vec, c: int) -> Vec:
    return a * c % P


def add_scaled(acc: Vec, c: int, a: Vec) -> None:
    checks.same_length(acc, a)
    acc[:] = (acc + c * a) % P


def outer(a: Vec, b: Vec) -> Vec:
    return from_ints([x * y for x in a for y in b])


def total(a: Vec) -> int:
    return sum(a) % P


def inner(a: Vec, b: Vec) -> int:
    checks.same_length(a, b)
    return sum(a * b) % P


def batch_inverse(a: Vec) -> Vec:
    return from_ints(field.batch_inverse(a.tolist()))


def pick(values: Vec, rows: Rows) -> Vec:
    checks.rows_fit(values, rows)
    found: Vec = values[rows].sum(axis=0) % P
    return found
