"""einproof challenge offer: offers to whoever proves a pending request, by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from decimal import Decimal, DecimalException
from typing import TYPE_CHECKING, Annotated

import typer

from oracle.bootstrap import Site
from oracle.cli.prove import parse_word
from oracle.domain.chain import Receipt
from oracle.domain.errors import SettingsInvalid
from oracle.settings import read_settings

if TYPE_CHECKING:
    from oracle.offers import Offers

ETHER = 10**18

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Offer ether for the proof of a pending request, whatever tier vouches; earn it with one.",
)

Id = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id: 0x...")]
Models = Annotated[str | None, typer.Option(help="Folder of model folders, with their weights.")]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:3).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


@app.command()
def show(request: Id, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """What the proof of a request earns, and what of it you gave."""

    async def work(offers: "Offers", id: bytes) -> None:
        return None

    _do(work, request, as_json, rpc, key)


@app.command()
def make(
    request: Id,
    amount: Annotated[str, typer.Argument(metavar="ETHER", help="How much, such as 0.1.")],
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Add to what the proof of a pending request earns."""
    wei = parse_ether(amount)
    _do(lambda offers, id: offers.offer(id, wei), request, as_json, rpc, key)


@app.command()
def prove(
    request: Id, models: Models = None, rpc: Rpc = None, key: Key = None, as_json: Json = False
) -> None:
    """Prove a pending request, which makes it final; then earn what was offered."""
    _do(lambda offers, id: offers.prove(id), request, as_json, rpc, key, models)


@app.command()
def earn(request: Id, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Send what was offered to the payee of the claim that a proof made final; for anyone."""
    _do(lambda offers, id: offers.earn(id), request, as_json, rpc, key)


@app.command()
def reclaim(request: Id, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Take back what you offered for a request that was settled without a proof."""
    _do(lambda offers, id: offers.reclaim(id), request, as_json, rpc, key)


def parse_ether(text: str) -> int:
    """Wei. Raises SettingsInvalid for what is no positive amount of whole wei."""
    try:
        wei = Decimal(text) * ETHER
    except DecimalException:
        wei = Decimal(0)
    if not (wei.is_finite() and 0 < wei < 1 << 96 and wei == int(wei)):
        raise SettingsInvalid(f"expected ether above 0, to 18 digits, such as 0.1, got {text!r}")
    return int(wei)


def _do(
    work: "Callable[[Offers, bytes], Awaitable[Receipt | None]]",
    request: str,
    as_json: bool,
    rpc: str | None,
    key: str | None,
    models: str | None = None,
) -> None:
    from oracle.adapters.wallet import Wallet
    from oracle.bootstrap import real_parts
    from oracle.offers import Offers

    settings, id = read_settings(rpc=rpc, key=key, models=models), parse_word(request, "REQUEST")

    async def whole() -> dict[str, object]:
        site = await Site.reach(settings)
        try:
            wallet = Wallet(site.chain, site.signer(settings, "dev:3"), site.identity.chain_id)
            offers = Offers(site, wallet, lambda: real_parts(settings))
            receipt = await work(offers, id)
            left = await offers.standing(id)
            gas = {} if receipt is None else {"gas": receipt.gas_used}
            return {"request": request, "offered_wei": left.all, "yours_wei": left.own, **gas}
        finally:
            site.chain.node.close()

    report = asyncio.run(whole())
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:14} {value}")
