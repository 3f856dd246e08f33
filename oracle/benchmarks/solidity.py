"""A contract that another prover wrote, on the same kind of chain as ours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oracle.benchmarks.steps import PeerFailed, run
from oracle.story.anvil import anvil
from oracle.toolchain import SOLC

MOST_BYTES = 24_576  # of a contract (EIP-170)
DEPLOY_GAS = VERIFY_GAS = 16_000_000  # below EIP-7825's 2^24
STEP_SECONDS = 300


def verifier_gas(folder: Path) -> dict[str, Any]:
    """Gas of a whole transaction to FOLDER/verifier.sol, compiled for speed, with
    FOLDER/calldata.bin; and what the contract itself takes."""
    source = {
        "language": "Solidity",
        "sources": {"verifier.sol": {"content": (folder / "verifier.sol").read_text()}},
        "settings": {
            "optimizer": {"enabled": True, "runs": 1_000_000},
            "evmVersion": "cancun",
            "outputSelection": {"*": {"*": ["evm.bytecode.object", "evm.deployedBytecode.object"]}},
        },
    }
    compiled = json.loads(run([str(SOLC), "--standard-json"], STEP_SECONDS, json.dumps(source)))
    errors = [e["message"] for e in compiled.get("errors", []) if e["severity"] == "error"]
    if errors:
        raise PeerFailed(f"EZKL's contract does not compile: {errors[0]}")
    (contract,) = compiled["contracts"]["verifier.sol"].values()
    creation = contract["evm"]["bytecode"]["object"]
    size = len(contract["evm"]["deployedBytecode"]["object"]) // 2
    if size > MOST_BYTES:
        raise PeerFailed(f"EZKL's verifier has {size:,} bytes, a chain takes {MOST_BYTES:,}")
    with anvil(folder / "anvil.log") as url:
        deployed, gas = deploy_and_call(url, creation, (folder / "calldata.bin").read_bytes())
    return {
        "gas": gas,
        "deployment_gas": deployed,
        "contract_bytes": size,
    }


def deploy_and_call(url: str, creation: str, data: bytes) -> tuple[int, int]:
    """gasUsed of the deployment and of a call that must return true."""
    from web3 import HTTPProvider, Web3

    node = Web3(HTTPProvider(url))
    sender = node.eth.accounts[0]

    def send(transaction: dict[str, Any]) -> Any:
        sent = node.eth.send_transaction({"from": sender, **transaction})  # type: ignore[arg-type]
        receipt = node.eth.wait_for_transaction_receipt(sent)
        if receipt["status"] != 1:
            raise PeerFailed("expected EZKL's verifier to accept the proof, it reverted")
        return receipt

    created = send({"data": "0x" + creation, "gas": DEPLOY_GAS})
    call = {"to": created["contractAddress"], "data": "0x" + data.hex(), "gas": VERIFY_GAS}
    answer = node.eth.call({"from": sender, **call})  # type: ignore[arg-type]
    if int.from_bytes(answer, "big") != 1:
        raise PeerFailed(f"expected EZKL's verifier to return true, got 0x{answer.hex()}")
    return int(created["gasUsed"]), int(send(call)["gasUsed"])
