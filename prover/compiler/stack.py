"""Blocks that a graph repeats, lowered once: the gadgets of one, over an axis of layers.

Each block is lowered by itself under the names of the first; what they make must be equal but for
the cells of weights, and then is lifted: each gadget gets the layers as its first axis, each weight
its layers' cells. A block reads what the one before it made, a layer back, plus what the first one
reads in its place, at layer 0 (docs/protocol/gadgets.md#stack).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from prover.compiler.blocks import Carried, Repeat
from prover.compiler.errors import CompileError
from prover.compiler.lower.network import (
    NOWHERE,
    Cells,
    Flags,
    Network,
    Plan,
    Value,
    aligned,
    common,
    flat,
    match,
    whole,
)
from prover.compiler.quantize import exponents, largest_exponent
from prover.compiler.ranges import HEADROOM
from prover.compiler.trace import INPUT, Node
from prover.program.bounds import RANGED
from prover.program.ir import (
    FIXED,
    Affine,
    Expr,
    Gather,
    Index,
    Linear,
    Op,
    Role,
    Stack,
    View,
)
from prover.program.rewrite import out_of, rewritten
from prover.program.validate import MAX_RANK
from prover.quantizer import INT16_MAX, INT16_MIN

SPREAD = 8  # bits by which one layer's constants may be finer than another's own
LAST = ".last"
Run: TypeAlias = Callable[[Network, Iterable[Node], dict[str, Any]], None]


class NotStacked(CompileError):
    """Blocks that look alike, but do not come down to equal gadgets: they stay as they are."""

    def __init__(self, repeat: Repeat, reason: str) -> None:
        super().__init__(f"{repeat.names[0][0]}: {len(repeat.blocks)} blocks, {reason}")
        self.repeat = repeat


class Lowered(NamedTuple):
    """One block by itself: what it adds to a network, what it carries on, what is read of it."""

    net: Network
    out: list[Cells]
    read: dict[str, Cells]


def lower_repeat(
    net: Network, repeat: Repeat, values: dict[str, Any], read: set[str], run: Run
) -> Stack:
    """The blocks as a stack, and the last one's values by the names that the graph has for them.

    `read`: names that something after the blocks reads; `run` lowers nodes one after another.
    Raises NotStacked, and what lowering raises.
    """
    _refine_as_asked(net)
    inner: dict[str, Any] = {}
    for name in repeat.shared:
        if isinstance(values[name], Flags):  # stored, and the same for every layer
            inner[name] = values[name]
        elif isinstance(values[name], Value):
            inner[name] = net.stored(values[name])
        else:
            raise NotStacked(repeat, f"which read {name}, no tensor")
    plans = [_plan(net, repeat, c, values[c.start]) for c in repeat.carried]
    scales = [_exponent(net, repeat, c, values[c.start]) for c in repeat.carried]
    starts = [
        _start(net, c, values[c.start], plan, exponent)
        for c, plan, exponent in zip(repeat.carried, plans, scales, strict=True)
    ]
    base = len(net.tensors)

    def lower(block: tuple[Node, ...]) -> Lowered:
        own = replace(  # plans are shared: what a block refines is refined for all
            net, tensors=list(net.tensors), ops=[], weights={}, made=dict(net.made),
            copies=dict(net.copies), padded=dict(net.padded), rows=list(net.rows),
        )  # fmt: skip
        given = dict(inner)
        for c, plan, exponent in zip(repeat.carried, plans, scales, strict=True):
            shape = flat(plan) or (1,)
            tensor = own.tensor(c.name, shape, Role.ACTIVATION, INT16_MIN, INT16_MAX)
            given[c.name] = own.cells(c.name, tensor, plan, exponent)
        run(own, block, given)
        out = [_settled(own, given[c.made], given[c.name]) for c in repeat.carried]
        kept = {}
        for name in sorted(read & set(repeat.last)):
            made = given[repeat.last[name]]
            if not isinstance(made, Value):
                raise NotStacked(repeat, f"of which {name}, no tensor, is read")
            kept[name] = own.stored(made)
        return Lowered(own, out, kept)

    blocks = _agreed(repeat, lower)
    layered = _join(net, repeat, blocks, base)
    net.padded |= blocks[0].net.padded
    first = len(net.ops)
    length = len(blocks)
    for tensor, (start, out) in enumerate(zip(starts, blocks[0].out, strict=True), base):
        net.ops.append(_entry(net.tensors[tensor].shape, tensor, start, out.tensor))
    net.ops += [_lifted(op, length, layered) for op in blocks[0].net.ops]
    for name, cells in blocks[0].read.items():
        values[name] = _last(net, cells, length) if cells.tensor in layered else cells
    return Stack(first, len(net.ops) - first, length)


# --- what is carried ---


def _plan(net: Network, repeat: Repeat, c: Carried, start: Any) -> Plan:
    """How a carried value is stored: as finely as what the first block reads in its place."""
    if not isinstance(start, Value):
        raise NotStacked(repeat, f"of which the first reads {c.start}, no tensor")
    return aligned(net, c.name, c.shape, start)


def _exponent(net: Network, repeat: Repeat, c: Carried, start: Value) -> int:
    """The finest scale on which all that is carried stays within 16 bits, headroom included."""
    ends = [end * HEADROOM for end in net.ranges.of(c.made)]
    if c.start == INPUT and isinstance(start, Cells):
        tensor = net.tensors[start.tensor]
        ends += [math.ldexp(end, -start.exponent) for end in (tensor.lo, tensor.hi)]
    found = largest_exponent(np.array(ends), INT16_MAX)
    if found is None:
        raise NotStacked(repeat, f"which carry zeros in {c.made}")
    return found


def _rounded(net: Network, value: Value, name: str, plan: Plan, exponent: int) -> Cells:
    """The value on this scale, in a tensor of this plan, ranged by its own gadget."""
    made = net.accumulated(value, name, plan)
    if made.exponent < exponent:
        made = net.accumulated(made, name, plan, 1 << exponent - made.exponent)
        made = replace(made, exponent=exponent)
    return net.requantize(made, name, exponent)


def _start(net: Network, c: Carried, value: Value, plan: Plan, exponent: int) -> int:
    """What the first block reads, over an axis of one layer."""
    cells = _rounded(net, value, f"{c.name}.start", plan, exponent)
    tensor = net.tensors[cells.tensor]
    net.tensors[cells.tensor] = replace(tensor, shape=(1, *tensor.shape))
    net.ops[-1] = _lifted(net.ops[-1], 1, set())
    return cells.tensor


def _settled(net: Network, made: Any, like: Cells) -> Cells:
    """What a block made, as the next one reads it."""
    if not isinstance(made, Value):
        raise CompileError(f"{like.name}: expected one tensor")
    plan = like.lengths
    for ours, theirs in zip(like.parts, made.parts, strict=True):
        lengths = tuple(p.length for p in theirs)
        if len(lengths) > len(ours):
            match(like, ours, lengths)
        match(made, theirs, tuple(p.length for p in ours))
    if isinstance(made, Cells) and made.exponent == like.exponent:
        ranged = any(isinstance(op, RANGED) and out_of(op) == made.tensor for op in net.ops)
        if ranged and made.parts == whole(plan) and not made.fixed:
            return made
    return _rounded(net, made, f"{like.name}.out", plan, like.exponent)


def _entry(shape: tuple[int, ...], tensor: int, start: int, out: int) -> Linear:
    """tensor[l] = out[l - 1] + start[l]: each is outside where the other is not."""
    rest = [Index(axis) for axis in range(1, len(shape))]
    before, first = View(out, (Index(0, -1), *rest)), View(start, (Index(0), *rest))
    return Linear(tensor, Expr(shape, len(shape), (), Affine(((1, before), (1, first)))))


# --- from one block to all ---


def _agreed(repeat: Repeat, lower: Callable[[tuple[Node, ...]], Lowered]) -> list[Lowered]:
    """Every block on scales that are the same for all: of each constant's, the finest, but at most
    SPREAD bits finer than the coarsest."""
    noted: list[list[int | None]] = []
    blocks = []
    for block in repeat.blocks:
        noted.append([])
        with exponents(partial(_note, noted[-1])):
            blocks.append(lower(block))
    if len({len(own) for own in noted}) > 1:
        raise NotStacked(repeat, "of different constants")
    common = [_common(found) for found in zip(*noted, strict=True)]
    for i, (block, own) in enumerate(zip(repeat.blocks, noted, strict=True)):
        if own != common:
            with exponents(partial(_next, iter(common))):
                blocks[i] = lower(block)
    return blocks


def _note(noted: list[int | None], exponent: int | None) -> int | None:
    noted.append(exponent)
    return exponent


def _next(common: Iterator[int | None], _: int | None) -> int | None:
    return next(common)


def _common(found: tuple[int | None, ...]) -> int | None:
    known = [exponent for exponent in found if exponent is not None]
    return min(max(known), min(known) + SPREAD) if known else None


def _join(net: Network, repeat: Repeat, blocks: list[Lowered], base: int) -> set[int]:
    """Adds the tensors of all blocks; those that have a cell for each layer."""
    first = blocks[0].net
    for block in blocks[1:]:
        if block.net.ops != first.ops or block.net.tensors != first.tensors:
            raise NotStacked(repeat, "of gadgets that differ")
    layered = set()
    for i, tensor in enumerate(first.tensors[base:], base):
        if tensor.role == Role.WEIGHT:
            cells = [block.net.weights[tensor.name] for block in blocks]
            if all(np.array_equal(cells[0], other) for other in cells[1:]):
                net.weights[tensor.name] = cells[0]
                net.tensors.append(tensor)
                continue
            joined = np.stack(cells)
            most = (1 << int(np.abs(joined).max()).bit_length()) - 1
            net.weights[tensor.name] = joined
            tensor = replace(tensor, lo=min(tensor.lo, -most), hi=max(tensor.hi, most))
        if tensor.role != Role.TABLE:
            layered.add(i)
            tensor = replace(tensor, shape=(len(blocks), *tensor.shape))
        if len(tensor.shape) > MAX_RANK:
            raise NotStacked(repeat, f"{tensor.name} of {len(tensor.shape)} axes")
        net.tensors.append(tensor)
    for op in first.ops:
        if isinstance(op, Gather) and op.source in layered:
            raise NotStacked(repeat, "which gather from rows of their own")
    return layered


def _lifted(op: Op, length: int, layered: set[int]) -> Op:
    """A gadget over one more axis, the first; tensors that have it are read at its place."""

    def view(v: View) -> View:
        index = tuple(i if i.axis == FIXED else Index(i.axis + 1, i.offset) for i in v.index)
        return View(v.tensor, (Index(0), *index) if v.tensor in layered else index)

    return rewritten(op, (length,), 0, view)


def _last(net: Network, cells: Cells, length: int) -> Cells:
    """The last layer's cells, under a name of their own: they have an axis more."""
    name = f"{cells.name}{LAST}"
    parts = tuple(
        tuple(p if p.dim == NOWHERE else p._replace(dim=p.dim + 1) for p in own)
        for own in cells.parts
    )
    fixed = ((0, length - 1), *((dim + 1, at) for dim, at in cells.fixed))
    net.plans[name] = ((length,), *net.plans[cells.name])
    if cells.name in net.ranges.seen:
        net.ranges.seen[name] = net.ranges.seen[cells.name]
    return Cells(name, parts, cells.exponent, cells.tensor, cells.rank + 1, fixed)


def _refine_as_asked(net: Network) -> None:
    """Where what reads a last layer asked for an axis in two, the layers are stored so."""
    for name, plan in list(net.plans.items()):
        own = name.removesuffix(LAST)
        if own != name:
            net.plans[own] = common(own, plan[1:], net.plans.get(own, plan[1:]))
