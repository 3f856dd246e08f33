"""The linear claims on the prover's side: A_t(y), a tile's weight on every cell.

The same terms as `linear.py`, each kernel expanded over its cells instead of evaluated at y. A
weight is a sum of few products of a vector over the first coordinates and one over the last: a
kernel whose coordinates lie on both sides is cut into kernels that do not.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product

import numpy as np

from prover import linear
from prover.challenges import Challenges
from prover.field import P
from prover.kernels.interface import Kernels, Vec
from prover.program import format as fmt
from prover.program.axis import eq_const, evaluate
from prover.program.circuit import Term
from prover.program.format import SCALAR_SIDE, Kernel, Kind, Source, Span, VerifierProgram
from prover.proving.tiles import constant, pieces


class _Expansion:
    """A kernel's cells: `start`, then a run of weights, over the 2^bits cells of its Y range;
    memoised."""

    def __init__(self, kernels: Kernels, drawn: Challenges) -> None:
        self.kernels, self.drawn = kernels, drawn
        self.runs: dict[Kernel, tuple[int, Vec]] = {}
        self.scalars: dict[Kernel, int] = {}

    def scalar(self, kernel: Kernel) -> int:
        """The value of a kernel with no Y range."""
        if kernel not in self.scalars:
            self.scalars[kernel] = evaluate(kernel, self.drawn.points, self.drawn.gamma)
        return self.scalars[kernel]

    def run(self, kernel: Kernel) -> tuple[int, Vec]:
        if kernel not in self.runs:
            self.runs[kernel] = expand(self.kernels, kernel, self.drawn)
        return self.runs[kernel]


def expand(kernels: Kernels, kernel: Kernel, drawn: Challenges) -> tuple[int, Vec]:
    """(first cell, weights): the kernel on its cells, those left out being zero."""
    p, bits = kernel.p.of(drawn.points), kernel.y.bits
    if kernel.kind == Kind.EQ:
        excess = len(p) - bits
        if excess <= 0:
            return kernel.const << len(p), kernels.eq_table(p)
        weight = eq_const(p[:excess], kernel.const)
        return 0, kernels.scale(kernels.eq_table(p[excess:]), weight)
    if kernel.kind == Kind.SHIFT:
        table = kernels.eq_table(p)
        start, stop = max(0, -kernel.shift), min(1 << bits, kernel.const - kernel.shift)
        return start, table[start + kernel.shift : max(start, stop) + kernel.shift]
    powers = kernels.powers(drawn.gamma, 1 << bits)  # POWER
    return 0, kernels.scale(powers, pow(drawn.gamma, kernel.const, P))


Block = tuple[Kernel, ...]  # the kernels with cells: their product is a block's weight
Run = tuple[int, Vec]  # the first of neighbouring cells, and their weights
Axis = tuple[Span, int, Vec]  # a kernel's coordinates, its first cell, its run of weights
Half = tuple[Kernel, ...]  # kernels with cells on one side of a cut


@lru_cache(maxsize=1 << 14)
def cut(kernel: Kernel, high: int) -> tuple[tuple[Half, Half], ...]:
    """Pairs of kernels, on the first `high` coordinates of y and on the others (counted from the
    first of them), whose products add up to the kernel."""
    y = kernel.y
    above, below = min(max(high - y.first, 0), y.bits), min(max(y.first + y.bits - high, 0), y.bits)
    if not below:
        return (((kernel,), ()),)
    lower = Span(y.source, max(y.first - high, 0), below)
    if not above:
        return (((), (replace(kernel, y=lower),)),)
    upper = replace(y, bits=above)
    if kernel.kind == Kind.EQ:
        p, split = kernel.p, max(kernel.p.bits - below, 0)  # coordinates of p that meet upper ones
        left, right = replace(p, bits=split), Span(p.source, p.first + split, p.bits - split)
        free = below - right.bits  # lower ones that meet the constant
        first = Kernel(Kind.EQ, left, upper, kernel.const >> free)
        return (((first,), (Kernel(Kind.EQ, right, lower, kernel.const & (1 << free) - 1),)),)
    if kernel.kind == Kind.SHIFT and kernel.shift % (1 << below) == 0 and kernel.p.bits >= below:
        return _cut_aligned(kernel, upper, lower)
    # of the others a product for each value of the upper coordinates
    found = []
    for value in range(1 << above):
        at = value << below
        one = Kernel(Kind.EQ, y=upper, const=value)
        if kernel.kind == Kind.POWER:
            found.append(((one,), (replace(kernel, y=lower, const=kernel.const + at),)))
        elif at + (1 << below) + kernel.shift > 0 and at + kernel.shift < kernel.const:
            found.append(((one,), (replace(kernel, y=lower, shift=kernel.shift + at),)))
    return tuple(found)


def _cut_aligned(kernel: Kernel, upper: Span, lower: Span) -> tuple[tuple[Half, Half], ...]:
    """A SHIFT by whole blocks of the lower coordinates: a SHIFT of blocks, in which cells meet
    theirs, and what there is of the last one."""
    p, below = kernel.p, lower.bits
    blocks, moved = kernel.const >> below, kernel.shift >> below
    left, right = replace(p, bits=p.bits - below), Span(p.source, p.first + p.bits - below, below)
    high = Kernel(Kind.SHIFT, left, upper, blocks, moved)
    found: list[tuple[Half, Half]] = [((high,), (Kernel(Kind.EQ, right, lower),))]
    value = blocks - moved
    if kernel.const & (1 << below) - 1 and 0 <= value < 1 << upper.bits:
        rest = replace(kernel, y=lower, shift=kernel.shift + (value << below))
        found.append(((Kernel(Kind.EQ, y=upper, const=value),), (rest,)))
    return tuple(found)


def halves(block: Block, high: int) -> Iterable[tuple[Half, Half]]:
    """A block's weight as a sum of products, cut after the first `high` coordinates."""
    for parts in product(*(cut(kernel, high) for kernel in block)):
        upper, lower = (sum((part[side] for part in parts), ()) for side in (0, 1))
        yield upper, tuple(sorted(lower, key=lambda kernel: kernel.y.first))


