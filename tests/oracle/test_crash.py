"""The process dies at every point at which it touches the world, and is started again.

Before a call: it has not happened. After it: it has, and nobody learnt of it. Every point is tried
with the store in memory, whose transactions are whole by construction; a sample of them with real
SQLite files (test_kill.py kills real processes).
"""

import random
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.adapters.database import SqlStore
from oracle.adapters.memory import MemoryStore
from oracle.domain.chain import Outcome
from oracle.domain.job import JobState
from oracle.fakes import CHALLENGER, IDENTITY, OPERATOR, Crash, CrashPlan, FakeChain, FakeClock
from tests.oracle.test_optimistic import CLOCK, WINDOW, disputing, refuting, wrong_claim
from tests.oracle.world import Challenger, Service, run


class Life:
    """One chain, one database, and services that die in turn."""

    def __init__(self, folder=None, *, confirmations=0, automine=False, kind=Service):
        self.kind = kind
        self.url = f"sqlite:///{folder}/jobs.db"
        self.memory = None if folder else MemoryStore()
        self.chain = FakeChain(automine=automine)
        self.clock = FakeClock()
        self.confirmations = confirmations
        self.births = 0

    async def live(self, story, at):
        """Runs `story` on a fresh service that dies at the `at`-th point; points that it passed."""
        self.births += 1
        plan = CrashPlan(at)
        store = self.memory or SqlStore.open(self.url, IDENTITY)
        try:
            service = self.kind(
                self.chain,
                store,
                clock=self.clock,
                confirmations=self.confirmations,
                plan=plan,
                holder=f"life {self.births}",
            )
            await service.start(lambda name: name == f"life {self.births}")
            await story(service)
        except Crash:
            pass
        finally:
            if not self.memory:
                store.close()
        return plan

    async def check(self, requests):
        """One answer each; and no transaction was paid for in vain."""
        store = self.memory or SqlStore.open(self.url, IDENTITY)
        for request in requests:
            job = await store.run(lambda ledger, id=request.id: ledger.job(id))
            assert job.state is JobState.SETTLED
            assert job.lease is None
            assert job.flight is None
            assert len(self.chain.settlements(request)) == 1
        mined = [
            item
            for block in self.chain.chain
            for item in block.contents
            if isinstance(item, dict) and item["from"] == OPERATOR
        ]
        assert len(mined) == len(requests)
        assert all(item["data"] for item in mined)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("automine", [False, True])
@pytest.mark.parametrize("confirmations", [0, 1])
def test_dying_at_any_point_posts_each_answer_once(tmp_path, automine, confirmations, on_disk):
    async def story(service):
        await service.settle()
        for _ in range(confirmations):
            service.chain.mine()
        await service.settle()

    async def once(at):
        folder = Path(mkdtemp(dir=tmp_path)) if on_disk else None
        life = Life(folder, confirmations=confirmations, automine=automine)
        requests = [life.chain.ask(), life.chain.ask()]
        for _ in range(confirmations):
            life.chain.mine()
        plan = await life.live(story, at)
        if plan.dead:
            await life.live(story, -1)
        await life.check(requests)
        return plan

    async def every():
        whole = await once(-1)
        assert whole.passed > 60
        for at in range(0, whole.passed, 37 if on_disk else 1):
            assert (await once(at)).dead

    run(every())


def test_dying_at_any_point_around_a_reorg_posts_each_answer_once():
    async def before(service):
        await service.settle()

    async def once(at):
        life = Life()
        requests = [life.chain.ask(), life.chain.ask()]
        await life.live(before, -1)  # settled
        life.chain.reorg(4, keep=True)  # and all of it undone
        plan = await life.live(before, at)
        if plan.dead:
            await life.live(before, -1)
        await life.check(requests)
        return plan

    async def every():
        whole = await once(-1)
        for at in range(whole.passed):
            assert (await once(at)).dead

    run(every())


async def alone(request, chain):
    """The window passes."""
    chain.wait(WINDOW)


async def pressed(request, chain):
    """Somebody demands the proof."""
    chain.mine(disputing(chain, request))


async def silent(request, chain):
    """The cheat has no proof."""
    chain.wait(CLOCK)


async def refuted(request, chain):
    """Somebody proves the right output."""
    chain.mine(refuting(chain, request))


@pytest.mark.parametrize(
    ("kind", "turn", "sent"),
    [(Service, alone, 2), (Service, pressed, 2), (Challenger, silent, 3), (Challenger, refuted, 4)],
)
@pytest.mark.parametrize("reorg", [False, True])
def test_dying_at_any_point_of_a_staked_claim_makes_each_move_once(kind, turn, sent, reorg):
    """Every point of both halves of the story: up to the claim (or the dispute), and after it."""

    async def settle(service):
        await service.settle()

    async def once(at):
        life = Life(kind=kind)
        chain = life.chain
        checks = kind is Challenger
        request = await wrong_claim(chain) if checks else chain.ask_staked()
        first = await life.live(settle, at)
        if first.dead:
            await life.live(settle, -1)
        if reorg:
            chain.reorg(1, keep=True, reinject=True)
            await life.live(settle, -1)
        await turn(request, chain)
        second = await life.live(settle, -1 if first.dead else at - first.passed)
        if second.dead:
            await life.live(settle, -1)
        store = life.memory
        job = await store.run(lambda ledger: ledger.job(request.id))
        assert job.state in (JobState.SETTLED, JobState.REFUNDED)
        assert (job.lease, job.flight) == (None, None)
        stage = chain.stage(request)
        key = CHALLENGER if checks else OPERATOR
        if turn in (silent, refuted):
            assert stage.slashed
            assert (stage.disputes[0][0], stage.disputes[0][2], stage.reward) == (key, 0, 0)
        else:
            assert job.state is JobState.SETTLED
            assert not stage.slashed
            assert stage.outcome is (Outcome.UPHELD if turn is pressed else Outcome.NONE)
        if not reorg:
            moves = [
                item
                for block in chain.chain
                for item in block.contents
                if isinstance(item, dict) and item["from"] == key
            ]
            assert [bool(item["data"]) for item in moves] == [True] * sent
        return first.dead or second.dead

    async def every():
        at = 0
        while await once(at):
            at += 3 if reorg else 1
        assert at > 60

    run(every())


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 150), min_size=1, max_size=8))
def test_dying_again_and_again_posts_each_answer_once(seed, deaths):
    async def story(service):
        await service.settle()

    async def history():
        dice = random.Random(seed)
        life = Life()
        requests = [life.chain.ask() for _ in range(dice.randint(1, 5))]
        for at in deaths:
            await life.live(story, at)
            if dice.random() < 0.3:
                life.chain.mine()
            if dice.random() < 0.3:
                requests.append(life.chain.ask())
        await life.live(story, -1)
        await life.check(requests)

    run(history())
