"""The audited tier over fakes: operators whose claims are drawn, and watchers who see to audits and
stop verifiers that are broken."""

from dataclasses import replace

import pytest

from oracle.adapters import fetch
from oracle.adapters.drand import DrandRounds
from oracle.adapters.memory import MemoryStore
from oracle.domain import ids
from oracle.domain.block import BlockRef
from oracle.domain.chain import Answered, Outcome, Shown, Status
from oracle.domain.committee import PROOF, refutation
from oracle.domain.errors import BeaconUnavailable, ProverFailed
from oracle.domain.evidence import proof_in
from oracle.domain.job import Job, JobState, Standing
from oracle.domain.move import Move
from oracle.domain.request import Answer, Part, TierKind
from oracle.domain.terms import MAX_CONTEST, UNANSWERABLE, ClaimTerms, Quote
from oracle.fakes import (
    ATTESTED,
    AUDITED,
    BEACON,
    HELD,
    MODEL,
    OPERATOR,
    QUOTE,
    STAKED,
    UNSEEN,
    FakeChain,
    FakeClock,
    FakeModels,
    FakeRounds,
    fake_output,
)
from oracle.services import guard
from oracle.services.flight import Posting
from oracle.services.guard import PATIENCE
from oracle.services.post import RECHECK
from oracle.services.work import Terms
from tests.oracle.test_crash import Life
from tests.oracle.test_optimistic import STRANGER, Corrupt, disputing
from tests.oracle.world import BOTH, WATCHER, Challenger, Service, Watcher, run

WINDOW = QUOTE.window + UNSEEN + 20
UNTIL = WINDOW + QUOTE.prove + PATIENCE


async def wrong_claim(chain, *, drawn=True, output=None):
    request = chain.ask_audited(drawn=drawn)
    wrong = output or await Corrupt().run(None, request.input)
    chain.mine(chain.claim_by(request, STRANGER, wrong))
    return request


# --- the operator ------------------------------------------------------------------------------


def test_a_claim_that_is_not_drawn_is_final_once_its_round_is_published():
    async def story():
        service = Service(FakeChain())
        request = service.chain.ask_audited()
        await service.rest(seconds=WINDOW)
        assert (await service.job(request)).state is JobState.PROVISIONAL  # others may be drawn
        await service.rest(seconds=HELD + 20)
        assert (await service.job(request)).state is JobState.SETTLED
        assert await service.chain.nonce(OPERATOR) == 3  # answer, publish, finalise
        assert service.prover.proved == 0

    run(story())


def test_a_drawn_claim_is_proved():
    async def story():
        service = Service(FakeChain())
        request = service.chain.ask_audited(drawn=True)
        await service.settle()
        assert service.prover.proved == 0
        await service.rest(seconds=WINDOW)
        assert (await service.job(request)).state is JobState.SETTLED
        assert await service.chain.nonce(OPERATOR) == 3  # answer, publish, prove
        assert (service.prover.proved, service.chain.stage(request).slashed) == (1, False)

    run(story())


@pytest.mark.parametrize("lost", [False, True])
def test_a_drawn_claim_is_never_handed_in_without_its_proof_however_late(lost):
    """That would forfeit the stake; the proof still wins until somebody else hands it in."""

    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask_audited(drawn=True)
        await service.settle()
        chain.wait(WINDOW)
        chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))
        chain.wait(UNTIL)
        heir = Service(chain, MemoryStore() if lost else service.store)
        heir.prover.fails = [ProverFailed("out of memory")] * 3
        await heir.settle()
        assert chain.stage(request).status is Status.FINAL
        assert not chain.stage(request).slashed
        assert heir.prover.proved == 1

    run(story())


def test_without_a_round_nothing_is_handed_in_until_there_is_one():
    async def story():
        chain = FakeChain()
        rounds = FakeRounds(*[BeaconUnavailable("connection refused")] * 4)
        service = Service(chain, rounds=rounds)
        request = chain.ask_audited()
        await service.settle()
        chain.wait(WINDOW)
        await service.watch.step()
        await service.write.step()
        job = await service.job(request)
        assert job.note == "connection refused"
        assert chain.stage(request).status is Status.PROVISIONAL
        await service.rest(seconds=HELD + 20)
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


class Relayed(DrandRounds):
    """A relay that is nowhere, of rounds that are drand's."""

    def __init__(self):
        super().__init__("http://relay", {BEACON: "DrandEvmnet"})

    async def signature(self, round):
        return await super().signature(replace(round, development=False))


