"""The CUDA tier in Numba's simulator, over the laws of the other tiers and its own edges."""

from __future__ import annotations

import pytest

from prover.kernels import get
from prover.kernels.interface import Kernels
from tests.differential import test_kernels as laws

SHARED = [
    "test_elementwise", "test_every_pair_of_edges", "test_conversions",
    "test_strided_and_read_only_vectors", "test_batch_inverse", "test_eq_table",
    "test_small_matvec", "test_small_matvec_of_32_bits", "test_rounds", "test_divide_power",
    "test_correlate", "test_msm", "test_msm_with_equal_and_opposite_points",
    "test_msm_of_one_scalar_and_one_point", "test_msm_small_of_one_scalar_and_one_point",
    "test_msm_that_cancels", "test_generator_powers", "test_points_in_and_out",
    "test_misuse_is_refused_alike",
]  # fmt: skip
globals().update({name: getattr(laws, name) for name in SHARED})
random_points = laws.random_points


@pytest.fixture(scope="module")
def tier() -> Kernels:
    return get("cuda")
