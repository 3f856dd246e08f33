"""The CUDA tier in Numba's simulator, over the laws of the other tiers and its own edges."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from oracle.benchmarks.micro import settled
from oracle.benchmarks.run import BenchmarkFailed
from prover import curve
from prover.curve import GENERATOR
from prover.field import P
from prover.kernels import available, get
from prover.kernels.interface import Kernels
from tests.differential import test_kernels as laws
from tests.programs import mlp
from tests.proving import setup

SHARED = [
    "test_elementwise", "test_every_pair_of_edges", "test_conversions",
    "test_strided_and_read_only_vectors", "test_batch_inverse", "test_pick", "test_eq_table",
    "test_small_matvec", "test_small_matvec_of_32_bits", "test_rounds", "test_divide_power",
    "test_correlate", "test_msm", "test_msm_with_equal_and_opposite_points",
    "test_msm_of_one_scalar_and_one_point", "test_msm_small_of_one_scalar_and_one_point",
    "test_msm_that_cancels", "test_msm_picked", "test_generator_powers", "test_points_in_and_out",
    "test_misuse_is_refused_alike",
]  # fmt: skip
globals().update({name: getattr(laws, name) for name in SHARED})
random_points = laws.random_points


@pytest.fixture(scope="module")
def tier() -> Kernels:
    return get("cuda")


@pytest.mark.slow
def test_a_proof_has_the_bytes_of_the_reference() -> None:
    case = mlp([3, 2])
    made = setup(case, tier="cuda")
    proof = made.prove()
    made.verify(proof)
    assert proof == setup(case, tier="reference").prove()


def cells(tier: Kernels, n: int) -> tuple[Any, np.ndarray[Any, Any]]:
    """The vector of 0..n-1 in this tier, and in numpy."""
    plain = np.arange(n)
    return tier.from_int64(plain), plain


def test_indexing_is_numpys(tier: Kernels) -> None:
    """Slices of slices, steps in both directions, integers of either sign; views, and copies."""
    v, plain = cells(tier, 23)
    some = np.array([3, -1, 0, 3, 22, -23])
    keys: list[Any] = [slice(2, None, 3), slice(None, None, -1), slice(-4, -1), slice(5, 5), some]
    for first in keys:
        assert tier.to_ints(v[first]) == plain[first].tolist()
        assert len(v[first]) == len(plain[first])
        for second in (slice(1, None, 2), slice(None, None, -2), slice(None, 3)):
            assert tier.to_ints(v[first][second]) == plain[first][second].tolist()


def test_assignment_is_numpys(tier: Kernels) -> None:
    """Through views of views, from an overlapping part, one cell to many, and by index."""
    v, plain = cells(tier, 23)
    v[3:19:2][::-1][1:4] = tier.from_ints([100, 101, 102])
    plain[3:19:2][::-1][1:4] = [100, 101, 102]
    v[1:] = v[:-1]
    plain[1:] = plain[:-1].copy()
    v[::5] = tier.from_ints([7])
    plain[::5] = 7
    v[np.array([2, -1, 9])] = v[np.array([9, 2, 2])]
    plain[np.array([2, -1, 9])] = plain[np.array([9, 2, 2])]
    v[4:4] = tier.from_ints([8])
    assert tier.to_ints(v) == plain.tolist()
    held = v[:2].copy()
    v[:2] = tier.from_ints([1])
    assert tier.to_ints(held) == plain[:2].tolist()


def test_indices_that_do_not_fit_are_refused(tier: Kernels) -> None:
    v, _ = cells(tier, 4)
    for key in (np.array([4]), np.array([-5]), np.array([0.5]), np.zeros((1, 1), dtype=np.int64)):
        with pytest.raises(IndexError):
            v[key]
    with pytest.raises(ValueError, match="could not assign 2 cells to 3"):
        v[:3] = v[:2]
    v.setflags(write=False)
    with pytest.raises(ValueError, match="read-only"):
        v[1:][:1] = v[:1]


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64])
def test_integers_are_read_as_they_are_stored(tier: Kernels, dtype: Any) -> None:
    limits, reference = np.iinfo(dtype), get("reference")
    ints = np.resize(np.array([limits.min, limits.max, -1, 0, 1], dtype=dtype), (7, 9))
    v = [*range(P - 5, P), 0, 1, 2, P // 2]
    expected = reference.small_matvec(ints.astype(np.int64), reference.from_ints(v))
    assert tier.to_ints(tier.small_matvec(ints, tier.from_ints(v))) == list(expected)
    assert tier.to_ints(tier.from_int64(ints[0])) == [int(x) % P for x in ints[0]]
    if dtype != np.int64:  # whose least is beyond what a sum takes
        powers = tier.load_points([curve.multiply(GENERATOR, 1 << i) for i in range(9)])
        total = sum(int(x) << i for i, x in enumerate(ints[0]))
        assert tier.msm_small(powers, ints[0]) == curve.multiply(GENERATOR, total)


@pytest.mark.parametrize("n", [1, 3, 10])
def test_one_bucket_of_all_points(tier: Kernels, n: int) -> None:
    """Longer runs than a thread sums, of one point: doublings at every level."""
    point = curve.multiply(GENERATOR, 5)
    points = tier.load_points([point] * n * 4)
    ints = np.full(n * 4, 3)
    assert tier.msm_small(points, ints) == curve.multiply(point, 12 * n)
    assert tier.msm(points, tier.from_int64(-ints)) == curve.multiply(point, -12 * n)


def test_levels_beyond_those_of_a_gpu(tier: Kernels) -> None:
    """More than 32 * 32 cells, and points in one bucket: threads' results are taken up twice."""
    n, reference = 1100, get("reference")
    a, f = (list(range(first, first + n)) for first in (1, 7))
    inverses = tier.batch_inverse(tier.from_ints(a))
    assert tier.to_ints(tier.mul(inverses, tier.from_ints(a))) == [1] * n
    for k in (tier, reference):
        q, g = (k.to_ints(part) for part in k.divide_power(k.from_ints(f), 1, P - 3))
        assert g == [reference.evaluate(reference.from_ints(f), P - 3)]
        assert (q[0] * 3 + g[0]) % P == f[0]
    point = curve.multiply(GENERATOR, 5)
    points, ints = tier.load_points([point] * n), np.full(n, -1)
    assert tier.msm_small(points, ints) == curve.multiply(point, -n)


