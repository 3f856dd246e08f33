"""Runs the service: three kinds of loop a role over one database, until told to stop.

Loops only wake each other; none hands another anything but through the database, so any of them may
die at any line. What an outage does to a loop is to wait and to try again; what the service cannot
mend by waiting (a damaged database) ends it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from oracle.domain.errors import ChainUnavailable, StoreDamaged, StoreForeign
from oracle.domain.job import JobState, backoff
from oracle.domain.move import Role
from oracle.ports import Clock, JobStore
from oracle.services.flight import Runway
from oracle.services.post import Post
from oracle.services.reconcile import Reconcile
from oracle.services.watch import Watch
from oracle.services.worker import Worker, recover
from prover.errors import EinproofError

log = structlog.get_logger("serve")

#: Longest pause between tries while the node is down, in seconds.
LONGEST_OUTAGE_PAUSE = 30


@dataclass
class Health:
    """What the outside may ask about a running service."""

    outages: dict[str, str] = field(default_factory=dict)
    jobs: dict[Role, dict[JobState, int]] = field(default_factory=dict)
    cursor: int = -1

    @property
    def healthy(self) -> bool:
        return not self.outages


class Write:
    """The writer's step: reconcile what flies, then post what jobs want."""

    def __init__(self, runway: Runway) -> None:
        self._runway = runway
        self._reconcile = Reconcile(runway)
        self._post = Post(runway)

    async def step(self) -> bool:
        if not await self._runway.hold():
            return False
        fees = await self._runway.chain.fees()
        mended = await self._reconcile.step(fees)
        return await self._post.step(fees) or mended


@dataclass(frozen=True)
class Crew:
    """One role's loops over its rows of the database: one watch, one writer with the role's key,
    any number of workers."""

    role: Role
    store: JobStore
    watch: Watch
    workers: Sequence[Worker]
    write: Write
    key: str


class Serve:
    """The loops of all roles."""

    def __init__(
        self, crews: Sequence[Crew], clock: Clock, poll: float, alive: Callable[[str], bool]
    ) -> None:
        self.health = Health(jobs={crew.role: {} for crew in crews})
        self.crews = crews
        self._clock = clock
        self._poll = poll
        self._alive = alive
        self._steps: list[tuple[str, Callable[[], Awaitable[bool]]]] = []
        for crew in crews:
            self._steps += [(f"{crew.role}-watch", crew.watch.step)]
            self._steps += [
                (f"{crew.role}-work-{i}", worker.step) for i, worker in enumerate(crew.workers)
            ]
            self._steps += [(f"{crew.role}-write", crew.write.step)]
        self._wakers: dict[str, asyncio.Event] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Work in hand is released at once and taken up by the next start.
        Raises StoreDamaged, StoreForeign."""
        for crew in self.crews:
            freed = await crew.store.run(
                partial(recover, alive=self._alive, sender=crew.key, now=self._clock.now())
            )
            if freed:
                log.info("took up what an earlier run had left", role=crew.role.value, jobs=freed)
        self._wakers = {name: asyncio.Event() for name, _ in self._steps}
        loops = [asyncio.create_task(self._loop(name, step)) for name, step in self._steps]
        loops.append(asyncio.create_task(self._look()))
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([stopping, *loops], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stopping, *loops):
                task.cancel()
            ended = await asyncio.gather(*loops, return_exceptions=True)
        for end in ended:
            if isinstance(end, Exception):
                raise end
        log.info("stopped")

    async def _loop(self, name: str, step: Callable[[], Awaitable[bool]]) -> None:
        failures = 0
        while True:
            pause = self._poll
            try:
                busy = await step()
            except (StoreDamaged, StoreForeign):
                raise
            except EinproofError as error:
                failures += 1
                pause = backoff(failures, first=1, longest=LONGEST_OUTAGE_PAUSE)
                self._down(name, error, pause)
            except Exception as error:
                failures += 1
                pause = backoff(failures, first=1, longest=LONGEST_OUTAGE_PAUSE)
                log.exception("unexpected", loop=name)
                self.health.outages[name] = repr(error)
            else:
                failures = 0
                if self.health.outages.pop(name, None) is not None:
                    log.info("works again", loop=name)
                if busy:
                    self._wake(name)
                    continue
            await self._rest(name, pause)

    def _down(self, name: str, error: EinproofError, pause: float) -> None:
        known = self.health.outages.get(name)
        self.health.outages[name] = str(error)
        if known is None:  # once an outage, not once a try
            kind = "the chain is down" if isinstance(error, ChainUnavailable) else "cannot go on"
            log.warning(kind, loop=name, retry_in=pause, reason=str(error))

    def _wake(self, name: str) -> None:
        for other, waker in self._wakers.items():
            if other != name:
                waker.set()

    async def _rest(self, name: str, seconds: float) -> None:
        """Waits, but not when another loop has just done something."""
        waker = self._wakers[name]
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        woken = asyncio.create_task(waker.wait())
        try:
            await asyncio.wait([sleeping, woken], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            woken.cancel()
        waker.clear()

    async def _look(self) -> None:
        """Keeps the figures that health and metrics show."""
        while True:
            cursors = []
            for crew in self.crews:
                self.health.jobs[crew.role], cursor = await crew.store.run(
                    lambda ledger: (ledger.counts(), ledger.checkpoints()[:1])
                )
                cursors.append(cursor[0].number if cursor else -1)
            self.health.cursor = min(cursors)
            await self._clock.sleep(max(self._poll, 1.0))
