"""One operator each, as people write them: what the compiler is to import."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

from tests.convolutions import Apply

Tensor = torch.Tensor
Shape = tuple[int, ...]
torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them


def _one(function: Callable[[Tensor], Tensor], width: int = 6) -> nn.Module:
    """A function of what a linear layer makes."""
    return Apply(lambda x, layer: function(layer(x)), nn.Linear(width, width))


def _place(function: Callable[[Tensor], Tensor], width: int = 6) -> nn.Module:
    """A function of what a linear layer makes whose weights are exact in eight bits, so that what
    stands greatest in floats stands greatest in integers."""
    layer = nn.Linear(width, width, bias=False)
    layer.weight.data.mul_(32).round_().div_(32)
    return Apply(lambda x, layer: function(layer(x)), layer)


def _image(function: Callable[[Tensor], Tensor], channels: int = 4) -> nn.Module:
    """A function of what a convolution makes."""
    return Apply(lambda x, layer: function(layer(x)), nn.Conv2d(2, channels, 3, padding=1))


TENSOR = torch.tensor
ADJACENT = (torch.rand(5, 5) > 0.5).double() / 5
PLACES = TENSOR([4, 0, 0, 2])
PAIRS = torch.tril_indices(4, 4, -1)
EXAMPLES = torch.arange(12).view(1, 2, 6).double().cos()
CUBE = torch.arange(36).view(2, 6, 3).double().sin()

OPERATORS: dict[str, tuple[nn.Module, Shape]] = {
    # sums and orders along an axis
    "cumsum": (_one(lambda y: y.cumsum(1)), (1, 5, 6)),
    "cumsum of features": (_one(lambda y: y.cumsum(-1)), (3, 6)),
    "diff": (_one(lambda y: y.diff(dim=-1)), (3, 6)),
    "flip": (_one(lambda y: y.flip(1)), (1, 5, 6)),
    "flip of two axes": (_one(lambda y: y.flip(0, -1)), (3, 6)),
    "roll": (_one(lambda y: y.roll(2, 1)), (1, 5, 6)),
    "roll of two axes": (_one(lambda y: y.roll((1, -2), (0, 1))), (3, 6)),
    "roll of all cells": (_one(lambda y: y.roll(4)), (3, 6)),
    "rolled windows": (
        _one(lambda y: y.roll(1, 1).view(1, 2, 3, 6).softmax(-1).sum(2)), (1, 6, 6),
    ),
    "every other cell": (_one(lambda y: y[:, ::2]), (3, 6)),
    "every third row from one": (_one(lambda y: y[:, 1::3]), (1, 7, 6)),
    "repeat": (_one(lambda y: y.repeat(2, 3)), (3, 6)),
    "repeat of more axes": (_one(lambda y: y[:1].repeat(2, 2, 1)), (3, 6)),
    "tile": (_one(lambda y: y.tile((2,))), (3, 6)),
    "repeat_interleave": (_one(lambda y: y.repeat_interleave(2, 1) * 2), (3, 6)),
    "index_select": (_one(lambda y: y.index_select(1, PLACES)), (1, 5, 6)),
    "constant places": (_one(lambda y: y[:, PLACES]), (1, 5, 6)),
    "constant pairs": (_one(lambda y: (y @ y.mT)[:, PAIRS[0], PAIRS[1]]), (1, 4, 6)),
    "channel_shuffle": (_image(lambda y: F.channel_shuffle(y, 2)), (1, 2, 4, 4)),
    "stack": (_one(lambda y: torch.stack([y, y * 2], -1)), (3, 6)),
    "unbind": (_one(lambda y: sum(y.unbind(1))), (1, 5, 6)),
    "chunk": (_one(lambda y: y.chunk(4, 1)[1] * y.chunk(4, 1)[0]), (1, 6, 6)),
    "tensor_split": (_one(lambda y: y.tensor_split(3, -1)[2]), (3, 6)),
    "softplus, straight from 0.5 on": (_one(lambda y: F.softplus(y, threshold=0.5)), (3, 6)),
    "a power in place": (_one(lambda y: y.mul(0.5).pow_(2) + 1), (3, 6)),
    "tensor_split before the end": (
        _one(lambda y: y.tensor_split((-4, -2), -1)[1]),
        (3, 6),
    ),
    "tensor_split at": (_one(lambda y: y.tensor_split((2, 5), -1)[1]), (3, 6)),
    "narrow": (_one(lambda y: y.narrow(1, 2, 3).relu()), (1, 6, 6)),
    "hstack": (_one(lambda y: torch.hstack([y, y.relu()])), (3, 6)),
    "vstack": (_one(lambda y: torch.vstack([y, y * 2])), (3, 6)),
    "rot90": (_one(lambda y: y.rot90()), (3, 6)),
    "rot90, backwards": (_one(lambda y: y.rot90(-1, (1, 2))), (1, 3, 6)),
    "meshed": (_one(lambda y: y.unsqueeze(1) - y.unsqueeze(2)), (2, 6)),
    # borders and sizes
    "reflected": (_image(lambda y: F.pad(y, (1, 2, 2, 1), mode="reflect")), (1, 2, 4, 4)),
    "replicated": (_image(lambda y: F.pad(y, (1, 0, 0, 1), mode="replicate")), (1, 2, 4, 4)),
    "circular": (nn.Conv2d(2, 3, 3, padding=1, padding_mode="circular"), (1, 2, 4, 4)),
    "padded with a number": (_image(lambda y: F.pad(y, (1, 1), value=0.5)), (1, 2, 4, 4)),
    "nearest": (_image(lambda y: F.interpolate(y, scale_factor=2)), (1, 2, 3, 4)),
    "nearest, convolved": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3)),
        (1, 2, 5, 5),
    ),
    "bilinear": (
        _image(lambda y: F.interpolate(y, scale_factor=2, mode="bilinear")), (1, 2, 3, 4),
    ),
    "bilinear, corners": (
        _image(lambda y: F.interpolate(y, size=(5, 7), mode="bilinear", align_corners=True)),
        (1, 2, 3, 4),
    ),
    "linear": (
        nn.Sequential(nn.Conv1d(2, 3, 3), nn.Upsample(scale_factor=2, mode="linear")), (1, 2, 7),
    ),
    "transposed": (nn.ConvTranspose2d(2, 3, 2, stride=2), (1, 2, 3, 4)),
    "transposed, overlapping": (
        nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 2, 3, 4),
    ),
    "transposed, groups, dilated": (
        nn.ConvTranspose2d(4, 6, 3, groups=2, dilation=2, bias=False), (1, 4, 3, 3),
    ),
    "transposed, one dimension": (nn.ConvTranspose1d(3, 2, 4, stride=3, padding=1), (1, 3, 5)),
    "transposed, cropped": (nn.ConvTranspose1d(2, 3, 2, stride=2, padding=2), (1, 2, 6)),
    "pixel_shuffle": (_image(lambda y: F.pixel_shuffle(y, 2)), (1, 2, 3, 4)),
    "pixel_unshuffle": (_image(lambda y: F.pixel_unshuffle(y, 2), 2), (1, 2, 4, 6)),
    # windows
    "averages, uneven": (_image(lambda y: F.adaptive_avg_pool2d(y, (3, 2))), (1, 2, 7, 5)),
    "averages, uneven, one dimension": (
        nn.Sequential(nn.Conv1d(2, 3, 3), nn.AdaptiveAvgPool1d(4)), (1, 2, 9),
    ),
    "averages of what is there": (
        _image(lambda y: F.avg_pool2d(y, 3, 2, 1, count_include_pad=False)), (1, 2, 6, 6),
    ),
    "averages, ceil": (_image(lambda y: F.avg_pool2d(y, 2, ceil_mode=True)), (1, 2, 5, 5)),
    "averages, divisor": (_image(lambda y: F.avg_pool2d(y, 2, divisor_override=3)), (1, 2, 4, 4)),
    "greatest beside a border": (_image(lambda y: F.max_pool2d(y, 3, 2, 1)), (1, 2, 6, 6)),
    "greatest, adaptive": (_image(lambda y: F.adaptive_max_pool2d(y, 2)), (1, 2, 6, 4)),
    # reductions
    "var": (_one(lambda y: y.var(-1)), (3, 6)),
    "var, biased, kept": (_one(lambda y: y.var(1, unbiased=False, keepdim=True)), (2, 5, 6)),
    "std": (_one(lambda y: y.std(-1)), (3, 6)),
    "var of everything": (_one(lambda y: y.var()), (3, 6)),
    "std and mean": (_one(lambda y: sum(torch.std_mean(y))), (3, 6)),
    "var and mean": (_one(lambda y: sum(torch.var_mean(y, -1))), (3, 6)),
    "least and where": (_one(lambda y: y.min(-1).values), (3, 6)),
    "greatest, first axis": (_one(lambda y: y.max(0).values), (3, 6)),
    "amax of two axes": (_one(lambda y: y.amax((1, 2))), (2, 3, 6)),
    "max of a matrix": (_one(lambda y: y.max()), (3, 6)),
    "the greatest one": (_one(lambda y: y.topk(1)[0]), (3, 6)),
    "norm": (_one(lambda y: y.norm(dim=-1)), (3, 6)),
    "norm of order one": (_one(lambda y: y.norm(p=1, dim=-1, keepdim=True)), (3, 6)),
    "greatest size": (_one(lambda y: torch.linalg.vector_norm(y, float("inf"), -1)), (3, 6)),
    # cell by cell
    "prelu of channels": (
        nn.Sequential(nn.Conv2d(2, 3, 3), nn.PReLU(3)), (1, 2, 5, 5),
    ),
    "rrelu": (_one(F.rrelu), (3, 6)),
    "softsign": (_one(F.softsign), (3, 6)),
    "tanhshrink": (_one(F.tanhshrink), (3, 6)),
    "hardshrink": (_one(lambda y: F.hardshrink(y, 0.46)), (3, 6)),
    "threshold": (_one(lambda y: F.threshold(y, 0.1, -0.2)), (3, 6)),
    "sign": (_one(torch.sign), (3, 6)),
    "reciprocal": (_one(lambda y: (y.abs() + 0.5).reciprocal()), (3, 6)),
    "unit rows, but for short ones": (
        _one(lambda y: y / y.norm(dim=-1, keepdim=True).clamp_min(1e-8).clamp_min(1.0)), (3, 6),
    ),
    "quotient": (_one(lambda y: y / (1 + y * y)), (3, 6)),
    "one over": (_one(lambda y: 1 / (1 + y.exp())), (3, 6)),
    "powers": (_one(lambda y: (y.abs() + 0.5) ** 1.5 + (y.abs() + 0.5) ** -2), (3, 6)),
    "a power of two": (_one(lambda y: 2**y), (3, 6)),
    "atan": (_one(torch.atan), (3, 6)),
    "expm1": (_one(torch.expm1), (3, 6)),
    "log1p": (_one(lambda y: y.abs().log1p()), (3, 6)),
    "lerp": (_one(lambda y: torch.lerp(y, y.relu(), 0.3)), (3, 6)),
    "addcmul": (_one(lambda y: torch.addcmul(y, y, y.sigmoid(), value=0.5)), (3, 6)),
    "where it is positive": (_one(lambda y: torch.where(y > 0, y, y * 0.1)), (3, 6)),
    "greater of two": (_one(lambda y: torch.where(y > y.flip(1), y, 0.0)), (3, 6)),
    "times a truth": (_one(lambda y: y * (y >= 0.2)), (3, 6)),
    "masked by a number": (_one(lambda y: y.masked_fill(y < -0.1, 0.5)), (3, 6)),
    "tril": (_one(lambda y: (y @ y.mT).tril()), (1, 4, 6)),
    "triu": (_one(lambda y: (y @ y.mT).triu(1)), (1, 4, 6)),
    "in place": (_one(lambda y: y.mul_(2).add_(1).sigmoid_()), (3, 6)),
    # products
    "bmm": (_one(lambda y: torch.bmm(y, y.mT)), (2, 4, 6)),
    "einsum of one": (_one(lambda y: torch.einsum("bij->ji", y)), (2, 4, 6)),
    "einsum with a sum": (_one(lambda y: torch.einsum("bij,bkl->bik", y, y)), (1, 4, 6)),
    "a vector": (_one(lambda y: y @ y[0]), (3, 6)),
    "a dot": (_one(lambda y: y[0] @ y[1]), (2, 6)),
    "constant on the left": (Apply(lambda x, m: ADJACENT @ m(x), nn.Linear(6, 6)), (1, 5, 6)),
    "weights that depend": (_one(lambda y: F.linear(y, y)), (4, 6)),
    "cosine": (_one(lambda y: F.cosine_similarity(y[:1] + 0.3, y[1:], dim=-1)), (4, 6)),
    "distance": (_one(lambda y: F.pairwise_distance(y[:2], y[2:])), (4, 6)),
    "normalised channels": (_image(lambda y: F.normalize(y + 0.5, dim=1)), (1, 2, 3, 4)),
    # the last, so that the others keep their weights
    "cosine of other ranks": (
        _one(lambda y: F.cosine_similarity(y[0] + 2, y.view(4, 1, 6) + 2, dim=0)), (4, 6),
    ),
    "cosine with constants": (
        _one(lambda y: F.cosine_similarity(y[:, None], EXAMPLES, dim=-1)), (4, 6),
    ),
    "cosine of what is short": (
        _one(lambda y: F.cosine_similarity(y[:1], y[1:], dim=-1, eps=1.0)), (4, 6),
    ),
    "normalised, what is short not": (_one(lambda y: F.normalize(y, eps=1.0)), (4, 6)),
    "outer": (_one(lambda y: torch.outer(y[0], y[1])), (2, 6)),
    "pairs": (
        Apply(lambda x, m: m(x[:, :2], x[:, 2:]), nn.Bilinear(2, 4, 3)), (3, 6),
    ),
    "a constant matrix for each": (_one(lambda y: torch.einsum("bd,edo->beo", y, CUBE)), (3, 6)),
    "a constant matrix for each, on the left": (
        _one(lambda y: CUBE.mT @ y.T), (3, 6),
    ),
    "powers below zero": (
        _one(lambda y: (y.abs() + 0.5) ** -1.5 + (y.abs() + 0.5) ** -0.3), (3, 6),
    ),
    "a power that is a tensor": (_one(lambda y: (y * y + 0.5).pow(TENSOR(-2.5))), (3, 6)),
    "sgn": (_one(torch.sgn), (3, 6)),
    "one number or another": (_one(lambda y: torch.where(y > 0, 1.0, -2.0) * y), (3, 6)),
    "how many are positive": (_one(lambda y: (y > 0).sum(-1) + y.sum(-1)), (3, 6)),
    "between tensors": (_one(lambda y: y.clamp(TENSOR([-0.2] * 6), TENSOR(0.3))), (3, 6)),
    "channels dropped": (
        nn.Sequential(nn.Conv2d(2, 3, 1), nn.Dropout2d(), nn.FeatureAlphaDropout()), (1, 2, 3, 3),
    ),
    "dropped, of mean and spread": (nn.Sequential(nn.Linear(6, 4), nn.AlphaDropout()), (3, 6)),
    "a constant of that type": (_one(lambda y: y + TENSOR([1, 2, 3, 4, 5, 6]).type_as(y)), (3, 6)),
    "a constant cut off": (_one(lambda y: y + TENSOR([0.5] * 6).type_as(PLACES)), (3, 6)),
    "patches by views": (
        _image(lambda y: y.view(2, 4, 2, 2, 2, 3).permute(0, 2, 4, 3, 5, 1).reshape(2, 4, 24)),
        (2, 2, 4, 6),
    ),
    "an image of patches": (
        _one(lambda y: y.view(2, 2, 2, 2, 3).permute(4, 0, 2, 1, 3).reshape(1, 3, 4, 4), 12),
        (1, 4, 12),
    ),
    "windows": (
        _one(lambda y: y.view(1, 2, 2, 2, 2, 6).transpose(2, 3).reshape(4, 4, 6).softmax(1)),
        (1, 4, 4, 6),
    ),
}  # fmt: skip
OPERATORS_OF_PLACES: dict[str, tuple[nn.Module, Shape]] = {
    "argmax of rows": (_place(lambda y: y.argmax(0)), (3, 6)),
    "argmax, kept": (_place(lambda y: y.argmax(-1, keepdim=True)), (3, 6)),
    "argmin": (_place(lambda y: y.argmin(-1)), (3, 6)),
    "argmax of all": (_place(lambda y: y.argmax()), (3, 6)),
    "where the greatest stands": (_place(lambda y: y.max(-1).indices), (3, 6)),
    "where the least stands": (_place(lambda y: y.min(-1).indices), (3, 6)),
    "where the first stands": (_place(lambda y: y.topk(1, dim=0).indices), (3, 6)),
}
