"""Stacked layers: what they compute, their bytes, and proofs of them, by Python and on a chain."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from oracle.adapters.torch_engine import Network
from oracle.domain.errors import InputRefused
from prover.program.encode import MalformedProgram, decode, encode
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import Stack
from prover.program.layout import layout
from prover.program.validate import validate
from tests import big_integers
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import setup, srs_of
from tests.stacks import blocks, by_hand
from tests.tampering import verdict


@pytest.mark.parametrize("layers", [1, 2, 3, 5, 8])
def test_interpreter_engine_and_definition_agree(layers: int) -> None:
    case = blocks(layers, seed=layers)
    validate(case.program)
    values = interpret(case.program, case.given)
    np.testing.assert_array_equal(values["y"], by_hand(case))
    for name, cells in big_integers.run(case.program, case.given).items():
        assert values[name].tolist() == cells.tolist(), name
    weights = {n: v for n, v in case.given.items() if n != "x"}
    network = Network(case.program, weights)
    for name, cells in network.run({"x": case.given["x"]}).items():
        assert values[name].tolist() == cells.tolist(), name
    both = network.run_batch({"x": np.stack([case.given["x"], 1 - case.given["x"]])})
    other = interpret(case.program, case.given | {"x": 1 - case.given["x"]})
    assert both["out"].tolist() == [values["out"].tolist(), other["out"].tolist()]


def test_what_leaves_its_range_is_refused_by_its_layer() -> None:
    case = blocks(4)
    reached = np.abs(interpret(case.program, case.given)["out"][:3]).max()
    case.given["b"] *= np.array([[1], [1], [1], [200]])
    case.program = replace(
        case.program,
        tensors=tuple(
            replace(t, lo=-reached, hi=reached) if t.name == "out" else t
            for t in case.program.tensors
        ),
    )
    with pytest.raises(ValueRefused, match=r"^b: expected"):
        interpret(case.program, case.given)
    case.program = replace(
        case.program,
        tensors=tuple(
            replace(t, lo=-40000, hi=40000) if t.name == "b" else t for t in case.program.tensors
        ),
    )
    with pytest.raises(ValueRefused, match=r"^layer 3: out: expected values in"):
        interpret(case.program, case.given)
    network = Network(case.program, {n: v for n, v in case.given.items() if n != "x"})
    with pytest.raises(InputRefused, match=r"^layer 3: out: expected values in"):
        network.run({"x": case.given["x"]})


def test_encoding_round_trips_and_is_canonical() -> None:
    program = blocks(3).program
    data = encode(program)
    assert decode(data) == program
    assert encode(replace(program, stacks=())) != data
    (stack,) = program.stacks
    for bad in (replace(stack, first=len(program.ops)), replace(stack, first=-1)):
        with pytest.raises(MalformedProgram):
            encode(replace(program, stacks=(bad,)))
    with pytest.raises(MalformedProgram, match="stacks at gadgets of their own"):
        encode(replace(program, stacks=(stack, Stack(1, 2, 3))))
    marker = bytes([11]) + stack.count.to_bytes(2, "big") + stack.length.to_bytes(4, "big")
    assert data.count(marker) == 1
    with pytest.raises(MalformedProgram):  # a marker behind a marker is no gadget
        decode(data.replace(marker, marker + marker))


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_a_proof_is_accepted(layers: int) -> None:
    made = setup(blocks(layers, seed=layers))
    made.verify(made.prove())


def test_depth_costs_logarithms() -> None:
    """Gadgets, relations and contractions do not grow with the number of layers."""
    found = [layout(blocks(layers).program).verifier for layers in (1, 32)]
    assert found[0].relations == found[1].relations
    assert len(found[0].contractions) == len(found[1].contractions)
    assert found[1].n <= found[0].n + 5


@pytest.mark.chain
def test_a_chain_verifies_a_stack(anvil: Chain) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 12))
    made = deployment.setup(blocks(5))
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
    answer = bytearray(made.statement.output)
    answer[-1] ^= 1
    changed = replace(made.statement, output=bytes(answer))
    assert verdict(deployment, made, changed, proof) == ("OpeningRejected", ())
