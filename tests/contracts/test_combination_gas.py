"""Gas of combinations against a committed snapshot (whole transactions, no callback), as
test_attested_gas has it."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.contracts import hall as module
from tests.contracts.bench import ETHER, WRONG
from tests.contracts.council import START
from tests.contracts.council import WINDOW as LONGER
from tests.contracts.desk import FINAL, RETRACTED
from tests.contracts.ensemble import Assembly, Ensemble, each
from tests.contracts.hall import DAY, WINDOW
from tests.contracts.test_attested_gas import CREATED, sign
from tests.evm import Chain

SNAPSHOT = Path(__file__).parent / "gas_combined.json"
AUDITED, ATTESTED = range(2)


def prepare(ensemble: Ensemble) -> None:
    ensemble.key, ensemble.tpm = (ec.derive_private_key(n, ec.SECP256R1()) for n in (11, 12))
    ensemble.ready()
    ensemble.stake(30 * ETHER)


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ensemble]:
    """A chain of its own: addresses and times are the same in every run."""
    monkeypatch.setattr(module, "sign", sign)
    with Chain.start("--timestamp", str(CREATED)) as chain:
        ensemble = Ensemble(chain)
        prepare(ensemble)
        yield ensemble


@pytest.fixture
def assembly(monkeypatch: pytest.MonkeyPatch) -> Iterator[Assembly]:
    monkeypatch.setattr(module, "sign", sign)
    with Chain.start("--timestamp", str(START - 4 * DAY)) as chain:
        assembly = Assembly(chain)
        prepare(assembly)
        assembly.convene()
        yield assembly


def measure(both: Ensemble) -> dict[str, int]:
    """Audited and attested, the second of each kind; times are fixed, so draws are."""
    gas, at, quiet = {}, CREATED + 3 * DAY, []
    for nonce in range(2):
        request = both.drawing(drawn=False, at=at + 1000 * nonce, first=100 * nonce)
        quiet.append(request)
    asked = both.request(nonce=500, deadline=at + DAY)
    gas["request"] = both.ask(asked)["gasUsed"]
    both.chain.next_timestamp(at + 2000)
    gas["answer"] = both.post(asked)["gasUsed"]
    wrong = both.drawing(drawn=False, output=WRONG, at=at + 3000, first=600)
    proof = both.proof(asked, both.operator)
    gas["proof, double as verifier"] = both.hand_in(asked, each(proof, proof))["gasUsed"]
    for request in quiet:
        both.outwait(request)
        gas["finalise, not drawn"] = both.post(request)["gasUsed"]
    both.revoke()
    gas["one part fails"] = both.fail(wrong, ATTESTED, WRONG)["gasUsed"]
    both.outwait(wrong)
    gas["conclude in the other"] = both.conclude(wrong, AUDITED, WRONG)["gasUsed"]
    assert [both.status(request)[0] for request in (*quiet, asked, wrong)] == [
        *(3 * [FINAL]),
        RETRACTED,
    ]
    gas["in all"] = gas["request"] + gas["answer"] + gas["finalise, not drawn"]
    return gas


def measure_committee(hall: Assembly) -> dict[str, int]:
    gas, at = {}, START + 1000
    for nonce in range(2):
        request = hall.request(nonce=nonce, deadline=at + DAY)
        gas["request"] = hall.ask(request)["gasUsed"]
        hall.chain.next_timestamp(at + 100 * nonce)
        gas["answer"] = hall.post(request)["gasUsed"]
    assert LONGER > WINDOW
    hall.wait(LONGER + 1)
    gas["finalise"] = hall.post(request)["gasUsed"]
    assert hall.status(request)[0] == FINAL
    gas["in all"] = sum(gas.values())
    return {f"committee of 7 and attested: {name}": found for name, found in gas.items()}


def test_gas_of_combinations_is_that_of_the_snapshot(both: Ensemble, assembly: Assembly) -> None:
    measured = measure(both) | measure_committee(assembly)
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(measured, indent=2) + "\n")
    assert measured == json.loads(SNAPSHOT.read_text())
