"""aten.argmax over the last axis: where the greatest first stands, as whole numbers."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Network,
    Value,
    aligned,
    flat,
    whole,
)
from prover.compiler.lower.slide import joined
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Argmax, Index, Role, View

TARGETS = ("aten.argmax.default",)


def _last(node: Node, rank: int, args: tuple[Argument, ...]) -> None:
    if args[1] is None or args[1] % rank != rank - 1 or args[2]:
        raise UnsupportedOp(node.name, node.target, "expected the last axis, dropped")


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    _last(node, args[0].ndim, args)
    return np.asarray(np.argmax(args[0], axis=-1), dtype=np.float64)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Cells:
    """Over the stored logits, so that ties are those of the integers."""
    x = args[0]
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    _last(node, len(x.parts), args)
    if len(x.parts[-1]) > 1:
        x = joined(net, node.name, net.stored(x), (len(x.parts) - 1,))
    plan = aligned(net, f"{node.name}.logits", x.shape, x)
    if len(plan[-1]) != 1:
        raise UnsupportedOp(node.name, node.target, f"expected several cells, got {x.shape}")
    cells = net.ordered(x)
    lead, n = flat(plan[:-1]) or (1,), plan[-1][0]
    places = [tuple(range(len(lead)))[: len(flat(plan[:-1]))], (len(lead),)]
    axes, at = [], 0
    for axis in plan[:-1]:
        axes.append(places[0][at : at + len(axis)])
        at += len(axis)
    view = one(net.view(cells, [*axes, places[1]]))
    copied = net.pending(f"{node.name}.logits", (lead, (n,)), cells.exponent, view)
    logits = net.exact(copied, f"{node.name}.logits", -(1 << BITS - 1), (1 << BITS - 1) - 1)
    out = net.tensor(node.name, lead, Role.ACTIVATION, 0, n - 1)
    seen = one(View(logits.tensor, tuple(Index(a) for a in range(len(lead) + 1))))
    net.ops.append(Argmax(out, (*lead, n), seen, BITS))
    net.plans[node.name] = plan[:-1]
    fixed = () if flat(plan[:-1]) else ((0, 0),)
    return Cells(node.name, whole(plan[:-1]), 0, out, len(lead), fixed)
