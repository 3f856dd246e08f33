"""einproof challenge: disputes by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from oracle.bootstrap import Site
from oracle.cli import offer
from oracle.cli.prove import parse_word
from oracle.domain.errors import SettingsInvalid
from oracle.domain.job import Job
from oracle.domain.request import forum
from oracle.settings import read_settings

if TYPE_CHECKING:
    from oracle.docket import Docket

T = TypeVar("T")

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="List answers that stand on stake; re-execute, dispute, and claim what that earns.",
)
app.add_typer(offer.app, name="offer")

Models = Annotated[Path | None, typer.Option(help="Folder of model folders, with their weights.")]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337; default dev:3).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Id = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id: 0x...")]


@app.command("list")
def list_(rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """List the answers that stand provisionally, until when they can be disputed, and how: those of
    committees are refuted with a proof, for which nobody needs to offer anything."""

    async def work(docket: "Docket", site: Site) -> list[dict[str, Any]]:
        return [await _open(job, site, docket) for job in await docket.open()]

    found = _run(work, rpc, key)
    if as_json:
        typer.echo(json.dumps(found))
        return
    for row in found:
        clock = f"disputed, to be proved by {row['prove_by']}" if row["prove_by"] else "undisputed"
        until, against = row["disputable_until"], row["if_wrong"]
        typer.echo(f"{row['request']}  until {until}  {clock}  if wrong: {against}")
    if not found:
        typer.echo("no answer stands provisionally")


@app.command()
def check(
    request: Id, models: Models = None, rpc: Rpc = None, key: Key = None, as_json: Json = False
) -> None:
    """Re-execute one answer with both integer engines; exit code 3 if it is wrong."""
    id = parse_word(request, "REQUEST")

    async def work(docket: "Docket", _: Site) -> dict[str, Any]:
        job = await docket.check(id)
        claimed = job.standing.output if job.standing else b""
        computed = job.answer.output if job.answer else b""
        return {
            "request": request,
            "claimed": "0x" + claimed.hex(),
            "computed": "0x" + computed.hex(),
            "checked_by": job.answer.engine if job.answer else "",
            "right": not job.wrong,
        }

    report = _run(work, rpc, key, models)
    _print(report, as_json)
    if not report["right"]:
        raise typer.Exit(3)


@app.command()
def dispute(
    request: Id, models: Models = None, rpc: Rpc = None, key: Key = None, as_json: Json = False
) -> None:
    """Re-execute one answer and, only if it is wrong, demand its proof, with a bond."""
    id = parse_word(request, "REQUEST")

    async def work(docket: "Docket", _: Site) -> dict[str, Any]:
        done = await docket.dispute(id)
        return {"request": request, "done": done.move.value, "gas": done.gas}

    _print(_run(work, rpc, key, models), as_json)


@app.command()
def claim(models: Models = None, rpc: Rpc = None, key: Key = None, as_json: Json = False) -> None:
    """Settle, reveal, award and collect whatever is ripe, and withdraw the rewards."""

    async def work(docket: "Docket", _: Site) -> dict[str, Any]:
        done, paid = await docket.claim(), await docket.withdraw()
        steps = [f"{each.move.value} 0x{each.request_id.hex()}" for each in done]
        waits = [f"0x{id.hex()} {reason}" for id, reason in docket.waits.items()]
        withdrawn = {"withdrawn_gwei": paid.gwei, "withdrawn_tokens": paid.tokens}
        return {"done": steps, "waits": waits, **withdrawn}

    report = _run(work, rpc, key, models)
    _print(report, as_json)


async def _open(job: Job, site: Site, docket: "Docket") -> dict[str, Any]:
    tier = await site.chain.tier(job.request.assurance)
    if job.standing is None or tier is None:
        raise SettingsInvalid(f"{job.request.assurance} is no tier of this deployment any more")
    _, _, quote = forum(tier, await site.chain.quote(tier, job.request.terms), job.request)
    return {
        "request": "0x" + job.request.id.hex(),
        "model": "0x" + job.request.model_id.hex(),
        "payee": job.standing.payee,
        "output": "0x" + job.standing.output.hex(),
        "disputable_until": job.standing.since + quote.window,
        "prove_by": job.demand.prove_by if job.demand else None,
        "bond_wei": quote.bond,
        "reward_gwei": quote.reward,
        "if_wrong": f"challenge {'offer prove' if docket.is_committees(job) else 'dispute'}",
    }


def _run(
    work: "Callable[[Docket, Site], Awaitable[T]]",
    rpc: str | None,
    key: str | None,
    models: Path | None = None,
) -> T:
    from oracle.adapters.wallet import Wallet
    from oracle.bootstrap import real_parts
    from oracle.docket import Docket

    settings = read_settings(rpc=rpc, key=key, models=models)

    async def whole() -> T:
        site = await Site.reach(settings)
        try:
            wallet = Wallet(site.chain, site.signer(settings, "dev:3"), site.identity.chain_id)
            docket = Docket(site, wallet, real_parts(settings))
            await docket.read()
            return await work(docket, site)
        finally:
            site.chain.node.close()

    return asyncio.run(whole())


def _print(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:16} {value}")
