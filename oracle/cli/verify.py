"""einproof verify: checks a proof file against a model's public half; no chain."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.cli.prove import DEVELOPMENT_WARNING, parse_word, read_input
from oracle.terminal import status
from prover.errors import ProofError

if TYPE_CHECKING:
    from prover.api import Claim
    from prover.model import Model
    from prover.program.evaluate import Ints

SHOWN = 60


def verify(
    model: Annotated[Path, typer.Argument(help="The model's folder; the public half is enough.")],
    proof_file: Annotated[Path, typer.Argument(metavar="PROOF", help="What `prove` wrote.")],
    context: Annotated[
        str | None,
        typer.Option(help="32 bytes in hexadecimal that it must be bound to; default: any."),
    ] = None,
    input_file: Annotated[
        Path | None, typer.Option("--input", help="The input that it must be about; default: any.")
    ] = None,
    opening_files: Annotated[
        list[Path] | None,
        typer.Option("--opening", help="A revealed input or output that it must be about."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Check a proof: exit code 0 if it holds, 1 with the verifier's error if not.

    It shows that the model gives this output for this input; whether the model is the right one is
    what `einproof model audit` is for.
    """
    from oracle import generation
    from prover import api
    from prover.model import Model
    from prover.private import OpeningRefused, TensorOpening

    if generation.is_session(proof_file):
        if input_file is not None or opening_files:
            raise typer.BadParameter("--input and --opening are for single proofs, not a session")
        _session(model, proof_file, context, as_json)
        return
    bound = None if context is None else parse_word(context, "--context")
    loaded = Model.load(model)
    claim = api.Claim.read(proof_file)
    asked = None if input_file is None else loaded.encode_input(read_input(input_file, loaded))
    openings = [TensorOpening.load(path) for path in opening_files or ()]
    started = time.perf_counter()
    try:
        with status("verifying"):
            api.check(loaded, claim, bound)
            if asked not in (None, claim.input):
                raise api.ClaimForeign(f"expected a proof about {input_file}, got another")
            revealed = api.reveal(loaded, claim, openings)
    except (ProofError, api.ClaimForeign, OpeningRefused) as error:
        if as_json:
            refused = {"valid": False, "error": type(error).__name__, "reason": str(error)}
            typer.echo(json.dumps(refused))
        raise
    _report(loaded, claim, revealed, time.perf_counter() - started, as_json)


def _session(model: Path, file: Path, context: str | None, as_json: bool) -> None:
    """The same for what `generate --prove` wrote."""
    import numpy as np

    from oracle import generation
    from oracle.zoo.tokenizers import from_bytes
    from prover import api
    from prover.model import Model
    from prover.srs import development_id

    loaded, chain = Model.load(model), generation.Chain.read(file)
    bound = None if context is None else parse_word(context, "--context")
    started = time.perf_counter()
    try:
        with status("verifying"):
            tokens = generation.verify_session(loaded, chain, bound)
    except (ProofError, api.ClaimForeign, generation.ChainBroken) as error:
        if as_json:
            refused = {"valid": False, "error": type(error).__name__, "reason": str(error)}
            typer.echo(json.dumps(refused))
        raise
    tokenizer = from_bytes(loaded.tokenizer) if loaded.tokenizer else None
    parts = tokens[: chain.prompt], tokens[chain.prompt :]
    prompt, text = (tokenizer.decode(np.array(p)) if tokenizer else p for p in parts)
    report: dict[str, Any] = {
        "valid": True,
        "model": "0x" + loaded.id.hex(),
        "context": "0x" + chain.claims[0].context.hex(),
        "prompt": prompt,
        "text": text,
        "temperature": chain.sampling.temperature / 1000,
        "seed": "0x" + chain.sampling.seed.hex(),
        "steps": len(chain.claims),
        "proof_bytes": sum(len(claim.proof) for claim in chain.claims),
        "seconds": round(time.perf_counter() - started, 3),
        "srs_forgeable": loaded.srs_id == development_id(),
    }
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            typer.echo(
                f"{name:14} {value!r}" if name in ("prompt", "text") else f"{name:14} {value}"
            )
    if report["srs_forgeable"]:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")


def _report(
    model: "Model", claim: "Claim", revealed: dict[str, "Ints"], seconds: float, as_json: bool
) -> None:
    from prover.program.ir import Role
    from prover.srs import development_id

    quantizer, forgeable = model.quantizer, claim.srs_id == development_id()
    report: dict[str, Any] = {
        "valid": True,
        "model": "0x" + claim.model_id.hex(),
        "context": "0x" + claim.context.hex(),
        "input": "0x" + claim.input.hex(),
        "output": "0x" + claim.output.hex(),
        "proof_bytes": len(claim.proof),
        "seconds": round(seconds, 3),
        "srs_forgeable": forgeable,
    }
    cells = model.decode(Role.INPUT, claim.input) | model.decode(Role.OUTPUT, claim.output)
    for side, spec in (("input", quantizer.input), ("output", quantizer.output)):
        if spec.tensor in (shown := cells | revealed):
            report[side] = spec.values(shown[spec.tensor]).tolist()
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            text = str(value)
            cut = name == "input" and len(text) > SHOWN
            typer.echo(f"{name:14} {text[:SHOWN] + '... (--json shows all)' if cut else text}")
    if forgeable:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")
