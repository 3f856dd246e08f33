"""The linear claims on the prover's side: every tile's weight on every cell, and the rounds inside
the tile.

The same terms as `linear.py`, each kernel expanded over its cells instead of evaluated at y.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from prover import linear
from prover.challenges import Challenges
from prover.field import P
from prover.kernels.interface import Kernels, Vec
from prover.program import format as fmt
from prover.program.axis import eq_const, evaluate
from prover.program.format import SCALAR_SIDE, SLICES, Kernel, Kind, Source, VerifierProgram
from prover.proving.tiles import constant
from prover.sumcheck import coefficients


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
            kernel = self.program.kernels[number - 1]
            self.scalars[number] = evaluate(kernel, self.drawn.points, self.drawn.gamma)
        return self.scalars[number]

    def run(self, number: int) -> tuple[int, Vec]:
        if number not in self.runs:
            self.runs[number] = expand(self.kernels, self.program.kernels[number - 1], self.drawn)
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


def tile_weight_vectors(kernels: Kernels, program: VerifierProgram, drawn: Challenges) -> list[Vec]:
    """A_t(y) for every tile and cell."""
    scale = linear.scales(program, drawn)
    expansion = _Expansion(kernels, program, drawn)
    found = [kernels.zeros(1 << program.k) for _ in range(program.tiles)]
    for term in program.terms:
        if term.tile == SCALAR_SIDE:
            continue
        factor, axes = scale[term.scale] * term.coef, []
        for number in term.kernels:
            if number and program.kernels[number - 1].y.bits:
                axes.append((program.kernels[number - 1].y, *expansion.run(number)))
            else:
                factor = factor * expansion.scalar(number) % P
        _add_block(kernels, found[term.tile], program.k, factor, axes)
    _add_masks(kernels, program, drawn, found)
    _add_sides(kernels, program, drawn, found[program.e_tile])
    z = pow(drawn.batch, linear.mask_claim(program), P)
    found[program.e_tile + 1] = constant(kernels, z, 1 << program.k)
    found[program.e_tile + 2] = kernels.scale(second_mask_weights(kernels, program.k), z)
    return found


def second_mask_weights(kernels: Kernels, k: int) -> Vec:
    """B_2(y) = prod_i (1 + y_i), that is 2^(number of ones)."""
    weights = kernels.from_ints([1])
    step = kernels.from_ints([1, 2])
    for _ in range(k):
        weights = kernels.outer(weights, step)
    return weights


def _add_block(
    kernels: Kernels, tile: Vec, k: int, factor: int, axes: list[tuple[fmt.Span, int, Vec]]
) -> None:
    axes.sort(key=lambda axis: axis[0].first)
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
        kernels.add_scaled(tile[index[0] : index[-1] + 1], 1, weights)
    else:
        tile[index] = kernels.add(tile[index], weights)


def _add_masks(
    kernels: Kernels, program: VerifierProgram, drawn: Challenges, found: list[Vec]
) -> None:
    parts = (
        (program.mask1, program.n, fmt.MASK1_POWERS, SLICES + 2, drawn.r),
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
        block = found[tile][offset : offset + len(cells)]
        kernels.add_scaled(block, 1, kernels.from_ints(cells))


def _add_sides(kernels: Kernels, program: VerifierProgram, drawn: Challenges, tile: Vec) -> None:
    count, size = len(program.contractions), 1 << program.mu
    a = linear.powers(drawn.batch, linear.mask_claim(program))
    eq_side = kernels.eq_table(drawn.side)
    for i, claim in enumerate((linear.E_X, linear.E_Y)):
        block = tile[i * size : (i + 1) * size]
        kernels.add_scaled(block, a[claim], eq_side)
        first = linear.SIDES + i * count
        kernels.add_scaled(block[:count], 1, kernels.from_ints(a[first : first + count]))


def tile_rounds(
    kernels: Kernels,
    cells: list[Vec],
    weights: list[Vec],
    k: int,
    draw: Callable[[tuple[int, ...]], int],
) -> tuple[list[tuple[int, ...]], list[int], list[int]]:
    """k rounds of sum_t sum_y f_t(y) A_t(y): (what was sent, y, a_t)."""
    sent: list[tuple[int, ...]] = []
    point: list[int] = []
    for _ in range(k):
        total = [0, 0, 0]
        for f, weight in zip(cells, weights, strict=True):
            for i, e in enumerate(kernels.round_product([f, weight])):
                total[i] += e
        c0, _, c2 = coefficients(total)
        sent.append((c0, c2))
        point.append(draw(sent[-1]))
        cells = [kernels.fold(f, point[-1]) for f in cells]
        weights = [kernels.fold(weight, point[-1]) for weight in weights]
    return sent, point, [kernels.to_ints(weight)[0] for weight in weights]
