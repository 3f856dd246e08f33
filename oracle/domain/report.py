"""The trust report: what an answer rests on, in words that can be printed beside it."""

from dataclasses import dataclass, replace
from enum import StrEnum

from oracle.domain.chain import Audit, Identity, Round
from oracle.domain.request import Request, Tier, TierKind
from oracle.domain.terms import WHOLE, ClaimTerms, Quote

Report = dict[str, object]

#: How the label of a development SRS reads wherever it shows.
DEVELOPMENT = "DEVELOPMENT SRS: its secret is public, anyone can forge proofs"


#: And that of a development beacon.
FORESEEABLE = "DEVELOPMENT BEACON: anyone can compute whom it will draw"

#: And that of a software TPM.
SOFTWARE = "SOFTWARE TPM: its secrets lie in a file, it vouches for nothing"

#: What is said where only a node could tell, and none was asked.
NOT_LOOKED_UP = "not looked up"
#: What that is: of every answer, and by the kinds of tiers that vouch.
ASKED = {
    None: "whether the verifier or the model was stopped",
    TierKind.ATTESTED: "which key signed, and whether hardware holds it",
    TierKind.AUDITED: "which beacon draws, and whether the claim was drawn",
    TierKind.COMMITTEE: "which beacon drew the committee",
}


@dataclass(frozen=True, slots=True)
class AnswerKeyShown:
    """The key that signed an answer under the attested tier, as its registry has it; `until` in
    seconds."""

    registry: str
    key: bytes
    hardware: str
    software: bool
    until: int
    revoked: bool


@dataclass(frozen=True, slots=True)
class Lookup:
    """What the chain says beside an answer: whether proofs of this model, or any, count no more by
    the verifier that the request pins; under the attested tier the key that signed (None if it was
    not found); under the audited one the draw, under a committee's the round that drew it (None if
    no claim stood)."""

    stopped: bool
    hardware: AnswerKeyShown | None = None
    audit: Audit | None = None
    committee: Round | None = None


class Worth(StrEnum):
    """What an answer under the optimistic tier is worth by now."""

    PROVISIONAL = "provisional: final when its window is over, unless somebody demands a proof"
    SILENCE = "final by silence: nobody demanded a proof within the window"
    PROOF = "final by a proof"


@dataclass(frozen=True, slots=True)
class Stake:
    """What vouches for an answer under the optimistic tier, and what it is worth by now."""

    quote: Quote
    standing: Worth


def trust_report(
    identity: Identity,
    request: Request,
    tier: Tier,
    payee: str = "",
    stake: Stake | None = None,
    found: Lookup | None = None,
) -> Report:
    """The report for an answer; plain JSON values. `stake` under the tiers that have one; without
    `found` no node was asked, and the report says what was not looked up.

    It speaks of what was asked for: an answer under another tier or pin is refused on-chain, so
    whoever settled the request, the report is the same but for the payee.
    """
    proved = stake is None or stake.standing is Worth.PROOF
    output = (
        "the output is what the program registered under the model id computes, in its integer "
        "semantics and with the weights committed there, from the input hashed in the request"
    )
    bound = "the proof was made for this request and this payee, and serves no other"
    report: Report = {
        "claim": {
            "chain_id": identity.chain_id,
            "oracle": identity.oracle,
            "request_id": _hex(request.id),
            "model_id": _hex(request.model_id),
            "input_hash": _hex(request.input_hash),
            "payee": payee,
        },
        "tier": tier.name,
        "final": "in the transaction that answered" if stake is None else stake.standing.value,
        "proved": [output, bound] if proved else [],
        "not_proved": [
            *([] if proved else [f"that {output}"]),
            "that the model is accurate, fair, or what its name says: audit the program",
            "that the integer model equals the floating-point one it was made from",
            "that the input is true: the requester chose it",
        ],
        "could_have_cheated": _cheats(tier, None if proved else stake),
        "verifier": {
            "assurance": tier.assurance,
            "address": tier.verifier,
            "code_hash": _hex(tier.code_hash),
            "pin": _hex(tier.pin),
            "stopped": None if found is None else found.stopped,
        },
        "srs": {
            "id": _hex(tier.srs_id),
            "development": tier.forgeable,
            "label": DEVELOPMENT if tier.forgeable else "ceremony",
        },
    }
    vouching = _vouching(tier, request, stake)
    for part, seen, its in vouching:
        if part.kind is TierKind.ATTESTED and not proved:
            report["attested"] = _attested(found)
        if part.kind is TierKind.AUDITED:
            report["audited"] = _audited(seen, its, found)
        if part.kind is TierKind.COMMITTEE and not proved:
            report["committee"] = _committee(found)
    if not proved and stake is not None:
        liars = [_liars(part, seen, its.quote, found) for part, seen, its in vouching]
        cheats = _cheats(tier, stake)
        if tier.parts:
            at_once = [
                f"{part.name}: {'; or '.join(who)}"
                for part, who in zip(tier.vouchers, liars, strict=True)
            ]
            report["could_have_cheated"] = [_together(stake.quote), *at_once, *cheats[1:]]
        else:
            council = tier.kind is TierKind.COMMITTEE
            report["could_have_cheated"] = [*liars[0], *cheats[council:]]
    if found is not None and found.stopped:
        report["not_proved"] = [
            "anything by this verifier: it was stopped, for this model or for all",
            *([] if proved else [f"that {output}"]),
        ]
    if stake is not None and tier.kind is not TierKind.PROOF:
        report["staked"] = _staked(request, tier, stake.quote)
    if tier.parts and vouching:
        report["parts"] = [_part(*each) for each in vouching]
    if found is None:
        kinds = {part.kind for part, *_ in vouching}
        report["not_looked_up"] = [what for kind, what in ASKED.items() if kind in {None, *kinds}]
    return report


