"""The shape of GPT-2 (Radford et al. 2019), with random weights: tokens to the next token.

Token ids do not fit 16 signed bits where there are more than 2^15 of them, so all ids, read and
answered, are counted from -2^15.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, POSITIONS, SEED = 50257, 64, 20
FIRST = -(1 << 15)  # the id of token 0
HEAD = 64  # features a head


class Block(nn.Module):
    """Causal attention, then a feed-forward network, each after a norm and beside a residual."""

    def __init__(self, width: int, layers: int) -> None:
        super().__init__()
        self.heads = max(width // HEAD, 1)
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        for linear in (self.qkv, self.out, self.up, self.down):
            nn.init.normal_(linear.weight, std=0.02)
            nn.init.normal_(linear.bias, std=0.02)
        for linear in (self.out, self.down):  # section 2.3: residual layers by their number
            linear.weight.data /= math.sqrt(2 * layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        q, k, v = (
            y.view(batch, tokens, self.heads, -1).transpose(1, 2)
            for y in self.qkv(self.norm1(x)).split(width, dim=-1)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Gpt2(nn.Module):
    """Token ids to the id of the next token, the greatest logit's; embeddings are tied."""

    def __init__(
        self, layers: int, width: int, positions: int = POSITIONS, vocabulary: int = VOCABULARY
    ) -> None:
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(positions, width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.01)
        self.blocks = nn.ModuleList(Block(width, layers) for _ in range(layers))
        self.norm = nn.LayerNorm(width)

    def logits(self, ids: torch.Tensor) -> torch.Tensor:
        """Of the token after the last one."""
        x = self.tokens(ids - FIRST) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x[:, -1]), self.tokens.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.logits(ids).argmax(-1) + FIRST


def gpt2(layers: int, width: int, tokens: int = POSITIONS) -> nn.Module:
    """Random weights, the same every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        return Gpt2(layers, width, tokens).eval()


def some_ids(count: int, tokens: int = POSITIONS) -> Any:
    """Uniform over the vocabulary, (count, tokens)."""
    generator = torch.Generator().manual_seed(SEED)
    ids = torch.randint(0, VOCABULARY, (count, tokens), generator=generator)
    return (ids + FIRST).numpy().astype(float)
