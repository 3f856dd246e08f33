"""The small rules that only a race would show: two processes, or the chain, between two lines."""

from dataclasses import replace

import pytest

from oracle.adapters.memory import MemoryLedger
from oracle.domain.block import BlockRef
from oracle.domain.chain import Fees, Flown, Receipt, Requested
from oracle.domain.job import Closing, Flight, Job, JobState, Lease, backoff
from oracle.domain.request import Answer
from oracle.fakes import OPERATOR, TIER, FakeChain
from oracle.services.flight import follow, hold, land, lowest_free, take_off
from oracle.services.watch import Seat, advance, rewind
from oracle.services.work import keep
from oracle.services.worker import claim, judge
from tests.oracle.world import Service, run

ANSWER = Answer(OPERATOR, b"out", b"proof", TIER)
FLIGHT = Flight(OPERATOR, 0)


def block(number, salt=0):
    return BlockRef(number, bytes([salt]) * 31 + bytes([number]))


@pytest.fixture
def ledger():
    """At block 5; this process writes."""
    made = MemoryLedger()
    made.put_checkpoint(block(4), 9)
    made.put_checkpoint(block(5), 9)
    hold(made, OPERATOR, 0, Lease("me", 60))
    return made


@pytest.fixture
def job(ledger):
    """Proved, seen in block 5."""
    made = Job(FakeChain().ask()).found(block(5)).answered(ANSWER)
    ledger.put_job(made)
    return made


def flown(job, nonce=0, most=10, **fields):
    made = Flown(OPERATOR, nonce, bytes([most]) * 32, b"", job.request.id, 9, Fees(most, 1), 0)
    return replace(made, **fields)


def test_a_cursor_that_another_moved_is_not_moved_again(ledger):
    event = Requested(FakeChain().ask(), block(6))
    assert not advance(ledger, block(4), block(6), [event], Seat())
    assert not advance(ledger, block(5, salt=1), block(6), [event], Seat())
    assert ledger.job(event.request.id) is None
    assert advance(ledger, block(5), block(6), [event], Seat())
    assert ledger.checkpoints()[0] == block(6)


def test_a_rewind_that_another_made_is_not_made_again(ledger, job):
    rewind(ledger, block(4), 3)
    assert ledger.job(job.request.id).state is JobState.READY
    rewind(ledger, block(5), 4)
    assert ledger.job(job.request.id).state is JobState.ORPHANED
    assert ledger.checkpoints() == [block(4)]


def test_an_answer_takes_off_only_while_it_is_wanted(ledger, job):
    closing = Closing(JobState.SETTLED, block(5), b"")
    for other in (job.closed(closing), job.rewound(4), job.sent(Flight(OPERATOR, 3))):
        ledger.put_job(other)
        assert not take_off(ledger, flown(job), "me")
        assert ledger.flying(OPERATOR) == []
    ledger.put_job(job)
    assert take_off(ledger, flown(job), "me")
    assert ledger.job(job.request.id).flight == FLIGHT


def test_only_the_holder_of_the_key_signs(ledger, job):
    assert not hold(ledger, OPERATOR, 59, Lease("other", 100))
    assert not take_off(ledger, flown(job), "other")
    assert take_off(ledger, flown(job), "me")
    assert not follow(ledger, flown(job, most=20), "other")
    assert hold(ledger, OPERATOR, 60, Lease("other", 100))  # it ran out
    assert follow(ledger, flown(job, most=20), "other")
    assert not follow(ledger, flown(job, most=30), "me")


def test_one_thing_at_a_nonce(ledger, job):
    assert take_off(ledger, flown(job), "me")
    other = Job(replace(job.request, id=b"\x09" * 32)).found(block(5)).answered(ANSWER)
    ledger.put_job(other)
    assert not take_off(ledger, flown(other, most=20), "me")
    assert lowest_free(ledger, OPERATOR, 0) == 1
    assert not follow(ledger, flown(other, most=20), "me")  # it has no flight there


def test_a_lost_nonce_may_be_opened_again(ledger, job):
    ledger.put_flown(flown(job, done=True))
    assert lowest_free(ledger, OPERATOR, 0) == 0
    ledger.put_flown(flown(job, done=True, mined=Receipt(block(5), True, 9)))
    assert lowest_free(ledger, OPERATOR, 0) == 1


