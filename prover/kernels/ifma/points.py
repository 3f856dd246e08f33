"""Points of G1, read and made eight at a time."""

from typing import Any

import numpy as np

from prover.curve import B
from prover.field import Q
from prover.kernels.cpu.kernel import aligned
from prover.kernels.cpu.points import READ, enter_points, fixed_base, read_points
from prover.kernels.ifma.field import canonical
from prover.kernels.ifma.msm import sum_segments
from prover.kernels.ifma.multilinear import powers
from prover.kernels.ifma.shape import WIDTH
from prover.kernels.interface import Points, Vec
from prover.kernels.native import COMPILING, entry

if COMPILING:
    from prover.kernels.ifma.cells import store_fq
    from prover.kernels.ifma.gather import load_x, load_y, store_xy
    from prover.kernels.ifma.lanes import add_fq, constant, mul_2_fq, mul_fq, sub_fq

    square_fq, b_fq = constant(2**512 % Q), constant(B * 2**256 % Q)

TOP = np.uint64(Q >> 192)
REFERENCES = np.arange(0, 2 * READ, 2, dtype=np.int32)
PLACES = np.arange(READ, dtype=np.int32)


@entry
def _enter_eights(canonical: Any, references: Any, places: Any, out: Any, residue: Any) -> None:
    # residue: y^2 - x^3 - b, for coordinates below Q
    for i in range(0, out.shape[0], WIDTH):
        x, y = load_x(canonical, references, i), load_y(canonical, references, i)
        x, y = mul_2_fq(square_fq(), x, square_fq(), y)
        store_xy(out, places, i, x, y)
        square, left = mul_2_fq(x, x, y, y)
        store_fq(residue, i, sub_fq(left, add_fq(mul_fq(square, x), b_fq())))


def _enter(canonical: Vec, out: Points) -> int:
    """As the scalar tier's, which takes what is not all finite and on the curve: it says what."""
    count = len(out)
    if count % WIDTH == 0 and bool((canonical[:, 3] < TOP).all()):
        residue = aligned(count, 4)
        _enter_eights(canonical.reshape(-1, 8), REFERENCES, PLACES, out, residue)
        if not residue.any():
            return -1
    return int(enter_points(canonical, out))


def points_from_bytes(data: bytes | memoryview) -> Points:
    return read_points(_enter, data)


def generator_powers(s: int, n: int) -> Points:
    return fixed_base(sum_segments, canonical(powers(s, n)))
