"""Tiles as the prover holds them: small integers, a few field elements among them, a blinder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from prover.commitment import commit
from prover.curve import Affine
from prover.errors import PointAtInfinity
from prover.kernels.interface import Kernels, Vec
from prover.program.addresses import Block
from prover.program.evaluate import Ints
from prover.program.ir import Role
from prover.program.layout import Layout
from prover.srs import Srs


@dataclass
class Tile:
    """cells = small + runs; `small` int64 of 2^k (or a dense vector of field elements)."""

    small: Ints | Vec
    blinder: int
    runs: list[tuple[int, Vec]] = field(default_factory=list)

    def vector(self, kernels: Kernels) -> Vec:
        """All 2^k cells as field elements, in a new vector."""
        if self.small.dtype.kind == "i":
            cells = kernels.from_int64(self.small)
        else:
            cells = kernels.concat([self.small])
        for start, run in self.runs:
            kernels.add_scaled(cells[start : start + len(run)], 1, run)
        return cells

    def commit(self, kernels: Kernels, srs: Srs, k: int) -> Affine:
        point = commit(kernels, srs, self.small, self.blinder, k, self.runs)
        if point is None:
            raise PointAtInfinity
        return point


def constant(kernels: Kernels, value: int, count: int) -> Vec:
    """`count` copies of a field element."""
    cells = kernels.zeros(count)
    cells[:] = kernels.from_ints([value])
    return cells


def put(tile: Ints, block: Block, values: Ints) -> None:
    """Copies a tensor's box to its place."""
    inside = values[
        tuple(slice(b, b + (1 << s)) for b, s in zip(block.box.base, block.box.bits, strict=True))
    ]
    tile[block.offset : block.offset + inside.size] = inside.reshape(-1)


def small_tiles(
    layout: Layout, first: int, count: int, values: Mapping[int, Ints], *roles: Role
) -> list[Ints]:
    """The integer cells of `count` tiles from `first`, from the tensors of the given roles."""
    tiles = [np.zeros(1 << layout.k, dtype=np.int64) for _ in range(count)]
    for i, tensor in enumerate(layout.relations.tensors):
        if tensor.role in roles:
            for block in layout.blocks[i]:
                put(tiles[block.tile - first], block, values[i])
    return tiles


def weight_tiles(layout: Layout, weights: Mapping[int, Ints]) -> list[Ints]:
    """The weight tiles' cells, in tile order."""
    return small_tiles(layout, 0, layout.weight_tiles, weights, Role.WEIGHT)


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
