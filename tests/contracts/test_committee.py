"""CommitteeAssurance: seats and draws, signed commitments, silence, dissent, and who is slashed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import COVERAGE, DAY, ETHER, GWEI, WRONG, terms
from tests.contracts.council import (
    CLOCK,
    FINE,
    GRACE,
    PART,
    PLACES,
    QUORUM,
    RULES,
    SEAT,
    SHARE,
    START,
    TRACE,
    WINDOW,
    Council,
    signed,
)
from tests.contracts.desk import FINAL, IMAGE, LOGITS, OPEN, PROVISIONAL, RETRACTED, Request
from tests.evm import Chain, Reverted, reverts

SNAPSHOT = Path(__file__).parent / "gas_committee.json"
TODAY = START // DAY


def agreed(council: Council, members: bytes, output: bytes = LOGITS, **fields: Any) -> Request:
    """A request on which the first m members agree."""
    request = council.request(**fields)
    council.ask(request)
    council.agree(request, members, output)
    return request


# --- seats and draws ------------------------------------------------------------------------------


def test_enrol_locks_a_seats_stake(council: Council) -> None:
    owner = council.chain.accounts[8]  # of two seats
    assert council.account(owner)["locked"] == 2 * SEAT
    count = council.chain.call(council.council.functions.seatCount())
    with reverts("CoverageAboveFreeStake", SEAT):
        council.tell("enrol", count, sender=owner)
    with reverts("NoSuchSeat", count + 1):
        council.tell("enrol", count + 1, sender=council.chain.accounts[3])
    with reverts("SeatTaken", 0):
        council.tell("enrol", 0, sender=council.chain.accounts[3])


def test_draw_is_of_the_seats_when_the_day_began(council: Council, members: bytes) -> None:
    seats = [council.seat(members, place) for place in range(PLACES)]
    assert len(members) == 24 * PLACES and len(set(seats)) == PLACES
    for place, seat in enumerate(seats):
        assert council.seat_of(seat)["owner"] == council.member(members, place)
    committee = council.chain.call(council.council.functions.committeeOf(TODAY))
    assert bytes(committee) == keccak(members)
    with reverts("AlreadyDrawn", TODAY):
        council.tell("draw")


def test_draw_before_the_seed_is_known_is_refused(council: Council) -> None:
    council.chain.next_timestamp((TODAY + 1) * DAY + 2)
    with reverts("SeedUnknown"):
        council.tell("draw")


def test_draw_takes_no_seat_that_came_with_the_seed(council: Council) -> None:
    """Seed grinding: whoever enrols, or retires, once the seed is known changes no draw."""
    tomorrow = TODAY + 1
    snapshot = council.chain.snapshot()
    expected = council.begin(tomorrow)
    council.chain.restore(snapshot)
    council.chain.next_timestamp(tomorrow * DAY + 30)
    owner = council.chain.accounts[3]
    count = council.chain.call(council.council.functions.seatCount())
    council.tell("enrol", count, sender=owner)
    council.tell("retire", 0, sender=owner)
    assert council.begin(tomorrow) == expected
    later = council.begin(tomorrow + 1)
    drawn = {council.seat(later, place) for place in range(PLACES)}
    assert 0 not in drawn and drawn <= set(range(count + 1))


def test_draw_of_too_few_seats_is_refused(council: Council) -> None:
    for seat, owner in enumerate(council.chain.accounts[3:6]):
        council.tell("retire", seat, sender=owner)
    with reverts("TooFewSeats", PLACES):
        council.begin(TODAY + 1)


def test_leave_is_possible_when_claims_are_over(council: Council) -> None:
    owner = council.chain.accounts[3]
    with reverts("OnlyOwner", owner, council.stranger):
        council.tell("leave", 0)
    with reverts("TooEarly"):
        council.tell("leave", 0, sender=owner)
    council.tell("retire", 0, sender=owner)
    until = (TODAY + 1) * DAY + 8 * DAY
    council.chain.next_timestamp(until)
    with reverts("TooEarly", until):
        council.tell("leave", 0, sender=owner)
    council.chain.next_timestamp(until + 1)
    council.tell("leave", 0, sender=owner)
    assert council.account(owner)["locked"] == 0
    council.tell("enrol", 0, sender=owner)  # a free seat can be taken again


# --- agreement ------------------------------------------------------------------------------------


def test_agree_quorum_stands_and_is_final_after_its_window(
    council: Council, members: bytes
) -> None:
    request = agreed(council, members)
    assert council.status(request) == (PROVISIONAL, council.digest(), False)
    until = council.chain.now() + WINDOW
    council.chain.next_timestamp(until)
    with reverts("TooEarly", until):
        council.settle(request)
    council.chain.next_timestamp(until + 1)
    before = council.chain.balance(council.payee)
    council.settle(request)
    assert council.status(request)[0] == FINAL
    assert council.chain.balance(council.payee) - before == request.cost


@pytest.mark.parametrize("places", [(2, 3, 4, 5, 6), (0, 2, 3, 5, 6), range(7)])
def test_agree_any_m_will_do(council: Council, members: bytes, places: Any) -> None:
    request = council.request()
    council.ask(request)
    council.agree(request, members, places=places)
    assert council.status(request)[0] == PROVISIONAL


@pytest.mark.parametrize("places", [range(4), (0, 0, 1, 2, 3), (1, 0, 2, 3, 4), (2, 3, 4, 5, 5)])
def test_agree_fewer_than_m_members_is_refused(
    council: Council, members: bytes, places: Any
) -> None:
    request = council.request()
    council.ask(request)
    with pytest.raises(Reverted, match=r"NoQuorum|WrongPlace"):
        council.agree(request, members, places=places)


def forged(council: Council, request: Request, members: bytes, how: str) -> Any:
    """A quorum whose third opening is not that member's word on this claim."""
    members_, root, opened = council.quorum(request, members)
    place, v, salt, r, s = opened[2]
    signature = r + s + bytes([v])
    member, id = council.member(members, place), council.request_id(request)
    right = council.commitment(member, salt)
    stranger = council.member(members, 6)
    if how == "another's signature":
        signature = council.sign(id, council.epoch, right, stranger)
    if how == "another output":
        wrong = council.commitment(member, salt, WRONG)
        signature = council.sign(id, council.epoch, wrong, member)
    if how == "another trace":
        wrong = council.commitment(member, salt, root=bytes(32))
        signature = council.sign(id, council.epoch, wrong, member)
    if how == "another payee":
        wrong = council.commitment(member, salt, payee=council.collector)
        signature = council.sign(id, council.epoch, wrong, member)
    if how == "another request":
        signature = council.sign(bytes(32), council.epoch, right, member)
    if how == "another epoch":
        signature = council.sign(id, council.epoch - 1, right, member)
    if how == "a copied commitment":  # opens to its author's address, not to the copier's
        signature = council.sign(id, council.epoch, council.commitment(stranger, salt), member)
    if how == "another salt":
        salt = bytes(32)
    if how == "no signature":
        signature = bytes(64) + b"\1"
    if how == "half a signature":
        signature = r + bytes(32) + bytes([v])
    return members_, root, [*opened[:2], signed(place, salt, signature), *opened[3:]]


