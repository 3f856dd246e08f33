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
TERM_GAS, CUT_GAS = 250, 1_000
ONE_SLICE = 1 << 14  # up to so many rows they are all in one slice


def bits_for(length: int) -> int:
    """ceil(log2(length))."""
    return (length - 1).bit_length()


@dataclass(frozen=True)
class Box:
    """Per axis: base and bits of a dyadic interval. `cut`: of the first axis only so many are there
    (0: all), so that the box' cells are the first of its 2^size_bits."""

    base: tuple[int, ...]
    bits: tuple[int, ...]
    cut: int = 0

    @property
    def size_bits(self) -> int:
        return sum(self.bits)

    @property
    def first(self) -> int:
        """Indices of the first axis."""
        return self.cut or 1 << self.bits[0]

    @property
    def cells(self) -> int:
        return self.first << self.size_bits - self.bits[0]

    def halves(self) -> tuple[Box, Box]:
        """Both halves along the first axis longer than 1."""
        axis = next(i for i, b in enumerate(self.bits) if b)
        bits = (*self.bits[:axis], self.bits[axis] - 1, *self.bits[axis + 1 :])
        upper = (*self.base[:axis], self.base[axis] + (1 << bits[axis]), *self.base[axis + 1 :])
        if self.cut:
            return Box(self.base, bits), leading(upper, self.cut - (1 << bits[0]), bits[1:])
        return Box(self.base, bits), Box(upper, bits)


def leading(base: tuple[int, ...], length: int, bits: tuple[int, ...]) -> Box:
    """One box of so many indices of the first axis, cut unless they are a power of two."""
    first = bits_for(length)
    return Box(base, (first, *bits), 0 if length == 1 << first else length)


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


def boxes(shape: Sequence[int], k: int, cut: bool = False) -> list[Box]:
    """The dyadic boxes of a shape, halved until each fits a tile; with its first axis in one
    piece, if it is to be cut."""
    found = []
    firsts = [(0, 0)] if cut else dyadic(shape[0])
    for parts in cartesian(firsts, *(dyadic(length) for length in shape[1:])):
        base, bits = tuple(b for b, _ in parts), tuple(b for _, b in parts)
        pending = [leading(base, shape[0], bits[1:]) if cut else Box(base, bits)]
        while pending:
            box = pending.pop()
            if box.size_bits > k:
                pending.extend(reversed(box.halves()))
            else:
                found.append(box)
    return found


def worth_cutting(shape: Sequence[int], terms: int, k: int | None = None) -> bool:
    """Whether what is seen in so many terms a box is laid out with its first axis in one piece: one
    kernel more for the terms of the boxes that this saves and, in tiles of 2^k, the cells that may
    stay empty after it."""
    if shape[0] & shape[0] - 1 == 0:
        return False
    boxes, inner = 1, cell_count(shape[1:])
    for length in shape[1:]:
        boxes *= length.bit_count()
    empty = 0 if k is None else ((1 << bits_for(shape[0])) - shape[0]) * inner
    saved = TERM_GAS * terms * boxes * (shape[0].bit_count() - 1)
    return saved > CUT_GAS + (TILE_GAS * empty >> (k or 0))


def whole(length: int, k: int) -> int:
    """The length to which one of the lookup's own columns is filled up with zeros, which no
    identity reads: whatever costs least, boxes (two factors, a term) or cells (a part of a
    tile)."""
    lengths = (-(-length >> bits) << bits for bits in range(length.bit_length() + 1))
    return min(lengths, key=lambda cells: (BOX_GAS * cells.bit_count() << k) + TILE_GAS * cells)


class Space:
    """Addresses below a limit, taken by boxes: each at a multiple of its 2^size_bits, the first
    where its cells are free."""

    def __init__(self, limit: int) -> None:
        self.free = [(0, limit)]
        self.used = 0

    def reserve(self, at: int, count: int) -> None:
        """Takes what is free of so many addresses."""
        left = [part for s, e in self.free for part in ((s, min(e, at)), (max(s, at + count), e))]
        self.free = [part for part in left if part[0] < part[1]]

    def take(self, box: Box) -> int | None:
        """The first address; None if there is none."""
        for i, (start, end) in enumerate(self.free):
            at = -(-start >> box.size_bits) << box.size_bits
            after = at + box.cells
            if after <= end:
                left = ((start, at), (after, end))
                self.free[i : i + 1] = [part for part in left if part[0] < part[1]]
                self.used += box.cells
                return at
        return None


class Group:
    """Tiles filled from the front, largest block first."""

    def __init__(self, first_tile: int, k: int) -> None:
        self.first, self.k, self.wanted = first_tile, k, list[tuple[int, object, Box]]()
        self.given: list[tuple[int, object, Box]] = []

    def give(self, owner: object, at: int, box: Box) -> None:
        """A box whose address is known."""
        self.given.append((at, owner, box))

    def want(self, owner: object, shape: Sequence[int], cut: bool = False) -> None:
        self.wanted += [(-box.size_bits, owner, box) for box in boxes(shape, self.k, cut)]

    def place(self, into: dict[object, list[Block]]) -> int:
        """Places what was wanted; the number of tiles used."""
        end = max((at + box.cells for at, _, box in self.given), default=0)
        space, placed = Space(end + (len(self.wanted) + 1 << self.k)), list(self.given)
        for at, _, box in self.given:
            space.reserve(at, box.cells)
        for _, owner, box in sorted(self.wanted, key=lambda w: w[0]):
            found = space.take(box)
            if found is None:
                raise ValueError("a box larger than a tile")
            placed.append((found, owner, box))
        for at, owner, box in placed:
            tile, offset = divmod(at, 1 << self.k)
            into.setdefault(owner, []).append(Block(self.first + tile, offset, box))
            end = max(end, at + box.cells)
        return -(-end >> self.k)


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


def place_rows(
    lookups: Sequence[Lookup], k: int, cut: Sequence[bool], keys: Sequence[tuple[int, ...]]
) -> tuple[list[Slot], list[Space], int]:
    """K slices of L rows each: the largest box left, of one size in the order of their lookups'
    keys, goes to the first slice that has room for it, else both its halves go back. `cut`: whose
    first axes are cut. The slices, for the rows that are left, and L."""
    pending: dict[int, list[tuple[int, Box]]] = {}
    for i in sorted(range(len(lookups)), key=lambda i: keys[i]):
        for box in boxes(lookups[i].axes, k, cut[i]):
            pending.setdefault(box.size_bits, []).append((i, box))
    rows = slice_rows(lookups)
    slices, slots = [Space(rows) for _ in range(slice_count(lookups))], []
    for size in sorted(range(max(pending) + 1), reverse=True):
        for i, box in sorted(pending.pop(size, []), key=lambda p: keys[p[0]]):
            for number, space in enumerate(slices):
                row = space.take(box)
                if row is not None:
                    slots.append(Slot(i, box, number, row))
                    break
            else:
                for half in box.halves():
                    pending.setdefault(half.size_bits, []).append((i, half))
    return slots, slices, rows


def _row_count(lookups: Sequence[Lookup]) -> int:
    return sum(cell_count(lookup.axes) for lookup in lookups)


def cell_count(axes: Sequence[int]) -> int:
    size = 1
    for length in axes:
        size *= length
    return size
