"""The rounds inside the tile: k rounds of sum_t sum_y f_t(y) A_t(y), then the tile to open.

Small integers stay small for the first rounds. With y = (a, y'), a of SPAN bits,

    G[a, b] = sum_t sum_{y'} f_t(a, y') A_t(b, y')

fixes the first SPAN round polynomials, and costs multiply-adds of a small integer with a field
element only. Then every tile has 2^-SPAN of its cells: what is left are ordinary rounds over
vectors. Tiles with one weight up to a factor are one vector. What is sent does not depend on any of
this: docs/protocol/verifier.md#claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from prover.field import P
from prover.kernels.interface import Int64s, Kernels, Vec
from prover.program.axis import eq_expand
from prover.proving.tiles import Tile
from prover.proving.weights import TileWeight, Weights
from prover.sumcheck import coefficients

SPAN, LEAST = 3, 15  # rounds on integers, in tiles of 2^LEAST cells and more
TALL, WIDE = 24, 1 << 16  # rows and columns that are combined at a time

Members = list[tuple[int, int]]  # tiles and their factors


class TileRounds:
    """`run` gives the rounds, the point and each tile's weight there; `combined` the tile that is
    opened."""

    def __init__(
        self, kernels: Kernels, weights: Weights, tiles: Sequence[Tile], span: int | None = None
    ) -> None:
        self.kernels, self.weights, self.tiles, self.k = kernels, weights, tiles, weights.k
        self.span = span if span is not None else SPAN * (self.k >= LEAST)
        self.small: list[tuple[TileWeight, Members]] = []
        self.pairs: list[tuple[Members, Vec, Vec]] = []  # f and A over the cells that are left
        for weight, members in weights.groups():
            dense = [(t, factor) for t, factor in members if tiles[t].is_dense]
            if dense:
                self.pairs.append((dense, self._sum(dense), weights.vector(weight)))
            if len(dense) < len(members):
                rest = [(t, factor) for t, factor in members if not tiles[t].is_dense]
                self.small.append((weight, rest))

    def run(
        self, draw: Callable[[tuple[int, ...]], int]
    ) -> tuple[list[tuple[int, ...]], list[int], list[int]]:
        """(what was sent, y, a_t); draw absorbs a round's coefficients and gives its challenge."""
        kernels, sent, point = self.kernels, list[tuple[int, ...]](), list[int]()
        products = self._products()
        for i in range(self.k):
            if i == self.span:
                self._bind(point)
            total = _round(products) if i < self.span else [0, 0, 0]
            for _, f, weight in self.pairs:
                for t, e in enumerate(kernels.round_product([f, weight])):
                    total[t] += e
            c0, _, c2 = coefficients(total)
            sent.append((c0, c2))
            r = draw(sent[-1])
            point.append(r)
            if i < self.span:
                products = _fold(products, r)
            self.pairs = [
                (members, kernels.fold(f, r), kernels.fold(weight, r))
                for members, f, weight in self.pairs
            ]
        if self.span == self.k:
            self._bind(point)
        at_point = [0] * len(self.tiles)
        for members, _, weight in self.pairs:
            value = kernels.to_ints(weight)[0]
            for t, factor in members:
                at_point[t] = factor * value % P
        return sent, point, at_point

    def combined(self, at_point: Sequence[int]) -> tuple[Vec, int]:
        """sum_t a_t f_t and its blinder."""
        blinder = sum(a * tile.blinder for a, tile in zip(at_point, self.tiles, strict=True))
        return self._sum(list(enumerate(at_point))), blinder % P

    def _products(self) -> list[list[int]]:
        """G, of all tiles of small integers."""
        kernels, side, left = self.kernels, 1 << self.span, self.k - self.span
        found = [[0] * side for _ in range(side)]
        if not self.span:
            return found
        for weight, members in self.small:
            whole = self.weights.vector(weight)
            for b in range(side):
                part = whole[b << left : b + 1 << left]
                for t, factor in members:
                    sums = self.tiles[t].products(kernels, part, self.span)
                    for a, value in enumerate(sums):
                        found[a][b] = (found[a][b] + factor * value) % P
        return found

    def _bind(self, point: Sequence[int]) -> None:
        """The tiles of small integers become vectors over the cells that are left."""
        for weight, members in self.small:
            f = self._sum(members, point)
            self.pairs.append((members, f, self.weights.vector(weight, point)))
        self.small = []

    def _sum(self, members: Members, bound: Sequence[int] = ()) -> Vec:
        """sum factor * f_t(bound, y)."""
        kernels, left, top = self.kernels, self.k - len(bound), eq_expand(bound)
        rows: list[Int64s] = []
        factors: list[int] = []
        for t, factor in members:
            if not self.tiles[t].is_dense and len(self.tiles[t].small):
                rows += list(self.tiles[t].small.reshape(len(top), -1))
                factors += [factor * e % P for e in top]
        found = combine(kernels, rows, factors, 1 << left)
        for t, factor in members:
            self.tiles[t].add_elements(kernels, found, factor, top)
        return found


def combine(kernels: Kernels, rows: Sequence[Int64s], factors: Sequence[int], count: int) -> Vec:
    """sum_i factors[i] rows[i], `count` cells."""
    found = kernels.zeros(count)
    for i in range(0, len(rows), TALL):
        chosen, scale = rows[i : i + TALL], kernels.from_ints(factors[i : i + TALL])
        for start in range(0, count, WIDE):
            columns = np.stack([row[start : start + WIDE] for row in chosen])
            part = kernels.small_matvec(columns.T, scale)
            kernels.add_scaled(found[start : start + len(part)], 1, part)
    return found


def _round(products: list[list[int]]) -> list[int]:
    """At t = 0, 1, 2: sum_c of f(t, c) A(t, c)."""
    half = len(products) // 2
    low = sum(products[c][c] for c in range(half))
    high = sum(products[half + c][half + c] for c in range(half))
    cross = sum(products[c][half + c] + products[half + c][c] for c in range(half))
    return [low, high, low - 2 * cross + 4 * high]


def _fold(products: list[list[int]], r: int) -> list[list[int]]:
    """The first bit of both indices bound to r."""
    half, s = len(products) // 2, 1 - r
    return [
        [
            (s * (s * products[a][b] + r * products[a][half + b])
             + r * (s * products[half + a][b] + r * products[half + a][half + b])) % P
            for b in range(half)
        ]
        for a in range(half)
    ]  # fmt: skip
