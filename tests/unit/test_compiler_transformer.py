"""Transformer blocks from torch.export: close to the floats, and the same integers everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from oracle.benchmarks.models import build, transformer
from prover.compiler import CompileError, UnsupportedOp, compile_graph, compile_module
from prover.compiler.build import record_ranges
from prover.compiler.package import read_package
from prover.compiler.ranges import Ranges
from prover.compiler.trace import trace
from prover.program.encode import encode
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.quantizer import InputRefused
from tests.proving import setup
from tests.transformers import (
    RANGE,
    Apply,
    Block,
    Language,
    answer,
    assert_close,
    case,
    compiled,
    cosine,
    floats,
    inputs,
)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


BLOCKS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "pre-norm": ({}, (1, 4, 8)),
    "causal": ({"causal": True}, (1, 8, 8)),
    "post-norm, no bias": ({"pre": False, "bias": False}, (1, 5, 12)),
    "by hand": ({"fused": False}, (1, 5, 8)),
    "by hand, causal": ({"fused": False, "causal": True}, (1, 7, 8)),
    "tanh gelu": ({"activation": nn.GELU(approximate="tanh")}, (1, 4, 8)),
    "silu": ({"activation": nn.SiLU()}, (1, 4, 8)),
    "relu": ({"activation": nn.ReLU()}, (1, 4, 8)),
    "tanh": ({"activation": nn.Tanh()}, (1, 4, 8)),
    "batch": ({"causal": True}, (2, 5, 8)),
}


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_are_close_to_torch(name: str) -> None:
    more, shape = BLOCKS[name]
    assert_close(Block(shape[-1], 2, 2 * shape[-1], **more), *shape)


def test_three_heads_five_tokens_odd_widths() -> None:
    assert_close(Block(15, 3, 22, bias=False, causal=True), 2, 5, 15)


def test_torchs_own_encoder_layer() -> None:
    for norm_first in (True, False):
        module = nn.TransformerEncoderLayer(
            8, 2, 16, batch_first=True, norm_first=norm_first, activation="gelu"
        )
        assert_close(module, 1, 5, 8)


@pytest.mark.parametrize("norm_first", [True, False])
def test_a_batch_of_torchs_own_encoder_layer(norm_first: bool) -> None:
    """Its packed projection becomes three: one would need an axis more than a tensor has."""
    module = nn.TransformerEncoderLayer(
        8, 2, 16, batch_first=True, norm_first=norm_first, activation="gelu"
    )
    assert_close(module, 3, 5, 8)
    made = compiled(module, 2, 5, 8)
    names = {tensor.name for tensor in made.program.tensors if tensor.role is Role.WEIGHT}
    parts = {name for name in names if name.startswith("select") and name.endswith(".weight")}
    assert parts == {"select.weight", "select_1.weight", "select_2.weight"}
    x = inputs(3, 2, 5, 8)
    changed = x.copy()
    changed[1] = -changed[1]
    before, after = answer(made, x), answer(made, changed)
    np.testing.assert_array_equal(before[0], after[0])
    assert (before[1] != after[1]).any()


class Parts(nn.Module):
    """A packed projection of a batch, read by slices that are or are not the parts of it."""

    def __init__(self, read: Any) -> None:
        super().__init__()
        self.packed, self.read = nn.Linear(8, 12), read

    def forward(self, x: torch.Tensor) -> Any:
        return self.read(self.packed(x))


@pytest.mark.parametrize(
    ("read", "replaced"),
    [
        (lambda y: y[..., 4:8] * 0.5, True),
        (lambda y: y.split(4, dim=-1)[1] * 0.5, True),
        (lambda y: y.unflatten(-1, (3, 4))[..., 1, :] * 0.5, True),
        (lambda y: y.unflatten(-1, (4, 3))[..., 1] * 0.5, True),
        (lambda y: y[:, 1:3] * 0.5, False),
        (lambda y: y[..., 4:8].transpose(0, 1)[1:] * 0.5, True),
        (lambda y: y.transpose(0, 1)[1:] * 0.5, False),
    ],
    ids=["slice", "split", "select", "every third", "tokens", "turned part", "turned"],
)
def test_only_outputs_of_every_row_are_a_part(read: Any, replaced: bool) -> None:
    module = Parts(read)
    assert_close(module, 2, 5, 8)
    tensors = compiled(module, 2, 5, 8).program.tensors
    cells = [tensor.size for tensor in tensors if tensor.name.endswith(".weight")]
    assert cells == [4 * 8 if replaced else 12 * 8]


def test_a_masked_key_contributes_nothing() -> None:
    """Changing a later token leaves the integers of earlier ones alone, and only those."""
    made = compiled(Block(8, 2, 16, causal=True), 1, 6, 8)
    x = inputs(3, 1, 6, 8)
    changed = x.copy()
    changed[0, 4] = -changed[0, 4]
    before, after = answer(made, x), answer(made, changed)
    np.testing.assert_array_equal(before[0, :4], after[0, :4])
    assert (before[0, 4:] != after[0, 4:]).any(axis=-1).all()


# --- single operators ---


torch.manual_seed(0)
INF = float("inf")
MATRIX, ROW = torch.randn(8, 3, dtype=torch.float64), torch.randn(4, 1, dtype=torch.float64)
FUNCTIONS: dict[str, Any] = {
    "add itself": lambda y: y + y.relu(),
    "add constants": lambda y: y + ROW + 0.3 - MATRIX[:, 0],
    "mul": lambda y: y * y.sigmoid() * 0.37 * -2.0 / 3,
    "mul constant": lambda y: (y * MATRIX[:, 1]) * ROW,
    "matmul constant": lambda y: y @ MATRIX,
    "sum with products": lambda y: torch.baddbmm(y[..., :4], y, y.transpose(1, 2), alpha=-0.3),
    "half a sum": lambda y: torch.baddbmm(y, y @ y.mT, y, beta=0.5, alpha=0.2),
    "shares of a sum": lambda y: y.add(y.relu(), alpha=-2).sub(MATRIX[:, 0], alpha=0.5),
    "from a number": lambda y: (1 - y) * (torch.rsub(y, y.relu(), alpha=0.7)),
    "glu": lambda y: nn.functional.glu(y) + nn.functional.glu(y.mT, 1).mT[..., :4],
    "another axis": lambda y: y.softmax(1),
    "of a shape alone": lambda y: torch.zeros_like(y) + y * torch.full_like(y, 0.5),
    "einsum": lambda y: torch.einsum(
        "bhij,bjhd->bihd", torch.einsum("bihd,bjhd->bhij", *([y.view(1, 4, 2, 4)] * 2)),
        y.view(1, 4, 2, 4),
    ),
    "einsum with a constant": lambda y: torch.einsum("cd,bic->bdi", MATRIX, y) * 1.5,
    "slopes": lambda y: nn.functional.scaled_dot_product_attention(
        y[:, None], y[:, None], y[:, None], attn_mask=-torch.arange(16.0).view(4, 4).double() / 8
    ),
    "slopes, masked": lambda y: (
        y @ y.mT + (-torch.arange(16.0).view(4, 4) / 8 + torch.full((4, 4), -INF).triu(1)).double()
    ).softmax(-1),
    "one key": lambda y: (y[:, :1] @ y[:, :1].mT).softmax(-1) @ y[:, :1] * 1.5,
    "one key, fused": lambda y: nn.functional.scaled_dot_product_attention(y, y[:, :1], y[:, 1:2]),
    "one key, mask": lambda y: nn.functional.scaled_dot_product_attention(
        y, y[:, :1], y[:, 1:2], attn_mask=torch.ones(4, 1, dtype=torch.bool)
    ),
    "selu": lambda y: nn.functional.selu(y) + nn.functional.celu(y, 0.7),
    "logsigmoid": lambda y: nn.functional.logsigmoid(y),
    "prelu": lambda y: nn.functional.prelu(y, torch.tensor([0.3], dtype=torch.float64)),
    "maximum": lambda y: torch.maximum(y, 0.4 * y.sigmoid()) + torch.maximum(ROW, y),
    "minimum": lambda y: torch.minimum(y, 0.4 * y.sigmoid()) - 2 * torch.minimum(y, ROW),
    "softshrink": lambda y: nn.functional.softshrink(y, 0.2),
    "sum with a matrix": lambda y: torch.addmm(ROW, y[0], MATRIX),
    "sum with a mask": lambda y: torch.baddbmm(
        torch.full((1, 4, 4), float("-inf")).triu(1).double(), y, y.transpose(1, 2)
    ).softmax(-1),
    "products": lambda y: y @ y.transpose(-1, -2) @ y,
    "softmax": lambda y: y.softmax(-1),
    "masked softmax": lambda y: y.masked_fill(MATRIX[:, 0] > 0, float("-inf")).softmax(-1),
    "layer norm, plain": lambda y: nn.functional.layer_norm(y, (8,)),
    "rms norm": lambda y: nn.functional.rms_norm(y, (8,), MATRIX[:, 2]),
    "slices": lambda y: y[:, 1:3, 2:6] + y[:, 0:2].chunk(2, -1)[1],
    "last token": lambda y: y[:, -1] * 0.5,
    "transposed": lambda y: (y.view(1, 4, 2, 4).permute(0, 2, 1, 3) * 3).relu(),
    "swapped": lambda y: (y.mT @ y).swapaxes(1, 2) + y.swapdims(1, 2) @ y + (y[0].T @ y[0].t().mT),
    "moved": lambda y: y.view(1, 4, 2, 4).movedim(1, -2).movedim((1, 3), (2, 0)) * 1.5,
    "regrouped": lambda y: y.view(1, 8, 4).softmax(-1).view(1, 4, 8) + y,
    "expanded": lambda y: y[:, :1].expand(1, 4, 8) * y,
    "select": lambda y: y.unflatten(-1, (2, 4)).select(2, 1) - 1.5,
    "in place": lambda y: y.mul(0.5).relu_() + 1,
}  # fmt: skip


@pytest.mark.parametrize("name", FUNCTIONS)
def test_operators_are_close_to_torch(name: str) -> None:
    assert_close(Apply(FUNCTIONS[name]), 1, 4, 8, least=0.999)


REFUSED: dict[str, tuple[Any, str]] = {
    "unknown": (lambda y: torch.cumprod(y, -1), r"aten\.cumprod\.default at node 'cumprod'"),
    "division": (lambda y: y / y, "drive its radicand"),
    "a trace": (lambda y: torch.einsum("bii->bi", y @ y.mT), "einsum.*a diagonal"),
    "a diagonal": (lambda y: torch.einsum("bii,bid->bd", y @ y.mT, y), "einsum.*a diagonal"),
    "masked, no softmax": (lambda y: y.masked_fill(MATRIX[:, 0] > 0, -1e9) + 1, "softmax"),
    "every key masked": (
        lambda y: y.masked_fill(torch.ones(8, dtype=torch.bool), -1e9).softmax(-1),
        "every cell masked",
    ),
    "cut across": (lambda y: y[:, :3].reshape(1, 4, 6).softmax(-1), "regrouped|cuts across"),
    "zero": (lambda y: y * 0.0, "not 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    function, reason = REFUSED[name]
    with pytest.raises(CompileError, match=reason) as caught:
        compiled(Apply(function), 1, 4, 8)
    assert "\n" not in str(caught.value)


def test_unsupported_names_node_and_operator() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        compiled(Apply(lambda y: torch.cumprod(y, -1)), 1, 4, 8)
    assert (caught.value.node, caught.value.target) == ("cumprod", "aten.cumprod.default")


def test_linear_layers_take_over_what_a_norm_multiplies_by() -> None:
    """gamma and beta of a norm that only linear layers read cost no rounding; another's do."""
    torch.manual_seed(0)
    block = Block(8, 2, 16)
    for norm in (block.norm1, block.norm2):
        nn.init.uniform_(norm.weight, 0.5, 2.0)
        nn.init.uniform_(norm.bias, -1.0, 1.0)
    made = assert_close(block, 1, 4, 8)
    assert not {"layer_norm.weight", "layer_norm_1.weight"} & set(made.weights)
    post = assert_close(Block(8, 2, 16, pre=False), 1, 4, 8)
    assert {"layer_norm.weight", "layer_norm_1.weight"} <= set(post.weights)


