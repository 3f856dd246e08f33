"""Linear: out = expr, exactly. Unique: out has coefficient 1 in one relation."""

from __future__ import annotations

from prover.program.evaluate import Ints, Values, expr_values
from prover.program.gadgets.shared import plus, times, whole
from prover.program.ir import Linear, Program
from prover.program.relations import Relations


def expand(rel: Relations, op: Linear) -> None:
    lhs = plus(times(op.expr.linear, -1), (1, whole(op.out, op.expr.free)))
    rel.einsum(op.expr.axes, op.expr.free, lhs, *op.expr.contractions)


def run(program: Program, op: Linear, values: Values) -> dict[str, Ints]:
    return {program.tensors[op.out].name: expr_values(op.expr, values)}
