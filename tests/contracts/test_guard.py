"""GuardedVerifier, and what tiers do once it was stopped. The double stands for a verifier that was
broken: with it, anything can be proved."""

from collections.abc import Iterator

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import (
    BOND,
    CLOCK,
    DAY,
    ETHER,
    GWEI,
    LAPSED,
    OVERTURNED,
    UNDECIDED,
    VOID,
    WINDOW,
    WRONG,
    Bench,
    canary,
    guard,
)
from tests.contracts.desk import (
    FINAL,
    HARNESS,
    IMAGE,
    LOGITS,
    OPEN,
    POINT,
    PROVISIONAL,
    REFUNDED,
    RETRACTED,
    SRS,
    Desk,
    program,
    register,
    with_tile,
)
from tests.evm import Chain, reverts

CONTEXT = keccak(b"any context")


@pytest.fixture(scope="module")
def built() -> Iterator[Bench]:
    with Chain.start() as chain:
        bench = Bench(chain, guarded=True)
        bench.stake()
        yield bench


@pytest.fixture
def bench(built: Bench) -> Iterator[Bench]:
    snapshot = built.chain.snapshot()
    yield built
    built.chain.restore(snapshot)


def echo(model_id: bytes, output: bytes, image: bytes = IMAGE, context: bytes = CONTEXT) -> bytes:
    return keccak(
        encode(["bytes32", "bytes32", "bytes", "bytes"], [model_id, context, image, output])
    )


def stopping(bench: Bench, output: bytes = WRONG, proof: bytes = b"") -> object:
    proof = proof or echo(bench.model_id, output)
    return bench.verifier.functions.stop(bench.model_id, CONTEXT, IMAGE, output, proof)


def stop(bench: Bench) -> None:
    bench.chain.send(stopping(bench), sender=bench.stranger)


def contradiction(
    bench: Bench, model_id: bytes = b"", outputs: tuple[bytes, bytes] = (LOGITS, WRONG)
) -> object:
    model_id = model_id or bench.model_id
    other = keccak(b"another payee's context")
    return bench.verifier.functions.stopModel(
        model_id,
        IMAGE,
        (CONTEXT, outputs[0], echo(model_id, outputs[0])),
        (other, outputs[1], echo(model_id, outputs[1], context=other)),
    )


def is_stopped(bench: Bench, model_id: bytes = b"") -> bool:
    return bool(bench.chain.call(bench.verifier.functions.isStopped(model_id or bench.model_id)))


# --- stops ----------------------------------------------------------------------------------------


def test_stop_proof_of_the_canary_stops_every_model(bench: Bench) -> None:
    assert not is_stopped(bench)
    stop(bench)
    assert is_stopped(bench) and is_stopped(bench, bytes(32))
    proof = echo(bench.model_id, LOGITS)
    with reverts("Stopped", bench.model_id):
        bench.chain.call(
            bench.verifier.functions.verify(bench.model_id, CONTEXT, IMAGE, LOGITS, proof)
        )


def test_stop_another_statement_is_refused(bench: Bench) -> None:
    with reverts("NotTheCanary", canary(bench)):
        bench.chain.send(stopping(bench, LOGITS))
    assert not is_stopped(bench)


def test_stop_without_a_proof_is_refused(bench: Bench) -> None:
    with reverts("ProofRefused"):
        bench.chain.send(stopping(bench, proof=bytes(32)))
    assert not is_stopped(bench)


def test_stop_by_another_verifiers_code_is_refused(bench: Bench) -> None:
    """Whoever could change the inner verifier's code still stops nothing, and proves nothing."""
    inner = bench.chain.call(bench.verifier.functions.inner())
    bench.chain.rpc("anvil_setCode", inner, "0x00")
    with reverts("InnerChanged"):
        bench.chain.send(stopping(bench))
    with reverts("InnerChanged"):
        bench.chain.call(bench.verifier.functions.verify(bench.model_id, CONTEXT, b"", b"", b""))


