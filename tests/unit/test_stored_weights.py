"""Weights stay in 16 bits from file to kernel: at the ends of that range nothing wraps around."""

import numpy as np
import pytest

from oracle.adapters.torch_engine import Network
from prover.folder import pack_weights, unpack_weights
from prover.identity import weights_digest
from prover.program.evaluate import ValueRefused
from prover.program.interpret import check_weight, interpret
from prover.program.ir import (
    Affine,
    Contraction,
    Expr,
    Gather,
    Linear,
    Program,
    Requantize,
    Role,
    Tensor,
)
from prover.proving.randomness import witness_digest
from tests.programs import Case, one, view
from tests.proving import setup

LOW, HIGH = -(1 << 15), (1 << 15) - 1
WEIGHTS = np.array([[LOW, HIGH, LOW], [HIGH, HIGH, LOW]])
INPUT = np.array([127, -128, 127])
PROGRAM = Program(
    8,
    (
        Tensor("x", (3,), Role.INPUT, -128, 127),
        Tensor("i", (2,), Role.INPUT, 0, 1),
        Tensor("w", (2, 3), Role.WEIGHT, LOW, HIGH),
        Tensor("row", (2, 3), Role.ACTIVATION, LOW, HIGH),
        Tensor("sum", (2,), Role.ACTIVATION, -(1 << 26), 1 << 26),
        Tensor("y", (2,), Role.OUTPUT, LOW, HIGH),
    ),
    (
        Gather(3, (2,), one(1, 0), 2),
        Linear(4, Expr((2, 3), 1, (Contraction(one(3, 0, 1), one(0, 1)),))),
        Requantize(
            5,
            Expr(
                (2, 3),
                1,
                (Contraction(Affine(((3, view(2, 0, 1)), (-2, view(2, 0, 1))), 7), Affine((), 5)),),
                Affine(((1, view(4, 0)),)),
            ),
            12,
            16,
        ),
    ),
)


@pytest.fixture(params=[np.int64, np.int32, np.int16])
def case(request: pytest.FixtureRequest) -> Case:
    index = np.array([1, 0])
    return Case(PROGRAM, {"x": INPUT, "i": index, "w": WEIGHTS.astype(request.param)})


def test_sums_and_products_do_not_wrap(case: Case) -> None:
    """In any type that they are given in: beside Python's integers, in both engines, and proved."""
    w, x = WEIGHTS.tolist(), INPUT.tolist()
    rows = [w[1], w[0]]
    sums = [sum(a * b for a, b in zip(row, x, strict=True)) for row in rows]
    y = [
        (total + sum(5 * (3 * a - 2 * a + 7) for a in row) + (1 << 11)) >> 12
        for total, row in zip(sums, w, strict=True)
    ]
    weights = {"w": case.given["w"]}
    inputs = {"x": case.given["x"], "i": case.given["i"]}
    for values in (interpret(PROGRAM, case.given), Network(PROGRAM, weights).run(inputs)):
        for name, expected in (("row", rows), ("sum", sums), ("y", y)):
            assert values[name].tolist() == expected
            assert values[name].dtype == np.int64
    made = setup(case)
    made.verify(made.prove())


def test_weights_are_held_in_as_many_bits_as_their_range_needs() -> None:
    narrow, wide = (
        Tensor("w", (3,), Role.WEIGHT, LOW, HIGH),
        Tensor("v", (3,), Role.WEIGHT, 0, 1 << 15),
    )
    for kind in (np.int8, np.uint8, np.int64):
        assert check_weight(narrow, np.arange(3, dtype=kind)).dtype == np.int16
        assert check_weight(wide, np.arange(3, dtype=kind)).dtype == np.int64
    with pytest.raises(ValueRefused, match=r"w: expected values in \[-32768, 32767\]"):
        check_weight(narrow, np.array([0, 0, HIGH + 1]))


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        ([0, -128], np.int16),
        ([200, 0], np.int16),
        ([HIGH + 1, 0], np.int64),
        ([1 << 40, 0], np.int64),
    ],
)
def test_a_file_is_read_as_it_was_written(cells: list[int], kind: type) -> None:
    found = unpack_weights(pack_weights({"w": np.array(cells)}))["w"]
    assert found.tolist() == cells and found.dtype == kind


def test_digests_do_not_depend_on_how_weights_are_held() -> None:
    wide, turned = {"w": WEIGHTS}, {"w": np.asfortranarray(WEIGHTS).astype(np.int16, order="K")}
    assert weights_digest(PROGRAM, wide) == weights_digest(PROGRAM, turned)
    assert witness_digest(wide, [1]) == witness_digest(turned, [1])
    other = {"w": WEIGHTS + (WEIGHTS == HIGH) * -1}
    assert weights_digest(PROGRAM, wide) != weights_digest(PROGRAM, other)
    assert witness_digest(wide, [1]) != witness_digest(other, [1])
