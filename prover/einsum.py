"""Einsums: all relations at one random point rho, contractions batched by powers of alpha.

  sum_j alpha^j LHS_j(rho) = sum_m alpha^rel(m) sum_{b,k} E(rho_b, b) X_m(b, rho_i, k) Y_m(b,
  rho_j, k).

Docs: docs/protocol/relations.md#einsum. Solidity: contracts/verifier/Einsum.sol.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from prover.challenges import Challenges
from prover.field import P
from prover.lookup import late
from prover.program.axis import eq_expand
from prover.program.format import VerifierProgram


def contraction_factors(
    program: VerifierProgram, drawn: Challenges, kernels: Sequence[int] | Mapping[int, int]
) -> list[int]:
    """coef_m = alpha^rel(m) * prod of its batch kernels * 2^-(n - n_m); `kernels` by id, id 0
    being 1."""
    found = []
    for c in program.contractions:
        factor = pow(drawn.alpha, c.relation, P) * late(program.n, c.variables) % P
        for kernel in c.kernels:
            factor = factor * kernels[kernel] % P
        found.append(factor)
    return found


def side_factor(factors: Sequence[int], point: Sequence[int]) -> int:
    """coef(r') = sum_m coef_m eq(r', m)."""
    table = eq_expand(point)
    return sum(f * table[m] for m, f in enumerate(factors)) % P
