"""Where cells and lookup rows stand: dyadic boxes, blocks of tiles, slots of slices.

No padding is stored: a tensor is a product of dyadic boxes (768 = 512 + 256), each at most a tile,
placed largest first, so that every box is an aligned sub-cube of one tile
(docs/protocol/layout.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product as cartesian

from prover.program import format as fmt
from prover.program.relations import Lookup

# Up to so many rows, their number is rounded to so many leading bits: fewer, larger boxes (less
# gas, up to 50,000) beat fewer rows.
WHOLE_BOXES = ((1 << 10, 2), (1 << 16, 4))
BOX_GAS, TILE_GAS = 1_000, 7_400
ONE_SLICE = 1 << 14  # up to so many rows they are all in one slice


def bits_for(length: int) -> int:
    """ceil(log2(length))."""
    return (length - 1).bit_length()


@dataclass(frozen=True)
class Box:
    """Per axis: base and bits of a dyadic interval."""

    base: tuple[int, ...]
    bits: tuple[int, ...]

    @property
    def size_bits(self) -> int:
        return sum(self.bits)

    def halves(self) -> tuple[Box, Box]:
        """Both halves along the first axis longer than 1."""
        axis = next(i for i, b in enumerate(self.bits) if b)
        bits = (*self.bits[:axis], self.bits[axis] - 1, *self.bits[axis + 1 :])
        upper = self.base[axis] + (1 << bits[axis])
        return Box(self.base, bits), Box((*self.base[:axis], upper, *self.base[axis + 1 :]), bits)


@dataclass(frozen=True)
class Block:
    """A box of a tensor's cells at an aligned offset of a tile; row-major inside."""

    tile: int
    offset: int
    box: Box


def dyadic(length: int) -> list[tuple[int, int]]:
    """(base, bits) of the binary expansion of a length, largest first."""
    parts, base = [], 0
    for bit in reversed(range(length.bit_length())):
        if length >> bit & 1:
            parts.append((base, bit))
            base += 1 << bit
    return parts


def boxes(shape: Sequence[int], k: int) -> list[Box]:
    """The dyadic boxes of a shape, halved until each fits a tile."""
    found = []
    for parts in cartesian(*(dyadic(length) for length in shape)):
        pending = [Box(tuple(b for b, _ in parts), tuple(b for _, b in parts))]
        while pending:
            box = pending.pop()
            if box.size_bits > k:
                pending.extend(reversed(box.halves()))
            else:
                found.append(box)
    return found


def whole(length: int, k: int) -> int:
    """The length to which one of the lookup's own columns is filled up with zeros, which no
    identity reads: whatever costs least, boxes (two factors, a term) or cells (a part of a
    tile)."""
    lengths = (-(-length >> bits) << bits for bits in range(length.bit_length() + 1))
    return min(lengths, key=lambda cells: (BOX_GAS * cells.bit_count() << k) + TILE_GAS * cells)


class Group:
    """Tiles filled from the front, largest block first: every block then is aligned to its size."""

    def __init__(self, first_tile: int, k: int) -> None:
        self.first, self.k, self.wanted = first_tile, k, list[tuple[int, object, Box]]()

    def want(self, owner: object, shape: Sequence[int]) -> None:
        self.wanted += [(-box.size_bits, owner, box) for box in boxes(shape, self.k)]

    def place(self, into: dict[object, list[Block]]) -> int:
        """Places what was wanted; the number of tiles used."""
        at = 0
        for negative_bits, owner, box in sorted(self.wanted, key=lambda w: w[0]):
            tile, offset = divmod(at, 1 << self.k)
            into.setdefault(owner, []).append(Block(self.first + tile, offset, box))
            at += 1 << -negative_bits
        return -(-at >> self.k)


@dataclass(frozen=True)
class Slot:
    """Where a box of a lookup's rows stands: slice, first row."""

    lookup: int
    box: Box
    slice: int
    row: int


def slice_count(lookups: Sequence[Lookup]) -> int:
    """K: one slice for few rows. A round then sends 3 scalars, not 6, and no box is halved; but
    the helper H is of all rows, not of a quarter, and each of its cells costs the prover about a
    microsecond."""
    return 1 if _row_count(lookups) <= ONE_SLICE else fmt.SLICES


def slice_rows(lookups: Sequence[Lookup]) -> int:
    """L: ceil(N/K), or a little more where that keeps boxes whole."""
    slices = slice_count(lookups)
    rows = -(-_row_count(lookups) // slices)
    if slices == 1:
        return rows
    for most, bits in WHOLE_BOXES:
        if rows <= most:
            step = 1 << max(rows.bit_length() - bits, 0)
            return -(-rows // step) * step
    return rows


def place_rows(lookups: Sequence[Lookup], k: int) -> tuple[list[Slot], int]:
    """K slices of L rows each: the largest box left goes to the emptiest slice if that
    then holds at most L rows, else both its halves go back. Sizes never grow, so rows stay
    aligned."""
    pending: dict[int, list[tuple[int, Box]]] = {}
    for i, lookup in enumerate(lookups):
        for box in boxes(lookup.axes, k):
            pending.setdefault(box.size_bits, []).append((i, box))
    rows = slice_rows(lookups)
    fill, slots = [0] * slice_count(lookups), []
    for size in sorted(range(max(pending) + 1), reverse=True):
        for i, box in pending.pop(size, []):
            emptiest = fill.index(min(fill))
            if fill[emptiest] + (1 << size) <= rows:
                slots.append(Slot(i, box, emptiest, fill[emptiest]))
                fill[emptiest] += 1 << size
            else:
                pending.setdefault(size - 1, []).extend((i, half) for half in box.halves())
    return slots, rows


def _row_count(lookups: Sequence[Lookup]) -> int:
    return sum(cell_count(lookup.axes) for lookup in lookups)


def cell_count(axes: Sequence[int]) -> int:
    size = 1
    for length in axes:
        size *= length
    return size
