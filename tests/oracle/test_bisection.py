"""A bisection played by the service over fakes: an operator that is right, one that is not, both
sides' deaths at any call, and reorgs."""

import asyncio
from dataclasses import replace

import pytest

from oracle.adapters.memory import MemoryStore
from oracle.domain import ids
from oracle.domain.bisection import Outcome, Span
from oracle.domain.chain import Status
from oracle.domain.job import GAMES, LOOKS, PROOFS, JobState, Standing
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import (
    CHALLENGER,
    IDENTITY,
    OPERATOR,
    QUOTE,
    Crash,
    CrashPlan,
    FakeClock,
    fake_proof,
)
from oracle.fakes import (
    TERMS as CLAIM,
)
from oracle.services.bisect import RUNS
from oracle.services.work import Terms
from tests.oracle.arena import (
    MOVE_TIME,
    SEGMENTS,
    Arena,
    Liar,
    Pursuer,
    Runner,
    SegmentProver,
    true_run,
)
from tests.oracle.world import BOTH, Service, run

TERMS = Terms(OPERATOR, tiers=BOTH, unanswerable=True)
WHOLE = Span(0, SEGMENTS)


def operator(chain, engine=None, store=None, **more):
    parts = {"prover": SegmentProver(), "terms": TERMS, **more}
    return Service(chain, store, engine=engine or Runner(), **parts)


async def turns(chain, *players, most=400):
    """Turns of all until nobody has anything to do; time passes where all wait."""
    quiet = 0
    for _ in range(most):
        busy = False
        for player in players:
            busy |= await player.step()
        if chain.pool:
            chain.mine()
            busy = True
        quiet = 0 if busy else quiet + 1
        for player in players:
            player.clock.time += 0 if busy else 10
        if quiet == 3:
            return
    raise AssertionError("not at rest")


async def to_the_end(chain, request, *players, steps=40):
    """Until the request is closed and nobody wants anything more."""
    for _ in range(steps):
        await turns(chain, *players)
        if chain.stage(request).status in (Status.FINAL, Status.RETRACTED):
            await turns(chain, *players)
            return
        chain.wait(MOVE_TIME // 2)
    raise AssertionError("never closed")


def segment(chain, request, at, made=None):
    """The call that gives a segment's proof: of a right claim, or of the run that was `made`."""
    stage = chain.stage(request)
    standing = Standing(*stage.standing, stage.since, chain.chain[-1].block.ref)
    whole = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, stage.standing[0])
    data = (made or true_run(request.input)).data
    proof = fake_proof(ids.segment_context(whole, at), data[at + 1])
    place = chain.board(stage).place(Span(at, at + 1))
    return chain.segment_call(request, standing, place, (data[at], data[at + 1], proof))


def kinds(chain, request):
    return [move[0] for move in chain.stage(request).disputes]


def moves_of(chain, key):
    """Names of the calls that an account made; empty for a cancelled nonce."""
    import json

    sent = [
        item
        for block in chain.chain
        for item in block.contents
        if isinstance(item, dict) and item["from"] == key and "hash" in item
    ]
    return [json.loads(bytes.fromhex(i["data"]))[0] if i["data"] else "" for i in sent]


def test_an_answer_nobody_disputes_is_final_after_its_window():
    async def story():
        chain = Arena()
        one, other = operator(chain), Pursuer(chain)
        request = chain.ask_bisected()
        await turns(chain, one, other)
        assert (await other.job(request)).state is JobState.CHECKED
        assert chain.stage(request).standing == (OPERATOR, true_run(request.input).data[-1])
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).status is Status.FINAL
        assert moves_of(chain, OPERATOR) == ["answer", "answer"]
        assert moves_of(chain, CHALLENGER) == []

    run(story())


@pytest.mark.parametrize("at", range(1, SEGMENTS + 1))
def test_a_lie_is_narrowed_down_to_its_segment_and_slashed(at):
    """Wherever it begins: the demands go to the first false boundary, and all bonds come back."""

    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(min(at, SEGMENTS))), Pursuer(chain)
        request = chain.ask_bisected()
        await to_the_end(chain, request, one, other)
        stage = chain.stage(request)
        assert stage.slashed and chain.board(stage).outcome is Outcome.LAPSED
        demanded = [Span(*move[2:4]) for move in stage.disputes if move[0] == "demanded"]
        assert demanded[0] == WHOLE and demanded[-1] == Span(at - 1, at)
        assert moves_of(chain, CHALLENGER) == ["demand"] * 3 + ["answer"] + ["take"] * 3
        assert kinds(chain, request).count("collected") == 3
        assert (await other.job(request)).state is JobState.REFUNDED

    run(story())


