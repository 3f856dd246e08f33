"""Claims that the oracle's week gave back, undecided: their lock lasts until someone closes them.

Anyone may. An operator does for a claim of its own that nobody disputed, and has its stake back; a
challenger for one that it disputed, and has bond and reward; a watcher for one that an audit drew.

Of a combination, what one part gave back still stands in the others, which end one by one: by
`conclude` within the oracle's week, by `close` after it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from oracle.domain.chain import Call, Status
from oracle.domain.errors import CallRefused
from oracle.domain.job import Due, Job, Standing
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import Chain
from oracle.services.audit import presses

#: Time mends these: a beacon's round is not published yet.
PASSING = ("SeedUnknown", "TooEarly", "AuditOpen", "OperatorFrozen")


async def close(chain: Chain, sender: str, call: Call) -> Due:
    """The move that ends a lock, if one is left."""
    try:
        await chain.preflight(sender, call)
    except CallRefused as reason:
        if reason.name not in PASSING:
            return Due(None)
    return Due(Move.CLOSE, call=call)


class Ends:
    """Ends the locks of an operator's claim under a combination: by silence where that is enough,
    else by a proof. `prove` makes one of the job's answer."""

    def __init__(
        self, chain: Chain, payee: str, prove: Callable[[Job, Answer], Awaitable[Answer]]
    ) -> None:
        self._chain = chain
        self._payee = payee
        self._prove = prove

    async def next(self, job: Job, standing: Standing, answer: Answer, tier: Tier) -> Due:
        """The end of the first lock that is left and can be ended."""
        for place, (part, seen) in enumerate(tier.vouching(job.request)):
            status, due = await self._chain.claim_for(job.request, place), Due(None)
            stands = status is Status.PROVISIONAL
            owed = await self._owed(part, seen, standing, stands)
            if stands:
                due = await self._conclude(job, standing, answer, place, owed)
            elif status is Status.REFUNDED and not owed:
                call = self._chain.close_call(seen, standing)
                due = await close(self._chain, self._payee, call)
            if due.move is not None:
                return due
        return Due(None)

    async def _owed(self, part: Tier, seen: Request, standing: Standing, stands: bool) -> bool:
        """Whether the part asks for the claim's proof, or may once nothing can be proved any more:
        to hand it in without would slash."""
        if standing.output == UNANSWERABLE:
            return False
        if await self._chain.disputed(seen):
            return True
        if part.kind is not TierKind.AUDITED:
            return False
        audit, head = await self._chain.audit(seen), await self._chain.head()
        return audit.drawn or (stands and presses(audit, seen, head.timestamp))

    async def _conclude(
        self, job: Job, standing: Standing, answer: Answer, place: int, owed: bool
    ) -> Due:
        silent = self._chain.conclude_call(job.request, place, replace(answer, proof=b""))
        if not owed:
            try:
                await self._chain.preflight(self._payee, silent)
                return Due(Move.CLOSE, call=silent)
            except CallRefused as reason:
                if reason.name in PASSING:
                    return Due(Move.CLOSE, standing.since + answer.window + 1, call=silent)
                if reason.name != "OperatorSuspended":
                    raise
        proved = answer if answer.proof else await self._prove(job, answer)
        return Due(Move.PROVE, call=self._chain.conclude_call(job.request, place, proved))
