"""einproof cut: a model as a composition of segments, each proved by itself; no chain."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def cut(
    model: Annotated[Path, typer.Argument(help="The model's folder, with its weights.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the segments' folders go.")],
    segments: Annotated[int, typer.Option(min=2, max=512, help="How many at most.")] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Cut a model into segments, so that a dispute needs the proof of one of them alone."""
    from prover import api, kernels
    from prover.composition import Composition
    from prover.model import Model

    loaded = Model.load(model)
    tier = kernels.get()
    with Console(stderr=True).status("committing to the segments' weights"):
        srs = api.find_srs(tier, loaded.srs_id, loaded.layout.k)
        made = Composition.divide(loaded, tier, srs, segments)
        made.save(out)
    report = {
        "model": "0x" + loaded.id.hex(),
        "composition": "0x" + made.id.hex(),
        "segments": ["0x" + each.id.hex() for each in made.segments],
        "tile_bits": [each.layout.k for each in made.segments],
        "state_bytes": [each.layout.verifier.output_bytes for each in made.segments],
    }
    if as_json:
        typer.echo(json.dumps(report))
        return
    typer.echo(f"{'composition':14} {report['composition']}")
    for i, each in enumerate(made.segments):
        size = each.layout.verifier.output_bytes
        typer.echo(f"segment {i:<6} 0x{each.id.hex()}  2^{each.layout.k} cells, {size} bytes on")
