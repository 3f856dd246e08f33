"""Disputes by hand: the challenger's own jobs, read from the chain anew and moved one at a time."""

from dataclasses import dataclass

from eth_abi.abi import decode

from oracle.adapters.abi import call_data
from oracle.adapters.memory import MemoryStore
from oracle.adapters.process import SystemClock
from oracle.adapters.wallet import Wallet
from oracle.bootstrap import Parts, Site
from oracle.domain.chain import Call
from oracle.domain.errors import CallRefused, OracleError
from oracle.domain.job import Job, JobState, Lease
from oracle.domain.move import Move, Role
from oracle.domain.request import ON_STAKE
from oracle.services.check import Check, Vigilance
from oracle.services.moves import order
from oracle.services.post import PASSING
from oracle.services.watch import Seat, take_in

HOLDER = "by hand"
LOOKED_AT = frozenset({JobState.NEW, JobState.DISPUTED, JobState.DECIDED})


class NothingToDispute(OracleError):
    """The claim is right, or is none, or cannot be disputed any more."""


@dataclass(frozen=True)
class Done:
    """A move that was made for a request, and its gas."""

    request_id: bytes
    move: Move
    gas: int


class Docket:
    """All claims on stake since its deployment; a combination's are disputed in one part."""

    def __init__(self, site: Site, wallet: Wallet, parts: Parts) -> None:
        self._site, self._wallet, self._parts = site, wallet, parts
        self._store = MemoryStore()
        #: What the contracts would not take yet, and why, by request; as `claim` left it.
        self.waits: dict[bytes, str] = {}
        self._tiers = [at for at, kind in site.chain.tiers.items() if kind in ON_STAKE]
        self._seat = Seat(Role.CHALLENGER, wallet.signer.address, self._tiers)
        self._check = Check(
            site.chain,
            self._store,
            parts.models,
            (parts.engine, parts.second or parts.engine),
            parts.prover,
            SystemClock(),
            site.identity,
            wallet.signer,
            Vigilance(),
            HOLDER,
        )

    async def read(self) -> None:
        """Takes in the chain as it is now; what was computed before is kept."""
        known = {job.request.id: job.answer for job in await self.jobs()}
        self._store.ledger = MemoryStore().ledger
        head = await self._site.chain.head()
        events = await self._site.chain.events(self._site.deployment.block, head.number)
        for event in events:
            take_in(self._store.ledger, event, self._seat)
        for job in await self.jobs():
            if (answer := known.get(job.request.id)) is not None:
                self._store.ledger.put_job(job.answered(answer))

    async def jobs(self) -> list[Job]:
        return self._store.ledger.jobs(set(JobState), 1 << 30)

    async def open(self) -> list[Job]:
        """Claims that stand, oldest first."""
        return [job for job in await self.jobs() if job.standing and not job.closing]

    async def check(self, request_id: bytes) -> Job:
        """Re-executes a claim that stands. Raises NothingToDispute if there is none, ModelMissing,
        EngineDisagrees, TooLate."""
        job = self._store.ledger.job(request_id)
        if job is None or job.standing is None or job.closing is not None:
            raise NothingToDispute(f"no claim stands on request 0x{request_id.hex()}")
        return await self._look(job)

    async def dispute(self, request_id: bytes) -> Done:
        """Checks a claim, and demands its proof if it is wrong; raises NothingToDispute if not."""
        job = await self.check(request_id)
        if job.move not in (Move.DISPUTE, Move.REFUTE, Move.DEMAND):
            why = "is disputed already" if job.wrong else "is what both engines compute here"
            raise NothingToDispute(f"the answer to 0x{request_id.hex()} {why}")
        return await self._make(job)

    async def claim(self) -> list[Done]:
        """Takes every step that is ripe towards what our disputes have earned: settle, reveal,
        award, collect; and, of a bisection, the next demand. What is credited in the vault stays
        there until `withdraw`."""
        done: list[Done] = []
        while (made := await self._next()) is not None:
            done.append(made)
            await self.read()
        return done

    async def withdraw(self) -> int:
        """Takes out all that vaults owe this key; units of stake (gwei, where that is ether)."""
        total, own = 0, self._wallet.signer.address
        for vault in await self._vaults():
            held = await self._site.chain.call(vault, call_data("credit", own))
            (credit,) = decode(("uint256",), held)
            if credit:
                await self._wallet.transact(Call(vault, call_data("withdraw", own)))
            total += int(credit)
        return total

    async def _vaults(self) -> set[str]:
        tiers = [await self._site.chain.tier(at) for at in self._tiers]
        return {part.vault for tier in tiers if tier for part in tier.vouchers if part.vault}

    async def _next(self) -> Done | None:
        now = (await self._site.chain.head()).timestamp
        for job in [job for job in await self.jobs() if job.contest is not None]:
            seen = await self._look(job)
            if seen.move is None or seen.ripe_at > now:
                continue
            try:
                return await self._make(seen)
            except CallRefused as reason:
                if reason.name not in PASSING:
                    raise
                self.waits[job.request.id] = f"{seen.move.value}: {reason}"
        return None

    async def _look(self, job: Job) -> Job:
        """The job after its worker has looked at it: to compute, and for what follows from that."""
        while job.state in LOOKED_AT:
            held = job.claimed(Lease(HOLDER, 1 << 62))
            self._store.ledger.put_job(held)
            await self._store.run(await self._check.look(held))
            job = self._store.ledger.job(job.request.id) or job
        return job

    async def _make(self, job: Job) -> Done:
        move = job.move
        call = None if move is None else order(self._site.chain, self._wallet.signer, job, move)
        if move is None or call is None:
            raise NothingToDispute(f"nothing is to be done about 0x{job.request.id.hex()}")
        _, receipt = await self._wallet.transact(call)
        return Done(job.request.id, move, receipt.gas_used)
