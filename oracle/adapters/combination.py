"""Combinations of tiers over a node: what NodeChain has of CombinedAssurance."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace

from eth_abi.abi import decode, encode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import COMBINATION, call_data
from oracle.domain.chain import Call, Status
from oracle.domain.request import Answer, Part, Request, Tier, TierKind

#: ICombinedAssurance.Part; what the pin hashes: parts, and the pins of four.
PART, PINNED, MOST_PARTS = "(address,bytes32)", ("(address,bytes32)[]", "bytes32[4]"), 4


class CombinationCalls(ABC):
    """Over a node; `parts` are the tiers within combinations, by address."""

    parts: Mapping[str, TierKind]

    @abstractmethod
    async def call(self, to: str, data: bytes) -> bytes:
        """What a view function returns, encoded. Raises CallRefused."""

    @abstractmethod
    async def plain_tier(self, assurance: str, kind: TierKind, pin: bytes) -> Tier | None:
        """A tier over a verifier."""

    async def combination(self, assurance: str, pin: bytes) -> Tier | None:
        """A combination of parts known here, over one verifier; None if it is another one."""
        (count,) = decode(("uint256",), await self._ask(assurance, "count"))
        parts = []
        for index in range(count):
            ((address, fixed),) = decode((PART,), await self._ask(assurance, "partAt", index))
            at = to_checksum_address(address)
            own = await self.call(at, call_data("pin"))
            part = await self.plain_tier(at, self.parts[at], own) if at in self.parts else None
            if part is None:
                return None
            parts.append(Part(part, fixed))
        named = [(part.tier.assurance, part.fixed) for part in parts]
        pins = [part.tier.pin for part in parts] + [bytes(32)] * (MOST_PARTS - count)
        verifiers = {part.tier.verifier for part in parts}
        if keccak(encode(PINNED, (named, pins))) != pin or len(verifiers) != 1:
            return None
        first, whole = parts[0].tier, {"assurance": assurance, "pin": pin}
        return replace(first, **whole, kind=TierKind.COMBINED, parts=tuple(parts))

    async def claim_for(self, request: Request, part: int) -> Status:
        found = await self._ask(request.assurance, "claimFor", request.id, part)
        return Status(decode(("uint8", "bytes32", "uint256"), found)[0])

    async def disputed(self, request: Request) -> bool:
        found = await self._ask(request.assurance, "challengeCount", request.id)
        return bool(decode(("uint256",), found)[0])

    def conclude_call(self, request: Request, part: int, answer: Answer) -> Call:
        claim = (request.input, answer.payee, answer.output, answer.proof)
        named = (request.fields, part, *claim)
        return Call(request.assurance, call_data("conclude", *named, among=COMBINATION))

    async def _ask(self, to: str, name: str, *arguments: object) -> bytes:
        return await self.call(to, call_data(name, *arguments, among=COMBINATION))
