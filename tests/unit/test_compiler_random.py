"""Networks that no test names: odd widths, three heads, few tokens, no bias, tied embeddings, norms
before and after, unusual activations: imported, or refused with the operator and the reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from prover.compiler import Compiled, UnsupportedOp, compile_module
from tests import convolutions
from tests import random_transformers as forms
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import setup, srs_of
from tests.transformers import Block, answer, assert_close, case, cosine, inputs

KNOWN: dict[str, Callable[[], nn.Module]] = {
    "gelu": nn.GELU, "tanh gelu": lambda: nn.GELU("tanh"), "silu": nn.SiLU, "relu": nn.ReLU,
    "tanh": nn.Tanh, "mish": nn.Mish, "elu": nn.ELU, "leaky": nn.LeakyReLU,
    "hardswish": nn.Hardswish, "softplus": nn.Softplus, "sigmoid": nn.Sigmoid, "selu": nn.SELU,
    "celu": nn.CELU, "prelu": nn.PReLU, "softshrink": nn.Softshrink, "logsigmoid": nn.LogSigmoid,
}  # fmt: skip
UNKNOWN: dict[str, Callable[[], nn.Module]] = {
    "sinc": lambda: convolutions.Apply(torch.sinc),
    "floor": lambda: convolutions.Apply(torch.floor),
    "frac": lambda: convolutions.Apply(torch.frac),
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    heads: int
    head: int
    hidden: int
    tokens: int
    blocks: int
    causal: bool
    bias: bool
    pre: bool
    fused: bool
    activation: str

    def block(self, activation: nn.Module) -> Block:
        return Block(
            self.heads * self.head, self.heads, self.hidden, causal=self.causal, bias=self.bias,
            pre=self.pre, fused=self.fused, activation=activation,
        )  # fmt: skip


sizes = st.builds(
    Sizes,
    heads=st.integers(1, 3),
    head=st.integers(2, 5),
    hidden=st.integers(3, 13),
    tokens=st.integers(2, 7),
    blocks=st.integers(1, 2),
    causal=st.booleans(),
    bias=st.booleans(),
    pre=st.booleans(),
    fused=st.booleans(),
    activation=st.sampled_from(sorted(KNOWN)),
)
ONCE = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def blocks(own: Sizes) -> nn.Module:
    torch.manual_seed(len(repr(own)) + own.hidden)
    made = [own.block(KNOWN[own.activation]()) for _ in range(own.blocks)]
    return nn.Sequential(*made).double()


@settings(ONCE, max_examples=8)
@given(sizes)
def test_any_blocks_are_close_to_torch_and_the_same_integers(own: Sizes) -> None:
    assert_close(blocks(own), 1, own.tokens, own.heads * own.head, least=0.995)


@pytest.mark.slow
@settings(ONCE, max_examples=3)
@given(sizes)
def test_any_blocks_are_proved_and_verified(own: Sizes) -> None:
    shape = (1, own.tokens, own.heads * own.head)
    ready = setup(case(assert_close(blocks(own), *shape, least=0.995), inputs(6, *shape)))
    ready.verify(ready.prove())


class Tied(nn.Module):
    """Token ids to the logits of the last place, the head the embedding."""

    def __init__(self, own: Sizes, vocabulary: int) -> None:
        super().__init__()
        width = own.heads * own.head
        self.tokens, self.body = nn.Embedding(vocabulary, width), blocks(own)
        self.norm = nn.RMSNorm(width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.body(self.tokens(ids)))
        return (x @ self.tokens.weight.T)[:, -1]


@settings(ONCE, max_examples=5)
@given(sizes, st.integers(3, 40))
def test_any_tied_language_model_is_close_to_torch(own: Sizes, vocabulary: int) -> None:
    module = Tied(own, vocabulary).double().eval()
    ids = np.random.default_rng(0).integers(0, vocabulary, (12, 1, own.tokens))
    made = compile_module(
        module, (1, own.tokens), (0, vocabulary - 1), examples=ids, whole=True, weight_bits=12
    )
    for one in ids[:3]:
        with torch.no_grad():
            exact = module(torch.from_numpy(one)).numpy()
        assert cosine(answer(made, one), exact) > 0.995


@settings(ONCE, max_examples=6)
@given(sizes, st.sampled_from(sorted(UNKNOWN)))
def test_an_unknown_activation_is_refused_by_name(own: Sizes, name: str) -> None:
    module = own.block(UNKNOWN[name]()).double()
    width = own.heads * own.head
    with pytest.raises(UnsupportedOp, match=re.escape(name)) as refused:
        compile_module(
            module, (1, own.tokens, width), (-4, 4), examples=inputs(1, 4, 1, own.tokens, width)
        )
    assert "known are" in str(refused.value)


# --- whole transformers ---


DRAWN = range(12)
#: What the compiler refuses of them, in a line that says what and where.
REFUSED = {6: r"^cannot compile aten\.stack\.default at node 'stack': .* at most 4 axes[^\n]*$"}
PROVED = [seed for seed in DRAWN if seed not in REFUSED]


def close(seed: int) -> tuple[Compiled, np.ndarray]:
    """The program and an input, interpreter and engine and torch agreeing."""
    form = forms.drawn(seed)
    module = forms.module(form)
    made = forms.compiled(form, module)
    for x in forms.given(form, 2, 3):
        with torch.no_grad():
            exact = module(torch.from_numpy(x)).numpy()
        got = answer(made, x)
        if form.answer == "token":
            assert got.reshape(-1).tolist() == exact.reshape(-1).tolist()
        else:
            assert cosine(got.reshape(-1), exact.reshape(-1)) > 0.998
    return made, x


@pytest.mark.parametrize("seed", DRAWN)
def test_a_drawn_transformer_is_close_to_torch_or_refused(seed: int) -> None:
    if seed in REFUSED:
        with pytest.raises(UnsupportedOp, match=REFUSED[seed]):
            close(seed)
    else:
        close(seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", PROVED)
def test_a_drawn_transformer_is_proved_and_verified(seed: int) -> None:
    ready = setup(case(*close(seed)))
    ready.verify(ready.prove())


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(0, 12, 4))
def test_a_chain_verifies_a_drawn_transformer(anvil: Chain, seed: int) -> None:
    found = close(seed)
    deployment = Deployment.make(anvil, srs_of(None, 16))
    ready = deployment.setup(case(*found))
    deployment.verify(ready.statement, ready.prove())
