"""Provers that cheat on convolutions, pools and memories: a step that is wrong, the rest as it then
follows. Each is refused; and both verifiers take the honest proofs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.program.rewrite import out_of
from tests.convolutions import Apply, compiled, inputs, settled
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.programs import Case
from tests.proving import Setup, setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.small import refusal
from tests.tampering import verdict
from tests.transformers import case
from tests.unit.test_compiler_transformer_attacks import one_less, one_more, rewritten


class Mixed(nn.Module):
    """A convolution, both kinds of pooling, strides, pieces, roots and sums, beside each other."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 2, 3, padding=1), settled(nn.BatchNorm2d(2))
        self.second, self.head = nn.Conv2d(4, 3, 2, stride=2), nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.norm(self.first(x)))
        y = torch.cat([F.max_pool2d(y, 2), F.avg_pool2d(y, 2)], 1)
        y = F.hardtanh(self.second(F.pad(y, (0, 1, 1, 0))), -0.5, 0.5).flatten(1)
        y = self.head(y)
        return y * (y.abs() + 0.3).rsqrt() + y.amax(-1, keepdim=True)


def mixed() -> Case:
    torch.manual_seed(0)
    made = compiled(Mixed().double().eval(), 1, 1, 6, 6)
    return case(made, inputs(2, 1, 1, 6, 6))


def memory() -> Case:
    torch.manual_seed(0)
    layers = (nn.LSTM(3, 4, 2, batch_first=True), nn.Linear(4, 3))
    module = Apply(lambda x, lstm, head: head(lstm(x)[0][:, -1]), *layers).double()
    return case(compiled(module, 2, 5, 3), inputs(2, 2, 5, 3))


def gates() -> Case:
    torch.manual_seed(0)
    cut = nn.RNN(3, 3, nonlinearity="relu", batch_first=True)
    module = Apply(
        lambda x, gru, rnn, relu: relu(rnn(gru(x)[0])[0])[0][:, -1],
        nn.GRU(3, 3, batch_first=True), nn.RNN(3, 3, batch_first=True), cut,
    ).double()  # fmt: skip
    return case(compiled(module, 2, 4, 3), inputs(2, 2, 4, 3))


