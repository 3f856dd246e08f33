"""Ties, and indices beyond a table: which of equals is chosen is free in a hint of Max and nowhere
else; rows that do not exist have no proof, whatever the padded columns hold there."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from prover.program.ir import (
    Argmax,
    Contraction,
    Expr,
    Gather,
    Max,
    Program,
    Requantize,
    Role,
    Table,
    Tensor,
)
from tests.programs import Case, one
from tests.proving import Setup, setup
from tests.soundness.malice import Claim

ROWS, WIDTH = 5, 3


def case() -> Case:
    """Greatest of rows with ties, and where; rows of secret and of public tables by ids."""
    tensors = (
        Tensor("x", (2, 4), Role.INPUT, -100, 100),
        Tensor("id", (2,), Role.INPUT, 0, ROWS - 1),
        Tensor("rows", (ROWS, WIDTH), Role.WEIGHT, -9, 9),
        Tensor("f", (ROWS,), Role.TABLE, -9, 9, (1, -2, 3, -4, 5)),
        Tensor("m", (2,), Role.OUTPUT, -100, 100),
        Tensor("a", (2,), Role.OUTPUT, 0, 3),
        Tensor("g", (2, WIDTH), Role.OUTPUT_COMMITTED, -9, 9),
        Tensor("t", (2,), Role.OUTPUT, -9, 9),
        Tensor("y", (2,), Role.OUTPUT, -32768, 32767),
    )
    square = Contraction(one(0, 0, 1), one(0, 0, 1))
    ops = (
        Max(4, (2, 4), one(0, 0, 1), 8),
        Argmax(5, (2, 4), one(0, 0, 1), 8),
        Gather(6, (2,), one(1, 0), 2),
        Table(7, (2,), one(1, 0), 3, 0),
        Requantize(8, Expr((2, 4), 1, (square,)), 4, 16),
    )
    given = {
        "x": np.array([[7, 9, 9, 9], [-3, -3, -5, -3]]),
        "id": np.array([1, ROWS - 1]),
        "rows": np.arange(ROWS * WIDTH).reshape(ROWS, WIDTH) % 9 - 4,
    }
    return Case(Program(4, tensors, ops), given)


@cache
def made() -> Setup:
    return setup(case())


def chosen(claim: Claim, name: str, row: int, at: int) -> Claim:
    """Another choice in a row, with all hints that go with it."""
    picked = (np.arange(4) == at).astype(np.int64)
    claim.put(f"{name}.s", (row,), picked)
    if name == "a":
        x = claim.values["x"][row]
        claim.put("a.c", (row,), np.cumsum(picked)).put("a.m", (row,), x[at]).put("a", (row,), at)
    return claim.refit()


def test_honest_choices_are_accepted() -> None:
    claim = Claim.honest(made())
    assert claim.values["a"].tolist() == [1, 0] and claim.values["m"].tolist() == [9, -3]
    assert not claim.broken() and claim.refused() is None


@pytest.mark.parametrize(("row", "at"), [(0, 2), (0, 3), (1, 1), (1, 3)])
def test_a_later_of_equals_is_no_first_place(row: int, at: int) -> None:
    claim = chosen(Claim.honest(made()), "a", row, at)
    assert claim.broken() and claim.refused() == "OpeningRejected"


@pytest.mark.parametrize(("row", "at"), [(0, 0), (1, 2)])
def test_a_lesser_is_no_choice(row: int, at: int) -> None:
    claim = chosen(Claim.honest(made()), "a", row, at)
    assert claim.broken() and claim.refused() == "OpeningRejected"
    claim = chosen(Claim.honest(made()), "m", row, at)
    assert claim.broken() and claim.refused() == "OpeningRejected"


def test_max_may_choose_any_of_equals_and_says_the_same() -> None:
    claim = chosen(chosen(Claim.honest(made()), "m", 0, 3), "m", 1, 1)
    assert not claim.broken()
    statement, _ = claim.prove()
    assert statement.output == made().statement.output
    assert claim.refused() is None


@pytest.mark.parametrize("beyond", [ROWS, ROWS + 1, 7, 8, -1, -ROWS, 32767, -32768])
@pytest.mark.parametrize("row", [[0] * WIDTH, [-4, -3, -2]])
def test_a_row_that_is_none_has_no_proof(beyond: int, row: list[int]) -> None:
    """Whatever it is said to hold: the zeros after the tables, or another row's values."""
    claim = Claim.honest(made()).put("id", (0,), beyond).put("g", (0,), row)
    assert claim.broken() and claim.refused() == "OpeningRejected"
    claim.put("t", (0,), 0)
    assert claim.refused() == "OpeningRejected"


@pytest.mark.parametrize("other", [0, 2])
def test_a_row_of_another_id_is_refused(other: int) -> None:
    rows = made().witness.values["rows"]
    claim = Claim.honest(made()).put("g", (0,), rows[other])
    assert claim.broken() and claim.refused() == "OpeningRejected"
    claim = Claim.honest(made()).put("t", (0,), (1, -2, 3, -4, 5)[other])
    assert claim.broken() and claim.refused() == "OpeningRejected"
