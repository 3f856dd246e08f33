"""InferenceOracle.request: what is refused, what is kept, what is logged."""

from dataclasses import replace

import pytest
from eth_hash.auto import keccak

from tests.contracts.desk import IMAGE, OPEN, ZERO, Desk
from tests.evm import reverts


def test_request_good_is_open_and_held(desk: Desk) -> None:
    request = desk.request(callback_gas=50_000)
    desk.ask(request)
    assert desk.status(request) == (OPEN, bytes(32), False)
    assert desk.held() == request.cost == 10**15 + 50_000 * 10**9


def test_request_good_is_rebuilt_from_its_log(desk: Desk) -> None:
    request = desk.request(callback_gas=7, nonce=2**256 - 1)
    (event,) = desk.events(desk.ask(request), "Requested")
    assert tuple(event["request"].values()) == request.fields
    assert event["input"] == IMAGE
    assert event["requestId"] == desk.request_id(request)
    assert (event["modelId"], event["requester"]) == (request.model_id, request.requester)


def test_request_ids_and_contexts_match_the_formulas(desk: Desk) -> None:
    request = desk.request()
    ids = desk.oracle.functions
    assert desk.chain.call(ids.idOf(request.fields)) == desk.request_id(request)
    context = desk.chain.call(ids.contextOf(request.fields, desk.payee))
    assert context == desk.context(request, desk.payee)
    assert desk.chain.call(ids.claimDigest(desk.payee, b"out")) == desk.digest(output=b"out")
    assert desk.chain.call(ids.cost(5, 3, 2)) == 11


def test_request_id_depends_on_every_field(desk: Desk) -> None:
    plain = desk.request()
    others = {
        "requester": desk.stranger,
        "refund_to": desk.stranger,
        "model_id": bytes([1]) * 32,
        "input_hash": bytes(32),
        "assurance": desk.stranger,
        "pin": bytes(32),
        "terms": bytes([1]) * 32,
        "fee": 1,
        "callback_gas_price": 1,
        "callback_gas": 1,
        "deadline": 1,
        "nonce": 1,
    }
    assert set(others) == set(plain.__dataclass_fields__)
    ids = {desk.request_id(replace(plain, **{k: v})) for k, v in others.items()}
    assert len(ids | {desk.request_id(plain)}) == 13


def test_request_twice_is_refused_and_another_nonce_is_not(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    with reverts("DuplicateRequest", desk.request_id(request)):
        desk.ask(request)
    desk.ask(replace(request, nonce=1))


def test_request_settled_cannot_be_made_again(desk: Desk) -> None:
    request = desk.request()
    desk.ask(request)
    desk.answer(request)
    with reverts("DuplicateRequest", desk.request_id(request)):
        desk.ask(request)


def test_request_for_another_requester_is_refused(desk: Desk) -> None:
    request = desk.request(requester=desk.stranger)
    with reverts("WrongRequester", desk.requester, desk.stranger):
        desk.ask(request)


def test_request_without_refund_address_is_refused(desk: Desk) -> None:
    with reverts("ZeroAddress"):
        desk.ask(desk.request(refund_to=ZERO))


@pytest.mark.parametrize("size", [0, 24_001])
def test_request_input_size_is_refused(desk: Desk, size: int) -> None:
    data = bytes(size)
    with reverts("WrongInputSize", 24_000, size):
        desk.ask(desk.request(input=data), data)


def test_request_largest_input_is_taken(desk: Desk) -> None:
    data = bytes([7]) * 24_000
    (event,) = desk.events(desk.ask(desk.request(input=data), data), "Requested")
    assert event["input"] == data


def test_request_input_with_another_hash_is_refused(desk: Desk) -> None:
    request = desk.request()
    with reverts("WrongInput", request.input_hash, keccak(b"other")):
        desk.ask(request, b"other")


@pytest.mark.parametrize("surplus", [-1, 1])
def test_request_payment_is_exact(desk: Desk, surplus: int) -> None:
    request = desk.request(callback_gas=1000)
    with reverts("WrongPayment", request.cost, request.cost + surplus):
        desk.ask(request, value=request.cost + surplus)


def test_request_callback_gas_is_capped(desk: Desk) -> None:
    desk.ask(desk.request(callback_gas=2_000_000))
    with reverts("CallbackGasTooHigh", 2_000_000, 2_000_001):
        desk.ask(desk.request(callback_gas=2_000_001))


@pytest.mark.parametrize(("offset", "good"), [(-1, False), (0, True), (1, True)])
def test_request_deadline_is_not_in_the_past(desk: Desk, offset: int, good: bool) -> None:
    now = desk.chain.now() + 100
    desk.chain.next_timestamp(now)
    request = desk.request(deadline=now + offset)
    if good:
        desk.ask(request)
    else:
        with reverts("DeadlineOutOfRange", now, now + 30 * 86400, now - 1):
            desk.ask(request)


def test_request_deadline_in_milliseconds_is_refused(desk: Desk) -> None:
    with reverts("DeadlineOutOfRange"):
        desk.ask(desk.request(deadline=desk.chain.now() * 1000))


def test_request_tier_without_code_is_refused(desk: Desk) -> None:
    with reverts("NotAContract", desk.stranger):
        desk.ask(desk.request(assurance=desk.stranger))


def test_request_unknown_model_is_refused(desk: Desk) -> None:
    with reverts("UnknownModel", bytes(32)):
        desk.ask(desk.request(model_id=bytes(32)))


def test_request_another_pin_is_refused(desk: Desk) -> None:
    with reverts("WrongPin", bytes(32), desk.pin):
        desk.ask(desk.request(pin=bytes(32)))


def test_request_terms_are_refused_by_the_proof_tier(desk: Desk) -> None:
    terms = bytes(31) + b"\1"
    with reverts("WrongTerms", bytes(32), terms):
        desk.ask(desk.request(terms=terms))


def test_request_refused_by_its_tier_keeps_nothing(desk: Desk) -> None:
    desk.chain.send(desk.scripted.functions.close())
    request = desk.request(assurance=desk.scripted.address)
    with reverts("NotAdmitted"):
        desk.ask(request)
    assert desk.status(request)[0] == 0 and desk.held() == 0


def test_request_plain_transfer_to_the_oracle_is_refused(desk: Desk) -> None:
    with reverts(""):
        desk.chain.pay(desk.oracle.address, 1)
