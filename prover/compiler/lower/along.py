"""einproof.along, which the compiler makes of what moves, repeats or adds up the cells of an axis:
out[y] = sum over x of M[y, x] in[x], with M a public table (compiler/movement.py, spatial.py).

Where every row of M is a single 1, or nothing, it is an exact copy; sums are exact and rounded
once, like all accumulators; fractions in M have 15 bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from prover.compiler.errors import CompileError, UnsupportedOp
from prover.compiler.lower.mul import FACTOR_BITS
from prover.compiler.lower.network import (
    NOTHING,
    Argument,
    Array,
    Lengths,
    Network,
    Value,
    agreed,
    flat,
    numbered,
)
from prover.compiler.lower.slide import MOST_PICKED, joined, kept
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.addresses import bits_for
from prover.program.gadgets.shared import one
from prover.program.ir import FIXED, Contraction, Index, View
from prover.program.validate import MAX_RANK
from prover.quantizer import IntArray

TARGET = "einproof.along"
TARGETS = (TARGET,)
Matrix: TypeAlias = npt.NDArray[Any]


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    x, axis, matrix = args
    return np.moveaxis(np.tensordot(matrix, x, (1, axis)), 0, axis)


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Value:
    """Axes (those of the result..., those of the axis that is summed)."""
    x, axis, matrix = args
    if not isinstance(x, Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells, plan = net.stored(x), list(net.plan(node.name, node.shape))
    others = [a for a in range(len(plan)) if a != axis]
    found = agreed(node.name, tuple(plan[a] for a in others), (cells, others))
    for a, lengths in zip(others, found, strict=True):
        plan[a] = lengths
    net.plans[node.name] = tuple(plan)
    if len(plan[axis]) + len(cells.lengths[axis]) > MAX_RANK:
        cells = joined(net, node.name, cells, (axis,))
    inner = cells.lengths[axis]
    integers, bits = whole_numbers(matrix)
    table = _table(net, node, integers, plan[axis], inner)
    every = numbered((*plan, inner))
    at = [Index(a) for a in (*every[axis], *every[-1])] or [Index(FIXED)]
    seen = net.view(cells, [every[-1] if a == axis else every[a] for a in range(len(plan))])
    product = Contraction(one(View(table, tuple(at))), one(seen))
    if not bits and is_copy(integers):
        made = tuple(plan)
        return kept(net, node.name, cells, made, made, NOTHING, (product,), inner)
    return net.pending(
        node.name, tuple(plan), cells.exponent + bits, NOTHING, (product,), flat((inner,))
    )


def picked(places: Sequence[int] | IntArray, length: int) -> IntArray:
    """out[y] = in[places[y]]."""
    matrix = np.zeros((len(places), length), dtype=np.int64)
    matrix[np.arange(len(places)), np.asarray(places, dtype=np.int64)] = 1
    return matrix


def is_copy(integers: IntArray) -> bool:
    """Whether each row takes one cell, or none."""
    return bool(np.isin(integers, (0, 1)).all()) and int(integers.sum(axis=1).max()) <= 1


def whole_numbers(matrix: Array) -> tuple[IntArray, int]:
    """The matrix times 2^bits: exactly, where few bits are enough, else to 15 bits."""
    most = float(np.abs(matrix).max())
    finest = FACTOR_BITS - math.frexp(most)[1] if most else 0
    if finest < 0:
        raise CompileError(f"expected factors below {1 << FACTOR_BITS}, got {most:.0f}")
    for bits in range(finest):
        if np.array_equal(np.ldexp(matrix, bits), np.rint(np.ldexp(matrix, bits))):
            return np.rint(np.ldexp(matrix, bits)).astype(np.int64), bits
    return np.rint(np.ldexp(matrix, finest)).astype(np.int64), finest


def _table(net: Network, node: Node, integers: IntArray, rows: Lengths, columns: Lengths) -> int:
    """The matrix with its axes in these parts, each in a power of two: one box."""
    parts = (*rows, *columns) or (1,)
    shape = tuple(1 << bits_for(n) for n in parts)
    if math.prod(shape) > MOST_PICKED:
        what = f"{integers.shape[1]} cells to {len(integers)}, a matrix of {math.prod(shape)}"
        raise UnsupportedOp(node.name, node.target, f"{what}, at most {MOST_PICKED}")
    full = np.zeros(shape, dtype=np.int64)
    full[tuple(map(slice, parts))] = integers.reshape(parts)
    return net.table(f"{node.name}.matrix", full)
