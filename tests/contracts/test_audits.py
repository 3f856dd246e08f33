"""AuditedAssurance: claims are drawn by a beacon after their window, and drawn claims are proved or
cost the whole stake. On a development beacon, whose values a test can compute."""

from __future__ import annotations

import random
from collections.abc import Iterator
from math import ceil
from typing import Any

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak
from web3.logs import DISCARD

from tests.contracts.bench import (
    CLOCK,
    COVERAGE,
    DAY,
    ETHER,
    GWEI,
    HOUR,
    LAPSED,
    LOCK,
    REWARD,
    UNANSWERABLE,
    VOID,
    WINDOW,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.desk import FINAL, LOGITS, PROVISIONAL, REFUNDED, RETRACTED, Request
from tests.evm import Chain, reverts

GENESIS, PERIOD = 1_692_803_367, 3
STAKE = 10 * ETHER // GWEI
HALF = terms(audits=5000)


@pytest.fixture(scope="module")
def built() -> Iterator[Bench]:
    with Chain.start() as chain:
        beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
        bench = Bench(chain, guarded=True, beacon=beacon)
        bench.beacon = beacon
        bench.stake()
        yield bench


@pytest.fixture
def bench(built: Bench) -> Iterator[Bench]:
    snapshot = built.chain.snapshot()
    yield built
    built.chain.restore(snapshot)


def round_after(timestamp: int) -> int:
    return (timestamp - GENESIS) // PERIOD + 2


def deciding(since: int) -> int:
    """The round that decides about a claim: a minute after its window, and no inclusion delay."""
    return round_after(since + WINDOW + 60)


def time_of(round: int) -> int:
    return GENESIS + (round - 1) * PERIOD


def value_of(round: int) -> bytes:
    return keccak(encode(["string", "uint64"], ["einproof development beacon", round]))


def lot(bench: Bench, request: Request, round: int) -> int:
    whole = keccak(encode(["bytes32", "bytes32"], [value_of(round), bench.request_id(request)]))
    return int.from_bytes(whole, "big") % 10_000


def posted(bench: Bench, drawn: bool, output: bytes = LOGITS, first: int = 0) -> Request:
    """A claim that the beacon will draw, or will not. Only a test can look ahead like that."""
    at = bench.chain.now() + 10
    for nonce in range(first, first + 100):
        request = bench.request(nonce=nonce, terms=HALF, deadline=at + DAY)
        if (lot(bench, request, deciding(at)) < 5000) is drawn:
            break
    bench.ask(request)
    bench.chain.next_timestamp(at)
    bench.post(request, output=output)
    assert bench.since(request) == at
    return request


def publish(bench: Bench, request: Request) -> int:
    """The round that decides about a request, once its window is over."""
    round = deciding(bench.since(request))
    if bench.chain.now() < time_of(round):
        bench.chain.next_timestamp(time_of(round))
    bench.chain.send(bench.beacon.functions.publish(round, b""), sender=bench.stranger)
    return round


def outwait(bench: Bench, request: Request) -> None:
    """The round is published, and the hour over in which others may be said to be drawn."""
    publish(bench, request)
    bench.wait(HOUR + 1)


def freezing(bench: Bench, request: Request, output: bytes = LOGITS) -> Any:
    return bench.optimistic.functions.freeze(request.fields, bench.operator, keccak(output))


def stop(bench: Bench) -> None:
    """Somebody proves the canary."""
    statement = (bench.model_id, bytes(32), bytes(range(128)), WRONG)
    proof = keccak(encode(["bytes32", "bytes32", "bytes", "bytes"], statement))
    bench.chain.send(bench.verifier.functions.stop(*statement, proof))


def audit(bench: Bench, request: Request) -> tuple[int, bool, bool, int]:
    return tuple(bench.chain.call(bench.optimistic.functions.auditOf(request.fields)))


# --- terms and stake ------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0, 199, 10_001, 2**14 - 1])
def test_admit_rate_out_of_bounds_is_refused(bench: Bench, rate: int) -> None:
    with reverts("WrongAuditRate", 200, 10_000, rate):
        bench.ask(bench.request(terms=terms(audits=rate)))


def test_judge_stake_below_the_rates_is_refused(bench: Bench) -> None:
    """At 2% a claim of 1 ether needs 147 ether: 3 C (1 / a - 1)."""
    seldom = terms(audits=200)
    assert bench.chain.call(bench.optimistic.functions.leastStake(seldom)) == 147 * COVERAGE
    request = bench.request(terms=seldom)
    bench.ask(request)
    with reverts("StakeTooSmall", 147 * COVERAGE, STAKE):
        bench.post(request)
    bench.chain.set_balance(bench.operator, 1000 * ETHER)
    bench.stake(137 * ETHER - GWEI)
    with reverts("StakeTooSmall", 147 * COVERAGE, 147 * COVERAGE - 1):
        bench.post(request)
    bench.stake(GWEI)
    bench.post(request)


@pytest.mark.parametrize("rate", [200, 333, 5000, 9999, 10_000])
@pytest.mark.parametrize("coverage", [1, 7, 10**9, 2**40 - 1])
def test_least_stake_is_the_formula_rounded_up(bench: Bench, rate: int, coverage: int) -> None:
    got = bench.chain.call(
        bench.optimistic.functions.leastStake(terms(coverage=coverage, audits=rate))
    )
    assert got == ceil(3 * coverage * (10_000 - rate) / rate) or coverage > 2**30
    assert rate * (3 * coverage + got) >= 3 * coverage * 10_000  # a >= C / (C + S / 3)
    assert got == 0 or rate * (3 * coverage + got - 1) < 3 * coverage * 10_000


def test_no_set_of_cheats_pays_at_the_least_stake() -> None:
    """Gain: all coverages if no claim is drawn; loss: a third of the stake if one is."""
    dice = random.Random(1)
    for _ in range(2000):
        stake = dice.uniform(1, 100)
        coverages = [dice.uniform(0.001, 50) for _ in range(dice.randint(1, 30))]
        unseen = 1.0
        for coverage in coverages:
            unseen *= 1 - coverage / (coverage + stake / 3)
        assert unseen * sum(coverages) - (1 - unseen) * stake / 3 <= 1e-9


def test_stake_that_leaves_by_losses_of_ones_own_is_burned_for_a_third(bench: Bench) -> None:
    """A claim of almost no coverage locks the least reward, which whoever disputes oneself gets."""
    tiny = bench.request(terms=terms(coverage=1, audits=5000))
    compensation, reward, burn = bench.chain.call(bench.optimistic.functions.split(tiny.terms))
    assert compensation == 1 and burn == reward > 1000
    bench.ask(tiny)
    bench.post(tiny, output=WRONG)
    bench.dispute(tiny)
    bench.wait(CLOCK + 1)
    bench.post(tiny, output=WRONG)
    taken = compensation + reward + burn
    assert bench.account()["stake"] == STAKE - taken
    assert bench.owed(bench.challenger) == reward
    assert 3 * bench.burned() >= taken


# --- draws ----------------------------------------------------------------------------------------


def test_settle_before_the_seed_is_known_is_refused(bench: Bench) -> None:
    """Never final unaudited for want of a seed."""
    request = posted(bench, drawn=False)
    round = deciding(bench.since(request))
    bench.wait(WINDOW + DAY)
    with reverts("SeedUnknown", round):
        bench.post(request)
    outwait(bench, request)
    bench.post(request)
    assert bench.status(request)[0] == FINAL


def test_seed_is_of_a_round_after_the_window(bench: Bench) -> None:
    """It is fixed when the claim is made, and nobody knows it until nobody can dispute any more."""
    request = posted(bench, drawn=True)
    round, known, drawn, until = audit(bench, request)
    assert (known, drawn) == (False, False)
    over = bench.since(request) + WINDOW
    assert time_of(round) > over + 60 >= time_of(round - 1)
    assert until == time_of(round) + CLOCK
    with reverts("RoundNotMade"):
        bench.chain.send(bench.beacon.functions.publish(round, b""))
    publish(bench, request)
    assert audit(bench, request) == (round, True, True, until)


def test_settle_undrawn_claim_is_final(bench: Bench) -> None:
    request = posted(bench, drawn=False)
    outwait(bench, request)
    assert audit(bench, request)[1:3] == (True, False)
    bench.post(request, sender=bench.stranger)
    assert bench.status(request)[0] == FINAL and bench.account()["locked"] == 0


def test_settle_drawn_claim_is_final_by_proof_only(bench: Bench) -> None:
    request = posted(bench, drawn=True)
    publish(bench, request)
    until = audit(bench, request)[3]
    with reverts("AuditOpen", until):
        bench.post(request)
    bench.chain.next_timestamp(until)
    bench.prove(request)
    assert bench.status(request)[0] == FINAL
    assert bench.account()["stake"] == STAKE and not bench.account()["suspended"]


def test_settle_drawn_claim_unproved_costs_the_whole_stake(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    publish(bench, request)
    until = audit(bench, request)[3]
    bench.chain.next_timestamp(until)
    with reverts("AuditOpen", until, until):
        bench.post(request, output=WRONG)
    bench.chain.next_timestamp(until + 1)
    before = bench.chain.balance(bench.requester)
    receipt = bench.post(request, output=WRONG, sender=bench.stranger)
    (event,) = bench.optimistic.events.AuditFailed().process_receipt(receipt, errors=DISCARD)
    assert event["args"]["operator"] == bench.operator
    assert (bench.status(request)[0], bench.outcome(request)) == (RETRACTED, LAPSED)
    assert bench.chain.balance(bench.requester) - before == request.cost
    assert bench.owed(bench.requester) == COVERAGE
    assert bench.burned() == STAKE - COVERAGE
    assert bench.account()["stake"] == 0 and bench.account()["suspended"]


def test_failed_audit_freezes_all_other_claims(bench: Bench) -> None:
    """None becomes final by silence; consumers keep their cover; what a proof frees is burned."""
    quiet = posted(bench, drawn=False)
    right = posted(bench, drawn=False, first=100)
    wrong = posted(bench, drawn=False, output=WRONG, first=200)
    caught = posted(bench, drawn=True, output=WRONG, first=300)
    for request in (quiet, right, wrong, caught):
        publish(bench, request)
    bench.chain.next_timestamp(audit(bench, caught)[3] + 1)
    bench.post(caught, output=WRONG)
    assert bench.account()["stake"] == bench.account()["locked"] == 3 * LOCK
    with reverts("OperatorSuspended", bench.operator):
        bench.post(quiet)
    bench.prove(right)
    assert bench.status(right)[0] == FINAL
    assert bench.account()["stake"] == bench.account()["locked"] == 2 * LOCK
    bench.dispute(wrong, bond=0)  # no bond, though the window is over
    bench.wait(CLOCK + 1)
    bench.post(wrong, output=WRONG)
    assert (bench.status(wrong)[0], bench.owed(bench.requester)) == (RETRACTED, 2 * COVERAGE)
    bench.expire(quiet, 7 * DAY + 1)
    bench.chain.send(bench.refunding(quiet))
    bench.close(quiet)
    assert bench.account()["stake"] == 0
    assert bench.burned() == STAKE - 2 * COVERAGE - REWARD


def test_stake_added_after_the_claim_changes_no_draw(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    publish(bench, request)
    bench.chain.set_balance(bench.operator, 10_000 * ETHER)
    bench.stake(5000 * ETHER)
    assert audit(bench, request)[2] is True


def test_leave_before_the_audit_is_refused(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    bench.chain.send(bench.vault.functions.queueWithdrawal(STAKE), sender=bench.operator)
    publish(bench, request)
    bench.wait(14 * DAY)
    with reverts("LocksRemain", LOCK):
        bench.chain.send(bench.vault.functions.leave(bench.rival), sender=bench.operator)


def test_settle_unanswerable_is_not_audited(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=UNANSWERABLE)
    bench.wait(WINDOW + 1)
    bench.post(request, output=UNANSWERABLE)
    assert bench.status(request)[0] == RETRACTED and bench.account()["locked"] == 0


# --- silence --------------------------------------------------------------------------------------


def refunded(bench: Bench, request: Request, later: int = 1) -> None:
    bench.expire(request, 7 * DAY + later)
    bench.chain.send(bench.refunding(request))
    assert bench.status(request)[0] == REFUNDED


def test_close_waiting_the_week_out_is_no_way_around_the_audit(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    refunded(bench, request)
    with reverts("SeedUnknown"):
        bench.close(request, WRONG)
    publish(bench, request)
    bench.close(request, WRONG)
    assert bench.outcome(request) == LAPSED
    assert bench.account()["stake"] == 0 and bench.owed(bench.requester) == COVERAGE
    with reverts("WrongOutcome", LAPSED):
        bench.close(request, WRONG)


def test_close_undrawn_or_unanswerable_frees_the_stake(bench: Bench) -> None:
    undrawn = posted(bench, drawn=False)
    mute = posted(bench, drawn=True, output=UNANSWERABLE, first=100)
    refunded(bench, undrawn)
    refunded(bench, mute)
    bench.close(mute, UNANSWERABLE)
    publish(bench, undrawn)
    bench.close(undrawn)
    assert [bench.outcome(request) for request in (undrawn, mute)] == [VOID, VOID]
    assert (bench.account()["stake"], bench.account()["locked"]) == (STAKE, 0)


def test_close_without_a_beacon_frees_the_stake_at_last(bench: Bench) -> None:
    """Should the beacon end for ever: two weeks after the refund nothing is stuck."""
    request = posted(bench, drawn=True)
    refunded(bench, request)
    bench.chain.next_timestamp(request.deadline + 21 * DAY)
    with reverts("SeedUnknown"):
        bench.close(request)
    bench.chain.next_timestamp(request.deadline + 21 * DAY + 1)
    bench.close(request)
    assert (bench.account()["locked"], bench.account()["suspended"]) == (0, False)


def test_close_after_a_stop_audits_nobody(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    refunded(bench, request)
    publish(bench, request)
    stop(bench)
    bench.close(request, WRONG)
    assert (bench.account()["stake"], bench.account()["suspended"]) == (STAKE, False)


def test_dispute_of_an_audited_claim_is_prove_or_lose_too(bench: Bench) -> None:
    request = posted(bench, drawn=False, output=WRONG)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    bench.post(request, output=WRONG)
    assert (bench.status(request)[0], bench.outcome(request)) == (RETRACTED, LAPSED)
    assert bench.account()["stake"] == STAKE - LOCK  # one lock: no audit failed
    assert bench.owed(bench.challenger) == REWARD


def test_drawn_cheat_that_proves_itself_wrong_forfeits_too(bench: Bench) -> None:
    """With the weights it can prove the right output for another key of its own: no way out."""
    request = posted(bench, drawn=True, output=WRONG)
    bench.wait(WINDOW + 1)
    with reverts("SeedUnknown"):
        bench.refute(request)
    publish(bench, request)
    receipt = bench.refute(request)
    (event,) = bench.optimistic.events.AuditFailed().process_receipt(receipt, errors=DISCARD)
    assert event["args"]["operator"] == bench.operator
    assert bench.status(request)[0] == FINAL
    assert bench.account()["stake"] == 0 and bench.account()["suspended"]
    assert bench.burned() == STAKE - COVERAGE


def test_undrawn_claim_that_is_proved_wrong_costs_one_lock(bench: Bench) -> None:
    request = posted(bench, drawn=False, output=WRONG)
    publish(bench, request)
    bench.refute(request)
    assert bench.account()["stake"] == STAKE - LOCK


def test_claim_proved_wrong_in_its_window_costs_one_lock_drawn_or_not(bench: Bench) -> None:
    """Nobody knows the draw by then, so that nobody can choose by it."""
    request = posted(bench, drawn=True, output=WRONG)
    bench.refute(request)
    assert bench.account()["stake"] == STAKE - LOCK


def test_no_answer_that_is_proved_wrong_is_not_audited(bench: Bench) -> None:
    """It gains nothing, so that no draw has to deter it."""
    request = posted(bench, drawn=True, output=UNANSWERABLE)
    bench.wait(WINDOW + 1)
    bench.refute(request, UNANSWERABLE)
    assert bench.account()["stake"] == STAKE - LOCK


def test_suspended_cheat_that_disputes_its_drawn_claim_forfeits_too(bench: Bench) -> None:
    """Suspended by a small loss of its own, it needs neither a bond nor the window."""
    drawn = posted(bench, drawn=True, output=WRONG)
    small = posted(bench, drawn=False, output=WRONG, first=100)
    bench.refute(small)
    publish(bench, drawn)
    bench.dispute(drawn, sender=bench.rival, bond=0)
    bench.wait(CLOCK + 1)
    bench.post(drawn, output=WRONG)
    assert bench.outcome(drawn) == LAPSED
    assert bench.account()["stake"] == 0
    assert bench.owed(bench.rival) == REWARD
    assert bench.burned() == STAKE - 2 * COVERAGE - REWARD


def test_disputed_claim_that_lapses_before_its_round_is_published_waits(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    bench.wait(WINDOW - CLOCK // 2)
    bench.dispute(request)
    bench.wait(CLOCK + 1)
    with reverts("SeedUnknown"):
        bench.post(request, output=WRONG)
    publish(bench, request)
    bench.post(request, output=WRONG)
    assert bench.account()["stake"] == 0 and bench.owed(bench.challenger) == REWARD


def test_disputed_claim_that_lapsed_in_its_window_costs_one_lock_whenever_it_is_handed_in(
    bench: Bench,
) -> None:
    """Its clock had ended before anyone knew the draw: to wait with it chooses nothing."""
    request = posted(bench, drawn=True, output=WRONG)
    bench.dispute(request)
    publish(bench, request)
    bench.post(request, output=WRONG)
    assert (bench.outcome(request), bench.account()["stake"]) == (LAPSED, STAKE - LOCK)
    assert bench.owed(bench.challenger) == REWARD


@pytest.mark.parametrize("late", [0, 1])
def test_clock_that_ends_in_the_windows_last_second_ends_in_it(bench: Bench, late: int) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    bench.chain.next_timestamp(bench.since(request) + WINDOW - CLOCK + late)
    bench.dispute(request)
    publish(bench, request)
    bench.wait(CLOCK)
    bench.post(request, output=WRONG)
    assert bench.account()["stake"] == (0 if late else STAKE - LOCK)


def test_block_of_a_round_in_the_windows_last_minute_decides_nothing(bench: Bench) -> None:
    """Who makes the window's last block knows the rounds up to then: those draw nothing."""
    request = posted(bench, drawn=True, output=WRONG)
    over = bench.since(request) + WINDOW
    last = round_after(over)
    bench.chain.next_timestamp(time_of(last))
    bench.chain.send(bench.beacon.functions.publish(last, b""))
    assert audit(bench, request)[0] > last
    with reverts("SeedUnknown"):
        bench.refute(request)


def test_close_of_a_disputed_drawn_claim_forfeits_too(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=WRONG)
    bench.wait(WINDOW - CLOCK // 2)
    bench.dispute(request)
    refunded(bench, request)
    with reverts("SeedUnknown"):
        bench.close(request, WRONG)
    publish(bench, request)
    bench.close(request, WRONG)
    assert bench.account()["stake"] == 0


def test_judge_provisional_claim_says_nothing_of_its_draw(bench: Bench) -> None:
    request = posted(bench, drawn=True)
    assert bench.status(request)[0] == PROVISIONAL
    assert audit(bench, request)[1:3] == (False, False)
