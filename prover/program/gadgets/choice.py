"""Max and Argmax over the last axis: a one-hot choice that nothing exceeds.

Unique: docs/protocol/gadgets.md#max. Max's choice is free among equals, and so stays a hint; that
of Argmax is the first, because what comes before it is strictly less.
"""

from __future__ import annotations

import numpy as np

from prover.program.evaluate import Ints, Values, affine_values
from prover.program.gadgets.shared import one, plus, prove_range, range_hints, times, whole
from prover.program.ir import Affine, Argmax, Contraction, Index, Max, Program, View
from prover.program.relations import Relations

ONE = Affine((), 1)
ANY = 1 << 62  # a hint's bounds are not relied on


def _choice(rel: Relations, name: str, axes: tuple[int, ...]) -> Affine:
    """A hint of cells 0 or 1: s * s = s."""
    chosen = whole(rel.hint(f"{name}.s", axes, 0, 1), len(axes))
    rel.einsum(axes, len(axes), one(chosen), Contraction(one(chosen), one(chosen)))
    return one(chosen)


def _picked(rel: Relations, axes: tuple[int, ...], value: View, x: Affine, chosen: Affine) -> None:
    """value = sum of chosen * x over the last axis."""
    rel.einsum(axes, len(axes) - 1, one(value), Contraction(x, chosen))


def expand_max(rel: Relations, op: Max) -> None:
    name, free = rel.tensors[op.out].name, len(op.axes) - 1
    out, chosen = whole(op.out, free), _choice(rel, name, op.axes)
    rel.einsum(op.axes, free, ONE, Contraction(chosen, ONE))
    _picked(rel, op.axes, out, op.x, chosen)
    prove_range(rel, f"{name}.d", op.axes, plus(times(op.x, -1), (1, out)), op.bits)


def run_max(program: Program, op: Max, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    x = affine_values(op.x, op.axes, range(len(op.axes)), values)
    top = x.max(axis=-1)
    hints = range_hints(f"{name}.d", top[..., None] - x, op.bits, program.limb)
    return hints | {name: top, f"{name}.s": _first(x)}


def expand_argmax(rel: Relations, op: Argmax) -> None:
    """c counts the chosen up to each cell: 0 before the choice, 1 from it on."""
    name, free = rel.tensors[op.out].name, len(op.axes) - 1
    shape = op.axes[:-1]
    out, chosen = whole(op.out, free), _choice(rel, name, op.axes)
    top = whole(rel.hint(f"{name}.m", shape, -ANY, ANY), free)
    counted = rel.hint(f"{name}.c", op.axes, 0, 1)
    c = whole(counted, free + 1)
    before = View(counted, (*(Index(a) for a in range(free)), Index(free, -1)))
    end = View(counted, (*(Index(a) for a in range(free)), Index(-1, op.axes[-1] - 1)))
    rel.einsum(op.axes, free + 1, plus(times(chosen, -1), (1, c), (-1, before)))
    rel.einsum(shape, free, Affine(((1, end),), -1))
    _picked(rel, op.axes, top, op.x, chosen)
    gap = plus(times(op.x, -1), (1, top), (1, c), const=-1)
    prove_range(rel, f"{name}.d", op.axes, gap, op.bits)
    rel.einsum(op.axes, free, one(out), Contraction(Affine(((-1, c),), 1), ONE))


def run_argmax(program: Program, op: Argmax, values: Values) -> dict[str, Ints]:
    name = program.tensors[op.out].name
    x = affine_values(op.x, op.axes, range(len(op.axes)), values)
    top, chosen = x.max(axis=-1), _first(x)
    counted = np.cumsum(chosen, axis=-1)
    gap = top[..., None] - x + counted - 1
    made = {name: np.argmax(x, axis=-1).astype(np.int64), f"{name}.s": chosen}
    made |= {f"{name}.m": top, f"{name}.c": counted}
    return made | range_hints(f"{name}.d", gap, op.bits, program.limb)


def _first(x: Ints) -> Ints:
    """1 at the first greatest cell of each row, else 0."""
    here = np.arange(x.shape[-1]) == np.argmax(x, axis=-1)[..., None]
    return np.asarray(here, dtype=np.int64)
