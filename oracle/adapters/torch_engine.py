"""The integer semantics of a program in torch, bit for bit: what is checked before an answer.

It shares no arithmetic with prover/program/interpret.py; a program's every range is checked, those
of hints included, so that what it accepts can be proved. Integers travel as int64; products go
through float64 matrix products, split until the magnitudes of all terms add up to less than 2^53.
Then every partial sum is exact, in whatever order a device adds and with fused steps or without, so
that a GPU answers as a processor does; TF32, torch's shortcut there, is for float32 alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch

from oracle.domain.errors import DeviceMissing, InputRefused
from prover.program.evaluate import Stored
from prover.program.interpret import check_weight
from prover.program.ir import (
    FIXED,
    Affine,
    Argmax,
    Contraction,
    Divide,
    Expr,
    Floor,
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
    View,
)
from prover.program.rewrite import at_layer, out_of
from prover.program.validate import validate

IntArray = npt.NDArray[np.int64]
EXACT = 1 << 53  # float64 holds every integer up to here
DEVICES = ("cpu", "cuda")
PIECE = 1 << 22  # cells of a matrix that are converted to it at a time
GIVEN = (Role.INPUT, Role.INPUT_COMMITTED)
MADE = (Role.OUTPUT, Role.OUTPUT_COMMITTED)


def device(name: str) -> torch.device:
    """One of DEVICES that torch has here. Raises DeviceMissing."""
    if name not in DEVICES:
        raise DeviceMissing(f"expected a device out of {', '.join(DEVICES)}; got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceMissing(
            "device 'cuda' needs an NVIDIA GPU, its driver, and a torch that is built for CUDA;"
            f" torch {torch.__version__} has none here"
        )
    return torch.device(name)


class Network:
    """A validated program and its integer weights on one device; runs any number of inputs at once.

    Values have a leading axis of independent inferences, of length 1 where they do not depend on
    the input. Raises DeviceMissing, InvalidProgram for a program that must not be relied on,
    ValueRefused for weights that do not fit it.
    """

    def __init__(self, program: Program, weights: Mapping[str, Stored], on: str = "cpu") -> None:
        self.program, self.device = program, device(on)
        validate(program)
        self._constants: dict[int, torch.Tensor] = {}
        for i, tensor in enumerate(program.tensors):
            if tensor.role == Role.TABLE:
                cells = np.array(tensor.values, dtype=np.int64).reshape(tensor.shape)
            elif tensor.role == Role.WEIGHT:
                cells = check_weight(tensor, weights.get(tensor.name))
            else:
                continue
            self._constants[i] = torch.from_numpy(cells)[None].to(self.device)

    def run(self, inputs: Mapping[str, IntArray]) -> dict[str, IntArray]:
        """Every statement and activation tensor of one inference; raises InputRefused."""
        batch = {name: np.asarray(cells)[None] for name, cells in inputs.items()}
        return {name: cells[0] for name, cells in self.run_batch(batch).items()}

    @torch.no_grad()
    def run_batch(self, inputs: Mapping[str, IntArray]) -> dict[str, IntArray]:
        """The same for inputs with a leading axis; one that is out of range refuses them all."""
        wanted = {t.name: i for i, t in enumerate(self.program.tensors) if t.role in GIVEN}
        if set(inputs) != set(wanted):
            raise InputRefused(f"expected inputs {sorted(wanted)}, got {sorted(inputs)}")
        values = dict(self._constants)
        for name, i in wanted.items():
            values[i] = self._given(i, inputs[name])
        count = max(len(np.asarray(cells)) for cells in inputs.values()) if inputs else 1
        for length, ops in self.program.steps():
            if length is None:
                _RUN[type(ops[0])](self, ops[0], values)
            else:
                self._layers(length, ops, values, count)
        return {
            t.name: values[i].expand(count, *t.shape).cpu().numpy()
            for i, t in enumerate(self.program.tensors)
            if t.role not in (Role.WEIGHT, Role.TABLE)
        }

    def _layers(
        self, length: int, ops: Sequence[Op], values: dict[int, torch.Tensor], count: int
    ) -> None:
        """A stack: each layer's gadgets in order, on cells that are zero until they are made."""
        made = {}
        for op in ops:
            shape = (count, *self.program.tensors[out_of(op)].shape)
            made[op] = torch.zeros(shape, dtype=torch.int64, device=self.device)
            values[out_of(op)] = made[op]
        for layer in range(length):
            for op, cells in made.items():
                try:
                    _RUN[type(op)](self, at_layer(op, layer), values)
                except InputRefused as error:
                    raise InputRefused(f"layer {layer}: {error}") from error
                cells[:, layer] = values[out_of(op)][:, 0]
                values[out_of(op)] = cells

    # --- ranges ---

    def _given(self, i: int, cells: IntArray) -> torch.Tensor:
        tensor, array = self.program.tensors[i], np.asarray(cells)
        if array.dtype.kind not in "iu" or array.shape[1:] != tensor.shape or not len(array):
            raise InputRefused(
                f"{tensor.name}: expected integers of shape {tensor.shape},"
                f" got {array.dtype} of shape {array.shape[1:]}"
            )
        made = torch.from_numpy(np.ascontiguousarray(array, dtype=np.int64)).to(self.device)
        _within(made, tensor.lo, tensor.hi, tensor.name)
        return made

    def _store(self, i: int, cells: torch.Tensor, values: dict[int, torch.Tensor]) -> None:
        tensor = self.program.tensors[i]
        _within(cells, tensor.lo, tensor.hi, tensor.name)
        values[i] = cells.long().reshape(len(cells), -1, *tensor.shape[1:])  # one layer, or all

    # --- gadgets ---

    def _linear(self, op: Linear, values: dict[int, torch.Tensor]) -> None:
        self._store(op.out, _expr(op.expr, values), values)

    def _requantize(self, op: Requantize, values: dict[int, torch.Tensor]) -> None:
        rounded = _rounded(op, values)
        half, tensor = 1 << op.bits - 1, self.program.tensors[op.out]
        if tensor.role != Role.OUTPUT:  # which is an int16 by its encoding
            _within(rounded, -half, half - 1, tensor.name)
        self._store(op.out, rounded, values)

    def _relu(self, op: Relu, values: dict[int, torch.Tensor]) -> None:
        rounded = _rounded(op, values)
        most, name = (1 << op.bits) - 1, self.program.tensors[op.out].name
        _within(rounded, -most, most, f"{name} before its ReLU")
        self._store(op.out, rounded.clamp_min(0), values)

    def _table(self, op: Table, values: dict[int, torch.Tensor]) -> None:
        rows = self._rows(op.index, op.axes, op.table, op.lo, op.out, values)
        self._store(op.out, values[op.table].reshape(-1)[rows], values)

    def _floor(self, op: Floor, values: dict[int, torch.Tensor]) -> None:
        x = _affine(op.x, op.axes, range(len(op.axes)), values)
        self._store(op.out, x >> op.shift, values)

    def _gather(self, op: Gather, values: dict[int, torch.Tensor]) -> None:
        rows = self._rows(op.index, op.axes, op.source, 0, op.out, values)
        source = values[op.source]
        if len(source) == 1:
            self._store(op.out, source[0][rows], values)
            return
        inference = torch.arange(len(source), device=self.device)
        self._store(op.out, source[inference.reshape(-1, *(1,) * len(op.axes)), rows], values)

    def _rows(
        self,
        index: Affine,
        axes: tuple[int, ...],
        source: int,
        lo: int,
        out: int,
        values: dict[int, torch.Tensor],
    ) -> torch.Tensor:
        rows = _affine(index, axes, range(len(axes)), values) - lo
        count = self.program.tensors[source].shape[0]
        _within(rows, 0, count - 1, f"{self.program.tensors[out].name}: its index")
        return rows

    def _range(self, op: Range, values: dict[int, torch.Tensor]) -> None:
        half = 1 << op.bits - 1
        _within(values[op.tensor], -half, half - 1, self.program.tensors[op.tensor].name)

    def _max(self, op: Max, values: dict[int, torch.Tensor]) -> None:
        x = _affine(op.x, op.axes, range(len(op.axes)), values)
        top = x.amax(dim=-1)
        self._spread(op, top[..., None] - x)
        self._store(op.out, top, values)

    def _argmax(self, op: Argmax, values: dict[int, torch.Tensor]) -> None:
        x = _affine(op.x, op.axes, range(len(op.axes)), values)
        first = x.argmax(dim=-1)  # where several are greatest
        before = torch.arange(x.shape[-1], device=x.device) < first[..., None]
        self._spread(op, x.amax(dim=-1)[..., None] - x - before.long())
        self._store(op.out, first, values)

    def _spread(self, op: Max | Argmax, gaps: torch.Tensor) -> None:
        name = self.program.tensors[op.out].name
        _within(gaps, 0, (1 << op.bits) - 1, f"{name}: what it exceeds others by")

    def _divide(self, op: Divide, values: dict[int, torch.Tensor]) -> None:
        axes, name = range(len(op.axes)), self.program.tensors[op.out].name
        numerator = _affine(op.numerator, op.axes, axes, values)
        denominator = _affine(op.denominator, op.axes, axes, values)
        _within(denominator, 1, 2 << op.rest_bits, f"{name}: its denominator")
        out = torch.div(numerator, denominator, rounding_mode="floor")
        remainder = numerator - denominator * out
        for rest in (remainder, denominator - 1 - remainder):
            _within(rest, 0, (1 << op.rest_bits) - 1, f"{name}: its remainder")
        _within(out, -(1 << op.bits - 1), (1 << op.bits - 1) - 1, name)
        self._store(op.out, out, values)

    def _rsqrt(self, op: Rsqrt, values: dict[int, torch.Tensor]) -> None:
        name, target = self.program.tensors[op.out].name, 1 << 2 * op.shift
        x = _affine(op.x, op.axes, range(len(op.axes)), values)
        _within(x, 1, 1 << 62, f"{name}: its radicand")
        out = torch.floor((1 << op.shift) / torch.sqrt(x.double())).long()
        out -= (out * out * x > target).long()
        out += ((out + 1) * (out + 1) * x <= target).long()
        _within(out, 0, (1 << op.bits) - 1, name)
        for rest in (target - out * out * x, (out + 1) * (out + 1) * x - target - 1):
            _within(rest, 0, (1 << op.rest_bits) - 1, f"{name}: its remainder")
        self._store(op.out, out, values)


