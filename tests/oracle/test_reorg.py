"""Reorgs at every stage of a request's life: however the chain turns, it ends with one answer."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.domain.job import JobState
from oracle.fakes import OPERATOR, FakeChain
from tests.oracle.world import Service, run

STAGES = ("seen", "proved", "sent", "mined", "settled", "buried")
MOVES = ("ask", "mine", "reorg", "watch", "work", "write", "wait", "lose")


async def reach(service: Service, stage: str, chain: FakeChain) -> None:
    """Brings a service to a stage with the one request that the chain holds."""
    await service.watch.step()
    if stage == "seen":
        return
    await service.work.step()
    if stage == "proved":
        return
    await service.write.step()
    if stage == "sent":
        return
    chain.mine()
    if stage == "mined":
        return
    await service.settle()
    if stage == "buried":
        for _ in range(5):
            chain.mine()
        await service.settle()


@pytest.mark.parametrize("confirmations", [0, 2])
@pytest.mark.parametrize("reinject", [False, True])
@pytest.mark.parametrize("survives", ["kept", "late", "gone"])
@pytest.mark.parametrize("depth", [1, 2, 4, 8])
@pytest.mark.parametrize("stage", STAGES)
def test_a_reorg_at_any_stage_ends_with_one_answer(stage, depth, survives, reinject, confirmations):
    async def story():
        chain = FakeChain()
        for _ in range(6):
            chain.mine()
        service = Service(chain, confirmations=confirmations)
        await service.settle()
        request = chain.ask()
        for _ in range(confirmations):
            chain.mine()
        await reach(service, stage, chain)
        depth_now = min(depth, len(chain.chain) - 1)
        dropped = chain.reorg(depth_now, keep=survives == "kept", reinject=reinject)
        for _ in range(confirmations):
            chain.mine()
        await service.settle()
        if survives == "late" and dropped:
            chain.mine(*dropped)
            for _ in range(confirmations):
                chain.mine()
            await service.settle()
        for _ in range(confirmations):
            chain.mine()
        await service.settle()
        if survives == "gone" and dropped:
            assert not chain.settlements(request)
            job = await service.store.run(lambda ledger: ledger.job(request.id))
            assert job is None or job.state is JobState.ORPHANED
        else:
            assert len(chain.settlements(request)) == 1
            assert (await service.job(request)).state is JobState.SETTLED
        assert service.prover.proved <= 1  # a proof holds wherever its request is included

    run(story())


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("call", ["events", "block", "head", "preflight", "receipt", "nonce"])
def test_a_reorg_in_the_middle_of_a_step_ends_with_one_answer(call, keep):
    """The chain turns while it is being read: after each of the calls of one kind, in turn."""

    class Turning(FakeChain):
        countdown = -1

        async def turn(self):
            self.countdown -= 1
            if self.countdown == 0:
                dropped = self.reorg(2, keep=keep)
                if not keep:
                    self.mine(*dropped)

    async def original(self, *arguments):
        result = await getattr(FakeChain, call)(self, *arguments)
        await self.turn()
        return result

    setattr(Turning, call, original)

    async def story(at):
        chain = Turning()
        for _ in range(3):
            chain.mine()
        service = Service(chain)
        request, other = chain.ask(), chain.ask()
        chain.countdown = at
        await service.settle()
        left, chain.countdown = chain.countdown, -1
        await service.settle()
        for one in (request, other):
            assert len(chain.settlements(one)) == 1
            assert (await service.job(one)).state is JobState.SETTLED
        return left > 0

    at = 1
    while not run(story(at)):
        at += 1
    assert at > 2


def test_a_chain_that_starts_anew_is_read_anew():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        old = [chain.ask() for _ in range(3)]
        await service.settle()
        del chain.chain[:]
        chain._append([])
        chain.ask()
        request = chain.ask()
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED
        for one in old:
            assert (await service.job(one)).state is JobState.ORPHANED

    run(story())


def test_only_checkpoints_that_are_needed_are_kept():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        for _ in range(300):
            chain.mine()
            await service.watch.step()
        kept = await service.store.run(lambda ledger: ledger.checkpoints())
        assert len(kept) == 256
        assert kept[0] == chain.chain[-1].block.ref

    run(story())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_history_ends_with_one_answer_a_request(data):
    """Random steps of the service between random requests, blocks, reorgs and fee rises."""

    async def story():
        chain = FakeChain()
        service = Service(chain, confirmations=data.draw(st.integers(0, 2)))
        asked, lost = [], []
        for _ in range(data.draw(st.integers(5, 40))):
            move = data.draw(st.sampled_from(MOVES))
            if move == "ask":
                asked.append(chain.ask())
            elif move == "mine":
                chain.mine()
            elif move == "reorg":
                depth = data.draw(st.integers(1, max(1, min(5, len(chain.chain) - 1))))
                if depth < len(chain.chain):
                    keep, reinject = data.draw(st.booleans()), data.draw(st.booleans())
                    dropped = chain.reorg(depth, keep=keep, reinject=reinject)
                    lost += [] if keep else dropped
            elif move == "lose":
                chain.pool.clear()
            elif move == "wait":
                service.clock.time += data.draw(st.integers(1, 100))
            else:
                await getattr(service, move).step()
        chain.mine(*lost)
        for _ in range(4):
            await service.settle()
            for _ in range(3):
                chain.mine()
        for request in asked:
            assert len(chain.settlements(request)) == 1
            assert (await service.job(request)).state is JobState.SETTLED
        answers = [
            item
            for mined in chain.chain
            for item in mined.contents
            if isinstance(item, dict) and item["from"] == OPERATOR and item["data"]
        ]
        assert len(answers) >= len(asked)
        assert service.prover.proved == len(asked)

    run(story())
