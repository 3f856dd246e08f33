"""Claims that the oracle's week gave back undecided: whoever was away ends their locks."""

import pytest

from oracle.domain.chain import Outcome, Status
from oracle.domain.errors import BeaconUnavailable, InputRefused, ProverFailed
from oracle.domain.job import JobState, Standing
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import CHALLENGER, OPERATOR, QUOTE, UNSEEN, FakeChain, FakeEngine, FakeRounds
from oracle.services.closing import LOOK
from tests.oracle.arena import Arena, Liar, Pursuer, Runner, SegmentProver
from tests.oracle.test_crash import Life
from tests.oracle.test_optimistic import CLOCK, disputing, staked, wrong_claim
from tests.oracle.world import WATCHER, Challenger, Service, Watcher, run

WEEK = 7 * 86_400


async def given_back(chain, request, service=None):
    """Answered; then nobody does anything for a week, and somebody has the payment back."""
    if service is not None:
        await service.settle()
    chain.wait(WEEK)
    chain.mine(chain.refund(request))


def free(chain, owner=OPERATOR):
    return chain._account(owner).free


def test_an_operator_that_was_away_ends_the_lock_of_its_claim():
    async def story():
        chain = FakeChain()
        request, before = chain.ask_staked(), free(chain)
        service = Service(chain)
        await given_back(chain, request, service)
        assert free(chain) < before
        await service.settle()
        assert (await service.job(request)).state is JobState.REFUNDED
        assert (free(chain), chain.stage(request).outcome) == (before, Outcome.VOID)
        assert await chain.nonce(OPERATOR) == 2  # answer, close
        await service.rest(seconds=WEEK)
        assert await chain.nonce(OPERATOR) == 2

    run(story())


def test_what_another_closed_or_a_verdict_decided_is_not_closed_again():
    async def story():
        chain = FakeChain()
        service = Service(chain, terms=staked(unanswerable=True))
        request = chain.ask_staked()
        await given_back(chain, request, service)
        standing = (await service.job(request)).standing
        chain.mine(chain.by("0x" + "77" * 20, chain.close_call(request, standing)))
        await service.settle()
        assert (await service.job(request)).state is JobState.REFUNDED
        assert await chain.nonce(OPERATOR) == 1

    run(story())


STRANGER, DEPTH = "0x" + "77" * 20, 12


def closed_by_another(chain, request):
    stage = chain.stage(request)
    standing = Standing(*stage.standing, stage.since, chain.chain[-1].block.ref)
    chain.mine(chain.by(STRANGER, chain.close_call(request, standing)))


@pytest.mark.parametrize("taken_back", [False, True])
@pytest.mark.parametrize("kind", [Service, Watcher])
def test_what_another_closed_is_looked_at_again_until_it_is_confirmed(kind, taken_back):
    """In a block that a reorg takes back, and no event says so: whose lock it is ends it then."""

    async def story():
        chain = FakeChain()
        operator = Service(chain, confirmations=DEPTH)
        one = operator if kind is Service else Watcher(chain, confirmations=DEPTH)
        request = chain.ask_staked() if kind is Service else chain.ask_audited(drawn=True)
        for _ in range(3 * DEPTH):
            await operator.step()
            await one.step()
            chain.mine()
        chain.wait(WEEK)
        chain.stage(request).published = chain.timestamp
        chain.mine(chain.refund(request))
        for _ in range(DEPTH - 1):
            chain.mine()
        closed_by_another(chain, request)  # in the block in which the refund is confirmed
        await one.settle()
        assert (await one.job(request)).state is JobState.PROVISIONAL
        if taken_back:
            chain.reorg(1)
        assert (chain.stage(request).outcome is Outcome.NONE) is taken_back
        for _ in range(DEPTH):
            chain.mine()
        sent = await chain.nonce(one.key)
        chain.wait(LOOK)
        for _ in range(4 * DEPTH):
            await one.step()
            chain.mine()
        assert (await one.job(request)).state is JobState.REFUNDED
        assert chain.stage(request).outcome is not Outcome.NONE
        assert await chain.nonce(one.key) - sent == taken_back

    run(story())


