"""Functions of one number by a public table: gelu (both), silu, sigmoid, log_sigmoid, tanh, erf,
exp, log and their like, sin, cos, elu, selu, celu, softplus, mish, powers that are not whole.

The input is rounded to the finest scale at which its range, with headroom, takes ROWS rows. Of each
table the greatest error is known: `table_error`, of what its rows hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.network import Argument, Array, Cells, Network, Value, aligned
from prover.compiler.quantize import largest_exponent
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Index, Role, Table, View
from prover.quantizer import INT16_MAX, FloatArray

ROWS = 1 << 12
MARGIN = 0.25  # of the recorded range, at either end


class Function(NamedTuple):
    """`turns`: where it turns from rising to falling or back, or jumps; with `every`, at all
    distances of that from there too. Between them it is monotone, and continuous."""

    value: Callable[[FloatArray], FloatArray]
    above: float = -math.inf  # where it is defined
    turns: tuple[float, ...] = ()
    every: float = 0.0

    def turning(self, lo: float, hi: float) -> FloatArray:
        """Its turns from lo to hi."""
        found = np.array(self.turns, dtype=np.float64)
        if self.every:
            first, last = ((end - found[0]) / self.every for end in (lo, hi))
            found = found[0] + self.every * np.arange(math.ceil(first), math.floor(last) + 1)
        return np.asarray(found[(lo <= found) & (found <= hi)])


def _erf(x: FloatArray) -> FloatArray:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(x))


def _gelu(x: FloatArray) -> FloatArray:
    return np.asarray(x * (1 + _erf(x / math.sqrt(2))) / 2)


def _gelu_tanh(x: FloatArray) -> FloatArray:
    return np.asarray(x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2)


def _sigmoid(x: FloatArray) -> FloatArray:
    return np.asarray((1 + np.tanh(x / 2)) / 2)


def _silu(x: FloatArray) -> FloatArray:
    return np.asarray(x * _sigmoid(x))


def _elu(alpha: float) -> Function:
    turns = (0.0,) if alpha < 0 else ()
    return Function(lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))), turns=turns)


def _celu(alpha: float) -> Function:
    """Barron 2017; of a negative alpha as torch has it."""
    return Function(
        lambda x: alpha * np.where(x > 0, x / alpha, np.expm1(np.minimum(x, 0) / alpha))
    )


def _softplus(x: FloatArray) -> FloatArray:
    return np.logaddexp(0.0, x)


def _selu(x: FloatArray) -> FloatArray:
    """Klambauer et al. 2017."""
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * _elu(alpha).value(x)


# The turns of what has no closed form are the roots of its derivative, to the last bit.
GELU = {
    "none": Function(_gelu, turns=(-0.7517915246935641,)),
    "tanh": Function(_gelu_tanh, turns=(-0.752461422071016,)),
}
SILU = Function(_silu, turns=(-1.2784645427610741,))
FUNCTIONS = {
    "aten.silu.default": SILU,
    "aten.silu_.default": SILU,
    "aten.sigmoid.default": Function(_sigmoid),
    "aten.tanh.default": Function(lambda x: np.asarray(np.tanh(x))),
    "aten.erf.default": Function(_erf),
    "aten.sin.default": Function(
        lambda x: np.asarray(np.sin(x)), turns=(math.pi / 2,), every=math.pi
    ),
    "aten.cos.default": Function(lambda x: np.asarray(np.cos(x)), turns=(0.0,), every=math.pi),
    "aten.atan.default": Function(lambda x: np.asarray(np.arctan(x))),
    "aten.asinh.default": Function(lambda x: np.asarray(np.arcsinh(x))),
    "aten.erfc.default": Function(lambda x: 1 - _erf(x)),
    "aten.sinh.default": Function(lambda x: np.asarray(np.sinh(x))),
    "aten.cosh.default": Function(lambda x: np.asarray(np.cosh(x)), turns=(0.0,)),
    "aten.exp.default": Function(lambda x: np.asarray(np.exp(x))),
    "aten.exp2.default": Function(lambda x: np.asarray(np.exp2(x))),
    "aten.expm1.default": Function(lambda x: np.asarray(np.expm1(x))),
    "aten.log.default": Function(lambda x: np.asarray(np.log(x)), above=0.0),
    "aten.log2.default": Function(lambda x: np.asarray(np.log2(x)), above=0.0),
    "aten.log10.default": Function(lambda x: np.asarray(np.log10(x)), above=0.0),
    "aten.log1p.default": Function(lambda x: np.asarray(np.log1p(x)), above=-1.0),
    "aten.log_sigmoid.default": Function(lambda x: -_softplus(-x)),
    "aten.selu.default": Function(_selu),
    "aten.selu_.default": Function(_selu),
    "aten.mish.default": Function(
        lambda x: np.asarray(x * np.tanh(_softplus(x))), turns=(-1.1924312145154954,)
    ),
}
CELU = ("aten.celu.default", "aten.celu_.default")
POWER = "einproof.power"  # of what is positive, by an exponent that is not whole
PARAMETRIC = (
    *CELU, "aten.gelu.default", "aten.elu.default", "aten.elu_.default", "aten.softplus.default",
    POWER,
)  # fmt: skip
TARGETS = (*PARAMETRIC, *FUNCTIONS)


def function(node: Node, args: tuple[Argument, ...]) -> Function:
    if node.target == "aten.gelu.default":
        return GELU[args[1]]
    if node.target in CELU:
        return _celu(float(args[1]))
    if "elu" in node.target and node.target in PARAMETRIC:
        if tuple(args[2:4]) != (1, 1):
            what = f"expected scales of 1, got {args[2:4]}"
            raise UnsupportedOp(node.name, node.target, what)
        return _elu(float(args[1]))
    if node.target == POWER:
        return Function(lambda x: np.asarray(x ** float(args[1])), above=0.0)
    if node.target == "aten.softplus.default":
        beta, most = map(float, args[1:3])
        return Function(
            lambda x: np.where(beta * x > most, x, _softplus(beta * x) / beta), turns=(most / beta,)
        )
    return FUNCTIONS[node.target]


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, f = args[0], function(node, args)
    if x.min() <= f.above:
        what = f"the example inputs drive it to {x.min():.4g}, expected more than {f.above}"
        raise UnsupportedOp(node.name, node.target, what)
    ranges.record(f"{node.name}.index", x)
    return f.value(x)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Cells:
    x = args[0]
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    f, name = function(node, args), f"{node.name}.index"
    x = net.accumulated(x, node.name, aligned(net, node.name, node.shape, x))
    first, rows, exponent = table_span(*net.ranges.of(name), x.exponent, f.above)
    index = net.requantize(x, name, exponent, lo=first, hi=first + rows - 1)
    values = f.value(np.ldexp(np.arange(first, first + rows, dtype=np.float64), -exponent))
    scale = largest_exponent(values, INT16_MAX)
    if scale is None:
        raise CompileError(f"{node.name}: a table of zeros")
    scale = min(scale, 14)
    content = np.rint(np.ldexp(values, scale)).astype(np.int64)
    net.errors[node.name] = table_error(f, np.ldexp(content, -scale), first, exponent)
    table = net.table(f"{node.name}.table", content)
    shape = net.tensors[index.tensor].shape
    out = net.tensor(node.name, shape, Role.ACTIVATION, int(content.min()), int(content.max()))
    axes = View(index.tensor, tuple(map(Index, range(len(shape)))))
    net.ops.append(Table(out, shape, one(axes), table, first))
    return Cells(node.name, index.parts, scale, out, index.rank, index.fixed)


def table_span(lo: float, hi: float, finest: int, above: float = -math.inf) -> tuple[int, int, int]:
    """First row, number of rows, exponent of the index."""
    margin = max(hi - lo, 1e-6) * MARGIN
    low, high = lo - margin, hi + margin
    exponent = min(finest, math.floor(math.log2((ROWS - 2) / (high - low))))
    exponent = min(exponent, math.floor(math.log2(INT16_MAX / max(-low, high))))  # an index is too
    first = math.floor(math.ldexp(low, exponent))
    if above > -math.inf:
        first = max(first, math.floor(math.ldexp(above, exponent)) + 1)
    return first, math.ceil(math.ldexp(high, exponent)) - first + 1, exponent


def table_error(f: Function, table: FloatArray, first: int, exponent: int) -> float:
    """The greatest |table - f(x)| of all x that f is defined for and that have a row, which is half
    a step away at most.

    In a row's x, f is furthest from what the row holds at their ends, or where it turns.
    """
    ends = np.ldexp(np.arange(len(table) + 1) + (first - 0.5), -exponent)
    ends = np.maximum(ends, np.nextafter(f.above, math.inf))
    at = f.value(ends)
    turns = f.turning(ends[0], ends[-1])
    near = np.concatenate([np.nextafter(turns, -math.inf), turns, np.nextafter(turns, math.inf)])
    rows = np.clip(np.searchsorted(ends, near, "right") - 1, 0, len(table) - 1)
    apart = (table - at[:-1], table - at[1:], table[rows] - f.value(near))
    return float(np.abs(np.concatenate(apart)).max())
