"""Every field of a proof and of a statement, wrong in every way: refused, with the error due."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from prover.curve import encode_point, multiply, negate
from prover.errors import OpeningRejected
from prover.field import P, encode_scalar
from prover.proof import decode
from prover.srs import Srs
from prover.statement import Statement
from prover.verify import VerifyingKey
from tests.proving import Setup, setup
from tests.soundness.malice import Claim
from tests.soundness.small import every_kind, four_slices, refusal, target
from tests.tampering import Field, fields, proof_tamperings, statement_tamperings

MALFORMED = (
    ("at infinity", "PointAtInfinity"),
    ("off the curve", "PointNotOnCurve"),
    ("x + Q", "NonCanonicalCoordinate"),
    ("y + Q", "NonCanonicalCoordinate"),
    (" = ", "NonCanonicalScalar"),
    ("cut to", "WrongLength"),
    ("more", "WrongLength"),
    ("twice", "WrongLength"),
)


@cache
def honest() -> bytes:
    return target().prove()


def refused(proof: bytes, statement: Statement | None = None) -> str | None:
    return refusal(target().key, statement or target().statement, proof)


def part(field: Field) -> bytes:
    return honest()[field.at : field.at + field.size]


def test_the_honest_proof_is_accepted() -> None:
    assert refused(honest()) is None
    target().verify(honest())  # by the pairing too, as with one that is refused
    with pytest.raises(OpeningRejected):
        target().verify(honest()[:-64] + encode_point((1, 2)))
    assert decode(honest(), target().key.program).encode() == honest()


def test_every_field_changed_or_malformed() -> None:
    for label, proof in proof_tamperings(target().key.program, honest()):
        due = next((name for part, name in MALFORMED if part in label), "OpeningRejected")
        assert refused(proof) == due, label


def other_fields() -> Iterator[tuple[str, bytes]]:
    """Fields zeroed, negated, and exchanged with the next and with a field far away."""
    listed = fields(target().key.program)
    for kind in (True, False):
        same = [f for f in listed if f.is_point is kind]
        for i, field in enumerate(same):
            if not kind:
                yield f"{field.name} zeroed", bytes(32)
                scalar = int.from_bytes(part(field), "big")
                yield f"{field.name} negated", encode_scalar(-scalar)
                yield f"{field.name} doubled", encode_scalar(2 * scalar)
            for other in (same[(i + 1) % len(same)], same[(i + len(same) // 2) % len(same)]):
                yield f"{field.name} with {other.name}", part(other)


def test_every_field_zeroed_negated_or_taken_from_another() -> None:
    at = {f.name: f for f in fields(target().key.program)}
    for label, data in other_fields():
        field = at[next(n for n in (label.rsplit(" ", 1)[0], label.split(" with ")[0]) if n in at)]
        if data == part(field):
            continue
        proof = honest()[: field.at] + data + honest()[field.at + field.size :]
        assert refused(proof) == "OpeningRejected", label


def test_two_fields_exchanged() -> None:
    """Points of one stage for those of another, rounds out of order, the two sides of E."""
    listed = fields(target().key.program)
    named = {f.name: f for f in listed}
    pairs = [("e_x", "e_y"), ("Z1", "Z2"), ("f_0", "f_1"), ("H", "G"), ("M", "T"), ("E", "Z1")]
    pairs += [("sigma1", "sigma2"), ("opening h", "opening g"), ("opening W", "opening W'")]
    pairs += [("stage 1 tile 0", "stage 2 tile 0"), ("opening scalar 0", "opening scalar 1")]
    pairs += [(f"{r} round 0 c_0", f"{r} round 1 c_0") for r in ("main", "side", "tile")]
    for a, b in ((named[x], named[y]) for x, y in pairs):
        first, second = sorted((a, b), key=lambda f: f.at)
        proof = bytearray(honest())
        proof[first.at : first.at + first.size] = part(second)
        proof[second.at : second.at + second.size] = part(first)
        assert refused(bytes(proof)) == "OpeningRejected", (a.name, b.name)


def test_parts_of_two_honest_proofs_do_not_mix() -> None:
    """Both prove the same statement; every field of one put into the other is refused."""
    other = target().prove(entropy=b"another")
    assert refused(other) is None
    for field in fields(target().key.program):
        stop = field.at + field.size
        assert refused(honest()[: field.at] + other[field.at : stop] + honest()[stop:]), field.name
        if stop < len(other):
            assert refused(honest()[:stop] + other[stop:]), f"after {field.name}"


def test_signs_of_several_points_at_once() -> None:
    """What is homogeneous in the points alone must not survive -1."""
    proof = bytearray(honest())
    for field in (f for f in fields(target().key.program) if f.is_point):
        x, y = (int.from_bytes(part(field)[i : i + 32], "big") for i in (0, 32))
        proof[field.at : field.at + 64] = encode_point(negate((x, y)))
    assert refused(bytes(proof)) == "OpeningRejected"


# -- the statement ---------------------------------------------------------------------------------


def test_every_change_of_the_statement() -> None:
    due = {"UnknownModel", "WrongLength", "OpeningRejected"}
    due |= {"PointAtInfinity", "PointNotOnCurve", "NonCanonicalCoordinate"}
    seen = set()
    for label, statement in statement_tamperings(target().key.program, target().statement):
        error = refused(honest(), statement)
        assert error in due, label
        assert (error == "UnknownModel") == ("unknown model" in label)
        assert (error == "WrongLength") == (" of " in label), label
        seen.add(error)
    assert seen == due


def test_every_byte_of_the_context_counts() -> None:
    good = target().statement
    for i in range(0, 32, 5):
        context = bytearray(good.context)
        context[i] ^= 1 << i % 8
        assert refused(honest(), replace(good, context=bytes(context))) == "OpeningRejected"
    assert refused(honest(), replace(good, context=good.context[:-1])) == "WrongLength"


def test_sides_are_kept_apart() -> None:
    """A committed output is no committed input, though the points are good."""
    good = target().statement
    assert good.input[-64:] != good.output[-64:]
    swapped = replace(
        good,
        input=good.input[:-64] + good.output[-64:],
        output=good.output[:-64] + good.input[-64:],
    )
    assert refused(honest(), swapped) == "OpeningRejected"


def test_another_model_and_its_commitments() -> None:
    """The same program under other weights, and the same weights under other blinders."""
    case = every_kind()
    case.given["w"] = case.given["w"][::-1].copy()
    k = target().layout.k
    with four_slices():
        others = setup(case, k), setup(every_kind(), k, seed=1)
    for other in others:
        assert other.key.fixed_points != target().key.fixed_points
        assert refusal(other.key, other.statement, honest()) == "OpeningRejected"
        key = replace(target().key, fixed_points=other.key.fixed_points)
        assert refusal(key, target().statement, honest()) == "OpeningRejected"
        assert refusal(target().key, target().statement, other.prove()) == "OpeningRejected"
    points = target().key.fixed_points
    key = replace(target().key, fixed_points=(points[-1], *points[1:-1], points[0]))
    assert len(points) > 1 and refusal(key, target().statement, honest()) == "OpeningRejected"


def test_another_model_id_is_absorbed() -> None:
    """Two ids for one program and its points: a proof is about the id that it was made for."""
    key = replace(target().key, model_id=bytes(32))
    assert refused(honest(), replace(target().statement, model_id=bytes(32))) == "UnknownModel"
    statement = replace(target().statement, model_id=bytes(32))
    assert refusal(key, statement, honest()) == "OpeningRejected"


def other_srs(made: Setup) -> Srs:
    """Powers of 7: whoever chooses s forges anything, so an SRS is never the prover's choice."""
    from prover.curve import GENERATOR, GENERATOR_G2, multiply_g2

    k = made.layout.k
    points = made.kernels.generator_powers(7, (1 << k) + 1)
    s_g1 = multiply(GENERATOR, 7)
    assert s_g1 is not None
    return Srs(k, points, s_g1, multiply_g2(GENERATOR_G2, 7))


