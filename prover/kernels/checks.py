"""The argument checks that every tier makes, so that a misuse fails the same way in each."""

from collections.abc import Sequence

import numpy as np

from prover.kernels.interface import ElementOverflow, Int64s, LengthMismatch, Points, Rows, Vec

SMALL_LIMIT = 1 << 62


def same_length(*vectors: Vec) -> int:
    """The common length; raises LengthMismatch."""
    lengths = [len(vector) for vector in vectors]
    if len(set(lengths)) != 1:
        raise LengthMismatch(f"expected vectors of one length, got {lengths}")
    return lengths[0]


def half_length(*vectors: Vec) -> int:
    """Half the common length; raises LengthMismatch where they differ or it is odd or zero."""
    length = same_length(*vectors)
    if length == 0 or length % 2:
        raise LengthMismatch(f"expected an even length above zero, got {length}")
    return length // 2


def slice_count(slices: Sequence[Vec]) -> int:
    """K of a lookup round; raises LengthMismatch outside 1..8."""
    if not 1 <= len(slices) <= 8:
        raise LengthMismatch(f"expected 1 to 8 slices, got {len(slices)}")
    return len(slices)


def factor_count(factors: Sequence[Vec]) -> int:
    """The number of factors of a product round; raises LengthMismatch unless 2 or 3."""
    if not 2 <= len(factors) <= 3:
        raise LengthMismatch(f"expected 2 or 3 factors, got {len(factors)}")
    return len(factors)


def matrix_fits(ints: Int64s, v: Vec) -> None:
    """Raises LengthMismatch unless ints is a matrix with len(v) columns."""
    if ints.ndim != 2 or ints.shape[1] != len(v):
        raise LengthMismatch(f"expected a matrix of {len(v)} columns, got shape {ints.shape}")


def rows_fit(values: Vec, rows: Rows) -> None:
    """Raises LengthMismatch unless rows are some vectors of places in values."""
    if rows.ndim != 2 or not len(rows):
        raise LengthMismatch(f"expected rows of one cell or more, got shape {rows.shape}")
    if rows.size and not 0 <= rows.min() <= rows.max() < len(values):
        got = f"{rows.min()}..{rows.max()}"
        raise LengthMismatch(f"expected rows of {len(values)} values, got {got}")


def divisor_degree(b: int) -> None:
    """Raises LengthMismatch unless X^b - alpha has a positive degree."""
    if b < 1:
        raise LengthMismatch(f"expected a divisor of degree 1 or more, got {b}")


def enough_points(points: Points, scalars: Vec) -> None:
    """Raises LengthMismatch where scalars outnumber points."""
    if len(points) < len(scalars):
        raise LengthMismatch(f"expected at least {len(scalars)} points, got {len(points)}")


def small_enough(ints: Int64s) -> None:
    """Raises ElementOverflow where an integer exceeds 62 bits."""
    if (
        len(ints)
        and ints.dtype.itemsize == 8
        and max(int(np.max(ints)), -int(np.min(ints))) > SMALL_LIMIT
    ):
        raise ElementOverflow(f"expected integers up to 2^62, got {np.min(ints)}..{np.max(ints)}")
