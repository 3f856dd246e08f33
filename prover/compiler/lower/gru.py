"""aten.gru: seven gadgets a layer and direction (recurrent.py).

    r, z = sig(W x_t + U h_(t-1) + b)           n = tanh(W_n x_t + b_n + r (U_n h_(t-1) + c_n))
    h_t = n + z (h_(t-1) - n)                   (Cho et al. 2014, as torch has it)

U_n h + c_n is rounded to 16 bits before r, the sum to the index of tanh, h to 2^-14: as n is, h is
at most 1, being between the two.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from prover.compiler.lower import recurrent
from prover.compiler.lower.add import total
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
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one
from prover.program.ir import Affine, Contraction, Expr, Requantize
from prover.quantizer import FloatArray

TARGETS = ("aten.gru.input",)
GATES = 3
RESET, UPDATE, NEW = range(GATES)  # torch's order of the gates


def run(name: str, x: FloatArray, own: Weights, ranges: Ranges) -> list[FloatArray]:
    h, made = np.zeros((x.shape[1], own.u.shape[1])), []
    for step in x:
        given = np.einsum("ghi,ni->ngh", own.w, step) + own.b
        kept = np.einsum("ghk,nk->ngh", own.u, h) + own.c
        gates = given[:, :NEW] + kept[:, :NEW]
        r, z = SIGMOID(gates[:, RESET]), SIGMOID(gates[:, UPDATE])
        new = given[:, NEW] + r * kept[:, NEW]
        n = TANH(new)
        h = n + z * (h - n)
        made.append(h)
        for what, values in (("gates", gates), ("kept", kept[:, NEW]), ("new", new)):
            ranges.record(f"{name}.{what}", values)
    return [np.stack(made)]


def stack(net: Network, name: str, x: Cells, own: Weights) -> tuple[Cells, ...]:
    hidden = own.u.shape[1]
    plan: Plan = (*x.lengths[:2], (hidden,) if hidden > 1 else ())
    shape = flat(plan)
    h = state(net, f"{name}.h", plan, SHARE, -(1 << SHARE), 1 << SHARE)
    every: Plan = (*x.lengths[:2], (NEW,), h.lengths[2])
    sums = (("w", own.w[:NEW], x), ("u", own.u[:NEW], h))
    bias = (own.b + own.c)[:NEW]
    gates, table = indexed(net, f"{name}.gates", weighed(net, name, "gates", every, sums, bias))
    r, z = (
        looked_up(net, f"{name}.gate{g}", gates, g, plan, SIGMOID, table) for g in (RESET, UPDATE)
    )
    past = weighed(net, f"{name}.kept", "sum", plan, (("u", own.u[NEW], h),), own.c[NEW])
    kept = net.requantize(past, f"{name}.kept", net.fit(f"{name}.kept", past))
    given = weighed(net, f"{name}.new", "given", plan, (("w", own.w[NEW], x),), own.b[NEW])
    views = [one(net.view(cells, numbered(plan))) for cells in (r, kept)]
    reset = net.pending(
        f"{name}.new.reset", plan, SHARE + kept.exponent, Affine(), (Contraction(*views),)
    )
    both = Node(f"{name}.new.sum", "aten.add.Tensor", (), given.shape)
    index, span = indexed(net, f"{name}.new", total(net, both, given, reset))
    n = net.view(looked_up(net, f"{name}.tanh", index, None, plan, TANH, span), numbered(plan))
    apart = Affine(((1, before(net.view(h, numbered(plan)))), (-1, n)))
    mixed = Contraction(one(net.view(z, numbered(plan))), apart)
    expr = Expr(shape, len(shape), (mixed,), Affine(((1 << SHARE, n),)))
    net.ops.append(Requantize(h.tensor, expr, SHARE, BITS))
    return (h,)


KIND = Kind(GATES, run, stack)
reference, lower = partial(recurrent.reference, KIND), partial(recurrent.lower, KIND)