def test_another_srs() -> None:
    made = target()
    mine = other_srs(made)
    assert refused(honest(), replace(made.statement, srs_id=mine.id)) == "WrongSrs"
    theirs = replace(made.statement, srs_id=mine.id)
    forged = replace(made, srs=mine, statement=theirs)
    points = tuple(t.commit(made.kernels, mine, made.layout.k) for t in made.witness.fixed)
    claim = Claim.honest(forged)
    statement, proof = claim.prove()
    key = VerifyingKey(made.key.model_id, made.key.program, points, mine.id, mine.s_g2)
    from prover.verify import verify

    verify(key, statement, proof)  # under its own SRS it is a good proof
    assert refusal(made.key, statement, proof) == "WrongSrs"
    assert refusal(made.key, replace(statement, srs_id=made.srs.id), proof) == "OpeningRejected"
    key = replace(key, s_g2=made.srs.s_g2)  # the id alone is no SRS
    assert refusal(key, statement, proof) == "OpeningRejected"


def test_zero_cells_and_small_statements_are_no_exception() -> None:
    """All inputs zero: nothing is checked any less."""
    case = every_kind()
    case.given |= {"x": np.zeros(2, np.int64), "s": np.zeros((2, 2), np.int64)}
    made = setup(case, target().layout.k)
    proof = made.prove()
    assert refusal(made.key, made.statement, proof) is None
    last = int.from_bytes(made.statement.output[2:4], "big")
    output = made.statement.output[:2] + ((last + 1) % (1 << 16)).to_bytes(2, "big")
    output += made.statement.output[4:]
    statement = replace(made.statement, output=output)
    assert refusal(made.key, statement, proof) == "OpeningRejected"
    assert last < P
