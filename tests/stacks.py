"""A small program of stacked blocks, by hand, and what it computes, in numpy."""

from __future__ import annotations

import numpy as np

from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Index,
    Linear,
    Max,
    Op,
    Program,
    Relu,
    Requantize,
    Role,
    Stack,
    Table,
    Tensor,
    View,
)
from tests.programs import Case, one, view

ROWS, WIDTH, HIDDEN, SHIFT = 2, 3, 4, 6
DIGITS = tuple(3 * i % 17 - 8 for i in range(512))  # of the table


def before(tensor: int, rank: int) -> View:
    """A tensor of the stack, a layer back."""
    return View(tensor, (Index(0, -1), *(Index(a) for a in range(1, rank))))


def blocks(layers: int, seed: int = 0) -> Case:
    """in = out, a layer back, or the input; h = relu(w in); out = round((v h + b + 2^6 in) / 2^6)
    + table(kept): beside it kept, a running mean that reads itself a layer back, and a maximum."""
    rng = np.random.default_rng(seed)

    def made(name: str, *shape: int, hi: int = 32767) -> Tensor:
        return Tensor(name, (layers, *shape), Role.ACTIVATION, -32768, hi)

    tensors = (
        Tensor("x", (ROWS, WIDTH), Role.INPUT, -100, 100),
        Tensor("w", (layers, HIDDEN, WIDTH), Role.WEIGHT, -16, 15),
        Tensor("v", (layers, WIDTH, HIDDEN), Role.WEIGHT, -16, 15),
        Tensor("b", (layers, WIDTH), Role.WEIGHT, -200, 200),
        Tensor("digits", (len(DIGITS),), Role.TABLE, -8, 8, DIGITS),
        Tensor("start", (1, ROWS, WIDTH), Role.ACTIVATION, -100, 100),
        made("in", ROWS, WIDTH, hi=65535),
        made("h", ROWS, HIDDEN),
        made("top", ROWS),
        made("kept", ROWS),
        made("digit", ROWS),
        made("out", ROWS, WIDTH),
        Tensor("y", (ROWS, WIDTH), Role.OUTPUT, -32768, 32767),
    )
    x, w, v, b, digits, start, inner, h, top, kept, digit, out, y = range(len(tensors))
    product_w = Contraction(one(w, 0, 2, 3), one(inner, 0, 1, 3))
    product_v = Contraction(one(v, 0, 2, 3), one(h, 0, 1, 3))
    rest = ((1 << SHIFT, view(inner, 0, 1, 2)), (1, view(b, 0, 2)), (1 << SHIFT, view(digit, 0, 1)))
    last = View(out, (Index(FIXED, layers - 1), Index(0), Index(1)))
    block: tuple[Op, ...] = (
        Linear(
            inner,
            Expr(
                (layers, ROWS, WIDTH),
                3,
                (),
                Affine(((1, before(out, 3)), (1, view(start, 0, 1, 2)))),
            ),
        ),
        Relu(h, Expr((layers, ROWS, HIDDEN, WIDTH), 3, (product_w,)), 3, 16),
        Max(top, (layers, ROWS, HIDDEN), one(h, 0, 1, 2), 16),
        Requantize(
            kept,
            Expr((layers, ROWS), 2, (), Affine(((1, before(kept, 2)), (1, view(top, 0, 1))))),
            1,
            16,
        ),
        Table(digit, (layers, ROWS), one(kept, 0, 1), digits, 0),
        Requantize(
            out,
            Expr((layers, ROWS, WIDTH, HIDDEN), 3, (product_v,), Affine(rest)),
            SHIFT,
            16,
        ),
    )
    ops = (
        Requantize(start, Expr((1, ROWS, WIDTH), 3, (), one(x, 1, 2)), 0, 16),
        *block,
        Requantize(y, Expr((ROWS, WIDTH), 2, (), Affine(((1, last),))), 1, 16),
    )
    given = {
        "x": rng.integers(-50, 51, (ROWS, WIDTH)),
        "w": rng.integers(-8, 9, (layers, HIDDEN, WIDTH)),
        "v": rng.integers(-8, 9, (layers, WIDTH, HIDDEN)),
        "b": rng.integers(-200, 201, (layers, WIDTH)),
    }
    return Case(Program(8, tensors, ops, (Stack(1, len(block), layers),)), given)


def by_hand(case: Case) -> np.ndarray:
    """The answer of `blocks`, layer by layer."""

    def halves(value: np.ndarray, shift: int) -> np.ndarray:
        return value + (1 << shift >> 1) >> shift

    given = case.given
    out, kept = given["x"], np.zeros(ROWS, dtype=np.int64)
    for w, v, b in zip(given["w"], given["v"], given["b"], strict=True):
        h = np.maximum(halves(out @ w.T, 3), 0)
        kept = halves(kept + h.max(axis=-1), 1)
        digit = np.array(DIGITS)[kept]
        out = halves(h @ v.T + b + (out + digit[:, None] << SHIFT), SHIFT)
    return halves(out, 1)
