"""Claims of no answer over a composition: they name where the run halts, and can be found false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.domain.bisection import Place, Span
from tests.contracts.bench import (
    BOND,
    CLOCK,
    COVERAGE,
    GWEI,
    LOCK,
    REWARD,
    UNANSWERABLE,
    WINDOW,
)
from tests.contracts.court import (
    LAPSED,
    STAKE,
    UPHELD,
    VOID,
    Court,
    court,
    fields,
    lie,
    run_of,
)
from tests.contracts.desk import RETRACTED, Request
from tests.contracts.test_bisection import stop_model
from tests.evm import Chain, Reverted, reverts

SIX = run_of(6)


@pytest.fixture(scope="module")
def built(anvil: Chain) -> Court:
    return court(anvil)


@pytest.fixture
def tier(built: Court, chain: Chain) -> Court:
    return built


def refuting(tier: Court, request: Request, run: Sequence[bytes], at: int, by: str = "") -> Any:
    """A proof of what the segment makes of that state, by whoever will send it."""
    word = keccak(
        encode(["bytes32", "uint256"], [tier.context(request, by or tier.challenger), at])
    )
    types = ["bytes32", "bytes32", "bytes", "bytes"]
    proof = keccak(encode(types, [tier.ids[at], word, run[at], run[at + 1]]))
    return tier.optimistic.functions.refute(
        request.fields, tier.operator, run[at], run[at + 1], proof
    )


def nothing(run: Sequence[bytes]) -> list[bytes]:
    """That run, as its claim has it."""
    return [*run[:-1], UNANSWERABLE]


def test_no_answer_without_its_halt_is_refused(tier: Court) -> None:
    request = tier.request(input=SIX[0])
    tier.ask(request, SIX[0])
    with reverts("WrongEvidence", 64, 0):
        tier.post(request, image=SIX[0], output=UNANSWERABLE)
    function = tier.oracle.functions.answer(
        request.fields, SIX[0], tier.operator, UNANSWERABLE, bytes(63)
    )
    with reverts("WrongEvidence", 64, 63):
        tier.chain.send(function, sender=tier.operator)
    with reverts("NoSuchPart", 6, 6):
        tier.chain.send(tier.halting(request, SIX, 6), sender=tier.operator)


def test_halt_at_the_first_segment_in_another_state_is_refused(tier: Court) -> None:
    request = tier.request(input=SIX[0])
    tier.ask(request, SIX[0])
    evidence = encode(["uint256", "bytes32"], [0, keccak(SIX[1])])
    function = tier.oracle.functions.answer(
        request.fields, SIX[0], tier.operator, UNANSWERABLE, evidence
    )
    with reverts("WrongStates", keccak(SIX[0]), keccak(SIX[1])):
        tier.chain.send(function, sender=tier.operator)


def test_answer_with_a_halt_is_refused(tier: Court) -> None:
    request = tier.request(input=SIX[0])
    tier.ask(request, SIX[0])
    evidence = encode(["uint256", "bytes32"], [1, keccak(SIX[1])])
    function = tier.oracle.functions.answer(
        request.fields, SIX[0], tier.operator, SIX[-1], evidence
    )
    with reverts("WrongEvidence", 0, 64):
        tier.chain.send(function, sender=tier.operator)


@pytest.mark.parametrize("segment", [0, 1, 4])
def test_no_answer_is_given_back_after_the_window(tier: Court, segment: int) -> None:
    request = tier.halted(SIX, segment)
    held = tier.chain.call(tier.optimistic.functions.haltOf(tier.request_id(request)))
    assert (held[0], bytes(held[1])) == (segment, keccak(SIX[segment]))
    assert tier.account()["locked"] == LOCK
    with reverts("TooEarly"):
        tier.hand_in(request, nothing(SIX))
    tier.wait(WINDOW + 1)
    tier.hand_in(request, nothing(SIX))
    assert tier.status(request)[0] == RETRACTED
    assert (tier.account()["stake"], tier.account()["locked"]) == (STAKE // GWEI, 0)


def test_halt_at_the_first_segment_leaves_nothing_to_demand(tier: Court) -> None:
    request = tier.halted(SIX, 0)
    with reverts("NothingToProve", tier.request_id(request)):
        tier.demand(request, nothing(SIX), Span(0, 6))


@pytest.mark.parametrize("segment", [0, 3, 5])
def test_false_no_answer_is_refuted_and_slashed(tier: Court, segment: int) -> None:
    """One segment's proof: an output of the one that is said to have none."""
    request = tier.halted(SIX, segment)
    tier.chain.send(refuting(tier, request, SIX, segment), sender=tier.challenger)
    with reverts("AlreadyDemanded", segment, segment + 1):
        tier.chain.send(refuting(tier, request, SIX, segment), sender=tier.challenger)
    tier.wait(WINDOW + 1)
    with reverts("StillOwed", 1):
        tier.hand_in(request, nothing(SIX))
    tier.hand_in(request, nothing(SIX), Span(segment, segment + 1))
    assert (tier.status(request)[0], tier.outcome(request)) == (RETRACTED, LAPSED)
    assert (tier.owed(tier.requester), tier.owed(tier.challenger)) == (COVERAGE, REWARD)
    assert tier.burned() == COVERAGE
    assert tier.account()["stake"] == STAKE // GWEI - LOCK


