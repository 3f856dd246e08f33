"""What the prover asks of a kernel tier. Every tier has the same functions with the same results.

A `Vec` is an array of field elements along axis 0: numpy's slices, fancy indexing and assignment
along it work in every tier; what a cell looks like is the tier's own affair:

  reference  dtype object, shape (n,): Python ints in [0, P)
  scalar     dtype uint64, shape (n, 4): little-endian limbs, Montgomery form (R = 2^256), below P
  cuda       the same cells on the GPU, behind an object that is indexed like a numpy array

`Points` is a sliceable sequence of points of G1. Single scalars are Python ints of any sign and
size (reduced on entry, canonical on return); single points are affine pairs, None for infinity.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from prover.curve import Point
from prover.errors import EinproofError

Vec: TypeAlias = npt.NDArray[Any]
Points: TypeAlias = Any
Int64s: TypeAlias = npt.NDArray[np.signedinteger[Any]]  # of 64 bits or fewer
Rows: TypeAlias = npt.NDArray[np.int32]  # (k, n): for each of n cells, k elements of a vector
Progress: TypeAlias = tuple[int, int, str]
T = TypeVar("T")


class UnknownKernels(EinproofError):
    """A kernel tier that does not exist, or cannot run here."""


class LengthMismatch(EinproofError):
    """Vectors whose lengths do not fit together."""


class ElementOverflow(EinproofError):
    """An integer outside the range that a kernel accepts."""


class Kernels(Protocol):
    """One tier. Lengths that do not fit together raise LengthMismatch."""

    @property
    def name(self) -> str:
        """The name that `prover.kernels.get` knows the tier by."""

    def run_all(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """The results, in order, of tasks of which none needs what another one changes: at once,
        where a tier works on several processor cores."""

    # vectors

    def zeros(self, n: int) -> Vec:
        """n zeros."""

    def from_ints(self, values: Sequence[int]) -> Vec:
        """Integers of any sign and size, reduced."""

    def from_int64(self, values: Int64s) -> Vec:
        """A one-dimensional array of signed integers, of 64 bits or fewer; negative x is P + x."""

    def to_ints(self, a: Vec) -> list[int]:
        """Canonical integers."""

    def concat(self, parts: Sequence[Vec]) -> Vec:
        """The parts, one after another, in a new vector; no part gives an empty vector."""

    def add(self, a: Vec, b: Vec) -> Vec:
        """a + b, cell by cell."""

    def sub(self, a: Vec, b: Vec) -> Vec:
        """a - b, cell by cell."""

    def mul(self, a: Vec, b: Vec) -> Vec:
        """a * b, cell by cell."""

    def scale(self, a: Vec, c: int) -> Vec:
        """c * a."""

    def add_scaled(self, acc: Vec, c: int, a: Vec) -> None:
        """acc += c * a, in place; acc may be a slice of a vector."""

    def outer(self, a: Vec, b: Vec) -> Vec:
        """a[i] * b[j] at i * len(b) + j."""

    def total(self, a: Vec) -> int:
        """sum_i a[i]."""

    def inner(self, a: Vec, b: Vec) -> int:
        """sum_i a[i] * b[i]."""

    def batch_inverse(self, a: Vec) -> Vec:
        """1/a, cell by cell; raises ZeroInverse if a cell is zero."""

    def pick(self, values: Vec, rows: Rows) -> Vec:
        """sum_k values[rows[k, x]] for every x; raises LengthMismatch where there is no such
        row."""

    # multilinear tables: a vector of 2^n, the first variable on the top bit of the index

    def eq_table(self, point: Sequence[int]) -> Vec:
        """prod_i (x_i point_i + (1 - x_i)(1 - point_i)) for all x; point[0] on x's top bit."""

    def powers(self, base: int, n: int) -> Vec:
        """1, base, ..., base^(n-1)."""

    def small_matvec(self, ints: Int64s, v: Vec) -> Vec:
        """The product of a matrix (m, n) of signed integers, of 64 bits or fewer as they are
        stored, and a vector of n: m field elements."""

    def fold(self, v: Vec, r: int) -> Vec:
        """Binds the first variable to r: v[:h] + r (v[h:] - v[:h]), h half the (even) length."""

    # sumcheck rounds: all vectors of one even length 2h; with v_t = v[:h] + t (v[h:] - v[:h]), the
    # list over t = 0..degree of sum_{x<h} summand(v_t at x)

    def round_lookup(
        self, e: Vec, cut: Vec, helper: Vec, slices: Sequence[Vec], beta: int
    ) -> tuple[list[int], list[int]]:
        """The row side of LogUp, K = 1 to 8 slices f_k: the sums of e (helper D - N) at t = 1..K+2,
        and of cut helper at t = 1, 2. What they are at 0 follows from their claims.

        D = prod_k (beta - f_k), N = sum_k prod_{l != k} (beta - f_l).
        """

    def round_table(
        self, e: Vec, cut: Vec, helper: Vec, table: Vec, mult: Vec, beta: int
    ) -> tuple[list[int], list[int]]:
        """The table side: the sums of e (helper (beta - table) - mult) at t = 1..3, and of
        cut helper at t = 1, 2."""

    def round_product(self, factors: Sequence[Vec]) -> list[int]:
        """The product of 2 or 3 factors; degree len(factors)."""

    # univariate polynomials, coefficients from the constant up

    def divide_power(self, f: Vec, b: int, alpha: int) -> tuple[Vec, Vec]:
        """q of max(len(f) - b, 0) and g of b coefficients with f = (X^b - alpha) q + g."""

    def evaluate(self, f: Vec, z: int) -> int:
        """f(z)."""

    def correlate(self, a: Vec, b: Vec) -> Vec:
        """c[j] = sum_i a[i+j] b[i], of length max(len(a), len(b)); quadratic time."""

    # G1

    def load_points(self, points: Sequence[Point]) -> Points:
        """Affine integer pairs, None for infinity; raises PointNotOnCurve."""

    def points_to_ints(self, points: Points) -> list[Point]:
        """The inverse of load_points."""

    def points_from_bytes(self, data: bytes | memoryview) -> Points:
        """64 bytes a point, x then y, big-endian, zeros for infinity.

        Raises WrongLength, NonCanonicalCoordinate or PointNotOnCurve.
        """

    def points_to_bytes(self, points: Points) -> bytes:
        """The inverse of points_from_bytes."""

    def generator_powers(self, s: int, n: int) -> Points:
        """s^i times the generator of G1, for i < n."""

    def msm(self, points: Points, scalars: Vec) -> Point:
        """sum_i scalars[i] points[i]; points beyond len(scalars) are not used."""

    def msm_small(self, points: Points, ints: Int64s) -> Point:
        """The same for signed integers of any width; raises ElementOverflow beyond 2^62."""

    def msm_picked(self, points: Points, values: Vec, rows: Rows) -> Point:
        """msm(points, pick(values, rows)), at less cost where few of the values are distinct."""

    def warmup(self) -> Iterator[Progress]:
        """Compiles what has to be compiled, yielding (done, total, label) after each step."""
