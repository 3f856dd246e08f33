"""What whoever relies on a model checks of its program before believing a proof:
docs/protocol/gadgets.md.

By construction every tensor is an input, a weight, a table or the output of one gadget whose
uniqueness is proved there; this module checks the proofs' side conditions. Bounds are those that
the relations prove, not those that are declared.
"""

from __future__ import annotations

from collections.abc import Sequence

from prover.errors import EinproofError
from prover.program import gadgets
from prover.program.ir import (
    FIXED,
    PUBLIC,
    Affine,
    Argmax,
    Divide,
    Expr,
    Gather,
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

INT16 = (-(1 << 15), (1 << 15) - 1)
LIMIT = 1 << 62  # of every integer: far below P/2, and int64 holds it
PUBLIC_CELLS = 1024
MAX_AXES, MAX_RANK, MAX_CELLS = 8, 4, 1 << 31
Bounds = tuple[int, int]


class InvalidProgram(EinproofError):
    """A program that must not be relied on."""


def _require(condition: bool, what: str) -> None:
    if not condition:
        raise InvalidProgram(what)


def _tensor(t: Tensor) -> None:
    _require(t.name.isascii() and t.name.isprintable() and t.name != "", f"tensor name {t.name!r}")
    _require(
        1 <= len(t.shape) <= MAX_RANK and min(t.shape) >= 1 and t.size <= MAX_CELLS,
        f"{t.name}: expected 1 to {MAX_RANK} axes of positive length, got {t.shape}",
    )
    _require(-LIMIT < t.lo <= t.hi < LIMIT, f"{t.name}: bounds [{t.lo}, {t.hi}]")
    if t.role in PUBLIC:
        _require(INT16[0] <= t.lo and t.hi <= INT16[1], f"{t.name}: public, but not int16")
        _require(t.size <= PUBLIC_CELLS, f"{t.name}: {t.size} public cells, at most {PUBLIC_CELLS}")
    if t.role == Role.TABLE:
        fits = len(t.values) == t.size and all(t.lo <= v <= t.hi for v in t.values)
        _require(fits, f"{t.name}: expected {t.size} table values in [{t.lo}, {t.hi}]")
    else:
        _require(not t.values, f"{t.name}: values are for tables only")


def _view(program: Program, view: View, axes: int, aligned: Sequence[int] | None) -> None:
    _require(view.tensor < len(program.tensors), f"view of unknown tensor {view.tensor}")
    t = program.tensors[view.tensor]
    _require(len(view.index) == len(t.shape), f"{t.name}: {len(view.index)} indices for {t.shape}")
    named = [i.axis for i in view.index if i.axis != FIXED]
    _require(len(set(named)) == len(named), f"{t.name}: an axis used twice in one view")
    for index, length in zip(view.index, t.shape, strict=True):
        _require(FIXED <= index.axis < axes, f"{t.name}: axis {index.axis} of {axes}")
        _require(abs(index.offset) < 1 << 31, f"{t.name}: offset {index.offset}")
        if index.axis == FIXED:
            _require(0 <= index.offset < length, f"{t.name}: fixed index {index.offset}")
        elif aligned is not None:  # a lookup's columns are not shifted
            _require(
                index.offset == 0 and aligned[index.axis] == length,
                f"{t.name}: a lookup's column must not be shifted or cut",
            )


class _Bounds:
    """Intervals that the relations prove, and which tensors may be beyond them (weights are field
    elements)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.of: dict[int, Bounds] = {}
        self.free: set[int] = set()  # depends on weights, with no range proved

    def affine(self, a: Affine) -> Bounds:
        lo = hi = a.const
        for coef, view in a.terms:
            _require(view.tensor in self.of, f"{self._name(view.tensor)}: read before it is made")
            ends = [coef * e for e in (*self.of[view.tensor], 0)]  # 0: outside the tensor
            lo, hi = lo + min(ends), hi + max(ends)
        _require(lo > -LIMIT and hi < LIMIT, f"an affine combination reaches [{lo}, {hi}]")
        return lo, hi

    def is_free(self, a: Affine) -> bool:
        return any(v.tensor in self.free for _, v in a.terms)

    def expr(self, e: Expr) -> Bounds:
        lo, hi = self.affine(e.linear)
        for c in e.contractions:
            _require(
                not (self.is_free(c.x) and self.is_free(c.y)),
                "a product of two tensors that depend on weights, neither range-checked",
            )
            count = 1
            for axis in e.summed(c):
                count *= e.axes[axis]
            ends = [x * y for x in self.affine(c.x) for y in self.affine(c.y)]
            lo, hi = lo + count * min(*ends, 0), hi + count * max(*ends, 0)
        _require(lo > -LIMIT and hi < LIMIT, f"an expression reaches [{lo}, {hi}]")
        return lo, hi

    def expr_is_free(self, e: Expr) -> bool:
        affines = [e.linear] + [a for c in e.contractions for a in (c.x, c.y)]
        return any(self.is_free(a) for a in affines)

    def _name(self, tensor: int) -> str:
        return self.program.tensors[tensor].name


def _expr(program: Program, e: Expr, out: Tensor) -> None:
    _require(1 <= len(e.axes) <= MAX_AXES and min(e.axes) >= 1, f"{out.name}: axes {e.axes}")
    fits = e.free <= len(e.axes) and e.axes[: e.free] == out.shape
    _require(fits, f"{out.name}: {out.shape}, but {e.axes}[:{e.free}]")
    for _, view in e.linear.terms:
        _view(program, view, e.free, None)
    for c in e.contractions:
        for _, view in c.x.terms + c.y.terms:
            _view(program, view, len(e.axes), None)
        _require(bool(c.x.terms and (c.x.axes | c.y.axes)), f"{out.name}: an empty contraction")
        batch = e.batch(c)  # neighbours share a kernel
        runs = sum(a - 1 not in batch for a in batch)
        _require(runs <= 3, f"{out.name}: more than three runs of batch axes")


def _lookup_axes(
    program: Program, axes: tuple[int, ...], index: Affine, out: tuple[int, ...]
) -> None:
    _require(1 <= len(axes) <= MAX_RANK and min(axes) >= 1, f"lookup axes {axes}")
    _require(axes == out, f"a lookup over {axes} for an output of {out}")
    for _, view in index.terms:
        _view(program, view, len(axes), axes)


def _op(program: Program, op: Op, bounds: _Bounds) -> tuple[int | None, Bounds, bool]:
    """Checks one gadget; its output, the interval that it proves, whether that is unproved for
    weights."""
    limb = program.limb
    match op:
        case Linear(out, expr):
            _expr(program, expr, program.tensors[out])
            return out, bounds.expr(expr), bounds.expr_is_free(expr)
        case Requantize(out, expr, shift, bits) | Relu(out, expr, shift, bits):
            t = program.tensors[out]
            _expr(program, expr, t)
            _require(0 <= shift <= 40, f"{t.name}: shift {shift}, expected 0 to 40")
            _bits(t, limb, bits)
            lo, hi = bounds.expr(expr)
            _require(max(-lo, hi) + (1 << shift + bits) < LIMIT, f"{t.name}: no room to round")
            if isinstance(op, Relu):
                return out, (0, (1 << bits) - 1), False
            if t.role == Role.OUTPUT:
                return out, INT16, False
            return out, (-(1 << bits - 1), (1 << bits - 1) - 1), False
        case Table(out, axes, index, table, lo):
            t, content = program.tensors[out], program.tensors[table]
            _lookup_axes(program, axes, index, t.shape)
            _require(content.role == Role.TABLE, f"{t.name}: {content.name} is not a table")
            _require(len(content.shape) == 1, f"{content.name}: expected one axis")
            inside = lo > -(1 << 31) and lo + content.size <= 1 << 31
            _require(inside, f"{t.name}: {content.size} table rows from {lo}, not within 32 bits")
            bounds.affine(index)
            return out, (content.lo, content.hi), False
        case Gather(out, axes, index, source):
            t, content = program.tensors[out], program.tensors[source]
            _require(len(content.shape) == 2, f"{content.name}: expected rows and columns")
            _lookup_axes(program, axes, index, t.shape[:-1])
            _require(t.shape[-1] == content.shape[1], f"{t.name}: rows of {content.shape[1]}")
            _require(content.role not in PUBLIC, f"{content.name}: gather from committed rows")
            bounds.affine(index)
            return out, bounds.of[source], source in bounds.free
        case Range(tensor, bits):
            t = program.tensors[tensor]
            _require(t.role == Role.INPUT_COMMITTED, f"{t.name}: range is for committed inputs")
            _bits(t, limb, bits)
            return None, (-(1 << bits - 1), (1 << bits - 1) - 1), False
        case Max(out, axes, x, bits) | Argmax(out, axes, x, bits):
            t = program.tensors[out]
            _require(len(axes) >= 2, f"{t.name}: expected axes before the last one, got {axes}")
            _lookup_axes(program, axes, x, (*t.shape, axes[-1]))
            _ranged(bounds, t, x)
            lo, hi = bounds.affine(x)
            _bits(t, limb, bits, 48)
            return out, ((lo, hi) if isinstance(op, Max) else (0, axes[-1] - 1)), False
        case Divide(out, axes, numerator, denominator, shift, bits, rest_bits):
            t = program.tensors[out]
            _lookup_axes(program, axes, denominator, t.shape)
            for _, view in numerator.terms:
                _view(program, view, len(axes), None)
            _ranged(bounds, t, denominator)
            _bits(t, limb, bits)
            _bits(t, limb, rest_bits, 48)
            most = max(map(abs, bounds.affine(denominator)))
            reach = max(map(abs, bounds.affine(numerator))) << shift + 1
            room = reach + most + (most << bits + 1) + (1 << rest_bits)
            _require(shift <= 40 and room < LIMIT, f"{t.name}: no room to divide")
            return out, (-(1 << bits - 1), (1 << bits - 1) - 1), False
        case Rsqrt(out, axes, x, shift, bits, rest_bits):
            t = program.tensors[out]
            _lookup_axes(program, axes, x, t.shape)
            _ranged(bounds, t, x)
            _bits(t, limb, bits)
            _bits(t, limb, rest_bits, 48)
            most = max(map(abs, bounds.affine(x)))
            room = (most << 2 * bits) + (most << bits + 2) + (1 << rest_bits) + (1 << 2 * shift)
            _require(shift <= 30 and room < LIMIT, f"{t.name}: no room for its square root")
            return out, (0, (1 << bits) - 1), False


def _bits(t: Tensor, limb: int, bits: int, most: int = 32) -> None:
    fits = 8 <= bits <= most and bits % limb == 0
    _require(fits, f"{t.name}: {bits} bits, expected 8 to {most} in whole limbs of {limb}")


def _ranged(bounds: _Bounds, t: Tensor, x: Affine) -> None:
    """What is compared, divided by or multiplied with a hint must be integers within bounds."""
    _require(not bounds.is_free(x), f"{t.name}: depends on weights with no range proved")


def validate(program: Program) -> dict[str, Bounds]:
    """The proved interval of each tensor by name; raises InvalidProgram with the tensor and the
    reason."""
    _require(program.limb in (4, 8, 16), f"limb of {program.limb} bits, expected 4, 8 or 16")
    _require(1 <= len(program.tensors) < 1 << 15, "too many tensors")
    names = [t.name for t in program.tensors]
    _require(len(set(names)) == len(names), "two tensors of one name")
    for t in program.tensors:
        _tensor(t)
    bounds = _Bounds(program)
    ranged = {op.tensor: op.bits for op in program.ops if isinstance(op, Range)}
    for tensor, bits in ranged.items():
        _require(tensor < len(program.tensors), f"range of unknown tensor {tensor}")
        _require(bits >= 1, f"{program.tensors[tensor].name}: a range of {bits} bits")
    for i, t in enumerate(program.tensors):
        if t.role in (Role.INPUT, Role.WEIGHT, Role.TABLE):
            bounds.of[i] = INT16 if t.role == Role.INPUT else (t.lo, t.hi)
            if t.role == Role.WEIGHT:
                bounds.free.add(i)
        elif t.role == Role.INPUT_COMMITTED:
            _require(i in ranged, f"{t.name}: a committed input must be range-checked")
            bounds.of[i] = (-(1 << ranged[i] - 1), (1 << ranged[i] - 1) - 1)
    for op in program.ops:
        for tensor in gadgets.reads(op):
            known = tensor < len(program.tensors) and tensor in bounds.of
            _require(known, f"tensor {tensor} is read before it is made")
        out = None if isinstance(op, Range) else op.out
        _require(out is None or out < len(program.tensors), f"output to unknown tensor {out}")
        made, interval, free = _op(program, op, bounds)
        if made is not None:
            t = program.tensors[made]
            _require(made not in bounds.of, f"{t.name}: made twice, or given")
            bounds.of[made] = INT16 if t.role == Role.OUTPUT else interval
            if free and t.role != Role.OUTPUT:
                bounds.free.add(made)
    missing = [t.name for i, t in enumerate(program.tensors) if i not in bounds.of]
    _require(not missing, f"never made: {', '.join(missing)}")
    relations = gadgets.expand(program)
    hints = [t.name for t in relations.tensors]
    _require(len(set(hints)) == len(hints), "a tensor with the name of a hint, or ranged twice")
    _require(bool(relations.lookups), "expected at least one lookup")
    _require(bool(relations.contractions), "expected at least one contraction")
    return {program.tensors[i].name: b for i, b in bounds.of.items()}
