"""Disputes by hand: the challenger's own jobs, read from the chain anew and moved one at a time."""

from dataclasses import dataclass, replace

from eth_abi.abi import decode
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import call_data
from oracle.adapters.memory import MemoryStore
from oracle.adapters.process import SystemClock
from oracle.adapters.wallet import Wallet
from oracle.bootstrap import Parts, Site
from oracle.domain.chain import Call
from oracle.domain.errors import CallRefused, Declined, OracleError
from oracle.domain.job import Job, JobState, Lease
from oracle.domain.move import Move, Role
from oracle.domain.request import ON_STAKE, STAKED, TierKind
from oracle.services.check import Check, Vigilance
from oracle.services.moves import for_free, order
from oracle.services.post import PASSING
from oracle.services.watch import Seat, take_in

HOLDER = "by hand"
LOOKED_AT = frozenset({JobState.NEW, JobState.DISPUTED, JobState.DECIDED})
#: Tiers that have a vault.
VOUCHING = STAKED | {TierKind.COMMITTEE}


class NothingToDispute(OracleError):
    """The claim is right, or is none, or cannot be disputed any more."""


@dataclass(frozen=True)
class Done:
    """A move that was made for a request, and its gas."""

    request_id: bytes
    move: Move
    gas: int


@dataclass(frozen=True)
class Withdrawn:
    """What vaults paid out: of ether in gwei; of tokens, by address, in their smallest parts."""

    gwei: int
    tokens: dict[str, int]


class Docket:
    """All claims on stake since its deployment; a combination's are disputed in one part. Those of
    committees are listed only: no dispute ends them, a proof of another output does (Offers)."""

    def __init__(self, site: Site, wallet: Wallet, parts: Parts) -> None:
        self._site, self._wallet, self._parts = site, wallet, parts
        self._store = MemoryStore()
        #: What the contracts would not take yet, and why, by request; as `claim` left it.
        self.waits: dict[bytes, str] = {}
        wanted = ON_STAKE | {TierKind.COMMITTEE}
        tiers = [at for at, kind in site.chain.tiers.items() if kind in wanted]
        self._seat = Seat(Role.CHALLENGER, wallet.signer.address, tiers)
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

    def is_committees(self, job: Job) -> bool:
        """Whether a committee claims, and signed for it."""
        return self._site.chain.tiers.get(job.request.assurance) is TierKind.COMMITTEE

    async def check(self, request_id: bytes) -> Job:
        """Re-executes a claim that stands. Raises NothingToDispute if there is none, ModelMissing,
        EngineDisagrees, TooLate."""
        job = self._store.ledger.job(request_id)
        if job is None or job.standing is None or job.closing is not None:
            raise NothingToDispute(f"no claim stands on request 0x{request_id.hex()}")
        if self.is_committees(job):
            raise NothingToDispute(
                "a committee's claim is not disputed; if it is wrong, a proof ends it: "
                f"einproof challenge offer prove 0x{request_id.hex()}"
            )
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

    async def withdraw(self) -> Withdrawn:
        """Takes out all that vaults owe this key."""
        chain, own = self._site.chain, self._wallet.signer.address
        gwei, tokens = 0, dict[str, int]()
        for vault in await self._vaults():
            (credit,) = decode(("uint256",), await chain.call(vault, call_data("credit", own)))
            if not credit:
                continue
            await self._wallet.transact(Call(vault, call_data("withdraw", own)))
            coin = await chain.coin(vault)
            if coin is None:
                gwei += credit
            else:
                tokens[coin.token] = tokens.get(coin.token, 0) + credit * coin.unit
        return Withdrawn(gwei, tokens)

    async def _vaults(self) -> list[str]:
        """Of all tiers and parts of combinations, also of those that vouch for nothing any more
        since what their pins name has changed."""
        chain = self._site.chain
        kinds = {**chain.tiers, **chain.parts}
        found = [
            decode(("address",), await chain.call(tier, call_data("vault")))[0]
            for tier, kind in kinds.items()
            if kind in VOUCHING
        ]
        return [to_checksum_address(vault) for vault in dict.fromkeys(found)]

    async def _next(self) -> Done | None:
        now = (await self._site.chain.head()).timestamp
        for job in await self.jobs():
            if job.contest is None or self.is_committees(job):
                continue
            try:
                seen = await self._look(job)
            except (Declined, CallRefused) as reason:  # others have earned something all the same
                self.waits[job.request.id] = str(reason)
                continue
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
        if move is Move.DISPUTE and await for_free(self._site.chain, job):
            call = replace(call, value=0)
        _, receipt = await self._wallet.transact(call)
        return Done(job.request.id, move, receipt.gas_used)
