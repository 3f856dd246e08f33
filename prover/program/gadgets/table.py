"""Table and Gather: the index and the output are a row of a table; Floor, which two tables prove;
and Range, which only checks.

Unique: a table has one row for each index. docs/protocol/gadgets.md#table.
"""

from __future__ import annotations

import numpy as np

from prover.program.evaluate import Ints, Stored, Values, affine_values, within
from prover.program.gadgets.shared import prove_range, range_hints, whole
from prover.program.ir import Affine, Floor, Gather, Program, Range, Table
from prover.program.relations import Relations, TableSpec


def expand_table(rel: Relations, op: Table) -> None:
    table = rel.table(TableSpec(op.lo, rel.tensors[op.table].size, op.table, 1))
    rel.lookup(op.axes, table, op.index, whole(op.out, len(op.axes)))


def run_table(program: Program, op: Table, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    rows = affine_values(op.index, op.axes, range(len(op.axes)), values) - op.lo
    return {name: _rows(values[op.table].reshape(-1), rows, name)}


def expand_floor(rel: Relations, op: Floor) -> None:
    """Nothing: the tables' lookups are all that it needs."""


def run_floor(program: Program, op: Floor, values: Values) -> dict[str, Ints]:
    x = affine_values(op.x, op.axes, range(len(op.axes)), values)
    return {program.tensors[op.out].name: x >> op.shift}


def expand_gather(rel: Relations, op: Gather) -> None:
    rows, width = rel.tensors[op.source].shape
    table = rel.table(TableSpec(0, rows, op.source, width))
    rel.lookup(op.axes, table, op.index, whole(op.out, len(op.axes) + 1))


def run_gather(program: Program, op: Gather, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    rows = affine_values(op.index, op.axes, range(len(op.axes)), values)
    return {name: _rows(values[op.source], rows, name)}


def _rows(table: Stored, rows: Ints, name: str) -> Ints:
    within(rows, 0, len(table) - 1, f"{name}: its index")
    return table[rows].astype(np.int64, copy=False)


def expand_range(rel: Relations, op: Range) -> None:
    tensor = rel.tensors[op.tensor]
    value = Affine(((1, whole(op.tensor, len(tensor.shape))),), 1 << op.bits - 1)
    prove_range(rel, f"{tensor.name}.range", tensor.shape, value, op.bits)


def run_range(program: Program, op: Range, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.tensor].name
    half = 1 << op.bits - 1
    cells = values[op.tensor].astype(np.int64, copy=False)
    return range_hints(f"{name}.range", cells, op.bits, program.limb, half, name)
