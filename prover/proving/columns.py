"""The lookup columns on the prover's side: multiplicities, folded slices, helpers, and their
sumcheck rounds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

import numpy as np

from prover.challenges import Challenges
from prover.field import P
from prover.kernels.interface import Kernels, Rows, Vec
from prover.lookup import batching, last, late
from prover.program.addresses import Box
from prover.program.evaluate import Ints, Stored, affine_values
from prover.program.layout import Layout
from prover.program.relations import TableSpec
from prover.proof import LookupEvaluations
from prover.proving.tiles import constant
from prover.sumcheck import coefficients, value_at

PIECE_BITS = 14  # the first round takes so many rows at a time, twice


@dataclass
class Pads:
    """One fresh random cell at the end of each column."""

    slices: list[int]
    helper: int
    table_helper: int
    multiplicity: int
    table: int  # 0 where no table is secret


def table_values(layout: Layout, spec: TableSpec, values: Mapping[int, Stored]) -> Stored | None:
    if spec.values is None:
        return None
    return np.asarray(values[spec.values]).reshape(spec.rows, spec.width)


def _inside(box: Box) -> tuple[slice, ...]:
    return tuple(slice(b, b + (1 << s)) for b, s in zip(box.base, box.bits, strict=True))


class Looked(NamedTuple):
    """The columns f_kappa: cell x of column kappa is values[rows[kappa, x]], for 2^n_f cells.

    values: the rows of T, then each column's pad, then zero.
    """

    values: Vec
    rows: Rows


class Columns:
    """Which row of T is looked up where, which fixes M; then the folded columns once gamma is
    drawn. The interpreter has run: every look-up finds its row."""

    def __init__(self, layout: Layout, values: Mapping[int, Stored]) -> None:
        self.layout, self.values, v = layout, values, layout.verifier
        self.rows = np.full((v.slices, 1 << v.n_f), v.table_rows + v.slices, dtype=np.int32)
        self.rows[:, : v.rows] = layout.table_firsts[0]  # gaps
        self.rows[:, v.rows] = v.table_rows + np.arange(v.slices)  # pads
        self._place_rows()

    def _place_rows(self) -> None:
        for i, lookup in enumerate(self.layout.relations.lookups):
            first = self.layout.table_firsts[lookup.table]
            first -= self.layout.relations.tables[lookup.table].lo
            axes = range(len(lookup.axes))
            found = affine_values(lookup.index, lookup.axes, axes, self.values)
            for slot in self.layout.slots:
                if slot.lookup == i:
                    inside = found[_inside(slot.box)].reshape(-1)
                    at = slice(slot.row, slot.row + len(inside))
                    self.rows[slot.slice, at] = inside + first

    def multiplicities(self) -> Ints:
        """M without its pad: how often each row of T is looked up, gaps among them."""
        v = self.layout.verifier
        counts = np.zeros(v.table_rows, dtype=np.int64)
        for rows in self.rows:
            counts += np.bincount(rows[: v.rows], minlength=v.table_rows)
        return counts

    def looked_up(self, kernels: Kernels, table: Vec, pads: list[int]) -> Looked:
        """f_kappa: folded rows, gaps, the pad at L, zeros. table: T, as `table` gives it."""
        rows = table[: self.layout.verifier.table_rows]
        return Looked(kernels.concat([rows, kernels.from_ints([*pads, 0])]), self.rows)

    def table(self, kernels: Kernels, gamma: int, pad: int) -> Vec:
        """T over 2^n_T rows."""
        v = self.layout.verifier
        index = kernels.from_int64(np.arange(1 << v.n_t, dtype=np.int64))
        found = kernels.scale(index, gamma)
        tables = zip(self.layout.relations.tables, self.layout.table_firsts, strict=True)
        for i, (spec, row) in enumerate(tables):
            part = found[row : row + spec.rows]
            moved = (i + 1 + gamma * (spec.lo - row)) % P
            kernels.add_scaled(part, 1, constant(kernels, moved, spec.rows))
            rows = table_values(self.layout, spec, self.values)
            if rows is not None:
                kernels.add_scaled(part, 1, fold_rows(kernels, rows, gamma))
        kernels.add_scaled(found[v.table_rows : v.table_rows + 1], 1, kernels.from_ints([pad]))
        return found


def fold_rows(kernels: Kernels, rows: Stored, gamma: int) -> Vec:
    """sum_c gamma^(2+c) rows[.., c]."""
    powers = kernels.powers(gamma, rows.shape[1] + 2)[2:]
    return kernels.small_matvec(np.ascontiguousarray(rows), powers)


@dataclass
class Helpers:
    """H, G and M over all rows of their columns, pads in place. `sources`: what the cells of H are
    sums of, where that is known: it makes their commitment cheap."""

    rows: Vec
    tables: Vec
    mult: Vec
    sources: Looked | None


def helpers(
    kernels: Kernels, looked: Looked, table: Vec, counts: Ints, beta: int, pads: Pads
) -> Helpers:
    """H, G and M; raises ZeroInverse if beta meets a row. A look-up's inverse is one of those of
    the few values that are looked up."""
    known = len(looked.values) - len(looked.rows) - 1
    against = kernels.sub(constant(kernels, beta, known), looked.values[:known])
    at_pads = [pads.helper] + [0] * len(looked.rows)
    inverses = kernels.concat([kernels.batch_inverse(against), kernels.from_ints(at_pads)])
    used = np.flatnonzero(counts)
    wanted = kernels.sub(constant(kernels, beta, len(used)), table[used])
    table_helper = kernels.zeros(len(table))
    multiplied = kernels.mul(kernels.batch_inverse(wanted), kernels.from_int64(counts[used]))
    table_helper[used] = multiplied
    table_helper[len(counts) : len(counts) + 1] = kernels.from_ints([pads.table_helper])
    mult = kernels.zeros(len(table))
    mult[: len(counts)] = kernels.from_int64(counts)
    mult[len(counts) : len(counts) + 1] = kernels.from_ints([pads.multiplicity])
    sources = Looked(inverses, looked.rows)
    return Helpers(kernels.pick(inverses, looked.rows), table_helper, mult, sources)


class LookupRounds:
    """Both LogUp identities and their sum, as parts of the joint sumcheck
    (prover.proving.joint)."""

    def __init__(
        self,
        kernels: Kernels,
        layout: Layout,
        drawn: Challenges,
        looked: Looked,
        made: Helpers,
        table: Vec,
    ) -> None:
        v = layout.verifier
        self.kernels, self.drawn = kernels, drawn
        c_rows, c_table, c_sum = batching(v, drawn.alpha)
        self.rows = _RowPart(kernels, v.n, v.n_f, drawn.beta, c_rows, c_sum)
        self.rows.columns = _RowColumns(kernels, last(drawn.tau, v.n_f), v.rows, made.rows, looked)
        self.rows.total = kernels.total(made.rows[: v.rows])
        self.tables = _TablePart(kernels, v.n, v.n_t, drawn.beta, c_table, -c_sum)
        self.tables.vectors = [
            _cut_eq(kernels, last(drawn.tau, v.n_t), v.table_rows),
            _cut(kernels, 0, 1 << v.n_t, v.table_rows),
            made.tables,
            table,
            made.mult,
        ]
        self.tables.total = kernels.total(made.tables[: v.table_rows])

    def evaluations(self) -> LookupEvaluations:
        """The columns at r, once all rounds are done."""
        _, _, helper, *slices = (self.kernels.to_ints(v)[0] for v in self.rows.vectors)
        _, _, table_helper, table, mult = (self.kernels.to_ints(v)[0] for v in self.tables.vectors)
        return LookupEvaluations(tuple(slices), helper, table_helper, mult, table)


class _Part(ABC):
    """c_eq (sum of the relation, which holds on every row) + c_sum (sum of the helper)."""

    def __init__(
        self, kernels: Kernels, n: int, variables: int, beta: int, c_eq: int, c_sum: int
    ) -> None:
        self.kernels, self.variables, self.beta = kernels, variables, beta
        self.c_eq, self.c_sum, self.late = c_eq, c_sum, late(n, variables)
        self.relation, self.total = 0, 0  # the two sums, over the variables that are not bound
        self.vectors: list[Vec] = []

    @property
    def claim(self) -> int:
        return self.c_sum * self.total

    def round(self) -> list[int]:
        """At 0 a sum is its claim less what it is at 1."""
        relation, total = self.sums()
        self.found = (
            coefficients([self.relation - relation[0], *relation]),
            coefficients([self.total - total[0], *total]),
        )
        relation, total = self.found
        return [
            self.late * (self.c_eq * a + self.c_sum * b)
            for a, b in zip_longest(relation, total, fillvalue=0)
        ]

    def fold(self, r: int) -> None:
        self.relation, self.total = (value_at(found, r) for found in self.found)
        self.bind(r)

    @abstractmethod
    def sums(self) -> tuple[list[int], list[int]]:
        """Of the relation and of the helper, the first variable at 1, 2, ... up to their degree."""

    def bind(self, r: int) -> None:
        self.vectors = [self.kernels.fold(v, r) for v in self.vectors]


class _RowColumns:
    """E_L(tau, x), [x < L], H(x) and f_kappa(x) for the first round: read by pieces, so that no
    vector is as long as they are, but H's own."""

    def __init__(
        self, kernels: Kernels, tau: list[int], rows: int, helper: Vec, looked: Looked
    ) -> None:
        self.kernels, self.tau, self.rows = kernels, tau, rows
        self.helper, self.looked = helper, looked
        self.half, split = 1 << len(tau) - 1, max(1, len(tau) - PIECE_BITS)
        self.high, self.low = kernels.eq_table(tau[:split]), kernels.eq_table(tau[split:])

    def starts(self) -> range:
        """Where pieces begin."""
        return range(0, self.half, len(self.low))

    def piece(self, start: int) -> list[Vec]:
        """The columns on some x of the lower half, then on those of the upper half."""
        kernels, size = self.kernels, len(self.low)
        ends = (start, self.half + start)
        ranges = [slice(at, at + size) for at in ends]
        cut = kernels.concat([_cut(kernels, at, size, self.rows) for at in ends])
        rows = np.concatenate([self.looked.rows[:, at] for at in ranges], axis=1)
        return [
            kernels.concat([self._eq(at) for at in ends]),
            cut,
            kernels.concat([self.helper[at] for at in ranges]),
            *(kernels.pick(self.looked.values, row[None]) for row in rows),
        ]

    def bound(self, r: int) -> list[Vec]:
        """The columns with their first variable at r, as (1 - r) lower half + r upper half."""
        kernels, half, values = self.kernels, self.half, self.looked.values
        e, eq, cut = kernels.eq_table(self.tau[1:]), kernels.zeros(half), kernels.zeros(half)
        for first, weight, t in ((0, 1 - r, 1 - self.tau[0]), (half, r, self.tau[0])):
            end = min(max(self.rows - first, 0), half)
            kernels.add_scaled(eq[:end], weight * t % P, e[:end])
            kernels.add_scaled(cut, weight % P, _cut(kernels, first, half, self.rows))
        weighed = kernels.concat([kernels.scale(values, (1 - r) % P), kernels.scale(values, r)])
        slices = [
            kernels.pick(weighed, np.stack([row[:half], row[half:] + np.int32(len(values))]))
            for row in self.looked.rows
        ]
        return [eq, cut, kernels.fold(self.helper, r), *slices]

    def _eq(self, first: int) -> Vec:
        """E_L(tau, x) on as many x, from the first on, as `low` has."""
        at = first // len(self.low)
        found = self.kernels.outer(self.high[at : at + 1], self.low)
        left = min(max(self.rows - first, 0), len(found))
        found[left:] = self.kernels.zeros(len(found) - left)
        return found


