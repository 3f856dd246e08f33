"""Committed inputs and outputs on a chain: what a session proves, TensorVerifier.sol accepts; what
is said of other points, both verifiers refuse alike."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prover.api import Claim, Session, check
from prover.curve import POINT_BYTES
from prover.errors import ProofError
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.private import CONTEXT, K, random_input, session, verified
from tests.proving import srs_of

pytestmark = pytest.mark.chain
SIDES = [(True, False), (False, True), (True, True)]


@pytest.fixture(scope="module")
def deployment(anvil: Chain) -> Deployment:
    return Deployment.make(anvil, srs_of(None, K))


@pytest.fixture(scope="module", params=SIDES, ids=["input", "output", "both"])
def own(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Session:
    hidden_input, hidden_output = request.param
    return session(
        tmp_path_factory.mktemp("srs"),
        (21, 5, 3),
        3,
        private_input=hidden_input,
        private_output=hidden_output,
    )


def proved(own: Session, deployment: Deployment) -> Claim:
    model = own.model
    data = (model.program_bytes, model.points, model.srs_id, model.aux_hash)
    assert deployment.register(*data) == model.id
    statement, openings = own.open_input(random_input(own))
    return verified(own, statement, own.prove(CONTEXT, statement, openings))


def refusals(own: Session, deployment: Deployment, claim: Claim) -> tuple[str, str]:
    """The errors of Python and of Solidity."""
    with pytest.raises(ProofError) as python:
        check(own.model, claim)
    with pytest.raises(Reverted) as solidity:
        deployment.verify(claim.statement, claim.proof)
    return type(python.value).__name__, solidity.value.name


def test_solidity_accepts_what_a_session_proves(own: Session, deployment: Deployment) -> None:
    claim = proved(own, deployment)
    deployment.verify(claim.statement, claim.proof)
    assert deployment.gas(claim.statement, claim.proof) < 900_000


def test_both_refuse_other_points(own: Session, deployment: Deployment) -> None:
    """Another opening's points, a coordinate off the curve or beyond the field, infinity."""
    claim, v = proved(own, deployment), own.model.layout.verifier
    tried = 0
    for side, tiles in (("input", v.input_tiles), ("output", v.output_tiles)):
        if not tiles:
            continue
        tried += 1
        data = getattr(claim, side)
        public = data[: -POINT_BYTES * tiles]
        points = own.commit(random_input(own)).points(own.kernels, own.srs)
        foreign = public + b"".join(
            n.to_bytes(32, "big") for point in points[:1] * tiles for n in point
        )
        x, y = data[len(public) : len(public) + 32], data[len(public) + 32 : len(public) + 64]
        rest = data[len(public) + 64 :]
        for changed, name in (
            (foreign, "OpeningRejected"),
            (public + y + x + rest, "PointNotOnCurve"),
            (public + b"\xff" * 32 + y + rest, "NonCanonicalCoordinate"),
            (public + bytes(64) + rest, "PointAtInfinity"),
            (data + bytes(64), "WrongLength"),
        ):
            refused = replace(claim, **{side: changed})
            assert refusals(own, deployment, refused) == (name, name)
    assert tried
