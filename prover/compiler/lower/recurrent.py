"""What lstm.py, gru.py and rnn.py share: layers, directions, gates. Each layer and direction is a
stack over time (docs/protocol/gadgets.md#stack): gas hardly knows the steps.

What all gates reach is one index of the tables; hidden states count in 2^-14. The second direction
reads the steps from the last, in an exact copy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.activation import FUNCTIONS, table_span
from prover.compiler.lower.cat import joined
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Network,
    Pending,
    Plan,
    Value,
    flat,
    numbered,
    permute,
    regroup,
    whole,
    window,
)
from prover.compiler.lower.slide import reordered
from prover.compiler.quantize import BIAS_BITS, largest_exponent
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one, times
from prover.program.ir import FIXED, Affine, Contraction, Index, Role, Stack, Table, View
from prover.quantizer import FloatArray, round_half_even

SHARE = 14  # sigmoid, tanh and h count in 2^-14
APART = 20  # bits between the scales of what is summed, at most
SIGMOID, TANH = (FUNCTIONS[f"aten.{name}.default"].value for name in ("sigmoid", "tanh"))
Span = tuple[int, int, int]  # of a table: first row, rows, exponent of the index


@dataclass(frozen=True)
class Weights:
    """Of one layer and direction, gates first: (gates, hidden, inputs), (gates, hidden, hidden);
    biases (gates, hidden) beside the input, and beside the state."""

    w: Array
    u: Array
    b: Array
    c: Array


class Kind(NamedTuple):
    """One recurrent network, whose states are h and what else it keeps."""

    gates: int
    #: Every state over (steps, batch, hidden) in float64, from zeros; records ranges.
    run: Callable[[str, FloatArray, Weights, Ranges], list[FloatArray]]
    #: The same states as tensors; all gadgets that it adds are one stack.
    stack: Callable[[Network, str, Cells, Weights], tuple[Cells, ...]]


def _layers(
    node: Node, args: tuple[Argument, ...], gates: int
) -> Iterator[tuple[str, list[Weights]]]:
    """Each layer's name and directions."""
    starts, given, biased, count, dropout, train, both_ways = args[1:8]
    if train and dropout:
        raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
    starts = starts if isinstance(starts, tuple) else (starts,)
    if any(not isinstance(s, np.ndarray) or s.any() for s in starts):
        raise UnsupportedOp(node.name, node.target, "expected to start from zeros")
    ways, each = 2 if both_ways else 1, 4 if biased else 2
    if len(given) != each * count * ways:
        raise UnsupportedOp(node.name, node.target, "projections of the hidden state")
    found = [_weights(given[at : at + each], gates) for at in range(0, len(given), each)]
    for layer in range(count):
        yield f"{node.name}.l{layer}", found[layer * ways : (layer + 1) * ways]


def _weights(given: Sequence[Array], gates: int) -> Weights:
    w, u, *biases = given
    hidden = u.shape[1]
    b, c = biases or (np.zeros(gates * hidden),) * 2
    shapes = ((gates, hidden, w.shape[1]), (gates, hidden, hidden), *((gates, hidden),) * 2)
    return Weights(*(np.reshape(a, s) for a, s in zip((w, u, b, c), shapes, strict=True)))


def reference(
    kind: Kind, node: Node, args: tuple[Argument, ...], ranges: Ranges
) -> tuple[Array, ...]:
    """Every h, and for each kind of state the last of each layer and direction."""
    first = args[8]
    x = args[0].swapaxes(0, 1) if first else args[0]
    last: list[list[FloatArray]] = []
    for name, ways in _layers(node, args, kind.gates):
        made = []
        for way, own in enumerate(ways):
            turn = slice(None, None, -1 if way else 1)
            states = kind.run(_way(name, way), x[turn], own, ranges)
            made.append(states[0][turn])
            last.append([state[-1] for state in states])
        x = np.concatenate(made, axis=-1)
        ranges.record(f"{name}.both", x)  # whose scales may differ
    ends = [np.stack([own[i] for own in last]) for i in range(len(last[0]))]
    for number, end in enumerate(ends, 1):
        ranges.record(f"{node.name}.last{number}", end)
    return (x.swapaxes(0, 1) if first else x, *ends)


def _way(name: str, way: int) -> str:
    return f"{name}.back" if way else name


@dataclass(frozen=True)
class Outputs(Sequence[Value]):
    """Every h; for each kind of state the last of each layer and direction: made where they are
    read."""

    net: Network
    name: str
    every: Cells
    last: tuple[tuple[Cells, ...], ...]  # by layer and direction

    def __len__(self) -> int:
        return 1 + len(self.last[0])

    def __getitem__(self, at: int) -> Value:  # type: ignore[override]
        if at == 0:
            return self.every
        ends = [own[at - 1] for own in self.last]
        pieces = [regroup(cells, (1, *cells.shape)) for cells in ends]
        if len(pieces) == 1:
            return pieces[0]
        name, shape = f"{self.name}.last{at}", (len(pieces), *pieces[0].shape[1:])
        return joined(self.net, name, pieces, 0, shape)