async def demand(chain, request, span, by="0x" + "ee" * 20):
    """A stranger demands a part of a claim."""
    stage = chain.stage(request)
    standing = Standing(*stage.standing, stage.since, chain.chain[-1].block.ref)
    place = chain.board(stage).place(span)
    chain.mine(chain.by(by, chain.demand_call(request, standing, place, QUOTE.bond)))


def test_an_honest_operator_gives_what_is_demanded_and_keeps_its_stake():
    async def story():
        chain = Arena()
        one = operator(chain)
        request = chain.ask_bisected()
        await turns(chain, one)
        for span in (WHOLE, Span(0, 2), Span(0, 1), Span(1, 2)):
            await demand(chain, request, span)
            await turns(chain, one)
            assert not chain.board(chain.stage(request)).at(span).owed
        await to_the_end(chain, request, one)
        stage = chain.stage(request)
        assert (stage.status, stage.slashed) == (Status.FINAL, False)
        assert kinds(chain, request).count("collected") == 4
        assert (await one.job(request)).state is JobState.SETTLED

    run(story())


def test_all_that_can_be_demanded_makes_the_answer_final_at_once():
    async def story():
        chain = Arena()
        one = operator(chain)
        request = chain.ask_bisected()
        await turns(chain, one)
        spans = [WHOLE, Span(0, 2), Span(2, 4), *(Span(i, i + 1) for i in range(SEGMENTS))]
        for span in spans:
            await demand(chain, request, span)
            await turns(chain, one)
        stage = chain.stage(request)
        assert stage.status is Status.FINAL
        assert chain.timestamp < stage.since + QUOTE.window

    run(story())


def test_a_demand_in_the_last_second_is_met_all_the_same():
    async def story():
        chain = Arena()
        one = operator(chain)
        request = chain.ask_bisected()
        await turns(chain, one)
        last = chain.stage(request).since + QUOTE.window
        chain._skip = last - chain.timestamp - 12
        await demand(chain, request, WHOLE)
        assert chain.timestamp == last
        await to_the_end(chain, request, one)
        assert chain.stage(request).status is Status.FINAL

    run(story())


# --- no answer --------------------------------------------------------------------------------


@pytest.mark.parametrize("segment", range(SEGMENTS))
def test_an_input_without_an_answer_is_given_back(segment):
    async def story():
        chain = Arena()
        one, other = operator(chain), Pursuer(chain)
        request = chain.ask_bisected(b"halt%d, please" % segment)
        await turns(chain, one, other)
        assert chain.stage(request).standing == (OPERATOR, UNANSWERABLE)
        assert chain.board(chain.stage(request)).segments == segment
        await to_the_end(chain, request, one, other)
        assert not chain.stage(request).slashed
        assert moves_of(chain, CHALLENGER) == []

    run(story())


def test_an_input_without_an_answer_is_declined_unless_told_otherwise():
    async def story():
        chain = Arena()
        one = operator(chain, terms=Terms(OPERATOR, tiers=BOTH))
        request = chain.ask_bisected(b"halt1")
        await turns(chain, one)
        assert (await one.job(request)).state is JobState.DECLINED

    run(story())


@pytest.mark.parametrize("segment", range(SEGMENTS))
def test_a_false_no_answer_is_refuted_by_one_proof(segment):
    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(segment, halts=True)), Pursuer(chain)
        request = chain.ask_bisected()
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        assert moves_of(chain, CHALLENGER) == ["refute", "answer"]

    run(story())


def test_a_false_no_answer_from_a_false_state_is_narrowed_down():
    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(3, halts=True, before=2)), Pursuer(chain)
        request = chain.ask_bisected()
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        assert set(moves_of(chain, CHALLENGER)) == {"demand", "answer", "take"}

    run(story())


