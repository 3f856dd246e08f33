"""einproof commit: a private input's opening, made by whoever owns the input; no chain."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oracle.cli.prove import read_input
from oracle.files import OutputExists, check_writable


def commit(
    model: Annotated[Path, typer.Argument(help="The model's folder; the public half is enough.")],
    input_file: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Numbers: .npy, or JSON (nested lists).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the opening goes: a secret.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Commit to a private input: its points go into requests, its opening to the operator alone."""
    from prover import api, kernels
    from prover.model import Model
    from prover.private import OpeningRefused, TensorOpening
    from prover.program.ir import Role

    check_writable(out)
    if out.exists():
        raise OutputExists(f"{out} exists: name another place with --out")
    loaded = Model.load(model)
    name = loaded.quantizer.input.tensor
    if not loaded.input_is_committed:
        raise OpeningRefused(f"{name} of this model is public: there is nothing to commit to")
    values = loaded.quantize_input(read_input(input_file, loaded))
    tier, k = kernels.get(), loaded.layout.k
    opening = TensorOpening.fresh(values, loaded.srs_id, k)
    with Console(stderr=True).status("committing"):
        points = opening.points(tier, api.find_srs(tier, loaded.srs_id, k))
    data = loaded.encode(Role.INPUT, {}, {name: points})
    opening.save(out)
    report = {"model": "0x" + loaded.id.hex(), "input": "0x" + data.hex(), "opening": str(out)}
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            typer.echo(f"{name:14} {value}")