def parted(term: Term) -> tuple[Block, list[Kernel]]:
    """The term's kernels with cells, and those without."""
    cells = [kernel for kernel in term.kernels if kernel.y.bits]
    others = [kernel for kernel in term.kernels if not kernel.y.bits]
    return tuple(sorted(cells, key=lambda kernel: kernel.y.first)), others


@lru_cache(maxsize=8)
def last_coordinates(k: int, terms: tuple[Term, ...]) -> int:
    """After how many of a tile's last coordinates its weights are cut: about half of them, so that
    there are few products."""
    blocks = {(term.tile, parted(term)[0]) for term in terms if term.tile != SCALAR_SIDE}

    def products(low: int) -> int:
        cuts = ((tile, halves(block, k - low)) for tile, block in blocks)
        return len({(tile, lower) for tile, parts in cuts for _, lower in parts})

    return min(range(max(1, k // 2 - 1), min(k, k // 2 + 2) + 1), key=products)


@dataclass
class TileWeight:
    """A_t = sum over blocks of factor * prod kernels, + runs + constant + doubling * B_2."""

    blocks: dict[Block, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    constant: int = 0
    doubling: int = 0  # of B_2(y) = prod_i (1 + y_i)


class Weights:
    """Every tile's weight as terms, as halves, and as a vector where it is asked for: a hundred
    million weights lie in a hundred tiles, and a vector for each would be most of the prover's
    memory."""

    def __init__(
        self,
        kernels: Kernels,
        program: VerifierProgram,
        terms: tuple[Term, ...],
        drawn: Challenges,
    ) -> None:
        self.kernels, self.k, self.program, self.terms = kernels, program.k, program, terms
        self._expansion = _Expansion(kernels, drawn)
        self._lower: dict[Hashable, Vec] = {}
        self.tiles = [TileWeight() for _ in range(program.tiles)]
        scale = linear.scales(program, drawn)
        for term in terms:
            if term.tile == SCALAR_SIDE:
                continue
            block, scalars = parted(term)
            factor = scale[term.scale] * term.coef
            for kernel in scalars:
                factor = factor * self._expansion.scalar(kernel) % P
            blocks = self.tiles[term.tile].blocks
            blocks[block] = (blocks.get(block, 0) + factor) % P
        _add_masks(kernels, program, drawn, self.tiles)
        _add_sides(kernels, program, drawn, self.tiles[program.e_tile])
        self.tiles[program.e_tile + 1].constant = 1
        self.tiles[program.e_tile + 2].doubling = 1

    def vector(self, tile: TileWeight) -> Vec:
        """A_t(y) for all y."""
        high, found = self.k, self.kernels.zeros(1 << self.k)
        for block, factor in tile.blocks.items():
            for upper, _ in halves(block, high):
                self._add(found, high, factor, upper)
        for start, cells in tile.runs:
            self.kernels.add_scaled(found[start : start + len(cells)], 1, cells)
        if tile.constant:
            ones = constant(self.kernels, tile.constant, len(found))
            self.kernels.add_scaled(found, 1, ones)
        if tile.doubling:
            self.kernels.add_scaled(found, tile.doubling, _doublings(self.kernels, high))
        return found

    def halves(self, tile: TileWeight, low: int) -> list[tuple[Vec, Hashable]]:
        """[(u, name of w)]: A_t(i, j) = sum of u(i) w(j), j the last `low` coordinates; `lower`
        has each w."""
        kernels, high = self.kernels, self.k - low
        found: dict[Hashable, Vec] = {}
        for block, factor in tile.blocks.items():
            for upper, lower in halves(block, high):
                if lower not in found:
                    found[lower] = kernels.zeros(1 << high)
                self._add(found[lower], high, factor, upper)
        special: list[tuple[Vec, Vec]] = []
        for start, cells in tile.runs:
            for row, at, part in pieces(start, cells, low):
                one, w = kernels.zeros(1 << high), kernels.zeros(1 << low)
                one[row : row + 1], w[at : at + len(part)] = kernels.from_ints([1]), part
                special.append((one, w))
        if tile.constant:
            ones = constant(kernels, 1, 1 << low)
            special.append((constant(kernels, tile.constant, 1 << high), ones))
        if tile.doubling:
            doubled = kernels.scale(_doublings(kernels, high), tile.doubling)
            special.append((doubled, _doublings(kernels, low)))
        for u, w in special:
            name = object()
            found[name], self._lower[name] = u, w
        return [(u, name) for name, u in found.items()]

    def lower(self, name: Hashable, low: int) -> Vec:
        """w, over the last `low` coordinates."""
        if name not in self._lower and isinstance(name, tuple):
            self._lower[name] = self.kernels.zeros(1 << low)
            self._add(self._lower[name], low, 1, name)
        return self._lower[name]

    def _add(self, found: Vec, k: int, factor: int, half: Half) -> None:
        axes = [(kernel.y, *self._expansion.run(kernel)) for kernel in half]
        _add_block(self.kernels, found, k, factor, axes)


def _doublings(kernels: Kernels, k: int) -> Vec:
    """B_2(y) = prod_i (1 + y_i), that is 2^(number of ones)."""
    weights = kernels.from_ints([1])
    step = kernels.from_ints([1, 2])
    for _ in range(k):
        weights = kernels.outer(weights, step)
    return weights


def _add_block(kernels: Kernels, found: Vec, k: int, factor: int, axes: list[Axis]) -> None:
    """found += factor * the product of the axes' runs."""
    axes = sorted(axes, key=lambda axis: axis[0].first)
    covered = sum(span.bits for span, _, _ in axes)
    if covered != k or any(span.source != Source.Y for span, _, _ in axes):
        raise ValueError(f"a term covers {covered} of {k} tile coordinates")
    index, weights = np.zeros(1, dtype=np.int64), kernels.from_ints([factor])
    for span, first, run in axes:  # most significant first, so the index ascends
        stride = 1 << k - span.first - span.bits
        step = (first + np.arange(len(run), dtype=np.int64)) * stride
        index = (index[:, None] + step[None, :]).reshape(-1)
        weights = kernels.outer(weights, run)
    if len(index) == 0:
        return
    if index[-1] - index[0] == len(index) - 1:
        kernels.add_scaled(found[index[0] : index[-1] + 1], 1, weights)
    else:
        found[index] = kernels.add(found[index], weights)


def _add_masks(
    kernels: Kernels, program: VerifierProgram, drawn: Challenges, tiles: list[TileWeight]
) -> None:
    parts = (
        (program.mask1, program.n, fmt.MASK1_POWERS, program.slices + 2, drawn.r),
        (program.mask2, program.mu, fmt.MASK2_POWERS, 3, drawn.side),
    )
    for ((tile, offset), n, width, degree, r), (total, at) in zip(
        parts, linear.mask_claims(drawn), strict=True
    ):
        cells = [0] * (n * width)
        half = total * pow(2, n - 1, P)
        for i in range(n):
            for d in range(1, degree + 1):
                cells[i * width + d] = half + at * pow(r[i], d, P)
        cells[0] = total * pow(2, n, P) + at
        tiles[tile].runs.append((offset, kernels.from_ints(cells)))


def _add_sides(
    kernels: Kernels, program: VerifierProgram, drawn: Challenges, tile: TileWeight
) -> None:
    count, size = len(program.contractions), 1 << program.mu
    a = linear.powers(drawn.batch, linear.claim_count(program))
    eq_side = kernels.eq_table(drawn.side)
    for i, claim in enumerate((linear.E_X, linear.E_Y)):
        tile.runs.append((i * size, kernels.scale(eq_side, a[claim])))
        first = linear.SIDES + i * count
        tile.runs.append((i * size, kernels.from_ints(a[first : first + count])))
