"""A composition answers in the bytes of the model that it was cut from: outputs in the order of
their numbers, whatever the order in which they are made."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from prover.program.interpret import interpret
from prover.program.ir import Contraction, Expr, Op, Program, Requantize, Role, Tensor
from prover.program.segments import cut, cuts
from prover.program.validate import validate
from tests.programs import one

OUTPUTS = ("y", "z", "u")
WIDE = (-(1 << 15), (1 << 15) - 1)


def program(order: tuple[int, ...]) -> Program:
    """a = w x; three outputs of it, made in this order."""
    names = (("x", Role.INPUT), *((n, Role.OUTPUT) for n in OUTPUTS), ("a", Role.ACTIVATION))
    tensors = (*(Tensor(n, (2,), r, *WIDE) for n, r in names),
               Tensor("w", (2, 2), Role.WEIGHT, -9, 9))  # fmt: skip
    first = Contraction(one(5, 0, 1), one(0, 1))
    then = Contraction(one(5, 0, 1), one(4, 1))
    ops: list[Op] = [Requantize(4, Expr((2, 2), 1, (first,)), 0, 16)]
    ops += [Requantize(out, Expr((2, 2), 1, (then,)), out, 16) for out in order]
    return Program(8, tensors, tuple(ops))


@pytest.mark.parametrize("order", permutations((1, 2, 3)))
def test_outputs_are_in_the_order_of_their_numbers(order: tuple[int, ...]) -> None:
    whole = program(order)
    validate(whole)
    weights, x = {"w": np.array([[1, 7], [-3, 4]])}, np.array([51, -60])
    values = interpret(whole, {"x": x, **weights})
    assert cuts(whole)[0] == 1
    head, tail = cut(whole, [1])
    crossing = interpret(head, {"x": x, **weights})["a.out"]
    found = interpret(tail, {"a.in": crossing, **weights})
    written = [tail.tensors[i].name for i in tail.with_role(Role.OUTPUT)]
    assert written == list(OUTPUTS)
    assert len({values[n].tobytes() for n in OUTPUTS}) == 3
    for name in OUTPUTS:
        np.testing.assert_array_equal(found[name], values[name])
