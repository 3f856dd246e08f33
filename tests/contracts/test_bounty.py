"""Bounty: offers for proofs of pending requests, paid to who proved only, else returned."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.bench import CLOCK, ETHER, WINDOW, WRONG, Bench
from tests.contracts.desk import (
    ACCEPT,
    FINAL,
    IMAGE,
    LOGITS,
    REENTER,
    RETRACTED,
    REVERT,
    ZERO,
    Request,
)
from tests.evm import reverts

SUM = ETHER // 10


@pytest.fixture
def bounty(bench: Bench) -> Contract:
    return bench.chain.deploy("contracts/assurance/Bounty.sol", bench.oracle.address, ZERO)


def offer(bench: Bench, bounty: Contract, request: Request, giver: str, value: int = SUM) -> None:
    bench.chain.send(bounty.functions.offer(request.fields), sender=giver, value=value)


def earn(bench: Bench, bounty: Contract, request: Request, **claim: Any) -> None:
    payee, output = claim.get("payee", bench.operator), claim.get("output", LOGITS)
    bench.chain.send(bounty.functions.earn(request.fields, payee, output), sender=bench.stranger)


def hand_in(
    bench: Bench, request: Request, evidence: bytes, sender: str | None = None, **claim: Any
) -> None:
    """By anyone: a proof is its payee's whoever sends it."""
    payee, output = claim.get("payee", bench.operator), claim.get("output", LOGITS)
    function = bench.oracle.functions.answer(request.fields, IMAGE, payee, output, evidence)
    bench.chain.send(function, sender=sender or bench.stranger, gas=5_000_000)


def prove(bench: Bench, bounty: Contract, request: Request, evidence: bytes, **claim: Any) -> None:
    hand_in(bench, request, evidence, **claim)
    earn(bench, bounty, request, **claim)


def reclaim(bench: Bench, bounty: Contract, request: Request, giver: str) -> int:
    before = bench.chain.balance(giver)
    bench.chain.send(bounty.functions.reclaim(request.fields, giver), sender=bench.stranger)
    return bench.chain.balance(giver) - before


def test_prove_standing_claim_earns_all_offers(bench: Bench, bounty: Contract) -> None:
    request = bench.posted()
    offer(bench, bounty, request, bench.rival)
    offer(bench, bounty, request, bench.challenger, 2 * SUM)
    id = bench.request_id(request)
    assert bench.chain.call(bounty.functions.offered(id)) == 3 * SUM
    before = bench.chain.balance(bench.operator)
    prove(bench, bounty, request, bench.proof(request))
    assert bench.status(request)[0] == FINAL
    assert bench.chain.balance(bench.operator) - before == 3 * SUM + request.cost
    for giver in (bench.rival, bench.challenger):
        with reverts("NothingLeft", id, giver):
            reclaim(bench, bounty, request, giver)
    assert bench.chain.balance(bounty.address) == 0


def test_prove_another_output_earns_the_offer(bench: Bench, bounty: Contract) -> None:
    request = bench.posted(WRONG)
    offer(bench, bounty, request, bench.rival)
    named = encode(["address", "bytes32"], [bench.operator, keccak(WRONG)])
    before = bench.chain.balance(bench.prover)
    proof = bench.proof(request, bench.prover)
    prove(bench, bounty, request, named + proof, payee=bench.prover)
    assert bench.chain.balance(bench.prover) - before == SUM + request.cost
    assert bench.account()["suspended"]


def test_prove_open_request_earns_the_offer(bench: Bench, bounty: Contract) -> None:
    request = bench.request()
    bench.ask(request)
    offer(bench, bounty, request, bench.rival)
    prove(bench, bounty, request, bench.proof(request))
    assert bench.status(request)[0] == FINAL and bench.chain.balance(bounty.address) == 0


def test_earn_by_silence_or_a_lapse_is_refused(bench: Bench, bounty: Contract) -> None:
    """Neither an operator's answer nor silence is a proof."""
    silent, given_back = bench.posted(), bench.posted(nonce=1)
    for request in (silent, given_back):
        offer(bench, bounty, request, bench.rival)
        with reverts("Pending", bench.request_id(request)):
            earn(bench, bounty, request)
    with reverts("ProofRefused"):
        hand_in(bench, silent, bytes(32))
    bench.dispute(given_back, LOGITS)
    bench.wait(WINDOW + CLOCK + 1)
    for request, status in ((silent, FINAL), (given_back, RETRACTED)):
        hand_in(bench, request, b"")
        assert bench.status(request)[0] == status
        with reverts("NotProved", bench.request_id(request)):
            earn(bench, bounty, request)
        assert reclaim(bench, bounty, request, bench.rival) == SUM


