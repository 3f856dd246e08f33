"""Contracts that Ape cannot compile: it works in a copy of the project's contracts, where what they
import from node_modules is missing (ape-config.yaml). solc does, by foundry.toml's settings."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from os.path import normpath
from pathlib import PurePosixPath
from typing import Any

from ape.contracts import ContractContainer
from ethpm_types import ContractType

from oracle.toolchain import ROOT
from prover.errors import EinproofError

IMPORT = re.compile(r'\bimport\b[^;"\']*["\']([^"\']+)["\']')


class CompileError(EinproofError):
    """solc refused; the message is its own."""


def standalone(file: str) -> ContractContainer:
    """The contract that a file is named after, ready to deploy; `file` is relative to the project.
    Raises CompileError."""
    config = tomllib.loads((ROOT / "foundry.toml").read_text())["profile"]["default"]
    name = PurePosixPath(file).stem
    job = {
        "language": "Solidity",
        "sources": closure(file, dict(line.split("=") for line in config["remappings"])),
        "settings": {
            "evmVersion": config["evm_version"],
            "viaIR": config["via_ir"],
            "optimizer": {"enabled": config["optimizer"], "runs": config["optimizer_runs"]},
            "metadata": {"bytecodeHash": config["bytecode_hash"]},
            "remappings": config["remappings"],
            "outputSelection": {file: {name: ["abi", "evm.bytecode.object"]}},
        },
    }
    command = [str(ROOT / config["solc"]), "--standard-json"]
    ran = subprocess.run(command, input=json.dumps(job), text=True, capture_output=True)
    if ran.returncode:
        raise CompileError(f"solc failed on {file}: {ran.stderr.strip()}")
    found = json.loads(ran.stdout)
    errors = [e["formattedMessage"] for e in found.get("errors", ()) if e["severity"] == "error"]
    if errors:
        raise CompileError("\n".join(errors))
    raw: dict[str, Any] = found["contracts"][file][name]
    code = {"bytecode": "0x" + raw["evm"]["bytecode"]["object"]}
    made = {"contractName": name, "abi": raw["abi"], "deploymentBytecode": code}
    return ContractContainer(ContractType.model_validate(made))


def closure(file: str, remappings: dict[str, str]) -> dict[str, dict[str, str]]:
    """A file and all that it imports, as solc's input has them."""
    found: dict[str, dict[str, str]] = {}
    left = [file]
    while left:
        name = left.pop()
        if name in found:
            continue
        text = (ROOT / name).read_text()
        found[name] = {"content": text}
        for path in IMPORT.findall(text):
            near = path.startswith(".")
            left.append(_beside(name, path) if near else _mapped(path, remappings))
    return found


def _beside(name: str, path: str) -> str:
    return normpath(PurePosixPath(name).parent / path)


def _mapped(path: str, remappings: dict[str, str]) -> str:
    for prefix, target in remappings.items():
        if path.startswith(prefix):
            return target + path.removeprefix(prefix)
    return path
