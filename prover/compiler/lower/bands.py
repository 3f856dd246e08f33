"""einproof.bands, which the compiler makes of rotary embeddings: constant combinations of cells at
fixed distances along the last axis.

y[.., d] = sum_s C_s[.., d] x[.., d + s]: for each distance one contraction with no summed axis, of
x shifted and a constant that is 0 where d + s lies outside. An accumulator, rounded once.
"""

from __future__ import annotations

import numpy as np

from prover.compiler.bands import TARGET
from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import (
    Argument,
    Array,
    Network,
    Pending,
    Value,
    aligned,
    numbered,
    placed,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import FIXED, Affine, Contraction, Index, View

TARGETS = (TARGET,)
BITS = 16


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, distances, factors = args
    made, n = np.zeros(x.shape), x.shape[-1]
    for distance, factor in zip(distances, factors, strict=True):
        at = np.arange(n) + distance
        inside = (at >= 0) & (at < n)
        made += np.where(inside, x[..., at.clip(0, n - 1)], 0.0) * factor
    return made


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    x, distances, factors = args
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells = net.stored(x)
    plan = aligned(net, node.name, node.shape, cells)
    if len(plan[-1]) != 1 or len(cells.parts[-1]) != 1:
        raise UnsupportedOp(node.name, node.target, f"expected a whole last axis, got {plan}")
    stacked = np.stack(np.broadcast_arrays(*factors))
    varies = [n > 1 for n in stacked.shape[1:]]
    lengths = tuple(a if v else () for a, v in zip(plan, varies, strict=True))
    table, exponent = net.constant(
        f"{node.name}.factors", stacked, ((len(distances),), *lengths), BITS
    )
    view = net.view(cells, placed(cells.lengths, plan))
    last = cells.parts[-1][0].dim
    products = []
    for number, distance in enumerate(distances):
        index = list(view.index)
        index[last] = Index(index[last].axis, index[last].offset + distance)
        own = [Index(FIXED, number)]
        for axes, v in zip(numbered(plan), varies, strict=True):
            own += [Index(a) for a in axes] if v else []
        shifted = Affine(((1, View(view.tensor, tuple(index))),))
        products.append(Contraction(shifted, one(View(table.tensor, tuple(own)))))
    return net.pending(node.name, plan, cells.exponent + exponent, Affine(), products)