def test_two_blocks_and_a_head() -> None:
    class Small(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList(Block(12, 3, 20, causal=True) for _ in range(2))
            self.norm, self.head = nn.LayerNorm(12), nn.Linear(12, 7, bias=False)
            self.position = nn.Parameter(torch.randn(9, 12))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x + self.position[: x.shape[1]]
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))[:, -1]

    assert_close(Small(), 1, 6, 12)


@pytest.mark.parametrize("batch", [1, 2])
def test_tokens_to_next_token(batch: int) -> None:
    """The whole statement of a language model: embeddings, blocks, head, greedy choice."""
    logits, choice = Language(40, 12, 3), Language(40, 12, 3, greedy=True)
    choice.load_state_dict(logits.state_dict())
    shape, agreed = (batch, 6), 0
    made = compile_module(logits, shape, (0, 39), whole=True)
    chosen = compile_module(choice, shape, (0, 39), whole=True)
    for seed in range(4):
        ids = np.random.default_rng(seed).integers(0, 40, shape)
        given = floats(logits, ids)
        assert cosine(answer(made, ids), given) > 0.999
        integers = interpret(made.program, case(made, ids).given)["output"]
        expected = integers.reshape(batch, 40).argmax(axis=-1)
        np.testing.assert_array_equal(answer(chosen, ids), expected)
        agreed += int((expected == given.argmax(axis=-1)).sum())
    assert agreed == 4 * batch
    ready = setup(case(chosen, ids))
    ready.verify(ready.prove())


