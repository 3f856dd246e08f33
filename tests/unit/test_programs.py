"""Programs end to end: validate, encode, lay out, prove, verify; MLPs of odd shapes and random
programs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from prover.program.encode import decode, encode
from prover.program.format import Kind, parse, serialize
from prover.program.interpret import interpret
from prover.program.ir import FIXED, Affine, Expr, Gather, Linear, Range, Relu, Table
from prover.program.layout import layout
from prover.program.validate import validate
from tests.programs import Case, mlp, random_case
from tests.proving import setup

SHAPES = [([1, 1], 1), ([1, 7, 1], 2), ([33, 3], 5), ([5, 4, 3, 6, 2], 1), ([300, 1, 19], 3)]
SEEDS = range(12)


def affine_at(affine: Affine, point: dict[int, int], values: dict[int, np.ndarray]) -> int:
    total = affine.const
    for coef, view in affine.terms:
        cells = values[view.tensor]
        at = [i.offset + (0 if i.axis == FIXED else point[i.axis]) for i in view.index]
        if all(0 <= a < length for a, length in zip(at, cells.shape, strict=True)):
            total += coef * int(cells[tuple(at)])
    return total


def expr_at(expr: Expr, free: tuple[int, ...], values: dict[int, np.ndarray]) -> int:
    """An expression at one point, by its definition, in Python integers."""
    total = affine_at(expr.linear, dict(enumerate(free)), values)
    for c in expr.contractions:
        summed = expr.summed(c)
        for inner in itertools.product(*(range(expr.axes[a]) for a in summed)):
            point = dict(enumerate(free)) | dict(zip(summed, inner, strict=True))
            total += affine_at(c.x, point, values) * affine_at(c.y, point, values)
    return total


def expected(case: Case) -> dict[int, np.ndarray]:
    """Every tensor of a program, cell by cell, in Python integers."""
    program = case.program
    values = {}
    for i, t in enumerate(program.tensors):
        if t.name in case.given:
            values[i] = case.given[t.name]
        elif t.values:
            values[i] = np.array(t.values).reshape(t.shape)
    for op in program.ops:
        if isinstance(op, Range):
            continue
        cells = np.zeros(program.tensors[op.out].shape, dtype=np.int64)
        for at in np.ndindex(*cells.shape):
            if isinstance(op, Table):
                row = affine_at(op.index, dict(enumerate(at)), values)
                cells[at] = values[op.table][row - op.lo]
            elif isinstance(op, Gather):
                row = affine_at(op.index, dict(enumerate(at[:-1])), values)
                cells[at] = values[op.source][row, at[-1]]
            else:
                value = expr_at(op.expr, at, values)
                if not isinstance(op, Linear):
                    value = (value + ((1 << op.shift) >> 1)) // (1 << op.shift)
                cells[at] = max(value, 0) if isinstance(op, Relu) else value
        values[op.out] = cells
    return values


@pytest.mark.parametrize("seed", range(40))
def test_interpreter_equals_plain_integers(seed: int) -> None:
    case = random_case(seed)
    validate(case.program)
    found = interpret(case.program, case.given)
    for i, cells in expected(case).items():
        assert np.array_equal(found[case.program.tensors[i].name], cells)


def test_random_programs_reach_every_gadget_kernel_and_role() -> None:
    ops, kinds, roles = set(), set(), set()
    for seed in range(40):
        case = random_case(seed)
        ops |= {type(op).__name__ for op in case.program.ops}
        roles |= {t.role for t in case.program.tensors}
        kinds |= {kernel.kind for kernel in layout(case.program).verifier.kernels}
    assert ops == {"Linear", "Requantize", "Relu", "Table", "Gather", "Range"}
    assert kinds == set(Kind) and len(roles) == 7


@pytest.mark.parametrize("seed", SEEDS)
def test_encoding_and_sections_round_trip(seed: int) -> None:
    program = random_case(seed).program
    assert decode(encode(program)) == program
    verifier = layout(program).verifier
    assert parse(serialize(verifier)) == verifier


@pytest.mark.parametrize(("widths", "batch"), SHAPES)
def test_mlp_proof_is_accepted(widths: list[int], batch: int) -> None:
    made = setup(mlp(widths, batch, seed=sum(widths)))
    made.verify(made.prove())


@pytest.mark.parametrize("seed", SEEDS)
def test_random_program_proof_is_accepted(seed: int) -> None:
    made = setup(random_case(seed))
    made.verify(made.prove())


@pytest.mark.parametrize("k", [10, 9])
def test_tensors_split_over_tiles_are_accepted(k: int) -> None:
    made = setup(mlp([40, 30, 10], limb=4), k=k)
    assert made.layout.weight_tiles > 1
    made.verify(made.prove())


def test_tiers_make_the_same_bytes() -> None:
    case = mlp([3, 2, 2], limb=4)
    assert setup(case, tier="reference").prove() == setup(case, tier="scalar").prove()


@pytest.mark.parametrize("limb", [4, 8, 16])
def test_every_limb_width_is_accepted(limb: int) -> None:
    made = setup(mlp([4, 3, 2], limb=limb))
    made.verify(made.prove())
