"""A whole graph to gadgets, on scales from recorded ranges."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from prover.compiler.blocks import (
    Repeat,
    Step,
    explicit,
    join_ranges,
    reads,
    references,
    steps,
    without,
)
from prover.compiler.errors import CompileError, UnsupportedOp, at_node, unknown
from prover.compiler.fold import fold_norms
from prover.compiler.lower import OPS
from prover.compiler.lower.batch_norm import fold_batch_norms
from prover.compiler.lower.conv import read_by_relus_alone
from prover.compiler.lower.network import (
    BITS,
    Masked,
    Network,
    Pending,
    Plan,
    Refine,
    Value,
    common,
    flat,
    refined,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.resolve import resolved
from prover.compiler.stack import NotStacked, lower_repeat
from prover.compiler.trace import INPUT, Graph, Node
from prover.program.ir import Range, Role, Stack
from prover.program.validate import PUBLIC_CELLS
from prover.quantizer import INT16_MAX, INT16_MIN, Scaled

OUTPUT = "output"
MOST_PASSES = 64


def lower_graph(
    graph: Graph,
    spec: Scaled,
    ranges: Ranges,
    weight_bits: int,
    private_input: bool,
    private_output: bool,
    stacked: bool,
    further: tuple[Scaled, ...] = (),
    per_channel: bool = False,
) -> tuple[Network, tuple[Stack, ...], Scaled]:
    """The tensors, gadgets and stacks of a graph, and how its output reads; raises CompileError.
    `further`: of a step, its other inputs, the state last.

    Where wanted, blocks that repeat are stacked, unless they turn out not to come down to equal
    gadgets.
    """
    graph = explicit(fold_norms(fold_batch_norms(graph)))
    order: tuple[Step, ...] = steps(graph) if stacked else graph.nodes
    plans: dict[str, Plan] = {}
    for _ in range(MOST_PASSES):
        repeats = [step for step in order if isinstance(step, Repeat)]
        net = Network(join_ranges(ranges, repeats), dict(plans), weight_bits, per_channel)
        net.wide, net.stepwise = read_by_relus_alone(graph), bool(further)
        try:
            inputs = {INPUT: _input(net, spec, private_input)}
            for given in further:
                inputs[given.tensor] = _input(net, given, given is further[-1])
            values, stacks = _steps(net, graph, order, inputs)
            if further:
                _state(net, values[graph.state], further[-1])
            value = values[graph.nodes[-1].name]
            return net, stacks, _output(net, graph, value, private_output)
        except NotStacked as refused:
            order, plans = without(order, refused.repeat, graph), {}
        except Refine as asked:
            made = net.plans.get(asked.name)
            if made is None:
                raise CompileError(f"{asked}: a reshape of what is no output of a node") from None
            plans = {**net.plans, asked.name: refined(made, asked)}
    raise CompileError(f"reshapes that do not settle in {MOST_PASSES} passes")


def _steps(
    net: Network, graph: Graph, order: tuple[Step, ...], values: dict[str, Any]
) -> tuple[dict[str, Any], tuple[Stack, ...]]:
    """The values of all nodes, blocks that repeat as stacks."""
    shared = _shared(graph)
    result, stacks = graph.nodes[-1].name, []

    def run(net: Network, nodes: Iterable[Node], values: dict[str, Any]) -> None:
        _nodes(net, nodes, values, shared)

    for i, step in enumerate(order):
        if isinstance(step, Node):
            run(net, (step,), values)
        else:
            read = {result}.union(*(reads(later) for later in order[i + 1 :]))
            stacks.append(lower_repeat(net, step, values, read, run))
    if not isinstance(values[result], Value):
        raise CompileError(f"expected one tensor as the output, got {result!r}")
    return values, tuple(sorted((*stacks, *net.stacks), key=lambda stack: stack.first))


def _nodes(net: Network, nodes: Iterable[Node], values: dict[str, Any], shared: set[str]) -> None:
    """Nodes one after another, into `values` by name."""
    for node in nodes:
        if node.target not in OPS:
            raise unknown(node)
        args = resolved(node.args, values, "")
        masked = any(isinstance(a, Masked) for a in args)
        if masked and "softmax" not in node.target and "dropout" not in node.target:
            raise UnsupportedOp(node.name, node.target, "a masked value is for a softmax")
        with at_node(node):
            made = OPS[node.target].lower(net, node, args)
            if isinstance(made, Pending) and node.name in shared:
                made = net.stored(made)
            if isinstance(made, Value) and made.shape != node.shape:
                raise CompileError(f"expected shape {node.shape}, got {made.shape}")
        values[node.name] = made


def _shared(graph: Graph) -> set[str]:
    """The nodes that several others read: their accumulators are rounded once."""
    count = Counter(name for node in graph.nodes for name in references(node))
    return {name for name, times in count.items() if times > 1}


def _input(net: Network, spec: Scaled, private: bool) -> Value:
    """An input, and a copy among the activations: each view of a public cell is gas."""
    name = spec.tensor
    plan = net.plan(name, spec.shape)
    public = not private and math.prod(spec.shape) <= PUBLIC_CELLS
    role = Role.INPUT if public else Role.INPUT_COMMITTED
    tensor = net.tensor(name, flat(plan), role, spec.lo, spec.hi)
    cells = net.cells(name, tensor, plan, spec.exponent)
    if public:
        copied = net.accumulated(cells, name, plan)
        return net.exact(copied, f"{name}.copy", spec.lo, spec.hi)
    net.ops.append(Range(tensor, BITS))
    return cells


def _state(net: Network, value: Value, given: Scaled) -> None:
    """What the next step is given: the tensor that a cat made, renamed, or else a copy; cell for
    cell on the scale and in the order of what this step was given."""
    cells = net.stored(value)
    name = f"{given.tensor}.next"
    if cells.exponent != given.exponent or cells.shape != given.shape:
        raise CompileError(
            f"{name}: expected {given.shape} in steps of 2^{-given.exponent}, as {given.tensor} is,"
            f" got {cells.shape} in 2^{-cells.exponent}"
        )
    plan, held = net.plans[given.tensor], net.tensors[cells.tensor]
    alike = cells.parts == whole(plan) and held.shape == (flat(plan) or (1,))  # it may be longer
    if held.role == Role.ACTIVATION and alike:
        net.tensors[cells.tensor] = replace(
            net.tensors[cells.tensor], name=name, role=Role.OUTPUT_COMMITTED,
            lo=INT16_MIN, hi=INT16_MAX,
        )  # fmt: skip
        return
    copied = net.accumulated(cells, name, common(name, plan, cells.lengths))
    net.exact(copied, name, INT16_MIN, INT16_MAX, Role.OUTPUT_COMMITTED)


def _output(net: Network, graph: Graph, value: Value, private: bool) -> Scaled:
    """The last value as a statement tensor, row-major."""
    shape = value.shape
    public = not private and math.prod(shape) <= PUBLIC_CELLS
    role = Role.OUTPUT if public else Role.OUTPUT_COMMITTED
    if (
        isinstance(value, Pending)
        and value.name not in net.made
        and flat(value.parts) == flat(whole(value.lengths))
    ):
        exponent = value.exponent if _fits(net, value) else net.fit(value.name, value)
        made = net.requantize(value, OUTPUT, exponent, role)
        return Scaled(OUTPUT, shape, made.exponent, INT16_MIN, INT16_MAX)
    cells = net.stored(value)
    copied = net.accumulated(cells, OUTPUT, common(OUTPUT, cells.lengths))
    made = net.exact(copied, OUTPUT, INT16_MIN, INT16_MAX, role)
    return Scaled(OUTPUT, shape, made.exponent, INT16_MIN, INT16_MAX)


def _fits(net: Network, value: Pending) -> bool:
    """Whether a sum of tensors is an int16 whatever they hold, and needs no rounding: token ids."""
    linear = value.expr.linear
    ends = [
        [coef * net.tensors[view.tensor].lo, coef * net.tensors[view.tensor].hi]
        for coef, view in linear.terms
    ]
    low, high = (linear.const + sum(map(end, ends)) for end in (min, max))
    return not value.expr.contractions and low >= INT16_MIN and high <= INT16_MAX


def check_examples(examples: Any, shape: tuple[int, ...]) -> Any:
    """float64 of (examples, *shape); raises CompileError."""
    given = np.asarray(examples, dtype=np.float64)
    if given.shape[1:] != shape or not len(given) or not np.isfinite(given).all():
        raise CompileError(f"expected finite examples of shape (n, {shape}), got {given.shape}")
    return given
