"""torch's own encoders and attention: three layers are one stack, proved, verified on a chain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from prover.compiler import Compiled
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import srs_of
from tests.soundness.malice import Claim
from tests.tampering import verdict
from tests.transformers import answer, assert_close, case, compiled, inputs

HEADS, WIDTH, HIDDEN, TOKENS = 3, 30, 22, 5


def encoder(layers: int = 3, **how: Any) -> nn.Module:
    torch.manual_seed(1)
    one = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True, **how)
    made = nn.TransformerEncoder(one, layers, enable_nested_tensor=False)
    for parameter in made.parameters():  # the layers are copies of one
        nn.init.normal_(parameter, std=0.2)
    return made.eval()


ENCODERS: dict[str, dict[str, Any]] = {
    "pre-norm, gelu": {"norm_first": True, "activation": "gelu"},
    "pre-norm, relu, no bias": {"norm_first": True, "activation": "relu", "bias": False},
    "post-norm, gelu, no bias": {"norm_first": False, "activation": "gelu", "bias": False},
    "post-norm, relu": {"norm_first": False, "activation": "relu"},
}


def one_stack(made: Compiled, layers: int) -> None:
    """The layers are one stack, and each layer's projection one relation."""
    (stack,) = made.program.stacks
    assert stack.length == layers
    packed = [t for t in made.program.tensors if t.shape[2:] == (3 * HEADS, WIDTH // HEADS)]
    assert [t.shape for t in packed] == [(layers, TOKENS, 3 * HEADS, WIDTH // HEADS)]


@pytest.mark.parametrize("name", ENCODERS)
def test_torchs_own_encoder_is_one_stack(name: str) -> None:
    one_stack(assert_close(encoder(**ENCODERS[name]), 1, TOKENS, WIDTH, least=0.999), 3)


class Attentions(nn.Module):
    """nn.MultiheadAttention, added, some times over."""

    def __init__(self, layers: int, **how: Any) -> None:
        super().__init__()
        torch.manual_seed(2)
        made = [nn.MultiheadAttention(WIDTH, HEADS, batch_first=True) for _ in range(layers)]
        self.layers, self.how = nn.ModuleList(made), how

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(x, x, x, **self.how)[0]
        return x


@pytest.mark.parametrize(
    "how",
    [
        {"need_weights": False},
        {"need_weights": True},
        {"need_weights": False, "attn_mask": torch.ones(TOKENS, TOKENS).triu(1).bool()},
        {"need_weights": True, "attn_mask": torch.ones(TOKENS, TOKENS).triu(1).bool()},
    ],
    ids=["fused", "with weights", "fused, masked", "with weights, masked"],
)
def test_attention_is_one_stack(how: dict[str, Any]) -> None:
    one_stack(assert_close(Attentions(3, **how).eval(), 1, TOKENS, WIDTH, least=0.999), 3)


def test_a_batch_of_encoders_stays_as_it_is() -> None:
    """Layers, sequences, tokens, heads and features would be five axes."""
    made = assert_close(encoder(2, norm_first=True), 2, TOKENS, WIDTH, least=0.999)
    assert not made.program.stacks


def test_each_layer_has_its_own_weights() -> None:
    """Heads and parts of the packed projection, and layers, in torch's order: another order is
    another answer."""
    module = encoder(norm_first=True, activation="gelu")
    x = inputs(3, 1, TOKENS, WIDTH)
    true = answer(compiled(module, 1, TOKENS, WIDTH), x)
    for order in ([1, 0, 2], [2, 1, 0]):
        other = encoder(norm_first=True, activation="gelu")
        other.layers = nn.ModuleList([module.layers[i] for i in order])
        assert np.abs(answer(compiled(other, 1, TOKENS, WIDTH), x) - true).max() > 0.05


@pytest.mark.slow
def test_another_layers_projection_is_refused() -> None:
    from tests.proving import setup

    made = compiled(encoder(norm_first=True), 1, TOKENS, WIDTH)
    given = case(made, inputs(4, 1, TOKENS, WIDTH))
    ready = setup(given)
    (name,) = (n for n, cells in made.weights.items() if cells.shape == (3, 9, 10, 30))
    swapped = {**given.given, name: given.given[name][[1, 0, 2]]}
    claim = Claim(ready, {**replace(given, given=swapped).values, **given.given}).refit()
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("name", ENCODERS)
def test_a_chain_verifies_torchs_own_encoder(anvil: Chain, name: str) -> None:
    made = compiled(encoder(**ENCODERS[name]), 1, TOKENS, WIDTH)
    deployment = Deployment.make(anvil, srs_of(None, 15))
    ready = deployment.setup(case(made, inputs(5, 1, TOKENS, WIDTH)))
    proof = ready.prove()
    ready.verify(proof)
    deployment.verify(ready.statement, proof)
    cells = bytearray(ready.statement.output)
    cells[-1] ^= 1
    changed = replace(ready.statement, output=bytes(cells))
    assert verdict(deployment, ready, changed, proof) == ("OpeningRejected", ())
