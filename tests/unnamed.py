"""One operator each, and small networks, as people write them: what the compiler is to import."""

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


class UNet(nn.Module):
    """Down, up by a transposed convolution, and what was beside (Ronneberger et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(4, 3, 2, stride=2), nn.Conv2d(6, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        a = F.relu(self.one(x))
        b = F.relu(self.two(F.max_pool2d(a, 2)))
        made: Tensor = self.out(torch.cat([a, F.relu(self.up(b))], 1))
        return made


class Temporal(nn.Module):
    """Two dilated causal convolutions beside a residual connection (Bai et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(2, 4, 3, dilation=1), nn.Conv1d(4, 4, 3, dilation=2)
        self.beside, self.out = nn.Conv1d(2, 4, 1), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(F.pad(x, (2, 0))))
        y = F.relu(self.second(F.pad(y, (4, 0)))) + self.beside(x)
        made: Tensor = self.out(F.relu(y)[:, :, -1])
        return made


class Squeeze(nn.Module):
    """Channels weighed by their averages (Hu et al. 2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.down, self.up = nn.Conv2d(2, 6, 3), nn.Linear(6, 3), nn.Linear(3, 6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        share = torch.sigmoid(self.up(F.relu(self.down(y.mean((2, 3))))))
        made: Tensor = y * share[:, :, None, None]
        return made


class Mixer(nn.Module):
    """A block of MLP-Mixer: tokens, then channels (Tolstikhin et al. 2021)."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(6), nn.LayerNorm(6)])
        self.tokens = nn.Sequential(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 4))
        self.channels = nn.Sequential(nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 6))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.tokens(self.norms[0](x).transpose(1, 2)).transpose(1, 2)
        made: Tensor = x + self.channels(self.norms[1](x))
        return made


class ConvNext(nn.Module):
    """A block of ConvNeXt: depthwise, a norm of channels, an inverted bottleneck (Liu et al.
    2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.deep, self.norm = nn.Conv2d(4, 4, 5, padding=2, groups=4), nn.LayerNorm(4)
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)
        self.gamma = nn.Parameter(torch.rand(4))

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(self.deep(x).permute(0, 2, 3, 1))
        y = self.gamma * self.down(F.gelu(self.up(y)))
        return x + y.permute(0, 3, 1, 2)


class Alibi(nn.Module):
    """Causal attention with slopes for distances (Press et al. 2022)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(6, 18), nn.Linear(6, 6)
        at = torch.arange(5)
        slopes = torch.tensor([0.5, 0.25])[:, None, None]
        mask = torch.full((5, 5), -torch.inf).triu(1)
        self.register_buffer("bias", slopes * (at - at[:, None]).clamp(max=0) + mask)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (y.view(1, 5, 2, 3).transpose(1, 2) for y in self.qkv(x).chunk(3, -1))
        shares = (q @ k.mT / 3**0.5 + self.bias).softmax(-1)
        made: Tensor = self.out((shares @ v).transpose(1, 2).reshape(1, 5, 6))
        return made


