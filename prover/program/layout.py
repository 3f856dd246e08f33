"""Addresses for cells, and from them the kernels, contractions and terms that the verifier reads.

No padding is stored: a tensor is a product of dyadic boxes (768 = 512 + 256), each at most a tile,
placed largest first, so that every box is an aligned sub-cube of one tile
(docs/protocol/layout.md). All of it is a function of the program and k.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import product as cartesian
from typing import TypeAlias

from prover.errors import EinproofError
from prover.program import format as fmt
from prover.program.format import Kernel, Kind, PublicAxis, PublicView, Source, Span, Term
from prover.program.gadgets import expand
from prover.program.ir import FIXED, PUBLIC, Affine, Contraction, Expr, Index, Program, Role, View
from prover.program.relations import Lookup, Relations

MAX_K = 22
MAX_WORK = 1 << 22  # pairs of a view and a block: about a minute; a larger k has fewer
SMALL_SLICE = 1024  # rows up to which fewer, larger boxes (less gas) beat fewer rows
Factor: TypeAlias = Kernel | PublicView


class LayoutError(EinproofError):
    """A program that does not fit format v1."""


def bits_for(length: int) -> int:
    """ceil(log2(length))."""
    return (length - 1).bit_length()


@dataclass(frozen=True)
class Box:
    """Per axis: base and bits of a dyadic interval."""

    base: tuple[int, ...]
    bits: tuple[int, ...]

    @property
    def size_bits(self) -> int:
        return sum(self.bits)

    def halves(self) -> tuple[Box, Box]:
        """Both halves along the first axis longer than 1."""
        axis = next(i for i, b in enumerate(self.bits) if b)
        bits = (*self.bits[:axis], self.bits[axis] - 1, *self.bits[axis + 1 :])
        upper = self.base[axis] + (1 << bits[axis])
        return Box(self.base, bits), Box((*self.base[:axis], upper, *self.base[axis + 1 :]), bits)


@dataclass(frozen=True)
class Block:
    """A box of a tensor's cells at an aligned offset of a tile; row-major inside."""

    tile: int
    offset: int
    box: Box


def dyadic(length: int) -> list[tuple[int, int]]:
    """(base, bits) of the binary expansion of a length, largest first."""
    parts, base = [], 0
    for bit in reversed(range(length.bit_length())):
        if length >> bit & 1:
            parts.append((base, bit))
            base += 1 << bit
    return parts


def boxes(shape: Sequence[int], k: int) -> list[Box]:
    """The dyadic boxes of a shape, halved until each fits a tile."""
    found = []
    for parts in cartesian(*(dyadic(length) for length in shape)):
        pending = [Box(tuple(b for b, _ in parts), tuple(b for _, b in parts))]
        while pending:
            box = pending.pop()
            if box.size_bits > k:
                pending.extend(reversed(box.halves()))
            else:
                found.append(box)
    return found


class _Group:
    """Tiles filled from the front, largest block first: every block then is aligned to its size."""

    def __init__(self, first_tile: int, k: int) -> None:
        self.first, self.k, self.wanted = first_tile, k, list[tuple[int, object, Box]]()

    def want(self, owner: object, shape: Sequence[int]) -> None:
        self.wanted += [(-box.size_bits, owner, box) for box in boxes(shape, self.k)]

    def place(self, into: dict[object, list[Block]]) -> int:
        """Places what was wanted; the number of tiles used."""
        at = 0
        for negative_bits, owner, box in sorted(self.wanted, key=lambda w: w[0]):
            tile, offset = divmod(at, 1 << self.k)
            into.setdefault(owner, []).append(Block(self.first + tile, offset, box))
            at += 1 << -negative_bits
        return -(-at >> self.k)


@dataclass(frozen=True)
class Slot:
    """Where a box of a lookup's rows stands: slice, first row."""

    lookup: int
    box: Box
    slice: int
    row: int


@dataclass
class Layout:
    program: Program
    relations: Relations
    verifier: fmt.VerifierProgram
    blocks: dict[object, list[Block]]  # by tensor number or column name
    slots: list[Slot]
    gaps: list[tuple[int, int, int]]  # slice, first row, end row
    table_slots: list[tuple[int, Box, int]]  # table, box of rows, first row in T
    weight_tiles: int

    @property
    def k(self) -> int:
        return self.verifier.k


