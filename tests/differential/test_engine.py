"""Interpreter, torch engine and plain integers, cell for cell."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch

from oracle.adapters.engine import TorchEngine
from oracle.adapters.torch_engine import Network, matmul
from oracle.domain.errors import InputRefused
from prover.compiler import compile_graph
from prover.errors import EinproofError
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Gather,
    Index,
    Linear,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Table,
    Tensor,
    View,
)
from tests import big_integers
from tests.devices import DEVICES, pretended
from tests.mlps import INPUT_RANGE, random_graph
from tests.programs import Case, random_case
from tests.soundness.small import every_kind
from tests.stacks import blocks


def inputs_of(program: Program) -> list[Tensor]:
    return [t for t in program.tensors if t.role in (Role.INPUT, Role.INPUT_COMMITTED)]


def random_inputs(program: Program, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {t.name: rng.integers(t.lo, t.hi + 1, t.shape) for t in inputs_of(program)}


@pytest.mark.parametrize("seed", range(20))
def test_random_mlps_agree_bit_for_bit(seed: int) -> None:
    graph = random_graph(100 + seed, 1 + seed % 4, 1 + seed % 5, last_relu=seed % 2 == 0)
    compiled = compile_graph(graph, INPUT_RANGE)
    given = random_inputs(compiled.program, np.random.default_rng(seed))
    expected = interpret(compiled.program, {**compiled.weights, **given})
    got = Network(compiled.program, compiled.weights).run(given)
    for name, cells in got.items():
        np.testing.assert_array_equal(cells, expected[name], err_msg=name)


@pytest.mark.parametrize("seed", range(6))
def test_small_mlps_agree_with_plain_integers(seed: int) -> None:
    graph = random_graph(200 + seed, 1 + seed % 4, 1 + seed % 3, most=9)
    compiled = compile_graph(graph, INPUT_RANGE)
    given = random_inputs(compiled.program, np.random.default_rng(seed))
    expected = big_integers.run(compiled.program, {**compiled.weights, **given})
    got = Network(compiled.program, compiled.weights).run(given)
    interpreted = interpret(compiled.program, {**compiled.weights, **given})
    for name, cells in got.items():
        assert cells.tolist() == expected[name].tolist() == interpreted[name].tolist(), name


def test_many_inferences_at_once_equal_each_alone() -> None:
    compiled = compile_graph(random_graph(7, 3, 2, most=50), INPUT_RANGE)
    network = Network(compiled.program, compiled.weights)
    rng = np.random.default_rng(7)
    (tensor,) = inputs_of(compiled.program)
    batch = rng.integers(tensor.lo, tensor.hi + 1, (11, *tensor.shape))
    together = network.run_batch({"input": batch})
    for i, one in enumerate(batch):
        for name, cells in network.run({"input": one}).items():
            np.testing.assert_array_equal(cells, together[name][i])


# --- every gadget and kind of view ---


def view(tensor: int, *index: tuple[int, int] | int) -> View:
    return View(tensor, tuple(Index(i) if isinstance(i, int) else Index(*i) for i in index))


def term(tensor: int, *index: tuple[int, int] | int, coef: int = 1) -> Affine:
    return Affine(((coef, view(tensor, *index)),))


def every_gadget() -> Program:
    """Shifts both ways, a fixed index, a transpose, batch axes, Hadamard, gather, table, range."""
    tensors = (
        Tensor("x", (3, 5), Role.INPUT, -100, 100),
        Tensor("c", (5,), Role.INPUT_COMMITTED, -128, 127),
        Tensor("w", (3, 4, 5), Role.WEIGHT, -50, 50),
        Tensor("rows", (6, 4), Role.WEIGHT, -9, 9),
        Tensor("square", (16,), Role.TABLE, 0, 225, tuple(i * i for i in range(16))),
        Tensor("shifted", (3, 5), Role.ACTIVATION, -1000, 1000),
        Tensor("small", (3, 4), Role.ACTIVATION, -32768, 32767),
        Tensor("up", (4, 3), Role.ACTIVATION, 0, 65535),
        Tensor("index", (3,), Role.INPUT, 0, 9),
        Tensor("picked", (3, 4), Role.ACTIVATION, -9, 9),
        Tensor("digit", (4,), Role.ACTIVATION, 0, 225),
        Tensor("y", (4, 3), Role.OUTPUT, -32768, 32767),
    )
    shifted = Affine(((2, view(0, (0, -1), 1)), (-3, view(0, 0, (1, 2))), (1, view(1, 1))), const=7)
    batched = Expr(
        (3, 4, 5), 2, (Contraction(term(2, 0, 1, 2), term(5, 0, 2)),), term(0, 0, (FIXED, 4))
    )
    hadamard = Expr(
        (4, 3, 4),
        2,
        (
            Contraction(term(6, 1, 0), term(6, 1, 0)),
            Contraction(term(6, 1, 2), Affine((), const=-5)),
        ),
    )
    mixed = Expr((4, 3), 2, (), Affine(((1, view(7, 0, 1)), (4, view(9, 1, 0)), (1, view(10, 0)))))
    digit = Affine(((1, view(8, (FIXED, 1))),), const=2)
    ops = (
        Range(1, 16),
        Linear(5, Expr((3, 5), 2, (), shifted)),
        Requantize(6, batched, 3, 16),
        Relu(7, hadamard, 9, 16),
        Gather(9, (3,), term(8, 0), 3),
        Table(10, (4,), digit, 4, 0),
        Requantize(11, mixed, 2, 16),
    )
    return Program(8, tensors, ops)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(5))
def test_every_gadget_agrees(seed: int, device: str) -> None:
    program, rng = every_gadget(), np.random.default_rng(seed)
    weights = {
        t.name: rng.integers(t.lo, t.hi + 1, t.shape)
        for t in program.tensors
        if t.role == Role.WEIGHT
    }
    given = random_inputs(program, rng) | {"index": rng.integers(0, 6, 3)}
    expected = big_integers.run(program, {**weights, **given})
    interpreted = interpret(program, {**weights, **given})
    network = Network(program, weights, device)
    got = network.run(given)
    many = network.run_batch({name: np.stack([cells, cells]) for name, cells in given.items()})
    assert set(got) == {t.name for t in program.tensors if t.role not in (Role.WEIGHT, Role.TABLE)}
    for name, cells in got.items():
        assert cells.tolist() == expected[name].tolist() == interpreted[name].tolist(), name
        assert many[name].tolist() == [cells.tolist()] * 2, name


def halves(case: Case) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Its weights, its inputs."""
    names = {t.name for t in case.program.tensors if t.role == Role.WEIGHT}
    weights = {name: cells for name, cells in case.given.items() if name in names}
    return weights, {name: cells for name, cells in case.given.items() if name not in names}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(25))
