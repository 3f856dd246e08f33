"""Cutting: segments are valid programs, and one after another they compute the whole exactly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from prover.program.bounds import InvalidProgram
from prover.program.evaluate import ValueRefused
from prover.program.gadgets import expand
from prover.program.interpret import interpret
from prover.program.ir import PUBLIC, Program, Requantize, Role
from prover.program.rewrite import out_of
from prover.program.segments import STATE_CELLS, NotDivisible, cut, cuts, divide, live
from prover.program.unroll import layer_weights, unroll
from prover.program.validate import PUBLIC_CELLS, validate
from prover.statement import encode_public
from tests import convolutions, stacks, transformers
from tests.programs import Case, Generator, mlp
from tests.proving import setup


def side(program: Program, role: Role, values: Mapping[str, np.ndarray]) -> bytes:
    return b"".join(
        encode_public(values[t.name].reshape(-1).tolist()) for t in tensors(program, role)
    )


def tensors(program: Program, role: Role):  # type: ignore[no-untyped-def]
    return [program.tensors[i] for i in program.with_role(role)]


def parts(case: Case, segments: tuple[Program, ...]) -> list[Case]:
    """Each segment given what the one before wrote, as bytes say it."""
    made: list[Case] = []
    values: Mapping[str, np.ndarray] = case.given
    for n, program in enumerate(segments):
        given = layer_weights(program, case.given)
        inputs = tensors(program, Role.INPUT)
        if n == 0:
            given |= {t.name: case.given[t.name] for t in inputs}
        else:
            before = tensors(segments[n - 1], Role.OUTPUT)
            assert [t.shape for t in before] == [t.shape for t in inputs]
            for wrote, reads in zip(before, inputs, strict=True):
                given[reads.name] = values[wrote.name]
        made.append(Case(program, given))
        values = made[-1].values
    return made


def assert_composed(case: Case, segments: tuple[Program, ...]) -> list[Case]:
    """The whole's integers, every one that a segment computes too, and its answer's bytes."""
    whole = interpret(case.program, case.given)
    made = parts(case, segments)
    seen = set()
    for one, before in zip(made, [None, *made], strict=False):
        validate(one.program)
        values = one.values
        for t in one.program.tensors:
            if t.name in whole:
                np.testing.assert_array_equal(values[t.name], whole[t.name], err_msg=t.name)
                seen.add(t.name)
        if before is not None:
            wrote = side(before.program, Role.OUTPUT, before.values)
            assert wrote == side(one.program, Role.INPUT, values)
    last = made[-1]
    answer = side(case.program, Role.OUTPUT, whole)
    assert side(last.program, Role.OUTPUT, last.values) == answer
    assert seen >= {t.name for t in case.program.tensors if t.role not in (Role.WEIGHT, Role.TABLE)}
    return made


def transformer(stacked: bool = False, tokens: int = 4) -> Case:
    torch.manual_seed(0)
    module = nn.Sequential(*(transformers.Block(8, 2, 16) for _ in range(3)))
    made = transformers.compiled(module, 1, tokens, 8, stacked=stacked)
    return transformers.case(made, transformers.inputs(5, 1, tokens, 8))


def lenet() -> Case:
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 12), nn.ReLU(),
        nn.Linear(12, 4),
    )  # fmt: skip
    made = convolutions.compiled(module.double().eval(), 1, 1, 8, 8)
    return transformers.case(made, convolutions.inputs(3, 1, 1, 8, 8))


def test_mlp_is_cut_between_all_its_layers() -> None:
    case = mlp([6, 5, 4, 3])
    assert cuts(case.program) == [1, 2]
    assert_composed(case, cut(case.program, [1, 2]))
    assert_composed(case, divide(case.program, 3))


def test_lenet_is_cut() -> None:
    case = lenet()
    segments = divide(case.program, 3)
    assert len(segments) == 3
    assert_composed(case, segments)


def test_transformer_is_cut_by_block() -> None:
    case = transformer()
    segments = divide(case.program, 3)
    assert len(segments) == 3
    assert_composed(case, segments)


@pytest.mark.slow
def test_transformer_is_cut_wherever_it_can_be() -> None:
    """Residuals cross beside what is computed from them."""
    case = transformer()
    places = cuts(case.program)
    assert len(places) > 20
    assert max(len(live(case.program, at)) for at in places) > 1
    composed = 0
    for at in places[::3]:
        try:
            segments = cut(case.program, [at])
        except InvalidProgram as refused:  # too little is left for a program on one side
            assert "at least one" in str(refused)
            continue
        assert_composed(case, segments)
        composed += 1
    assert composed > 5


def test_stack_is_unrolled_and_cut_by_layer() -> None:
    case = stacks.blocks(3)
    flat = unroll(case.program)
    assert not flat.stacks
    given = layer_weights(flat, case.given) | {"x": case.given["x"]}
    whole, values = case.values, interpret(flat, given)
    np.testing.assert_array_equal(values["y"], whole["y"])
    np.testing.assert_array_equal(whole["y"], stacks.by_hand(case))
    for name in ("h", "out", "kept", "digit"):
        for layer in range(3):
            np.testing.assert_array_equal(values[f"{name}@{layer}"][0], whole[name][layer])
    segments = divide(flat, 3)
    assert len(segments) == 3
    assert_composed(Case(flat, given), segments)


def test_stacked_transformer_is_unrolled_and_cut() -> None:
    case = transformer(stacked=True)
    assert case.program.stacks
    flat = unroll(case.program)
    given = layer_weights(flat, case.given) | {"input": case.given["input"]}
    np.testing.assert_array_equal(interpret(flat, given)["output"], case.values["output"])
    segments = divide(flat, 3)
    assert len(segments) == 3
    made = assert_composed(Case(flat, given), segments)
    held = [sum(t.size for t in tensors(one.program, Role.WEIGHT)) for one in made]
    assert max(held) <= sum(held) / 2  # each commits to its own layers alone


def test_what_is_proved_of_a_tensor_is_proved_in_its_segment_too() -> None:
    """A tensor that crosses is a copy of what its gadget made, with that gadget's range proof: so
    no run goes on beyond a range at which the whole would stop."""
    plain = mlp([6, 5, 4, 3]).program
    first, tensors = plain.ops[0], list(plain.tensors)
    tensors[first.out] = replace(tensors[first.out], lo=-128, hi=127)
    narrow = Requantize(first.out, first.expr, first.shift, 8)
    program = Program(plain.limb, tuple(tensors), (narrow, *plain.ops[1:]))
    case = Case(program, mlp([6, 5, 4, 3]).given)
    whole = validate(program)
    for segment in cut(program, [1, 2]):
        proved = validate(segment)
        made = {segment.tensors[out_of(op)].name for op in segment.ops}
        inputs = [segment.tensors[i] for i in segment.with_role(Role.INPUT)]
        read = {t.name.removesuffix(".in") for t in inputs}
        for name in made & set(whole) - read:
            assert proved[name] == whole[name], name
    beyond = {**case.given, "b0": np.full(5, 1 << 20)}
    with pytest.raises(ValueRefused, match="y0"):
        interpret(program, beyond)
    with pytest.raises(ValueRefused, match="y0"):
        parts(Case(program, beyond), cut(program, [1, 2]))


def test_wide_states_cross_in_pieces() -> None:
    """More cells than one statement tensor takes."""
    case = mlp([4, 1500, 1100, 2])
    (at, *_) = cuts(case.program)
    first, second = cut(case.program, [at])
    for program, role in ((first, Role.OUTPUT), (second, Role.INPUT)):
        sizes = [t.size for t in tensors(program, role)]
        assert sizes == [PUBLIC_CELLS, 1500 - PUBLIC_CELLS]
    assert_composed(case, (first, second))


def test_states_beyond_what_the_oracle_takes_are_no_cut() -> None:
    case = mlp([2, STATE_CELLS + 1, 2])
    assert cuts(case.program) == []
    with pytest.raises(NotDivisible, match=f"at most {STATE_CELLS} .* {STATE_CELLS + 1} cells"):
        divide(case.program, 2)
    assert cuts(mlp([2, STATE_CELLS, 2]).program) == [1]


@pytest.mark.parametrize("seed", range(40))
def test_random_programs_are_cut_wherever_they_can_be(seed: int) -> None:
    case = Generator(seed).case()
    program = case.program
    if program.with_role(Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED):
        with pytest.raises(NotDivisible, match="committed"):
            cuts(program)
        return
    for at in cuts(program):
        try:
            segments = cut(program, [at])
        except InvalidProgram as refused:
            assert "at least one" in str(refused)
            continue
        made = parts(case, segments)
        assert side(segments[-1], Role.OUTPUT, made[-1].values) == side(
            program, Role.OUTPUT, case.values
        )


def test_segments_have_what_a_proof_needs() -> None:
    """A lookup and a contraction each, so each can be laid out; and it is proved."""
    case = transformer()
    made = assert_composed(case, divide(case.program, 3))
    for one in made:
        relations = expand(one.program)
        assert relations.lookups
        assert any(e.expr.contractions for e in relations.einsums)
        assert all(t.role in PUBLIC or t.role > Role.OUTPUT_COMMITTED for t in one.program.tensors)


def test_segments_are_proved_one_after_another() -> None:
    """What one proof's statement says is written is what the next one's says is read."""
    case = mlp([6, 5, 4, 3])
    setups = [setup(one) for one in assert_composed(case, cut(case.program, [1, 2]))]
    for made in setups:
        made.verify(made.prove())
    for one, other in pairwise(setups):
        assert one.statement.output == other.statement.input


@pytest.mark.parametrize("at", [[], [0], [3], [2, 1], [1, 1]])
def test_cut_where_none_is_is_refused(at: list[int]) -> None:
    program = mlp([6, 5, 4, 3]).program
    with pytest.raises(NotDivisible, match=r"expected cuts in order, of \[1, 2\]"):
        cut(program, at)


def test_cut_of_a_stack_is_refused() -> None:
    with pytest.raises(NotDivisible, match="unroll"):
        cuts(stacks.blocks(2).program)


def test_divide_of_one_layer_is_refused() -> None:
    with pytest.raises(NotDivisible):
        divide(mlp([3, 2]).program, 2)
