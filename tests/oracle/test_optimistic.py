"""The optimistic tier over fakes: what the operator stakes on, and what the challenger disputes."""

from dataclasses import replace

import pytest

from oracle.adapters.memory import MemoryStore
from oracle.bootstrap import agreed
from oracle.domain import ids
from oracle.domain.chain import Case, Outcome, Status
from oracle.domain.errors import InputHidden, InputRefused, ProverFailed
from oracle.domain.job import Due, JobState
from oracle.domain.move import Move
from oracle.domain.request import Answer, TierKind
from oracle.domain.terms import UNANSWERABLE, ClaimTerms
from oracle.fakes import (
    CHALLENGER,
    IDENTITY,
    OPERATOR,
    QUOTE,
    STAKED,
    TERMS,
    FakeChain,
    FakeEngine,
    FakeModels,
    fake_output,
    fake_proof,
)
from oracle.services.check import due
from oracle.services.flight import Posting
from oracle.services.moves import refutation
from oracle.services.work import Terms
from oracle.settings import PREFIX, read_settings
from tests.oracle.world import BOTH, Challenger, Service, run

STRANGER, RIVAL = "0x" + "ee" * 20, "0x" + "dd" * 20
WINDOW, CLOCK = QUOTE.window + 20, QUOTE.prove + 20


class Corrupt(FakeEngine):
    """An engine whose outputs are wrong in one bit."""

    name = "corrupt"

    async def run(self, folder, input):
        right = await super().run(folder, input)
        return bytes([right[0] ^ 1]) + right[1:]


class Strict(FakeEngine):
    async def run(self, folder, input):
        raise InputRefused("expected values in [-128, 127], got [0, 400]")


def staked(**changes):
    return Terms(OPERATOR, tiers=BOTH, **changes)


def disputing(chain, request, who=RIVAL, output=b""):
    standing = chain.stage(request).standing
    call = chain.dispute_call(request, *standing, bytes(32), QUOTE.bond)
    return chain.by(who, call)


def refuting(chain, request, who=STRANGER):
    output = fake_output(request.input)
    context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, who)
    proof = refutation(*chain.stage(request).standing, fake_proof(context, output))
    return chain.by(who, chain.answer_call(request, Answer(who, output, proof, STAKED)))


async def wrong_claim(chain, by=STRANGER, **changes):
    request = chain.ask_staked(**changes)
    wrong = await Corrupt().run(None, request.input)
    chain.mine(chain.claim_by(request, by, wrong))
    return request


# --- the words of the contracts ----------------------------------------------------------------


def test_terms_are_read_as_they_are_written():
    for terms in (TERMS, ClaimTerms(2**40 - 1, 2**15 - 1, 255), ClaimTerms(1, 1)):
        assert terms.fits
        assert ClaimTerms.parse(terms.word) == terms
    for wrong in (ClaimTerms(0, 1), ClaimTerms(1, 0), ClaimTerms(2**40, 1), ClaimTerms(1, 2**15)):
        assert not wrong.fits


# --- the operator ------------------------------------------------------------------------------


def test_an_answer_stands_at_once_and_is_final_after_its_window_without_a_proof():
    async def story():
        service = Service(FakeChain())
        request = service.chain.ask_staked()
        await service.settle()
        assert (await service.job(request)).state is JobState.PROVISIONAL
        assert service.chain.stage(request).status is Status.PROVISIONAL
        assert await service.chain.nonce(OPERATOR) == 1
        await service.rest(seconds=WINDOW)
        assert (await service.job(request)).state is JobState.SETTLED
        assert len(service.chain.settlements(request)) == 1
        assert await service.chain.nonce(OPERATOR) == 2
        assert service.prover.proved == 0

    run(story())


def test_a_disputed_answer_is_proved_before_its_clock_ends():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request, other = chain.ask_staked(), chain.ask_staked()
        await service.settle()
        chain.mine(disputing(chain, request))
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED
        assert chain.stage(request).outcome is Outcome.UPHELD
        assert chain.stage(other).status is Status.PROVISIONAL
        assert service.prover.proved == 1
        assert chain._account(OPERATOR).stake == 10**13

    run(story())


