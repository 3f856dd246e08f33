"""The BN254 pairing check, over py_ecc."""

import sys
from collections.abc import Sequence

from prover.curve import Point, PointG2

# py_ecc raises Python's limit to 100,000 levels, at which nested JSON overflows the C stack.
MOST_LEVELS = 10_000


def product_is_one(pairs: Sequence[tuple[Point, PointG2]]) -> bool:
    """Whether prod_i e(A_i, B_i) = 1.

    The caller has checked that every A_i is in G1 and every B_i in G2.
    """
    # Imported where it is used: to prove takes no pairing, and py_ecc takes a tenth of a second.
    from py_ecc.fields import optimized_bn128_FQ as Fq
    from py_ecc.fields import optimized_bn128_FQ2 as Fq2
    from py_ecc.fields import optimized_bn128_FQ12 as Fq12
    from py_ecc.optimized_bn128 import final_exponentiate, pairing

    sys.setrecursionlimit(min(MOST_LEVELS, sys.getrecursionlimit()))
    product = Fq12.one()
    for left, right in pairs:
        if left is not None and right is not None:
            point = (Fq(left[0]), Fq(left[1]), Fq.one())
            twist = (Fq2(right[0]), Fq2(right[1]), Fq2.one())
            product *= pairing(twist, point, final_exponentiate=False)
    return bool(final_exponentiate(product) == Fq12.one())
