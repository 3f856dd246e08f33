"""The attested tier: an answer needs a key of measured hardware, and stake."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from eth_hash.auto import keccak

from tests.contracts.bench import (
    BOND,
    CLOCK,
    ETHER,
    LAPSED,
    LOCK,
    OVERTURNED,
    UNANSWERABLE,
    UPHELD,
    WRONG,
    canary,
)
from tests.contracts.desk import FINAL, IMAGE, LOGITS, OPEN, PROVISIONAL, RETRACTED, Request
from tests.contracts.hall import DELAY, LIFE, WINDOW, Hall, new_key, point, sign
from tests.evm import Chain, reverts


@pytest.fixture(scope="module")
def furnished(anvil: Chain) -> Hall:
    return Hall(anvil, guarded=True)


@pytest.fixture
def hall(furnished: Hall, chain: Chain) -> Hall:
    furnished.ready()
    return furnished


def asked(hall: Hall, **fields: Any) -> Request:
    request = hall.request(**fields)
    hall.ask(request)
    return request


def test_judge_good_attestation_locks_stake_and_stands(hall: Hall) -> None:
    request = hall.posted()
    assert hall.status(request)[0] == PROVISIONAL
    assert hall.account()["locked"] == LOCK
    assert hall.status(request)[1] == hall.digest(hall.operator)


def test_judge_undisputed_is_final_after_an_hour_and_the_proving_time(hall: Hall) -> None:
    request = hall.posted()
    hall.wait(WINDOW)
    with reverts("TooEarly"):
        hall.post(request)
    hall.wait(1)
    hall.post(request)
    assert hall.status(request)[0] == FINAL
    assert hall.account()["locked"] == 0


# --- attestations that are not good ---------------------------------------------------------------

REFUSED: dict[str, tuple[str, Callable[[Hall, Request], bytes]]] = {
    "none": ("NotAttested", lambda hall, r: b""),
    "a stolen signature of another output": (
        "NotSigned", lambda hall, r: hall.attestation(r, WRONG)
    ),
    "a key that was never enrolled": (
        "KeyUnknown", lambda hall, r: hall.attestation(r, key=new_key())
    ),
    "an enrolled key's name over another's signature": (
        "NotSigned",
        lambda hall, r: point(hall.key) + b"".join(sign(new_key(), hall.said(r))),
    ),
    "of another request": (
        "NotSigned", lambda hall, r: hall.attestation(r, request_id=keccak(b"other"))
    ),
    "of another chain": ("NotSigned", lambda hall, r: hall.attestation(r, chain_id=1)),
    "of another tier": (
        "NotSigned", lambda hall, r: hall.attestation(r, tier=hall.stranger)
    ),
    "for another payee": ("NotSigned", lambda hall, r: hall.attestation(r, owner=hall.rival)),
    "zeros": ("KeyUnknown", lambda hall, r: bytes(128)),
    "a proof, forged": ("ProofRefused", lambda hall, r: bytes(32)),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_judge_attestation_that_is_not_good_is_refused(hall: Hall, name: str) -> None:
    request = asked(hall)
    error, evidence = REFUSED[name]
    function = hall.answering(request, payee=hall.operator, proof=evidence(hall, request))
    with reverts(error):
        hall.chain.send(function, sender=hall.operator, gas=5_000_000)
    assert hall.status(request)[0] == OPEN and hall.account()["locked"] == 0


@pytest.mark.parametrize("place", range(0, 128, 13))
def test_judge_attestation_with_any_bit_changed_is_refused(hall: Hall, place: int) -> None:
    request = asked(hall)
    bent = bytearray(hall.attestation(request))
    bent[place] ^= 4
    with reverts("KeyUnknown" if place < 64 else "NotSigned"):
        hall.post(request, evidence=bytes(bent))


def test_judge_stolen_key_without_its_owners_stake_is_refused(hall: Hall) -> None:
    """Who has the key and not the owner's account can answer neither in its name nor in another."""
    request = asked(hall)
    with reverts("NotItsAgent", hall.operator, hall.rival):
        hall.post(request, sender=hall.rival)
    hall.stake(owner=hall.rival)
    with reverts("KeyUnknown"):
        hall.post(request, sender=hall.rival, payee=hall.rival, owner=hall.rival)


def test_judge_key_of_another_model_is_refused(hall: Hall) -> None:
    from tests.contracts.desk import POINT, SRS, program, register

    other = register(hall.chain, hall.registry, program() + b"other", POINT, SRS)
    request = asked(hall, model_id=other)
    with reverts("KeyUnknown"):
        hall.post(request)


def test_judge_replay_on_a_settled_request_is_refused(hall: Hall) -> None:
    request = hall.posted()
    with reverts("ProofRefused"):  # on a claim that stands, evidence is a proof
        hall.chain.send(hall.attesting(request), sender=hall.operator, gas=5_000_000)
    with reverts(""):  # it names no claim that it could refute
        again = hall.attesting(request, WRONG)
        hall.chain.send(again, sender=hall.operator, gas=5_000_000)
    hall.wait(WINDOW + 1)
    hall.post(request)
    with reverts("WrongStatus"):
        hall.chain.send(hall.attesting(request), sender=hall.operator, gas=5_000_000)


# --- when a key counts ----------------------------------------------------------------------------


def test_judge_key_within_its_delay_is_refused(furnished: Hall, chain: Chain) -> None:
    furnished.admit_all()
    furnished.enrol()
    furnished.stake()
    request = asked(furnished)
    with reverts("KeyNotReady"):
        furnished.post(request)


