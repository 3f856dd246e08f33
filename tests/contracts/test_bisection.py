"""BisectionAssurance: what each move takes and refuses, and how contests end."""

from __future__ import annotations

from dataclasses import replace

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.domain.bisection import Demand, Lapse, Span, Wait
from tests.contracts.bench import (
    BOND,
    CLOCK,
    COVERAGE,
    DAY,
    GWEI,
    HOUR,
    LOCK,
    PARAMETERS,
    REWARD,
    WINDOW,
    WRONG,
    terms,
)
from tests.contracts.court import (
    LAPSED,
    MOVE_TIME,
    STAKE,
    STATE_BYTES,
    UPHELD,
    VOID,
    Court,
    court,
    lie,
    run_of,
    segment_code,
)
from tests.contracts.desk import (
    FINAL,
    IMAGE,
    POINT,
    PROVISIONAL,
    REFUNDED,
    RETRACTED,
    SRS,
    program,
    register,
    with_tile,
)
from tests.evm import Chain, reverts

SIX = run_of(6)
WHOLE = Span(0, 6)


@pytest.fixture(scope="module")
def built(anvil: Chain) -> Court:
    return court(anvil)


@pytest.fixture
def tier(built: Court, chain: Chain) -> Court:
    """Six segments, split at once."""
    return built


@pytest.fixture(scope="module")
def built_deep(anvil: Chain) -> Court:
    return court(anvil, 6, 2)


@pytest.fixture
def deep(built_deep: Court, chain: Chain) -> Court:
    """Six segments, halved."""
    return built_deep


# --- compositions -----------------------------------------------------------------------------


def test_compose_names_its_segments_by_content(tier: Court) -> None:
    types = ["bytes32", "bytes32[]"]
    expected = keccak(encode(types, [keccak(b"einproof/composition/v1"), tier.ids]))
    assert tier.model_id == expected
    functions = tier.optimistic.functions
    assert tier.chain.call(functions.segmentCount(expected)) == 6
    for i, id in enumerate(tier.ids):
        assert bytes(tier.chain.call(functions.segmentAt(expected, i))) == id
    with reverts("NoSuchPart", 6, 6):
        tier.chain.call(functions.segmentAt(expected, 6))
    assert tier.compose(tier.ids) == expected


@pytest.mark.parametrize("count", [0, 1, 513])
def test_compose_of_too_few_or_too_many_is_refused(tier: Court, count: int) -> None:
    with reverts("WrongSegmentCount", 2, 512, count):
        tier.chain.call(tier.optimistic.functions.compose(tier.ids[:1] * count))


def test_compose_of_segments_that_do_not_fit_is_refused(tier: Court) -> None:
    other = register(tier.chain, tier.registry, segment_code(9, reads=10), POINT, SRS)
    with reverts("WrongBoundary", 1, 8, 10):
        tier.compose([tier.ids[0], other])


@pytest.mark.parametrize("byte", [23, 25])
def test_compose_with_a_committed_boundary_is_refused(tier: Court, byte: int) -> None:
    """Blinded bytes have no one state: an honest challenger could be made to lose its bond."""
    size = STATE_BYTES + len(POINT)
    code = with_tile(segment_code(9, reads=size, writes=size), byte)
    before, other = (
        register(tier.chain, tier.registry, each, POINT, SRS)
        for each in (segment_code(8, writes=size), code)
    )
    with reverts("CommittedBoundary", 1):
        tier.compose([before, other])


def test_compose_under_another_srs_is_refused(tier: Court) -> None:
    srs = keccak(b"another")
    other = register(tier.chain, tier.registry, segment_code(9), POINT, srs)
    with reverts("WrongSrs", SRS, srs):
        tier.compose([tier.ids[0], other])


def test_compose_of_an_unknown_model_is_refused(tier: Court) -> None:
    with reverts("UnknownModel", bytes(32)):
        tier.compose([tier.ids[0], bytes(32)])


# --- requests ---------------------------------------------------------------------------------


def test_request_of_no_composition_is_refused(tier: Court) -> None:
    request = tier.request(model_id=tier.ids[0], input=SIX[0])
    with reverts("UnknownModel", tier.ids[0]):
        tier.ask(request, SIX[0])


