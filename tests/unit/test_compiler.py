"""The compiler: what it makes is valid, close to the floats, and never leaves a range."""

from __future__ import annotations

import numpy as np
import pytest

from prover.compiler import Compiled, CompileError, UnsupportedOp, compile_graph, compile_module
from prover.compiler.build import LIMBS, cells
from prover.compiler.calibrate import Interval
from prover.compiler.quantize import largest_exponent, quantize_linear, smallest_shift
from prover.compiler.trace import Graph, Node, trace
from prover.program.encode import decode, encode
from prover.program.interpret import interpret
from prover.program.ir import Program, Relu, Requantize, Role
from prover.program.validate import validate
from tests.mlps import INPUT_RANGE, float_run, linear, random_graph, relu


def run(compiled: Compiled, x: np.ndarray) -> np.ndarray:
    """The float answer of the integer program."""
    program, quantizer = compiled.program, compiled.quantizer
    shape = program.tensors[program.named("input")].shape
    given = {**compiled.weights, "input": quantizer.quantize(x).reshape(shape)}
    return quantizer.dequantize(interpret(program, given)["output"])


def assert_close(compiled: Compiled, graph: Graph, x: np.ndarray) -> None:
    """8-bit weights: within 5% of the largest output, and a few steps of the output's scale."""
    expected = float_run(graph, x)
    error = np.abs(run(compiled, x) - expected).max()
    assert error <= 0.05 * np.abs(expected).max() + 8 * resolution(compiled)


def resolution(compiled: Compiled) -> float:
    return float(2.0**-compiled.quantizer.output.exponent)


# --- random networks ---


@pytest.mark.parametrize("seed", range(12))
def test_random_mlp_is_valid_and_close_to_its_floats(seed: int) -> None:
    layers, batch = 1 + seed % 4, 1 + seed % 5
    graph = random_graph(seed, layers, batch, last_relu=seed % 3 == 0)
    compiled = compile_graph(graph, INPUT_RANGE)
    validate(compiled.program)
    assert decode(encode(compiled.program)) == compiled.program
    x = np.random.default_rng(seed).uniform(*INPUT_RANGE, graph.input_shape)
    assert_close(compiled, graph, x)


@pytest.mark.parametrize("seed", range(8))
def test_no_corner_of_the_input_range_leaves_a_range(seed: int) -> None:
    """The input that maximises each first-layer neuron is accepted, as are the range's ends."""
    graph = random_graph(seed, 1 + seed % 4, 1, most=40)
    compiled = compile_graph(graph, INPUT_RANGE)
    program, spec = compiled.program, compiled.quantizer.input
    first = compiled.weights["linear_0.weight"]
    worst = [np.where(sign * row > 0, spec.hi, spec.lo) for row in first for sign in (1, -1)]
    for x in [np.full(len(first[0]), spec.lo), np.full(len(first[0]), spec.hi), *worst]:
        values = interpret(program, {**compiled.weights, "input": x[None]})
        for op in program.ops:
            if isinstance(op, Relu):
                name = program.tensors[op.out].name
                assert values[f"{name}.n"].max() < 1 << op.bits


def test_shifts_are_the_least_that_the_worst_case_allows() -> None:
    weight = np.full((1, 100), 1.0)
    compiled = compile_graph(Graph((1, 100), (linear("l", 1, weight, None),)), (0.0, 1.0))
    (op,) = compiled.program.ops
    assert isinstance(op, Requantize)
    reach = 100 * compiled.quantizer.input.hi * int(compiled.weights["l.weight"].max())
    assert (reach + (1 << op.shift - 1)) >> op.shift <= 32767
    assert (reach + (1 << op.shift - 2)) >> op.shift - 1 > 32767


def test_compiling_is_a_pure_function() -> None:
    first, second = (compile_graph(random_graph(3, 3, 2), INPUT_RANGE) for _ in range(2))
    assert encode(first.program) == encode(second.program)
    assert first.quantizer.canonical() == second.quantizer.canonical()
    for name, values in first.weights.items():
        np.testing.assert_array_equal(values, second.weights[name])


def test_the_public_program_says_no_more_of_the_weights_than_their_scales() -> None:
    """Other weights of the same scales and worst cases give the same public bytes."""
    graph = random_graph(5, 2, 1, most=30)
    negated = tuple(
        linear(n.name, 1, n.args[1][::-1], None if n.args[2] is None else n.args[2][::-1])
        if n.name == "linear_0"
        else n
        for n in graph.nodes
    )
    one = compile_graph(graph, INPUT_RANGE)
    other = compile_graph(Graph(graph.input_shape, negated), INPUT_RANGE)
    relus = [[op.shift for op in c.program.ops] for c in (one, other)]
    assert relus[0][0] == relus[1][0]
    assert one.program.tensors == other.program.tensors


# --- hard cases ---


def compiled_linear(weight: list[list[float]], bias: list[float] | None = None) -> Compiled:
    array, offset = np.array(weight), None if bias is None else np.array(bias)
    return compile_graph(Graph((1, array.shape[1]), (linear("l", 1, array, offset),)), (-1.0, 1.0))


