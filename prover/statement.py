"""What is claimed: this context, this model, this input, this output; absorbed before anything
else.

Docs: docs/protocol/verifier.md#transcript. The context is one opaque word that the oracle computes
(chain, oracle, request, model, input, fee beneficiary), so that a proof can be neither replayed
nor copied for its fee.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from prover.curve import POINT_BYTES, Affine, decode_point
from prover.errors import WrongLength
from prover.keccak import keccak
from prover.program.format import VerifierProgram
from prover.transcript import Transcript

DOMAIN = keccak(b"einproof/transcript/v1")
WORD = 32


@dataclass(frozen=True)
class Statement:
    """input, output: int16 cells (big-endian, row-major) of the public tensors, then 64 bytes a
    committed tile."""

    context: bytes
    model_id: bytes
    srs_id: bytes
    input: bytes
    output: bytes

    def encode(self) -> bytes:
        words = (self.context, self.model_id, self.srs_id, keccak(self.input), keccak(self.output))
        for word in words:
            if len(word) != WORD:
                raise WrongLength(WORD, len(word))
        return DOMAIN + b"".join(words)

    def transcript(self, log: list[tuple[str, str]] | None = None) -> Transcript:
        """A transcript that has absorbed the statement."""
        transcript = Transcript(keccak(self.encode()), log)
        if log is not None:
            log.append(("absorb", "statement"))
        return transcript

    def check_lengths(self, program: VerifierProgram) -> None:
        """Raises WrongLength."""
        for data, size in ((self.input, program.input_bytes), (self.output, program.output_bytes)):
            if len(data) != size:
                raise WrongLength(size, len(data))

    def points(self, program: VerifierProgram) -> list[Affine]:
        """The committed tensors' tiles, inputs first, of sides of the right length; raises a
        point's error."""
        return [
            *_points(self.input, program.input_tiles),
            *_points(self.output, program.output_tiles),
        ]


def _points(side: bytes, tiles: int) -> list[Affine]:
    start = len(side) - POINT_BYTES * tiles
    return [
        decode_point(side[at : at + POINT_BYTES]) for at in range(start, len(side), POINT_BYTES)
    ]


def encode_public(cells: Sequence[int]) -> bytes:
    """int16, big-endian; raises OverflowError outside int16."""
    return b"".join(int(c).to_bytes(2, "big", signed=True) for c in cells)
