"""Bounty over compositions: what every segment's proof earns, and what falls short of it."""

from __future__ import annotations

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from oracle.domain.bisection import Place, Span
from tests.contracts.bench import DAY, ETHER, HOUR, UNANSWERABLE, WINDOW
from tests.contracts.court import MOVE_TIME, Court, court, fields, run_of
from tests.contracts.desk import (
    ACCEPT,
    FINAL,
    IMAGE,
    LOGITS,
    REENTER,
    REFUNDED,
    RETRACTED,
    REVERT,
    ZERO,
    Request,
)
from tests.contracts.test_bisection import stop_version
from tests.contracts.test_bounty import SUM, offer, reclaim
from tests.evm import Chain, reverts

SEGMENTS = 3
RUN = run_of(SEGMENTS)
WHOLE = Span(0, SEGMENTS)


@pytest.fixture(scope="module")
def built(anvil: Chain) -> Court:
    return court(anvil, SEGMENTS)


@pytest.fixture
def tier(built: Court, chain: Chain) -> Court:
    return built


@pytest.fixture
def bounty(tier: Court) -> Contract:
    return over(tier, tier.optimistic.address)


def over(tier: Court, compositions: str) -> Contract:
    named = (tier.oracle.address, compositions)
    return tier.chain.deploy("contracts/assurance/Bounty.sol", *named)


def earn(tier: Court, bounty: Contract, request: Request, payee: str = "") -> Any:
    claim = (payee or tier.operator, RUN[-1])
    return tier.chain.send(bounty.functions.earn(request.fields, *claim), sender=tier.stranger)


def stood(tier: Court, bounty: Contract, run: Any = RUN, **more: Any) -> Request:
    """A claim, an offer for its proof, and the states that split it."""
    request = tier.stood(run, **more)
    offer(tier, bounty, request, tier.rival)
    tier.publish(request, run, WHOLE)
    return request


def proved(tier: Court, bounty: Contract, run: Any = RUN, **more: Any) -> Request:
    """Final, by a stranger's proof of each of its segments, in any order."""
    request = stood(tier, bounty, run, **more)
    for segment in reversed(range(SEGMENTS)):
        tier.prove_segment(request, run, segment)
    tier.hand_in(request, run)
    assert tier.status(request)[0] == FINAL
    return request


def returned(tier: Court, bounty: Contract, request: Request) -> None:
    """The offer was not earned, and can be had back once."""
    with reverts("NotProved", tier.request_id(request)):
        earn(tier, bounty, request)
    assert reclaim(tier, bounty, request, tier.rival) == SUM
    with reverts("NothingLeft"):
        reclaim(tier, bounty, request, tier.rival)
    assert tier.chain.balance(bounty.address) == 0


# --- earned -----------------------------------------------------------------------------------


def test_earn_every_segment_proved_pays_the_payee_of_the_proofs(
    tier: Court, bounty: Contract
) -> None:
    request = stood(tier, bounty)
    offer(tier, bounty, request, tier.challenger, 2 * SUM)
    tier.demand(request, RUN, Span(1, 2))  # what is demanded counts as what is not
    for segment in range(SEGMENTS):
        tier.prove_segment(request, RUN, segment)
    with reverts("Pending", tier.request_id(request)):
        earn(tier, bounty, request)
    tier.hand_in(request, RUN)
    before = tier.chain.balance(tier.operator)
    earn(tier, bounty, request)
    assert tier.chain.balance(tier.operator) - before == 3 * SUM
    assert tier.chain.balance(bounty.address) == 0


def test_earn_twice_pays_once(tier: Court, bounty: Contract) -> None:
    request, other = proved(tier, bounty), stood(tier, bounty, run_of(SEGMENTS, 1), nonce=1)
    earn(tier, bounty, request)
    with reverts("NothingLeft", tier.request_id(request), tier.operator):
        earn(tier, bounty, request)
    with reverts("NothingLeft", tier.request_id(request), tier.rival):
        reclaim(tier, bounty, request, tier.rival)
    assert tier.chain.balance(bounty.address) == SUM  # the other's
    assert tier.chain.call(bounty.functions.offered(tier.request_id(other))) == SUM


def test_reclaim_of_what_was_earned_and_not_paid_yet_is_refused(
    tier: Court, bounty: Contract
) -> None:
    """No race: once it is final there is one who can have it, whoever is first."""
    request = proved(tier, bounty)
    with reverts("NothingLeft", tier.request_id(request), tier.rival):
        reclaim(tier, bounty, request, tier.rival)
    earn(tier, bounty, request)


