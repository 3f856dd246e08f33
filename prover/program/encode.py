"""The one canonical encoding of a program: the source section of docs/protocol/format.md.

Fields in declared order, integers big-endian and of fixed width, lists behind their counts; a
gadget begins with its tag, and the first of a stack with that of the stack. `decode` accepts
exactly what `encode` makes, so that equal programs have equal bytes and equal hashes.
"""

from __future__ import annotations

from prover.errors import EinproofError
from prover.program.ir import (
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Floor,
    Gather,
    Index,
    Linear,
    Max,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Stack,
    Table,
    Tensor,
    View,
)

MAGIC = b"EINS\x00\x01"
_OPS: tuple[type, ...] = (
    Linear, Requantize, Relu, Floor, Table, Gather, Range, Max, Argmax, Divide, Rsqrt,
)  # fmt: skip
_STACK = len(_OPS)  # the tag of what stands before the first gadget of a stack
_LIMIT = 1 << 20


class MalformedProgram(EinproofError):
    """Bytes that are not the canonical encoding of a program."""


class _Writer:
    def __init__(self) -> None:
        self.out = bytearray(MAGIC)

    def uint(self, value: int, width: int) -> None:
        if not 0 <= value < 1 << 8 * width:
            raise MalformedProgram(f"expected an unsigned integer of {width} bytes, got {value}")
        self.out += value.to_bytes(width, "big")

    def int64(self, value: int) -> None:
        if not -(1 << 63) <= value < 1 << 63:
            raise MalformedProgram(f"expected a signed 64-bit integer, got {value}")
        self.out += value.to_bytes(8, "big", signed=True)

    def shape(self, lengths: tuple[int, ...]) -> None:
        self.uint(len(lengths), 1)
        for length in lengths:
            self.uint(length, 4)

    def tensor(self, t: Tensor) -> None:
        if not t.name.isascii():
            raise MalformedProgram(f"expected an ascii name, got {t.name!r}")
        name = t.name.encode("ascii")
        self.uint(len(name), 1)
        self.out += name
        self.uint(t.role, 1)
        self.shape(t.shape)
        self.int64(t.lo)
        self.int64(t.hi)
        self.uint(len(t.values), 4)
        for value in t.values:
            self.int64(value)

    def affine(self, a: Affine) -> None:
        self.uint(len(a.terms), 2)
        for coef, view in a.terms:
            self.int64(coef)
            self.uint(view.tensor, 2)
            self.uint(len(view.index), 1)
            for index in view.index:
                self.uint(index.axis + 1, 1)
                self.int64(index.offset)
        self.int64(a.const)

    def expr(self, e: Expr) -> None:
        self.shape(e.axes)
        self.uint(e.free, 1)
        self.uint(len(e.contractions), 2)
        for c in e.contractions:
            self.affine(c.x)
            self.affine(c.y)
        self.affine(e.linear)

    def op(self, op: Op) -> None:
        self.uint(_OPS.index(type(op)), 1)
        match op:
            case Linear(out, expr):
                self.uint(out, 2)
                self.expr(expr)
            case Requantize(out, expr, shift, bits) | Relu(out, expr, shift, bits):
                self.uint(out, 2)
                self.expr(expr)
                self.uint(shift, 1)
                self.uint(bits, 1)
            case Table(out, axes, index, table, lo):
                self.uint(out, 2)
                self.shape(axes)
                self.affine(index)
                self.uint(table, 2)
                self.int64(lo)
            case Gather(out, axes, index, source):
                self.uint(out, 2)
                self.shape(axes)
                self.affine(index)
                self.uint(source, 2)
            case Range(tensor, bits):
                self.uint(tensor, 2)
                self.uint(bits, 1)
            case (
                Max(out, axes, x, number)
                | Argmax(out, axes, x, number)
                | Floor(out, axes, x, number)
            ):
                self.uint(out, 2)
                self.shape(axes)
                self.affine(x)
                self.uint(number, 1)
            case Divide(out, axes, numerator, denominator, bits, rest_bits):
                self.uint(out, 2)
                self.shape(axes)
                self.affine(numerator)
                self.affine(denominator)
                self.uint(bits, 1)
                self.uint(rest_bits, 1)
            case Rsqrt(out, axes, x, shift, bits, rest_bits):
                self.uint(out, 2)
                self.shape(axes)
                self.affine(x)
                for value in (shift, bits, rest_bits):
                    self.uint(value, 1)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, width: int) -> bytes:
        if self.at + width > len(self.data):
            raise MalformedProgram(
                f"expected {width} bytes at {self.at}, got {len(self.data) - self.at}"
            )
        self.at += width
        return self.data[self.at - width : self.at]

    def uint(self, width: int) -> int:
        return int.from_bytes(self.take(width), "big")

    def count(self, width: int) -> int:
        value = self.uint(width)
        if value > min(_LIMIT, len(self.data)):
            raise MalformedProgram(f"expected a count that fits the program, got {value}")
        return value

    def int64(self) -> int:
        return int.from_bytes(self.take(8), "big", signed=True)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.uint(4) for _ in range(self.uint(1)))

    def tensor(self) -> Tensor:
        try:
            name = self.take(self.uint(1)).decode("ascii")
            role = Role(self.uint(1))
        except ValueError as error:
            raise MalformedProgram(f"expected an ascii name and a known role: {error}") from error
        shape, lo, hi = self.shape(), self.int64(), self.int64()
        return Tensor(name, shape, role, lo, hi, tuple(self.int64() for _ in range(self.count(4))))

    def view(self) -> View:
        return View(
            self.uint(2),
            tuple(Index(self.uint(1) - 1, self.int64()) for _ in range(self.uint(1))),
        )

    def affine(self) -> Affine:
        terms = tuple((self.int64(), self.view()) for _ in range(self.count(2)))
        return Affine(terms, self.int64())

    def expr(self) -> Expr:
        axes, free = self.shape(), self.uint(1)
        contractions = tuple(
            Contraction(self.affine(), self.affine()) for _ in range(self.count(2))
        )
        return Expr(axes, free, contractions, self.affine())

    def ops(self) -> tuple[tuple[Op, ...], tuple[Stack, ...]]:
        ops: list[Op] = []
        stacks = []
        for at in range(self.count(2)):
            tag = self.uint(1)
            if tag == _STACK:
                stacks.append(Stack(at, self.uint(2), self.uint(4)))
                tag = self.uint(1)
            ops.append(self.op(tag))
        return tuple(ops), tuple(stacks)

    def op(self, tag: int) -> Op:
        if tag >= len(_OPS):
            raise MalformedProgram(f"expected a gadget below {len(_OPS)}, got {tag}")
        kind = _OPS[tag]
        if kind is Linear:
            return Linear(self.uint(2), self.expr())
        if kind is Requantize:
            return Requantize(self.uint(2), self.expr(), self.uint(1), self.uint(1))
        if kind is Relu:
            return Relu(self.uint(2), self.expr(), self.uint(1), self.uint(1))
        if kind is Table:
            return Table(self.uint(2), self.shape(), self.affine(), self.uint(2), self.int64())
        if kind is Gather:
            return Gather(self.uint(2), self.shape(), self.affine(), self.uint(2))
        if kind is Range:
            return Range(self.uint(2), self.uint(1))
        out, axes, x = self.uint(2), self.shape(), self.affine()
        if kind is Max or kind is Argmax or kind is Floor:
            return kind(out, axes, x, self.uint(1))
        if kind is Rsqrt:
            return Rsqrt(out, axes, x, self.uint(1), self.uint(1), self.uint(1))
        return Divide(out, axes, x, self.affine(), self.uint(1), self.uint(1))