def test_a_demanded_proof_comes_before_new_requests_and_is_never_given_up():
    async def story():
        chain = FakeChain()
        service = Service(chain, terms=staked(max_attempts=2))
        request = chain.ask_staked()
        await service.settle()
        chain.mine(disputing(chain, request), chain.ask(mine=False))
        service.prover.fails = [ProverFailed("out of memory")] * 4
        await service.watch.step()
        await service.work.step()
        assert (await service.job(request)).note == "out of memory"
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


@pytest.mark.parametrize(
    ("terms", "changes", "reason"),
    [
        (staked(max_coverage=10**9 - 1), {}, "ask for less, or for a proof"),
        (staked(proving=61), {}, "declares 60 s of proving, this service needs 61"),
        (staked(max_proving=59), {}, "declares 60 s of proving, this service takes 59 at most"),
        (staked(coverage_rate=10**18), {}, "this coverage costs"),
        (Terms(OPERATOR), {}, "is no tier that this service answers under"),
        (Terms(OPERATOR, tiers=frozenset({TierKind.PROOF})), {}, "is no tier"),
        (staked(), {"pin": b"\x11" * 32}, "vouches with 0x7777"),
    ],
)
def test_what_is_not_staked_on_is_declined_with_its_reason(terms, changes, reason):
    async def story():
        service = Service(FakeChain(), terms=terms)
        request = service.chain.ask_staked(**changes)
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.DECLINED
        assert reason in job.verdict.reason
        assert await service.chain.nonce(OPERATOR) == 0

    run(story())


def test_a_request_that_declares_hours_of_proving_is_declined_as_set_from_the_start(monkeypatch):
    """Open claims may declare half a clock together: this one alone would take it for ten hours."""
    for name in ("PROVING", "MAX_PROVING"):
        monkeypatch.delenv(PREFIX + name, raising=False)
    terms = agreed(read_settings(proving=30), OPERATOR)

    async def story():
        service = Service(FakeChain(), terms=terms)
        cheap = service.chain.ask_staked(terms=ClaimTerms(1, 32_767).word)
        fair = service.chain.ask_staked(terms=ClaimTerms(1, 120).word)
        await service.settle()
        assert "takes 120 at most" in (await service.job(cheap)).verdict.reason
        assert (await service.job(fair)).state is JobState.PROVISIONAL

    run(story())


def test_a_stopped_model_is_not_served_any_more():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        chain.stopped_models.add(chain.ask(mine=False).model_id)
        requests = [chain.ask(), chain.ask_staked()]
        await service.settle()
        for request in requests:
            assert "it was stopped" in (await service.job(request)).verdict.reason
        assert await chain.nonce(OPERATOR) == 0

    run(story())


def test_coverage_is_priced_by_amount_and_time():
    asked = ClaimTerms(2 * 10**9, 60)
    assert Terms(OPERATOR, 7, coverage_rate=1000).price(asked, 4 * 3600) == 7 + 1000 * 2 * 4


def test_what_no_stake_covers_is_declined_and_what_others_bind_is_waited_for():
    async def story():
        chain = FakeChain()
        chain.stakes[OPERATOR] = QUOTE.lock - 1
        service = Service(chain)
        request = chain.ask_staked()
        await service.settle()
        assert "of this service's stake are free" in (await service.job(request)).verdict.reason
        chain.stakes[OPERATOR] = QUOTE.lock
        pair = [chain.ask_staked(mine=False) for _ in range(2)]
        chain.mine(*pair)
        for _ in range(3):
            await service.watch.step()
        await service.work.step()
        await service.work.step()  # both are answered before either is posted
        await service.settle()
        states = [(await service.job(one)).state for one in pair]
        assert states == [JobState.PROVISIONAL, JobState.READY]
        await service.rest(seconds=WINDOW)
        await service.rest(seconds=WINDOW)
        assert [(await service.job(one)).state for one in pair] == [JobState.SETTLED] * 2

    run(story())


