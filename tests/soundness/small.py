"""One small program with every role, gadget and kind of hint, and a fast verdict on its proofs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import Any
from unittest.mock import patch

import numpy as np

from prover import kernels as tiers
from prover.curve import Point, PointG2
from prover.errors import ProofError
from prover.program.ir import (
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Floor,
    Gather,
    Index,
    Linear,
    Max,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Table,
    Tensor,
    View,
)
from prover.srs import development_secret
from prover.statement import Statement
from prover.verify import VerifyingKey, verify
from tests.programs import Case, one, view
from tests.proving import Setup, setup

K = 8  # of the cases here


def every_kind() -> Case:
    """Every role, gadget and kind of hint, in a few cells each."""
    rng = np.random.default_rng(5)
    table = tuple(int(v) for v in rng.integers(-8, 8, 28))
    tensors = (
        Tensor("x", (2,), Role.INPUT, -8, 7),
        Tensor("id", (2,), Role.INPUT, 0, 2),
        Tensor("s", (2, 2), Role.INPUT_COMMITTED, -128, 127),
        Tensor("w", (3, 2), Role.WEIGHT, -8, 7),
        Tensor("rows", (3, 2), Role.WEIGHT, -8, 7),
        Tensor("f", (28,), Role.TABLE, -8, 7, table),
        Tensor("g", (2, 2), Role.ACTIVATION, -8, 7),
        Tensor("l", (3,), Role.ACTIVATION, -4096, 4095),
        Tensor("q", (3,), Role.ACTIVATION, -128, 127),
        Tensor("h", (2,), Role.ACTIVATION, 0, 255),
        Tensor("t", (2,), Role.ACTIVATION, -8, 7),
        Tensor("m", (2,), Role.ACTIVATION, -128, 127),
        Tensor("a", (2,), Role.ACTIVATION, 0, 1),
        Tensor("d", (2,), Role.ACTIVATION, -128, 127),
        Tensor("v", (2,), Role.ACTIVATION, 0, 255),
        Tensor("low", (4,), Role.TABLE, -8, 7, (3, -1, 2, 7)),
        Tensor("high", (8,), Role.TABLE, -8, 7, table[:8]),
        Tensor("index", (2,), Role.ACTIVATION, 0, 15),
        Tensor("there", (2,), Role.ACTIVATION, -8, 7),
        Tensor("u", (2,), Role.ACTIVATION, -2, 1),
        Tensor("rest", (2,), Role.ACTIVATION, -8, 7),
        Tensor("digit", (2,), Role.ACTIVATION, -8, 7),
        Tensor("c", (3,), Role.OUTPUT_COMMITTED, -128, 127),
        Tensor("y", (2,), Role.OUTPUT, -32768, 32767),
    )
    x, ident, s, w, rows, f, g, ell, q, h, t, m, a, d, v, *more, c, y = range(len(tensors))
    low, high, index, there, u, left, digit = more
    digits = Floor(u, (2,), one(x, 0), 2)
    product_wx = Contraction(one(w, 0, 1), one(x, 1))
    product_sx = Contraction(one(s, 0, 1), one(x, 1))
    first = View(g, (Index(0), Index(-1, 0)))  # column 0
    rest = Affine(tuple((5, view(tensor, 0)) for tensor in (t, m, a, d, v, there, left, digit)))
    ops = (
        Range(s, 8),
        Gather(g, (2,), one(ident, 0), rows),
        Linear(ell, Expr((3, 2), 1, (product_wx,), Affine(((2, first),), 3))),
        Requantize(q, Expr((3,), 1, (), one(ell, 0)), 3, 8),
        Relu(h, Expr((2, 2), 1, (product_sx,)), 4, 8),
        Table(t, (2,), one(x, 0), f, -8),
        Max(m, (2, 2), one(s, 0, 1), 8),
        Argmax(a, (2, 2), one(s, 0, 1), 12),
        Divide(d, (2,), Affine(((16, view(t, 0)),), 1), Affine(((1, view(h, 0)),), 1), 8, 12),
        Rsqrt(v, (2,), Affine(((1, view(h, 0)),), 1), 6, 8, 12),
        Requantize(index, Expr((2,), 1, (), one(h, 0)), 4, 8),
        Table(there, (2,), one(index, 0), f, 0),
        digits,
        Table(left, (2,), digits.rest, low, 0),
        Table(digit, (2,), Affine(((1, view(u, 0)), (1, view(ident, 0)))), high, -4),
        Requantize(c, Expr((3,), 1, (), Affine(((9, view(q, 0)), (-20, view(h, 0))))), 6, 8),
        Requantize(
            y,
            Expr((2, 3), 1, (Contraction(one(q, 1), one(h, 0)),), rest),
            2,
            8,
        ),
    )
    given = {
        "x": np.array([-3, 6]),
        "id": np.array([2, 0]),
        "s": rng.integers(-20, 21, (2, 2)),
        "w": rng.integers(-8, 8, (3, 2)),
        "rows": rng.integers(-8, 8, (3, 2)),
    }
    given["s"] = np.array([[5, 40], [30, -10]])  # one ReLU of each sign
    return Case(Program(4, tensors, ops), given)


def four_slices() -> AbstractContextManager[Any]:
    """Inside, lookups are laid out in four slices, however few they are."""
    return patch("prover.program.addresses.ONE_SLICE", 0)


@cache
def target() -> Setup:
    """What is attacked: every_kind(), honest, in as many slices as there can be."""
    with four_slices():
        return setup(every_kind(), K)


# -- verifying fast --------------------------------------------------------------------------------


def _msm(points: Sequence[Point], scalars: Sequence[int]) -> Point:
    kernels = tiers.get("scalar")
    terms = [(p, s) for p, s in zip(points, scalars, strict=True) if p is not None]
    loaded = kernels.load_points([p for p, _ in terms])
    return kernels.msm(loaded, kernels.from_ints([s for _, s in terms]))


def _product_is_one(pairs: Sequence[tuple[Point, PointG2]]) -> bool:
    (left, _), (right, _) = pairs
    return _msm([left, right], [1, development_secret()]) is None


@contextmanager
def known_secret() -> Iterator[None]:
    """The verifier's answer a hundred times sooner: points are summed by a compiled tier, and since
    s of the development SRS is known, e(A, [1]_2) e(B, [s]_2) = 1 just where A + s B = 0."""
    with patched(
        ("prover.pairing.product_is_one", _product_is_one),
        ("prover.verify.msm", _msm),
        ("prover.opening.msm", _msm),
    ):
        yield


def refusal(key: VerifyingKey, statement: Statement, proof: bytes) -> str | None:
    """The name of the error with which the verifier refuses; None if it accepts. Anything but a
    ProofError comes through: that would be a crash."""
    with known_secret():
        try:
            verify(key, statement, proof)
        except ProofError as error:
            return type(error).__name__
    return None


@contextmanager
def patched(*changes: tuple[str, Any]) -> Iterator[None]:
    with ExitStack() as stack:
        for where, what in changes:
            stack.enter_context(patch(where, what))
        yield
