"""einproof register: a model's public half goes on the chain; its secrets stay."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oracle.adapters.deployment import PROOF
from oracle.bootstrap import Site
from oracle.settings import read_settings


def register(
    model: Annotated[Path, typer.Argument(help="The model's folder; the public half is enough.")],
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    key: Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Store a model's program and commitments on the chain and register its id; idempotent."""
    from oracle.adapters.wallet import Wallet
    from oracle.operations import register as put
    from prover.model import Model

    settings = read_settings(rpc=rpc, key=key)
    loaded = Model.load(model)
    console = Console(stderr=True)

    async def work() -> dict[str, object]:
        site = await Site.reach(settings)
        wallet = Wallet(site.chain, site.signer(settings, "dev:0"), site.identity.chain_id)
        registry = site.deployment.address("ModelRegistry")
        with console.status("registering") as status:
            done = await put(wallet, registry, loaded, status.update)
        proofs = await site.chain.tier(site.deployment.address(PROOF))
        stopped = proofs is not None and await site.chain.stopped(proofs, done.model_id)
        site.chain.node.close()
        return {
            "model": "0x" + done.model_id.hex(),
            "known_before": done.known,
            "blobs_stored": done.stored,
            "gas": done.gas,
            "registry": registry,
            "verifier": proofs.verifier if proofs else "",
            "stopped": stopped,
            "chain_id": site.identity.chain_id,
        }

    report = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:14} {value}")
    if report["stopped"]:
        typer.echo("no proof of this model counts there any more: deploy a later version", err=True)
