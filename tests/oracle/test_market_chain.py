"""The services over the real contracts, in any order of events: a stateful test of both together.

Contracts, node adapter, keys and transactions are real; verifier, engine and prover are the tests'
doubles. The honest may lose nothing *if* they act within the clocks, so time passes only when both
have come to rest (`test_who_sleeps_*` breaks that). Reorgs are for test_market, over fakes.
"""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.domain.move import Role
from oracle.domain.request import Request
from oracle.fakes import FakeClock, FakeRounds
from oracle.services.check import Check, Vigilance
from oracle.services.flight import Posting, Runway
from oracle.services.serve import Write
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from oracle.services.worker import recover
from tests.contracts.bench import CLOCK, ETHER, GWEI, LOCK, UNANSWERABLE, WINDOW, terms
from tests.contracts.desk import FINAL, OPEN, PROVISIONAL, REFUNDED, RETRACTED
from tests.evm import Chain, Reverted
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office
from tests.oracle.world import BOTH, run

OPERATOR, CHALLENGER, CHEAT = (open_signer(key, "", 31337) for key in ("dev:1", "dev:3", "dev:4"))
STAKE = 100 * ETHER
WRONG = LOGITS[:-1] + b"\xff"


class Party:
    """A role of the service, whole but for its loops; `store` outlives it."""

    def __init__(self, office: Office, role: Role, store: MemoryStore, clock: FakeClock) -> None:
        chain, identity = office.chain(), office.identity
        signer = OPERATOR if role is Role.OPERATOR else CHALLENGER
        self.signer, self.store, self.clock, self.node = signer, store, clock, chain.node
        echo = EchoModels(), EchoEngine(), EchoProver()
        tiers = None if role is Role.OPERATOR else {office.desk.optimistic.address}
        seat = Seat(role, signer.address, tiers)
        self.watch = Watch(chain, store, identity, office.since, 0, seat)
        self.work: Any
        if role is Role.OPERATOR:
            agreed = Terms(signer.address, tiers=BOTH)
            self.work = Work(chain, store, *echo, clock, identity, agreed, "me")
        else:
            models, engine, prover = echo
            engines = (engine, engine)
            self.work = Check(
                chain, store, models, engines, prover, clock, identity, signer, Vigilance(), "me"
            )
        posting = Posting(hourly_bonds=10**30)
        self.write = Write(Runway(chain, store, signer, clock, 31337, posting, "me", FakeRounds()))

    async def start(self) -> None:
        now, sender = self.clock.now(), self.signer.address
        await self.store.run(lambda ledger: recover(ledger, lambda name: False, sender, now))

    async def settle(self) -> None:
        """Turns until nothing happens."""
        quiet = 0
        for _ in range(60):
            busy = [await part.step() for part in (self.watch, self.work, self.write)]
            quiet = 0 if any(busy) else quiet + 1
            if quiet == 2:
                return
            self.clock.time += 0 if any(busy) else 10
        raise AssertionError("not at rest after 60 turns")