def test_an_input_without_an_answer_is_declined_or_said_to_have_none():
    async def story():
        for post, state in ((False, JobState.DECLINED), (True, JobState.PROVISIONAL)):
            service = Service(FakeChain(), engine=Strict(), terms=staked(unanswerable=post))
            request, proof = service.chain.ask_staked(), service.chain.ask()
            await service.settle()
            assert (await service.job(proof)).state is JobState.DECLINED
            job = await service.job(request)
            assert job.state is state
            if post:
                assert job.standing.output == UNANSWERABLE
                assert "got [0, 400]" in job.answer.why
                await service.rest(seconds=WINDOW)
                assert (await service.job(request)).state is JobState.REFUNDED
                assert chain_free(service.chain) == 10**13

    def chain_free(chain):
        return chain._account(OPERATOR).free

    run(story())


def test_a_model_with_committed_inputs_is_declined_for_good():
    class Hidden(FakeEngine):
        async def run(self, folder, input):
            raise InputHidden("the model's input is committed")

    async def story():
        service = Service(FakeChain(), engine=Hidden())
        request = service.chain.ask()
        await service.settle()
        job = await service.job(request)
        assert (job.state, job.verdict.mendable) == (JobState.DECLINED, False)

    run(story())


def test_anothers_answer_is_left_alone():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask_staked()
        chain.mine(chain.claim_by(request, STRANGER, fake_output(request.input)))
        await service.settle()
        job = await service.job(request)
        assert (job.state, job.verdict.mendable) == (JobState.DECLINED, False)
        late = chain.ask_staked()
        for _ in range(3):
            await service.watch.step()
        await service.work.step()  # computed, not posted
        chain.mine(chain.claim_by(late, STRANGER, fake_output(late.input)))
        await service.rest(seconds=WINDOW)
        assert (await service.job(late)).state is JobState.PROVISIONAL
        assert await chain.nonce(OPERATOR) == 0

    run(story())


@pytest.mark.parametrize("disputed", [False, True])
def test_a_claim_from_before_the_database_is_defended_and_finalised(disputed):
    async def story():
        chain = FakeChain()
        first = Service(chain)
        request = chain.ask_staked()
        await first.settle()
        if disputed:
            chain.mine(disputing(chain, request))
        heir = Service(chain, MemoryStore(), terms=staked(max_coverage=1, min_fee=10**20))
        await heir.rest(seconds=0 if disputed else WINDOW)
        assert (await heir.job(request)).state is JobState.SETTLED
        assert heir.prover.proved == int(disputed)

    run(story())


def test_a_slashed_operators_other_claims_are_proved():
    async def story():
        chain = FakeChain()
        service = Service(chain, engine=FakeEngine())
        good = chain.ask_staked()
        await service.settle()
        bad = chain.ask_staked(model_id=b"\x09" * 32)
        chain.mine(chain.claim_by(bad, OPERATOR, b"wrong"))  # with the same key, elsewhere
        chain.mine(disputing(chain, bad))
        chain.wait(CLOCK)
        lapsed = chain.answer_call(bad, Answer(OPERATOR, b"wrong", b"", STAKED))
        chain.mine(chain.by(RIVAL, lapsed))
        assert chain._account(OPERATOR).suspended
        await service.rest(seconds=WINDOW)
        assert (await service.job(good)).state is JobState.SETTLED
        assert service.prover.proved == 1
        more = chain.ask_staked()
        await service.settle()
        assert "was slashed" in (await service.job(more)).verdict.reason

    run(story())


def test_a_cheat_cannot_prove_and_loses_its_lock():
    async def story():
        chain = FakeChain()
        cheat = Service(chain, engine=Corrupt())
        challenger = Challenger(chain)
        request = chain.ask_staked()
        await cheat.settle()
        await challenger.settle()
        await cheat.settle()
        assert "the prover" in (await cheat.job(request)).verdict.reason
        await challenger.rest(seconds=CLOCK)
        stage = chain.stage(request)
        assert (stage.status, stage.outcome) == (Status.RETRACTED, Outcome.LAPSED)
        assert chain._account(OPERATOR).stake == 10**13 - QUOTE.lock
        assert stage.disputes[0][2] == 0  # the bond is back

    run(story())


# --- the challenger ----------------------------------------------------------------------------