def test_windows_taken_in_groups(tier: Kernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where all digits of a large sum would not fit in memory together."""
    module = importlib.import_module("prover.kernels.cuda.msm")
    monkeypatch.setattr(module, "MOST_ENTRIES", 3 * 9)
    points, v = tier.generator_powers(3, 9), tier.from_ints([P - 1, 2**200, *range(7)])
    expected = curve.multiply(GENERATOR, tier.evaluate(v, 3))
    assert tier.msm(points, v) == expected


def test_the_tier_is_used_only_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("EINPROOF_KERNELS", raising=False)
    assert "cuda" not in available()
    assert get().name != "cuda"
    monkeypatch.setenv("EINPROOF_KERNELS", "cuda")
    assert get().name == "cuda"


def test_a_machine_without_a_device_says_so() -> None:
    """In a process whose CUDA driver cannot be found, or sees no device."""
    probe = "from prover import kernels; kernels.get('cuda')"
    hidden = {**os.environ, "NUMBA_ENABLE_CUDASIM": "0", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=hidden, check=False
    )
    assert done.returncode == 1
    assert "UnknownKernels: kernels 'cuda' need an NVIDIA GPU and its driver: " in done.stderr


def test_the_simulator_is_not_timed() -> None:
    with pytest.raises(BenchmarkFailed, match="a simulator's times say nothing of a GPU"):
        settled(get("cuda"))