MADE = {"mixed": mixed, "memory": memory, "gates": gates}
Change = Callable[[np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def ready() -> dict[str, tuple[Case, Setup]]:
    return {name: (made, setup(made)) for name, made in ((n, f()) for n, f in MADE.items())}


def changed(made: Case, name: str, change: Change) -> dict[str, np.ndarray]:
    """One tensor changed; what follows from it follows, where the program has no stack."""
    if made.program.stacks:
        return dict(made.values) | {name: change(made.values[name])}
    return rewritten(made, name, change)


@pytest.mark.parametrize("name", MADE)
def test_every_step_that_is_wrong_breaks_a_relation(
    ready: dict[str, tuple[Case, Setup]], name: str
) -> None:
    made, own = ready[name]
    assert not Claim.honest(own).broken()
    for op in made.program.ops:
        tensor = made.program.tensors[out_of(op)].name
        for change in (one_more, one_less):
            try:
                values = changed(made, tensor, change)
            except ValueRefused:  # nothing follows from such a value: what was true stays
                values = dict(made.values) | {tensor: change(made.values[tensor])}
            assert Claim(own, values).refit().broken(), tensor


def test_every_weight_is_bound(ready: dict[str, tuple[Case, Setup]]) -> None:
    """A kernel or a recurrent matrix with one cell changed, and all that follows from it."""
    for made, own in ready.values():
        for tensor in made.program.tensors:
            if tensor.role == Role.WEIGHT:
                values = interpret(made.program, made.given | {tensor.name: one_less(
                    made.given[tensor.name]
                )})  # fmt: skip
                told = values | {tensor.name: made.values[tensor.name]}
                same = all((values[n] == made.values[n]).all() for n in values if n != tensor.name)
                assert same or Claim(own, told).broken(), tensor.name


def test_attacks_are_refused(ready: dict[str, tuple[Case, Setup]]) -> None:
    for model, tensor, change in ATTACKS.values():
        made, own = ready[model]
        values = changed(made, tensor, change)
        assert (values[tensor] != made.values[tensor]).any(), tensor
        claim = Claim(own, values).refit()
        assert claim.broken(), tensor
        assert claim.refused() is not None, tensor


def rolled(axis: int) -> Change:
    return lambda cells: np.roll(cells, 1, axis=axis)


ATTACKS: dict[str, tuple[str, str, Change]] = {
    "a window left out of the maximum": ("mixed", "max_pool2d.above0", np.zeros_like),
    "the rows of another phase": ("mixed", "max_pool2d.phase2", rolled(-1)),
    "an average of other windows": ("mixed", "avg_pool2d.sums0", rolled(-1)),
    "pieces in another order": ("mixed", "cat", rolled(0)),
    "an image moved within its padding": ("mixed", "pad", rolled(-1)),
    "another bend": ("mixed", "hardtanh.bend0", one_more),
    "a scaled root": ("mixed", "rsqrt.root", lambda r: r + r // 8 + 1),
    "a smaller maximum": ("mixed", "amax", lambda m: m - 1),
    "a gate held open": ("memory", "lstm.l0.gate1", lambda g: np.full_like(g, 1 << 14)),
    "gates in another order": ("memory", "lstm.l1.gates", rolled(2)),
    "memory from nowhere": ("memory", "lstm.l0.c", lambda c: c + (np.arange(len(c)) == 0)[
        :, None, None
    ]),
    "steps in another order": ("memory", "lstm.l0.h", rolled(0)),
    "a GRU's memory forgotten": ("gates", "gru.l0.gate1", np.zeros_like),
    "a GRU's reset left out": ("gates", "gru.l0.gate0", lambda g: np.full_like(g, 1 << 14)),
    "what a GRU keeps of another place": ("gates", "gru.l0.kept", rolled(-1)),
    "another candidate": ("gates", "gru.l0.tanh", lambda n: -n),
    "a GRU's steps in another order": ("gates", "gru.l0.h", rolled(0)),
    "a GRU's start": ("gates", "gru.l0.h", one_more),
    "a plain network's step skipped": ("gates", "rnn_tanh.l0.h", rolled(0)),
    "a plain network's sum of another place": ("gates", "rnn_tanh.l0.sum", rolled(-1)),
    "a plain network that is not cut": ("gates", "rnn_relu.l0.h", one_more),
    "the layers' states exchanged": ("memory", "lstm.l1.h", lambda h: h[:, ::-1].copy()),
}  # fmt: skip


def test_a_memory_that_is_another_throughout_is_refused(
    ready: dict[str, tuple[Case, Setup]],
) -> None:
    """All values are those of the reversed sequence; the input is the true one."""
    made, own = ready["memory"]
    given = made.given | {"input": made.given["input"][:, ::-1].copy()}
    told = interpret(made.program, given) | {"input": made.values["input"]}
    assert (told["output"] != made.values["output"]).any()
    claim = Claim(own, told)
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_refuses_them_too(anvil: Chain) -> None:
    """With the same error as the Python verifier."""
    deployment = Deployment.make(anvil, srs_of(None, 14))
    for name in MADE:
        made = MADE[name]()
        own = deployment.setup(made)
        for model, tensor, change in ATTACKS.values():
            if model == name:
                statement, proof = Claim(own, changed(made, tensor, change)).refit().prove()
                with pytest.raises(Reverted) as refused:
                    deployment.verify(statement, proof)
                found = refusal(own.key, statement, proof)
                assert refused.value.name == found == "OpeningRejected", tensor


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_both_verifiers_take_the_proof_and_no_other_answer(anvil: Chain, name: str) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 14))
    own = deployment.setup(MADE[name]())
    proof = own.prove()
    own.verify(proof)
    deployment.verify(own.statement, proof)
    answer = bytearray(own.statement.output)
    answer[-1] ^= 1
    other = replace(own.statement, output=bytes(answer))
    assert verdict(deployment, own, other, proof) == ("OpeningRejected", ())
