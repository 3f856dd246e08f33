"""Makes every nonce in flight carry what its job wants, until the chain has used it up.

All is read from the chain and the database at every step, so it does not matter when the service
last stopped: a transaction that was stored and never sent, one that a reorg dropped, one that is
too cheap, one that nobody wants any more and one that no node takes are all mended the same way.
"""

from functools import partial

import structlog

from oracle.domain.chain import Fees, Flown, Receipt
from oracle.domain.errors import Unsendable
from oracle.domain.job import Flight
from oracle.services.flight import Runway, free, give_up, land, lift, lose, wanted

log = structlog.get_logger("reconcile")

#: For refusals that may pass.
ALWAYS = 1 << 62


class Reconcile:
    """The half of the writer that looks after what was signed before."""

    def __init__(self, runway: Runway) -> None:
        self._runway = runway
        self._missing: set[int] = set()

    async def step(self, fees: Fees) -> bool:
        """One look at every nonce in flight; whether anything changed."""
        runway = self._runway
        # Read before the receipts: a nonce used by then has its receipt by now.
        used = await runway.chain.nonce(runway.sender)
        flying: dict[int, list[Flown]] = {}
        for flown in await runway.store.run(lambda ledger: ledger.flying(runway.sender)):
            flying.setdefault(flown.nonce, []).append(flown)
        changed = False
        for nonce, variants in flying.items():
            landed = await self._landed(variants)
            if landed is not None:
                changed |= await self._land(*landed)
            elif nonce < used:
                changed |= await self._overtaken(nonce)
            else:  # a reorg that the watch has not read may have taken it back
                changed |= await runway.store.run(partial(lift, variants=variants))
                changed |= await self._keep_up(nonce, variants, fees)
        for nonce in range(used, max(flying, default=used)):
            if nonce not in flying:
                changed |= await self._fill(nonce, fees)
        return changed

    async def _landed(self, variants: list[Flown]) -> tuple[Flown, Receipt] | None:
        for flown in reversed(variants):
            receipt = await self._runway.chain.receipt(flown.hash)
            if receipt is not None:
                return flown, receipt
        return None

    async def _land(self, flown: Flown, receipt: Receipt) -> bool:
        self._missing.discard(flown.nonce)
        self._runway.underpriced.discard(flown.nonce)
        self._runway.refused.pop(flown.nonce, None)
        now, most = self._runway.clock.now(), self._runway.posting.max_attempts
        changed = await self._runway.store.run(
            lambda ledger: land(ledger, flown, receipt, now, most)
        )
        if changed and flown.mined is None:
            log.info(
                "mined" if receipt.succeeded else "reverted",
                nonce=flown.nonce,
                hash=flown.hash.hex(),
                block=receipt.block.number,
                gas=receipt.gas_used,
            )
        return changed

    async def _overtaken(self, nonce: int) -> bool:
        """The nonce is used and no variant of ours has a receipt. Believed at the second look:
        a node may count a block before it serves its receipts."""
        if nonce not in self._missing:
            self._missing.add(nonce)
            return True
        self._missing.discard(nonce)
        log.warning("a nonce went to a transaction that is not ours", nonce=nonce)
        await self._runway.store.run(lambda ledger: lose(ledger, self._runway.sender, nonce))
        return True

    async def _keep_up(self, nonce: int, variants: list[Flown], fees: Fees) -> bool:
        """Sends, raises, cancels, revives or gives up what waits at `nonce`."""
        runway, newest = self._runway, variants[-1]
        if await self._refused(variants):
            return True
        made = next((v for v in reversed(variants) if v.request_id is not None), None)
        job = None
        if made is not None and (request_id := made.request_id) is not None:
            job = await runway.store.run(lambda ledger: ledger.job(request_id))
        move = newest.move if made is None else made.move
        want_move = wanted(job, Flight(runway.sender, nonce, move))
        as_wanted = want_move == (newest.request_id is not None)
        waited = runway.clock.now() - newest.signed_at >= runway.posting.bump_after
        if not as_wanted or waited or nonce in runway.underpriced:
            higher = newest.fees.bumped(fees, runway.posting.fee_cap)
            if higher is not None:
                runway.underpriced.discard(nonce)
                if want_move and job is not None and made is not None:
                    return await runway.make(nonce, job, move, made.gas, higher, fresh=False)
                return await runway.cancel(nonce, higher, fresh=False)
            log.warning("the fee cap leaves no room", nonce=nonce, cap=runway.posting.fee_cap)
        if await runway.chain.knows(newest.hash):
            return False
        return await runway.send(newest)

    async def _refused(self, variants: list[Flown]) -> bool:
        """Gives up what the node does not take, so that later nonces do not wait for it: at once if
        it never will; else, whatever its words mean, after the time in which it should be mined."""
        runway, newest = self._runway, variants[-1]
        reason = runway.refused.get(newest.nonce)
        now = runway.clock.now()
        lasting = isinstance(reason, Unsendable)
        waited = now - newest.signed_at >= runway.posting.bump_after
        if reason is None or newest.request_id is None or not (lasting or waited):
            return False
        for variant in variants:
            if await runway.chain.knows(variant.hash):
                return False
        del runway.refused[newest.nonce]
        runway.underpriced.discard(newest.nonce)
        most = runway.posting.max_attempts if lasting else ALWAYS
        log.warning("given up: its nonce is free", nonce=newest.nonce, reason=str(reason))
        await runway.store.run(
            lambda ledger: give_up(ledger, runway.sender, newest.nonce, now, str(reason), most)
        )
        return True

    async def _fill(self, nonce: int, fees: Fees) -> bool:
        """Nothing of ours is at `nonce`, and later nonces wait for it: use it up."""
        runway = self._runway
        if not await runway.store.run(lambda ledger: free(ledger.flown(runway.sender, nonce))):
            return False  # mined as far as the cursor knows: the watch will take that back
        return await runway.cancel(nonce, fees, fresh=True)
