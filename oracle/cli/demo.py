"""einproof demo: the whole story, told as it happens."""

import json
import time
from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from oracle.cli.prove import DEVELOPMENT_WARNING

if TYPE_CHECKING:
    from oracle.story.digits import Outcome
    from oracle.story.staked import StakedOutcome


class TierName(StrEnum):
    PROOF = "proof"
    OPTIMISTIC = "optimistic"
    ATTESTED = "attested"
    COMMITTEE = "committee"
    AUDITED = "audited"
    BISECTION = "bisection"


def demo(
    tier: Annotated[TierName, typer.Option(help="Which tier of assurance.")] = TierName.PROOF,
    folder: Annotated[Path, typer.Option(help="Where its state goes; made anew.")] = Path(
        ".build/demo"
    ),
    members: Annotated[
        int,
        typer.Option(min=3, max=64, help="Of a committee; from 24 on they sign as one."),
    ] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Classify a digit on-chain, proved or on stake, and see what becomes of cheats."""
    from oracle.story.attested import AttestedStory
    from oracle.story.audited import AuditedStory
    from oracle.story.bisected import BisectedStory
    from oracle.story.digits import Story
    from oracle.story.seated import SeatedStory
    from oracle.story.staked import StakedOutcome, StakedStory

    console = Console(stderr=as_json)
    started = time.perf_counter()
    with console.status("") as status:

        def said(name: str, found: str) -> None:
            console.print(
                f"  [green]done[/green] {name:36} {found}", highlight=False, soft_wrap=True
            )

        stories = {
            TierName.PROOF: Story,
            TierName.OPTIMISTIC: StakedStory,
            TierName.ATTESTED: AttestedStory,
            TierName.COMMITTEE: partial(SeatedStory, members=members),
            TierName.AUDITED: AuditedStory,
            TierName.BISECTION: BisectedStory,
        }
        story = stories[tier](folder.resolve(), lambda name: status.update(f"{name} ..."), said)
        outcome = story.tell()
    seconds = time.perf_counter() - started
    if as_json:
        typer.echo(json.dumps({**asdict(outcome), "total_seconds": round(seconds, 2)}))
        return
    if isinstance(outcome, StakedOutcome):
        console.print(_sheet(outcome))
        for name, error in outcome.refused.items():
            console.print(f"  refused: {name:32} {error}", highlight=False, soft_wrap=True)
        if "attested" in outcome.trust:
            console.print(outcome.trust["attested"]["label"], style="yellow")
    else:
        console.print(_measured(outcome, seconds))
    console.print(DEVELOPMENT_WARNING, style="yellow")


def _measured(outcome: "Outcome", seconds: float) -> Table:
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
    return table


def _sheet(outcome: "StakedOutcome") -> Table:
    """Wallet, stake and credit of everybody, in ether, before the first request and at the end."""
    title = f"digit {outcome.truth}: {outcome.label} on honest stake"
    if outcome.slashed_gwei:
        lost = outcome.slashed_gwei / 10**9
        title += f"; {outcome.claimed} cost who claimed it {lost:g} ether"
    table = Table(title=title)
    for name in ("ether, in all", "before", "after", "change"):
        table.add_column(name, justify="left" if name == "ether, in all" else "right")
    for person, row in outcome.sheet.items():
        before, after = row["before"] / 10**18, row["after"] / 10**18
        table.add_row(person, f"{before:.4f}", f"{after:.4f}", f"{after - before:+.4f}")
    return table