def test_judge_expired_key_is_refused(hall: Hall) -> None:
    request = asked(hall, deadline=hall.chain.now() + 2 * LIFE)
    hall.wait(LIFE + 1)
    with reverts("KeyExpired"):
        hall.post(request)


def test_judge_revoked_key_is_refused(hall: Hall) -> None:
    request = asked(hall)
    hall.revoke(hall.attesters[0])
    with reverts("KeyRevoked"):
        hall.post(request)


def test_judge_claims_up_to_a_revocation_are_given_back(hall: Hall) -> None:
    """Nobody is slashed for it, and what another key signs later is not touched."""
    before = hall.posted()
    key = new_key()
    second = hall.enrolment(key=key)
    hall.enrol(second, hall.evidence(second, certify=key).encoded)
    hall.revoke()
    hall.wait(WINDOW + 1)
    hall.post(before)
    assert hall.status(before)[0] == RETRACTED
    assert hall.account()["locked"] == 0 and not hall.account()["suspended"]
    hall.wait(DELAY)
    after = asked(hall, nonce=1, deadline=hall.chain.now() + 2 * DELAY)
    hall.post(after, key=key)
    hall.wait(WINDOW + 1)
    hall.post(after)
    assert hall.status(after)[0] == FINAL


def test_judge_revocation_does_not_end_a_claim_before_its_window(hall: Hall) -> None:
    """A cheat that revokes its own key is still disputed, and slashed."""
    request = hall.posted(WRONG)
    hall.revoke()
    with reverts("TooEarly"):
        hall.post(request, output=WRONG)
    hall.dispute(request)
    hall.wait(CLOCK + 1)
    hall.post(request, output=WRONG)
    assert hall.outcome(request) == LAPSED and hall.account()["suspended"]


def test_judge_claim_of_a_revoked_key_is_final_by_its_proof(hall: Hall) -> None:
    request = hall.posted()
    hall.revoke()
    hall.prove(request, payee=hall.operator)
    assert hall.status(request)[0] == FINAL


def test_judge_two_outputs_under_one_key_end_it_and_what_it_said(hall: Hall) -> None:
    wrong, right = hall.posted(WRONG), hall.posted(nonce=1)
    said = hall.one(wrong, WRONG), hall.one(right)
    hall.chain.send(hall.contradicting(*said, keccak(IMAGE)), sender=hall.stranger)
    hall.wait(WINDOW + 1)
    for request, output in ((wrong, WRONG), (right, LOGITS)):
        hall.post(request, output=output)
        assert hall.status(request)[0] == RETRACTED


# --- what the tier has from the optimistic one ----------------------------------------------------


def test_judge_cheat_with_a_good_key_is_disputed_and_slashed(hall: Hall) -> None:
    """Broken hardware, or a key taken from it, is not enough: the stake vouches, too."""
    request = hall.posted(WRONG)
    hall.dispute(request)
    hall.refute(request)
    assert hall.status(request)[0] == FINAL
    assert hall.outcome(request) == OVERTURNED
    assert hall.account()["stake"] == 10 * ETHER // 10**9 - LOCK
    other = asked(hall, nonce=1)
    with reverts("Suspended", hall.operator):  # its keys are worth nothing any more
        hall.post(other)


def test_judge_disputed_right_answer_is_upheld(hall: Hall) -> None:
    request = hall.posted()
    hall.dispute(request, LOGITS)
    hall.prove(request, payee=hall.operator)
    assert hall.outcome(request) == UPHELD
    assert hall.chain.balance(hall.optimistic.address) == BOND


def test_judge_first_answer_by_proof_needs_no_key(hall: Hall) -> None:
    request = asked(hall)
    hall.prove(request)
    assert hall.status(request)[0] == FINAL


def test_judge_unanswerable_is_signed_and_given_back(hall: Hall) -> None:
    request = hall.posted(UNANSWERABLE)
    hall.wait(WINDOW + 1)
    hall.post(request, output=UNANSWERABLE)
    assert hall.status(request)[0] == RETRACTED and hall.account()["locked"] == 0


def test_judge_coverage_above_the_stake_is_refused(hall: Hall) -> None:
    from tests.contracts.bench import terms

    request = asked(hall, terms=terms(coverage=10 * ETHER // 10**9))
    with reverts("CoverageAboveFreeStake"):
        hall.post(request)


def test_judge_by_another_than_the_oracle_is_refused(hall: Hall) -> None:
    request = asked(hall)
    claim = (
        hall.request_id(request), hall.context(request, hall.operator), hall.operator,
        hall.operator, bytes(32), 0, hall.digest(hall.operator),
    )  # fmt: skip
    evidence = hall.attestation(request)
    with reverts("OnlyOracle", hall.oracle.address, hall.stranger):
        hall.tell("judge", request.fields, claim, IMAGE, LOGITS, evidence)
    assert hall.account()["locked"] == 0


def test_judge_once_stopped_everything_goes_back(hall: Hall) -> None:
    standing, unanswered = hall.posted(), asked(hall, nonce=1)
    proof = hall.proof(standing, hall.operator, output=WRONG)
    context = hall.context(standing, hall.operator)
    assert canary(hall) == hall.chain.call(hall.verifier.functions.canary())
    stop = hall.verifier.functions.stop(hall.model_id, context, IMAGE, WRONG, proof)
    hall.chain.send(stop)
    hall.post(standing)
    hall.prove(unanswered)
    assert {hall.status(r)[0] for r in (standing, unanswered)} == {RETRACTED}
    assert hall.account()["locked"] == 0
