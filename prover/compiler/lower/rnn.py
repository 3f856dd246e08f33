"""aten.rnn_tanh and rnn_relu: two gadgets a layer and direction, or one (recurrent.py).

    h_t = tanh(W x_t + b + U h_(t-1) + c)       or max(0, ..)      (Elman 1990, as torch has it)

tanh by its table, in 2^-14; of the other h is rounded to 16 bits by the gadget that cuts it.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from prover.compiler.errors import CompileError
from prover.compiler.lower import recurrent
from prover.compiler.lower.network import BITS, Argument, Array, Cells, Network, Plan
from prover.compiler.lower.recurrent import (
    SHARE,
    TANH,
    Kind,
    Weights,
    indexed,
    looked_up,
    state,
    weighed,
)
from prover.compiler.quantize import MAX_SHIFT, largest_exponent
from prover.compiler.ranges import HEADROOM, Ranges
from prover.compiler.trace import Node
from prover.program.ir import Relu
from prover.quantizer import INT16_MAX, FloatArray

SQUASHED, CUT = TARGETS = ("aten.rnn_tanh.input", "aten.rnn_relu.input")


def run(target: str, name: str, x: FloatArray, own: Weights, ranges: Ranges) -> list[FloatArray]:
    h, made = np.zeros((x.shape[1], own.u.shape[1])), []
    for step in x:
        total = step @ own.w[0].T + h @ own.u[0].T + (own.b + own.c)[0]
        h = TANH(total) if target == SQUASHED else np.maximum(total, 0.0)
        made.append(h)
        ranges.record(f"{name}.sum", total)
    return [np.stack(made)]


def stack(target: str, net: Network, name: str, x: Cells, own: Weights) -> tuple[Cells, ...]:
    hidden = own.u.shape[1]
    plan: Plan = (*x.lengths[:2], (hidden,) if hidden > 1 else ())
    exponent, most = SHARE, 1 << SHARE
    if target == CUT:
        found = largest_exponent(np.array(net.ranges.of(f"{name}.sum")) * HEADROOM, INT16_MAX)
        exponent, most = SHARE if found is None else min(found, SHARE), INT16_MAX
    h = state(net, f"{name}.h", plan, exponent, -most if target == SQUASHED else 0, most)
    sums = (("w", own.w[0], x), ("u", own.u[0], h))
    total = weighed(net, name, "sum", plan, sums, (own.b + own.c)[0])
    if target == SQUASHED:
        index, span = indexed(net, f"{name}.sum", total)
        looked_up(net, f"{name}.tanh", index, None, plan, TANH, span, h)
        return (h,)
    shift = total.exponent - exponent
    if not 0 <= shift <= MAX_SHIFT:
        raise CompileError(f"{name}: expected a shift of 0 to {MAX_SHIFT}, got {shift}")
    net.ops.append(Relu(h.tensor, total.expr, shift, BITS))
    return (h,)


def _kind(target: str) -> Kind:
    return Kind(1, partial(run, target), partial(stack, target))


KINDS = {target: _kind(target) for target in TARGETS}


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> tuple[Array, ...]:
    return recurrent.reference(KINDS[node.target], node, args, ranges)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> recurrent.Outputs:
    return recurrent.lower(KINDS[node.target], net, node, args)
