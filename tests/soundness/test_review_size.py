"""A program that anybody registered is refused before its layout takes an auditor's memory."""

from __future__ import annotations

import pytest

from prover.program import emit
from prover.program.ir import (
    Affine,
    Contraction,
    Expr,
    Index,
    Program,
    Requantize,
    Role,
    Tensor,
    View,
)
from prover.program.layout import LayoutError, layout
from prover.program.validate import validate
from tests.programs import one

SIDE = 15


def shifts(count: int) -> Program:
    """A sum of so many shifts of one weight, each of which meets most of its boxes."""
    shape = (SIDE, SIDE)
    tensors = (
        Tensor("x", shape, Role.INPUT, -8, 7),
        Tensor("w", shape, Role.WEIGHT, -8, 7),
        Tensor("q", shape, Role.OUTPUT_COMMITTED, -128, 127),
    )
    places = [divmod(i, SIDE) for i in range(count)]
    linear = Affine(tuple((1, View(1, (Index(0, a), Index(1, b)))) for a, b in places))
    product = Contraction(one(1, 0, 1), one(0, 0, 1))
    return Program(4, tensors, (Requantize(2, Expr(shape, 2, (product,), linear), 3, 8),))


def test_too_many_terms_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = shifts(2), shifts(60)
    validate(many)
    monkeypatch.setattr(emit, "MAX_TERMS", 200)
    assert len(layout(few).terms) <= 200
    with pytest.raises(LayoutError, match="at most 200 terms"):
        layout(many)
    monkeypatch.undo()
    assert len(layout(many).terms) > 200