def test_an_operator_does_not_end_the_lock_of_a_claim_that_it_owes_a_proof_of():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask_staked()
        await service.settle()
        chain.mine(disputing(chain, request))
        await given_back(chain, request)
        await service.settle()
        assert (await service.job(request)).state is JobState.REFUNDED
        assert chain.stage(request).outcome is Outcome.NONE
        assert await chain.nonce(OPERATOR) == 1

    run(story())


def test_a_challenger_that_was_away_ends_the_lock_and_collects_its_bond():
    async def story():
        chain = FakeChain()
        challenger = Challenger(chain)
        request = await wrong_claim(chain)
        await challenger.settle()
        chain.wait(CLOCK)
        await given_back(chain, request)
        await challenger.settle()
        stage = chain.stage(request)
        assert (stage.outcome, stage.slashed) == (Outcome.LAPSED, True)
        assert stage.disputes[0][2] == 0
        assert (await challenger.job(request)).state is JobState.REFUNDED
        assert await chain.nonce(CHALLENGER) == 3  # dispute, close, collect

    run(story())


@pytest.mark.parametrize("drawn", [False, True])
@pytest.mark.parametrize("published", [False, True])
def test_an_audited_claim_meets_its_draw_at_its_close(drawn, published):
    """A watcher publishes the round and closes what was drawn; the operator what was not."""

    async def story():
        chain = FakeChain()
        request = chain.ask_audited(drawn=drawn)
        watcher, operator = Watcher(chain), Service(chain)
        await given_back(chain, request, operator)
        chain.stage(request).published = published
        for service in (operator, watcher, operator):
            await service.settle()
        stage = chain.stage(request)
        assert stage.outcome is (Outcome.LAPSED if drawn else Outcome.VOID)
        assert stage.slashed is drawn
        assert await chain.nonce(WATCHER) == drawn  # the operator published the round
        assert await chain.nonce(OPERATOR) == 1 + (not published) + (not drawn)

    run(story())


@pytest.mark.parametrize("there", [False, True])
def test_a_claim_that_was_not_proved_while_the_beacon_was_down_is_closed_when_it_is_back(there):
    """It was not drawn after all. A watcher looks again, too, however long it takes."""

    async def story():
        chain = FakeChain()
        request, before = chain.ask_audited(), free(chain)
        halted = [BeaconUnavailable("halted")]
        service = Service(chain, rounds=FakeRounds(*halted * 40))
        watcher = Watcher(chain, rounds=FakeRounds(*halted * 80))
        service.prover.fails = [ProverFailed("out of memory")] * 8
        await service.settle()
        if there:
            chain.wait(request.deadline + WEEK - QUOTE.prove + 60 - chain.timestamp)
            for _ in range(20):
                await service.step()
                service.clock.time += 20
            assert (await service.job(request)).demand is not None
        await given_back(chain, request)
        for one in (service, watcher):
            for _ in range(400):
                await one.step()
                chain.mine()
                one.clock.time += 300
        assert chain.stage(request).outcome is Outcome.VOID
        assert (free(chain), (await service.job(request)).state) == (before, JobState.REFUNDED)

    run(story())


def test_a_watcher_waits_for_a_beacon_that_is_down_for_days():
    async def story():
        chain = FakeChain()
        request = chain.ask_audited(drawn=True)
        await given_back(chain, request, Service(chain))
        watcher = Watcher(chain, rounds=FakeRounds(*[BeaconUnavailable("halted")] * 80))
        for _ in range(400):
            await watcher.step()
            chain.mine()
            watcher.clock.time += 300
        assert chain.stage(request).outcome is Outcome.LAPSED

    run(story())


def test_a_watcher_publishes_the_round_that_its_operator_does_not():
    async def story():
        chain = FakeChain()
        request = chain.ask_audited(drawn=True)
        await given_back(chain, request, Service(chain))
        watcher = Watcher(chain)
        await watcher.settle()
        assert chain.stage(request).outcome is Outcome.LAPSED
        assert await chain.nonce(WATCHER) == 2  # publish, close
        assert (await watcher.job(request)).state is JobState.REFUNDED

    run(story())


