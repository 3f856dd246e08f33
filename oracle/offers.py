"""Offers to whoever proves a pending request, by hand; the rules are in IBounty."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from eth_abi.abi import decode

from oracle.adapters.abi import OFFERS, call_data
from oracle.adapters.deployment import BOUNTY
from oracle.adapters.wallet import Wallet
from oracle.bootstrap import Parts, Site
from oracle.domain import committee, ids
from oracle.domain.chain import Answered, Call, Event, Receipt, Requested, Status, Stood
from oracle.domain.errors import CallRefused, OracleError
from oracle.domain.evidence import by_all
from oracle.domain.request import Request, TierKind
from oracle.services.moves import refutation

Claimed = TypeVar("Claimed", Stood, Answered)


class NoRequest(OracleError):
    """No request of this id was made here."""


class NothingToProve(OracleError):
    """No proof of this key's earns the offer."""


@dataclass(frozen=True)
class Offer:
    """What the proof of a request earns, and what of it this key gave; in wei."""

    all: int
    own: int


class Offers:
    """Those of one deployment, for the wallet's key."""

    def __init__(self, site: Site, wallet: Wallet, parts: Callable[[], Parts]) -> None:
        self._site, self._wallet, self._parts = site, wallet, parts
        self._bounty = site.deployment.address(BOUNTY)

    async def standing(self, request_id: bytes) -> Offer:
        asked = ((request_id,), (request_id, self._wallet.signer.address))
        found = [
            await self._site.chain.call(self._bounty, call_data(name, *arguments, among=OFFERS))
            for name, arguments in zip(("offered", "givenBy"), asked, strict=True)
        ]
        return Offer(*(int(decode(("uint256",), each)[0]) for each in found))

    async def offer(self, request_id: bytes, wei: int) -> Receipt:
        """Adds to what the proof of a pending request earns. Raises NoRequest, CallRefused."""
        request, _ = await self._read(request_id)
        return await self._send("offer", request.fields, value=wei)

    async def prove(self, request_id: bytes) -> Receipt | None:
        """Proves a pending request's answer, hands that in, and earns what was offered, also if
        somebody else sent that proof first; None if they had that paid to this key, too. A
        committee's claim that stands and is wrong needs no offer: who refutes it has its reward.
        Raises NoRequest, ModelMissing, InputRefused, ProverFailed, CallRefused; NothingToProve for
        a composition, which is proved at its tier, for another's claim that is right, and without
        an offer for what no claim stands on any more."""
        request, standing = await self._read(request_id)
        kind = self._site.chain.tiers.get(request.assurance)
        if kind is None or kind is TierKind.BISECTION:
            raise NothingToProve(
                "a composition is proved segment by segment, by its operator: then earn the offer"
                if kind
                else f"no tier of this deployment that one proof ends: {request.assurance}"
            )
        offered = (await self.standing(request_id)).all
        if not offered and (standing is None or kind is not TierKind.COMMITTEE):
            raise NothingToProve(f"nothing is offered for 0x{request_id.hex()}")
        if not offered:
            await self._stands(request)
        parts, identity, payee = self._parts(), self._site.identity, self._wallet.signer.address
        folder = await parts.models.find(request.model_id)
        context = ids.context(identity.chain_id, identity.oracle, request, payee)
        output, proof = await parts.prover.prove(folder, context, request.input)
        mine = standing is not None and standing.payee == payee
        right = standing is not None and standing.output == output
        if right and not mine:
            raise NothingToProve("another's claim is right: only its key earns by proving it")
        if mine and not right:
            raise NothingToProve("this key's own claim is wrong: to prove that costs its stake")
        if right:
            standing = None
        evidence = await self._evidence(request, standing, proof)
        handed = call_data("answer", request.fields, request.input, payee, output, evidence)
        if not offered:  # to prove it took its time
            await self._stands(request)
        refused = None
        try:
            _, receipt = await self._wallet.transact(Call(identity.oracle, handed))
            if not offered:
                return receipt
        except CallRefused as error:
            if not offered or error.name not in ("WrongStatus", "Reverted"):
                raise
            refused = error  # settled meanwhile: by this proof, or `earn` says otherwise
        try:
            return await self._send("earn", request.fields, payee, output)
        except CallRefused as error:
            if error.name == "NothingLeft":
                return None
            if refused is not None and error.name == "Pending":
                raise refused from error
            raise

    async def earn(self, request_id: bytes) -> Receipt:
        """Sends what was offered to the payee of the claim that a proof made final, whoever that
        is. Raises NoRequest, CallRefused; NothingToProve where no claim is final."""
        request, final = await self._read(request_id, Answered)
        if final is None:
            raise NothingToProve(f"no claim of 0x{request_id.hex()} is final yet, or was ever")
        return await self._send("earn", request.fields, final.payee, final.output)

    async def reclaim(self, request_id: bytes) -> Receipt:
        """Takes this key's part back: the request was settled without a proof. Raises NoRequest,
        CallRefused."""
        request, _ = await self._read(request_id)
        return await self._send("reclaim", request.fields, self._wallet.signer.address)

    async def _stands(self, request: Request) -> None:
        """Raises NothingToProve for a request whose claim a proof cannot end any more."""
        status, _ = await self._site.chain.status(request.id)
        if status is not Status.PROVISIONAL:
            raise NothingToProve(
                f"nothing is offered for 0x{request.id.hex()}, and no claim on it stands any more: "
                f"it is {status.name.lower()}"
            )

    async def _evidence(self, request: Request, wrong: Stood | None, proof: bytes) -> bytes:
        """A proof as its tier takes it, against a wrong claim that stands."""
        tier = await self._site.chain.tier(request.assurance)
        if tier is None or tier.kind is not TierKind.COMMITTEE:
            shown = refutation(wrong.payee, wrong.output, proof) if wrong else proof
            return shown if tier is None else by_all(tier, shown)
        if wrong is None:
            return committee.PROOF + proof
        agreed = await self._site.chain.agreement(request, wrong.block)
        if not agreed:
            raise NothingToProve("the words of who signed the claim are not to be had: try again")
        return committee.refutation(wrong.payee, wrong.output, agreed, proof)

    async def _read(
        self, request_id: bytes, kind: type[Claimed] = Stood
    ) -> tuple[Request, Claimed | None]:
        """A request, and the last claim on it that stood, or became final."""
        request, events = await read_events(self._site, request_id)
        claims = [event for event in events if isinstance(event, kind)]
        return request, claims[-1] if claims else None

    async def _send(self, name: str, *arguments: object, value: int = 0) -> Receipt:
        data = call_data(name, *arguments, among=OFFERS)
        _, receipt = await self._wallet.transact(Call(self._bounty, data, value))
        return receipt


async def read_events(site: Site, request_id: bytes) -> tuple[Request, list[Event]]:
    """A request, and what became of it since. Raises NoRequest."""
    head = await site.chain.head()
    request: Request | None = None
    since: list[Event] = []
    for event in await site.chain.events(site.deployment.block, head.number):
        if isinstance(event, Requested):
            request = event.request if event.request.id == request_id else request
        elif event.request_id == request_id:
            since.append(event)
    if request is None or not request.honest(site.identity.chain_id, site.chain.oracle):
        raise NoRequest(f"no request 0x{request_id.hex()} was made of {site.chain.oracle}")
    return request, since
