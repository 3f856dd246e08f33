"""CombinedAssurance: a committee and an attested operator, who must say the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import CLOCK as STAKED_CLOCK
from tests.contracts.bench import COVERAGE, DAY, ETHER, GWEI, LAPSED, LOCK, WRONG, terms
from tests.contracts.council import CLOCK, FINE, GRACE, SHARE, START, TRACE, WINDOW
from tests.contracts.desk import (
    FINAL,
    HARNESS,
    LOGITS,
    OPEN,
    PROVISIONAL,
    REFUNDED,
    RETRACTED,
    Request,
)
from tests.contracts.ensemble import Assembly, alone, each
from tests.contracts.hall import WINDOW as SHORT
from tests.evm import Chain, Reverted, reverts

COMMITTEE, ATTESTED = range(2)
STAKE = 10 * ETHER // GWEI
WEEK = 7 * DAY


@pytest.fixture(scope="module")
def convened() -> Iterator[Assembly]:
    with Chain.start("--timestamp", str(START - 4 * DAY)) as chain:
        assembly = Assembly(chain)
        assembly.ready()
        assembly.convene()
        yield assembly


@pytest.fixture
def hall(convened: Assembly) -> Iterator[Assembly]:
    snapshot = convened.chain.snapshot()
    yield convened
    convened.chain.restore(snapshot)


def posted(hall: Assembly, output: bytes = LOGITS, **fields: object) -> Request:
    request = hall.request(**fields)
    hall.ask(request)
    hall.post(request, output=output)
    return request


def reserved(hall: Assembly) -> int:
    return int(hall.chain.call(hall.parts[COMMITTEE].functions.reserved()))


def free(hall: Assembly) -> None:
    account = hall.account()
    assert (account["stake"], account["locked"], account["load"]) == (STAKE, 0, 0)
    assert not account["suspended"]


def dissent(hall: Assembly, request: Request, output: bytes = LOGITS) -> None:
    member = hall.council.member(hall.members, 6)
    seen = hall.seen(request, COMMITTEE)
    words = (seen.fields, hall.operator, keccak(output), hall.members, 6)
    hall.council.tell("dissent", *words, sender=member)


def test_judge_claim_of_committee_and_hardware_is_final_after_the_longer_window(
    hall: Assembly,
) -> None:
    request = posted(hall)
    assert hall.status(request)[0] == PROVISIONAL
    assert hall.account()["locked"] == LOCK and reserved(hall) == SHARE
    hall.wait(SHORT + 1)
    with reverts("TooEarly", hall.since(request) + WINDOW):
        hall.post(request)
    hall.wait(WINDOW)
    before = hall.chain.balance(hall.operator)
    hall.post(request)
    assert hall.status(request)[0] == FINAL
    assert hall.chain.balance(hall.operator) - before == request.cost
    free(hall)


def test_judge_words_of_one_part_alone_are_refused(hall: Assembly) -> None:
    request = hall.request()
    hall.ask(request)
    agreed, said = b"\1" + hall.quorum(request), hall.attestation(request)
    for evidence in (
        each(agreed, b""),
        each(b"", said),
        each(said, agreed),
        each(agreed, hall.attestation(request, WRONG)),
        each(b"\1" + hall.quorum(request, WRONG), said),
        alone(COMMITTEE, agreed),
        alone(ATTESTED, said),
    ):
        with pytest.raises(Reverted):
            hall.hand_in(request, evidence, sender=hall.operator)
    assert hall.status(request)[0] == OPEN and reserved(hall) == 0
    free(hall)


def test_judge_words_for_another_request_or_tier_are_refused(hall: Assembly) -> None:
    """A member signs for its own committee, and for the id that the whole request has."""
    request, other = hall.request(), hall.request(nonce=1)
    hall.ask(request)
    said = hall.attestation(request)
    with reverts("WrongSignature", 0):
        hall.hand_in(request, each(b"\1" + hall.quorum(other), said), sender=hall.operator)
    council = hall.council
    council.council = hall.combined  # the signed domain names another contract
    words = b"\1" + hall.quorum(request)
    council.council = hall.parts[COMMITTEE]
    with reverts("WrongSignature", 0):
        hall.hand_in(request, each(words, said), sender=hall.operator)


def test_admit_terms_of_a_combination_are_those_of_each_part(hall: Assembly) -> None:
    with reverts("MalformedTerms"):  # the committee's clock would be too long
        hall.ask(hall.request(terms=terms(proving=2**15 - 1)))


def test_dissent_leaves_the_claim_to_a_proof(hall: Assembly) -> None:
    request = posted(hall)
    dissent(hall, request)
    hall.wait(WINDOW + CLOCK + 1)
    with reverts("Disagreement", hall.parts[ATTESTED].address, RETRACTED, FINAL):
        hall.post(request)
    proof = hall.proof(request, hall.operator)
    hall.hand_in(request, each(b"\0" + proof, b""))
    assert hall.status(request)[0] == FINAL
    seat = hall.council.seat(hall.members, 6)
    assert hall.council.seat_of(seat)["stake"] == 4 * ETHER // GWEI - FINE  # who dissented pays
    free(hall)


def test_dissent_without_a_proof_gives_back_and_the_operators_lock_is_freed(
    hall: Assembly,
) -> None:
    request = posted(hall)
    dissent(hall, request)
    hall.wait(CLOCK + 1)
    before = hall.chain.balance(hall.requester)
    hall.fail(request, COMMITTEE)
    assert hall.chain.balance(hall.requester) - before == request.cost
    assert hall.account()["locked"] == LOCK
    assert [hall.claim_for(request, part) for part in range(2)] == [RETRACTED, PROVISIONAL]
    hall.conclude(request, ATTESTED)
    free(hall)


def test_refuted_claim_slashes_operator_and_members(hall: Assembly) -> None:
    request = posted(hall, WRONG)
    evidence = each(hall.refuted(request, WRONG), hall.refutation(request, WRONG))
    hall.hand_in(request, evidence, payee=hall.prover)
    assert hall.status(request)[:2] == (FINAL, hall.digest(hall.prover))
    assert hall.account()["stake"] == STAKE - LOCK and hall.account()["suspended"]
    for place in range(5):
        member = hall.council.member(hall.members, place)
        assert hall.account(member)["suspended"]
    assert hall.owed(hall.requester) == 2 * COVERAGE


def test_members_words_are_logged_where_a_contract_hands_them_in(hall: Assembly) -> None:
    """By the part, under the whole request's id: those that slash in the test above."""
    request = hall.request()
    hall.ask(request)
    answer = hall.answering(
        request, payee=hall.operator, output=WRONG, proof=hall.first(request, WRONG)
    )
    batch = hall.chain.deploy(f"{HARNESS}/Batch.sol")
    hall.chain.send(hall.vault.functions.appoint(batch.address), sender=hall.operator)
    call = batch.functions.run(hall.oracle.address, [answer._encode_transaction_data()])
    receipt = hall.chain.send(call, gas=8_000_000)
    assert hall.council.spoken(request, receipt) == [hall.quorum(request, WRONG)]


