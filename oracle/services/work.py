"""Turns a request into an answer: decide, infer, prove, compare.

What is kept is only what two programs agree on: the integer engine (which checks every range) and
the prover. Everything else ends as a verdict that says why, or as another try after a pause.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from functools import partial

import structlog

from oracle.domain import ids
from oracle.domain.chain import Identity
from oracle.domain.errors import (
    ChainUnavailable,
    Declined,
    EngineDisagrees,
    InputRefused,
    StoreBusy,
    TooLate,
    Underpaid,
    WrongTier,
)
from oracle.domain.job import Flight, Job, JobState, Lease, Verdict, backoff
from oracle.domain.request import Answer, Request, Tier
from oracle.ports import Chain, Clock, Engine, JobStore, Ledger, ModelStore, Prover
from prover.errors import EinproofError

log = structlog.get_logger("work")


@dataclass(frozen=True, slots=True)
class Terms:
    """What this service answers: at least `min_fee` wei a request and `min_callback_price` wei a
    unit of callback gas, paid to `payee`; a job that has failed `max_attempts` times is given up.
    `lease` in seconds."""

    payee: str
    min_fee: int = 0
    min_callback_price: int = 0
    max_attempts: int = 20
    lease: int = 60


class Work:
    """One worker; several may share a store, in one process or in many."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        models: ModelStore,
        engine: Engine,
        prover: Prover,
        clock: Clock,
        identity: Identity,
        terms: Terms,
        holder: str,
    ) -> None:
        self._chain = chain
        self._store = store
        self._models = models
        self._engine = engine
        self._prover = prover
        self._clock = clock
        self._identity = identity
        self._terms = terms
        self._holder = holder

    async def step(self) -> bool:
        """Takes one job as far as it goes; whether there was one."""
        now = self._clock.now()
        lease = Lease(self._holder, now + self._terms.lease)
        job = await self._store.run(lambda ledger: claim(ledger, now, lease))
        if job is None:
            return False
        bound = log.bind(id=job.request.id.hex())
        try:
            async with self._heartbeat(job):
                answer = await self._answer(job)
        except TooLate as reason:
            bound.warning("expired", reason=str(reason))
            await self._judge(job, Verdict(JobState.EXPIRED, str(reason)))
        except Declined as reason:
            bound.warning("declined", reason=str(reason))
            mendable = not isinstance(reason, InputRefused)
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
            kept = await self._store.run(lambda ledger: keep(ledger, job, answer))
            if kept:
                bound.info("proved", bytes=len(answer.proof), seconds=round(answer.seconds, 3))
        return True

    async def _answer(self, job: Job) -> Answer:
        """The answer that both programs agree on. Raises Declined, EngineDisagrees, or what the
        prover and the chain raise."""
        request = job.request
        tier = await self._admit(request)
        folder = await self._models.find(request.model_id)
        expected = await self._engine.run(folder, request.input)
        word = ids.context(
            self._identity.chain_id, self._identity.oracle, request, self._terms.payee
        )
        started = time.perf_counter()
        output, proof = await self._prover.prove(folder, word, request.input)
        seconds = time.perf_counter() - started
        if output != expected:
            raise EngineDisagrees(
                f"{self._engine.name} computed {expected[:16].hex()}..., the prover "
                f"{output[:16].hex()}...: nothing is posted; report this model and input"
            )
        return Answer(self._terms.payee, output, proof, tier, self._engine.name, seconds)

    async def _admit(self, request: Request) -> Tier:
        """The tier to answer under, if this service answers such a request at all."""
        now = (await self._chain.head()).timestamp
        if now > request.deadline:
            raise TooLate(f"the deadline passed {now - request.deadline} s ago")
        if request.fee < self._terms.min_fee:
            raise Underpaid(f"pays {request.fee} wei, this service asks {self._terms.min_fee}")
        if request.callback_gas and request.callback_gas_price < self._terms.min_callback_price:
            raise Underpaid(
                f"the callback prepays {request.callback_gas_price} wei a gas unit, this service "
                f"asks {self._terms.min_callback_price}"
            )
        tier = await self._chain.tier(request.assurance)
        if tier is None:
            raise WrongTier(f"{request.assurance} is no tier that this service answers under")
        if tier.pin != request.pin:
            raise WrongTier(
                f"pins 0x{request.pin.hex()}, tier {request.assurance} vouches with "
                f"0x{tier.pin.hex()}"
            )
        return tier

    @contextlib.asynccontextmanager
    async def _heartbeat(self, job: Job) -> AsyncIterator[None]:
        """Keeps the lease alive while the body runs, however long proving takes."""

        async def beat() -> None:
            while True:
                await self._clock.sleep(self._terms.lease / 3)
                lease = Lease(self._holder, self._clock.now() + self._terms.lease)
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
        """Another try after a pause; the last one ends in FAILED."""
        bound = log.bind(id=job.request.id.hex(), attempt=job.attempts)
        if job.attempts >= self._terms.max_attempts:
            bound.error("failed", reason=reason)
            text = f"given up after {job.attempts} attempts: {reason}"
            await self._judge(job, Verdict(JobState.FAILED, text))
            return
        pause = backoff(job.attempts)
        bound.warning("will try again", seconds=pause, reason=reason)
        until = self._clock.now() + pause
        await self._store.run(lambda ledger: postpone(ledger, job, self._holder, until, reason))


# --- what happens inside one transaction -------------------------------------------------------


def claim(ledger: Ledger, now: int, lease: Lease) -> Job | None:
    """Leases the oldest job that waits."""
    job = ledger.claimable(now)
    if job is None:
        return None
    job = job.claimed(lease)
    ledger.put_job(job)
    return job


def held(ledger: Ledger, job: Job, holder: str) -> Job | None:
    """The job as it is now, if `holder` still has its lease."""
    present = ledger.job(job.request.id)
    return present if present is not None and present.held_by(holder) else None


def renew(ledger: Ledger, job: Job, lease: Lease) -> None:
    if (present := held(ledger, job, lease.holder)) is not None:
        ledger.put_job(present.leased(lease))


def keep(ledger: Ledger, job: Job, answer: Answer) -> bool:
    """Stores the answer. A lease that was lost in a reorg does not make the answer worse."""
    present = ledger.job(job.request.id)
    if present is None or present.answer is not None:
        return False
    ledger.put_job(present.answered(answer))
    return True


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

    Answers in flight under another key than `sender`, which nobody writes with any more, are given
    up and posted anew: whichever is mined first settles the request, and the other is refused.
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
