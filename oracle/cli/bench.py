"""einproof bench: what things cost here, as JSON with machine and commit."""

import json
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    help="Measure speed, memory, sizes and gas.", add_completion=False, no_args_is_help=True
)


@app.callback()
def group() -> None:
    """Measure speed, memory, sizes and gas."""


@app.command()
def prover(
    model: Annotated[str, typer.Option(help="Name of a benchmark model.")] = "digits-mlp",
    batch: Annotated[int, typer.Option(min=1, help="Inferences in one proof.")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="Warm runs; the median counts.")] = 5,
    as_json: Annotated[
        bool, typer.Option("--json", help="One last line of JSON on stdout.")
    ] = False,
) -> None:
    """Train, commit, prove, and verify on an Anvil of its own; progress on stderr."""
    from oracle.benchmarks.run import prover_row

    console = Console(stderr=True)
    with console.status("") as status:
        row = prover_row(model, batch, runs, lambda step: status.update(f"{step} ..."))
    if as_json:
        typer.echo(json.dumps({name: _rounded(value) for name, value in row.items()}))
        return
    for name, value in row.items():
        typer.echo(f"{name:16} {_rounded(value)}")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 4)
    return [_rounded(v) for v in value] if isinstance(value, list) else value