def test_stop_model_two_outputs_stop_that_model_only(bench: Bench) -> None:
    other = register(bench.chain, bench.registry, program(k=13), POINT, SRS)
    bench.chain.send(contradiction(bench), sender=bench.stranger)
    assert is_stopped(bench) and not is_stopped(bench, other)
    bench.chain.call(
        bench.verifier.functions.verify(other, CONTEXT, IMAGE, LOGITS, echo(other, LOGITS))
    )


def test_stop_model_same_output_is_refused(bench: Bench) -> None:
    with reverts("SameOutput", keccak(LOGITS)):
        bench.chain.send(contradiction(bench, outputs=(LOGITS, LOGITS)))


@pytest.mark.parametrize("wrong", [1, 2])
def test_stop_model_needs_both_proofs(bench: Bench, wrong: int) -> None:
    arguments = list(contradiction(bench).arguments)
    context, output, _ = arguments[1 + wrong]
    arguments[1 + wrong] = (context, output, bytes(32))
    with reverts("ProofRefused"):
        bench.chain.send(bench.verifier.functions.stopModel(*arguments))
    assert not is_stopped(bench)


def blinded(bench: Bench) -> bytes:
    """A model with a committed output tile: its outputs differ with their blinding."""
    code = bytearray(with_tile(program(), 25))
    code[18:22] = (20 + 64).to_bytes(4, "big")
    return register(bench.chain, bench.registry, bytes(code), POINT, SRS)


def test_stop_model_with_committed_outputs_is_refused(bench: Bench) -> None:
    """Blinded outputs: anyone can prove two for one input, and would stop any such model."""
    with reverts("OutputNotUnique"):
        bench.chain.send(contradiction(bench, blinded(bench)))


def test_constructor_development_srs_on_another_chain_is_refused() -> None:
    with Chain.start("--chain-id", "5") as chain:
        desk = Desk(chain)
        with reverts("DevelopmentSrs", 31337, 5):
            guard(desk)


# --- what tiers do then ---------------------------------------------------------------------------


def test_proof_tier_stopped_takes_no_proof_and_gives_back(bench: Bench) -> None:
    tier = bench.chain.deploy(
        "contracts/assurance/ProofAssurance.sol", bench.verifier.address, bench.registry.address
    )
    requests = [
        bench.request(nonce=n, assurance=tier.address, pin=bench.pin, terms=bytes(32))
        for n in range(2)
    ]
    for request in requests:
        bench.ask(request)
    bench.answer(requests[0])
    assert bench.status(requests[0])[0] == FINAL
    stop(bench)
    before = bench.chain.balance(bench.requester)
    bench.answer(requests[1])
    assert bench.status(requests[1])[0] == RETRACTED
    assert bench.chain.balance(bench.requester) - before == requests[1].cost


