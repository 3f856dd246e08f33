"""Every field of a proof and of its statement made wrong: both verifiers refuse, with one error."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from prover import pairing
from prover.curve import add, multiply
from tests.evm import Chain
from tests.onchain import Deployment
from tests.openings import secret
from tests.programs import Case, mlp, random_case
from tests.proving import srs_of
from tests.tampering import proof_tamperings, statement_tamperings, verdict

pytestmark = [pytest.mark.chain, pytest.mark.slow]


def committed() -> Case:
    """A random case with committed tensors on both sides."""
    for seed in range(100):
        case = random_case(seed)
        roles = {t.role.name for t in case.program.tensors}
        if {"INPUT_COMMITTED", "OUTPUT_COMMITTED", "INPUT", "OUTPUT"} <= roles:
            return case
    raise AssertionError("expected one in a hundred random cases to have every role")


CASES = {"mlp": lambda: mlp([3, 2, 2], limb=4), "committed": committed}


@pytest.fixture(autouse=True)
def fast_pairing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The one pairing check of an opening, e(L, [1]) = e(W', [s]), by the development secret: plain
    integers take half a second for a pairing. Solidity does the real one."""

    def product_is_one(pairs: list[tuple[pairing.Point, pairing.PointG2]]) -> bool:
        (left, _), (right, _) = pairs
        return add(left, multiply(right, secret())) is None

    monkeypatch.setattr(pairing, "product_is_one", product_is_one)
    yield


@pytest.fixture(scope="module")
def deployment(anvil: Chain) -> Deployment:
    return Deployment.make(anvil, srs_of(None, 12))


@pytest.mark.parametrize("name", CASES)
def test_tampered_proofs(deployment: Deployment, name: str) -> None:
    made = deployment.setup(CASES[name]())
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
    seen: Counter[str] = Counter()
    for label, data in proof_tamperings(made.key.program, proof):
        found, _ = verdict(deployment, made, made.statement, data)
        algebraic = label.endswith((" replaced", " negated", " + 1"))
        assert (found == "OpeningRejected") == algebraic, label
        seen[found] += 1
    assert set(seen) == {
        "OpeningRejected",
        "NonCanonicalScalar",
        "NonCanonicalCoordinate",
        "PointNotOnCurve",
        "PointAtInfinity",
        "WrongLength",
    }


@pytest.mark.parametrize("name", CASES)
def test_tampered_statements(deployment: Deployment, name: str) -> None:
    made = deployment.setup(CASES[name]())
    proof = made.prove()
    seen = Counter(
        verdict(deployment, made, statement, proof)[0]
        for _, statement in statement_tamperings(made.key.program, made.statement)
    )
    expected = {"OpeningRejected", "UnknownModel", "WrongLength"}
    if name == "committed":
        expected |= {"NonCanonicalCoordinate", "PointNotOnCurve", "PointAtInfinity"}
    assert set(seen) == expected