def test_an_answer_where_the_run_halts_is_disputed():
    """A claim of an answer to what has none: the first part beyond the halt is demanded."""

    class Inventor(Runner):
        async def steps(self, folder, input):
            true = true_run(input).data
            made = (*true, *(b"made up %d" % i for i in range(SEGMENTS + 1 - len(true))))
            return type(true_run(b""))(made, False)

    async def story():
        chain = Arena()
        one, other = operator(chain, Inventor()), Pursuer(chain)
        request = chain.ask_bisected(b"halt2")
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        demanded = [m[2:4] for m in chain.stage(request).disputes if m[0] == "demanded"]
        assert demanded[-1] == (2, 3)

    run(story())


# --- what is careful about it -----------------------------------------------------------------


def test_engines_that_run_apart_dispute_nothing():
    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(2)), Pursuer(chain, second=Liar(3))
        request = chain.ask_bisected()
        await turns(chain, one, other)
        job = await other.job(request)
        assert job.state is JobState.FAILED and "run apart" in job.verdict.reason
        assert moves_of(chain, CHALLENGER) == []

    run(story())


def test_a_prover_that_disagrees_posts_nothing():
    class Odd(SegmentProver):
        async def prove(self, folder, context, input):
            return b"odd", b""

    async def story():
        chain = Arena()
        one = operator(chain, prover=Odd())
        request = chain.ask_bisected()
        await turns(chain, one)
        for span in (WHOLE, Span(0, 2), Span(0, 1)):
            await demand(chain, request, span)
            await turns(chain, one)
        assert moves_of(chain, OPERATOR) == ["answer", "split", "split"]
        assert "prover differ" in (await one.job(request)).verdict.reason

    run(story())


def test_a_demand_of_anothers_is_followed_and_shared():
    """Each span is owed to all: ours are those that nobody else has demanded."""

    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(4)), Pursuer(chain)
        request = chain.ask_bisected()
        await turns(chain, one)
        await demand(chain, request, WHOLE)
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        assert moves_of(chain, CHALLENGER) == ["demand"] * 2 + ["answer"] + ["take"] * 2

    run(story())


def test_bonds_beyond_the_hours_budget_wait():
    from oracle.services.flight import Posting

    async def story():
        chain = Arena()
        posting = Posting(hourly_bonds=QUOTE.bond - 1)
        one, other = operator(chain, Liar(4)), Pursuer(chain, posting=posting)
        request = chain.ask_bisected()
        await turns(chain, one)
        for _ in range(5):
            await other.step()
        assert "budget" in (await other.job(request)).note
        assert moves_of(chain, CHALLENGER) == []

    run(story())


class Beset(SegmentProver):
    """While it proves, somebody plays on, and the watch sees it."""

    def __init__(self):
        super().__init__()
        self.meanwhile, self.segments, self.see = [], [], None

    async def prove(self, folder, context, input):
        made = await super().prove(folder, context, input)
        self.segments.append(int(folder.name))
        if self.meanwhile:
            await self.meanwhile.pop(0)()
            await self.see()
        return made


def test_a_proof_is_kept_whatever_is_demanded_while_it_is_made():
    async def story():
        chain = Arena()
        prover = Beset()
        one = operator(chain, prover=prover)
        prover.see = one.watch.step
        request = chain.ask_bisected()
        await turns(chain, one)
        for span in (WHOLE, Span(0, 2), Span(2, 4)):
            await demand(chain, request, span)
            await turns(chain, one)
        rest = [Span(i, i + 1) for i in range(1, SEGMENTS)]
        prover.meanwhile = [lambda span=span: demand(chain, request, span) for span in rest]
        await demand(chain, request, Span(0, 1))
        await turns(chain, one)
        assert prover.segments == list(range(SEGMENTS))  # each once
        assert chain.stage(request).status is Status.FINAL

    run(story())


def test_a_refutation_is_kept_whatever_is_demanded_while_it_is_made():
    async def story():
        chain = Arena()
        prover = Beset()
        one, other = operator(chain, Liar(3, halts=True)), Pursuer(chain, prover=prover)
        prover.see = other.watch.step
        request = chain.ask_bisected()
        await turns(chain, one)
        prover.meanwhile = [lambda: demand(chain, request, chain.board(chain.stage(request)).whole)]
        await turns(chain, one, other)
        assert prover.segments == [3]
        assert moves_of(chain, CHALLENGER) == ["refute", "answer"]
        assert chain.stage(request).slashed

    run(story())


