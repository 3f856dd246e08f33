"""aten.lstm: nine gadgets a layer and direction (recurrent.py).

    i, f, g, o = W x_t + U h_(t-1) + b      c_t = sig(f) c_(t-1) + sig(i) tanh(g)
    h_t = sig(o) tanh(c_t)                  (Hochreiter and Schmidhuber 1997; Gers et al. 2000)

c and h are rounded to 16 bits a step, h in 2^-14.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from prover.compiler.lower import recurrent
from prover.compiler.lower.network import (
    BITS,
    Cells,
    Network,
    Plan,
    flat,
    numbered,
)
from prover.compiler.lower.recurrent import (
    SHARE,
    SIGMOID,
    TANH,
    Kind,
    Weights,
    before,
    indexed,
    looked_up,
    state,
    weighed,
)
from prover.compiler.quantize import largest_exponent
from prover.compiler.ranges import HEADROOM, Ranges
from prover.program.gadgets.shared import one, times
from prover.program.ir import Contraction, Expr, Requantize
from prover.quantizer import INT16_MAX, INT16_MIN, FloatArray

TARGETS = ("aten.lstm.input",)
GATES = 4
IN, FORGET, CELL, OUT = range(GATES)  # torch's order of the gates


def run(name: str, x: FloatArray, own: Weights, ranges: Ranges) -> list[FloatArray]:
    h = c = np.zeros((x.shape[1], own.u.shape[1]))
    made: list[tuple[FloatArray, FloatArray]] = []
    for step in x:
        gates = np.einsum("ghi,ni->ngh", own.w, step) + np.einsum("ghk,nk->ngh", own.u, h)
        gates = gates + own.b + own.c
        c = SIGMOID(gates[:, FORGET]) * c + SIGMOID(gates[:, IN]) * TANH(gates[:, CELL])
        h = SIGMOID(gates[:, OUT]) * TANH(c)
        made.append((h, c))
        ranges.record(f"{name}.gates", gates)
        ranges.record(f"{name}.c", c)
    return [np.stack(kind) for kind in zip(*made, strict=True)]


def stack(net: Network, name: str, x: Cells, own: Weights) -> tuple[Cells, ...]:
    hidden = own.u.shape[1]
    plan: Plan = (*x.lengths[:2], (hidden,) if hidden > 1 else ())
    shape = flat(plan)
    found = largest_exponent(np.array(net.ranges.of(f"{name}.c")) * HEADROOM, INT16_MAX)
    exponent = SHARE if found is None else min(found, SHARE)
    h = state(net, f"{name}.h", plan, SHARE, -(1 << SHARE), 1 << SHARE)
    c = state(net, f"{name}.c", plan, exponent, INT16_MIN, INT16_MAX)
    every: Plan = (*x.lengths[:2], (GATES,), h.lengths[2])
    sums = (("w", own.w, x), ("u", own.u, h))
    gates, table = indexed(
        net, f"{name}.gates", weighed(net, name, "gates", every, sums, own.b + own.c)
    )
    made = [
        looked_up(net, f"{name}.gate{g}", gates, g, plan, TANH if g == CELL else SIGMOID, table)
        for g in range(GATES)
    ]
    i, f, g, o = (one(net.view(cells, numbered(plan))) for cells in made)
    finest = max(SHARE + exponent, 2 * SHARE)
    past = one(before(net.view(c, numbered(plan))))
    kept = Contraction(times(f, 1 << finest - SHARE - exponent), past)
    new = Contraction(times(i, 1 << finest - 2 * SHARE), g)
    expr = Expr(shape, len(shape), (kept, new))
    net.ops.append(Requantize(c.tensor, expr, finest - exponent, BITS))
    copied = net.accumulated(c, f"{name}.index", plan)
    index, span = indexed(net, f"{name}.index", copied, f"{name}.c")
    squashed = looked_up(net, f"{name}.tanh", index, None, plan, TANH, span)
    product = Contraction(o, one(net.view(squashed, numbered(plan))))
    net.ops.append(Requantize(h.tensor, Expr(shape, len(shape), (product,)), SHARE, BITS))
    return h, c


KIND = Kind(GATES, run, stack)
reference, lower = partial(recurrent.reference, KIND), partial(recurrent.lower, KIND)
