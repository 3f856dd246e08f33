"""What a program's gadgets come down to: einsum and lookup relations over tensors, hints included.

argument.md's two relations (docs/protocol/relations.md). Gadgets build a `Relations`; the layout,
the prover and the tests of soundness read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prover.program.ir import Affine, Contraction, Expr, Role, Tensor, View


@dataclass(frozen=True)
class Einsum:
    """LHS = sum of contractions, over the free axes of `expr` (expr.linear is the LHS, moved and
    negated here)."""

    expr: Expr

    @property
    def lhs(self) -> Affine:
        return self.expr.linear


@dataclass(frozen=True)
class TableSpec:
    """Rows (lo + x, values[x, 0..width-1]), x < rows; a range table has no values."""

    lo: int
    rows: int
    values: int | None
    width: int


@dataclass(frozen=True)
class Lookup:
    """For all points of `axes`: (index, values[.., 0..width-1]) is a row of the table.

    `values` is a view over the axes, followed by one folded column axis when the table is wider
    than one.
    """

    axes: tuple[int, ...]
    table: int
    index: Affine
    values: View | None = None


@dataclass
class Relations:
    limb: int
    tensors: list[Tensor]
    einsums: list[Einsum] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    tables: list[TableSpec] = field(default_factory=list)
    looked_up: Mapping[int, tuple[int, int]] = field(default_factory=dict)  # Program.looked_up

    def hint(self, name: str, shape: tuple[int, ...], lo: int, hi: int) -> int:
        self.tensors.append(Tensor(name, shape, Role.ACTIVATION, lo, hi))
        return len(self.tensors) - 1

    def table(self, spec: TableSpec) -> int:
        if spec not in self.tables:
            self.tables.append(spec)
        return self.tables.index(spec)

    def einsum(self, axes: tuple[int, ...], free: int, lhs: Affine, *right: Contraction) -> None:
        self.einsums.append(Einsum(Expr(axes, free, tuple(right), lhs)))

    def lookup(
        self, axes: tuple[int, ...], table: int, index: Affine, values: View | None = None
    ) -> None:
        self.lookups.append(Lookup(axes, table, index, values))

    def views(self) -> Iterator[View]:
        """Every place at which a tensor is seen by an einsum or a lookup."""
        for einsum in self.einsums:
            yield from (view for _, view in einsum.lhs.terms)
            for c in einsum.expr.contractions:
                yield from (view for side in (c.x, c.y) for _, view in side.terms)
        for lookup in self.lookups:
            yield from (view for _, view in lookup.index.terms)
            if lookup.values is not None:
                yield lookup.values

    @property
    def contractions(self) -> list[tuple[int, Expr, Contraction]]:
        return [(j, e.expr, c) for j, e in enumerate(self.einsums) for c in e.expr.contractions]
