"""Asks an einproof oracle for an inference, with web3.py and nothing else of this project:

    python examples/web3_request.py --tier proof --model 0x... --input 0x...

It deploys nothing. Node, contracts and key come from EINPROOF_RPC, EINPROOF_DEPLOYMENT (what
`einproof deploy` wrote) and EINPROOF_PRIVATE_KEY; without a key an account that the node holds
pays. It waits for the answer, and prints the output with what that rests on, as far as the chain
itself can tell.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import sys
import time
from pathlib import Path
from typing import Any

from eth_abi.abi import encode
from web3 import HTTPProvider, Web3

ABIS = Path(__file__).parent / "brownie/interfaces"
TIERS = {"proof": "ProofAssurance", "optimistic": "OptimisticAssurance"}
PROVISIONAL, FINAL, RETRACTED, REFUNDED = 3, 4, 5, 6  # contracts/types/Status.sol
ZERO = bytes(32)
UNANSWERABLE = b"\0"  # an answer on stake: there is none (IOptimisticAssurance)


def main() -> None:
    options = arguments()
    web3 = Web3(HTTPProvider(os.environ.get("EINPROOF_RPC", "http://127.0.0.1:8545")))
    addresses = json.loads(Path(os.environ["EINPROOF_DEPLOYMENT"]).read_text())["contracts"]

    def contract(name: str, address: str = "") -> Any:
        abi = json.loads((ABIS / f"{name}.json").read_text())
        return web3.eth.contract(address=address or addresses[name]["address"], abi=abi)

    oracle, tier = contract("InferenceOracle"), contract(TIERS[options.tier])
    # coverage in gwei | seconds of proving << 40: contracts/types/Terms.sol
    terms = (round(options.coverage * 10**9) | options.proving << 40).to_bytes(32, "big")
    sender = account(web3)
    request = (
        sender,  # requester
        sender,  # refundTo
        bytes.fromhex(options.model[2:]),
        Web3.keccak(hexstr=options.input),
        tier.address,
        tier.functions.pin().call(),
        ZERO if options.tier == "proof" else terms,
        options.fee,
        0,  # callbackGasPrice: an account is not called back
        0,  # callbackGas
        web3.eth.get_block("latest")["timestamp"] + options.seconds,
        secrets.randbits(128),
    )
    sent = send(web3, oracle.functions.request(request, options.input), sender, options.fee)
    request_id = oracle.functions.idOf(request).call()
    print(f"request    0x{request_id.hex()}, in block {sent['blockNumber']}")

    wanted = (FINAL,) if options.final or options.tier == "proof" else (PROVISIONAL, FINAL)
    until = time.monotonic() + options.seconds
    while (status := oracle.functions.statusOf(request_id).call()[0]) not in wanted:
        if status in (RETRACTED, REFUNDED):
            sys.exit("there is no answer, and the payment went back")
        if status != PROVISIONAL and time.monotonic() > until:
            sys.exit(
                "nobody answered in time: send `refund` to the oracle once the deadline is over"
            )
        time.sleep(0.5)
    filters = {"argument_filters": {"requestId": request_id}, "from_block": sent["blockNumber"]}
    answered = oracle.events.Answered().get_logs(**filters)[-1]["args"]
    lines = trust(web3, contract, tier, answered, request)
    print(f"output     {shown(bytes(answered['output']))}\n")
    for line in lines:
        print(line)


def shown(output: bytes) -> str:
    """The model's integers; or that there are none."""
    if output == UNANSWERABLE:
        return "none: the operator says that this input has no provable answer"
    cells = range(0, len(output), 2)
    return str([int.from_bytes(output[at : at + 2], "big", signed=True) for at in cells])


def trust(web3: Web3, contract: Any, tier: Any, answered: Any, request: Any) -> list[str]:
    """What the answer rests on. The request's pin is recomputed from the code that is there, under
    whichever tier."""
    verifier = contract("TensorVerifier", tier.functions.verifier().call())
    srs_id = verifier.functions.srsId().call()
    code = Web3.keccak(web3.eth.get_code(verifier.address))
    words = encode(["address", "bytes32", "bytes32"], [verifier.address, code, srs_id])
    if Web3.keccak(words) != request[5]:
        sys.exit("the tier's pin is not of the verifier's code and SRS: do not trust it")
    final = answered["status"] == FINAL
    lines = [
        f"payee      {answered['payee']}",
        f"standing   {'final' if final else 'provisional: it may yet be withdrawn or replaced'}",
        f"verifier   {verifier.address}, code 0x{code.hex()}",
    ]
    if request[6] == ZERO:
        lines.append("proved     the registered program, run in integers on this input, gives this")
    else:
        compensation, reward, burn = tier.functions.split(request[6]).call()
        window, prove = tier.functions.clocks(request[6]).call()
        lines += [
            f"staked     {compensation + reward + burn} gwei, of which you get {compensation} if a "
            "proof shows another output, or none comes in a dispute",
            f"window     {window} s to dispute in, then {prove} s to prove in",
            "not proved the output, unless somebody disputes it",
        ]
    if verifier.functions.srsDevelopment().call():
        lines.append("warning    development SRS: anyone can forge proofs under it")
    return [*lines, "beside     whether the model is any good, and whether the input is true"]


def account(web3: Web3) -> str:
    """The account that pays: the key's, else the last one that the node itself holds."""
    if key := os.environ.get("EINPROOF_PRIVATE_KEY"):
        return str(web3.eth.account.from_key(key).address)
    return str(web3.eth.accounts[-1])


def send(web3: Web3, function: Any, sender: str, value: int) -> Any:
    """Signs here if there is a key; the receipt."""
    if key := os.environ.get("EINPROOF_PRIVATE_KEY"):
        nonce = web3.eth.get_transaction_count(Web3.to_checksum_address(sender))
        made = function.build_transaction({"from": sender, "value": value, "nonce": nonce})
        signed = web3.eth.account.sign_transaction(made, key)
        digest = web3.eth.send_raw_transaction(signed.raw_transaction)
    else:
        digest = function.transact({"from": sender, "value": value})
    receipt = web3.eth.wait_for_transaction_receipt(digest)
    if receipt["status"] != 1:
        sys.exit(f"the request was refused: transaction 0x{digest.hex()}")
    return receipt


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    known = os.environ.get
    parser.add_argument("--tier", choices=list(TIERS), default="proof")
    parser.add_argument("--model", default=known("EINPROOF_MODEL"), help="a registered id, 0x...")
    parser.add_argument("--input", default=known("EINPROOF_INPUT"), help="statement bytes, 0x...")
    parser.add_argument("--fee", type=int, default=10**15, help="wei")
    parser.add_argument("--seconds", type=int, default=600, help="time to answer in")
    parser.add_argument("--coverage", type=float, default=0.1, help="ether, optimistic")
    parser.add_argument("--proving", type=int, default=60, help="seconds a proof takes, optimistic")
    parser.add_argument("--final", action="store_true", help="wait until it is final")
    options = parser.parse_args()
    if not options.model or not options.input:
        parser.error("name a model and an input")
    return options


if __name__ == "__main__":
    main()
