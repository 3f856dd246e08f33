"""einproof register: a model's public half goes on the chain; its secrets stay."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oracle.adapters.deployment import BISECTION, PROOF
from oracle.bootstrap import Site
from oracle.settings import read_settings


def register(
    model: Annotated[
        Path, typer.Argument(help="A model's folder (public will do), or a composition's.")
    ],
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    key: Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Store a model's program and commitments on the chain and register its id; of a composition,
    each segment's, and their list. Idempotent."""
    from oracle.adapters.wallet import Wallet
    from oracle.operations import compose
    from oracle.operations import register as put
    from prover.composition import FILE, Composition
    from prover.model import Model

    settings = read_settings(rpc=rpc, key=key)
    composed = (model / FILE).is_file()
    parts = Composition.load(model).segments if composed else (Model.load(model),)
    console = Console(stderr=True)

    async def work() -> dict[str, object]:
        site = await Site.reach(settings)
        wallet = Wallet(site.chain, site.signer(settings, "dev:0"), site.identity.chain_id)
        registry = site.deployment.address("ModelRegistry")
        with console.status("registering") as status:
            steps = [await put(wallet, registry, part, status.update) for part in parts]
            if composed:
                tier = site.deployment.address(BISECTION)
                steps.append(await compose(wallet, tier, [step.model_id for step in steps]))
        done = steps[-1]
        proofs = await site.chain.tier(site.deployment.address(PROOF))
        stopped = proofs is not None and await site.chain.stopped(proofs, done.model_id)
        site.chain.node.close()
        return {
            "model": "0x" + done.model_id.hex(),
            "known_before": done.known,
            "blobs_stored": sum(step.stored for step in steps),
            "gas": sum(step.gas for step in steps),
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
