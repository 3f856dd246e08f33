"""Networks whose channels differ in size by powers of two, as training leaves them now and then."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import nn

WIDTHS = (16, 32, 24, 5)
SPREAD = 7  # bits to either side


def balanced(seed: int = 0) -> nn.Sequential:
    """Three linear layers with ReLUs between, none of whose channels stands out."""
    torch.manual_seed(seed)
    pairs = pairwise(WIDTHS)
    layers = [part for a, b in pairs for part in (nn.Linear(a, b), nn.ReLU())]
    return nn.Sequential(*layers[:-1]).double()


def unbalanced(seed: int = 0, before: bool = True) -> nn.Sequential:
    """The same function: between two layers each channel is 2^d times as large; between the first
    two only where `before`."""
    made = balanced(seed)
    with torch.no_grad():
        for first, second in ((made[0], made[2]), (made[2], made[4]))[not before :]:
            factor = 2.0 ** torch.randint(-SPREAD, SPREAD + 1, (len(first.weight),))
            first.weight *= factor[:, None]
            first.bias *= factor
            second.weight /= factor
    return made


def normed(seed: int = 0) -> nn.Sequential:
    """Channels of different sizes that a norm after the ReLU brings to one: no layer that reads
    them can take their factors."""
    made = balanced(seed)
    norm = nn.BatchNorm1d(WIDTHS[1], eps=0.0)
    with torch.no_grad():
        factor = 2.0 ** torch.randint(-SPREAD, 1, (WIDTHS[1],))
        made[0].weight *= factor[:, None]
        made[0].bias *= factor
        norm.running_var.copy_(factor.double() ** 2)
    return nn.Sequential(made[0], made[1], norm, *made[2:]).double().eval()