def _vouching(
    tier: Tier, request: Request, stake: Stake | None
) -> list[tuple[Tier, Request, Stake]]:
    """The tiers that vouch on stake, each with the request as it sees it and its own stake."""
    if stake is None:
        return []
    quotes = stake.quote.parts or (stake.quote,)
    pairs = zip(tier.vouching(request), quotes, strict=True)
    return [(part, seen, replace(stake, quote=quote)) for (part, seen), quote in pairs]


def _part(part: Tier, seen: Request, stake: Stake) -> Report:
    """What one part of a combination has to say and to lose."""
    return {
        "tier": part.name,
        "assurance": part.assurance,
        "pin": _hex(part.pin),
        "staked": _staked(seen, part, stake.quote),
    }


def _cheats(tier: Tier, unproved: Stake | None) -> list[str]:
    """Who could have made this answer false; `unproved` is the stake in a proof's place."""
    forgers = [
        "whoever knows the secret behind the SRS (a ceremony: all its participants together)"
    ]
    if tier.forgeable:
        forgers = [f"anyone ({DEVELOPMENT})"]
    if unproved is not None:
        quote = unproved.quote
        forgers = [
            f"the operator, if nobody re-executed the model within {quote.window} s of its answer: "
            f"it risked {quote.lock} gwei, of which only the {quote.burn} burned are lost to it if "
            "requester and challenger are its own",
            "whoever kept every challenger's transaction out of the chain for that long",
            "whoever can forge proofs, by proving a false output in a dispute: " + forgers[0],
        ]
    return [
        *forgers,
        "whoever finds a mistake in the verifier contract or in the argument that it checks",
        "the chain itself: its validators, and a reorganisation deeper than the confirmations",
    ]


def _together(quote: Quote) -> str:
    """Of a combination: what has to fail for a lie to stand."""
    return (
        "the operator, by every one of these at once, one a part, if nobody re-executed the model "
        f"and disputed any part's claim within that part's window, {quote.window} s the longest: "
        f"it risked {quote.lock} gwei in all, {quote.burn} of them to be burned"
    )


def _liars(
    part: Tier,
    seen: Request,
    quote: Quote,
    found: Lookup | None,
) -> list[str]:
    """Who else a tier's answers rest on, or in what way."""
    if part.kind is TierKind.ATTESTED:
        return _takers(None if found is None else found.hardware)
    if part.kind is TierKind.AUDITED:
        return _gamblers(seen, quote, None if found is None else found.audit)
    if part.kind is TierKind.COMMITTEE:
        return _capturers(quote, None if found is None else found.committee)
    return []


