"""BLS12-381 by py_ecc alone: keys of test members, what they sign, points as EIP-2537 has them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from py_ecc.bls.hash_to_curve import hash_to_G1
from py_ecc.optimized_bls12_381 import Z1, add, multiply, normalize

POSSESSION = b"EINPROOF_POSSESSION_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"
QUORUM = b"EINPROOF_QUORUM_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_"


def encoded(point: Any) -> bytes:
    """As EIP-2537 has points of either group."""
    if point[2] == type(point[2]).zero():
        return bytes(64 * 2 * (len(getattr(point[0], "coeffs", (0,)))))
    coordinates = [c for part in normalize(point) for c in getattr(part, "coeffs", (part,))]
    return b"".join(int(getattr(c, "n", c)).to_bytes(64, "big") for c in coordinates)


def secret(number: int) -> int:
    return 10**9 + 7 * number


def sign(number: int, message: bytes, tag: bytes = QUORUM) -> Any:
    return multiply(hash_to_G1(message, tag, hashlib.sha256), secret(number))


def total(points: Sequence[Any], zero: Any = Z1) -> Any:
    for point in points:
        zero = add(zero, point)
    return zero
