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
from oracle.domain.job import JobState
from oracle.fakes import IDENTITY, OPERATOR, Crash, CrashPlan, FakeChain, FakeClock
from tests.oracle.world import Service, run


class Life:
    """One chain, one database, and services that die in turn."""

    def __init__(self, folder=None, *, confirmations=0, automine=False):
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
            service = Service(
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
