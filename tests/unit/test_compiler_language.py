"""What language models are written with: rotary embeddings, grouped queries, RMSNorm, gates, masks.
Each way of writing them is close to torch, and the same integers everywhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from oracle.zoo import llama
from prover.compiler import CompileError, compile_module
from prover.compiler.trace import Graph, trace
from tests.proving import setup
from tests.transformers import REACH, Apply, answer, assert_close, case, cosine, floats, inputs

Tensor = torch.Tensor


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def targets(graph: Graph) -> list[str]:
    return [node.target for node in graph.nodes]


# --- rotary embeddings ---


def angles(tokens: int, half: int) -> Tensor:
    rate = 10000.0 ** (-torch.arange(half) / half)
    return torch.outer(torch.arange(tokens), rate)


def halves(x: Tensor) -> Tensor:
    """As in GPT-NeoX and Hugging Face's LLaMA."""
    n = x.shape[-1] // 2
    turn = angles(x.shape[-2], n)
    cos, sin = torch.cat((turn, turn), -1).cos(), torch.cat((turn, turn), -1).sin()
    return x * cos + torch.cat((-x[..., n:], x[..., :n]), dim=-1) * sin


def chunks(x: Tensor) -> Tensor:
    turn = angles(x.shape[-2], x.shape[-1] // 2)
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * turn.cos() - b * turn.sin(), b * turn.cos() + a * turn.sin()), -1)


