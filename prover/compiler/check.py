"""What every pass leaves of a graph, looked at before the next one reads it: names are unique, a
node reads what is before it, constants are numbers, operators are those that `lower` knows.

docs/protocol/graph.md is for whoever writes another front end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any

import numpy as np
import numpy.typing as npt

from prover.compiler.errors import CompileError, UnsupportedOp, unknown
from prover.compiler.nodes import names
from prover.compiler.trace import INPUT, Graph, Node

Pass = Callable[[Graph], Graph]


class InvalidGraph(CompileError):
    """What a front end or a pass made is no graph; names it, and the node."""

    def __init__(self, made_by: str, node: str, reason: str) -> None:
        super().__init__(f"the graph of {made_by}: node {node!r}: {reason}")
        self.node = node


def checked(run: Pass) -> Pass:
    """A pass that leaves a graph of operators that `lower` knows; of constants the new ones are
    looked at."""

    @wraps(run)
    def whole(graph: Graph) -> Graph:
        made = run(graph)
        check_order(made, made.nodes, run.__name__)
        check_targets(made)
        check_constants(made, {id(array) for _, array in _constants(graph)})
        return made

    return whole


def check_order(graph: Graph, nodes: Iterable[Node], made_by: str) -> None:
    """Raises InvalidGraph unless these nodes, which stand for the graph's, have a name each and
    read inputs and what is before them."""
    known = {INPUT, *(name for name, _ in graph.further)}
    for node in nodes:
        if node.name in known:
            raise InvalidGraph(made_by, node.name, "expected one value of this name, got two")
        for name in names(node.args):
            if name not in known:
                what = f"expected to read inputs and nodes before it, got {name!r}"
                raise InvalidGraph(made_by, node.name, what)
        known.add(node.name)
    if graph.state and graph.state not in known:
        raise InvalidGraph(made_by, graph.state, "expected the node of the next state, got none")


def check_targets(graph: Graph) -> None:
    """Raises UnsupportedOp for an operator that is not of the set."""
    from prover.compiler.lower import OPS

    for node in graph.nodes:
        if node.target not in OPS:
            raise unknown(node)


def check_constants(graph: Graph, known: Iterable[int] = ()) -> None:
    """Raises UnsupportedOp for NaN, and for infinity but for -inf, which masks have. `known`: ids
    of arrays that were looked at before."""
    seen = set(known)
    for node, array in _constants(graph):
        if id(array) not in seen and not _is_finite(array):
            what = "expected finite constants, or -inf in a mask, got NaN or infinity"
            raise UnsupportedOp(node.name, node.target, what)


def _is_finite(array: npt.NDArray[Any]) -> bool:
    if array.dtype.kind not in "fc":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum()):  # no second array: a model's weights take much memory
            return True
    return bool((np.isfinite(array) | (array == -np.inf)).all())


def _constants(graph: Graph) -> Iterator[tuple[Node, npt.NDArray[Any]]]:
    for node in graph.nodes:
        yield from ((node, array) for array in _arrays(node.args))


def _arrays(arg: Any) -> Iterator[npt.NDArray[Any]]:
    if isinstance(arg, np.ndarray):
        yield arg
    elif isinstance(arg, tuple):
        for part in arg:
            yield from _arrays(part)
