"""What keeps a member from its words, dissents and refutations: proofs that take long, lies that it
is of no use to prove, answers that are refused, boards that lie."""

import asyncio

import pytest

from oracle.domain.chain import Status
from oracle.domain.committee import DAY, REFUTED
from oracle.domain.errors import CallRefused, OracleError
from oracle.domain.job import JobState
from oracle.domain.move import Move
from oracle.domain.request import Answer
from oracle.domain.terms import ClaimTerms
from oracle.fakes import FakeClock, FakeEngine, FakeProver, FakeSigner
from oracle.services.moves import opening
from oracle.services.sit import LOOK, TRIES
from tests.oracle.chamber import COLLECTOR, COUNCIL, GRACE, MEMBERS, FakeCouncil, Line
from tests.oracle.test_committee import Corrupt, Member, seated, status, turn
from tests.oracle.world import run


class Slow(FakeProver):
    """Hangs until it is let go; which contexts it was asked for."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()
        self.asked = []

    async def prove(self, folder, context, input):
        self.asked.append(input)
        await self.go.wait()
        return await super().prove(folder, context, input)


def apart():
    """Two liars and a member whose prover hangs."""
    slow = Slow()
    chain, _, clock, members = seated(Corrupt(), Corrupt(), provers=[None, None, slow])
    return chain, clock, members, slow


def ask(chain, gwei=1):
    return chain.ask_council(terms=ClaimTerms(gwei, 60).word)


async def looks(chain, clock, member, turns):
    """All that it does but proving."""
    for _ in range(turns):
        await member.watch.step()
        await member.work.step()
        await member.write.step()
        chain.mine()
        clock.time += 2


def test_a_large_lie_behind_decoys_is_dissented_from_while_one_is_proved():
    async def story():
        chain, clock, (*liars, honest), slow = apart()
        decoys = [ask(chain) for _ in range(3)]
        await turn(chain, clock, *liars)
        await looks(chain, clock, honest, 8)
        assert all(chain.stage(decoy).prove_by for decoy in decoys)
        hangs = asyncio.create_task(honest.proves.step())
        while not slow.asked:
            await asyncio.sleep(0)
        small, large = ask(chain, 5), ask(chain, 10**9)
        await turn(chain, clock, *liars)
        summoned = chain.ask_council()
        chain.summon(summoned)
        await looks(chain, clock, honest, 20)
        assert not hangs.done()
        assert chain.stage(large).prove_by and chain.stage(small).prove_by
        assert (summoned.id, 2) in chain.said
        slow.go.set()
        await hangs
        await honest.proves.step()
        assert slow.asked == [decoys[0].input, large.input]
        await turn(chain, clock, honest, turns=20)
        assert status(chain, large) is Status.FINAL and chain.slashed[:2] == MEMBERS[:2]

    run(story())


class Stubborn(FakeCouncil):
    """Refuses refutations, for as long as it is told to."""

    refusing = True

    async def preflight(self, sender, call):
        if self.refusing and f'"{REFUTED.hex()}'.encode() in call.data:
            raise CallRefused("NoQuorum")
        return await super().preflight(sender, call)


def stubborn():
    chain, line, clock = Stubborn(), Line(), FakeClock()
    engines = [Corrupt(), Corrupt(), None]
    members = [
        Member(chain, line, key, clock=clock, engine=engine)
        for key, engine in zip(MEMBERS, engines, strict=True)
    ]
    return chain, clock, members


def test_a_refutation_that_is_refused_is_not_proved_again_and_the_claim_is_settled():
    async def story():
        chain, clock, (*liars, honest) = stubborn()
        request = chain.ask_council()
        await turn(chain, clock, *liars)
        for _ in range(TRIES + 1):
            await turn(chain, clock, honest, turns=4)
            chain.wait(300)
            clock.time += 300
        await turn(chain, clock, honest)
        assert honest.prover.proved == 1
        assert status(chain, request) is Status.RETRACTED

    run(story())


def test_a_refutation_that_is_refused_for_a_while_is_made_then():
    async def story():
        chain, clock, (*liars, honest) = stubborn()
        request = chain.ask_council()
        await turn(chain, clock, *liars)
        await turn(chain, clock, honest, turns=20)
        assert status(chain, request) is Status.PROVISIONAL
        chain.refusing = False
        chain.wait(60)
        clock.time += 60
        await turn(chain, clock, honest)
        assert status(chain, request) is Status.FINAL and chain.slashed == MEMBERS[:2]
        assert honest.prover.proved == 1

    run(story())


class Full(FakeCouncil):
    """No seat has coverage left for an answer."""

    async def preflight(self, sender, call):
        if call.data.startswith(b'["answer"'):
            raise CallRefused("CoverageAboveStake")
        return await super().preflight(sender, call)


def test_a_collector_whose_answer_has_to_wait_hears_a_summons():
    async def story():
        chain, line, clock = Full(), Line(), FakeClock()
        members = [Member(chain, line, key, clock=clock) for key in MEMBERS]
        request = chain.ask_council()
        await turn(chain, clock, *members)
        job = await members[0].job(request)
        assert job.move in (None, Move.ANSWER) and "CoverageAboveStake" in job.note
        chain.summon(request)
        await turn(chain, clock, *members)
        chain.wait(GRACE)
        await turn(chain, clock, *members)
        assert all(any(chain.said[request.id, place][1]) for place in range(3))

    run(story())


class Liar:
    """A board that shows one member's word many times, or words of another request."""

    def __init__(self, line, other=None):
        self.line, self.other = line, other

    async def put(self, word):
        await self.line.put(word)

    async def read(self, request_id, epoch):
        words = await self.line.read(request_id, epoch)
        words += await self.line.read(self.other, epoch) if self.other else words
        return words * 3


