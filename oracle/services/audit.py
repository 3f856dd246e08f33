"""What the beacon asks of a claim of ours before it may become final by silence.

A drawn claim is never handed in without its proof, not even late: the proof still wins until
somebody else has handed it in, and to hand it in without one forfeits the whole stake.
"""

from dataclasses import replace

import structlog

from oracle.domain.job import Demand, Due, Job
from oracle.domain.move import Move
from oracle.domain.request import TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import Chain, Rounds

log = structlog.get_logger("audit")


async def before_final(chain: Chain, rounds: Rounds, job: Job) -> Job | None:
    """The job with what it has to do first: to publish its round, or to prove; None: nothing.
    Raises BeaconUnavailable."""
    audited = job.answer is not None and job.answer.tier.kind is TierKind.AUDITED
    if not audited or job.standing is None or job.standing.output == UNANSWERABLE:
        return None
    audit = await chain.audit(job.request)
    if not audit.known:
        signature = await rounds.signature(audit)
        call = chain.publish_call(audit.beacon, audit.round, signature)
        return job.owed(Due(Move.PUBLISH, call=call))
    if not audit.drawn:
        return None
    if job.closing is not None:  # to end its lock now would forfeit the stake: looked up anew
        return replace(job, due=None)
    log.warning("drawn for an audit", id=job.request.id.hex(), prove_by=audit.until)
    return job.demanded(Demand(audit.until, job.standing.block))