class World:
    """The contracts on a fresh chain; both parties, a cheat and whoever disputes."""

    def __init__(self, evm: Chain) -> None:
        self.evm = evm
        self.office = Office(evm, staked=True)
        self.desk = self.office.desk
        self.office.since = evm.web3.eth.block_number + 1
        for signer in (OPERATOR, CHEAT):
            self.desk.stake(STAKE, signer.address)
        self.clock = FakeClock(evm.now())
        self.parties = {role: self.party(role, MemoryStore()) for role in (Role.OPERATOR,
                        Role.CHALLENGER)}  # fmt: skip
        self.asked: list[Request] = []

    def party(self, role: Role, store: MemoryStore) -> Party:
        return Party(self.office, role, store, self.clock)

    def restart(self, role: Role, lost: bool) -> None:
        old = self.parties[role]
        old.node.close()
        self.parties[role] = self.party(role, MemoryStore() if lost else old.store)
        run(self.parties[role].start())

    def close(self) -> None:
        for party in self.parties.values():
            party.node.close()

    def ask(self, staked: bool = True) -> Request:
        desk = self.desk
        fields: dict[str, Any] = {"assurance": desk.optimistic.address, "terms": terms()}
        if not staked:
            pin = bytes(self.evm.call(desk.tier.functions.pin()))
            fields = {"assurance": desk.tier.address, "pin": pin, "terms": bytes(32)}
        request = self.office.ask(deadline=self.evm.now() + 30 * 86_400, **fields)
        self.asked.append(request)
        return request

    def answer(self, request: Request, output: bytes, payee: str, sender: str) -> None:
        """Without evidence: a claim, or what the clock says of one."""
        function = self.desk.oracle.functions.answer(
            request.fields, request.input, payee, output, b""
        )
        self.evm.send(function, sender=sender, gas=5_000_000)

    def dispute(self, request: Request) -> None:
        """Somebody does, rightly or wrongly; too late, or what has no proof, is refused."""
        tier, claim = self.desk.optimistic, self.claims()[request.id]
        function = tier.functions.dispute(request.fields, claim[0], keccak(claim[1]), b"\1" * 32)
        bond = self.evm.call(tier.functions.bond(request.terms))
        try:
            self.evm.send(function, sender=self.desk.rival, value=bond)
        except Reverted as refused:
            assert refused.name in {"TooLate", "NothingToProve"}, refused

    def rest(self) -> None:
        for _ in range(2):
            for role in (Role.CHALLENGER, Role.OPERATOR):
                run(self.parties[role].settle())

    def pass_time(self, seconds: int) -> None:
        self.rest()
        self.office.wait(seconds)
        self.clock.time = max(self.clock.time, self.evm.now()) + 4000
        self.rest()
        for request in self.at(PROVISIONAL):  # the cheat finalises what nobody disputed
            payee, output = self.claims()[request.id]
            if payee == CHEAT.address:
                try:
                    self.answer(request, output, payee, self.desk.stranger)
                except Reverted as refused:
                    assert refused.name in {"TooEarly", "OperatorSuspended"}, refused

    # --- what there is --------------------------------------------------------------------------

    def status(self, request: Request) -> int:
        return int(self.evm.call(self.desk.oracle.functions.statusOf(request.id))[0])

    def at(self, status: int) -> list[Request]:
        return [request for request in self.asked if self.status(request) == status]

    def claims(self) -> dict[bytes, tuple[str, bytes]]:
        """Request -> payee and output of the latest answer."""
        told = self._events(self.desk.oracle, "Answered")
        return {bytes(e["requestId"]): (e["payee"], e["output"]) for e in told}

    def disputes(self) -> list[Any]:
        """The challenger's own."""
        found = self._events(self.desk.optimistic, "Disputed")
        return [event for event in found if event["challenger"] == CHALLENGER.address]

    def _events(self, contract: Any, name: str) -> list[Any]:
        found = contract.events[name]().get_logs(from_block=self.office.since)
        return [event["args"] for event in found]

    def check(self) -> None:
        """The honest operator has all its stake; locks are covered; vault and oracle hold what they
        owe; what is final is right, and what the challenger disputed was not."""
        desk, evm = self.desk, self.evm
        people = {OPERATOR.address, CHEAT.address, CHALLENGER.address}
        people |= {desk.requester, desk.rival, desk.prover, desk.stranger}
        honest = desk.account(OPERATOR.address)
        assert (honest["stake"], honest["suspended"]) == (STAKE // GWEI, False)
        owed = desk.burned() + desk.owed(desk.optimistic.address)
        for person in people:
            account = desk.account(person)
            assert account["locked"] <= account["stake"]
            owed += account["stake"] + desk.owed(person)
        assert evm.balance(desk.vault.address) == owed * GWEI
        open_ = self.at(OPEN) + self.at(PROVISIONAL)
        assert evm.balance(desk.oracle.address) == sum(request.payment for request in open_)
        claims = self.claims()
        assert {claims[request.id][1] for request in self.at(FINAL)} <= {LOGITS}
        told = self._events(desk.oracle, "Answered")
        stood = {bytes(e["requestId"]): e["output"] for e in told if e["status"] == PROVISIONAL}
        for event in self.disputes():
            assert stood[bytes(event["requestId"])] != LOGITS, f"{event} is of what is right"

    def check_bonds(self) -> None:
        """Every bond that the challenger put in, it has again."""
        back = self._events(self.desk.optimistic, "BondCollected")
        got = sum(event["amount"] for event in back if event["to"] == CHALLENGER.address)
        assert got == sum(event["bond"] for event in self.disputes())


class RealMarket(RuleBasedStateMachine):
    evm: Chain
    ends: set[int]

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.evm.snapshot()
        self.world = World(self.evm)

    @rule(staked=st.booleans())
    def ask(self, staked: bool) -> None:
        self.world.ask(staked)

    @rule(lie=st.sampled_from([WRONG, LOGITS[:-2], UNANSWERABLE]))
    def cheat(self, lie: bytes) -> None:
        if self.world.desk.account(CHEAT.address)["suspended"]:
            return
        request = self.world.ask()
        self.world.answer(request, lie, CHEAT.address, CHEAT.address)

    @precondition(lambda self: self.world.at(PROVISIONAL))
    @rule(data=st.data())
    def harass(self, data: Any) -> None:
        self.world.dispute(data.draw(st.sampled_from(self.world.at(PROVISIONAL))))

    @rule(role=st.sampled_from([Role.OPERATOR, Role.CHALLENGER]), part=st.integers(0, 2))
    def act(self, role: Role, part: int) -> None:
        party = self.world.parties[role]
        run((party.watch, party.work, party.write)[part].step())

    @rule(role=st.sampled_from([Role.OPERATOR, Role.CHALLENGER]), lost=st.booleans())
    def restart(self, role: Role, lost: bool) -> None:
        self.world.restart(role, lost)

    @rule(seconds=st.sampled_from([60, CLOCK, WINDOW]))
    def time_passes(self, seconds: int) -> None:
        self.world.pass_time(seconds)

    @invariant()
    def nobody_honest_loses(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        """After all clocks nothing is open or locked; the cheat lost whole locks."""
        world = self.world
        try:
            for _ in range(2):
                world.pass_time(WINDOW + 1)
            world.check()
            world.check_bonds()
            ends = {world.status(request) for request in world.asked}
            assert ends <= {FINAL, RETRACTED, REFUNDED}
            self.ends |= ends
            assert world.desk.account(OPERATOR.address)["locked"] == 0
            lost = STAKE // GWEI - world.desk.account(CHEAT.address)["stake"]
            assert lost % LOCK == 0
        finally:
            world.close()
            self.evm.restore(self.snapshot)


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.mark.slow
@pytest.mark.chain
def test_no_order_of_events_hurts_the_honest(evm: Chain) -> None:
    class Machine(RealMarket):
        pass

    Machine.evm, Machine.ends = evm, set()
    run_state_machine_as_test(
        Machine,
        settings=settings(
            phases=[Phase.generate],  # a chain is too slow to shrink on
            max_examples=6,
            stateful_step_count=12,
            derandomize=True,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert Machine.ends >= {FINAL, RETRACTED}  # both were come to


@pytest.mark.chain
def test_who_sleeps_loses_the_lock_of_what_was_disputed(evm: Chain) -> None:
    """The premise broken: the operator's proof does not land within its clock."""
    snapshot = evm.snapshot()
    world = World(evm)
    try:
        disputed, quiet = world.ask(), world.ask()
        world.rest()
        world.dispute(disputed)
        world.office.wait(CLOCK + 1)
        world.answer(disputed, LOGITS, OPERATOR.address, world.desk.stranger)
        assert world.status(disputed) == RETRACTED
        world.pass_time(WINDOW)
        account = world.desk.account(OPERATOR.address)
        assert (account["stake"], account["locked"]) == (STAKE // GWEI - LOCK, 0)
        assert world.status(quiet) == FINAL  # proved: silence is over for the suspended
        assert world.claims()[quiet.id] == (OPERATOR.address, LOGITS)
    finally:
        world.close()
        evm.restore(snapshot)
