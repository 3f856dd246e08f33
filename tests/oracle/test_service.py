"""The use cases over fakes: what is answered, what is not, and why."""

from dataclasses import replace

import pytest

from oracle.domain.chain import Fees
from oracle.domain.errors import ChainUnavailable, InputRefused, ProverFailed
from oracle.domain.job import JobState, Lease
from oracle.fakes import (
    MODEL,
    OPERATOR,
    TIER,
    FakeChain,
    FakeEngine,
    FakeModels,
    FakeProver,
    fake_output,
)
from oracle.services.flight import Posting
from oracle.services.work import Terms
from oracle.services.worker import claim
from tests.oracle.world import Service, run


def test_a_request_is_answered_once():
    async def story():
        service = Service(FakeChain())
        request = service.chain.ask()
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.SETTLED
        assert job.closing.output == fake_output(request.input)
        assert job.closing.payee == OPERATOR
        assert job.answer.tier == TIER
        assert len(service.chain.settlements(request)) == 1
        assert await service.chain.nonce(OPERATOR) == 1

    run(story())


def test_confirmations_are_waited_for():
    async def story():
        service = Service(FakeChain(), confirmations=3)
        request = service.chain.ask()
        await service.settle()
        assert await service.store.run(lambda ledger: ledger.job(request.id)) is None
        for _ in range(3):
            service.chain.mine()
        await service.settle()
        assert (await service.job(request)).state is JobState.SENT  # mined, unconfirmed
        for _ in range(3):
            service.chain.mine()
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"fee": 9}, "pays 9 wei, this service asks 10"),
        ({"fee": 10, "callback_gas": 5, "callback_gas_price": 1}, "prepays 1 wei a gas unit"),
        ({"model_id": b"\x09" * 32}, "no folder holds model 0x0909"),
        ({"assurance": "0x" + "11" * 20}, "is no tier that this service answers under"),
        ({"pin": b"\x11" * 32}, "vouches with 0x7777"),
    ],
)
def test_what_the_service_does_not_serve_is_declined_with_its_reason(changes, reason):
    async def story():
        service = Service(FakeChain(), terms=Terms(OPERATOR, min_fee=10, min_callback_price=2))
        request = service.chain.ask(**changes)
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.DECLINED
        assert reason in job.verdict.reason
        assert not service.chain.settlements(request)
        assert service.prover.proved == 0

    run(story())


def test_a_declined_model_is_looked_at_again_after_a_restart():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask(model_id=b"\x09" * 32)
        await service.settle()
        again = Service(chain, service.store, models=FakeModels(b"\x09" * 32))
        await again.start()
        await again.settle()
        assert (await again.job(request)).state is JobState.SETTLED

    run(story())


def test_an_input_that_the_engine_refuses_stays_declined():
    class Strict(FakeEngine):
        async def run(self, folder, input):
            raise InputRefused("expected 128 bytes, got 7")

    async def story():
        service = Service(FakeChain(), engine=Strict())
        request = service.chain.ask()
        await service.settle()
        await service.start()
        await service.settle()
        assert (await service.job(request)).verdict.reason == "expected 128 bytes, got 7"

    run(story())


def test_nothing_is_posted_when_engine_and_prover_disagree():
    class Wrong(FakeEngine):
        async def run(self, folder, input):
            return b"something else"

    async def story():
        service = Service(FakeChain(), engine=Wrong())
        request = service.chain.ask()
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.FAILED
        assert "nothing is posted" in job.verdict.reason
        assert await service.chain.nonce(OPERATOR) == 0

    run(story())


def test_a_prover_that_fails_now_and_then_is_tried_again():
    async def story():
        service = Service(FakeChain(), prover=FakeProver(*[ProverFailed("killed")] * 3))
        request = service.chain.ask()
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


def test_a_job_that_always_fails_is_given_up_and_blocks_no_other():
    class Poisoned(FakeProver):
        async def prove(self, folder, context, input):
            if input == b"poison":
                raise ProverFailed("out of memory")
            return await super().prove(folder, context, input)

    async def story():
        service = Service(FakeChain(), prover=Poisoned(), terms=Terms(OPERATOR, max_attempts=3))
        poison, good = service.chain.ask(b"poison"), service.chain.ask()
        await service.settle()
        assert (await service.job(good)).state is JobState.SETTLED
        job = await service.job(poison)
        assert job.state is JobState.FAILED
        assert job.verdict.reason == "given up after 3 attempts: out of memory"

    run(story())


