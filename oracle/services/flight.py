"""Signed transactions from signing to landing. Each is stored before it is sent.

A nonce is used for one thing at a time. What is wanted at a nonce follows from its job: the job's
move, while that is what flies there, else a cancelling transfer, so that later nonces do not wait
behind a transaction that can only revert. The contracts take each move once whatever is sent; the
care here is for not paying for what they would refuse.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import structlog

from oracle.domain.chain import Call, Fees, Flown, Receipt, Unsigned
from oracle.domain.errors import NodeRefused, NonceTaken, Underpriced, WalletEmpty
from oracle.domain.job import Due, Flight, Job, JobState, Lease
from oracle.domain.move import Move
from oracle.ports import Chain, Clock, JobStore, Ledger, Rounds, Signer
from oracle.services.moves import order

log = structlog.get_logger("post")

#: States of jobs that the writer may move.
MOVABLE = frozenset({JobState.READY, JobState.PROVISIONAL})

#: Gas of a plain transfer.
TRANSFER_GAS = 21_000


@dataclass(frozen=True, slots=True)
class Posting:
    """How to post: at most `in_flight` nonces at once and `fee_cap` wei a gas unit; a transaction
    not mined for `bump_after` seconds is signed anew at a higher fee; an answer that the contract
    refuses `max_attempts` times is given up. First bonds against claims may bind `hourly_bonds`
    wei an hour. `lease` in seconds."""

    in_flight: int = 16
    fee_cap: int = 500 * 10**9
    bump_after: int = 60
    max_attempts: int = 5
    lease: int = 60
    hourly_bonds: int = 10**18


class Runway:
    """What `Post` and `Reconcile` share: one key, and the way out for what it signs."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        signer: Signer,
        clock: Clock,
        chain_id: int,
        posting: Posting,
        holder: str,
        rounds: Rounds,
    ) -> None:
        self.chain = chain
        self.rounds = rounds
        self.store = store
        self.clock = clock
        self.posting = posting
        self.sender = signer.address
        self.underpriced: set[int] = set()
        self.refused: dict[int, NodeRefused] = {}
        self.signer = signer
        self._chain_id = chain_id
        self._holder = holder

    async def hold(self) -> bool:
        """Takes or renews the writer's lease on the key; False while another process has it."""
        now = self.clock.now()
        lease = Lease(self._holder, now + self.posting.lease)
        return await self.store.run(lambda ledger: hold(ledger, self.sender, now, lease))

    async def make(
        self, nonce: int, job: Job, move: Move, gas: int, fees: Fees, *, fresh: bool
    ) -> bool:
        """Signs, stores and sends a job's move; `fresh` if it opens the nonce."""
        call = order(self.chain, self.signer, job, move)
        if call is None:
            return False
        return await self._fly(Flight(self.sender, nonce, move), call, gas, fees, job, fresh)

    async def cancel(self, nonce: int, fees: Fees, *, fresh: bool) -> bool:
        """Uses the nonce up with an empty transfer to oneself."""
        flight, call = Flight(self.sender, nonce), Call(self.sender, b"")
        return await self._fly(flight, call, TRANSFER_GAS, fees, None, fresh)

    async def _fly(
        self, flight: Flight, call: Call, gas: int, fees: Fees, job: Job | None, fresh: bool
    ) -> bool:
        signed = self.signer.sign(Unsigned(self._chain_id, flight.nonce, call, gas, fees))
        flown = Flown(
            sender=self.sender,
            nonce=flight.nonce,
            hash=signed.hash,
            raw=signed.raw,
            request_id=None if job is None else job.request.id,
            gas=gas,
            fees=fees,
            signed_at=self.clock.now(),
            move=flight.move,
            value=call.value,
            bond=call.value if job is not None and job.opens else 0,
            call=call if job is not None and job.hurries(flight.move) else None,
        )
        ready = take_off if fresh else follow
        if not await self.store.run(lambda ledger: ready(ledger, flown, self._holder)):
            return False
        await self.send(flown)
        return True

    async def send(self, flown: Flown) -> bool:
        """Hands it to the node; whether the node took it. What it did not take stays stored, and
        is tried again when the flights are next reconciled, or given up there."""
        self.refused.pop(flown.nonce, None)
        try:
            await self.chain.send(flown.raw)
        except NonceTaken:
            return False
        except Underpriced:
            self.underpriced.add(flown.nonce)
            return False
        except (WalletEmpty, NodeRefused) as reason:
            if isinstance(reason, NodeRefused):
                self.refused[flown.nonce] = reason
            log.warning("not sent", sender=self.sender, nonce=flown.nonce, reason=str(reason))
            return False
        if flown.request_id is None:
            log.info("sent", nonce=flown.nonce, hash=flown.hash.hex(), move="cancel")
        else:
            log.info(
                "sent",
                nonce=flown.nonce,
                hash=flown.hash.hex(),
                move=flown.move.value,
                id=flown.request_id.hex(),
            )
        return True


# --- what happens inside one transaction -------------------------------------------------------


def hold(ledger: Ledger, sender: str, now: int, lease: Lease) -> bool:
    present = ledger.writer(sender)
    if present is not None and present.holder != lease.holder and present.until > now:
        return False
    ledger.put_writer(sender, lease)
    return True


def holds(ledger: Ledger, sender: str, holder: str) -> bool:
    present = ledger.writer(sender)
    return present is not None and present.holder == holder


