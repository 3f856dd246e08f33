"""Values and the program under construction, for networks whose scales come from recorded ranges.

A value is a shape over the cells of a tensor that is stored, or of an accumulator that the next
gadget rounds. An axis of the shape runs over parts of the tensor's axes, so that reshapes,
permutations and slices cost no cells. Where a reshape needs an axis of a tensor in two parts, the
program is made again with that tensor stored so (`Refine`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from prover.compiler.errors import CompileError
from prover.compiler.quantize import MAX_SHIFT, largest_exponent
from prover.compiler.ranges import HEADROOM, Ranges
from prover.program.gadgets.shared import times
from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Index,
    Linear,
    Op,
    Relu,
    Requantize,
    Role,
    Stack,
    Tensor,
    View,
)
from prover.program.validate import MAX_AXES, MAX_RANK
from prover.quantizer import INT16_MAX, INT16_MIN, FloatArray, IntArray, round_half_even

BITS = 16  # of stored values: what one range check proves
HIDDEN = -1e4  # a score from which on a softmax leaves a cell nothing
NOWHERE = -1  # the dimension of a part that only repeats
Array: TypeAlias = npt.NDArray[Any]
Lengths: TypeAlias = tuple[int, ...]
Plan: TypeAlias = tuple[Lengths, ...]  # each axis of a shape as the axes that it is stored by
NOTHING = Affine()
T = TypeVar("T")
V = TypeVar("V", bound="Value")


class Refine(Exception):
    """A tensor must be stored with one of its axes in two: the program is made again."""

    def __init__(self, name: str, dim: int, inner: int) -> None:
        super().__init__(f"{name}: axis {dim} in parts of {inner}")
        self.name, self.dim, self.inner = name, dim, inner


class Part(NamedTuple):
    """A window of one axis of a tensor."""

    dim: int
    offset: int
    length: int


@dataclass(frozen=True)
class Value:
    """`name`: of what made the cells; its range and its plan go by it. Cells are integers that
    stand for themselves times 2^-exponent."""

    name: str
    parts: tuple[tuple[Part, ...], ...]
    exponent: int

    @property
    def lengths(self) -> Plan:
        return tuple(tuple(p.length for p in parts) for parts in self.parts)

    @property
    def shape(self) -> Lengths:
        return tuple(math.prod(axis) for axis in self.lengths)


@dataclass(frozen=True)
class Cells(Value):
    """A value that is a tensor, some of its axes at fixed places."""

    tensor: int
    rank: int
    fixed: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Pending(Value):
    """An accumulator; its parts are the free axes of `expr`."""

    expr: Expr


@dataclass(frozen=True)
class Flags:
    """Truth values that depend on the input: cells that are 0 or 1, or the opposite of them.
    `unwritten`: what they hide may hold anything, such as rows of a cache that no token wrote.
    `added`: they stand for what is added to scores, 0 where true and -inf elsewhere."""

    cells: Cells
    opposite: bool = False
    unwritten: bool = False
    added: bool = False


@dataclass(frozen=True)
class Masked:
    """A value of which a softmax leaves out the cells where the mask is 1, or true."""

    value: Value
    mask: IntArray | Flags


Argument: TypeAlias = Any  # a Value, a constant array, or what torch passes beside them


def flat(plan: Iterable[Sequence[T]]) -> tuple[T, ...]:
    return tuple(n for axis in plan for n in axis)


def numbered(plan: Plan, first: int = 0) -> tuple[tuple[int, ...], ...]:
    """The axes of a plan, counted on from `first`."""
    found, at = [], first
    for axis in plan:
        found.append(tuple(range(at, at + len(axis))))
        at += len(axis)
    return tuple(found)


def whole(plan: Plan) -> tuple[tuple[Part, ...], ...]:
    return tuple(
        tuple(Part(dim, 0, n) for dim, n in zip(dims, axis, strict=True))
        for dims, axis in zip(numbered(plan), plan, strict=True)
    )


@dataclass
class Network:
    """Collects tensors, gadgets and integer weights."""

    ranges: Ranges
    plans: dict[str, Plan]
    weight_bits: int = 8
    per_channel: bool = False  # of layers each channel has that many by itself
    tensors: list[Tensor] = field(default_factory=list)
    ops: list[Op] = field(default_factory=list)
    weights: dict[str, IntArray] = field(default_factory=dict)
    made: dict[str, Cells] = field(default_factory=dict)
    copies: dict[Any, Cells] = field(default_factory=dict)  # of what slide.py copies, by its source
    padded: dict[int, Lengths] = field(default_factory=dict)  # of tensors that end in zeros: before
    errors: dict[str, float] = field(default_factory=dict)  # of tables, by the tensor they fill
    rows: list[tuple[Array, Cells]] = field(default_factory=list)  # of embeddings, for tied layers
    wide: frozenset[str] = frozenset()  # nodes that may be stored longer than they are
    stepwise: bool = False  # it goes on from a state, whose rows may hold anything at first
    stacks: list[Stack] = field(default_factory=list)  # of operators that are one

    # --- tensors ---

    def tensor(
        self, name: str, shape: Lengths, role: Role, lo: int, hi: int, values: Lengths = ()
    ) -> int:
        if len(shape) > MAX_RANK:
            raise CompileError(f"{name}: expected at most {MAX_RANK} axes, got {shape}")
        self.tensors.append(Tensor(name, shape or (1,), role, lo, hi, values))
        return len(self.tensors) - 1

    def table(self, name: str, values: IntArray) -> int:
        """A public table; equal ones are one tensor."""
        cells = tuple(int(v) for v in values.reshape(-1))
        for i, t in enumerate(self.tensors):
            if t.role == Role.TABLE and t.values == cells and t.shape == values.shape:
                return i
        return self.tensor(name, values.shape, Role.TABLE, min(cells), max(cells), cells)

    def constant(self, name: str, values: FloatArray, plan: Plan, bits: int) -> tuple[Cells, int]:
        """A secret weight of `bits` at its finest scale, and that scale."""
        if not np.isfinite(values).all():
            raise CompileError(f"{name}: expected finite numbers, got NaN or infinity")
        exponent = largest_exponent(values, (1 << bits - 1) - 1) or 0
        return self.integers(name, round_half_even(values, exponent), plan, bits, exponent)

    def integers(
        self, name: str, values: Array, plan: Plan, bits: int, exponent: int
    ) -> tuple[Cells, int]:
        most = (1 << bits - 1) - 1
        shape = flat(plan) or (1,)
        self.weights[name] = values.astype(np.int64).reshape(shape)
        tensor = self.tensor(name, shape, Role.WEIGHT, -most, most)
        return self.cells(name, tensor, plan, exponent), exponent

    def cells(self, name: str, tensor: int, plan: Plan, exponent: int) -> Cells:
        fixed = () if flat(plan) else ((0, 0),)
        return Cells(name, whole(plan), exponent, tensor, max(len(flat(plan)), 1), fixed)

    def tied(self, weight: Array) -> Cells | None:
        """The rows of an embedding of the same numbers: a layer tied to it reads those."""
        found = (cells for rows, cells in self.rows if np.array_equal(rows, weight))
        return next(found, None)

    def plan(self, name: str, shape: Sequence[int]) -> Plan:
        """How the value `name` is stored: as it is shaped, unless something asked for finer."""
        return self.plans.setdefault(name, tuple((n,) if n > 1 else () for n in shape))

    # --- relations ---

    def view(self, cells: Cells, axes: Sequence[Sequence[int]]) -> View:
        """Cells along axes of a relation, one for each part."""
        index = [Index(FIXED)] * cells.rank
        for dim, offset in cells.fixed:
            index[dim] = Index(FIXED, offset)
        for parts, own in zip(cells.parts, axes, strict=True):
            for part, axis in zip(parts, own, strict=True):
                if part.dim != NOWHERE:
                    index[part.dim] = Index(axis, part.offset)
        return View(cells.tensor, tuple(index))

    def pending(
        self,
        name: str,
        plan: Plan,
        exponent: int,
        linear: Affine = NOTHING,
        contractions: Sequence[Contraction] = (),
        summed: Lengths = (),
    ) -> Pending:
        """An accumulator over the axes of a plan, then the summed ones."""
        axes, free = flat(plan) + summed, len(flat(plan))
        if not free:
            axes, free = (1, *summed), 1
            contractions = [_of_one(Contraction(later(c.x), later(c.y))) for c in contractions]
        if len(axes) > MAX_AXES or free > MAX_RANK:
            what = f"of {axes[:free]} and sums over {axes[free:]}: a batch of one has an axis less"
            raise CompileError(
                f"{name}: expected at most {MAX_RANK} axes, {MAX_AXES} in all, got {what}"
            )
        expr = Expr(axes, free, tuple(contractions), linear)
        return Pending(name, whole(plan), exponent, expr)

    def accumulated(self, value: Value, name: str, plan: Plan, factor: int = 1) -> Pending:
        """factor * value as an accumulator over the axes of a plan, repeated where it is
        shorter."""
        if isinstance(value, Pending) and flat(value.parts) == flat(whole(plan)):
            expr = value.expr
            products = tuple(Contraction(times(c.x, factor), c.y) for c in expr.contractions)
            scaled = replace(expr, contractions=products, linear=times(expr.linear, factor))
            return replace(value, name=name, parts=whole(plan), expr=scaled)
        cells = self.stored(value)
        view = self.view(cells, placed(cells.lengths, plan))
        return self.pending(name, plan, cells.exponent, Affine(((factor, view),)))

    # --- storing ---

    def stored(self, value: Value) -> Cells:
        """The value as a tensor of int16, on the scale that its recorded range allows."""
        if isinstance(value, Cells):
            return value
        if not isinstance(value, Pending):
            raise CompileError(f"expected a value, got {type(value).__name__}")
        if value.name not in self.made:
            self.made[value.name] = self.requantize(value, value.name, self.fit(value.name, value))
        return replace(self.made[value.name], parts=value.parts)

    def operand(self, name: str, x: Value | Array) -> Cells:
        """A value as it is stored; a constant as a secret weight of as many bits."""
        if isinstance(x, Value):
            return self.stored(x)
        array = np.asarray(x, dtype=np.float64)
        return self.constant(name, array, self.plan(name, array.shape), BITS)[0]

    def ordered(self, value: Value) -> Cells:
        """As stored, for what compares cells: of whole numbers no bit may be rounded away."""
        cells = self.stored(value)
        if cells.exponent < 0 == value.exponent:
            low, high = self.ranges.of(value.name)
            most = math.floor(INT16_MAX / HEADROOM)
            what = f"got {low:.0f} to {high:.0f}, which lose a bit"
            raise CompileError(f"expected whole numbers within +-{most} to compare, {what}")
        return cells

    def fit(self, name: str, value: Value, most: int = INT16_MAX) -> int:
        """The finest exponent at which the recorded range, with headroom, stays within `most`."""
        found = largest_exponent(np.array(self.ranges.of(name)) * HEADROOM, most)
        return value.exponent if found is None else min(found, value.exponent)

    def requantize(
        self,
        value: Pending,
        name: str,
        exponent: int,
        role: Role = Role.ACTIVATION,
        lo: int = INT16_MIN,
        hi: int = INT16_MAX,
    ) -> Cells:
        shift = value.exponent - exponent
        if not 0 <= shift <= MAX_SHIFT:
            raise CompileError(f"{name}: expected a shift of 0 to {MAX_SHIFT}, got {shift}")
        shape = value.expr.axes[: value.expr.free]
        out = self.tensor(name, shape, role, lo, hi)
        self.ops.append(Requantize(out, value.expr, shift, BITS))
        return self._whole(value, name, out, exponent)

    def relu(self, value: Pending, name: str, exponent: int) -> Cells:
        shape = value.expr.axes[: value.expr.free]
        out = self.tensor(name, shape, Role.ACTIVATION, 0, INT16_MAX)
        self.ops.append(Relu(out, value.expr, value.exponent - exponent, BITS))
        return self._whole(value, name, out, exponent)

    def exact(
        self, value: Pending, name: str, lo: int, hi: int, role: Role = Role.ACTIVATION
    ) -> Cells:
        """The accumulator itself, as a tensor."""
        out = self.tensor(name, value.expr.axes[: value.expr.free], role, lo, hi)
        self.ops.append(Linear(out, value.expr))
        return self._whole(value, name, out, value.exponent)

    def _whole(self, value: Pending, name: str, out: int, exponent: int) -> Cells:
        fixed = () if flat(value.lengths) else ((0, 0),)
        return Cells(value.name, value.parts, exponent, out, value.expr.free, fixed)


def later(a: Affine) -> Affine:
    """The same, one axis further on."""
    return Affine(
        tuple(
            (
                coef,
                replace(
                    view,
                    index=tuple(
                        i if i.axis == FIXED else Index(i.axis + 1, i.offset) for i in view.index
                    ),
                ),
            )
            for coef, view in a.terms
        ),
        a.const,
    )


def _of_one(c: Contraction) -> Contraction:
    """A product of single cells, over the one axis that there is."""
    if c.x.axes | c.y.axes:
        return c
    (coef, view), *rest = c.x.terms
    along = replace(view, index=(Index(0, view.index[0].offset), *view.index[1:]))
    return replace(c, x=replace(c.x, terms=((coef, along), *rest)))


# --- shapes ---


def placed(own: Plan, plan: Plan) -> list[tuple[int, ...]]:
    """The axes of `plan` that a value of lengths `own` runs along, aligned at the last; those of
    length 1 repeat."""
    axes = numbered(plan)[len(plan) - len(own) :]
    return [a if lengths else () for a, lengths in zip(axes, own, strict=True)]


def common(name: str, *plans: Plan) -> Plan:
    """The coarsest plan that all can be refined to, broadcast at the front."""
    rank = max(map(len, plans))
    result = []
    for axis in range(-rank, 0):
        own = [p[axis] for p in plans if len(p) >= -axis and p[axis]]
        if len({math.prod(lengths) for lengths in own}) > 1:
            raise CompileError(f"{name}: shapes {plans} do not fit")
        cuts = sorted({math.prod(lengths[i:]) for lengths in own for i in range(len(lengths))})
        bounds = [1, *cuts]
        if any(b % a for a, b in zip(bounds, cuts, strict=False)):
            raise CompileError(f"{name}: an axis of {cuts[-1]} grouped in two ways, {own}")
        pairs = list(zip(bounds, cuts, strict=False))
        result.append(tuple(b // a for a, b in reversed(pairs)))
    return tuple(result)


def agreed(name: str, plan: Plan, *operands: tuple[Value, Sequence[int]]) -> Plan:
    """One plan for some axes of each operand, last to last; raises Refine for one that is
    coarser."""
    found = common(name, plan, *(tuple(v.lengths[a] for a in axes) for v, axes in operands))
    for value, axes in operands:
        for axis, finer in zip(axes, found[len(found) - len(axes) :], strict=True):
            if value.parts[axis]:
                match(value, value.parts[axis], finer)
    return found


def aligned(net: Network, name: str, shape: Sequence[int], *values: Value) -> Plan:
    """One plan for an output and its operands, which broadcast to it."""
    operands = [(v, range(len(v.parts))) for v in values]
    net.plans[name] = agreed(name, net.plan(name, shape), *operands)
    return net.plans[name]


def match(value: Value, parts: Sequence[Part], finer: Lengths) -> None:
    """Raises Refine unless the parts have these lengths already."""
    for part, n in zip(parts, finer, strict=False):
        if part.length != n:
            raise Refine(value.name, part.dim, part.length // n)


def refined(plan: Plan, refine: Refine) -> Plan:
    """A plan with one axis in two; raises CompileError where that cannot be."""
    axes, at = [list(axis) for axis in plan], 0
    for axis in axes:
        if refine.dim < at + len(axis):
            length = axis[refine.dim - at]
            if length % refine.inner or refine.inner in (1, length):
                raise CompileError(f"{refine}: a reshape that cuts across its cells")
            axis[refine.dim - at : refine.dim - at + 1] = [length // refine.inner, refine.inner]
            return tuple(map(tuple, axes))
        at += len(axis)
    raise CompileError(f"{refine}: no such axis in {plan}")


def regroup(value: V, shape: Sequence[int]) -> V:
    """The same cells in the same row-major order, seen under another shape."""
    rest = [part for parts in value.parts for part in parts]
    groups = []
    for n in shape:
        group, need = [], n
        while need > 1:
            part = rest[0]
            if part.length <= need:
                if need % part.length:
                    raise CompileError(f"{value.name}: {value.shape} regrouped to {tuple(shape)}")
                group.append(rest.pop(0))
                need //= part.length
            elif part.length % need:
                raise CompileError(f"{value.name}: {value.shape} regrouped to {tuple(shape)}")
            elif part.dim != NOWHERE:
                raise Refine(value.name, part.dim, part.length // need)
            else:
                group.append(Part(NOWHERE, 0, need))
                rest[0] = Part(NOWHERE, 0, part.length // need)
                need = 1
        groups.append(tuple(group))
    return replace(value, parts=tuple(groups))


def permute(value: V, order: Sequence[int]) -> V:
    return replace(value, parts=tuple(value.parts[axis] for axis in order))


def window(value: Cells, axis: int, start: int, length: int) -> Cells:
    """`length` cells of one axis from `start` on."""
    parts, fixed = list(value.parts[axis]), list(value.fixed)
    kept: list[Part] = []
    while parts:
        part = parts.pop(0)
        inner = math.prod(p.length for p in parts)
        if start % inner == 0 and length % inner == 0 and length >= inner:
            first = Part(part.dim, part.offset + start // inner, length // inner)
            kept = [first, *parts]
            break
        if start // inner != (start + length - 1) // inner:
            raise CompileError(f"{value.name}: a slice across {value.lengths[axis]}")
        fixed += [(part.dim, part.offset + start // inner)] if part.dim != NOWHERE else []
        start %= inner
    fixed += [(p.dim, p.offset) for p in kept if p.length == 1 and p.dim != NOWHERE]
    kept = [p for p in kept if p.length > 1]
    axes = (*value.parts[:axis], tuple(kept), *value.parts[axis + 1 :])
    return replace(value, parts=axes, fixed=tuple(fixed))


def expand(value: V, shape: Sequence[int]) -> V:
    """Axes of length 1 repeated."""
    missing = len(shape) - len(value.parts)
    parts = ((),) * missing + value.parts
    grown = tuple(
        (Part(NOWHERE, 0, n),) if n > 1 and not own else own
        for own, n in zip(parts, shape, strict=True)
    )
    return replace(value, parts=grown)


def repeated(value: V, axis: int, times: int) -> V:
    """Each cell of an axis that many times over, one after the other."""
    if times == 1:
        return value
    parts = list(value.parts)
    parts[axis] = (*parts[axis], Part(NOWHERE, 0, times))
    return replace(value, parts=tuple(parts))
