"""The callback: prepaid gas, consumers that misbehave, and retries."""

from typing import Any

import pytest
from web3.contract import Contract

from tests.contracts.desk import (
    ACCEPT,
    BOMB,
    BURN,
    FINAL,
    LOGITS,
    REENTER,
    REVERT,
    ZERO,
    Desk,
    Request,
)
from tests.evm import Reverted, reverts


def failed(desk: Desk, manner: int = REVERT, **fields: Any) -> tuple[Contract, Request]:
    """An answered request whose consumer failed."""
    consumer = desk.puppet()
    request = desk.ask_through(consumer, **fields)
    desk.chain.send(consumer.functions.behave(manner, ZERO, b""))
    (event,) = desk.events(desk.answer(request), "CalledBack")
    assert event == {"requestId": desk.request_id(request), "delivered": False}
    return consumer, request


def test_callback_good_delivers_the_output(desk: Desk) -> None:
    consumer = desk.puppet()
    request = desk.ask_through(consumer, callback_gas=300_000)
    before = desk.chain.balance(desk.payee)
    (event,) = desk.events(desk.answer(request), "CalledBack")
    assert event == {"requestId": desk.request_id(request), "delivered": True}
    reads = consumer.functions
    assert desk.chain.call(reads.lastId()) == desk.request_id(request)
    assert desk.chain.call(reads.lastStatus()) == FINAL
    assert desk.chain.call(reads.lastOutput()) == LOGITS
    assert desk.chain.balance(desk.payee) - before == request.cost
    assert desk.status(request) == (FINAL, desk.digest(), False)


def test_callback_not_prepaid_is_not_made(desk: Desk) -> None:
    consumer = desk.puppet()
    request = desk.ask_through(consumer, callback_gas=0)
    assert desk.events(desk.answer(request), "CalledBack") == []
    assert desk.chain.call(consumer.functions.calls()) == 0
    with reverts("NothingToRetry", desk.request_id(request)):
        desk.chain.send(desk.retrying(request))


def test_callback_of_an_account_without_code_counts_as_delivered(desk: Desk) -> None:
    request = desk.request(callback_gas=50_000)
    desk.ask(request)
    (event,) = desk.events(desk.answer(request), "CalledBack")
    assert event["delivered"] is True


@pytest.mark.parametrize("manner", [REVERT, BURN, BOMB])
@pytest.mark.parametrize("callback_gas", [60_000, 2_000_000])
def test_callback_misbehaving_changes_only_its_flag(
    desk: Desk, manner: int, callback_gas: int
) -> None:
    before = desk.chain.balance(desk.payee)
    _, request = failed(desk, manner, callback_gas=callback_gas)
    assert desk.status(request) == (FINAL, desk.digest(), True)
    assert desk.chain.balance(desk.payee) - before == request.cost
    assert desk.held() == 0


@pytest.mark.parametrize("manner", [BURN, BOMB])
def test_callback_cannot_cost_more_than_was_prepaid(desk: Desk, manner: int) -> None:
    consumer = desk.puppet()
    idle = desk.ask_through(consumer, callback_gas=0)
    request = desk.ask_through(consumer, callback_gas=1_000_000)
    desk.chain.send(consumer.functions.behave(manner, ZERO, b""))
    base = desk.answer(idle)["gasUsed"]
    assert desk.answer(request)["gasUsed"] - base < 1_000_000 + 15_000


@pytest.mark.parametrize("again", ["answer", "refund", "retry"])
def test_callback_reentering_is_refused(desk: Desk, again: str) -> None:
    consumer = desk.puppet()
    request = desk.ask_through(consumer, callback_gas=500_000)
    other = desk.ask_through(consumer, nonce=1)
    function = {
        "answer": desk.answering(request),
        "refund": desk.refunding(request),
        "retry": desk.retrying(request),
    }[again]
    desk.chain.send(
        consumer.functions.behave(REENTER, desk.oracle.address, function._encode_transaction_data())
    )
    desk.answer(request)
    assert desk.chain.call(consumer.functions.calls()) == 1
    assert desk.chain.call(consumer.functions.replied()) is False
    with reverts("NothingToRetry" if again == "retry" else "WrongStatus"):
        raise Reverted(desk.chain.call(consumer.functions.reply()))
    assert desk.status(request) == (FINAL, desk.digest(), False)
    assert desk.held() == other.cost


def test_callback_may_ask_the_next_question(desk: Desk) -> None:
    consumer = desk.puppet()
    request = desk.ask_through(consumer, callback_gas=500_000)
    follow_up = desk.request(requester=consumer.address, fee=0, nonce=1)
    asking = desk.oracle.functions.request(follow_up.fields, bytes(range(128)))
    desk.chain.send(
        consumer.functions.behave(REENTER, desk.oracle.address, asking._encode_transaction_data())
    )
    desk.answer(request)
    assert desk.chain.call(consumer.functions.replied()) is True
    desk.answer(follow_up)


