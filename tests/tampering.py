"""Every way to make a proof or its statement wrong, and what both verifiers say to it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from prover.curve import GENERATOR, Affine, check_point, encode_point, multiply, negate
from prover.errors import ProofError
from prover.field import P, Q, encode_scalar
from prover.program.format import OPENING_BYTES, VerifierProgram
from prover.statement import Statement
from tests.evm import Reverted
from tests.onchain import Deployment
from tests.proving import Setup

OTHER: Affine = check_point(multiply(GENERATOR, 987654321))
Verdict = tuple[str, tuple[Any, ...]]


class Field(NamedTuple):
    """One point or scalar of a proof."""

    name: str
    at: int
    is_point: bool

    @property
    def size(self) -> int:
        return 64 if self.is_point else 32


def fields(program: VerifierProgram) -> list[Field]:
    """All fields of a proof, in order (docs/protocol/verifier.md#proof)."""
    found: list[Field] = []

    def put(name: str, is_point: bool = False) -> None:
        at = found[-1].at + found[-1].size if found else 0
        found.append(Field(name, at, is_point))

    def rounds(label: str, count: int, degree: int) -> None:
        for i in range(count):
            for j in (0, *range(2, degree + 1)):
                put(f"{label} round {i} c_{j}")

    for stage, count in (("1", program.stage1_tiles), ("2", program.stage2_tiles)):
        for i in range(count):
            put(f"stage {stage} tile {i}", True)
    put("sigma1")
    rounds("main", program.n, program.slices + 2)
    for name in (*(f"f_{i}" for i in range(program.slices)), "H", "G", "M", "T"):
        put(name)
    put("E", True)
    put("sigma2")
    rounds("side", program.mu, 3)
    put("e_x")
    put("e_y")
    put("Z1", True)
    put("Z2", True)
    put("v_m")
    rounds("tile", program.k, 2)
    for name in "hqgSD":
        put(f"opening {name}", True)
    for i in range(6):
        put(f"opening scalar {i}")
    put("opening W", True)
    put("opening W'", True)
    assert found[-1].at + 64 == program.proof_bytes
    return found


def random_proof(rng: random.Random, program: VerifierProgram) -> bytes:
    """Well-formed bytes that prove nothing."""
    out = b""
    for field in fields(program):
        if field.is_point:
            out += encode_point(multiply(GENERATOR, rng.randrange(1, 1 << 32)))
        else:
            out += encode_scalar(rng.choice((0, 1, P - 1, *(rng.randrange(P) for _ in range(9)))))
    return out


def proof_tamperings(program: VerifierProgram, proof: bytes) -> Iterator[tuple[str, bytes]]:
    """Every field replaced by another valid one, and by what is malformed; every wrong length."""

    def patched(field: Field, data: bytes) -> bytes:
        return proof[: field.at] + data + proof[field.at + field.size :]

    for field in fields(program):
        data = proof[field.at : field.at + field.size]
        words = [int.from_bytes(data[i : i + 32], "big") for i in range(0, field.size, 32)]
        if field.is_point:
            x, y = words
            yield f"{field.name} replaced", patched(field, encode_point(OTHER))
            yield f"{field.name} negated", patched(field, encode_point(negate((x, y))))
            bad = {
                "at infinity": (0, 0),
                "off the curve": (x, y ^ 1),
                "x + Q": (x + Q, y),
                "y + Q": (x, y + Q),
            }
            for label, (u, v) in bad.items():
                yield (
                    f"{field.name} {label}",
                    patched(field, u.to_bytes(32, "big") + v.to_bytes(32, "big")),
                )
        else:
            (scalar,) = words
            yield f"{field.name} + 1", patched(field, encode_scalar(scalar + 1))
            for large in (P, scalar + P, 2**256 - 1):
                yield f"{field.name} = {large}", patched(field, large.to_bytes(32, "big"))
    for length in (0, 1, 32, len(proof) - 64, len(proof) - 32, len(proof) - 1):
        yield f"cut to {length}", proof[:length]
    yield "a byte more", proof + b"\0"
    yield "a word more", proof + bytes(32)
    yield "the opening twice", proof + proof[-OPENING_BYTES:]


def statement_tamperings(
    program: VerifierProgram, good: Statement
) -> Iterator[tuple[str, Statement]]:
    """Another context, and every side changed in each cell and point, cut and lengthened."""
    yield "another context", replace(good, context=bytes(32))
    yield "an unknown model", replace(good, model_id=bytes(32))
    sides = {"input": program.input_tiles, "output": program.output_tiles}
    for side, tiles in sides.items():
        data: bytes = getattr(good, side)
        public = len(data) - 64 * tiles

        def changed(part: bytes, side: str = side) -> Statement:
            return replace(good, **{side: part})

        for at in range(public):
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
            yield f"{side} byte {at}", changed(flipped)
        for at in range(public, len(data), 64):
            x, y = (int.from_bytes(data[i : i + 32], "big") for i in (at, at + 32))
            points = [(*OTHER,), (x, Q - y), (0, 0), (x, y ^ 1), (x + Q, y), (x, y + Q)]
            for u, v in points:
                part = u.to_bytes(32, "big") + v.to_bytes(32, "big")
                yield f"{side} point at {at}", changed(data[:at] + part + data[at + 64 :])
        for part in (data[:-1], data + b"\0", data + bytes(64), b""):
            if len(part) != len(data):
                yield f"{side} of {len(part)} bytes", changed(part)


def verdict(deployment: Deployment, made: Setup, statement: Statement, proof: bytes) -> Verdict:
    """The error with which both verifiers refuse; fails unless they do, and with the same."""
    with pytest.raises(ProofError) as python:
        made.verify(proof, statement)
    with pytest.raises(Reverted) as solidity:
        deployment.verify(statement, proof)
    found = solidity.value.name, solidity.value.arguments
    assert found == (type(python.value).__name__, python.value.args)
    return found