def test_disputed_and_unproved_the_members_can_still_be_refuted(hall: Assembly) -> None:
    """The operator lost its lock, the payment went back; who signed the same is slashed too."""
    request = posted(hall, WRONG)
    hall.dispute(hall.seen(request, ATTESTED))
    hall.wait(STAKED_CLOCK + 1)
    hall.fail(request, ATTESTED, WRONG)
    assert hall.status(request)[0] == RETRACTED and hall.outcome(request) == LAPSED
    assert hall.account()["locked"] == 0 and hall.account()["stake"] == STAKE - LOCK
    evidence = hall.refuted(request, WRONG)
    hall.conclude(request, COMMITTEE, LOGITS, evidence=evidence, payee=hall.prover)
    for place in range(5):
        assert hall.account(hall.council.member(hall.members, place))["suspended"]
    with reverts("NothingToConclude"):
        hall.conclude(request, COMMITTEE, LOGITS, evidence=evidence, payee=hall.prover)


def test_summon_is_of_the_part_and_silence_is_fined(hall: Assembly) -> None:
    """Until it is answered the request is open for every part, and unanswered when it went back."""
    request = hall.request()
    hall.ask(request)
    seen = hall.seen(request, COMMITTEE)
    assert hall.claim_for(request, COMMITTEE) == OPEN
    bond = hall.chain.call(hall.parts[COMMITTEE].functions.summonsBond())
    whole = hall.parts[COMMITTEE].functions.summon(request.fields)
    with reverts("WrongTier"):
        hall.chain.send(whole, sender=hall.requester, value=bond)
    hall.council.summon(seen)
    id = hall.request_id(request)
    member, salt = hall.council.member(hall.members, 0), keccak(b"salt")
    commitment = hall.council.commitment(member, salt)
    hall.council.tell("commit", id, hall.members, 0, commitment, sender=member)
    hall.wait(GRACE + 1)
    opening = (hall.operator, keccak(LOGITS), TRACE, salt)
    hall.council.tell("reveal", id, hall.members, 0, *opening)
    hall.expire(request)
    hall.chain.send(hall.refunding(request))
    assert hall.claim_for(request, COMMITTEE) == REFUNDED
    hall.council.tell("fineAbsent", id, hall.members, 1)
    seat = hall.council.seat(hall.members, 1)
    assert hall.council.seat_of(seat)["stake"] == 4 * ETHER // GWEI - FINE
    with reverts("NothingLeft"):
        hall.council.tell("fineAbsent", id, hall.members, 0)
    hall.council.tell("reclaim", seen.fields)
    credit = hall.parts[COMMITTEE].functions.credit(hall.requester)
    assert hall.chain.call(credit) == bond // 7 * 6


