"""Truth values of whole numbers, for masks: which tokens are there, which places have come.

`ids != 0` and its opposites: a token id n >= 0 is beside 0 in a row of two, and where the greatest
first stands is 0 for n = 0 and 1 otherwise: an `Argmax`, so that the truth values are proved to be
0 or 1. Other comparisons with a number, of whole numbers in a short range: a public table; of other
numbers, as they are stored: which of both is greater. `and` is an exact product.
"""

from __future__ import annotations

import math
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
    Plan,
    Value,
    aligned,
    flat,
    numbered,
    placed,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one, times
from prover.program.ir import Affine, Argmax, Contraction, Index, Role, Table, View
from prover.quantizer import INT16_MAX, INT16_MIN

THERE = ("aten.ne.Scalar", "aten.gt.Scalar")
ABSENT = ("aten.eq.Scalar",)
NOT = ("aten.logical_not.default", "aten.bitwise_not.default")
AND = ("aten.logical_and.default", "aten.bitwise_and.Tensor", "aten.__and__.Tensor")
OR = ("aten.logical_or.default", "aten.bitwise_or.Tensor", "aten.__or__.Tensor")
COMPARED: dict[str, Callable[[Array, float], Array]] = {
    "aten.ge.Scalar": operator.ge,
    "aten.gt.Scalar": operator.gt,
    "aten.le.Scalar": operator.le,
    "aten.lt.Scalar": operator.lt,
}
TARGETS = tuple(dict.fromkeys((*THERE, *ABSENT, *NOT, *AND, *OR, *COMPARED)))
MOST_ROWS = 1 << 12  # of a comparison's table


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x = args[0]
    if node.target in (*AND, *OR):
        join = np.logical_and if node.target in AND else np.logical_or
        return np.asarray(join(x, args[1]))
    if node.target in NOT:
        return np.asarray(x == 0)
    if node.target in COMPARED:
        return np.asarray(COMPARED[node.target](x, args[1]))
    return np.asarray((x != args[1]) if node.target in THERE else (x == args[1]))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Flags:
    x = args[0]
    if node.target in (*AND, *OR):
        if not all(_is_truth(a) for a in args[:2]):
            raise UnsupportedOp(node.name, node.target, "expected truth values")
        if node.target in AND:
            return both(net, node, *args[:2])
        made = both(net, node, *map(_denied, args[:2]))
        return replace(made, opposite=True)
    if node.target in NOT and isinstance(x, Flags):
        return replace(x, opposite=not x.opposite)
    if node.target in COMPARED and isinstance(x, Value) and (compared := _compared(net, node, x)):
        return compared
    ids = isinstance(x, Cells) and not x.exponent and net.tensors[x.tensor].lo >= 0
    if node.target in COMPARED and isinstance(x, Value) and not (ids and args[1] == 0):
        return _beyond(net, node, x, float(args[1]))
    if node.target not in (*THERE, *ABSENT) or not ids or args[1] != 0:
        raise UnsupportedOp(node.name, node.target, "expected token ids, compared with 0")
    return Flags(_exceeds(net, node, x, 0, 1), opposite=node.target in ABSENT)


def _beyond(net: Network, node: Node, x: Value, number: float) -> Flags:
    """Stored cells compared with a number, exactly: x > t as x > floor t, x < t as -x > floor(-t),
    and the opposites of both."""
    kind = node.target.split(".")[1]
    aligned(net, node.name, node.shape, x)
    cells, sign = net.ordered(x), 1 if kind in ("gt", "le") else -1
    bound = math.floor(math.ldexp(sign * number, cells.exponent))
    if not INT16_MIN <= bound <= INT16_MAX:
        what = f"expected a number that it may reach, got {number}"
        raise UnsupportedOp(node.name, node.target, what)
    return Flags(_exceeds(net, node, cells, bound, sign), opposite=kind in ("le", "ge"))


def _exceeds(net: Network, node: Node, x: Cells, bound: int, sign: int) -> Cells:
    """1 where sign x > bound, else 0: where the greatest of (bound, sign x) first stands."""
    lead = flat(x.lengths) or (1,)
    axes = numbered(x.lengths)
    pair = net.table(f"{node.name}.pair", np.array([0, sign], dtype=np.int64))
    product = Contraction(one(net.view(x, axes)), one(View(pair, (Index(len(lead)),))))
    least = NOTHING
    if bound:
        first = net.table(f"{node.name}.bound", np.array([bound, 0], dtype=np.int64))
        least = one(View(first, (Index(len(lead)),)))
    beside = net.pending(f"{node.name}.beside", (lead, (2,)), 0, least, (product,))
    tensor = net.tensors[x.tensor]
    ends = (0, bound, sign * tensor.lo, sign * tensor.hi)
    pairs = net.exact(beside, beside.name, min(ends), max(ends))
    out = net.tensor(node.name, lead, Role.ACTIVATION, 0, 1)
    seen = one(View(pairs.tensor, tuple(map(Index, range(len(lead) + 1)))))
    net.ops.append(Argmax(out, (*lead, 2), seen, BITS))
    net.plans[node.name] = x.lengths
    fixed = () if flat(x.lengths) else ((0, 0),)
    return Cells(node.name, whole(x.lengths), 0, out, len(lead), fixed)


def counted(net: Network, node: Node, flags: Flags) -> Cells:
    """Truth values as numbers, 0 and 1."""
    if not flags.opposite:
        return flags.cells
    lengths, name = flags.cells.lengths, f"{node.name}.count"
    return net.exact(net.pending(name, lengths, 0, share(net, name, flags, lengths)), name, 0, 1)


def both(net: Network, node: Node, x: Flags | Array, y: Flags | Array) -> Flags:
    """Where x and y are true, one of them depending on the input: a product of zeros and ones."""
    given = [v for v in (x, y) if isinstance(v, Flags)]
    plan = aligned(net, node.name, node.shape, *(v.cells for v in given))
    factors = [share(net, f"{node.name}.constant", v, plan) for v in (x, y)]
    made = net.pending(node.name, plan, 0, NOTHING, (Contraction(*factors),))
    cells = net.exact(made, node.name, 0, 1)
    return Flags(cells, unwritten=any(v.unwritten for v in given))


def _is_truth(x: Argument) -> bool:
    return isinstance(x, Flags) or (isinstance(x, np.ndarray) and x.dtype == np.bool_)


def _denied(x: Flags | Array) -> Flags | Array:
    return replace(x, opposite=not x.opposite) if isinstance(x, Flags) else ~x


def share(net: Network, name: str, x: Flags | Array, plan: Plan) -> Affine:
    """1 where x is true, 0 elsewhere, over the axes of a plan."""
    if isinstance(x, Flags):
        flags = one(net.view(x.cells, placed(x.cells.lengths, plan)))
        return replace(times(flags, -1), const=1) if x.opposite else flags
    own = plan[len(plan) - x.ndim :]
    lengths = tuple(a if n > 1 else () for a, n in zip(own, x.shape, strict=True))
    table = net.table(name, x.astype(np.int64).reshape(flat(lengths) or (1,)))
    return one(net.view(net.cells(name, table, lengths, 0), placed(lengths, plan)))


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
