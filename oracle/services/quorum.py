"""What a committee's members say together, as their tier takes it: a signature each, or one."""

from collections.abc import Mapping, Sequence

import structlog

from oracle.domain.chain import Identity
from oracle.domain.committee import (
    Committee,
    Opened,
    Word,
    aggregate,
    agreement,
    message,
    signed_openings,
    spoken_openings,
)
from oracle.domain.request import Request, Tier
from oracle.newest import Newest
from oracle.ports import Aggregation

log = structlog.get_logger("sit")

#: Signatures whose check is remembered, the newest.
SHARES = 1 << 14


class Quorums:
    """`aggregation` is asked only where a tier has BLS keys."""

    def __init__(self, identity: Identity, aggregation: Aggregation) -> None:
        self._identity = identity
        self._aggregation = aggregation
        self._held: Newest[bytes, bool] = Newest(SHARES)

    async def share(self, tier: Tier, request: Request, epoch: int, ours: Opened) -> bytes:
        """Our part of the one signature, shown with our opening; empty where there is none."""
        if not await self._aggregation.keys(tier.assurance):
            return b""
        return self._aggregation.sign(self._message(tier, request, epoch, ours))

    async def signed(
        self,
        tier: Tier,
        request: Request,
        committee: Committee,
        ours: Opened,
        words: Sequence[Word],
    ) -> bytes:
        """Evidence that a quorum opened to our claim on the board; empty if none did."""
        keys = await self._aggregation.keys(tier.assurance)
        if not keys:
            openings = signed_openings(committee, words, ours.claim)
            enough = len(openings) >= committee.quorum
            return agreement(committee, ours.trace, openings) if enough else b""
        said = self._message(tier, request, committee.epoch, ours)
        shares: dict[str, bytes] = {}
        for word in words:
            if word.opened is None or word.opened.claim != ours.claim:
                continue
            if await self._holds(keys, word.member, said, word.share):
                shares[word.member] = word.share
        owners = committee.owners
        signers = [place for place, owner in enumerate(owners) if owner in shares]
        if len(signers) < committee.quorum:
            return b""
        total = await self._aggregation.total(keys, owners)
        one = self._aggregation.together([shares[owners[place]] for place in signers])
        return aggregate(committee, ours.trace, signers, (), total, one)

    async def spoken(
        self, tier: Tier, committee: Committee, ours: Opened, revealed: Mapping[int, bytes]
    ) -> bytes:
        """Evidence that a quorum revealed our claim on-chain; empty if none did."""
        openings = spoken_openings(revealed, ours.claim)
        if len(openings) < committee.quorum:
            return b""
        if not await self._aggregation.keys(tier.assurance):
            return agreement(committee, ours.trace, openings)
        return aggregate(committee, ours.trace, (), [place for place, *_ in openings], b"", b"")

    def _message(self, tier: Tier, request: Request, epoch: int, claim: Opened) -> bytes:
        return message(self._identity.chain_id, tier.assurance, request.id, epoch, claim)

    async def _holds(self, keys: str, owner: str, said: bytes, share: bytes) -> bool:
        """Asked once: what is wrong stays so. A bad share would spoil the sum."""
        name = bytes.fromhex(owner[2:]) + said + share
        if name not in self._held:
            self._held[name] = await self._aggregation.holds(keys, owner, said, share)
            if not self._held[name]:
                log.warning("not a member's signature: left out", member=owner)
        return self._held[name]
