"""Posts what jobs want: looks at the chain once more, then opens a nonce for each move."""

from dataclasses import replace
from functools import partial

import structlog

from oracle.domain.chain import TRANSACTION_GAS, Call, Fees, Flown
from oracle.domain.errors import BeaconUnavailable, CallRefused, TooSoon
from oracle.domain.job import Demand, Due, Job, JobState, Verdict
from oracle.domain.move import Move
from oracle.ports import Ledger
from oracle.services.audit import before_final
from oracle.services.flight import Runway, lowest_free
from oracle.services.moves import for_free, order

log = structlog.get_logger("post")

#: Seconds after which a request that another has closed, unconfirmed, is looked at again.
RECHECK = 5
#: Seconds between two looks at an audit that is not decided: hours pass where inclusion is slow.
RARELY = 60

#: Refusals that time mends: stake becomes free, clocks run, a block comes.
PASSING = (
    "WrongStatus",
    "CoverageAboveFreeStake",
    "CoverageAboveStake",
    "Overloaded",
    "TooEarly",
    "SeedUnknown",
    "RoundNotMade",
    "AlreadyDrawn",
    "AuditOpen",
    "OperatorFrozen",
)

#: Silence makes a claim final no more, and its proof does: its operator was slashed elsewhere, or
#: one part of a combination would give it back.
UNSPOKEN = ("OperatorSuspended", "Disagreement")

HOUR = 3600
#: Moves that end a claim without a proof.
ENDING = frozenset({Move.FINALISE, Move.SETTLE, Move.CLOSE})


class Post:
    """The half of the writer that starts flights."""

    def __init__(self, runway: Runway) -> None:
        self._runway = runway

    async def step(self, fees: Fees) -> bool:
        """Makes the moves whose time has come; whether there were any."""
        runway = self._runway
        now, head = runway.clock.now(), await runway.chain.head()
        await runway.store.run(lambda ledger: expire(ledger, head.timestamp))
        flying, jobs = await runway.store.run(
            lambda ledger: waiting(
                ledger, runway.sender, runway.posting.in_flight, head.timestamp, now
            )
        )
        if not jobs:
            return False
        purse = await runway.chain.balance(runway.sender) - reserved(flying)
        posted = full = False
        for job in jobs:
            if (renewed := job.renewed(head.timestamp)) != job:
                await self._change(job, renewed)
                posted = True
                continue
            move = job.move
            call = None if move is None else order(runway.chain, runway.signer, job, move)
            if move is None or call is None:
                continue
            if move is Move.DISPUTE and call.value and await for_free(runway.chain, job):
                await self._change(job, replace(job, due=Due(move, call=replace(call, value=0))))
                posted = True
                continue
            bond = call.value if job.opens else 0
            if bond and (full or not await self._affordable(job, bond, now)):
                # What fits waits for the larger claim that does not, or would take its bond.
                full |= bond <= runway.posting.hourly_bonds
                continue
            if move in ENDING and await self._audited(job, head.timestamp):
                posted = True
                continue
            gas = await self._admissible(job, call)
            if gas is None:
                continue
            cost = gas * fees.most + call.value
            if cost > purse:
                log.warning(
                    "the wallet cannot pay for a transaction: send it some ether",
                    wallet=runway.sender,
                    move=move.value,
                    needs_wei=cost,
                    has_wei=max(purse, 0),
                )
                break
            purse -= cost
            used = await runway.chain.nonce(runway.sender)
            nonce = await runway.store.run(partial(lowest_free, sender=runway.sender, used=used))
            posted |= await runway.make(nonce, job, move, gas, fees, fresh=True)
        return posted

    async def _affordable(self, job: Job, bond: int, now: int) -> bool:
        """Whether the hour's budget has room for a bond; if not, the dispute waits: for as long as
        it takes, or without being looked at for a while where no hour has room for it."""
        runway = self._runway
        budget = runway.posting.hourly_bonds
        spent = await runway.store.run(lambda ledger: ledger.spent(runway.sender, now - HOUR))
        if spent + bond <= budget:
            return True
        note = f"waits: {spent} wei of bonds in the last hour, its own {bond}, the budget {budget}"
        until = now + RECHECK if bond > budget else job.not_before
        if (waits := job.postponed(until, note)) != job:
            log.warning("the budget for bonds is spent", id=job.request.id.hex(), reason=note)
            await self._change(job, waits)
        return False

    async def _audited(self, job: Job, timestamp: int) -> bool:
        """Whether an audit wants something else first."""
        runway = self._runway
        try:
            asked = await before_final(runway.chain, runway.rounds, job, timestamp)
        except TooSoon as reason:
            until = runway.clock.now() + min(reason.wait, RARELY)
            asked = job.postponed(until, str(reason))
        except BeaconUnavailable as reason:  # which may have taken half a minute
            log.warning("no round to draw by, yet", id=job.request.id.hex(), reason=str(reason))
            asked = job.postponed(runway.clock.now() + RECHECK, str(reason))
        if asked is not None:
            await self._change(job, asked)
        return asked is not None

    async def _admissible(self, job: Job, call: Call) -> int | None:
        """Gas for the job's move, if the contract would take it at the head."""
        runway, request = self._runway, job.request
        try:
            needed = await runway.chain.preflight(runway.sender, call)
        except CallRefused as reason:
            now = runway.clock.now()
            if reason.name in PASSING:
                # Of WrongStatus: closed by another, or reorganised away. The watch will say which.
                await self._change(job, job.postponed(now + RECHECK, str(reason)))
                return None
            if job.move is Move.PUBLISH:  # a relay gave another signature: it is asked anew
                log.warning("no round", id=request.id.hex(), reason=str(reason))
                asked = replace(job, due=None).postponed(now + RARELY, str(reason))
                await self._change(job, asked)
                return None
            if reason.name in UNSPOKEN and job.standing is not None and job.demand is None:
                forever = Demand(1 << 62, job.standing.block)
                await self._change(job, job.demanded(forever))
                return None
            log.error(
                "the contract refuses", id=request.id.hex(), move=job.move, reason=str(reason)
            )
            refused = job.refused(now, str(reason), runway.posting.max_attempts)
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


def waiting(
    ledger: Ledger, sender: str, in_flight: int, timestamp: int, now: int
) -> tuple[list[Flown], list[Job]]:
    """What flies unmined, and as many jobs to move as there is room for beside it."""
    flying = [flown for flown in ledger.flying(sender) if flown.mined is None]
    room = in_flight - len({flown.nonce for flown in flying})
    return flying, ledger.movable(timestamp, now, room) if room > 0 else []


def reserved(flying: list[Flown]) -> int:
    """Wei that transactions in flight may still cost: the newest variant at each nonce."""
    newest = {flown.nonce: flown for flown in flying}
    return sum(flown.gas * flown.fees.most + flown.value for flown in newest.values())
