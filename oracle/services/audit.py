"""What the beacon asks of a claim before it may become final by silence, and of one that was
disputed in vain: once its window is over, it is lost with its draw.

A drawn claim of ours is never handed in without its proof, not even late: the proof still wins
until somebody else has handed it in, and to hand it in without one forfeits the whole stake.

A beacon that halts holds everything back but the oracle's week, after which nothing can be proved:
our claim is proved unasked, a prove clock before that.
"""

from dataclasses import replace

import structlog

from oracle.domain.chain import Audit, Status
from oracle.domain.errors import TooSoon
from oracle.domain.job import Demand, Due, Job
from oracle.domain.move import Move
from oracle.domain.request import Request, TierKind
from oracle.domain.terms import MAX_CONTEST, UNANSWERABLE
from oracle.ports import Chain, Rounds

log = structlog.get_logger("audit")


def presses(audit: Audit, request: Request, now: int) -> bool:
    """Whether a claim is to be proved unasked, whatever becomes of its round: the week ends within
    a prove clock."""
    return not audit.known and now >= request.deadline + MAX_CONTEST - (audit.until - audit.made)


async def before_final(chain: Chain, rounds: Rounds, job: Job, now: int) -> Job | None:
    """The job with what it has to do first, at a time of the chain's: to publish its round, or to
    prove; None: nothing. Raises TooSoon, and BeaconUnavailable: time to wait."""
    answer, standing = job.answer, job.standing
    audited = answer.tier.of_kind(TierKind.AUDITED, job.request) if answer is not None else None
    if answer is None or audited is None:
        return None
    if standing is None or standing.output == UNANSWERABLE:
        return None
    left = job.closing is not None and bool(answer.tier.parts)
    # An operator's may be of the part that failed; a challenger follows its own.
    demand = None if left and job.mine else job.demand
    lost = now if demand is None else min(now, demand.prove_by)
    if lost <= standing.since + answer.draw_window:
        return None
    part, seen = audited
    stands = job.closing is None
    if left:
        place = answer.tier.vouchers.index(part)
        status = await chain.claim_for(job.request, place)
        if status is Status.RETRACTED:
            return None  # its audit is over: another part's lock is to be ended
        stands = status is Status.PROVISIONAL
    audit = await chain.audit(seen)
    last = job.request.deadline + MAX_CONTEST
    if job.mine and stands and demand is None and presses(audit, job.request, now):
        log.warning("no round, and the week ends", id=job.request.id.hex(), prove_by=last)
        # What is left of a combination's claim is looked up anew, and ended by the proof.
        return replace(job, due=None) if left else job.demanded(Demand(last, standing.block))
    if not audit.known:
        if now < audit.made:
            raise TooSoon(f"round {audit.round} is not made", audit.made - now)
        signature = await rounds.signature(audit)
        call = chain.publish_call(audit.beacon, audit.round, signature)
        return job.owed(Due(Move.PUBLISH, call=call))
    if not audit.drawn and stands and job.demand is None and now <= audit.until:
        raise TooSoon("other claims may have been drawn", audit.until + 1 - now)
    if not audit.drawn or not job.mine:
        return None
    if job.closing is not None:  # to end its lock now would forfeit the stake: looked up anew
        return replace(job, due=None)
    log.warning("drawn for an audit", id=job.request.id.hex(), prove_by=min(audit.until, last))
    return job.demanded(Demand(min(audit.until, last), standing.block))