def test_a_right_claim_is_checked_and_costs_nothing():
    async def story():
        chain = FakeChain()
        operator, challenger = Service(chain), Challenger(chain)
        request, proof = chain.ask_staked(), chain.ask()
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.WAITING
        await operator.settle()
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.CHECKED
        assert await challenger.store.run(lambda ledger: ledger.job(proof.id)) is None
        assert await chain.nonce(CHALLENGER) == 0

    run(story())


def test_a_wrong_claim_is_disputed_settled_and_the_bond_collected():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        await challenger.settle()
        job = await challenger.job(request)
        assert (job.state, job.contest.index) == (JobState.PROVISIONAL, 0)
        assert await chain.nonce(CHALLENGER) == 1
        await challenger.rest(seconds=CLOCK)
        assert (await challenger.job(request)).state is JobState.REFUNDED
        assert chain.stage(request).slashed
        assert chain.stage(request).disputes[0][2] == 0
        assert await chain.nonce(CHALLENGER) == 3  # dispute, settle, collect

    run(story())


def test_a_claim_refuted_by_another_earns_the_reward_of_the_matching_commitment():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        await challenger.settle()
        chain.mine(refuting(chain, request))
        await challenger.settle()
        stage = chain.stage(request)
        assert (stage.outcome, stage.winner, stage.reward) == (Outcome.OVERTURNED, 1, 0)
        assert stage.disputes[0][2] == 0
        assert (await challenger.job(request)).state is JobState.SETTLED
        assert await chain.nonce(CHALLENGER) == 4  # dispute, reveal, award, collect

    run(story())


def test_a_wrong_dispute_would_lose_its_bond_and_asks_for_nothing_more():
    async def story():
        chain = FakeChain()
        operator, challenger = Service(chain), Challenger(chain, engine=Corrupt())
        request = chain.ask_staked()
        await operator.settle()
        await challenger.settle()
        await operator.settle()
        await challenger.settle()
        assert chain.stage(request).outcome is Outcome.UPHELD
        assert (await challenger.job(request)).state is JobState.SETTLED
        assert await chain.nonce(CHALLENGER) == 1

    run(story())


def test_engines_that_disagree_dispute_nothing():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain, second=Corrupt())
        request = await wrong_claim(chain)
        await challenger.settle()
        job = await challenger.job(request)
        assert job.state is JobState.FAILED
        assert "nothing is disputed" in job.verdict.reason
        assert await chain.nonce(CHALLENGER) == 0

    run(story())


def test_models_that_it_does_not_hold_are_not_disputed():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain, models=FakeModels(b"\x08" * 32))
        request = await wrong_claim(chain)
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.DECLINED

    run(story())


def test_what_another_disputes_needs_no_second_bond():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        chain.mine(disputing(chain, request))
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.PROVISIONAL
        assert await chain.nonce(CHALLENGER) == 0

    run(story())


def test_a_claim_whose_window_is_over_is_too_late():
    async def story():
        chain = FakeChain()
        request = await wrong_claim(chain)
        chain.wait(WINDOW)
        challenger = Challenger(chain)
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.EXPIRED

    run(story())


def test_bonds_keep_to_the_hours_budget():
    async def story():
        chain = FakeChain()
        posting = Posting(hourly_bonds=2 * QUOTE.bond)
        challenger = Challenger(chain, posting=posting)
        requests = [await wrong_claim(chain) for _ in range(3)]
        start = challenger.clock.time
        for _ in range(20):
            await challenger.step()
            chain.mine()
        assert [len(chain.stage(request).disputes) for request in requests] == [1, 1, 0]
        assert "the budget" in (await challenger.job(requests[2])).note
        challenger.clock.time = start + 3700
        for _ in range(5):
            await challenger.step()
            chain.mine()
        assert len(chain.stage(requests[2]).disputes) == 1

    run(story())


class ByCoverage(FakeChain):
    """Large claims take large bonds."""

    async def quote(self, tier, terms):
        large = ClaimTerms.parse(terms).coverage > DECOY
        return replace(await super().quote(tier, terms), bond=(1 + large) * QUOTE.bond)


DECOY = 1  # gwei


async def decoys(chain, number):
    """Of an operator each: who is slashed for one is disputed for free."""
    small, first = ClaimTerms(DECOY, 60).word, len(chain.stakes)
    cheats = [f"0x{first + at:040x}" for at in range(number)]
    return [await wrong_claim(chain, by=cheat, terms=small) for cheat in cheats]


