"""einproof bench: what things cost here, as JSON with machine, commit and load."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer
from rich.console import Console

app = typer.Typer(
    help="Measure speed, memory, sizes and gas.", add_completion=False, no_args_is_help=True
)

MODEL = Annotated[str, typer.Option(help="Name of a benchmark model.")]
BATCH = Annotated[int, typer.Option(min=1, help="Inferences in one proof.")]
JSON = Annotated[bool, typer.Option("--json", help="One last line of JSON on stdout.")]
SAVE = Annotated[bool, typer.Option("--save", help="Keep the row in bench/results.")]


@app.callback()
def group() -> None:
    """Measure speed, memory, sizes and gas."""


@app.command()
def prover(
    model: MODEL = "digits-mlp",
    batch: BATCH = 1,
    runs: Annotated[int, typer.Option(min=1, help="Warm runs; the median counts.")] = 5,
    save: SAVE = False,
    as_json: JSON = False,
) -> None:
    """Train, commit, prove, and verify on an Anvil of its own; progress on stderr. Of a model that
    goes step by step (nanogpt-steps): the last step of a text, and its first."""
    from oracle.benchmarks.run import prover_row

    _row("prover", lambda say: prover_row(model, batch, runs, say), save, as_json)


@app.command()
def peers(
    model: MODEL = "digits-mlp",
    runs: Annotated[int, typer.Option(min=1, help="Turns that count; medians.")] = 5,
    limit: Annotated[int, typer.Option(min=1, help="Most seconds for a step of EZKL's.")] = 1800,
    save: SAVE = False,
    as_json: JSON = False,
) -> None:
    """Take turns with EZKL on the same weights; the first use installs it under .build."""
    from oracle.benchmarks.peers import peer_row

    _row("peers", lambda say: peer_row(model, runs, say, limit), save, as_json)


@app.command()
def engine(
    model: MODEL = "minilm-l6",
    batch: BATCH = 1,
    runs: Annotated[int, typer.Option(min=1, help="Runs of each; the median counts.")] = 5,
    device: Annotated[str, typer.Option(help="Of both in torch: cpu, or cuda.")] = "cpu",
    save: SAVE = False,
    as_json: JSON = False,
) -> None:
    """The integer engine and the interpreter beside float torch, on the same inputs."""
    from oracle.benchmarks.run import engine_row

    _row("engine", lambda say: engine_row(model, batch, runs, device, say), save, as_json)


@app.command()
def micro(
    size: Annotated[
        int, typer.Option(min=8, max=24, help="Vectors and points: 2 to this power.")
    ] = 20,
    kernels: Annotated[
        str | None, typer.Option(help="One kernel tier, cuda say; those of this processor if none.")
    ] = None,
    save: SAVE = False,
    as_json: JSON = False,
) -> None:
    """Nanoseconds an operation of each kernel tier that runs here, on one thread and on all."""
    from oracle.benchmarks.micro import micro_rows
    from oracle.benchmarks.results import record, rounded

    with Console(stderr=True).status("") as status:
        rows = micro_rows(size, lambda step: status.update(f"{step} ..."), kernels)
    for row in rows:
        if save:
            record("micro", row)
        if not as_json:
            label = f"{row['item']}, {row['kernel_tier']}, {row['threads']} threads"
            typer.echo(f"{label:52} {rounded(row['ns']):>12} ns a {row['per']}")
    if as_json:
        typer.echo(json.dumps({"rows": rounded(rows)}))


@app.command()
def chain(
    model: MODEL = "digits-mlp", batch: BATCH = 1, save: SAVE = False, as_json: JSON = False
) -> None:
    """Gas of a verification by part, and of what is paid once."""
    from oracle.benchmarks.chain import chain_row

    _row("chain", lambda say: chain_row(model, batch, say), save, as_json)


@app.command()
def report() -> None:
    """Write the table and the plots of bench/results from the rows that are there."""
    from oracle.benchmarks.report import write

    for path in write():
        typer.echo(path)


def _row(
    kind: str, measure: Callable[[Callable[[str], None]], dict[str, Any]], save: bool, as_json: bool
) -> None:
    """Measures with progress on stderr; prints, and keeps if asked to."""
    from oracle.benchmarks.results import record, rounded

    with Console(stderr=True).status("") as status:
        row = measure(lambda step: status.update(f"{step} ..."))
    if save:
        record(kind, row)
    if as_json:
        typer.echo(json.dumps(rounded(row)))
        return
    for name, value in rounded(row).items():
        typer.echo(f"{name:16} {value}")
