"""Each gadget of the closed list: the relations that pin its output, and how its output and hints
are computed.

Uniqueness proofs: docs/protocol/gadgets.md. `expand` and `run` name hints alike ("out.r", "out.u1",
...); `run` raises ValueRefused for whatever no proof could show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from prover.program.evaluate import Ints, Values
from prover.program.gadgets import choice, division, linear, rounding, table
from prover.program.gadgets.shared import affine_reads, expr_reads
from prover.program.ir import (
    Argmax,
    Divide,
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
from prover.program.relations import Relations, TableSpec


class Gadget(NamedTuple):
    """expand: its relations; run: its output and hints by name; reads: the tensors it needs."""

    expand: Callable[[Relations, Any], None]
    run: Callable[[Program, Any, Values], dict[str, Ints]]
    reads: Callable[[Any], set[int]]


GADGETS: dict[type, Gadget] = {
    Linear: Gadget(linear.expand, linear.run, lambda op: expr_reads(op.expr)),
    Requantize: Gadget(
        rounding.expand_requantize, rounding.run_requantize, lambda op: expr_reads(op.expr)
    ),
    Relu: Gadget(rounding.expand_relu, rounding.run_relu, lambda op: expr_reads(op.expr)),
    Floor: Gadget(table.expand_floor, table.run_floor, lambda op: affine_reads(op.x)),
    Table: Gadget(
        table.expand_table, table.run_table, lambda op: affine_reads(op.index) | {op.table}
    ),
    Gather: Gadget(
        table.expand_gather, table.run_gather, lambda op: affine_reads(op.index) | {op.source}
    ),
    Range: Gadget(table.expand_range, table.run_range, lambda op: {op.tensor}),
    Max: Gadget(choice.expand_max, choice.run_max, lambda op: affine_reads(op.x)),
    Argmax: Gadget(choice.expand_argmax, choice.run_argmax, lambda op: affine_reads(op.x)),
    Divide: Gadget(
        division.expand_divide,
        division.run_divide,
        lambda op: affine_reads(op.numerator, op.denominator),
    ),
    Rsqrt: Gadget(division.expand_rsqrt, division.run_rsqrt, lambda op: affine_reads(op.x)),
}


def expand(program: Program) -> Relations:
    """All relations of a program; its own tensors keep their numbers, hints follow."""
    rel = Relations(program.limb, list(program.tensors), looked_up=program.looked_up)
    # Table 0 is public: gaps take its first row.
    rel.table(TableSpec(0, 1 << program.limb, None, 0))
    for op in program.ops:
        GADGETS[type(op)].expand(rel, op)
    return rel


def run(program: Program, op: Op, values: Values) -> dict[str, Ints]:
    """The output and the hints of one gadget, by name; int64. Raises ValueRefused."""
    return GADGETS[type(op)].run(program, op, values)


def reads(op: Op) -> set[int]:
    """The tensors that a gadget reads."""
    return GADGETS[type(op)].reads(op)
