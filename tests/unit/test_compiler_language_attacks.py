"""Provers that cheat on what language models add: a turn left out, keys of another group, padding
let in, a vector that is longer. And both verifiers on the honest ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from prover.compiler import compile_module
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.programs import Case
from tests.proving import Setup, setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.small import refusal
from tests.tampering import verdict
from tests.transformers import REACH, case, inputs
from tests.unit.test_compiler_language import Encoder, Llama, sentence
from tests.unit.test_compiler_transformer_attacks import (
    assert_steps_are_bound,
    rewritten,
)

SHAPE = (1, 5, 12)


def llama() -> Case:
    torch.manual_seed(0)
    made = compile_module(Llama(), SHAPE, (-REACH, REACH), examples=inputs(1, 8, *SHAPE))
    return case(made, inputs(2, *SHAPE))


def encoder() -> Case:
    torch.manual_seed(0)
    examples = np.stack([sentence(s, 1 + s % 6) for s in range(24)])
    made = compile_module(Encoder(), (1, 6), (0, 29), whole=True, examples=examples)
    return case(made, sentence(5, 3))


MADE = {"llama": llama, "encoder": encoder}


@pytest.fixture(scope="module")
def ready() -> dict[str, tuple[Case, Setup]]:
    return {name: (made, setup(made)) for name, made in ((n, f()) for n, f in MADE.items())}


@pytest.mark.parametrize("name", MADE)
def test_every_step_that_is_wrong_breaks_a_relation(
    ready: dict[str, tuple[Case, Setup]], name: str
) -> None:
    made, own = ready[name]
    assert_steps_are_bound(made, own)


Change = Callable[[np.ndarray], np.ndarray]
ATTACKS: dict[str, tuple[str, str, Change]] = {
    "a turn the other way": ("llama", "add_1", lambda q: q[..., ::-1].copy()),
    "shares of the other group": (
        "llama", "scaled_dot_product_attention.shares", lambda p: p[::-1].copy(),
    ),
    "a scaled normaliser": ("llama", "mul_1.root", lambda r: r + r // 8 + 1),
    "another gate": ("llama", "silu", lambda g: np.abs(g)),
    "padding let in": ("encoder", "ne", lambda f: np.ones_like(f)),
    "a token left out": ("encoder", "ne", lambda f: np.where(np.arange(f.size) == 1, 0, f)),
    "a longer vector": ("encoder", "div.root", lambda r: r + r // 8 + 1),
    "a shifted softmax": (
        "encoder", "scaled_dot_product_attention.shares.max", lambda m: m + 3,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(ready: dict[str, tuple[Case, Setup]], name: str) -> None:
    model, tensor, change = ATTACKS[name]
    made, own = ready[model]
    values = rewritten(made, tensor, change)
    assert (np.asarray(values[tensor]) != made.values[tensor]).any()
    claim = Claim(own, values).refit()
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_a_chain_refuses_them_too(anvil: Chain, name: str) -> None:
    """With the same error as the Python verifier."""
    deployment, made = Deployment.make(anvil, srs_of(None, 14)), MADE[name]()
    own = deployment.setup(made)
    for model, tensor, change in ATTACKS.values():
        if model == name:
            statement, proof = Claim(own, rewritten(made, tensor, change)).refit().prove()
            with pytest.raises(Reverted) as refused:
                deployment.verify(statement, proof)
            found = refusal(own.key, statement, proof)
            assert refused.value.name == found == "OpeningRejected", tensor


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_both_verifiers_take_the_proof_and_no_other_answer(anvil: Chain, name: str) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 14))
    own = deployment.setup(MADE[name]())
    proof = own.prove()
    own.verify(proof)
    deployment.verify(own.statement, proof)
    answer = bytearray(own.statement.output)
    answer[-1] ^= 1
    changed = replace(own.statement, output=bytes(answer))
    assert verdict(deployment, own, changed, proof) == ("OpeningRejected", ())
