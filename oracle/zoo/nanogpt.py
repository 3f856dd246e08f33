"""A small GPT, trained for real: characters of Python's reference, 4 blocks of width 96, 64 tokens.

    python -m oracle.zoo.nanogpt OUT.safetensors     trains it again: five minutes of one core

Pre-norm blocks of one structure, learned places, a head tied to the embedding (Radford et al. 2019,
at a smaller size). A statement is 64 characters and the one that follows: the greedy choice, ties
to the lowest id. The trained weights are beside this file, as float16.
"""

from __future__ import annotations

import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oracle.zoo.text import parts
from oracle.zoo.tokenizers import Characters
from prover.quantizer import IntArray

CONTEXT, WIDTH, HEADS, LAYERS = 64, 96, 4, 4
CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
WEIGHTS = Path(__file__).with_name("nanogpt.safetensors")
SEED, BATCH, STEPS, MOST_SECONDS = 20, 32, 3000, 900.0
RATE, WARMING = 2e-3, 100


class Block(nn.Module):
    """x + attention(norm x), then x + mlp(norm x)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        split = self.qkv(self.before(x)).split(width, dim=-1)
        q, k, v = (y.view(batch, tokens, self.heads, -1).transpose(1, 2) for y in split)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.between(x))))


class NanoGPT(nn.Module):
    """Token ids (batch, tokens) to logits (batch, tokens, vocabulary)."""

    def __init__(
        self,
        vocabulary: int = len(CHARACTERS),
        context: int = CONTEXT,
        width: int = WIDTH,
        heads: int = HEADS,
        layers: int = LAYERS,
    ) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class LastLogits(nn.Module):
    """What follows the last token, as logits (batch, vocabulary)."""

    def __init__(self, model: NanoGPT) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids)[:, -1]


class NextToken(LastLogits):
    """The token itself (batch)."""

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.model(ids)[:, -1].argmax(-1)


def nanogpt() -> NanoGPT:
    """The trained model."""
    from safetensors.torch import load_model

    module = NanoGPT()
    load_model(module, WEIGHTS)
    return module.eval()


def tokenizer() -> Characters:
    return Characters(CHARACTERS)


def windows(count: int, *, held_out: bool) -> tuple[IntArray, IntArray]:
    """Pieces of the corpus (count, 1, CONTEXT), evenly spread, with what follows each."""
    text = parts()[1 if held_out else 0]
    ids = tokenizer().encode(text, len(text))
    starts = np.linspace(0, len(ids) - CONTEXT - 1, count).astype(np.int64)
    made = np.stack([ids[i : i + CONTEXT] for i in starts])
    return made[:, None], ids[starts + CONTEXT]


def train(steps: int = STEPS, most_seconds: float = MOST_SECONDS) -> NanoGPT:
    """From a fixed seed; AdamW, a cosine rate; says how far it is on standard error."""
    text = parts()[0]
    known = torch.from_numpy(tokenizer().encode(text, len(text)))
    started = time.monotonic()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = NanoGPT()
        for name, parameter in module.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / (math.sqrt(2 * LAYERS) if residual else 1))
        optimiser = torch.optim.AdamW(module.parameters(), betas=(0.9, 0.99), weight_decay=0.05)
        for step in range(steps):
            spent = max(step / steps, (time.monotonic() - started) / most_seconds)
            if spent >= 1:
                break
            warm = min(1.0, (step + 1) / WARMING)
            for group in optimiser.param_groups:
                group["lr"] = RATE * warm * (0.05 + 0.95 * (1 + math.cos(math.pi * spent)) / 2)
            at = torch.randint(len(known) - CONTEXT, (BATCH,))
            rows = torch.stack([known[i : i + CONTEXT + 1] for i in at])
            logits = module(rows[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(module.parameters(), 1.0)
            optimiser.step()
            if step % 100 == 0:
                print(f"step {step}: {loss.item():.3f}", file=sys.stderr, flush=True)
    return module.eval()


if __name__ == "__main__":
    from safetensors.torch import save_model

    made = train().half()
    save_model(made, str(Path(sys.argv[1])))
