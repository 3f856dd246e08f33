"""einproof prove: an answer and its proof, from a model folder and an input file; no chain."""

import json
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from oracle.files import check_writable, write_whole
from prover.errors import EinproofError

NO_CONTEXT = "0x" + "00" * 32


class InputFileRefused(EinproofError):
    """An input file that holds no array of numbers."""


def prove(
    model: Annotated[Path, typer.Argument(help="The model's folder, secrets included.")],
    input_file: Annotated[
        Path, typer.Argument(metavar="INPUT", help="Numbers: .npy, or JSON (nested lists).")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the proof file goes.")] = Path(
        "proof.json"
    ),
    context: Annotated[
        str, typer.Option(help="32 bytes in hexadecimal that the proof is bound to.")
    ] = NO_CONTEXT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Run a model on an input and prove the answer, weights hidden."""
    from prover import api

    console = Console(stderr=True)
    bound = parse_word(context, "context")
    check_writable(out)
    with console.status("loading the model and its SRS"):
        session = api.Session.open(model)
        data = session.model.encode_input(read_input(input_file))
    started = time.perf_counter()
    with console.status(f"proving with kernels {session.kernels.name}"):
        output, proof = session.prove(bound, data)
    seconds = time.perf_counter() - started
    claim = api.Claim(bound, session.model.id, session.srs.id, data, output, proof)
    write_whole(out, claim.to_json())
    integers = session.model.decode_output(output)
    values = session.model.quantizer.dequantize(integers)
    report = {
        "model": "0x" + claim.model_id.hex(),
        "context": "0x" + bound.hex(),
        "output": values.tolist(),
        "proof_bytes": len(proof),
        "seconds": round(seconds, 3),
        "kernels": session.kernels.name,
        "srs_forgeable": session.srs.development,
        "file": str(out),
    }
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            typer.echo(f"{name:14} {value}")
    if session.srs.development:
        console.print(DEVELOPMENT_WARNING, style="yellow")


DEVELOPMENT_WARNING = "development SRS: its secret is published, so anyone can forge such proofs"


def parse_word(text: str, name: str) -> bytes:
    """32 bytes of hexadecimal; raises BadParameter."""
    digits = text.removeprefix("0x")
    try:
        word = bytes.fromhex(digits)
    except ValueError:
        word = b""
    if len(word) != 32:
        raise typer.BadParameter(f"expected 32 bytes in hexadecimal, got {text!r}", param_hint=name)
    return word


def read_input(path: Path) -> object:
    """The numbers of a .npy or JSON file; raises InputFileRefused."""
    import numpy as np

    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputFileRefused(
            f"{path} cannot be read ({error.strerror}): name a .npy or JSON file of numbers"
        ) from error
    if data.startswith(b"\x93NUMPY"):
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
            raise InputFileRefused(f"{path}: expected an array of numbers: {error}") from error
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputFileRefused(f"{path}: expected .npy or JSON: {error}") from error