def test_a_segment_that_another_gave_while_it_was_proved_is_looked_up_anew():
    async def story():
        chain = Arena()
        prover = Beset()
        one = operator(chain, prover=prover)
        prover.see = one.watch.step
        request = chain.ask_bisected()
        await turns(chain, one)
        for span in (WHOLE, Span(0, 2)):
            await demand(chain, request, span)
            await turns(chain, one)

        async def given():
            chain.mine(chain.by("0x" + "ee" * 20, segment(chain, request, 0)))

        prover.meanwhile = [given]
        await demand(chain, request, Span(0, 1))
        await to_the_end(chain, request, one)
        stage = chain.stage(request)
        assert (stage.status, stage.slashed) == (Status.FINAL, False)
        assert "answer" in moves_of(chain, OPERATOR) and "segment" not in moves_of(chain, OPERATOR)

    run(story())


def test_a_segment_that_was_stopped_is_not_proved_and_gives_the_claim_back():
    async def story():
        chain = Arena()
        one = operator(chain)
        request = chain.ask_bisected()
        await turns(chain, one)
        for span in (WHOLE, Span(0, 2)):
            await demand(chain, request, span)
            await turns(chain, one)
        chain.stopped_segments = frozenset({1})
        await demand(chain, request, Span(1, 2))
        await turns(chain, one)
        stage = chain.stage(request)
        assert (stage.status, stage.slashed) == (Status.RETRACTED, False)
        assert chain.board(stage).outcome is Outcome.VOID
        assert one.prover.proved == 0

    run(story())


def test_a_false_halt_whose_segment_was_stopped_is_not_refuted():
    async def story():
        chain = Arena()
        chain.stopped_segments = frozenset({2})
        one, other = operator(chain, Liar(2, halts=True)), Pursuer(chain)
        request = chain.ask_bisected()
        await to_the_end(chain, request, one, other)
        assert other.prover.proved == 0
        assert moves_of(chain, CHALLENGER) == []

    run(story())


class Slow(SegmentProver):
    """Nothing is proved before `done`."""

    def __init__(self):
        super().__init__()
        self.done = asyncio.Event()

    async def prove(self, folder, context, input):
        await self.done.wait()
        return await super().prove(folder, context, input)


def test_a_split_waits_for_no_proof_of_another_claim():
    async def story():
        chain, prover = Arena(), Slow()
        one = operator(chain, prover=prover, among=GAMES)
        worker = operator(chain, store=one.store, prover=prover)
        first, second = chain.ask_bisected(), chain.ask_bisected()
        await turns(chain, one, worker)
        for span in (WHOLE, Span(0, 2)):
            await demand(chain, first, span)
            await turns(chain, one)
        await demand(chain, first, Span(0, 1))
        await asyncio.wait_for(turns(chain, one), 60)  # it proves nothing
        proving = asyncio.create_task(worker.work.step())
        await demand(chain, second, WHOLE)
        await turns(chain, one)
        assert chain.board(chain.stage(second)).at(WHOLE).states
        assert not proving.done()
        prover.done.set()
        await proving
        await to_the_end(chain, first, one, worker)
        assert [chain.stage(each).status for each in (first, second)] == [Status.FINAL] * 2

    run(story())


class Cheat(Runner):
    """False halts of decoys, a false answer of all else."""

    async def steps(self, folder, input):
        liar = Liar(3, halts=True) if input.startswith(b"decoy") else Liar(3)
        return await liar.steps(folder, input)


def test_a_large_lie_waits_for_no_proof_against_decoys():
    """Neither its check, nor the moves of its game, nor the end of it."""

    async def story():
        chain, prover = Arena(), Slow()
        one = operator(chain, Cheat())
        looks = Pursuer(chain, among=LOOKS)
        proofs = Pursuer(chain, looks.store, prover=prover, holder="prover", among=PROOFS)
        small = replace(CLAIM, coverage=1).word
        decoys = [chain.ask_bisected(b"decoy %d" % i, terms=small) for i in range(2)]
        await turns(chain, one, looks)
        proving = asyncio.create_task(proofs.work.step())
        request = chain.ask_bisected()
        await to_the_end(chain, request, one, looks)
        assert chain.stage(request).slashed and not proving.done()
        assert moves_of(chain, CHALLENGER) == ["demand"] * 3 + ["answer"] + ["take"] * 3
        prover.done.set()
        await proving
        assert {(await looks.job(decoy)).state for decoy in decoys} == {
            JobState.READY,
            JobState.DISPUTED,
        }

    run(story())