def free(variants: Iterable[Flown]) -> bool:
    """Whether a nonce may be opened: never used by us, or lost to another's transaction (which a
    reorg may have removed)."""
    return all(variant.done and variant.mined is None for variant in variants)


def lowest_free(ledger: Ledger, sender: str, used: int) -> int:
    """The lowest nonce from `used` on that may be opened; so gaps are filled first."""
    nonce = used
    while not free(ledger.flown(sender, nonce)):
        nonce += 1
    return nonce


def wanted(job: Job | None, flight: Flight) -> bool:
    """Whether the job wants that move mined at that nonce."""
    return job is not None and job.flight == flight and job.move is flight.move


def take_off(ledger: Ledger, flown: Flown, holder: str) -> bool:
    """Opens a nonce, if it is free and its job still waits to be posted."""
    if not holds(ledger, flown.sender, holder):
        return False
    if not free(ledger.flown(flown.sender, flown.nonce)):
        return False
    if flown.request_id is not None:
        job = ledger.job(flown.request_id)
        if job is None or job.state not in MOVABLE or job.move is not flown.move:
            return False
        ledger.put_job(job.sent(Flight(flown.sender, flown.nonce, flown.move)))
    ledger.put_flown(flown)
    return True


def follow(ledger: Ledger, flown: Flown, holder: str) -> bool:
    """Adds a variant at a nonce that flies; not if its job stopped wanting just what this does."""
    variants = ledger.flown(flown.sender, flown.nonce)
    flies = any(not v.done for v in variants) and not any(v.mined for v in variants)
    if not holds(ledger, flown.sender, holder) or not flies:
        return False
    if flown.request_id is not None:
        job = ledger.job(flown.request_id)
        if not wanted(job, Flight(flown.sender, flown.nonce, flown.move)):
            return False
    ledger.put_flown(flown)
    return True


def land(ledger: Ledger, flown: Flown, receipt: Receipt, now: int, max_attempts: int) -> bool:
    """A variant is mined. Its nonce is done once the cursor has passed that block; a job that still
    wants the move then was refused by the contract, or its nonce was cancelled. A job that is
    `hasty` goes on at once."""
    done = passed(ledger, receipt)
    variants = ledger.flown(flown.sender, flown.nonce)
    after = [
        replace(v, mined=receipt if v.hash == flown.hash else None, done=done) for v in variants
    ]
    if after == variants:
        return False
    for variant in after:
        ledger.put_flown(variant)
    for job in passengers(ledger, variants):
        if done or job.hasty:
            reverted = not receipt.succeeded and job.move is flown.move
            job = job.landed()
            if reverted and flown.request_id is not None:
                note = f"the transaction of its {flown.move} reverted"
                job = job.refused(now, note, max_attempts)
            ledger.put_job(job)
    return True


def passed(ledger: Ledger, receipt: Receipt) -> bool:
    """Whether the cursor has passed the receipt's block, on the same chain as far as is known."""
    checkpoints = ledger.checkpoints()
    if not checkpoints or checkpoints[0].number < receipt.block.number:
        return False
    block = receipt.block
    return all(known == block for known in checkpoints if known.number == block.number)


def lift(ledger: Ledger, variants: list[Flown]) -> bool:
    """What was mined at a nonce no longer is, if anything was: its job waits for it again."""
    if all(variant.mined is None for variant in variants):
        return False
    for variant in variants:
        ledger.put_flown(variant.aloft())
        if variant.request_id is not None:
            flight = Flight(variant.sender, variant.nonce, variant.move)
            back_in_flight(ledger, variant.request_id, flight, variant.call)
    return True


def back_in_flight(ledger: Ledger, request_id: bytes, flight: Flight, call: Call | None) -> None:
    """A move that was mined no longer is, and may be mined again at the same nonce. Of several,
    the lowest nonce: the later moves follow from it anew. Where it hurries it is what is due, as it
    was signed: a proof may be in it."""
    job = ledger.job(request_id)
    if job is not None and job.flight is None:
        job = job.aloft(flight)
        again = job.hasty and call is not None
        ledger.put_job(replace(job, due=Due(flight.move, call=call)) if again else job)


def lose(ledger: Ledger, sender: str, nonce: int) -> None:
    """The nonce went to a transaction that is not ours: its job needs another."""
    lift(ledger, ledger.flown(sender, nonce))
    variants = ledger.flown(sender, nonce)
    for variant in variants:
        ledger.put_flown(replace(variant, done=True))
    for job in passengers(ledger, variants):
        ledger.put_job(job.landed())


def give_up(
    ledger: Ledger, sender: str, nonce: int, now: int, note: str, max_attempts: int
) -> None:
    """No node has or takes what is signed for the nonce, so it is free for others: its job was
    refused."""
    variants = ledger.flown(sender, nonce)
    for variant in variants:
        ledger.put_flown(replace(variant, done=True))
    for job in passengers(ledger, variants):
        flies = job.flight is not None and wanted(job, job.flight)
        landed = job.landed()
        ledger.put_job(landed.refused(now, note, max_attempts) if flies else landed)


def passengers(ledger: Ledger, variants: list[Flown]) -> list[Job]:
    """Jobs whose flight is at the nonce of these variants."""
    jobs = {v.request_id: ledger.job(v.request_id) for v in variants if v.request_id is not None}
    places = {(v.sender, v.nonce) for v in variants}
    flown = [job for job in jobs.values() if job is not None and job.flight is not None]
    return [j for j in flown if j.flight and (j.flight.sender, j.flight.nonce) in places]
