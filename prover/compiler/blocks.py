"""Blocks that a graph repeats: runs of nodes equal in operators, shapes and attributes, each of
which reads the one before it.

What a block reads is its own, or of the block before it (carried: the first block reads something
made before in its place), or made before all blocks and the same for each. Of all blocks only the
last is read from outside. The weights may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from prover.compiler.check import checked
from prover.compiler.lower import gru, lstm, rnn
from prover.compiler.nodes import named, names
from prover.compiler.ranges import Ranges
from prover.compiler.trace import INPUT, Graph, Node, Ref


class Carried(NamedTuple):
    """What a block reads of the one before it: `made`, a node of that one by its name in the first
    block; and what the first block reads in its place. `name`: of the two, seen from a block."""

    name: str
    start: str
    made: str
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Repeat:
    """Blocks with the names of the first one's nodes; `last`: by the names that the graph has for
    the last one's nodes, those of the first."""

    blocks: tuple[tuple[Node, ...], ...]
    carried: tuple[Carried, ...]
    names: tuple[tuple[str, ...], ...]  # of each block's nodes in the graph

    @property
    def shared(self) -> tuple[str, ...]:
        """What all blocks read that none of them makes."""
        known = {node.name for node in self.blocks[0]} | {c.name for c in self.carried}
        found = (name for node in self.blocks[0] for name in references(node))
        return tuple(dict.fromkeys(name for name in found if name not in known))

    @property
    def last(self) -> dict[str, str]:
        own = (node.name for node in self.blocks[0])
        return dict(zip(self.names[-1], own, strict=True))


Step: TypeAlias = Node | Repeat


@checked
def explicit(graph: Graph) -> Graph:
    """The same graph, with every value by its name."""
    return replace(graph, nodes=tuple(named(graph).values()))


def steps(graph: Graph) -> tuple[Step, ...]:
    """The nodes of an explicit graph in order, blocks that repeat as one step; where there is a
    choice, that which leaves the fewest nodes."""
    shapes = {INPUT: graph.input_shape} | {node.name: node.shape for node in graph.nodes}

    def split(nodes: tuple[Node, ...]) -> Iterator[Step]:
        found = _best(nodes, graph.nodes, shapes)
        if found is None:
            yield from nodes
            return
        at, repeat = found
        yield from split(nodes[:at])
        yield repeat
        yield from split(nodes[at + sum(map(len, repeat.names)) :])

    return tuple(split(graph.nodes))


def without(order: tuple[Step, ...], repeat: Repeat, graph: Graph) -> tuple[Step, ...]:
    """The same steps, the blocks of one repeat as the nodes that they are."""
    inside = {name for names in repeat.names for name in names}
    nodes = tuple(node for node in graph.nodes if node.name in inside)
    at = next(i for i, step in enumerate(order) if step is repeat)
    return (*order[:at], *nodes, *order[at + 1 :])


def reads(step: Step) -> set[str]:
    """What a step reads of those before it."""
    if isinstance(step, Node):
        return set(references(step))
    return {*step.shared, *(c.start for c in step.carried)}


def join_ranges(ranges: Ranges, repeats: Iterable[Repeat]) -> Ranges:
    """The ranges with those of blocks joined under the names of the first: one scale for all."""
    seen = dict(ranges.seen)

    def widen(name: str, ends: tuple[float, float]) -> None:
        before = seen.get(name, ends)
        seen[name] = (min(before[0], ends[0]), max(before[1], ends[1]))

    for repeat in repeats:
        own = {
            name: first
            for names in repeat.names
            for name, first in zip(names, repeat.names[0], strict=True)
        }
        for name, ends in ranges.seen.items():
            node, dot, what = name.partition(".")
            if node in own:
                widen(f"{own[node]}{dot}{what}", ends)
        for carried in repeat.carried:
            if carried.start in ranges.seen:
                widen(carried.made, ranges.seen[carried.start])
        for carried in repeat.carried:
            widen(carried.name, seen[carried.made])
    return Ranges(seen)


def references(node: Node) -> tuple[str, ...]:
    """The values that a node of an explicit graph reads, in the order of its arguments."""
    return tuple(names(node.args))


