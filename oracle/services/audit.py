"""What the beacon asks of a claim before it may become final by silence, and of one that was
disputed in vain: once its window is over, it is lost with its draw.

A drawn claim of ours is never handed in without its proof, not even late: the proof still wins
until somebody else has handed it in, and to hand it in without one forfeits the whole stake.
"""

from dataclasses import replace

import structlog

from oracle.domain.chain import Status
from oracle.domain.errors import TooSoon
from oracle.domain.job import Demand, Due, Job
from oracle.domain.move import Move
from oracle.domain.request import TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import Chain, Rounds

log = structlog.get_logger("audit")


async def before_final(chain: Chain, rounds: Rounds, job: Job, now: int) -> Job | None:
    """The job with what it has to do first, at a time of the chain's: to publish its round, or to
    prove; None: nothing. Raises TooSoon, BeaconUnavailable."""
    answer, standing = job.answer, job.standing
    audited = answer.tier.of_kind(TierKind.AUDITED, job.request) if answer is not None else None
    if answer is None or audited is None:
        return None
    if standing is None or standing.output == UNANSWERABLE:
        return None
    left = job.closing is not None and bool(answer.tier.parts)
    demand = None if left else job.demand  # which may be of the part that failed
    lost = now if demand is None else min(now, demand.prove_by)
    if lost <= standing.since + answer.draw_window:
        return None
    part, seen = audited
    if left:
        place = answer.tier.vouchers.index(part)
        if await chain.claim_for(job.request, place) is Status.RETRACTED:
            return None  # its audit is over: another part's lock is to be ended
    audit = await chain.audit(seen)
    if not audit.known:
        if now < audit.made:
            raise TooSoon(f"round {audit.round} is not made", audit.made - now)
        signature = await rounds.signature(audit)
        call = chain.publish_call(audit.beacon, audit.round, signature)
        return job.owed(Due(Move.PUBLISH, call=call))
    if not audit.drawn and job.demand is None and now <= audit.until:
        raise TooSoon("other claims may have been drawn", audit.until + 1 - now)
    if not audit.drawn or not job.mine:
        return None
    if job.closing is not None:  # to end its lock now would forfeit the stake: looked up anew
        return replace(job, due=None)
    log.warning("drawn for an audit", id=job.request.id.hex(), prove_by=audit.until)
    return job.demanded(Demand(audit.until, standing.block))
