"""The linear claims on the prover's side: A_t(y), a tile's weight on every cell.

The same terms as `linear.py`, each kernel expanded over its cells instead of evaluated at y; with
the first coordinates bound, over the cells that are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from prover import linear
from prover.challenges import Challenges
from prover.field import P, inverse
from prover.kernels.interface import Kernels, Vec
from prover.program import format as fmt
from prover.program.axis import eq_const, eq_expand, evaluate
from prover.program.format import SCALAR_SIDE, Kernel, Kind, Source, VerifierProgram
from prover.proving.tiles import constant, pieces


class _Expansion:
    """A kernel's cells: `start`, then a run of weights, over the 2^bits cells of its Y range;
    memoised."""

    def __init__(self, kernels: Kernels, program: VerifierProgram, drawn: Challenges) -> None:
        self.kernels, self.program, self.drawn = kernels, program, drawn
        self.runs: dict[int, tuple[int, Vec]] = {}
        self.scalars: dict[int, int] = {}

    def scalar(self, number: int) -> int:
        """The value of a kernel with no Y range (0 is the constant 1)."""
        if number == 0:
            return 1
        if number not in self.scalars:
            kernel = self.program.kernel(number)
            self.scalars[number] = evaluate(kernel, self.drawn.points, self.drawn.gamma)
        return self.scalars[number]

    def run(self, number: int) -> tuple[int, Vec]:
        if number not in self.runs:
            self.runs[number] = expand(self.kernels, self.program.kernel(number), self.drawn)
        return self.runs[number]


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


Block = tuple[int, ...]  # the kernels with cells: their product is a block's weight
Run = tuple[int, Vec]  # the first of neighbouring cells, and their weights
Axis = tuple[fmt.Span, int, Vec]  # a kernel's coordinates, its first cell, its run of weights


@dataclass
class TileWeight:
    """A_t = sum over blocks of factor * prod kernels, + runs + constant + doubling * B_2."""

    blocks: dict[Block, int] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    constant: int = 0
    doubling: int = 0  # of B_2(y) = prod_i (1 + y_i)


class Weights:
    """Every tile's weight as terms, and as a vector where it is asked for: a hundred million
    weights lie in a hundred tiles, and a vector for each would be most of the prover's memory."""

    def __init__(self, kernels: Kernels, program: VerifierProgram, drawn: Challenges) -> None:
        self.kernels, self.k = kernels, program.k
        self._program, self._expansion = program, _Expansion(kernels, program, drawn)
        self.tiles = [TileWeight() for _ in range(program.tiles)]
        scale = linear.scales(program, drawn)
        for term in program.terms:
            if term.tile == SCALAR_SIDE:
                continue
            factor, block = scale[term.scale] * term.coef, []
            for number in term.kernels:
                if number and program.kernel(number).y.bits:
                    block.append(number)
                else:
                    factor = factor * self._expansion.scalar(number) % P
            blocks, key = self.tiles[term.tile].blocks, tuple(sorted(block))
            blocks[key] = (blocks.get(key, 0) + factor) % P
        _add_masks(kernels, program, drawn, self.tiles)
        _add_sides(kernels, program, drawn, self.tiles[program.e_tile])
        self.tiles[program.e_tile + 1].constant = 1
        self.tiles[program.e_tile + 2].doubling = 1

    def groups(self) -> list[tuple[TileWeight, list[tuple[int, int]]]]:
        """(a weight, [(tile, factor)]): tiles whose weights are multiples of one another, such as
        those of one large matrix."""
        found: dict[object, tuple[TileWeight, list[tuple[int, int]]]] = {}
        for number, tile in enumerate(self.tiles):
            one, factor, key = tile, 1, object()
            plain = not (tile.runs or tile.constant or tile.doubling)
            if plain and tile.blocks and (factor := next(iter(tile.blocks.values()))):
                scale = inverse(factor)
                one = TileWeight({b: f * scale % P for b, f in tile.blocks.items()})
                key = tuple(sorted(one.blocks.items()))
            else:
                factor = 1
            found.setdefault(key, (one, []))[1].append((number, factor))
        return list(found.values())

    def vector(self, tile: TileWeight, bound: Sequence[int] = ()) -> Vec:
        """A_t(bound, y) for all y of the coordinates that are left."""
        kernels, left = self.kernels, self.k - len(bound)
        found = kernels.zeros(1 << left)
        for block, factor in tile.blocks.items():
            spans = [self._program.kernel(number).y for number in block]
            axes = [(y, *self._expansion.run(n)) for y, n in zip(spans, block, strict=True)]
            _add_block(kernels, found, self.k, factor, axes, bound)
        top = eq_expand(bound)
        for start, cells in tile.runs:
            for high, at, part in pieces(start, cells, left):
                kernels.add_scaled(found[at : at + len(part)], top[high], part)
        if tile.constant:
            kernels.add_scaled(found, 1, constant(kernels, tile.constant, 1 << left))
        if tile.doubling:
            factor = tile.doubling
            for r in bound:
                factor = factor * (1 + r) % P
            kernels.add_scaled(found, factor, _doublings(kernels, left))
        return found


def _doublings(kernels: Kernels, k: int) -> Vec:
    """B_2(y) = prod_i (1 + y_i), that is 2^(number of ones)."""
    weights = kernels.from_ints([1])
    step = kernels.from_ints([1, 2])
    for _ in range(k):
        weights = kernels.outer(weights, step)
    return weights


def _add_block(
    kernels: Kernels, found: Vec, k: int, factor: int, axes: list[Axis], bound: Sequence[int]
) -> None:
    """found += factor * the product of the axes' runs, their first coordinates bound."""
    axes = sorted(axes, key=lambda axis: axis[0].first)
    covered = sum(span.bits for span, _, _ in axes)
    if covered != k or any(span.source != Source.Y for span, _, _ in axes):
        raise ValueError(f"a term covers {covered} of {k} tile coordinates")
    index, weights = np.zeros(1, dtype=np.int64), kernels.from_ints([factor])
    for span, first, run in axes:  # most significant first, so the index ascends
        stride = 1 << k - span.first - span.bits
        here, bound = bound[: span.bits], bound[span.bits :]
        if here:
            first, run = _bind(kernels, first, run, span.bits, here)
        step = (first + np.arange(len(run), dtype=np.int64)) * stride
        index = (index[:, None] + step[None, :]).reshape(-1)
        weights = kernels.outer(weights, run)
    if len(index) == 0:
        return
    if index[-1] - index[0] == len(index) - 1:
        kernels.add_scaled(found[index[0] : index[-1] + 1], 1, weights)
    else:
        found[index] = kernels.add(found[index], weights)


def _bind(
    kernels: Kernels, first: int, run: Vec, bits: int, bound: Sequence[int]
) -> tuple[int, Vec]:
    """An axis with the first of its `bits` coordinates bound: (first cell, weights)."""
    top, left = eq_expand(bound), bits - len(bound)
    parts = list(pieces(first, run, left))
    if len(parts) == 1:
        high, at, part = parts[0]
        return at, kernels.scale(part, top[high])
    found = kernels.zeros(1 << left)
    for high, at, part in parts:
        kernels.add_scaled(found[at : at + len(part)], top[high], part)
    return 0, found


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