def _mapped(arg: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(arg, tuple):
        return tuple(_mapped(part, change) for part in arg)
    return change(arg)


def _kind(node: Node) -> Any:
    """What equal blocks have equal: all but the names that a node reads, and what arrays hold."""

    def form(arg: Any) -> Any:
        if isinstance(arg, np.ndarray):
            return arg.shape, arg.dtype.str
        return Ref if isinstance(arg, Ref) else (type(arg), arg)

    itself = node.target in (*lstm.TARGETS, *gru.TARGETS, *rnn.TARGETS)  # stacks, so in none
    own = node.name if itself else ""
    return node.target, node.shape, own, _mapped(node.args, form)


def _best(
    nodes: tuple[Node, ...], graph: tuple[Node, ...], shapes: Mapping[str, tuple[int, ...]]
) -> tuple[int, Repeat] | None:
    """The repeat that saves the most nodes, then that which carries the fewest values, then the
    last (blocks that end with a norm carry what it made, which is as large in every layer), and
    where it begins."""
    ids: dict[str, int] = {}
    kinds = [ids.setdefault(repr(_kind(node)), len(ids)) for node in nodes]
    readers: dict[str, set[str]] = {}
    for node in graph:
        for name in references(node):
            readers.setdefault(name, set()).add(node.name)
    runs = sorted(_runs(kinds), key=lambda run: -(run[2] // run[1] - 1) * run[1])
    for first, period, length in runs:
        for layers in range(length // period, 1, -1):
            starts = range(first, first + length - layers * period + 1)
            found = [
                (at, repeat)
                for at in starts
                if (repeat := _repeat(nodes[at:], period, layers, readers, shapes)) is not None
            ]
            if found:
                return min(reversed(found), key=lambda one: len(one[1].carried))
    return None


def _runs(kinds: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """(first, period, length) of the longest runs of each period, twice the period or more."""
    for period in range(1, len(kinds) // 2 + 1):
        same = 0
        for at in range(len(kinds) - period + 1):
            if at + period < len(kinds) and kinds[at] == kinds[at + period]:
                same += 1
                continue
            if same >= period:
                yield at - same, period, same + period
            same = 0


def _repeat(
    nodes: Sequence[Node],
    period: int,
    layers: int,
    readers: Mapping[str, set[str]],
    shapes: Mapping[str, tuple[int, ...]],
) -> Repeat | None:
    """The first nodes as blocks, if what they read is as it must be."""
    blocks = [nodes[i * period : (i + 1) * period] for i in range(layers)]
    place = {node.name: (i, j) for i, block in enumerate(blocks) for j, node in enumerate(block)}
    for name, (i, _) in place.items():
        if i < layers - 1 and not readers.get(name, set()) <= place.keys():
            return None
    carried: dict[tuple[str, str], Carried] = {}
    own = [node.name for node in blocks[0]]
    renamed: list[list[Node]] = [[] for _ in blocks]
    for j, node in enumerate(blocks[0]):
        mine: list[str] = []
        for read in zip(*(references(block[j]) for block in blocks), strict=True):
            places = [place.get(name) for name in read]
            if places[0] is not None:
                k = places[0][1]
                if places != [(i, k) for i in range(layers)]:
                    return None
                mine.append(own[k])
            elif len(set(read)) == 1:
                mine.append(read[0])
            else:
                k = places[1][1] if places[1] is not None else 0
                if places[1:] != [(i, k) for i in range(layers - 1)]:
                    return None
                if shapes[read[0]] != shapes[own[k]] or shapes[own[k]] == ():
                    return None
                name = f"{own[k]}.before.{read[0]}"
                carried[read[0], own[k]] = Carried(name, read[0], own[k], shapes[own[k]])
                mine.append(name)
        for i, block in enumerate(blocks):
            renamed[i].append(_named(block[j], node.name, mine))
    if not carried:
        return None
    originals = tuple(tuple(node.name for node in block) for block in blocks)
    return Repeat(tuple(map(tuple, renamed)), tuple(carried.values()), originals)


def _named(node: Node, name: str, reads: Sequence[str]) -> Node:
    rest = iter(reads)
    args = _mapped(node.args, lambda arg: Ref(next(rest)) if isinstance(arg, Ref) else arg)
    return replace(node, name=name, args=args)
