"""The lookup's columns as terms: rows that lie as the cells that they look up, tables, helpers.

Most of a column is a tile of activations itself: cell x is looked up at row x, so that one term is
enough for many tensors, and what differs is painted over it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from prover.program import format as fmt
from prover.program.addresses import (
    Box,
    Slot,
    bits_for,
    place_rows,
    whole,
    worth_cutting,
)
from prover.program.emit import Emitter, axis_kernels
from prover.program.format import Kernel, Kind, Source, Span
from prover.program.ir import Index, Role, View
from prover.program.paint import Run, Stroke, filled, painted
from prover.program.relations import Relations

# Columns that are no tensor of the program.
M, H, G, MASK1, MASK2, TABLE_PAD = "M", "H", "G", "mask1", "mask2", "pad T"
GAP = 1  # the folded first row of table 0, the range table: tag 1, index 0
F_PADS = tuple(f"pad f{i}" for i in range(fmt.SLICES))


def mirrored(rel: Relations) -> dict[int, int]:
    """By lookup: the first of its index' terms that is an activation, cell for row, that no lookup
    before it has. Its cells lie as the rows do, so that many lookups' are one term."""
    found: dict[int, int] = {}
    taken: set[int] = set()
    for i, lookup in enumerate(rel.lookups):
        same = tuple(Index(a) for a in range(len(lookup.axes)))
        for position, (_, view) in enumerate(lookup.index.terms):
            tensor = rel.tensors[view.tensor]
            fits = tensor.role == Role.ACTIVATION and tensor.shape == lookup.axes
            if fits and view.index == same and view.tensor not in taken:
                found[i] = position
                taken.add(view.tensor)
                break
    return found


@dataclass(frozen=True)
class Rows:
    """Where the rows of the slices are, and in stage 1 the cells that lie as they do: a slice is in
    `count` pieces of 2^bits rows, which are neighbours there too."""

    slots: list[Slot]
    gaps: list[tuple[int, int, int]]  # slice, first row, end row
    length: int  # L
    slices: int
    pairs: dict[int, int]  # `mirrored`
    bits: int

    @property
    def n_f(self) -> int:
        return self.length.bit_length()

    @property
    def count(self) -> int:
        return -(-self.length >> self.bits)

    def address(self, number: int, row: int) -> int:
        """Of the cell that lies as a row of a slice."""
        return (number * self.count << self.bits) + row

    def parted(self) -> Iterator[Rows]:
        """The same in smaller pieces too, down to the largest box: less is left between slices."""
        least = max(slot.box.size_bits for slot in self.slots)
        yield from (replace(self, bits=bits) for bits in range(self.bits, least - 1, -1))

    def cells(self, rel: Relations) -> list[tuple[object, int, Box]]:
        """Owner, address and box of the tensors that lie so."""
        return [
            (view.tensor, self.address(slot.slice, slot.row), slot.box)
            for slot in self.slots
            if slot.lookup in self.pairs
            for _, view in (rel.lookups[slot.lookup].index.terms[self.pairs[slot.lookup]],)
        ]


def rows_of(rel: Relations, k: int, seen: Counter[object], cut: bool) -> Rows:
    """Rows are placed by size, then by what their look-ups add to them: neighbours that add the
    same are one term. In pieces as large as can be."""
    pairs, cuts, keys = mirrored(rel), [], []
    for i, lookup in enumerate(rel.lookups):
        terms, coef = len(lookup.index.terms) + (lookup.values is not None), 0
        if i in pairs:
            coef, view = lookup.index.terms[pairs[i]]
            terms += seen[view.tensor] - 2
        cuts.append(cut and worth_cutting(lookup.axes, terms))
        keys.append((coef, lookup.index.const, lookup.table))
    slots, places, length = place_rows(rel.lookups, k, cuts, keys)
    gaps = [(s, *gap) for s, place in enumerate(places) for gap in place.free]
    bits = min(k, length.bit_length())
    return Rows(slots, gaps, length, len(places), pairs, bits)


def row_place(n: int, width: int, row: int, size_bits: int) -> list[Kernel]:
    """The first coordinates of an aligned row among 2^width, at the last coordinates of r."""
    span = Span(Source.R, n - width, width - size_bits)
    return [Kernel(Kind.EQ, span, const=row >> size_bits)] if span.bits else []


def emit_rows(
    emit: Emitter, rel: Relations, rows: Rows, first_tile: int, n: int, base: int, c_max: int
) -> None:
    """Columns f_kappa at r_f: cells that lie as rows, other views, constants, tags, pads."""
    n_f = rows.n_f
    tags, consts, cells = ([list[Run]() for _ in range(rows.slices)] for _ in range(3))
    for slot in rows.slots:
        lookup, box = rel.lookups[slot.lookup], slot.box
        place, scale = row_place(n, n_f, slot.row, box.size_bits), base + slot.slice * (c_max + 1)
        run = Run(slot.row, slot.row + box.cells, 0)
        tags[slot.slice].append(run._replace(value=lookup.table + 1 - GAP))
        consts[slot.slice].append(run._replace(value=lookup.index.const))
        spans = _axes(box, n)
        for at, (coef, view) in enumerate(lookup.index.terms):
            if rows.pairs.get(slot.lookup) == at:
                cells[slot.slice].append(run._replace(value=coef))
            else:
                emit.view(scale + 1, coef, view, spans, place)
        if lookup.values is not None:
            rank = len(lookup.axes)
            if len(lookup.values.index) > rank:
                emit.view(scale, 1, lookup.values, spans, place, fold=rank)
            else:
                emit.view(scale + 2, 1, lookup.values, spans, place)
    for s, name in enumerate(F_PADS[: rows.slices]):
        scale = base + s * (c_max + 1)
        # tag 1 on every row, gaps included
        tag = [run._replace(value=run.value + GAP) for run in filled(tags[s], rows.length)]
        for column, runs in ((scale, tag), (scale + 1, consts[s])):
            ground, strokes = _grounded(runs, rows.length, n_f)
            if ground:
                everywhere = Kernel(Kind.CUT, Span(Source.R, n - n_f, n_f), const=rows.length)
                emit.term(fmt.SCALAR_SIDE, column, ground, [everywhere])
            for first, bits, value in strokes:
                emit.term(fmt.SCALAR_SIDE, column, value, row_place(n, n_f, first, bits))
        for piece in range(rows.count):
            _emit_piece(emit, cells[s], rows, s, piece, first_tile, n, scale + 1)
        (pad,) = emit.blocks[name]
        place = [*row_place(n, n_f, rows.length, 0), *emit.place(pad.offset, 0)]
        emit.term(pad.tile, scale, 1, place)