@pytest.mark.parametrize(
    ("weight", "bias"),
    [
        ([[0.0, 0.0]], None),
        ([[0.0, 0.0], [0.0, 0.0]], [0.0, 3.5]),
        ([[1e-30, -1e-30]], [1000.0]),
        ([[1e30, -2e30]], [1e29]),
        ([[1e-300]], [1e300]),
        ([[1e300]], None),
        ([[5e-324]], None),
        ([[0.999999]], [0.5]),
        ([[1.0]], None),
        ([[-1.0]], [-1e-9]),
    ],
)
def test_degenerate_weights_work(weight: list[list[float]], bias: list[float] | None) -> None:
    compiled = compiled_linear(weight, bias)
    for x in (-1.0, 0.0, 0.3, 1.0):
        values = np.full((1, len(weight[0])), x)
        expected = values @ np.array(weight).T + (0.0 if bias is None else np.array(bias))
        error = np.abs(run(compiled, values) - expected).max()
        most = np.abs(weight).sum(axis=1).max() + (0.0 if bias is None else np.abs(bias).max())
        assert error <= 0.01 * most + resolution(compiled)


def test_a_layer_that_fits_is_not_shifted() -> None:
    graph = Graph((1, 1), (linear("l", 1, np.array([[1.0]]), None),))
    compiled = compile_graph(graph, (-1.0, 1.0), weight_bits=2, input_bits=8)
    (op,) = compiled.program.ops  # which doubles and halves: a program needs a lookup
    assert isinstance(op, Requantize) and op.shift == 1
    steps = np.arange(-64, 65) / 64
    assert [float(run(compiled, np.array([[x]]))[0, 0]) for x in steps] == steps.tolist()
    two = Graph((1, 1), (*graph.nodes, relu("r", (1, 1))))
    compiled = compile_graph(two, (-1.0, 1.0), weight_bits=2, input_bits=8)
    assert isinstance(compiled.program.ops[0], Relu) and compiled.program.ops[0].shift == 0
    assert run(compiled, np.array([[0.5]])) == 0.5


def test_wide_statement_tensors_are_committed() -> None:
    rng = np.random.default_rng(0)
    graph = Graph((5, 300), (linear("l", 5, rng.normal(size=(250, 300)), None),))
    compiled = compile_graph(graph, INPUT_RANGE)
    roles = {t.name: t.role for t in compiled.program.tensors}
    assert roles["input"] == Role.INPUT_COMMITTED and roles["output"] == Role.OUTPUT_COMMITTED
    x = rng.uniform(*INPUT_RANGE, (5, 300))
    assert_close(compiled, graph, x)


def test_two_layers_with_nothing_between() -> None:
    rng = np.random.default_rng(1)
    nodes = (
        linear("a", 2, rng.normal(size=(7, 5)), rng.normal(size=7)),
        linear("b", 2, rng.normal(size=(3, 7)), None),
    )
    graph = Graph((2, 5), nodes)
    x = rng.uniform(*INPUT_RANGE, (2, 5))
    assert_close(compile_graph(graph, INPUT_RANGE), graph, x)


def test_relu_first_twice_and_last() -> None:
    rng = np.random.default_rng(2)
    nodes = (
        relu("r0", (2, 5)),
        linear("a", 2, rng.normal(size=(7, 5)), None),
        relu("r1", (2, 7)),
        relu("r2", (2, 7)),
    )
    graph = Graph((2, 5), nodes)
    x = rng.uniform(*INPUT_RANGE, (2, 5))
    assert_close(compile_graph(graph, INPUT_RANGE), graph, x)


def test_limb_gives_the_fewest_cells() -> None:
    def limb(rows: int, width: int) -> int:
        weight = np.ones((width, 3))
        nodes = (linear("l", rows, weight, None), relu("r", (rows, width)))
        program = compile_graph(Graph((rows, 3), nodes), (0.0, 1.0)).program
        counts = {each: cells(Program(each, program.tensors, program.ops)) for each in LIMBS}
        assert program.limb == min(counts, key=counts.__getitem__)
        return program.limb

    assert limb(1, 32) == 8
    assert limb(300, 300) == 16


# --- scales ---


def test_largest_exponent_is_the_largest() -> None:
    rng = np.random.default_rng(4)
    for value in [*(2.0 ** rng.uniform(-50, 50, 200)), 127.49, 127.5, 127.51, 1.0, 0.5]:
        e = largest_exponent(np.array([-value]), 127)
        assert e is not None
        assert np.rint(np.ldexp(value, e)) <= 127 < np.rint(np.ldexp(value, e + 1))
    assert largest_exponent(np.zeros(3), 127) is None


def test_halves_round_to_even() -> None:
    weight, _, exponent = quantize_linear(np.array([[64.0, 0.5, 1.5, -2.5]]), np.zeros(1), 0, 8)
    assert exponent == 0 and weight.tolist() == [[64, 0, 2, -2]]


