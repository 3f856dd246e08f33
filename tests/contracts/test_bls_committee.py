"""BlsCommitteeAssurance where it differs from test_committee: keys, one signature, absence, gas."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import decode
from eth_hash.auto import keccak
from web3.logs import DISCARD

from tests.contracts.bench import COVERAGE, DAY, ETHER, WRONG
from tests.contracts.bls import POSSESSION
from tests.contracts.council import (
    FINE,
    GRACE,
    PLACES,
    QUORUM,
    RULES,
    SEAT,
    SHARE,
    START,
    TRACE,
    WINDOW,
)
from tests.contracts.desk import FINAL, LOGITS, PROVISIONAL, Request
from tests.contracts.senate import AGGREGATE_TYPE, Senate
from tests.evm import Chain, Reverted, reverts

SNAPSHOT = Path(__file__).parent / "gas_bls_committee.json"
TODAY = START // DAY
EVERYONE = range(PLACES)


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[Senate, bytes]]:
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        senate = Senate(chain)
        yield senate, senate.begin(TODAY)


@pytest.fixture
def seated(built: tuple[Senate, bytes]) -> Iterator[tuple[Senate, bytes]]:
    chain = built[0].chain
    snapshot = chain.snapshot()
    yield built
    chain.restore(snapshot)


@pytest.fixture
def senate(seated: tuple[Senate, bytes]) -> Senate:
    return seated[0]


@pytest.fixture
def members(seated: tuple[Senate, bytes]) -> bytes:
    return seated[1]


def asked(senate: Senate, **fields: Any) -> Request:
    request = senate.request(**fields)
    senate.ask(request)
    return request


def bent(quorum: Any, **changes: Any) -> Any:
    """An aggregate with some of its fields replaced."""
    names = ("members", "root", "absent", "spoken", "total", "signature")
    assert set(changes) <= set(names)
    return tuple(changes.get(name, held) for name, held in zip(names, quorum, strict=True))


def bits(*places: int) -> int:
    return sum(1 << place for place in places)


# --- keys -----------------------------------------------------------------------------------------


def test_enrol_without_a_key_is_refused(senate: Senate) -> None:
    count = senate.chain.call(senate.council.functions.seatCount())
    nobody = senate.chain.accounts[1]
    with reverts("NoKey", nobody):
        senate.tell("enrol", count, sender=nobody)


def test_draw_pins_the_sum_of_the_members_keys(senate: Senate, members: bytes) -> None:
    """Of all places: an owner of two is in it twice."""
    owners = senate.owners_of(members)
    assert len(set(owners)) < len(owners) == PLACES
    held = senate.chain.call(senate.council.functions.totalOf(TODAY))
    assert bytes(held) == keccak(senate.total(members))
    assert bytes(senate.chain.call(senate.keys.functions.sum(owners))) == senate.total(members)


# --- agreement ------------------------------------------------------------------------------------


@pytest.mark.parametrize("places", [EVERYONE, range(5), (2, 3, 4, 5, 6), (0, 2, 3, 5, 6)])
def test_agree_any_m_will_do_and_are_final_after_the_window(
    senate: Senate, members: bytes, places: Any
) -> None:
    request = asked(senate)
    receipt = senate.agree(request, members, places=places)
    (event,) = senate.council.events.Agreed().process_receipt(receipt, DISCARD)
    assert event["args"]["places"] == bits(*places)
    assert senate.status(request) == (PROVISIONAL, senate.digest(), False)
    senate.wait(WINDOW + 1)
    senate.settle(request)
    assert senate.status(request)[0] == FINAL


def test_agree_fewer_than_m_members_is_refused(senate: Senate, members: bytes) -> None:
    request = asked(senate)
    with reverts("NoQuorum", QUORUM, QUORUM - 1):
        senate.agree(request, members, places=range(QUORUM - 1))


def test_agree_nobody_is_counted_twice(senate: Senate, members: bytes) -> None:
    """Neither a signature doubled, nor one place in both masks, nor one beyond the committee."""
    request = asked(senate)
    four = senate.quorum(request, members, range(4))
    message = senate.message(request)
    doubled = senate.signature(members, (0, 1, 2, 3, 3), message)
    five = senate.quorum(request, members, range(5))
    with reverts("WrongAggregate"):
        senate.agree(request, members, quorum=bent(five, signature=doubled))
    with reverts("WrongPlace", bits(3)):
        senate.agree(request, members, quorum=bent(four, spoken=bits(3)))
    with reverts("WrongPlace", bits(4, 5, 6, 7)):
        senate.agree(request, members, quorum=bent(four, absent=bits(4, 5, 6, 7)))
    with reverts("WrongPlace", bits(7)):
        senate.agree(request, members, quorum=bent(four, spoken=bits(7)))


@pytest.mark.parametrize(
    "how",
    [
        "another request",
        "another epoch",
        "another payee",
        "another output",
        "another trace",
        "a possession's tag",
        "a foreign mask",
        "a stranger's signature on top",
    ],
)
def test_agree_word_that_members_did_not_give_is_refused(
    senate: Senate, members: bytes, how: str
) -> None:
    """Replays, framing, and signatures made for something else."""
    request = asked(senate)
    quorum, places = senate.quorum(request, members), range(QUORUM)
    said = senate.message(request)
    wrong = {
        "another request": senate.message(request, id=keccak(b"other")),
        "another epoch": senate.message(request, epoch=TODAY - 1),
        "another payee": senate.message(request, payee=senate.collector),
        "another output": senate.message(request, WRONG),
        "another trace": senate.message(request, root=bytes(32)),
    }
    if how in wrong:
        bad = bent(quorum, signature=senate.signature(members, places, wrong[how]))
    elif how == "a possession's tag":
        bad = bent(quorum, signature=senate.signature(members, places, said, POSSESSION))
    elif how == "a foreign mask":  # 0 to 4 signed; 1 to 5 are said to have
        bad = bent(quorum, absent=bits(0, 6))
    else:
        bad = bent(quorum, signature=senate.signature(members, places, said, key=5))
    with reverts("WrongAggregate"):
        senate.agree(request, members, quorum=bad)
    senate.agree(request, members, quorum=quorum)


def test_agree_same_words_for_another_request_are_refused(senate: Senate, members: bytes) -> None:
    quorum = senate.quorum(asked(senate), members)
    with reverts("WrongAggregate"):
        senate.agree(asked(senate, nonce=1), members, quorum=quorum)


def test_agree_another_sum_of_keys_is_refused(senate: Senate, members: bytes) -> None:
    """A made-up sum would let one key sign for all."""
    request = asked(senate)
    quorum = senate.quorum(request, members, EVERYONE)
    alone = senate.key(senate.member(members, 0))
    signature = senate.signature(members, (0,), senate.message(request))
    with reverts("WrongTotal", TODAY):
        senate.agree(request, members, quorum=bent(quorum, total=alone, signature=signature))


def test_agree_points_that_are_none_are_refused(senate: Senate, members: bytes) -> None:
    request = asked(senate)
    quorum = senate.quorum(request, members, EVERYONE)
    with reverts("WrongAggregate"):
        senate.agree(request, members, quorum=bent(quorum, signature=bytes(128)))
    off = quorum[5][:-1] + bytes([quorum[5][-1] ^ 1])
    for bad in (off, quorum[5][:-1], b""):
        with pytest.raises(Reverted, match=r"PrecompileRefused|WrongSize"):
            senate.agree(request, members, quorum=bent(quorum, signature=bad))


def test_agree_other_members_are_refused(senate: Senate, members: bytes) -> None:
    request = asked(senate)
    quorum = senate.quorum(request, members, EVERYONE)
    with reverts("WrongMembers", TODAY):
        senate.agree(request, members, quorum=bent(quorum, members=members[24:] + members[:24]))


def test_agree_yesterdays_committee_is_refused(senate: Senate, members: bytes) -> None:
    request = asked(senate, deadline=(TODAY + 2) * DAY)
    quorum = senate.quorum(request, members, EVERYONE)
    senate.begin(TODAY + 1)
    with reverts("WrongMembers", TODAY + 1):
        senate.agree(request, members, quorum=quorum)


# --- silence, disagreement ------------------------------------------------------------------------


def spoken(senate: Senate, request: Request, members: bytes, places: Any) -> None:
    """The committee is summoned; these places commit and reveal on-chain."""
    id = senate.request_id(request)
    senate.summon(request)
    for place in places:
        member = senate.member(members, place)
        word = senate.commitment(member, keccak(bytes([place])))
        senate.tell("commit", id, members, place, word, sender=member)
    senate.wait(GRACE + 1)
    for place in places:
        claim = (senate.payee, keccak(LOGITS), TRACE, keccak(bytes([place])))
        senate.tell("reveal", id, members, place, *claim)


def test_agree_who_spoke_on_chain_counts_with_those_who_signed(
    senate: Senate, members: bytes
) -> None:
    """Nobody is left out by whoever collects."""
    request = asked(senate)
    spoken(senate, request, members, (0, 6))
    with reverts("NotRevealed", 4):
        quorum = senate.quorum(request, members, (1, 2, 3), spoken=(0, 4, 6))
        senate.agree(request, members, quorum=quorum)
    with reverts("NotRevealed", 0):
        quorum = senate.quorum(request, members, (1, 2, 3), WRONG, spoken=(0, 6))
        senate.agree(request, members, WRONG, quorum=quorum)
    senate.agree(request, members, quorum=senate.quorum(request, members, (1, 2, 3), spoken=(0, 6)))
    assert senate.status(request)[0] == PROVISIONAL


def test_agree_without_any_signature_if_enough_spoke_on_chain(
    senate: Senate, members: bytes
) -> None:
    request = asked(senate)
    spoken(senate, request, members, range(QUORUM))
    quorum = (members, TRACE, bits(*EVERYONE), bits(*range(QUORUM)), b"", b"")
    with reverts("NoQuorum", QUORUM, QUORUM - 1):
        few = bent(quorum, spoken=bits(*range(QUORUM - 1)))
        senate.agree(request, members, quorum=few)
    senate.agree(request, members, quorum=quorum)
    assert senate.status(request)[0] == PROVISIONAL


def test_summon_absent_members_are_fined(senate: Senate, members: bytes) -> None:
    request = asked(senate)
    spoken(senate, request, members, (0,))
    senate.wait(GRACE + 1)
    senate.tell("fineAbsent", senate.request_id(request), members, 1)
    assert senate.burned() == FINE


@pytest.mark.parametrize("places", [range(5), (1, 2, 3, 5, 6), EVERYONE])
def test_refute_captured_committee_is_slashed_and_nobody_else(
    senate: Senate, members: bytes, places: Any
) -> None:
    request = asked(senate)
    quorum = senate.quorum(request, members, places, WRONG)
    senate.agree(request, members, WRONG, quorum=quorum)
    senate.chain.send(senate.refuting(request, WRONG, quorum), gas=5_000_000)
    assert senate.status(request) == (FINAL, senate.digest(senate.prover), False)
    assert senate.owed(senate.requester) == COVERAGE
    assert senate.burned() >= COVERAGE
    taken = senate.burned() + senate.owed(senate.requester) + senate.owed(senate.prover)
    assert taken == len(places) * SHARE
    for place in EVERYONE:
        left = SEAT - SHARE if place in places else SEAT
        assert senate.seat_of(senate.seat(members, place))["stake"] == left


def test_refute_words_of_an_agreement_by_a_contract_are_logged(
    senate: Senate, members: bytes
) -> None:
    request = asked(senate)
    receipt = senate.through_a_contract(senate.agreeing(request, members, WRONG))
    (words,) = senate.spoken(request, receipt)
    (quorum,) = decode([AGGREGATE_TYPE], words)
    senate.chain.send(senate.refuting(request, WRONG, quorum), gas=5_000_000)
    assert senate.owed(senate.requester) == COVERAGE


def test_refute_in_the_name_of_others_is_refused(senate: Senate, members: bytes) -> None:
    """The slash goes by the same signature: nobody is framed by another mask."""
    request = asked(senate)
    quorum = senate.quorum(request, members, range(5), WRONG)
    senate.agree(request, members, WRONG, quorum=quorum)
    framed = bent(quorum, absent=bits(0, 1))
    with reverts("WrongAggregate"):
        senate.chain.send(senate.refuting(request, WRONG, framed), gas=5_000_000)
    right = senate.quorum(request, members, range(5))
    with reverts("WrongAggregate"):
        senate.chain.send(senate.refuting(request, WRONG, right), gas=5_000_000)
    assert senate.burned() == 0


def test_dissent_then_the_proof_of_what_stands_costs_the_fine(
    senate: Senate, members: bytes
) -> None:
    request = asked(senate)
    senate.agree(request, members)
    who = senate.member(members, 6)
    function = senate.council.functions.dissent(
        request.fields, senate.payee, keccak(LOGITS), members, 6
    )
    senate.chain.send(function, sender=who)
    senate.prove(request)
    assert senate.status(request)[0] == FINAL and senate.burned() == FINE


# --- gas ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seats", [32, 64])
def test_gas_of_large_committees_is_that_of_the_snapshot(seats: int) -> None:
    """Whole transactions, in the steady state; every seat has an owner of its own."""
    quorum = 2 * seats // 3 + 1
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        owners = [chain.web3.to_checksum_address(f"0x{0xB15B15 + n:040x}") for n in range(seats)]
        for owner in owners:
            chain.set_balance(owner, 20 * ETHER)
            chain.rpc("anvil_impersonateAccount", owner)
        senate = Senate(chain, (seats, quorum, *RULES[2:]), owners)
        members = senate.begin(TODAY)
        chain.pay(senate.payee, 1)
        gas: dict[str, int] = {}
        for nonce, places in enumerate((range(seats), range(seats), range(quorum))):
            request = senate.request(nonce=nonce, deadline=START + DAY)
            gas["request"] = senate.ask(request)["gasUsed"]
            used = senate.agree(request, members, places=places)["gasUsed"]
            gas[f"agreement of {len(places)}"] = used
        senate.wait(WINDOW + 1)
        gas["finalise"] = senate.settle(request)["gasUsed"]
        gas["in all"] = gas["request"] + gas[f"agreement of {seats}"] + gas["finalise"]
        chain.next_timestamp((TODAY + 1) * DAY + 60)
        round = chain.call(senate.beacon.functions.roundAfter((TODAY + 1) * DAY))
        chain.send(senate.beacon.functions.publish(round, b""))
        receipt = senate.tell("draw")
        (event,) = senate.council.events.Drawn().process_receipt(receipt, DISCARD)
        drawn = bytes(event["args"]["members"])
        gas["draw of the day"] = receipt["gasUsed"]
        request = senate.request(nonce=9, deadline=START + 2 * DAY)
        senate.ask(request)
        lie = senate.quorum(request, drawn, range(quorum), WRONG)
        senate.agree(request, drawn, WRONG, quorum=lie)
        refuted = chain.send(senate.refuting(request, WRONG, lie), gas=15_000_000)
        gas["refutation"] = refuted["gasUsed"]
    known = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    if os.environ.get("EINPROOF_SNAPSHOTS") == "write":
        SNAPSHOT.write_text(json.dumps({**known, str(seats): gas}, indent=2) + "\n")
        known[str(seats)] = gas
    assert gas == known[str(seats)]
    assert gas["request"] <= 70_000
    assert gas["in all"] <= {32: 350_000, 64: 360_000}[seats]
