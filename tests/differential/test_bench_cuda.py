"""The one command for a machine with a GPU, in Numba's simulator: it agrees, and it would tell."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from prover import kernels
from scripts import bench_cuda


def test_every_function_is_compared() -> None:
    agreed = " ".join(bench_cuda.compare(5))
    computing = set(kernels.get("reference").__all__) - {  # type: ignore[attr-defined]
        "name", "run_all", "warmup", "zeros", "concat", "from_ints", "from_int64", "to_ints",
        "add_scaled", "load_points", "points_from_bytes", "points_to_bytes", "points_to_ints",
    }  # fmt: skip
    assert [name for name in computing if name not in agreed] == []


def test_a_difference_ends_it_with_its_name_and_keeps_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tier, out = kernels.get("cuda"), tmp_path / "cuda.json"
    monkeypatch.setattr(tier, "fold", lambda v, r: tier.scale(v[: len(v) // 2], r))
    monkeypatch.setattr(sys, "argv", ["bench_cuda", "--check", "5", "--out", str(out)])
    with pytest.raises(SystemExit, match="fold at 2\\^5: the CUDA tier differs from the scalar"):
        bench_cuda.main()
    assert json.loads(out.read_text())["device"] == "Numba's simulator"
