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
from oracle.domain.terms import UNANSWERABLE
from oracle.offers import read_events
from oracle.services.closing import PASSING
from oracle.settings import read_settings
from prover.errors import EinproofError

if TYPE_CHECKING:
    from oracle.adapters.wallet import Wallet

#: What a contract refuses until its first argument, a second, has passed.
CLOCKS = ("TooEarly", "AuditOpen", "DeadlineNotPassed")
#: Its consumer does not want provisional answers, or was told already.
NOTHING_TO_TELL = ("NotWanted", "NothingToDeliver")
HAND_IN, REFUND, DELIVER, CALL_BACK = "hand in", "refund", "deliver", "call back"
WITHDRAW = "withdraw"


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
    it, call a consumer again whose callback failed; and take what the oracle could not send to your
    own account."""
    from oracle.adapters.wallet import Wallet

    settings, id = read_settings(rpc=rpc, key=key), parse_word(request, "REQUEST")

    async def whole() -> "tuple[Steps, EinproofError | None]":
        site = await Site.reach(settings)
        try:
            wallet = Wallet(site.chain, site.signer(settings, "dev:2"), site.identity.chain_id)
            story, steps = await _read(site, id), Steps(wallet)
            try:
                await _settle(site, story, steps, {wallet.signer.address, settings.payee})
            except EinproofError as reason:  # what was done is said all the same
                return steps, reason
            return steps, None
        finally:
            site.chain.node.close()

    steps, failed = asyncio.run(whole())
    if steps.done or failed is None:
        typer.echo(json.dumps({"request": request, **steps.report}) if as_json else str(steps))
    if failed is not None:
        raise failed


@dataclass
class Steps:
    """What was done, what could not be and why, and the gas of it all; and where the request stood
    when that was last read."""

    wallet: "Wallet"
    done: list[str] = field(default_factory=list)
    waits: dict[str, str] = field(default_factory=dict)
    gas: int = 0
    status: Status = Status.NONE

    async def take(self, step: str, *calls: Call, patient: bool = False) -> None:
        """The first of these calls that the contracts take; else why they refuse the first: if
        `patient`, that alone is tried while it waits for a clock."""
        for call in calls:
            try:
                _, receipt = await self.wallet.transact(call)
            except CallRefused as reason:
                if reason.name not in NOTHING_TO_TELL:
                    self.waits.setdefault(step, _why(reason))
                if patient and reason.name in PASSING:
                    return
            else:
                self.waits.pop(step, None)
                self.done.append(step)
                self.gas += receipt.gas_used
                return

    @property
    def report(self) -> dict[str, object]:
        said = {"status": self.status.name.capitalize(), "done": self.done, "waits": self.waits}
        return {**said, "gas": self.gas}

    def __str__(self) -> str:
        """The same in one line."""
        done = f"done: {', '.join(self.done)}" if self.done else "nothing can be done now"
        waits = [f"{step} {when}" for step, when in self.waits.items()]
        left = [done, *waits] if self.done or waits else ["nothing is left"]
        return "; ".join([self.status.name.capitalize(), *left])


@dataclass(frozen=True)
class Story:
    """A request, the last claim on it, and whether a proof of that was ever demanded."""

    request: Request
    claim: Stood | Answered | None
    contested: bool


async def _settle(site: Site, story: Story, steps: Steps, own: set[str]) -> None:
    """Every step that is open, in an order in which none takes another's place: a claim that is
    final pays its operator, though it could be refunded, and is called back, not delivered."""
    chain, request, claim = site.chain, story.request, story.claim
    await _look(site, request, steps)
    if claim is not None and steps.status is Status.PROVISIONAL:
        tier = await chain.tier(request.assurance)
        owed = await _owed(site, story, claim, tier)
        if claim.payee in own and owed:
            steps.waits[HAND_IN] = "not without its proof, or it is lost: einproof serve"
        else:
            # By all of a combination's parts; else given back by one of them, which leaves the
            # others' locks: that waits for their clocks, too, unless a proof is overdue.
            silent = [b"", *(bytes([1 + at]) for at in range(len(tier.parts) if tier else 0))]
            claimed = (request.fields, request.input, claim.payee, claim.output)
            calls = [Call(chain.oracle, call_data("answer", *claimed, each)) for each in silent]
            await steps.take(HAND_IN, *calls, patient=not owed)
            await _look(site, request, steps)
    if steps.status in (Status.OPEN, Status.PROVISIONAL):
        await steps.take(REFUND, Call(chain.oracle, call_data("refund", request.fields)))
        await _look(site, request, steps)
        if steps.status is Status.REFUNDED:  # what kept the answer from being final keeps nothing
            steps.waits.pop(HAND_IN, None)
    if claim is not None:
        await _tell(site, request, claim, steps)
    await _withdraw(site, steps)


async def _tell(site: Site, request: Request, claim: Stood | Answered, steps: Steps) -> None:
    """Its consumer of what stands, or of what became of that."""
    oracle, told = site.chain.oracle, (request.fields, claim.payee, claim.output)
    if steps.status in (Status.PROVISIONAL, Status.RETRACTED, Status.REFUNDED):
        await steps.take(DELIVER, Call(oracle, call_data("deliver", *told)))
    if await _look(site, request, steps):
        await steps.take(CALL_BACK, Call(oracle, call_data("retryCallback", *told)))


async def _withdraw(site: Site, steps: Steps) -> None:
    """What the key's account did not take when the oracle sent it, for this request or others."""
    oracle, own = site.chain.oracle, steps.wallet.signer.address
    (credit,) = decode(("uint256",), await site.chain.call(oracle, call_data("credit", own)))
    if credit:
        await steps.take(WITHDRAW, Call(oracle, call_data("withdraw", own)))


async def _owed(site: Site, story: Story, claim: Stood | Answered, tier: Tier | None) -> bool:
    """Whether a claim owes its proof, and is lost if it is handed in without. A composition's is
    not taken then; of no answer, audits ask for none."""
    if tier is not None and tier.kind is TierKind.BISECTION:
        return False
    audited = tier.of_kind(TierKind.AUDITED, story.request) if tier is not None else None
    if story.contested or audited is None or claim.output == UNANSWERABLE:
        return story.contested
    return (await site.chain.audit(audited[1])).drawn


async def _read(site: Site, request_id: bytes) -> Story:
    request, events = await read_events(site, request_id)
    claims = [event for event in events if isinstance(event, Stood | Answered)]
    contested = any(isinstance(event, Disputed | Played) for event in events)
    return Story(request, claims[-1] if claims else None, contested)


async def _look(site: Site, request: Request, steps: Steps) -> bool:
    """Reads where a request stands; whether its callback failed."""
    steps.status, failed = await site.chain.status(request.id)
    return failed


def _why(reason: CallRefused) -> str:
    second = reason.detail.partition(",")[0]
    if reason.name not in CLOCKS or not second.isdecimal():
        return f"refused: {reason}"
    return f"from {datetime.fromtimestamp(int(second) + 1, UTC).isoformat()} on"
