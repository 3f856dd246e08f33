"""The source language: integer tensors, and gadgets from a closed list.

A program is what an auditor reads. Every tensor is a statement tensor, a weight, a public table,
or the output of exactly one gadget; `gadgets.py` expands a gadget into einsum and lookup
relations, `layout.py` gives cells their addresses. Indices are linear: a view's cell coordinate is
`x_axis + offset`, or `offset` alone (a fixed index). A coordinate outside the tensor reads as
zero, which makes shift, place and pad the same thing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TypeAlias

FIXED = -1  # an index with no axis


class Role(IntEnum):
    """Who knows a tensor, and who vouches for it."""

    INPUT = 1  # public, int16, in the statement
    OUTPUT = 2  # public, int16, in the statement
    INPUT_COMMITTED = 3  # its tiles' points are in the statement
    OUTPUT_COMMITTED = 4
    WEIGHT = 5  # committed once, at registration; secret
    TABLE = 6  # committed at registration; its values are in the program
    ACTIVATION = 7  # committed with each proof


STATEMENT = (Role.INPUT, Role.OUTPUT, Role.INPUT_COMMITTED, Role.OUTPUT_COMMITTED)
PUBLIC = (Role.INPUT, Role.OUTPUT)


@dataclass(frozen=True)
class Tensor:
    """Integers of a real (unpadded) shape, each in [lo, hi]."""

    name: str
    shape: tuple[int, ...]
    role: Role
    lo: int
    hi: int
    values: tuple[int, ...] = ()  # row-major, for Role.TABLE only

    @property
    def size(self) -> int:
        size = 1
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class Index:
    axis: int  # of the relation, or FIXED
    offset: int = 0


@dataclass(frozen=True)
class View:
    """One tensor seen from a relation's axes: an index for each axis of the tensor."""

    tensor: int
    index: tuple[Index, ...]


@dataclass(frozen=True)
class Affine:
    """sum coef * view + const, over the axes of a relation."""

    terms: tuple[tuple[int, View], ...] = ()
    const: int = 0

    @property
    def axes(self) -> frozenset[int]:
        return frozenset(i.axis for _, v in self.terms for i in v.index if i.axis != FIXED)


@dataclass(frozen=True)
class Contraction:
    """sum over summed axes of x * y."""

    x: Affine
    y: Affine


@dataclass(frozen=True)
class Expr:
    """`linear + sum of contractions`, for every point of the first `free` axes; further axes are
    summed."""

    axes: tuple[int, ...]
    free: int
    contractions: tuple[Contraction, ...] = ()
    linear: Affine = Affine()

    def summed(self, c: Contraction) -> tuple[int, ...]:
        return tuple(a for a in range(self.free, len(self.axes)) if a in c.x.axes | c.y.axes)

    def batch(self, c: Contraction) -> tuple[int, ...]:
        return tuple(a for a in range(self.free) if a in c.x.axes and a in c.y.axes)

    def x_free(self, c: Contraction) -> tuple[int, ...]:
        """Axes that only X carries; one that neither side names is X's, as a broadcast."""
        return tuple(a for a in range(self.free) if a not in c.y.axes)

    def y_free(self, c: Contraction) -> tuple[int, ...]:
        return tuple(a for a in range(self.free) if a in c.y.axes and a not in c.x.axes)


# -- gadgets: the closed list ----------------------------------------------------------------------


@dataclass(frozen=True)
class Linear:
    """out = expr, exactly."""

    out: int
    expr: Expr


@dataclass(frozen=True)
class Requantize:
    """out = floor(expr / 2^shift + 1/2), proved to lie in a signed range of `bits`."""

    out: int
    expr: Expr
    shift: int
    bits: int


@dataclass(frozen=True)
class Relu:
    """out = max(0, floor(expr / 2^shift + 1/2)); both signs proved to lie within `bits`
    unsigned."""

    out: int
    expr: Expr
    shift: int
    bits: int


