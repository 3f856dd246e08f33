"""Lookups: one merged LogUp with K slices, its summand written once for both halves.

  H(x) = sum_kappa 1/(beta - f_kappa(x)),   G(t) = M(t)/(beta - T(t)),   sum_{x<L} H = sum_{t<|T|}
  G.

Source: Haboeck, eprint 2022/1530; tlookup of zkLLM (Sun, Li, Zhang, CCS 2024). Docs:
docs/protocol/relations.md#lookup. Solidity: contracts/verifier/Lookup.sol.
"""

from __future__ import annotations

from prover.challenges import Challenges
from prover.field import P
from prover.program.axis import cut, shifted
from prover.program.format import VerifierProgram
from prover.proof import LookupEvaluations
from prover.sumcheck import HALF


def last(point: list[int], count: int) -> list[int]:
    """The coordinates of a part that joined late."""
    return point[len(point) - count :]


def late(n: int, variables: int) -> int:
    """2^-(n - variables): the factor of a part with fewer variables."""
    return pow(HALF, n - variables, P)


def batching(program: VerifierProgram, alpha: int) -> tuple[int, int, int]:
    """The factors of the row identity, the table identity and the sum: alpha^R, alpha^(R+1),
    alpha^(R+2)."""
    first = pow(alpha, program.relations, P)
    return first, first * alpha % P, first * alpha * alpha % P


def summand(program: VerifierProgram, drawn: Challenges, at: LookupEvaluations) -> int:
    """P_lookup at r. The caller must still check each evaluation against its column."""
    n, rows, table_rows = program.n, program.rows, program.table_rows
    c_rows, c_table, c_sum = batching(program, drawn.alpha)
    r_f, r_t = last(drawn.r, program.n_f), last(drawn.r, program.n_t)
    e_rows = shifted(last(drawn.tau, program.n_f), r_f, rows, 0)
    e_table = shifted(last(drawn.tau, program.n_t), r_t, table_rows, 0)
    product, partial = 1, 0  # D, N
    for f in at.slices:
        factor = drawn.beta - f
        partial = (partial * factor + product) % P
        product = product * factor % P
    row_part = c_rows * e_rows * (at.helper * product - partial)
    row_part += c_sum * cut(r_f, rows) * at.helper
    table_part = c_table * e_table * (at.table_helper * (drawn.beta - at.table) - at.multiplicity)
    table_part -= c_sum * cut(r_t, table_rows) * at.table_helper
    return (late(n, program.n_f) * row_part + late(n, program.n_t) * table_part) % P
