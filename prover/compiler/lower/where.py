"""aten.where: products with zeros and ones, which are a public table where the mask is constant,
and truth values in the proof where it depends on the input. (-inf where a mask leaves cells out is
a masked value: attention.py.)"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.add import total
from prover.compiler.lower.flags import share
from prover.compiler.lower.network import (
    Argument,
    Array,
    Flags,
    Network,
    Pending,
    Value,
    aligned,
    placed,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction
from prover.quantizer import IntArray

TARGETS = ("aten.where.self", "aten.where.ScalarOther", "aten.where.ScalarSelf")


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    mask, x, y = args
    return np.where(np.asarray(mask, bool), x, y)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    mask, x, y = args
    if isinstance(mask, Flags):
        return _chosen(net, node, mask, x, y)
    if not isinstance(mask, np.ndarray):
        raise UnsupportedOp(node.name, node.target, "expected truth values as the mask")
    mask = mask.astype(np.int64)
    if not isinstance(x, Value):
        mask, x, y = 1 - mask, y, x
    if not isinstance(y, Value) and not np.isfinite(np.where(mask, 0.0, y)).all():
        raise UnsupportedOp(node.name, node.target, "expected finite numbers")
    kept = _masked(net, f"{node.name}.kept", node, x, mask)
    if isinstance(y, Value):
        other: Argument = _masked(net, f"{node.name}.other", node, y, 1 - mask)
    else:
        other = np.where(mask, 0.0, np.asarray(y, dtype=np.float64))
        if not other.any():
            return net.accumulated(kept, node.name, net.plan(node.name, node.shape))
    return total(net, replace(node, target="aten.add.Tensor"), kept, other)


def _chosen(net: Network, node: Node, mask: Flags, x: Argument, y: Argument) -> Pending:
    """x where the mask is true, and y elsewhere."""
    parts: list[Pending] = []
    denied = replace(mask, opposite=not mask.opposite)
    for what, side, own in (("yes", mask, x), ("no", denied, y)):
        name = f"{node.name}.{what}"
        if not isinstance(own, Value):
            if not np.isfinite(own).all():
                raise UnsupportedOp(node.name, node.target, "expected finite numbers")
            if not np.any(own):
                continue
        cells = net.operand(name, own)
        plan = aligned(net, node.name, node.shape, mask.cells, cells)
        left = share(net, name, side, plan)
        right = one(net.view(cells, placed(cells.lengths, plan)))
        exponent = cells.exponent
        parts.append(net.pending(name, plan, exponent, Affine(), (Contraction(left, right),)))
    if not parts:
        raise UnsupportedOp(node.name, node.target, "expected something other than zeros")
    if len(parts) == 1:
        return replace(parts[0], name=node.name)
    return total(net, replace(node, target="aten.add.Tensor"), *parts)


def _masked(net: Network, name: str, node: Node, x: Value, mask: IntArray) -> Pending:
    """x * mask, exactly."""
    cells = net.stored(x)
    plan = aligned(net, node.name, node.shape, cells)
    own = plan[len(plan) - mask.ndim :]
    lengths = tuple(a if n > 1 else () for a, n in zip(own, mask.shape, strict=True))
    shape = tuple(n for axis in lengths for n in axis) or (1,)
    tensor = net.table(f"{name}.mask", mask.reshape(shape))
    public = net.cells(name, tensor, lengths, 0)
    left, right = (one(net.view(v, placed(v.lengths, plan))) for v in (cells, public))
    return net.pending(name, plan, cells.exponent, Affine(), (Contraction(left, right),))