@pytest.mark.parametrize("mixes", [False, True])
def test_a_board_that_lies_opens_no_word_before_a_quorum_has_committed(mixes):
    async def story():
        chain, line, clock, (first, second, _) = seated()
        other = chain.ask_council()
        if mixes:
            await turn(chain, clock, first, second)
            chain.mine(chain.refund(other))
        one = Member(chain, line, MEMBERS[2], clock=clock, board=Liar(line, mixes and other.id))
        request = chain.ask_council()
        await one.watch.step()
        known = await first.watch.step()  # so that its board takes words about it
        for _ in range(6):
            await turn(chain, clock, one, turns=2)
        (word,) = await line.read(request.id, chain.timestamp // DAY)
        assert known and word.member == MEMBERS[2] and word.opened is None

    run(story())


# --- a word that was given is kept ---------------------------------------------------------------


def committed_to(chain, request, answer):
    said = opening(FakeSigner(MEMBERS[2]), request, answer, chain.timestamp // DAY)
    return said.commitment(MEMBERS[2])


def test_what_was_committed_to_is_opened_though_the_verifier_is_stopped_since():
    async def story():
        chain, _, clock, (*_, one) = seated()
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, one)
        job = await one.job(request)
        assert chain.said[request.id, 2][0] == committed_to(chain, request, job.answer)
        assert job.answer.output
        chain.wait(GRACE)
        chain.stopped_models.add(request.model_id)
        clock.time += LOOK
        await turn(chain, clock, one)
        assert any(chain.said[request.id, 2][1])

    run(story())


class Damaged(FakeEngine):
    broken = True

    async def run(self, folder, input):
        if self.broken:
            raise OracleError("the model's folder is damaged")
        return await super().run(folder, input)


def test_an_engine_that_fails_is_an_excuse_and_one_that_works_again_opens_it():
    async def story():
        engine = Damaged()
        chain, _, clock, (*_, one) = seated(None, None, engine)
        request = chain.ask_council()
        for _ in range(30):
            await turn(chain, clock, one, turns=1)
            clock.time += LOOK
        job = await one.job(request)
        assert job.state is JobState.SEATED and "damaged" in job.note
        chain.summon(request)
        await turn(chain, clock, one)
        empty = Answer(COLLECTOR, b"", b"", COUNCIL, trace=bytes(32))
        assert chain.said[request.id, 2][0] == committed_to(chain, request, empty)
        engine.broken = False
        chain.wait(GRACE)
        clock.time += LOOK
        await turn(chain, clock, one)
        assert any(chain.said[request.id, 2][1])

    run(story())
