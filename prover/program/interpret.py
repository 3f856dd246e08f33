"""The integer semantics of a program: what every tensor and hint is, given its inputs and weights.

Every range is checked as it is computed, and a value that leaves one is refused by the name of its
tensor: whoever promises an answer has run this first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from prover.errors import EinproofError
from prover.program import gadgets
from prover.program.evaluate import Ints, affine_values
from prover.program.ir import Gather, Op, Program, Range, Relu, Requantize, Role, Table, Tensor

GIVEN = (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT)


class ValueRefused(EinproofError):
    """A tensor that is missing, of another shape or type, or outside its range."""


def check_values(tensor: Tensor, value: object) -> Ints:
    """The tensor's cells as int64 of its shape; raises ValueRefused."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.shape != tensor.shape:
        raise ValueRefused(
            f"{tensor.name}: expected integers of shape {tensor.shape},"
            f" got {array.dtype} of shape {array.shape}"
        )
    _within(array, tensor.lo, tensor.hi, tensor.name)
    return array.astype(np.int64)


def _within(values: npt.NDArray[Any], lo: int, hi: int, name: str) -> None:
    low, high = int(values.min()), int(values.max())
    if low < lo or high > hi:
        raise ValueRefused(f"{name}: expected values in [{lo}, {hi}], got [{low}, {high}]")


def _check_lookups(
    program: Program, op: Op, values: Mapping[int, Ints], hints: Mapping[str, Ints]
) -> None:
    """The ranges that a gadget's lookups prove, which its output's bounds need not say."""
    match op:
        case Requantize(out, _, _, bits) if program.tensors[out].role != Role.OUTPUT:
            half = 1 << bits - 1
            _within(values[out], -half, half - 1, program.tensors[out].name)
        case Relu(out, _, _, bits):
            name, most = program.tensors[out].name, (1 << bits) - 1
            _within(values[out], 0, most, name)
            _within(hints[f"{name}.n"], 0, most, f"{name}, what its ReLU cuts off")
        case Range(tensor, bits):
            half = 1 << bits - 1
            _within(values[tensor], -half, half - 1, program.tensors[tensor].name)
        case Table(out, axes, index, source, lo):
            rows = affine_values(index, axes, range(len(axes)), values) - lo
            most = program.tensors[source].size - 1
            _within(rows, 0, most, f"{program.tensors[out].name}: its index")
        case Gather(out, axes, index, source):
            rows = affine_values(index, axes, range(len(axes)), values)
            most = program.tensors[source].shape[0] - 1
            _within(rows, 0, most, f"{program.tensors[out].name}: its index")


def interpret(program: Program, given: Mapping[str, Ints]) -> dict[str, Ints]:
    """All tensors and hints by name, int64, from the inputs and the weights by name.

    Raises ValueRefused for a given tensor that does not fit, a name that is not asked for, and any
    value out of range.
    """
    wanted = {t.name for t in program.tensors if t.role in GIVEN}
    if set(given) != wanted:
        raise ValueRefused(f"expected tensors {sorted(wanted)}, got {sorted(given)}")
    numbers = {t.name: i for i, t in enumerate(program.tensors)}
    values: dict[int, Ints] = {}
    for i, tensor in enumerate(program.tensors):
        if tensor.role in GIVEN:
            values[i] = check_values(tensor, given[tensor.name])
        elif tensor.role == Role.TABLE:
            values[i] = np.array(tensor.values, dtype=np.int64).reshape(tensor.shape)
    hints: dict[str, Ints] = {}
    for op in program.ops:
        made = gadgets.run(program, op, values)
        for name, value in made.items():
            if name in numbers:
                values[numbers[name]] = check_values(program.tensors[numbers[name]], value)
            else:
                hints[name] = value
        _check_lookups(program, op, values, hints)
    named = {program.tensors[i].name: value for i, value in values.items()}
    return named | hints
