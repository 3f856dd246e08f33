"""aten.where with a constant mask: what is chosen is public, so it is a product with zeros and
ones. (-inf where a mask leaves cells out is a masked value: attention.py.)"""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.add import total
from prover.compiler.lower.network import (
    Argument,
    Array,
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
    return np.where(_constant(node, mask), x, y)


def _constant(node: Node, mask: Argument) -> IntArray:
    if not isinstance(mask, np.ndarray):
        raise UnsupportedOp(node.name, node.target, "a mask that depends on the input")
    return mask.astype(np.int64)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    mask, x, y = _constant(node, args[0]), args[1], args[2]
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
    return total(net, Node(node.name, "aten.add.Tensor", (), node.shape), kept, other)


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
