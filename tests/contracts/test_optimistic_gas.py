"""Gas of the optimistic tier against a committed snapshot (whole transactions, no callback).

With EINPROOF_UPDATE_SNAPSHOTS=1 the snapshot is written anew: look at the difference, commit it.
The steady state: accounts exist, and the operator has staked and has answered before.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.bench import ETHER, WINDOW, WRONG, Bench
from tests.contracts.desk import HARNESS, LOGITS, Request
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas_optimistic.json"
CREATED = 1_750_000_000
TENTH = "finalise, one of ten in a transaction"


@pytest.fixture
def bench() -> Iterator[Bench]:
    """A chain of its own: addresses and times, and so calldata, are the same in every run."""
    with Chain.start("--timestamp", str(CREATED)) as chain:
        bench = Bench(chain, guarded=True)
        bench.stake()
        yield bench


def measure(bench: Bench) -> dict[str, int]:
    gas = {}
    deadline = CREATED + 20 * 86_400
    posted: list[Request] = []
    bench.stake()  # more: five claims at once
    for nonce, output in enumerate((LOGITS, LOGITS, WRONG, WRONG, LOGITS)):
        posted.append(bench.request(nonce=nonce, deadline=deadline))
        gas["request"] = bench.ask(posted[-1])["gasUsed"]
        gas["answer"] = bench.post(posted[-1], output=output)["gasUsed"]
    silent, proved, refuted, lapsed, left = posted
    gas["dispute, first"] = bench.dispute(refuted)["gasUsed"]
    gas["dispute, second"] = bench.dispute(refuted, sender=bench.rival)["gasUsed"]
    bench.dispute(lapsed)
    bench.wait(WINDOW + 1)
    gas["finalise"] = bench.post(silent)["gasUsed"]
    gas["timeout"] = bench.post(lapsed, output=WRONG)["gasUsed"]
    gas["proof of what stands, double as verifier"] = bench.prove(proved)["gasUsed"]
    gas["proof of another output, disputed, double as verifier"] = bench.refute(refuted)["gasUsed"]
    id = bench.request_id(refuted)
    gas["reveal"] = bench.tell("reveal", id, 0, bytes(32))["gasUsed"]
    gas["award"] = bench.tell("award", id)["gasUsed"]
    gas["collect"] = bench.tell("collect", id, 0)["gasUsed"]
    gas[TENTH] = batched(bench, deadline)
    bench.wait(28 * 86_400)
    bench.chain.send(bench.oracle.functions.refund(left.fields))
    gas["close"] = bench.close(left)["gasUsed"]
    gas["answer + finalise"] = gas["answer"] + gas["finalise"]
    gas["answer + finalise, in batches of ten"] = gas["answer"] + gas[TENTH]
    return gas


def batched(bench: Bench, deadline: int) -> int:
    """Another operator's ten claims, finalised together."""
    operator, calls = bench.stranger, []
    bench.stake(30 * ETHER, operator)
    for nonce in range(10, 20):
        request = bench.request(nonce=nonce, deadline=deadline)
        bench.ask(request)
        bench.post(request, sender=operator, payee=operator)
        calls.append(bench.answering(request, payee=operator, proof=b"")._encode_transaction_data())
    bench.wait(WINDOW + 1)
    batch = bench.chain.deploy(f"{HARNESS}/Batch.sol")
    run = batch.functions.run(bench.oracle.address, calls)
    return int(bench.chain.send(run, sender=operator)["gasUsed"]) // 10


def test_gas_of_the_optimistic_tier_is_that_of_the_snapshot(bench: Bench) -> None:
    measured = measure(bench)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
    assert measured["request"] <= 70_000
    assert measured["answer"] <= 80_000
    assert measured["answer + finalise"] <= 130_000