class Inverted(nn.Module):
    """MobileNet's inverted residual (Sandler et al. 2018), batch norms as they begin."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 6, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False), nn.BatchNorm2d(6), nn.ReLU6(),
            nn.Conv2d(6, 3, 1, bias=False), nn.BatchNorm2d(3),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = x + self.layers(x)
        return made


class Highway(nn.Module):
    """t h + (1 - t) x (Srivastava et al. 2015)."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))
        self.layers = nn.ModuleList(nn.Linear(6, 6) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        for gate, layer in zip(self.gates, self.layers, strict=True):
            t = torch.sigmoid(gate(x))
            x = t * torch.tanh(layer(x)) + (1 - t) * x
        return x


class Siamese(nn.Module):
    """How far two halves of the input are from each other."""

    def __init__(self) -> None:
        super().__init__()
        self.tower = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.tower(x[:, :6]), self.tower(x[:, 6:])
        return F.pairwise_distance(a, b + 1)


class Shifted(nn.Module):
    """Attention in shifted windows (Liu et al. 2021), of one dimension."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)

    def forward(self, x: Tensor) -> Tensor:
        windows = x.roll(-2, 1).view(2, 4, 4)
        q, k, v = self.qkv(windows).chunk(3, -1)
        y = F.scaled_dot_product_attention(q, k, v).reshape(1, 8, 4).roll(2, 1)
        made: Tensor = x + self.out(y)
        return made


class Graph(nn.Module):
    """Two layers over neighbours (Kipf and Welling 2017)."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(6, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.two(ADJACENT @ F.relu(self.one(ADJACENT @ x)))
        return made


class Linear(nn.Module):
    """Attention without softmax, its factors counted as they come (Katharopoulos et al. 2020)."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = F.elu(q) + 1, F.elu(k) + 1
        shares = (q @ k.mT).tril()
        return (shares @ v) / (shares.sum(-1, keepdim=True) + 0.1)


class Crossed(nn.Module):
    """Factors of features and of their pairs (Naumov et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.tower, self.out = nn.Linear(3, 4), nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.tower(x)
        pairs = (y @ y.mT)[:, PAIRS[0], PAIRS[1]]
        made: Tensor = torch.sigmoid(self.out(torch.cat([y[:, 0], pairs], -1)))
        return made


def _gated_convolution() -> nn.Module:
    return nn.Sequential(nn.Conv1d(2, 8, 3, padding=1), nn.GLU(1), nn.Conv1d(4, 3, 3))


def _autoencoder() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.PReLU(3), nn.Conv2d(3, 4, 3, 2, 1), nn.ELU(),
        nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), nn.LeakyReLU(), nn.ConvTranspose2d(3, 1, 4, 2, 1),
        nn.Sigmoid(),
    )  # fmt: skip


def _finer() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, padding_mode="reflect"), nn.Tanh(),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="replicate"), nn.PixelShuffle(2),
    )  # fmt: skip


def _standardised(x: Tensor, one: nn.Module, two: nn.Module) -> Tensor:
    """A norm written by hand, as many write it."""
    y = one(x)
    y = (y - y.mean(-1, keepdim=True)) / (y.std(-1, keepdim=True) + 1e-3)
    made: Tensor = two(y)
    return made


def _sharing(x: Tensor, one: nn.Module) -> Tensor:
    """A softmax written by hand."""
    y = one(x)
    y = (y - y.max(-1, keepdim=True).values).exp()
    return y / y.sum(-1, keepdim=True)


def _spectral(x: Tensor, one: nn.Module, two: nn.Module) -> Tensor:
    """Both directions of a recurrence beside each other."""
    made: Tensor = torch.cat([one(x)[0], two(x.flip(1))[0].flip(1)], -1)
    return made


NETWORKS: dict[str, tuple[nn.Module, Shape]] = {
    "a U-Net": (UNet(), (1, 1, 8, 8)),
    "a temporal network": (Temporal(), (1, 2, 9)),
    "squeeze and excite": (Squeeze(), (1, 2, 6, 6)),
    "an MLP-Mixer": (Mixer(), (1, 4, 6)),
    "a ConvNeXt block": (ConvNext(), (1, 4, 6, 6)),
    "slopes of distances": (Alibi(), (1, 5, 6)),
    "a gated convolution": (_gated_convolution(), (1, 2, 9)),
    "an inverted residual": (Inverted(), (1, 3, 5, 5)),
    "a highway": (Highway(), (2, 6)),
    "a Siamese distance": (Siamese(), (2, 12)),
    "shifted windows": (Shifted(), (1, 8, 4)),
    "a graph": (Graph(), (1, 5, 6)),
    "attention without softmax": (Linear(), (1, 5, 4)),
    "crossed features": (Crossed(), (1, 4, 3)),
    "an autoencoder": (_autoencoder(), (1, 1, 8, 8)),
    "super-resolution": (_finer(), (1, 1, 5, 5)),
    "a norm by hand": (Apply(_standardised, nn.Linear(6, 8), nn.Linear(8, 3)), (2, 6)),
    "shares by hand": (Apply(_sharing, nn.Linear(6, 5)), (2, 6)),
    "two directions by hand": (
        Apply(_spectral, nn.GRU(4, 3, batch_first=True), nn.GRU(4, 3, batch_first=True)),
        (1, 5, 4),
    ),
}
