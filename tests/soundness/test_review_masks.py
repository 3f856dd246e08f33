"""Padding, however it is written: the program leaves out what torch leaves out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prover.compiler import compile_module
from prover.program.interpret import interpret

TOKENS, WORDS, WIDTH = 6, 30, 8
Way = Callable[[Tensor, Tensor], Tensor]
HIDDEN = float("-inf")


def attended(keep: Callable[[Tensor], Tensor]) -> Way:
    """What is true of a token that attention sees."""
    return lambda ids, y: F.scaled_dot_product_attention(y, y, y, attn_mask=keep(ids)[:, None])


def filled(hide: Callable[[Tensor], Tensor]) -> Way:
    """What is true of a token that is left out."""
    return lambda ids, y: (
        (y @ y.transpose(1, 2)).masked_fill(hide(ids)[:, None], HIDDEN).softmax(-1) @ y
    )


WAYS: dict[str, Way] = {
    "kept, != 0": attended(lambda ids: ids != 0),
    "kept, not == 0": attended(lambda ids: ~(ids == 0)),
    "kept, > 0": attended(lambda ids: ids > 0),
    "kept, >= 1": attended(lambda ids: ids >= 1),
    "hidden, == 0": filled(lambda ids: ids == 0),
    "hidden, not != 0": filled(lambda ids: ~(ids != 0)),
    "hidden, not not == 0": filled(lambda ids: ~~(ids == 0)),
    "hidden, logical_not": filled(lambda ids: torch.logical_not(ids != 0)),
    "hidden, < 1": filled(lambda ids: ids < 1),
    "hidden, <= 0": filled(lambda ids: ids <= 0),
    "counted, != 0": lambda ids, y: (ids != 0).to(y.dtype)[:, None] @ y,
    "counted, not == 0": lambda ids, y: (~(ids == 0)).to(y.dtype)[:, None] @ y,
    "counted, == 0": lambda ids, y: (ids == 0).to(y.dtype)[:, None] @ y,
}


class Reader(nn.Module):
    def __init__(self, way: Way) -> None:
        super().__init__()
        self.way, self.words = way, nn.Embedding(WORDS, WIDTH)
        self.linear = nn.Linear(WIDTH, WIDTH)

    def forward(self, ids: Tensor) -> Tensor:
        return self.way(ids, self.linear(self.words(ids)))


def sentence(length: int) -> np.ndarray:
    ids = np.random.default_rng(length).integers(1, WORDS, (1, TOKENS))
    ids[0, length:] = 0
    return ids


@pytest.mark.parametrize("name", WAYS)
def test_padding_is_what_torch_takes_for_padding(name: str) -> None:
    torch.manual_seed(0)
    module = Reader(WAYS[name]).double().eval()
    examples = np.stack([sentence(1 + i % TOKENS) for i in range(24)])
    made = compile_module(module, (1, TOKENS), (0, WORDS - 1), whole=True, examples=examples)
    given = made.quantizer.input.tensor
    shape = made.program.tensors[made.program.named(given)].shape
    for length in (1, 3, TOKENS):
        ids = sentence(length)
        values = interpret(made.program, made.weights | {given: ids.reshape(shape)})
        found = made.quantizer.dequantize(values[made.quantizer.output.tensor])
        with torch.no_grad():
            expected = module(torch.from_numpy(ids)).numpy()
        np.testing.assert_allclose(found, expected, atol=0.1)
