"""What people do by hand with the contracts: register a model, ask for an inference."""

import asyncio
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.adapters.abi import GAME, call_data
from oracle.adapters.attestations import signing_key_of
from oracle.adapters.chain import NodeChain
from oracle.adapters.wallet import Wallet
from oracle.domain import ids
from oracle.domain.chain import (
    Answered,
    Audit,
    Call,
    Disputed,
    Event,
    Identity,
    Played,
    Requested,
    Returned,
    Round,
    Stood,
)
from oracle.domain.committee import DAY
from oracle.domain.errors import CallRefused, ModelMissing, OracleError, SettingsInvalid
from oracle.domain.report import AnswerKeyShown, Lookup, Report, Stake, Worth, trust_report
from oracle.domain.request import Request, Tier, TierKind
from oracle.domain.terms import ClaimTerms, Quote
from prover.composition import composition_id
from prover.model import Model

#: Data bytes of one blob (ModelRegistry).
CHUNK = 24_575


class NotAnswered(OracleError):
    """A request closed without an answer."""


@dataclass(frozen=True)
class Registration:
    """What registering did: `stored` blobs were new, `gas` was paid; nothing if known before."""

    model_id: bytes
    known: bool
    stored: int
    gas: int


async def register(
    wallet: Wallet, registry: str, model: Model, progress: Callable[[str], None] = lambda _: None
) -> Registration:
    """Puts a model's public half on the chain, or what is missing of it; its id is returned.

    Every step is idempotent, so a registration that was cut off is finished by the next. Raises
    CallRefused, WalletEmpty, ChainUnavailable, and SettingsInvalid if the registry computes
    another id than ours.
    """
    chain = wallet.chain
    if await _is_registered(wallet, registry, model.id):
        return Registration(model.id, True, 0, 0)
    stored = gas = 0
    lists: list[list[str]] = []
    for name, data in (("program", model.program_bytes), ("commitments", model.point_bytes)):
        addresses: list[str] = []
        pieces = [data[at : at + CHUNK] for at in range(0, len(data), CHUNK)]
        for number, piece in enumerate(pieces, 1):
            found = await chain.call(registry, call_data("addressOf", piece))
            address = to_checksum_address(decode(("address",), found)[0])
            if not await chain.code(address):
                progress(f"storing {name}, {number} of {len(pieces)}")
                call = Call(registry, call_data("store", piece))
                _, receipt = await wallet.transact(call)
                stored, gas = stored + 1, gas + receipt.gas_used
            addresses.append(address)
        lists.append(addresses)
    progress("registering")
    call = Call(registry, call_data("register", *lists, model.srs_id, model.aux_hash))
    _, receipt = await wallet.transact(call)
    if not await _is_registered(wallet, registry, model.id):
        raise SettingsInvalid(
            f"registry {registry} computes another id than 0x{model.id.hex()}: it is of another "
            "version of einproof"
        )
    return Registration(model.id, False, stored, gas + receipt.gas_used)


async def compose(wallet: Wallet, assurance: str, ids: Sequence[bytes]) -> Registration:
    """Makes registered models a composition of a tier; nothing is sent if it is known. Raises as
    `register` does."""
    chain, id = wallet.chain, composition_id(list(ids))
    if await segment_count(chain, assurance, id):
        return Registration(id, True, 0, 0)
    call = Call(assurance, call_data("compose", list(ids), among=GAME))
    _, receipt = await wallet.transact(call)
    if not await segment_count(chain, assurance, id):
        raise SettingsInvalid(f"{assurance} computes another id than 0x{id.hex()}")
    return Registration(id, False, 0, receipt.gas_used)


async def segment_count(chain: NodeChain, assurance: str, id: bytes) -> int:
    """How many segments a composition has; 0 if the tier knows none of that id."""
    found = await chain.call(assurance, call_data("segmentCount", id, among=GAME))
    return int(decode(("uint256",), found)[0])


