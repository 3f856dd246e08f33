"""What the compiler makes of convolutions, pools, memories and masks is laid out as it means:
shifted and cut views, public matrices, tables beside each other, several boxes an axis."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tests.programs import Case
from tests.soundness import test_layout_meaning as meaning
from tests.soundness.test_review_cells import masked, network, words

CASES: dict[str, tuple[Callable[[], Case], int]] = {
    "a convolution and padded windows": (
        lambda: network(
            lambda x, c: F.max_pool2d(F.relu(c(x)), 2, 2, 1),
            nn.Conv2d(1, 1, 2, padding=1),
            shape=(1, 1, 3, 3),
        ),
        8,
    ),
    "strides, groups and averages": (
        lambda: network(
            lambda x, c: F.avg_pool2d(c(x), (2, 1)),
            nn.Conv2d(2, 2, 2, stride=(1, 2), groups=2),
            shape=(1, 2, 3, 4),
        ),
        8,
    ),
    "a memory": (
        lambda: network(
            lambda x, lstm: lstm(x)[0], nn.LSTM(2, 1, batch_first=True), shape=(1, 3, 2)
        ),
        9,
    ),
    "attention that leaves padding out": (lambda: words(masked), 8),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("slices", [1, 4])
def test_terms_mean_the_relations(monkeypatch: pytest.MonkeyPatch, name: str, slices: int) -> None:
    torch.manual_seed(0)
    make, k = CASES[name]
    monkeypatch.setitem(meaning.CASES, name, (make().program, k))
    meaning.test_terms_mean_the_relations(name, slices)
    meaning.test_rows_of_the_lookup_are_each_there_once(name, slices)
