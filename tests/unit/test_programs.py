"""Programs end to end: validate, encode, lay out, prove, verify; MLPs of odd shapes and random
programs."""

from __future__ import annotations

import numpy as np
import pytest

from prover.program.encode import decode, encode
from prover.program.format import Kind, parse, serialize
from prover.program.gadgets import GADGETS
from prover.program.interpret import interpret
from prover.program.layout import layout
from prover.program.validate import validate
from tests import big_integers
from tests.programs import mlp, random_case
from tests.proving import setup

SHAPES = [([1, 1], 1), ([1, 7, 1], 2), ([33, 3], 5), ([5, 4, 3, 6, 2], 1), ([300, 1, 19], 3)]
SEEDS = range(12)


@pytest.mark.parametrize("seed", range(40))
def test_interpreter_equals_plain_integers(seed: int) -> None:
    case = random_case(seed)
    validate(case.program)
    found = interpret(case.program, case.given)
    for name, cells in big_integers.run(case.program, case.given).items():
        assert np.array_equal(found[name], cells)


def test_random_programs_reach_every_gadget_kernel_and_role() -> None:
    ops, kinds, roles = set(), set(), set()
    for seed in range(40):
        case = random_case(seed)
        ops |= {type(op).__name__ for op in case.program.ops}
        roles |= {t.role for t in case.program.tensors}
        kinds |= {kernel.kind for kernel in layout(case.program).verifier.kernels}
    assert ops == {kind.__name__ for kind in GADGETS}
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
