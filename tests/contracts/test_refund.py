"""InferenceOracle.refund: when, to whom, and once."""

import pytest

from tests.contracts.desk import (
    FINAL,
    NONE,
    PROVISIONAL,
    REENTER,
    REFUNDED,
    REVERT,
    ZERO,
    Desk,
)
from tests.evm import reverts

CONTEST = 7 * 86400


def test_refund_by_a_stranger_pays_the_refund_address(desk: Desk) -> None:
    request = desk.request(refund_to=desk.payee, callback_gas=100_000)
    desk.ask(request)
    desk.expire(request)
    before = desk.chain.balance(desk.payee)
    receipt = desk.chain.send(desk.refunding(request), sender=desk.stranger)
    assert desk.events(receipt, "Returned") == [
        {
            "requestId": desk.request_id(request),
            "refundTo": desk.payee,
            "status": REFUNDED,
            "amount": request.cost,
        }
    ]
    assert desk.chain.balance(desk.payee) - before == request.cost
    assert desk.status(request) == (REFUNDED, bytes(32), False)
    assert desk.held() == 0


def test_refund_in_the_last_second_is_too_early(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.expire(request, 0)
    with reverts("DeadlineNotPassed", request.deadline, request.deadline):
        desk.chain.send(desk.refunding(request))


def test_refund_twice_is_refused(desk: Desk) -> None:
    request, other = desk.request(), desk.request(nonce=1)
    desk.ask(request)
    desk.ask(other)
    desk.expire(request)
    desk.chain.send(desk.refunding(request))
    with reverts("WrongStatus", desk.request_id(request), REFUNDED):
        desk.chain.send(desk.refunding(request))
    assert desk.held() == other.cost


def test_refund_of_an_answered_request_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.answer(request)
    desk.expire(request)
    with reverts("WrongStatus", desk.request_id(request), FINAL):
        desk.chain.send(desk.refunding(request))


def test_refund_of_a_request_never_made_is_refused(desk: Desk) -> None:
    request = desk.request()
    desk.expire(request)
    with reverts("WrongStatus", desk.request_id(request), NONE):
        desk.chain.send(desk.refunding(request))


def test_refund_to_one_who_refuses_is_credited(desk: Desk) -> None:
    puppet = desk.puppet()
    request = desk.ask_through(puppet)
    desk.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    desk.expire(request)
    desk.chain.send(desk.refunding(request))
    assert desk.credit(puppet.address) == desk.held() == request.cost


def test_refund_reentering_pays_once(desk: Desk) -> None:
    puppet = desk.puppet()
    request = desk.ask_through(puppet)
    other = desk.ask_through(puppet, nonce=1)
    again = desk.refunding(request)._encode_transaction_data()
    desk.chain.send(puppet.functions.behave(REENTER, desk.oracle.address, again))
    desk.expire(request)
    desk.chain.send(desk.refunding(request))
    assert desk.chain.balance(puppet.address) + desk.credit(puppet.address) == request.cost
    assert desk.held() == other.cost + desk.credit(puppet.address)


def test_refund_when_no_verifier_is_left_is_still_paid(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    for contract in (desk.verifier, desk.tier, desk.registry):
        desk.chain.rpc("anvil_setCode", contract.address, "0x")
    desk.expire(request)
    desk.chain.send(desk.refunding(request))
    assert desk.held() == 0


@pytest.mark.parametrize(("seconds", "good"), [(1, False), (CONTEST, False), (CONTEST + 1, True)])
def test_refund_of_a_provisional_answer_waits_seven_days(
    desk: Desk, seconds: int, good: bool
) -> None:
    request = desk.request(assurance=desk.scripted.address)
    desk.ask(request)
    desk.answer(request, proof=bytes([PROVISIONAL]))
    desk.expire(request, seconds)
    if good:
        desk.chain.send(desk.refunding(request))
        assert desk.status(request)[0] == REFUNDED
    else:
        with reverts("DeadlineNotPassed", request.deadline + CONTEST):
            desk.chain.send(desk.refunding(request))


def test_refund_ether_forced_in_is_nobodys(desk: Desk) -> None:
    desk.chain.set_balance(desk.oracle.address, 10**18)
    request = desk.request()
    desk.ask(request)
    desk.answer(request)
    assert desk.held() == 10**18
