"""Every challenge of a proof, in the order in which it is drawn:
docs/protocol/verifier.md#transcript."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from prover.program.format import VerifierProgram


@dataclass
class Challenges:
    """Filled in order by the prover, and by the verifier; gamma folds lookup columns, alpha
    batches relations, `batch` (a) batches linear claims. Points: rho (einsum axes), tau (lookup
    rows), r (main), side (r'), tile (y)."""

    gamma: int = 0
    beta: int = 0
    rho: list[int] = field(default_factory=list)
    alpha: int = 0
    tau: list[int] = field(default_factory=list)
    r: list[int] = field(default_factory=list)
    side: list[int] = field(default_factory=list)
    batch: int = 0
    tile: list[int] = field(default_factory=list)

    @property
    def points(self) -> tuple[list[int], list[int], list[int]]:
        """By format.Source: rho, r, y."""
        return self.rho, self.r, self.tile


def draw_relations(
    program: VerifierProgram, drawn: Challenges, challenge: Callable[[str], int]
) -> None:
    """rho, alpha, tau: after H and G are committed."""
    drawn.rho = [challenge("rho") for _ in range(program.rho_length)]
    drawn.alpha = challenge("alpha")
    drawn.tau = [challenge("tau") for _ in range(program.n)]
