"""What a program's relations mean: by their definitions, one cell at a time, in field elements.

Shares no line with the layout, the prover or the verifier. Cells are arrays of Python integers
modulo P by tensor number, so that values no honest prover can hold are as easy as any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np

from prover.challenges import Challenges
from prover.field import P
from prover.program.format import MASK1_POWERS, MASK2_POWERS, SLICES
from prover.program.ir import FIXED, Affine, Contraction, Expr
from prover.program.layout import Layout
from prover.program.lookups import F_PADS, MASK1, MASK2, TABLE_PAD, G, H, M
from prover.program.relations import Lookup, Relations, TableSpec

Cells = Mapping[int, Any]
Relation = tuple[str, int]


def affine_at(affine: Affine, point: Mapping[int, int], cells: Cells) -> int:
    """An affine combination at one point; cells outside a tensor are zero."""
    total = affine.const
    for coef, view in affine.terms:
        tensor = cells[view.tensor]
        at = tuple(i.offset + (0 if i.axis == FIXED else point[i.axis]) for i in view.index)
        if all(0 <= a < length for a, length in zip(at, tensor.shape, strict=True)):
            total += coef * int(tensor[at])
    return total % P


def points(lengths: Sequence[int], axes: Sequence[int]) -> Iterator[dict[int, int]]:
    for at in product(*(range(lengths[a]) for a in axes)):
        yield dict(zip(axes, at, strict=True))


def residual(expr: Expr, free: dict[int, int], cells: Cells) -> int:
    """LHS - sum of contractions at one point of the free axes."""
    total = affine_at(expr.linear, free, cells)
    for c in expr.contractions:
        for inner in points(expr.axes, expr.summed(c)):
            total -= affine_at(c.x, free | inner, cells) * affine_at(c.y, free | inner, cells)
    return total % P


def lookup_row(relations: Relations, lookup: Lookup, point: dict[int, int], cells: Cells) -> Any:
    """(index, values...) at one point of a lookup's axes."""
    row = [affine_at(lookup.index, point, cells)]
    if lookup.values is not None:
        view, rank = lookup.values, len(lookup.axes)
        folded = len(view.index) > rank
        for column in range(relations.tables[lookup.table].width):
            at = point | {rank: column} if folded else point
            row.append(affine_at(Affine(((1, view),)), at, cells))
    return tuple(row)


def table_row(spec: TableSpec, x: int, cells: Cells) -> tuple[int, ...]:
    values = () if spec.values is None else cells[spec.values].reshape(spec.rows, spec.width)[x]
    return (spec.lo + x) % P, *(int(v) % P for v in values)


def violated(relations: Relations, cells: Cells) -> set[Relation]:
    """The relations that do not hold: ("einsum", j) and ("lookup", i)."""
    found: set[Relation] = set()
    for j, einsum in enumerate(relations.einsums):
        expr = einsum.expr
        if any(residual(expr, at, cells) for at in points(expr.axes, range(expr.free))):
            found.add(("einsum", j))
    rows = [{table_row(t, x, cells) for x in range(t.rows)} for t in relations.tables]
    for i, lookup in enumerate(relations.lookups):
        for at in points(lookup.axes, range(len(lookup.axes))):
            if lookup_row(relations, lookup, at, cells) not in rows[lookup.table]:
                found.add(("lookup", i))
    return found


# -- the linear claims -----------------------------------------------------------------------------


def bits_of(length: int) -> int:
    return (length - 1).bit_length()


def eq(point: Sequence[int], x: int) -> int:
    """eq of a point with the bits of x, most significant first."""
    result = 1
    for i, r in enumerate(reversed(point)):
        result = result * (r if x >> i & 1 else 1 - r) % P
    return result


def fold(row: Sequence[int], tag: int, gamma: int) -> int:
    return (tag + sum(v * pow(gamma, i + 1, P) for i, v in enumerate(row))) % P


