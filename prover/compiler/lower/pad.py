"""aten.pad with zeros: a shift, copied so that it is a tensor; a negative count crops."""

from __future__ import annotations

from typing import Any

import numpy as np

from prover.compiler.errors import UnsupportedOp
from prover.compiler.lower.network import Argument, Array, Cells, Network, Value, numbered
from prover.compiler.lower.slide import kept, slid, whole_axes
from prover.compiler.ranges import Ranges
from prover.compiler.trace import Node
from prover.program.gadgets.shared import one

TARGETS = ("aten.pad.default", "aten.constant_pad_nd.default")


def _counts(node: Node, rank: int, args: tuple[Argument, ...]) -> list[tuple[int, int]]:
    """Zeros before and after each axis; torch counts axes from the last."""
    given: Any = args[1]
    mode, value = ("constant", args[2]) if "constant" in node.target else (args[2], args[3])
    if mode != "constant" or value:
        what = f"expected zeros around it, got mode {mode!r} and value {value}"
        raise UnsupportedOp(node.name, node.target, what)
    pairs = list(zip(given[::2], given[1::2], strict=True))
    return [(0, 0)] * (rank - len(pairs)) + pairs[::-1]


def reference(node: Node, args: tuple[Argument, ...], ranges: Ranges) -> Array:
    counts = _counts(node, args[0].ndim, args)
    made = np.pad(args[0], [(max(a, 0), max(b, 0)) for a, b in counts])
    cut = (slice(-min(a, 0), n + min(b, 0)) for (a, b), n in zip(counts, made.shape, strict=True))
    return np.asarray(made[tuple(cut)])


def lower(net: Network, node: Node, args: tuple[Argument, ...]) -> Cells:
    if not isinstance(args[0], Value):
        raise UnsupportedOp(node.name, node.target, "expected a value")
    cells = net.stored(args[0])
    counts = _counts(node, len(cells.parts), args)
    moved = [axis for axis, count in enumerate(counts) if count != (0, 0)]
    cells = whole_axes(net, node.name, cells, moved)
    seen: Cells | None = cells
    for axis in moved:
        seen = slid(seen, axis, -counts[axis][0], node.shape[axis]) if seen else None
    if seen is None:
        raise UnsupportedOp(node.name, node.target, "nothing but zeros is left")
    plan = tuple(
        ((n,) if n > 1 else ()) if axis in moved else cells.lengths[axis]
        for axis, n in enumerate(node.shape)
    )
    net.plans[node.name] = plan
    made = kept(net, node.name, cells, plan, plan, one(net.view(seen, numbered(plan))))
    return made