def test_offer_for_what_is_final_is_refused(tier: Court, bounty: Contract) -> None:
    request = proved(tier, bounty)
    with reverts("NotPending", tier.request_id(request)):
        offer(tier, bounty, request, tier.rival)


# --- not earned -------------------------------------------------------------------------------


def test_earn_all_but_one_and_silence_returns_the_offer(tier: Court, bounty: Contract) -> None:
    request = stood(tier, bounty)
    for segment in range(SEGMENTS - 1):
        tier.prove_segment(request, RUN, segment)
    with reverts("Pending", tier.request_id(request)):
        reclaim(tier, bounty, request, tier.rival)
    tier.wait(WINDOW + HOUR)
    tier.hand_in(request, RUN)
    assert tier.status(request)[0] == FINAL
    returned(tier, bounty, request)


def test_earn_undisputed_returns_the_offer(tier: Court, bounty: Contract) -> None:
    request = tier.stood(RUN)
    offer(tier, bounty, request, tier.rival)
    tier.wait(WINDOW + 1)
    tier.hand_in(request, RUN)
    assert tier.status(request)[0] == FINAL
    returned(tier, bounty, request)


def test_earn_lapsed_claim_returns_the_offer(tier: Court, bounty: Contract) -> None:
    """What was proved of it does not help, and nobody else's claim comes in its place."""
    request = tier.stood(RUN)
    offer(tier, bounty, request, tier.rival)
    tier.demand(request, RUN, WHOLE)
    tier.wait(MOVE_TIME + 1)
    tier.hand_in(request, RUN, WHOLE)
    assert tier.status(request)[0] == RETRACTED
    returned(tier, bounty, request)


def test_earn_proved_and_never_handed_in_returns_the_offer(tier: Court, bounty: Contract) -> None:
    """The oracle's week gave it back: nothing is final."""
    request = stood(tier, bounty)
    for segment in range(SEGMENTS):
        tier.prove_segment(request, RUN, segment)
    tier.expire(request, 7 * DAY + 1)
    tier.chain.send(tier.refunding(request))
    assert tier.status(request)[0] == REFUNDED
    returned(tier, bounty, request)
    tier.closing(request, RUN)
    with reverts("NotProved"):
        earn(tier, bounty, request)


def test_earn_claim_of_no_answer_returns_the_offer(tier: Court, bounty: Contract) -> None:
    """The segments before its halt are proved; the claim is given back."""
    request = tier.halted(RUN, 1)
    offer(tier, bounty, request, tier.rival)
    naming = (request.fields, tier.operator, keccak(UNANSWERABLE))
    proof = tier.segment_proof(request, 0, RUN[0], RUN[1])
    whole = fields(Place(Span(0, 0), (keccak(RUN[1]),), 1))  # up to its halt
    function = tier.optimistic.functions.prove(*naming, whole, RUN[0], RUN[1], proof)
    tier.chain.send(function)
    tier.wait(WINDOW + HOUR)
    settle = (request.fields, RUN[0], tier.operator, UNANSWERABLE, b"")
    tier.chain.send(tier.oracle.functions.answer(*settle), gas=5_000_000)
    assert tier.status(request)[0] == RETRACTED
    assert tier.game(request)["proved"] == 1
    returned(tier, bounty, request)


def test_earn_stopped_version_returns_the_offer(chain: Chain) -> None:
    made = court(chain, SEGMENTS, guarded=True)
    bounty = over(made, made.optimistic.address)
    request = stood(made, bounty)
    for segment in range(SEGMENTS):
        made.prove_segment(request, RUN, segment)
    stop_version(made)
    made.hand_in(request, RUN)
    assert made.status(request)[0] == RETRACTED
    returned(made, bounty, request)


def test_earn_of_a_tier_that_the_offers_do_not_name_is_refused(tier: Court) -> None:
    """As everywhere: what is in a contract that it was not made for returns."""
    bounty = over(tier, ZERO)
    returned(tier, bounty, proved(tier, bounty))


def test_earn_what_was_never_asked_is_refused(tier: Court, bounty: Contract) -> None:
    request = tier.request()
    with reverts("NotPending", tier.request_id(request)):
        earn(tier, bounty, request)


# --- who is called ----------------------------------------------------------------------------


