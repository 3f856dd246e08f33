"""Small networks of convolutions, pools and what goes with them, in torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from oracle.adapters.torch_engine import Network
from prover.compiler import Compiled, compile_module
from prover.quantizer import FloatArray
from tests.programs import Case
from tests.transformers import case, cosine, floats

RANGE = (-1.0, 1.0)


class Apply(nn.Module):
    """A function of the input and of some layers."""

    def __init__(self, function: Callable[..., torch.Tensor], *layers: nn.Module) -> None:
        super().__init__()
        self.function, self.layers = function, nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.function(x, *self.layers)


def settled(norm: Any) -> Any:
    """A batch norm as if it had been trained."""
    with torch.no_grad():
        for values, ends in (
            (norm.running_mean, (-1, 1)), (norm.running_var, (0.3, 2)),
            (norm.weight, (0.5, 2)), (norm.bias, (-1, 1)),
        ):  # fmt: skip
            values.uniform_(*ends)
    return norm


def inputs(seed: int, *shape: int) -> FloatArray:
    return np.random.default_rng(seed).uniform(*RANGE, shape)


def compiled(module: nn.Module, *shape: int, **more: Any) -> Compiled:
    return compile_module(module, shape, RANGE, examples=inputs(1, 24, *shape), **more)


def assert_close(module: nn.Module, *shape: int, least: float = 0.999) -> tuple[Compiled, Case]:
    """Interpreter and engine agree bit for bit on two inputs, and with torch up to rounding."""
    made = compiled(module.double().eval(), *shape)
    return made, assert_agreed(
        made, module, *(inputs(seed, *shape) for seed in (2, 3)), least=least
    )


def assert_agreed(
    made: Compiled, module: nn.Module, *every: FloatArray, least: float = 0.999
) -> Case:
    """The same of what was compiled, on inputs that are given; the last one's case."""
    engine = Network(made.program, made.weights)
    for x in every:
        given = case(made, x)
        values = given.values
        for name, cells in engine.run({"input": given.given["input"]}).items():
            np.testing.assert_array_equal(cells, values[name], err_msg=name)
        got, want = made.quantizer.dequantize(values["output"]), floats(module, x)
        assert got.shape == want.shape
        assert np.array_equal(got, want) or cosine(got, want) > least
        apart = np.linalg.norm(got - want)  # which a wrong factor moves, and no cosine
        assert apart <= 2 * np.sqrt(2 * (1 - least)) * np.linalg.norm(want)
    return given


torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them
CONVOLUTIONS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "plain": (nn.Conv2d(3, 5, 3), (1, 3, 7, 6)),
    "batch, padding, stride": (nn.Conv2d(3, 5, 3, padding=1, stride=2), (2, 3, 7, 9)),
    "groups, two strides": (
        nn.Conv2d(4, 6, (3, 2), padding=(1, 0), stride=(2, 3), groups=2),
        (1, 4, 9, 11),
    ),
    "depthwise, dilated, same": (
        nn.Conv2d(4, 4, 3, groups=4, dilation=2, padding="same"),
        (2, 4, 6, 6),
    ),
    "one dimension": (nn.Conv1d(3, 4, 5, stride=2, padding=4), (2, 3, 9)),
    "to one cell": (nn.Conv2d(1, 2, 5), (1, 1, 5, 5)),
    "patches": (nn.Conv2d(2, 2, 4, stride=4), (1, 2, 14, 14)),
    "no batch axis": (nn.Conv2d(2, 3, 3), (2, 6, 6)),
    "one by one, no bias": (nn.Conv2d(3, 2, 1, bias=False), (2, 3, 4, 5)),
    "a stride beyond the kernel": (nn.Conv2d(2, 3, 2, stride=5), (1, 2, 12, 11)),
}


def _image(*layers: nn.Module) -> nn.Module:
    """3 channels out of one, rectified, then the layers."""
    return nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.ReLU(), *layers)


POOLS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "max": (_image(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 4)), (1, 1, 6, 6)),
    "max of negatives": (
        nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), nn.MaxPool2d(2)),
        (2, 1, 6, 7),
    ),
    "max, overlapping, padded": (_image(nn.MaxPool2d(3, 2, 1)), (2, 1, 7, 7)),
    "max, ceil": (_image(nn.MaxPool2d(2, 2, ceil_mode=True)), (1, 1, 7, 7)),
    "max, dilated": (_image(nn.MaxPool2d(2, 1, dilation=2)), (1, 1, 7, 7)),
    "max, 28 rows": (_image(nn.MaxPool2d(2), nn.Conv2d(3, 2, 3)), (1, 1, 28, 28)),
    "max, a row left over": (
        _image(nn.MaxPool2d(2), nn.Conv2d(3, 2, 3, padding=1), nn.ReLU(), nn.Conv2d(2, 2, 2)),
        (1, 1, 7, 7),
    ),
    "max, cut and padded": (
        Apply(
            lambda x, a, b: b(F.max_pool2d(a(x).relu(), 2)[:, :, :10, :11]),
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(2, 2, 3, padding=1),
        ),
        (1, 1, 28, 28),
    ),
    "cut, strided": (
        Apply(
            lambda x, a, b: b(F.max_pool2d(a(x).relu(), 2)[:, :, :10, :11]),
            nn.Conv2d(1, 2, 3, padding=1),
            nn.Conv2d(2, 2, 3, stride=(1, 2), padding=1),
        ),
        (1, 1, 28, 28),
    ),
    "average": (_image(nn.AvgPool2d(2), nn.Flatten(), nn.Linear(27, 4)), (1, 1, 6, 6)),
    "average, overlapping": (
        nn.Sequential(nn.Conv2d(1, 3, 3), nn.AvgPool2d(3, 1, 1)),
        (2, 1, 6, 7),
    ),
    "one dimension": (
        nn.Sequential(nn.Conv1d(2, 3, 3), nn.AvgPool1d(2), nn.MaxPool1d(2)),
        (1, 2, 12),
    ),
    "adaptive": (_image(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 2)), (2, 1, 6, 7)),
    "adaptive to two": (_image(nn.AdaptiveAvgPool2d((2, 1))), (1, 1, 6, 7)),
}

