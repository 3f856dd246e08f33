"""aten.linear: x @ weight^T + bias along the last axis, an accumulator for the next gadget."""

from __future__ import annotations

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.builder import Builder, Stored, Value, rows_and_features
from prover.compiler.quantize import BIAS_BITS, quantize_linear, stored_bits
from prover.compiler.trace import PREVIOUS, Node
from prover.program.ir import Affine, Contraction, Expr, Index, View


def lower(builder: Builder, value: Value, node: Node) -> Value:
    """Axes (row, out, in): bias[out] + sum_in weight[out, in] * x[row, in]."""
    source, weight, bias = node.args
    if source is not PREVIOUS or not isinstance(weight, np.ndarray) or weight.ndim != 2:
        raise UnsupportedOp(node.name, node.target, "expected linear(value, weight matrix[, bias])")
    if bias is None:
        bias = np.zeros(len(weight))
    for what, array in (("weight", weight), ("bias", bias)):
        if not np.isfinite(array).all():
            raise CompileError(f"{node.name}: expected a finite {what}, got NaN or infinity")
    if rows_and_features(value.shape) != value.cells:
        raise UnsupportedOp(
            node.name,
            node.target,
            f"its input {value.shape} regroups the features of a layer stored as {value.cells}",
        )
    if not isinstance(value, Stored):  # two layers with nothing between them
        value = builder.requantize(value, f"{node.name}.input")
    precision = builder.weight_bits, builder.per_channel
    integers, offsets, exponent = quantize_linear(weight, bias, value.exponent, *precision)
    matrix = builder.weight(f"{node.name}.weight", integers, stored_bits(*precision))
    vector = builder.weight(f"{node.name}.bias", offsets, BIAS_BITS)
    product = Contraction(
        Affine(((1, View(matrix, (Index(1), Index(2)))),)),
        Affine(((1, View(value.tensor, (Index(0), Index(2)))),)),
    )
    (rows, features), outputs = value.cells, len(weight)
    linear = Affine(((1, View(vector, (Index(1),))),))
    return Value(
        Expr((rows, outputs, features), 2, (product,), linear),
        exponent,
        value.interval.linear(integers, offsets),
        node.shape,
    )
