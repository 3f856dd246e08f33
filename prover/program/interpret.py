"""The integer semantics of a program: what every tensor and hint is, given its inputs and weights.

Every range is checked as it is computed, and a value that leaves one is refused by the name of its
tensor: whoever promises an answer has run this first.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from prover.program import gadgets
from prover.program.evaluate import Ints, ValueRefused, within
from prover.program.ir import Program, Role, Tensor

GIVEN = (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT)


def check_values(tensor: Tensor, value: object) -> Ints:
    """The tensor's cells as int64 of its shape; raises ValueRefused."""
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.shape != tensor.shape:
        raise ValueRefused(
            f"{tensor.name}: expected integers of shape {tensor.shape},"
            f" got {array.dtype} of shape {array.shape}"
        )
    within(array, tensor.lo, tensor.hi, tensor.name)
    return array.astype(np.int64)


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
        for name, value in gadgets.run(program, op, values).items():
            if name in numbers:
                values[numbers[name]] = check_values(program.tensors[numbers[name]], value)
            else:
                hints[name] = value
    named = {program.tensors[i].name: value for i, value in values.items()}
    return named | hints
