"""The opening between its own halves: every size, every tier, short tiles, its transcript."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from prover import kernels
from prover.commitment import commit
from prover.curve import check_point
from prover.errors import OpeningRejected, UnsupportedSize, WrongLength
from prover.field import P
from prover.kernels.interface import Kernels
from prover.opening import PROOF_BYTES, eq_polynomial, prove_opening, split, verify_opening
from prover.srs import development_srs
from prover.transcript import Transcript
from tests.openings import (
    STATE,
    VECTORS,
    Statement,
    evaluate,
    frozen,
    honest,
    random_cells,
    reference_srs,
)

REFERENCE = kernels.get("reference")


@pytest.fixture(scope="module", params=kernels.available())
def tier(request: pytest.FixtureRequest) -> Kernels:
    return kernels.get(request.param)


@pytest.mark.parametrize("k", range(2, 9))
def test_a_true_value_is_accepted_and_another_is_not(k: int) -> None:
    statement = honest(k)
    srs = reference_srs(8)
    assert len(statement.proof) == PROOF_BYTES == 640
    statement.verify(srs)
    with pytest.raises(OpeningRejected):
        statement._replace(value=(statement.value + 1) % P).verify(srs)


@pytest.mark.parametrize("k", [2, 3, 6, 7, 11])
def test_the_tiers_make_the_same_bytes(tier: Kernels, k: int) -> None:
    if tier.name == "reference" and k > 8:
        pytest.skip("end to end on the reference tier only at k <= 8")
    statement = honest(k, tier)
    if k <= 8:
        assert statement == honest(k)
    else:
        statement.verify(development_srs(tier, k))


def test_the_wire_format_is_frozen() -> None:
    cases = json.loads(VECTORS.read_text())
    assert cases == frozen()
    for case in cases:
        x, y = (int(coordinate) for coordinate in case["commitment"])
        point = [int(coordinate) for coordinate in case["point"]]
        proof, state = bytes.fromhex(case["proof"]), bytes.fromhex(case["state"])
        Statement((x, y), point, int(case["value"]), proof, state).verify(reference_srs(8))


@pytest.mark.parametrize("length", [0, 1, 3, 15])
def test_a_short_tile_is_one_with_zeros(length: int) -> None:
    srs = reference_srs(4)
    cells, blinder, point = random_cells(4)
    short = REFERENCE.from_ints(cells[:length])
    full = REFERENCE.from_ints(cells[:length] + [0] * (16 - length))
    proofs = [
        prove_opening(REFERENCE, srs, each, blinder, point, Transcript(STATE))
        for each in (short, full)
    ]
    assert proofs[0] == proofs[1]
    commitment = check_point(commit(REFERENCE, srs, short, blinder, 4))
    value = evaluate(cells[:length] + [0] * (16 - length), point)
    Statement(commitment, point, value, proofs[0]).verify(srs)


def test_points_of_the_cube_give_the_cells() -> None:
    srs = reference_srs(3)
    cells, blinder, _ = random_cells(3)
    vector = REFERENCE.from_ints(cells)
    commitment = check_point(commit(REFERENCE, srs, vector, blinder, 3))
    for index in (0, 1, 6, 7):
        point = [index >> 2 & 1, index >> 1 & 1, index & 1]  # the first coordinate is the top bit
        proof = prove_opening(REFERENCE, srs, vector, blinder, point, Transcript(STATE))
        Statement(commitment, point, cells[index], proof).verify(srs)


def test_a_sum_of_commitments_opens_to_the_sum_of_values() -> None:
    srs = reference_srs(4)
    (first, rho, point), (second, sigma, _) = random_cells(4, 1), random_cells(4, 2)
    weight = 1 << 100
    cells = [(a + weight * b) % P for a, b in zip(first, second, strict=True)]
    blinder = (rho + weight * sigma) % P
    vector = REFERENCE.from_ints(cells)
    commitment = check_point(commit(REFERENCE, srs, vector, blinder, 4))
    value = (evaluate(first, point) + weight * evaluate(second, point)) % P
    proof = prove_opening(REFERENCE, srs, vector, blinder, point, Transcript(STATE))
    Statement(commitment, point, value, proof).verify(srs)


def test_prover_and_verifier_hash_the_same_in_the_same_order() -> None:
    srs = reference_srs(4)
    cells, blinder, point = random_cells(4)
    vector = REFERENCE.from_ints(cells)
    logs: list[list[tuple[str, str]]] = [[], []]
    prover, verifier = (Transcript(STATE, log) for log in logs)
    proof = prove_opening(REFERENCE, srs, vector, blinder, point, prover)
    commitment = commit(REFERENCE, srs, vector, blinder, 4)
    verify_opening(srs.s_g2, commitment, point, evaluate(cells, point), proof, verifier)
    assert prover.state == verifier.state
    assert (
        logs[0]
        == logs[1]
        == [
            ("absorb", "opening/h"),
            ("challenge", "opening/alpha"),
            ("absorb", "opening/q"),
            ("absorb", "opening/g"),
            ("challenge", "opening/gamma"),
            ("absorb", "opening/s"),
            ("absorb", "opening/d"),
            ("challenge", "opening/z"),
            ("absorb", "opening/evaluations"),
            ("challenge", "opening/delta"),
            ("absorb", "opening/w"),
            ("challenge", "opening/zeta"),
            ("challenge", "opening/omega"),
        ]
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_the_eq_polynomial_is_its_coefficients(length: int) -> None:
    rng = random.Random(length)
    u, x = [rng.randrange(P) for _ in range(length)], rng.randrange(P)
    table = REFERENCE.eq_table(u)
    assert eq_polynomial(u, x) == REFERENCE.evaluate(table, x)


def test_the_halves_of_a_point() -> None:
    assert [split(k) for k in (2, 3, 4, 27, 28)] == [(1, 1), (1, 2), (2, 2), (13, 14), (14, 14)]


def test_the_prover_refuses_what_does_not_fit() -> None:
    srs = reference_srs(4)
    cells = REFERENCE.from_ints([1] * 17)
    for k in (0, 1, 5):
        with pytest.raises(UnsupportedSize):
            prove_opening(REFERENCE, srs, cells[:1], 0, [2] * k, Transcript())
    with pytest.raises(WrongLength):
        prove_opening(REFERENCE, srs, cells, 0, [2] * 4, Transcript())


def test_the_verifying_half_needs_no_numpy() -> None:
    heavy = ("numpy", "numba", "torch", "prover.kernels", "prover.srs")
    program = f"import prover.opening, sys; print([n for n in {heavy} if n in sys.modules])"
    clean = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert clean.stdout.strip() == "[]"