def test_request_that_pins_another_version_is_refused(tier: Court) -> None:
    other = keccak(b"another version")
    request = tier.request(pin=other, input=SIX[0])
    with reverts("WrongPin", other, tier.pin):
        tier.ask(request, SIX[0])


def test_request_with_audits_is_refused(tier: Court) -> None:
    request = tier.request(terms=terms(audits=200), input=SIX[0])
    with reverts("MalformedTerms", terms(audits=200)):
        tier.ask(request, SIX[0])


def test_request_whose_contest_outlives_the_week_is_refused(deep: Court) -> None:
    """Three rounds of two moves each, a window and a prove clock: all before the oracle refunds."""
    hours = 7 * 24 - 1 - 3 - 6 - 1  # less six proving times of a minute, which take an hour more
    deep.ask(deep.request(terms=terms(hours=hours), input=SIX[0]), SIX[0])
    request = deep.request(terms=terms(hours=hours + 1), input=SIX[0])
    got = (hours + 1) * HOUR + CLOCK + 6 * MOVE_TIME
    with reverts("ContestTooLong", 7 * DAY - HOUR, got):
        deep.ask(request, SIX[0])


def test_arity_out_of_bounds_is_refused(tier: Court) -> None:
    for arity in (0, 1, 129):
        with reverts("WrongArity", 2, 128, arity):
            Court(tier.chain, 2, arity)


# --- silence ----------------------------------------------------------------------------------


def test_undisputed_claim_is_final_after_its_window(tier: Court) -> None:
    request = tier.stood(SIX)
    until = tier.since(request) + WINDOW
    with reverts("TooEarly"):
        tier.hand_in(request, SIX)
    tier.chain.next_timestamp(until + 1)
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL
    assert tier.account()["locked"] == 0


def test_first_claim_with_evidence_is_refused(tier: Court) -> None:
    """Nobody can prove a composition in one piece."""
    request = tier.request(input=SIX[0])
    tier.ask(request, SIX[0])
    with reverts("WrongEvidence", 0, 32):
        tier.prove(request, image=SIX[0], output=SIX[-1])


def test_claim_of_another_output_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    other = tier.digest(tier.operator, lie(SIX, [6])[-1])
    with reverts("WrongClaim", tier.digest(tier.operator, SIX[-1]), other):
        tier.hand_in(request, lie(SIX, [6]))


@pytest.mark.parametrize("size", [1, 32, 63, 65])
def test_evidence_that_is_no_span_is_refused(tier: Court, size: int) -> None:
    request = tier.stood(SIX)
    function = tier.oracle.functions.answer(
        request.fields, SIX[0], tier.operator, SIX[-1], bytes(size)
    )
    with reverts("WrongEvidence", 64, size):
        tier.chain.call(function)


# --- one dispute, by hand ---------------------------------------------------------------------