@pytest.mark.parametrize(
    "how",
    [
        "another's signature",
        "another output",
        "another trace",
        "another payee",
        "another request",
        "another epoch",
        "a copied commitment",
        "another salt",
        "no signature",
        "half a signature",
    ],
)
def test_agree_word_that_a_member_did_not_give_is_refused(
    council: Council, members: bytes, how: str
) -> None:
    """Neither the collector nor another member can speak for one; lazy copies open for nobody."""
    request = council.request()
    council.ask(request)
    with reverts("WrongSignature", 2):
        council.agree(request, members, quorum=forged(council, request, members, how))


def test_agree_other_members_are_refused(council: Council, members: bytes) -> None:
    request = council.request()
    council.ask(request)
    other = members[24:] + members[:24]
    with reverts("WrongMembers", TODAY):
        council.agree(request, other)
    with reverts("WrongPlace", 7):
        council.agree(
            request,
            members,
            quorum=(
                members,
                TRACE,
                [*council.quorum(request, members)[2][:4], (7, 0, b"", b"", b"")],
            ),
        )


def test_agree_yesterdays_committee_is_refused(council: Council, members: bytes) -> None:
    request = council.request(deadline=(TODAY + 2) * DAY)
    council.ask(request)
    council.begin(TODAY + 1)
    with reverts("WrongMembers", TODAY + 1):
        council.agree(request, members, epoch=TODAY)


