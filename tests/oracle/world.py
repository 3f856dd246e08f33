"""Services over fakes, put together the way bootstrap does it, and driven step by step."""

import asyncio
from collections.abc import Callable, Collection
from typing import Any

from oracle.adapters.memory import MemoryStore
from oracle.domain.block import BlockRef
from oracle.domain.job import WORK, Job, JobState
from oracle.domain.move import Role
from oracle.domain.request import Request, TierKind
from oracle.fakes import (
    ATTESTED,
    AUDITED,
    CHALLENGER,
    IDENTITY,
    OPERATOR,
    STAKED,
    Crashing,
    CrashPlan,
    FakeChain,
    FakeClock,
    FakeEngine,
    FakeModels,
    FakeProver,
    FakeRounds,
    FakeSigner,
)
from oracle.services.check import Check, Vigilance
from oracle.services.flight import Posting, Runway
from oracle.services.guard import Guard, Watchfulness
from oracle.services.serve import Write
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from oracle.services.worker import recover

BOTH = frozenset(TierKind)
WATCHER = "0x" + "0e" * 20
PAUSE = 1000


class Service:
    """The three loops' steps over one world. `die` and a new Service is a restart."""

    def __init__(
        self,
        chain: FakeChain,
        store: Any = None,
        *,
        clock: FakeClock | None = None,
        models: Any = None,
        engine: Any = None,
        prover: Any = None,
        confirmations: int = 0,
        terms: Terms | None = None,
        posting: Posting | None = None,
        plan: CrashPlan | None = None,
        holder: str = "holder",
        key: str = OPERATOR,
        answer_key: Any = None,
        rounds: Any = None,
        among: Collection[JobState] = WORK,
    ) -> None:
        def port(real: Any) -> Any:
            return Crashing(real, plan) if plan else real

        self.key = key
        self.chain = chain
        self.store = store or MemoryStore()
        self.clock = clock or FakeClock()
        self.prover = prover or FakeProver()
        self._store = port(self.store)
        on_chain = port(chain)
        self.watch = Watch(on_chain, self._store, IDENTITY, 1, confirmations)
        self.work = Work(
            on_chain,
            self._store,
            port(models or FakeModels()),
            port(engine or FakeEngine()),
            port(self.prover),
            self.clock,
            IDENTITY,
            terms or Terms(OPERATOR, tiers=BOTH),
            holder,
            answer_key,
            among,
        )
        self.write = Write(
            Runway(
                on_chain,
                self._store,
                FakeSigner(key),
                self.clock,
                IDENTITY.chain_id,
                posting or Posting(),
                holder,
                port(rounds or FakeRounds()),
            )
        )

    async def start(self, alive: Callable[[str], bool] = lambda name: False) -> None:
        now = self.clock.now()
        await self._store.run(lambda ledger: recover(ledger, alive, self.key, now))

    async def step(self) -> bool:
        """One turn of every loop; whether any of them had something to do."""
        busy = await self.watch.step()
        busy |= await self.work.step()
        return await self.write.step() or busy

    async def settle(self, *, mine: bool = True, turns: int = 200) -> None:
        """Turns until nothing happens, mining what was sent, and letting a pause pass once."""
        quiet = 0
        for _ in range(turns):
            busy = await self.step()
            if mine and self.chain.pool:
                self.chain.mine()
                busy = True
            quiet = 0 if busy else quiet + 1
            if quiet == 3:
                return
            if not busy:
                self.clock.time += 10
        raise AssertionError(f"not at rest after {turns} turns")

    async def rest(self, *, seconds: int = 0) -> None:
        """Settles, and again after a while."""
        await self.settle()
        if seconds:
            self.clock.time += seconds
            self.chain.wait(seconds)
            await self.settle()

    async def job(self, request: Request) -> Job:
        job = await self.store.run(lambda ledger: ledger.job(request.id))
        assert job is not None
        return job

    async def cursor(self) -> BlockRef:
        found = await self.store.run(lambda ledger: ledger.checkpoints())
        return found[0]


class Challenger(Service):
    """The same for the challenger, whose second engine may be another."""

    def __init__(
        self,
        chain: FakeChain,
        store: Any = None,
        *,
        clock: FakeClock | None = None,
        models: Any = None,
        engine: Any = None,
        second: Any = None,
        prover: Any = None,
        confirmations: int = 0,
        posting: Posting | None = None,
        plan: CrashPlan | None = None,
        holder: str = "challenger",
        key: str = CHALLENGER,
        among: Collection[JobState] = WORK,
    ) -> None:
        super().__init__(
            chain,
            store,
            clock=clock,
            prover=prover,
            confirmations=confirmations,
            posting=posting,
            plan=plan,
            holder=holder,
            key=key,
        )

        def port(real: Any) -> Any:
            return Crashing(real, plan) if plan else real

        on_chain, engine = port(chain), engine or FakeEngine()
        tiers = {tier.assurance for tier in (STAKED, ATTESTED, AUDITED)}
        seat = Seat(Role.CHALLENGER, key, tiers)
        self.watch = Watch(on_chain, self._store, IDENTITY, 1, confirmations, seat)
        self.work = Check(
            on_chain,
            self._store,
            port(models or FakeModels()),
            (port(engine), port(second or engine)),
            port(self.prover),
            self.clock,
            IDENTITY,
            FakeSigner(key),
            Vigilance(),
            holder,
            among,
        )


class Watcher(Service):
    """The same for a watcher."""

    def __init__(
        self,
        chain: FakeChain,
        store: Any = None,
        *,
        clock: FakeClock | None = None,
        models: Any = None,
        engine: Any = None,
        prover: Any = None,
        confirmations: int = 0,
        plan: CrashPlan | None = None,
        holder: str = "watcher",
        key: str = WATCHER,
        rounds: Any = None,
    ) -> None:
        super().__init__(
            chain,
            store,
            clock=clock,
            prover=prover,
            confirmations=confirmations,
            plan=plan,
            holder=holder,
            key=key,
        )

        def port(real: Any) -> Any:
            return Crashing(real, plan) if plan else real

        on_chain = port(chain)
        seat = Seat(Role.WATCHER, key)
        self.watch = Watch(on_chain, self._store, IDENTITY, 1, confirmations, seat)
        self.work = Guard(
            on_chain,
            self._store,
            port(models or FakeModels(b"\x08" * 32)),
            port(engine or FakeEngine()),
            port(self.prover),
            self.clock,
            IDENTITY,
            FakeSigner(key),
            port(rounds or FakeRounds()),
            Watchfulness(pause=PAUSE),
            holder,
        )

    async def settle(self, *, mine: bool = True, turns: int = 200) -> None:
        """After the pause between two looks."""
        self.clock.time += PAUSE
        await super().settle(mine=mine, turns=turns)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)
