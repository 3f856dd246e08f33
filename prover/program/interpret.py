"""The integer semantics of a program: what every tensor and hint is, given its inputs and weights.

Every range is checked as it is computed, and a value that leaves one is refused by the name of its
tensor: whoever promises an answer has run this first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from prover.program import gadgets
from prover.program.evaluate import Ints, Stored, ValueRefused, within
from prover.program.ir import Op, Program, Role, Tensor
from prover.program.rewrite import at_layer, out_of

GIVEN = (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT)


def check_values(tensor: Tensor, value: object) -> Ints:
    """The tensor's cells as int64 of its shape; raises ValueRefused."""
    return _checked(tensor, value).astype(np.int64, copy=False)


def check_weight(tensor: Tensor, value: object) -> Stored:
    """The cells of a weight: in 16 bits where its range allows, else in 64; raises
    ValueRefused."""
    small = np.iinfo(np.int16)
    fits = small.min <= tensor.lo and tensor.hi <= small.max
    return _checked(tensor, value).astype(np.int16 if fits else np.int64, copy=False)


def _checked(tensor: Tensor, value: object) -> Stored:
    array = np.asarray(value)
    if array.dtype.kind not in "iu" or array.shape != tensor.shape:
        raise ValueRefused(
            f"{tensor.name}: expected integers of shape {tensor.shape},"
            f" got {array.dtype} of shape {array.shape}"
        )
    within(array, tensor.lo, tensor.hi, tensor.name)
    return array


def interpret(program: Program, given: Mapping[str, Stored]) -> dict[str, Stored]:
    """All tensors and hints by name, int64 but for weights, from the inputs and the weights by
    name.

    Raises ValueRefused for a given tensor that does not fit, a name that is not asked for, and any
    value out of range.
    """
    wanted = {t.name for t in program.tensors if t.role in GIVEN}
    if set(given) != wanted:
        raise ValueRefused(f"expected tensors {sorted(wanted)}, got {sorted(given)}")
    numbers = {t.name: i for i, t in enumerate(program.tensors)}
    values: dict[int, Stored] = {}
    for i, tensor in enumerate(program.tensors):
        if tensor.role in GIVEN:
            check = check_weight if tensor.role == Role.WEIGHT else check_values
            values[i] = check(tensor, given[tensor.name])
        elif tensor.role == Role.TABLE:
            values[i] = np.array(tensor.values, dtype=np.int64).reshape(tensor.shape)
    hints: dict[str, Stored] = {}
    for length, ops in program.steps():
        if length is not None:
            hints |= _layers(program, length, ops, values, numbers)
            continue
        for name, value in gadgets.run(program, ops[0], values).items():
            if name in numbers:
                values[numbers[name]] = check_values(program.tensors[numbers[name]], value)
            else:
                hints[name] = value
    named = {program.tensors[i].name: value for i, value in values.items()}
    return named | hints


def _layers(
    program: Program,
    length: int,
    ops: tuple[Op, ...],
    values: dict[int, Stored],
    numbers: Mapping[str, int],
) -> dict[str, Ints]:
    """Runs a stack, layer by layer: its tensors into `values`, its hints by name."""
    made: dict[str, Ints] = {}
    for op in ops:
        values[out_of(op)] = np.zeros(program.tensors[out_of(op)].shape, dtype=np.int64)
    for layer in range(length):
        for op in ops:
            try:
                found = gadgets.run(program, at_layer(op, layer), values)
                for name, value in found.items():
                    if name in numbers:
                        tensor = program.tensors[numbers[name]]
                        one = replace(tensor, shape=(1, *tensor.shape[1:]))
                        values[numbers[name]][layer] = check_values(one, value)[0]
                        continue
                    hint = made.setdefault(name, np.zeros((length, *value.shape[1:]), np.int64))
                    hint[layer] = value[0]
            except ValueRefused as error:
                raise ValueRefused(f"layer {layer}: {error}") from error
    return made
