"""einproof generate: text from a language model's integers, token by token; no chain, no proof."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from prover.errors import EinproofError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prover.model import Model


class NoTextModel(EinproofError):
    """A model that does not answer a text with its next token."""


def generate(
    model: Annotated[Path, typer.Argument(help="The model's folder, secrets included.")],
    prompt: Annotated[str, typer.Argument(help="How the text begins.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many tokens.")] = 200,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Write on from a text: each token is the answer that a proof about the text so far has."""
    from prover.model import Model

    loaded = Model.load(model)
    written = ""
    for token in tokens(loaded, prompt, count):
        written += token
        if not as_json:
            typer.echo(token if written != token else prompt + token, nl=False)
    if as_json:
        text = {"model": "0x" + loaded.id.hex(), "prompt": prompt, "text": written}
        typer.echo(json.dumps(text))
    else:
        typer.echo()


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
