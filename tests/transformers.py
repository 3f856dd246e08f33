"""Transformer blocks in torch, written in the ways that people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oracle.adapters.torch_engine import Network
from prover.compiler import Compiled, compile_module
from prover.program.encode import decode, encode
from prover.program.interpret import interpret
from prover.quantizer import FloatArray
from tests.programs import Case

REACH = 4.0
RANGE = (-REACH, REACH)


class Block(nn.Module):
    """Attention and a feed-forward network, each beside a residual connection."""

    def __init__(
        self, width: int, heads: int, hidden: int, *, causal: bool = False, bias: bool = True,
        pre: bool = True, fused: bool = True, activation: nn.Module | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.causal, self.pre, self.fused = heads, causal, pre, fused
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        self.up, self.down = (
            nn.Linear(width, hidden, bias=bias),
            nn.Linear(hidden, width, bias=bias),
        )
        self.activation = activation or nn.GELU()
        self.register_buffer("mask", torch.tril(torch.ones(64, 64)))

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        split = self.qkv(x).split(width, dim=-1)
        q, k, v = (y.view(batch, tokens, self.heads, -1).transpose(1, 2) for y in split)
        if self.fused:
            y = F.scaled_dot_product_attention(q, k, v, is_causal=self.causal)
        else:
            scores = (q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5
            if self.causal:
                hidden = self.mask[:tokens, :tokens] == 0
                scores = scores.masked_fill(hidden, float("-inf"))
            y = scores.softmax(dim=-1) @ v
        return self.out(y.transpose(1, 2).contiguous().view(batch, tokens, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.pre:
            x = x + self.attend(self.norm1(x))
            return x + self.down(self.activation(self.up(self.norm2(x))))
        x = self.norm1(x + self.attend(x))
        return self.norm2(x + self.down(self.activation(self.up(x))))


class Language(nn.Module):
    """Token ids to logits of the next token, or to the token itself; tied embeddings."""

    def __init__(self, vocabulary: int, width: int, heads: int, greedy: bool = False) -> None:
        super().__init__()
        self.greedy = greedy
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(32, width)
        self.blocks = nn.ModuleList(Block(width, heads, 20, causal=True) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.tokens.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        for block in self.blocks:
            x = block(x)
        logits = self.head(self.norm(x))[:, -1]
        return logits.argmax(-1) if self.greedy else logits


def inputs(seed: int, *shape: int) -> FloatArray:
    """Normal, cut to the declared range."""
    return np.random.default_rng(seed).normal(size=shape).clip(-REACH, REACH)


def floats(module: nn.Module, x: FloatArray) -> FloatArray:
    """What torch makes of one input, in float64."""
    with torch.no_grad():
        made = module.double().eval()(torch.tensor(x)).numpy()
    return np.asarray(made, dtype=np.float64)


def cosine(a: FloatArray, b: FloatArray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


def case(compiled: Compiled, x: FloatArray) -> Case:
    """The program with one input given."""
    program = compiled.program
    shape = program.tensors[program.named("input")].shape
    given: dict[str, Any] = {**compiled.weights}
    given["input"] = compiled.quantizer.quantize(x).reshape(shape)
    return Case(program, given)


class Apply(nn.Module):
    """A function after a linear layer."""

    def __init__(self, function: Any, width: int = 8) -> None:
        super().__init__()
        self.linear, self.function = nn.Linear(width, width, dtype=torch.float64), function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(self.linear(x))


def compiled(module: nn.Module, *shape: int, **more: Any) -> Compiled:
    return compile_module(module, shape, RANGE, examples=inputs(1, 8, *shape), **more)


def answer(made: Compiled, x: np.ndarray) -> np.ndarray:
    given = case(made, x)
    values = interpret(made.program, given.given)
    engine = Network(made.program, made.weights).run({"input": given.given["input"]})
    for name, cells in engine.items():
        np.testing.assert_array_equal(cells, values[name], err_msg=name)
    return made.quantizer.dequantize(values["output"])


def assert_close(module: nn.Module, *shape: int, least: float = 0.9995) -> Compiled:
    """Interpreter and engine agree bit for bit, and with torch up to rounding."""
    made = compiled(module, *shape)
    assert decode(encode(made.program)) == made.program
    for seed in range(2, 5):
        x = inputs(seed, *shape)
        assert cosine(answer(made, x), floats(module, x)) > least
    return made
