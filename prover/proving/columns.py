"""The lookup columns on the prover's side: multiplicities, folded slices, helpers, and their
sumcheck rounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from prover.challenges import Challenges
from prover.kernels.interface import Kernels, Vec
from prover.lookup import batching, last, late
from prover.program.addresses import Box
from prover.program.evaluate import Ints, affine_values, view_values
from prover.program.ir import View
from prover.program.layout import GAP, Layout
from prover.program.relations import Lookup, TableSpec
from prover.proof import LookupEvaluations
from prover.proving.tiles import constant


@dataclass
class Pads:
    """One fresh random cell at the end of each column."""

    slices: list[int]
    helper: int
    table_helper: int
    multiplicity: int
    table: int  # 0 where no table is secret


def table_values(layout: Layout, spec: TableSpec, values: Mapping[int, Ints]) -> Ints | None:
    if spec.values is None:
        return None
    return np.asarray(values[spec.values]).reshape(spec.rows, spec.width)


def _inside(box: Box) -> tuple[slice, ...]:
    return tuple(slice(b, b + (1 << s)) for b, s in zip(box.base, box.bits, strict=True))


class Columns:
    """Integer columns first (they fix M), then the folded ones once gamma is drawn."""

    def __init__(self, layout: Layout, values: Mapping[int, Ints]) -> None:
        self.layout, self.values = layout, values
        self.first_row = {i: row for i, box, row in layout.table_slots if box.base == (0,)}
        self.indices = [self._index(lookup) for lookup in layout.relations.lookups]

    def _index(self, lookup: Lookup) -> Ints:
        axes = range(len(lookup.axes))
        return affine_values(lookup.index, lookup.axes, axes, self.values)

    def multiplicities(self) -> Ints:
        """M without its pad: how often each row of T is looked up, gaps counted at table 0's first
        row."""
        v = self.layout.verifier
        counts = np.zeros(v.table_rows, dtype=np.int64)
        for lookup, index in zip(self.layout.relations.lookups, self.indices, strict=True):
            spec = self.layout.relations.tables[lookup.table]
            rows = np.bincount(index.reshape(-1) - spec.lo, minlength=spec.rows)
            for i, box, row in self.layout.table_slots:
                if i == lookup.table:
                    (start,), (bits,) = box.base, box.bits
                    counts[row : row + (1 << bits)] += rows[start : start + (1 << bits)]
        gaps = sum(end - start for _, start, end in self.layout.gaps)
        counts[self.first_row[0]] += gaps
        return counts

    def slices(self, kernels: Kernels, gamma: int, pads: list[int]) -> list[Vec]:
        """f_kappa over 2^n_f rows: folded rows, gaps, the pad at L, zeros."""
        v = self.layout.verifier
        found = [kernels.zeros(1 << v.n_f) for _ in range(v.slices)]
        for slot in self.layout.slots:
            lookup = self.layout.relations.lookups[slot.lookup]
            index = self.indices[slot.lookup][_inside(slot.box)].reshape(-1)
            part = found[slot.slice][slot.row : slot.row + len(index)]
            kernels.add_scaled(part, 1, constant(kernels, lookup.table + 1, len(index)))
            kernels.add_scaled(part, gamma, kernels.from_int64(np.ascontiguousarray(index)))
            if lookup.values is not None:
                kernels.add_scaled(
                    part, 1, self._folded(kernels, lookup, lookup.values, slot.box, gamma)
                )
        for s, start, end in self.layout.gaps:
            part = found[s][start:end]
            kernels.add_scaled(part, 1, constant(kernels, GAP, end - start))
        for column, pad in zip(found, pads, strict=True):
            column[v.rows : v.rows + 1] = kernels.from_ints([pad])
        return found

    def _folded(self, kernels: Kernels, lookup: Lookup, view: View, box: Box, gamma: int) -> Vec:
        """sum_c gamma^(2+c) values[.., c] over the rows of a box."""
        width = self.layout.relations.tables[lookup.table].width
        lengths = (*lookup.axes, width)
        axes = range(len(view.index))
        cells = view_values(view, lengths, axes, self.values)
        rows = cells.reshape(*lookup.axes, width)[_inside(box)].reshape(-1, width)
        return fold_rows(kernels, rows, gamma)

    def table(self, kernels: Kernels, gamma: int, pad: int) -> Vec:
        """T over 2^n_T rows."""
        v = self.layout.verifier
        found = kernels.zeros(1 << v.n_t)
        for i, box, row in self.layout.table_slots:
            spec = self.layout.relations.tables[i]
            (start,), (bits,) = box.base, box.bits
            part = found[row : row + (1 << bits)]
            index = np.arange(spec.lo + start, spec.lo + start + (1 << bits), dtype=np.int64)
            kernels.add_scaled(part, 1, constant(kernels, i + 1, len(index)))
            kernels.add_scaled(part, gamma, kernels.from_int64(index))
            rows = table_values(self.layout, spec, self.values)
            if rows is not None:
                folded = fold_rows(kernels, rows[start : start + (1 << bits)], gamma)
                kernels.add_scaled(part, 1, folded)
        found[v.table_rows : v.table_rows + 1] = kernels.from_ints([pad])
        return found


def fold_rows(kernels: Kernels, rows: Ints, gamma: int) -> Vec:
    powers = kernels.powers(gamma, rows.shape[1] + 2)[2:]
    return kernels.small_matvec(np.ascontiguousarray(rows, dtype=np.int64), powers)


def helpers(
    kernels: Kernels, slices: list[Vec], table: Vec, counts: Ints, beta: int, rows: int, pads: Pads
) -> tuple[Vec, Vec, Vec]:
    """(H, G, M) over all rows of their columns, pads in place; raises ZeroInverse if beta meets a
    row."""
    total = kernels.zeros(rows)
    for column in slices:
        against = kernels.sub(constant(kernels, beta, rows), column[:rows])
        kernels.add_scaled(total, 1, kernels.batch_inverse(against))
    helper = kernels.zeros(len(slices[0]))
    helper[:rows] = total
    helper[rows : rows + 1] = kernels.from_ints([pads.helper])
    used = np.flatnonzero(counts)
    wanted = kernels.sub(constant(kernels, beta, len(used)), table[used])
    inverses = kernels.batch_inverse(wanted)
    table_helper = kernels.zeros(len(table))
    table_helper[used] = kernels.mul(inverses, kernels.from_int64(counts[used]))
    table_helper[len(counts) : len(counts) + 1] = kernels.from_ints([pads.table_helper])
    mult = kernels.zeros(len(table))
    mult[: len(counts)] = kernels.from_int64(counts)
    mult[len(counts) : len(counts) + 1] = kernels.from_ints([pads.multiplicity])
    return helper, table_helper, mult


class LookupRounds:
    """Both LogUp identities and their sum, as parts of the joint sumcheck
    (prover.proving.joint)."""

    def __init__(
        self,
        kernels: Kernels,
        layout: Layout,
        drawn: Challenges,
        slices: list[Vec],
        helper: Vec,
        table_helper: Vec,
        mult: Vec,
        table: Vec,
    ) -> None:
        v = layout.verifier
        self.kernels, self.drawn = kernels, drawn
        c_rows, c_table, c_sum = batching(v, drawn.alpha)
        total = kernels.total(helper[: v.rows])
        self.rows = _RowPart(kernels, v.n, v.n_f, drawn.beta, c_rows, c_sum)
        self.rows.vectors = [
            _cut_eq(kernels, last(drawn.tau, v.n_f), v.rows),
            _cut(kernels, v.n_f, v.rows),
            helper,
            *slices,
        ]
        self.rows.claim = c_sum * total
        self.tables = _TablePart(kernels, v.n, v.n_t, drawn.beta, c_table, c_sum)
        self.tables.vectors = [
            _cut_eq(kernels, last(drawn.tau, v.n_t), v.table_rows),
            _cut(kernels, v.n_t, v.table_rows),
            table_helper,
            table,
            mult,
        ]
        self.tables.claim = -c_sum * kernels.total(table_helper[: v.table_rows])

    def evaluations(self) -> LookupEvaluations:
        """The columns at r, once all rounds are done."""
        _, _, helper, *slices = (self.kernels.to_ints(v)[0] for v in self.rows.vectors)
        _, _, table_helper, table, mult = (self.kernels.to_ints(v)[0] for v in self.tables.vectors)
        return LookupEvaluations(tuple(slices), helper, table_helper, mult, table)


class _Part:
    def __init__(
        self, kernels: Kernels, n: int, variables: int, beta: int, c_eq: int, c_sum: int
    ) -> None:
        self.kernels, self.variables, self.beta = kernels, variables, beta
        self.scale = late(n, variables)
        self.c_eq, self.c_sum = c_eq, c_sum
        self.claim = 0
        self.vectors: list[Vec] = []

    def fold(self, r: int) -> None:
        self.vectors = [self.kernels.fold(v, r) for v in self.vectors]


class _RowPart(_Part):
    def round(self) -> list[int]:
        e, cut, helper, *slices = self.vectors
        return self.kernels.round_lookup(
            e, cut, helper, slices, self.beta, self.c_eq * self.scale, self.c_sum * self.scale
        )


class _TablePart(_Part):
    def round(self) -> list[int]:
        e, cut, helper, table, mult = self.vectors
        return self.kernels.round_table(
            e, cut, helper, table, mult, self.beta, self.c_eq * self.scale, self.c_sum * self.scale
        )


def _cut_eq(kernels: Kernels, point: list[int], rows: int) -> Vec:
    """eq(point, x) for x < rows, else 0: the table of E_rows(point, x)."""
    table = kernels.eq_table(point)
    table[rows:] = kernels.zeros(len(table) - rows)
    return table


def _cut(kernels: Kernels, n: int, rows: int) -> Vec:
    cells = np.zeros(1 << n, dtype=np.int64)
    cells[:rows] = 1
    return kernels.from_int64(cells)
