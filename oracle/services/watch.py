"""Reads the chain into the database.

The truth is `events` by block range from a cursor; nothing else creates or closes a job. The cursor
and what its blocks said are kept in one transaction, so a crash repeats a range and never skips
one. Block hashes are kept as checkpoints: when the newest is no longer on the chain, the service
walks back to one that is, takes back everything above it, and reads again from there.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import structlog

from oracle.domain.block import Block, BlockRef
from oracle.domain.chain import Answered, Disputed, Event, Identity, Played, Requested, Stood
from oracle.domain.errors import ChainMoved
from oracle.domain.job import Closing, Contest, Demand, Job, JobState, Standing
from oracle.domain.move import Role
from oracle.ports import Chain, JobStore, Ledger
from oracle.services.flight import lift

log = structlog.get_logger("watch")

#: Checkpoints kept: one a block at the tip of the chain, so reorgs up to this depth cost no rescan.
CHECKPOINTS = 256


@dataclass(frozen=True, slots=True)
class Seat:
    """Who watches: a role, its address, and the tiers of the requests that it looks at (None: of
    all)."""

    role: Role = Role.OPERATOR
    address: str = ""
    tiers: Collection[str] | None = None


class Watch:
    """Follows `chain` from `first_block` on, `confirmations` blocks behind its head."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        identity: Identity,
        first_block: int,
        confirmations: int,
        seat: Seat = Seat(),
        span: int = 1000,
    ) -> None:
        self._chain = chain
        self._store = store
        self._identity = identity
        self._origin = max(first_block - 1, 0)
        self._confirmations = confirmations
        self._seat = seat
        self._span = span

    async def step(self) -> bool:
        """Reads the next range of blocks; whether there was one. Raises ChainUnavailable."""
        target = (await self._chain.head()).number - self._confirmations
        cursor = await self._standing_cursor()
        if cursor is None:
            origin = await self._chain.block(min(self._origin, max(target, 0)))
            if origin is None:
                return False
            cursor = origin.ref
            await self._store.run(lambda ledger: ledger.put_checkpoint(origin.ref, CHECKPOINTS))
        if cursor.number >= target:
            return False
        last = min(target, cursor.number + self._span)
        try:
            end, events = await self._read(cursor, last)
        except ChainMoved:
            return True  # read again from wherever the cursor still stands
        events = [event for event in events if self._sound(event)]
        moved = await self._store.run(
            lambda ledger: advance(ledger, cursor, end.ref, events, self._seat)
        )
        if moved:
            tell(events)
        return True

    async def _standing_cursor(self) -> BlockRef | None:
        """The newest checkpoint that is still on the chain, after taking back what is above it."""
        checkpoints = await self._store.run(lambda ledger: ledger.checkpoints())
        for depth, checkpoint in enumerate(checkpoints):
            block = await self._chain.block(checkpoint.number)
            if block is not None and block.hash == checkpoint.hash:
                if depth:
                    await self._rewind(checkpoints[0], checkpoint.number)
                return checkpoint
        if checkpoints:
            await self._rewind(checkpoints[0], -1)
        return None

    async def _rewind(self, cursor: BlockRef, ancestor: int) -> None:
        log.warning("the chain reorganised", cursor=cursor.number, back_to=ancestor)
        await self._store.run(lambda ledger: rewind(ledger, cursor, ancestor))

    async def _read(self, cursor: BlockRef, last: int) -> tuple[Block, list[Event]]:
        """Events after `cursor` up to block `last`, all of one chain that holds `cursor`."""
        end = await self._chain.block(last)
        events = await self._chain.events(cursor.number + 1, last)
        first = await self._chain.block(cursor.number + 1)
        again = await self._chain.block(last)
        if end is None or again != end or first is None or first.parent != cursor.hash:
            raise ChainMoved(f"blocks {cursor.number + 1} to {last} changed while being read")
        return end, events

    def _sound(self, event: Event) -> bool:
        """A request whose id is not the hash of its content comes from a broken node: skip it."""
        if not isinstance(event, Requested):
            return True
        sound = event.request.honest(self._identity.chain_id, self._identity.oracle)
        if not sound:
            log.error("a logged request does not hash to its id", id=event.request.id.hex())
        return sound


def tell(events: Sequence[Event]) -> None:
    """One line an event, for whoever reads the log."""
    for event in events:
        if isinstance(event, Requested):
            request = event.request
            log.info(
                "requested",
                id=request.id.hex(),
                model=request.model_id.hex(),
                fee=request.fee,
                block=event.block.number,
            )
        elif isinstance(event, Answered):
            log.info("settled", id=event.request_id.hex(), payee=event.payee)
        elif isinstance(event, Stood):
            log.info("provisional", id=event.request_id.hex(), payee=event.payee)
        elif isinstance(event, Disputed):
            log.warning(
                "disputed",
                id=event.request_id.hex(),
                challenger=event.challenger,
                prove_by=event.prove_by,
            )
        elif isinstance(event, Played):
            log.info("played", id=event.request_id.hex(), challenger=event.challenger)
        else:
            log.info("refunded", id=event.request_id.hex())


def advance(
    ledger: Ledger, cursor: BlockRef, end: BlockRef, events: Sequence[Event], seat: Seat
) -> bool:
    """Takes in the events between `cursor` and `end`; False if the cursor is elsewhere by now."""
    if ledger.checkpoints()[:1] != [cursor]:
        return False
    for event in events:
        take_in(ledger, event, seat)
    ledger.put_checkpoint(end, CHECKPOINTS)
    return True


def take_in(ledger: Ledger, event: Event, seat: Seat) -> None:
    """What one event means for its job."""
    if isinstance(event, Requested):
        if seat.tiers is None or event.request.assurance in seat.tiers:
            job = ledger.job(event.request.id) or Job(event.request, seat.role)
            ledger.put_job(job.found(event.block))
        return
    asked = ledger.job(event.request_id)
    if asked is None:
        return  # asked before the first block that this service reads, or of another tier
    if isinstance(event, Stood):
        ledger.put_job(
            asked.stood(Standing(event.payee, event.output, event.timestamp, event.block))
        )
    elif isinstance(event, Disputed):
        job = asked.demanded(Demand(event.prove_by, event.block))
        if event.challenger == seat.address:
            job = job.contested(Contest(event.index, event.block))
        ledger.put_job(job)
    elif isinstance(event, Played):
        job = asked.played(event.block)
        if event.challenger == seat.address and job.contest is None:
            job = job.contested(Contest(0, event.block))
        ledger.put_job(job)
    elif isinstance(event, Answered):
        closing = Closing(
            JobState.SETTLED, event.block, event.transaction, event.payee, event.output
        )
        ledger.put_job(asked.closed(closing))
    else:
        closing = Closing(JobState.REFUNDED, event.block, event.transaction)
        ledger.put_job(asked.closed(closing))


def rewind(ledger: Ledger, cursor: BlockRef, ancestor: int) -> None:
    """Takes back what blocks above `ancestor` said: jobs, closings, and mined transactions."""
    if ledger.checkpoints()[:1] != [cursor]:
        return
    for job in ledger.jobs_above(ancestor):
        ledger.put_job(job.rewound(ancestor))
    for mined in ledger.mined_above(ancestor):
        lift(ledger, ledger.flown(mined.sender, mined.nonce))
    ledger.drop_checkpoints_above(ancestor)
