"""brownie run request --network anvil: asks the deployed oracle for an inference, and waits."""

from __future__ import annotations

import json
import os
import secrets
import time
from pathlib import Path

from brownie import accounts, chain, interface, web3

TIERS = {"proof": "ProofAssurance", "optimistic": "OptimisticAssurance"}
PROVISIONAL, FINAL = 3, 4  # contracts/types/Status.sol
UNANSWERABLE = b"\0"  # an answer on stake: there is none (IOptimisticAssurance)
FEE, SECONDS = 10**15, 600
ANVILS = "test test test test test test test test test test test junk"


def deployed(name):
    """A contract of deployments/<chain id>.json, or of the file that EINPROOF_DEPLOYMENT names."""
    folder = Path(__file__).resolve().parents[3] / "deployments"
    path = Path(os.environ.get("EINPROOF_DEPLOYMENT", folder / f"{chain.id}.json"))
    address = json.loads(path.read_text())["contracts"][name]["address"]
    return getattr(interface, name)(address)


def requester():
    """Anvil's last account, whose key is public; elsewhere load an account of your own."""
    return accounts.from_mnemonic(ANVILS, count=1, offset=9)


def terms(coverage_gwei=10**8, proving_seconds=60):
    """contracts/types/Terms.sol."""
    return (coverage_gwei | proving_seconds << 40).to_bytes(32, "big")


def ask(tier, model_id, data, sender, pin=None, value=FEE):
    """The request's fields and its id."""
    oracle, assurance = deployed("InferenceOracle"), deployed(TIERS[tier])
    request = (
        sender.address,
        sender.address,
        model_id,
        web3.keccak(hexstr=data),
        assurance.address,
        pin or assurance.pin(),
        bytes(32) if tier == "proof" else terms(),
        FEE,
        0,
        0,
        chain.time() + SECONDS,
        secrets.randbits(128),
    )
    sent = oracle.request(request, data, {"from": sender, "value": value})
    return request, sent.events["Requested"]["requestId"]


def wait(request_id, wanted, seconds=SECONDS):
    """The output, once the request stands as wanted."""
    oracle, until = deployed("InferenceOracle"), time.monotonic() + seconds
    while oracle.statusOf(request_id)[0] not in wanted:
        if time.monotonic() > until:
            raise TimeoutError(f"expected an answer within {seconds} s")
        time.sleep(0.2)
    contract = web3.eth.contract(address=oracle.address, abi=oracle.abi)
    found = contract.events.Answered().get_logs(
        argument_filters={"requestId": request_id}, from_block=0
    )
    return bytes(found[-1]["args"]["output"])


def logits(output):
    """Raises LookupError where the operator says that there are none."""
    if output == UNANSWERABLE:
        raise LookupError("the operator says that this input has no provable answer")
    return [int.from_bytes(output[i : i + 2], "big", signed=True) for i in range(0, len(output), 2)]


def main(tier="proof"):
    _, request_id = ask(
        tier, os.environ["EINPROOF_MODEL"], os.environ["EINPROOF_INPUT"], requester()
    )
    output = wait(request_id, (FINAL,) if tier == "proof" else (PROVISIONAL, FINAL))
    print(f"request {request_id}: {logits(output)}")
