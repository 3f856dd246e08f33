"""Gas of the oracle's transactions against a committed snapshot (whole transactions, 21k included).

With EINPROOF_UPDATE_SNAPSHOTS=1 the snapshot is written anew: look at the difference, commit it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contracts.desk import IMAGE, REVERT, ZERO, Desk
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas.json"
CREATED = 1_750_000_000


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A chain of its own: addresses and times, and so calldata, are the same in every run."""
    with Chain.start("--timestamp", str(CREATED)) as chain:
        yield Desk(chain)


def measure(desk: Desk) -> dict[str, int]:
    gas = {}
    deadline = CREATED + 86_400
    desk.chain.pay(desk.payee, 1)

    plain = desk.request(deadline=deadline)
    gas["request"] = desk.ask(plain)["gasUsed"]
    gas["answer without callback, double as verifier"] = desk.answer(plain)["gasUsed"]

    classifier = desk.chain.deploy(
        "contracts/examples/DigitClassifier.sol",
        desk.oracle.address,
        desk.tier.address,
        desk.model_id,
    )
    asking = classifier.functions.classify(IMAGE, 10**9, deadline)
    receipts = [desk.chain.send(asking, sender=desk.requester, value=10**15) for _ in range(2)]
    gas["DigitClassifier.classify, first"] = receipts[0]["gasUsed"]
    gas["DigitClassifier.classify, later"] = receipts[1]["gasUsed"]
    (event,) = desk.events(receipts[1], "Requested")
    asked = type(plain)(*event["request"].values())
    gas["answer with DigitClassifier's callback"] = desk.answer(asked)["gasUsed"]

    puppet = desk.puppet()
    failing = desk.ask_through(puppet, callback_gas=300_000, deadline=deadline)
    desk.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    desk.answer(failing)
    desk.chain.send(puppet.functions.behave(0, ZERO, b""))
    gas["retryCallback of a puppet"] = desk.chain.send(desk.retrying(failing))["gasUsed"]

    expired = desk.request(nonce=1, deadline=deadline)
    desk.ask(expired)
    desk.expire(expired)
    gas["refund"] = desk.chain.send(desk.refunding(expired))["gasUsed"]
    return gas


def test_gas_is_that_of_the_snapshot(desk: Desk) -> None:
    measured = measure(desk)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
    assert measured["request"] <= 70_000
