"""From terms to the multiplications that the verifier does (docs/protocol/layout.md#circuit).

Each tile's weight is a sum of monomials in what is given: scales, constants, coordinates, heaps,
kernels, public views. Two factors that several monomials have in common are a product of its own,
those of most monomials first; then a tile's monomials are sums nested by their commonest factors,
sum f (sum g (...)). All of it is a function of the terms and their order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from itertools import combinations
from typing import TypeAlias

from prover.program import format as fmt
from prover.program.format import (
    SCALAR_SIDE,
    Kernel,
    Kind,
    Pair,
    PublicView,
    Source,
    Span,
    Sum,
    VerifierProgram,
)


@dataclass(frozen=True)
class Term:
    """scale * coef * the product of its kernels and views, a summand of its tile's weight."""

    tile: int
    scale: int
    coef: int
    kernels: tuple[Kernel, ...]
    views: tuple[PublicView, ...]


@dataclass(frozen=True)
class Scale:
    number: int


# What has a value of its own: a scale, a constant, a view, a kernel (constants in pieces that are
# given, EQ without excess, INDEX without shift).
Factor: TypeAlias = Scale | int | Kernel | PublicView
Monomial: TypeAlias = tuple[int, ...]  # numbers of factors, ascending


def compiled(
    v: VerifierProgram, terms: Sequence[Term], batch: Sequence[Sequence[Kernel]]
) -> VerifierProgram:
    """The program with the tables that terms and contractions' batch kernels come to; of `v` the
    header and the contractions are read."""
    return _Circuit(v, terms, batch).program()


def pieces(kernel: Kernel, v: VerifierProgram) -> list[tuple[int, list[Factor]]]:
    """A kernel as a sum of products: (coefficient, factors)."""
    p, y = kernel.p, kernel.y
    if kernel.kind == Kind.INDEX:
        found: list[tuple[int, list[Factor]]] = [(kernel.shift, [])] if kernel.shift else []
        return [(1, [Kernel(Kind.INDEX, p)]), *found] if p.bits else found
    if kernel.kind != Kind.EQ:
        return [(1, [kernel])]
    common = min(p.bits, y.bits)
    longer, excess = (p, p.bits - common) if p.bits > common else (y, y.bits - common)
    factors = _constant(replace(longer, bits=excess), kernel.const & (1 << excess) - 1, v)
    if common:
        factors.append(Kernel(Kind.EQ, p.last(common), y.last(common)))
    return [(1, factors)]


def _constant(span: Span, value: int, v: VerifierProgram) -> list[Factor]:
    """eq of a span with an integer: nodes of the heaps where these begin, else coordinates."""
    first = {Source.R: v.n - v.n_f, Source.Y: 0}.get(span.source, span.first + span.bits)
    factors: list[Factor] = []
    while span.bits:
        aligned = span.first >= first and (span.first - first) % fmt.NODE_BITS == 0
        width = min(fmt.NODE_BITS, span.bits) if aligned else 1
        rest = span.bits - width
        at = replace(span, bits=width)
        factors.append(Kernel(Kind.EQ, at, const=value >> rest & (1 << width) - 1))
        span = Span(span.source, span.first + width, rest)
    return factors


