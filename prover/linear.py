"""The linear claims: what each is worth, and the weight of every tile at a point
(docs/protocol/verifier.md#claims).

Claim c is batched with a^c. The verifier needs each tile's weight at one point y only; the prover
needs it on every cell (`prove_linear.py` expands the same terms). Solidity:
contracts/verifier/Linear.sol.
"""

from __future__ import annotations

from collections.abc import Sequence

from prover.challenges import Challenges
from prover.field import P
from prover.program import format as fmt
from prover.program.axis import eq, eq_const, eq_expand, evaluate_public, evaluate_record
from prover.program.format import SLICES, VerifierProgram
from prover.sumcheck import mask_weight

# Claim numbers
Z_SUM, SIGMA1, MASK1, MASK2, SLICE = 0, 1, 2, 3, 4
HELPER, TABLE_HELPER, MULTIPLICITY, TABLE = 4 + SLICES, 5 + SLICES, 6 + SLICES, 7 + SLICES
E_X, E_Y, SIDES = 8 + SLICES, 9 + SLICES, 10 + SLICES


def claim_count(program: VerifierProgram) -> int:
    return SIDES + 2 * len(program.contractions)


def scales(program: VerifierProgram, drawn: Challenges) -> list[int]:
    """The scale table of docs/protocol/format.md#scales."""
    a = powers(drawn.batch, claim_count(program))
    gamma = powers(drawn.gamma, program.c_max + 1)
    table = [a[SIGMA1] * power % P for power in powers(drawn.alpha, program.relations)]
    for kappa in range(program.slices):
        table += [a[SLICE + kappa] * g % P for g in gamma]
    table += [a[TABLE] * g % P for g in gamma]
    table += [a[HELPER], a[TABLE_HELPER], a[MULTIPLICITY]]
    return table + [-a[SIDES + m] % P for m in range(2 * len(program.contractions))]


def powers(base: int, count: int) -> list[int]:
    found = [1] * count
    for i in range(1, count):
        found[i] = found[i - 1] * base % P
    return found


def values(program: VerifierProgram, drawn: Challenges, sides: Sequence[bytes]) -> list[int]:
    """All values by id (docs/protocol/format.md#values); the last are the scalar side's sum and
    the tiles'."""
    found = [1]
    for point in drawn.points:
        for x in point:
            found += [(1 - x) % P, x]
    for point in (drawn.r[program.n - program.n_f :], drawn.tile):
        for start in range(0, len(point), fmt.NODE_BITS):
            four = point[start : start + fmt.NODE_BITS]
            heap = [0]
            for bits in range(len(four) + 1):
                heap += eq_expand(four[:bits])
            found += heap + [0] * (fmt.HEAP - len(heap))
    for kernel in program.kernels:
        found += evaluate_record(kernel, drawn.points, drawn.gamma)
    found += [evaluate_public(view, drawn.points, sides) for view in program.views]
    found += scales(program, drawn)
    found += [constant % P for constant in program.constants]
    for left, right in program.products:
        found.append(found[left] * found[right] % P)
    for pairs in program.sums:
        found.append(sum(found[left] * found[right] for left, right in pairs) % P)
    return found


def tile_weights(
    program: VerifierProgram, drawn: Challenges, found: Sequence[int]
) -> tuple[list[int], int]:
    """(a_t for every tile, the scalar side): the last sums, then E, Z and masks."""
    scalar, *weights = found[len(found) - program.e_tile - 1 :]
    z = 1
    for y in drawn.tile:
        z = z * (1 + y) % P
    weights += [_e_weight(program, drawn), 1, z]
    _add_masks(program, drawn, weights)
    return [w % P for w in weights], scalar


def mask_claims(drawn: Challenges) -> tuple[tuple[int, int], tuple[int, int]]:
    """(factor of its sum, factor of its value at the end) of mask 1 and of mask 2, over claims 1,
    2, 3."""
    first, second, third = powers(drawn.batch, MASK2 + 1)[SIGMA1:]
    return (first, second), (-second % P, third)


def _add_masks(program: VerifierProgram, drawn: Challenges, weights: list[int]) -> None:
    parts = (
        (program.mask1, program.n, fmt.MASK1_POWERS, program.slices + 2, drawn.r),
        (program.mask2, program.mu, fmt.MASK2_POWERS, 3, drawn.side),
    )
    for ((tile, offset), n, width, degree, r), (total, at) in zip(
        parts, mask_claims(drawn), strict=True
    ):
        rows, columns = max(n - 1, 0).bit_length(), (width - 1).bit_length()
        split = program.k - rows - columns
        place = eq_const(drawn.tile[:split], offset >> rows + columns)
        high = eq_expand(drawn.tile[split : split + rows])
        low = eq_expand(drawn.tile[split + rows :])
        weights[tile] += place * mask_weight(n, degree, high, low, total, at, r)


def _e_weight(program: VerifierProgram, drawn: Challenges) -> int:
    mu, count = program.mu, len(program.contractions)
    split = program.k - mu
    place = eq_const(drawn.tile[: split - 1], 0)
    side, low = drawn.tile[split - 1], drawn.tile[split:]
    a = powers(drawn.batch, claim_count(program))
    table = eq_expand(low)
    end = eq(drawn.side, low)
    e_x = a[E_X] * end + sum(a[SIDES + m] * table[m] for m in range(count))
    e_y = a[E_Y] * end + sum(a[SIDES + count + m] * table[m] for m in range(count))
    return place * ((1 - side) * e_x + side * e_y) % P


def claimed_value(program: VerifierProgram, drawn: Challenges, values: dict[int, int]) -> int:
    """sum_c a^c v_c; claims that are not in `values` are zero."""
    return sum(pow(drawn.batch, c, P) * v for c, v in values.items()) % P