@pytest.mark.parametrize("callback_gas", [300_000, 2_000_000])
def test_callback_gets_its_gas_or_nothing_happens(desk: Desk, callback_gas: int) -> None:
    """For every gas limit: the answer reverts, or the consumer saw what was prepaid."""
    consumer = desk.puppet()
    request = desk.ask_through(consumer, callback_gas=callback_gas)
    dispatch = 600  # spent by the consumer's own code before it looks
    low, high = callback_gas, callback_gas + 400_000
    outcomes = []
    for gas in [*range(low, high, 20_000), *_boundary(desk, request, low, high)]:
        snapshot = desk.chain.snapshot()
        try:
            desk.answer(request, gas=gas)
            seen = desk.chain.call(consumer.functions.gasSeen())
            assert callback_gas - dispatch <= seen <= callback_gas
            outcomes.append(True)
        except Reverted:
            outcomes.append(False)
        desk.chain.restore(snapshot)
    assert True in outcomes and False in outcomes


def _boundary(desk: Desk, request: Request, low: int, high: int) -> list[int]:
    """Gas limits around the least one with which the answer goes through."""
    while high - low > 1:
        middle = (low + high) // 2
        try:
            desk.chain.call(desk.answering(request), gas=middle)
            high = middle
        except Reverted:
            low = middle
    return [high - 1, high, high + 1, high + 50, high + 1000]


def test_callback_without_enough_gas_names_what_it_needs(desk: Desk) -> None:
    request = desk.ask_through(desk.puppet(), callback_gas=1_000_000)
    with reverts("NotEnoughGas"):
        desk.answer(request, gas=900_000)


def test_retry_by_a_stranger_delivers_once(desk: Desk) -> None:
    consumer, request = failed(desk)
    desk.chain.send(consumer.functions.behave(ACCEPT, ZERO, b""))
    receipt = desk.chain.send(desk.retrying(request), sender=desk.stranger)
    assert desk.events(receipt, "CalledBack")[0]["delivered"] is True
    assert desk.chain.call(consumer.functions.lastOutput()) == LOGITS
    assert desk.status(request) == (FINAL, desk.digest(), False)
    with reverts("NothingToRetry", desk.request_id(request)):
        desk.chain.send(desk.retrying(request), sender=desk.stranger)
    assert desk.chain.call(consumer.functions.calls()) == 1


@pytest.mark.parametrize("manner", [REVERT, BURN, BOMB])
def test_retry_failing_again_changes_nothing(desk: Desk, manner: int) -> None:
    consumer, request = failed(desk)
    desk.chain.send(consumer.functions.behave(manner, ZERO, b""))
    with reverts("CallbackFailed", desk.request_id(request)):
        desk.chain.send(desk.retrying(request), gas=3_000_000)
    assert desk.status(request) == (FINAL, desk.digest(), True)


def test_retry_can_give_more_gas_than_was_prepaid(desk: Desk) -> None:
    consumer, request = failed(desk, ACCEPT, callback_gas=30_000)
    desk.chain.send(desk.retrying(request), gas=500_000)
    assert desk.chain.call(consumer.functions.gasSeen()) > 300_000


def test_retry_with_less_gas_than_was_prepaid_is_refused(desk: Desk) -> None:
    consumer, request = failed(desk, callback_gas=1_000_000)
    desk.chain.send(consumer.functions.behave(ACCEPT, ZERO, b""))
    with reverts("NotEnoughGas"):
        desk.chain.send(desk.retrying(request), gas=1_000_000)
    assert desk.status(request)[2] is True


def test_retry_with_another_claim_is_refused(desk: Desk) -> None:
    _, request = failed(desk)
    forged = LOGITS[::-1]
    with reverts("WrongClaim", desk.digest(), desk.digest(output=forged)):
        desk.chain.send(desk.retrying(request, output=forged))
    with reverts("WrongClaim", desk.digest(), desk.digest(desk.stranger)):
        desk.chain.send(desk.retrying(request, desk.stranger))


def test_retry_reentering_delivers_once(desk: Desk) -> None:
    consumer, request = failed(desk)
    again = desk.retrying(request)._encode_transaction_data()
    desk.chain.send(consumer.functions.behave(REENTER, desk.oracle.address, again))
    desk.chain.send(desk.retrying(request))
    assert desk.chain.call(consumer.functions.calls()) == 1
    assert desk.chain.call(consumer.functions.replied()) is False


def test_retry_before_any_answer_is_refused(desk: Desk) -> None:
    request = desk.ask_through(desk.puppet())
    with reverts("NothingToRetry", desk.request_id(request)):
        desk.chain.send(desk.retrying(request))
