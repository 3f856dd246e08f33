"""Small transformers that nobody wrote: one a seed, of odd sizes and every mixture of parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from prover.compiler import Compiled, compile_module
from tests.transformers import REACH, inputs

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu, "tanh gelu": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
    "relu": F.relu, "relu squared": lambda x: F.relu(x) ** 2, "tanh": torch.tanh, "mish": F.mish,
    "elu": F.elu, "leaky": F.leaky_relu, "hardswish": F.hardswish, "softplus": F.softplus,
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x), "relu6": F.relu6, "selu": F.selu,
    "celu": F.celu, "softshrink": F.softshrink, "logsigmoid": F.logsigmoid,
}  # fmt: skip
ATTENTIONS = ("fused", "by hand", "einsum", "module")
PLACES = ("learned", "rotary halves", "rotary pairs", "slopes", "none")
VOCABULARY = 23


@dataclass(frozen=True)
class Form:
    """What a seed drew."""

    seed: int
    heads: int
    shared: int  # heads of keys and values
    width: int  # of a head
    hidden: int
    tokens: int
    batch: int
    layers: int
    pre: bool
    rms: bool
    gated: bool
    bias: bool
    mask: str
    places: str
    attention: str
    activation: str
    answer: str
    tied: bool

    @property
    def features(self) -> int:
        return self.heads * self.width

    @property
    def shape(self) -> tuple[int, ...]:
        ids = self.answer != "states"
        return (self.batch, self.tokens, *(() if ids else (self.features,)))


def drawn(seed: int) -> Form:
    rng = np.random.default_rng(seed)

    def one(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    heads, places = int(rng.integers(1, 6)), one(*PLACES)
    answer = one("states", "logits", "token", "last")
    attention = one(*ATTENTIONS)
    whole = attention == "module"  # nn.MultiheadAttention knows no places
    mask = one("none", "causal", "padding" if answer != "states" else "causal")
    if attention == "fused" and places == "slopes" and mask == "padding":
        attention = "by hand"
    return Form(
        seed=seed,
        heads=heads,
        shared=heads if whole else one(*(n for n in range(1, heads + 1) if heads % n == 0)),
        width=2 * int(rng.integers(1, 4)) if "rotary" in places else int(rng.integers(1, 8)),
        hidden=int(rng.integers(3, 20)),
        tokens=int(rng.integers(1, 10)),
        batch=one(1, 1, 1, 2),
        layers=int(rng.integers(1, 4)),
        pre=one(True, False),
        rms=one(True, False),
        gated=one(True, False),
        bias=one(True, False),
        mask=mask,
        places="learned" if whole and places != "none" else places,
        attention=attention,
        activation=one(*ACTIVATIONS),
        answer=answer,
        tied=one(True, False),
    )


def turned(x: Tensor, pairs: bool) -> Tensor:
    """Rotary embeddings (Su et al. 2021), by halves or by neighbouring pairs."""
    n = x.shape[-1] // 2
    speeds = 10.0 ** -torch.arange(n, dtype=x.dtype)
    turn = torch.arange(x.shape[-2], dtype=x.dtype)[:, None] * speeds
    if pairs:
        a, b = x.unflatten(-1, (n, 2)).unbind(-1)
        made = (a * turn.cos() - b * turn.sin(), a * turn.sin() + b * turn.cos())
        return torch.stack(made, -1).flatten(-2)
    a, b = x[..., :n], x[..., n:]
    return torch.cat((a * turn.cos() - b * turn.sin(), b * turn.cos() + a * turn.sin()), -1)


def added(form: Form) -> Tensor | None:
    """To scores, whatever the tokens: causal masks, ALiBi's slopes (Press et al. 2022)."""
    n, made = form.tokens, torch.zeros(form.heads, form.tokens, form.tokens, dtype=torch.float64)
    if form.places == "slopes":
        slopes = 2.0 ** -torch.arange(1.0, form.heads + 1)
        made -= slopes[:, None, None] * (torch.arange(n)[:, None] - torch.arange(n)).abs()
    if form.mask == "causal":
        made = made + torch.full((n, n), float("-inf")).triu(1)
    return made if made.any() else None