def encode(program: Program) -> bytes:
    """The canonical bytes of a program; raises MalformedProgram if a field does not fit, or a stack
    begins where no gadget is."""
    w = _Writer()
    w.uint(program.limb, 1)
    w.uint(len(program.tensors), 2)
    for tensor in program.tensors:
        w.tensor(tensor)
    w.uint(len(program.ops), 2)
    first = {stack.first: stack for stack in program.stacks}
    if len(first) != len(program.stacks) or not all(0 <= f < len(program.ops) for f in first):
        raise MalformedProgram(f"expected stacks at gadgets of their own, got {program.stacks}")
    for at, op in enumerate(program.ops):
        if at in first:
            w.uint(_STACK, 1)
            w.uint(first[at].count, 2)
            w.uint(first[at].length, 4)
        w.op(op)
    return bytes(w.out)


def decode(data: bytes) -> Program:
    """The program of canonical bytes; raises MalformedProgram on anything else, trailing bytes
    included."""
    r = _Reader(data)
    if r.take(len(MAGIC)) != MAGIC:
        raise MalformedProgram(f"expected the magic {MAGIC!r}, got {data[: len(MAGIC)]!r}")
    limb = r.uint(1)
    tensors = tuple(r.tensor() for _ in range(r.count(2)))
    program = Program(limb, tensors, *r.ops())
    if r.at != len(data) or encode(program) != data:
        raise MalformedProgram(f"expected a canonical program of {r.at} bytes, got {len(data)}")
    return program
