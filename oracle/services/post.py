"""Posts proved answers: looks at the chain once more, then opens a nonce for each."""

from functools import partial

import structlog

from oracle.domain.chain import TRANSACTION_GAS, Fees, Flown
from oracle.domain.errors import CallRefused
from oracle.domain.job import Job, JobState, Verdict
from oracle.ports import Ledger
from oracle.services.flight import Runway, lowest_free

log = structlog.get_logger("post")

#: Seconds after which a request that another has closed, unconfirmed, is looked at again.
RECHECK = 5


class Post:
    """The half of the writer that starts flights."""

    def __init__(self, runway: Runway) -> None:
        self._runway = runway

    async def step(self, fees: Fees) -> bool:
        """Posts what is proved and still wanted; whether anything was."""
        runway = self._runway
        now, head = runway.clock.now(), await runway.chain.head()
        await runway.store.run(lambda ledger: expire(ledger, head.timestamp))
        flying, jobs = await runway.store.run(
            lambda ledger: waiting(ledger, runway.sender, runway.posting.in_flight, now)
        )
        if not jobs:
            return False
        purse = await runway.chain.balance(runway.sender) - reserved(flying)
        posted = False
        for job in jobs:
            gas = await self._admissible(job)
            if gas is None:
                continue
            cost = gas * fees.most
            if cost > purse:
                log.warning(
                    "the wallet cannot pay for an answer: send it some ether",
                    wallet=runway.sender,
                    needs_wei=cost,
                    has_wei=max(purse, 0),
                )
                break
            purse -= cost
            used = await runway.chain.nonce(runway.sender)
            nonce = await runway.store.run(partial(lowest_free, sender=runway.sender, used=used))
            posted |= await runway.answer(nonce, job, gas, fees, fresh=True)
        return posted

    async def _admissible(self, job: Job) -> int | None:
        """Gas for the job's answer, if the contract would take it at the head."""
        runway, request = self._runway, job.request
        if job.answer is None:
            return None
        call = runway.chain.answer_call(request, job.answer)
        try:
            needed = await runway.chain.preflight(runway.sender, call)
        except CallRefused as reason:
            if reason.name == "WrongStatus":
                # Closed by another, or reorganised away: the watch will say which, once confirmed.
                await self._change(job, job.postponed(runway.clock.now() + RECHECK, str(reason)))
                return None
            log.error("the contract refuses the answer", id=request.id.hex(), reason=str(reason))
            refused = job.refused(runway.clock.now(), str(reason), runway.posting.max_attempts)
            await self._change(job, refused)
            return None
        return min(needed + needed // 5, TRANSACTION_GAS)

    async def _change(self, before: Job, after: Job) -> None:
        """Keeps `after`, unless the job is no longer what it was computed from."""

        def work(ledger: Ledger) -> None:
            if ledger.job(before.request.id) == before:
                ledger.put_job(after)

        await self._runway.store.run(work)


def expire(ledger: Ledger, timestamp: int) -> None:
    """Jobs whose deadline has passed rest; what flies for them will be cancelled."""
    for job in ledger.overdue(timestamp):
        late = timestamp - job.request.deadline
        log.warning("expired", id=job.request.id.hex(), seconds_late=late)
        ledger.put_job(job.judged(Verdict(JobState.EXPIRED, f"the deadline passed {late} s ago")))


def waiting(ledger: Ledger, sender: str, in_flight: int, now: int) -> tuple[list[Flown], list[Job]]:
    """What flies unmined, and as many proved jobs as there is room for beside it."""
    flying = [flown for flown in ledger.flying(sender) if flown.mined is None]
    room = in_flight - len({flown.nonce for flown in flying})
    jobs = ledger.jobs({JobState.PROVED}, limit=room, due=now) if room > 0 else []
    return flying, jobs


def reserved(flying: list[Flown]) -> int:
    """Wei that transactions in flight may still cost: the newest variant at each nonce."""
    newest = {flown.nonce: flown for flown in flying}
    return sum(flown.gas * flown.fees.most for flown in newest.values())