class Claims:
    """The left sides of the linear claims of docs/protocol/verifier.md#claims.

    cells: of every tensor; columns: of M, H, G, the masks and pads, by name; sides: E_x and E_y;
    z: the Z tiles' cells.
    """

    def __init__(
        self,
        layout: Layout,
        drawn: Challenges,
        cells: Cells,
        columns: Mapping[object, Sequence[int]],
        sides: tuple[Sequence[int], Sequence[int]],
        z: tuple[Sequence[int], Sequence[int]],
    ) -> None:
        self.layout, self.v, self.drawn = layout, layout.verifier, drawn
        self.cells, self.columns, self.sides, self.z = cells, columns, sides, z

    def batched(self) -> int:
        """sum_c a^c (left side of claim c)."""
        return sum(pow(self.drawn.batch, c, P) * v for c, v in enumerate(self.all())) % P

    def all(self) -> Iterator[int]:
        """In the order of their numbers; claims 1 to 3 with the masks in them."""
        v, drawn = self.v, self.drawn
        relations = self.layout.relations
        total1, at1 = self._mask(MASK1, MASK1_POWERS, v.n, v.slices + 2, drawn.r)
        total2, at2 = self._mask(MASK2, MASK2_POWERS, v.mu, 3, drawn.side)
        left = sum(
            pow(drawn.alpha, j, P) * self._left(e.expr) for j, e in enumerate(relations.einsums)
        )
        ones, powers = self.z
        yield sum(ones) + sum(c << bin(x).count("1") for x, c in enumerate(powers))
        yield left + total1
        yield at1 - total2
        yield at2
        r_f, r_t = drawn.r[v.n - v.n_f :], drawn.r[v.n - v.n_t :]
        for kappa in range(SLICES):
            yield self._slice(kappa, r_f) if kappa < v.slices else 0
        for name, point in ((H, r_f), (G, r_t), (M, r_t)):
            yield sum(eq(point, x) * c for x, c in enumerate(self.columns[name]))
        yield self._table(r_t)
        for side in self.sides:
            yield sum(eq(drawn.side, m) * c for m, c in enumerate(side))
        contractions = relations.contractions
        for i, side in enumerate(self.sides):
            for m, (_, expr, c) in enumerate(contractions):
                yield side[m] - self._bound(expr, c, c.y if i else c.x, bool(i))

    def _mask(
        self, name: str, powers: int, n: int, degree: int, at: Sequence[int]
    ) -> tuple[int, int]:
        """(sum over the cube, value at a point) of g_0 + sum_i sum_d g[i][d] x_i^d."""
        cells = self.columns[name]
        rows = [cells[i * powers + 1 : i * powers + degree + 1] for i in range(n)]
        total = (cells[0] << n) + (sum(map(sum, rows)) << n >> 1)
        value = cells[0] + sum(
            c * pow(x, d, P) for x, row in zip(at, rows, strict=True) for d, c in enumerate(row, 1)
        )
        return total, value

    def _left(self, expr: Expr) -> int:
        spans = self._spans(expr.axes, range(expr.free), self.drawn.rho)
        return sum(
            self._weight(spans, at) * affine_at(expr.linear, at, self.cells)
            for at in points(expr.axes, range(expr.free))
        )

    def _bound(self, expr: Expr, c: Contraction, affine: Affine, is_y: bool) -> int:
        """X_m or Y_m: its free axes at rho, batch and summed axes at the last coordinates of r."""
        bound = expr.batch(c) + expr.summed(c)
        variables = sum(bits_of(expr.axes[a]) for a in bound)
        at_rho = self._spans(expr.axes, range(expr.free), self.drawn.rho)
        at_r = self._spans(expr.axes, bound, self.drawn.r[self.v.n - variables :])
        free = expr.y_free(c) if is_y else expr.x_free(c)
        spans = {a: at_rho[a] for a in free} | at_r
        return sum(
            self._weight(spans, at) * affine_at(affine, at, self.cells)
            for at in points(expr.axes, tuple(spans))
        )

    def _slice(self, kappa: int, r_f: Sequence[int]) -> int:
        relations, gamma, total = self.layout.relations, self.drawn.gamma, 0
        for slot in self.layout.slots:
            if slot.slice != kappa:
                continue
            lookup = relations.lookups[slot.lookup]
            for x, at in enumerate(self._inside(slot.box)):
                row = lookup_row(relations, lookup, dict(enumerate(at)), self.cells)
                total += eq(r_f, slot.row + x) * fold(row, lookup.table + 1, gamma)
        for which, start, end in self.layout.gaps:
            if which == kappa:
                first = fold(table_row(relations.tables[0], 0, self.cells), 1, gamma)
                total += sum(eq(r_f, x) for x in range(start, end)) * first
        return total + eq(r_f, self.v.rows) * self.columns[F_PADS[kappa]][0]

    def _table(self, r_t: Sequence[int]) -> int:
        relations, total = self.layout.relations, 0
        found = {t: fold((t,), 0, self.drawn.gamma) for t in range(1 << self.v.n_t)}
        for i, first in enumerate(self.layout.table_firsts):
            for x in range(relations.tables[i].rows):
                values = table_row(relations.tables[i], x, self.cells)
                found[first + x] = fold(values, i + 1, self.drawn.gamma)
        total += sum(eq(r_t, t) * row for t, row in found.items())
        if any(spec.values is not None for spec in relations.tables):
            total += eq(r_t, self.v.table_rows) * self.columns[TABLE_PAD][0]
        return total

    @staticmethod
    def _inside(box: Any) -> Iterator[tuple[int, ...]]:
        ranges = [range(b, b + (1 << s)) for b, s in zip(box.base, box.bits, strict=True)]
        return product(ranges[0][: box.cut or None], *ranges[1:])

    @staticmethod
    def _spans(
        lengths: Sequence[int], axes: Sequence[int], point: Sequence[int]
    ) -> dict[int, Sequence[int]]:
        found, first = {}, 0
        for axis in axes:
            found[axis] = point[first : first + bits_of(lengths[axis])]
            first += bits_of(lengths[axis])
        return found

    @staticmethod
    def _weight(spans: Mapping[int, Sequence[int]], at: Mapping[int, int]) -> int:
        result = 1
        for axis, point in spans.items():
            result = result * eq(point, at[axis]) % P
        return result


def objects(values: Mapping[int, Any]) -> dict[int, Any]:
    """Arrays of Python integers."""
    return {i: np.asarray(v).astype(object) for i, v in values.items()}
