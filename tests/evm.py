"""A chain for tests: solc behind a cache, one Anvil, and reverts that have names.

    with Chain.start() as chain:
        oracle = chain.deploy("contracts/oracle/InferenceOracle.sol")
        receipt = chain.send(oracle.functions.refund(request), gas=200_000)
        with reverts("WrongStatus", request_id, 4):
            chain.call(oracle.functions.refund(request))

A compilation is cached in .build/evm under the hash of the file, all that it imports, and the
settings, which are those of foundry.toml.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import eth_abi
from eth_abi.exceptions import DecodingError
from eth_hash.auto import keccak
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.exceptions import ContractLogicError

from oracle.story.anvil import PRUNED

ROOT = Path(__file__).resolve().parent.parent
SOLC = ROOT / "scripts/solc/solc-v0.8.37"
ANVIL = ROOT / "node_modules/.bin/anvil"
CACHE = ROOT / ".build/evm"
REMAPPINGS = {"@openzeppelin/contracts/": "node_modules/@openzeppelin/contracts/"}
SETTINGS: dict[str, Any] = {
    "evmVersion": "osaka",
    "viaIR": True,
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "metadata": {"bytecodeHash": "none"},
    "remappings": [f"{name}={path}" for name, path in REMAPPINGS.items()],
}
IMPORT = re.compile(r'\bimport\b[^;"\']*["\']([^"\']+)["\']')

GAS = 16_000_000  # below EIP-7825's cap of 2^24
GAS_PRICE = 10**9
PANIC = "Panic(uint256)"
REASON = "Error(string)"


class CompileError(Exception):
    """solc refused; the message is its own."""


class Reverted(Exception):
    """A call reverted. name and arguments are the custom error's; name is "" if it gave none."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.name, self.arguments = _decode_error(data)
        super().__init__(f"{self.name or 'no reason'}{self.arguments}")


# --- compiling ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Artifact:
    """One compiled contract; `file` is relative to the project, the rest is solc's."""

    file: str
    name: str
    abi: list[dict[str, Any]]
    creation: bytes
    runtime: bytes


@cache
def artifact(file: str, name: str = "") -> Artifact:
    """The contract `name` of a file (by default the one that the file is named after)."""
    name = name or Path(file).stem
    raw = _compiled(file)[name]
    found = Artifact(
        file, name, raw["abi"], bytes.fromhex(raw["creation"]), bytes.fromhex(raw["runtime"])
    )
    for entry in found.abi:
        if entry["type"] == "error":
            types = [_type(item) for item in entry["inputs"]]
            signature = f"{entry['name']}({','.join(types)})"
            _errors[keccak(signature.encode())[:4]] = (entry["name"], types)
    return found


def _compiled(file: str) -> dict[str, Any]:
    sources = _closure(file)
    key = hashlib.sha256(json.dumps([sources, SETTINGS, SOLC.name]).encode()).hexdigest()
    path = CACHE / f"{Path(file).stem}-{key[:24]}.json"
    if not path.exists():
        contracts = _solc(file, sources)
        CACHE.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(contracts))
        partial.replace(path)
    contracts = json.loads(path.read_text())
    assert isinstance(contracts, dict)
    return contracts


def _closure(file: str) -> dict[str, str]:
    """The file and all that it imports, by the names under which solc asks for them."""
    sources: dict[str, str] = {}
    pending = [file]
    while pending:
        name = pending.pop()
        if name in sources:
            continue
        sources[name] = (ROOT / name).read_text()
        for target in IMPORT.findall(sources[name]):
            local = os.path.normpath(Path(name).parent / target)
            pending.append(local if target.startswith(".") else _remap(target))
    return dict(sorted(sources.items()))


def _remap(name: str) -> str:
    for prefix, target in REMAPPINGS.items():
        if name.startswith(prefix):
            return target + name.removeprefix(prefix)
    return name


def _solc(file: str, sources: dict[str, str]) -> dict[str, Any]:
    wanted = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]
    job = {
        "language": "Solidity",
        "sources": {name: {"content": text} for name, text in sources.items()},
        "settings": {**SETTINGS, "outputSelection": {file: {"*": wanted}}},
    }
    done = subprocess.run(
        [str(SOLC), "--standard-json"], input=json.dumps(job), text=True, capture_output=True
    )
    if done.returncode:
        raise CompileError(done.stderr.strip())
    answer = json.loads(done.stdout)
    errors = [e["formattedMessage"] for e in answer.get("errors", ()) if e["severity"] == "error"]
    if errors:
        raise CompileError("\n".join(errors))
    return {
        name: {
            "abi": raw["abi"],
            "creation": raw["evm"]["bytecode"]["object"],
            "runtime": raw["evm"]["deployedBytecode"]["object"],
        }
        for name, raw in answer["contracts"].get(file, {}).items()
    }


# --- reverts --------------------------------------------------------------------------------------

_errors: dict[bytes, tuple[str, list[str]]] = {
    keccak(PANIC.encode())[:4]: ("Panic", ["uint256"]),
    keccak(REASON.encode())[:4]: ("Error", ["string"]),
}


def _type(entry: dict[str, Any]) -> str:
    kind: str = entry["type"]
    if not kind.startswith("tuple"):
        return kind
    inner = ",".join(_type(item) for item in entry["components"])
    return f"({inner}){kind.removeprefix('tuple')}"


