"""The day's committee: where a request waits for it and nobody has drawn it, who collects publishes
the beacon's round, then draws. Anyone may be first, which is found out at the next look."""

import structlog

from oracle.domain.committee import DAY
from oracle.domain.errors import BeaconUnavailable, CallRefused
from oracle.domain.job import Due, JobState
from oracle.domain.move import Move
from oracle.domain.request import Tier
from oracle.newest import Newest
from oracle.ports import Chain, Clock, Ledger, Rounds

log = structlog.get_logger("draw")

#: Seconds until a relay without the round, or with another signature than the round's, or a list
#: with too few seats, is looked at again.
REST = 30
#: Days of tiers of which it is remembered what they wait for.
REMEMBERED = 64

DRAWING = frozenset({Move.PUBLISH, Move.DRAW})


class Draws:
    """`sender` draws."""

    def __init__(self, chain: Chain, rounds: Rounds, clock: Clock, sender: str) -> None:
        self._chain = chain
        self._rounds = rounds
        self._clock = clock
        self._sender = sender
        self._rests: Newest[tuple[str, int], tuple[int, str]] = Newest(REMEMBERED)

    async def next(self, tier: Tier, now: int) -> Due | None:
        """The next step to the committee of a chain time's day; None: nothing yet."""
        epoch = now // DAY
        until, _ = self._rests.get((tier.assurance, epoch), (0, ""))
        if self._clock.now() < until:
            return None
        round = await self._chain.round_of(tier, epoch)
        if not round.known:
            if now < round.made:
                return None
            try:
                signature = await self._rounds.signature(round)
                call = self._chain.publish_call(round.beacon, round.round, signature)
                await self._chain.preflight(self._sender, call)
            except (BeaconUnavailable, CallRefused) as reason:
                return self._rest(tier, epoch, str(reason))
            return Due(Move.PUBLISH, call=call)
        call = self._chain.draw_call(tier)
        try:
            await self._chain.preflight(self._sender, call)
        except CallRefused as reason:
            return None if reason.name == "AlreadyDrawn" else self._rest(tier, epoch, str(reason))
        return Due(Move.DRAW, call=call)

    def _rest(self, tier: Tier, epoch: int, reason: str) -> None:
        """What a day waits for is said once, however many requests wait, and is not asked at each
        of their looks."""
        day = tier.assurance, epoch
        if self._rests.get(day, (0, ""))[1] != reason:
            log.warning("no committee, yet", tier=tier.assurance, day=epoch, reason=reason)
        self._rests[day] = self._clock.now() + REST, reason


# --- what happens inside one transaction -------------------------------------------------------


def alone(ledger: Ledger, due: Due | None) -> Due | None:
    """What is due; nothing, if it is a step of a draw that another request's job takes already."""
    if due is None or due.call is None or due.move not in DRAWING:
        return due
    others = [job.due for job in ledger.jobs({JobState.READY, JobState.SENT}, 1 << 30)]
    taken = {(other.move, other.call.to) for other in others if other and other.call}
    return None if (due.move, due.call.to) in taken else due