def test_a_late_request_expires_unproved():
    async def story():
        service = Service(FakeChain())
        request = service.chain.ask(deadline=service.chain.timestamp - 1)
        await service.settle()
        assert (await service.job(request)).state is JobState.EXPIRED
        assert service.prover.proved == 0

    run(story())


def test_an_answer_that_came_too_late_is_cancelled_and_later_ones_do_not_wait():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        late = chain.ask(deadline=chain.timestamp + 30)
        await service.settle(mine=False)
        assert (await service.job(late)).state is JobState.SENT
        stuck, chain.pool = chain.pool, []
        for _ in range(3):
            chain.mine()  # the deadline passes while the transaction is nowhere
        chain.pool = stuck
        other = chain.ask(mine=False)
        await service.settle(mine=False)
        assert (await service.job(late)).state is JobState.EXPIRED
        assert [bool(item["data"]) for item in chain.pool] == [False]
        chain.mine(other)
        await service.settle()
        assert (await service.job(other)).state is JobState.SETTLED
        assert (await service.job(late)).flight is None

    run(story())


def test_answered_by_another_is_done():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask()
        for _ in range(2):
            await service.watch.step()
        await service.work.step()
        chain.mine(chain.answer_by(request, "0x" + "ee" * 20))
        await service.settle()
        job = await service.job(request)
        assert (job.state, job.closing.payee) == (JobState.SETTLED, "0x" + "ee" * 20)
        assert await chain.nonce(OPERATOR) == 0

    run(story())


def test_answered_by_another_while_ours_waits_is_done_and_ours_is_cancelled():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask()
        await service.settle(mine=False)
        waiting, chain.pool = chain.pool, []
        chain.mine(chain.answer_by(request, "0x" + "ee" * 20))
        chain.pool = waiting
        await service.settle()
        job = await service.job(request)
        assert (job.state, job.flight) == (JobState.SETTLED, None)
        assert len(chain.settlements(request)) == 1
        assert await chain.nonce(OPERATOR) == 1  # the transfer that used the nonce up

    run(story())


def test_refunded_requests_rest():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask()
        await service.settle(mine=False)
        chain.pool.clear()
        chain.mine(chain.refund(request))
        await service.settle()
        assert (await service.job(request)).state is JobState.REFUNDED
        assert not chain.settlements(request)

    run(story())


