"""What the compiler refuses; each message names the node and the operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from prover.errors import EinproofError


class CompileError(EinproofError):
    """A model that cannot become a program."""


class UnsupportedOp(CompileError):
    """An operator, or a use of one, that the compiler does not know."""

    def __init__(self, node: str, target: str, reason: str) -> None:
        super().__init__(f"cannot compile {target} at node {node!r}: {reason}")
        self.node = node
        self.target = target


def unknown(node: Named) -> UnsupportedOp:
    """An operator that nothing makes gadgets of."""
    what = "it is not known; known are the operators of docs/protocol/ops.md"
    return UnsupportedOp(node.name, node.target, what)


class RangesMismatch(CompileError):
    """Ranges that were recorded on another form of the network than the one that is compiled."""


class Named(Protocol):
    """A node of a graph."""

    @property
    def name(self) -> str: ...

    @property
    def target(self) -> str: ...


@contextmanager
def at_node(node: Named) -> Iterator[None]:
    """What an operator refuses is told with its name; so is a use of it that nobody thought of,
    on which Python or numpy fail."""
    try:
        yield
    except UnsupportedOp:
        raise
    except CompileError as error:
        raise UnsupportedOp(node.name, node.target, str(error)) from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"a use of it that is not known ({type(error).__name__}: {error})"
        raise UnsupportedOp(node.name, node.target, what) from error
