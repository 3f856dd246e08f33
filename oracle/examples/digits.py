"""Handwritten digits: scikit-learn's 1,797 images of 8 x 8, and a 64-32-10 ReLU network for them.

The held-out fifth is fixed by a seed of numpy's generator, so that every report speaks of the same
images. Pixels are whole sixteenths in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import torch

SEED = 20
HELD_OUT = 360
PIXELS, HIDDEN, CLASSES = 64, 32, 10
INPUT_SHAPE = (1, PIXELS)
INPUT_RANGE = (0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Digits:
    """images: float64 (n, 64) in [0, 1]; labels: int64 (n,)."""

    images: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def load() -> tuple[Digits, Digits]:
    """Training and held-out images, from the data that scikit-learn carries."""
    from sklearn.datasets import load_digits

    found = load_digits()
    images, labels = found.data / 16.0, found.target.astype(np.int64)
    order = np.random.default_rng(SEED).permutation(len(labels))
    held, rest = order[:HELD_OUT], order[HELD_OUT:]
    return Digits(images[rest], labels[rest]), Digits(images[held], labels[held])


def build() -> torch.nn.Sequential:
    """The network, untrained."""
    from torch import nn

    return nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))


def train(data: Digits, seed: int = SEED, epochs: int = 60) -> torch.nn.Sequential:
    """A trained network: Adam, batches of 64, a fixed seed; about two seconds."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = build()
        images = torch.tensor(data.images, dtype=torch.float32)
        labels = torch.tensor(data.labels)
        optimiser = torch.optim.Adam(module.parameters(), lr=3e-3, weight_decay=1e-4)
        for _ in range(epochs):
            for chosen in torch.randperm(len(data)).split(64):
                optimiser.zero_grad()
                loss = torch.nn.functional.cross_entropy(module(images[chosen]), labels[chosen])
                loss.backward()
                optimiser.step()
    return module.eval()


def accuracy(logits: npt.ArrayLike, labels: npt.NDArray[np.int64]) -> float:
    """The share of rows whose largest logit is the label's (the first, if several are largest)."""
    return float((np.argmax(np.asarray(logits), axis=1) == labels).mean())