class _Circuit:
    def __init__(
        self, v: VerifierProgram, terms: Sequence[Term], batch: Sequence[Sequence[Kernel]]
    ) -> None:
        self.v, self.factors = v, dict[Factor, int]()
        self.batch = [
            [self._number(factor) for kernel in kernels for factor in pieces(kernel, v)[0][1]]
            for kernels in batch
        ]
        tiles, monomials = self._monomials(terms)
        self.given = len(self.factors)
        self.products: list[Pair] = []
        self._extract(monomials)
        weights: list[list[Monomial]] = [[] for _ in range(v.e_tile + 1)]
        for tile, monomial in zip(tiles, monomials, strict=True):
            weights[tile].append(monomial)
        self.inner: list[list[Pair]] = []
        self.outer = [self._nested(found) for found in weights]

    def _number(self, factor: Factor) -> int:
        return self.factors.setdefault(factor, len(self.factors))

    def _monomials(self, terms: Sequence[Term]) -> tuple[list[int], list[Monomial]]:
        """Each monomial's place among the sums (0: the scalar side) and its factors; equal ones
        are one."""
        found: Counter[tuple[int, Monomial]] = Counter()
        for term in terms:
            parts: list[tuple[int, list[Factor]]] = [(term.coef, [Scale(term.scale), *term.views])]
            for kernel in term.kernels:
                split = pieces(kernel, self.v)
                parts = [(c * d, [*f, *g]) for c, f in parts for d, g in split]
            tile = 0 if term.tile == SCALAR_SIDE else term.tile + 1
            for coef, factors in parts:
                found[tile, tuple(sorted(self._number(factor) for factor in factors))] += coef
        tiles, monomials = [], []
        for (tile, monomial), coef in found.items():
            if coef:
                more = () if coef == 1 else (self._number(coef),)
                tiles.append(tile)
                monomials.append(tuple(sorted((*monomial, *more))))
        return tiles, monomials

    def _extract(self, monomials: list[Monomial]) -> None:
        """Pairs that several monomials have become one factor, as long as there are any."""
        where: dict[Pair, set[int]] = {}
        for i, monomial in enumerate(monomials):
            for pair in combinations(monomial, 2):
                where.setdefault(pair, set()).add(i)
        heap = [(-len(found), pair) for pair, found in where.items() if len(found) > 1]
        heapify(heap)
        while heap:
            count, pair = heappop(heap)
            if len(where[pair]) != -count:  # changed since: it has another entry, or none
                continue
            new, changed = self._product(*pair), set[Pair]()
            for i in where.pop(pair):
                old = monomials[i]
                left = list(old)
                left.remove(pair[0])
                left.remove(pair[1])
                monomials[i] = (*left, new)  # the greatest number
                for gone in set(combinations(old, 2)) - set(combinations(left, 2)) - {pair}:
                    where[gone].discard(i)
                    changed.add(gone)
                for other in left:
                    where.setdefault((other, new), set()).add(i)
                    changed.add((other, new))
            where[pair] = set()
            for again in sorted(changed):
                if len(where[again]) > 1:
                    heappush(heap, (-len(where[again]), again))

    def _product(self, left: int, right: int) -> int:
        self.products.append((left, right))
        return self.given + len(self.products) - 1

    def _nested(self, monomials: list[Monomial]) -> list[Pair]:
        """A sum's pairs; sums within it are numbered -2, -3, ... and the constant 1 is -1."""
        pairs = []
        seen = Counter(factor for monomial in monomials for factor in set(monomial))
        while True:
            commonest = min(seen, key=lambda f: (-seen[f], f), default=-1)
            if seen[commonest] < 2:
                break
            inside = []
            for monomial in monomials:
                if commonest in monomial:
                    at = monomial.index(commonest)
                    inside.append(monomial[:at] + monomial[at + 1 :])
                    seen.subtract(set(monomial))
            self.inner.append(self._nested(inside))
            pairs.append((commonest, -1 - len(self.inner)))
            monomials = [monomial for monomial in monomials if commonest not in monomial]
        for monomial in monomials:
            left = list(monomial)
            while len(left) > 2:
                left.append(self._product(left.pop(0), left.pop(0)))
            left += [-1] * (2 - len(left))
            pairs.append((left[0], left[1]))
        return pairs

    def program(self) -> VerifierProgram:
        """The tables, and in them ids for numbers."""
        kernels, at = self._records()
        views = [f for f in self.factors if isinstance(f, PublicView)]
        constants = [f for f in self.factors if isinstance(f, int)]
        constants += [0] * (-len(constants) % 4)
        products = self.products + [(-1, -1)] * (-len(self.products) % 8)
        inner = self.inner
        spare = -sum(max(1, len(pairs)) for pairs in (*inner, *self.outer)) % 8
        v = replace(
            self.v,
            kernels=tuple(kernels),
            views=tuple(views),
            constants=tuple(constants),
            products=tuple(products),
        )
        ids = {-1: 0}
        for factor, number in self.factors.items():
            if isinstance(factor, Scale):
                ids[number] = v.first_scale + factor.number
            elif isinstance(factor, int):
                ids[number] = v.first_constant + constants.index(factor)
            elif isinstance(factor, PublicView):
                ids[number] = v.first_view + views.index(factor)
            else:
                ids[number] = v.given(factor) if _is_constant(factor) else at[factor]
        ids |= {self.given + i: v.first_product + i for i in range(len(self.products))}
        ids |= {-2 - i: v.first_sum + spare + i for i in range(len(inner))}

        def named(pairs: Iterable[Pair]) -> Sum:
            return tuple((ids[left], ids[right]) for left, right in pairs)

        nothing = ((v.first_heap, v.first_heap),)  # 0
        sums = [[(-1, -1)]] * spare + inner
        return replace(
            v,
            products=named(products),
            sums=(*map(named, sums), *(named(pairs) or nothing for pairs in self.outer)),
            contractions=tuple(
                replace(c, kernels=tuple(ids[f] for f in found) + (0,) * (3 - len(found)))
                for c, found in zip(v.contractions, self.batch, strict=True)
            ),
        )

    def _records(self) -> tuple[list[Kernel], dict[Kernel, int]]:
        """Kernels' records and their values' ids: EQ and INDEX once for all that end alike."""
        longest: dict[object, Kernel] = {}
        recorded = []
        for factor in self.factors:
            if isinstance(factor, Kernel) and not _is_constant(factor):
                key, kept = _ends(factor), longest.get(_ends(factor), factor)
                longest[key] = factor if factor.p.bits >= kept.p.bits else kept
                recorded.append(factor)
        number, first = self.v.first_kernel, dict[object, int]()
        for key, kernel in longest.items():
            first[key] = number
            number += kernel.values
        return list(longest.values()), {f: first[_ends(f)] + f.values - 1 for f in recorded}


def _is_constant(kernel: Kernel) -> bool:
    return kernel.kind == Kind.EQ and kernel.y.bits == 0


def _ends(kernel: Kernel) -> object:
    if kernel.kind not in (Kind.EQ, Kind.INDEX):
        return kernel
    p, y = kernel.p, kernel.y
    return kernel.kind, p.source, p.first + p.bits, y.source, y.first + y.bits