def test_optimistic_tier_stopped_gives_everything_back(bench: Bench) -> None:
    """Open, standing and disputed: payments, stake and bonds are free, and nobody is slashed."""
    requests = [bench.request(nonce=n) for n in range(4)]
    for request in requests:
        bench.ask(request)
    for request in requests[1:]:
        bench.post(request, output=WRONG)
    bench.dispute(requests[2])
    bench.dispute(requests[3], sender=bench.rival)
    stop(bench)
    bench.prove(requests[0])
    bench.wait(CLOCK + 1)
    bench.post(requests[1], output=WRONG)
    bench.prove(requests[2], output=WRONG)  # whatever evidence comes
    bench.post(requests[3], output=WRONG, sender=bench.stranger)
    assert [bench.status(request)[0] for request in requests] == 4 * [RETRACTED]
    assert [bench.outcome(request) for request in requests] == [UNDECIDED, UNDECIDED, VOID, VOID]
    assert bench.held() == 0
    account = bench.account()
    assert (account["stake"], account["locked"]) == (10 * ETHER // GWEI, 0)
    assert not account["suspended"] and bench.burned() == 0
    for request, who in ((requests[2], bench.challenger), (requests[3], bench.rival)):
        before = bench.chain.balance(who)
        bench.tell("collect", bench.request_id(request), 0)
        assert bench.chain.balance(who) - before == BOND


def test_optimistic_tier_stopped_takes_no_refutation(bench: Bench) -> None:
    """A broken verifier proves anything: after its stop that slashes nobody."""
    request = bench.posted()
    bench.chain.send(contradiction(bench))
    with reverts("WrongClaim", bench.digest()):
        bench.refute(request, LOGITS, output=WRONG)
    bench.post(request)
    assert bench.status(request)[0] == RETRACTED
    assert not bench.account()["suspended"]


def test_optimistic_tier_stopped_answer_is_given_back(bench: Bench) -> None:
    """Stops are not looked at when an answer comes (5,000 gas each): it ends likewise."""
    stop(bench)
    request = bench.posted()
    assert bench.status(request)[0] == PROVISIONAL
    bench.post(request, sender=bench.stranger)
    assert bench.status(request)[0] == RETRACTED and bench.account()["locked"] == 0


def test_close_after_a_stop_slashes_nobody(bench: Bench) -> None:
    request = bench.posted(WRONG)
    bench.dispute(request)
    bench.expire(request, 7 * DAY + 1)
    bench.chain.send(bench.refunding(request))
    stop(bench)
    bench.close(request, WRONG)
    assert (bench.status(request)[0], bench.outcome(request)) == (REFUNDED, VOID)
    assert not bench.account()["suspended"] and bench.account()["locked"] == 0


def test_stop_changes_nothing_that_is_settled(bench: Bench) -> None:
    final, lapsed = bench.posted(), bench.posted(WRONG, nonce=1)
    bench.dispute(lapsed)
    bench.wait(WINDOW + CLOCK + 1)
    bench.post(final)
    bench.post(lapsed, output=WRONG)
    stop(bench)
    with reverts("WrongStatus", bench.request_id(final), FINAL):
        bench.post(final)
    assert (bench.status(lapsed)[0], bench.outcome(lapsed)) == (RETRACTED, LAPSED)


def test_stop_of_another_version_changes_nothing_here(bench: Bench) -> None:
    request = bench.posted()
    second = bench.chain.deploy(f"{HARNESS}/EchoVerifier.sol", SRS)
    other = bench.chain.deploy(
        "contracts/assurance/GuardedVerifier.sol",
        second.address,
        bench.registry.address,
        canary(bench),
    )
    bench.chain.send(
        other.functions.stop(bench.model_id, CONTEXT, IMAGE, WRONG, echo(bench.model_id, WRONG))
    )
    assert not is_stopped(bench)
    bench.prove(request)
    assert bench.status(request)[0] == FINAL


# --- blinded outputs ------------------------------------------------------------------------------


def test_judge_blinded_output_refutes_nothing(bench: Bench) -> None:
    """The same run blinded anew has other output bytes and a valid proof: it is no refutation, or
    every honest operator of such a model could be slashed."""
    request = bench.posted(model_id=blinded(bench))
    with reverts("OutputNotUnique", request.model_id):
        bench.refute(request, LOGITS, output=WRONG)
    bench.dispute(request, LOGITS)  # prove or lose remains
    bench.prove(request)
    assert bench.status(request)[0] == FINAL


def test_judge_unanswerable_of_a_blinded_model_is_refuted(bench: Bench) -> None:
    request = bench.posted(b"\0", model_id=blinded(bench))
    bench.refute(request, b"\0", output=LOGITS)
    assert (bench.status(request)[0], bench.account()["suspended"]) == (FINAL, True)
    assert bench.outcome(request) != OVERTURNED  # nobody had disputed it


def test_status_before_a_stop_is_open(bench: Bench) -> None:
    request = bench.request()
    bench.ask(request)
    stop(bench)
    assert bench.status(request)[0] == OPEN
    bench.expire(request)
    bench.chain.send(bench.refunding(request))
    assert bench.status(request)[0] == REFUNDED
