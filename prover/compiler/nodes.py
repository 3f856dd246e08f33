"""A graph's nodes by name, every argument that is a value named: what the rewriting reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from prover.compiler.trace import INPUT, PREVIOUS, Graph, Node, Ref

Nodes: TypeAlias = dict[str, Node]
CASTS = (
    "aten.to.dtype", "aten.to.dtype_layout", "aten.to.device", "aten._to_copy.default",
    "aten.contiguous.default", "aten.clone.default", "aten.alias.default", "aten.detach.default",
)  # fmt: skip


def named(graph: Graph) -> Nodes:
    """The nodes in their order, with a Ref for each value that they read."""
    found: Nodes = {}
    previous = INPUT
    for node in graph.nodes:
        found[node.name] = replace(node, args=_replaced(node.args, PREVIOUS, Ref(previous)))
        previous = node.name
    return found


def kind_of(node: Node) -> str:
    """Of a cast, the type that it names, such as torch.int64; "" where it names none."""
    kinds = [str(a) for a in node.args[1:3] if str(a).startswith("torch.")]
    return next((kind for kind in kinds if "int" in kind or "bool" in kind), "".join(kinds[:1]))


def keeps_cells(node: Node) -> bool:
    """Whether it makes the same numbers of what it reads: a copy, or a cast that cuts nothing
    off."""
    kind = kind_of(node) if node.target in CASTS else "int"
    return "int" not in kind and "bool" not in kind


def chained(graph: Graph, nodes: Nodes) -> Graph:
    """The graph of those nodes that its last one needs, and its state."""
    needed = {graph.state} if graph.state else set()
    kept: list[Node] = []
    result = next(reversed(nodes))
    for name in reversed(nodes):
        if name == result or name in needed:
            needed |= set(names(nodes[name].args))
            kept.append(nodes[name])
    previous, made = INPUT, []
    for node in reversed(kept):
        made.append(replace(node, args=_replaced(node.args, Ref(previous), PREVIOUS)))
        previous = node.name
    return replace(graph, nodes=tuple(made))


def readers(nodes: Nodes) -> dict[str, int]:
    """How often each value is read."""
    count: dict[str, int] = {}
    for node in nodes.values():
        for name in names(node.args):
            count[name] = count.get(name, 0) + 1
    return count


def names(arg: Any) -> Iterator[str]:
    """The values that arguments name, in order."""
    if isinstance(arg, Ref):
        yield arg.name
    elif isinstance(arg, tuple):
        for part in arg:
            yield from names(part)


def _replaced(arg: Any, old: Any, new: Any) -> Any:
    if isinstance(arg, tuple):
        return tuple(_replaced(part, old, new) for part in arg)
    same = arg is old if old is PREVIOUS else isinstance(arg, Ref) and arg == old
    return new if same else arg


# --- one node as several ---

Shape: TypeAlias = tuple[int, ...]
Shapes: TypeAlias = Callable[[Any], Shape]
Rule: TypeAlias = Callable[[Node, Shapes], Iterable[Node]]
Late: TypeAlias = Callable[[Node, Shapes, Nodes], Iterable[Node]]


def part_of(node: Node, what: str, target: str, args: tuple[Any, ...], shape: Shape) -> Node:
    """One of them."""
    return Node(f"{node.name}_{what}", f"aten.{target}", args, shape, node.learned)


class Several:
    """The nodes that stand for one, each named after it and what it is in it."""

    def __init__(self, node: Node, shapes: Shapes) -> None:
        self.node, self.shapes, self.nodes = node, shapes, list[Node]()

    def add(self, what: str, target: str, shape: Shape, *args: Any) -> Ref:
        name = f"{self.node.name}_{what}"
        self.nodes.append(Node(name, f"aten.{target}", args, tuple(shape), self.node.learned))
        return Ref(name)

    def along(self, what: str, x: Any, axis: int, matrix: Any) -> Ref:
        """out[y] = sum over x of matrix[y, x] in[x] (lower/along.py)."""
        shape = list(self.shape(x))
        axis %= len(shape)
        shape[axis] = len(matrix)
        name = f"{self.node.name}_{what}"
        self.nodes.append(Node(name, "einproof.along", (x, axis, matrix), tuple(shape)))
        return Ref(name)

    def shape(self, x: Any) -> Shape:
        own = {n.name: n.shape for n in self.nodes}
        return own[x.name] if isinstance(x, Ref) and x.name in own else self.shapes(x)

    def ending(self, target: str, *args: Any) -> list[Node]:
        """With the last one, which has the node's name and shape."""
        return [*self.nodes, replace(self.node, target=f"aten.{target}", args=args)]

    def seen(self, x: Any) -> list[Node]:
        """With the cells of x as the last."""
        return self.ending("alias.default", x)
