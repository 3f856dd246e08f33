"""Provers that cheat on stacked layers: each claim holds but for one layer, one place, one order.
Refused by Python and on a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from prover.program import gadgets
from prover.program.evaluate import expr_values
from prover.program.interpret import interpret
from prover.program.ir import Affine, Expr, Linear, Program, Requantize, Role, Stack, Tensor
from prover.program.validate import InvalidProgram, validate
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.programs import Case, one
from tests.proving import Setup, setup, srs_of
from tests.soundness.malice import Claim
from tests.soundness.meaning import objects, violated
from tests.stacks import before, blocks

LAYERS = 4
Values = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def ready() -> tuple[Case, Setup]:
    case = blocks(LAYERS, seed=3)
    return case, setup(case)


def swapped_layers(case: Case) -> Values:
    """Two layers in the other order: their true values under each other's weights."""
    order = [0, 2, 1, 3]
    found = interpret(case.program, case.given | {n: case.given[n][order] for n in ("w", "v", "b")})
    return found | {n: case.given[n] for n in ("w", "v", "b")}


def a_layer_twice(case: Case) -> Values:
    """One layer left out, the one before it in its place."""
    order = [0, 1, 1, 3]
    found = interpret(case.program, case.given | {n: case.given[n][order] for n in ("w", "v", "b")})
    return found | {n: case.given[n] for n in ("w", "v", "b")}


def with_in(case: Case, terms: Callable[[Linear], Affine]) -> Values:
    """What the program gives where its blocks read something else; the true tensors' names."""
    ops = tuple(
        replace(op, expr=replace(op.expr, linear=terms(op))) if isinstance(op, Linear) else op
        for op in case.program.ops
    )
    return interpret(replace(case.program, ops=ops), case.given)


def dropped_placement(case: Case) -> Values:
    """The first block reads nothing."""
    return with_in(case, lambda op: Affine(op.expr.linear.terms[:1]))


def dropped_shift(case: Case) -> Values:
    """Every block but the first reads nothing."""
    return with_in(case, lambda op: Affine(op.expr.linear.terms[1:]))


def another_start(case: Case) -> Values:
    """The blocks of another input, beside the true one."""
    start = case.program.named("start")
    twice = tuple(
        replace(op, expr=replace(op.expr, linear=Affine(op.expr.linear.terms, 7)))
        if isinstance(op, Requantize) and op.out == start
        else op
        for op in case.program.ops
    )
    return interpret(replace(case.program, ops=twice), case.given)


def one_layer_off(layer: int) -> Callable[[Case], Values]:
    """One cell of one layer's output, and what follows from it in the layers after it."""

    def attack(case: Case) -> Values:
        from prover.program.rewrite import at_layer

        program, named = case.program, {n: v.copy() for n, v in case.values.items()}
        (stack,) = program.stacks
        values = {i: named[t.name] for i, t in enumerate(program.tensors)}
        values[program.named("out")][layer, 1, 2] += 1
        for later in range(layer + 1, stack.length):
            for op in program.ops[stack.first : stack.first + stack.count]:
                for name, cells in gadgets.run(program, at_layer(op, later), values).items():
                    named[name][later] = cells[0]
        return named | gadgets.run(program, program.ops[-1], values)

    return attack


def without_its_effect(case: Case) -> Values:
    """A layer's output is another, and the layers after it go on from the true one."""
    named = {n: v.copy() for n, v in case.values.items()}
    named["out"][1, 0, 0] += 1
    return named


ATTACKS: dict[str, Callable[[Case], Values]] = {
    "swapped layers": swapped_layers,
    "a layer twice": a_layer_twice,
    "the placement dropped": dropped_placement,
    "the shift dropped": dropped_shift,
    "another start": another_start,
    "without its effect": without_its_effect,
    **{f"layer {layer} off by one": one_layer_off(layer) for layer in range(LAYERS)},
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_on_a_stack_are_refused(ready: tuple[Case, Setup], name: str) -> None:
    case, made = ready
    claim = Claim(made, ATTACKS[name](case)).refit()
    assert claim.broken()
    assert claim.refused() is not None


def test_the_honest_claim_is_accepted(ready: tuple[Case, Setup]) -> None:
    made = ready[1]
    assert not Claim.honest(made).broken()
    assert Claim.honest(made).refused() is None


@pytest.mark.chain
def test_a_chain_refuses_them_too(anvil: Chain) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 12))
    case = blocks(LAYERS, seed=3)
    made = deployment.setup(case)
    deployment.verify(*Claim.honest(made).prove())
    for name, attack in ATTACKS.items():
        statement, proof = Claim(made, attack(case)).refit().prove()
        with pytest.raises(Reverted):
            deployment.verify(statement, proof)
            pytest.fail(name)


@pytest.mark.parametrize("offset", [0, -1])
def test_why_an_order_is_needed(offset: int) -> None:
    """a = b of the same layer, b = a: any integers satisfy both. A layer back, only zeros do."""
    view = replace(before(1, 2), index=(replace(before(1, 2).index[0], offset=offset),
                                        before(1, 2).index[1]))  # fmt: skip
    tensors = (
        Tensor("a", (2, 3), Role.ACTIVATION, -32768, 32767),
        Tensor("b", (2, 3), Role.ACTIVATION, -32768, 32767),
    )
    ops = (
        Linear(0, Expr((2, 3), 2, (), Affine(((1, view),)))),
        Requantize(1, Expr((2, 3), 2, (), one(0, 0, 1)), 0, 16),
    )
    program = Program(16, tensors, ops, (Stack(0, 2, 2),))
    found = []
    for value in (0, 5):
        cells = np.full((2, 3), value)
        relations = gadgets.expand(program)
        found.append(violated(relations, objects({0: cells, 1: cells})))
    assert found[0] == set()
    if offset == 0:
        assert found[1] == set()
        with pytest.raises(InvalidProgram, match="b: read 0 layers on"):
            validate(program)
    else:
        assert found[1]
        assert not expr_values(ops[0].expr, {1: np.zeros((2, 3), dtype=np.int64)}).any()