def test_summoned_words_count_for_the_combination(hall: Assembly) -> None:
    """What members revealed on-chain is handed in beside the operator's attestation."""
    request = hall.request()
    hall.ask(request)
    hall.council.summon(hall.seen(request, COMMITTEE))
    id, places = hall.request_id(request), range(5)
    salts = [keccak(bytes([place])) for place in places]
    for place in places:
        member = hall.council.member(hall.members, place)
        commitment = hall.council.commitment(member, salts[place])
        hall.council.tell("commit", id, hall.members, place, commitment, sender=member)
    hall.wait(GRACE + 1)
    for place in places:
        opening = (hall.operator, keccak(LOGITS), TRACE, salts[place])
        hall.council.tell("reveal", id, hall.members, place, *opening)
    words = [(place, 0, bytes(32), bytes(32), bytes(32)) for place in places]
    agreed = b"\1" + hall.council.encoded((hall.members, TRACE, words))
    hall.hand_in(request, each(agreed, hall.attestation(request)), sender=hall.operator)
    assert hall.status(request)[0] == PROVISIONAL


def test_refund_after_a_week_frees_the_operators_lock(hall: Assembly) -> None:
    request = posted(hall)
    hall.chain.next_timestamp(request.deadline + WEEK + 1)
    hall.chain.send(hall.refunding(request))
    hall.close(hall.seen(request, ATTESTED))
    with reverts("NothingToConclude"):
        hall.conclude(request, COMMITTEE)
    free(hall)


def test_encoding_of_a_refutation_names_what_stands(hall: Assembly) -> None:
    request = posted(hall, WRONG)
    bent = b"\2" + encode(
        ["address", "bytes32", "bytes", "bytes"],
        [hall.operator, keccak(b"x"), hall.quorum(request, WRONG), b""],
    )
    with reverts("WrongClaim"):
        evidence = each(bent, hall.refutation(request, WRONG))
        hall.hand_in(request, evidence, payee=hall.prover)
