"""The job store in memory: for tests, and to read beside the one in SQL."""

import asyncio
from collections.abc import Callable, Collection
from typing import TypeVar

from oracle.domain.block import BlockRef
from oracle.domain.chain import Flown
from oracle.domain.job import WORK, Job, JobState, Lease

T = TypeVar("T")


class MemoryLedger:
    """The ledger as dictionaries; what it holds is frozen, so a copy of them is a snapshot."""

    def __init__(self) -> None:
        self._jobs: dict[bytes, Job] = {}
        self._checkpoints: list[BlockRef] = []
        self._flown: dict[bytes, Flown] = {}
        self._writers: dict[str, Lease] = {}

    def copy(self) -> "MemoryLedger":
        other = MemoryLedger()
        other._jobs = dict(self._jobs)
        other._checkpoints = list(self._checkpoints)
        other._flown = dict(self._flown)
        other._writers = dict(self._writers)
        return other

    def job(self, request_id: bytes) -> Job | None:
        return self._jobs.get(request_id)

    def put_job(self, job: Job) -> None:
        self._jobs[job.request.id] = job

    def jobs(self, states: Collection[JobState], limit: int, due: int | None = None) -> list[Job]:
        found = [job for job in self._jobs.values() if job.state in states]
        return [job for job in found if due is None or job.not_before <= due][:limit]

    def movable(self, timestamp: int, now: int, limit: int) -> list[Job]:
        def ripe(job: Job) -> bool:
            waits = job.state is JobState.READY
            waits |= job.state is JobState.PROVISIONAL and 0 < job.ripe_at <= timestamp
            return waits and job.not_before <= now

        found = [job for job in self._jobs.values() if ripe(job)]
        return sorted(found, key=lambda job: (-job.urgency, job.not_before))[:limit]

    def overdue(self, timestamp: int) -> list[Job]:
        waiting = self.jobs({JobState.READY, JobState.SENT}, len(self._jobs))
        return [j for j in waiting if j.answer_by is not None and j.answer_by < timestamp]

    def jobs_above(self, number: int) -> list[Job]:
        return [job for job in self._jobs.values() if job.newest > number]

    def claimable(self, now: int, among: Collection[JobState] = WORK) -> Job | None:
        found = [job for job in self._jobs.values() if job.claimable(now, among)]

        def first(job: Job) -> tuple[bool, int, int]:
            return job.state is not JobState.DISPUTED, -job.urgency, job.not_before

        return min(found, key=first, default=None)

    def leases(self) -> list[Job]:
        return [job for job in self._jobs.values() if job.lease is not None]

    def counts(self) -> dict[JobState, int]:
        counts = dict.fromkeys(JobState, 0)
        for job in self._jobs.values():
            counts[job.state] += 1
        return counts

    def checkpoints(self) -> list[BlockRef]:
        return list(self._checkpoints)

    def put_checkpoint(self, block: BlockRef, keep: int) -> None:
        self._checkpoints = [block, *self._checkpoints][:keep]

    def drop_checkpoints_above(self, number: int) -> None:
        self._checkpoints = [block for block in self._checkpoints if block.number <= number]

    def flown(self, sender: str, nonce: int) -> list[Flown]:
        return [f for f in self._flown.values() if (f.sender, f.nonce) == (sender, nonce)]

    def flying(self, sender: str) -> list[Flown]:
        found = [f for f in self._flown.values() if f.sender == sender and not f.done]
        return sorted(found, key=lambda flown: flown.nonce)

    def mined_above(self, number: int) -> list[Flown]:
        return [f for f in self._flown.values() if f.mined and f.mined.block.number > number]

    def put_flown(self, flown: Flown) -> None:
        self._flown[flown.hash] = flown

    def spent(self, sender: str, since: int) -> int:
        dearest: dict[int, int] = {}
        for f in self._flown.values():
            if f.sender == sender and f.signed_at >= since:
                dearest[f.nonce] = max(f.bond, dearest.get(f.nonce, 0))
        return sum(dearest.values())

    def writer(self, sender: str) -> Lease | None:
        return self._writers.get(sender)

    def writers(self) -> dict[str, Lease]:
        return dict(self._writers)

    def put_writer(self, sender: str, lease: Lease | None) -> None:
        self._writers.pop(sender, None)
        if lease is not None:
            self._writers[sender] = lease


class MemoryStore:
    """A store whose transactions replace a snapshot: all of it, or none."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()

    async def run(self, work: Callable[[MemoryLedger], T]) -> T:
        await asyncio.sleep(0)
        ledger = self.ledger.copy()
        result = work(ledger)
        self.ledger = ledger
        return result
