"""Gas of the bisection tier's moves against a committed snapshot (whole transactions).

64 segments, split at once: the largest split of one move. With EINPROOF_UPDATE_SNAPSHOTS=1 the
snapshot is written anew: look at the difference, commit it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from oracle.domain.bisection import Span
from tests.contracts.bench import CLOCK, WINDOW
from tests.contracts.court import Court, lie, run_of
from tests.contracts.test_bisection_halt import refuting
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas_bisection.json"
CREATED = 1_750_000_000
SEGMENTS = 64
WHOLE, LAST = Span(0, SEGMENTS), Span(SEGMENTS - 1, SEGMENTS)


@pytest.fixture
def court() -> Iterator[Court]:
    """A chain of its own: addresses and times, and so calldata, are the same in every run."""
    with Chain.start("--timestamp", str(CREATED)) as chain:
        court = Court(chain, SEGMENTS, SEGMENTS, guarded=True)
        court.furnish()
        yield court


def measure(court: Court) -> dict[str, int]:
    gas = {}
    deadline = CREATED + 20 * 86_400
    truth = run_of(SEGMENTS)
    false = lie(truth, [SEGMENTS])
    requests = []
    for nonce, run in enumerate((truth, truth, truth, false)):
        request = court.request(nonce=nonce, deadline=deadline, input=run[0])
        gas["request"] = court.ask(request, run[0])["gasUsed"]
        gas["answer"] = court.post(request, image=run[0], output=run[-1])["gasUsed"]
        requests.append(request)
    _, silent, upheld, lapsed = requests
    court.stake()  # more: six claims at once
    gas |= halted(court, truth, deadline)
    left = court.stood(truth, nonce=6, deadline=deadline)
    for request, run in ((upheld, truth), (lapsed, false)):
        gas["demand of the whole"] = court.demand(request, run, WHOLE)["gasUsed"]
        gas["publication of 65 states"] = court.publish(request, run, WHOLE)["gasUsed"]
        gas["demand of a segment"] = court.demand(request, run, LAST)["gasUsed"]
    proved = court.prove_segment(upheld, truth, SEGMENTS - 1)
    gas["proof of a segment, double as verifier"] = proved["gasUsed"]
    court.wait(max(WINDOW, CLOCK) + 1)
    gas["finalise, undisputed"] = court.hand_in(silent, truth)["gasUsed"]
    gas["finalise, upheld"] = court.hand_in(upheld, truth)["gasUsed"]
    gas["answer + finalise"] = gas["answer"] + gas["finalise, undisputed"]
    gas["lapse"] = court.hand_in(lapsed, false, LAST)["gasUsed"]
    gas["collect"] = court.collect(lapsed, LAST)["gasUsed"]
    court.wait(28 * 86_400)
    court.chain.send(court.oracle.functions.refund(left.fields))
    gas["close"] = court.tell("close", *court.naming(left, truth), 0, 0)["gasUsed"]
    return gas


def halted(court: Court, run: list[bytes], deadline: int) -> dict[str, int]:
    """Of a false word that there is no answer: itself, and its refutation by a segment's proof."""
    request = court.request(nonce=5, deadline=deadline, input=run[0])
    court.ask(request, run[0])
    word = court.chain.send(court.halting(request, run, SEGMENTS - 1), sender=court.operator)
    proof = refuting(court, request, run, SEGMENTS - 1)
    proved = court.chain.send(proof, sender=court.challenger)
    return {
        "answer, no answer": word["gasUsed"],
        "refute, double as verifier": proved["gasUsed"],
    }


def test_gas_of_the_bisection_tier_is_that_of_the_snapshot(court: Court) -> None:
    measured = measure(court)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
    assert measured["request"] <= 70_000
    assert measured["answer"] <= 80_000
    assert measured["answer + finalise"] <= 130_000
