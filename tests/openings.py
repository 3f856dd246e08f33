"""Openings for tests: an honest one at fixed inputs, and every way to tamper with it."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from prover import curve, kernels
from prover.commitment import commit
from prover.curve import POINT_BYTES, Affine, PointG2, check_point, encode_point
from prover.errors import (
    NonCanonicalCoordinate,
    NonCanonicalScalar,
    OpeningRejected,
    PointAtInfinity,
    PointNotOnCurve,
    ProofError,
    UnsupportedSize,
    WrongLength,
)
from prover.field import P, Q
from prover.kernels.interface import Kernels
from prover.opening import prove_opening, verify_opening
from prover.srs import Srs, development_secret, development_srs
from prover.transcript import Transcript

STATE = bytes(range(32))
VECTORS = Path(__file__).parent / "vectors" / "v1" / "opening" / "opening.json"
NOT_IN_G2: PointG2 = (  # on the curve, outside the subgroup
    (1, 0),
    (
        18278151005453108793778860132295291098363647455926340152056652516292830556603,
        5912654199736721486680175016176231956195085055698687135131307249486702594212,
    ),
)
FIELDS = {  # byte offsets
    **{name: 64 * i for i, name in enumerate(("h", "q", "g", "S", "D"))},
    **{
        name: 320 + 32 * i
        for i, name in enumerate(("g(z)", "g(1/z)", "h(z)", "h(1/z)", "h(alpha)", "S(z)"))
    },
    "W": 512,
    "W'": 576,
}
SCALARS = [name for name in FIELDS if name.endswith(")")]
POINTS = [name for name in FIELDS if name not in SCALARS]


class Statement(NamedTuple):
    """What both verifiers are given."""

    commitment: Affine
    point: list[int]
    value: int
    proof: bytes
    state: bytes = STATE

    def verify(self, srs: Srs) -> None:
        """Raises what the Python verifier raises."""
        transcript = Transcript(self.state)
        verify_opening(
            srs.s_g2, self.commitment, self.point, self.value, self.proof, transcript, srs.k_max
        )


@cache
def reference_srs(k: int) -> Srs:
    """The development SRS on the reference tier."""
    return development_srs(kernels.get("reference"), k)


def random_cells(k: int, seed: int = 0) -> tuple[list[int], int, list[int]]:
    """2^k cells, small ones and large ones, a blinder and a point."""
    rng = random.Random(1000 * k + seed)
    cells = [rng.choice((rng.randrange(P), rng.randrange(-99, 99) % P)) for _ in range(1 << k)]
    return cells, rng.randrange(P), [rng.randrange(P) for _ in range(k)]


def evaluate(cells: list[int], point: list[int]) -> int:
    """The multilinear extension of the cells at the point, one coordinate at a time."""
    for coordinate in point:
        half = len(cells) // 2
        pairs = zip(cells[:half], cells[half:], strict=True)
        cells = [(a + coordinate * (b - a)) % P for a, b in pairs]
    return cells[0]


def honest(k: int, tier: Kernels | None = None, seed: int = 0) -> Statement:
    """An opening that holds under the development SRS of size at least k."""
    tier = tier or kernels.get("reference")
    srs = development_srs(tier, k)
    cells, blinder, point = random_cells(k, seed)
    vector = tier.from_ints(cells)
    commitment = check_point(commit(tier, srs, vector, blinder, k))
    proof = prove_opening(tier, srs, vector, blinder, point, Transcript(STATE))
    return Statement(commitment, point, evaluate(cells, point), proof)


def tampered(base: Statement, k_max: int) -> Iterator[tuple[str, Statement, ProofError]]:
    """Every argument and field made wrong in each way that there is, and the error that is due."""
    rejected = OpeningRejected()
    other = check_point(curve.multiply(curve.GENERATOR, 12345))
    negated = check_point(curve.negate(base.commitment))
    point, proof = base.point, base.proof

    yield "another value", base._replace(value=(base.value + 1) % P), rejected
    yield "another state", base._replace(state=bytes(32)), rejected
    yield "another commitment", base._replace(commitment=other), rejected
    yield "the negated commitment", base._replace(commitment=negated), rejected
    for i in range(len(point)):
        moved = [*point[:i], (point[i] + 1) % P, *point[i + 1 :]]
        yield f"coordinate {i} moved", base._replace(point=moved), rejected
        large = [*point[:i], point[i] + P, *point[i + 1 :]]
        yield f"coordinate {i} + P", base._replace(point=large), NonCanonicalScalar(point[i] + P)
    yield "coordinates reversed", base._replace(point=point[::-1]), rejected
    less = rejected if len(point) > 2 else UnsupportedSize(k_max, 1)
    yield "a coordinate less", base._replace(point=point[1:]), less
    # (0 in front would be a true statement: a tile whose top half is empty)
    yield "a coordinate more", base._replace(point=[1, *point]), rejected
    yield "one coordinate", base._replace(point=point[:1]), UnsupportedSize(k_max, 1)
    yield "no coordinate", base._replace(point=[]), UnsupportedSize(k_max, 0)
    long = base._replace(point=[1] * (k_max + 1))
    yield "more coordinates than the SRS has", long, UnsupportedSize(k_max, k_max + 1)
    yield "value + P", base._replace(value=base.value + P), NonCanonicalScalar(base.value + P)
    yield "the largest word", base._replace(value=2**256 - 1), NonCanonicalScalar(2**256 - 1)

    x, y = base.commitment
    for label, (bad_x, bad_y), error in _bad_points(x, y):
        yield f"commitment {label}", base._replace(commitment=(bad_x, bad_y)), error

    for length in (0, 1, 32, 639, 641, 640 + 32):
        cut = (proof + bytes(64))[:length]
        yield f"{length} bytes", base._replace(proof=cut), WrongLength(640, length)

    def patched(offset: int, data: bytes) -> Statement:
        return base._replace(proof=proof[:offset] + data + proof[offset + len(data) :])

    for name in SCALARS:
        offset = FIELDS[name]
        scalar = int.from_bytes(proof[offset : offset + 32], "big")
        yield f"{name} + 1", patched(offset, ((scalar + 1) % P).to_bytes(32, "big")), rejected
        for large in (P, scalar + P, 2**256 - 1):
            error = NonCanonicalScalar(large)
            yield f"{name} = {large}", patched(offset, large.to_bytes(32, "big")), error
    for name in POINTS:
        offset = FIELDS[name]
        x = int.from_bytes(proof[offset : offset + 32], "big")
        y = int.from_bytes(proof[offset + 32 : offset + 64], "big")
        yield f"{name} replaced", patched(offset, encode_point(other)), rejected
        yield f"{name} negated", patched(offset, encode_point(curve.negate((x, y)))), rejected
        for label, (bad_x, bad_y), error in _bad_points(x, y):
            data = bad_x.to_bytes(32, "big") + bad_y.to_bytes(32, "big")
            yield f"{name} {label}", patched(offset, data), error
    swapped = proof[POINT_BYTES : 2 * POINT_BYTES] + proof[:POINT_BYTES] + proof[2 * POINT_BYTES :]
    yield "h and q exchanged", base._replace(proof=swapped), rejected


def _bad_points(x: int, y: int) -> Iterator[tuple[str, Affine, ProofError]]:
    yield "at infinity", (0, 0), PointAtInfinity()
    yield "off the curve", (x, y ^ 1), PointNotOnCurve(x, y ^ 1)
    yield "with x = 0", (0, y), PointNotOnCurve(0, y)
    yield "x + Q", (x + Q, y), NonCanonicalCoordinate(x + Q)
    yield "y + Q", (x, y + Q), NonCanonicalCoordinate(y + Q)
    yield "(Q, Q)", (Q, Q), NonCanonicalCoordinate(Q)


def secret() -> int:
    """s of the development SRS, with which tests commit in one multiplication."""
    return development_secret()


def frozen() -> list[dict[str, Any]]:
    """The cases of tests/vectors/v1/opening."""
    cases = []
    for k in (2, 5, 6):
        cells, blinder, point = random_cells(k)
        made = honest(k)
        cases.append(
            {
                "cells": [str(cell) for cell in cells],
                "blinder": str(blinder),
                "point": [str(coordinate) for coordinate in point],
                "state": made.state.hex(),
                "commitment": [str(coordinate) for coordinate in made.commitment],
                "value": str(made.value),
                "proof": made.proof.hex(),
            }
        )
    return cases


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(frozen(), indent=1) + "\n")
