"""aten.layer_norm and aten.rms_norm over the last axis, with a bound normaliser.

m = the row's mean, c = x - m (RMSNorm: c = x), v = sum c^2 + n eps, r = floor(2^q / sqrt(v)),
u = c r, and then gamma u + beta, an accumulator (Ba et al. 2016; Zhang and Sennrich 2019). v and u
are rounded to 16 bits, m to a step of x; c is not stored.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.mul import scaled
from prover.compiler.lower.network import (
    BITS,
    Argument,
    Array,
    Cells,
    Network,
    Pending,
    Plan,
    Value,
    aligned,
    numbered,
)
from prover.compiler.quantize import BIAS_BITS, largest_exponent
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction, Role, Rsqrt
from prover.quantizer import INT16_MAX, round_half_even

TARGETS = ("aten.layer_norm.default", "aten.rms_norm.default")
REST_BITS = 32
SHARE_BITS = 28  # of 1/n: what a mean is off by is below its steps
SPREAD = 8  # how far below what was recorded a row's variance may lie
ONE = Affine((), 1)


def _is_rms(node: Node) -> bool:
    return "rms" in node.target


def arguments(
    node: Node, args: tuple[Argument, ...]
) -> tuple[Argument, Argument, Array | None, float]:
    """x, gamma (an array, None or FOLDED), beta, eps."""
    if _is_rms(node):
        x, shape, gamma, eps = args
        eps, beta = np.finfo(np.float32).eps if eps is None else eps, None
    else:
        x, shape, gamma, beta, eps = args[:5]
    if len(shape) != 1:
        raise UnsupportedOp(node.name, node.target, f"expected one normalised axis, got {shape}")
    return x, gamma, beta, float(eps)


FOLDED = "folded"  # in gamma's place: the linear layers after it have gamma, beta and sqrt(n)


def without_affine(node: Node) -> Node:
    """The same norm, of which u itself is wanted."""
    x, shape, *_, eps = node.args if _is_rms(node) else node.args[:5]
    args = (x, shape, FOLDED, eps) if _is_rms(node) else (x, shape, FOLDED, None, eps)
    return replace(node, args=args)


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, gamma, beta, eps = arguments(node, args)
    n = x.shape[-1]
    centred = x if _is_rms(node) else x - x.mean(axis=-1, keepdims=True)
    squares = (centred**2).sum(axis=-1, keepdims=True)
    unit = centred / np.sqrt(squares + n * eps)
    for what, values in (("squares", squares), ("unit", unit)):
        ranges.record(f"{node.name}.{what}", values)
    if isinstance(gamma, str):
        return np.asarray(unit)
    made = unit * math.sqrt(n)
    made = made if gamma is None else made * gamma
    return np.asarray(made if beta is None else made + beta)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Value:
    x, gamma, beta, eps = arguments(node, args)
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value to normalise")
    name, cells, n = node.name, net.stored(x), x.shape[-1]
    plan = aligned(net, name, node.shape, cells)
    rows, inner = plan[:-1], numbered(plan)
    if n < 2:
        raise UnsupportedOp(node.name, node.target, "expected more than one feature")
    c = one(net.view(cells, inner))
    if not _is_rms(node):
        mean = net.view(_mean(net, name, cells, plan), inner[:-1])
        c = Affine((*c.terms, (-1, mean)))
    squares = net.pending(
        f"{name}.squares", rows, 2 * cells.exponent, Affine(), (Contraction(c, c),), plan[-1]
    )
    coarse = net.fit(squares.name, squares)
    v = net.requantize(squares, squares.name, coarse - coarse % 2)
    r = _root(net, node, v, n * eps)
    product = Contraction(c, one(net.view(r, inner[:-1])))
    unit = net.pending(f"{name}.unit", plan, cells.exponent + r.exponent, Affine(), (product,))
    u = net.requantize(unit, unit.name, net.fit(unit.name, unit))
    if isinstance(gamma, str):
        return replace(u, name=node.name)
    return _affine(net, node, u, gamma, beta, math.sqrt(n))


def _mean(net: Network, name: str, cells: Cells, plan: Plan) -> Cells:
    """The mean of each row, to a step of the cells'."""
    share = round((1 << SHARE_BITS) / math.prod(plan[-1]))
    total = Contraction(Affine(((share, net.view(cells, numbered(plan))),)), ONE)
    exponent = cells.exponent + SHARE_BITS
    made = net.pending(f"{name}.mean", plan[:-1], exponent, Affine(), (total,), plan[-1])
    return net.requantize(made, made.name, cells.exponent)


def _root(net: Network, node: Node, v: Cells, eps: float) -> Cells:
    """r = floor(2^q / sqrt(v + eps)): q such that the least recorded v, over SPREAD, fits."""
    name = f"{node.name}.root"
    offset = max(1, int(round_half_even(np.array([eps]), v.exponent)[0]))
    low, _ = net.ranges.of(f"{node.name}.squares")
    least = int(math.ldexp(max(low, 0.0), v.exponent)) // SPREAD + offset
    if offset > INT16_MAX:
        raise CompileError(f"{name}: an eps beyond what the squares reach")
    q = min(math.isqrt(least).bit_length() - 1 + BITS, 23)
    while math.isqrt((1 << 2 * q) // least) >= 1 << BITS:
        q -= 1
    shape = net.tensors[v.tensor].shape
    out = net.tensor(name, shape, Role.ACTIVATION, 0, (1 << BITS) - 1)
    radicand = Affine(((1, net.view(v, numbered(v.lengths))),), offset)
    net.ops.append(Rsqrt(out, shape, radicand, q, BITS, REST_BITS))
    return replace(v, name=name, tensor=out, exponent=q - v.exponent // 2)


def _affine(
    net: Network, node: Node, u: Cells, gamma: Array | None, beta: Array | None, root: float
) -> Pending:
    """sqrt(n) gamma u + beta."""
    plan = u.lengths
    axes = numbered(plan)
    if gamma is None:
        made = scaled(net, node.name, net.accumulated(u, node.name, plan), root)
    else:
        factor, exponent = net.constant(f"{node.name}.weight", gamma * root, (plan[-1],), 16)
        product = Contraction(one(net.view(u, axes)), one(net.view(factor, (axes[-1],))))
        made = net.pending(node.name, plan, u.exponent + exponent, Affine(), (product,))
    if beta is None or not np.any(beta):
        return made
    finest = largest_exponent(beta, (1 << BIAS_BITS - 1) - 1)
    exponent = made.exponent if finest is None else min(made.exponent, finest)
    whole = round_half_even(beta, exponent)
    offset, _ = net.integers(f"{node.name}.bias", whole, (plan[-1],), BIAS_BITS, exponent)
    term = (1 << made.exponent - exponent, net.view(offset, (axes[-1],)))
    linear = Affine((*made.expr.linear.terms, term), made.expr.linear.const)
    return replace(made, expr=replace(made.expr, linear=linear))
