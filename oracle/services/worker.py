"""What workers have in common: a lease on a job, a heartbeat, and what every ending means.

A worker says what it found as a function on the ledger; so what it took long to find out is kept in
one short transaction, or not at all.
"""

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import replace
from functools import partial

import structlog

from oracle.domain.errors import (
    ChainUnavailable,
    Declined,
    EngineDisagrees,
    InputHidden,
    InputRefused,
    Outrun,
    StoreBusy,
    TooLate,
)
from oracle.domain.job import LONGEST, LONGEST_AT_RISK, WORK, Flight, Job, JobState, Lease, Verdict
from oracle.domain.job import backoff as pause_after
from oracle.ports import Clock, JobStore, Ledger
from prover.errors import EinproofError

log = structlog.get_logger("work")

#: What a worker found: it changes the ledger, and says whether it still could.
Finding = Callable[[Ledger], bool]

#: Declined for good: nothing that the operator can mend.
LASTING = (InputRefused, InputHidden, Outrun)


class Worker(ABC):
    """One worker of a role; several may share a store, in one process or in many."""

    def __init__(
        self,
        store: JobStore,
        clock: Clock,
        holder: str,
        *,
        max_attempts: int,
        lease: int,
        among: Collection[JobState] = WORK,
    ) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._max_attempts = max_attempts
        self._lease = lease
        self.among = among

    @abstractmethod
    async def _find(self, job: Job) -> Finding:
        """What becomes of the job. Raises Declined, EngineDisagrees, or what engines, the prover
        and the chain raise."""

    async def step(self) -> bool:
        """Takes one job as far as it goes; whether there was one."""
        now = self._clock.now()
        lease = Lease(self._holder, now + self._lease)
        job = await self._store.run(lambda ledger: claim(ledger, now, lease, self.among))
        if job is None:
            return False
        bound = log.bind(id=job.request.id.hex())
        try:
            async with self._heartbeat(job):
                finding = await self._find(job)
        except TooLate as reason:
            bound.warning("expired", reason=str(reason))
            await self._judge(job, Verdict(JobState.EXPIRED, str(reason)))
        except Declined as reason:
            bound.warning("declined", reason=str(reason))
            mendable = not isinstance(reason, LASTING)
            await self._judge(job, Verdict(JobState.DECLINED, str(reason), mendable))
        except EngineDisagrees as reason:
            bound.error("failed", reason=str(reason))
            await self._judge(job, Verdict(JobState.FAILED, str(reason)))
        except ChainUnavailable:
            await self._release(job)
            raise
        except EinproofError as reason:
            await self._again(job, str(reason))
        except asyncio.CancelledError:
            await asyncio.shield(self._release(job))
            raise
        else:
            await self._store.run(finding)
        return True

    @contextlib.asynccontextmanager
    async def _heartbeat(self, job: Job) -> AsyncIterator[None]:
        """Keeps the lease alive while the body runs, however long proving takes."""

        async def beat() -> None:
            while True:
                await self._clock.sleep(self._lease / 3)
                lease = Lease(self._holder, self._clock.now() + self._lease)
                with contextlib.suppress(StoreBusy):  # the next beat is in time too
                    await self._store.run(partial(renew, job=job, lease=lease))

        beating = asyncio.create_task(beat())
        try:
            yield
        finally:
            beating.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await beating

    async def _judge(self, job: Job, verdict: Verdict) -> None:
        await self._store.run(lambda ledger: judge(ledger, job, self._holder, verdict))

    async def _release(self, job: Job) -> None:
        await self._store.run(lambda ledger: release(ledger, job, self._holder))

    async def _again(self, job: Job, reason: str) -> None:
        """Another try after a pause. The last one ends in FAILED; where stake or a bond is at risk
        there is no last one."""
        bound = log.bind(id=job.request.id.hex(), attempt=job.attempts)
        if job.attempts >= self._max_attempts and not job.at_risk:
            bound.error("failed", reason=reason)
            text = f"given up after {job.attempts} attempts: {reason}"
            await self._judge(job, Verdict(JobState.FAILED, text))
            return
        pause = pause_after(job.attempts, longest=LONGEST_AT_RISK if job.at_risk else LONGEST)
        bound.warning("will try again", seconds=pause, reason=reason)
        until = self._clock.now() + pause
        await self._store.run(lambda ledger: postpone(ledger, job, self._holder, until, reason))


# --- what happens inside one transaction -------------------------------------------------------


def claim(ledger: Ledger, now: int, lease: Lease, among: Collection[JobState] = WORK) -> Job | None:
    """Leases the job in one of these states that comes first."""
    job = ledger.claimable(now, among)
    if job is None:
        return None
    job = job.claimed(lease)
    ledger.put_job(job)
    return job


def held(ledger: Ledger, job: Job, holder: str) -> Job | None:
    """The job as it is now, if `holder` still has its lease."""
    present = ledger.job(job.request.id)
    return present if present is not None and present.held_by(holder) else None


def unchanged(ledger: Ledger, job: Job, holder: str) -> Job | None:
    """The same, if the chain has said nothing new of it since `job` was read; if it has, what was
    found is dropped, and the job is looked at anew."""
    present = held(ledger, job, holder)
    if present is not None and present.facts != job.facts:
        ledger.put_job(replace(present.released(), attempts=0))
        return None
    return present


def renew(ledger: Ledger, job: Job, lease: Lease) -> None:
    if (present := held(ledger, job, lease.holder)) is not None:
        ledger.put_job(present.leased(lease))


def judge(ledger: Ledger, job: Job, holder: str, verdict: Verdict) -> None:
    if (present := held(ledger, job, holder)) is not None:
        ledger.put_job(present.judged(verdict))


def release(ledger: Ledger, job: Job, holder: str) -> None:
    if (present := held(ledger, job, holder)) is not None:
        ledger.put_job(present.released())


def postpone(ledger: Ledger, job: Job, holder: str, until: int, note: str) -> None:
    if (present := held(ledger, job, holder)) is not None:
        ledger.put_job(present.postponed(until, note))


def recover(ledger: Ledger, alive: Callable[[str], bool], sender: str, now: int) -> int:
    """At start: frees what dead processes hold, and looks again at what the operator may have
    mended since (a missing model, a minimum fee); how many jobs wait because of it.

    Moves in flight under another key than `sender`, which nobody writes with any more, are given
    up and posted anew: whichever is mined first counts, and the other is refused.
    """
    freed = [job.released() for job in ledger.leases() if job.lease and not alive(job.lease.holder)]
    mended = [
        job.reopened()
        for job in ledger.jobs({JobState.DECLINED}, limit=10_000)
        if job.verdict is not None and job.verdict.mendable
    ]
    for job in freed + mended:
        ledger.put_job(job)
    for writer, lease in ledger.writers().items():
        if not alive(lease.holder):
            ledger.put_writer(writer, None)
    deserted = [job for job in ledger.jobs({JobState.SENT}, limit=10_000) if job.flight]
    deserted = [job for job in deserted if _deserted(ledger, job.flight, sender, now)]
    for job in deserted:
        ledger.put_job(job.landed())
    return len(freed) + len(mended) + len(deserted)


def _deserted(ledger: Ledger, flight: Flight | None, sender: str, now: int) -> bool:
    if flight is None or flight.sender == sender:
        return False
    lease = ledger.writer(flight.sender)
    if lease is not None and lease.until > now:
        return False
    for variant in ledger.flown(flight.sender, flight.nonce):
        ledger.put_flown(replace(variant, done=True))
    return True