def test_a_nonce_is_done_when_the_cursor_has_passed_the_very_block(ledger, job):
    assert take_off(ledger, flown(job), "me")
    for receipt in (Receipt(block(6), True, 9), Receipt(block(5, salt=1), True, 9)):
        assert land(ledger, flown(job), receipt, 0, 5)
        assert not land(ledger, flown(job), receipt, 0, 5)  # nothing new
        assert ledger.job(job.request.id).flight == FLIGHT
    assert land(ledger, flown(job), Receipt(block(5), True, 9), 0, 5)
    assert ledger.job(job.request.id).flight is None
    assert ledger.flying(OPERATOR) == []


def test_a_reverted_answer_is_tried_again_and_then_given_up(ledger, job):
    reverted = Receipt(block(5), False, 9)
    for nonce in range(3):
        ready = replace(ledger.job(job.request.id), not_before=0)
        ledger.put_job(ready)
        sent = flown(job, nonce, most=10 + nonce)
        assert take_off(ledger, sent, "me")
        assert land(ledger, sent, reverted, 100, 3)
        assert ledger.job(job.request.id).attempts == nonce + 1
    assert ledger.job(job.request.id).state is JobState.FAILED


def test_a_second_proof_changes_nothing(ledger, job):
    assert not keep(ledger, job, replace(ANSWER, proof=b"another"))
    assert ledger.job(job.request.id).answer == ANSWER


def test_a_verdict_counts_only_from_who_has_the_lease(ledger):
    asked = Job(FakeChain().ask()).found(block(5))
    ledger.put_job(asked)
    mine = claim(ledger, 0, Lease("me", 60))
    assert claim(ledger, 59, Lease("other", 119)) is None
    theirs = claim(ledger, 60, Lease("other", 120))
    verdict = asked.refused(0, "no", 1).verdict
    judge(ledger, mine, "me", verdict)
    assert ledger.job(asked.request.id).state is JobState.NEW
    judge(ledger, theirs, "other", verdict)
    assert ledger.job(asked.request.id).state is JobState.FAILED
    assert theirs.attempts == 2


def test_every_transaction_is_stored_before_it_is_sent():
    class Strict(FakeChain):
        async def send(self, raw):
            stored = await self.store.run(lambda ledger: ledger.flying(OPERATOR))
            assert raw in [flown.raw for flown in stored]
            self.sent = getattr(self, "sent", 0) + 1
            await super().send(raw)

    async def story():
        chain = Strict()
        service = Service(chain)
        chain.store = service.store
        chain.ask()
        await service.settle(mine=False)
        service.clock.time += 100
        await service.settle()
        assert chain.sent == 2

    run(story())


def test_a_gap_below_later_nonces_is_filled():
    """A stranger's use of the key took nonce 0, and a reorg takes it back."""

    async def story():
        chain = FakeChain()
        service = Service(chain)
        requests = [chain.ask(), chain.ask()]
        await service.settle(mine=False)
        chain.pool.clear()
        chain.mine(chain.spend(OPERATOR))
        for _ in range(3):
            await service.step()
        first, second = [await service.job(request) for request in requests]
        assert (first.flight.nonce, second.flight.nonce) == (2, 1)
        chain.reorg(1)
        await service.settle()
        for request in requests:
            assert len(chain.settlements(request)) == 1
        assert await chain.nonce(OPERATOR) == 3

    run(story())


def test_a_verdict_from_before_a_reorg_is_forgotten():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        chain.mine()
        request = chain.ask(deadline=chain.timestamp + 40)
        waiting = chain.reorg(1, keep=False, longer=3)  # the deadline passes elsewhere
        chain.mine(*waiting)
        await service.settle()
        assert (await service.job(request)).state is JobState.EXPIRED
        chain.reorg(4, keep=True, longer=-3)  # and had not, in truth
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


def test_pauses_grow_and_end():
    assert [backoff(n) for n in range(9)] == [2, 2, 4, 8, 16, 32, 64, 128, 256]
    assert backoff(9) == backoff(10**9) == 300
