"""ModerationGate on the committee tier: what is judged is what is posted, if it is agreed on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract

from tests.contracts.bench import DAY, HOUR
from tests.contracts.council import CLOCK, QUORUM_TYPE, START, WINDOW, Council, Opening
from tests.contracts.desk import FINAL, REFUNDED, RETRACTED, Desk, Request
from tests.contracts.examples import (
    HARMFUL,
    HARMLESS,
    answer_of,
    asked,
    counts,
    letters,
    proof_of,
    registered,
)
from tests.evm import Chain, reverts
from tests.onchain import Deployment
from tests.proving import srs_of

ETHER, GWEI = 10**18, 10**9
EXPONENT = 11
TEXT = HARMLESS[0]
GOOD, BAD = b"\0\2\0\1", b"\0\1\0\2"
UNKNOWN, PENDING, PUBLISHED, REJECTED, WITHDRAWN, LAPSED = range(6)


def board(desk: Desk, model_id: bytes, exponent: int = EXPONENT) -> Contract:
    return desk.chain.deploy(
        "contracts/examples/ModerationGate.sol",
        desk.oracle.address,
        desk.council.address,
        model_id,
        exponent,
    )


@pytest.fixture(scope="module")
def built() -> Iterator[tuple[Council, bytes]]:
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        council = Council(chain)
        yield council, council.begin(START // DAY)


@pytest.fixture
def council(built: tuple[Council, bytes]) -> Iterator[Council]:
    snapshot = built[0].chain.snapshot()
    yield built[0]
    built[0].chain.restore(snapshot)


@pytest.fixture
def members(built: tuple[Council, bytes]) -> bytes:
    return built[1]


@pytest.fixture
def gate(council: Council) -> Contract:
    return board(council, council.model_id)


def submit(council: Council, gate: Contract, text: str = TEXT) -> tuple[Request, bytes]:
    function = gate.functions.submit(text, GWEI, council.chain.now() + HOUR)
    return asked(
        council, council.chain.send(function, sender=council.requester, value=ETHER // 100)
    )


def agree(
    council: Council, request: Request, input: bytes, members: bytes, output: bytes
) -> tuple[bytes, bytes, list[Opening]]:
    """Hands an agreement in; the quorum that it rests on."""
    quorum = council.quorum(request, members, output=output)
    evidence = b"\1" + encode([QUORUM_TYPE], [quorum])
    function = council.answering(request, image=input, output=output, proof=evidence)
    council.chain.send(function, sender=council.collector, gas=5_000_000)
    return quorum


def settle(council: Council, request: Request, input: bytes, output: bytes) -> bool:
    council.wait(WINDOW + 1)
    function = council.answering(request, image=input, output=output, proof=b"")
    receipt = council.chain.send(function, sender=council.stranger, gas=5_000_000)
    (event,) = council.events(receipt, "CalledBack")
    return bool(event["delivered"])


def standing(council: Council, gate: Contract, request: Request) -> int:
    return int(council.chain.call(gate.functions.standingOf(council.request_id(request))))


def test_exponent_that_leaves_int16_is_refused(council: Council) -> None:
    with reverts("WrongExponent", 11, 12):
        board(council, council.model_id, 12)


@pytest.mark.parametrize("text", ["a", "Aa!\x01", "z" * 40, HARMFUL[0], "ä€ " * 20])
def test_features_are_the_counts(council: Council, gate: Contract, text: str) -> None:
    cells = council.chain.call(gate.functions.features(text))
    expected = b"".join((n << EXPONENT).to_bytes(2, "big") for n in counts(text))
    assert cells == expected


@pytest.mark.parametrize("text", ["", "x" * 281])
def test_submit_text_of_another_size_is_refused(
    council: Council, gate: Contract, text: str
) -> None:
    with reverts("WrongTextSize", 280, len(text)):
        submit(council, gate, text)


@pytest.mark.parametrize(
    ("output", "expected"), [(GOOD, PUBLISHED), (BAD, REJECTED), (b"\0\1\0\1", REJECTED)]
)
def test_post_stands_as_the_committee_agreed(
    council: Council, gate: Contract, members: bytes, output: bytes, expected: int
) -> None:
    request, input = submit(council, gate)
    agree(council, request, input, members, output)
    assert standing(council, gate, request) == PENDING, "provisional publishes nothing"
    assert settle(council, request, input, output)
    assert standing(council, gate, request) == expected


def test_withdrawn_post_is_not_published(council: Council, gate: Contract, members: bytes) -> None:
    request, input = submit(council, gate)
    id = council.request_id(request)
    with reverts("OnlyAuthor", council.requester, council.stranger):
        council.chain.send(gate.functions.withdraw(id), sender=council.stranger)
    council.chain.send(gate.functions.withdraw(id), sender=council.requester)
    agree(council, request, input, members, GOOD)
    assert not settle(council, request, input, GOOD)
    assert standing(council, gate, request) == WITHDRAWN
    with reverts("NotPending", id):
        council.chain.send(gate.functions.withdraw(id), sender=council.requester)


def test_unanswered_post_lapses_and_its_author_is_paid_back(
    council: Council, gate: Contract
) -> None:
    request, _ = submit(council, gate)
    council.expire(request)
    before = council.chain.balance(council.requester)
    council.chain.send(council.refunding(request), sender=council.stranger)
    assert council.status(request)[0] == REFUNDED
    assert council.chain.balance(council.requester) - before == ETHER // 100
    assert standing(council, gate, request) == LAPSED
    assert standing(council, gate, submit(council, gate)[0]) == PENDING


def test_disagreement_without_a_proof_publishes_nothing(
    council: Council, gate: Contract, members: bytes
) -> None:
    request, input = submit(council, gate)
    agree(council, request, input, members, GOOD)
    words = (request.fields, council.payee, keccak(GOOD), members, 6)
    council.tell("dissent", *words, sender=council.member(members, 6))
    council.wait(WINDOW + CLOCK + 1)
    function = council.answering(request, image=input, output=GOOD, proof=b"")
    council.chain.send(function, gas=5_000_000)
    assert council.status(request)[0] == RETRACTED
    assert standing(council, gate, request) == LAPSED


def test_fulfil_another_consumers_request_or_output_is_not_taken(
    council: Council, gate: Contract, members: bytes
) -> None:
    elsewhere = board(council, council.model_id)
    other, input = submit(council, elsewhere)
    id = council.request_id(other)
    with reverts("OnlyOracle", council.oracle.address, council.stranger):
        council.chain.call(gate.functions.onInference(id, FINAL, GOOD), sender=council.stranger)
    with reverts("NotPending", id):
        function = gate.functions.onInference(id, FINAL, GOOD)
        council.chain.call(function, sender=council.oracle.address)
    request, input = submit(council, gate)
    agree(council, request, input, members, GOOD * 5)
    assert not settle(council, request, input, GOOD * 5)
    assert standing(council, gate, request) == PENDING
    assert standing(council, elsewhere, other) == PENDING
    assert council.chain.call(gate.functions.standingOf(bytes(32))) == UNKNOWN


def test_callback_gas_is_enough(council: Council, gate: Contract) -> None:
    request, _ = submit(council, gate)
    function = gate.functions.onInference(council.request_id(request), FINAL, GOOD)
    data = {"to": gate.address, "data": function._encode_transaction_data()}
    needed = council.chain.web3.eth.estimate_gas({"from": council.oracle.address, **data})
    assert needed - 21_000 < 0.75 * request.callback_gas


def test_posts_are_judged_by_a_real_model_its_committee_and_a_proof() -> None:
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        deployment = Deployment.make(chain, srs_of(None, 12))
        session = registered(deployment, letters)
        council = Council(chain, registry=deployment.registry, verifier=deployment.verifier)
        gate = board(council, session.model.id, session.model.quantizer.input.exponent)
        members = council.begin(START // DAY)
        for text, expected in ((HARMLESS[0], PUBLISHED), (HARMFUL[0], REJECTED)):
            request, input = submit(council, gate, text)
            output = answer_of(session, input)
            agree(council, request, input, members, output)
            assert settle(council, request, input, output)
            assert standing(council, gate, request) == expected

        request, input = submit(council, gate, HARMFUL[1])
        output = answer_of(session, input)
        lie = output[2:] + output[:2]
        quorum = agree(council, request, input, members, lie)
        proof = proof_of(council, session, request, council.prover, input)
        kinds = ["address", "bytes32", "bytes", "bytes"]
        words = [council.payee, keccak(lie), encode([QUORUM_TYPE], [quorum]), proof]
        function = council.answering(
            request,
            payee=council.prover,
            image=input,
            output=output,
            proof=b"\2" + encode(kinds, words),
        )
        council.chain.send(function, sender=council.prover)
        assert standing(council, gate, request) == REJECTED
        assert council.owed(gate.address) == ETHER // 10 // GWEI