@dataclass(frozen=True)
class Floor:
    """out = floor(x / 2^shift), proved by two tables: the index of one is x - 2^shift out, that of
    another is out, plus what is made before it."""

    out: int
    axes: tuple[int, ...]
    x: Affine
    shift: int

    @property
    def whole(self) -> View:
        return View(self.out, tuple(Index(a) for a in range(len(self.axes))))

    @property
    def rest(self) -> Affine:
        """x - 2^shift out."""
        return Affine((*self.x.terms, (-(1 << self.shift), self.whole)), self.x.const)


@dataclass(frozen=True)
class Table:
    """out[x] = table[index[x] - lo], a public function of one integer."""

    out: int
    axes: tuple[int, ...]
    index: Affine
    table: int
    lo: int


@dataclass(frozen=True)
class Gather:
    """out[x, :] = source[index[x], :]: whole rows of a committed, weight or table tensor."""

    out: int
    axes: tuple[int, ...]
    index: Affine
    source: int


@dataclass(frozen=True)
class Range:
    """Refuses a tensor that somebody else committed unless it lies in a signed range of `bits`."""

    tensor: int
    bits: int


@dataclass(frozen=True)
class Max:
    """out = the greatest x along the last axis; the greatest difference fits `bits` unsigned."""

    out: int
    axes: tuple[int, ...]
    x: Affine
    bits: int


@dataclass(frozen=True)
class Argmax:
    """out = where the greatest x along the last axis first stands; the greatest difference fits
    `bits` unsigned."""

    out: int
    axes: tuple[int, ...]
    x: Affine
    bits: int


@dataclass(frozen=True)
class Divide:
    """out = floor(numerator / denominator), in a signed range of `bits`; the denominator is
    positive, and the remainder and what it lacks of the denominator fit `rest_bits` unsigned."""

    out: int
    axes: tuple[int, ...]
    numerator: Affine
    denominator: Affine
    bits: int
    rest_bits: int


@dataclass(frozen=True)
class Rsqrt:
    """out = floor(2^shift / sqrt(x)), in an unsigned range of `bits`; x is positive, and
    (2 out + 1) x fits `rest_bits` unsigned."""

    out: int
    axes: tuple[int, ...]
    x: Affine
    shift: int
    bits: int
    rest_bits: int


Op: TypeAlias = (
    Linear | Requantize | Relu | Floor | Table | Gather | Range | Max | Argmax | Divide | Rsqrt
)


@dataclass(frozen=True)
class Stack:
    """`count` gadgets from `first` on are computed layer by layer: axis 0 of each of them, and of
    what it makes, is the layer. A gadget reads what another of them, or itself, makes in layers
    before its own, and what the gadgets before it make in its own too."""

    first: int
    count: int
    length: int


@dataclass(frozen=True)
class Program:
    """`limb` is the width in bits of the one range table."""

    limb: int
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    stacks: tuple[Stack, ...] = ()

    def steps(self) -> Iterator[tuple[int | None, tuple[Op, ...]]]:
        """The gadgets in order: each by itself (None), or all of a stack with its length."""
        at = 0
        for stack in self.stacks:
            yield from ((None, (op,)) for op in self.ops[at : stack.first])
            at = stack.first + stack.count
            yield stack.length, self.ops[stack.first : at]
        yield from ((None, (op,)) for op in self.ops[at:])

    def named(self, name: str) -> int:
        return [t.name for t in self.tensors].index(name)

    @cached_property
    def looked_up(self) -> dict[int, tuple[int, int]]:
        """Tensors whose cells are, each by itself, the index of a row of a public table, and where
        that index lies: a range that nothing else has to prove."""
        found: dict[int, tuple[int, int]] = {}
        for op in self.ops:
            if not isinstance(op, Table) or len(op.index.terms) != 1:
                continue
            ((coef, view),) = op.index.terms
            every = all(index.axis != FIXED and index.offset == 0 for index in view.index)
            if coef == 1 and every and op.table < len(self.tensors):
                first = op.lo - op.index.const
                found[view.tensor] = (first, first + self.tensors[op.table].size - 1)
        return found

    def with_role(self, *roles: Role) -> list[int]:
        return [i for i, t in enumerate(self.tensors) if t.role in roles]
