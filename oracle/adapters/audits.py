"""Audits, beacons and guards over a node: what NodeChain has beside the answering of requests."""

from abc import ABC, abstractmethod

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import FUNCTIONS, call_data, selector
from oracle.adapters.rpc import Node
from oracle.domain.chain import Audit, Call, Guarding, Shown
from oracle.domain.errors import CallRefused
from oracle.domain.job import Standing
from oracle.domain.request import Request, Tier

ANSWER = selector("answer")
ZERO = "0x" + "00" * 20


class AuditCalls(ABC):
    """Over a node, and the oracle's address."""

    node: Node
    oracle: str

    @abstractmethod
    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns, encoded. Raises CallRefused."""

    async def audit(self, request: Request) -> Audit:
        found = await self.call(request.assurance, call_data("auditOf", request.fields))
        round, known, drawn, until = decode(("uint64", "bool", "bool", "uint256"), found)
        beacon = await self.beacon(request.assurance)
        (development,) = decode(("bool",), await self.call(beacon, call_data("development")))
        (made,) = decode(("uint256",), await self.call(beacon, call_data("timeOf", round)))
        return Audit(beacon, development, round, known, drawn, until, made)

    async def beacon(self, assurance: str) -> str:
        """Whose rounds draw a tier's claims."""
        (found,) = decode(("address",), await self.call(assurance, call_data("randomness")))
        return str(to_checksum_address(found))

    async def least_stake(self, tier: Tier, terms: bytes) -> int:
        """Gwei that an answer under the audited tier needs."""
        found = await self.call(tier.assurance, call_data("leastStake", terms))
        return int(decode(("uint256",), found)[0])

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
        data = bytes.fromhex(sent["input"][2:])
        if data[:4] != ANSWER:
            return None
        fields, _, payee, output, evidence = decode(FUNCTIONS["answer"], data[4:])
        if call_data("refund", fields) != call_data("refund", request.fields):
            return None
        return Shown(to_checksum_address(payee), output, evidence)

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
