"""The consumer that people copy from, on the Proof tier."""

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.desk import FINAL, IMAGE, LOGITS, PROVISIONAL, Desk, Request
from tests.evm import reverts

CALLBACK_GAS = 60_000
GAS_PRICE = 10**9
PREPAID = CALLBACK_GAS * GAS_PRICE
FEE = 10**15


@pytest.fixture
def classifier(desk: Desk) -> Contract:
    return desk.chain.deploy(
        "contracts/examples/DigitClassifier.sol",
        desk.oracle.address,
        desk.tier.address,
        desk.model_id,
    )


def classify(desk: Desk, classifier: Contract, value: int = FEE + PREPAID) -> Request:
    """Asks for IMAGE as an ordinary user; the request, rebuilt from its log."""
    deadline = desk.chain.now() + 3600
    receipt = desk.chain.send(
        classifier.functions.classify(IMAGE, GAS_PRICE, deadline),
        sender=desk.requester,
        value=value,
    )
    (event,) = desk.events(receipt, "Requested")
    return Request(*event["request"].values())


def test_pin_is_the_hash_of_verifier_code_and_srs(desk: Desk) -> None:
    address = desk.verifier.address
    code = keccak(bytes(desk.chain.web3.eth.get_code(address)))
    srs = desk.chain.call(desk.verifier.functions.srsId())
    words = encode(["address", "bytes32", "bytes32"], [address, code, srs])
    assert desk.pin == keccak(words)


def test_classify_good_stores_label_and_logits(desk: Desk, classifier: Contract) -> None:
    request = classify(desk, classifier)
    assert (request.requester, request.refund_to) == (classifier.address, desk.requester)
    assert (request.fee, request.cost) == (FEE, FEE + PREPAID)
    request_id = desk.request_id(request)
    with reverts("NotClassified", request_id):
        desk.chain.call(classifier.functions.answerOf(request_id))
    (event,) = desk.events(desk.answer(request), "CalledBack")
    assert event["delivered"] is True
    label, logits = desk.chain.call(classifier.functions.answerOf(request_id))
    assert label == 2, "the first of two equal maxima"
    assert logits == [3, -9, 70, 12, 70, 0, -1, 5, 6, 7]


@pytest.mark.parametrize("label", [0, 9])
def test_classify_label_at_either_end_is_found(
    desk: Desk, classifier: Contract, label: int
) -> None:
    values = [-32768] * 10
    values[label] = -32767
    output = b"".join(v.to_bytes(2, "big", signed=True) for v in values)
    request = classify(desk, classifier)
    desk.answer(request, output=output)
    answer = desk.chain.call(classifier.functions.answerOf(desk.request_id(request)))
    assert answer == [label, values]


def test_classify_twice_makes_two_requests(desk: Desk, classifier: Contract) -> None:
    first, second = classify(desk, classifier), classify(desk, classifier)
    assert (first.nonce, second.nonce) == (0, 1)
    assert desk.request_id(first) != desk.request_id(second)


def test_classify_without_the_prepaid_callback_is_refused(desk: Desk, classifier: Contract) -> None:
    with reverts("PaymentTooSmall", PREPAID, PREPAID - 1):
        classify(desk, classifier, PREPAID - 1)
    assert classify(desk, classifier, PREPAID).fee == 0


def test_classify_unanswered_comes_back_to_the_user(desk: Desk, classifier: Contract) -> None:
    request = classify(desk, classifier)
    desk.expire(request)
    before = desk.chain.balance(desk.requester)
    desk.chain.send(desk.refunding(request), sender=desk.stranger)
    assert desk.chain.balance(desk.requester) - before == request.cost


def test_classify_output_of_another_length_is_not_taken(desk: Desk, classifier: Contract) -> None:
    request = classify(desk, classifier)
    output = LOGITS + b"\0\0"
    (event,) = desk.events(desk.answer(request, output=output), "CalledBack")
    assert event["delivered"] is False
    with reverts("CallbackFailed"):
        desk.chain.send(desk.retrying(request, output=output))


def test_on_inference_from_a_stranger_is_refused(desk: Desk, classifier: Contract) -> None:
    with reverts("OnlyOracle", desk.oracle.address, desk.stranger):
        desk.chain.call(
            classifier.functions.onInference(bytes(32), FINAL, LOGITS), sender=desk.stranger
        )


def test_on_inference_not_final_is_refused(desk: Desk, classifier: Contract) -> None:
    with reverts("NotFinal", PROVISIONAL):
        desk.chain.call(
            classifier.functions.onInference(bytes(32), PROVISIONAL, LOGITS),
            sender=desk.oracle.address,
        )


def test_callback_gas_prepaid_is_enough(desk: Desk, classifier: Contract) -> None:
    request = classify(desk, classifier)
    needed = desk.chain.web3.eth.estimate_gas(
        {
            "from": desk.oracle.address,
            "to": classifier.address,
            "data": classifier.functions.onInference(
                desk.request_id(request), FINAL, LOGITS
            )._encode_transaction_data(),
        }
    )
    assert needed - 21_000 < 0.75 * request.callback_gas