def test_earn_by_a_proof_that_the_giver_sent_first(bench: Bench, bounty: Contract) -> None:
    """Who offered saw the proof before it was mined, and handed it in past the offers: it is its
    payee's all the same, and what was offered does not return."""
    request = bench.posted(WRONG)
    offer(bench, bounty, request, bench.rival)
    named = encode(["address", "bytes32"], [bench.operator, keccak(WRONG)])
    proof = named + bench.proof(request, bench.prover)
    hand_in(bench, request, proof, sender=bench.rival, payee=bench.prover)
    with reverts("NothingLeft", bench.request_id(request), bench.rival):
        reclaim(bench, bounty, request, bench.rival)
    for claim in ({"payee": bench.rival}, {"payee": bench.prover, "output": WRONG}):
        with reverts("WrongClaim"):
            earn(bench, bounty, request, **claim)
    before = bench.chain.balance(bench.prover)
    earn(bench, bounty, request, payee=bench.prover)
    assert bench.chain.balance(bench.prover) - before == SUM
    with reverts("NothingLeft", bench.request_id(request), bench.prover):
        earn(bench, bounty, request, payee=bench.prover)


def test_earn_by_a_proof_that_a_dispute_demanded(bench: Bench, bounty: Contract) -> None:
    """How a proof came to be made does not matter."""
    request = bench.posted()
    offer(bench, bounty, request, bench.rival)
    bench.dispute(request, LOGITS)
    before = bench.chain.balance(bench.operator)
    bench.prove(request)
    earn(bench, bounty, request)
    assert bench.chain.balance(bench.operator) - before == SUM + request.cost


def test_earn_survives_a_callback_that_failed_and_was_retried(
    bench: Bench, bounty: Contract
) -> None:
    """That it was proved is kept in the word that says so of the callback."""
    puppet = bench.puppet()
    request = bench.ask_through(puppet, callback_gas=500_000)
    bench.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    offer(bench, bounty, request, bench.rival)
    hand_in(bench, request, bench.proof(request))
    assert bench.status(request)[::2] == (FINAL, True)
    assert bench.chain.call(bench.oracle.functions.wasProved(bench.request_id(request)))
    bench.chain.send(puppet.functions.behave(ACCEPT, ZERO, b""))
    retry = bench.oracle.functions.retryCallback(request.fields, bench.operator, LOGITS)
    bench.chain.send(retry, gas=5_000_000)
    assert bench.status(request)[::2] == (FINAL, False)
    earn(bench, bounty, request)
    assert bench.chain.balance(bounty.address) == 0


def test_reclaim_settled_otherwise_returns_the_offer(bench: Bench, bounty: Contract) -> None:
    request = bench.posted()
    offer(bench, bounty, request, bench.rival)
    with reverts("Pending", bench.request_id(request)):
        reclaim(bench, bounty, request, bench.rival)
    bench.wait(WINDOW + 1)
    bench.post(request)
    assert not bench.chain.call(bench.oracle.functions.wasProved(bench.request_id(request)))
    assert reclaim(bench, bounty, request, bench.rival) == SUM
    with reverts("NothingLeft"):
        reclaim(bench, bounty, request, bench.rival)
    with reverts("NothingLeft"):
        reclaim(bench, bounty, request, bench.challenger)


def test_offer_for_what_is_not_pending_is_refused(bench: Bench, bounty: Contract) -> None:
    request = bench.request()
    with reverts("NotPending", bench.request_id(request)):
        offer(bench, bounty, request, bench.rival)
    bench.ask(request)
    bench.prove(request)
    with reverts("NotPending", bench.request_id(request)):
        offer(bench, bounty, request, bench.rival)


def test_consumer_that_reenters_gets_nothing(bench: Bench, bounty: Contract) -> None:
    """Final already, and not yet earned: whoever is called back cannot have the offer returned."""
    puppet = bench.puppet()
    request = bench.ask_through(puppet, callback_gas=500_000)
    bench.post(request)
    offer(bench, bounty, request, bench.rival)
    data = bounty.functions.reclaim(request.fields, bench.rival)._encode_transaction_data()
    bench.chain.send(puppet.functions.behave(REENTER, bounty.address, data))
    before = bench.chain.balance(bench.operator)
    prove(bench, bounty, request, bench.proof(request))
    assert bench.chain.call(puppet.functions.replied()) is False
    assert bench.chain.balance(bench.operator) - before == SUM + request.cost
    assert bench.chain.balance(bounty.address) == 0


def test_offers_of_other_requests_are_untouched(bench: Bench, bounty: Contract) -> None:
    first, second = bench.posted(), bench.posted(nonce=1)
    for request in (first, second):
        offer(bench, bounty, request, bench.rival)
    prove(bench, bounty, first, bench.proof(first))
    bench.wait(WINDOW + 1)
    bench.post(second)
    assert reclaim(bench, bounty, second, bench.rival) == SUM
