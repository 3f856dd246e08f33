"""InferenceOracle.deliver: provisional answers, for consumers that want them."""

import pytest
from web3.contract import Contract

from tests.contracts.bench import CLOCK, DAY, WINDOW, WRONG, Bench
from tests.contracts.desk import (
    FINAL,
    LOGITS,
    OPEN,
    PROVISIONAL,
    REENTER,
    REFUNDED,
    RETRACTED,
    REVERT,
    ZERO,
    Request,
)
from tests.evm import reverts


def want(bench: Bench, puppet: Contract, wanted: bool = True) -> None:
    call = bench.oracle.functions.wantProvisional(wanted)._encode_transaction_data()
    bench.chain.send(puppet.functions.behave(REENTER, bench.oracle.address, call))
    bench.chain.pay(puppet.address, 1)
    bench.chain.send(puppet.functions.behave(0, ZERO, b""))


def standing(bench: Bench, output: bytes = LOGITS) -> tuple[Contract, Request]:
    """A consumer that wants provisional answers, and one that stands for it."""
    puppet = bench.puppet()
    want(bench, puppet)
    request = bench.ask_through(puppet)
    bench.post(request, output=output)
    return puppet, request


def deliver(bench: Bench, request: Request, output: bytes = LOGITS) -> None:
    function = bench.oracle.functions.deliver(request.fields, bench.operator, output)
    bench.chain.send(function, sender=bench.stranger, gas=3_000_000)


def taken(bench: Bench, puppet: Contract) -> tuple[int, int, bytes]:
    functions = puppet.functions
    calls, status, output = (
        bench.chain.call(getattr(functions, name)())
        for name in ("calls", "lastStatus", "lastOutput")
    )
    return calls, status, bytes(output)


def test_deliver_provisional_once_then_final(bench: Bench) -> None:
    puppet, request = standing(bench)
    deliver(bench, request)
    assert taken(bench, puppet) == (1, PROVISIONAL, LOGITS)
    assert bench.status(request) == (PROVISIONAL, bench.digest(), False)
    with reverts("NothingToDeliver", bench.request_id(request)):
        deliver(bench, request)
    bench.wait(WINDOW + 1)
    bench.post(request)
    assert taken(bench, puppet) == (2, FINAL, LOGITS)
    with reverts("WrongStatus", bench.request_id(request), FINAL):
        deliver(bench, request)


def test_deliver_retraction_of_what_was_delivered(bench: Bench) -> None:
    puppet, request = standing(bench, WRONG)
    deliver(bench, request, WRONG)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG)
    assert bench.status(request)[0] == RETRACTED
    deliver(bench, request, WRONG)
    assert taken(bench, puppet) == (2, RETRACTED, WRONG)
    with reverts("NothingToDeliver", bench.request_id(request)):
        deliver(bench, request, WRONG)


def test_deliver_refund_of_what_was_delivered(bench: Bench) -> None:
    puppet, request = standing(bench)
    deliver(bench, request)
    bench.expire(request, 7 * DAY + 1)
    bench.chain.send(bench.refunding(request))
    deliver(bench, request)
    assert taken(bench, puppet) == (2, REFUNDED, LOGITS)
    bench.close(request)  # what the word says of the claim is not changed by that
    assert bench.account()["locked"] == 0


def test_deliver_retraction_of_what_was_not_delivered_is_refused(bench: Bench) -> None:
    _, request = standing(bench, WRONG)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG)
    with reverts("NothingToDeliver", bench.request_id(request)):
        deliver(bench, request, WRONG)


def test_deliver_to_one_who_did_not_ask_is_refused(bench: Bench) -> None:
    """Consumers that take every call for a final answer are never called with another."""
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.post(request)
    with reverts("NotWanted", puppet.address):
        deliver(bench, request)
    want(bench, puppet)
    deliver(bench, request)
    want(bench, puppet, wanted=False)
    other = bench.ask_through(puppet, nonce=1)
    bench.post(other)
    with reverts("NotWanted", puppet.address):
        deliver(bench, other)


def test_deliver_another_output_is_refused(bench: Bench) -> None:
    puppet, request = standing(bench)
    with reverts("WrongClaim", bench.digest(), bench.digest(output=WRONG)):
        deliver(bench, request, WRONG)
    assert taken(bench, puppet)[0] == 0


def test_deliver_unanswered_is_refused(bench: Bench) -> None:
    puppet = bench.puppet()
    want(bench, puppet)
    request = bench.ask_through(puppet)
    with reverts("WrongStatus", bench.request_id(request), OPEN):
        deliver(bench, request)


def test_deliver_to_one_who_reverts_changes_nothing(bench: Bench) -> None:
    puppet, request = standing(bench)
    bench.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    with reverts("CallbackFailed", bench.request_id(request)):
        deliver(bench, request)
    bench.chain.send(puppet.functions.behave(0, ZERO, b""))
    deliver(bench, request)
    assert taken(bench, puppet)[0] == 1


def test_deliver_with_less_gas_than_was_prepaid_is_refused(bench: Bench) -> None:
    _, request = standing(bench)
    function = bench.oracle.functions.deliver(request.fields, bench.operator, LOGITS)
    with reverts("NotEnoughGas"):
        bench.chain.send(function, sender=bench.stranger, gas=200_000)


@pytest.mark.parametrize("again", [True, False])
def test_deliver_to_one_who_reenters_is_told_once(bench: Bench, again: bool) -> None:
    puppet, request = standing(bench)
    functions = bench.oracle.functions
    move = (
        functions.deliver(request.fields, bench.operator, LOGITS)
        if again
        else functions.refund(request.fields)
    )
    data = move._encode_transaction_data()
    bench.chain.send(puppet.functions.behave(REENTER, bench.oracle.address, data))
    deliver(bench, request)
    assert bench.chain.call(puppet.functions.replied()) is False
    assert taken(bench, puppet)[0] == 1
