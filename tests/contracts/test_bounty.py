"""Bounty: offers for proofs of pending requests, paid to provers only, else returned."""

from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.bench import CLOCK, ETHER, WINDOW, WRONG, Bench
from tests.contracts.desk import FINAL, IMAGE, LOGITS, PROVISIONAL, REENTER, ZERO, Request
from tests.evm import reverts

SUM = ETHER // 10


@pytest.fixture
def bounty(bench: Bench) -> Contract:
    return bench.chain.deploy("contracts/assurance/Bounty.sol", bench.oracle.address, ZERO)


def offer(bench: Bench, bounty: Contract, request: Request, giver: str, value: int = SUM) -> None:
    bench.chain.send(bounty.functions.offer(request.fields), sender=giver, value=value)


def prove(bench: Bench, bounty: Contract, request: Request, evidence: bytes, **claim: Any) -> None:
    payee, output = claim.get("payee", bench.operator), claim.get("output", LOGITS)
    function = bounty.functions.prove(request.fields, IMAGE, payee, output, evidence)
    bench.chain.send(function, sender=bench.stranger, gas=5_000_000)


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


def test_prove_without_a_proof_earns_nothing(bench: Bench, bounty: Contract) -> None:
    """Neither an operator's answer nor silence is a proof."""
    request, given_back = bench.posted(), bench.posted(nonce=1)
    offer(bench, bounty, request, bench.rival)
    with reverts("NoEvidence"):
        prove(bench, bounty, request, b"")
    with reverts("ProofRefused"):
        prove(bench, bounty, request, bytes(32))
    bench.dispute(given_back, LOGITS)
    bench.wait(WINDOW + CLOCK + 1)
    with reverts("NoEvidence"):
        prove(bench, bounty, request, b"")
    assert bench.status(request)[0] == PROVISIONAL


def test_reclaim_settled_otherwise_returns_the_offer(bench: Bench, bounty: Contract) -> None:
    request = bench.posted()
    offer(bench, bounty, request, bench.rival)
    with reverts("Pending", bench.request_id(request)):
        reclaim(bench, bounty, request, bench.rival)
    bench.wait(WINDOW + 1)
    bench.post(request)
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
    with reverts("NotPending"):
        prove(bench, bounty, request, bench.proof(request))


def test_prove_consumer_that_reenters_gets_nothing(bench: Bench, bounty: Contract) -> None:
    """Final already, and not yet paid: whoever is called back cannot have the offer returned."""
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
