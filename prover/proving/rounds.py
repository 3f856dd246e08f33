"""The rounds inside the tile: k rounds of sum_t sum_y f_t(y) A_t(y), then the tile to open.

A tile's integers are read twice, and no vector is as long as a tile. With y = (i, j), both about
half of the coordinates, weights are A_t(i, j) = sum_w u_tw(i) w(j) for few w (weights.py), so that
the first rounds are those of

    sum_tw P_tw(i) u_tw(i),   P_tw(i) = sum_j f_t(i, j) w(j)

and, once i is bound to r, the others those of sum_t f_t(r, j) A_t(r, j). Both passes are sums of
(small integer) * (field element). Tiles of few cells are vectors from the first round on, as those
of field elements (H and G) always are: halves would cost them more calls than they save. Source:
Thaler, CRYPTO 2013, section 5 (the idea); linear-time product sumchecks by phases: Libra, CRYPTO
2019, section 3. What is sent does not depend on any of this:
docs/protocol/verifier.md#claims.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from prover.field import P
from prover.kernels.interface import Int64s, Kernels, Vec
from prover.proving.tiles import Tile
from prover.proving.weights import Weights, last_coordinates
from prover.sumcheck import coefficients

WIDE = 1 << 14  # cells of all tiles that are combined at a time
WHOLE_K = 13  # up to which tiles are vectors


class TileRounds:
    """`run` gives the rounds, the point and each tile's weight there; `combined` the tile that is
    opened."""

    def __init__(
        self, kernels: Kernels, weights: Weights, tiles: Sequence[Tile], low: int | None = None
    ) -> None:
        self.kernels, self.weights, self.tiles, self.k = kernels, weights, tiles, weights.k
        self.low = last_coordinates(weights.k, weights.terms) if low is None else low
        whole = low is None and weights.k <= WHOLE_K
        self.dense = [t for t, tile in enumerate(tiles) if tile.is_dense or whole]
        self.small = [t for t in range(len(tiles)) if t not in self.dense]
        self.whole = [(self._dense(t), weights.vector(weights.tiles[t])) for t in self.dense]
        if not self.small:  # one vector of all
            f, weight = zip(*self.whole, strict=True)
            self.whole = [(self._in_turn(f), self._in_turn(weight))]
        self.names = [
            (t, name, u)
            for t in self.small
            for u, name in weights.halves(weights.tiles[t], self.low)
        ]

    def run(
        self, draw: Callable[[tuple[int, ...]], int]
    ) -> tuple[list[tuple[int, ...]], list[int], list[int]]:
        """(what was sent, y, a_t); draw absorbs a round's coefficients and gives its challenge."""
        kernels, sent, point = self.kernels, list[tuple[int, ...]](), list[int]()
        pairs = [*self.whole, self._upper()] if self.small else self.whole
        for i in range(self.k):
            if self.small and i == self.k - self.low:
                pairs[-1] = self._lower(point, pairs[-1][1])
            total = [0, 0, 0]
            for f, weight in pairs:
                for t, e in enumerate(kernels.round_product([f, weight])):
                    total[t] += e
            c0, _, c2 = coefficients(total)
            sent.append((c0, c2))
            point.append(draw(sent[-1]))
            pairs = [
                (kernels.fold(f, point[-1]), kernels.fold(weight, point[-1])) for f, weight in pairs
            ]
        at_point = [0] * len(self.tiles)
        ends = [value for _, weight in pairs for value in kernels.to_ints(weight)]
        for t, value in zip((*self.dense, *self.small), ends, strict=True):
            at_point[t] = value
        return sent, point, at_point

    def combined(self, at_point: Sequence[int]) -> tuple[Vec, int]:
        """sum_t a_t f_t and its blinder."""
        kernels, found = self.kernels, self.kernels.zeros(1 << self.k)
        tiles = [(t.small, a) for t, a in zip(self.tiles, at_point, strict=True) if not t.is_dense]
        rows = [(row, a) for row, a in tiles if len(row)]
        for kind in {row.dtype for row, _ in rows}:  # those of one width, each as it is stored
            chosen = [(row, a) for row, a in rows if row.dtype == kind]
            combine(kernels, found, [row for row, _ in chosen], [a for _, a in chosen])
        for a, tile in zip(at_point, self.tiles, strict=True):
            tile.add_elements(kernels, found, a, [1])
        blinder = sum(a * tile.blinder for a, tile in zip(at_point, self.tiles, strict=True))
        return found, blinder % P

    def _dense(self, t: int) -> Vec:
        tile = self.tiles[t]
        untouched = tile.is_dense and not tile.runs and tile.scattered is None
        return tile.small if untouched else tile.vector(self.kernels, self.k)

    def _upper(self) -> tuple[Vec, Vec]:
        """P and u of all tiles and w."""
        lower = {name: self.weights.lower(name, self.low) for _, name, _ in self.names}
        found = self.kernels.run_all(
            [
                partial(self.tiles[t].against, self.kernels, lower[name], self.k - self.low)
                for t, name, _ in self.names
            ]
        )
        return self._in_turn(found), self._in_turn([u for _, _, u in self.names])

    def _lower(self, point: Sequence[int], at_point: Vec) -> tuple[Vec, Vec]:
        """f_t(r, j) and A_t(r, j) of all tiles; at_point: each u(r)."""
        kernels, found = self.kernels, {t: self.kernels.zeros(1 << self.low) for t in self.small}
        for (t, name, _), value in zip(self.names, kernels.to_ints(at_point), strict=True):
            kernels.add_scaled(found[t], value, self.weights.lower(name, self.low))
        tiles = [partial(self.tiles[t].bound, kernels, point, self.low) for t in self.small]
        bound = kernels.run_all(tiles)
        return self._in_turn(bound), self._in_turn(list(found.values()))

    def _in_turn(self, vectors: Sequence[Vec]) -> Vec:
        """Vectors of one length as one of which all fold at once: cell 0 of each, cell 1, ..."""
        length = len(vectors[0])
        order = np.arange(len(vectors) * length).reshape(len(vectors), length).T.reshape(-1)
        found: Vec = self.kernels.concat(vectors)[order]
        return found


def combine(kernels: Kernels, found: Vec, rows: Sequence[Int64s], factors: Sequence[int]) -> None:
    """found += sum_i factors[i] rows[i]."""
    scale = kernels.from_ints(factors)

    def add(start: int) -> None:
        columns = np.stack([row[start : start + WIDE] for row in rows])
        part = kernels.small_matvec(columns.T, scale)
        kernels.add_scaled(found[start : start + len(part)], 1, part)

    kernels.run_all([partial(add, start) for start in range(0, len(found), WIDE)])
