"""Blocks of LLaMA (Touvron et al. 2023) at the shape of the 7B model, with random weights: what
it costs to prove, not what it says.

RMSNorm, rotary embeddings on halves of each head, causal attention whose keys several heads may
share, a gated feed-forward network; no biases. Written in the usual parts, which the compiler
brings to operators.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from prover.quantizer import FloatArray

SEED, TOKENS, REACH, EPS, BASE = 20, 32, 4.0, 1e-5, 10000.0
WIDTH, HIDDEN, HEADS = 4096, 11008, 32


class RMSNorm(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS))


class LlamaBlock(nn.Module):
    """(batch, tokens, width) to the same."""

    def __init__(
        self, width: int = WIDTH, hidden: int = HIDDEN, heads: int = HEADS, shared: int = HEADS
    ) -> None:
        super().__init__()
        self.size = width // heads
        keys = shared * self.size
        self.before, self.between = RMSNorm(width), RMSNorm(width)
        self.query, self.out = (nn.Linear(width, width, bias=False) for _ in range(2))
        self.key, self.value = (nn.Linear(width, keys, bias=False) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attend(self.before(x))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        cos, sin = self.angles(x)
        q, k = (y * cos + self.turned(y) * sin for y in (q, k))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.out(mixed.transpose(1, 2).flatten(2))

    def angles(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        rate = BASE ** (-torch.arange(0, self.size, 2).double() / self.size)
        turn = torch.outer(torch.arange(x.shape[1]).double(), rate)
        both = torch.cat((turn, turn), dim=-1)
        return both.cos().to(x.dtype), both.sin().to(x.dtype)

    def turned(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat((-x[..., self.size // 2 :], x[..., : self.size // 2]), dim=-1)


def llama_stack(
    layers: int,
    width: int = WIDTH,
    hidden: int = HIDDEN,
    heads: int = HEADS,
    shared: int = HEADS,
) -> nn.Sequential:
    """Random weights from a fixed seed, on the scale of trained ones: 0.6 / sqrt(inputs)."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = nn.Sequential(*(LlamaBlock(width, hidden, heads, shared) for _ in range(layers)))
        for parameter in module.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.6 * parameter.shape[1] ** -0.5)
    return module.eval()


def states(count: int, width: int = WIDTH, tokens: int = TOKENS) -> FloatArray:
    """Normal hidden states (count, 1, tokens, width), cut at REACH."""
    made = torch.Generator().manual_seed(SEED)
    x = torch.randn(count, 1, tokens, width, generator=made, dtype=torch.float64)
    return x.clamp(-REACH, REACH).numpy()