def _decode_error(data: bytes) -> tuple[str, tuple[Any, ...]]:
    if len(data) < 4:
        return "", ()
    name, types = _errors.get(data[:4], (f"unknown error 0x{data[:4].hex()}", []))
    try:
        return name, tuple(eth_abi.decode(types, data[4:]))
    except DecodingError:
        return name, (data[4:],)


@contextmanager
def reverts(name: str, *arguments: Any) -> Iterator[None]:
    """Expects Reverted with this error, its first arguments being these."""
    try:
        yield
    except Reverted as error:
        assert error.name == name, f"expected {name}, got {error}"
        wanted = tuple(item.lower() if isinstance(item, str) else item for item in arguments)
        got = error.arguments[: len(wanted)]
        assert got == wanted, f"expected {name}{wanted}, got {error}"
    else:
        raise AssertionError(f"expected {name}{arguments}, but nothing reverted")


# --- the chain ------------------------------------------------------------------------------------


class Chain:
    """An Anvil process of our own, on a free port, and its unlocked accounts."""

    def __init__(self, process: subprocess.Popen[bytes], web3: Web3, url: str) -> None:
        self.process = process
        self.web3 = web3
        self.url = url
        self.accounts = list(web3.eth.accounts)

    @classmethod
    def start(cls, *options: str, hardfork: str = "osaka") -> Self:
        """Starts Anvil on a free port with the 2^24 gas cap a transaction (EIP-7825) on."""
        command = [str(ANVIL), "--port", "0", "--hardfork", hardfork, "--enable-tx-gas-limit"]
        command += ["--block-base-fee-per-gas", "0", *PRUNED, *options]
        # A file: Anvil logs every call, and would wait for ever on a full pipe.
        log = tempfile.TemporaryFile("w+")  # noqa: SIM115
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        while process.poll() is None:
            log.seek(0)
            if found := re.search(r"Listening on (\S+)", log.read()):
                url = f"http://{found[1]}"
                return cls(process, Web3(HTTPProvider(url)), url)
            time.sleep(0.01)
        log.seek(0)
        raise RuntimeError(f"anvil ended with code {process.returncode}: {log.read()}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def http(self) -> Web3:
        """Another connection, as a service would make it."""
        return Web3(HTTPProvider(self.url))

    def deploy(self, file: str, *arguments: Any, name: str = "", value: int = 0) -> Contract:
        """Compiles and deploys the contract that a file is named after, or the one named."""
        return self.deploy_artifact(artifact(file, name), *arguments, value=value)

    def deploy_artifact(self, made: Artifact, *arguments: Any, value: int = 0) -> Contract:
        factory = self.web3.eth.contract(abi=made.abi, bytecode=made.creation)
        receipt = self.send(factory.constructor(*arguments), value=value)
        return self.at(made, receipt["contractAddress"])

    def at(self, made: Artifact, address: str) -> Contract:
        return self.web3.eth.contract(address=Web3.to_checksum_address(address), abi=made.abi)

    def send(
        self,
        function: Any,
        *,
        sender: str = "",
        value: int = 0,
        gas: int = GAS,
    ) -> Any:
        """Sends and mines a transaction; its receipt. Raises Reverted."""
        fields = {
            "from": sender or self.accounts[0],
            "value": value,
            "gas": gas,
            "gasPrice": GAS_PRICE,
        }
        return self._receipt(function.transact(fields))

    def pay(self, to: str, value: int, *, data: bytes = b"", sender: str = "") -> Any:
        """A plain transaction, without an ABI."""
        fields = {"from": sender or self.accounts[0], "to": to, "value": value, "data": data}
        return self._receipt(
            self.web3.eth.send_transaction({**fields, "gas": GAS, "gasPrice": GAS_PRICE})
        )

    def _receipt(self, digest: Any) -> Any:
        receipt = self.web3.eth.wait_for_transaction_receipt(digest, poll_latency=0.001)
        if receipt["status"] == 0:
            trace = self.web3.provider.make_request(
                "debug_traceTransaction", [Web3.to_hex(digest), {"tracer": "callTracer"}]
            )["result"]
            raise Reverted(bytes.fromhex(trace.get("output", "0x")[2:]))
        return receipt

    def call(self, function: Any, *, sender: str = "", value: int = 0, gas: int = GAS) -> Any:
        """Calls without a transaction; what it returns. Raises Reverted."""
        try:
            return function.call({"from": sender or self.accounts[0], "value": value, "gas": gas})
        except ContractLogicError as error:
            data = error.data if isinstance(error.data, str) else "0x"
            raise Reverted(bytes.fromhex(data.removeprefix("0x"))) from error

    def balance(self, account: str) -> int:
        return self.web3.eth.get_balance(Web3.to_checksum_address(account))

    def now(self) -> int:
        """Timestamp of the latest block, in seconds."""
        return int(self.web3.eth.get_block("latest")["timestamp"])

    def next_timestamp(self, timestamp: int) -> None:
        """Sets the time of the block to come."""
        self.rpc("evm_setNextBlockTimestamp", timestamp)

    def set_balance(self, account: str, value: int) -> None:
        """Wei out of nowhere: what a forced transfer looks like from inside a contract."""
        self.rpc("anvil_setBalance", account, hex(value))

    def snapshot(self) -> Any:
        return self.rpc("evm_snapshot")

    def restore(self, snapshot: Any) -> None:
        self.rpc("evm_revert", snapshot)

    def rpc(self, method: str, *arguments: Any) -> Any:
        answer = self.web3.provider.make_request(method, list(arguments))  # type: ignore[arg-type]
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]
