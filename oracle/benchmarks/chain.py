"""Gas of a verification by part, from Anvil's own trace of the transaction; and of what is paid
once: deployment, registration."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from oracle.benchmarks.run import child, commit, load_average, machine, registered

TRANSACTION, ZERO_BYTE, OTHER_BYTE = 21_000, 4, 16  # EIP-2028
PRECOMPILES = {5: "modexp", 6: "ecAdd", 7: "ecMul", 8: "ecPairing"}


def chain_row(name: str, batch: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Parts of one verification that add up to `gas`; a part in a contract is without what it
    calls, a precompile without the call itself."""
    with tempfile.TemporaryDirectory(prefix="einproof-bench-") as made:
        folder = Path(made)
        say(f"training and compiling {name}")
        child("oracle.benchmarks.models", name, str(batch), made)
        say(f"proving {name}")
        measured = json.loads(child("oracle.benchmarks.proving", made, "1").splitlines()[-1])
        say("verifying on a chain")
        with registered(folder) as (desk, claim):
            once = paid_once(desk)
            statement = (claim.model_id, claim.context, claim.input, claim.output, claim.proof)
            receipt = desk.contract("TensorVerifier").verify.transact(
                *statement, sender=desk.account
            )
            trace = desk.web3.provider.make_request(
                "debug_traceTransaction", [receipt.txn_hash, {"tracer": "callTracer"}]
            )["result"]
            names = {desk.address(n).lower(): n for n in desk.contracts}
    return {
        "model": name,
        "batch": batch,
        "kernel_tier": measured["kernel_tier"],
        "k": measured["k"],
        "proof_bytes": measured["proof_bytes"],
        "gas": int(receipt.gas_used),
        "parts": parts(trace, names),
        "once": once,
        "load_average": load_average(),
        "commit": commit(),
        "machine": machine(),
    }


def parts(trace: dict[str, Any], names: dict[str, str]) -> dict[str, int]:
    """gasUsed by contract and precompile; the transaction's fixed cost and calldata apart."""
    data = bytes.fromhex(trace["input"].removeprefix("0x"))
    zeros = data.count(0)
    calldata = ZERO_BYTE * zeros + OTHER_BYTE * (len(data) - zeros)
    found = {"transaction": TRANSACTION, "calldata": calldata}
    for number, (callee, gas) in enumerate(_own(trace)):
        address = int(callee, 16)
        part = PRECOMPILES.get(address) or names.get(callee.lower(), callee)
        if number == 0:
            gas -= TRANSACTION + calldata
        found[part] = found.get(part, 0) + gas
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _own(call: dict[str, Any]) -> Iterator[tuple[str, int]]:
    """Every call of a trace, outermost first, with its gas less that of the calls in it."""
    inner = call.get("calls", [])
    yield call["to"], int(call["gasUsed"], 16) - sum(int(c["gasUsed"], 16) for c in inner)
    for c in inner:
        yield from _own(c)


def paid_once(desk: Any) -> dict[str, int]:
    """gasUsed of each contract's deployment and of registering one model."""
    eth, names = desk.web3.eth, {desk.address(n): n for n in desk.contracts}
    found = {"register a model": 0}
    for number in range(1, eth.block_number + 1):
        for sent in eth.get_block(number)["transactions"]:
            receipt = eth.get_transaction_receipt(sent)
            if receipt["to"] is None:
                found[f"deploy {names[receipt['contractAddress']]}"] = int(receipt["gasUsed"])
            elif names.get(receipt["to"]) == "ModelRegistry":
                found["register a model"] += int(receipt["gasUsed"])
    return found
