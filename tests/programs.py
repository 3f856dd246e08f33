"""Small programs for tests: a hand-made MLP, and random programs over every gadget, view and role
of format v1."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from prover.program.bounds import InvalidProgram
from prover.program.evaluate import expr_values
from prover.program.interpret import interpret
from prover.program.ir import (
    FIXED,
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
    Table,
    Tensor,
    View,
)
from prover.program.validate import validate


@dataclass
class Case:
    """A program with the tensors that it is given, and all values."""

    program: Program
    given: dict[str, np.ndarray]

    @property
    def values(self) -> dict[str, np.ndarray]:
        return interpret(self.program, self.given)


def view(tensor: int, *axes: int) -> View:
    return View(tensor, tuple(Index(a) for a in axes))


def one(tensor: int, *axes: int) -> Affine:
    return Affine(((1, view(tensor, *axes)),))


def mlp(widths: list[int], batch: int = 1, limb: int = 8, seed: int = 0) -> Case:
    """Random weights; ReLU between layers, int16 logits out."""
    rng = np.random.default_rng(seed)
    tensors = [Tensor("input", (batch, widths[0]), Role.INPUT, -128, 127)]
    ops: list[Op] = []
    given = {"input": rng.integers(-128, 128, (batch, widths[0]))}
    reach, source = 128, 0
    for layer, (inner, outer) in enumerate(pairwise(widths)):
        last = layer == len(widths) - 2
        weight, bias, out = len(tensors), len(tensors) + 1, len(tensors) + 2
        tensors.append(Tensor(f"w{layer}", (outer, inner), Role.WEIGHT, -128, 127))
        tensors.append(Tensor(f"b{layer}", (outer,), Role.WEIGHT, -(1 << 20), 1 << 20))
        given[f"w{layer}"] = rng.integers(-128, 128, (outer, inner))
        given[f"b{layer}"] = rng.integers(-1000, 1000, (outer,))
        reach = inner * 128 * reach + (1 << 20)
        shift = max(0, reach.bit_length() - 14)
        reach = (reach >> shift) + 1
        role = Role.OUTPUT if last else Role.ACTIVATION
        tensors.append(Tensor(f"y{layer}", (batch, outer), role, -32768, 32767))
        expr = Expr(
            (batch, outer, inner),
            2,
            (Contraction(one(weight, 1, 2), one(source, 0, 2)),),
            one(bias, 1),
        )
        ops.append((Requantize if last else Relu)(out, expr, shift, 16))
        source = out
    return Case(Program(limb, tuple(tensors), tuple(ops)), given)


class Generator:
    """A random valid program, built op by op on values that it has computed."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.np = np.random.default_rng(seed)
        self.limb = self.rng.choice((4, 8))
        self.tensors: list[Tensor] = []
        self.ops: list[Op] = []
        self.given: dict[str, np.ndarray] = {}
        self.values: dict[int, np.ndarray] = {}
        self.free: set[int] = set()

    def case(self) -> Case:
        for i in range(self.rng.randint(1, 2)):
            self.give(f"in{i}", Role.INPUT, self.shape(), 60)
        for i in range(self.rng.randint(0, 2)):
            self.give(f"secret{i}", Role.INPUT_COMMITTED, self.shape(), 200)
        for i in range(self.rng.randint(1, 2)):
            self.give(f"w{i}", Role.WEIGHT, self.shape(), 120)
        made = 0
        for _ in range(self.rng.randint(2, 4)):
            kinds = (self.rounded, self.rounded, self.table, self.gather, self.choose, self.divide)
            made += self.rng.choice((*kinds, self.floor, self.root))(made)
        self.rounded(made, Requantize)  # at least one contraction and one lookup
        return Case(Program(self.limb, tuple(self.tensors), tuple(self.ops)), self.given)

    def shape(self) -> tuple[int, ...]:
        return tuple(self.rng.randint(1, 6) for _ in range(self.rng.randint(1, 3)))

    def add(self, tensor: Tensor, value: np.ndarray) -> int:
        self.tensors.append(tensor)
        self.values[len(self.tensors) - 1] = np.asarray(value, dtype=np.int64)
        return len(self.tensors) - 1

    def give(
        self, name: str, role: Role, shape: tuple[int, ...], reach: int, low: int | None = None
    ) -> int:
        value = self.np.integers(-reach if low is None else low, reach + 1, shape)
        number = self.add(Tensor(name, shape, role, -32768, 32767), value)
        self.given[name] = value
        if role == Role.WEIGHT:
            self.free.add(number)
        if role == Role.INPUT_COMMITTED:
            self.ops.append(Range(number, 16))
        return number

    # -- expressions

    def affine(self, axes: tuple[int, ...], among: list[int], tensors: list[int]) -> Affine:
        terms = []
        for _ in range(self.rng.choice((1, 1, 2))):
            tensor = self.rng.choice(tensors)
            unused, index = list(among), []
            self.rng.shuffle(unused)
            for length in self.tensors[tensor].shape:
                if unused and self.rng.random() < 0.8:
                    axis = unused.pop()
                    aligned = length == axes[axis] and self.rng.random() < 0.6
                    offset = 0 if aligned else self.rng.randint(-axes[axis], length)
                    index.append(Index(axis, offset))
                else:
                    index.append(Index(FIXED, self.rng.randrange(length)))
            terms.append((self.rng.choice((1, 1, -1, 3)), View(tensor, tuple(index))))
        return Affine(tuple(terms), self.rng.choice((0, 0, 5, -2)))

    def rounded(self, made: int, kind: type | None = None) -> int:
        """A linear, requantize or ReLU over random views."""
        rng = self.rng
        free = rng.randint(1, 3)
        axes = tuple(rng.randint(1, 5) for _ in range(free + rng.randint(0, 2)))
        every = list(range(len(self.tensors)))
        ranged = [t for t in every if t not in self.free]
        contractions = []
        for _ in range(rng.choice((1, 1, 2))):
            x = self.affine(axes, list(range(len(axes))), every)
            y = self.affine(axes, list(range(len(axes))), ranged)
            while not x.axes | y.axes:
                y = self.affine(axes, list(range(len(axes))), ranged)
            contractions.append(Contraction(x, y))
        linear = self.affine(axes, list(range(free)), every) if rng.random() < 0.6 else Affine()
        expr = Expr(axes, free, tuple(contractions), linear)
        value = expr_values(expr, self.values)
        role = rng.choice((Role.ACTIVATION, Role.OUTPUT, Role.OUTPUT_COMMITTED))
        must, kind = kind is not None, kind or rng.choice((Linear, Requantize, Relu))
        if must:
            role = Role.OUTPUT_COMMITTED
        number, name = len(self.tensors), f"t{made}"
        if kind is Linear:
            reach = 1 << 50
            if role == Role.OUTPUT:
                if np.abs(value).max() > 32767:
                    role = Role.ACTIVATION
                else:
                    reach = 32767
            self.ops.append(Linear(number, expr))
            self.add(Tensor(name, value.shape, role, -reach, reach), value)
            if role != Role.OUTPUT:
                self.free.add(number)
            return 1
        reach = int(np.abs(value).max()) + 1
        shift = max(0, reach.bit_length() - 14) if rng.random() < 0.7 else reach.bit_length()
        self.ops.append(kind(number, expr, shift, 16))
        rounded = value + ((1 << shift) >> 1) >> shift
        out = np.maximum(rounded, 0) if kind is Relu else rounded
        self.add(Tensor(name, value.shape, role, -32768, 32767), out)
        return 1

    def table(self, made: int) -> int:
        """A random function of a tensor with few values."""
        small = [
            t
            for t, v in self.values.items()
            if self.tensors[t].role != Role.TABLE and np.ptp(v) < 150
        ]
        if not small:
            return 0
        source = self.rng.choice(small)
        value = self.values[source]
        lo, rows = int(value.min()) - 1, int(np.ptp(value)) + 3
        content = self.np.integers(-50, 51, (rows,))
        table = self.add(
            Tensor(f"f{made}", (rows,), Role.TABLE, -50, 50, tuple(int(c) for c in content)),
            content,
        )
        axes = list(range(value.ndim))
        self.rng.shuffle(axes)
        lengths = [0] * value.ndim
        for dim, axis in enumerate(axes):
            lengths[axis] = value.shape[dim]
        index = Affine(((1, View(source, tuple(Index(a) for a in axes))),))
        out = content[value.transpose(np.argsort(axes)) - lo]
        self.ops.append(Table(len(self.tensors), tuple(lengths), index, table, lo))
        self.add(Tensor(f"t{made}", tuple(lengths), Role.ACTIVATION, -50, 50), out)
        return 1

    def floor(self, made: int) -> int:
        """The digits of an input, each looked up."""
        axes, shift = self.shape(), self.rng.randint(1, 4)
        x = one(self.give(f"digits{made}", Role.INPUT, axes, 90), *range(len(axes)))
        found = self.values[x.terms[0][1].tensor]
        number = self.add(Tensor(f"t{made}", axes, Role.ACTIVATION, -99, 99), found >> shift)
        self.ops.append(Floor(number, axes, x, shift))
        whole = one(number, *range(len(axes)))
        for part, index, lo, rows in (
            ("low", self.ops[-1].rest, 0, 1 << shift),
            ("high", whole, -(100 >> shift) - 1, (200 >> shift) + 2),
        ):
            content = self.np.integers(-50, 51, (rows,))
            cells = tuple(int(c) for c in content)
            table = self.add(Tensor(f"{part}{made}", (rows,), Role.TABLE, -50, 50, cells), content)
            self.ops.append(Table(len(self.tensors), axes, index, table, lo))
            at = found & rows - 1 if part == "low" else (found >> shift) - lo
            self.add(Tensor(f"t{made}.{part}", axes, Role.ACTIVATION, -50, 50), content[at])
        return 3

    def gather(self, made: int) -> int:
        """Whole rows of a weight or a committed input."""
        rows, width = self.rng.randint(1, 7), self.rng.randint(1, 5)
        role = self.rng.choice((Role.WEIGHT, Role.INPUT_COMMITTED))
        source = self.give(f"rows{made}", role, (rows, width), 100)
        count = self.rng.randint(1, 6)
        index = self.give(f"index{made}", Role.INPUT, (count,), rows - 1, low=0)
        out = self.values[source][self.values[index]]
        self.ops.append(Gather(len(self.tensors), (count,), one(index, 0), source))
        number = self.add(Tensor(f"t{made}", out.shape, Role.ACTIVATION, -32768, 32767), out)
        if source in self.free:
            self.free.add(number)
        return 1

    def aligned(self, reach: int) -> tuple[int, tuple[int, ...]] | None:
        """A ranged tensor of two axes or more with values within reach; its number and shape."""
        found = [
            t
            for t, v in self.values.items()
            if t not in self.free and v.ndim >= 2 and np.abs(v).max() < reach
        ]
        if not found:
            return None
        tensor = self.rng.choice(found)
        return tensor, self.tensors[tensor].shape

    def choose(self, made: int) -> int:
        """The greatest of each row, or where it stands."""
        picked = self.aligned(1 << 30)
        if picked is None:
            return 0
        tensor, axes = picked
        kind, x = self.rng.choice((Max, Argmax)), self.values[tensor]
        out = x.max(axis=-1) if kind is Max else x.argmax(axis=-1)
        self.ops.append(kind(len(self.tensors), axes, one(tensor, *range(len(axes))), 32))
        self.add(Tensor(f"t{made}", out.shape, Role.ACTIVATION, -(1 << 40), 1 << 40), out)
        return 1

    def divide(self, made: int) -> int:
        """A tensor over a positive one that has all but the last of its axes."""
        picked = self.aligned(1 << 15)
        if picked is None:
            return 0
        tensor, axes = picked
        x, free = self.values[tensor], tuple(range(len(axes) - 1))
        below = self.give(f"den{made}", Role.INPUT, axes[:-1], 90, low=0)
        shift = self.rng.choice((0, 3, 6))
        denominator = Affine(((2, view(below, *free)),), 3)
        d = 2 * self.values[below][..., None] + 3
        out = ((x << shift) + self.values[below][..., None] + 1) // d
        whole = view(tensor, *range(len(axes)))
        numerator = Affine(((1 << shift, whole), (1, view(below, *free))), 1)
        number = len(self.tensors)
        self.ops.append(Divide(number, axes, numerator, denominator, 32, 32))
        self.add(Tensor(f"t{made}", axes, Role.ACTIVATION, -(1 << 40), 1 << 40), out)
        return 1

    def root(self, made: int) -> int:
        """The inverse square root of a sum of squares, so to say: of a positive input."""
        axes = self.shape()
        under = self.give(f"rad{made}", Role.INPUT, axes, 3000, low=0)
        x, shift = self.values[under] * 5 + 1, self.rng.choice((6, 10))
        out = np.array([math.isqrt((1 << 2 * shift) // int(v)) for v in x.reshape(-1)])
        radicand = Affine(((5, view(under, *range(len(axes)))),), 1)
        self.ops.append(Rsqrt(len(self.tensors), axes, radicand, shift, 16, 32))
        self.add(Tensor(f"t{made}", axes, Role.ACTIVATION, 0, 1 << 30), out.reshape(axes))
        return 1


def random_case(seed: int) -> Case:
    """A random valid program with random inputs and weights; of a seed whose numbers would grow too
    large, that of another."""
    case = Generator(seed).case()
    try:
        validate(case.program)
    except InvalidProgram:
        return random_case(seed + 1_000_000)
    return case
