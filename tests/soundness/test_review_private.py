"""Openings of another shape: a proof pins the cells of a committed tensor's own shape, so whoever
is shown an opening must compare the shape, not the points alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from prover.api import Claim, Session, check, reveal
from prover.curve import encode_point
from prover.private import OpeningMismatch, TensorOpening
from prover.program.addresses import boxes
from prover.program.ir import Role
from prover.prove import Witness, prove
from prover.statement import Statement
from tests.private import CONTEXT, random_input, session


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """Public input, a committed output of two inferences by three logits."""
    return session(tmp_path_factory.mktemp("srs"), (5, 3), 2, private_output=True)


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EINPROOF_CACHE", str(tmp_path_factory.getbasetemp()))


def in_order_of_boxes(cells: np.ndarray) -> np.ndarray:
    """A tensor's cells as its tile has them."""
    parts = [
        cells[tuple(slice(b, b + (1 << s)) for b, s in zip(box.base, box.bits, strict=True))]
        for box in sorted(boxes(cells.shape, 30), key=lambda box: -box.size_bits)
    ]
    return np.concatenate([part.reshape(-1) for part in parts])


def claimed(own: Session, opening: TensorOpening, data: bytes) -> Claim:
    """The output's point is that of a prover's own choice."""
    values = own.run(data)
    output = b"".join(encode_point(p) for p in opening.points(own.kernels, own.srs))
    statement = Statement(CONTEXT, own.model.id, own.srs.id, data, output)
    witness = Witness(values, own.fixed, opening.tiles())
    proof = prove(own.kernels, own.srs, own.model.layout, statement, witness)
    return Claim(CONTEXT, own.model.id, own.srs.id, data, output, proof)


def test_an_opening_of_another_shape_shows_nothing(own: Session) -> None:
    """The six cells of a (6,) are those of the (2, 3) in another order: a false answer, with a
    proof that holds and an opening of its very points."""
    data = own.model.encode(Role.INPUT, {"input": random_input(own)})
    true = own.run(data)["output"]
    assert true.shape == (2, 3)
    other = own.commit(in_order_of_boxes(true))
    claim = claimed(own, other, data)
    check(own.model, claim, CONTEXT)
    assert (other.values.reshape(true.shape) != true).any(), "it would show another answer"
    with pytest.raises(OpeningMismatch, match=r"shape \(2, 3\), got \(6,\)"):
        reveal(own.model, claim, [other])


def test_an_opening_with_cells_beyond_the_tensor_shows_nothing(own: Session) -> None:
    data = own.model.encode(Role.INPUT, {"input": random_input(own)})
    true = own.run(data)["output"]
    longer = own.commit(np.concatenate([in_order_of_boxes(true), [7, -7]]))
    claim = claimed(own, longer, data)
    check(own.model, claim, CONTEXT)
    with pytest.raises(OpeningMismatch, match=r"shape \(2, 3\), got \(8,\)"):
        reveal(own.model, claim, [longer])


@pytest.mark.parametrize("k", [8, 9])
def test_an_opening_of_another_tile_size_shows_nothing(own: Session, k: int) -> None:
    """Its blinder is a cell of the model's tile, which no claim refers to."""
    data = own.model.encode(Role.INPUT, {"input": random_input(own)})
    true = own.run(data)["output"]
    smaller = replace(own.commit(true), k=k)
    assert len(smaller.tiles()) == 1 and k < own.model.layout.k
    own_opening = own.commit(true)
    claim = claimed(own, own_opening, data)
    points = b"".join(encode_point(p) for p in smaller.points(own.kernels, own.srs))
    with pytest.raises(OpeningMismatch, match=r"tiles of 2\^10 cells"):
        reveal(own.model, replace(claim, output=points), [smaller])


def test_the_true_opening_shows_the_answer(own: Session) -> None:
    data = own.model.encode(Role.INPUT, {"input": random_input(own)})
    true = own.run(data)["output"]
    opening = own.commit(true)
    claim = claimed(own, opening, data)
    check(own.model, claim, CONTEXT)
    np.testing.assert_array_equal(reveal(own.model, claim, [opening])["output"], true)
