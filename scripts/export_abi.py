"""The contracts' ABIs for the examples: `python -m scripts.export_abi` writes them anew."""

from __future__ import annotations

import json
from typing import Any

from oracle.toolchain import ROOT, activate

FOLDER = ROOT / "examples/brownie/interfaces"
SOURCES = {
    "InferenceOracle": "contracts/oracle/InferenceOracle.sol",
    "ProofAssurance": "contracts/assurance/ProofAssurance.sol",
    "OptimisticAssurance": "contracts/assurance/OptimisticAssurance.sol",
    "TensorVerifier": "contracts/verifier/TensorVerifier.sol",
}


def abis() -> dict[str, list[dict[str, Any]]]:
    """Functions and events of the contracts that the examples call."""
    from tests.evm import artifact

    kinds = ("function", "event")
    return {
        name: [entry for entry in artifact(source).abi if entry["type"] in kinds]
        for name, source in SOURCES.items()
    }


if __name__ == "__main__":
    activate()
    for name, abi in abis().items():
        (FOLDER / f"{name}.json").write_text(json.dumps(abi, indent=1) + "\n")