async def _is_registered(wallet: Wallet, registry: str, model_id: bytes) -> bool:
    found = await wallet.chain.call(registry, call_data("isRegistered", model_id))
    return bool(decode(("bool",), found)[0])


@dataclass(frozen=True)
class Asked:
    """A request on the chain; `block` is where it was made, `quote` what its tier asks for."""

    request: Request
    tier: Tier
    transaction: bytes
    block: int
    quote: Quote | None = None


@dataclass(frozen=True)
class Settled:
    """Its answer, and what that rests on."""

    output: bytes
    payee: str
    transaction: bytes
    gas: int
    report: Report


async def ask(
    wallet: Wallet,
    identity: Identity,
    assurance: str,
    registry: str,
    model_id: bytes,
    input: bytes,
    *,
    fee: int,
    seconds: int,
    terms: ClaimTerms | None = None,
) -> Asked:
    """Makes a request for an ordinary account (no callback), to be answered within `seconds`, under
    the optimistic tier if it has `terms`.

    Raises ModelMissing if it is not registered, CallRefused, WalletEmpty, ChainUnavailable.
    """
    tier = await wallet.chain.tier(assurance)
    composed = tier is not None and tier.kind is TierKind.BISECTION
    if not (
        await segment_count(wallet.chain, assurance, model_id)
        if composed
        else await _is_registered(wallet, registry, model_id)
    ):
        raise ModelMissing(
            f"model 0x{model_id.hex()} is not registered on chain {identity.chain_id}: run "
            "einproof register with its folder"
        )
    if tier is None or (tier.kind is TierKind.PROOF) != (terms is None):
        raise SettingsInvalid(f"{assurance} takes other terms, or is no tier: run einproof deploy")
    if terms is not None and tier.parts and (terms.hours or terms.audits):
        raise SettingsInvalid(
            f"{tier.name}: hours and audits are fixed with the combination, got {terms.hours} and "
            f"{terms.audits}: ask for none"
        )
    if terms is not None and not terms.fits:
        raise SettingsInvalid(
            "expected coverage of 1 gwei to 1,099 ether, 1 to 32,767 seconds of proving, and a "
            f"window of 0 to 255 hours, got {terms}"
        )
    head = await wallet.chain.head()
    request = Request(
        requester=wallet.signer.address,
        refund_to=wallet.signer.address,
        model_id=model_id,
        input_hash=keccak(input),
        assurance=assurance,
        pin=tier.pin,
        terms=bytes(32) if terms is None else terms.word,
        fee=fee,
        callback_gas_price=0,
        callback_gas=0,
        deadline=max(head.timestamp, int(time.time())) + seconds,
        nonce=secrets.randbits(128),
        input=input,
    )
    request = replace(request, id=ids.request_id(identity.chain_id, identity.oracle, request))
    data = call_data("request", request.fields, input)
    hash, receipt = await wallet.transact(Call(identity.oracle, data, request.payment))
    quote = None if terms is None else await wallet.chain.quote(tier, request.terms)
    return Asked(request, tier, hash, receipt.block.number, quote)


async def await_answer(
    wallet: Wallet, identity: Identity, asked: Asked, poll: float = 0.5, *, final: bool = True
) -> Settled:
    """Waits for the final answer; for one that stands provisionally, if not `final`. Past the
    deadline, takes the payment back. Raises NotAnswered."""
    chain, request = wallet.chain, asked.request
    while True:
        head = await chain.head()
        story = await story_of(chain, request, asked.block, head.number)
        last = outcome(story)
        if isinstance(last, Answered):
            receipt = await chain.receipt(last.transaction)
            report = await report_of(chain, identity, asked, story)
            gas = receipt.gas_used if receipt else 0
            return Settled(last.output, last.payee, last.transaction, gas, report)
        if isinstance(last, Returned):
            raise NotAnswered("the payment went back: the answer was withdrawn, or there was none")
        if isinstance(last, Stood):
            if not final:
                report = await report_of(chain, identity, asked, story)
                return Settled(last.output, last.payee, b"", 0, report)
            await asyncio.sleep(poll)
            continue
        if max(head.timestamp, int(time.time())) > request.deadline:
            try:
                await wallet.transact(Call(identity.oracle, call_data("refund", request.fields)))
            except CallRefused as error:
                if error.name not in ("DeadlineNotPassed", "WrongStatus"):
                    raise
                await asyncio.sleep(poll)  # the chain's clock is behind, or an answer just came
                continue
            raise NotAnswered(
                "nobody answered before the deadline, and the payment is taken back: is a service "
                "running that holds this model and asks no higher fee?"
            )
        await asyncio.sleep(poll)