def _axes(box: Box, n: int) -> dict[int, tuple[Span, int, int]]:
    """The axes of a box of rows, at the last coordinates of r."""
    found, at = {}, n - box.size_bits
    for axis, (start, bits) in enumerate(zip(box.base, box.bits, strict=True)):
        found[axis] = (Span(Source.R, at, bits), start, 1 << bits if axis else box.first)
        at += bits
    return found


def _grounded(runs: Sequence[Run], length: int, bits: int) -> tuple[int, list[Stroke]]:
    """A value on the first `length` rows, and the strokes that are left: as few as can be."""
    full = filled(runs, length)
    found = []
    for value in sorted({run.value for run in full} | {0}):
        left = [run._replace(value=run.value - value) for run in full]
        found.append((value, painted(left, bits)))
    return min(found, key=lambda f: len(f[1]) + (f[0] != 0))


def _emit_piece(
    emit: Emitter,
    runs: list[Run],
    rows: Rows,
    number: int,
    piece: int,
    first_tile: int,
    n: int,
    scale: int,
) -> None:
    """The cells of a piece of a slice."""
    start = piece << rows.bits
    length = min(rows.length - start, 1 << rows.bits)
    inside = [
        Run(max(a - start, 0), min(b - start, length), value)
        for a, b, value in runs
        if a < start + length and start < b
    ]
    tile, offset = divmod(rows.address(number, start), 1 << emit.k)

    def term(first: int, bits: int, value: int) -> None:
        r, y = Span(Source.R, n - bits, bits), Span(Source.Y, emit.k - bits, bits)
        factors = row_place(n, rows.n_f, start + first, bits) + emit.place(offset + first, bits)
        factors += axis_kernels(r, y, 0, 1 << bits, 1 << bits)
        emit.term(first_tile + tile, scale, value, factors)

    for first, bits, value in painted(inside, rows.bits):
        term(first, bits, value)


def emit_tables(
    emit: Emitter,
    rel: Relations,
    firsts: list[int],
    table_rows: int,
    n: int,
    n_t: int,
    base: int,
) -> None:
    """Column T at r_T: row t has index t, to which a table adds its tag, its values and what its
    own indices are away from that. A row of no table has tag 0: no lookup."""
    secret = False
    everywhere = Span(Source.R, n - n_t, n_t)
    emit.term(fmt.SCALAR_SIDE, base + 1, 1, [Kernel(Kind.INDEX, everywhere)])
    for i, (spec, row) in enumerate(zip(rel.tables, firsts, strict=True)):
        bits = bits_for(spec.rows)
        place = row_place(n, n_t, row, bits)
        span = Span(Source.R, n - bits, bits)
        there = [*place, Kernel(Kind.CUT, span, const=spec.rows)]
        if spec.rows == 1 << bits:
            there = place
        emit.term(fmt.SCALAR_SIDE, base, i + 1, there)
        if spec.lo != row:
            emit.term(fmt.SCALAR_SIDE, base + 1, spec.lo - row, there)
        if spec.values is None:
            continue
        secret = True
        rank = len(rel.tensors[spec.values].shape)
        view = View(spec.values, tuple(Index(a) for a in range(rank)))
        spans = {0: (span, 0, spec.rows)}
        if rank == 2:
            emit.view(base, 1, view, spans, place, fold=1)
        else:
            emit.view(base + 2, 1, view, spans, place)
    if secret:
        (pad,) = emit.blocks[TABLE_PAD]
        place = row_place(n, n_t, table_rows, 0)
        emit.term(pad.tile, base, 1, [*place, *emit.place(pad.offset, 0)])


def emit_helpers(
    emit: Emitter, rows: int, table_rows: int, n: int, n_f: int, n_t: int, base: int
) -> None:
    """H at r_f, G and M at r_T: each column with its pad as one more row."""
    for name, scale, length, bits in (
        (H, base, whole(rows + 1, emit.k), n_f),
        (G, base + 1, whole(table_rows + 1, emit.k), n_t),
        (M, base + 2, whole(table_rows + 1, emit.k), n_t),
    ):
        span = Span(Source.R, n - bits, bits)
        for block in emit.blocks[name]:
            (start,), (size,) = block.box.base, block.box.bits
            y = Span(Source.Y, emit.k - size, size)
            factors = emit.place(block.offset, size) + axis_kernels(
                span, y, start, length, 1 << size
            )
            emit.term(block.tile, scale, 1, factors)
