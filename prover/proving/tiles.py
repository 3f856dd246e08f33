"""Tiles as the prover holds them: small integers, a few field elements among them, a blinder."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from prover.commitment import commit
from prover.curve import Affine
from prover.errors import PointAtInfinity
from prover.field import P
from prover.kernels.interface import Kernels, Rows, Vec
from prover.program.addresses import Block
from prover.program.evaluate import Ints, Stored
from prover.program.ir import Role
from prover.program.layout import Layout
from prover.srs import Srs

LEAST_PICKED = 13  # 2^13 cells: below it one sum for all of a tile is faster
NOTHING: Ints = np.zeros(0, dtype=np.int64)


@dataclass
class Tile:
    """cells = small + runs + scattered.

    small: integers (int64, weights int16 where they fit) of 2^k, none for zeros, or a dense vector
    of field elements; runs: field elements from a first cell on; scattered: field elements at the
    cells of an array. picked: where small is dense and its cells from a first one on are known to
    be sums of few distinct elements (Kernels.pick): what the commitment is made of.
    """

    small: Ints | Vec
    blinder: int
    runs: list[tuple[int, Vec]] = field(default_factory=list)
    scattered: tuple[Ints, Vec] | None = None
    picked: list[tuple[int, Vec, Rows]] = field(default_factory=list)

    @property
    def is_dense(self) -> bool:
        return bool(self.small.dtype.kind != "i")

    def vector(self, kernels: Kernels, k: int) -> Vec:
        """All 2^k cells as field elements, in a new vector."""
        found = kernels.zeros(1 << k)
        if not self.is_dense and len(self.small):
            found[:] = kernels.from_int64(self.small)
        self.add_elements(kernels, found, 1, [1])
        return found

    def add_elements(self, kernels: Kernels, found: Vec, factor: int, top: Sequence[int]) -> None:
        """found += factor * the cells that are field elements, the first coordinates bound: top has
        the weights of their values."""
        left = (len(found) - 1).bit_length()
        for start, cells in [*([(0, self.small)] if self.is_dense else []), *self.runs]:
            for high, at, part in pieces(start, cells, left):
                kernels.add_scaled(found[at : at + len(part)], factor * top[high] % P, part)
        if self.scattered:
            places, cells = self.scattered
            for high, chosen in by_top(places, left):
                where = places[chosen] & (1 << left) - 1
                part = kernels.scale(cells[chosen], factor * top[high] % P)
                found[where] = kernels.add(found[where], part)

    def against(self, kernels: Kernels, weights: Vec, high: int) -> Vec:
        """sum_j f(i, j) weights[j] for every i, the first `high` coordinates; not of a dense
        tile."""
        left = (len(weights) - 1).bit_length()
        if len(self.small):
            found = kernels.small_matvec(self.small.reshape(1 << high, -1), weights)
        else:
            found = kernels.zeros(1 << high)
        more: dict[int, int] = {}
        for start, cells in self.runs:
            for row, at, part in pieces(start, cells, left):
                more[row] = more.get(row, 0) + kernels.inner(part, weights[at : at + len(part)])
        if self.scattered:
            places, cells = self.scattered
            for row, chosen in by_top(places, left):
                where = places[chosen] & (1 << left) - 1
                more[row] = more.get(row, 0) + kernels.inner(cells[chosen], weights[where])
        if more:
            rows = np.array(sorted(more), dtype=np.int64)
            extra = kernels.from_ints([more[int(row)] for row in rows])
            found[rows] = kernels.add(found[rows], extra)
        return found

    def bound(self, kernels: Kernels, point: Sequence[int], left: int) -> Vec:
        """f(point, j) for every j, the last `left` coordinates; not of a dense tile."""
        top = kernels.eq_table(point)
        if len(self.small):
            found = kernels.small_matvec(self.small.reshape(len(top), -1).T, top)
        else:
            found = kernels.zeros(1 << left)
        if self.runs or self.scattered:
            self.add_elements(kernels, found, 1, kernels.to_ints(top))
        return found

    def commit(self, kernels: Kernels, srs: Srs, k: int) -> Affine:
        point = commit(
            kernels, srs, self.small, self.blinder, k, self.runs, self.scattered, self.picked
        )
        if point is None:
            raise PointAtInfinity
        return point


def pieces(start: int, cells: Vec, left: int) -> Iterator[tuple[int, int, Vec]]:
    """Neighbouring cells cut where the coordinates above the last `left` change: (their value, the
    first cell below them, the cells)."""
    done = 0
    while done < len(cells):
        high, at = divmod(start + done, 1 << left)
        part = cells[done : done + (1 << left) - at]
        yield high, at, part
        done += len(part)


def by_top(at: Ints, left: int) -> Iterator[tuple[int, Ints]]:
    """Cells by the value of the coordinates above the last `left`: (it, the places in `at`)."""
    high = at >> left
    for value in np.unique(high):
        yield int(value), np.flatnonzero(high == value)


def constant(kernels: Kernels, value: int, count: int) -> Vec:
    """`count` copies of a field element."""
    cells = kernels.zeros(count)
    cells[:] = kernels.from_ints([value])
    return cells


def put(tile: Ints, block: Block, values: Stored) -> None:
    """Copies a tensor's box to its place."""
    inside = values[
        tuple(slice(b, b + (1 << s)) for b, s in zip(block.box.base, block.box.bits, strict=True))
    ]
    tile[block.offset : block.offset + inside.size] = inside.reshape(-1)


