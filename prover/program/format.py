"""The verifier section: what is hashed is what the verifier reads (docs/protocol/format.md).

Plain integers only: `verify.py` imports this. `parse` keeps the verifier total on any bytes; it
says nothing of soundness.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property
from typing import TypeAlias

from prover.errors import BadProgram

RECORD = 32
MAGIC, VERSION = b"EINP", 1
SLICES = 4  # K at most
SCALAR_SIDE = 0xFFFF
CONSTANT, PAIR = 8, 4  # bytes
MAX_VALUES = 1 << 15  # a pair's first id has 15 bits
MASK1_POWERS, MASK2_POWERS = 8, 4  # cells a variable, a power of two above the degree
OPENING_BYTES = 640


class Source(IntEnum):
    RHO = 0
    R = 1
    Y = 2


class Kind(IntEnum):
    EQ = 1
    CUT = 2
    SHIFT = 3
    POWER = 4
    INDEX = 5


@dataclass(frozen=True)
class Span:
    """Coordinates [first, first + bits) of a point."""

    source: Source
    first: int
    bits: int

    def of(self, points: tuple[list[int], list[int], list[int]]) -> list[int]:
        return points[self.source][self.first : self.first + self.bits]

    def last(self, bits: int) -> Span:
        return Span(self.source, self.first + self.bits - bits, bits)


NOWHERE = Span(Source.RHO, 0, 0)


@dataclass(frozen=True)
class Kernel:
    kind: Kind
    p: Span = NOWHERE
    y: Span = NOWHERE
    const: int = 0
    shift: int = 0

    @property
    def values(self) -> int:
        """What its record gives: of EQ and INDEX a value for each number of last coordinates."""
        return self.p.bits if self.kind in (Kind.EQ, Kind.INDEX) else 1

    def last(self, bits: int) -> Kernel:
        """Of EQ or INDEX: that of the last so many coordinates."""
        return replace(self, p=self.p.last(bits), y=self.y.last(min(bits, self.y.bits)))


# For every four coordinates of lookup rows (the last n_f of r), then of y, a heap: entry 2^j + x is
# eq of the first j of them with the bits of x (docs/protocol/format.md#values).
NODE_BITS = 4
HEAP = 2 << NODE_BITS


def heaps(coordinates: int) -> int:
    return -(-coordinates // NODE_BITS)


def heap_values(n_f: int, k: int) -> int:
    return HEAP * (heaps(n_f) + heaps(k))


@dataclass(frozen=True)
class PublicAxis:
    """w(y) = eq(p, y - shift) where 0 <= y - shift < n, for y < length."""

    p: Span
    length: int
    shift: int
    n: int


@dataclass(frozen=True)
class PublicView:
    side: int  # 0 input, 1 output
    offset: int
    axes: tuple[PublicAxis, ...]


@dataclass(frozen=True)
class ContractionRecord:
    relation: int
    variables: int
    kernels: tuple[int, ...]


Pair: TypeAlias = tuple[int, int]  # two values' ids: their product
Sum: TypeAlias = tuple[Pair, ...]  # of products


@dataclass(frozen=True)
class VerifierProgram:
    """The header's fields by name, then the tables."""

    k: int
    fixed_tiles: int
    input_bytes: int
    output_bytes: int
    input_tiles: int
    output_tiles: int
    stage1_tiles: int
    stage2_tiles: int
    relations: int
    n: int
    n_f: int
    n_t: int
    rho_length: int
    c_max: int
    rows: int
    table_rows: int
    slices: int  # K
    mask1: tuple[int, int]  # tile, offset
    mask2: tuple[int, int]
    kernels: tuple[Kernel, ...]
    views: tuple[PublicView, ...]
    contractions: tuple[ContractionRecord, ...]
    constants: tuple[int, ...]
    products: tuple[Pair, ...]
    sums: tuple[Sum, ...]

    @property
    def mu(self) -> int:
        return len(self.contractions).bit_length()  # ceil(log2(C + 1))

    # values by id: 1, coordinates', heaps, kernels', views', scales, constants, products, sums
    @property
    def first_heap(self) -> int:
        return 1 + 2 * (self.rho_length + self.n + self.k)

    @property
    def first_kernel(self) -> int:
        return self.first_heap + heap_values(self.n_f, self.k)

    @cached_property  # the only one that counts: it is asked for by every id
    def first_view(self) -> int:
        return self.first_kernel + sum(kernel.values for kernel in self.kernels)

    @property
    def first_scale(self) -> int:
        return self.first_view + len(self.views)

    @property
    def first_constant(self) -> int:
        return self.first_scale + self.scales

    @property
    def first_product(self) -> int:
        return self.first_constant + len(self.constants)

    @property
    def first_sum(self) -> int:
        return self.first_product + len(self.products)

    @property
    def values(self) -> int:
        return self.first_sum + len(self.sums)

    def given(self, place: Kernel) -> int:
        """The value of EQ of a span with a constant: a coordinate's, or a node of a heap."""
        source, at, bits = place.p.source, place.p.first, place.p.bits
        if bits == 1:
            first = (0, self.rho_length, self.rho_length + self.n)[source]
            return 1 + 2 * (first + at) + place.const
        heap = at // NODE_BITS + heaps(self.n_f)
        if source == Source.R:
            heap = (at - (self.n - self.n_f)) // NODE_BITS
        return self.first_heap + HEAP * heap + (1 << bits) + place.const

    def kernel(self, number: int) -> Kernel:
        """The kernel of a contraction, by its value's id: the constant 1, or of a record."""
        if number == 0:
            return Kernel(Kind.EQ)
        number -= self.first_kernel
        for kernel in self.kernels:
            if number < kernel.values:
                return kernel.last(number + 1) if kernel.kind in (Kind.EQ, Kind.INDEX) else kernel
            number -= kernel.values
        raise KeyError(number)

    # tile numbers
    @property
    def input_tile(self) -> int:
        return self.fixed_tiles

    @property
    def stage1_tile(self) -> int:
        return self.fixed_tiles + self.input_tiles + self.output_tiles

    @property
    def stage2_tile(self) -> int:
        return self.stage1_tile + self.stage1_tiles

    @property
    def e_tile(self) -> int:
        return self.stage2_tile + self.stage2_tiles

    @property
    def tiles(self) -> int:
        return self.e_tile + 3

    # scales
    @property
    def scale_tables(self) -> int:
        return self.relations + self.slices * (self.c_max + 1)

    @property
    def scale_helpers(self) -> int:
        return self.scale_tables + self.c_max + 1

    @property
    def scale_sides(self) -> int:
        return self.scale_helpers + 3

    @property
    def scales(self) -> int:
        return self.scale_sides + 2 * len(self.contractions)

    @property
    def proof_bytes(self) -> int:
        points = self.stage1_tiles + self.stage2_tiles + 3
        lookups = self.n * (self.slices + 2) + self.slices + 4
        scalars = 1 + lookups + 1 + 3 * self.mu + 2 + 1 + 2 * self.k
        return 64 * points + 32 * scalars + OPENING_BYTES

    @property
    def section_bytes(self) -> int:
        records = len(self.kernels) + 2 * len(self.views) + len(self.contractions)
        pairs = len(self.products) + sum(map(len, self.sums))
        return RECORD * (4 + records) + CONSTANT * len(self.constants) + PAIR * pairs