class Attention(nn.Module):
    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form
        own, kept, width = form.features, form.shared * form.width, form.features
        self.q, self.out = nn.Linear(width, own, form.bias), nn.Linear(own, width, form.bias)
        self.k, self.v = (nn.Linear(width, kept, form.bias) for _ in range(2))
        self.added = added(form)

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        form = self.form
        b, n, _ = x.shape
        q, k, v = (
            y.view(b, n, heads, form.width).transpose(1, 2)
            for y, heads in (
                (self.q(x), form.heads), (self.k(x), form.shared), (self.v(x), form.shared),
            )
        )  # fmt: skip
        if "rotary" in form.places:
            q, k = (turned(y, form.places.endswith("pairs")) for y in (q, k))
        if form.attention == "fused":
            mask = self.added if there is None else there[:, None, None]
            y = F.scaled_dot_product_attention(
                q, k, v, attn_mask=mask, enable_gqa=form.shared < form.heads
            )
            return self.out(y.transpose(1, 2).flatten(2))
        k, v = (y.repeat_interleave(form.heads // form.shared, 1) for y in (k, v))
        if form.attention == "einsum":
            scores = torch.einsum("bhid,bhjd->bhij", q, k) / form.width**0.5
        else:
            scores = q @ k.transpose(-1, -2) * form.width**-0.5
        if there is not None:
            scores = scores.masked_fill(~there[:, None, None], float("-inf"))
        if self.added is not None:
            scores = scores + self.added
        shares = scores.softmax(-1)
        if form.attention == "einsum":
            return self.out(torch.einsum("bhij,bhjd->bihd", shares, v).flatten(2))
        return self.out((shares @ v).transpose(1, 2).reshape(b, n, -1))


class Whole(nn.Module):
    """torch's own attention."""

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.own = nn.MultiheadAttention(
            form.features, form.heads, bias=form.bias, batch_first=True
        )
        self.causal = form.mask == "causal"

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        n = x.shape[1]
        mask = torch.ones(n, n).triu(1).bool() if self.causal else None
        padded = None if there is None else ~there
        made: Tensor = self.own(
            x, x, x, attn_mask=mask, key_padding_mask=padded, need_weights=False
        )[0]
        return made


class Layer(nn.Module):
    def __init__(self, form: Form) -> None:
        super().__init__()
        norm, width = nn.RMSNorm if form.rms else nn.LayerNorm, form.features
        self.form, self.first, self.second = form, norm(width), norm(width)
        self.attention = Whole(form) if form.attention == "module" else Attention(form)
        self.up, self.down = (
            nn.Linear(width, form.hidden, form.bias), nn.Linear(form.hidden, width, form.bias),
        )  # fmt: skip
        self.gate = nn.Linear(width, form.hidden, form.bias) if form.gated else None

    def feed(self, x: Tensor) -> Tensor:
        y = ACTIVATIONS[self.form.activation](self.up(x))
        made: Tensor = self.down(y if self.gate is None else y * self.gate(x))
        return made

    def forward(self, x: Tensor, there: Tensor | None) -> Tensor:
        if self.form.pre:
            x = x + self.attention(self.first(x), there)
            return x + self.feed(self.second(x))
        x = self.first(x + self.attention(x, there))
        made: Tensor = self.second(x + self.feed(x))
        return made


class Transformer(nn.Module):
    def __init__(self, form: Form) -> None:
        super().__init__()
        torch.manual_seed(form.seed)
        self.form, width = form, form.features
        self.layers = nn.ModuleList(Layer(form) for _ in range(form.layers))
        self.norm = (nn.RMSNorm if form.rms else nn.LayerNorm)(width)
        if form.answer != "states":
            self.tokens = nn.Embedding(VOCABULARY, width)
            self.head = nn.Linear(width, VOCABULARY, bias=False)
            if form.tied:
                self.head.weight = self.tokens.weight
        if form.places == "learned":
            self.places = nn.Parameter(torch.randn(form.tokens, width) / 2)

    def forward(self, x: Tensor) -> Tensor:
        form, there = self.form, None
        if form.answer != "states":
            there = x != 0 if form.mask == "padding" else None
            x = self.tokens(x)
        if form.places == "learned":
            x = x + self.places
        for layer in self.layers:
            x = layer(x, there)
        x = self.norm(x)
        if form.answer == "states":
            return x
        logits: Tensor = self.head(x if form.answer == "logits" else x[:, -1])
        return logits.argmax(-1) if form.answer == "token" else logits


def module(form: Form) -> nn.Module:
    return Transformer(form).double().eval()


def given(form: Form, seed: int, count: int) -> np.ndarray:
    """(count, *shape) inputs: states, or ids of which the first is never padding."""
    if form.answer == "states":
        return inputs(seed, count, *form.shape)
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, VOCABULARY, (count, *form.shape))
    if form.mask == "padding":
        lengths = rng.integers(1, form.tokens + 1, (count, form.batch, 1))
        ids *= np.arange(form.tokens) < lengths
    return ids


def compiled(form: Form, made: nn.Module) -> Compiled:
    whole = form.answer != "states"
    return compile_module(
        made, form.shape, (0, VOCABULARY - 1) if whole else (-REACH, REACH),
        examples=given(form, 1, 40), whole=whole, weight_bits=12,
    )  # fmt: skip
