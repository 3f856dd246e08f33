"""The layout of a program: addresses for its cells, and from them all that the verifier reads.

All of it is a function of the program and k (docs/protocol/layout.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from prover.program import format as fmt
from prover.program.addresses import (
    TERM_GAS,
    TILE_GAS,
    Block,
    Box,
    Group,
    Slot,
    Space,
    bits_for,
    cell_count,
    leading,
    slice_count,
    slice_rows,
    whole,
    worth_cutting,
)
from prover.program.circuit import Term, compiled
from prover.program.emit import (
    Emitter,
    LayoutError,
    contraction_variables,
    spans_of,
)
from prover.program.format import Kernel, Kind, Source
from prover.program.gadgets import expand
from prover.program.ir import PUBLIC, Contraction, Expr, Program, Role
from prover.program.lookups import (
    F_PADS,
    MASK1,
    MASK2,
    TABLE_PAD,
    G,
    H,
    M,
    Rows,
    emit_helpers,
    emit_rows,
    emit_tables,
    rows_of,
)
from prover.program.relations import Relations

MAX_K = 22
SPREAD_K, MOST_TILES = 12, 8
LARGE_K, FRESH_TILES, MANY_TILES = 20, 4.5, 64
Batch: TypeAlias = list[list[Kernel]]  # of each contraction, the kernels of its batch axes


@dataclass
class Layout:
    program: Program
    relations: Relations
    verifier: fmt.VerifierProgram
    blocks: dict[object, list[Block]]  # by tensor number or column name
    slots: list[Slot]
    gaps: list[tuple[int, int, int]]  # slice, first row, end row
    table_firsts: list[int]  # of each table, its first row in T
    weight_tiles: int
    terms: tuple[Term, ...]  # what the verifier's tables compute

    @property
    def k(self) -> int:
        return self.verifier.k


def layout(program: Program, k: int | None = None) -> Layout:
    """The layout of a valid program at tile size 2^k (by default what `tile_bits` says of it).

    Raises LayoutError for what format v1 cannot say.
    """
    rel = expand(program)
    if k is None:
        k = _default_k(rel)
    if not 6 <= k <= MAX_K:
        raise LayoutError(f"expected 6 <= k <= {MAX_K}, got {k}")
    _check_size(rel, k)
    both = [_laid_out(program, rel, k, cut) for cut in (True, False)]
    found, batch = min(both, key=lambda pair: _gas(pair[0]))
    verifier = compiled(found.verifier, found.terms, batch)
    _check_written(verifier)
    return replace(found, verifier=verifier)


def _gas(found: Layout) -> int:
    """What the verifier pays for, about."""
    return TERM_GAS * len(found.terms) + TILE_GAS * found.verifier.tiles


def _laid_out(program: Program, rel: Relations, k: int, cut: bool) -> tuple[Layout, Batch]:
    """The layout, with axes cut where that is worth it, or with none, its terms not yet compiled;
    and the kernels of contractions."""
    seen: Counter[object] = Counter(view.tensor for view in rel.views())
    seen.update(spec.values for spec in rel.tables)
    table_firsts, table_rows = _place_tables(rel)
    contractions = rel.contractions
    n, mu = _variables(rel, table_rows), len(contractions).bit_length()
    rows = rows_of(rel, k, seen, cut)
    n_f, n_t = rows.n_f, table_rows.bit_length()
    rho_length = max(sum(bits_for(a) for a in e.expr.axes[: e.expr.free]) for e in rel.einsums)

    blocks: dict[object, list[Block]] = {}
    counts = []
    first = weight_tiles = 0

    for i in program.with_role(Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED):
        del seen[i]  # their points are about a shape alone, whatever the program does with them

    def group(
        owners: Iterable[tuple[object, Sequence[int]]],
        given: Iterable[tuple[object, int, Box]] = (),
    ) -> Group:
        g = Group(first, k)
        for name, at, box in given:
            g.give(name, at, box)
        for owner, shape in owners:
            g.want(owner, shape, cut and worth_cutting(shape, seen[owner], k))
        return g

    def place(found: Group) -> None:
        nonlocal first
        counts.append(found.place(blocks))
        first += counts[-1]

    def tensors(*roles: Role) -> list[tuple[object, Sequence[int]]]:
        return [(i, t.shape) for i, t in enumerate(rel.tensors) if t.role in roles]

    place(group(tensors(Role.WEIGHT)))
    weight_tiles = counts[0]
    place(group(tensors(Role.TABLE)))
    sides_tiles = []
    for role in (Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED):
        start = first
        for tensor in tensors(role):  # alone in its tiles
            place(group([tensor]))
        sides_tiles.append(first - start)
    if fmt.MASK1_POWERS << bits_for(n) > 1 << k:
        raise LayoutError(f"a mask of {n} variables does not fit one tile at k = {k}")
    mask1 = (MASK1, (fmt.MASK1_POWERS << bits_for(n),))
    mask2 = (MASK2, (fmt.MASK2_POWERS << bits_for(mu),))
    pads = [(name, (1,)) for name in (*F_PADS[: rows.slices], TABLE_PAD)]
    start = first
    placed = {owner for owner, _, _ in rows.cells(rel)}
    others = [tensor for tensor in tensors(Role.ACTIVATION) if tensor[0] not in placed]
    others += [(M, (whole(table_rows + 1, k),)), mask1, mask2, *pads]

    def price(parted: Rows) -> int:
        tiles = group(others, parted.cells(rel)).place({})
        return TILE_GAS * tiles + TERM_GAS * parted.slices * parted.count

    rows = min(rows.parted(), key=price)
    place(group(others, rows.cells(rel)))
    stage1_tile, stage1 = start, first - start
    start = first
    place(group([(H, (whole(rows.length + 1, k),)), (G, (whole(table_rows + 1, k),))]))
    stage2 = first - start
    if mu + 1 > k:
        raise LayoutError(f"{len(contractions)} contractions do not fit the E tile at k = {k}")

    sides, sizes = {}, [0, 0]
    for i in program.with_role(*PUBLIC):
        side = int(program.tensors[i].role == Role.OUTPUT)
        sides[i] = (side, sizes[side])
        sizes[side] += 2 * program.tensors[i].size
    c_max = max(2 if s.values is not None else 1 for s in rel.tables)
    emit = Emitter(k, n, n_f, rel, blocks, sides)
    relations = len(rel.einsums)
    scale_tables = relations + rows.slices * (c_max + 1)
    scale_sides = scale_tables + c_max + 4
    for j, einsum in enumerate(rel.einsums):
        expr = einsum.expr
        emit.affine(j, einsum.lhs, spans_of(range(expr.free), expr.axes, Source.RHO, 0))
    emit_rows(emit, rel, rows, stage1_tile, n, relations, c_max)
    emit_tables(emit, rel, table_firsts, table_rows, n, n_t, scale_tables)
    emit_helpers(emit, rows.length, table_rows, n, n_f, n_t, scale_tables + c_max + 1)
    records = _emit_contractions(emit, contractions, n, scale_sides)

    fixed = counts[0] + counts[1]
    (m1,), (m2,) = blocks[MASK1], blocks[MASK2]
    header = fmt.VerifierProgram(
        k=k, fixed_tiles=fixed,
        input_bytes=sizes[0] + 64 * sides_tiles[0], output_bytes=sizes[1] + 64 * sides_tiles[1],
        input_tiles=sides_tiles[0], output_tiles=sides_tiles[1],
        stage1_tiles=stage1, stage2_tiles=stage2, relations=relations,
        n=n, n_f=n_f, n_t=n_t, rho_length=rho_length, c_max=c_max, rows=rows.length,
        table_rows=table_rows, slices=rows.slices,
        mask1=(m1.tile, m1.offset), mask2=(m2.tile, m2.offset),
        kernels=(), views=(), constants=(), products=(), sums=(),
        contractions=tuple(
            fmt.ContractionRecord(j, variables, ()) for j, variables, _ in records
        ),
    )  # fmt: skip
    found = Layout(
        program,
        rel,
        header,
        blocks,
        rows.slots,
        rows.gaps,
        table_firsts,
        weight_tiles,
        tuple(emit.terms),
    )
    return found, [batch for _, _, batch in records]


def _check_size(rel: Relations, k: int) -> None:
    """Refuses what cannot fit the tile numbers before any of it is laid out."""
    cells = sum(t.size for t in rel.tensors) + sum(spec.rows for spec in rel.tables)
    cells += sum(cell_count(lookup.axes) for lookup in rel.lookups) // slice_count(rel.lookups)
    if cells >> k >= fmt.SCALAR_SIDE:
        raise LayoutError(
            f"expected less than {fmt.SCALAR_SIDE} tiles, got {cells} cells at k = {k}"
        )


def _check_written(verifier: fmt.VerifierProgram) -> None:
    """What we emit, the verifier accepts and reads as it was meant: a field that does not fit its
    bytes would be another program."""
    try:
        same = fmt.parse(fmt.serialize(verifier)) == verifier
    except OverflowError:
        same = False
    if not same:
        raise LayoutError("expected numbers that fit the fields of format v1, got larger ones")


def default_k(program: Program) -> int:
    """The k of a layout that names none."""
    return _default_k(expand(program))


def _default_k(rel: Relations) -> int:
    rows, table_rows = slice_rows(rel.lookups), sum(spec.rows for spec in rel.tables)
    n, mu = _variables(rel, table_rows), len(rel.contractions).bit_length()
    cells = {role: sum(t.size for t in rel.tensors if t.role == role) for role in Role}
    masks = (fmt.MASK1_POWERS << bits_for(n)) + (fmt.MASK2_POWERS << bits_for(mu))
    stage1 = cells[Role.ACTIVATION] + table_rows + 1 + masks + len(F_PADS) + 1
    stage2 = rows + table_rows + 2
    committed = (Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED)
    return tile_bits(
        [cells[Role.WEIGHT], cells[Role.TABLE]],
        [stage1, stage2],
        [t.size for t in rel.tensors if t.role in committed],
        mu + 1,
    )


def tile_bits(kept: list[int], fresh: list[int], committed: list[int], least: int) -> int:
    """The smallest tile, of 2^least cells or more, that holds each group of cells by itself; where
    that is beyond 2^SPREAD_K, the smallest from there on at which all groups together take at most
    MOST_TILES. At most 2^LARGE_K, and on to 2^MAX_K as long as what each proof commits to anew
    fills more than FRESH_TILES, or all take more than MANY_TILES.

    The opening's work grows with the tile, and gas with their number (about 7,000 each). A network
    of 670,000 weights takes 11 of 2^16, 6 of 2^17 or 3 of 2^18, for 608,000, 570,000 or 552,000
    gas and 0.47, 0.67 or 1.1 s of processor time. GPT-2's shape of width 128 and 24 layers takes
    27 of 2^20 or 11 of 2^22, for 1,031,000 or 924,000 gas.
    """

    def tiles(groups: list[int], k: int) -> int:
        return sum(-(-cells >> k) for cells in groups)

    large = LARGE_K
    while large < MAX_K and (
        sum(fresh) > FRESH_TILES * 2**large or tiles(kept + fresh, large) > MANY_TILES
    ):
        large += 1
    k = min(max(bits_for(max(*kept, *fresh, 1 << least)), 6), large)
    groups = kept + fresh + committed
    while k > max(SPREAD_K, least) and tiles(groups, k - 1) <= MOST_TILES:
        k -= 1
    return k


def _variables(rel: Relations, table_rows: int) -> int:
    """n of the main sumcheck: lookup rows with their pad, table rows with theirs, contractions."""
    inner = (contraction_variables(expr, c) for _, expr, c in rel.contractions)
    rows = slice_rows(rel.lookups)
    return max(rows.bit_length(), table_rows.bit_length(), *inner)


def _place_tables(rel: Relations) -> tuple[list[int], int]:
    """Each table's rows, in order, from a multiple of their 2^bits on, largest first: its first
    row; and |T|."""
    space, firsts, end = Space(1 << 40), [0] * len(rel.tables), 0
    for i in sorted(range(len(rel.tables)), key=lambda i: -rel.tables[i].rows):
        at = space.take(leading((0,), rel.tables[i].rows, ()))
        if at is None:
            raise LayoutError("tables of too many rows")
        firsts[i], end = at, max(end, at + rel.tables[i].rows)
    return firsts, end


def _emit_contractions(
    emit: Emitter, contractions: list[tuple[int, Expr, Contraction]], n: int, base: int
) -> list[tuple[int, int, list[Kernel]]]:
    """X_m and Y_m: free axes at rho, batch and summed axes at the last coordinates of r."""
    records = []
    for m, (j, expr, c) in enumerate(contractions):
        at_rho = spans_of(range(expr.free), expr.axes, Source.RHO, 0)
        variables = contraction_variables(expr, c)
        bound = expr.batch(c) + expr.summed(c)
        at_r = spans_of(bound, expr.axes, Source.R, n - variables)
        for side, affine, free in (
            (m, c.x, expr.x_free(c)),
            (len(contractions) + m, c.y, expr.y_free(c)),
        ):
            emit.affine(base + side, affine, {a: at_rho[a] for a in free} | at_r)
        longer = [a for a in expr.batch(c) if expr.axes[a] > 1]
        batch = emit.batch([Kernel(Kind.EQ, at_rho[a][0], at_r[a][0]) for a in longer])
        records.append((j, variables, batch))
    return records