def test_ids_that_are_no_tokens_are_refused() -> None:
    with pytest.raises(CompileError, match="expected ids below 40, got"):
        compile_module(Language(40, 12, 3), (1, 6), (0, 60), whole=True)
    with pytest.raises(CompileError, match="whole numbers of 16 bits"):
        compile_module(Language(40, 12, 3), (1, 6), (0, 39.5), whole=True)
    made = compile_module(Language(40, 12, 3), (1, 6), (0, 39), whole=True)
    with pytest.raises(InputRefused, match=r"\[0, 39\]"):
        made.quantizer.quantize(np.full((1, 6), 40))


# --- ranges ---


def test_compiling_is_a_function_of_weights_and_ranges() -> None:
    module = Block(8, 2, 16)
    first, second = compiled(module, 1, 4, 8), compiled(module, 1, 4, 8)
    assert encode(first.program) == encode(second.program)
    assert first.quantizer == second.quantizer
    assert first.ranges == second.ranges
    graph = trace(module, (1, 4, 8))
    assert record_ranges(graph, RANGE, inputs(1, 8, 1, 4, 8)).to_dict() == first.ranges


def test_the_benchmark_block_is_close_and_its_package_keeps_the_ranges(tmp_path: Path) -> None:
    build("transformer-1l-64", 1, tmp_path)
    made = read_package(tmp_path / "package")
    module, _ = transformer(1)
    for x in (np.load(tmp_path / "input.npy"), inputs(3, 1, 16, 64)):
        assert cosine(answer(made, x), floats(module, x)) > 0.9999
    ranges = Ranges({name: (lo, hi) for name, (lo, hi) in made.ranges.items()})
    again = compile_graph(trace(transformer(1)[0], (1, 16, 64)), RANGE, ranges=ranges)
    assert encode(again.program) == encode(made.program)
    for name, cells in again.weights.items():
        np.testing.assert_array_equal(cells, made.weights[name])