async def story_of(chain: NodeChain, request: Request, first: int, last: int) -> list[Event]:
    """What these blocks say of a request. Raises ChainUnavailable, ChainMoved."""
    return [event for event in await chain.events(first, last) if _about(event, request)]


def outcome(story: list[Event]) -> Event | None:
    """Where a request stands after these events: the last that is no move of a dispute."""
    told = [event for event in story if not isinstance(event, Disputed | Played)]
    return told[-1] if told else None


async def report_of(
    chain: NodeChain, identity: Identity, asked: Asked, story: list[Event]
) -> Report:
    """What an answer rests on that stands, or is final, after these events."""
    told, last = (chain, asked, story), outcome(story)
    payee = last.payee if isinstance(last, Answered | Stood) else ""
    stopped = await chain.stopped(asked.tier, asked.request.model_id)
    found = Lookup(stopped, await _hardware(*told), await _audit(*told), await _committee(*told))
    stake = await _stake(*told)
    return trust_report(identity, asked.request, asked.tier, payee, stake, found)


async def _audit(chain: NodeChain, asked: Asked, story: list[Event]) -> Audit | None:
    """The draw, under the audited tier, if a claim stood at all."""
    stood = any(isinstance(event, Stood) for event in story)
    audited = asked.tier.of_kind(TierKind.AUDITED, asked.request)
    return await chain.audit(audited[1]) if audited and stood else None


async def _committee(chain: NodeChain, asked: Asked, story: list[Event]) -> Round | None:
    """The round that drew the committee whose claim stood: that of the day in which it came."""
    stood = _stood(story)
    council = asked.tier.of_kind(TierKind.COMMITTEE, asked.request)
    return await chain.round_of(council[0], stood.timestamp // DAY) if council and stood else None


async def _hardware(chain: NodeChain, asked: Asked, story: list[Event]) -> AnswerKeyShown | None:
    """The key that signed the claim that stood, under the attested tier."""
    stood = _stood(story)
    if stood is None or asked.tier.of_kind(TierKind.ATTESTED, asked.request) is None:
        return None
    return await signing_key_of(chain, asked.request, asked.tier, stood)


def _stood(story: list[Event]) -> Stood | None:
    """The claim that stood last."""
    return next((event for event in reversed(story) if isinstance(event, Stood)), None)


def _about(event: Event, request: Request) -> bool:
    return request.id == (event.request.id if isinstance(event, Requested) else event.request_id)


async def _stake(chain: NodeChain, asked: Asked, story: list[Event]) -> Stake | None:
    """What vouches for an answer after these events. Final with neither a dispute nor an early end
    is taken to be by silence, the weaker of the two."""
    if asked.quote is None:
        return None
    last = outcome(story)
    if not isinstance(last, Answered):
        return Stake(asked.quote, Worth.PROVISIONAL)
    stood = next((event for event in story if isinstance(event, Stood)), None)
    disputed = any(isinstance(event, Disputed) for event in story)
    ended = await chain.block(last.block.number)
    early = ended is not None and stood and ended.timestamp <= stood.timestamp + asked.quote.window
    proved = stood is None or stood.output != last.output or disputed or early
    drawn = asked.tier.of_kind(TierKind.AUDITED, asked.request)
    if not proved and drawn:  # proved after the window
        shown = await chain.shown(asked.request, last.transaction)
        proved = shown is not None and bool(shown.evidence)
    return Stake(asked.quote, Worth.PROOF if proved else Worth.SILENCE)