_RUN: dict[type, Callable[[Network, Op, dict[int, torch.Tensor]], None]] = {
    Linear: Network._linear,
    Requantize: Network._requantize,
    Relu: Network._relu,
    Floor: Network._floor,
    Table: Network._table,
    Gather: Network._gather,
    Range: Network._range,
    Max: Network._max,
    Argmax: Network._argmax,
    Divide: Network._divide,
    Rsqrt: Network._rsqrt,
}  # type: ignore[dict-item]


def _within(cells: torch.Tensor, lo: int, hi: int, name: str) -> None:
    low, high = int(cells.min()), int(cells.max())
    if low < lo or high > hi:
        raise InputRefused(f"{name}: expected values in [{lo}, {hi}], got [{low}, {high}]")


# --- expressions, over a leading axis of inferences ---


def _view(
    view: View, lengths: Sequence[int], axes: Sequence[int], values: Mapping[int, torch.Tensor]
) -> torch.Tensor:
    """V[x + offset] for x over `axes`, zero outside V; axes that V does not name have length 1."""
    cells = values[view.tensor]
    named: list[int] = []
    for dim, index in enumerate(view.index, start=1):
        length = 1 if index.axis == FIXED else lengths[index.axis]
        at = torch.arange(length, device=cells.device) + index.offset
        inside = (at >= 0) & (at < cells.shape[dim])
        if index.offset or length != cells.shape[dim]:
            cells = cells.index_select(dim, at.clamp(0, cells.shape[dim] - 1))
        if not bool(inside.all()):
            shape = [1] * cells.ndim
            shape[dim] = length
            cells = cells * inside.reshape(shape)
        if index.axis != FIXED:
            named.append(index.axis)
    cells = cells.reshape(len(cells), *(lengths[axis] for axis in named))
    order = sorted(range(len(named)), key=lambda d: list(axes).index(named[d]))
    cells = cells.permute(0, *(d + 1 for d in order))
    return cells.reshape(len(cells), *(lengths[a] if a in named else 1 for a in axes))


