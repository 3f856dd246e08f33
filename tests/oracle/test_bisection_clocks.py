"""A bisection's clocks, as the service keeps them where blocks are confirmed late."""

from dataclasses import replace

import pytest

from oracle.domain.bisection import Span
from oracle.domain.chain import Status
from oracle.domain.job import JobState
from oracle.domain.move import Move
from oracle.fakes import CHALLENGER, OPERATOR, QUOTE
from oracle.services import bisect
from oracle.services.bisect import GIVING
from tests.oracle.arena import SEGMENTS, Arena, Liar, Pursuer
from tests.oracle.test_bisection import WHOLE, demand, kinds, moves_of, operator, segment
from tests.oracle.world import run

CONFIRMATIONS, FEW = 12, 4
SINGLE = [Span(i, i + 1) for i in range(SEGMENTS)]


async def block(chain, one):
    """A block of 12 s, and all that there is to do in it."""
    chain.mine()
    one.clock.time += 12
    busy = True
    while busy:
        busy = await one.step()


async def until(chain, one, found, most=60):
    for _ in range(most):
        if found():
            return
        await block(chain, one)
    raise AssertionError("never")


async def asked_for(chain, one, request, *spans):
    """One span after the other is demanded, and given."""
    for span in spans:
        await demand(chain, request, span)
        await until(chain, one, lambda span=span: not held(chain, request, span).owed)


def held(chain, request, span):
    return chain.board(chain.stage(request)).at(span)


async def besieged(chain):
    """An operator whose claim is split down to its segments, and all of these demanded at once."""
    one = operator(chain, confirmations=CONFIRMATIONS)
    request = chain.ask_bisected()
    await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
    await asked_for(chain, one, request, WHOLE, Span(0, 2), Span(2, 4))
    for span in SINGLE:
        await demand(chain, request, span)
    return one, request


def given(chain, request):
    return [span for span in SINGLE if held(chain, request, span).proved]


def test_segments_that_are_demanded_together_wait_for_no_confirmation():
    """Each with its own would take twice the prove clock."""
    assert QUOTE.prove < SEGMENTS * CONFIRMATIONS * 12

    async def story():
        chain = Arena()
        one, request = await besieged(chain)
        due = min(held(chain, request, span).owed_by for span in SINGLE)
        await until(chain, one, lambda: chain.board(chain.stage(request)).complete)
        assert chain.timestamp <= due
        assert one.prover.proved == SEGMENTS
        await until(chain, one, lambda: chain.stage(request).status is Status.FINAL)
        await until(chain, one, lambda: kinds(chain, request).count("collected") == 7, most=150)
        assert moves_of(chain, OPERATOR) == [
            *["answer", *["split"] * 3, *["segment"] * 4, "answer", *["take"] * 7]
        ]

    run(story())


@pytest.mark.parametrize("reinject", [False, True])
@pytest.mark.parametrize("depth", [1, 2, 4])
def test_a_segment_that_a_reorg_took_back_is_given_again(depth, reinject):
    """One that the watch has not read, since it reads late: so no event says it."""

    async def story():
        chain = Arena()
        one, request = await besieged(chain)
        await until(chain, one, lambda: given(chain, request) == SINGLE[:2])
        chain.reorg(depth, reinject=reinject)
        await until(chain, one, lambda: chain.board(chain.stage(request)).complete)
        assert not chain.stage(request).slashed
        await until(chain, one, lambda: chain.stage(request).status is Status.FINAL)

    run(story())


@pytest.mark.parametrize("taken", [False, True], ids=["its nonce is free", "another has its nonce"])
def test_the_last_segment_that_a_reorg_took_back_is_given_again(taken):
    """Nothing else is owed, and the next move is a window away."""

    async def story():
        chain = Arena()
        one = operator(chain, confirmations=CONFIRMATIONS)
        request = chain.ask_bisected()
        await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
        await asked_for(chain, one, request, WHOLE, Span(0, 2), Span(0, 1))
        await block(chain, one)
        assert (await one.job(request)).state is JobState.PROVISIONAL
        chain.reorg(2)
        if taken:
            chain.mine(chain.spend(OPERATOR))
        assert held(chain, request, Span(0, 1)).owed
        await until(chain, one, lambda: given(chain, request) == SINGLE[:1], most=5)

    run(story())


@pytest.mark.parametrize("confirmations", [0, CONFIRMATIONS])
@pytest.mark.parametrize("reinject", [False, True])
def test_a_proof_that_a_reorg_took_back_is_not_made_again(reinject, confirmations):
    """It is signed already, and goes out as it is, though the writer sees it before the watch."""

    async def story():
        chain = Arena()
        one = operator(chain, confirmations=confirmations)
        request = chain.ask_bisected()
        await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
        await asked_for(chain, one, request, WHOLE, Span(0, 2), Span(0, 1))
        await block(chain, one)
        chain.reorg(2, reinject=reinject)
        await one.write.step()
        while await one.step():
            pass
        await until(chain, one, lambda: given(chain, request) == SINGLE[:1], most=5)
        assert one.prover.proved == 1 and "" not in moves_of(chain, OPERATOR)

    run(story())


