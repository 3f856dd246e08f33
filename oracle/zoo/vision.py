"""Networks that see images, trained for real on scikit-learn's digits, enlarged.

    python -m oracle.zoo.vision NAME OUT.safetensors     trains one again: a minute or less

LeNet-5 (LeCun et al. 1998) with ReLU, and with either kind of pooling; a residual network of ten
layers (He et al. 2016); an LSTM that reads them row by row. What is held out is what
`oracle.examples.digits` holds out. The trained weights are beside this file, as float16.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from oracle.examples import digits

SEED, BATCH, RATE = 20, 64, 2e-3
LENET_SIDE, RESNET_SIDE = 28, 32
REACH = (0.0, 1.0)


@dataclass(frozen=True)
class Trained:
    """A network in evaluation mode; images (n, 1, side, side) in [0, 1], of which it has seen
    `training`, and the labels of those that were held out."""

    module: nn.Module
    training: npt.NDArray[np.float64]
    held_out: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]


def enlarged(images: npt.NDArray[np.float64], side: int) -> npt.NDArray[np.float64]:
    """Images of 8 x 8 as rows, to (n, 1, side, side), linear in between."""
    from scipy.ndimage import zoom

    square = zoom(images.reshape(-1, 8, 8), (1, side / 8, side / 8), order=1)
    return np.asarray(square.clip(*REACH)[:, None], dtype=np.float64)


def lenet_5(pool: type[nn.Module] = nn.MaxPool2d) -> nn.Sequential:
    """Untrained: 28 x 28 to 10 logits, 61,706 parameters."""
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), pool(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), pool(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    )  # fmt: skip


class Residual(nn.Module):
    """Two convolutions of 3 x 3 beside a shortcut; a stride of 2 where the channels double."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        stride = 1 if inner == outer else 2
        self.body = nn.Sequential(
            nn.Conv2d(inner, outer, 3, stride, 1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(),
            nn.Conv2d(outer, outer, 3, 1, 1, bias=False), nn.BatchNorm2d(outer),
        )  # fmt: skip
        self.shortcut: nn.Module = nn.Identity()
        if inner != outer:
            self.shortcut = nn.Sequential(
                nn.Conv2d(inner, outer, 1, stride, bias=False), nn.BatchNorm2d(outer)
            )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.body(x) + self.shortcut(x))


def resnet_10(channels: tuple[int, ...] = (8, 8, 16, 32, 64)) -> nn.Sequential:
    """Untrained: 32 x 32 to 10 logits; a convolution, four blocks of two, a linear layer."""
    blocks = [Residual(a, b) for a, b in pairwise(channels)]
    return nn.Sequential(
        nn.Conv2d(1, channels[0], 3, padding=1, bias=False), nn.BatchNorm2d(channels[0]),
        nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels[-1], 10),
    )  # fmt: skip


class RowByRow(nn.Module):
    """An LSTM that reads an image's rows from above (Hochreiter and Schmidhuber 1997); its last
    hidden state gives the logits."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.memory = nn.LSTM(width, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        states, _ = self.memory(x.squeeze(1))
        logits: torch.Tensor = self.head(states[:, -1])
        return logits


class Known(NamedTuple):
    """How to make a network untrained, what it sees, how long it is trained."""

    make: Callable[[], nn.Module]
    side: int
    epochs: int


NETWORKS = {
    "lenet": Known(lenet_5, LENET_SIDE, 12),
    "lenet-average": Known(lambda: lenet_5(nn.AvgPool2d), LENET_SIDE, 12),
    "resnet": Known(resnet_10, RESNET_SIDE, 10),
    "lstm": Known(lambda: RowByRow(LENET_SIDE, 64), LENET_SIDE, 15),
}


def trained(name: str) -> Trained:
    """A network of NETWORKS with its weights."""
    from safetensors.torch import load_model

    known, (training, held) = NETWORKS[name], digits.load()
    module = known.make()
    load_model(module, Path(__file__).with_name(f"{name}.safetensors"))
    seen, new = (enlarged(part.images, known.side) for part in (training, held))
    return Trained(module.eval(), seen, new, held.labels)


def train(name: str) -> nn.Module:
    """Adam on cross entropy, its rate a quarter for the last third."""
    known, (training, _) = NETWORKS[name], digits.load()
    images = torch.tensor(enlarged(training.images, known.side), dtype=torch.float32)
    labels = torch.tensor(training.labels)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module = known.make().train()
        optimiser = torch.optim.Adam(module.parameters(), lr=RATE, weight_decay=1e-4)
        slower = torch.optim.lr_scheduler.MultiStepLR(optimiser, [2 * known.epochs // 3], 0.25)
        for _ in range(known.epochs):
            for chosen in torch.randperm(len(labels)).split(BATCH):
                optimiser.zero_grad()
                nn.functional.cross_entropy(module(images[chosen]), labels[chosen]).backward()
                optimiser.step()
            slower.step()
    return module.eval()


if __name__ == "__main__":
    from safetensors.torch import save_model

    save_model(train(sys.argv[1]).half(), sys.argv[2])
