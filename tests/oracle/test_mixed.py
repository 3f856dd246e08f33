"""All tiers, three processes, cheats and kills at once: `make bench-mixed`, in short."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from oracle.adapters.software_tpm import is_installed
from oracle.benchmarks.results import record
from oracle.toolchain import activate
from tests.oracle.mixed import PATHS, counts, interval, mixed, table, ways, wilson

ATTESTED = is_installed()
ATTESTED_WAYS = "; ".join(str(path.name) for path in PATHS if path.tier == "attested")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What fifty requests came to; without a TPM they go all ways but the attested."""
    activate()
    folder = tmp_path_factory.mktemp("mixed")
    return mixed(folder, requests=50, kill_every=10.0, seed=5, rounds=1, attested=ATTESTED)


@pytest.mark.slow
@pytest.mark.chain
def test_fifty_requests_cheats_and_kills_lose_no_honest_party_anything(
    told: dict[str, Any], tmp_path: Path
) -> None:
    assert sum(told["kills"].values()) >= 1
    numbers = counts(50, ways(ATTESTED))
    assert [row["requests"] for row in told["paths"]] == list(numbers.values())
    assert told["cheats"] == sum(numbers[path] for path in numbers if path.cheat) >= 5
    drawn, lies = told["lies_audited"]
    held = lies - drawn if drawn else 0  # of one day: by one operator
    assert told["lies_held_back"] == held
    assert len(refusals(told, "proof")) == 3
    assert len(refusals(told, "audited")) == (held > 0)
    row = {**told, "machine": "a machine", "load_average": 0.0, "commit": "none"}
    record("mixed", row, tmp_path)
    page = table(row)
    assert all(path.name in page for path in numbers)


@pytest.mark.slow
@pytest.mark.chain
@pytest.mark.skipif(not ATTESTED, reason=f"swtpm is not installed, so nobody went {ATTESTED_WAYS}")
def test_of_fifty_requests_the_attested_go_their_ways(told: dict[str, Any]) -> None:
    rows = {row["path"]: row for row in told["paths"] if row["tier"] == "attested"}
    assert set(rows) == {path.name for path in PATHS if path.tier == "attested"}
    assert all(row["requests"] >= 1 and row["caught"] == row["cheats"] for row in rows.values())
    assert len(refusals(told, "attested")) == 3


def refusals(told: dict[str, Any], tier: str) -> list[str]:
    return [name for name in told["refused"] if name.startswith(f"{tier}, ")]


@pytest.mark.parametrize("attested", [True, False])
@pytest.mark.parametrize("requests", [50, 200, 250, 1000])
def test_every_way_is_gone_and_no_request_is_lost(requests: int, attested: bool) -> None:
    gone = ways(attested)
    numbers = counts(requests, gone)
    assert sum(numbers.values()) == requests
    assert set(numbers) == set(gone)
    assert min(numbers.values()) >= 1
    cheating = sum(number for path, number in numbers.items() if path.cheat)
    assert (0.1 if attested else 0.07) <= cheating / requests <= 0.18


def test_without_a_tpm_the_attested_ways_alone_are_not_gone() -> None:
    assert {path.tier for path in set(ways(True)) - set(ways(False))} == {"attested"}
    assert ways(True) == PATHS and len({path.tier for path in ways(False)}) == 5


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
