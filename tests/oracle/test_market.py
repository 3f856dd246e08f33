"""Operator, challenger and a cheat over one chain of fakes, in any order, against rules that must
hold whatever happens: a stateful test of the services, reorgs and restarts included.

The honest may lose nothing *if* they act within the clocks; so time passes only when both have come
to rest. What happens when they do not is in `test_who_sleeps_loses_at_most_one_lock`.
"""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oracle.adapters.memory import MemoryStore
from oracle.domain.chain import Outcome, Status
from oracle.domain.job import JobState
from oracle.domain.request import Answer
from oracle.domain.terms import UNANSWERABLE
from oracle.fakes import CHALLENGER, OPERATOR, QUOTE, STAKED, FakeChain, fake_output
from oracle.services.flight import Posting
from tests.oracle.test_optimistic import CLOCK, RIVAL, STRANGER, WINDOW, disputing, refuting
from tests.oracle.world import Challenger, Service, run

START = 10**13
CLOSED = (Status.FINAL, Status.RETRACTED, Status.REFUNDED)
#: Claims that can be disputed within a window, a block each, where blocks pass before that.
MANY = 10
LIES = st.sampled_from([b"wrong", UNANSWERABLE, b"\x01" * 20])


class Market(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.chain = FakeChain()
        self.chain.stakes[STRANGER] = START
        self.operator = Service(self.chain)
        self.challenger = Challenger(self.chain, posting=Posting(hourly_bonds=10**30))
        self.asked = []

    # --- what people do ---

    @rule()
    def ask(self):
        self.asked.append(self.chain.ask_staked())

    @rule()
    def ask_for_a_proof(self):
        self.asked.append(self.chain.ask())

    def open(self, status):
        staked = [request for request in self.asked if any(request.terms)]
        return [request for request in staked if self.chain.stage(request).status is status]

    @precondition(lambda self: len(self.open(Status.PROVISIONAL)) < MANY)
    @rule(lie=LIES)
    def cheat(self, lie):
        """A request that the cheat answers before anybody else can."""
        self.ask()
        self.chain.mine(self.chain.claim_by(self.asked[-1], STRANGER, lie))

    @precondition(lambda self: self.open(Status.PROVISIONAL))
    @rule(data=st.data())
    def harass(self, data):
        """Somebody disputes, rightly or wrongly."""
        request = data.draw(st.sampled_from(self.open(Status.PROVISIONAL)))
        self.chain.mine(disputing(self.chain, request, RIVAL))

    @precondition(lambda self: self.open(Status.PROVISIONAL))
    @rule(data=st.data())
    def refute(self, data):
        request = data.draw(st.sampled_from(self.open(Status.PROVISIONAL)))
        if self.chain.stage(request).standing[1] != fake_output(request.input):
            self.chain.mine(refuting(self.chain, request, RIVAL))

    # --- what the services do ---

    @rule(part=st.sampled_from(["watch", "work", "write"]), who=st.booleans())
    def act(self, part, who):
        run(getattr(self.operator if who else self.challenger, part).step())

    @rule()
    def mine(self):
        self.chain.mine()

    @rule(depth=st.integers(1, 3), reinject=st.booleans())
    def reorganise(self, depth, reinject):
        if depth < len(self.chain.chain):
            self.chain.reorg(depth, keep=True, reinject=reinject)

    @rule(lost=st.booleans(), who=st.booleans())
    def restart(self, lost, who):
        """With its database, or without."""
        name, kind = ("operator", Service) if who else ("challenger", Challenger)
        old = getattr(self, name)
        store = MemoryStore() if lost else old.store
        posting = Posting(hourly_bonds=10**30)
        new = kind(self.chain, store, clock=old.clock, posting=posting)
        run(new.start())
        setattr(self, name, new)

    @rule()
    def rest(self):
        """Everybody acts until nothing is left to do."""

        async def both():
            for _ in range(3):
                await self.challenger.settle()
                await self.operator.settle()

        run(both())

    @rule(seconds=st.sampled_from([60, CLOCK, WINDOW]))
    def time_passes(self, seconds):
        self.rest()
        self.chain.wait(seconds)
        self.rest()
        self.hand_in()

    def hand_in(self):
        """The cheat finalises what nobody disputed, and the rival settles what nobody proved."""
        for request in self.open(Status.PROVISIONAL):
            stage = self.chain.stage(request)
            until = stage.prove_by if stage.disputes else stage.since + QUOTE.window
            if self.chain.timestamp > until and stage.staker == STRANGER:
                claim = self.chain.answer_call(request, Answer(*stage.standing, b"", STAKED))
                self.chain.mine(self.chain.by(RIVAL if stage.disputes else STRANGER, claim))

    # --- what must hold ---

    @invariant()
    def the_honest_operator_is_never_slashed(self):
        account = self.chain._account(OPERATOR)
        assert (account.stake, account.suspended) == (START, False)

    @invariant()
    def locks_are_covered(self):
        for owner in (OPERATOR, STRANGER):
            account = self.chain._account(owner)
            assert account.stake >= account.locked >= 0

    @invariant()
    def a_request_settles_once(self):
        for request in self.asked:
            assert len(self.chain.settlements(request)) <= 1

    @invariant()
    def the_challenger_disputes_only_what_is_wrong(self):
        for request in self.asked:
            stage = self.chain.stage(request)
            if any(who == CHALLENGER for who, _, _ in stage.disputes):
                assert stage.standing[1] != fake_output(request.input)
                assert stage.outcome is not Outcome.UPHELD
            assert [who for who, _, _ in stage.disputes].count(CHALLENGER) <= 1

    @invariant()
    def what_is_final_is_right(self):
        for request in self.asked:
            stage = self.chain.stage(request)
            if stage.status is Status.FINAL:
                (answered,) = self.chain.settlements(request)
                assert answered.output == fake_output(request.input)

    def teardown(self):
        """After all clocks, nothing is open, locked, bound or unpaid."""
        for _ in range(4):
            self.time_passes(WINDOW)
            self.operator.clock.time += 4000
            self.challenger.clock.time += 4000
        self.what_is_final_is_right()
        for request in self.asked:
            stage = self.chain.stage(request)
            assert stage.status in CLOSED, stage
            if stage.status is Status.RETRACTED:
                assert stage.slashed
            if stage.slashed:
                assert stage.staker == STRANGER
            for who, _, bond in stage.disputes:
                if who == CHALLENGER:
                    assert bond == 0
        assert self.chain._account(OPERATOR).locked == 0


def test_no_order_of_events_hurts_the_honest():
    run_state_machine_as_test(
        Market, settings=settings(max_examples=40, stateful_step_count=30, deadline=None)
    )


@pytest.mark.parametrize("sleeper", ["operator", "challenger"])
def test_who_sleeps_loses_at_most_one_lock(sleeper):
    """The premise broken: one of the two misses its clock."""

    async def story():
        chain = FakeChain()
        operator, challenger = Service(chain), Challenger(chain)
        request, other = chain.ask_staked(), chain.ask_staked()
        await operator.settle()
        if sleeper == "operator":
            chain.mine(disputing(chain, request, RIVAL))
            chain.wait(CLOCK)
            late = chain.answer_call(request, (await operator.job(request)).answer)
            chain.mine(chain.by(RIVAL, late))
            chain.wait(WINDOW)
            await operator.settle()
            account = chain._account(OPERATOR)
            assert account.stake == START - QUOTE.lock  # one lock, whatever else is open
            assert chain.stage(other).status is Status.FINAL  # proved: silence is over
        else:
            wrong = chain.ask_staked()
            chain.mine(chain.claim_by(wrong, STRANGER, b"wrong"))
            chain.wait(WINDOW)
            await challenger.settle()
            assert (await challenger.job(wrong)).state is JobState.EXPIRED
            assert await chain.nonce(CHALLENGER) == 0  # nothing is bound that cannot be won

    run(story())