def small_tiles(
    layout: Layout,
    first: int,
    count: int,
    values: Mapping[int, Stored],
    *roles: Role,
    narrow: Container[int] = (),
) -> list[Ints]:
    """The integer cells of `count` tiles from `first`, from the tensors of the given roles; narrow:
    the tiles that 16 bits are enough for."""
    kinds = (np.int16 if first + t in narrow else np.int64 for t in range(count))
    tiles: list[Ints] = [np.zeros(1 << layout.k, dtype=kind) for kind in kinds]
    for i, tensor in enumerate(layout.relations.tensors):
        if tensor.role in roles:
            for block in layout.blocks[i]:
                put(tiles[block.tile - first], block, values[i])
    return tiles


def helper_tiles(
    kernels: Kernels, layout: Layout, *columns: tuple[str, Vec, tuple[Vec, Rows] | None]
) -> list[Tile]:
    """The tiles of columns of field elements, by name, blinders still to come. A column may come
    with what its cells are sums of (Kernels.pick); a block that fills a tile is not copied."""
    v = layout.verifier
    tiles: list[Tile | None] = [None] * v.stage2_tiles
    for name, column, sources in columns:
        for block in layout.blocks[name]:
            (start,), (bits,) = block.box.base, block.box.bits
            cells, t = column[start : start + (1 << bits)], block.tile - v.stage2_tile
            tile = tiles[t] or Tile(cells if bits == v.k else kernels.zeros(1 << v.k), 0)
            if bits < v.k:
                tile.small[block.offset : block.offset + (1 << bits)] = cells
            if sources is not None and bits >= LEAST_PICKED:
                values, rows = sources
                tile.picked.append((block.offset, values, rows[:, start : start + (1 << bits)]))
            tiles[t] = tile
    return [tile or Tile(kernels.zeros(1 << v.k), 0) for tile in tiles]


def weight_tiles(layout: Layout, weights: Mapping[int, Stored]) -> list[Ints]:
    """The weight tiles' cells, in tile order, each in the integers that its weights need."""
    small, count = np.iinfo(np.int16), layout.weight_tiles
    large = (i for i, w in weights.items() if w.min() < small.min or small.max < w.max())
    wide = {block.tile for i in large for block in layout.blocks.get(i, ())}
    return small_tiles(layout, 0, count, weights, Role.WEIGHT, narrow=set(range(count)) - wide)


def table_tiles(layout: Layout) -> list[Ints]:
    """The public tables' cells: committed with blinder 0, so that anyone can recompute the
    points."""
    values = {
        i: np.array(t.values, dtype=np.int64).reshape(t.shape)
        for i, t in enumerate(layout.relations.tensors)
        if t.role == Role.TABLE
    }
    count = layout.verifier.fixed_tiles - layout.weight_tiles
    return small_tiles(layout, layout.weight_tiles, count, values, Role.TABLE)