@pytest.mark.parametrize("halt", [1, 4])
def test_move_names_the_halt_of_what_it_moves(tier: Court, halt: int) -> None:
    """A claim of no answer has one digest wherever it halts: after a reorg a demand, made against a
    false halt, would be upheld by the true one, and cost its bond."""
    request = tier.halted(SIX, halt)
    function, naming = tier.optimistic.functions.demand, tier.naming(request, nothing(SIX))
    here, there = keccak(SIX[halt]), keccak(SIX[2])
    for states, part in (((), 0), ((there,), halt), ((here,), 2), ((here, there), halt)):
        said = states[0] if len(states) == 1 else bytes(32)
        with reverts("WrongStates", here, said):
            place = fields(Place(Span(0, 0), states, part))
            tier.chain.send(function(*naming, place), sender=tier.challenger, value=BOND)
    place = fields(Place(Span(0, 0), (here,), halt))
    tier.chain.send(function(*naming, place), sender=tier.challenger, value=BOND)


def test_refutation_earns_the_reward(tier: Court) -> None:
    """Who demanded the run up to its halt demanded what is true."""
    request = tier.halted(SIX, 2)
    tier.demand(request, nothing(SIX), Span(0, 2), sender=tier.rival)
    tier.chain.send(refuting(tier, request, SIX, 2), sender=tier.challenger)
    tier.hand_in(request, nothing(SIX), Span(2, 3))
    assert (tier.owed(tier.challenger), tier.owed(tier.rival)) == (REWARD, 0)


def test_refuted_claim_of_no_answer_is_lost_at_once(tier: Court) -> None:
    request = tier.halted(SIX, 2)
    tier.chain.send(refuting(tier, request, SIX, 2), sender=tier.challenger)
    tier.hand_in(request, nothing(SIX), Span(2, 3))
    assert tier.outcome(request) == LAPSED


def test_copied_refutation_is_refused(tier: Court) -> None:
    """The proof is bound to who sends it: the reward is not the copier's."""
    request = tier.halted(SIX, 2)
    with pytest.raises(Reverted):
        tier.chain.send(refuting(tier, request, SIX, 2), sender=tier.rival)
    tier.chain.send(refuting(tier, request, SIX, 2, tier.rival), sender=tier.rival)


def test_refutation_from_another_state_or_of_another_claim_is_refused(tier: Court) -> None:
    request = tier.halted(SIX, 2)
    other = lie(SIX, [2])
    with reverts("WrongStates", keccak(SIX[2]), keccak(other[2])):
        tier.chain.send(refuting(tier, request, other, 2), sender=tier.challenger)
    with pytest.raises(Reverted):  # of another segment
        word = refuting(tier, request, SIX, 1).args[-1]
        function = tier.optimistic.functions.refute(
            request.fields, tier.operator, SIX[2], SIX[3], word
        )
        tier.chain.send(function, sender=tier.challenger)
    answered = tier.stood(SIX, nonce=1)
    with reverts("WrongClaim"):
        tier.chain.send(refuting(tier, answered, SIX, 0), sender=tier.challenger)


def test_no_answer_from_a_false_state_loses_the_lock(tier: Court) -> None:
    """The run up to its halt can be demanded as any span can."""
    run = lie(SIX, [3, 4])
    request = tier.halted(run, 4)
    whole = Span(0, 4)
    tier.demand(request, nothing(run), whole)
    tier.publish(request, nothing(run), whole)
    tier.demand(request, nothing(run), Span(2, 3))
    tier.wait(CLOCK + 1)
    tier.hand_in(request, nothing(run), Span(2, 3))
    assert (tier.status(request)[0], tier.outcome(request)) == (RETRACTED, LAPSED)
    assert tier.owed(tier.challenger) == REWARD


def test_no_answer_that_is_true_keeps_the_stake_and_gets_the_bonds(tier: Court) -> None:
    request = tier.halted(SIX, 4)
    whole = Span(0, 4)
    tier.demand(request, nothing(SIX), whole)
    tier.publish(request, nothing(SIX), whole)
    for segment in range(4):
        tier.demand(request, nothing(SIX), Span(segment, segment + 1))
        tier.prove_segment(request, nothing(SIX), segment)
    with reverts("TooEarly"):  # all that can be proved is, but nobody proves that there is nothing
        tier.hand_in(request, nothing(SIX))
    tier.wait(WINDOW + 1)
    before = tier.chain.balance(tier.operator)
    tier.hand_in(request, nothing(SIX))
    assert (tier.status(request)[0], tier.outcome(request)) == (RETRACTED, UPHELD)
    assert tier.account()["stake"] == STAKE // GWEI
    for span in (whole, *(Span(i, i + 1) for i in range(4))):
        tier.collect(request, span)
    assert tier.chain.balance(tier.operator) == before + 5 * BOND


def test_bond_of_a_lone_segment_before_the_halt_is_not_stuck(tier: Court) -> None:
    """The whole is one segment then: demanded and proved, nothing is ever split."""
    request = tier.halted(SIX, 1)
    tier.demand(request, nothing(SIX), Span(0, 1))
    tier.prove_segment(request, nothing(SIX), 0)
    tier.wait(WINDOW + 1)
    tier.hand_in(request, nothing(SIX))
    assert tier.outcome(request) == UPHELD
    tier.collect(request, Span(0, 1))
    assert tier.chain.balance(tier.optimistic.address) == 0


def test_refutation_under_a_stopped_segment_slashes_nobody(chain: Chain) -> None:
    made = court(chain, 2, 2, guarded=True)
    run = run_of(2)
    request = made.halted(run, 1)
    made.chain.send(refuting(made, request, run, 1), sender=made.challenger)
    stop_model(made, made.ids[1])
    made.hand_in(request, nothing(run), Span(1, 2))
    assert made.outcome(request) == VOID
    assert made.account()["stake"] == STAKE // GWEI
