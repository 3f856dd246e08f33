"""aten.embedding: whole rows of a secret table, gathered by the public or committed token ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.network import (
    Argument,
    Array,
    Network,
    Pending,
    Value,
    agreed,
    flat,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import FIXED, Gather, Index, Role, View

TARGETS = ("aten.embedding.default",)
BITS = 16


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    rows, index = args[0], np.rint(args[1]).astype(np.int64)
    if index.min() < 0 or index.max() >= len(rows):
        raise CompileError(f"{node.name}: expected ids below {len(rows)}, got {index.max()}")
    return np.asarray(rows[index])


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    """The gathered rows, as an accumulator: what reads them rounds them, which is what proves
    their range."""
    rows, index = args[:2]
    if not isinstance(rows, np.ndarray) or not isinstance(index, Value):
        raise UnsupportedOp(node.name, node.target, "expected constant rows and an index")
    if index.exponent:
        raise UnsupportedOp(node.name, node.target, "expected whole numbers as the index")
    own = _whole(net, node, index)
    plan = net.plan(node.name, node.shape)
    lead = agreed(node.name, plan[:-1], (own, range(len(own.parts))))
    plan = net.plans[node.name] = (*lead, plan[-1])
    if len(plan[-1]) > 1:
        raise CompileError(f"{node.name}: expected rows of one axis, got {plan}")
    width = plan[-1] or (1,)
    table, exponent = net.constant(f"{node.name}.weight", rows, ((len(rows),), width), BITS)
    net.rows.append((rows, table))
    most, axes = (1 << BITS - 1) - 1, flat(own.lengths) or (1,)
    out = net.tensor(f"{node.name}.rows", (*axes, *width), Role.ACTIVATION, -most, most)
    net.ops.append(Gather(out, axes, own.expr.linear, table.tensor))
    every = [Index(a) for a in range(len(flat(plan)))]
    first = [] if flat(own.lengths) else [Index(FIXED)]
    view = View(out, (*first, *every, *([] if plan[-1] else [Index(FIXED)])))
    return net.pending(node.name, plan, exponent, one(view))


def _whole(net: Network, node: Node, index: Value) -> Pending:
    """An index as a lookup may read it: the sum of ids and a constant needs no tensor of its own;
    what is a window of what is stored is copied."""
    if isinstance(index, Pending) and unshifted(net, index):
        return index
    cells, name = net.ordered(index), f"{node.name}.ids"
    seen = net.accumulated(cells, cells.name, cells.lengths)
    if unshifted(net, seen):
        return seen
    tensor = net.tensors[cells.tensor]
    copied = net.exact(replace(seen, name=name), name, tensor.lo, tensor.hi)
    return net.accumulated(copied, name, copied.lengths)


def unshifted(net: Network, index: Pending) -> bool:
    """Whether an accumulator adds up whole tensors, perhaps repeated, and a constant: a lookup's
    column is neither shifted nor cut."""

    def fits(at: Index, length: int) -> bool:
        return at.axis == FIXED or (at.offset, index.expr.axes[at.axis]) == (0, length)

    views = [view for _, view in index.expr.linear.terms]
    return not index.expr.contractions and all(
        fits(at, length)
        for view in views
        for at, length in zip(view.index, net.tensors[view.tensor].shape, strict=True)
    )
