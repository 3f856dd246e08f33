"""Audits, draws, beacons and guards over a node: what NodeChain has beside answering requests."""

from abc import ABC, abstractmethod
from dataclasses import replace

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import call_data
from oracle.adapters.rpc import Node
from oracle.adapters.words import shown_in
from oracle.domain.chain import Audit, Call, Guarding, Round, Shown
from oracle.domain.committee import DAY
from oracle.domain.errors import CallRefused
from oracle.domain.job import Standing
from oracle.domain.request import Request, Tier
from oracle.domain.terms import HOUR, ClaimTerms, Quote
from oracle.newest import Newest

#: Seconds from a claim's window to the round that draws it, beside the inclusion delay.
UNSEEN = 60
ZERO = "0x" + "00" * 20


class AuditCalls(ABC):
    """Over a node, and the oracle's address. What of a beacon never changes is asked for once:
    a tier's beacon, and whether anyone can compute it; when its rounds are made."""

    node: Node
    oracle: str
    beacons: dict[str, tuple[str, bool]]
    round_times: Newest[tuple[str, int], int]

    @abstractmethod
    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns, encoded. Raises CallRefused."""

    async def audit(self, request: Request) -> Audit:
        found = await self.call(request.assurance, call_data("auditOf", request.fields))
        round, known, drawn, until = decode(("uint64", "bool", "bool", "uint256"), found)
        beacon, development = await self._beacon(request.assurance)
        made = await self._made(beacon, round)
        return Audit(beacon, development, round, known, made, drawn, until)

    async def round_of(self, tier: Tier, epoch: int) -> Round:
        beacon, development = await self._beacon(tier.assurance)
        found = await self.call(beacon, call_data("roundAfter", epoch * DAY))
        (round,) = decode(("uint64",), found)
        value = await self.call(beacon, call_data("valueOf", round))
        made = await self._made(beacon, round)
        return Round(beacon, development, round, value != bytes(32), made)

    def draw_call(self, tier: Tier) -> Call:
        return Call(tier.assurance, call_data("draw"))

    async def _beacon(self, tier: str) -> tuple[str, bool]:
        """A tier's beacon, and whether anyone can compute it."""
        if tier not in self.beacons:
            (address,) = decode(("address",), await self.call(tier, call_data("randomness")))
            (development,) = decode(("bool",), await self.call(address, call_data("development")))
            self.beacons[tier] = str(to_checksum_address(address)), development
        return self.beacons[tier]

    async def _made(self, beacon: str, round: int) -> int:
        if (beacon, round) not in self.round_times:
            found = await self.call(beacon, call_data("timeOf", round))
            (self.round_times[beacon, round],) = decode(("uint256",), found)
        return self.round_times[beacon, round]

    async def audited(self, plain: Quote, tier: Tier, terms: bytes) -> Quote:
        """What audits ask for besides: a stake; and the time until a claim that is not drawn is
        final, 1 min + F until its round and 1 h + F after it (AuditedAssurance._draw)."""
        found = await self.call(tier.assurance, call_data("leastStake", terms))
        (stake,) = decode(("uint256",), found)
        delay = plain.prove - ClaimTerms.parse(terms).prove_clock
        return replace(plain, stake=stake, held=UNSEEN + delay + HOUR + delay)

    async def frozen(self, request: Request) -> bool:
        found = await self.call(request.assurance, call_data("isFrozen", request.id))
        return bool(decode(("bool",), found)[0])

    def freeze_call(self, request: Request, standing: Standing) -> Call:
        claim = (request.fields, standing.payee, keccak(standing.output))
        return Call(request.assurance, call_data("freeze", *claim))

    def publish_call(self, beacon: str, round: int, signature: bytes) -> Call:
        return Call(beacon, call_data("publish", round, signature))

    async def shown(self, request: Request, transaction: bytes) -> Shown | None:
        sent = await self.node.rpc("eth_getTransactionByHash", "0x" + transaction.hex())
        if not sent or to_checksum_address(sent["to"] or ZERO) != self.oracle:
            return None  # through a contract, whose calldata may say anything
        return shown_in(bytes.fromhex(sent["input"][2:]), request)

    async def guard(self, tier: Tier) -> Guarding | None:
        try:
            found = await self.call(tier.verifier, call_data("canary"))
        except CallRefused:
            return None
        return Guarding(tier.verifier, found)

    def stop_call(self, guard: str, request: Request, context: bytes, shown: Shown) -> Call:
        claim = (request.model_id, context, request.input, shown.output, shown.evidence)
        return Call(guard, call_data("stop", *claim))

    def stop_model_call(
        self, guard: str, request: Request, one: tuple[bytes, Shown], other: tuple[bytes, Shown]
    ) -> Call:
        pair = [(context, shown.output, shown.evidence) for context, shown in (one, other)]
        return Call(guard, call_data("stopModel", request.model_id, request.input, *pair))