def test_an_input_that_leaves_a_range_is_refused_by_the_tensors_name() -> None:
    module = Apply(lambda y: y.tanh())
    made = compile_module(module, (1, 4, 8), RANGE, examples=0.1 * inputs(1, 8, 1, 4, 8))
    with pytest.raises(ValueRefused, match=r"tanh\.index: expected values in"):
        answer(made, inputs(2, 1, 4, 8))


def test_rows_with_hardly_any_variance_are_taken() -> None:
    """Beside rows of others: a variance that rounds to nothing leaves eps, of one unit at least."""
    examples = inputs(1, 8, 1, 4, 8)
    examples[:, :, 1] *= 1e-4
    module = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 8))
    made = compile_module(module, (1, 4, 8), RANGE, examples=examples)
    for x in examples:
        answer(made, x)


def test_examples_that_do_not_fit_are_refused() -> None:
    for bad in (np.zeros((3, 4, 8)), np.full((2, 1, 4, 8), np.nan), np.zeros((0, 1, 4, 8))):
        with pytest.raises(CompileError, match="examples of shape"):
            compile_module(Block(8, 2, 16), (1, 4, 8), RANGE, examples=bad)


def test_without_examples_ranges_come_from_the_declared_range() -> None:
    module = Block(8, 2, 16)
    made = compile_module(module, (1, 4, 8), RANGE)
    x = np.random.default_rng(5).uniform(*RANGE, (1, 4, 8))
    assert cosine(answer(made, x), floats(module, x)) > 0.9995


def test_weights_stay_secret() -> None:
    """No weight is in the public program: what is public are masks and functions."""
    made = compiled(Block(8, 2, 16, causal=True), 1, 4, 8)
    public = [t.name for t in made.program.tensors if t.role == Role.TABLE]
    assert all(name.endswith((".mask", ".table", ".exp.high", ".exp.low")) for name in public)
    assert not set(public) & set(made.weights)


# --- proofs ---


@pytest.mark.parametrize(
    ("more", "shape"),
    [({"causal": True}, (1, 4, 8)), ({"bias": False, "pre": False}, (1, 5, 9))],
)
def test_a_block_is_proved_and_verified(more: dict[str, Any], shape: tuple[int, ...]) -> None:
    heads = 3 if shape[-1] == 9 else 2
    made = compiled(Block(shape[-1], heads, 10, **more), *shape)
    ready = setup(case(made, inputs(6, *shape)))
    ready.verify(ready.prove())
