"""No proof exists just where the service says so. Stake hangs on it: an operator who says that an
input has no answer is slashed by a proof of any, and a challenger who disputes what can be proved
pays its bond.

Declared bounds, such as an input's range, are no part of a proof; nor may the two engines differ at
any edge of what is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np
import pytest

from oracle.adapters.engine import InterpreterEngine, TorchEngine
from oracle.adapters.torch_engine import Network
from oracle.domain.errors import InputRefused
from prover import kernels as tiers
from prover.api import Claim, Session, check
from prover.model import Model
from prover.program import gadgets, interpret
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret as run_program
from prover.program.ir import (
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Index,
    Max,
    Op,
    Program,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Table,
    Tensor,
    View,
)
from prover.program.proved import proved
from prover.program.relations import Relations
from prover.quantizer import Quantizer, Scaled
from prover.srs import development_srs
from tests.programs import one
from tests.soundness.meaning import objects, violated
from tests.soundness.test_review_cells import CASES, holds, ready

CONTEXT = bytes(32)
WIDE = (-(1 << 15), (1 << 15) - 1)


# -- an input outside of its declared range --------------------------------------------------------


def narrow() -> Program:
    """y = round(relu(w x) / 2^4): x declared in [-8, 7], y in [-100, 100]."""
    tensors = (
        Tensor("x", (2,), Role.INPUT, -8, 7),
        Tensor("w", (2, 2), Role.WEIGHT, -8, 7),
        Tensor("h", (2,), Role.ACTIVATION, 0, 60),
        Tensor("y", (2,), Role.OUTPUT, -100, 100),
    )
    product = Contraction(one(1, 0, 1), one(0, 1))
    ops = (
        Relu(2, Expr((2, 2), 1, (product,)), 2, 8),
        Requantize(3, Expr((2,), 1, (), Affine(((7, one(2, 0).terms[0][1]),))), 2, 8),
    )
    return Program(8, tensors, ops)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    kernels = tiers.get("scalar")
    srs = development_srs(kernels, 10, tmp_path_factory.mktemp("srs"))
    program = narrow()
    quantizer = Quantizer(Scaled("x", (2,), 0, -8, 7), Scaled("y", (2,), 0, -100, 100))
    weights = {"w": np.array([[3, -1], [2, 5]])}
    model = Model.create(program, weights, quantizer, kernels, srs, k=10)
    model.save(tmp_path_factory.mktemp("models") / "narrow")
    return next(tmp_path_factory.getbasetemp().glob("models*/narrow"))


def cells(*values: int) -> bytes:
    return np.array(values, dtype=">i2").tobytes()


@pytest.mark.parametrize("given", [(50, 40), (-8, 90), (127, -32)])
def test_what_can_be_proved_is_answered(folder: Path, given: tuple[int, int]) -> None:
    """The proof knows nothing of [-8, 7]: the engines answer, and the session proves it."""
    data, model = cells(*given), Model.load(folder)
    with pytest.raises(ValueRefused, match="x: expected values in"):
        Session(model).run(data)
    outputs = [asyncio.run(e().run(folder, data)) for e in (TorchEngine, InterpreterEngine)]
    output, proof, _ = Session(model, declared=False).prove(CONTEXT, data)
    assert outputs == [output, output]
    check(model, Claim(CONTEXT, model.id, model.srs_id, data, output, proof), CONTEXT)


@pytest.mark.parametrize("given", [(3000, 0), (-32768, 32767), (0, 1000)])
def test_what_cannot_be_proved_is_refused(folder: Path, given: tuple[int, int]) -> None:
    """A ReLU's 8 bits are part of the proof."""
    data = cells(*given)
    for engine in (TorchEngine, InterpreterEngine):
        with pytest.raises(InputRefused, match=r"^h.*expected values in"):
            asyncio.run(engine().run(folder, data))
    with pytest.raises(ValueRefused, match=r"^h.*expected values in"):
        Session(Model.load(folder), declared=False).prove(CONTEXT, data)


def test_bounds_are_those_of_the_relations() -> None:
    found = {t.name: (t.lo, t.hi) for t in proved(narrow()).tensors}
    assert found == {"x": WIDE, "w": (-8, 7), "h": (0, 255), "y": WIDE}


# -- every edge of every gadget --------------------------------------------------------------------


def gadget(op: Op, shape: tuple[int, ...], role: Role = Role.ACTIVATION) -> Program:
    """One gadget on x, two rows of three; and what makes a program of it."""
    tensors = (
        Tensor("x", (2, 3), Role.INPUT, *WIDE),
        Tensor("made", shape, role, -(1 << 50), 1 << 50)
        if role == Role.ACTIVATION
        else Tensor("made", shape, role, *WIDE),
        Tensor("f", (5,), Role.TABLE, -9, 9, (1, -2, 3, -4, 5)),
        Tensor("last", (2,), Role.OUTPUT, *WIDE),
    )
    square = Contraction(one(0, 0, 1), Affine((), 0))
    return Program(4, tensors, (op, Requantize(3, Expr((2, 3), 1, (square,)), 0, 16)))


def scaled(factor: int, const: int = 0) -> Affine:
    return Affine(((factor, one(0, 0, 1).terms[0][1]),), const)


def first(factor: int, const: int = 0) -> Affine:
    """Column 0, for both rows."""
    return Affine(((factor, View(0, (Index(0), Index(-1, 0)))),), const)


