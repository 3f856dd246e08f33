"""A step of a computation that goes on: further public inputs, and a committed state that it is
given and leaves to the next step.

    (answer, next state) = module(input, *public inputs, state)

Both states are cells of one shape on one scale, so the points of the state that a proof leaves are
those that the next proof is given: equal points, the same integers (docs/protocol/private.md).
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from prover.compiler.build import LIMBS, Compiled, with_limb
from prover.compiler.errors import CompileError
from prover.compiler.lower import cat, views
from prover.compiler.network import lower_graph
from prover.compiler.nodes import named, names
from prover.compiler.quantize import largest_exponent, whole_input
from prover.compiler.ranges import HEADROOM, Ranges, evaluate
from prover.compiler.trace import INPUT, Graph, graph_of
from prover.program.ir import Program
from prover.program.validate import PUBLIC_CELLS, validate
from prover.quantizer import INT16_MAX, INT16_MIN, Quantizer, Scaled

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Public:
    """A public input of a step: integers n in [lo, hi] that stand for n * 2^-exponent; of whole
    numbers, 0. The module takes int64 where it is `whole`."""

    name: str
    shape: tuple[int, ...]
    lo: int
    hi: int
    exponent: int = 0
    whole: bool = True

    def scaled(self) -> Scaled:
        """As the program has it; raises CompileError where it is not int16, or not public."""
        made = whole_input(self.name, self.shape, self.lo, self.hi)
        if int(np.prod(self.shape)) > PUBLIC_CELLS:
            raise CompileError(f"{self.name}: {self.shape}, more than {PUBLIC_CELLS} public cells")
        return replace(made, exponent=self.exponent)


def compile_step(
    module: torch.nn.Module,
    inputs: Sequence[Public],
    state: tuple[str, tuple[int, ...]],
    examples: Iterable[Mapping[str, Any]],
    *,
    weight_bits: int = 8,
) -> Compiled:
    """The program of a step. `inputs`: as the module takes them, by the names of its arguments, the
    quantiser's first; then `state`, its name and shape. `examples`: float inputs by name, the
    states among them, which ranges are recorded on.

    Raises CompileError, or UnsupportedOp with the node and the operator.
    """
    graph = trace_step(module, inputs, state)
    ranges = Ranges()
    for example in examples:
        first, *others = (np.asarray(example[p.name]) for p in inputs)
        further = {p.name: x for p, x in zip(inputs[1:], others, strict=True)}
        further[state[0]] = np.asarray(example[state[0]])
        evaluate(graph, first, ranges, further=further)
        ranges.record(state[0], further[state[0]])
    joined = _joined(graph, ranges, state[0])
    exponent = largest_exponent(np.array(joined.of(state[0])) * HEADROOM, INT16_MAX) or 0
    kept = Scaled(state[0], state[1], exponent, INT16_MIN, INT16_MAX)
    first_input = replace(inputs[0].scaled(), tensor=INPUT)
    specs = (*(p.scaled() for p in inputs[1:]), kept)
    net, stacks, scaled = lower_graph(
        graph, first_input, joined, weight_bits, False, False, False, specs
    )
    program = with_limb(Program(LIMBS[0], tuple(net.tensors), tuple(net.ops), stacks))
    validate(program)
    quantizer = Quantizer(first_input, scaled)
    return Compiled(program, net.weights, quantizer, joined.to_dict(), graph.shown, net.errors)


def trace_step(
    module: torch.nn.Module, inputs: Sequence[Public], state: tuple[str, tuple[int, ...]]
) -> Graph:
    """The operators of a step; raises CompileError or UnsupportedOp."""
    import torch

    module = copy.deepcopy(module).eval()
    kinds = {p.name: torch.int64 if p.whole else torch.float32 for p in inputs}
    shapes = {p.name: p.shape for p in inputs} | dict([state])
    given = {n: torch.zeros(shapes[n], dtype=kinds.get(n, torch.float32)) for n in shapes}
    try:
        with torch.no_grad():
            exported = torch.export.export(module, (), given)
    except Exception as error:  # torch.export raises whatever the module raises
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise CompileError(f"torch.export refused the model: {reason[0]}") from error
    graph = graph_of(exported, step=True)
    found = [name for name, _ in graph.further]
    if found != [*(p.name for p in inputs[1:]), state[0]]:
        raise CompileError(f"expected the inputs {list(shapes)}, got {[inputs[0].name, *found]}")
    return graph


def _joined(graph: Graph, ranges: Ranges, state: str) -> Ranges:
    """One range for the state and for all that is put into the next: one scale."""
    nodes, seen, todo = named(graph), {state}, [graph.state]
    moving = {*cat.TARGETS, *views.TARGETS}
    while todo:
        name = todo.pop()
        if name in seen or name == INPUT:
            continue
        seen.add(name)
        if name in nodes and nodes[name].target in moving:
            todo += names(nodes[name].args)
    known = [ranges.seen[name] for name in seen if name in ranges.seen]
    ends = (min(lo for lo, _ in known), max(hi for _, hi in known))
    return Ranges(ranges.seen | dict.fromkeys(seen, ends))