async def turns(challenger, number):
    for _ in range(number):
        await challenger.step()
        challenger.chain.mine()


def struck(chain, requests):
    return sum(bool(chain.stage(request).disputes) for request in requests)


def test_a_large_lie_is_checked_and_disputed_before_the_decoys_that_came_first():
    async def story():
        chain = ByCoverage()
        challenger = Challenger(chain, posting=Posting(hourly_bonds=3 * QUOTE.bond))
        small, large = await decoys(chain, 8), await wrong_claim(chain)
        await turns(challenger, 30)
        assert struck(chain, [large]) == 1
        assert struck(chain, small) == 1  # with what the large one has left of the hour

    run(story())


def test_small_bonds_take_nothing_of_what_a_large_one_waits_for():
    """Four decoys have taken all but one bond of the hour; four more, and a large lie, wait."""

    async def story():
        chain = ByCoverage()
        challenger = Challenger(chain, posting=Posting(hourly_bonds=5 * QUOTE.bond))
        first = await decoys(chain, 4)
        start = challenger.clock.time
        await turns(challenger, 12)
        assert struck(chain, first) == 4
        large, late = await wrong_claim(chain), await decoys(chain, 4)
        await turns(challenger, 20)
        assert struck(chain, [large]) == struck(chain, late) == 0
        assert "the budget" in (await challenger.job(large)).note
        challenger.clock.time = start + 3700
        await turns(challenger, 20)
        assert (struck(chain, [large]), struck(chain, late)) == (1, 3)

    run(story())


def test_a_bond_that_no_hour_has_room_for_holds_up_nothing():
    async def story():
        chain = ByCoverage()
        challenger = Challenger(chain, posting=Posting(hourly_bonds=QUOTE.bond))
        large, small = await wrong_claim(chain), await decoys(chain, 1)
        await turns(challenger, 20)
        assert (struck(chain, [large]), struck(chain, small)) == (0, 1)
        assert "the budget" in (await challenger.job(large)).note

    run(story())


async def lapsed(chain, request):
    """The transaction that ends a claim whose proof did not come: its operator is slashed."""
    chain.mine(disputing(chain, request))
    chain.wait(CLOCK)
    wrong = await Corrupt().run(None, request.input)
    return chain.by(RIVAL, chain.answer_call(request, Answer(STRANGER, wrong, b"", STAKED)))


@pytest.mark.parametrize("late", [False, True])
def test_a_slashed_operators_other_lies_bind_no_bond_and_know_no_window(late):
    """They are final by no silence. That there is no answer is, so its window counts."""

    async def story():
        chain = FakeChain()
        first, second = [await wrong_claim(chain) for _ in range(2)]
        silent = chain.ask_staked()
        chain.mine(chain.claim_by(silent, STRANGER, UNANSWERABLE))
        posting = Posting(hourly_bonds=0)
        challenger = Challenger(chain, posting=posting, engine=FakeEngine())
        end = await lapsed(chain, first)
        if late:
            chain.wait(WINDOW)
        else:
            await turns(challenger, 20)
            assert "the budget" in (await challenger.job(second)).note
            assert not chain.stage(second).disputes
        chain.mine(end)
        challenger.clock.time += 20
        await challenger.settle()
        ((who, _, bond),) = chain.stage(second).disputes
        assert (who, bond) == (CHALLENGER, 0)
        assert (await challenger.job(silent)).state is (
            JobState.EXPIRED if late else JobState.SETTLED
        )
        await challenger.rest(seconds=CLOCK)
        assert chain.stage(second).outcome is Outcome.LAPSED
        assert (await challenger.job(second)).state is JobState.REFUNDED

    run(story())


def test_a_slash_that_a_reorg_takes_back_asks_for_the_bond_again():
    async def story():
        chain = FakeChain()
        first, second = [await wrong_claim(chain) for _ in range(2)]
        challenger = Challenger(chain)
        chain.mine(await lapsed(chain, first))
        for _ in range(20):
            await challenger.watch.step()
            await challenger.work.step()
        await challenger.write.step()
        assert (await challenger.job(second)).due.call.value == 0
        chain.reorg(1)
        await challenger.settle()
        ((who, _, bond),) = chain.stage(second).disputes
        assert (who, bond) == (CHALLENGER, QUOTE.bond)

    run(story())