def _affine(
    affine: Affine, lengths: Sequence[int], axes: Sequence[int], values: Mapping[int, torch.Tensor]
) -> torch.Tensor:
    device = next(iter(values.values())).device
    shape = (1, *(lengths[axis] for axis in axes))
    total = torch.full(shape, affine.const, dtype=torch.int64, device=device)
    for coefficient, view in affine.terms:
        total = total + coefficient * _view(view, lengths, axes, values).long()
    return total


def _factor(
    affine: Affine, lengths: Sequence[int], axes: Sequence[int], values: Mapping[int, torch.Tensor]
) -> torch.Tensor:
    """The same; one view by itself, such as a large weight, as it is stored."""
    if len(affine.terms) == 1 and affine.terms[0][0] == 1 and not affine.const:
        cells = _view(affine.terms[0][1], lengths, axes, values)
        return cells.expand(len(cells), *(lengths[axis] for axis in axes))
    return _affine(affine, lengths, axes, values)


def _expr(expr: Expr, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
    total = _affine(expr.linear, expr.axes, range(expr.free), values)
    for contraction in expr.contractions:
        total = total + _contraction(expr, contraction, values)
    return total


def _contraction(expr: Expr, c: Contraction, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """A batched matrix product: (batch, x_free, summed) by (batch, summed, y_free)."""
    batch, summed, y_free = expr.batch(c), expr.summed(c), expr.y_free(c)
    x_free = tuple(a for a in expr.x_free(c) if a in c.x.axes)  # not those that nothing names
    x = _factor(c.x, expr.axes, (*batch, *x_free, *summed), values)
    y = _factor(c.y, expr.axes, (*batch, *y_free, *summed), values)

    def size(axes: tuple[int, ...]) -> int:
        return int(np.prod([expr.axes[a] for a in axes], dtype=np.int64))

    x = x.reshape(len(x), size(batch), size(x_free), size(summed))
    y = y.reshape(len(y), size(batch), size(y_free), size(summed)).transpose(-1, -2)
    product = matmul(x, y)
    order = (*batch, *x_free, *y_free)
    product = product.reshape(len(product), *(expr.axes[axis] for axis in order))
    product = product.permute(0, *(order.index(axis) + 1 for axis in sorted(order)))
    named = (expr.axes[axis] if axis in order else 1 for axis in range(expr.free))
    return product.reshape(len(product), *named).expand(-1, *expr.axes[: expr.free])


def _rounded(op: Requantize | Relu, values: Mapping[int, torch.Tensor]) -> torch.Tensor:
    """floor(expr / 2^shift + 1/2); >> of int64 rounds down."""
    return (_expr(op.expr, values) + ((1 << op.shift) >> 1)) >> op.shift


def matmul(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x @ y in int64, exactly, whenever the result fits int64; both of any integer type.

    In float64 while |x| |y| terms < 2^53, y a piece of columns at a time; else the factor with more
    bits is split in two halves, x = 2^h x_1 + x_0.
    """
    most_x, most_y = _reach(x), _reach(y)
    if most_x * most_y * x.shape[-1] < EXACT:
        if x.numel() > y.numel():  # the smaller one is converted whole
            return matmul(y.transpose(-1, -2), x.transpose(-1, -2)).transpose(-1, -2)
        left, step = x.double(), max(1, PIECE // max(1, y.shape[-2]))
        pieces = [(left @ piece.double()).long() for piece in y.split(step, dim=-1)]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, dim=-1)
    if most_x < most_y:
        return matmul(y.transpose(-1, -2), x.transpose(-1, -2)).transpose(-1, -2)
    half, x = most_x.bit_length() // 2, x.long()
    return (matmul(x >> half, y) << half) + matmul(x & ((1 << half) - 1), y)


def _reach(x: torch.Tensor) -> int:
    """The greatest magnitude."""
    return max(int(x.max()), -int(x.min()))
