"""Both tiers, three processes, cheats and kills at once: `make bench-mixed`, in short."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evm import Chain
from tests.oracle.mixed import PATHS, mixed


@pytest.mark.slow
@pytest.mark.chain
def test_fifty_requests_cheats_and_kills_lose_no_honest_party_anything(tmp_path: Path) -> None:
    with Chain.start() as chain:
        told = mixed(chain, tmp_path, requests=50, kill_every=5.0, seed=5, rounds=1)
    assert told["kills"] >= 1
    assert [told["paths"][path]["requests"] for path in PATHS] == [22, 20, 3, 5]