def serialize(v: VerifierProgram) -> bytes:
    """The verifier section of docs/protocol/format.md."""
    out = bytearray(v.section_bytes)

    def put(at: int, width: int, value: int) -> None:
        out[at : at + width] = value.to_bytes(width, "big", signed=value < 0)

    out[0:4] = MAGIC
    fields = [(4, 2, VERSION), (6, 1, v.k), (7, 1, v.slices), (8, 2, v.fixed_tiles)]
    fields += [(10, 4, v.section_bytes), (14, 4, v.input_bytes), (18, 4, v.output_bytes)]
    fields += [(22, 2, v.input_tiles), (24, 2, v.output_tiles), (26, 2, v.stage1_tiles)]
    fields += [(28, 2, v.stage2_tiles), (32, 2, v.relations), (34, 2, len(v.contractions))]
    fields += [(36, 2, len(v.kernels)), (38, 2, len(v.views))]
    pairs = sum(map(len, v.sums))
    fields += [(40, 2, PAIR * len(v.products) // RECORD), (78, 2, PAIR * pairs // RECORD)]
    fields += [(76, 2, CONSTANT * len(v.constants) // RECORD), (80, 2, len(v.sums))]
    fields += [(82, 2, v.first_view - v.first_kernel)]
    fields += [(42, 1, v.n), (43, 1, v.mu), (44, 1, v.n_f), (45, 1, v.n_t), (46, 1, v.rho_length)]
    fields += [(47, 1, v.c_max), (48, 4, v.rows), (52, 4, v.table_rows)]
    fields += [(64, 2, v.mask1[0]), (66, 4, v.mask1[1]), (70, 2, v.mask2[0]), (72, 4, v.mask2[1])]
    for at, width, value in fields:
        put(at, width, value)
    at = 4 * RECORD
    for kernel in v.kernels:
        put(at, 1, kernel.kind)
        for start, span in ((1, kernel.p), (4, kernel.y)):
            for i, value in enumerate((span.source, span.first, span.bits)):
                put(at + start + i, 1, value)
        put(at + 8, 4, kernel.const)
        put(at + 12, 4, kernel.shift)
        at += RECORD
    for view in v.views:
        put(at, 1, view.side)
        put(at + 1, 1, len(view.axes))
        put(at + 2, 4, view.offset)
        for i, axis in enumerate(view.axes):
            start = at + RECORD + 8 * i
            put(start, 1, axis.p.source << 6 | axis.p.bits)
            put(start + 1, 1, axis.p.first)
            put(start + 2, 2, axis.length)
            put(start + 4, 2, axis.shift)
            put(start + 6, 2, axis.n)
        at += 2 * RECORD
    for contraction in v.contractions:
        put(at, 2, contraction.relation)
        put(at + 2, 1, contraction.variables)
        for i, kernel_id in enumerate(contraction.kernels):
            put(at + 4 + 2 * i, 2, kernel_id)
        at += RECORD
    for constant in v.constants:
        put(at, CONSTANT, constant)
        at += CONSTANT
    ends = [(pair, False) for pair in v.products]
    ends += [(pair, i == len(s)) for s in v.sums for i, pair in enumerate(s, 1)]
    for (left, right), is_last in ends:
        put(at, 2, left | is_last << 15)
        put(at + 2, 2, right)
        at += PAIR
    return bytes(out)


def _check(condition: bool, code: int) -> None:
    if not condition:
        raise BadProgram(code)


def parse(data: bytes) -> VerifierProgram:
    """The section's tables, every bound that the verifier relies on checked; raises BadProgram."""

    def get(at: int, width: int, signed: bool = False) -> int:
        return int.from_bytes(data[at : at + width], "big", signed=signed)

    _check(min(len(data), get(10, 4)) >= 4 * RECORD and data[0:4] == MAGIC, 1)
    slices = get(7, 1)
    _check(get(4, 2) == VERSION and 1 <= slices <= SLICES, 1)
    k, n, mu, n_f, n_t, rho = get(6, 1), get(42, 1), get(43, 1), get(44, 1), get(45, 1), get(46, 1)
    rows, table_rows, relations, c_max = get(48, 4), get(52, 4), get(32, 2), get(47, 1)
    contractions, kernels, views = get(34, 2), get(36, 2), get(38, 2)
    products, constants, pairs, sums, kernel_values = (get(at, 2) for at in (40, 76, 78, 80, 82))
    _check(6 <= k <= 28 and 1 <= n <= 40 and max(n_f, n_t) <= n and rho <= 64, 2)
    _check(rows < 1 << n_f and table_rows < 1 << n_t, 2)
    _check(1 <= mu == contractions.bit_length() <= min(12, k - 1), 2)
    size = RECORD * (4 + kernels + 2 * views + contractions + constants + products + pairs)
    _check(get(10, 4) == size and len(data) >= size, 3)
    input_tiles, output_tiles, stage1, stage2 = get(22, 2), get(24, 2), get(26, 2), get(28, 2)
    sides = (get(14, 4) - 64 * input_tiles, get(18, 4) - 64 * output_tiles)
    tiles = get(8, 2) + input_tiles + output_tiles + stage1 + stage2 + 3
    _check(min(sides) >= 0 and min(stage1, stage2) >= 1 and tiles < SCALAR_SIDE, 4)
    masks = ((get(64, 2), get(66, 4)), (get(70, 2), get(72, 4)))
    widths = (MASK1_POWERS << (n - 1).bit_length(), MASK2_POWERS << (mu - 1).bit_length())
    for (tile, offset), width in zip(masks, widths, strict=True):
        _check(tile < tiles and offset % width == 0 and offset + width <= 1 << k, 5)
    lengths = (rho, n, k)
    at = 4 * RECORD

    def span(source: int, first: int, bits: int, code: int) -> Span:
        _check(source <= 2 and first + bits <= lengths[source], code)
        return Span(Source(source), first, bits)

    kernel_list = []
    for _ in range(kernels):
        _check(1 <= data[at] <= 5, 6)
        p = span(data[at + 1], data[at + 2], data[at + 3], 6)
        y = span(data[at + 4], data[at + 5], data[at + 6], 6)
        kernel = Kernel(Kind(data[at]), p, y, get(at + 8, 4), get(at + 12, 4, True))
        if kernel.kind in (Kind.CUT, Kind.SHIFT):
            _check(kernel.const <= 1 << kernel.p.bits, 6)
        _check(kernel.kind != Kind.EQ or p.bits == y.bits, 6)
        kernel_list.append(kernel)
        at += RECORD
    _check(sum(kernel.values for kernel in kernel_list) == kernel_values, 6)
    view_list = []
    for _ in range(views):
        side, count, offset = data[at], data[at + 1], get(at + 2, 4)
        _check(side <= 1 and 1 <= count <= 4, 7)
        axes, cells = [], 1
        for start in range(at + RECORD, at + RECORD + 8 * count, 8):
            bits, length, shift = data[start] & 63, get(start + 2, 2), get(start + 4, 2, True)
            axis = PublicAxis(
                span(data[start] >> 6, data[start + 1], bits, 7), length, shift, get(start + 6, 2)
            )
            _check(bits <= 10 and axis.n <= 1 << bits and length >= 1, 7)
            cells *= axis.length
            axes.append(axis)
        _check(cells <= 1024 and offset + 2 * cells <= sides[side], 7)
        view_list.append(PublicView(side, offset, tuple(axes)))
        at += 2 * RECORD
    first_kernel = 1 + 2 * (rho + n + k) + heap_values(n_f, k)
    first_view = first_kernel + kernel_values
    contraction_list = []
    for _ in range(contractions):
        ids = tuple(get(start, 2) for start in (at + 4, at + 6, at + 8))
        record = ContractionRecord(get(at, 2), data[at + 2], ids)
        _check(record.relation < relations and record.variables <= n, 8)
        _check(all(i == 0 or first_kernel <= i < first_view for i in ids), 8)
        contraction_list.append(record)
        at += RECORD
    scales = relations + (slices + 1) * (c_max + 1) + 3 + 2 * contractions
    constant_list = [get(at + CONSTANT * i, CONSTANT, True) for i in range(constants * 4)]
    at += RECORD * constants
    number = first_view + views + scales + len(constant_list)  # of the value that is made next
    product_list, sum_list, parts = list[Pair](), list[Sum](), list[Pair]()
    for start in range(at, at + RECORD * (products + pairs), PAIR):
        left, right = get(start, 2), get(start + 2, 2)
        is_sum = start >= at + RECORD * products
        is_last, left = is_sum and left >= MAX_VALUES, left & MAX_VALUES - 1 if is_sum else left
        _check(max(left, right) < number, 9)
        if is_sum:
            parts.append((left, right))
        else:
            product_list.append((left, right))
        if is_last:
            sum_list.append(tuple(parts))
            parts = []
        number += is_last or not is_sum
    _check(not parts and len(sum_list) == sums > tiles - 3 and number <= MAX_VALUES, 9)
    return VerifierProgram(
        k, get(8, 2), get(14, 4), get(18, 4), input_tiles, output_tiles, stage1, stage2,
        relations, n, n_f, n_t, rho, c_max, rows, table_rows, slices, masks[0], masks[1],
        tuple(kernel_list), tuple(view_list), tuple(contraction_list),
        tuple(constant_list), tuple(product_list), tuple(sum_list),
    )  # fmt: skip