def test_a_false_word_that_there_is_no_answer_is_refuted_by_a_proof():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = chain.ask_staked()
        chain.mine(chain.claim_by(request, STRANGER, UNANSWERABLE))
        await challenger.settle()
        assert (await challenger.job(request)).closing.payee == CHALLENGER
        assert chain.stage(request).slashed
        assert challenger.prover.proved == 1

    run(story())


def test_a_true_word_that_there_is_no_answer_stands_and_an_answer_to_it_is_disputed():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain, engine=Strict())
        unanswerable, invented = chain.ask_staked(), chain.ask_staked()
        chain.mine(chain.claim_by(unanswerable, STRANGER, UNANSWERABLE))
        chain.mine(chain.claim_by(invented, STRANGER, b"invented"))
        await challenger.settle()
        assert (await challenger.job(unanswerable)).state is JobState.CHECKED
        assert [who for who, _, _ in chain.stage(invented).disputes] == [CHALLENGER]

    run(story())


@pytest.mark.parametrize("holds", [True, False])
def test_a_lost_database_loses_no_reward_and_never_the_bond(holds):
    async def story():
        chain = FakeChain()
        request = await wrong_claim(chain)
        await Challenger(chain).settle()
        chain.mine(refuting(chain, request))
        models = FakeModels() if holds else FakeModels(b"\x08" * 32)
        heir = Challenger(chain, MemoryStore(), models=models)
        await heir.settle()
        stage = chain.stage(request)
        assert stage.reward == (0 if holds else QUOTE.reward)
        assert stage.disputes[0][2] == 0
        assert (await heir.job(request)).state is JobState.SETTLED

    run(story())


def test_a_bond_that_another_collected_for_us_is_not_asked_for_again():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        await challenger.settle()
        chain.wait(CLOCK)
        for _ in range(30):
            if (await challenger.job(request)).due is not None:
                break
            await challenger.watch.step()
            await challenger.work.step()
            job = await challenger.job(request)
            if job.flight or not job.closing:
                await challenger.write.step()
                chain.mine()
        assert (await challenger.job(request)).due.move is Move.COLLECT
        chain.mine(chain.by(RIVAL, chain.collect_call(request, 0)))
        await challenger.settle()
        assert (await challenger.job(request)).state is JobState.REFUNDED
        assert await chain.nonce(CHALLENGER) == 2

    run(story())


CASE = Case(Outcome.OVERTURNED, 0, 5, 100, b"", b"", 7)


@pytest.mark.parametrize(
    ("case", "index", "matches", "now", "expected"),
    [
        (CASE, 0, True, 100, Due(Move.REVEAL)),
        (CASE, 0, True, 101, Due(Move.COLLECT)),
        (CASE, 0, False, 100, Due(Move.COLLECT)),
        (replace(CASE, winner=3), 1, True, 9, Due(Move.REVEAL)),
        (replace(CASE, winner=1), 1, True, 9, Due(Move.COLLECT)),
        (replace(CASE, winner=1), 0, True, 9, Due(Move.AWARD)),
        (replace(CASE, winner=2), 1, True, 9, Due(Move.AWARD, 101)),
        (replace(CASE, winner=1, reward=0), 0, True, 9, Due(Move.COLLECT)),
        (replace(CASE, winner=1, reward=0, bond=0), 0, True, 9, Due(None)),
        (replace(CASE, outcome=Outcome.LAPSED), 0, True, 9, Due(Move.COLLECT)),
        (replace(CASE, outcome=Outcome.VOID), 0, True, 9, Due(Move.COLLECT)),
        (replace(CASE, outcome=Outcome.UPHELD), 0, True, 9, Due(None)),
        (replace(CASE, outcome=Outcome.NONE), 0, True, 9, Due(None)),
    ],
)
def test_what_a_decided_dispute_still_owes(case, index, matches, now, expected):
    assert due(case, index, matches, now) == expected