class _RowPart(_Part):
    columns: _RowColumns | None

    def sums(self) -> tuple[list[int], list[int]]:
        if self.columns is None:
            return self._sums(self.vectors)
        columns = self.columns

        def piece(start: int) -> tuple[list[int], list[int]]:
            return self._sums(columns.piece(start))

        parts = self.kernels.run_all([partial(piece, start) for start in columns.starts()])
        relation, total = (
            [sum(column) for column in zip(*of_pieces, strict=True)]
            for of_pieces in zip(*parts, strict=True)
        )
        return relation, total

    def bind(self, r: int) -> None:
        if self.columns is None:
            super().bind(r)
        else:
            self.vectors, self.columns = self.columns.bound(r), None

    def _sums(self, vectors: list[Vec]) -> tuple[list[int], list[int]]:
        e, cut, helper, *slices = vectors
        return self.kernels.round_lookup(e, cut, helper, slices, self.beta)


class _TablePart(_Part):
    def sums(self) -> tuple[list[int], list[int]]:
        e, cut, helper, table, mult = self.vectors
        return self.kernels.round_table(e, cut, helper, table, mult, self.beta)


def _cut_eq(kernels: Kernels, point: list[int], rows: int) -> Vec:
    """eq(point, x) for x < rows, else 0: the table of E_rows(point, x)."""
    table = kernels.eq_table(point)
    table[rows:] = kernels.zeros(len(table) - rows)
    return table


def _cut(kernels: Kernels, first: int, count: int, rows: int) -> Vec:
    """[x < rows] for `count` cells from the first on."""
    return kernels.from_int64((np.arange(first, first + count) < rows).astype(np.int64))
