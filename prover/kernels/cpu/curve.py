"""Formulas of G1 over Montgomery coordinates: complete Jacobian ones, and affine ones in batches.

A Jacobian point is a triple of elements, (X, Y, Z) for (X/Z^2, Y/Z^3), Z = 0 at infinity. An affine
point is two consecutive cells of an array, both zero at infinity.
"""

from typing import Any

import numpy as np

from prover.field import Q
from prover.kernels.native import COMPILING, inner

if COMPILING:
    from prover.kernels.cpu.limbs import (
        add_fq,
        call_mul_fq,
        equal,
        load,
        mul_fq,
        one_fq,
        store,
        sub_fq,
        zero,
    )

EXPONENT = tuple(np.uint64((Q - 2) >> 64 * j & 2**64 - 1) for j in range(4))
PLAIN, TANGENT, DONE = 0, 1, 2


@inner
def inverse_fq(x: Any) -> Any:
    """x^(Q-2): 1/x, or zero for zero (Fermat)."""
    power = x
    for i in range(252, -1, -1):
        power = mul_fq(power, power)
        if EXPONENT[i >> 6] >> np.uint64(i & 63) & np.uint64(1):
            power = mul_fq(power, x)
    return power


@inner
def infinity() -> Any:
    """The Jacobian point at infinity."""
    return one_fq(), one_fq(), zero()


@inner
def double(point: Any) -> Any:
    """2 point (Explicit-Formulas Database, dbl-2009-l)."""
    x, y, z = point
    a, b = call_mul_fq(x, x), call_mul_fq(y, y)
    c = call_mul_fq(b, b)
    s = add_fq(x, b)
    d = sub_fq(sub_fq(call_mul_fq(s, s), a), c)
    d = add_fq(d, d)
    e = add_fq(add_fq(a, a), a)
    x3 = sub_fq(call_mul_fq(e, e), add_fq(d, d))
    c = add_fq(c, c)
    c = add_fq(c, c)
    y3 = sub_fq(call_mul_fq(e, sub_fq(d, x3)), add_fq(c, c))
    return x3, y3, call_mul_fq(add_fq(y, y), z)


@inner
def add(left: Any, right: Any) -> Any:
    """left + right, complete (Explicit-Formulas Database, add-1998-cmo-2, and special cases)."""
    x1, y1, z1 = left
    x2, y2, z2 = right
    if equal(z1, zero()):
        return right
    if equal(z2, zero()):
        return left
    zz1, zz2 = call_mul_fq(z1, z1), call_mul_fq(z2, z2)
    u, s = call_mul_fq(x1, zz2), call_mul_fq(call_mul_fq(y1, zz2), z2)
    h = sub_fq(call_mul_fq(x2, zz1), u)
    r = sub_fq(call_mul_fq(call_mul_fq(y2, zz1), z1), s)
    if equal(h, zero()):
        return double(left) if equal(r, zero()) else infinity()
    hh = call_mul_fq(h, h)
    hhh, v = call_mul_fq(h, hh), call_mul_fq(u, hh)
    x3 = sub_fq(sub_fq(call_mul_fq(r, r), hhh), add_fq(v, v))
    y3 = sub_fq(call_mul_fq(r, sub_fq(v, x3)), call_mul_fq(s, hhh))
    return x3, y3, call_mul_fq(call_mul_fq(z1, z2), h)


@inner
def load_affine(points: Any, i: int) -> Any:
    """The i-th affine point as a Jacobian one."""
    x, y = load(points, 2 * i), load(points, 2 * i + 1)
    if equal(x, zero()) and equal(y, zero()):
        return infinity()
    return x, y, one_fq()


@inner
def _special(points: Any, i: int, j: int) -> Any:
    """What to do where x_i = x_j or an x is zero: (kind, denominator of the slope).

    Settles the sum at i itself (kind DONE) if a point is infinity or the two are opposite.
    """
    x1, y1 = load(points, 2 * i), load(points, 2 * i + 1)
    x2, y2 = load(points, 2 * j), load(points, 2 * j + 1)
    if equal(x1, zero()) and equal(y1, zero()):
        store(points, 2 * i, x2)
        store(points, 2 * i + 1, y2)
        return DONE, one_fq()
    if equal(x2, zero()) and equal(y2, zero()):
        return DONE, one_fq()
    if not equal(x1, x2):
        return PLAIN, sub_fq(x2, x1)
    if equal(y1, y2):
        return TANGENT, add_fq(y1, y1)  # not zero: the group's order is odd
    store(points, 2 * i, zero())
    store(points, 2 * i + 1, zero())
    return DONE, one_fq()


@inner
def add_pairs(points: Any, at: Any, stride: int, scratch: Any, kinds: Any) -> None:
    """points[i] += points[i + stride] for i in at: complete, with one inversion in all.

    The slopes' denominators are inverted together (Montgomery's trick): 6 multiplications a sum.
    scratch has two cells a pair; at must not name a point twice, as i or as i + stride.
    """
    count, product = at.shape[0], one_fq()
    for k in range(count):
        i = at[k]
        x1, x2 = load(points, 2 * i), load(points, 2 * (i + stride))
        kind, denominator = PLAIN, sub_fq(x2, x1)
        if equal(denominator, zero()) or equal(x1, zero()) or equal(x2, zero()):
            kind, denominator = _special(points, i, i + stride)
        kinds[k] = kind
        store(scratch, 2 * k, denominator)
        store(scratch, 2 * k + 1, product)
        product = mul_fq(product, denominator)
    product = inverse_fq(product)
    for k in range(count - 1, -1, -1):
        inverse = mul_fq(product, load(scratch, 2 * k + 1))
        product = mul_fq(product, load(scratch, 2 * k))
        kind = kinds[k]
        if kind == DONE:
            continue
        i, j = at[k], at[k] + stride
        x1, y1 = load(points, 2 * i), load(points, 2 * i + 1)
        x2 = load(points, 2 * j)
        rise = sub_fq(load(points, 2 * j + 1), y1)
        if kind == TANGENT:
            rise = mul_fq(x1, x1)
            rise = add_fq(add_fq(rise, rise), rise)
        slope = mul_fq(rise, inverse)
        x3 = sub_fq(sub_fq(mul_fq(slope, slope), x1), x2)
        store(points, 2 * i, x3)
        store(points, 2 * i + 1, sub_fq(mul_fq(slope, sub_fq(x1, x3)), y1))