def test_a_large_bias_takes_the_scale() -> None:
    weight, bias, exponent = quantize_linear(np.array([[1.0]]), np.array([2.0**40]), 0, 8)
    assert exponent == -10 and weight.tolist() == [[0]] and bias.tolist() == [1 << 30]


def test_smallest_shift_and_none() -> None:
    assert smallest_shift(Interval.uniform(-5, 32767, 1), -32768, 32767) == 0
    assert smallest_shift(Interval.uniform(0, 32768, 1), -32768, 32767) == 1
    assert smallest_shift(Interval.uniform(0, 65535, 1), -32768, 32767) == 2
    assert smallest_shift(Interval.uniform(0, 1 << 60, 1), -32768, 32767) is None


# --- torch ---


def test_torch_modules_compile() -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 9), nn.ReLU(), nn.Dropout(0.5), nn.Linear(9, 4, bias=False)
    )
    graph = trace(module, (3, 1, 3, 4))
    assert [n.target for n in graph.nodes if "linear" in n.target] == ["aten.linear.default"] * 2
    assert module.training
    compiled = compile_module(module, (3, 1, 3, 4), (0.0, 1.0))
    x = np.random.default_rng(0).uniform(0, 1, (3, 1, 3, 4))
    with torch.no_grad():
        expected = module.eval()(torch.tensor(x, dtype=torch.float32)).numpy()
    assert np.abs(run(compiled, x) - expected).max() < 0.02


def test_functional_style_compiles() -> None:
    import torch
    from torch import nn
    from torch.nn import functional as F

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = nn.Parameter(torch.randn(6, 4))
            self.b = nn.Parameter(torch.randn(6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = F.linear(x.reshape(-1, 4), weight=self.w, bias=self.b).relu_()
            return x.unsqueeze(0)

    torch.manual_seed(1)
    module = Net()
    compiled = compile_module(module, (2, 2, 2), (-1.0, 1.0))
    x = np.random.default_rng(0).uniform(-1, 1, (2, 2, 2))
    with torch.no_grad():
        expected = module(torch.tensor(x, dtype=torch.float32)).numpy()
    assert compiled.quantizer.output.shape == (1, 2, 6)
    assert np.abs(run(compiled, x) - expected).max() < 0.05


def test_unsupported_op_is_named_with_its_node() -> None:
    import torch
    from torch import nn

    class Floor(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.floor()

    module = nn.Sequential(nn.Linear(4, 4), Floor(), nn.Linear(4, 2))
    with pytest.raises(UnsupportedOp, match=r"aten\.floor\.default at node 'floor'"):
        compile_module(module, (1, 4), (0.0, 1.0))


def test_quotients_side_effects_and_several_outputs_are_refused() -> None:
    import torch
    from torch import nn

    class Quotient(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x) / (x - 1)

    class Constant(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.ones(2)

    class Aliased(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.linear(x)
            y.view(2, 2).relu_()
            return y

    class Two(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return torch.relu(x), x

    class Identity(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.reshape(2, 2)

    for module, reason in (
        (Quotient(), "node 'div_root': .*drive its radicand"),
        (Constant(), "depends on the input"),
        (Aliased(), "at node 'relu_': it changes 'linear' in place"),
        (Two(), "1 output, got 2"),
        (Identity(), "at least one linear layer"),
    ):
        with pytest.raises(CompileError, match=reason):
            compile_module(module, (1, 4), (0.0, 1.0))


def test_a_module_that_torch_refuses_is_one_line() -> None:
    from torch import nn

    with pytest.raises(CompileError, match=r"^torch\.export refused the model: .+") as caught:
        compile_module(nn.Linear(5, 2), (1, 4), (0.0, 1.0))
    assert "\n" not in str(caught.value)


def test_regrouped_features_are_refused() -> None:
    nodes = (
        linear("a", 2, np.ones((6, 4)), None),
        Node("view", "aten.view.default", linear("x", 1, np.ones((1, 1)), None).args[:1], (4, 3)),
        linear("b", 4, np.ones((1, 3)), None),
    )
    with pytest.raises(UnsupportedOp, match=r"'b'.*regroups"):
        compile_graph(Graph((2, 4), nodes), (0.0, 1.0))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_numbers_name_their_node(bad: float) -> None:
    with pytest.raises(CompileError, match="l: expected a finite weight"):
        compiled_linear([[1.0, bad]])
    with pytest.raises(CompileError, match="l: expected a finite bias"):
        compiled_linear([[1.0, 1.0]], [bad])


@pytest.mark.parametrize("ends", [(0.0, 0.0), (1.0, 0.0), (np.nan, 1.0), (0.0, np.inf)])
def test_input_ranges_that_are_none_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(CompileError, match="input range"):
        compile_graph(random_graph(0, 1, 1), ends)


@pytest.mark.parametrize("bits", [1, 17])
def test_precisions_out_of_range_are_refused(bits: int) -> None:
    with pytest.raises(CompileError, match="weights of 2 to 16 bits"):
        compile_graph(random_graph(0, 1, 1), INPUT_RANGE, weight_bits=bits)
