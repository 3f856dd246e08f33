"""einproof warmup: compiles the kernels ahead of their first use."""

import compileall
import time
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from oracle.toolchain import ROOT
from prover import kernels


def warmup(
    tier: Annotated[
        str | None, typer.Option("--kernels", help="Kernel tier; the fastest here by default.")
    ] = None,
) -> None:
    """Compile the kernels for this CPU; later runs load them from the cache.

    Python's modules too: where Python is told to keep no byte code, a start would otherwise
    compile them each time.
    """
    console = Console(stderr=True)
    started = time.perf_counter()
    chosen = kernels.get(tier)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("kernels", total=None)
        for done, total, label in chosen.warmup():
            progress.update(task, completed=done, total=total, description=label)
    console.print(f"kernels {chosen.name}: warm after {time.perf_counter() - started:.1f} s")
    for package in ("prover", "oracle"):
        compileall.compile_dir(ROOT / package, quiet=2)
