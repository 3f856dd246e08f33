"""What whoever relies on a model checks of its program before believing a proof:
docs/protocol/gadgets.md.

By construction every tensor is an input, a weight, a table or the output of one gadget whose
uniqueness is proved there; this module checks the proofs' side conditions. Bounds are those that
the relations prove, not those that are declared.
"""

from __future__ import annotations

from collections.abc import Sequence

from prover.program import gadgets
from prover.program.bounds import (
    INT16,
    LIMIT,
    RANGED,
    Bounds,
    Intervals,
    InvalidProgram,
    alone,
    interval,
    require,
)
from prover.program.ir import (
    FIXED,
    PUBLIC,
    Affine,
    Argmax,
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
from prover.program.rewrite import out_of, views

PUBLIC_CELLS = 1024
MAX_AXES, MAX_RANK, MAX_CELLS = 8, 4, 1 << 31


def _tensor(t: Tensor) -> None:
    require(t.name.isascii() and t.name.isprintable() and t.name != "", f"tensor name {t.name!r}")
    require(
        1 <= len(t.shape) <= MAX_RANK and min(t.shape) >= 1 and t.size <= MAX_CELLS,
        f"{t.name}: expected 1 to {MAX_RANK} axes of positive length, got {t.shape}",
    )
    require(-LIMIT < t.lo <= t.hi < LIMIT, f"{t.name}: bounds [{t.lo}, {t.hi}]")
    if t.role in PUBLIC:
        require(INT16[0] <= t.lo and t.hi <= INT16[1], f"{t.name}: public, but not int16")
        require(t.size <= PUBLIC_CELLS, f"{t.name}: {t.size} public cells, at most {PUBLIC_CELLS}")
    if t.role == Role.TABLE:
        fits = len(t.values) == t.size and all(t.lo <= v <= t.hi for v in t.values)
        require(fits, f"{t.name}: expected {t.size} table values in [{t.lo}, {t.hi}]")
    else:
        require(not t.values, f"{t.name}: values are for tables only")


def _view(program: Program, view: View, axes: int, aligned: Sequence[int] | None) -> None:
    require(view.tensor < len(program.tensors), f"view of unknown tensor {view.tensor}")
    t = program.tensors[view.tensor]
    require(len(view.index) == len(t.shape), f"{t.name}: {len(view.index)} indices for {t.shape}")
    named = [i.axis for i in view.index if i.axis != FIXED]
    require(len(set(named)) == len(named), f"{t.name}: an axis used twice in one view")
    for index, length in zip(view.index, t.shape, strict=True):
        require(FIXED <= index.axis < axes, f"{t.name}: axis {index.axis} of {axes}")
        require(abs(index.offset) < 1 << 31, f"{t.name}: offset {index.offset}")
        if index.axis == FIXED:
            require(0 <= index.offset < length, f"{t.name}: fixed index {index.offset}")
        elif aligned is not None:  # a lookup's columns are not shifted
            require(
                index.offset == 0 and aligned[index.axis] == length,
                f"{t.name}: a lookup's column must not be shifted or cut",
            )


def _expr(program: Program, e: Expr, out: Tensor) -> None:
    require(1 <= len(e.axes) <= MAX_AXES and min(e.axes) >= 1, f"{out.name}: axes {e.axes}")
    fits = e.free <= len(e.axes) and e.axes[: e.free] == out.shape
    require(fits, f"{out.name}: {out.shape}, but {e.axes}[:{e.free}]")
    for _, view in e.linear.terms:
        _view(program, view, e.free, None)
    for c in e.contractions:
        for _, view in c.x.terms + c.y.terms:
            _view(program, view, len(e.axes), None)
        require(bool(c.x.terms and (c.x.axes | c.y.axes)), f"{out.name}: an empty contraction")
        batch = e.batch(c)  # neighbours share a kernel
        runs = sum(a - 1 not in batch for a in batch)
        require(runs <= 3, f"{out.name}: more than three runs of batch axes")


def _lookup_axes(
    program: Program, axes: tuple[int, ...], index: Affine, out: tuple[int, ...]
) -> None:
    require(1 <= len(axes) <= MAX_RANK and min(axes) >= 1, f"lookup axes {axes}")
    require(axes == out, f"a lookup over {axes} for an output of {out}")
    for _, view in index.terms:
        _view(program, view, len(axes), axes)


def _op(program: Program, op: Op, bounds: Intervals) -> None:
    """Checks one gadget."""
    limb = program.limb
    match op:
        case Linear(out, expr):
            _expr(program, expr, program.tensors[out])
        case Requantize(out, expr, shift, bits) | Relu(out, expr, shift, bits):
            t = program.tensors[out]
            _expr(program, expr, t)
            require(0 <= shift <= 40, f"{t.name}: shift {shift}, expected 0 to 40")
            _bits(t, limb, bits)
            lo, hi = bounds.expr(expr)
            require(max(-lo, hi) + (1 << shift + bits) < LIMIT, f"{t.name}: no room to round")
        case Floor(out, axes, x, shift):
            t = program.tensors[out]
            _lookup_axes(program, axes, x, t.shape)
            _ranged(bounds, t, x)
            require(1 <= shift <= 16, f"{t.name}: shift {shift}, expected 1 to 16")
            bounds.affine(x)
            tables = [other for other in program.ops if isinstance(other, Table)]
            rest = any(_is_rest(program, op, other) for other in tables)
            require(rest, f"{t.name}: no table of {1 << shift} rows proves what is left")
            whole = any(_indexed_by(op, other, bounds) for other in tables)
            require(whole, f"{t.name}: no table proves that it is an integer")
        case Table(out, axes, index, table, lo):
            t, content = program.tensors[out], program.tensors[table]
            _lookup_axes(program, axes, index, t.shape)
            require(content.role == Role.TABLE, f"{t.name}: {content.name} is not a table")
            require(len(content.shape) == 1, f"{content.name}: expected one axis")
            inside = lo > -(1 << 31) and lo + content.size <= 1 << 31
            require(inside, f"{t.name}: {content.size} table rows from {lo}, not within 32 bits")
            bounds.affine(index)
        case Gather(out, axes, index, source):
            t, content = program.tensors[out], program.tensors[source]
            require(len(content.shape) == 2, f"{content.name}: expected rows and columns")
            _lookup_axes(program, axes, index, t.shape[:-1])
            require(t.shape[-1] == content.shape[1], f"{t.name}: rows of {content.shape[1]}")
            require(content.role not in PUBLIC, f"{content.name}: gather from committed rows")
            bounds.affine(index)
        case Range(tensor, bits):
            t = program.tensors[tensor]
            require(t.role == Role.INPUT_COMMITTED, f"{t.name}: range is for committed inputs")
            _bits(t, limb, bits)
        case Max(out, axes, x, bits) | Argmax(out, axes, x, bits):
            t = program.tensors[out]
            require(len(axes) >= 2, f"{t.name}: expected axes before the last one, got {axes}")
            _lookup_axes(program, axes, x, (*t.shape, axes[-1]))
            _ranged(bounds, t, x)
            bounds.affine(x)
            _bits(t, limb, bits, 48)
        case Divide(out, axes, numerator, denominator, bits, rest_bits):
            t = program.tensors[out]
            _lookup_axes(program, axes, denominator, t.shape)
            for _, view in numerator.terms:
                _view(program, view, len(axes), None)
            _ranged(bounds, t, denominator)
            _bits(t, limb, bits)
            _bits(t, limb, rest_bits, 48)
            most = max(map(abs, bounds.affine(denominator)))
            reach = max(map(abs, bounds.affine(numerator)))
            room = reach + (most << bits) + (1 << rest_bits)
            require(room < LIMIT, f"{t.name}: no room to divide")
        case Rsqrt(out, axes, x, shift, bits, rest_bits):
            t = program.tensors[out]
            _lookup_axes(program, axes, x, t.shape)
            _ranged(bounds, t, x)
            _bits(t, limb, bits)
            _bits(t, limb, rest_bits, 48)
            most = max(map(abs, bounds.affine(x)))
            room = (most << 2 * bits) + (most << bits + 2) + (1 << rest_bits) + (1 << 2 * shift)
            require(shift <= 30 and room < LIMIT, f"{t.name}: no room for its square root")


def _is_rest(program: Program, op: Floor, table: Table) -> bool:
    """Whether the table proves that x - 2^shift out is in [0, 2^shift)."""
    if table.axes != op.axes or table.index != op.rest or table.table >= len(program.tensors):
        return False
    return (table.lo, program.tensors[table.table].size) == (0, 1 << op.shift)


def _indexed_by(op: Floor, table: Table, bounds: Intervals) -> bool:
    """Whether the table proves that out is an integer: its index is out, and integers that are
    there before it."""
    ours = [(coef, view) for coef, view in table.index.terms if view.tensor == op.out]
    others = [view.tensor for _, view in table.index.terms if view.tensor != op.out]
    known = all(tensor in bounds.of and tensor not in bounds.free for tensor in others)
    return known and table.axes == op.axes and ours == [(1, op.whole)]


def _stacks(program: Program) -> None:
    end = 0
    for stack in program.stacks:
        fits = end <= stack.first and 1 <= stack.count <= len(program.ops) - stack.first
        require(fits, f"{stack}: expected gadgets of its own, of {len(program.ops)}")
        end = stack.first + stack.count


def _stack(program: Program, length: int, ops: tuple[Op, ...], bounds: Intervals) -> None:
    """Every cell comes from cells of layers before it, or of gadgets before it:
    docs/protocol/gadgets.md#stack."""
    require(1 <= length < 1 << 31, f"a stack of {length} layers")
    place: dict[int, int] = {}
    for at, op in enumerate(ops):
        require(out_of(op) < len(program.tensors), f"output to unknown tensor {out_of(op)}")
        t = program.tensors[out_of(op)]
        require(not isinstance(op, Range), f"{t.name}: a range check in a stack")
        require(t.shape[0] == length, f"{t.name}: {t.shape} in a stack of {length} layers")
        require(place.setdefault(out_of(op), at) == at, f"{t.name}: made twice in a stack")
    for at, op in enumerate(ops):
        if isinstance(op, Gather):
            require(op.source not in place, f"{program.tensors[op.out].name}: gathers in a stack")
        for view in views(op):
            made = place.get(view.tensor)
            if made is None:
                continue
            name = program.tensors[view.tensor].name
            first = view.index[0] if view.index else Index(FIXED)
            require(first.axis == 0, f"{name}: read across layers of its stack")
            last = 0 if made < at else -1
            require(first.offset <= last, f"{name}: read {first.offset} layers on, at most {last}")
            if made >= at:
                _ahead(program, ops[made], bounds)


def _ahead(program: Program, op: Op, bounds: Intervals) -> None:
    """A tensor that is read a layer back keeps the interval that its own gadget proves, whatever
    it reads: no interval rests on itself."""
    t = program.tensors[out_of(op)]
    if not isinstance(op, RANGED):
        raise InvalidProgram(f"{t.name}: read a layer back, but its own gadget proves no range")
    if isinstance(op, Table):
        require(op.table < len(program.tensors), f"{t.name}: no table {op.table}")
    elif isinstance(op, Argmax):
        require(len(op.axes) >= 2, f"{t.name}: axes {op.axes}")
    else:
        _bits(t, program.limb, op.bits)
    bounds.ahead[out_of(op)] = INT16 if t.role == Role.OUTPUT else alone(program, op)


def _bits(t: Tensor, limb: int, bits: int, most: int = 32) -> None:
    fits = 8 <= bits <= most and bits % limb == 0
    require(fits, f"{t.name}: {bits} bits, expected 8 to {most} in whole limbs of {limb}")


def _ranged(bounds: Intervals, t: Tensor, x: Affine) -> None:
    """What is compared, divided by or multiplied with a hint must be integers within bounds."""
    require(not bounds.is_free(x), f"{t.name}: depends on weights with no range proved")


def _made(program: Program, op: Op, bounds: Intervals) -> None:
    """Checks one gadget after those before it, and notes what it proves."""
    for tensor in gadgets.reads(op):
        known = tensor < len(program.tensors) and (tensor in bounds.of or tensor in bounds.ahead)
        require(known, f"tensor {tensor} is read before it is made")
    require(out_of(op) < len(program.tensors), f"output to unknown tensor {out_of(op)}")
    _op(program, op, bounds)
    if isinstance(op, Range):
        return
    t = program.tensors[op.out]
    require(op.out not in bounds.of, f"{t.name}: made twice, or given")
    proved, free = interval(program, op, bounds)
    bounds.of[op.out] = INT16 if t.role == Role.OUTPUT else proved
    if free and t.role != Role.OUTPUT:
        bounds.free.add(op.out)


def validate(program: Program) -> dict[str, Bounds]:
    """The proved interval of each tensor by name; raises InvalidProgram with the tensor and the
    reason."""
    require(program.limb in (4, 8, 16), f"limb of {program.limb} bits, expected 4, 8 or 16")
    require(1 <= len(program.tensors) < 1 << 15, "too many tensors")
    names = [t.name for t in program.tensors]
    require(len(set(names)) == len(names), "two tensors of one name")
    for t in program.tensors:
        _tensor(t)
    bounds = Intervals(program)
    ranged = {op.tensor: op.bits for op in program.ops if isinstance(op, Range)}
    for tensor, bits in ranged.items():
        require(tensor < len(program.tensors), f"range of unknown tensor {tensor}")
        require(bits >= 1, f"{program.tensors[tensor].name}: a range of {bits} bits")
    for i, t in enumerate(program.tensors):
        if t.role in (Role.INPUT, Role.WEIGHT, Role.TABLE):
            bounds.of[i] = INT16 if t.role == Role.INPUT else (t.lo, t.hi)
            if t.role == Role.WEIGHT:
                bounds.free.add(i)
        elif t.role == Role.INPUT_COMMITTED:
            require(i in ranged, f"{t.name}: a committed input must be range-checked")
            bounds.of[i] = (-(1 << ranged[i] - 1), (1 << ranged[i] - 1) - 1)
    _stacks(program)
    for length, ops in program.steps():
        if length is not None:
            _stack(program, length, ops, bounds)
        for op in ops:
            _made(program, op, bounds)
        bounds.ahead.clear()
    missing = [t.name for i, t in enumerate(program.tensors) if i not in bounds.of]
    require(not missing, f"never made: {', '.join(missing)}")
    relations = gadgets.expand(program)
    hints = [t.name for t in relations.tensors]
    require(len(set(hints)) == len(hints), "a tensor with the name of a hint, or ranged twice")
    require(bool(relations.lookups), "expected at least one lookup")
    require(bool(relations.contractions), "expected at least one contraction")
    return {program.tensors[i].name: b for i, b in bounds.of.items()}
