"""The IFMA tier: the scalar tier's cells and points, eight at a time, by AVX512-IFMA.

What is not here for speed is the scalar tier's, as are vectors too short for a block of eight.
"""

import sys
from collections.abc import Iterator
from typing import cast

from prover.curve import Point
from prover.kernels import warmup as warming
from prover.kernels.cpu import (
    concat,
    from_ints,
    load_points,
    points_to_bytes,
    points_to_ints,
    zeros,
)
from prover.kernels.cpu.kernel import run_all
from prover.kernels.ifma.field import (
    add,
    add_scaled,
    batch_inverse,
    from_int64,
    inner,
    mul,
    outer,
    scale,
    sub,
    to_ints,
    total,
)
from prover.kernels.ifma.msm import msm, msm_small, sum_segments
from prover.kernels.ifma.multilinear import (
    eq_table,
    fold,
    powers,
    round_lookup,
    round_product,
    round_table,
    small_matvec,
)
from prover.kernels.ifma.points import generator_powers, points_from_bytes
from prover.kernels.ifma.univariate import correlate, divide_power, evaluate
from prover.kernels.interface import Kernels, Points, Progress, Rows, Vec
from prover.kernels.picked import add_picked, sum_picked

name = "ifma"


def pick(values: Vec, rows: Rows) -> Vec:
    return add_picked(add, values, rows)


def msm_picked(points: Points, values: Vec, rows: Rows) -> Point:
    return sum_picked(sum_segments, msm, pick, points, values, rows)


def warmup() -> Iterator[Progress]:
    """Calls every kernel once, which compiles it or loads it from the cache."""
    return warming.steps(cast(Kernels, sys.modules[__name__]))


__all__ = [
    "add",
    "add_scaled",
    "batch_inverse",
    "concat",
    "correlate",
    "divide_power",
    "eq_table",
    "evaluate",
    "fold",
    "from_int64",
    "from_ints",
    "generator_powers",
    "inner",
    "load_points",
    "msm",
    "msm_picked",
    "msm_small",
    "mul",
    "name",
    "outer",
    "pick",
    "points_from_bytes",
    "points_to_bytes",
    "points_to_ints",
    "powers",
    "round_lookup",
    "round_product",
    "round_table",
    "run_all",
    "scale",
    "small_matvec",
    "sub",
    "to_ints",
    "total",
    "warmup",
    "zeros",
]
