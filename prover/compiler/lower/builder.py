"""A program under construction, and what is known of the value that flows through it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TypeVar

from prover.compiler.calibrate import Interval
from prover.compiler.errors import CompileError
from prover.compiler.quantize import MAX_SHIFT, smallest_shift
from prover.program.ir import Affine, Expr, Index, Linear, Op, Relu, Requantize, Role, Tensor, View
from prover.quantizer import INT16_MAX, INT16_MIN, IntArray

BITS = 16  # of activations: what one range check proves
RELU_MIN = -((1 << BITS) - 1)
V = TypeVar("V", bound="Value")


@dataclass(frozen=True)
class Value:
    """What flows from gadget to gadget: an expression over (rows, features), its scale, its range.

    Until it is `Stored` it is an accumulator, which the next gadget rounds. `shape` is what torch
    sees: the same row-major cells, perhaps grouped otherwise.
    """

    expr: Expr
    exponent: int
    interval: Interval
    shape: tuple[int, ...]

    @property
    def cells(self) -> tuple[int, int]:
        """Rows and features."""
        return self.expr.axes[0], self.expr.axes[1]


@dataclass(frozen=True)
class Stored(Value):
    """A value that is a tensor."""

    tensor: int


def reshaped(value: V, shape: tuple[int, ...]) -> V:
    """The same cells, seen otherwise."""
    return replace(value, shape=shape)


def rows_and_features(shape: tuple[int, ...]) -> tuple[int, int]:
    """How a tensor is stored: its last axis, and all others as one."""
    return math.prod(shape[:-1]), math.prod(shape[-1:])


@dataclass
class Builder:
    """Collects tensors, gadgets and integer weights; `weight_bits` is the precision of weights,
    of each channel's by itself where they are `per_channel`."""

    weight_bits: int = 8
    per_channel: bool = False
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    weights: dict[str, IntArray] = field(default_factory=dict)

    def tensor(self, name: str, shape: tuple[int, ...], role: Role, lo: int, hi: int) -> int:
        self.tensors.append(Tensor(name, shape, role, lo, hi))
        return len(self.tensors) - 1

    def weight(self, name: str, values: IntArray, bits: int) -> int:
        """A secret tensor; its declared range depends on `bits` alone, not on the secret."""
        most = (1 << bits - 1) - 1
        self.weights[name] = values
        return self.tensor(name, values.shape, Role.WEIGHT, -most, most)

    def stored(
        self, tensor: int, exponent: int, interval: Interval, shape: tuple[int, ...]
    ) -> Stored:
        """The value of a tensor that exists."""
        axes = self.tensors[tensor].shape
        view = View(tensor, (Index(0), Index(1)))
        return Stored(Expr(axes, 2, (), Affine(((1, view),))), exponent, interval, shape, tensor)

    def requantize(
        self, value: Value, name: str, role: Role = Role.ACTIVATION, least: int = 0
    ) -> Stored:
        """Stores a value as signed int16, rounded by the least shift that its interval allows."""
        shift = max(least, _shift(value, name, INT16_MIN))
        out = self.tensor(name, value.cells, role, INT16_MIN, INT16_MAX)
        self.ops.append(Requantize(out, value.expr, shift, BITS))
        interval = value.interval.shifted(shift)
        return self.stored(out, value.exponent - shift, interval, value.shape)

    def relu(self, value: Value, name: str) -> Stored:
        """Stores max(0, value) as int16; what is cut off may have twice the room."""
        shift = _shift(value, name, RELU_MIN)
        out = self.tensor(name, value.cells, Role.ACTIVATION, 0, INT16_MAX)
        self.ops.append(Relu(out, value.expr, shift, BITS))
        interval = value.interval.shifted(shift).relu()
        return self.stored(out, value.exponent - shift, interval, value.shape)

    def copy(self, value: Stored, name: str, role: Role) -> Stored:
        """The same integers under another role."""
        out = self.tensor(name, value.cells, role, INT16_MIN, INT16_MAX)
        self.ops.append(Linear(out, value.expr))
        return self.stored(out, value.exponent, value.interval, value.shape)


def _shift(value: Value, name: str, lo: int) -> int:
    shift = smallest_shift(value.interval, lo, INT16_MAX)
    if shift is None:
        raise CompileError(
            f"{name}: expected an accumulator that a shift by {MAX_SHIFT} brings to 16 bits,"
            f" got {value.interval.span}"
        )
    return shift
