"""Intervals of a program's tensors, from what their relations prove
(docs/protocol/gadgets.md#values).

Not those that are declared; and weights are field elements, so what depends on them is *free* until
a gadget proves its range.
"""

from __future__ import annotations

from typing import TypeAlias

from prover.errors import EinproofError
from prover.program.ir import (
    Affine,
    Argmax,
    Divide,
    Expr,
    Floor,
    Gather,
    Linear,
    Max,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Rsqrt,
    Table,
)

INT16 = (-(1 << 15), (1 << 15) - 1)
LIMIT = 1 << 62  # of every integer: far below P/2, and int64 holds it
Bounds: TypeAlias = tuple[int, int]
Ranged: TypeAlias = Requantize | Relu | Table | Range | Argmax | Divide | Rsqrt
RANGED = (Requantize, Relu, Table, Range, Argmax, Divide, Rsqrt)  # range their outputs themselves


class InvalidProgram(EinproofError):
    """A program that must not be relied on."""


def require(condition: bool, what: str) -> None:
    if not condition:
        raise InvalidProgram(what)


class Intervals:
    """Intervals that the relations prove, and which tensors may be beyond them (weights are field
    elements)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.of: dict[int, Bounds] = {}
        self.ahead: dict[int, Bounds] = {}  # of tensors that a stack makes further on
        self.free: set[int] = set()  # depends on weights, with no range proved

    def affine(self, a: Affine) -> Bounds:
        lo = hi = a.const
        for coef, view in a.terms:
            interval = self.of.get(view.tensor) or self.ahead.get(view.tensor)
            if interval is None:
                raise InvalidProgram(f"{self._name(view.tensor)}: read before it is made")
            ends = [coef * e for e in (*interval, 0)]  # 0: outside the tensor
            lo, hi = lo + min(ends), hi + max(ends)
        require(lo > -LIMIT and hi < LIMIT, f"an affine combination reaches [{lo}, {hi}]")
        return lo, hi

    def is_free(self, a: Affine) -> bool:
        return any(v.tensor in self.free for _, v in a.terms)

    def expr(self, e: Expr) -> Bounds:
        lo, hi = self.affine(e.linear)
        for c in e.contractions:
            require(
                not (self.is_free(c.x) and self.is_free(c.y)),
                "a product of two tensors that depend on weights, neither range-checked",
            )
            count = 1
            for axis in e.summed(c):
                count *= e.axes[axis]
            ends = [x * y for x in self.affine(c.x) for y in self.affine(c.y)]
            lo, hi = lo + count * min(*ends, 0), hi + count * max(*ends, 0)
        require(lo > -LIMIT and hi < LIMIT, f"an expression reaches [{lo}, {hi}]")
        return lo, hi

    def expr_is_free(self, e: Expr) -> bool:
        affines = [e.linear] + [a for c in e.contractions for a in (c.x, c.y)]
        return any(self.is_free(a) for a in affines)

    def _name(self, tensor: int) -> str:
        return self.program.tensors[tensor].name


def interval(program: Program, op: Op, known: Intervals) -> tuple[Bounds, bool]:
    """What a valid gadget proves of its output, and whether that is unproved for weights."""
    match op:
        case Linear():
            return known.expr(op.expr), known.expr_is_free(op.expr)
        case Gather():
            return known.of[op.source], op.source in known.free
        case Max():
            return known.affine(op.x), False
        case Floor():
            lo, hi = known.affine(op.x)
            return (lo >> op.shift, hi >> op.shift), False
        case _:
            return alone(program, op), False


def alone(program: Program, op: Ranged) -> Bounds:
    """The interval of an output that its gadget proves whatever it reads."""
    match op:
        case Relu() | Rsqrt():
            return 0, (1 << op.bits) - 1
        case Table():
            content = program.tensors[op.table]
            return content.lo, content.hi
        case Argmax():
            return 0, op.axes[-1] - 1
        case _:
            return -(1 << op.bits - 1), (1 << op.bits - 1) - 1