def test_a_silent_relay_costs_the_writer_one_patience_whatever_waits_for_it(monkeypatch):
    async def story():
        chain, clock, due, asked = FakeChain(), FakeClock(), [], []
        service = Service(chain, clock=clock, rounds=Relayed())
        audits = [chain.ask_audited(n.to_bytes(2, "big")) for n in range(Posting().in_flight)]
        await service.settle(turns=400)
        chain.wait(WINDOW)
        await service.watch.step()

        async def silent(request, largest):
            asked.append(request)
            due.append(chain.ask())
            await service.watch.step()
            await service.work.step()
            clock.time += fetch.PATIENCE
            raise TimeoutError

        monkeypatch.setattr(fetch, "fetch", silent)
        monkeypatch.setattr(fetch, "monotonic", lambda: clock.time)
        await service.write.step()
        jobs = [await service.job(request) for request in audits]
        assert {job.not_before for job in jobs} == {clock.now() + RECHECK}
        assert (await service.job(due[0])).state is JobState.READY and not chain.pool
        await service.write.step()
        assert (await service.job(due[0])).state is JobState.SENT and len(chain.pool) == 1
        assert len(asked) == len(due) == 1

    run(story())


@pytest.mark.parametrize("round", [BeaconUnavailable("halted"), b"no signature"])
def test_while_the_beacon_is_down_a_claim_is_proved_before_its_week_ends(round):
    """Published after the week, the round might draw what nobody can prove any more."""

    async def story():
        chain = FakeChain()
        rounds = FakeRounds(*[round] * 100)
        service = Service(chain, rounds=rounds)
        request = chain.ask_audited()
        await service.settle()
        last = request.deadline + MAX_CONTEST
        chain.wait(last - QUOTE.prove - 60 - chain.timestamp)
        for _ in range(20):
            await service.step()
        assert chain.stage(request).status is Status.PROVISIONAL
        assert service.prover.proved == 0
        chain.wait(120)
        await service.rest(seconds=60)
        assert chain.stage(request).status is Status.FINAL
        assert service.prover.proved == 1

    run(story())


def test_a_relay_that_lies_about_a_round_does_not_have_a_watcher_give_it_up():
    async def story():
        chain = FakeChain()
        rounds = FakeRounds(*[b"no signature"] * 30)
        watcher = Watcher(chain, rounds=rounds)
        request = await wrong_claim(chain)
        chain.wait(WINDOW + PATIENCE)
        while rounds.first:
            await watcher.step()
            watcher.clock.time += 30
        assert (await watcher.job(request)).verdict is None
        await watcher.rest(seconds=QUOTE.prove + 20)
        assert chain.stage(request).slashed

    run(story())


def test_a_round_that_another_published_is_not_published_again():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask_audited()
        await service.settle()
        chain.wait(WINDOW)
        chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))
        await service.rest(seconds=HELD + 20)
        assert (await service.job(request)).state is JobState.SETTLED
        assert await chain.nonce(OPERATOR) == 2

    run(story())


def test_that_there_is_no_answer_is_not_audited():
    async def story():
        chain = FakeChain()
        request = await wrong_claim(chain, output=UNANSWERABLE)
        watcher = Watcher(chain)
        await watcher.rest(seconds=UNTIL)
        assert chain.stage(request).status is Status.PROVISIONAL
        assert await chain.nonce(WATCHER) == 0

    run(story())


class Demanding(FakeChain):
    """Asks for a stake beyond the operator's."""

    async def quote(self, tier, terms):
        return replace(QUOTE, stake=self.stakes[OPERATOR] + 1)


def test_what_the_stake_is_too_small_for_is_declined():
    async def story():
        service = Service(Demanding())
        request = service.chain.ask_audited()
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.DECLINED
        assert "audited at 5000 of 10000, this coverage needs a stake of" in job.verdict.reason

    run(story())


def test_audits_are_priced_by_the_proofs_that_they_may_ask_for():
    asked = ClaimTerms(10**9, 60, audits=2500)
    assert Terms(OPERATOR, 7, audit_price=1000, tiers=BOTH).price(asked, 3600) == 7 + 250
    assert ClaimTerms.parse(asked.word) == asked
    assert not replace(asked, audits=199).fits
    assert not replace(asked, audits=10_001).fits