def test_honest_operator_keeps_its_stake_and_gets_the_bonds(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.demand(request, SIX, WHOLE)
    assert tier.game(request)["owed"] == 1
    tier.publish(request, SIX, WHOLE)
    tier.demand(request, SIX, Span(3, 4))
    with reverts("StillOwed", 1):
        tier.hand_in(request, SIX)
    tier.prove_segment(request, SIX, 3)
    tier.wait(WINDOW + 1)
    before = tier.chain.balance(tier.operator)
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL
    assert tier.outcome(request) == UPHELD
    assert tier.chain.balance(tier.operator) == before + request.cost
    for span in (WHOLE, Span(3, 4)):
        tier.collect(request, span)
        with reverts("NothingLeft", tier.request_id(request), *span):
            tier.collect(request, span)
    assert tier.chain.balance(tier.operator) == before + request.cost + 2 * BOND
    assert tier.account()["stake"] == STAKE // GWEI
    assert tier.account()["locked"] == 0


def test_false_boundary_loses_the_lock(tier: Court) -> None:
    """One segment's proof is missing: compensation, reward and burn; the payment comes back."""
    run = lie(SIX, [4, 5, 6])
    request = tier.stood(run)
    tier.demand(request, run, WHOLE)
    tier.publish(request, run, WHOLE)
    tier.demand(request, run, Span(3, 4))
    owed_by = tier.board(request, run).at(Span(3, 4)).owed_by
    assert owed_by == tier.chain.now() + CLOCK
    tier.chain.next_timestamp(owed_by)
    with reverts("TooEarly", owed_by, owed_by):
        tier.hand_in(request, run, Span(3, 4))
    tier.chain.next_timestamp(owed_by + 1)
    before = tier.chain.balance(tier.challenger)
    tier.hand_in(request, run, Span(3, 4))
    assert tier.status(request)[0] == RETRACTED
    assert tier.outcome(request) == LAPSED
    assert (tier.owed(tier.requester), tier.owed(tier.challenger)) == (COVERAGE, REWARD)
    assert tier.burned() == COVERAGE
    account = tier.account()
    assert (account["stake"], account["suspended"]) == (STAKE // GWEI - LOCK, True)
    for span in (WHOLE, Span(3, 4)):
        tier.collect(request, span)
    assert tier.chain.balance(tier.challenger) == before + 2 * BOND
    assert tier.chain.balance(tier.optimistic.address) == 0


def test_silence_after_a_demand_loses_the_lock(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.demand(request, SIX, WHOLE)
    tier.wait(MOVE_TIME + 2)
    with reverts("TooLate"):
        tier.publish(request, SIX, WHOLE)
    tier.hand_in(request, SIX, WHOLE)
    assert tier.outcome(request) == LAPSED
    assert tier.owed(tier.challenger) == REWARD


def test_late_proof_counts_until_somebody_settles(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.demand(request, SIX, WHOLE)
    tier.publish(request, SIX, WHOLE)
    tier.demand(request, SIX, Span(0, 1))
    tier.wait(CLOCK + 100)
    tier.prove_segment(request, SIX, 0)
    with reverts("NotOwed", 0, 1):
        tier.hand_in(request, SIX, Span(0, 1))
    tier.wait(WINDOW + 1)
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL


def test_every_segment_proved_makes_a_claim_final_at_once(tier: Court) -> None:
    """Up the ladder: from stake to a proof of the whole run, piece by piece."""
    request = tier.stood(SIX)
    until = tier.since(request) + WINDOW
    tier.publish(request, SIX, WHOLE)
    for segment in range(6):
        with reverts("TooEarly"):
            tier.hand_in(request, SIX)
        tier.prove_segment(request, SIX, segment)
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL
    assert tier.chain.now() < until


# --- refusals ---------------------------------------------------------------------------------


def test_demand_below_the_bond_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    with reverts("BondTooLow", BOND, BOND - 1):
        tier.demand(request, SIX, WHOLE, bond=BOND - 1)


def test_demand_after_the_window_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    until = tier.since(request) + WINDOW
    tier.chain.next_timestamp(until + 1)
    with reverts("TooLate", until, until + 1):
        tier.demand(request, SIX, WHOLE)


def test_demand_of_a_part_after_its_time_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.chain.next_timestamp(tier.since(request) + WINDOW)
    tier.demand(request, SIX, WHOLE)
    tier.publish(request, SIX, WHOLE)
    until = tier.chain.now() + MOVE_TIME
    assert tier.game(request)["until"] == until
    tier.chain.next_timestamp(until + 1)
    with reverts("TooLate", until, until + 1):
        tier.demand(request, SIX, Span(0, 1))
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL


def test_last_second_moves_leave_the_opponent_its_time(tier: Court) -> None:
    """Demand and split at the last second each: the other side has a whole clock every time."""
    run = lie(SIX, [6])
    request = tier.stood(run)
    tier.chain.next_timestamp(tier.since(request) + WINDOW)
    tier.demand(request, run, WHOLE)
    tier.chain.next_timestamp(tier.chain.now() + MOVE_TIME)
    tier.publish(request, run, WHOLE)
    tier.chain.next_timestamp(tier.chain.now() + MOVE_TIME)
    tier.demand(request, run, Span(5, 6))
    tier.wait(CLOCK + 1)
    tier.hand_in(request, run, Span(5, 6))
    assert tier.outcome(request) == LAPSED


def test_publish_by_another_than_the_operator_is_refused(tier: Court) -> None:
    """Else anyone could put false states into an operator's mouth."""
    request = tier.stood(SIX)
    with reverts("OnlyOperator", tier.operator, tier.challenger):
        tier.publish(request, lie(SIX, [3]), WHOLE, sender=tier.challenger)
    tier.chain.send(tier.vault.functions.appoint(tier.rival), sender=tier.operator)
    tier.publish(request, SIX, WHOLE, sender=tier.rival)


def test_publish_with_other_ends_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    hashes = [keccak(data) for data in SIX]
    for at, wrong in ((0, hashes[1]), (6, hashes[5])):
        states = [*hashes[:at], wrong, *hashes[at + 1 :]]
        with reverts("WrongStates", hashes[at], wrong):
            tier.publish(request, SIX, WHOLE, states=states)
    for states in (hashes[:-1], [*hashes, hashes[-1]]):
        with reverts("NoSuchPart", 7, len(states)):
            tier.publish(request, SIX, WHOLE, states=states)


def test_publish_twice_is_refused(tier: Court) -> None:
    """What was said is said."""
    request = tier.stood(SIX)
    tier.publish(request, SIX, WHOLE)
    with reverts("AlreadyGiven", 0, 6):
        tier.publish(request, lie(SIX, [2]), WHOLE)


def test_publish_of_what_nobody_can_demand_any_more_is_refused(deep: Court) -> None:
    """Or an operator could keep its own claim open, a move time after the other."""
    request = deep.stood(SIX)
    deep.publish(request, SIX, WHOLE)
    until = deep.game(request)["until"]
    deep.chain.next_timestamp(until + 1)
    with reverts("TooLate", until, until + 1):
        deep.publish(request, SIX, Span(0, 3))


def test_publish_of_a_segment_or_proof_of_more_is_refused(deep: Court) -> None:
    request = deep.stood(SIX)
    deep.publish(request, SIX, WHOLE)
    deep.publish(request, SIX, Span(0, 3))
    with reverts("WrongLength", 0, 1):
        deep.publish(request, SIX, Span(0, 1), states=[keccak(SIX[0]), keccak(SIX[1])])
    place = deep.place(request, SIX, Span(3, 6))
    function = deep.optimistic.functions.prove(
        *deep.naming(request, SIX), place, SIX[3], SIX[6], b""
    )
    with reverts("WrongLength", 3, 6):
        deep.chain.call(function)


@pytest.mark.parametrize("change", ["states", "part", "from", "to"])
def test_place_that_is_none_is_refused(tier: Court, change: str) -> None:
    request = tier.stood(SIX)
    tier.publish(request, SIX, WHOLE)
    start, stop, states, part = tier.place(request, SIX, Span(2, 3))
    places = {
        "states": ((start, stop, [*states[:3], keccak(b""), *states[4:]], part), "WrongStates"),
        "part": ((start, stop, states, 6), "NoSuchPart"),
        "from": ((start + 1, stop, states, part), "WrongStates"),
        "to": ((start, stop + 1, states, part), "WrongStates"),
    }
    place, error = places[change]
    function = tier.optimistic.functions.demand(*tier.naming(request, SIX), place)
    with reverts(error):
        tier.chain.send(function, sender=tier.challenger, value=BOND)


def test_part_of_what_is_not_split_is_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    place = (0, 6, [keccak(data) for data in SIX], 2)
    function = tier.optimistic.functions.demand(*tier.naming(request, SIX), place)
    with reverts("WrongStates", bytes(32)):
        tier.chain.send(function, sender=tier.challenger, value=BOND)


@pytest.mark.parametrize("change", ["input", "output", "proof", "context", "segment"])
def test_proof_of_another_segment_is_refused(tier: Court, change: str) -> None:
    request = tier.stood(SIX)
    tier.publish(request, SIX, WHOLE)
    data, result = SIX[2], SIX[3]
    proof = tier.segment_proof(request, 2, data, result)
    error = "ProofRefused"
    if change == "input":
        data, error = SIX[1], "WrongStates"
    elif change == "output":
        result, error = SIX[4], "WrongStates"
    elif change == "proof":
        proof = bytes(32)
    elif change == "context":
        other = tier.request(nonce=7, input=SIX[0])
        proof = tier.segment_proof(other, 2, data, result)
    else:
        proof = tier.segment_proof(request, 1, data, result)
    place = tier.place(request, SIX, Span(2, 3))
    function = tier.optimistic.functions.prove(
        *tier.naming(request, SIX), place, data, result, proof
    )
    with reverts(error):
        tier.chain.call(function)


def test_moves_on_another_claim_are_refused(tier: Court) -> None:
    """After a reorg another claim may stand: a move names the one it is about."""
    request = tier.stood(SIX)
    with reverts("WrongClaim"):
        tier.demand(request, lie(SIX, [6]), WHOLE)
    with reverts("WrongClaim"):
        tier.publish(request, lie(SIX, [6]), WHOLE)


def test_judge_by_anyone_but_the_oracle_is_refused(tier: Court) -> None:
    request = tier.request(input=SIX[0])
    claim = (bytes(32), bytes(32), tier.operator, tier.operator, bytes(32), 0, bytes(32))
    function = tier.optimistic.functions.judge(request.fields, claim, SIX[0], SIX[-1], b"")
    with reverts("OnlyOracle", tier.oracle.address):
        tier.chain.call(function)


def test_moves_on_another_tiers_request_are_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    other = replace(request, assurance=tier.scripted.address)
    with reverts("WrongTier", tier.optimistic.address, tier.scripted.address):
        tier.chain.call(
            tier.optimistic.functions.publish(
                other.fields, tier.operator, keccak(SIX[-1]), (0, 0, [], 0), [bytes(32)] * 7
            ),
            sender=tier.operator,
        )


def test_answer_above_the_free_stake_is_refused(tier: Court) -> None:
    request = tier.request(input=SIX[0], terms=terms(coverage=6 * COVERAGE))
    tier.ask(request, SIX[0])
    with reverts("CoverageAboveFreeStake"):
        tier.post(request, image=SIX[0], output=SIX[-1])


def test_vault_that_does_not_name_the_tier_is_refused(tier: Court) -> None:
    with reverts("NotATier", tier.vault.address):
        tier.chain.deploy(
            "contracts/assurance/BisectionAssurance.sol",
            tier.oracle.address,
            tier.verifier.address,
            tier.registry.address,
            tier.vault.address,
            PARAMETERS,
            2,
        )


def test_moves_after_the_end_are_refused(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.publish(request, SIX, WHOLE)
    tier.wait(WINDOW + 1)
    tier.hand_in(request, SIX)
    for move in (tier.demand, tier.publish):
        with reverts("WrongStatus", tier.request_id(request), FINAL):
            move(request, SIX, Span(0, 1))
    with reverts("WrongOutcome", 0):
        tier.collect(tier.request(nonce=5), WHOLE)


# --- the oracle's week, stops -----------------------------------------------------------------


def test_close_after_the_week_frees_what_was_not_disputed(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.expire(request, 7 * DAY + 1)
    tier.chain.send(tier.refunding(request))
    assert tier.status(request)[0] == REFUNDED
    tier.closing(request, SIX)
    assert tier.account()["locked"] == 0
    with reverts("WrongOutcome", VOID):
        tier.closing(request, SIX)


def test_close_after_the_week_slashes_what_is_overdue(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.demand(request, SIX, WHOLE)
    tier.expire(request, 7 * DAY + 1)
    tier.chain.send(tier.refunding(request))
    with reverts("NotOwed", 0, 0):
        tier.closing(request, SIX)
    tier.closing(request, SIX, WHOLE)
    assert tier.owed(tier.requester) == COVERAGE
    assert tier.account()["suspended"]


def test_suspended_operators_claims_need_every_proof(tier: Court) -> None:
    request = tier.stood(SIX)
    slashed = tier.stood(SIX, nonce=1)
    tier.demand(slashed, SIX, WHOLE)
    tier.wait(MOVE_TIME + 1)
    tier.hand_in(slashed, SIX, WHOLE)
    tier.wait(WINDOW)
    with reverts("OperatorSuspended", tier.operator):
        tier.hand_in(request, SIX)
    tier.demand(request, SIX, WHOLE, bond=0)  # after the window, and without a bond
    tier.publish(request, SIX, WHOLE)
    for segment in range(6):
        tier.prove_segment(request, SIX, segment)
    tier.hand_in(request, SIX)
    assert tier.status(request)[0] == FINAL


def test_changed_verifier_slashes_nobody(tier: Court) -> None:
    request = tier.stood(SIX)
    tier.demand(request, SIX, WHOLE)
    tier.chain.rpc("anvil_setCode", tier.verifier.address, "0x00")
    tier.wait(MOVE_TIME + 1)
    tier.hand_in(request, SIX, WHOLE)
    assert tier.outcome(request) == VOID
    assert tier.account()["stake"] == STAKE // GWEI
    before = tier.chain.balance(tier.challenger)
    tier.collect(request, WHOLE)
    assert tier.chain.balance(tier.challenger) == before + BOND


def test_proof_by_a_changed_verifier_is_refused(tier: Court) -> None:
    """The version is pinned with the request: no other code's word counts."""
    request = tier.stood(SIX)
    tier.publish(request, SIX, WHOLE)
    tier.chain.rpc("anvil_setCode", tier.verifier.address, "0x00")
    with reverts("VerifierChanged"):
        tier.prove_segment(request, SIX, 0)


def test_stopped_version_gives_everything_back(chain: Chain) -> None:
    made = court(chain, 2, 2, guarded=True)
    run = run_of(2)
    standing, asked = made.stood(run), made.request(input=run[0], nonce=1)
    made.ask(asked, run[0])
    made.demand(standing, run, Span(0, 2))
    stop_version(made)
    made.hand_in(standing, run, Span(0, 2))
    made.hand_in(asked, run, Span(0, 2))
    assert made.outcome(standing) == VOID
    assert {made.status(each)[0] for each in (standing, asked)} == {RETRACTED}
    assert made.account()["locked"] == 0


def test_stopped_segment_gives_the_claim_back(chain: Chain) -> None:
    """A segment of which two outputs were proved is proved no more: nobody is slashed for it. It
    must be owed: else whoever made a false claim could take it back by naming any such segment."""
    made = court(chain, 2, 2, guarded=True)
    run = run_of(2)
    request = made.stood(run)
    stop_model(made, made.ids[1])
    for span in (Span(0, 1), Span(1, 2)):
        with reverts("NotOwed", *span):
            made.hand_in(request, run, span)
    made.demand(request, run, Span(0, 2))
    made.publish(request, run, Span(0, 2))
    with reverts("NotOwed", 1, 2):
        made.hand_in(request, run, Span(1, 2))
    made.demand(request, run, Span(1, 2))
    made.hand_in(request, run, Span(1, 2))
    assert made.outcome(request) == VOID
    assert made.account()["stake"] == STAKE // GWEI


def stop_version(made: Court) -> None:
    """Somebody proves the canary."""
    model_id = register(made.chain, made.registry, program(), POINT, SRS)
    statement = [model_id, bytes(32), IMAGE, WRONG]
    proof = keccak(encode(["bytes32", "bytes32", "bytes", "bytes"], statement))
    made.chain.send(made.verifier.functions.stop(*statement, proof))


def stop_model(made: Court, model_id: bytes) -> None:
    types = ["bytes32", "bytes32", "bytes", "bytes"]
    proven = []
    for output in (b"one", b"two"):
        proof = keccak(encode(types, [model_id, bytes(32), b"input", output]))
        proven.append((bytes(32), output, proof))
    made.chain.send(made.verifier.functions.stopModel(model_id, b"input", *proven))


# --- several rounds ---------------------------------------------------------------------------


def test_game_of_halves_ends_at_the_false_segment(deep: Court) -> None:
    """Whole, half, segment: each side within its clocks; no proof of the last one exists."""
    run = lie(SIX, [5, 6])
    request = deep.stood(run)
    turns = []
    while deep.status(request)[0] == PROVISIONAL:
        turn = deep.challenge(request, run, SIX)
        turns.append(turn)
        if isinstance(turn, Wait) and not deep.operate(request, run, SIX):
            deep.chain.next_timestamp(turn.until + 1)
            deep.chain.rpc("evm_mine")
    spans = [turn.span for turn in turns if isinstance(turn, Demand)]
    assert spans == [WHOLE, Span(3, 6), Span(4, 6), Span(4, 5)]
    assert turns[-1] == Lapse(Span(4, 5))
    assert deep.owed(deep.challenger) == REWARD


def test_parameters_of_l2_leave_room_for_two_rounds(chain: Chain) -> None:
    delay = 24 * HOUR
    parameters = (36 * HOUR, 36 * HOUR, *PARAMETERS[2:3], delay, *PARAMETERS[4:])
    made = court(chain, 3, 128, parameters=parameters)
    made.ask(made.request(input=run_of(3)[0]), run_of(3)[0])