def test_a_run_is_made_once_for_all_segments_that_are_demanded():
    """Only the newest are kept."""

    class Counting(Runner):
        runs = 0

        async def steps(self, folder, input):
            self.runs += 1
            return await super().steps(folder, input)

    async def story():
        chain, engine = Arena(), Counting()
        one = operator(chain, engine)
        for asked in range(1, RUNS + 2):
            request = chain.ask_bisected()
            await turns(chain, one)
            spans = [WHOLE, Span(0, 2), Span(2, 4), *(Span(i, i + 1) for i in range(SEGMENTS))]
            for span in spans:
                await demand(chain, request, span)
                await turns(chain, one)
            assert chain.stage(request).status is Status.FINAL
            assert engine.runs == 2 * asked  # to answer, and for all proofs
        assert len(one.work._bisect.runs) == RUNS

    run(story())


# --- deaths and reorgs ------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("mortal", ["operator", "challenger"])
@pytest.mark.parametrize("lies", [False, True])
def test_a_death_at_any_call_keeps_the_game(mortal, lies):
    """The whole story once for every call of a port at which one side can die: the game ends as it
    must, and no move is paid for twice."""

    def side(chain, clock, name, store, plan=None):
        # One holder, so that a restart finds its own leases; `start` frees them.
        if name == "operator":
            engine = Liar(3) if lies else Runner()
            return operator(chain, engine, store, clock=clock, plan=plan, holder=name)
        return Pursuer(chain, store, clock=clock, plan=plan, holder=name)

    async def story(at):
        chain, clock, plan = Arena(), FakeClock(), CrashPlan(at)
        stores = {name: MemoryStore() for name in ("operator", "challenger")}
        alive = {n: side(chain, clock, n, stores[n], plan if n == mortal else None) for n in stores}
        request = chain.ask_bisected()
        asked, rest = False, 0
        for _ in range(120):
            if rest == 6:
                break
            for name in stores:
                try:
                    for _ in range(3):
                        await alive[name].step()
                except Crash:
                    alive[name] = side(chain, clock, name, stores[name])
                    await alive[name].start()
            chain.mine()
            stage = chain.stage(request)
            if stage.status is Status.PROVISIONAL and not lies and not asked:
                await demand(chain, request, WHOLE)
                asked = True
            clock.time += 20
            if stage.status in (Status.FINAL, Status.RETRACTED):
                rest += 1
            else:
                chain.wait(20)
        stage = chain.stage(request)
        board = chain.board(stage)
        assert (stage.slashed, board.outcome) == (
            (True, Outcome.LAPSED) if lies else (False, Outcome.UPHELD)
        ), (at, stage)
        takes = kinds(chain, request).count("collected")
        assert takes == (3 if lies else 1), at
        expected = (
            {
                "operator": ["answer", "split", "split"],
                "challenger": ["demand"] * 3 + ["answer"] + ["take"] * 3,
            }
            if lies
            else {"operator": ["answer", "split", "answer", "take"], "challenger": []}
        )
        assert moves_of(chain, OPERATOR) == expected["operator"], at
        assert moves_of(chain, CHALLENGER) == expected["challenger"], at
        return plan.dead

    async def every():
        at = 0
        while await story(at):
            at += 31  # no multiple of the calls of one turn, so that every kind of call is met
        assert at > 100

    run(every())


@pytest.mark.parametrize("depth", [1, 2, 4, 6])
def test_a_reorg_in_the_middle_of_the_game_loses_nothing(depth):
    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(3)), Pursuer(chain)
        request = chain.ask_bisected()
        await turns(chain, one, other)
        chain.reorg(depth, keep=True)
        if request.id not in chain.chain[-1].stages:
            chain.mine(request)
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        assert chain.board(chain.stage(request)).outcome is Outcome.LAPSED

    run(story())


def test_a_new_database_finds_the_game_on_the_chain():
    async def story():
        chain = Arena()
        one, other = operator(chain, Liar(3)), Pursuer(chain)
        request = chain.ask_bisected()
        await turns(chain, one, other)
        chain.wait(QUOTE.prove)
        again = Pursuer(chain)
        await to_the_end(chain, request, one, again)
        assert chain.stage(request).slashed
        assert kinds(chain, request).count("collected") == 3

    run(story())