def _takers(hardware: AnswerKeyShown | None) -> list[str]:
    """Who could have signed what was not computed; each also had to stake on it."""
    if hardware is not None and hardware.software:
        return [f"the operator ({SOFTWARE})"]
    takers = [
        "the maker of the hardware, and whoever breaks it or takes the answer key out of it",
        "a quorum of the registry's attesters, by admitting a key that no such hardware holds",
    ]
    if hardware is None or hardware.hardware == "TPM":
        takers.append(
            "the operator, where a TPM holds the key: if it can reset that chip by itself, or what "
            "was measured lets it in"
        )
    if hardware is None:
        takers.append(f"the operator, if the key is that of a {SOFTWARE}")
    return takers


def _capturers(quote: Quote, draw: Round | None) -> list[str]:
    """Who could have agreed on what was not computed, and who could choose those who did."""
    quorum = (
        "a quorum of the day's committee together, if no other member, and nobody who re-executed "
        f"the model, refuted it by a proof within {quote.window} s: they risked {quote.lock} gwei, "
        f"of which at least {quote.burn} would be burned"
    )
    taker = "whoever took the seats that would be drawn before the day's list closed"
    if draw is not None and draw.development:
        return [quorum, f"{taker} ({FORESEEABLE})"]
    unseen = [f"{taker}, if draws are by a {FORESEEABLE}"] if draw is None else []
    beacon = "the beacon's operators together with who takes seats: they know whom it will draw"
    return [quorum, *unseen, beacon]


def _gamblers(request: Request, quote: Quote, audit: Audit | None) -> list[str]:
    """Who could have lied where nobody else can tell."""
    rate = ClaimTerms.parse(request.terms).audits
    liar = (
        "the operator, where nobody else has the weights: drawn, with probability "
        f"{rate / WHOLE:g}, it had to prove the answer or to lose its whole stake, {quote.stake} "
        "gwei at least"
    )
    if audit is not None and audit.development:
        return [f"the operator ({FORESEEABLE})", liar]
    unseen = [f"the operator, if draws are by a {FORESEEABLE}"] if audit is None else []
    beacon = "the beacon's operators together with the operator: they know whom it will draw"
    return [*unseen, liar, beacon]


def _audited(request: Request, stake: Stake, found: Lookup | None) -> Report:
    report: Report = {
        "rate_of_10000": ClaimTerms.parse(request.terms).audits,
        "least_stake_gwei": stake.quote.stake,
    }
    if found is None:
        return {**report, "label": NOT_LOOKED_UP}
    audit = found.audit
    if audit is None:
        return report
    provisional = stake.standing is Worth.PROVISIONAL
    report |= {
        "beacon": audit.beacon,
        "label": _foreseen(audit),
    }
    if not provisional:
        return {**report, "drawn": stake.standing is Worth.PROOF}
    return {
        **report,
        "round": audit.round,
        "drawn": audit.drawn if audit.known else "not known yet",
        "prove_by": audit.until,
    }


def _committee(found: Lookup | None) -> Report:
    draw = None if found is None else found.committee
    if draw is None:
        return {"label": NOT_LOOKED_UP}
    return {"beacon": draw.beacon, "round": draw.round, "label": _foreseen(draw)}


def _foreseen(draw: Round) -> str:
    return FORESEEABLE if draw.development else "public: its rounds are signed"


def _attested(found: Lookup | None) -> Report:
    if found is None:
        return {"label": NOT_LOOKED_UP}
    hardware = found.hardware
    if hardware is None:
        return {"label": "the answer's key was not found: it was handed in by a contract"}
    return {
        "registry": hardware.registry,
        "key": _hex(hardware.key),
        "hardware": hardware.hardware,
        "label": SOFTWARE if hardware.software else "hardware, as the registry's attesters found",
        "until": hardware.until,
        "revoked": hardware.revoked,
    }


def _staked(request: Request, tier: Tier, quote: Quote) -> Report:
    terms = ClaimTerms.parse(request.terms)
    coin: object = "ether"
    if tier.coin is not None:  # gwei stands for its units
        coin = {"token": tier.coin.token, "unit": tier.coin.unit}
    return {
        "vault": tier.vault,
        "coin": coin,
        "locked_gwei": quote.lock,
        "coverage_gwei": terms.coverage,
        "reward_gwei": quote.reward,
        "burn_gwei": quote.burn,
        "window_seconds": quote.window,
        "prove_clock_seconds": quote.prove,
        "declared_proving_seconds": terms.proving,
    }


def _hex(word: bytes) -> str:
    return "0x" + word.hex()
