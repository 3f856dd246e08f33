"""What a proof takes in memory, alone in a process of its own."""

import json
from pathlib import Path

import pytest

from oracle.benchmarks.proving import rss_bound_mb
from oracle.benchmarks.run import child
from prover.model import Model


@pytest.mark.slow
def test_the_peak_is_within_the_bound(tmp_path: Path) -> None:
    """Five million weights: as vectors of field elements they would be 320 MB, twice."""
    child("oracle.benchmarks.models", "mlp-2048-2048-512-10", "1", str(tmp_path))
    row = json.loads(child("oracle.benchmarks.proving", str(tmp_path), "1").splitlines()[-1])
    layout, k = Model.load(tmp_path / "model").layout, row["k"]
    v = layout.verifier
    fresh = v.stage1_tiles + v.stage2_tiles + v.input_tiles + v.output_tiles + 3
    stored = (tmp_path / "model" / "weights.safetensors").stat().st_size
    assert row["rss_bound_mb"] == rss_bound_mb(stored, fresh << k, 64 * (2**k + 1))
    assert row["peak_rss_mb"] <= row["rss_bound_mb"]


def test_the_bound_counts_each_part_three_times() -> None:
    assert rss_bound_mb(0, 0, 0) == pytest.approx(476.8, abs=0.1)
    assert rss_bound_mb(2**20, 0, 0) - rss_bound_mb(0, 0, 0) == pytest.approx(3)
    assert rss_bound_mb(0, 2**15, 0) - rss_bound_mb(0, 0, 0) == pytest.approx(3)
    assert rss_bound_mb(0, 0, 2**20) - rss_bound_mb(0, 0, 0) == pytest.approx(3)
