"""Gas of the audited tier against a committed snapshot (whole transactions, no callback), as
test_optimistic_gas has it; on a development beacon: drand's rounds are in docs/assurance.md."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.bench import CLOCK, HOUR, WINDOW, WRONG, Bench
from tests.contracts.desk import FINAL, LOGITS, RETRACTED, Request
from tests.contracts.test_audits import HALF, deciding, lot
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas_audited.json"
CREATED = 1_750_000_000
DEADLINE = CREATED + 20 * 86_400


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A chain of its own: addresses and times, and so calldata and draws, are always the same."""
    with Chain.start("--timestamp", str(CREATED)) as chain:
        beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
        bench = Bench(chain, guarded=True, beacon=beacon)
        bench.beacon = beacon
        bench.stake()
        yield bench


def claim(bench: Bench, at: int, drawn: bool, output: bytes = LOGITS) -> tuple[Request, int, int]:
    """A request that is answered at a given time, and is drawn or not; gas of both."""
    for nonce in range(at, at + 100):
        request = bench.request(nonce=nonce, terms=HALF, deadline=DEADLINE)
        if (lot(bench, request, deciding(at)) < 5000) is drawn:
            break
    asked = bench.ask(request)["gasUsed"]
    bench.chain.next_timestamp(at)
    return request, asked, bench.post(request, output=output)["gasUsed"]


def measure(bench: Bench) -> dict[str, int]:
    start = CREATED + 10_000
    claims = [
        claim(bench, start, False),
        claim(bench, start + 100, False),
        claim(bench, start + 200, True),
        claim(bench, start + 300, True, WRONG),
    ]
    _, (quiet, asked, answered), (right, *_), (wrong, *_) = claims
    gas = {"request": asked, "answer": answered}
    for at, request in enumerate((quiet, right, wrong)):
        round = deciding(bench.since(request))
        bench.chain.next_timestamp(start + 2 * WINDOW + 100 * at)
        function = bench.beacon.functions.publish(round, b"")
        gas["publish, development beacon"] = bench.chain.send(function)["gasUsed"]
    bench.wait(HOUR)
    gas["finalise, not drawn"] = bench.post(quiet)["gasUsed"]
    gas["proof of what was drawn, double as verifier"] = bench.prove(right)["gasUsed"]
    bench.chain.next_timestamp(start + 2 * WINDOW + CLOCK + 1000)
    gas["failed audit"] = bench.post(wrong, output=WRONG)["gasUsed"]
    assert [bench.status(request)[0] for request in (quiet, right, wrong)] == [
        FINAL,
        FINAL,
        RETRACTED,
    ]
    gas["answer + finalise"] = gas["answer"] + gas["finalise, not drawn"]
    return gas


def test_gas_of_the_audited_tier_is_that_of_the_snapshot(bench: Bench) -> None:
    measured = measure(bench)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
    assert measured["request"] <= 70_000
    assert measured["answer"] <= 80_000
