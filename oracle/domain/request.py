"""What is asked and what is answered."""

from dataclasses import dataclass, fields, replace
from enum import StrEnum

from eth_hash.auto import keccak

from oracle.domain import ids
from oracle.domain.terms import Quote


@dataclass(frozen=True, slots=True)
class Request:
    """A request as logged: the Solidity struct of the same name, its input and its id.

    `fee`, `callback_gas_price` in wei; `deadline` is the last second at which an answer counts.
    Addresses are checksummed text, words are 32 bytes.
    """

    requester: str
    refund_to: str
    model_id: bytes
    input_hash: bytes
    assurance: str
    pin: bytes
    terms: bytes
    fee: int
    callback_gas_price: int
    callback_gas: int
    deadline: int
    nonce: int
    input: bytes = b""
    id: bytes = b""

    @property
    def fields(self) -> tuple[str | bytes | int, ...]:
        """The twelve fields that contracts and ids encode, in the struct's order."""
        return tuple(getattr(self, f.name) for f in fields(self)[:12])

    @property
    def payment(self) -> int:
        """What the requester pays, and the payee earns whole: fee and prepaid callback, in wei."""
        return self.fee + self.callback_gas * self.callback_gas_price

    def honest(self, chain_id: int, oracle: str) -> bool:
        """Whether id and input hash are those of the content; a node that lies is caught here."""
        return self.input_hash == keccak(self.input) and self.id == ids.request_id(
            chain_id, oracle, self
        )


class TierKind(StrEnum):
    """How an answer is assured."""

    PROOF = "Proof"
    OPTIMISTIC = "Optimistic"
    ATTESTED = "Attested"
    COMMITTEE = "Committee"
    AUDITED = "Audited"
    BISECTION = "Bisection"
    COMBINED = "Combined"


#: Where an operator answers at once and its stake vouches; the attested tier asks for a key, too,
#: the audited one for a proof of what is drawn.
STAKED = frozenset({TierKind.OPTIMISTIC, TierKind.ATTESTED, TierKind.AUDITED, TierKind.BISECTION})
#: The same, and combinations of such tiers.
ON_STAKE = STAKED | {TierKind.COMBINED}


@dataclass(frozen=True, slots=True)
class Coin:
    """An ERC-20 that stakes are in; what is counted in gwei elsewhere is in `unit`s of its smallest
    parts then."""

    token: str
    unit: int


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier as read from the chain: the assurance contract and what it vouches with.

    `forgeable`: the secret of its SRS is public (a development SRS), so its proofs prove nothing.
    `vault`: where operators' stakes lie; empty for the Proof tier. `coin`: what they are in; None
    for ether. `parts`: the tiers that a combination puts together, over one verifier; its vault is
    the first one's.
    """

    assurance: str
    pin: bytes
    verifier: str
    code_hash: bytes
    srs_id: bytes
    forgeable: bool
    kind: TierKind = TierKind.PROOF
    vault: str = ""
    coin: Coin | None = None
    parts: "tuple[Part, ...]" = ()

    @property
    def name(self) -> str:
        """`Audited`; a combination's comes from its parts: `Audited+Attested`."""
        return "+".join(each.kind.value for each in self.vouchers)

    @property
    def vouchers(self) -> "list[Tier]":
        """The tiers that vouch: this one, or each part of a combination."""
        return [part.tier for part in self.parts] or [self]

    def vouching(self, request: Request) -> "list[tuple[Tier, Request]]":
        """They, each with the request as it sees it."""
        return [(part.tier, part.seen(request)) for part in self.parts] or [(self, request)]

    def of_kind(self, kind: TierKind, request: Request) -> "tuple[Tier, Request] | None":
        """The one of that kind among them."""
        return next((each for each in self.vouching(request) if each[0].kind is kind), None)


@dataclass(frozen=True, slots=True)
class Part:
    """A tier within a combination, and the bits of its terms that are fixed there."""

    tier: Tier
    fixed: bytes

    def terms(self, shared: bytes) -> bytes:
        """The part's terms, of what a request states for all."""
        return bytes(one | other for one, other in zip(shared, self.fixed, strict=True))

    def seen(self, request: Request) -> Request:
        """The request as the part sees it: under the id of the whole."""
        return replace(
            request,
            assurance=self.tier.assurance,
            pin=self.tier.pin,
            terms=self.terms(request.terms),
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """An output, and the evidence for it; a proof holds for this request and this payee, and for
    nothing else. An operator's provisional answer has none, its stake vouches; under the attested
    tier `attestation` goes with it, a key (x, y) and its signature (r, s). Of a composition's run
    `states` are kept, and where it halts is shown (`attestation`) with the word that there is no
    output (oracle/domain/bisection.py).

    `tier` is what it was made for, `engine` what recomputed the output, `seconds` proving took;
    `quote` is what the optimistic tier asks for; `why` says why there is no output, if there is
    none; `trace` is what a committee's member commits to beside the output.
    """

    payee: str
    output: bytes
    proof: bytes
    tier: Tier
    engine: str = ""
    seconds: float = 0.0
    quote: Quote | None = None
    why: str = ""
    attestation: bytes = b""
    trace: bytes = b""
    states: bytes = b""

    @property
    def window(self) -> int:
        """Seconds in which the claim can be disputed; 0 under the Proof tier."""
        return 0 if self.quote is None else self.quote.window

    @property
    def draw_window(self) -> int:
        """Seconds after which the claim is looked at again: its window, but of a combination the
        audited part's, however long another's is. The clock of a draw runs from there."""
        parts = () if self.quote is None else self.quote.parts
        pairs = zip(self.tier.vouchers, parts, strict=True) if parts else ()
        audited = [quote.window for tier, quote in pairs if tier.kind is TierKind.AUDITED]
        return audited[0] if audited else self.window

    @property
    def bond(self) -> int:
        """Wei that a dispute costs."""
        return 0 if self.quote is None else self.quote.bond


def forum(tier: Tier, quote: Quote, request: Request) -> tuple[Tier, Request, Quote]:
    """Where a claim is disputed: in its tier, or in the part on stake of a combination that has the
    longest window; with the request as that sees it, and what it asks for."""
    quotes = quote.parts or (quote,)
    each = [
        (part, seen, asked)
        for (part, seen), asked in zip(tier.vouching(request), quotes, strict=True)
        if part.kind in STAKED or not tier.parts
    ]
    return max(each, key=lambda found: found[2].window)
