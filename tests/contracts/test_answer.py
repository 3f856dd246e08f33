"""InferenceOracle.answer: who is paid, what is final, and what is refused."""

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.contracts.desk import (
    FINAL,
    IMAGE,
    JUDGING,
    LOGITS,
    NONE,
    OPEN,
    PROVISIONAL,
    REENTER,
    REFUNDED,
    RETRACTED,
    REVERT,
    ZERO,
    Desk,
)
from tests.evm import Reverted, reverts

WRONG = LOGITS[:-1] + b"\xff"


def test_answer_proved_is_final_and_pays_the_payee(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    before = desk.chain.balance(desk.payee)
    (event,) = desk.events(desk.answer(request), "Answered")
    assert event == {
        "requestId": desk.request_id(request),
        "payee": desk.payee,
        "status": FINAL,
        "output": LOGITS,
    }
    assert desk.status(request) == (FINAL, desk.digest(), False)
    assert desk.chain.balance(desk.payee) - before == request.cost
    assert desk.held() == 0


def test_answer_sent_by_a_stranger_pays_the_payee_only(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    before = desk.chain.balance(desk.payee)
    desk.chain.send(desk.answering(request), sender=desk.stranger)
    assert desk.chain.balance(desk.payee) - before == request.cost


def test_answer_with_a_copied_proof_and_another_payee_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    copied = desk.proof(request)
    with reverts("ProofRefused"):
        desk.answer(request, payee=desk.stranger, proof=copied)
    assert desk.status(request)[0] == OPEN


def test_answer_with_the_proof_of_another_request_is_refused(desk: Desk) -> None:
    first, second = desk.request(), desk.request(nonce=1)
    desk.ask(first)
    desk.ask(second)
    desk.answer(first)
    with reverts("ProofRefused"):
        desk.answer(second, proof=desk.proof(first))


def test_answer_with_another_output_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    with reverts("ProofRefused"):
        desk.answer(request, output=WRONG, proof=desk.proof(request))


def test_answer_with_another_input_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    other = IMAGE[::-1]
    with reverts("WrongInput", request.input_hash, keccak(other)):
        desk.answer(request, image=other)


def test_answer_from_another_oracle_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    ours = desk.oracle
    desk.oracle = desk.chain.deploy("contracts/oracle/InferenceOracle.sol")
    try:
        desk.ask(request)
        foreign = desk.proof(request)
    finally:
        desk.oracle = ours
    with reverts("ProofRefused"):
        desk.answer(request, proof=foreign)


@pytest.mark.parametrize("proof", [b"", bytes(32), bytes(31), bytes(33)])
def test_answer_with_a_damaged_proof_is_refused(desk: Desk, proof: bytes) -> None:
    request = desk.request()
    desk.ask(request)
    with reverts("ProofRefused"):
        desk.answer(request, proof=proof)


def test_answer_to_a_request_never_made_is_refused(desk: Desk) -> None:
    request = desk.request()
    with reverts("WrongStatus", desk.request_id(request), NONE):
        desk.answer(request)


def test_answer_with_a_field_changed_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    richer = replace(request, fee=request.fee + 1)
    with reverts("WrongStatus", desk.request_id(richer), NONE):
        desk.answer(richer)


def test_answer_twice_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.answer(request)
    with reverts("WrongStatus", desk.request_id(request), FINAL):
        desk.answer(request)
    with reverts("WrongStatus", desk.request_id(request), FINAL):
        desk.answer(request, payee=desk.stranger)


def test_answer_to_a_refunded_request_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.expire(request)
    desk.chain.send(desk.refunding(request))
    with reverts("WrongStatus", desk.request_id(request), REFUNDED):
        desk.answer(request)


def test_answer_in_the_last_second_counts(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.expire(request, 0)
    desk.answer(request)
    assert desk.status(request)[0] == FINAL


def test_answer_a_second_late_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.expire(request, 1)
    with reverts("DeadlinePassed", request.deadline, request.deadline + 1):
        desk.answer(request)


def test_answer_to_the_zero_payee_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    with reverts("ZeroAddress"):
        desk.answer(request, payee=ZERO)


@pytest.mark.parametrize("size", [0, 24_001])
def test_answer_output_size_is_refused(desk: Desk, size: int) -> None:
    request = desk.request()
    desk.ask(request)
    with reverts("WrongOutputSize", 24_000, size):
        desk.answer(request, output=bytes(size))


def test_answer_without_fee_is_possible(desk: Desk) -> None:
    request = desk.request(fee=0)
    desk.ask(request)
    desk.answer(request)
    assert desk.status(request)[0] == FINAL


def test_answer_after_the_verifier_changed_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.chain.rpc("anvil_setCode", desk.verifier.address, "0x00")
    with reverts("VerifierChanged", desk.chain.call(desk.tier.functions.codeHash()), keccak(b"\0")):
        desk.answer(request)


# --- the payee ------------------------------------------------------------------------------------


@pytest.mark.parametrize("manner", range(REVERT, REENTER))
def test_answer_payee_that_refuses_is_credited_and_withdraws(desk: Desk, manner: int) -> None:
    payee = desk.puppet()
    request = desk.request()
    desk.ask(request)
    desk.chain.send(payee.functions.behave(manner, ZERO, b""))
    receipt = desk.answer(request, payee=payee.address)
    assert desk.status(request)[0] == FINAL
    assert desk.events(receipt, "Credited") == [{"account": payee.address, "amount": request.cost}]
    assert desk.credit(payee.address) == desk.held() == request.cost
    before = desk.chain.balance(desk.stranger)
    desk.chain.send(payee.functions.withdraw(desk.oracle.address, desk.stranger))
    assert desk.chain.balance(desk.stranger) - before == request.cost
    assert desk.credit(payee.address) == desk.held() == 0


def test_answer_payee_reentering_settles_nothing_twice(desk: Desk) -> None:
    payee = desk.puppet()
    request, other = desk.request(), desk.request(nonce=1)
    desk.ask(request)
    desk.ask(other)
    again = desk.answering(request, payee=payee.address)
    desk.chain.send(
        payee.functions.behave(REENTER, desk.oracle.address, again._encode_transaction_data())
    )
    desk.answer(request, payee=payee.address)
    assert desk.status(request)[0] == FINAL
    assert desk.chain.balance(payee.address) + desk.credit(payee.address) == request.cost
    assert desk.held() == other.cost + desk.credit(payee.address)


def test_answer_gas_for_the_payment_cannot_be_withheld(desk: Desk) -> None:
    """Whatever gas is sent, a payee that takes its payment gets it, or nothing happens."""
    payee = desk.puppet()
    request = desk.request()
    desk.ask(request)
    outcomes = set()
    for gas in range(60_000, 240_000, 6_000):
        snapshot = desk.chain.snapshot()
        try:
            desk.answer(request, payee=payee.address, gas=gas)
            assert desk.chain.balance(payee.address) == request.cost
            outcomes.add("paid")
        except Reverted:
            outcomes.add("reverted")
        desk.chain.restore(snapshot)
    assert outcomes == {"paid", "reverted"}


def test_withdraw_without_credit_is_refused(desk: Desk) -> None:
    with reverts("NothingToWithdraw", desk.stranger):
        desk.chain.send(desk.oracle.functions.withdraw(desk.stranger), sender=desk.stranger)


def test_withdraw_to_one_who_refuses_keeps_the_credit(desk: Desk) -> None:
    payee = desk.puppet()
    request = desk.request()
    desk.ask(request)
    desk.chain.send(payee.functions.behave(REVERT, ZERO, b""))
    desk.answer(request, payee=payee.address)
    with reverts("TransferFailed", payee.address, request.cost):
        desk.chain.send(payee.functions.withdraw(desk.oracle.address, payee.address))
    with reverts("ZeroAddress"):
        desk.chain.send(payee.functions.withdraw(desk.oracle.address, ZERO))
    assert desk.credit(payee.address) == request.cost


def test_withdraw_reentering_takes_its_credit_once(desk: Desk) -> None:
    payee = desk.puppet()
    request, other = desk.request(), desk.request(nonce=1)
    desk.ask(request)
    desk.ask(other)
    desk.chain.send(payee.functions.behave(REVERT, ZERO, b""))
    desk.answer(request, payee=payee.address)
    again = desk.oracle.functions.withdraw(payee.address)._encode_transaction_data()
    desk.chain.send(payee.functions.behave(REENTER, desk.oracle.address, again))
    desk.chain.send(payee.functions.withdraw(desk.oracle.address, payee.address))
    assert desk.chain.call(payee.functions.replied()) is False
    assert desk.chain.balance(payee.address) == request.cost
    assert desk.held() == other.cost


# --- other tiers ----------------------------------------------------------------------------------


def test_answer_provisional_stands_unpaid_until_final(desk: Desk) -> None:
    request = desk.request(assurance=desk.scripted.address, terms=b"\1" * 32)
    desk.ask(request)
    (event,) = desk.events(desk.answer(request, proof=bytes([PROVISIONAL])), "Answered")
    assert event["status"] == PROVISIONAL
    assert desk.status(request) == (PROVISIONAL, desk.digest(), False)
    assert desk.held() == request.cost

    stood = desk.chain.now()
    desk.expire(request, 1000)  # a standing claim outlives the deadline
    before = desk.chain.balance(desk.payee)
    desk.answer(request, proof=bytes([FINAL]))
    judged = desk.chain.call(desk.scripted.functions.judged())
    _, context, sender, payee, standing, since, digest = judged
    assert standing == digest == desk.digest()
    assert (context, payee) == (desk.context(request, desk.payee), desk.payee)
    assert sender == desk.prover
    assert since == stood
    assert desk.chain.balance(desk.payee) - before == request.cost
    assert desk.status(request) == (FINAL, desk.digest(), False)


def test_answer_provisional_may_be_replaced(desk: Desk) -> None:
    request = desk.request(assurance=desk.scripted.address)
    desk.ask(request)
    desk.answer(request, proof=bytes([PROVISIONAL]))
    desk.answer(request, payee=desk.stranger, output=WRONG, proof=bytes([FINAL]))
    judged = desk.chain.call(desk.scripted.functions.judged())
    assert judged[4] == desk.digest() and judged[6] == desk.digest(desk.stranger, WRONG)
    assert desk.status(request) == (FINAL, desk.digest(desk.stranger, WRONG), False)
    assert desk.held() == 0


@pytest.mark.parametrize("standing", [False, True])
def test_answer_retracted_gives_the_payment_back(desk: Desk, standing: bool) -> None:
    request = desk.request(assurance=desk.scripted.address, refund_to=desk.stranger)
    desk.ask(request)
    if standing:
        desk.answer(request, proof=bytes([PROVISIONAL]))
    before = desk.chain.balance(desk.stranger)
    (event,) = desk.events(desk.answer(request, proof=bytes([RETRACTED])), "Returned")
    assert (event["status"], event["amount"]) == (RETRACTED, request.cost)
    assert desk.chain.balance(desk.stranger) - before == request.cost
    stood = desk.digest() if standing else bytes(32)
    assert desk.status(request) == (RETRACTED, stood, False)
    with reverts("WrongStatus", desk.request_id(request), RETRACTED):
        desk.answer(request, proof=bytes([FINAL]))


@pytest.mark.parametrize("verdict", [NONE, OPEN, JUDGING, REFUNDED])
def test_answer_status_that_is_no_verdict_is_refused(desk: Desk, verdict: int) -> None:
    request = desk.request(assurance=desk.scripted.address)
    desk.ask(request)
    with reverts("WrongVerdict", verdict):
        desk.answer(request, proof=bytes([verdict]))


def test_answer_tier_reentering_finds_the_request_locked(desk: Desk) -> None:
    request = desk.request(assurance=desk.scripted.address)
    desk.ask(request)
    desk.ask(replace(request, nonce=1))
    locked = desk.chain.web3.codec.encode(["bytes32", "uint8"], [desk.request_id(request), JUDGING])
    for function in (desk.answering(request, proof=bytes([FINAL])), desk.refunding(request)):
        snapshot = desk.chain.snapshot()
        desk.chain.send(
            desk.scripted.functions.script(desk.oracle.address, function._encode_transaction_data())
        )
        desk.answer(request, proof=bytes([FINAL]))
        assert desk.chain.call(desk.scripted.functions.replied()) is False
        assert desk.chain.call(desk.scripted.functions.reply())[4:] == locked
        assert desk.held() == request.cost
        desk.chain.restore(snapshot)