def test_a_combinations_claim_is_looked_at_when_its_audited_part_may_have_drawn_it():
    """However long another part's window is: the clock of the draw runs from its own."""
    windows = (9000, 600)
    parts = tuple(Part(tier, bytes(32)) for tier in (ATTESTED, AUDITED))
    tier = replace(STAKED, kind=TierKind.COMBINED, parts=parts)
    quote = Quote.together([replace(QUOTE, window=window) for window in windows])
    answer = Answer(OPERATOR, b"out", b"", tier, quote=quote)
    assert (answer.window, answer.draw_window) == windows
    standing = Standing(OPERATOR, b"out", 1000, BlockRef(2, bytes(32)))
    job = Job(FakeChain().ask()).found(BlockRef(1, bytes(32))).answered(answer).stood(standing)
    assert (job.move, job.ripe_at) == (Move.FINALISE, 1601)
    plain = replace(answer, tier=AUDITED, quote=QUOTE)
    assert plain.draw_window == plain.window == QUOTE.window


# --- the watcher: audits -----------------------------------------------------------------------


def test_a_cheat_that_is_drawn_and_keeps_silent_is_handed_in():
    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        request = await wrong_claim(chain)
        await watcher.rest(seconds=WINDOW)
        assert not chain.stage(request).published  # its operator may still do it
        await watcher.rest(seconds=PATIENCE)
        assert chain.stage(request).frozen and not chain.stage(request).slashed
        await watcher.rest(seconds=QUOTE.prove)
        stage = chain.stage(request)
        assert (stage.status, stage.outcome) == (Status.RETRACTED, Outcome.LAPSED)
        assert stage.slashed
        assert (await watcher.job(request)).state is JobState.REFUNDED
        assert await chain.nonce(WATCHER) == 3  # publish, freeze, settle

    run(story())


def test_a_drawn_claim_is_frozen_and_not_handed_in_before_its_clock_is_over(monkeypatch):
    monkeypatch.setattr(guard, "PATIENCE", 30)

    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        request = await wrong_claim(chain)
        chain.wait(WINDOW)
        chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))
        await watcher.settle()
        assert (await watcher.job(request)).state is JobState.PROVISIONAL
        assert chain.stage(request).frozen and not chain.stage(request).slashed
        assert await chain.nonce(WATCHER) == 1
        await watcher.rest(seconds=QUOTE.prove)
        assert chain.stage(request).slashed
        assert await chain.nonce(WATCHER) == 2

    run(story())


def test_a_drawn_claim_is_given_some_time_to_be_proved_before_it_is_frozen():
    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        request = await wrong_claim(chain)
        chain.wait(WINDOW)
        chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))
        await watcher.settle()
        assert not chain.stage(request).frozen
        assert await chain.nonce(WATCHER) == 0

    run(story())


def test_an_operator_waits_for_its_frozen_claim_and_no_longer():
    """It proves what was drawn; only then are its others final."""

    async def story():
        chain = FakeChain()
        operator = Service(chain)
        quiet, drawn = chain.ask_audited(), chain.ask_audited(drawn=True)
        await operator.settle()
        chain.wait(WINDOW)
        for request in (quiet, drawn):
            chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))
        chain.mine(chain.by(STRANGER, chain.freeze_call(drawn, None)))
        operator.prover.fails = [ProverFailed("out of memory")] * 3
        await operator.rest(seconds=1)
        await operator.settle()
        await operator.rest(seconds=HELD)
        for request in (quiet, drawn):
            assert (await operator.job(request)).state is JobState.SETTLED
            assert not chain.stage(request).slashed
        events = [event for mined in chain.chain for event in mined.events]
        order = [event.request_id for event in events if isinstance(event, Answered)]
        assert order == [drawn.id, quiet.id]

    run(story())


def test_a_cheat_that_is_not_drawn_gets_away():
    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        request = await wrong_claim(chain, drawn=False)
        await watcher.rest(seconds=UNTIL)
        assert (await watcher.job(request)).state is JobState.CHECKED
        assert not chain.stage(request).slashed

    run(story())


def test_an_honest_operator_is_left_alone_by_a_watcher():
    async def story():
        chain = FakeChain()
        operator, watcher = Service(chain), Watcher(chain)
        requests = [chain.ask_audited(drawn=drawn) for drawn in (True, False)]
        for seconds in (0, WINDOW, UNTIL):
            await operator.rest(seconds=seconds)
            await watcher.rest()
        for request in requests:
            assert (await watcher.job(request)).state is JobState.SETTLED
            assert not chain.stage(request).slashed
        assert await chain.nonce(WATCHER) == 0

    run(story())


