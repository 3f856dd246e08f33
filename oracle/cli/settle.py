"""einproof settle: moves one request on by hand, whoever made it."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from eth_abi.abi import decode

from oracle.adapters.abi import call_data
from oracle.bootstrap import Site
from oracle.cli.prove import parse_word
from oracle.domain.chain import Answered, Call, Disputed, Played, Status, Stood
from oracle.domain.errors import CallRefused
from oracle.domain.request import Request, Tier, TierKind
from oracle.offers import read_events
from oracle.settings import read_settings

if TYPE_CHECKING:
    from oracle.adapters.wallet import Wallet

#: What a contract refuses until its first argument, a second, has passed.
CLOCKS = ("TooEarly", "AuditOpen", "DeadlineNotPassed")
#: Its consumer does not want provisional answers, or was told already.
NOTHING_TO_TELL = ("NotWanted", "NothingToDeliver")
HAND_IN, REFUND, DELIVER, CALL_BACK = "hand in", "refund", "deliver", "call back"


def settle(
    request: Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id: 0x...")],
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    key: Annotated[
        str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:2).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Do what can be done for a request now; anyone may, for the gas. Hand in the answer whose
    clocks are over, send the payment back, deliver the provisional answer to a consumer that wants
    it, call a consumer again whose callback failed."""
    from oracle.adapters.wallet import Wallet

    settings, id = read_settings(rpc=rpc, key=key), parse_word(request, "REQUEST")

    async def whole() -> "tuple[Status, Steps]":
        site = await Site.reach(settings)
        try:
            wallet = Wallet(site.chain, site.signer(settings, "dev:2"), site.identity.chain_id)
            story, steps = await _read(site, id), Steps(wallet)
            own = {wallet.signer.address, settings.payee}
            return await _settle(site, story, steps, own), steps
        finally:
            site.chain.node.close()

    status, steps = asyncio.run(whole())
    name = status.name.capitalize()
    if as_json:
        report = {"request": request, "status": name, "done": steps.done, "waits": steps.waits}
        typer.echo(json.dumps({**report, "gas": steps.gas}))
        return
    done = f"done: {', '.join(steps.done)}" if steps.done else "nothing can be done now"
    waits = [f"{step} {when}" for step, when in steps.waits.items()]
    typer.echo(
        "; ".join([name, done, *waits] if steps.done or waits else [name, "nothing is left"])
    )


@dataclass
class Steps:
    """What was done, what could not be and why, and the gas of it all."""

    wallet: "Wallet"
    done: list[str] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)
    gas: int = 0

    async def take(self, step: str, *calls: Call) -> None:
        """The first of these calls that the contracts take; else why they refuse the first."""
        for call in calls:
            try:
                _, receipt = await self.wallet.transact(call)
            except CallRefused as reason:
                if reason.name not in NOTHING_TO_TELL:
                    self.waits.setdefault(step, _why(reason))
            else:
                self.waits.pop(step, None)
                self.done.append(step)
                self.gas += receipt.gas_used
                return


@dataclass(frozen=True)
class Story:
    """A request, the last claim on it, and whether a proof of that was ever demanded."""

    request: Request
    claim: Stood | Answered | None
    contested: bool


async def _settle(site: Site, story: Story, steps: Steps, own: set[str]) -> Status:
    """Every step that is open, in an order in which none takes another's place: a claim that is
    final pays its operator, though it could be refunded, and is called back, not delivered."""
    chain, request, claim = site.chain, story.request, story.claim
    status, _ = await _status(site, request)
    if claim is not None and status is Status.PROVISIONAL:
        tier = await chain.tier(request.assurance)
        if claim.payee in own and await _lost(site, story, tier):
            steps.waits[HAND_IN] = "not without its proof, or it costs your stake: einproof serve"
        else:
            # By all of a combination's parts; else given back by one of them.
            silent = [b"", *(bytes([1 + at]) for at in range(len(tier.parts) if tier else 0))]
            claimed = (request.fields, request.input, claim.payee, claim.output)
            calls = [Call(chain.oracle, call_data("answer", *claimed, each)) for each in silent]
            await steps.take(HAND_IN, *calls)
            status, _ = await _status(site, request)
    if status in (Status.OPEN, Status.PROVISIONAL):
        await steps.take(REFUND, Call(chain.oracle, call_data("refund", request.fields)))
        status, _ = await _status(site, request)
        if status is Status.REFUNDED:  # what kept the answer from being final keeps nothing now
            steps.waits.pop(HAND_IN, None)
    if claim is None:
        return status
    told = (request.fields, claim.payee, claim.output)
    if status in (Status.PROVISIONAL, Status.RETRACTED, Status.REFUNDED):
        await steps.take(DELIVER, Call(chain.oracle, call_data("deliver", *told)))
    status, failed = await _status(site, request)
    if failed:
        await steps.take(CALL_BACK, Call(chain.oracle, call_data("retryCallback", *told)))
    return status


async def _lost(site: Site, story: Story, tier: Tier | None) -> bool:
    """Whether a claim that is handed in without its proof may be slashed for that."""
    audited = tier.of_kind(TierKind.AUDITED, story.request) if tier is not None else None
    drawn = audited is not None and (await site.chain.audit(audited[1])).drawn
    return story.contested or drawn


async def _read(site: Site, request_id: bytes) -> Story:
    request, events = await read_events(site, request_id)
    claims = [event for event in events if isinstance(event, Stood | Answered)]
    contested = any(isinstance(event, Disputed | Played) for event in events)
    return Story(request, claims[-1] if claims else None, contested)


async def _status(site: Site, request: Request) -> tuple[Status, bool]:
    """Where a request stands, and whether its callback failed."""
    found = await site.chain.call(site.chain.oracle, call_data("statusOf", request.id))
    status, _, failed = decode(("uint8", "bytes32", "bool"), found)
    return Status(status), bool(failed)


def _why(reason: CallRefused) -> str:
    second = reason.detail.partition(",")[0]
    if reason.name not in CLOCKS or not second.isdecimal():
        return f"refused: {reason}"
    return f"from {datetime.fromtimestamp(int(second) + 1, UTC).isoformat()} on"
