"""Single steps of recurrent networks: close to torch, the same integers everywhere, proved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from prover.compiler.ranges import Ranges, evaluate
from prover.compiler.trace import trace
from tests.convolutions import Apply, assert_close, inputs
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.proving import setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.small import refusal
from tests.tampering import verdict
from tests.transformers import floats
from tests.unit.test_compiler_transformer_attacks import (
    assert_steps_are_bound,
    one_more,
    rewritten,
)

Tensor = torch.Tensor


def sequence(x: Tensor, cell: nn.Module, head: nn.Module | None = None) -> Tensor:
    """A loop over (batch, steps, features), as it is written by hand."""
    state = None
    for step in x.unbind(1):
        state = cell(step, state)
    last = state[0] if isinstance(state, tuple) else state
    made: Tensor = last if head is None else head(last)
    return made


def both(x: Tensor, cell: nn.Module) -> Tensor:
    return torch.cat(cell(x), -1)


def stacked(x: Tensor, lstm: nn.Module, gru: nn.Module) -> Tensor:
    """One kind over the other, a step at a time."""
    below, above = None, torch.zeros(len(x), 4, dtype=x.dtype)
    for step in x.unbind(1):
        below = lstm(step, below)
        above = gru(below[0], above)
    return above


def from_ones(x: Tensor, cell: nn.Module) -> Tensor:
    made: Tensor = cell(x, torch.full((len(x), 4), 0.5, dtype=x.dtype))
    return made


def onto_itself(x: Tensor, cell: nn.Module) -> Tensor:
    """The input is the state, too."""
    made: Tensor = cell(x, x)
    return made


torch.manual_seed(0)  # ranges are recorded on few examples: other weights may leave them
RELU = {"nonlinearity": "relu"}
MODELS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "an LSTM's first step, both states": (Apply(both, nn.LSTMCell(3, 4)), (2, 3)),
    "an LSTM's second state": (Apply(lambda x, m: m(x)[1], nn.LSTMCell(3, 4)), (2, 3)),
    "an LSTM by hand": (Apply(sequence, nn.LSTMCell(3, 5), nn.Linear(5, 2)), (2, 4, 3)),
    "an LSTM by hand, shorter": (Apply(sequence, nn.LSTMCell(3, 4), nn.Linear(4, 2)), (2, 2, 3)),
    "an LSTM without biases": (Apply(sequence, nn.LSTMCell(3, 5, bias=False)), (2, 3, 3)),
    "an LSTM of one unit": (Apply(sequence, nn.LSTMCell(2, 1)), (1, 3, 2)),
    "a GRU's first step": (Apply(lambda x, m: m(x), nn.GRUCell(3, 4)), (2, 3)),
    "a GRU by hand": (Apply(sequence, nn.GRUCell(3, 5), nn.Linear(5, 2)), (2, 4, 3)),
    "a GRU without biases": (Apply(sequence, nn.GRUCell(3, 5, bias=False)), (2, 3, 3)),
    "a GRU from elsewhere": (Apply(from_ones, nn.GRUCell(3, 4)), (2, 3)),
    "a GRU onto itself": (Apply(onto_itself, nn.GRUCell(4, 4)), (2, 4)),
    "a GRU over an LSTM": (Apply(stacked, nn.LSTMCell(3, 5), nn.GRUCell(5, 4)), (2, 3, 3)),
    "a plain step": (Apply(lambda x, m: m(x), nn.RNNCell(3, 4)), (2, 3)),
    "a plain network by hand": (Apply(sequence, nn.RNNCell(3, 5)), (2, 4, 3)),
    "a cut one by hand": (Apply(sequence, nn.RNNCell(3, 5, **RELU), nn.Linear(5, 2)), (1, 4, 3)),
    "no batch": (Apply(lambda x, m: m(x)[0], nn.LSTMCell(3, 4)), (3,)),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_are_torchs_cell(name: str) -> None:
    """In float64, the graph that is compiled."""
    module, shape = MODELS[name]
    module = module.double().eval()
    graph = trace(module, shape)
    assert not any("cell" in node.target for node in graph.nodes)
    for x in inputs(5, 3, *shape):
        np.testing.assert_allclose(
            evaluate(graph, x, Ranges()), floats(module, x), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("name", MODELS)
def test_steps_are_close_to_torch_proved_and_verified(name: str) -> None:
    module, shape = MODELS[name]
    _, given = assert_close(module, *shape)
    ready = setup(given)
    ready.verify(ready.prove())


SINGLE: dict[str, tuple[nn.Module, int]] = {
    "two layers": (Apply(lambda x, a, b: a(x) + b(x), nn.Linear(3, 1), nn.Linear(3, 1)), 3),
    "a gate": (Apply(lambda x, a, b: a(x).tanh() * b(x), nn.Linear(3, 1), nn.Linear(3, 1)), 3),
    "a product": (Apply(lambda x, a, b: a(x) * b(x) - 1, nn.Linear(1, 1), nn.Linear(1, 1)), 1),
}


@pytest.mark.parametrize("name", SINGLE)
def test_single_cells_are_added_and_multiplied(name: str) -> None:
    module, features = SINGLE[name]
    _, given = assert_close(module, 1, features)
    ready = setup(given)
    ready.verify(ready.prove())


Change = Callable[[np.ndarray], np.ndarray]
ATTACKS: dict[str, tuple[str, Change]] = {
    "gates held open": ("lstm_cell_1_shares", lambda g: np.full_like(g, 1 << 14)),
    "gates in another order": ("lstm_cell_1_gates", lambda g: np.roll(g, 4, axis=-1)),
    "what was, halved": ("lstm_cell_c", lambda c: c // 2),
    "another candidate": ("lstm_cell_1_g", lambda g: -g),
    "a step of another cell": ("lstm_cell_1_tanh", one_more),
    "states exchanged": ("lstm_cell_1_h", lambda h: h[::-1].copy()),
}


def test_wrong_steps_are_refused() -> None:
    _, given = assert_close(*flat("an LSTM by hand, shorter"))
    own = setup(given)
    assert_steps_are_bound(given, own)
    for tensor, change in ATTACKS.values():
        values = rewritten(given, tensor, change)
        assert (values[tensor] != given.values[tensor]).any(), tensor
        assert Claim(own, values).refit().refused() is not None, tensor


def flat(name: str) -> tuple[nn.Module, *tuple[int, ...]]:
    module, shape = MODELS[name]
    return (module, *shape)


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_takes_the_proof_and_refuses_the_attacks(anvil: Chain) -> None:
    _, given = assert_close(*flat("an LSTM by hand, shorter"))
    deployment = Deployment.make(anvil, srs_of(None, 14))
    own = deployment.setup(given)
    proof = own.prove()
    own.verify(proof)
    deployment.verify(own.statement, proof)
    answer = bytearray(own.statement.output)
    answer[-1] ^= 1
    changed = replace(own.statement, output=bytes(answer))
    assert verdict(deployment, own, changed, proof) == ("OpeningRejected", ())
    for tensor, change in ATTACKS.values():
        statement, proof = Claim(own, rewritten(given, tensor, change)).refit().prove()
        with pytest.raises(Reverted) as refused:
            deployment.verify(statement, proof)
        found = refusal(own.key, statement, proof)
        assert refused.value.name == found == "OpeningRejected", tensor
