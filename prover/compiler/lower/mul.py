"""aten.mul and division by constants: by a number (a power of two costs nothing), a constant
tensor, or another value. Numbers are in the program; a parameter is a weight, also one of one cell.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.flags import counted
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
from prover.program.ir import Affine, Contraction

TARGETS = (
    "aten.mul.Tensor", "aten.mul.Scalar", "aten.div.Tensor", "aten.div.Scalar", "aten.neg.default",
)  # fmt: skip
FACTOR_BITS = 15
MOST_SHIFT = 24


def _operands(node: Node, args: tuple[Argument, ...]) -> tuple[Argument, Argument]:
    if node.target == "aten.neg.default":
        return args[0], -1.0
    x, y = args[:2]
    if "div" not in node.target:
        return x, y
    if isinstance(y, Value):
        raise UnsupportedOp(node.name, node.target, "division by what depends on the input")
    inverse = 1.0 / np.asarray(y, dtype=np.float64)
    return x, np.asarray(inverse) if isinstance(y, np.ndarray) else inverse


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    if node.target == "aten.neg.default":
        return np.asarray(-args[0])
    return np.asarray(args[0] / args[1] if "div" in node.target else args[0] * args[1])


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Pending:
    x, y = (_number(net, node, v) for v in _operands(node, args))
    if not isinstance(x, Value):
        x, y = y, x
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    secret = node.learned and isinstance(y, np.ndarray)
    if not isinstance(y, Value) and np.size(y) == 1 and not secret:
        if isinstance(x, Pending) and x.exponent - net.fit(x.name, x) > MOST_SHIFT:
            x = net.stored(x)  # each factor makes an accumulator deeper
        plan = aligned(net, node.name, node.shape, x)
        return scaled(net, node.name, net.accumulated(x, node.name, plan), float(np.ravel(y)[0]))
    values = [net.stored(v) for v in (x, y) if isinstance(v, Value)]
    plan = aligned(net, node.name, node.shape, *values)
    if len(values) == 1:
        own = plan[len(plan) - y.ndim :]
        lengths = tuple(a if n > 1 else () for a, n in zip(own, y.shape, strict=True))
        factor, _ = net.constant(f"{node.name}.constant", y, lengths, 16)
        values.append(factor)
    one, other = (Affine(((1, net.view(v, placed(v.lengths, plan))),)) for v in values)
    exponent = values[0].exponent + values[1].exponent
    return net.pending(node.name, plan, exponent, Affine(), (Contraction(one, other),))


def _number(net: Network, node: Node, x: Argument) -> Argument:
    return counted(net, node, x) if isinstance(x, Flags) else x


def scaled(net: Network, name: str, value: Pending, factor: float) -> Pending:
    """value * factor: an exact shift of the scale, and 15 bits of what is no power of two."""
    if factor == 0 or not math.isfinite(factor):
        raise CompileError(f"{name}: expected a factor that is finite and not 0, got {factor}")
    mantissa, power = math.frexp(factor)
    bits = 1 if abs(mantissa) == 0.5 else FACTOR_BITS
    plan = value.lengths
    whole = round(mantissa * (1 << bits))
    made = net.accumulated(value, name, plan, whole)
    return replace(made, exponent=made.exponent - power + bits)
