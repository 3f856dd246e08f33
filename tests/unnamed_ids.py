"""Small networks of token ids, as people write them: what the compiler is to import."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from tests.convolutions import Apply
from tests.unnamed import Shape, Tensor

torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them
HALVES = torch.tensor([0.5, 1.5, 2.5, 3.5, 4.5])


class Factors(nn.Module):
    """A factorization machine (Rendle 2010), its biases an embedding of one column."""

    def __init__(self) -> None:
        super().__init__()
        self.factors, self.bias = nn.Embedding(30, 4), nn.Embedding(30, 1)
        self.register_buffer("first", torch.tensor([0, 10, 20]))

    def forward(self, ids: Tensor) -> Tensor:
        at = ids + self.first
        v = self.factors(at)
        pairs = v.sum(1) ** 2 - (v**2).sum(1)
        return torch.sigmoid(self.bias(at).sum(1) + pairs.sum(1, keepdim=True) / 2)


class Averaged(nn.Module):
    """The mean of what is there, to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.rows, self.layer = nn.Embedding(10, 8), nn.Linear(8, 4)

    def forward(self, ids: Tensor) -> Tensor:
        there = (ids != 0).bool()
        y = (self.layer(self.rows(ids)) * there.unsqueeze(-1)).sum(1)
        return F.normalize(y / there.sum(1, keepdim=True).clamp(min=1))


def _neighbours(ids: Tensor, rows: nn.Module, layer: nn.Module) -> Tensor:
    """What each token and the next one make together."""
    made: Tensor = layer(rows(ids[:, 1:]) * rows(ids[:, :-1]))
    return made


NETWORKS_OF_IDS: dict[str, tuple[nn.Module, Shape]] = {  # below 10
    "a factorization machine": (Factors(), (2, 3)),
    "the mean of what is there": (Averaged(), (2, 5)),
    "neighbours": (Apply(_neighbours, nn.Embedding(10, 6), nn.Linear(6, 3)), (2, 5)),
    "bags": (nn.Sequential(nn.EmbeddingBag(10, 6), nn.Linear(6, 2)), (3, 4)),
    "bags, their greatest": (
        nn.Sequential(nn.EmbeddingBag(10, 6, mode="max"), nn.Linear(6, 2)), (3, 4),
    ),
    "a constant of their type": (
        Apply(lambda x, rows: rows(x) + HALVES.type_as(x).unsqueeze(-1) * rows(x),
              nn.Embedding(10, 4)),
        (2, 5),
    ),
}  # fmt: skip
