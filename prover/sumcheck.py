"""Sumcheck rounds and their Libra masks, for prover and verifier alike.

A round polynomial of degree d is sent as c_0, c_2, ..., c_d: with the running claim v = g(0) +
g(1), c_1 = v - 2 c_0 - c_2 - ... - c_d. Source: Lund, Fortnow, Karloff, Nisan 1992; masks: Xie,
Zhang, Zhang, Papamanthou, Song, Libra, CRYPTO 2019, section 4.1, here with no factor on the mask:
its sum is a claim on committed cells. Solidity: contracts/verifier/Sumcheck.sol.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from prover.field import P, inverse

HALF = inverse(2)


def linear_coefficient(claim: int, sent: Sequence[int]) -> int:
    """The coefficient that is not sent."""
    return (claim - 2 * sent[0] - sum(sent[1:])) % P


def next_claim(claim: int, sent: Sequence[int], r: int) -> int:
    """The round polynomial's value at r, from c_0, c_2, ..., c_d."""
    return value_at((sent[0], linear_coefficient(claim, sent), *sent[1:]), r)


def value_at(polynomial: Sequence[int], r: int) -> int:
    """sum_d polynomial[d] r^d."""
    value = 0
    for c in reversed(polynomial):
        value = (value * r + c) % P
    return value


def final_claim(claim: int, rounds: Sequence[Sequence[int]], point: Sequence[int]) -> int:
    """What is left of a claim after all rounds. The caller must still check it against the summand
    at the point."""
    for sent, r in zip(rounds, point, strict=True):
        claim = next_claim(claim, sent, r)
    return claim


def coefficients(evaluations: Sequence[int]) -> list[int]:
    """The polynomial through (t, evaluations[t]), t = 0..d (Newton's forward differences)."""
    differences, row = [], [e % P for e in evaluations]
    while row:
        differences.append(row[0])
        row = [(b - a) % P for a, b in pairwise(row)]
    result = [0] * len(differences)
    basis = [1]  # X ... (X-j+1) / j!
    for j, difference in enumerate(differences):
        for i, c in enumerate(basis):
            result[i] = (result[i] + difference * c) % P
        scale = inverse(j + 1)
        shifted = [0, *basis]
        basis = [(up - j * down) * scale % P for up, down in zip(shifted, [*basis, 0], strict=True)]
    return result


@dataclass(frozen=True)
class Mask:
    """g(x) = g_0 + sum_i sum_{d>=1} g[i][d] x_i^d; each row has `degree` coefficients, d =
    1..degree."""

    constant: int
    rows: tuple[tuple[int, ...], ...]

    @property
    def degree(self) -> int:
        return len(self.rows[0]) if self.rows else 0

    def total(self) -> int:
        """sum over {0,1}^n = 2^n g_0 + 2^(n-1) sum of all others."""
        n = len(self.rows)
        others = sum(sum(row) for row in self.rows)
        return ((self.constant << n) + (others << n >> 1)) % P

    def row(self, i: int, x: int) -> int:
        return sum(c * pow(x, d, P) for d, c in enumerate(self.rows[i], 1)) % P

    def at(self, point: Sequence[int]) -> int:
        return (self.constant + sum(self.row(i, x) for i, x in enumerate(point))) % P

    def round(self, bound: Sequence[int]) -> list[int]:
        """Coefficients of the sum over the variables after the next, with the first ones bound."""
        i, n = len(bound), len(self.rows)
        free = n - i - 1
        known = self.constant + sum(self.row(j, x) for j, x in enumerate(bound))
        later = sum(sum(row) for row in self.rows[i + 1 :])
        constant = (known << free) + (later << free >> 1)
        return [constant % P, *((c << free) % P for c in self.rows[i])]

    def cells(self, powers: int) -> list[tuple[int, int]]:
        """(position, value) in its block: powers cells a variable, g_0 in the first."""
        found = [(0, self.constant)]
        for i, row in enumerate(self.rows):
            found += [(i * powers + d, c) for d, c in enumerate(row, 1)]
        return found


def mask_weight(
    n: int,
    degree: int,
    high: Sequence[int],
    low: Sequence[int],
    total: int,
    at: int,
    r: Sequence[int],
) -> int:
    """sum over a mask's cells of eq(cell) * (total * [weight in the sum] + at * [weight in g(r)]).

    high: eq of the block's variable coordinates for each i; low: eq of its power coordinates for
    each d.
    """
    half = total * pow(2, n - 1, P) % P if n else 0
    result = (total * pow(2, n, P) + at) * high[0] * low[0]
    for i in range(n):
        inner, power = 0, 1
        for d in range(1, degree + 1):
            power = power * r[i] % P
            inner += (half + at * power) * low[d]
        result += high[i] * (inner % P)
    return result % P