def test_a_transaction_that_waits_too_long_is_sent_again_at_a_higher_fee():
    async def story():
        chain = FakeChain()
        service = Service(chain, posting=Posting(bump_after=60))
        request = chain.ask()
        await service.settle(mine=False)
        assert [item["most"] for item in chain.pool] == [chain.market.most]
        service.clock.time += 61
        await service.step()
        assert [item["most"] for item in chain.pool] == [chain.market.most * 9 // 8 + 1]
        chain.market = Fees(7 * 10**9, 10**8)
        service.clock.time += 61
        await service.step()
        assert [item["most"] for item in chain.pool] == [chain.market.most]
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED
        assert await chain.nonce(OPERATOR) == 1

    run(story())


def test_the_fee_cap_holds():
    async def story():
        chain = FakeChain()
        service = Service(chain, posting=Posting(bump_after=60, fee_cap=10**9))
        chain.ask()
        await service.settle(mine=False)
        service.clock.time += 61
        await service.step()
        assert [item["most"] for item in chain.pool] == [10**9]

    run(story())


def test_an_underpriced_transaction_is_raised_at_once():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        rival = {"from": OPERATOR, "nonce": 0, "to": OPERATOR, "data": "", "gas": 0}
        chain.pool.append({**rival, "most": 2 * 10**9, "hash": b"rival"})
        request = chain.ask(mine=False)
        waiting, chain.pool = chain.pool, []
        chain.mine(request)
        chain.pool = waiting
        await service.settle(mine=False)
        (held,) = chain.pool
        assert held["hash"] != b"rival"
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


def test_a_nonce_spent_by_somebody_else_with_our_key_costs_a_new_nonce_and_no_answer():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask()
        await service.settle(mine=False)
        chain.pool.clear()
        chain.mine(chain.spend(OPERATOR))
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED
        assert await chain.nonce(OPERATOR) == 2

    run(story())


def test_an_empty_wallet_loses_nothing():
    async def story():
        chain = FakeChain(balance=0)
        service = Service(chain)
        request = chain.ask()
        await service.settle()
        assert (await service.job(request)).state is JobState.READY
        chain.funds = 10**18
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED
        assert service.prover.proved == 1

    run(story())


def test_a_chain_that_is_down_loses_nothing():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask()
        await service.watch.step()
        chain.down = True
        for step in (service.watch.step, service.work.step, service.write.step):
            with pytest.raises(ChainUnavailable):
                await step()
        chain.down = False
        await service.settle()
        assert (await service.job(request)).state is JobState.SETTLED

    run(story())


def test_an_answer_that_the_contract_refuses_is_given_up_without_paying():
    class Forger(FakeProver):
        async def prove(self, folder, context, input):
            output, proof = await super().prove(folder, context, input)
            return output, proof[::-1]

    async def story():
        service = Service(FakeChain(), prover=Forger(), posting=Posting(max_attempts=2))
        request = service.chain.ask()
        await service.settle()
        job = await service.job(request)
        assert job.state is JobState.FAILED
        assert "OpeningRejected" in job.verdict.reason
        assert await service.chain.nonce(OPERATOR) == 0

    run(story())


def test_a_request_that_does_not_hash_to_its_id_is_ignored():
    async def story():
        chain = FakeChain()
        service = Service(chain)
        request = chain.ask(mine=False)
        chain.mine(replace(request, fee=request.fee + 1))
        await service.settle()
        assert await service.store.run(lambda ledger: ledger.job(request.id)) is None

    run(story())


def test_two_services_on_one_store_share_the_work_and_one_of_them_writes():
    async def story():
        chain = FakeChain()
        first = Service(chain, holder="first")
        second = Service(chain, first.store, clock=first.clock, holder="second")
        requests = [chain.ask() for _ in range(6)]
        for _ in range(30):
            await first.step()
            await second.step()
            chain.mine()
        for request in requests:
            assert len(chain.settlements(request)) == 1
        assert first.prover.proved == second.prover.proved == 3
        assert await chain.nonce(OPERATOR) == 6

    run(story())


def test_a_dead_holders_lease_runs_out():
    async def story():
        chain = FakeChain()
        dead = Service(chain, holder="dead")
        request = chain.ask()
        await dead.watch.step()
        await dead.watch.step()
        lease = Lease("dead", dead.clock.now() + 60)
        assert await dead.store.run(lambda ledger: claim(ledger, dead.clock.now(), lease))
        heir = Service(chain, dead.store, clock=dead.clock, holder="heir")
        assert not await heir.work.step()
        heir.clock.time += 61
        assert await heir.work.step()
        await heir.settle()
        assert (await heir.job(request)).state is JobState.SETTLED

    run(story())


def test_the_model_known_to_the_fakes_is_the_one_they_ask_for():
    assert FakeChain().ask().model_id == MODEL


def test_a_new_key_takes_over_what_the_old_one_had_in_flight():
    async def story():
        chain = FakeChain()
        old = Service(chain)
        request = chain.ask()
        await old.settle(mine=False)
        waiting, chain.pool = chain.pool, []
        new = Service(chain, old.store, clock=old.clock, key="0x" + "1b" * 20, holder="new")
        await new.start(lambda name: name == "new")
        await new.settle(mine=False)
        chain.pool += waiting  # and the old one turns up after all
        await new.settle()
        assert len(chain.settlements(request)) == 1
        job = await new.job(request)
        assert (job.state, job.flight) == (JobState.SETTLED, None)
        assert new.prover.proved == 0

    run(story())


def test_a_key_that_another_process_writes_with_is_left_alone():
    async def story():
        chain = FakeChain()
        other = Service(chain, holder="other")
        request = chain.ask()
        await other.settle(mine=False)
        mine = Service(chain, other.store, clock=other.clock, key="0x" + "1b" * 20)
        await mine.start(lambda name: True)
        await mine.settle(mine=False)
        assert (await mine.job(request)).flight.sender == OPERATOR
        await other.settle()
        assert await chain.nonce("0x" + "1b" * 20) == 0

    run(story())