def vouched(tier: Court, bounty: Contract) -> tuple[Request, Contract]:
    """Final by the proof of each segment, on the stake of a contract."""
    puppet = tier.puppet()
    tier.chain.set_balance(puppet.address, 11 * ETHER)
    tier.sponsor(puppet.address)
    request = tier.request(input=RUN[0])
    tier.ask(request, RUN[0])
    offer(tier, bounty, request, tier.rival)
    tier.post(request, image=RUN[0], output=RUN[-1], payee=puppet.address)
    named = (request.fields, puppet.address, keccak(RUN[-1]))
    states = tuple(keccak(data) for data in RUN)
    split = tier.optimistic.functions.publish(*named, fields(Place(Span(0, 0), (), 0)), states)
    tier.chain.send(split, sender=tier.operator)
    for segment, id in enumerate(tier.ids):
        words = [tier.context(request, puppet.address), segment]
        word, data = keccak(encode(["bytes32", "uint256"], words)), RUN[segment : segment + 2]
        proof = keccak(encode(["bytes32", "bytes32", "bytes", "bytes"], [id, word, *data]))
        place = fields(Place(WHOLE, states, segment))
        tier.chain.send(tier.optimistic.functions.prove(*named, place, *data, proof))
    settle = (request.fields, RUN[0], puppet.address, RUN[-1], b"")
    tier.chain.send(tier.oracle.functions.answer(*settle), gas=5_000_000)
    return request, puppet


def test_earn_payee_that_reenters_is_paid_once(tier: Court, bounty: Contract) -> None:
    request, puppet = vouched(tier, bounty)
    other = stood(tier, bounty, run_of(SEGMENTS, 1), nonce=1)
    again = bounty.functions.earn(
        request.fields, puppet.address, RUN[-1]
    )._encode_transaction_data()
    tier.chain.send(puppet.functions.behave(REENTER, bounty.address, again))
    before = tier.chain.balance(puppet.address)
    earn(tier, bounty, request, puppet.address)
    assert tier.chain.call(puppet.functions.replied()) is False
    assert tier.chain.balance(puppet.address) - before == SUM
    assert tier.chain.call(bounty.functions.offered(tier.request_id(other))) == SUM


def test_earn_payee_that_refuses_keeps_its_claim(tier: Court, bounty: Contract) -> None:
    request, puppet = vouched(tier, bounty)
    tier.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    with reverts("TransferFailed", puppet.address, SUM):
        earn(tier, bounty, request, puppet.address)
    with reverts("NothingLeft"):
        reclaim(tier, bounty, request, tier.rival)
    tier.chain.send(puppet.functions.behave(ACCEPT, ZERO, b""))
    earn(tier, bounty, request, puppet.address)
    assert tier.chain.balance(bounty.address) == 0


@pytest.mark.parametrize("name", ["earn", "reclaim"])
def test_consumer_that_reenters_changes_nothing(tier: Court, bounty: Contract, name: str) -> None:
    """Called back when the claim is final: the payee's is the payee's already."""
    puppet = tier.puppet()
    request = tier.request(
        requester=puppet.address, refund_to=puppet.address, callback_gas=500_000, input=RUN[0]
    )
    asking = puppet.functions.ask(tier.oracle.address, request.fields, RUN[0])
    tier.chain.send(asking, sender=tier.requester, value=request.cost)
    offer(tier, bounty, request, tier.rival)
    tier.post(request, image=RUN[0], output=RUN[-1])
    tier.publish(request, RUN, WHOLE)
    for segment in range(SEGMENTS):
        tier.prove_segment(request, RUN, segment)
    words = (tier.operator, RUN[-1]) if name == "earn" else (tier.rival,)
    data = bounty.functions[name](request.fields, *words)._encode_transaction_data()
    tier.chain.send(puppet.functions.behave(REENTER, bounty.address, data))
    before = tier.chain.balance(tier.operator)
    tier.hand_in(request, RUN)
    assert tier.chain.call(puppet.functions.replied()) is (name == "earn")
    if name == "reclaim":
        earn(tier, bounty, request)
    assert tier.chain.balance(tier.operator) - before == SUM + request.cost
    assert tier.chain.balance(bounty.address) == 0


def test_earn_by_a_tier_of_one_proof_pays_too(tier: Court, bounty: Contract) -> None:
    """Compositions are counted by their segments; elsewhere it is the oracle that knows."""
    proving = tier.tier
    request = tier.request(
        assurance=proving.address,
        pin=bytes(tier.chain.call(proving.functions.pin())),
        terms=bytes(32),
        model_id=tier.ids[0],
    )
    tier.ask(request, IMAGE)
    offer(tier, bounty, request, tier.rival)
    tier.prove(request)
    assert tier.status(request)[0] == FINAL
    tier.chain.send(bounty.functions.earn(request.fields, tier.operator, LOGITS))
    assert tier.chain.balance(bounty.address) == 0
