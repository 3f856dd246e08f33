"""Gadgets at their edges: constants where tensors are meant, axes that nothing names, one choice.

`validate` takes these programs, so their terms must mean their relations, proofs be found, and
every other output be refused.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prover.program.ir import (
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Gather,
    Index,
    Max,
    Op,
    Program,
    Requantize,
    Role,
    Rsqrt,
    Table,
    Tensor,
    View,
)
from prover.program.validate import validate
from tests.programs import Case, one
from tests.proving import Setup, setup
from tests.soundness import test_layout_meaning as meaning
from tests.soundness.malice import Claim
from tests.stacks import blocks

OUT = 4  # the number of what the gadget makes


def const(value: int) -> Affine:
    return Affine((), value)


def column(tensor: int, axis: int, offset: int = 0) -> Affine:
    """Column 1 of a tensor of two axes."""
    return Affine(((1, View(tensor, (Index(axis, offset), Index(-1, 1)))),))


def shifted() -> Affine:
    """x[i, j - 1] for five j, three of which see no cell."""
    return Affine(((1, View(0, (Index(0), Index(1, -1)))),))


GADGETS: dict[str, tuple[tuple[int, ...], Op]] = {
    "a quotient by a constant": ((3, 2), Divide(OUT, (3, 2), one(0, 0, 1), const(3), 8, 8)),
    "a quotient of constants": ((3, 2), Divide(OUT, (3, 2), const(119), const(3), 8, 8)),
    "a denominator without an axis": (
        (3, 5),
        Divide(OUT, (3, 5), shifted(), Affine(column(0, 0).terms, 20), 8, 8),
    ),
    "the root of a constant": ((3,), Rsqrt(OUT, (3,), const(5), 8, 8, 16)),
    "the greatest of equals": ((3,), Max(OUT, (3, 7), column(0, 0), 8)),
    "the greatest of constants": ((3,), Max(OUT, (3, 7), const(4), 8)),
    "the first of constants": ((3,), Argmax(OUT, (3, 7), const(4), 8)),
    "the first of one": ((3,), Argmax(OUT, (3, 1), column(0, 0), 8)),
    "a row of a table": ((3,), Table(OUT, (3,), const(-1), 2, -3)),
    "one row again and again": ((5, 2), Gather(OUT, (5,), const(1), 3)),
}


@cache
def case(name: str) -> Case:
    rng = np.random.default_rng(3)
    shape, op = GADGETS[name]
    role = Role.OUTPUT_COMMITTED if isinstance(op, Gather) else Role.OUTPUT
    tensors = (
        Tensor("x", (3, 2), Role.INPUT, -8, 7),
        Tensor("w", (2, 3), Role.WEIGHT, -8, 7),
        Tensor("f", (5,), Role.TABLE, -8, 7, (1, 2, 3, 4, 5)),
        Tensor("rows", (3, 2), Role.WEIGHT, -8, 7),
        Tensor("made", shape, role, -32768, 32767),
        Tensor("y", (2,), Role.OUTPUT, -32768, 32767),
    )
    product = Contraction(one(1, 0, 1), column(0, 1))
    last = Requantize(5, Expr((2, 3), 1, (product,)), 2, 8)
    shapes = {"x": (3, 2), "w": (2, 3), "rows": (3, 2)}
    given = {tensor: rng.integers(-8, 8, size) for tensor, size in shapes.items()}
    return Case(Program(4, tensors, (op, last)), given)


@cache
def ready(name: str) -> Setup:
    return setup(case(name))


@pytest.mark.parametrize("name", GADGETS)
@pytest.mark.parametrize("slices", [1, 4])
def test_terms_mean_the_relations(monkeypatch: pytest.MonkeyPatch, name: str, slices: int) -> None:
    validate(case(name).program)
    monkeypatch.setitem(meaning.CASES, name, (case(name).program, 7))
    meaning.test_terms_mean_the_relations(name, slices)


@pytest.mark.parametrize("name", GADGETS)
def test_one_output_is_proved_and_no_other(name: str) -> None:
    made = ready(name)
    assert Claim.honest(made).refused() is None
    true = made.witness.values["made"]
    for at in list(np.ndindex(*true.shape))[:4]:
        for delta in (1, -1):
            false = Claim.honest(made).change("made", at, delta).refit()
            assert false.broken(), (at, delta)
            assert false.refused() == "OpeningRejected", (at, delta)


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("slices", [1, 4])
def test_terms_mean_the_relations_of_a_stack(
    monkeypatch: pytest.MonkeyPatch, layers: int, slices: int
) -> None:
    monkeypatch.setitem(meaning.CASES, "a stack", (blocks(layers).program, 7))
    meaning.test_terms_mean_the_relations("a stack", slices)
