"""From one operator of torch to gadgets: one file an operator, and the lists of what is known.

`LOWERINGS` are of chains whose worst case is computed; `OPS` of networks with recorded ranges
(docs/protocol/ops.md).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prover.compiler.lower import (
    activation,
    add,
    along,
    argmax,
    attention,
    bands,
    batch_norm,
    cat,
    conv,
    dense,
    embedding,
    flags,
    gru,
    layer_norm,
    linear,
    lstm,
    matmul,
    mul,
    pad,
    piecewise,
    pool,
    rectify,
    reduce,
    relu,
    reshape,
    rnn,
    root,
    softmax,
    views,
    where,
)
from prover.compiler.lower.builder import Builder, Value
from prover.compiler.trace import Node

Lowering = Callable[[Builder, Value, Node], Value]

LOWERINGS: dict[str, Lowering] = {
    "aten.linear.default": linear.lower,
    "aten.relu.default": relu.lower,
    "aten.relu_.default": relu.lower,
    **dict.fromkeys(reshape.TARGETS, reshape.lower),
}


class Op(NamedTuple):
    """reference: in float64, recording ranges; lower: to gadgets."""

    reference: Callable[..., Any]
    lower: Callable[..., Any]


_FILES: tuple[Any, ...] = (
    activation, add, along, argmax, attention, bands, batch_norm, cat, conv, dense, embedding,
    flags, gru, layer_norm, lstm, matmul, mul, pad, piecewise, pool, rectify, reduce, rnn, root,
    softmax, views, where,
)  # fmt: skip
OPS: dict[str, Op] = {
    **{target: Op(f.reference, f.lower) for f in _FILES for target in f.TARGETS},
    **dict.fromkeys(attention.MASKED, Op(attention.reference_masked, attention.lower_masked)),
}