def test_that_there_is_no_answer_is_closed_by_its_operator_alone():
    async def story():
        chain = FakeChain()
        request = chain.ask_audited(drawn=True)
        chain.mine(chain.claim_by(request, OPERATOR, UNANSWERABLE))
        await given_back(chain, request)
        watcher = Watcher(chain)
        await watcher.settle()
        assert chain.stage(request).outcome is Outcome.NONE
        assert await chain.nonce(WATCHER) == 0

    run(story())


class Refusing(FakeEngine):
    async def run(self, folder, input):
        raise InputRefused("out of range")


@pytest.mark.parametrize("drawn", [False, True])
def test_that_there_is_no_answer_is_closed_though_it_was_drawn(drawn):
    """No proof of that is asked for."""

    async def story():
        chain = FakeChain()
        service = Service(chain, engine=Refusing(), terms=staked(unanswerable=True))
        request, before = chain.ask_audited(drawn=drawn), free(chain)
        await service.settle()
        chain.wait(QUOTE.window + UNSEEN)
        chain.mine(chain.by(WATCHER, chain.publish_call("", request.nonce, b"")))
        await given_back(chain, request)
        await service.settle()
        assert (await service.job(request)).state is JobState.REFUNDED
        assert (free(chain), chain.stage(request).outcome) == (before, Outcome.VOID)

    run(story())


def composed(chain, engine=None):
    return Service(chain, engine=engine or Runner(), prover=SegmentProver())


def test_a_composition_is_closed_by_its_operator():
    async def story():
        chain = Arena()
        request, before = chain.ask_bisected(), free(chain)
        service = composed(chain)
        await given_back(chain, request, service)
        await service.settle()
        assert free(chain) == before
        assert chain.board(chain.stage(request)).outcome.name == "VOID"

    run(story())


def test_a_composition_with_something_overdue_is_closed_by_its_challenger():
    async def story():
        chain = Arena()
        request = chain.ask_bisected()
        operator, challenger = composed(chain, Liar(2)), Pursuer(chain)
        await operator.settle()
        await challenger.settle()
        await given_back(chain, request)
        await operator.settle()
        assert chain.board(chain.stage(request)).outcome.name == "NONE"  # it would be slashed
        await challenger.settle()
        assert chain.stage(request).slashed
        assert chain.board(chain.stage(request)).outcome.name == "LAPSED"
        assert ("collected", 0, 4) in chain.stage(request).disputes

    run(story())


async def owed_nothing(chain):
    return chain.ask_staked()


@pytest.mark.parametrize(
    ("kind", "key", "sent"), [(Service, OPERATOR, 2), (Challenger, CHALLENGER, 3)]
)
def test_dying_at_any_point_ends_a_lock_once(kind, key, sent):
    async def settle(service):
        await service.settle()

    async def once(at):
        life = Life(kind=kind)
        chain = life.chain
        request = await (owed_nothing if kind is Service else wrong_claim)(chain)
        await life.live(settle, -1)
        await given_back(chain, request)
        plan = await life.live(settle, at)
        if plan.dead:
            await life.live(settle, -1)
        job = await life.memory.run(lambda ledger: ledger.job(request.id))
        assert (job.state, job.lease, job.flight) == (JobState.REFUNDED, None, None)
        stage = chain.stage(request)
        assert (stage.status, stage.locked) == (Status.REFUNDED, False)
        assert stage.slashed is (kind is Challenger)
        assert await chain.nonce(key) == sent
        return plan

    async def every():
        whole = await once(-1)
        assert whole.passed > 20
        for at in range(whole.passed):
            assert (await once(at)).dead

    run(every())


@pytest.mark.parametrize("depth", [1, 2])
def test_a_reorg_takes_a_close_back_and_it_is_made_again(depth):
    async def story():
        chain = FakeChain()
        request, before = chain.ask_staked(), free(chain)
        service = Service(chain)
        await given_back(chain, request, service)
        await service.settle()
        chain.reorg(depth, keep=True)
        await service.settle()
        if chain.stage(request).status is not Status.REFUNDED:
            chain.mine(chain.refund(request))
            await service.settle()
        assert (free(chain), chain.stage(request).locked) == (before, False)

    run(story())
