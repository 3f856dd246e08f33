"""aten.matmul and aten.bmm: batch axes lead; a product with a constant matrix is a linear layer;
constant matrices for each of a batch are weights on either side."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.dense import dense
from prover.compiler.lower.network import (
    Argument,
    Array,
    Cells,
    Lengths,
    Network,
    Pending,
    Plan,
    Value,
    agreed,
    numbered,
    placed,
)
from prover.compiler.lower.slide import joined
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import times
from prover.program.ir import Affine, Contraction

TARGETS = ("aten.matmul.default", "aten.bmm.default", "aten.mm.default")


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    return np.asarray(args[0] @ args[1])


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    x, y = args[:2]
    if isinstance(y, np.ndarray) and y.ndim == 2 and isinstance(x, Value):
        return dense(net, node, x, y.T, np.zeros(y.shape[1]))
    if not all(isinstance(v, Value | np.ndarray) for v in (x, y)):
        raise UnsupportedOp(node.name, node.target, "expected numbers, not truth values")
    left, right = net.operand(f"{node.name}.left", x), net.operand(f"{node.name}.right", y)
    if min(len(left.parts), len(right.parts)) < 2:
        raise UnsupportedOp(node.name, node.target, "expected matrices")
    return product(net, node.name, left, right, node.shape)


def product(
    net: Network, name: str, x: Cells, y: Cells, shape: Lengths, factor: int = 1
) -> Pending:
    """factor * x @ y over axes (batch..., rows, columns, inner). Where a reshape left the columns
    of y in parts, the rows of an image say, they are copied whole, for a softmax to compare; and
    what is summed, where x has it whole."""
    last = len(y.parts) - 1
    y = joined(net, name, y, (last,) if len(x.parts[-1]) != 1 else (last - 1, last))
    if (x.shape[-1], y.shape[-1], x.shape[-2]) != (y.shape[-2], shape[-1], shape[-2]):
        raise CompileError(f"{name}: shapes {x.shape} and {y.shape} do not fit")
    planned, leading = net.plan(name, shape), (range(len(x.parts) - 2), range(len(y.parts) - 2))
    batch = agreed(name, planned[:-2], (x, leading[0]), (y, leading[1]))
    plan: Plan = (
        *batch, *agreed(name, planned[-2:-1], (x, [-2])), *agreed(name, planned[-1:], (y, [-1]))
    )  # fmt: skip
    (inner,) = agreed(name, ((),), (x, [-1]), (y, [-2]))
    net.plans[name] = plan
    axes = numbered((*plan, inner))
    rows, columns, k = axes[-3:]
    left = [*placed(x.lengths[:-2], batch), rows, k]
    right = [*placed(y.lengths[:-2], batch), k, columns]
    contraction = Contraction(
        times(Affine(((1, net.view(x, left)),)), factor), Affine(((1, net.view(y, right)),))
    )
    return net.pending(name, plan, x.exponent + y.exponent, Affine(), (contraction,), inner)
