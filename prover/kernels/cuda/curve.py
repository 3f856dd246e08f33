"""Formulas of G1 over Montgomery coordinates, complete.

Sums are kept as (X, Y, ZZ, ZZZ) for the affine (X/ZZ, Y/ZZZ), with ZZ^3 = ZZZ^2 and ZZ = 0 at
infinity: adding an affine point takes 10 multiplications. An affine point is two cells, both zero
at infinity. Formulas: Explicit-Formulas Database, short Weierstrass curves, XYZZ coordinates.
"""

from typing import Any

import numpy as np

from prover.field import Q
from prover.kernels.cuda.kernel import device
from prover.kernels.cuda.limbs import (
    add_fq,
    equal,
    load,
    mul_fq,
    one_fq,
    store,
    sub_fq,
    zero,
)

EXPONENT = tuple(np.uint64((Q - 2) >> 64 * j & 2**64 - 1) for j in range(4))


@device
def inverse_fq(x: Any) -> Any:
    """x^(Q-2): 1/x, or zero for zero (Fermat)."""
    result = x
    for i in range(252, -1, -1):
        result = mul_fq(result, result)
        if EXPONENT[i >> 6] >> np.uint64(i & 63) & np.uint64(1):
            result = mul_fq(result, x)
    return result


@device
def infinity() -> Any:
    """The point at infinity."""
    return one_fq(), one_fq(), zero(), zero()


@device
def load_sum(sums: Any, i: Any) -> Any:
    """The i-th of an array of sums."""
    return load(sums, 4 * i), load(sums, 4 * i + 1), load(sums, 4 * i + 2), load(sums, 4 * i + 3)


@device
def store_sum(sums: Any, i: Any, point: Any) -> None:
    """Writes what `load_sum` reads."""
    x, y, zz, zzz = point
    store(sums, 4 * i, x)
    store(sums, 4 * i + 1, y)
    store(sums, 4 * i + 2, zz)
    store(sums, 4 * i + 3, zzz)


@device
def double(point: Any) -> Any:
    """2 point (dbl-2008-s-1); infinity stays infinity, as ZZ = 0 does."""
    x, y, zz, zzz = point
    u = add_fq(y, y)
    v = mul_fq(u, u)
    w = mul_fq(u, v)
    s = mul_fq(x, v)
    square = mul_fq(x, x)
    m = add_fq(add_fq(square, square), square)
    x3 = sub_fq(mul_fq(m, m), add_fq(s, s))
    y3 = sub_fq(mul_fq(m, sub_fq(s, x3)), mul_fq(w, y))
    return x3, y3, mul_fq(v, zz), mul_fq(w, zzz)


@device
def _chord(u: Any, s: Any, p: Any, r: Any, zz: Any, zzz: Any) -> Any:
    """The sum of two points whose x and y, over a common ZZ and ZZZ, are u, u + p and s, s + r."""
    pp = mul_fq(p, p)
    ppp = mul_fq(p, pp)
    q = mul_fq(u, pp)
    x3 = sub_fq(sub_fq(mul_fq(r, r), ppp), add_fq(q, q))
    y3 = sub_fq(mul_fq(r, sub_fq(q, x3)), mul_fq(s, ppp))
    return x3, y3, mul_fq(zz, pp), mul_fq(zzz, ppp)


@device
def add(left: Any, right: Any) -> Any:
    """left + right (add-2008-s, and special cases)."""
    x1, y1, zz1, zzz1 = left
    x2, y2, zz2, zzz2 = right
    if equal(zz1, zero()):
        return right
    if equal(zz2, zero()):
        return left
    u, s = mul_fq(x1, zz2), mul_fq(y1, zzz2)
    p, r = sub_fq(mul_fq(x2, zz1), u), sub_fq(mul_fq(y2, zzz1), s)
    if equal(p, zero()):
        if equal(r, zero()):
            return double(left)
        return infinity()
    return _chord(u, s, p, r, mul_fq(zz1, zz2), mul_fq(zzz1, zzz2))


@device
def add_affine(left: Any, x2: Any, y2: Any) -> Any:
    """left + (x2, y2) (madd-2008-s, and special cases)."""
    x1, y1, zz1, zzz1 = left
    if equal(x2, zero()) and equal(y2, zero()):
        return left
    if equal(zz1, zero()):
        return x2, y2, one_fq(), one_fq()
    p, r = sub_fq(mul_fq(x2, zz1), x1), sub_fq(mul_fq(y2, zzz1), y1)
    if equal(p, zero()):
        if equal(r, zero()):
            return double(left)
        return infinity()
    return _chord(x1, y1, p, r, zz1, zzz1)


@device
def multiple(point: Any, scalar: Any) -> Any:
    """scalar * point, for an integer 0 <= scalar < 2^31."""
    total, bit = infinity(), 0
    while scalar >> bit:
        bit += 1
    while bit > 0:
        bit -= 1
        total = double(total)
        if scalar >> bit & 1:
            total = add(total, point)
    return total
