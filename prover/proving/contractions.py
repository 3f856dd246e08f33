"""Contractions on the prover's side: free axes bound at rho in one pass, then products for the
joint sumcheck."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from prover.challenges import Challenges
from prover.field import P
from prover.kernels.interface import Kernels, Vec
from prover.lookup import late
from prover.program.addresses import bits_for
from prover.program.evaluate import Stored, stored_values
from prover.program.ir import Affine, Contraction, Expr
from prover.proving.tiles import constant
from prover.sumcheck import coefficients


def bind(
    kernels: Kernels,
    expr: Expr,
    affine: Affine,
    bound: tuple[int, ...],
    free: tuple[int, ...],
    rho: list[int],
    values: Mapping[int, Stored],
) -> Vec:
    """X(b, rho_i, k) for all (b, k), over padded axes: (small int) x (field) multiply-adds."""
    first = {}
    at = 0
    for axis in range(expr.free):
        first[axis] = at
        at += bits_for(expr.axes[axis])
    weights = kernels.from_ints([1])
    for axis in free:
        point = rho[first[axis] : first[axis] + bits_for(expr.axes[axis])]
        eq = kernels.eq_table(point)[: expr.axes[axis]]
        if axis in affine.axes:
            weights = kernels.outer(weights, eq)
        else:  # X is the same along it
            weights = kernels.scale(weights, kernels.total(eq))
    named = tuple(axis for axis in free if axis in affine.axes)
    cells = stored_values(affine, expr.axes, bound + named, values)
    rows = int(np.prod([expr.axes[a] for a in bound], dtype=np.int64))
    matrix = cells.reshape(rows, -1)
    if not matrix.T.flags.c_contiguous:  # such as a weight from outputs to inputs, bound on these
        matrix = np.ascontiguousarray(matrix)
    real = kernels.small_matvec(matrix, weights)
    return scatter(kernels, real, [expr.axes[a] for a in bound])


def scatter(kernels: Kernels, real: Vec, lengths: list[int]) -> Vec:
    """Row-major cells over real lengths, moved to power-of-two lengths; zeros between."""
    padded = [1 << bits_for(length) for length in lengths]
    if padded == lengths:
        return real
    found = kernels.zeros(int(np.prod(padded, dtype=np.int64)))
    index = np.zeros(1, dtype=np.int64)
    for length, full in zip(lengths, padded, strict=True):
        index = (index[:, None] * full + np.arange(length)[None, :]).reshape(-1)
    found[index] = real
    return found


class ContractionRounds:
    """coef_m E(rho_b, b) X_m Y_m, one part of the joint sumcheck."""

    def __init__(
        self,
        kernels: Kernels,
        n: int,
        relation: int,
        expr: Expr,
        contraction: Contraction,
        drawn: Challenges,
        values: Mapping[int, Stored],
    ) -> None:
        batch, summed = expr.batch(contraction), expr.summed(contraction)
        bound = batch + summed
        self.kernels = kernels
        self.variables = sum(bits_for(expr.axes[a]) for a in bound)
        x_free, y_free = expr.x_free(contraction), expr.y_free(contraction)
        x = bind(kernels, expr, contraction.x, bound, x_free, drawn.rho, values)
        y = bind(kernels, expr, contraction.y, bound, y_free, drawn.rho, values)
        self.vectors = [x, y]
        batch_bits = sum(bits_for(expr.axes[a]) for a in batch)
        if batch_bits:
            point = []
            at = 0
            for axis in range(expr.free):
                bits = bits_for(expr.axes[axis])
                if axis in batch:
                    point += drawn.rho[at : at + bits]
                at += bits
            ones = constant(kernels, 1, 1 << self.variables - batch_bits)
            self.vectors.append(kernels.outer(kernels.eq_table(point), ones))
        factor = pow(drawn.alpha, relation, P)
        self.coef = factor * late(n, self.variables)
        product = x if len(self.vectors) == 2 else kernels.mul(x, self.vectors[2])
        self.claim = factor * kernels.inner(product, y)

    def round(self) -> list[int]:
        found = coefficients(self.kernels.round_product(self.vectors))
        return [self.coef * c for c in found]

    def fold(self, r: int) -> None:
        self.vectors = [self.kernels.fold(v, r) for v in self.vectors]

    def ends(self) -> tuple[int, int]:
        """x_m and y_m at r."""
        return self.kernels.to_ints(self.vectors[0])[0], self.kernels.to_ints(self.vectors[1])[0]


class SideRounds:
    """sum_m coef_m E_x[m] E_y[m]: the sumcheck over contractions. The random rows have coefficient
    zero."""

    def __init__(self, kernels: Kernels, factors: Sequence[int], x: Vec, y: Vec) -> None:
        self.kernels = kernels
        self.variables = (len(x) - 1).bit_length()
        coef = kernels.from_ints([*factors] + [0] * (len(x) - len(factors)))
        self.vectors = [x, y, coef]
        self.claim = kernels.inner(kernels.mul(coef, x), y)

    def round(self) -> list[int]:
        return coefficients(self.kernels.round_product(self.vectors))

    def fold(self, r: int) -> None:
        self.vectors = [self.kernels.fold(v, r) for v in self.vectors]

    def ends(self) -> tuple[int, int]:
        """e_x and e_y at r'."""
        return self.kernels.to_ints(self.vectors[0])[0], self.kernels.to_ints(self.vectors[1])[0]
