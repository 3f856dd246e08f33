"""A GPT that goes on from a cache of keys and values: so many tokens a step, whatever came before.

The cache is a window over the last places: its last row is that of the newest token. A step moves
it by the step's tokens and writes their keys and values at its end, so that nothing depends on
where in the text a step stands but one public number: the place of its first token. Tokens at
places below 0 are padding in front of a text; attention leaves such places out, the rows of the
cache that no token has written yet among them, whatever these hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oracle.domain.sampling import EXPONENT, THOUSAND, Sampling
from oracle.zoo.nanogpt import NanoGPT
from oracle.zoo.tokenizers import Tokenizer
from prover.compiler import Compiled
from prover.compiler.step import Public, compile_step
from prover.quantizer import INT16_MAX, INT16_MIN, FloatArray, IntArray

STATE, TOKENS = "cache", 8
SEED = bytes(range(32))  # of the noise that ranges are recorded with


@dataclass(frozen=True)
class Shape:
    """What a step's statement is made of: tokens, places in the window, tokens of the
    vocabulary."""

    tokens: int
    places: int
    vocabulary: int

    @property
    def publics(self) -> tuple[Public, ...]:
        first = (-(self.tokens - 1), self.places - self.tokens)
        return (
            Public("ids", (self.tokens,), 0, self.vocabulary - 1),
            Public("place", (1,), *first),
            Public(
                "noise", (self.tokens, self.vocabulary), INT16_MIN, INT16_MAX, EXPONENT, whole=False
            ),
        )


class Step(nn.Module):
    """(next tokens, next cache) of (ids, place, noise, cache); cache (2 layers, heads, places,
    features), keys and values in turn."""

    def __init__(self, model: NanoGPT, tokens: int) -> None:
        super().__init__()
        self.model, self.tokens = model, tokens
        places, width = model.places.weight.shape
        self.heads = model.blocks[0].heads
        self.shape = Shape(tokens, places, len(model.tokens.weight))
        self.cache = (2 * len(model.blocks), self.heads, places, width // self.heads)
        padding = torch.zeros(tokens - 1, width)
        self.register_buffer("rows", torch.cat((padding, model.places.weight.detach())))
        row, column = torch.arange(tokens)[:, None], torch.arange(places)
        since = column - (places - tokens)  # of a key: its place, less that of the first token
        never, always = torch.tensor(-places), torch.tensor(tokens)
        since = torch.where(since > row, never, torch.where(since == row, always, since))
        self.register_buffer("since", since)
        self.register_buffer("steps", torch.arange(tokens) + tokens - 1)

    def forward(
        self, ids: torch.Tensor, place: torch.Tensor, noise: torch.Tensor, cache: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        logits, new = self.logits(ids, place, cache)
        return (logits + noise).argmax(-1), new

    def seen(self, place: torch.Tensor) -> torch.Tensor:
        """Which keys of the window each token attends to."""
        return self.since + place >= 0

    def logits(
        self, ids: torch.Tensor, place: torch.Tensor, cache: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        model, made = self.model, []
        x = model.tokens(ids) + F.embedding(place + self.steps, self.rows)
        seen = self.seen(place)
        for layer, block in enumerate(model.blocks):
            y = block.before(x)
            weights, biases = block.qkv.weight.chunk(3), block.qkv.bias.chunk(3)
            q, k, v = (
                F.linear(y, w, b).view(self.tokens, self.heads, -1).transpose(0, 1)
                for w, b in zip(weights, biases, strict=True)
            )
            keys = torch.cat((cache[2 * layer, :, self.tokens :], k), 1)
            values = torch.cat((cache[2 * layer + 1, :, self.tokens :], v), 1)
            mixed = F.scaled_dot_product_attention(q, keys, values, attn_mask=seen)
            x = x + block.out(mixed.transpose(0, 1).reshape(x.shape))
            x = x + block.down(F.gelu(block.up(block.between(x))))
            made += [k, v]
        new = torch.cat((cache[:, :, self.tokens :], torch.stack(made)), 2)
        return model.head(model.norm(x)), new


@dataclass(frozen=True, eq=False)
class CachedEntry:
    """A step and texts (n, places) of token ids that its ranges are recorded on."""

    step: Step
    texts: IntArray
    weight_bits: int
    tokenizer: Tokenizer

    def examples(self) -> Iterator[dict[str, FloatArray | IntArray]]:
        """Each text step by step in float, with padding of all lengths in turn and noise for every
        other one."""
        shape = self.step.shape
        for number, text in enumerate(self.texts):
            sampling = Sampling(SEED, THOUSAND * (number % 2))
            pad = number % shape.tokens
            ids = np.concatenate([np.zeros(pad, np.int64), text])
            cache = torch.zeros(self.step.cache)
            for at in range(0, len(ids) - shape.tokens + 1, shape.tokens):
                given = ids[at : at + shape.tokens]
                first = at - pad
                noise = [sampling.noise(first + i, shape.vocabulary) for i in range(shape.tokens)]
                yield {
                    "ids": given,
                    "place": np.array([first]),
                    "noise": np.ldexp(np.array(noise, np.float64), -EXPONENT),
                    STATE: cache.double().numpy(),
                }
                with torch.no_grad():
                    place = torch.tensor([first])
                    _, cache = self.step.logits(torch.from_numpy(given), place, cache)


def compiled(entry: CachedEntry, weight_bits: int | None = None) -> Compiled:
    """The program of a step."""
    step = entry.step
    return compile_step(
        step,
        step.shape.publics,
        (STATE, step.cache),
        entry.examples(),
        weight_bits=weight_bits or entry.weight_bits,
    )
