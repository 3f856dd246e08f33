"""Gas and code sizes of verification: tests/snapshots/gas.json.

Proofs are made with fixed entropy, so that the figures are exact. Where a change is meant, run with
EINPROOF_SNAPSHOTS=write.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests import digits
from tests.evm import Chain, artifact
from tests.onchain import Deployment
from tests.programs import Case, mlp
from tests.proving import srs_of

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "gas.json"
CONTRACTS = {
    "TensorVerifier": "contracts/verifier/TensorVerifier.sol",
    "MercuryVerifier": "contracts/verifier/MercuryVerifier.sol",
    "ModelRegistry": "contracts/oracle/ModelRegistry.sol",
}
BUDGET = 600_000  # for the digits network: the whole transaction

pytestmark = pytest.mark.chain


def digits_case() -> Case:
    """The digits network on the first held-out image."""
    model = digits.compiled()
    image = digits.held_out().images[:1]
    return Case(model.program, {**model.weights, "input": model.quantizer.quantize(image)})


def compare(part: str, found: dict[str, int]) -> None:
    """Fails unless the snapshot has this."""
    known = json.loads(SNAPSHOT.read_text()) if SNAPSHOT.exists() else {}
    if os.environ.get("EINPROOF_SNAPSHOTS") == "write":
        SNAPSHOT.write_text(json.dumps(known | {part: found}, indent=2, sort_keys=True) + "\n")
    else:
        assert found == known.get(part), "meant? then run with EINPROOF_SNAPSHOTS=write"


def test_gas_of_a_verification(anvil: Chain) -> None:
    """gasUsed of a transaction to TensorVerifier.verify."""
    deployment = Deployment.make(anvil, srs_of(None, 12))
    found = {}
    cases = {"digits 64-32-10": digits_case(), "mlp 6-5-3": mlp([6, 5, 3])}
    for name, case in cases.items():
        made = deployment.setup(case)
        proof = made.prove()
        found[name] = deployment.gas(made.statement, proof)
        found[f"{name}, proof bytes"] = len(proof)
    compare("verify", found)
    assert found["digits 64-32-10"] <= BUDGET


def test_runtime_code_fits(anvil: Chain) -> None:
    found = {name: len(artifact(file).runtime) for name, file in CONTRACTS.items()}
    compare("runtime code bytes", found)
    assert max(found.values()) < 24_576
