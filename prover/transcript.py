"""The Fiat-Shamir transcript: a Keccak-256 chain that prover and verifier run in step.

    absorb(data):  state = keccak256(state || data),  len(data) a positive multiple of 32
    challenge():   state = keccak256(state || 0x01),  challenge = state mod P (big-endian)

The lengths keep the two apart: 33 bytes are hashed for a challenge, 32 n bytes otherwise. Data has
no length prefix, so the order and size of what is absorbed must follow from what was absorbed.
Labels are recorded in `log`, for the committed list of every absorb and challenge; they are not
hashed. Solidity: contracts/verifier/Transcript.sol.
"""

from collections.abc import Sequence

from prover.curve import Point, encode_point
from prover.errors import WrongLength
from prover.field import ELEMENT_BYTES, P, encode_scalar
from prover.keccak import keccak

SQUEEZE = b"\x01"


class Transcript:
    """A 32-byte state; `log`, if given, receives one (operation, label) for every step."""

    def __init__(
        self, state: bytes = bytes(ELEMENT_BYTES), log: list[tuple[str, str]] | None = None
    ) -> None:
        if len(state) != ELEMENT_BYTES:
            raise WrongLength(ELEMENT_BYTES, len(state))
        self.state = state
        self.log = log

    def absorb_bytes(self, label: str, data: bytes) -> None:
        """Absorbs whole 32-byte words, at least one; raises WrongLength."""
        if len(data) == 0 or len(data) % ELEMENT_BYTES:
            raise WrongLength(-(-max(len(data), 1) // ELEMENT_BYTES) * ELEMENT_BYTES, len(data))
        self._step("absorb", label, data)

    def absorb_point(self, label: str, point: Point) -> None:
        """Absorbs x then y, 64 bytes; raises PointAtInfinity."""
        self.absorb_bytes(label, encode_point(point))

    def absorb_scalar(self, label: str, scalar: int) -> None:
        """Absorbs the canonical representative, 32 bytes."""
        self.absorb_bytes(label, encode_scalar(scalar))

    def absorb_scalars(self, label: str, scalars: Sequence[int]) -> None:
        """Absorbs one or more scalars as one message (one hash, unlike a scalar at a time)."""
        self.absorb_bytes(label, b"".join(encode_scalar(scalar) for scalar in scalars))

    def challenge(self, label: str) -> int:
        """Squeezes a field element."""
        self._step("challenge", label, SQUEEZE)
        return int.from_bytes(self.state, "big") % P

    def challenges(self, label: str, n: int) -> list[int]:
        """Squeezes n field elements, one after another."""
        return [self.challenge(label) for _ in range(n)]

    def _step(self, operation: str, label: str, data: bytes) -> None:
        self.state = keccak(self.state + data)
        if self.log is not None:
            self.log.append((operation, label))
