"""From views to kernels and terms: what the verifier reads of each view, and how few it can be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from prover.errors import EinproofError
from prover.program import format as fmt
from prover.program.addresses import Block, bits_for
from prover.program.circuit import Term
from prover.program.format import Kernel, Kind, PublicAxis, PublicView, Source, Span
from prover.program.ir import FIXED, Affine, Contraction, Expr, View
from prover.program.relations import Relations

Factor: TypeAlias = Kernel | PublicView
MAX_WORK = 1 << 20  # pairs of a view and a block: some seconds; a larger k has fewer
MAX_TERMS = 1 << 16  # about 5 million gas; half a minute and 700 MB, whoever wrote the program


class LayoutError(EinproofError):
    """A program that does not fit format v1."""


@dataclass
class Emitter:
    """Collects terms."""

    k: int
    n: int
    n_f: int
    relations: Relations
    blocks: dict[object, list[Block]]
    sides: dict[int, tuple[int, int]]  # public tensor -> side, byte offset
    terms: list[Term] = field(default_factory=list)
    work: int = 0

    def term(self, tile: int, scale: int, coef: int, factors: Sequence[Factor]) -> None:
        if not -(1 << 63) <= coef < 1 << 63:
            raise LayoutError(f"coefficient {coef} does not fit 64 bits")
        kernels = merge([f for f in factors if isinstance(f, Kernel)], join_axes)
        views = tuple(f for f in factors if isinstance(f, PublicView))
        if len(self.terms) == MAX_TERMS:
            raise LayoutError(f"expected at most {MAX_TERMS} terms, got more at k = {self.k}")
        self.terms.append(Term(tile, scale, coef, tuple(merge(kernels, join_places)), views))

    def batch(self, kernels: list[Kernel]) -> list[Kernel]:
        """A contraction's batch kernels."""
        return merge(kernels, join_axes)

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
        first = block.box.first
        for index, base, bits in zip(view.index, block.box.base, block.box.bits, strict=True):
            y, there = Span(Source.Y, at, bits), first or 1 << bits
            at, first = at + bits, 0
            if index.axis == FIXED:
                if not base <= index.offset < base + there:
                    return None
                if bits:
                    factors.append(Kernel(Kind.EQ, y=y, const=index.offset - base))
            elif index.axis == fold:
                factors.append(Kernel(Kind.POWER, y=y, const=2 + base))
            else:
                span, start, length = spans[index.axis]
                d = base - index.offset - start  # cell y sees row y + d of the span
                if d + there <= 0 or d >= length:
                    return None
                factors += axis_kernels(span, y, d, length, there)
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
        # An axis of one cell that always weighs 1 would cost the verifier a walk over all others.
        longer = [a for a in axes if (a.p.bits, a.length, a.shift, a.n) != (0, 1, 0, 1)]
        public = PublicView(side, offset, tuple(longer or axes[:1]))
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


def axis_kernels(span: Span, y: Span, d: int, length: int, there: int) -> list[Kernel]:
    """Cells y < there, at most 2^bits, see rows y + d of a span that is cut to length: eq where
    aligned and inside, else a walk."""
    size = 1 << y.bits
    if y.bits > span.bits:
        start = -d  # the cell that sees row 0
        aligned = length == 1 << span.bits and start >= 0 and start % length == 0
        if aligned and start + length <= there:
            return [Kernel(Kind.EQ, span, y, start >> span.bits)]
    elif d >= 0 and d % size == 0 and d + size <= length and there == size:
        return [Kernel(Kind.EQ, span, y, d >> y.bits)] if span.bits else []
    return [Kernel(Kind.SHIFT, span, y, min(length, d + there), d)]


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


def join_places(a: Kernel, b: Kernel) -> Kernel | None:
    """A constant on one range, then a constant that runs on from it there."""
    if a.p.bits == b.p.bits == 0 and (y := _together(a.y, b.y)) is not None:
        return Kernel(Kind.EQ, a.p, y, a.const << b.y.bits | b.const)
    if a.y.bits == b.y.bits == 0 and (p := _together(a.p, b.p)) is not None:
        return Kernel(Kind.EQ, p, a.y, a.const << b.p.bits | b.const)
    return None


def spans_of(
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