def test_agree_coverage_above_the_seats_is_refused(council: Council, members: bytes) -> None:
    """An epoch's claims reserve of each seat what they could cost it, and no more than it has."""
    most = SEAT - 8 * FINE
    big = terms(coverage=4 * COVERAGE)
    share = -(-(8 * COVERAGE + 4 * COVERAGE // 10) // QUORUM) + 2
    request = agreed(council, members, terms=big)
    assert council.chain.call(council.council.functions.reserved()) == share
    again = council.request(terms=big, nonce=1)
    council.ask(again)
    council.agree(again, members)
    third = council.request(terms=big, nonce=2)
    council.ask(third)
    with reverts("CoverageAboveStake", most - 2 * share, share):
        council.agree(third, members)
    assert council.status(request)[0] == council.status(again)[0] == PROVISIONAL


def test_agree_coverage_is_that_of_all_claims_that_may_stand(
    council: Council, members: bytes
) -> None:
    """The same seats, drawn the next day, do not cover twice what they cover still."""
    big = terms(coverage=4 * COVERAGE)
    share = -(-(8 * COVERAGE + 4 * COVERAGE // 10) // QUORUM) + 2
    for nonce in range(2):
        agreed(council, members, terms=big, nonce=nonce)
    for day in range(1, 5):
        members = council.begin(TODAY + day)
        request = council.request(terms=big, nonce=2, deadline=(TODAY + day + 1) * DAY)
        reserved = council.chain.call(council.council.functions.reserved())
        council.ask(request)
        if day < 4:
            assert reserved == 2 * share
            with reverts("CoverageAboveStake", SEAT - 8 * FINE - 2 * share, share):
                council.agree(request, members, epoch=TODAY + day)
        else:
            assert reserved == 0
            council.agree(request, members, epoch=TODAY + day)
            assert council.chain.call(council.council.functions.reserved()) == share


@pytest.mark.parametrize(
    "bad", [bytes(32), terms(hours=5), terms(audits=200), terms(proving=20 * 3600 // 1)]
)
def test_admit_bad_terms_are_refused(council: Council, bad: bytes) -> None:
    with reverts("MalformedTerms"):
        council.ask(council.request(terms=bad))


# --- disagreement ---------------------------------------------------------------------------------


def dissenting(council: Council, request: Request, members: bytes, place: int = 6) -> Any:
    return council.council.functions.dissent(
        request.fields, council.payee, keccak(LOGITS), members, place
    )


def test_dissent_unproved_is_given_back_and_nobody_pays(council: Council, members: bytes) -> None:
    request = agreed(council, members)
    who = council.member(members, 6)
    with reverts("OnlyOwner", who, council.requester):
        council.chain.send(dissenting(council, request, members), sender=council.requester)
    council.chain.send(dissenting(council, request, members), sender=who)
    until = council.chain.now() + CLOCK
    council.chain.next_timestamp(until)
    with reverts("TooEarly", until):
        council.settle(request)
    council.chain.next_timestamp(until + 1)
    before = council.chain.balance(council.requester)
    council.settle(request)
    assert council.status(request)[0] == RETRACTED
    assert council.chain.balance(council.requester) - before == request.cost
    assert council.burned() == 0


def test_dissent_from_what_is_proved_costs_the_fine(council: Council, members: bytes) -> None:
    request = agreed(council, members)
    who = council.member(members, 6)
    council.chain.send(dissenting(council, request, members), sender=who)
    with reverts("NothingLeft"):
        council.chain.send(dissenting(council, request, members), sender=who)
    council.prove(request)
    assert council.status(request)[0] == FINAL
    assert council.burned() == FINE
    assert council.seat_of(council.seat(members, 6))["stake"] == SEAT - FINE
    assert not council.account(who)["suspended"]


def test_dissent_after_the_window_is_refused(council: Council, members: bytes) -> None:
    request = agreed(council, members)
    until = council.chain.now() + WINDOW
    council.chain.next_timestamp(until + 1)
    with reverts("TooLate", until):
        council.chain.send(dissenting(council, request, members), sender=council.member(members, 6))


def test_dissent_that_has_to_be_forced_in_counts_on_layer_2(council: Council) -> None:
    """A sequencer that is of the cheat's party can hold it back for a day, and not for longer."""
    slow = Council(council.chain, (*RULES[:4], 36 * 3600, GRACE))
    members = slow.begin(TODAY + 1)
    request = agreed(slow, members, deadline=(TODAY + 4) * DAY)
    slow.wait(DAY + 3600)
    with reverts("TooEarly"):
        slow.settle(request)
    slow.chain.send(dissenting(slow, request, members), sender=slow.member(members, 6))


def test_window_longer_than_36_hours_is_no_rule(council: Council) -> None:
    """A claim must be over within three days, and a proof needs its time after a dissent."""
    with reverts("WrongRules"):
        Council(council.chain, (*RULES[:4], 36 * 3600 + 1, GRACE))


@pytest.mark.parametrize("places", [range(5), range(7)])
def test_refute_captured_committee_is_slashed(
    council: Council, members: bytes, places: Any
) -> None:
    request = council.request()
    council.ask(request)
    quorum = council.quorum(request, members, places, WRONG)
    council.agree(request, members, WRONG, quorum=quorum)
    council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    assert council.status(request) == (FINAL, council.digest(council.prover), False)
    count = len(places)
    assert council.owed(council.requester) == COVERAGE
    assert council.owed(council.prover) == COVERAGE // 10 // count * count
    assert council.burned() >= COVERAGE
    assert (
        council.burned() + council.owed(council.requester) + council.owed(council.prover)
        == count * SHARE
    )
    for place in places:
        seat = council.seat_of(council.seat(members, place))
        assert (seat["stake"], seat["until"]) == (SEAT - SHARE, TODAY)
        assert council.account(seat["owner"])["suspended"]
    if count == QUORUM:
        assert council.seat_of(council.seat(members, 6))["stake"] == SEAT


def test_refute_without_the_members_words_is_refused(council: Council, members: bytes) -> None:
    request = council.request()
    council.ask(request)
    quorum = council.quorum(request, members, output=WRONG)
    council.agree(request, members, WRONG, quorum=quorum)
    other = council.quorum(request, members, output=LOGITS)
    with reverts("WrongSignature", 0):
        council.chain.send(council.refuting(request, WRONG, other), gas=5_000_000)
    with reverts("WrongClaim"):
        council.chain.send(council.refuting(request, b"x", quorum), gas=5_000_000)
    with reverts("ProofRefused"):
        wrong = council.refuting(request, WRONG, quorum, output=b"\1\2")
        arguments = list(wrong.arguments)
        arguments[4] = arguments[4][:-32] + bytes(32)
        council.chain.send(council.oracle.functions.answer(*arguments), gas=5_000_000)
    with reverts("SameOutput"):
        council.chain.send(council.refuting(request, WRONG, quorum, output=WRONG), gas=5_000_000)
    assert council.status(request)[0] == PROVISIONAL and council.burned() == 0


def test_refute_two_wrong_claims_are_both_covered(council: Council, members: bytes) -> None:
    """A slash takes of each seat what its claim reserved; what covers another claim stays."""
    requests = [council.request(nonce=n) for n in range(2)]
    quorums = []
    for request in requests:
        council.ask(request)
        quorums.append(council.quorum(request, members, output=WRONG))
        council.agree(request, members, WRONG, quorum=quorums[-1])
    for request, quorum in zip(requests, quorums, strict=True):
        council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    assert council.owed(council.requester) == 2 * COVERAGE


def test_refute_after_its_time_slashes_nobody_and_leaves_what_covers_others(
    council: Council, members: bytes
) -> None:
    """A wrong claim that nobody ended keeps no seat reserved after three days: were it slashed
    then, a cheat could empty the seats that cover its next claim."""
    big = terms(coverage=8 * COVERAGE)
    stale = council.request(terms=big)
    council.ask(stale)
    quorum = council.quorum(stale, members, output=WRONG)
    council.agree(stale, members, WRONG, quorum=quorum)
    since = council.chain.now()
    later = council.begin(TODAY + 4)
    fresh = council.request(terms=big, nonce=1)
    council.ask(fresh)
    new = council.quorum(fresh, later, range(PLACES), WRONG)
    council.agree(fresh, later, WRONG, quorum=new)
    assert council.chain.now() > since + 3 * DAY
    council.chain.send(council.refuting(stale, WRONG, quorum), gas=5_000_000)
    assert council.status(stale)[0] == FINAL  # a proof wins at any time
    assert council.burned() == council.owed(council.requester) == 0
    council.chain.send(council.refuting(fresh, WRONG, new), gas=5_000_000)
    assert council.owed(council.requester) == 8 * COVERAGE


def test_refute_on_the_last_second_of_its_time_slashes(council: Council, members: bytes) -> None:
    request = council.request()
    council.ask(request)
    quorum = council.quorum(request, members, output=WRONG)
    council.agree(request, members, WRONG, quorum=quorum)
    council.chain.next_timestamp(council.chain.now() + 3 * DAY)
    council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    assert council.owed(council.requester) == COVERAGE


def test_proof_of_an_open_request_is_final(council: Council) -> None:
    request = council.request()
    council.ask(request)
    council.prove(request)
    assert council.status(request)[0] == FINAL


@pytest.mark.parametrize("evidence", [b"", b"\3", b"\2", b"\xff" + bytes(64)])
def test_judge_evidence_of_no_kind_is_refused(council: Council, evidence: bytes) -> None:
    request = council.request()
    council.ask(request)
    with reverts("WrongEvidence"):
        council.chain.send(council.answering(request, proof=evidence), gas=5_000_000)


def test_judge_by_anyone_but_the_oracle_is_refused(council: Council) -> None:
    claim = (bytes(32), bytes(32), council.payee, council.payee, bytes(32), 0, bytes(32))
    with reverts("OnlyOracle", council.oracle.address, council.stranger):
        council.tell("judge", council.request().fields, claim, b"", b"", b"")


def test_stopped_committee_slashes_nobody(council: Council, members: bytes) -> None:
    request = council.request()
    council.ask(request)
    quorum = council.quorum(request, members, output=WRONG)
    council.agree(request, members, WRONG, quorum=quorum)
    words = [council.model_id, bytes(32), IMAGE, WRONG]
    proof = keccak(encode(["bytes32", "bytes32", "bytes", "bytes"], words))
    council.chain.send(council.verifier.functions.stop(*words, proof))
    with reverts("WrongClaim"):
        council.chain.send(council.refuting(request, WRONG, quorum), gas=5_000_000)
    council.settle(request, WRONG)
    assert council.status(request)[0] == RETRACTED and council.burned() == 0


# --- on-chain, when the collector is silent -------------------------------------------------------


def summoned(council: Council, members: bytes) -> Request:
    request = council.request()
    council.ask(request)
    council.summon(request)
    return request


def speak(
    council: Council, request: Request, members: bytes, places: Any, output: bytes = LOGITS
) -> None:
    """Members commit and reveal on-chain by themselves."""
    id = council.request_id(request)
    for place in places:
        member = council.member(members, place)
        word = council.commitment(member, keccak(bytes([place])), output)
        council.tell("commit", id, members, place, word, sender=member)
    council.wait(GRACE + 1)
    for place in places:
        council.tell(
            "reveal",
            id,
            members,
            place,
            council.payee,
            keccak(output),
            TRACE,
            keccak(bytes([place])),
        )


def test_summon_members_answer_without_a_collector(council: Council, members: bytes) -> None:
    """No framing: a member that the collector leaves out speaks for itself."""
    request = summoned(council, members)
    speak(council, request, members, (0, 2, 4))
    _, _, opened = council.quorum(request, members, (1, 3))
    own = [(place, 0, b"", b"", b"") for place in (0, 2, 4)]
    council.agree(request, members, quorum=(members, TRACE, sorted(own + opened)))
    assert council.status(request)[0] == PROVISIONAL


def test_summon_other_words_than_were_revealed_are_refused(
    council: Council, members: bytes
) -> None:
    request = summoned(council, members)
    speak(council, request, members, range(4))
    quorum = (members, TRACE, [(place, 0, b"", b"", b"") for place in range(5)])
    with reverts("NotRevealed", 4):
        council.agree(request, members, quorum=quorum)
    with reverts("NotRevealed", 0):
        council.agree(request, members, WRONG, quorum=quorum)


def test_summon_absent_members_are_fined_once(council: Council, members: bytes) -> None:
    request = summoned(council, members)
    id, present, absent = council.request_id(request), 0, 1
    speak(council, request, members, (present,))
    with reverts("TooEarly"):
        council.tell("fineAbsent", id, members, absent)
    council.wait(GRACE + 1)
    with reverts("NothingLeft"):
        council.tell("fineAbsent", id, members, present)
    council.tell("fineAbsent", id, members, absent)
    assert council.burned() == FINE
    assert council.seat_of(council.seat(members, absent))["stake"] == SEAT - FINE
    with reverts("NothingLeft"):
        council.tell("fineAbsent", id, members, absent)


def test_summon_who_has_no_answer_opens_the_empty_output_and_is_not_fined(
    council: Council, members: bytes
) -> None:
    """Else whoever asks for what nobody can answer would have a committee fined. It is no answer:
    no quorum of such words can be handed in, under any output."""
    request = summoned(council, members)
    id = council.request_id(request)
    speak(council, request, members, range(PLACES), b"")
    openings = [signed(place, bytes(32), bytes(65)) for place in range(QUORUM)]
    quorum = (members, TRACE, openings)
    for output, error in (
        (b"", "WrongOutputSize"),
        (LOGITS, "NotRevealed"),
        (b"\0", "NotRevealed"),
    ):
        with reverts(error):
            council.agree(request, members, output, quorum=quorum)
    council.wait(GRACE + 1)
    for place in range(PLACES):
        with reverts("NothingLeft"):
            council.tell("fineAbsent", id, members, place)
    assert council.burned() == 0 and council.status(request)[0] == OPEN


def test_summon_fines_nobody_once_the_request_is_answered(council: Council, members: bytes) -> None:
    """Who signed off-chain need not appear: the collector cannot make it absent."""
    request = summoned(council, members)
    council.agree(request, members)
    council.wait(2 * GRACE + 1)
    with reverts("WrongStatus", council.request_id(request), PROVISIONAL):
        council.tell("fineAbsent", council.request_id(request), members, 6)


def test_summon_by_a_stranger_or_twice_is_refused(council: Council, members: bytes) -> None:
    request = summoned(council, members)
    assert council.status(request)[0] == OPEN
    function = council.council.functions.summon(request.fields)
    with reverts("OnlyRequester", council.requester, council.stranger):
        council.chain.send(function, sender=council.stranger, value=PLACES * PART)
    with reverts("NothingLeft"):
        council.summon(request)


def test_commit_and_reveal_keep_to_their_times(council: Council, members: bytes) -> None:
    """Nobody commits once there is something to copy."""
    request = summoned(council, members)
    id, member = council.request_id(request), council.member(members, 0)
    word = council.commitment(member, bytes(32))
    with reverts("OnlyOwner", member, council.stranger):
        council.tell("commit", id, members, 0, word)
    council.tell("commit", id, members, 0, word, sender=member)
    opened = (id, members, 0, council.payee, keccak(LOGITS), TRACE, bytes(32))
    with reverts("TooEarly"):
        council.tell("reveal", *opened)
    council.wait(GRACE + 1)
    with reverts("TooLate"):
        council.tell("commit", id, members, 0, bytes(32), sender=member)
    with reverts("WrongCommitment", word):
        council.tell("reveal", *opened[:4], keccak(WRONG), TRACE, bytes(32))
    council.wait(GRACE)
    with reverts("TooLate"):
        council.tell("reveal", *opened)


# --- gas ------------------------------------------------------------------------------------------


def test_gas_of_a_committee_of_seven_is_that_of_the_snapshot() -> None:
    """All transactions that an answer takes, in the steady state: others were served today."""
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        council = Council(chain)
        members = council.begin(TODAY)
        gas: dict[str, int] = {}
        chain.pay(council.payee, 1)
        for nonce in range(2):
            request = council.request(nonce=nonce, deadline=START + DAY)
            gas["request"] = council.ask(request)["gasUsed"]
            gas["agreement of 5"] = council.agree(request, members)["gasUsed"]
        council.wait(WINDOW + 1)
        gas["finalise"] = council.settle(request)["gasUsed"]
        gas["in all"] = sum(gas.values())
        for nonce, places in ((2, 7), (3, 7)):
            request = council.request(nonce=nonce, deadline=START + DAY)
            council.ask(request)
            agreement = council.agree(request, members, places=range(places))
            gas["agreement of 7"] = agreement["gasUsed"]
        gas["in all, all 7"] = gas["in all"] + gas["agreement of 7"] - gas["agreement of 5"]
        gas["draw of the day"] = 0
        chain.next_timestamp((TODAY + 1) * DAY + 60)
        round = chain.call(council.beacon.functions.roundAfter((TODAY + 1) * DAY))
        chain.send(council.beacon.functions.publish(round, b""))
        gas["draw of the day"] = council.tell("draw")["gasUsed"]
    if os.environ.get("EINPROOF_UPDATE_SNAPSHOTS") == "1":
        SNAPSHOT.write_text(json.dumps(gas, indent=2) + "\n")
    assert gas == json.loads(SNAPSHOT.read_text())
    assert gas["request"] <= 70_000
    assert gas["in all, all 7"] <= 250_000


def test_stake_of_a_member_is_its_seats_only(council: Council) -> None:
    owner = council.chain.accounts[3]
    assert council.account(owner) == {
        "stake": 10 * ETHER // GWEI,
        "locked": SEAT,
        "queued": 0,
        "ready_at": 0,
        "load": 0,
        "suspended": False,
    }
