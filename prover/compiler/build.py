"""Trace, one pass over the operators, the width of the range table: the whole compiler."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from prover.compiler.calibrate import Interval
from prover.compiler.check import check_order
from prover.compiler.equalize import equalized
from prover.compiler.errors import CompileError, unknown
from prover.compiler.lower import LOWERINGS
from prover.compiler.lower.builder import BITS, Builder, Stored, Value, rows_and_features
from prover.compiler.network import check_examples, lower_graph
from prover.compiler.public import Shown
from prover.compiler.quantize import quantize_input, smallest_shift, whole_input
from prover.compiler.ranges import Ranges, evaluate, example_inputs
from prover.compiler.trace import INPUT, PREVIOUS, Graph, trace
from prover.program import gadgets
from prover.program.format import SLICES
from prover.program.ir import Affine, Program, Range, Role
from prover.program.validate import PUBLIC_CELLS, validate
from prover.quantizer import INT16_MAX, INT16_MIN, IntArray, Quantizer, Scaled

if TYPE_CHECKING:
    import torch

OUTPUT = "output"
LIMBS = (8, 16)


@dataclass(frozen=True)
class Compiled:
    """A public program and quantiser, and the secret integers (by tensor name) that make them a
    model; the ranges that its scales come from, where they do not come from a worst case; the
    parameters that the program shows, None where another compiler, which made it, does not say; and
    the greatest error of each function's table, by the tensor that it fills, where it was compiled
    here.
    """

    program: Program
    weights: dict[str, IntArray]
    quantizer: Quantizer
    ranges: dict[str, list[float]] = field(default_factory=dict)
    shown: tuple[Shown, ...] | None = None
    errors: dict[str, float] = field(default_factory=dict)


def compile_module(
    module: torch.nn.Module,
    input_shape: tuple[int, ...],
    input_range: tuple[float, float],
    *,
    weight_bits: int = 8,
    input_bits: int = 16,
    private_input: bool = False,
    private_output: bool = False,
    examples: Any = None,
    ranges: Ranges | None = None,
    whole: bool = False,
    stacked: bool = True,
    per_channel: bool = False,
) -> Compiled:
    """The program of a torch module for one input shape (its batch included) and range of input
    cells. `examples`: float inputs (n, *input_shape), as `record_ranges` takes them; `ranges`: what
    was recorded on them before, instead. `whole`: the input is integers, such as token ids.
    `stacked`: blocks that repeat are written once, on scales that all of them share.
    `per_channel`: every channel of a layer has a scale of its own (docs/protocol/ops.md#channels).

    Raises CompileError, or UnsupportedOp with the node and the operator.
    """
    graph = trace(module, input_shape, whole)
    graph = equalized(graph) if per_channel else graph
    if ranges is None and not is_chain(graph):
        ranges = record_ranges(graph, input_range, examples)
    return compile_graph(
        graph,
        input_range,
        weight_bits=weight_bits,
        input_bits=input_bits,
        private_input=private_input,
        private_output=private_output,
        ranges=ranges,
        stacked=stacked,
        per_channel=per_channel,
    )


def record_ranges(graph: Graph, input_range: tuple[float, float], examples: Any = None) -> Ranges:
    """What every value of a graph reaches on example inputs; by default on 16 that are uniform over
    the declared range. What an input drives beyond twice that is refused by the engine."""
    if examples is None:
        examples = example_inputs(graph.input_shape, input_range, graph.whole)
    ranges = Ranges(per_channel=graph.evened)
    for example in check_examples(examples, graph.input_shape):
        evaluate(graph, example, ranges)
    return ranges


def is_chain(graph: Graph) -> bool:
    """Whether every operator reads the one before it, and its worst case is known."""
    known = all(node.target in LOWERINGS for node in graph.nodes)
    return known and all(PREVIOUS in node.args[:1] for node in graph.nodes)


def compile_graph(
    graph: Graph,
    input_range: tuple[float, float],
    *,
    weight_bits: int = 8,
    input_bits: int = 16,
    private_input: bool = False,
    private_output: bool = False,
    ranges: Ranges | None = None,
    stacked: bool = True,
    per_channel: bool = False,
) -> Compiled:
    """The same from a traced graph; float64 and integers only, so equal arguments give equal bytes.

    A chain of layers needs no recorded ranges: it is scaled for the worst case. Of another graph,
    they are recorded on uniform inputs where none are given.

    A statement tensor is committed where it is to be private or has more than 1024 cells, and
    public otherwise. `per_channel` is of a graph that is `equalized` already, as its ranges are:
    raises RangesMismatch for others.
    """
    check_order(graph, graph.nodes, "the front end")
    for what, bits in (("weights", weight_bits), ("inputs", input_bits)):
        if not 2 <= bits <= BITS:
            raise CompileError(f"expected {what} of 2 to {BITS} bits, got {bits}")
    if not graph.input_shape or math.prod(graph.input_shape) < 1:
        raise CompileError(f"expected an input with cells, got shape {graph.input_shape}")
    spec = quantize_input(INPUT, graph.input_shape, *input_range, input_bits)
    if graph.whole:
        spec = whole_input(INPUT, graph.input_shape, *input_range)
    if ranges is not None or not is_chain(graph):
        recorded = ranges or record_ranges(graph, input_range)
        recorded.check_scales(graph.evened)
        wanted = (weight_bits, private_input, private_output, stacked)
        net, stacks, scaled = lower_graph(graph, spec, recorded, *wanted, per_channel=per_channel)
        program = Program(LIMBS[0], tuple(net.tensors), tuple(net.ops), stacks)
        if not gadgets.expand(program).contractions:
            what = "with weights or of values, between input and output: got sums and tables alone"
            raise CompileError(f"expected at least one product {what}")
        program = with_limb(program)
        validate(program)
        quantizer = Quantizer(spec, scaled)
        return Compiled(
            program, net.weights, quantizer, recorded.to_dict(), graph.shown, net.errors
        )
    builder = Builder(weight_bits, per_channel)
    value = _input(builder, graph, spec, private_input)
    for node in graph.nodes:
        lower = LOWERINGS.get(node.target)
        if lower is None:
            raise unknown(node)
        value = lower(builder, value, node)
    output = _output(builder, value, private_output)
    lo, hi = builder.tensors[-1].lo, builder.tensors[-1].hi
    program = with_limb(Program(LIMBS[0], tuple(builder.tensors), tuple(builder.ops)))
    validate(program)
    quantizer = Quantizer(spec, Scaled(OUTPUT, output.shape, output.exponent, lo, hi))
    return Compiled(program, builder.weights, quantizer, shown=graph.shown)


def _input(builder: Builder, graph: Graph, spec: Scaled, private: bool) -> Value:
    """The input, stored as its first layer reads it: what regroups it before that only names its
    cells anew.
    """
    first = next((n for n in graph.nodes if n.target == "aten.linear.default"), None)
    shape = graph.input_shape
    for node in graph.nodes:
        if node is first or math.prod(node.shape) != math.prod(shape):
            break
        shape = node.shape
    cells = rows_and_features(shape)
    public = not private and math.prod(cells) <= PUBLIC_CELLS
    role = Role.INPUT if public else Role.INPUT_COMMITTED
    tensor = builder.tensor(INPUT, cells, role, spec.lo, spec.hi)
    if not public:
        builder.ops.append(Range(tensor, BITS))
    interval = Interval.uniform(spec.lo, spec.hi, cells[1])
    return builder.stored(tensor, spec.exponent, interval, graph.input_shape)


def _output(builder: Builder, value: Value, private: bool) -> Stored:
    if isinstance(value, Stored) and not builder.weights:
        raise CompileError("expected at least one linear layer between input and output")
    public = not private and math.prod(value.cells) <= PUBLIC_CELLS
    role = Role.OUTPUT if public else Role.OUTPUT_COMMITTED
    if isinstance(value, Stored):
        return builder.copy(value, OUTPUT, role)
    fits = smallest_shift(value.interval, INT16_MIN, INT16_MAX) == 0
    if fits and public and not builder.ops:
        return builder.requantize(_doubled(value), OUTPUT, role, least=1)
    return builder.requantize(value, OUTPUT, role)


def _doubled(value: Value) -> Value:
    """A layer's value at twice the integers, which rounding by one bit then halves exactly.

    For the program of one layer that needs no rounding: an int16 output needs no range check, and
    a program must have a lookup.
    """
    (product,) = value.expr.contractions
    doubled = tuple((2 * c, view) for c, view in product.y.terms)
    bias = tuple((2 * c, view) for c, view in value.expr.linear.terms)
    contraction = replace(product, y=replace(product.y, terms=doubled))
    expr = replace(value.expr, contractions=(contraction,), linear=Affine(bias))
    interval = Interval(2 * value.interval.lo, 2 * value.interval.hi)
    return replace(value, expr=expr, exponent=value.exponent + 1, interval=interval)


def with_limb(program: Program) -> Program:
    """The width of the range table that gives the fewest cells.

    A narrow limb splits each checked value into more cells and lookups; a wide one has 2^limb
    multiplicities and as many helpers. The two meet at about 10^5 checked 16-bit values.
    """
    return min((replace(program, limb=limb) for limb in LIMBS), key=cells)


def cells(program: Program) -> int:
    """Committed cells, helpers and multiplicities included: what the prover's time goes by."""
    relations = gadgets.expand(program)
    lookups = sum(math.prod(lookup.axes) for lookup in relations.lookups)
    rows = sum(table.rows for table in relations.tables)
    return sum(t.size for t in relations.tensors) + -(-lookups // SLICES) + 2 * rows
