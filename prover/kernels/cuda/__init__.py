"""The CUDA tier: vectors stay on the GPU, kernels by numba-cuda, field arithmetic in generated PTX.

It has only been run in Numba's simulator so far; docs/kernels.md says how it is to be tried.
"""

import sys
from collections.abc import Iterator
from typing import cast

from numba import cuda

from prover.kernels import warmup as warming
from prover.kernels.cuda.field import (
    add,
    add_scaled,
    batch_inverse,
    concat,
    from_int64,
    from_ints,
    inner,
    mul,
    outer,
    pick,
    scale,
    sub,
    to_ints,
    total,
    zeros,
)
from prover.kernels.cuda.msm import msm, msm_picked, msm_small
from prover.kernels.cuda.multilinear import (
    eq_table,
    fold,
    powers,
    round_lookup,
    round_product,
    round_table,
    small_matvec,
)
from prover.kernels.cuda.points import (
    generator_powers,
    load_points,
    points_from_bytes,
    points_to_bytes,
    points_to_ints,
)
from prover.kernels.cuda.univariate import correlate, divide_power, evaluate
from prover.kernels.interface import Kernels, Progress, UnknownKernels
from prover.kernels.reference import run_all

name = "cuda"

if not cuda.is_available():
    reason = " ".join(str(cuda.cuda_error() or "no device is visible").split())
    raise UnknownKernels(f"kernels 'cuda' need an NVIDIA GPU and its driver: {reason}")


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
