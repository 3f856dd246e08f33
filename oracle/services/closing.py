"""Claims that the oracle's week gave back, undecided: their lock lasts until someone closes them.

Anyone may. An operator does for a claim of its own that nobody disputed, and has its stake back; a
challenger for one that it disputed, and has bond and reward; a watcher for one that an audit drew.

Of a combination, what one part gave back still stands in the others, which end one by one: by
`conclude` within the oracle's week, by `close` after it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from oracle.domain.chain import Call, Status
from oracle.domain.errors import CallRefused
from oracle.domain.job import Due, Job, Standing
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import Chain, JobStore
from oracle.services.audit import presses

#: Seconds from one look to the next while a move waits: what another gave, demanded or closed may
#: be in a block that a reorg takes back, and no event says so. A small part of each clock.
LOOK = 600
#: No time at all.
NEVER = 1 << 62

#: Time mends these: a beacon's round is not published yet.
PASSING = ("SeedUnknown", "TooEarly", "AuditOpen", "OperatorFrozen")


@dataclass(frozen=True)
class Closer:
    """Ends locks for `sender`; `store` knows up to which block the chain is confirmed."""

    chain: Chain
    store: JobStore
    sender: str

    async def close(self, call: Call) -> Due:
        """The move that ends a lock, if one is left. That none is counts once a confirmed block
        says it, too: until then it waits, to be looked at again."""
        refused = await self._refusal(call)
        if refused in ("", *PASSING):
            return Due(Move.CLOSE, call=call)
        known = await self.store.run(lambda ledger: ledger.checkpoints()[:1])
        if all([await self._refusal(call, hex(block.number)) == refused for block in known]):
            return Due(None)
        now = (await self.chain.head()).timestamp
        return Due(Move.CLOSE, NEVER, call=call, look=now + LOOK)

    async def _refusal(self, call: Call, at: str = "latest") -> str:
        """Why the contract would refuse it; empty if it would not."""
        try:
            await self.chain.preflight(self.sender, call, at)
        except CallRefused as reason:
            return reason.name
        return ""


class Ends:
    """Ends the locks of an operator's claim under a combination: by silence where that is enough,
    else by a proof. `prove` makes one of the job's answer."""

    def __init__(self, closer: Closer, prove: Callable[[Job, Answer], Awaitable[Answer]]) -> None:
        self._closer = closer
        self._chain = closer.chain
        self._prove = prove

    async def next(self, job: Job, standing: Standing, answer: Answer, tier: Tier) -> Due:
        """The end of the first lock that is left and can be ended; else of one that waits."""
        waits = Due(None)
        for place, (part, seen) in enumerate(tier.vouching(job.request)):
            status, due = await self._chain.claim_for(job.request, place), Due(None)
            stands = status is Status.PROVISIONAL
            owed = await self._owed(part, seen, standing, stands)
            if stands:
                due = await self._conclude(job, standing, answer, place, owed)
            elif status is Status.REFUNDED and not owed:
                call = self._chain.close_call(seen, standing)
                due = await self._closer.close(call)
            if due.look:
                waits = due
            elif due.move is not None:
                return due
        return waits

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
                await self._chain.preflight(self._closer.sender, silent)
                return Due(Move.CLOSE, call=silent)
            except CallRefused as reason:
                if reason.name in PASSING:
                    return Due(Move.CLOSE, standing.since + answer.window + 1, call=silent)
                if reason.name != "OperatorSuspended":
                    raise
        proved = answer if answer.proof else await self._prove(job, answer)
        return Due(Move.PROVE, call=self._chain.conclude_call(job.request, place, proved))
