"""Elements in Numba's simulator: Python integers, with the contracts of `inline`'s PTX.

An element is in Montgomery form: x stands for x 2^-256 modulo the field's order.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from prover.field import P, Q

RADIX = 2**256


def _field(modulus: int) -> tuple[Callable[[int, int], int], ...]:
    """add, sub and mul; mul takes any second factor below 2^256."""
    inverse = pow(RADIX, -1, modulus)
    return (
        lambda x, y: (x + y) % modulus,
        lambda x, y: (x - y) % modulus,
        lambda x, y: x * y * inverse % modulus,
    )


add_fr, sub_fr, mul_fr = _field(P)
add_fq, sub_fq, mul_fq = _field(Q)


def constant(value: int) -> Callable[[], int]:
    """A function of no arguments that is this element."""
    return lambda: value


wide_constant = constant


def less(x: int, y: int) -> bool:
    """x < y, as integers."""
    return x < y


def equal(x: int, y: int) -> bool:
    """x == y."""
    return x == y


def widen(x: Any) -> int:
    """A uint64 as an element."""
    return int(x)


def load(array: Any, index: int) -> int:
    """The index-th run of four words of a flat uint64 array."""
    return int.from_bytes(array[4 * index : 4 * index + 4].tobytes(), "little")


def store(array: Any, index: int, value: int) -> None:
    """Writes what `load` reads."""
    array[4 * index : 4 * index + 4] = np.frombuffer(value.to_bytes(32, "little"), np.uint64)


def add_word_product(total: int, word: Any, x: int) -> int:
    """total + word x, as integers below 2^320; word is a uint32."""
    return total + int(word) * x


def low_part(x: int) -> int:
    """x mod 2^256."""
    return x % RADIX


def high_part(x: int) -> int:
    """x / 2^256, rounded down."""
    return x // RADIX
