"""Linear algebra over Fr, and how far the cells of Z1 and Z2 reach, at any k."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import mul

from prover import linear
from prover.field import P, inverse, product
from prover.program.axis import eq_expand


def solve(columns: Sequence[Sequence[int]], target: Sequence[int]) -> list[int] | None:
    """x with sum_j x_j columns[j] = target, or None; free unknowns are zero."""
    rows, pivots = reduce([*columns, target])
    if len(columns) in pivots:
        return None
    x = [0] * len(columns)
    for row, pivot in zip(rows, pivots, strict=False):
        x[pivot] = row[-1]
    return x


def reduce(columns: Sequence[Sequence[int]]) -> tuple[list[list[int]], list[int]]:
    """Reduced row echelon form (rows that are not zero first) and its pivot columns."""
    rows = [list(row) for row in zip(*columns, strict=True) if any(row)]
    pivots: list[int] = []
    for column in range(len(columns)):
        top = len(pivots)
        found = next((i for i in range(top, len(rows)) if rows[i][column]), None)
        if found is None:
            continue
        rows[top], rows[found] = rows[found], rows[top]
        scale = inverse(rows[top][column])
        rows[top] = [value * scale % P for value in rows[top]]
        for i, row in enumerate(rows):
            if i != top and row[column]:
                factor = row[column]
                rows[i] = [(a - factor * b) % P for a, b in zip(row, rows[top], strict=True)]
        pivots.append(column)
    return rows, pivots


def z_reach(k: int, positions: Sequence[Sequence[int]], coin: Callable[[], int]) -> tuple[int, int]:
    """(dimensions that two Z tiles with these random cells and their blinders reach, those there
    are), at random challenges and a random secret.

    Independent of the prover and cheap at any k: what one cell at index i + b j, worth 1, adds to
    the two points, v_m, the k rounds and what Mercury reveals (opening.py; n is j or i below, m
    runs over the other coefficients of P_u): F_i = X^j, h = eq(u1, i) X^j, g = alpha^j X^i, and to
    S each of them sum_(m != n) eq(u, m) X^(|n - m| - 1).
    """
    s, alpha, gamma, z = coin(), coin(), coin(), coin()
    y = [coin() for _ in range(k)]
    high, low = k // 2, k - k // 2
    eq_high, eq_low = eq_expand(y[:high]), eq_expand(y[high:])
    shares = (1, product(1 + r for r in y))  # of Z1 and Z2 in C*, up to a common factor
    columns = []
    powers = {x: linear.powers(x, 1 << low) for x in (s, z)}

    def spread(eq: Sequence[int], n: int, x: int) -> int:
        above = sum(map(mul, eq[n + 1 :], powers[x]))
        return sum(map(mul, eq[:n][::-1], powers[x])) + above

    for tile, cells in enumerate(positions):
        for index in (*cells, 1 << k):
            j, i = divmod(index, 1 << low)
            point, share = pow(s, index, P), shares[tile]
            column = [0, 0]
            column[tile] = point
            bits = [index >> k - 1 - t & 1 for t in range(k)]
            weight = [(1 + bit if tile else 1) for bit in bits]
            column.append(product(weight) if index < 1 << k else 0)
            for t in range(k):  # c_0 and c_2 of round t: f is linear in the variable, and B too
                bound = product(r if bit else 1 - r for r, bit in zip(y[:t], bits, strict=False))
                bound *= product(1 + r for r in y[:t]) if tile else 1
                rest = product(weight[t + 1 :]) * bound * (index < 1 << k)
                column += [rest * (1 - bits[t]), rest * (2 * bits[t] - 1) * tile]
            h, g = eq_low[i] * share, pow(alpha, j, P) * share
            column += [h * pow(x, j, P) for x in (s, z, inverse(z), alpha)]
            column += [g * pow(x, i, P) for x in (s, inverse(s), z, inverse(z))]
            column += [g * spread(eq_low, i, x) + gamma * h * spread(eq_high, j, x) for x in (s, z)]
            columns.append([word % P for word in column])
    return len(reduce(columns)[1]), len(columns[0])
