"""LSTMs, GRUs and plain networks from torch.export: close to torch, the same integers everywhere,
proved; gas hardly knows the steps."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from prover.compiler import UnsupportedOp
from prover.program.ir import Stack
from prover.program.layout import layout
from tests.convolutions import Apply, assert_close, compiled
from tests.proving import setup

FIRST: dict[str, Any] = {"batch_first": True}
BOTH: dict[str, Any] = {"batch_first": True, "bidirectional": True}


def last(x: torch.Tensor, lstm: nn.Module, head: nn.Module) -> torch.Tensor:
    made: torch.Tensor = head(lstm(x)[0][:, -1])
    return made


torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them
MODELS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "every state": (Apply(lambda x, m: m(x)[0], nn.LSTM(3, 5, **FIRST)), (2, 4, 3)),
    "a batch of one": (Apply(lambda x, m: m(x)[0], nn.LSTM(3, 5, **FIRST)), (1, 4, 3)),
    "the last state": (Apply(last, nn.LSTM(3, 5, **FIRST), nn.Linear(5, 2)), (2, 4, 3)),
    "time first, the last cell": (
        Apply(lambda x, m, d: d(m(x)[1][1].squeeze(0)), nn.LSTM(3, 5), nn.Linear(5, 2)),
        (4, 2, 3),
    ),
    "two layers": (Apply(last, nn.LSTM(3, 5, 2, **FIRST), nn.Linear(5, 2)), (1, 6, 3)),
    "two layers' last states": (
        Apply(lambda x, m, d: d(m(x)[1][0]), nn.LSTM(3, 5, 2, **FIRST), nn.Linear(5, 2)),
        (2, 6, 3),
    ),
    "no bias": (Apply(lambda x, m: m(x)[0], nn.LSTM(3, 5, bias=False, **FIRST)), (1, 4, 3)),
    "three of them": (
        Apply(lambda x, *ms: ms[2](ms[1](ms[0](x)[0])[0])[0], *(
            nn.LSTM(5, 5, **FIRST) for _ in range(3)
        )),
        (1, 4, 5),
    ),
    "after a linear layer": (
        Apply(lambda x, d, m: m(d(x).tanh())[0], nn.Linear(3, 4), nn.LSTM(4, 5, **FIRST)),
        (2, 4, 3),
    ),
    "one unit": (Apply(lambda x, m: m(x)[0], nn.LSTM(3, 1, **FIRST)), (1, 4, 3)),
    "one feature": (Apply(lambda x, m: m(x)[0], nn.LSTM(1, 3, **FIRST)), (1, 4, 1)),
    "both directions": (Apply(lambda x, m: m(x)[0], nn.LSTM(3, 5, **BOTH)), (2, 4, 3)),
    "both directions, two layers, every last state": (
        Apply(
            lambda x, m, d: torch.cat([d(y) for y in m(x)[1]], -1), nn.LSTM(3, 5, 2, **BOTH),
            nn.Linear(5, 2),
        ),
        (2, 5, 3),
    ),
    "GRU, every state": (Apply(lambda x, m: m(x)[0], nn.GRU(3, 5, **FIRST)), (2, 4, 3)),
    "GRU, a batch of one": (Apply(lambda x, m: m(x)[0], nn.GRU(3, 5, **FIRST)), (1, 7, 3)),
    "GRU, time first, two layers": (
        Apply(lambda x, m, d: d(m(x)[1]), nn.GRU(3, 5, 2), nn.Linear(5, 2)), (4, 2, 3),
    ),
    "GRU, no bias": (Apply(lambda x, m: m(x)[0], nn.GRU(3, 5, bias=False, **FIRST)), (1, 4, 3)),
    "GRU, both directions": (Apply(lambda x, m: m(x)[0], nn.GRU(3, 5, 2, **BOTH)), (2, 4, 3)),
    "GRU, one unit": (Apply(lambda x, m: m(x)[0], nn.GRU(3, 1, **FIRST)), (1, 4, 3)),
    "GRU over an LSTM": (
        Apply(lambda x, m, n: n(m(x)[0])[0][:, -1], nn.LSTM(3, 5, **FIRST), nn.GRU(5, 4, **FIRST)),
        (2, 6, 3),
    ),
    "plain, every state": (Apply(lambda x, m: m(x)[0], nn.RNN(3, 5, **FIRST)), (2, 4, 3)),
    "plain, both directions, two layers, every last state": (
        Apply(lambda x, m, d: d(m(x)[1]), nn.RNN(3, 5, 2, **BOTH), nn.Linear(5, 2)), (2, 5, 3),
    ),
    "plain, time first, no bias": (
        Apply(lambda x, m: m(x)[0], nn.RNN(3, 5, bias=False)), (4, 2, 3),
    ),
    "plain, one unit": (Apply(lambda x, m: m(x)[0], nn.RNN(1, 1, **FIRST)), (1, 4, 1)),
    "relu, every state": (
        Apply(lambda x, m: m(x)[0], nn.RNN(3, 5, nonlinearity="relu", **FIRST)), (2, 7, 3),
    ),
    "relu, both directions, two layers": (
        Apply(lambda x, m: m(x)[0][:, -1], nn.RNN(3, 5, 2, nonlinearity="relu", **BOTH)),
        (2, 5, 3),
    ),
    "relu, one unit": (
        Apply(lambda x, m, d: d(m(x)[0]), nn.RNN(3, 1, nonlinearity="relu", **FIRST),
              nn.Linear(1, 2)),
        (1, 4, 3),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_memories_are_close_to_torch(name: str) -> None:
    module, shape = MODELS[name]
    made, _ = assert_close(module, *shape)
    assert made.program.stacks


PROVED = [
    "two layers' last states", "three of them", "one unit",
    "both directions, two layers, every last state",
    "GRU, time first, two layers", "GRU, both directions", "GRU, one unit",
    "plain, both directions, two layers, every last state", "plain, one unit",
    "relu, both directions, two layers", "relu, one unit",
]  # fmt: skip


@pytest.mark.parametrize("name", PROVED)
def test_memories_are_proved_and_verified(name: str) -> None:
    module, shape = MODELS[name]
    _, given = assert_close(module, *shape)
    ready = setup(given)
    ready.verify(ready.prove())


@pytest.mark.parametrize(
    ("kind", "gadgets"),
    [
        (nn.LSTM, 9),
        (nn.GRU, 7),
        (nn.RNN, 2),
        (partial(nn.RNN, nonlinearity="relu"), 1),
    ],
)
def test_steps_cost_a_coordinate(kind: Any, gadgets: int) -> None:
    """Eight times the steps: as many gadgets, and about as many terms for the verifier to read."""
    terms = []
    for steps in (4, 32):
        module = Apply(last, kind(4, 8, **FIRST), nn.Linear(8, 2)).double()
        made = compiled(module, 1, steps, 4)
        (stack,) = made.program.stacks
        assert stack == Stack(stack.first, gadgets, steps)
        terms.append(len(layout(made.program).terms))
    assert terms[1] < 1.15 * terms[0]


REFUSED: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "projections": (
        Apply(lambda x, m: m(x)[0], nn.LSTM(3, 4, proj_size=2, **FIRST)), (2, 4, 3), "projections",
    ),
    "a start that is not zero": (
        Apply(
            lambda x, m: m(x, (torch.ones(1, 2, 4, dtype=x.dtype), torch.zeros(1, 2, 4).to(x)))[0],
            nn.LSTM(3, 4, **FIRST),
        ),
        (2, 4, 3), "start from zeros",
    ),
    "one step": (
        Apply(lambda x, m: m(x)[0], nn.LSTM(3, 4, **FIRST)), (2, 1, 3), "more than one step",
    ),
    "a plain network of one step": (
        Apply(lambda x, m: m(x)[0], nn.RNN(3, 4, **FIRST)), (2, 1, 3), "more than one step",
    ),
    "GRU from elsewhere": (
        Apply(lambda x, m: m(x, torch.ones(1, 2, 4).to(x))[0], nn.GRU(3, 4, **FIRST)),
        (2, 4, 3), "start from zeros",
    ),
    "a GRU of one step": (
        Apply(lambda x, m: m(x)[0], nn.GRU(3, 4, **FIRST)), (2, 1, 3), "more than one step",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    module, shape, reason = REFUSED[name]
    with pytest.raises(UnsupportedOp, match=reason):
        compiled(module.double(), *shape)