def lower(kind: Kind, net: Network, node: Node, args: tuple[Argument, ...]) -> Outputs:
    """A stack for each layer and direction."""
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    given = net.stored(args[0])
    if len(given.parts) != 3:
        raise UnsupportedOp(node.name, node.target, "expected steps, a batch and features")
    x = permute(given, (1, 0, 2)) if args[8] else given
    if len(x.parts[0]) != 1 or len(x.parts[1]) > 1:
        what = f"expected more than one step, each axis in one part, got {x.lengths[:2]}"
        raise UnsupportedOp(node.name, node.target, what)
    steps = x.shape[0]
    backward = list(range(steps - 1, -1, -1))
    last: list[tuple[Cells, ...]] = []
    for name, ways in _layers(node, args, kind.gates):
        made = []
        for way, own in enumerate(ways):
            path = _way(name, way)
            read = reordered(net, f"{path}.x", x, 0, backward) if way else x
            first = len(net.ops)
            states = kind.stack(net, path, read, own)
            net.stacks.append(Stack(first, len(net.ops) - first, steps))
            ends = [window(state, 0, steps - 1, 1) for state in states]
            last.append(tuple(regroup(end, end.shape[1:]) for end in ends))
            every = states[0]
            made.append(reordered(net, f"{path}.turned", every, 0, backward) if way else every)
        x = made[0]
        if len(made) > 1:
            shape = (*x.shape[:2], sum(cells.shape[2] for cells in made))
            x = net.stored(joined(net, f"{name}.both", made, 2, shape))
    return Outputs(net, node.name, permute(x, (1, 0, 2)) if args[8] else x, tuple(last))


# --- what the gadgets of a step are made of ---


def weighed(
    net: Network,
    name: str,
    what: str,
    plan: Plan,
    sums: Sequence[tuple[str, Array, Cells]],
    bias: Array,
) -> Pending:
    """sum of W s + bias over a plan (steps, batch, outputs...): "w" weighs this step's cells of s,
    "u" those of the step before; at the finest of their scales, which are at most APART bits
    apart."""
    most = (1 << net.weight_bits - 1) - 1
    scales = [largest_exponent(array, most) or 0 for _, array, _ in sums]
    totals = [s + source.exponent for s, (_, _, source) in zip(scales, sums, strict=True)]
    over = [max(0, s - min(totals) - APART) for s in totals]  # needless precision of one beside all
    scales, totals = ([n - o for n, o in zip(a, over, strict=True)] for a in (scales, totals))
    finest = max(totals)
    inputs = tuple(source.lengths[2] for _, _, source in sums)
    axes = numbered((*plan, *inputs))
    outputs = axes[2 : len(plan)]
    products = []
    for (kind, array, source), scale, total, summed in zip(
        sums, scales, totals, axes[len(plan) :], strict=True
    ):
        stored = (*plan[2:], source.lengths[2])
        whole = round_half_even(array, scale)
        matrix, _ = net.integers(f"{name}.{kind}", whole, stored, net.weight_bits, 0)
        left = one(net.view(matrix, (*outputs, summed)))
        view = net.view(source, (axes[0], axes[1], summed))
        right = before(view) if kind == "u" else view
        products.append(Contraction(times(left, 1 << finest - total), one(right)))
    linear = Affine()
    if bias.any():
        scale = min(finest, largest_exponent(bias, (1 << BIAS_BITS - 1) - 1) or 0)
        whole = round_half_even(bias, scale)
        offsets, _ = net.integers(f"{name}.b", whole, plan[2:], BIAS_BITS, 0)
        linear = Affine(((1 << finest - scale, net.view(offsets, outputs)),))
    return net.pending(f"{name}.{what}", plan, finest, linear, products, flat(inputs))


def before(view: View) -> View:
    """A step back."""
    return replace(view, index=(Index(0, -1), *view.index[1:]))


def indexed(
    net: Network, name: str, value: Pending, recorded: str | None = None
) -> tuple[Cells, Span]:
    """A value rounded to the index of a table over its recorded range."""
    span = table_span(*net.ranges.of(recorded or name), value.exponent)
    return net.requantize(value, name, span[2], lo=span[0], hi=span[0] + span[1] - 1), span


def looked_up(
    net: Network,
    name: str,
    index: Cells,
    gate: int | None,
    plan: Plan,
    function: Callable[[FloatArray], FloatArray],
    span: Span,
    into: Cells | None = None,
) -> Cells:
    """A function of a gate, or of all cells, by its table, in 2^-14; as a tensor of its own, or as
    that of a state."""
    first, rows, exponent = span
    shape = flat(plan)
    steps = np.arange(first, first + rows, dtype=np.float64)
    values = function(np.ldexp(steps, -exponent))
    content = np.rint(np.ldexp(values, SHARE)).astype(np.int64)
    table = net.table(f"{name}.table", content)
    lo, hi = int(content.min()), int(content.max())
    out = net.tensor(name, shape, Role.ACTIVATION, lo, hi) if into is None else into.tensor
    axes = [Index(a) for a in range(len(shape))]
    if gate is not None:
        batched = len(index.parts[1])
        axes.insert(1 + batched, Index(FIXED, gate))
    net.ops.append(Table(out, shape, one(View(index.tensor, tuple(axes))), table, first))
    return into or Cells(name, whole(plan), SHARE, out, len(shape))


def state(net: Network, name: str, plan: Plan, exponent: int, lo: int, hi: int) -> Cells:
    """The tensor of a state, which a gadget of its own will make."""
    tensor = net.tensor(name, flat(plan), Role.ACTIVATION, lo, hi)
    return net.cells(name, tensor, plan, exponent)
