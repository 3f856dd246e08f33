"""A challenger against the word that there is no answer: proved beside all else, not before it."""

import asyncio
from dataclasses import replace

from oracle.domain.block import BlockRef
from oracle.domain.chain import Status
from oracle.domain.job import LOOKS, PROOFS, Job, JobState, Standing
from oracle.domain.move import Role
from oracle.domain.request import Answer, Part, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import CHALLENGER, QUOTE, STAKED, TERMS, FakeChain, FakeProver, fake_output
from tests.oracle.test_optimistic import STRANGER, WINDOW
from tests.oracle.world import Challenger, run


class Never(FakeProver):
    """Of a worker that has to prove nothing."""

    async def prove(self, folder, context, input):
        raise AssertionError("proved where claims are looked at")


class Slow(FakeProver):
    """Nothing is proved before `done`."""

    def __init__(self):
        super().__init__()
        self.done = asyncio.Event()

    async def prove(self, folder, context, input):
        await self.done.wait()
        return await super().prove(folder, context, input)


def test_a_large_lie_waits_for_no_refutation_of_decoys():
    async def story():
        chain, prover = FakeChain(), Slow()
        looks = Challenger(chain, prover=Never(), among=LOOKS)
        proofs = Challenger(chain, looks.store, prover=prover, holder="prover", among=PROOFS)
        decoys = [chain.ask_staked(terms=replace(TERMS, coverage=1).word) for _ in range(2)]
        for decoy in decoys:
            chain.mine(chain.claim_by(decoy, STRANGER, UNANSWERABLE))
        await looks.settle()
        assert [(await looks.job(decoy)).state for decoy in decoys] == [JobState.DISPUTED] * 2
        proving = asyncio.create_task(proofs.work.step())
        request = chain.ask_staked()
        chain.mine(chain.claim_by(request, STRANGER, b"wrong"))
        await looks.settle()
        assert chain.stage(request).disputes and not proving.done()
        prover.done.set()
        await proving
        while await proofs.work.step():
            pass
        await looks.settle()
        for decoy in decoys:
            stage = chain.stage(decoy)
            assert (stage.status, stage.slashed) == (Status.FINAL, True)
            (final,) = chain.settlements(decoy)
            assert (final.payee, final.output) == (CHALLENGER, fake_output(decoy.input))
        assert prover.proved == len(decoys)

    run(story())


def test_no_proof_is_made_once_a_window_is_over():
    async def story():
        chain = FakeChain()
        looks = Challenger(chain, among=LOOKS)
        proofs = Challenger(chain, looks.store, prover=Never(), holder="prover", among=PROOFS)
        request = chain.ask_staked()
        chain.mine(chain.claim_by(request, STRANGER, UNANSWERABLE))
        await looks.settle()
        chain.wait(WINDOW)
        assert await proofs.work.step()
        assert (await looks.job(request)).state is JobState.EXPIRED

    run(story())


def test_no_proof_is_made_where_a_committee_speaks_besides():
    council = replace(STAKED, kind=TierKind.COMMITTEE)
    both = replace(STAKED, parts=(Part(STAKED, bytes(32)), Part(council, bytes(32))))
    request, block = FakeChain().ask_staked(), BlockRef(1, bytes(32))
    standing = Standing(STRANGER, UNANSWERABLE, 0, block)
    for tier, state in ((STAKED, JobState.DISPUTED), (both, JobState.PROVISIONAL)):
        answer = Answer(CHALLENGER, b"output", b"", tier, quote=QUOTE)
        job = Job(request, Role.CHALLENGER, seen=block, standing=standing, answer=answer)
        assert job.state is state
