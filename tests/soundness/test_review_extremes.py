"""Integers at the ends of what `validate` allows, 2^62: the interpreter, the engine and plain
integers agree, the proof holds, and no other output is proved."""

from __future__ import annotations

import numpy as np
import pytest

from oracle.adapters.torch_engine import Network
from prover.program.interpret import interpret
from prover.program.ir import Affine, Contraction, Expr, Linear, Program, Requantize, Role, Tensor
from prover.program.validate import InvalidProgram, validate
from tests.programs import Case, one
from tests.proving import setup
from tests.soundness.malice import Claim

ENDS = (-(1 << 15), (1 << 15) - 1)


def long_product(bits: int, inner: int, shift: int, coefficient: int = 1) -> Program:
    """y = round(coefficient (w x + b) / 2^shift), by way of an exact sum: w of so many bits."""
    most = 1 << bits
    tensors = (
        Tensor("x", (inner,), Role.INPUT, *ENDS),
        Tensor("w", (3, inner), Role.WEIGHT, -most, most),
        Tensor("b", (3,), Role.WEIGHT, -(1 << 40), 1 << 40),
        Tensor("z", (3,), Role.ACTIVATION, -(1 << 61), 1 << 61),
        Tensor("y", (3,), Role.OUTPUT_COMMITTED, -(1 << 31), (1 << 31) - 1),
    )
    product = Contraction(one(1, 0, 1), one(0, 1))
    scaled = Affine(((coefficient, one(3, 0).terms[0][1]),))
    ops = (
        Linear(3, Expr((3, inner), 1, (product,), one(2, 0))),
        Requantize(4, Expr((3,), 1, (), scaled), shift, 32),
    )
    return Program(8, tensors, ops)


PROGRAMS = {
    "wide weights": long_product(43, 2, 29),
    "a long sum": long_product(15, 1000, 10),
    "a coefficient": long_product(15, 64, 29, 1 << 18),
    "both": long_product(42, 2, 29, 2),
}


def extremes(program: Program) -> dict[str, np.ndarray]:
    """Every cell at an end: all of one sign, of the other, and in turn."""
    rng, found = np.random.default_rng(0), {}
    for tensor in program.tensors:
        if tensor.role in (Role.INPUT, Role.WEIGHT):
            signs = rng.integers(0, 2, tensor.shape)
            found[tensor.name] = np.where(signs, tensor.hi, tensor.lo)
    found["x"][:] = ENDS[0]
    found["w"][0], found["w"][1] = program.tensors[1].hi, program.tensors[1].lo
    return found


def by_hand(program: Program, given: dict[str, np.ndarray]) -> list[int]:
    last = program.ops[-1]
    assert isinstance(last, Requantize)
    ((coefficient, _),) = last.expr.linear.terms
    w, x, b = (given[name].tolist() for name in "wxb")
    sums = [
        sum(a * c for a, c in zip(row, x, strict=True)) + d for row, d in zip(w, b, strict=True)
    ]
    return [(coefficient * z + (1 << last.shift >> 1)) >> last.shift for z in sums]


@pytest.mark.parametrize("name", PROGRAMS)
def test_ends_are_exact_and_proved(name: str) -> None:
    program = PROGRAMS[name]
    validate(program)
    given = extremes(program)
    expected = by_hand(program, given)
    assert interpret(program, given)["y"].tolist() == expected
    weights = {n: given[n] for n in "wb"}
    assert Network(program, weights).run({"x": given["x"]})["y"].tolist() == expected
    made = setup(Case(program, given))
    assert Claim.honest(made).refused() is None
    for delta in (1, -1):
        assert Claim.honest(made).change("y", (1,), delta).refit().refused() == "OpeningRejected"


@pytest.mark.parametrize(("bits", "coefficient"), [(46, 1), (45, 2), (44, 1), (43, 8)])
def test_a_bit_more_is_no_program(bits: int, coefficient: int) -> None:
    with pytest.raises(InvalidProgram, match=r"reaches|no room to round"):
        validate(long_product(bits, 2, 30, coefficient))
