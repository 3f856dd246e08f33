"""What the compiler refuses; each message names the node and the operator."""

from prover.errors import EinproofError


class CompileError(EinproofError):
    """A model that cannot become a program."""


class UnsupportedOp(CompileError):
    """An operator, or a use of one, that the compiler does not know."""

    def __init__(self, node: str, target: str, reason: str) -> None:
        super().__init__(f"cannot compile {target} at node {node!r}: {reason}")
        self.node = node
        self.target = target
