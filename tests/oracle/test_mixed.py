"""All tiers, three processes, cheats and kills at once: `make bench-mixed`, in short."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from oracle.adapters.software_tpm import is_installed
from oracle.benchmarks.results import record
from oracle.toolchain import activate
from tests.oracle.mixed import PATHS, counts, interval, mixed, table, wilson


@pytest.mark.slow
@pytest.mark.chain
@pytest.mark.skipif(not is_installed(), reason="swtpm, a software TPM, is not installed")
def test_fifty_requests_cheats_and_kills_lose_no_honest_party_anything(tmp_path: Path) -> None:
    activate()
    told = mixed(tmp_path, requests=50, kill_every=10.0, seed=5, rounds=1)
    assert sum(told["kills"].values()) >= 1
    numbers = counts(50)
    assert [row["requests"] for row in told["paths"]] == [numbers[path] for path in PATHS]
    assert told["cheats"] == sum(numbers[path] for path in PATHS if path.cheat) >= 5
    drawn, lies = told["lies_audited"]
    held = lies - drawn if drawn else 0  # of one day: by one operator
    assert told["lies_held_back"] == held
    assert len(told["refused"]) == 6 + (held > 0)
    told |= {"machine": "a machine", "load_average": 0.0, "commit": "none"}
    record("mixed", told, tmp_path)
    page = table(told)
    assert all(path.name in page for path in PATHS)


@pytest.mark.parametrize("requests", [50, 200, 250, 1000])
def test_every_way_is_gone_and_no_request_is_lost(requests: int) -> None:
    numbers = counts(requests)
    assert sum(numbers.values()) == requests
    assert set(numbers) == set(PATHS)
    assert min(numbers.values()) >= 1
    cheating = sum(number for path, number in numbers.items() if path.cheat)
    assert 0.1 <= cheating / requests <= 0.18


def test_a_mean_of_days_has_an_interval_and_one_day_has_none() -> None:
    """Of 1, 2, 3: 2 +- 4.30 / sqrt(3), of which nothing is below 0."""
    low, high = interval([1.0, 2.0, 3.0])
    assert (low, round(high, 3)) == (0.0, 4.483)
    assert interval([1.0]) == []


def test_fewer_requests_than_ways_are_refused() -> None:
    with pytest.raises(ValueError, match="expected enough requests"):
        counts(20)


def test_a_share_of_none_or_all_has_an_interval() -> None:
    """Wilson's at z = 1.96: 0 of 10 is below 0.2775, 5 of 10 within 0.2366 and 0.7634."""
    assert math.isclose(wilson(0, 10)[1], 0.2775, abs_tol=1e-4)
    assert math.isclose(wilson(0, 10)[0], 0.0, abs_tol=1e-12)
    low, high = wilson(5, 10)
    assert math.isclose(low, 0.2366, abs_tol=1e-4) and math.isclose(high, 0.7634, abs_tol=1e-4)