# Columns that are no tensor of the program.
M, H, G, MASK1, MASK2, TABLE_PAD = "M", "H", "G", "mask1", "mask2", "pad T"
GAP = 1  # the folded first row of table 0, the range table: tag 1, index 0
F_PADS = tuple(f"pad f{i}" for i in range(fmt.SLICES))


def slice_rows(lookups: Sequence[Lookup]) -> int:
    """L: ceil(N/K), or a little more where that keeps boxes whole."""
    rows = -(-sum(_size(lookup.axes) for lookup in lookups) // fmt.SLICES)
    if rows > SMALL_SLICE:
        return rows
    step = 1 << max(rows.bit_length() - 2, 0)
    return -(-rows // step) * step


def place_rows(lookups: Sequence[Lookup], k: int) -> tuple[list[Slot], int]:
    """K slices of L rows each: the largest box left goes to the emptiest slice if that
    then holds at most L rows, else both its halves go back. Sizes never grow, so rows stay
    aligned."""
    pending: dict[int, list[tuple[int, Box]]] = {}
    for i, lookup in enumerate(lookups):
        for box in boxes(lookup.axes, k):
            pending.setdefault(box.size_bits, []).append((i, box))
    rows = slice_rows(lookups)
    fill, slots = [0] * fmt.SLICES, []
    for size in sorted(range(max(pending) + 1), reverse=True):
        for i, box in pending.pop(size, []):
            emptiest = fill.index(min(fill))
            if fill[emptiest] + (1 << size) <= rows:
                slots.append(Slot(i, box, emptiest, fill[emptiest]))
                fill[emptiest] += 1 << size
            else:
                pending.setdefault(size - 1, []).extend((i, half) for half in box.halves())
    return slots, rows


@dataclass
class _Emitter:
    """Collects kernels (each once), views and terms."""

    k: int
    relations: Relations
    blocks: dict[object, list[Block]]
    sides: dict[int, tuple[int, int]]  # public tensor -> side, byte offset
    terms: list[tuple[int, int, int, tuple[Kernel, ...], tuple[PublicView, ...]]] = field(
        default_factory=list
    )
    kernels: dict[Kernel, int] = field(default_factory=dict)
    views: dict[PublicView, int] = field(default_factory=dict)
    work: int = 0

    def term(self, tile: int, scale: int, coef: int, factors: Sequence[Factor]) -> None:
        if not -(1 << 63) <= coef < 1 << 63:
            raise LayoutError(f"coefficient {coef} does not fit 64 bits")
        kernels = merge([f for f in factors if isinstance(f, Kernel)], join_axes)
        views = tuple(f for f in factors if isinstance(f, PublicView))
        self.terms.append((tile, scale, coef, tuple(kernels), views))

    def batch(self, kernels: list[Kernel]) -> tuple[int, ...]:
        """The ids of a contraction's batch kernels; called before `finish`."""
        merged = merge(kernels, join_axes)
        return self._ids(merged, 3)

    def finish(self) -> tuple[Term, ...]:
        """All terms. A constant place joins the axis that follows it, unless other blocks see that
        axis alike: then it is cheaper to evaluate the axis once for all of them."""
        contexts = {kernels for _, _, _, kernels, _ in self.terms}
        seen = Counter(kernel for kernels in contexts for kernel in set(kernels))

        def join(a: Kernel, b: Kernel) -> Kernel | None:
            return join_place(a, b) if seen[b] == 1 or not (b.p.bits and b.y.bits) else None

        merged = [merge(list(kernels), join) for _, _, _, kernels, _ in self.terms]
        for kernels in merged:
            self._ids(kernels, len(kernels))
        for _, _, _, _, views in self.terms:
            for view in views:
                self.views.setdefault(view, len(self.kernels) + 1 + len(self.views))
        found = []
        for (tile, scale, coef, _, views), kernels in zip(self.terms, merged, strict=True):
            ids = self._ids(kernels, 5)[: len(kernels)] + tuple(self.views[v] for v in views)
            if len(ids) > 5:
                raise LayoutError(f"a term needs {len(ids)} kernels, format v1 has 5")
            found.append(Term(tile, scale, coef, ids + (0,) * (5 - len(ids))))
        return tuple(found)

    def _ids(self, kernels: Sequence[Kernel], width: int) -> tuple[int, ...]:
        ids = [self.kernels.setdefault(kernel, len(self.kernels) + 1) for kernel in kernels]
        return tuple(ids) + (0,) * (width - len(ids))

    # -- one view ----------------------------------------------------------------------------------

    def view(
        self,
        scale: int,
        coef: int,
        view: View,
        spans: dict[int, tuple[Span, int, int]],
        extra: Sequence[Kernel] = (),
        fold: int | None = None,
    ) -> None:
        """Terms of coef * view. spans: relation axis -> (coordinates, base, length): the axis runs
        over base..base+length-1 there. An axis that the view does not name is cut to its length.
        `fold`: the relation axis that is folded by powers of gamma, from gamma^2."""
        named = {i.axis for i in view.index if i.axis != FIXED}
        outer = list(extra) + [
            Kernel(Kind.CUT, span, const=length)
            for axis, (span, _, length) in spans.items()
            if axis not in named and length < 1 << span.bits
        ]
        if view.tensor in self.sides:
            self._public(scale, coef, view, spans, outer, fold)
            return
        self.work += len(self.blocks[view.tensor])
        if self.work > MAX_WORK:
            raise LayoutError(f"cells and rows in too many pieces at k = {self.k}")
        for block in self.blocks[view.tensor]:
            factors = self._block(block, view, spans, fold)
            if factors is not None:
                self.term(block.tile, scale, coef, [*outer, *factors])

    def place(self, offset: int, size_bits: int) -> list[Kernel]:
        width = self.k - size_bits
        span = Span(Source.Y, 0, width)
        return [Kernel(Kind.EQ, y=span, const=offset >> size_bits)] if width else []

    def _block(
        self,
        block: Block,
        view: View,
        spans: dict[int, tuple[Span, int, int]],
        fold: int | None,
    ) -> list[Kernel] | None:
        factors = self.place(block.offset, block.box.size_bits)
        at = self.k - block.box.size_bits
        for index, base, bits in zip(view.index, block.box.base, block.box.bits, strict=True):
            y = Span(Source.Y, at, bits)
            at += bits
            if index.axis == FIXED:
                if not base <= index.offset < base + (1 << bits):
                    return None
                if bits:
                    factors.append(Kernel(Kind.EQ, y=y, const=index.offset - base))
            elif index.axis == fold:
                factors.append(Kernel(Kind.POWER, y=y, const=2 + base))
            else:
                span, first, length = spans[index.axis]
                d = base - index.offset - first  # cell y sees row y + d of the span
                if d + (1 << bits) <= 0 or d >= length:
                    return None
                factors += axis_kernels(span, y, d, length)
        return factors

    def _public(
        self,
        scale: int,
        coef: int,
        view: View,
        spans: dict[int, tuple[Span, int, int]],
        outer: Sequence[Kernel],
        fold: int | None,
    ) -> None:
        if fold is not None:
            raise LayoutError("a folded column of a public tensor; gather into a committed one")
        side, offset = self.sides[view.tensor]
        axes = []
        for index, length in zip(
            view.index, self.relations.tensors[view.tensor].shape, strict=True
        ):
            if index.axis == FIXED:
                axes.append(PublicAxis(fmt.NOWHERE, length, index.offset, 1))
            else:
                span, first, n = spans[index.axis]
                shift = index.offset + first
                if not -(1 << 15) <= shift < 1 << 15:
                    raise LayoutError(f"a public view is shifted by {shift}")
                axes.append(PublicAxis(span, length, shift, n))
        public = PublicView(side, offset, tuple(axes))
        self.term(fmt.SCALAR_SIDE, scale, coef, [*outer, public])

    def affine(
        self,
        scale: int,
        affine: Affine,
        spans: dict[int, tuple[Span, int, int]],
        sign: int = 1,
    ) -> None:
        """Terms of a whole affine combination over the axes of `spans`."""
        for coef, view in affine.terms:
            self.view(scale, sign * coef, view, spans)
        if affine.const:
            cuts = [
                Kernel(Kind.CUT, span, const=length)
                for span, _, length in spans.values()
                if length < 1 << span.bits
            ]
            self.term(fmt.SCALAR_SIDE, scale, sign * affine.const, cuts)


def axis_kernels(span: Span, y: Span, d: int, length: int) -> list[Kernel]:
    """Cells y < 2^bits see rows y + d of a span that is cut to length: eq where aligned and
    inside, else a walk."""
    size = 1 << y.bits
    if y.bits > span.bits:
        start = -d  # the cell that sees row 0
        if length == 1 << span.bits and start >= 0 and start % length == 0:
            return [Kernel(Kind.EQ, span, y, start >> span.bits)]
    elif d >= 0 and d % size == 0 and d + size <= length:
        return [Kernel(Kind.EQ, span, y, d >> y.bits)] if span.bits else []
    return [Kernel(Kind.SHIFT, span, y, length, d)]


def merge(kernels: list[Kernel], join: Callable[[Kernel, Kernel], Kernel | None]) -> list[Kernel]:
    """Fewer EQ kernels: neighbours that `join` makes one."""
    merged: list[Kernel] = []
    for kernel in kernels:
        joined = None
        if merged and merged[-1].kind == kernel.kind == Kind.EQ:
            joined = join(merged[-1], kernel)
        if joined is None:
            merged.append(kernel)
        else:
            merged[-1] = joined
    return merged


def _together(a: Span, b: Span) -> Span | None:
    """One span, where b runs on from a."""
    if a.source != b.source or a.first + a.bits != b.first:
        return None
    return Span(a.source, a.first, a.bits + b.bits)


def join_axes(a: Kernel, b: Kernel) -> Kernel | None:
    """Two axes whose coordinates run on in both ranges, the second with no excess."""
    p, y = _together(a.p, b.p), _together(a.y, b.y)
    if p is None or y is None or b.p.bits != b.y.bits or not (a.p.bits and a.y.bits):
        return None
    return Kernel(Kind.EQ, p, y, a.const)


def join_place(a: Kernel, b: Kernel) -> Kernel | None:
    """A constant on one range, then a constant or a whole axis that runs on from it there."""
    whole = b.p.bits == b.y.bits
    if a.p.bits == 0 and (whole or b.p.bits == 0) and (y := _together(a.y, b.y)) is not None:
        return Kernel(Kind.EQ, b.p, y, a.const if whole else a.const << b.y.bits | b.const)
    if a.y.bits == 0 and (whole or b.y.bits == 0) and (p := _together(a.p, b.p)) is not None:
        return Kernel(Kind.EQ, p, b.y, a.const if whole else a.const << b.p.bits | b.const)
    return None


def _spans(
    axes: Iterable[int], lengths: Sequence[int], source: Source, first: int
) -> dict[int, tuple[Span, int, int]]:
    found = {}
    for axis in axes:
        bits = bits_for(lengths[axis])
        found[axis] = (Span(source, first, bits), 0, lengths[axis])
        first += bits
    return found


def contraction_variables(expr: Expr, c: Contraction) -> int:
    return sum(bits_for(expr.axes[a]) for a in expr.batch(c) + expr.summed(c))


def layout(program: Program, k: int | None = None) -> Layout:
    """The layout of a valid program at tile size 2^k (by default the smallest tile that holds each
    group, 2^6 to 2^20).

    Raises LayoutError for what format v1 cannot say.
    """
    rel = expand(program)
    if k is None:
        k = _default_k(rel)
    if not 6 <= k <= MAX_K:
        raise LayoutError(f"expected 6 <= k <= {MAX_K}, got {k}")
    _check_size(rel, k)
    slots, rows = place_rows(rel.lookups, k)
    table_slots, table_rows = _place_tables(rel, k)
    n_f, n_t = rows.bit_length(), table_rows.bit_length()
    contractions = rel.contractions
    mu = len(contractions).bit_length()
    n = _variables(rel, rows, table_rows)
    rho_length = max(sum(bits_for(a) for a in e.expr.axes[: e.expr.free]) for e in rel.einsums)

    blocks: dict[object, list[Block]] = {}
    counts = []
    first = weight_tiles = 0

    def group(owners: Iterable[tuple[object, Sequence[int]]]) -> None:
        nonlocal first
        g = _Group(first, k)
        for owner, shape in owners:
            g.want(owner, shape)
        counts.append(g.place(blocks))
        first += counts[-1]

    def tensors(*roles: Role) -> list[tuple[object, Sequence[int]]]:
        return [(i, t.shape) for i, t in enumerate(rel.tensors) if t.role in roles]

    group(tensors(Role.WEIGHT))
    weight_tiles = counts[0]
    group(tensors(Role.TABLE))
    sides_tiles = []
    for role in (Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED):
        start = first
        for tensor in tensors(role):  # alone in its tiles
            group([tensor])
        sides_tiles.append(first - start)
    if fmt.MASK1_POWERS << bits_for(n) > 1 << k:
        raise LayoutError(f"a mask of {n} variables does not fit one tile at k = {k}")
    mask1 = (MASK1, (fmt.MASK1_POWERS << bits_for(n),))
    mask2 = (MASK2, (fmt.MASK2_POWERS << bits_for(mu),))
    pads = [(name, (1,)) for name in (*F_PADS, TABLE_PAD)]
    start = first
    group([*tensors(Role.ACTIVATION), (M, (table_rows + 1,)), mask1, mask2, *pads])
    stage1 = first - start
    start = first
    group([(H, (rows + 1,)), (G, (table_rows + 1,))])
    stage2 = first - start
    if mu + 1 > k:
        raise LayoutError(f"{len(contractions)} contractions do not fit the E tile at k = {k}")

    sides, sizes = {}, [0, 0]
    for i in program.with_role(*PUBLIC):
        side = int(program.tensors[i].role == Role.OUTPUT)
        sides[i] = (side, sizes[side])
        sizes[side] += 2 * program.tensors[i].size
    c_max = max(2 if s.values is not None else 1 for s in rel.tables)
    emit = _Emitter(k, rel, blocks, sides)
    relations = len(rel.einsums)
    scale_tables = relations + fmt.SLICES * (c_max + 1)
    scale_sides = scale_tables + c_max + 4
    for j, einsum in enumerate(rel.einsums):
        expr = einsum.expr
        emit.affine(j, einsum.lhs, _spans(range(expr.free), expr.axes, Source.RHO, 0))
    gaps = _emit_lookups(emit, rel, slots, rows, n, n_f, relations, c_max)
    _emit_tables(emit, rel, table_slots, table_rows, n, n_t, scale_tables)
    _emit_helpers(emit, rows, table_rows, n, n_f, n_t, scale_tables + c_max + 1)
    records = _emit_contractions(emit, contractions, n, scale_sides)

    terms = emit.finish()
    fixed = counts[0] + counts[1]
    (m1,), (m2,) = blocks[MASK1], blocks[MASK2]
    verifier = fmt.VerifierProgram(
        k=k, fixed_tiles=fixed,
        input_bytes=sizes[0] + 64 * sides_tiles[0], output_bytes=sizes[1] + 64 * sides_tiles[1],
        input_tiles=sides_tiles[0], output_tiles=sides_tiles[1],
        stage1_tiles=stage1, stage2_tiles=stage2, relations=relations,
        n=n, n_f=n_f, n_t=n_t, rho_length=rho_length, c_max=c_max, rows=rows, table_rows=table_rows,
        mask1=(m1.tile, m1.offset), mask2=(m2.tile, m2.offset),
        kernels=tuple(emit.kernels), views=tuple(emit.views),
        contractions=tuple(
            fmt.ContractionRecord(j, variables, ids) for j, variables, ids in records
        ),
        terms=terms,
    )  # fmt: skip
    _check_written(verifier)
    return Layout(program, rel, verifier, blocks, slots, gaps, table_slots, weight_tiles)


def _check_size(rel: Relations, k: int) -> None:
    """Refuses what cannot fit the tile numbers before any of it is laid out."""
    cells = sum(t.size for t in rel.tensors) + sum(spec.rows for spec in rel.tables)
    cells += sum(_size(lookup.axes) for lookup in rel.lookups) // fmt.SLICES
    if cells >> k >= fmt.SCALAR_SIDE:
        raise LayoutError(f"expected less than {fmt.SCALAR_SIDE} tiles, got {cells} cells at k = {k}")


def _check_written(verifier: fmt.VerifierProgram) -> None:
    """What we emit, the verifier accepts and reads as it was meant: a field that does not fit its
    bytes would be another program."""
    try:
        same = fmt.parse(fmt.serialize(verifier)) == verifier
    except OverflowError:
        same = False
    if not same:
        raise LayoutError("expected numbers that fit the fields of format v1, got larger ones")


def _default_k(rel: Relations) -> int:
    """The smallest tile that holds each group by itself."""
    rows, table_rows = slice_rows(rel.lookups), sum(spec.rows for spec in rel.tables)
    n, mu = _variables(rel, rows, table_rows), len(rel.contractions).bit_length()
    cells = {role: sum(t.size for t in rel.tensors if t.role == role) for role in Role}
    masks = (fmt.MASK1_POWERS << bits_for(n)) + (fmt.MASK2_POWERS << bits_for(mu))
    stage1 = cells[Role.ACTIVATION] + table_rows + 1 + masks + len(F_PADS) + 1
    stage2 = rows + table_rows + 2
    largest = max(cells[Role.WEIGHT], cells[Role.TABLE], stage1, stage2, 2 << mu)
    return min(max(bits_for(largest), 6), 20)


def _variables(rel: Relations, rows: int, table_rows: int) -> int:
    """n of the main sumcheck: lookup rows with their pad, table rows with theirs, contractions."""
    inner = (contraction_variables(expr, c) for _, expr, c in rel.contractions)
    return max(rows.bit_length(), table_rows.bit_length(), *inner)


def _size(axes: Sequence[int]) -> int:
    size = 1
    for length in axes:
        size *= length
    return size


def _place_tables(rel: Relations, k: int) -> tuple[list[tuple[int, Box, int]], int]:
    found = [(i, box) for i, spec in enumerate(rel.tables) for box in boxes((spec.rows,), 31)]
    placed, at = [], 0
    for i, box in sorted(found, key=lambda f: -f[1].size_bits):
        placed.append((i, box, at))
        at += 1 << box.size_bits
    return placed, at


def _row_place(source: Source, first: int, n: int, row: int, size_bits: int) -> list[Kernel]:
    width = n - size_bits
    return [Kernel(Kind.EQ, Span(source, first, width), const=row >> size_bits)] if width else []


def _emit_lookups(
    emit: _Emitter,
    rel: Relations,
    slots: list[Slot],
    rows: int,
    n: int,
    n_f: int,
    base: int,
    c_max: int,
) -> list[tuple[int, int, int]]:
    """Columns f_kappa at r_f: blocks, constants, gaps, pads."""
    fills = [0] * fmt.SLICES
    for slot in slots:
        lookup = rel.lookups[slot.lookup]
        scale = base + slot.slice * (c_max + 1)
        place = _row_place(Source.R, n - n_f, n_f, slot.row, slot.box.size_bits)
        first, spans = n - slot.box.size_bits, {}
        for axis, (start, bits) in enumerate(zip(slot.box.base, slot.box.bits, strict=True)):
            spans[axis] = (Span(Source.R, first, bits), start, 1 << bits)
            first += bits
        if lookup.table + 1 != GAP:
            emit.term(fmt.SCALAR_SIDE, scale, lookup.table + 1 - GAP, place)
        for coef, view in lookup.index.terms:
            emit.view(scale + 1, coef, view, spans, place)
        if lookup.index.const:
            emit.term(fmt.SCALAR_SIDE, scale + 1, lookup.index.const, place)
        if lookup.values is not None:
            rank = len(lookup.axes)
            if len(lookup.values.index) > rank:
                emit.view(scale, 1, lookup.values, spans, place, fold=rank)
            else:
                emit.view(scale + 2, 1, lookup.values, spans, place)
        fills[slot.slice] = max(fills[slot.slice], slot.row + (1 << slot.box.size_bits))
    span = Span(Source.R, n - n_f, n_f)
    for s in range(fmt.SLICES):  # tag 1 on every row, gaps included; other tags corrected above
        emit.term(
            fmt.SCALAR_SIDE, base + s * (c_max + 1), GAP, [Kernel(Kind.CUT, span, const=rows)]
        )
    for s, name in enumerate(F_PADS):
        (pad,) = emit.blocks[name]
        place = _row_place(Source.R, n - n_f, n_f, rows, 0)
        emit.term(pad.tile, base + s * (c_max + 1), 1, [*place, *emit.place(pad.offset, 0)])
    return [(s, fill, rows) for s, fill in enumerate(fills) if fill < rows]


def _emit_tables(
    emit: _Emitter,
    rel: Relations,
    placed: list[tuple[int, Box, int]],
    table_rows: int,
    n: int,
    n_t: int,
    base: int,
) -> None:
    """Column T at r_T: tags, indices, values, pad."""
    secret = False
    for i, box, row in placed:
        spec = rel.tables[i]
        (start,), (bits,) = box.base, box.bits
        place = _row_place(Source.R, n - n_t, n_t, row, bits)
        span = Span(Source.R, n - bits, bits)
        emit.term(fmt.SCALAR_SIDE, base, i + 1, place)
        index = Kernel(Kind.INDEX, span, shift=spec.lo + start)
        emit.term(fmt.SCALAR_SIDE, base + 1, 1, [*place, index])
        if spec.values is None:
            continue
        secret = True
        rank = len(rel.tensors[spec.values].shape)
        view = View(spec.values, tuple(Index(a) for a in range(rank)))
        spans = {0: (span, start, 1 << bits)}
        if rank == 2:
            emit.view(base, 1, view, spans, place, fold=1)
        else:
            emit.view(base + 2, 1, view, spans, place)
    if secret:
        (pad,) = emit.blocks[TABLE_PAD]
        place = _row_place(Source.R, n - n_t, n_t, table_rows, 0)
        emit.term(pad.tile, base, 1, [*place, *emit.place(pad.offset, 0)])


def _emit_helpers(
    emit: _Emitter, rows: int, table_rows: int, n: int, n_f: int, n_t: int, base: int
) -> None:
    """H at r_f, G and M at r_T: each column with its pad as one more row."""
    for name, scale, length, bits in (
        (H, base, rows + 1, n_f),
        (G, base + 1, table_rows + 1, n_t),
        (M, base + 2, table_rows + 1, n_t),
    ):
        span = Span(Source.R, n - bits, bits)
        for block in emit.blocks[name]:
            (start,), (size,) = block.box.base, block.box.bits
            y = Span(Source.Y, emit.k - size, size)
            factors = emit.place(block.offset, size) + axis_kernels(span, y, start, length)
            emit.term(block.tile, scale, 1, factors)


def _emit_contractions(
    emit: _Emitter, contractions: list[tuple[int, Expr, Contraction]], n: int, base: int
) -> list[tuple[int, int, tuple[int, ...]]]:
    """X_m and Y_m: free axes at rho, batch and summed axes at the last coordinates of r."""
    records = []
    for m, (j, expr, c) in enumerate(contractions):
        at_rho = _spans(range(expr.free), expr.axes, Source.RHO, 0)
        variables = contraction_variables(expr, c)
        bound = expr.batch(c) + expr.summed(c)
        at_r = _spans(bound, expr.axes, Source.R, n - variables)
        for side, affine, free in (
            (m, c.x, expr.x_free(c)),
            (len(contractions) + m, c.y, expr.y_free(c)),
        ):
            emit.affine(base + side, affine, {a: at_rho[a] for a in free} | at_r)
        longer = [a for a in expr.batch(c) if expr.axes[a] > 1]
        ids = emit.batch([Kernel(Kind.EQ, at_rho[a][0], at_r[a][0]) for a in longer])
        records.append((j, variables, ids))
    return records
