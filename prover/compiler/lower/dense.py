"""aten.linear on recorded ranges: x @ weight^T + bias along the last axis, an accumulator."""

from __future__ import annotations

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
    numbered,
)
from prover.compiler.quantize import BIAS_BITS, quantize_linear, stored_bits
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.ir import Affine, Contraction

TARGETS = ("aten.linear.default",)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, weight, bias = args
    made = x @ weight.T
    return np.asarray(made if bias is None else made + bias)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    """Axes (rows..., outputs..., inputs...): bias[out] + sum_in weight[out, in] * x[row, in]."""
    x, weight, bias = args
    if not isinstance(weight, np.ndarray) or weight.ndim != 2:
        raise UnsupportedOp(node.name, node.target, "expected linear(value, weight matrix[, bias])")
    return dense(net, node, x, weight, np.zeros(len(weight)) if bias is None else bias)


def dense(net: Network, node: Node, x: Value, weight: Array, bias: Array) -> Pending:
    """x @ weight^T + bias for constant weight and bias."""
    for what, array in (("weight", weight), ("bias", bias)):
        if not np.isfinite(array).all():
            raise CompileError(f"{node.name}: expected a finite {what}, got NaN or infinity")
    cells = net.stored(x)
    (*before, outputs), inputs = net.plan(node.name, node.shape), cells.lengths[-1]
    rows = agreed(node.name, tuple(before), (cells, range(len(before))))
    plan = (*rows, outputs)
    net.plans[node.name] = plan
    matrix, offsets = None if np.any(bias) else net.tied(weight), np.zeros(1, dtype=np.int64)
    if matrix is not None and matrix.lengths == (outputs, inputs):
        exponent = matrix.exponent + cells.exponent
    else:
        precision = net.weight_bits, net.per_channel
        whole, offsets, exponent = quantize_linear(weight, bias, cells.exponent, *precision)
        name = f"{node.name}.weight"
        matrix, _ = net.integers(name, whole, (outputs, inputs), stored_bits(*precision), 0)
    axes = numbered((*rows, outputs, inputs))
    product = Contraction(
        Affine(((1, net.view(matrix, (axes[-2], axes[-1]))),)),
        Affine(((1, net.view(cells, (*axes[:-2], axes[-1]))),)),
    )
    linear = Affine()
    if offsets.any():
        vector, _ = net.integers(f"{node.name}.bias", offsets, (outputs,), BIAS_BITS, 0)
        linear = Affine(((1, net.view(vector, (axes[-2],))),))
    return net.pending(node.name, plan, exponent, linear, (product,), flat((inputs,)))
