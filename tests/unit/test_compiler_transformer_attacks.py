"""Provers that cheat on a transformer block: a step that is wrong, the rest of the block as it then
follows. Each is refused, by both verifiers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from prover.compiler import compile_module
from prover.program import gadgets
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import Range, Role
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.programs import Case
from tests.proving import Setup, setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.small import refusal
from tests.transformers import REACH, Block, case, inputs

SHAPE = (1, 4, 8)
GIVEN = (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT, Role.TABLE)
SHARES = "scaled_dot_product_attention.shares"
Change = Callable[[np.ndarray], np.ndarray]


def made_block() -> Case:
    torch.manual_seed(0)
    module = Block(8, 2, 10, causal=True)
    compiled = compile_module(module, SHAPE, (-REACH, REACH), examples=inputs(1, 8, *SHAPE))
    return case(compiled, inputs(2, *SHAPE))


@pytest.fixture(scope="module")
def block() -> tuple[Case, Setup]:
    made = made_block()
    return made, setup(made)


def rewritten(made: Case, name: str, change: Change) -> dict[str, np.ndarray]:
    """All values where one gadget's output is changed, and what follows from it follows."""
    program, named = made.program, dict(made.values)
    values = {i: named[t.name] for i, t in enumerate(program.tensors) if t.role in GIVEN}
    for op in program.ops:
        for tensor, value in gadgets.run(program, op, values).items():
            named[tensor] = change(value) if tensor == name else value
            if any(t.name == tensor for t in program.tensors):
                values[program.named(tensor)] = named[tensor]
    return named


def one_more(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed.reshape(-1)[0] += 1
    return changed


def one_less(values: np.ndarray) -> np.ndarray:
    changed = values.copy()
    changed.reshape(-1)[-1] -= 1
    return changed


def assert_steps_are_bound(made: Case, ready: Setup) -> None:
    """Every gadget's output, one more or one less in a cell, breaks a relation."""
    assert not Claim.honest(ready).broken()
    for op in made.program.ops:
        if isinstance(op, Range):  # it has none
            continue
        name = made.program.tensors[op.out].name
        for change in (one_more, one_less):
            try:
                values = rewritten(made, name, change)
            except ValueRefused:  # nothing follows from such a value: what was true stays
                values = dict(made.values) | {name: change(made.values[name])}
            assert Claim(ready, values).refit().broken(), name


def test_every_step_that_is_wrong_breaks_a_relation(block: tuple[Case, Setup]) -> None:
    assert_steps_are_bound(*block)


ATTACKS: dict[str, tuple[str, Change]] = {
    "a shifted softmax": (f"{SHARES}.max", lambda m: m + 3),
    "a smaller denominator": (f"{SHARES}.sum", lambda s: s // 2 + 1),
    "shares of another head": (SHARES, lambda p: p[::-1].copy()),
    "shares a little larger": (SHARES, one_more),
    "a scaled normaliser": ("layer_norm.root", lambda r: r + r // 8),
    "another mean": ("layer_norm.mean", lambda m: m + 5),
    "another activation": ("gelu", lambda g: np.maximum(g, 0)),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_a_block_are_refused(block: tuple[Case, Setup], name: str) -> None:
    made, ready = block
    tensor, change = ATTACKS[name]
    claim = Claim(ready, rewritten(made, tensor, change)).refit()
    assert claim.broken()
    assert claim.refused() is not None


def lifted(made: Case) -> dict[str, np.ndarray]:
    """The answer of the block without its mask, under the program that has it."""
    tensors = tuple(
        replace(t, lo=0, hi=1, values=(0,) * t.size) if t.name.endswith(".mask") else t
        for t in made.program.tensors
    )
    found = interpret(replace(made.program, tensors=tensors), made.given)
    assert (found["output"] != made.values["output"]).any()
    return found | {t.name: made.values[t.name] for t in made.program.tensors if t.values}


def test_a_lifted_mask_is_refused(block: tuple[Case, Setup]) -> None:
    made, ready = block
    claim = Claim(ready, lifted(made))
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_refuses_them_too(anvil: Chain) -> None:
    """With the same error as the Python verifier."""
    deployment, made = Deployment.make(anvil, srs_of(None, 14)), made_block()
    ready = deployment.setup(made)
    deployment.verify(*Claim.honest(ready).prove())
    claims = [Claim(ready, rewritten(made, *attack)).refit() for attack in ATTACKS.values()]
    for claim in [*claims, Claim(ready, lifted(made))]:
        statement, proof = claim.prove()
        with pytest.raises(Reverted) as refused:
            deployment.verify(statement, proof)
        assert refused.value.name == refusal(ready.key, statement, proof) == "OpeningRejected"
