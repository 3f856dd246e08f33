"""Truth values of whole numbers, for masks: which tokens are there, which places have come.

`ids != 0` and its opposites: a token id n >= 0 is beside 0 in a row of two, and where the greatest
first stands is 0 for n = 0 and 1 otherwise: an `Argmax`, so that the truth values are proved to be
0 or 1. Other comparisons with a number, of whole numbers in a short range: a public table.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.embedding import unshifted
from prover.compiler.lower.network import (
    BITS,
    NOTHING,
    Argument,
    Array,
    Cells,
    Flags,
    Network,
    Pending,
    Value,
    flat,
    numbered,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Argmax, Contraction, Index, Role, Table, View

THERE = ("aten.ne.Scalar", "aten.gt.Scalar")
ABSENT = ("aten.eq.Scalar",)
NOT = ("aten.logical_not.default", "aten.bitwise_not.default")
COMPARED: dict[str, Callable[[Array, float], Array]] = {
    "aten.ge.Scalar": operator.ge,
    "aten.gt.Scalar": operator.gt,
    "aten.le.Scalar": operator.le,
    "aten.lt.Scalar": operator.lt,
}
TARGETS = tuple(dict.fromkeys((*THERE, *ABSENT, *NOT, *COMPARED)))
MOST_ROWS = 1 << 12  # of a comparison's table


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x = args[0]
    if node.target in NOT:
        return np.asarray(x == 0)
    if node.target in COMPARED:
        return np.asarray(COMPARED[node.target](x, args[1]))
    return np.asarray((x != args[1]) if node.target in THERE else (x == args[1]))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Flags:
    x = args[0]
    if node.target in NOT and isinstance(x, Flags):
        return replace(x, opposite=not x.opposite)
    if node.target in COMPARED and isinstance(x, Value) and (compared := _compared(net, node, x)):
        return compared
    if node.target not in (*THERE, *ABSENT):
        what = f"expected whole numbers in a range of at most {MOST_ROWS}"
        raise UnsupportedOp(node.name, node.target, what)
    if not isinstance(x, Cells) or x.exponent or net.tensors[x.tensor].lo < 0 or args[1] != 0:
        raise UnsupportedOp(node.name, node.target, "expected token ids, compared with 0")
    lead = flat(x.lengths) or (1,)
    axes = numbered(x.lengths)
    pair = net.table(f"{node.name}.pair", np.array([0, 1], dtype=np.int64))
    product = Contraction(one(net.view(x, axes)), one(View(pair, (Index(len(lead)),))))
    beside = net.pending(f"{node.name}.beside", (lead, (2,)), 0, NOTHING, (product,))
    both = net.exact(beside, beside.name, 0, net.tensors[x.tensor].hi)
    out = net.tensor(node.name, lead, Role.ACTIVATION, 0, 1)
    seen = one(View(both.tensor, tuple(map(Index, range(len(lead) + 1)))))
    net.ops.append(Argmax(out, (*lead, 2), seen, BITS))
    net.plans[node.name] = x.lengths
    fixed = () if flat(x.lengths) else ((0, 0),)
    there = Cells(node.name, whole(x.lengths), 0, out, len(lead), fixed)
    return Flags(there, opposite=node.target in ABSENT)


def _compared(net: Network, node: Node, x: Value) -> Flags | None:
    """A table over all that whole numbers can reach by their tensors' bounds; None where that is
    too much, or for other numbers."""
    sums = x if isinstance(x, Pending) else net.accumulated(x, node.name, x.lengths)
    if x.exponent or not unshifted(net, sums):
        return None
    linear = sums.expr.linear
    ends = [
        (coef * net.tensors[view.tensor].lo, coef * net.tensors[view.tensor].hi)
        for coef, view in linear.terms
    ]
    low, high = (linear.const + sum(map(end, ends)) for end in (min, max))
    if high - low >= MOST_ROWS:
        return None
    rows = COMPARED[node.target](np.arange(low, high + 1), node.args[1]).astype(np.int64)
    table = net.table(f"{node.name}.table", rows)
    shape = sums.expr.axes[: sums.expr.free]
    out = net.tensor(node.name, shape, Role.ACTIVATION, 0, 1)
    net.ops.append(Table(out, shape, linear, table, low))
    net.plans[node.name] = sums.lengths
    fixed = () if flat(sums.lengths) else ((0, 0),)
    return Flags(Cells(node.name, whole(sums.lengths), 0, out, len(shape), fixed), unwritten=True)
