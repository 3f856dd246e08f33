"""Which tokens are there: `ids != 0` and its opposites, for masks that leave padding out.

A token id n >= 0 is beside 0 in a row of two, and where the greatest first stands is 0 for n = 0
and 1 otherwise: an `Argmax`, so that the truth values are proved to be 0 or 1.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import (
    BITS,
    NOTHING,
    Argument,
    Array,
    Cells,
    Flags,
    Network,
    flat,
    numbered,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Argmax, Contraction, Index, Role, View

THERE = ("aten.ne.Scalar", "aten.gt.Scalar")
ABSENT = ("aten.eq.Scalar",)
NOT = ("aten.logical_not.default", "aten.bitwise_not.default")
TARGETS = (*THERE, *ABSENT, *NOT)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x = args[0]
    if node.target in NOT:
        return np.asarray(x == 0)
    return np.asarray((x != args[1]) if node.target in THERE else (x == args[1]))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Flags:
    x = args[0]
    if node.target in NOT and isinstance(x, Flags):
        return replace(x, opposite=not x.opposite)
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
    return Flags(Cells(node.name, whole(x.lengths), 0, out, len(lead), fixed))
