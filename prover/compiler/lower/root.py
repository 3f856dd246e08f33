"""aten.rsqrt, sqrt and powers: the Rsqrt gadget, and products.

x^(-1/2) = floor(2^q / sqrt x), exact; q is the largest for which the least recorded x, divided by
SPREAD, stays below 2^16. sqrt x = x * x^(-1/2).
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Network,
    Pending,
    Value,
    aligned,
    numbered,
    whole,
)
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction, Role, Rsqrt

ROOTS = ("aten.rsqrt.default", "aten.sqrt.default")
SQUARE = "aten.square.default"
POWERS = ("aten.pow.Tensor_Scalar", SQUARE)
TARGETS = (*ROOTS, *POWERS)
SPREAD = 8  # how far below what was recorded x may lie
REST_BITS = 32
MOST_POWER = 8
HALVES = {0.5: "aten.sqrt.default", -0.5: "aten.rsqrt.default"}


def _power(node: Node, args: tuple[Argument, ...]) -> float:
    return 2.0 if node.target == SQUARE else float(args[1])


def _is_root(node: Node, args: tuple[Argument, ...]) -> bool:
    return node.target in ROOTS or _power(node, args) in HALVES


def _times_x(node: Node, args: tuple[Argument, ...]) -> bool:
    """sqrt, rather than 1/sqrt."""
    return (node.target if node.target in ROOTS else HALVES[_power(node, args)]) == ROOTS[1]


def _whole(node: Node, args: tuple[Argument, ...]) -> int:
    power = _power(node, args)
    if not power.is_integer() or not 2 <= power <= MOST_POWER:
        what = f"expected 1/2, -1/2 or 2 to {MOST_POWER}, got {power}"
        raise UnsupportedOp(node.name, node.target, what)
    return int(power)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x = args[0]
    if _is_root(node, args):
        if x.min() <= 0:
            raise CompileError(f"{node.name}: the example inputs drive its radicand to {x.min()}")
        ranges.record(f"{node.name}.x", x)
        return np.asarray(np.sqrt(x) if _times_x(node, args) else 1 / np.sqrt(x))
    for power in range(2, _whole(node, args)):
        ranges.record(f"{node.name}.power{power}", x**power)
    return np.asarray(x ** _whole(node, args))


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Value:
    x = args[0]
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    if not _is_root(node, args):
        cells = net.stored(x)
        aligned(net, node.name, node.shape, cells)
        made = _product(net, node.name, cells, cells)
        for power in range(2, _whole(node, args)):
            name = f"{node.name}.power{power}"
            made = _product(net, node.name, net.requantize(made, name, net.fit(name, made)), cells)
        return made
    plan = aligned(net, node.name, node.shape, x)
    pending = net.accumulated(x, f"{node.name}.x", plan)
    exponent = net.fit(f"{node.name}.x", pending)
    even = exponent - exponent % 2
    radicand = net.requantize(pending, f"{node.name}.x", even, lo=0)
    root = _root(net, node, radicand)
    if not _times_x(node, args):
        return replace(root, name=node.name)
    return _product(net, node.name, radicand, root)


def _product(net: Network, name: str, x: Cells, y: Cells) -> Pending:
    left, right = (one(net.view(v, numbered(v.lengths))) for v in (x, y))
    exponent = x.exponent + y.exponent
    return net.pending(name, x.lengths, exponent, Affine(), (Contraction(left, right),))


def _root(net: Network, node: Node, x: Cells) -> Cells:
    """r = floor(2^q / sqrt x), in units of 2^-(q - exponent / 2)."""
    name = f"{node.name}.root"
    low, _ = net.ranges.of(f"{node.name}.x")
    least = max(1, int(math.ldexp(max(low, 0.0), x.exponent)) // SPREAD)
    q = min(math.isqrt(least).bit_length() - 1 + BITS, 23)
    while math.isqrt((1 << 2 * q) // least) >= 1 << BITS:
        q -= 1
    shape = net.tensors[x.tensor].shape
    out = net.tensor(name, shape, Role.ACTIVATION, 0, (1 << BITS) - 1)
    radicand = one(net.view(x, numbered(x.lengths)))
    net.ops.append(Rsqrt(out, shape, radicand, q, BITS, REST_BITS))
    return replace(x, name=name, tensor=out, exponent=q - x.exponent // 2, parts=whole(x.lengths))
