"""Blocks that repeat: found, stacked, equal to what they are one by one; and left alone where they
are not equal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle.adapters.torch_engine import Network
from oracle.zoo.gpt2 import FIRST, POSITIONS, VOCABULARY, gpt2, some_ids
from prover.compiler import Compiled, compile_module
from prover.compiler.blocks import Repeat, explicit, steps
from prover.compiler.fold import fold_norms
from prover.compiler.trace import trace
from prover.program import gadgets
from prover.program.ir import Program, Role
from prover.program.layout import layout
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import setup, srs_of
from tests.soundness.malice import Claim
from tests.tampering import verdict
from tests.transformers import REACH, Block, Language, case, cosine, floats, inputs

SHAPE = (1, 4, 8)


class Blocks(nn.Module):
    """Blocks one after another, between what comes before and after them."""

    def __init__(self, layers: int, *, ends: bool = True, shared: bool = False, **how: Any) -> None:
        super().__init__()
        made = [Block(8, 2, 12, **how) for _ in range(1 if shared else layers)]
        self.blocks = nn.ModuleList(made * layers if shared else made)
        self.before = nn.Linear(8, 8) if ends else nn.Identity()
        self.norm = nn.LayerNorm(8) if ends else nn.Identity()
        self.head = nn.Linear(8, 3) if ends else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.before(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


def compiled(module: nn.Module, stacked: bool = True, shape: tuple[int, ...] = SHAPE) -> Compiled:
    examples = inputs(1, 8, *shape)
    return compile_module(module, shape, (-REACH, REACH), examples=examples, stacked=stacked)


def answer(made: Compiled, x: Any) -> Any:
    return np.ldexp(case(made, x).values["output"], -made.quantizer.output.exponent)


def repeats(module: nn.Module, shape: tuple[int, ...] = SHAPE) -> list[Repeat]:
    graph = explicit(fold_norms(trace(module.eval(), shape)))
    return [step for step in steps(graph) if isinstance(step, Repeat)]


# --- what is found ---


@pytest.mark.parametrize(
    "how", [{}, {"pre": False}, {"causal": True, "fused": False}, {"bias": False}, {"ends": False}]
)
def test_blocks_are_found(how: dict[str, Any]) -> None:
    (found,) = repeats(Blocks(4, **how))
    assert len(found.blocks) == 4
    assert len(found.carried) == 1
    assert {len(block) for block in found.blocks} == {len(found.names[0])}
    same = [[node.name for node in block] for block in found.blocks]
    assert same == [same[0]] * 4


def test_what_differs_is_no_repeat() -> None:
    module = Blocks(4)
    module.blocks[2] = Block(8, 2, 13)
    (found,) = repeats(module)
    assert len(found.blocks) == 2  # the first two; the third stands alone
    module.blocks[1] = Block(8, 4, 12)
    assert not repeats(module)


def test_a_block_that_is_read_from_afar_is_no_repeat() -> None:
    class Skipping(Blocks):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            kept = x = self.before(x)
            for i, block in enumerate(self.blocks):
                x = block(x)
                kept = x if i == 1 else kept
            return self.head(self.norm(x + kept))

    found = repeats(Skipping(4))
    assert [len(one.blocks) for one in found] == [2, 2]


# --- what it becomes ---


@pytest.mark.parametrize("how", [{}, {"pre": False}, {"causal": True}, {"ends": False}])
@pytest.mark.parametrize("layers", [2, 5])
def test_a_stack_computes_what_its_blocks_do(layers: int, how: dict[str, Any]) -> None:
    torch.manual_seed(layers)
    module, x = Blocks(layers, **how).eval(), inputs(2, *SHAPE)
    stacked, unrolled = compiled(module), compiled(module, stacked=False)
    (stack,) = stacked.program.stacks
    assert stack.length == layers
    assert not unrolled.program.stacks
    assert len(stacked.program.ops) < len(unrolled.program.ops)
    found, other, true = answer(stacked, x), answer(unrolled, x), floats(module, x)
    assert cosine(found.reshape(-1), true.reshape(-1)) > 0.9995
    assert np.abs(found.reshape(-1) - true.reshape(-1)).max() < 0.03
    assert np.abs(found - other).max() < 0.03


def test_engine_and_interpreter_agree() -> None:
    torch.manual_seed(7)
    made, x = compiled(Blocks(3, causal=True).eval()), inputs(3, *SHAPE)
    ready = case(made, x)
    given = {n: v for n, v in ready.given.items() if n not in made.weights}
    for name, cells in Network(made.program, made.weights).run(given).items():
        assert cells.tolist() == ready.values[name].tolist(), name


def test_shared_weights_are_kept_once() -> None:
    torch.manual_seed(0)
    module = Blocks(7, shared=True).eval()
    made = compiled(module)
    assert not {n for n, v in made.weights.items() if v.shape[0] == 7}
    assert made.program.stacks[0].length == 7
    x = inputs(4, *SHAPE)
    assert cosine(answer(made, x).reshape(-1), floats(module, x).reshape(-1)) > 0.999


def test_layers_of_very_different_weights_share_a_scale() -> None:
    """The finest, as far as the largest allow: none has less than its own bits."""
    torch.manual_seed(1)
    module = Blocks(3).eval()
    with torch.no_grad():
        module.blocks[1].up.weight *= 16
        module.blocks[1].down.weight /= 16
    x = inputs(5, *SHAPE)
    stacked, true = answer(compiled(module), x), floats(module, x)
    assert cosine(stacked.reshape(-1), true.reshape(-1)) > 0.9995


def test_what_does_not_fit_an_axis_more_stays_as_it_is() -> None:
    torch.manual_seed(2)
    module, shape = Blocks(2).eval(), (3, 4, 8)  # inferences and heads are axes already
    made = compiled(module, shape=shape)
    assert not made.program.stacks
    x = inputs(6, *shape)
    assert cosine(answer(made, x).reshape(-1), floats(module, x).reshape(-1)) > 0.999


def test_a_language_model_is_stacked_between_its_ends() -> None:
    torch.manual_seed(3)
    module = Language(50, 16, 2, greedy=True).eval()
    ids = np.random.default_rng(0).integers(0, 50, (4, 1, 6)).astype(float)
    made = compile_module(module, (1, 6), (0, 49), whole=True, examples=ids)
    assert [stack.length for stack in made.program.stacks] == [2]
    for x in ids:
        with torch.no_grad():
            expected = module(torch.tensor(x, dtype=torch.int64))
        assert case(made, x).values["output"].reshape(-1).tolist() == expected.reshape(-1).tolist()


def test_tied_embeddings_are_one_tensor() -> None:
    """50 rows that are gathered and multiplied with; nothing of a norm is folded into them."""
    torch.manual_seed(3)
    made = compile_module(Language(50, 16, 2).eval(), (1, 6), (0, 49), whole=True)
    assert [n for n, v in made.weights.items() if v.shape == (50, 16)] == ["embedding.weight"]
    (tensor,) = [i for i, t in enumerate(made.program.tensors) if t.name == "embedding.weight"]
    assert sum(tensor in gadgets.reads(op) for op in made.program.ops) == 2


def test_ids_beyond_16_bits_are_counted_from_below() -> None:
    """gpt2-small has 50,257 tokens: ids are read and answered less 2^15, exactly."""
    module = gpt2(2, 8).eval()
    ids = some_ids(3)[:, None]
    reach = (FIRST, FIRST + VOCABULARY - 1)
    made = compile_module(module, (1, POSITIONS), reach, whole=True, examples=ids[:1])
    assert [stack.length for stack in made.program.stacks] == [2]
    for x in ids:
        values = case(made, x).values
        logits = module.logits(torch.tensor(x, dtype=torch.int64)).detach().numpy()[0]
        chosen = int(values["output"][0]) - FIRST
        assert logits[chosen] >= logits.max() - 0.05
        assert 0 <= chosen < VOCABULARY
    assert made.quantizer.output.exponent == 0


# --- proofs ---


def relations(program: Program) -> tuple[int, int]:
    found = layout(program).verifier
    return found.relations, len(found.contractions)


def test_relations_do_not_grow_with_depth() -> None:
    torch.manual_seed(4)
    counts = {relations(compiled(Blocks(layers).eval()).program) for layers in (2, 3, 8)}
    assert len(counts) == 1


def test_a_swapped_layer_is_refused() -> None:
    torch.manual_seed(5)
    made = case(compiled(Blocks(3, ends=False).eval()), inputs(7, *SHAPE))
    ready = setup(made)
    layered = [t.name for t in made.program.tensors if t.role == Role.WEIGHT and t.shape[0] == 3]
    other = replace_layers(made.given, layered, [1, 0, 2])
    claim = Claim(ready, {**replace(made, given=other).values, **made.given}).refit()
    assert claim.broken()
    assert claim.refused() is not None


def replace_layers(given: dict[str, Any], names: list[str], order: list[int]) -> dict[str, Any]:
    return given | {name: given[name][order] for name in names}


@pytest.mark.chain
def test_a_chain_verifies_five_layers(anvil: Chain) -> None:
    torch.manual_seed(6)
    module = Blocks(5, causal=True).eval()
    deployment = Deployment.make(anvil, srs_of(None, 14))
    made = deployment.setup(case(compiled(module), inputs(8, *SHAPE)))
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
    cells = bytearray(made.statement.output)
    cells[-1] ^= 1
    changed = replace(made.statement, output=bytes(cells))
    assert verdict(deployment, made, changed, proof) == ("OpeningRejected", ())
