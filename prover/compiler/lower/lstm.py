"""aten.lstm: a stack over time (docs/protocol/gadgets.md#stack): gas hardly knows the steps.

    i, f, g, o = W x_t + U h_(t-1) + b      c_t = sig(f) c_(t-1) + sig(i) tanh(g)
    h_t = sig(o) tanh(c_t)                  (Hochreiter and Schmidhuber 1997; Gers et al. 2000)

What all gates reach is one index of the tables; c and h are rounded to 16 bits a step, h in 2^-14.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.activation import FUNCTIONS, table_span
from prover.compiler.lower.cat import joined
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Lengths,
    Network,
    Plan,
    Value,
    flat,
    numbered,
    permute,
    regroup,
    whole,
    window,
)
from prover.compiler.quantize import BIAS_BITS, largest_exponent
from prover.compiler.ranges import HEADROOM, Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one, times
from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Index,
    Requantize,
    Role,
    Stack,
    Table,
    View,
)
from prover.quantizer import INT16_MAX, INT16_MIN, round_half_even

TARGETS = ("aten.lstm.input",)
SHARE = 14  # sig, tanh and h count in 2^-14
APART = 20  # bits between the scales of W x and U h, at most
SIGMOID, TANH = (FUNCTIONS[f"aten.{name}.default"].value for name in ("sigmoid", "tanh"))
IN, FORGET, CELL, OUT = range(4)  # torch's order of the gates


@dataclass(frozen=True)
class Weights:
    """Of one layer, gates first: (4, hidden, inputs), (4, hidden, hidden), (4, hidden)."""

    w: Array
    u: Array
    b: Array


def _layers(node: Node, args: tuple[Argument, ...]) -> Iterator[Weights]:
    starts, given, biased, count, dropout, train, both_ways = args[1:8]
    if both_ways:
        raise UnsupportedOp(node.name, node.target, "expected one direction")
    if train and dropout:
        raise UnsupportedOp(node.name, node.target, "dropout in training mode is random")
    if any(not isinstance(s, np.ndarray) or s.any() for s in starts):
        raise UnsupportedOp(node.name, node.target, "expected to start from zeros")
    each = 4 if biased else 2
    if len(given) != each * count:
        raise UnsupportedOp(node.name, node.target, "projections of the hidden state")
    for at in range(0, len(given), each):
        w, u, *b = given[at : at + each]
        hidden = u.shape[1]
        bias = sum(b) if biased else np.zeros(4 * hidden)
        shapes = ((w, (4, hidden, w.shape[1])), (u, (4, hidden, hidden)), (bias, (4, hidden)))
        yield Weights(*(np.reshape(array, shape) for array, shape in shapes))


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> tuple[Array, ...]:
    x = args[0].swapaxes(0, 1) if args[8] else args[0]
    last: list[tuple[Array, Array]] = []
    for layer, own in enumerate(_layers(node, args)):
        h = np.zeros((x.shape[1], own.u.shape[1]))
        c, made = h, []
        for step in x:
            gates = np.einsum("ghi,ni->ngh", own.w, step) + np.einsum("ghk,nk->ngh", own.u, h)
            gates = gates + own.b
            c = SIGMOID(gates[:, FORGET]) * c + SIGMOID(gates[:, IN]) * TANH(gates[:, CELL])
            h = SIGMOID(gates[:, OUT]) * TANH(c)
            made.append(h)
            ranges.record(f"{node.name}.l{layer}.gates", gates)
            ranges.record(f"{node.name}.l{layer}.c", c)
        x = np.stack(made)
        last.append((h, c))
    h_n, c_n = (np.stack([pair[i] for pair in last]) for i in (0, 1))
    return (x.swapaxes(0, 1) if args[8] else x), h_n, c_n


@dataclass(frozen=True)
class Outputs(Sequence[Value]):
    """Every h; the last h of each layer; the last c likewise: made where they are read."""

    net: Network
    name: str
    every: Cells
    last: tuple[tuple[Cells, ...], ...]

    def __len__(self) -> int:
        return 3

    def __getitem__(self, at: Any) -> Any:
        if at == 0:
            return self.every
        pieces = [regroup(cells, (1, *cells.shape)) for cells in self.last[at - 1]]
        if len(pieces) == 1:
            return pieces[0]
        name, shape = f"{self.name}.last{at}", (len(pieces), *pieces[0].shape[1:])
        return joined(self.net, name, pieces, 0, shape)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Outputs:
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    x = net.stored(args[0])
    x = permute(x, (1, 0, 2)) if args[8] else x
    if len(x.parts[0]) != 1 or len(x.parts[1]) > 1:
        what = f"expected more than one step, each axis in one part, got {x.lengths[:2]}"
        raise UnsupportedOp(node.name, node.target, what)
    last: tuple[list[Cells], list[Cells]] = ([], [])
    for layer, own in enumerate(_layers(node, args)):
        x, c = _layer(net, f"{node.name}.l{layer}", x, own)
        for kept, value in zip(last, (x, c), strict=True):
            end = window(value, 0, value.shape[0] - 1, 1)
            kept.append(regroup(end, end.shape[1:]))
    every = permute(x, (1, 0, 2)) if args[8] else x
    return Outputs(net, node.name, every, (tuple(last[0]), tuple(last[1])))


def _layer(net: Network, name: str, x: Cells, own: Weights) -> tuple[Cells, Cells]:
    """h and c over (steps, batch, hidden): nine gadgets, as one stack."""
    first, hidden = len(net.ops), own.u.shape[1]
    plan: Plan = (*x.lengths[:2], (hidden,) if hidden > 1 else ())
    shape = flat(plan)
    least = -(1 << SHARE)
    exponent = _finest(net, f"{name}.c", INT16_MAX)
    tensors = (
        net.tensor(f"{name}.h", shape, Role.ACTIVATION, least, -least),
        net.tensor(f"{name}.c", shape, Role.ACTIVATION, INT16_MIN, INT16_MAX),
    )
    h, c = (
        net.cells(f"{name}.{kind}", tensor, plan, scale)
        for kind, tensor, scale in zip("hc", tensors, (SHARE, exponent), strict=True)
    )
    gates, table = _gates(net, name, x, h, own)
    made = [
        _looked_up(net, f"{name}.gate{g}", gates, g, plan, TANH if g == CELL else SIGMOID, table)
        for g in range(4)
    ]
    i, f, g, o = (one(net.view(cells, numbered(plan))) for cells in made)
    finest = max(SHARE + exponent, 2 * SHARE)
    kept = Contraction(times(f, 1 << finest - SHARE - exponent), one(_before(net, c, plan)))
    new = Contraction(times(i, 1 << finest - 2 * SHARE), g)
    expr = Expr(shape, len(shape), (kept, new))
    net.ops.append(Requantize(tensors[1], expr, finest - exponent, BITS))
    span = table_span(*net.ranges.of(f"{name}.c"), exponent)
    index = net.requantize(
        net.accumulated(c, f"{name}.index", plan), f"{name}.index", span[2],
        lo=span[0], hi=span[0] + span[1] - 1,
    )  # fmt: skip
    squashed = _looked_up(net, f"{name}.tanh", index, None, plan, TANH, span)
    product = Contraction(o, one(net.view(squashed, numbered(plan))))
    net.ops.append(Requantize(tensors[0], Expr(shape, len(shape), (product,)), SHARE, BITS))
    net.stacks.append(Stack(first, len(net.ops) - first, shape[0]))
    return h, c


def _finest(net: Network, name: str, most: int) -> int:
    """The scale that a recorded range with headroom allows; of zeros, that of shares."""
    found = largest_exponent(np.array(net.ranges.of(name)) * HEADROOM, most)
    return SHARE if found is None else min(found, SHARE)


def _before(net: Network, cells: Cells, plan: Plan) -> View:
    """A step back."""
    view = net.view(cells, numbered(plan))
    return View(view.tensor, (Index(0, -1), *view.index[1:]))


def _gates(
    net: Network, name: str, x: Cells, h: Cells, own: Weights
) -> tuple[Cells, tuple[int, int, int]]:
    """W x + U h + b, rounded to the index of the tables: (steps, batch, gate, hidden)."""
    inputs, hidden = x.lengths[2], h.lengths[2]
    scales = [largest_exponent(a, (1 << net.weight_bits - 1) - 1) or 0 for a in (own.w, own.u)]
    sums = [s + v.exponent for s, v in zip(scales, (x, h), strict=True)]
    over = [max(0, s - min(sums) - APART) for s in sums]  # needless precision of one beside both
    scales, sums = ([n - o for n, o in zip(a, over, strict=True)] for a in (scales, sums))
    finest = max(sums)
    plan: Plan = (*x.lengths[:2], (4,), hidden)
    axes = numbered((*plan, inputs, hidden))
    products = []
    for kind, array, scale, total, summed in zip(
        "wu", (own.w, own.u), scales, sums, axes[4:], strict=True
    ):
        stored = ((4,), hidden, inputs if kind == "w" else hidden)
        whole = round_half_even(array, scale)
        matrix, _ = net.integers(f"{name}.{kind}", whole, stored, net.weight_bits, 0)
        left = one(net.view(matrix, (axes[2], axes[3], summed)))
        if kind == "w":
            right = net.view(x, (axes[0], axes[1], summed))
        else:
            view = net.view(h, (axes[0], axes[1], summed))
            right = View(view.tensor, (Index(0, -1), *view.index[1:]))
        products.append(Contraction(times(left, 1 << finest - total), one(right)))
    linear = Affine()
    if own.b.any():
        scale = min(finest, largest_exponent(own.b, (1 << BIAS_BITS - 1) - 1) or 0)
        whole = round_half_even(own.b, scale)
        bias, _ = net.integers(f"{name}.b", whole, ((4,), hidden), BIAS_BITS, 0)
        linear = Affine(((1 << finest - scale, net.view(bias, (axes[2], axes[3]))),))
    summed_lengths: Lengths = (*flat((inputs,)), *flat((hidden,)))
    made = net.pending(f"{name}.gates", plan, finest, linear, products, summed_lengths)
    span = table_span(*net.ranges.of(f"{name}.gates"), finest)
    index = net.requantize(
        made, f"{name}.gates", span[2], lo=span[0], hi=span[0] + span[1] - 1
    )  # fmt: skip
    return index, span


def _looked_up(
    net: Network,
    name: str,
    index: Cells,
    gate: int | None,
    plan: Plan,
    function: Any,
    span: tuple[int, int, int],
) -> Cells:
    """A function of a gate, or of all cells, by its table, in 2^-14."""
    first, rows, exponent = span
    shape = flat(plan)
    values = function(np.ldexp(np.arange(first, first + rows, dtype=np.float64), -exponent))
    content = np.rint(np.ldexp(values, SHARE)).astype(np.int64)
    table = net.table(f"{name}.table", content)
    out = net.tensor(name, shape, Role.ACTIVATION, int(content.min()), int(content.max()))
    axes = [Index(a) for a in range(len(shape))]
    if gate is not None:
        batched = len(index.parts[1])
        axes.insert(1 + batched, Index(FIXED, gate))
    net.ops.append(Table(out, shape, one(View(index.tensor, tuple(axes))), table, first))
    return Cells(name, whole(plan), SHARE, out, len(shape))
