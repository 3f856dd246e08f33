"""A drawn claim that is not proved holds its operator's others back: a cheat whose lies were drawn
in part would else be paid for the rest, before anyone can say that one was drawn."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from web3.logs import DISCARD

from tests.contracts.bench import (
    CLOCK,
    DAY,
    HOUR,
    LOCK,
    PARAMETERS,
    UNANSWERABLE,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.desk import FINAL, LOGITS, PROVISIONAL, RETRACTED, Request
from tests.contracts.test_audits import (
    STAKE,
    audit,
    bench,
    built,
    deciding,
    freezing,
    outwait,
    posted,
    publish,
    stop,
    time_of,
)
from tests.evm import Chain, reverts

__all__ = ["bench", "built"]  # fixtures


def drawn_of(bench: Bench) -> int:
    return int(bench.chain.call(bench.optimistic.functions.drawnOf(bench.operator)))


def freeze(bench: Bench, request: Request, output: bytes = LOGITS) -> None:
    bench.chain.send(freezing(bench, request, output), sender=bench.stranger)


def test_lie_that_was_not_drawn_gains_nothing_where_another_was(bench: Bench) -> None:
    """Of one round or of two: there is an hour to say which were drawn, and anyone may."""
    lies = [posted(bench, drawn=False, output=WRONG, first=100 * n) for n in range(2)]
    caught = posted(bench, drawn=True, output=WRONG, first=200)
    for request in (*lies, caught):
        publish(bench, request)
    for request in lies:
        with reverts("AuditOpen"):  # not even at once, before anyone can say it
            bench.post(request, output=WRONG)
    freeze(bench, caught, WRONG)
    assert drawn_of(bench) == 1
    bench.wait(HOUR)
    for request in lies:
        with reverts("OperatorFrozen", bench.operator, 1):
            bench.post(request, output=WRONG)
    bench.chain.next_timestamp(audit(bench, caught)[3] + 1)
    bench.post(caught, output=WRONG)
    for request in lies:
        with reverts("OperatorSuspended", bench.operator):
            bench.post(request, output=WRONG)
        assert bench.status(request)[0] == PROVISIONAL
    assert bench.account()["suspended"] and bench.account()["stake"] == 2 * LOCK


def test_silence_counts_from_an_hour_after_the_publication_on(bench: Bench) -> None:
    request = posted(bench, drawn=False)
    publish(bench, request)
    made = bench.chain.now()
    assert audit(bench, request)[3] == made + HOUR
    bench.chain.next_timestamp(made + HOUR)
    with reverts("AuditOpen", made + HOUR, made + HOUR):
        bench.post(request)
    bench.chain.next_timestamp(made + HOUR + 1)
    bench.post(request)
    assert bench.status(request)[0] == FINAL


def publish_at(bench: Bench, request: Request, at: int) -> None:
    bench.chain.next_timestamp(at)
    round = deciding(bench.since(request))
    bench.chain.send(bench.beacon.functions.publish(round, b""), sender=bench.stranger)


def test_hour_counts_from_the_publication_on(bench: Bench) -> None:
    """After a halt of the beacon, who publishes its rounds at last settles nothing at once."""
    lie, caught = (posted(bench, drawn=n == 1, output=WRONG, first=100 * n) for n in range(2))
    late = bench.chain.now() + 2 * DAY
    publish_at(bench, lie, late)
    assert audit(bench, lie)[3] == late + HOUR
    publish_at(bench, caught, late + HOUR - 10)
    freeze(bench, caught, WRONG)
    bench.chain.next_timestamp(late + HOUR)
    with reverts("AuditOpen", late + HOUR, late + HOUR):
        bench.post(lie, output=WRONG)
    bench.chain.next_timestamp(late + HOUR + 1)
    with reverts("OperatorFrozen", bench.operator, 1):
        bench.post(lie, output=WRONG)


def test_prove_clock_counts_from_the_publication_on(bench: Bench) -> None:
    """And published again it begins no second time."""
    request = posted(bench, drawn=True)
    late = bench.chain.now() + 2 * DAY
    assert audit(bench, request)[3] == time_of(deciding(bench.since(request))) + CLOCK < late
    publish_at(bench, request, late)
    publish_at(bench, request, late + CLOCK - HOUR)
    assert audit(bench, request)[3] == late + CLOCK
    with reverts("AuditOpen", late + CLOCK):
        bench.post(request)
    bench.prove(request)
    assert bench.status(request)[0] == FINAL


def test_proof_of_every_drawn_claim_thaws(bench: Bench) -> None:
    quiet = posted(bench, drawn=False)
    drawn = [posted(bench, drawn=True, first=100 * n) for n in (1, 2)]
    for request in (quiet, *drawn):
        publish(bench, request)
    for request in drawn:
        freeze(bench, request)
    assert drawn_of(bench) == 2
    outwait(bench, quiet)
    for left, request in ((2, drawn[0]), (1, drawn[1])):
        with reverts("OperatorFrozen", bench.operator, left):
            bench.post(quiet)
        bench.prove(request)
        assert not bench.chain.call(bench.optimistic.functions.isFrozen(bench.request_id(request)))
    bench.post(quiet)
    assert bench.status(quiet)[0] == FINAL and drawn_of(bench) == 0


def test_proof_that_comes_before_anyone_freezes_leaves_nothing_to_freeze(bench: Bench) -> None:
    request = posted(bench, drawn=True)
    publish(bench, request)
    bench.prove(request)
    with reverts("WrongStatus"):
        freeze(bench, request)
    assert drawn_of(bench) == 0


def test_freeze_is_of_drawn_claims_and_once(bench: Bench) -> None:
    drawn, other = posted(bench, drawn=True), posted(bench, drawn=False, first=100)
    with reverts("SeedUnknown", deciding(bench.since(drawn))):
        freeze(bench, drawn)
    publish(bench, drawn)
    publish(bench, other)
    with reverts("NothingToFreeze", bench.request_id(other)):
        freeze(bench, other)
    with reverts("WrongClaim"):
        freeze(bench, drawn, WRONG)
    freeze(bench, drawn)
    with reverts("NothingToFreeze", bench.request_id(drawn)):
        freeze(bench, drawn)
    assert drawn_of(bench) == 1


def test_freeze_says_who_and_what(bench: Bench) -> None:
    request = posted(bench, drawn=True)
    publish(bench, request)
    receipt = bench.chain.send(freezing(bench, request), sender=bench.stranger)
    (event,) = bench.optimistic.events.Frozen().process_receipt(receipt, errors=DISCARD)
    assert bytes(event["args"]["requestId"]) == bench.request_id(request)
    assert event["args"]["operator"] == bench.operator


def test_freeze_of_no_answer_is_refused(bench: Bench) -> None:
    request = posted(bench, drawn=True, output=UNANSWERABLE)
    publish(bench, request)
    with reverts("NothingToProve"):
        freeze(bench, request, UNANSWERABLE)


def test_stop_of_the_model_thaws_what_it_gives_back(bench: Bench) -> None:
    """Nobody can prove it any more, so it shall not hold claims on other models back."""
    request = posted(bench, drawn=True)
    publish(bench, request)
    freeze(bench, request)
    other = posted(bench, drawn=True, first=100)
    publish(bench, other)
    stop(bench)
    with reverts("NothingToFreeze"):
        freeze(bench, other)
    bench.post(request)
    assert bench.status(request)[0] == RETRACTED and drawn_of(bench) == 0


def test_drawn_claim_costs_nothing_where_no_proof_is_taken_any_more(bench: Bench) -> None:
    request = posted(bench, drawn=True)
    publish(bench, request)
    freeze(bench, request)
    bench.chain.rpc("anvil_setCode", bench.verifier.address, "0x00")
    bench.chain.next_timestamp(audit(bench, request)[3] + 1)
    bench.post(request)
    assert bench.status(request)[0] == RETRACTED and drawn_of(bench) == 0
    assert bench.account()["stake"] == STAKE and bench.account()["locked"] == 0


# --- other chains, other beacons ------------------------------------------------------------------


@pytest.fixture
def slow() -> Iterator[Bench]:
    """A day to be included in a block, and a beacon with a round every two hours."""
    parameters = (36 * HOUR, 36 * HOUR, PARAMETERS[2], DAY, *PARAMETERS[4:])
    with Chain.start() as chain:
        beacon = chain.deploy("tests/contracts/harness/SlowBeacon.sol")
        made = Bench(chain, parameters, guarded=True, beacon=beacon)
        made.beacon = beacon
        made.stake()
        yield made


def made_of(bench: Bench, round: int) -> int:
    return int(bench.chain.call(bench.beacon.functions.timeOf(round)))


def answered(bench: Bench, at: int, hours: int = 0) -> Request:
    """In its last second."""
    request = bench.request(terms=terms(audits=10_000, hours=hours), deadline=at)
    bench.ask(request)
    bench.chain.next_timestamp(at)
    bench.post(request, output=WRONG)
    return request


def test_round_waits_for_the_inclusion_delay(slow: Bench) -> None:
    """Who orders transactions may date blocks back so far."""
    request = answered(slow, slow.chain.now() + HOUR)
    round, *_ = audit(slow, request)
    over = slow.since(request) + 36 * HOUR + 60 + DAY
    assert made_of(slow, round - 1) <= over < made_of(slow, round)


def test_clocks_of_a_round_count_from_no_earlier_than_its_time(slow: Bench) -> None:
    """Nor do they where its publication is in a block that is dated back."""
    request = answered(slow, slow.chain.now() + HOUR)
    round, *_ = audit(slow, request)
    slow.chain.send(slow.beacon.functions.publish(round, b"any"))
    round, known, drawn, until = audit(slow, request)
    assert (known, drawn, until) == (True, True, made_of(slow, round) + CLOCK + DAY)
    slow.chain.next_timestamp(slow.since(request) + 36 * HOUR + 1)
    with reverts("AuditOpen", until):
        slow.post(request, output=WRONG)