GADGETS: dict[str, Program] = {
    "requantise": gadget(Requantize(1, Expr((2, 3), 2, (), scaled(3, 1)), 3, 8), (2, 3)),
    "requantise to an output": gadget(
        Requantize(1, Expr((2, 3), 2, (), scaled(30, 1)), 3, 8), (2, 3), Role.OUTPUT
    ),
    "requantise to an output beyond": gadget(
        Requantize(1, Expr((2, 3), 2, (), scaled(1000)), 3, 32), (2, 3), Role.OUTPUT
    ),
    "relu": gadget(Relu(1, Expr((2, 3), 2, (), scaled(5, -3)), 2, 8), (2, 3)),
    "relu to an output": gadget(
        Relu(1, Expr((2, 3), 2, (), scaled(5)), 0, 16), (2, 3), Role.OUTPUT
    ),
    "table": gadget(Table(1, (2, 3), scaled(1, 1), 2, -2), (2, 3)),
    "max": gadget(Max(1, (2, 3), scaled(1), 8), (2,)),
    "max to an output": gadget(Max(1, (2, 3), scaled(9), 20), (2,), Role.OUTPUT),
    "argmax": gadget(Argmax(1, (2, 3), scaled(1), 8), (2,)),
    "divide": gadget(Divide(1, (2,), first(12), first(1, 2), 8, 8), (2,)),
    "divide, large denominators": gadget(Divide(1, (2,), first(1), first(3, 1), 8, 8), (2,)),
    "root": gadget(Rsqrt(1, (2,), first(3, 1), 8, 8, 12), (2,)),
}


def edges(rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Rows around powers of two and their halves, where ranges end."""
    ends = [s * ((1 << b) + d) for b in range(5, 16) for d in (-1, 0, 1) for s in (1, -1)]
    ends += [0, 1, -1, 2, -2, *(s * n for n in (42, 43, 84, 85, 86, 127, 170) for s in (1, -1))]
    ends = [n for n in ends if WIDE[0] <= n <= WIDE[1]]
    for end in ends:
        yield np.full((2, 3), end)
        yield np.array([[0, end, 0], [end, 0, end]])
        yield np.array([[end, 0, end - (end > 0)], [0, 0, end]])
    for _ in range(60):
        yield rng.integers(-300, 300, (2, 3))


@cache
def expanded(name: str) -> Relations:
    return gadgets.expand(GADGETS[name])


def unchecked(program: Program, given: dict[str, np.ndarray]) -> dict[str, np.ndarray] | None:
    """What the interpreter would compute with no range checked; None where it cannot."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (gadgets.shared, gadgets.table, interpret):
            patch.setattr(module, "within", lambda *_: None)
        try:
            return run_program(program, given)
        except (ValueRefused, ZeroDivisionError, IndexError, OverflowError):
            return None


@pytest.mark.parametrize("name", GADGETS)
def test_engines_refuse_where_a_relation_breaks(name: str) -> None:
    """Outputs and hints are unique, so what they are without any check shows whether there is a
    proof: both engines must say the same."""
    program, relations = proved(GADGETS[name]), expanded(name)
    network, taken, refused = Network(program, {}), 0, 0
    for x in edges(np.random.default_rng(1)):
        try:
            found = run_program(program, {"x": x})["made"].tolist()
        except ValueRefused:
            found = None
        try:
            again = network.run({"x": x})["made"].tolist()
        except InputRefused:
            again = None
        assert found == again, x
        made = unchecked(program, {"x": x})
        if made is None:
            assert found is None, x
            refused += 1
            continue
        values = {i: made[t.name] for i, t in enumerate(relations.tensors)}
        public = [values[i] for i in program.with_role(Role.OUTPUT)]
        broken = any(np.abs(v + 0.5).max() > 1 << 15 for v in public)
        broken = broken or bool(violated(relations, objects(values)))
        assert (found is None) == broken, x
        taken, refused = taken + (not broken), refused + broken
    assert taken > 5 and refused > 5


# -- whole networks, far beyond what they were made for --------------------------------------------


def answer_of(run: Callable[[], dict[str, np.ndarray]]) -> dict[str, list[int]] | None:
    try:
        return {name: cells.tolist() for name, cells in run().items()}
    except (ValueRefused, InputRefused):
        return None


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("random")])
def test_engines_agree_on_any_input_of_a_network(name: str) -> None:
    """Integers of all sizes up to int16's ends; what is taken is what the relations allow."""
    case, relations, _ = ready(name)
    program, rng = proved(case.program), np.random.default_rng(5)
    declared = {t.name: t for t in case.program.tensors}
    weights = {n: v for n, v in case.given.items() if declared[n].role == Role.WEIGHT}
    network, taken = Network(program, weights), 0
    for attempt in range(40):
        reach = 1 << attempt % 15 + 1
        given = {
            n: np.maximum(rng.integers(-reach, reach, v.shape), declared[n].lo)
            for n, v in case.given.items()
            if n not in weights
        }
        found = answer_of(partial(network.run, given))
        made = answer_of(partial(run_program, program, {**weights, **given}))
        if made is None:
            assert found is None, given
            continue
        assert found == {n: made[n] for n in found or {}}, given
        values = {i: np.array(made[t.name]) for i, t in enumerate(relations.tensors)}
        assert holds(relations, values)
        taken += 1
    assert taken