NORMS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "after convolutions": (
        nn.Sequential(
            nn.Conv2d(2, 4, 3), settled(nn.BatchNorm2d(4)), nn.ReLU(),
            nn.Conv2d(4, 4, 3, bias=False), settled(nn.BatchNorm2d(4)),
        ),
        (1, 2, 7, 7),
    ),
    "first": (
        nn.Sequential(settled(nn.BatchNorm2d(3)), nn.ReLU(), nn.Conv2d(3, 2, 1)),
        (2, 3, 4, 4),
    ),
    "after a linear layer": (
        nn.Sequential(nn.Linear(6, 5), settled(nn.BatchNorm1d(5)), nn.ReLU(), nn.Linear(5, 3)),
        (2, 6),
    ),
}  # fmt: skip

MASK = torch.arange(6) % 2 == 0
HALF = torch.tensor(0.5, dtype=torch.float64)


def _linear(function: Callable[[torch.Tensor], torch.Tensor]) -> nn.Module:
    return Apply(lambda x, layer: function(layer(x)), nn.Linear(6, 6))


OTHERS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "cat of channels": (
        Apply(
            lambda x, a, b: torch.cat([a(x), b(x).relu(), x], 1),
            nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 1, 3, padding=1),
        ),
        (1, 2, 4, 5),
    ),
    "cat of slices": (_linear(lambda y: torch.cat([y[:, 2:], y[:, :2]], -1) * 2), (4, 6)),
    "cat of parts": (_linear(lambda y: torch.cat([y, y], -1).view(2, 6, 2).softmax(-1)), (2, 6)),
    "cat of single rows": (
        _linear(lambda y: torch.cat([y[:, 2:3], y[:, :1], HALF.expand(2, 1, 6)], 1) * 1.5),
        (2, 3, 6),
    ),
    "stack": (Apply(lambda x, a: torch.stack([a(x), x], 1).relu(), nn.Linear(4, 4)), (3, 4)),
    "pad": (
        Apply(lambda x, a: a(F.pad(a(x), (1, 2, 0, 1))), nn.Conv2d(2, 2, 3)),
        (1, 2, 6, 6),
    ),
    "crop": (_linear(lambda y: F.pad(y, (-1, 2))), (2, 6)),
    "mean": (_linear(lambda y: y.mean((1,))), (2, 3, 6)),
    "mean kept": (_linear(lambda y: y.mean(-1, keepdim=True) + y), (2, 6)),
    "sum of everything": (_linear(lambda y: y.sum() * 0.25), (2, 6)),
    "amax": (_linear(lambda y: y.amax(1)), (2, 3, 6)),
    "max of a window": (_linear(lambda y: y[:, 1:].max(-1, keepdim=True)[0] * y[:, :1]), (2, 3, 6)),
    "max of everything": (_linear(lambda y: y.max()), (1, 6)),
    "where": (_linear(lambda y: torch.where(MASK, y, y * 0.5)), (2, 6)),
    "where, constant": (_linear(lambda y: torch.where(MASK, y, HALF)), (2, 6)),
    "where, zero": (_linear(lambda y: torch.where(MASK, HALF * 0, y)), (2, 6)),
    "exp": (_linear(torch.exp), (2, 6)),
    "erf": (_linear(torch.erf), (2, 6)),
    "log": (_linear(lambda y: (y * y + 0.5).log()), (2, 6)),
    "elu": (_linear(F.elu), (2, 6)),
    "softplus": (_linear(F.softplus), (2, 6)),
    "mish": (_linear(F.mish), (2, 6)),
    "leaky_relu": (_linear(lambda y: F.leaky_relu(y, 0.2)), (2, 6)),
    "hardtanh": (_linear(lambda y: F.hardtanh(y, -0.3, 0.4)), (2, 6)),
    "relu6": (_linear(lambda y: F.relu6(8 * y)), (2, 6)),
    "relu6 out of reach": (_linear(F.relu6), (2, 6)),
    "clamp": (_linear(lambda y: y.clamp(-0.2) + y.clamp(max=0.2)), (2, 6)),
    "abs": (_linear(torch.abs), (2, 6)),
    "hardswish": (_linear(lambda y: F.hardswish(4 * y)), (2, 6)),
    "hardsigmoid": (_linear(lambda y: F.hardsigmoid(5 * y)), (2, 6)),
    "sqrt": (_linear(lambda y: (y * y + 0.3).sqrt()), (2, 6)),
    "rsqrt": (_linear(lambda y: (y * y + 0.3).rsqrt()), (2, 6)),
    "powers": (_linear(lambda y: y**2 + y**3 - y**5 + torch.square(y)), (2, 6)),
    "a negative power": (_linear(lambda y: (y * y + 1) ** -0.5), (2, 6)),
}  # fmt: skip

EVERY = {
    f"{kind}: {name}": given
    for kind, group in (
        ("conv", CONVOLUTIONS), ("pool", POOLS), ("batch_norm", NORMS), ("op", OTHERS),
    )
    for name, given in group.items()
}  # fmt: skip
