"""aten.embedding: whole rows of a secret table, gathered by the public or committed token ids."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Network,
    Pending,
    Value,
    flat,
    numbered,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import FIXED, Affine, Gather, Index, Role, View

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
    own = _sum(net, index) or net.stored(index)  # ids and a constant need no tensor of their own
    if own.exponent:
        raise UnsupportedOp(node.name, node.target, "expected whole numbers as the index")
    plan = net.plan(node.name, node.shape)
    if plan[:-1] != own.lengths or len(plan[-1]) != 1:
        raise CompileError(f"{node.name}: expected rows of one axis, got {plan}")
    table, exponent = net.constant(f"{node.name}.weight", rows, ((len(rows),), plan[-1]), BITS)
    net.rows.append((rows, table))
    lead = flat(own.lengths) or (1,)
    most = (1 << BITS - 1) - 1
    out = net.tensor(f"{node.name}.rows", (*lead, *plan[-1]), Role.ACTIVATION, -most, most)
    ids = own.expr.linear if isinstance(own, Pending) else _seen(net, own)
    net.ops.append(Gather(out, lead, ids, table.tensor))
    every = [Index(a) for a in range(len(flat(plan)))]
    view = View(out, tuple(every if flat(own.lengths) else [Index(-1, 0), *every]))
    return net.pending(node.name, plan, exponent, one(view))


def _seen(net: Network, cells: Cells) -> Affine:
    return one(net.view(cells, numbered(cells.lengths)))


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


def _sum(net: Network, index: Value) -> Pending | None:
    """An index that needs no tensor of its own."""
    return index if isinstance(index, Pending) and unshifted(net, index) else None
