"""einproof verify: checks a proof file against a model's public half; no chain."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer

from oracle.cli.prove import DEVELOPMENT_WARNING


def verify(
    model: Annotated[Path, typer.Argument(help="The model's folder; the public half is enough.")],
    proof_file: Annotated[Path, typer.Argument(metavar="PROOF", help="What `prove` wrote.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Check a proof: exit code 0 if it holds, 1 with the verifier's error if not."""
    from prover import api
    from prover.model import Model
    from prover.srs import development_id

    loaded = Model.load(model)
    claim = api.Claim.from_json(proof_file.read_text())
    started = time.perf_counter()
    api.check(loaded, claim)
    report = {
        "valid": True,
        "model": "0x" + claim.model_id.hex(),
        "context": "0x" + claim.context.hex(),
        "input": loaded.quantizer.input.tensor,
        "output": loaded.quantizer.dequantize(loaded.decode_output(claim.output)).tolist(),
        "seconds": round(time.perf_counter() - started, 3),
        "srs_forgeable": claim.srs_id == development_id(),
    }
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name:14} {value}")
    if report["srs_forgeable"]:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")
