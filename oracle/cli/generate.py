"""einproof generate: text from a language model's integers, token by token, proved where asked."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from prover.errors import EinproofError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from oracle.domain.sampling import Sampling
    from prover.model import Model

NO_SEED = "0x" + "00" * 32
MANY = 200  # tokens, where there are places for as many as one likes


class NoTextModel(EinproofError):
    """A model that does not answer a text with its next token, or not as it is asked to."""


def generate(
    model: Annotated[Path, typer.Argument(help="The model's folder, secrets included.")],
    prompt: Annotated[str, typer.Argument(help="How the text begins.")] = "",
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=1, help="How many tokens; default: 200, or what fits."),
    ] = None,
    prove: Annotated[
        bool, typer.Option("--prove", help="Prove the text; for a model that goes step by step.")
    ] = False,
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where --prove puts the session.")
    ] = Path("session.json"),
    temperature: Annotated[
        float, typer.Option(help="Sample by the public rule, up to 2; 0: the greatest logit.")
    ] = 0.0,
    seed: Annotated[
        str, typer.Option(help="What is sampled from: 32 bytes in hexadecimal, public.")
    ] = NO_SEED,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Write on from a text: each token is the answer that a proof about the text so far has.

    With --prove, a chain of proofs over a committed cache, which `einproof verify` checks.
    """
    from oracle.cli.prove import parse_word
    from oracle.domain.sampling import THOUSAND, Sampling
    from prover.model import Model

    loaded = Model.load(model)
    rule = Sampling(parse_word(seed, "--seed"), round(temperature * THOUSAND))
    stepwise = "cache" in {t.name for t in loaded.program.tensors}
    report: dict[str, Any] = {"model": "0x" + loaded.id.hex(), "prompt": prompt}
    if (prove or rule.temperature) and not stepwise:
        raise NoTextModel("expected a model that goes step by step, such as nanogpt-steps")
    if prove:
        report |= _proved(loaded, prompt, count, rule, out)
        written = report["text"]
        if not as_json:
            typer.echo(prompt + written)
            for name in ("steps", "proof_bytes", "seconds", "file"):
                typer.echo(f"{name:14} {report[name]}", err=True)
    else:
        pieces = _steps(loaded, prompt, count, rule) if stepwise else None
        written = ""
        if not as_json:
            typer.echo(prompt, nl=False)
        for piece in pieces or tokens(loaded, prompt, count or MANY):
            if not as_json:
                typer.echo(piece, nl=False)
            written += piece
        report["text"] = written
        if not as_json:
            typer.echo()
    if as_json:
        typer.echo(json.dumps(report))


def tokens(model: "Model", prompt: str, count: int) -> "Iterator[str]":
    """`count` tokens that follow, each read with those before it; raises NoTextModel."""
    from oracle.adapters.torch_engine import Network
    from oracle.zoo.tokenizers import from_bytes

    given, made = model.quantizer.input, model.quantizer.output
    if not model.tokenizer or made.exponent or made.shape != (1,):
        raise NoTextModel(
            "expected a model with a tokenizer that answers with a token, got one that answers"
            f" with {list(made.shape)} numbers in steps of {2.0**-made.exponent:g}"
        )
    tokenizer, text = from_bytes(model.tokenizer), prompt
    engine = Network(model.program, model.owned.weights)
    shape = model.program.tensors[model.program.named(given.tensor)].shape
    for _ in range(count):
        ids = tokenizer.encode(text, given.shape[-1]).reshape(shape)
        token = tokenizer.decode(engine.run({given.tensor: ids})[made.tensor])
        text += token
        yield token


def _prompt(model: "Model", prompt: str, count: int | None) -> tuple[list[int], int]:
    """The prompt's ids, of nothing that of a line end, and how many tokens are to follow."""
    from oracle.generation import Steps
    from oracle.zoo.tokenizers import Characters, from_bytes

    tokenizer = from_bytes(model.tokenizer) if model.tokenizer else None
    if not isinstance(tokenizer, Characters):
        raise NoTextModel("expected a model with a tokenizer of characters, got another")
    ids = [int(i) for i in tokenizer.encode(prompt, max(1, len(prompt)))]
    return ids, count or max(1, Steps.of(model).places + 1 - len(ids))


def _steps(model: "Model", prompt: str, count: int | None, rule: "Sampling") -> "Iterator[str]":
    """What follows, a step at a time."""
    import numpy as np

    from oracle.generation import NEXT, PLACE, write
    from oracle.zoo.tokenizers import from_bytes

    ids, many = _prompt(model, prompt, count)
    tokenizer = from_bytes(model.tokenizer)
    for given, made in write(model, ids, many, rule):
        after = int(given[PLACE].reshape(-1)[0]) + 1  # the place of the first answer
        yield tokenizer.decode(np.ravel(made[NEXT])[max(0, len(ids) - after) :])


def _proved(
    model: "Model", prompt: str, count: int | None, rule: "Sampling", out: Path
) -> dict[str, Any]:
    """Writes the session and reports it."""
    import numpy as np
    from rich.console import Console

    from oracle.cli.prove import DEVELOPMENT_WARNING
    from oracle.files import check_writable, write_whole
    from oracle.generation import Chain, TextSession, verify_session
    from oracle.zoo.tokenizers import from_bytes
    from prover import api

    check_writable(out)
    ids, many = _prompt(model, prompt, count)
    console = Console(stderr=True)
    with console.status("loading the SRS"):
        session = api.Session(model)
        text = TextSession(session, ids, many, rule)
    claims: list[api.Claim] = []
    started = time.perf_counter()
    with console.status(f"proving with kernels {session.kernels.name}") as status:
        while (claim := text.step()) is not None:
            claims.append(claim)
            status.update(f"{len(claims)} steps proved")
    seconds = time.perf_counter() - started
    chain = Chain(len(ids), rule, tuple(claims), text.secret)
    written = verify_session(model, chain)[len(ids) :]
    write_whole(out, chain.to_json())
    if session.srs.development:
        console.print(DEVELOPMENT_WARNING, style="yellow")
    return {
        "text": from_bytes(model.tokenizer).decode(np.array(written)),
        "steps": len(claims),
        "proof_bytes": sum(len(claim.proof) for claim in claims),
        "seconds": round(seconds, 3),
        "srs_forgeable": session.srs.development,
        "file": str(out),
    }
