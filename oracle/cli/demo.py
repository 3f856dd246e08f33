"""einproof demo: the whole story, told as it happens."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from oracle.cli.prove import DEVELOPMENT_WARNING


def demo(
    folder: Annotated[Path, typer.Option(help="Where its state goes; made anew.")] = Path(
        ".build/demo"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Classify a digit on-chain under a zero-knowledge proof, then try three attacks."""
    from oracle.story.digits import Story

    console = Console(stderr=as_json)
    started = time.perf_counter()
    with console.status("") as status:

        def said(name: str, found: str) -> None:
            console.print(
                f"  [green]done[/green] {name:34} {found}", highlight=False, soft_wrap=True
            )

        story = Story(folder.resolve(), lambda name: status.update(f"{name} ..."), said)
        outcome = story.tell()
    seconds = time.perf_counter() - started
    if as_json:
        typer.echo(json.dumps({**asdict(outcome), "total_seconds": round(seconds, 2)}))
        return
    table = Table(title=f"digit {outcome.truth}, classified on-chain as {outcome.label}")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_row("accuracy, float", f"{outcome.accuracy['float']:.2%}")
    table.add_row("accuracy, integer", f"{outcome.accuracy['integer']:.2%}")
    table.add_row("proof", f"{outcome.proof_bytes:,} bytes", end_section=True)
    for name, gas in outcome.gas.items():
        table.add_row(f"gas: {name}", f"{gas:,}")
    table.add_section()
    for name, took in outcome.seconds.items():
        table.add_row(f"seconds: {name}", f"{took:.2f}")
    table.add_row("seconds in all", f"{seconds:.2f}", end_section=True)
    for name, error in outcome.refused.items():
        table.add_row(f"refused: {name}", error)
    console.print(table)
    console.print(DEVELOPMENT_WARNING, style="yellow")