def test_what_flies_stays_due_while_its_game_is_on():
    """The writer saw the reorg first, and flies again what was mined; now the watch takes back what
    it had read."""

    async def story():
        chain = Arena()
        one = operator(chain)
        request = chain.ask_bisected()
        await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
        await asked_for(chain, one, request, WHOLE)
        await demand(chain, request, Span(0, 2))
        while (await one.job(request)).flight is None:
            await one.step()
        job = await one.job(request)
        assert job.flight.move is job.due.move is Move.SPLIT and job.game.last.number == job.newest
        assert job.rewound(job.newest - 1).due == job.due
        assert job.rewound(job.game.first.number - 1).due is None  # nobody played
        assert replace(job, flight=None).rewound(job.newest - 1).due is None

    run(story())


def test_a_segment_of_anothers_that_a_reorg_took_back_is_given(monkeypatch):
    """Its look saw a stranger's proof at the head, in a block that the watch never reads: nothing
    was due but to wait for the window."""
    monkeypatch.setattr(bisect, "LOOK", 120)  # a deployment's clocks are of hours, these of minutes

    async def story():
        chain = Arena()
        one = operator(chain, confirmations=FEW)
        request = chain.ask_bisected()
        await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
        await asked_for(chain, one, request, WHOLE, Span(0, 2))
        await demand(chain, request, Span(0, 1))
        for _ in range(FEW - 2):
            await block(chain, one)
        chain.mine(chain.by("0x" + "ee" * 20, segment(chain, request, 0)))
        await block(chain, one)
        await block(chain, one)
        assert (given(chain, request), one.prover.proved) == (SINGLE[:1], 0)
        assert (await one.job(request)).state is JobState.PROVISIONAL
        chain.reorg(3)
        assert held(chain, request, SINGLE[0]).owed
        await until(chain, one, lambda: given(chain, request) == SINGLE[:1])
        assert chain.timestamp < chain.stage(request).since + QUOTE.window

    run(story())


def test_a_demand_of_anothers_that_a_reorg_took_back_is_made(monkeypatch):
    """A liar's friend demands what we would have: there is nothing to do but to wait for its clock,
    and when that has run the time to demand may be over."""
    monkeypatch.setattr(bisect, "LOOK", 120)

    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(3)), Pursuer(chain, confirmations=FEW)
        request = chain.ask_bisected()
        await until(chain, one, lambda: chain.stage(request).status is Status.PROVISIONAL)
        for _ in range(FEW):
            chain.mine()
        await demand(chain, request, WHOLE)
        owed_by = held(chain, request, WHOLE).owed_by
        await block(chain, other)
        assert (await other.job(request)).state is JobState.PROVISIONAL
        chain.reorg(2)
        assert not held(chain, request, WHOLE).owed
        await until(chain, other, lambda: held(chain, request, WHOLE).owed)
        assert moves_of(chain, CHALLENGER) == ["demand"]
        assert chain.timestamp < owed_by

    run(story())


def test_a_node_that_is_behind_has_no_segment_proved_again():
    """Receipts are of one backend of a provider, the contest is of another's."""

    class Behind(Arena):
        async def contest(self, request, standing):
            before = self.chain[-2].stages.get(request.id, self.chain[-1].stages[request.id])
            return await self._up(self.board(before))

    async def story():
        chain = Behind()
        one, request = await besieged(chain)
        await until(chain, one, lambda: given(chain, request) == SINGLE)
        assert one.prover.proved == SEGMENTS

    run(story())


def test_a_segment_that_another_gives_first_costs_no_confirmations():
    """Whoever copies each of our proofs, and is mined first, delays the next by a block or two."""

    async def story():
        chain = Arena()
        one, request = await besieged(chain)
        due = min(held(chain, request, span).owed_by for span in SINGLE)
        for span in SINGLE:
            await until(chain, one, lambda: chain.pool)
            chain.mine(chain.by("0x" + "ee" * 20, segment(chain, request, span.start)))
        await until(chain, one, lambda: chain.board(chain.stage(request)).complete)
        assert chain.timestamp <= due
        assert not chain.stage(request).slashed

    run(story())


@pytest.mark.parametrize("short", [0, 1])
def test_a_model_of_more_segments_than_the_prove_clock_has_room_for_is_declined(short):
    class Hurried(Arena):
        async def quote(self, tier, terms):
            return replace(QUOTE, prove=2 * GIVING * SEGMENTS - short)

    async def story():
        chain = Hurried()
        one = operator(chain)
        request = chain.ask_bisected()
        await one.settle()
        job = await one.job(request)
        assert (job.state is JobState.DECLINED) == bool(short)
        assert not short or "cut the model into fewer" in job.verdict.reason

    run(story())
