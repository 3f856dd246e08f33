"""The root of every error that einproof raises on purpose, and the errors of a malformed proof.

A `ProofError` has the name and the arguments (`args`) of the custom error with which the Solidity
verifier refuses the same bytes: contracts/interfaces/IProofErrors.sol.
"""

from typing import ClassVar


class EinproofError(Exception):
    """An input or a state that einproof refuses; its message has what was expected and what
    came."""


class ZeroInverse(EinproofError):
    """Zero has no inverse."""


class ProofError(EinproofError):
    """A proof that both verifiers refuse with this error."""

    message: ClassVar[str]

    def __str__(self) -> str:
        shown = (f"0x{arg.hex()}" if isinstance(arg, bytes) else arg for arg in self.args)
        return self.message.format(*shown)


class WrongLength(ProofError):
    """Bytes of another length than the encoding has."""

    message = "expected {} bytes, got {}"

    def __init__(self, expected: int, got: int) -> None:
        super().__init__(expected, got)


class UnsupportedSize(ProofError):
    """A tile of 2^got cells, where 2^most is what the SRS holds (and 4 the least)."""

    message = "expected a point of 2 to {} coordinates, got {}"

    def __init__(self, most: int, got: int) -> None:
        super().__init__(most, got)


class NonCanonicalScalar(ProofError):
    """A scalar at or above the order of Fr."""

    message = "expected a scalar below the order of Fr, got {}"

    def __init__(self, got: int) -> None:
        super().__init__(got)


class NonCanonicalCoordinate(ProofError):
    """A coordinate at or above the order of Fq."""

    message = "expected a coordinate below the order of Fq, got {}"

    def __init__(self, got: int) -> None:
        super().__init__(got)


class PointNotOnCurve(ProofError):
    """Coordinates that do not satisfy y^2 = x^3 + 3."""

    message = "expected y^2 = x^3 + 3, got ({}, {})"

    def __init__(self, x: int, y: int) -> None:
        super().__init__(x, y)


class PointAtInfinity(ProofError):
    """The point at infinity, where a protocol message must be a finite point."""

    message = "expected a finite point, got infinity"

    def __init__(self) -> None:
        super().__init__()


class DegenerateChallenge(ProofError):
    """A challenge on which a check would divide by zero (probability about 2^-250 a proof)."""

    message = "expected distinct nonzero evaluation points, got a degenerate challenge"

    def __init__(self) -> None:
        super().__init__()


class OpeningRejected(ProofError):
    """A well-formed opening whose pairing equation does not hold."""

    message = "expected an opening of the commitment to the claimed value, got another"

    def __init__(self) -> None:
        super().__init__()


class BadProgram(ProofError):
    """A registered program outside the bounds that keep the verifier total
    (docs/protocol/format.md, code)."""

    message = "expected a verifier program within bounds, got one that breaks bound {}"

    def __init__(self, code: int) -> None:
        super().__init__(code)


class UnknownModel(ProofError):
    """A model id that is not registered, or not that of the verifying key."""

    message = "expected a known model, got {}"

    def __init__(self, model_id: bytes) -> None:
        super().__init__(model_id)


class WrongSrs(ProofError):
    """A model or a statement under another SRS than the verifier's."""

    message = "expected SRS {}, got {}"

    def __init__(self, expected: bytes, got: bytes) -> None:
        super().__init__(expected, got)
