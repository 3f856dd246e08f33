"""The proof's bytes: docs/protocol/verifier.md#proof. Every length comes from the program, none
from the proof."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from prover.curve import POINT_BYTES, Affine, decode_point, encode_point
from prover.errors import WrongLength
from prover.field import ELEMENT_BYTES, decode_scalar, encode_scalar
from prover.program.format import VerifierProgram

Rounds = tuple[tuple[int, ...], ...]


class LookupEvaluations(NamedTuple):
    """The lookup columns at the end of the main sumcheck."""

    slices: tuple[int, ...]  # f_kappa at r_f
    helper: int  # H
    table_helper: int  # G
    multiplicity: int  # M
    table: int  # T

    def flat(self) -> tuple[int, ...]:
        return (*self.slices, self.helper, self.table_helper, self.multiplicity, self.table)


@dataclass(frozen=True)
class Proof:
    stage1: tuple[Affine, ...]
    stage2: tuple[Affine, ...]
    sigma1: int
    main_rounds: Rounds
    lookups: LookupEvaluations
    e_point: Affine
    sigma2: int
    side_rounds: Rounds
    e_x: int
    e_y: int
    z_points: tuple[Affine, Affine]
    v_mask: int
    tile_rounds: Rounds
    opening: bytes

    def encode(self) -> bytes:
        return b"".join(
            (
                points_bytes(self.stage1),
                points_bytes(self.stage2),
                scalars_bytes(self.sigma1),
                *(scalars_bytes(*r) for r in self.main_rounds),
                middle_bytes(self.lookups, self.e_point, self.sigma2),
                *(scalars_bytes(*r) for r in self.side_rounds),
                late_bytes(self.e_x, self.e_y, self.z_points, self.v_mask),
                *(scalars_bytes(*r) for r in self.tile_rounds),
                self.opening,
            )
        )


def scalars_bytes(*values: int) -> bytes:
    return b"".join(encode_scalar(v) for v in values)


def points_bytes(points: Iterable[Affine]) -> bytes:
    return b"".join(encode_point(p) for p in points)


def middle_bytes(lookups: LookupEvaluations, e_point: Affine, sigma2: int) -> bytes:
    """What is absorbed as one string after the main sumcheck."""
    return scalars_bytes(*lookups.flat()) + encode_point(e_point) + scalars_bytes(sigma2)


def late_bytes(e_x: int, e_y: int, z_points: Iterable[Affine], v_mask: int) -> bytes:
    """What is absorbed as one string before the batching challenge."""
    return scalars_bytes(e_x, e_y) + points_bytes(z_points) + scalars_bytes(v_mask)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def _take(self, size: int) -> bytes:
        self.at += size
        return self.data[self.at - size : self.at]

    def scalar(self) -> int:
        return decode_scalar(self._take(ELEMENT_BYTES))

    def scalars(self, count: int) -> tuple[int, ...]:
        return tuple(self.scalar() for _ in range(count))

    def point(self) -> Affine:
        return decode_point(self._take(POINT_BYTES))

    def points(self, count: int) -> tuple[Affine, ...]:
        return tuple(self.point() for _ in range(count))

    def rounds(self, count: int, width: int) -> Rounds:
        return tuple(self.scalars(width) for _ in range(count))

    def rest(self) -> bytes:
        return self._take(len(self.data) - self.at)


def check_length(data: bytes, program: VerifierProgram) -> None:
    """Raises WrongLength."""
    if len(data) != program.proof_bytes:
        raise WrongLength(program.proof_bytes, len(data))


def decode(data: bytes, program: VerifierProgram) -> Proof:
    """The proof of exact length; raises WrongLength, NonCanonicalScalar, NonCanonicalCoordinate,
    PointNotOnCurve or PointAtInfinity for the first field that is malformed."""
    check_length(data, program)
    r = _Reader(data)
    return Proof(
        stage1=r.points(program.stage1_tiles),
        stage2=r.points(program.stage2_tiles),
        sigma1=r.scalar(),
        main_rounds=r.rounds(program.n, program.slices + 2),
        lookups=LookupEvaluations(
            r.scalars(program.slices), r.scalar(), r.scalar(), r.scalar(), r.scalar()
        ),
        e_point=r.point(),
        sigma2=r.scalar(),
        side_rounds=r.rounds(program.mu, 3),
        e_x=r.scalar(),
        e_y=r.scalar(),
        z_points=(r.point(), r.point()),
        v_mask=r.scalar(),
        tile_rounds=r.rounds(program.k, 2),
        opening=r.rest(),
    )