def test_random_programs_agree(seed: int, device: str) -> None:
    case = random_case(seed)
    weights, given = halves(case)
    expected = big_integers.run(case.program, case.given)
    for name, cells in Network(case.program, weights, device).run(given).items():
        assert cells.tolist() == expected[name].tolist() == case.values[name].tolist(), name


@pytest.mark.parametrize(
    "made",
    [every_kind, lambda: blocks(3), *(partial(random_case, seed) for seed in range(3))],
    ids=["every kind", "layers", *map(str, range(3))],
)
def test_nothing_is_left_on_the_processor(
    made: Callable[[], Case], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a device that takes its own tensors alone, and gives the same integers."""
    case = made()
    weights, given = halves(case)
    expected = interpret(case.program, case.given)
    with pretended(monkeypatch) as there:
        run = TorchEngine("cuda")._network(case.program, weights)  # as the service has it
        made_there = there.calls
        got = run(given)
    assert there.calls - made_there > len(case.program.ops)
    for name, cells in got.items():
        assert cells.tolist() == expected[name].tolist(), name


# --- ranges ---


def rounding(kind: type, lo: int, hi: int, role: Role = Role.ACTIVATION) -> Program:
    """y = kind(1024 x): |x| up to 2^15, so that 16 bits hold it for |x| < 64 or 32."""
    tensors = (
        Tensor("x", (1,), Role.INPUT, -32768, 32767),
        Tensor("h", (1,), Role.ACTIVATION, lo, hi),
        Tensor("y", (1,), Role.OUTPUT, -32768, 32767),
    )
    product = Contraction(term(0, 0), Affine((), const=1024))
    back = Contraction(term(1, 0), Affine((), const=1))
    ops = (kind(1, Expr((1,), 1, (product,)), 0, 16), Requantize(2, Expr((1,), 1, (back,)), 4, 16))
    return Program(8, tensors, ops)


@pytest.mark.parametrize(
    ("kind", "lo", "hi", "good", "bad"),
    [
        (Requantize, -32768, 32767, (31, -32), (32, -33)),
        (Requantize, -10240, 10240, (10, -10), (11, -11)),
        (Relu, 0, 65535, (63, -63), (64, -64)),
        (Relu, 0, 32767, (31, -63), (32, -64)),
    ],
)
def test_out_of_range_is_refused_by_name(
    kind: type, lo: int, hi: int, good: tuple[int, ...], bad: tuple[int, ...]
) -> None:
    program = rounding(kind, lo, hi)
    network = Network(program, {})
    for x in good:
        assert network.run({"x": np.array([x])})["h"][0] == max(1024 * x, lo)
        interpret(program, {"x": np.array([x])})
    for x in bad:
        with pytest.raises(InputRefused, match=r"^h.*expected values in"):
            network.run({"x": np.array([x])})
        with pytest.raises(ValueRefused, match=r"^h.*expected values in"):
            interpret(program, {"x": np.array([x])})


def test_tables_and_gathers_refuse_indices_outside() -> None:
    program = every_gadget()
    weights = {"w": np.zeros((3, 4, 5), dtype=int), "rows": np.zeros((6, 4), dtype=int)}
    x = {"x": np.zeros((3, 5), dtype=int), "c": np.zeros(5, dtype=int)}
    network = Network(program, weights)
    network.run({**x, "index": np.array([0, 5, 3])})
    outside = {**x, "index": np.array([0, 6, 3])}
    with pytest.raises(InputRefused, match="index: expected values in"):
        network.run(outside)
    with pytest.raises(ValueRefused, match="index: expected values in"):
        interpret(program, {**weights, **outside})
    with pytest.raises(InputRefused, match="c: expected values in"):
        network.run({**x, "c": np.full(5, 128), "index": np.array([0, 5, 3])})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({}, "expected inputs"),
        ({"x": np.zeros((1, 2), dtype=int), "z": np.zeros(1, dtype=int)}, "expected inputs"),
        ({"x": np.zeros((2,), dtype=int)}, "integers of shape"),
        ({"x": np.zeros((1,))}, "integers of shape"),
        ({"x": np.array([40000])}, "values in"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(given: dict[str, np.ndarray], reason: str) -> None:
    with pytest.raises(InputRefused, match=reason):
        Network(rounding(Relu, 0, 65535), {}).run(given)


def test_weights_that_do_not_fit_are_refused() -> None:
    compiled = compile_graph(random_graph(1, 1, 1, most=5), INPUT_RANGE)
    weights = dict(compiled.weights)
    for bad in (None, weights["linear_0.weight"][:, :0], weights["linear_0.weight"] + 1000):
        with pytest.raises(ValueRefused, match=r"linear_0\.weight"):
            Network(compiled.program, {**weights, "linear_0.weight": bad})


def test_an_invalid_program_is_refused() -> None:
    program = rounding(Relu, 0, 65535)
    with pytest.raises(EinproofError):
        Network(Program(7, program.tensors, program.ops), {})


# --- exact products ---


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("bits_x", "bits_y"), [(7, 15), (31, 22), (45, 10), (8, 48), (30, 30), (62, 1)]
)
def test_products_are_exact_up_to_int64(bits_x: int, bits_y: int, device: str) -> None:
    rng = np.random.default_rng(bits_x)
    x = rng.integers(-(1 << bits_x) + 1, 1 << bits_x, (3, 2))
    y = rng.integers(-(1 << bits_y) + 1, 1 << bits_y, (2, 4))
    if bits_x + bits_y >= 61:
        x[:, 1] = 0
    got = matmul(torch.from_numpy(x).to(device), torch.from_numpy(y).to(device)).tolist()
    assert got == (x.astype(object) @ y.astype(object)).tolist()
