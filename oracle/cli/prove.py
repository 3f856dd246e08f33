"""einproof prove: an answer and its proof, from a model folder and an input file; no chain."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oracle.files import OutputExists, check_writable, write_whole
from oracle.terminal import status
from prover.errors import EinproofError

if TYPE_CHECKING:
    from prover.api import Session
    from prover.model import Model
    from prover.private import TensorOpening
    from prover.quantizer import IntArray

NO_CONTEXT = "0x" + "00" * 32
HEAD = 64  # bytes that tell an opening from numbers


class InputFileRefused(EinproofError):
    """An input file that holds no array of numbers."""


def prove(
    model: Annotated[Path, typer.Argument(help="The model's folder, secrets included.")],
    input_file: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Numbers: .npy, or JSON (nested lists); text: .txt, for a model with a tokenizer."
            " For a model with a private input also its opening: what `commit` wrote, or another"
            " proof's output.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the proof file goes.")] = Path(
        "proof.json"
    ),
    context: Annotated[
        str, typer.Option(help="32 bytes in hexadecimal that the proof is bound to.")
    ] = NO_CONTEXT,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Run a model on an input and prove the answer, weights hidden.

    Where the input or the output is private, its opening is written beside the proof, as
    PROOF.input.opening or PROOF.output.opening: whoever holds it can show the tensor, or prove
    about it again.
    """
    from prover import api, kernels
    from prover.kernels.warmup import is_warm

    bound = parse_word(context, "context")
    check_writable(out)
    if not is_warm(kernels.default()):
        from oracle.cli.warmup import warmup

        warmup()
    with status("loading the model and its SRS"):
        session = api.Session.open(model)
        data, openings, made_here = open_input(session, input_file)
    secret_files = _opening_files(session, out, made_here)
    started = time.perf_counter()
    with status(f"proving with kernels {session.kernels.name}"):
        output, proof, made = session.prove(bound, data, openings)
    seconds = time.perf_counter() - started
    claim = api.Claim(bound, session.model.id, session.srs.id, data, output, proof)
    for name, path in secret_files.items():
        (openings | made)[name].save(path)
    write_whole(out, claim.to_json())
    quantizer = session.model.quantizer
    name = quantizer.output.tensor
    integers = made[name].values if name in made else session.model.decode_output(output)
    report = {
        "model": "0x" + claim.model_id.hex(),
        "context": "0x" + bound.hex(),
        "output": quantizer.dequantize(integers).tolist(),
        **_text(session.model, integers),
        "proof_bytes": len(proof),
        "seconds": round(seconds, 3),
        "kernels": session.kernels.name,
        "srs_forgeable": session.srs.development,
        "file": str(out),
        **({"openings": [str(path) for path in secret_files.values()]} if secret_files else {}),
    }
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            typer.echo(f"{name:14} {value}")
    if session.srs.development:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")


def _text(model: "Model", integers: "IntArray") -> dict[str, str]:
    """What a model of text chose, as text: its output is whole numbers then."""
    if not model.tokenizer or model.quantizer.output.exponent:
        return {}
    from oracle.zoo.tokenizers import from_bytes

    return {"text": from_bytes(model.tokenizer).decode(integers)}


DEVELOPMENT_WARNING = "development SRS: its secret is published, so anyone can forge such proofs"


def open_input(
    session: "Session", input_file: Path
) -> tuple[bytes, dict[str, "TensorOpening"], bool]:
    """The statement's input from a file of numbers or an opening; the opening of a committed one;
    whether that was made here."""
    from prover.private import TensorOpening, is_opening

    if is_opening(_read(input_file)[:HEAD]):
        opening = TensorOpening.load(input_file)
        return session.input_of(opening), {session.model.quantizer.input.tensor: opening}, False
    values = session.model.quantize_input(read_input(input_file, session.model))
    data, openings = session.open_input(values)
    return data, openings, bool(openings)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD)
    except OSError:
        return b""  # read_input says what is wrong with it


def _opening_files(session: "Session", out: Path, input_too: bool) -> dict[str, Path]:
    """Where openings go, by tensor: never over one that exists, which would lose its secret."""
    from prover.program.ir import Role

    model, found = session.model, {}
    if input_too:
        found[model.quantizer.input.tensor] = out.with_suffix(".input.opening")
    for i in model.committed(Role.OUTPUT):
        name = model.program.tensors[i].name
        main = name == model.quantizer.output.tensor
        found[name] = out.with_suffix(".output.opening" if main else f".{i}.opening")
    for path in found.values():
        if path.exists():
            raise OutputExists(f"{path} has an opening: move it, or name another place with --out")
    return found


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


def read_input(path: Path, model: "Model | None" = None) -> object:
    """The numbers of a .npy or JSON file, or the token ids of a .txt file for a model that has a
    tokenizer; raises InputFileRefused."""
    import numpy as np

    data = _read(path)
    if path.suffix == ".txt" and model is not None and model.tokenizer:
        from oracle.zoo.tokenizers import from_bytes

        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputFileRefused(f"{path}: expected text in UTF-8: {error}") from None
        shape = model.quantizer.input.shape
        return from_bytes(model.tokenizer).encode(text, shape[-1]).reshape(shape)
    if data.startswith(b"\x93NUMPY"):
        try:
            return np.load(path, allow_pickle=False)
        except (ValueError, EOFError, SyntaxError, OverflowError, MemoryError) as error:
            raise InputFileRefused(f"{path}: expected an array of numbers: {error}") from error
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise InputFileRefused(f"{path}: expected .npy or JSON: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputFileRefused(
            f"{path} cannot be read ({error.strerror}): name a .npy or JSON file of numbers"
        ) from error
