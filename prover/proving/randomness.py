"""The prover's randomness: an XOF of (fresh OS randomness, statement, witness digest).

A retry, or one test entropy under two statements, can then never give two proofs the same masks:
two such proofs would be linear equations in the witness (docs/protocol/zero-knowledge.md). Parts
are length-prefixed. A weight tile's blinder alone is outside: it is made once a model, from the
owner's key, and serves all its proofs.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping

from prover.field import P
from prover.program.evaluate import Stored, in_bytes

WIDE = 48  # bytes a field element: the bias of the reduction is below 2^-128


class Randomness:
    """Field elements for one attempt at one proof."""

    def __init__(self, entropy: bytes, statement: bytes, witness: bytes, attempt: int) -> None:
        self._xof = hashlib.shake_256()
        for part in (b"einproof/randomness/v1", entropy, statement, witness, bytes([attempt])):
            self._xof.update(len(part).to_bytes(8, "big") + part)

    def elements(self, label: str, count: int) -> list[int]:
        """`count` elements that only this label gives."""
        xof = self._xof.copy()
        xof.update(label.encode())
        data = xof.digest(WIDE * count)
        return [int.from_bytes(data[i : i + WIDE], "big") % P for i in range(0, len(data), WIDE)]

    def element(self, label: str) -> int:
        return self.elements(label, 1)[0]


def fresh_entropy() -> bytes:
    return secrets.token_bytes(32)


def witness_digest(values: Mapping[str, Stored], blinders: list[int]) -> bytes:
    """SHA-256 of every tensor and of the blinders that come from outside: their number, then each
    with its length before it."""
    digest = hashlib.sha256(len(values).to_bytes(8, "big"))

    def update(part: bytes) -> None:
        digest.update(len(part).to_bytes(8, "big") + part)

    for name in sorted(values):
        update(name.encode())
        digest.update((8 * values[name].size).to_bytes(8, "big"))
        for piece in in_bytes(values[name], "<i8"):
            digest.update(piece)
    for blinder in blinders:
        update(blinder.to_bytes(32, "big"))
    return digest.digest()