def neighbours(x: Tensor) -> Tensor:
    """As in GPT-J and RoFormer."""
    turn = angles(x.shape[-2], x.shape[-1] // 2).repeat_interleave(2, -1)
    return x * turn.cos() + torch.stack((-x[..., 1::2], x[..., ::2]), -1).flatten(-2) * turn.sin()


def pairs(x: Tensor) -> Tensor:
    turn = angles(x.shape[-2], x.shape[-1] // 2)
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    turned = (a * turn.cos() - b * turn.sin(), a * turn.sin() + b * turn.cos())
    return torch.stack(turned, -1).reshape(x.shape)


def numbers(x: Tensor) -> Tensor:
    """As in Meta's LLaMA."""
    turn = angles(x.shape[-2], x.shape[-1] // 2)
    turn = torch.polar(torch.ones_like(turn), turn)
    z = torch.view_as_complex(x.float().reshape(*x.shape[:-1], -1, 2))
    return torch.view_as_real(z * turn).flatten(-2).type_as(x)


def part(x: Tensor) -> Tensor:
    """The first half of the features only."""
    n = x.shape[-1] // 2
    return torch.cat((halves(x[..., :n]), x[..., n:]), -1)


WAYS: dict[str, Callable[[Tensor], Tensor]] = {
    f.__name__: f for f in (halves, chunks, neighbours, pairs, numbers, part)
}


@pytest.mark.parametrize("name", WAYS)
def test_rotary_embeddings_are_one_operator_however_written(name: str) -> None:
    module = Apply(lambda y: WAYS[name](y) * 1.0, 8)
    graph = trace(module, (1, 5, 8))
    assert targets(graph) == ["aten.linear.default", "einproof.bands"]
    assert len(graph.nodes[-1].args[1]) == 3  # where it is, and one distance to either side
    assert_close(module, 1, 5, 8)
    assert_close(module, 2, 5, 8)


@pytest.mark.parametrize("name", ["halves", "neighbours"])
def test_rotary_embeddings_keep_lengths_and_relative_places(name: str) -> None:
    """|q| stays, and q_i k_j depends on i - j alone: not a rotation of another plane or by another
    angle."""
    made = compile_module(
        Apply(WAYS[name], 8), (1, 6, 8), (-REACH, REACH), examples=inputs(1, 8, 1, 6, 8)
    )
    row = inputs(4, 8)
    out = answer(made, np.tile(row, (1, 6, 1)))[0]
    lengths = np.linalg.norm(out, axis=-1)
    np.testing.assert_allclose(lengths, lengths[0], rtol=2e-3)
    products = out @ out.T
    for apart in range(1, 6):
        np.testing.assert_allclose(
            np.diagonal(products, apart), products[0, apart], atol=4e-3 * lengths[0] ** 2
        )


def test_what_mixes_rows_is_no_band() -> None:
    graph = trace(Apply(lambda y: torch.stack((y[:, 2:], y[:, :2]), 1).flatten(1, 2)), (1, 4, 8))
    assert "einproof.bands" not in targets(graph)


# --- norms ---


class Norm(nn.Module):
    """RMSNorm as LLaMA's code has it."""

    def __init__(self, width: int, way: str = "rsqrt") -> None:
        super().__init__()
        self.weight, self.way = nn.Parameter(torch.rand(width) + 0.5), way

    def forward(self, x: Tensor) -> Tensor:
        if self.way == "torch":
            return F.rms_norm(x, (x.shape[-1],), self.weight.type_as(x), 1e-5)
        if self.way == "rsqrt":
            made = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-5)
        elif self.way == "cast":
            wide = x.to(torch.float32)
            made = wide * torch.rsqrt(1e-5 + (wide * wide).mean(dim=-1, keepdim=True))
            made = made.to(x.dtype)
        else:
            made = x / torch.sqrt(x.square().mean(dim=2, keepdim=True) + 1e-5)
        return self.weight * made


@pytest.mark.parametrize("way", ["torch", "rsqrt", "cast", "sqrt"])
def test_rms_norm_by_its_parts(way: str) -> None:
    module = nn.Sequential(nn.Linear(9, 9), Norm(9, way))
    graph = trace(module, (1, 5, 9))
    assert targets(graph)[-1] == "aten.rms_norm.default"
    assert len(graph.nodes) <= 3  # with a cast, if there is one
    assert_close(module, 1, 5, 9)


def test_other_means_are_not_taken_for_a_norm() -> None:
    for function in (
        lambda y: y * torch.rsqrt(y.pow(2).mean(1, keepdim=True) + 1e-5),
        lambda y: y * torch.rsqrt(y.pow(4).mean(-1, keepdim=True) + 1e-5),
        lambda y: y * torch.rsqrt((y * y.relu()).mean(-1, keepdim=True) + 1e-5),
    ):
        assert "aten.rms_norm.default" not in targets(trace(Apply(function), (1, 4, 8)))


def test_vectors_of_length_one() -> None:
    module = Apply(lambda y: F.normalize(y, dim=-1))
    made = assert_close(module, 1, 4, 8)
    out = answer(made, inputs(5, 1, 4, 8))
    np.testing.assert_allclose(np.linalg.norm(out, axis=-1), 1.0, atol=1e-3)
    again = Apply(lambda y: y / y.norm(dim=-1, keepdim=True))
    again.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(answer(assert_close(again, 1, 4, 8), inputs(5, 1, 4, 8)), out)


# --- masks ---

CAUSAL = torch.tril(torch.ones(64, 64))
LEAST = torch.finfo(torch.float32).min
MASKS: dict[str, Callable[[Tensor], Tensor]] = {
    "masked_fill": lambda s: s.masked_fill(CAUSAL[:5, :5] == 0, float("-inf")),
    "masked_fill, least": lambda s: s.masked_fill(~CAUSAL[:5, :5].bool(), LEAST),
    "where": lambda s: torch.where(CAUSAL[:5, :5].bool(), s, LEAST),
    "where, a tensor": lambda s: torch.where(CAUSAL[:5, :5] > 0, s, torch.full((), -1e9).double()),
    "where, the other way": lambda s: torch.where(CAUSAL[:5, :5] == 0, torch.tensor(-1e9), s),
    "added": lambda s: s + torch.full((5, 5), float("-inf")).triu(1),
    "added, least": lambda s: s + torch.triu(torch.full((5, 5), -1e9), diagonal=1),
    "arange": lambda s: s.masked_fill(torch.arange(5)[:, None] < torch.arange(5), -1e9),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_masks_however_written_give_the_same_integers(name: str) -> None:
    def attend(mask: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        return lambda y: mask(y @ y.transpose(-1, -2) * 0.3).softmax(-1, dtype=torch.float64) @ y

    module, plain = Apply(attend(MASKS[name])), Apply(attend(MASKS["masked_fill"]))
    plain.load_state_dict(module.state_dict())
    made, x = assert_close(module, 1, 5, 8), inputs(7, 1, 5, 8)
    np.testing.assert_array_equal(answer(made, x), answer(assert_close(plain, 1, 5, 8), x))


# --- attention with shared keys, gates ---


class Llama(nn.Module):
    """One block: RMSNorm, grouped queries with rotary embeddings, a gated feed-forward network."""

    def __init__(
        self, width: int = 12, heads: int = 4, shared: int = 2, hidden: int = 20,
        way: str = "torch", turn: Callable[[Tensor], Tensor] = halves,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.shared, self.way, self.turn = heads, shared, way, turn
        self.before, self.between = Norm(width), Norm(width, "cast")
        size = 4
        self.q = nn.Linear(width, heads * size, bias=False)
        self.k, self.v = (nn.Linear(width, shared * size, bias=False) for _ in range(2))
        self.out = nn.Linear(heads * size, width, bias=False)
        self.gate, self.up = (nn.Linear(width, hidden, bias=False) for _ in range(2))
        self.down = nn.Linear(hidden, width, bias=False)

    def repeated(self, x: Tensor) -> Tensor:
        """Keys or values, once for each head."""
        times = self.heads // self.shared
        if self.way == "expand":
            b, h, t, d = x.shape
            return x[:, :, None].expand(b, h, times, t, d).reshape(b, h * times, t, d)
        return x.repeat_interleave(times, dim=1)

    def attend(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        q, k, v = (y.view(b, t, -1, 4).transpose(1, 2) for y in (self.q(x), self.k(x), self.v(x)))
        q, k = self.turn(q), self.turn(k)
        if self.way == "torch":
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        else:
            k, v = self.repeated(k), self.repeated(v)
            scores = q @ k.transpose(2, 3) / math.sqrt(4)
            scores = scores + torch.full((t, t), float("-inf")).triu(1)
            y = scores.softmax(-1) @ v
        return self.out(y.transpose(1, 2).reshape(b, t, -1))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attend(self.before(x))
        y = self.between(x)
        return x + self.down(F.silu(self.gate(y)) * self.up(y))


@pytest.mark.parametrize("way", ["torch", "expand", "repeat"])
@pytest.mark.parametrize("shared", [1, 2, 4])
def test_grouped_queries(way: str, shared: int) -> None:
    module = Llama(shared=shared, way=way)
    assert_close(module, 1, 5, 12, least=0.999)


def test_each_group_reads_its_own_keys() -> None:
    """Heads 0 and 1 share keys 0, 2 and 3 keys 1: to change one key's weights changes two heads."""

    def heads(y: Tensor) -> Tensor:
        q = y[..., :8].unflatten(-1, (4, 2)).transpose(1, 2)
        k, v = (y[..., a : a + 4].unflatten(-1, (2, 2)).transpose(1, 2) for a in (8, 12))
        return F.scaled_dot_product_attention(q, k, v, enable_gqa=True).transpose(1, 2).flatten(2)

    module = Apply(heads, 16)
    made = assert_close(module, 1, 5, 16)
    moved = {
        name: (cells.reshape(16, -1) * np.where(np.arange(16) == 8, -1, 1)[:, None]).reshape(
            cells.shape
        )
        for name, cells in made.weights.items()
    }
    x = inputs(3, 1, 5, 16)
    first, second = answer(made, x), answer(type(made)(made.program, moved, made.quantizer), x)
    changed = (first != second).any(axis=(0, 1))
    assert changed[:4].all()
    assert not changed[4:].any()


@pytest.mark.parametrize("turn", ["neighbours", "numbers"])
def test_a_llama_block_is_proved_and_verified(turn: str) -> None:
    module = Llama(9, 3, 1, 14, turn=WAYS[turn])
    made = assert_close(module, 1, 5, 9, least=0.999)
    ready = setup(case(made, inputs(6, 1, 5, 9)))
    ready.verify(ready.prove())


# --- padding ---


class Encoder(nn.Module):
    """Tokens, padding 0, to a vector of length one, as sentence encoders do."""

    def __init__(self, way: str = "fused") -> None:
        super().__init__()
        self.way, self.tokens, self.places = way, nn.Embedding(30, 8), nn.Embedding(8, 8)
        self.linear, self.out, self.norm = nn.Linear(8, 8), nn.Linear(8, 8), nn.LayerNorm(8)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.norm(self.tokens(ids) + self.places.weight[: ids.shape[1]])
        there = ids != 0
        q = self.linear(x).unflatten(-1, (2, 4)).transpose(1, 2)
        if self.way == "fused":
            y = F.scaled_dot_product_attention(q, q, q, attn_mask=there[:, None, None])
        else:
            scores = (q @ q.transpose(2, 3) / 2).masked_fill(~there[:, None, None], float("-inf"))
            y = scores.softmax(-1) @ q
        x = x + self.out(y.transpose(1, 2).flatten(2))
        total = there.to(x.dtype)[:, None] @ x
        return F.normalize(total[:, 0], dim=-1)


def sentence(seed: int, length: int) -> np.ndarray:
    ids = np.random.default_rng(seed).integers(1, 30, (1, 6))
    ids[0, length:] = 0
    return ids


@pytest.mark.parametrize("way", ["fused", "by hand"])
def test_padding_is_left_out(way: str) -> None:
    """As in torch, for every length; and a shorter model without padding gives nearly the same."""
    module = Encoder(way).double()
    examples = np.stack([sentence(s, 1 + s % 6) for s in range(24)])
    made = compile_module(module, (1, 6), (0, 29), whole=True, examples=examples)
    for seed in range(6):
        ids = sentence(100 + seed, 1 + seed)
        found = answer(made, ids)
        assert cosine(found, floats(module, ids)) > 0.999
        assert cosine(found, floats(module, ids[:, : 1 + seed])) > 0.999
    ready = setup(case(made, sentence(5, 3)))
    ready.verify(ready.prove())


class Padded(nn.Module):
    """Attention of tokens that are there, to those before them or to all, as models write it."""

    def __init__(self, way: str) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.way, self.tokens = way, nn.Embedding(30, 6)
        self.linear, self.own = nn.Linear(6, 6), nn.MultiheadAttention(6, 3, batch_first=True)

    def forward(self, ids: Tensor) -> Tensor:
        x, there, n = self.tokens(ids), ids != 0, ids.shape[1]
        later = torch.ones(n, n).triu(1).bool()
        if "module" in self.way:
            mask = later if "causal" in self.way else None
            whole = "weights" in self.way
            return self.own(x, x, x, ~there, whole, attn_mask=mask)[0][:, 0]
        seen = there[:, None, None]
        mask = (seen & ~later) if self.way == "and" else ~(~seen | later)
        q = self.linear(x).unflatten(-1, (3, 2)).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, q, q, attn_mask=mask)
        return y.transpose(1, 2).flatten(2)[:, 2]


@pytest.mark.parametrize(
    "way", ["module", "module, weights", "module, causal", "module, weights, causal", "and", "or"]
)
def test_masks_of_padding_and_of_places_are_one(way: str) -> None:
    module = Padded(way).double()
    examples = np.stack([sentence(s, 3 + s % 4) for s in range(16)])
    made = compile_module(module, (1, 6), (0, 29), whole=True, examples=examples)
    for seed in range(4):
        ids = sentence(100 + seed, 3 + seed)
        assert cosine(answer(made, ids), floats(module, ids)) > 0.999
    if way == "and":
        ready = setup(case(made, sentence(5, 3)))
        ready.verify(ready.prove())


REFUSED: dict[str, tuple[Any, str]] = {
    "equal fractions": (lambda y: (y == 0).double() * y, r"aten\.eq\.Scalar .*token ids"),
    "to integers": (lambda y: y.to(torch.int64).double() + y, r"aten\.to\.dtype .*fractions"),
    "every key": (lambda y: y.masked_fill(torch.ones(8) > 0, -1e9).softmax(-1), "every cell"),
    "a mask of values": (
        lambda y: F.scaled_dot_product_attention(y, y, y, attn_mask=y @ y.transpose(1, 2)),
        "a mask of numbers that depend on the input",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    function, reason = REFUSED[name]
    with pytest.raises(CompileError, match=reason):
        compile_module(Apply(function), (1, 4, 8), (-REACH, REACH), examples=inputs(1, 4, 1, 4, 8))


@pytest.mark.parametrize(("heads", "shared"), [(4, 4), (3, 1)])
def test_the_shape_of_a_llama_block_at_a_smaller_width(heads: int, shared: int) -> None:
    module = llama.llama_stack(1, 24, 40, heads, shared)
    graph = trace(module, (1, 6, 24))
    kinds = targets(graph)
    assert (kinds.count("einproof.bands"), kinds.count("aten.rms_norm.default")) == (2, 2)
    assert sum(p.numel() for p in llama.LlamaBlock(24, 40, 4, 4).parameters()) == 4 * 24 * 24 + (
        3 * 24 * 40 + 2 * 24
    )
    made = compile_module(
        module, (1, 6, 24), (-REACH, REACH), examples=llama.states(6, 24, 6), weight_bits=10
    )
    x = llama.states(8, 24, 6)[-1]
    assert cosine(answer(made, x), floats(module, x)) > 0.999
    ready = setup(case(made, x))
    ready.verify(ready.prove())
