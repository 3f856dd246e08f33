"""ModerationGate on the committee tier: what is judged is what is posted, if it is agreed on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.contract import Contract
from web3.logs import DISCARD

from tests.contracts.bench import DAY, HOUR
from tests.contracts.council import CLOCK, QUORUM_TYPE, START, WINDOW, Council, Opening
from tests.contracts.desk import FINAL, REFUNDED, RETRACTED, Desk, Request
from tests.contracts.examples import (
    HARMFUL,
    HARMLESS,
    answer_of,
    asked,
    framed,
    pieces,
    proof_of,
    registered,
)
from tests.evm import Chain, reverts
from tests.onchain import Deployment
from tests.proving import srs_of

ETHER, GWEI = 10**18, 10**9
HARMLESS_POSTS, HARMFUL_POSTS = list(HARMLESS.values()), list(HARMFUL.values())
GOOD, BAD = b"\0\2\0\1", b"\0\1\0\2"
UNKNOWN, PENDING, PUBLISHED, REJECTED, WITHDRAWN, LAPSED = range(6)


def board(desk: Desk, model_id: bytes) -> Contract:
    source = "contracts/examples/ModerationGate.sol"
    return desk.chain.deploy(source, desk.oracle.address, desk.council.address, model_id)


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


def submit(
    council: Council, gate: Contract, ids: list[int] = HARMLESS_POSTS[0]
) -> tuple[Request, bytes]:
    function = gate.functions.submit(ids, GWEI, council.chain.now() + HOUR)
    receipt = council.chain.send(function, sender=council.requester, value=ETHER // 100)
    (event,) = gate.events.Submitted().process_receipt(receipt, DISCARD)
    request, input = asked(council, receipt)
    assert event["args"]["ids"] == ids, "what readers see"
    assert event["args"]["postId"] == council.request_id(request)
    assert request.input_hash == keccak(input)
    assert input == cells(ids), "what is judged"
    return request, input


def cells(ids: list[int]) -> bytes:
    """The model's input for a post."""
    return b"".join(i.to_bytes(2, "big") for i in framed(ids))


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


@pytest.mark.parametrize("ids", [[999], [30_521], [2003] * 30, [1000, 999, 30_521, 2003] * 7])
def test_input_is_the_post_between_its_marks(
    council: Council, gate: Contract, ids: list[int]
) -> None:
    assert council.chain.call(gate.functions.inputOf(ids)) == cells(ids)


@pytest.mark.parametrize("count", [0, 31, 32, 300])
def test_submit_post_of_another_size_is_refused(
    council: Council, gate: Contract, count: int
) -> None:
    with reverts("WrongPostSize", 30, count):
        submit(council, gate, [2003] * count)


@pytest.mark.parametrize("id", [0, 1, 100, 101, 102, 103, 998, 30_522, 0x7FFF, 0x8000, 0xFFFF])
@pytest.mark.parametrize("place", [0, 29])
def test_submit_what_is_no_piece_is_refused(
    council: Council, gate: Contract, place: int, id: int
) -> None:
    """Padding would hide what follows from the model; marks and unused ids, from readers."""
    ids = [2003] * 30
    ids[place] = id
    with reverts("NotAPiece", place, id):
        submit(council, gate, ids)


def test_submit_for_less_than_the_callback_is_refused(council: Council, gate: Contract) -> None:
    function = gate.functions.submit([2003], GWEI, council.chain.now() + HOUR)
    with reverts("PaymentTooSmall", 50_000 * GWEI, 50_000 * GWEI - 1):
        council.chain.call(function, sender=council.requester, value=50_000 * GWEI - 1)


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
        deployment = Deployment.make(chain, srs_of(None, 14))
        session = registered(deployment, pieces, 14)
        council = Council(chain, registry=deployment.registry, verifier=deployment.verifier)
        gate = board(council, session.model.id)
        members = council.begin(START // DAY)
        for ids, expected in ((HARMLESS_POSTS[0], PUBLISHED), (HARMFUL_POSTS[0], REJECTED)):
            request, input = submit(council, gate, ids)
            output = answer_of(session, input)
            agree(council, request, input, members, output)
            assert settle(council, request, input, output)
            assert standing(council, gate, request) == expected

        request, input = submit(council, gate, HARMFUL_POSTS[1])
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