@pytest.mark.parametrize("drawn", [False, True])
def test_a_disputed_claim_is_left_to_who_disputes_unless_it_is_drawn(drawn):
    """Who is drawn may dispute itself, to sleep over the draw."""

    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        request = await wrong_claim(chain, drawn=drawn)
        chain.wait(QUOTE.window - 40)
        chain.mine(disputing(chain, request))
        await watcher.rest(seconds=UNTIL)
        assert chain.stage(request).outcome is (Outcome.LAPSED if drawn else Outcome.NONE)
        assert await chain.nonce(WATCHER) == 1 + 2 * drawn  # the round; that it is drawn, the claim

    run(story())


def test_who_disputed_and_slept_the_week_out_still_closes():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        chain.wait(QUOTE.window - 40)
        await challenger.settle()
        assert chain.stage(request).disputes
        chain.wait(8 * 86_400)
        chain.mine(chain.refund(request))
        await challenger.settle()
        assert chain.stage(request).outcome is Outcome.LAPSED

    run(story())


def test_who_disputed_publishes_the_round_before_it_settles():
    """A claim that is lost after its window is lost with its draw."""

    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        chain.wait(QUOTE.window - QUOTE.prove // 2)
        await challenger.settle()
        assert chain.stage(request).disputes
        await challenger.rest(seconds=QUOTE.prove)
        assert chain.stage(request).published
        assert chain.stage(request).outcome is Outcome.LAPSED
        assert (await challenger.job(request)).state is JobState.REFUNDED

    run(story())


# --- the watcher: proofs -----------------------------------------------------------------------


def other(request):
    output = fake_output(request.input)
    return bytes([output[0] ^ 1]) + output[1:]


def held(chain, model_id=MODEL):
    return any(s.stopped for s in chain.chain[-1].stages.values() if s.request.model_id == model_id)


def test_two_proofs_that_contradict_each_other_stop_the_model():
    async def story():
        chain = FakeChain()
        chain.broken = True
        watcher = Watcher(chain)
        first, second = chain.ask(b"same"), chain.ask(b"same")
        chain.mine(chain.answer_by(first, STRANGER))
        await watcher.settle()
        assert await chain.nonce(WATCHER) == 0
        chain.mine(chain.prove_by(second, STRANGER, other(second)))
        await watcher.settle()
        assert held(chain)
        assert await chain.nonce(WATCHER) == 1
        third = chain.ask(b"same")
        chain.mine(chain.answer_by(third, STRANGER))
        await watcher.settle()  # stopped for ever: nothing more is to be done
        assert await chain.nonce(WATCHER) == 1

    run(story())


@pytest.mark.parametrize("restarted", [False, True])
def test_a_contradiction_is_found_after_a_restart(restarted):
    async def story():
        chain = FakeChain()
        chain.broken = True
        watcher = Watcher(chain)
        first = chain.ask(b"same")
        chain.mine(chain.prove_by(first, STRANGER, other(first)))
        await watcher.settle()
        heir = Watcher(chain, watcher.store) if restarted else watcher
        chain.mine(chain.answer_by(chain.ask(b"same"), STRANGER))
        await heir.settle()
        assert held(chain)

    run(story())


def test_a_false_proof_of_a_model_at_hand_is_contradicted_by_its_own():
    async def story():
        chain = FakeChain()
        chain.broken = True
        watcher = Watcher(chain, models=FakeModels())
        request = chain.ask()
        chain.mine(chain.prove_by(request, STRANGER, other(request)))
        await watcher.settle()
        assert held(chain)
        assert watcher.prover.proved == 1

    run(story())


def test_the_canarys_proof_stops_the_version():
    async def story():
        chain = FakeChain()
        chain.broken = True
        watcher = Watcher(chain)
        request = chain.ask()
        chain.canary = ids.statement(request.model_id, request.input, other(request))
        chain.mine(chain.prove_by(request, STRANGER, other(request)))
        await watcher.settle()
        assert held(chain)
        assert await chain.nonce(WATCHER) == 1

    run(story())


def test_true_proofs_stop_nothing():
    """Of one input twice, of others, and of answers that were final by silence."""

    async def story():
        chain = FakeChain()
        operator, watcher = Service(chain), Watcher(chain, models=FakeModels())
        for input in (b"same", b"same", b"other"):
            chain.ask(input)
            chain.ask_staked(input)
        await operator.rest(seconds=WINDOW)
        await watcher.settle()
        assert not held(chain)
        assert await chain.nonce(WATCHER) == 0
        assert watcher.prover.proved == 0

    run(story())


def test_a_false_contradiction_is_refused_by_the_guard_and_given_up():
    """A watcher whose own engine and prover err stops nothing: the guard asks for two proofs."""

    async def story():
        chain = FakeChain()
        watcher = Watcher(chain, models=FakeModels(), engine=Corrupt(), prover=Forger())
        request = chain.ask()
        chain.mine(chain.answer_by(request, STRANGER))
        await watcher.settle()
        assert not held(chain)
        assert (await watcher.job(request)).state is JobState.FAILED
        assert "OpeningRejected" in (await watcher.job(request)).verdict.reason
        assert await chain.nonce(WATCHER) == 0

    run(story())


class Forger:
    async def prove(self, folder, context, input):
        return b"invented", b"no proof"


STANDING = Standing(STRANGER, b"stands", 5, None)
REFUTED_WELL = refutation(STRANGER, b"stands", b"\1" + b"a quorum's words", b"proof")


@pytest.mark.parametrize(
    ("kind", "standing", "shown", "proof"),
    [
        (TierKind.PROOF, None, Shown("", b"out", b"proof"), b"proof"),
        (TierKind.OPTIMISTIC, None, Shown("", b"out", b"proof"), b"proof"),
        (TierKind.AUDITED, STANDING, Shown("", b"stands", b"proof"), b"proof"),
        (TierKind.AUDITED, STANDING, Shown("", b"out", bytes(64) + b"proof"), b"proof"),
        (TierKind.AUDITED, STANDING, Shown("", b"stands", b""), b""),
        (TierKind.COMMITTEE, STANDING, Shown("", b"stands", PROOF + b"proof"), b"proof"),
        (TierKind.COMMITTEE, STANDING, Shown("", b"out", REFUTED_WELL), b"proof"),
        (TierKind.COMMITTEE, STANDING, Shown("", b"out", b"\2 nonsense"), b""),
        (TierKind.COMMITTEE, STANDING, Shown("", b"out", b"\2" + b"\xff" * 128), b""),
        (TierKind.COMMITTEE, STANDING, Shown("", b"stands", b""), b""),
    ],
)
def test_the_proof_is_found_in_the_evidence(kind, standing, shown, proof):
    assert proof_in(kind, standing, shown) == proof


# --- crashes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("drawn", "sent"), [(False, 3), (True, 3)])
def test_dying_at_any_point_of_an_audit_makes_each_move_once(drawn, sent):
    async def settle(service):
        await service.settle()

    async def once(at):
        life = Life()
        request = life.chain.ask_audited(drawn=drawn)
        first = await life.live(settle, at)
        if first.dead:
            await life.live(settle, -1)
        life.chain.wait(WINDOW)
        second = await life.live(settle, -1 if first.dead else at - first.passed)
        if second.dead:
            await life.live(settle, -1)
        life.chain.wait(HELD + 20)
        life.clock.time += HELD
        await life.live(settle, -1)
        job = await life.memory.run(lambda ledger: ledger.job(request.id))
        assert (job.state, job.lease, job.flight) == (JobState.SETTLED, None, None)
        assert not life.chain.stage(request).slashed
        assert await life.chain.nonce(OPERATOR) == sent
        return first.dead or second.dead

    async def every():
        at = 0
        while await once(at):
            at += 1
        assert at > 60

    run(every())


def test_dying_at_any_point_a_watcher_still_hands_the_cheat_in():
    async def settle(service):
        await service.settle()

    async def once(at):
        life = Life(kind=Watcher)
        request = await wrong_claim(life.chain)
        passed, died = 0, False
        for seconds in (0, WINDOW + PATIENCE, QUOTE.prove):
            life.chain.wait(seconds)
            plan = await life.live(settle, -1 if died else at - passed)
            if plan.dead:
                died = True
                await life.live(settle, -1)
            passed += plan.passed
        assert life.chain.stage(request).slashed
        assert await life.chain.nonce(WATCHER) == 3
        return died

    async def every():
        at = 0
        while await once(at):
            at += 1
        assert at > 40

    run(every())
