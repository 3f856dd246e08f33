"""Every relation and every hint of every gadget, on a chain: what breaks one of them alone is
refused by both verifiers, with one error."""

from __future__ import annotations

from dataclasses import replace

import pytest

from prover.program.ir import Role
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.proving import Setup, srs_of
from tests.soundness.lies import EINSUMS, LOOKUPS, RELATIONS, breaking_one
from tests.soundness.malice import Claim
from tests.soundness.small import K, every_kind, four_slices, refusal

pytestmark = [pytest.mark.chain, pytest.mark.slow]
Ready = tuple[Deployment, Setup]


@pytest.fixture(scope="module")
def ready(anvil: Chain) -> Ready:
    deployment = Deployment.make(anvil, srs_of(None, 12))
    with four_slices():
        made = deployment.setup(every_kind(), K)
    return deployment, made


def refused_by_both(ready: Ready, claim: Claim) -> None:
    deployment, made = ready
    statement, proof = replace(claim, made=made).prove()
    assert refusal(made.key, statement, proof) == "OpeningRejected"
    with pytest.raises(Reverted) as solidity:
        deployment.verify(statement, proof)
    assert solidity.value.name == "OpeningRejected"


def test_the_honest_claim_is_accepted_by_both(ready: Ready) -> None:
    deployment, made = ready
    statement, proof = Claim.honest(made).prove()
    assert refusal(made.key, statement, proof) is None
    deployment.verify(statement, proof)


def test_each_relation_that_alone_is_broken(ready: Ready) -> None:
    claims = breaking_one()
    assert len(claims) == EINSUMS + LOOKUPS
    for claim in claims.values():
        refused_by_both(ready, claim)


def test_each_output_and_hint_that_is_another(ready: Ready) -> None:
    for tensor in RELATIONS.tensors:
        if tensor.role == Role.ACTIVATION:
            at = (0,) * len(tensor.shape)
            refused_by_both(ready, Claim.honest(ready[1]).change(tensor.name, at, 1))
