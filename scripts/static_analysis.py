"""Slither over the contracts (`make slither`): a finding without an answer is a failure.

solc gives the syntax trees only, which takes seconds; Slither reads them as a framework's build.
The answers are in contracts/slither.json, a list of {"check", "where", "reason"}: `where` lists the
functions, variables or contracts that Slither names for which that reason serves. A name that
answers nothing is a failure too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from oracle.toolchain import ROOT, activate

SOLC = ROOT / "scripts/solc/solc-v0.8.37"
BUILD = ROOT / ".build/slither"
SLITHER = ROOT / ".build/slither-venv/bin/slither"
ANSWERS = ROOT / "contracts/slither.json"
#: What is looked at: from "Low" on; "Informational" and "Optimization" are style.
IMPACTS = ("High", "Medium", "Low")


def build() -> None:
    """All contracts' syntax trees, as forge's build-info has them."""
    paths = sorted((ROOT / "contracts").rglob("*.sol"))
    sources = {str(path.relative_to(ROOT)): {"content": path.read_text()} for path in paths}
    job = {
        "language": "Solidity",
        "sources": sources,
        "settings": {
            "evmVersion": "osaka",
            "remappings": ["@openzeppelin/contracts/=node_modules/@openzeppelin/contracts/"],
            "viaIR": True,
            "outputSelection": {"*": {"": ["ast"], "*": ["abi", "devdoc", "userdoc"]}},
        },
    }
    ran = subprocess.run(
        [SOLC, "--standard-json"], input=json.dumps(job), capture_output=True, text=True, check=True
    )
    output = json.loads(ran.stdout)
    errors = [e["formattedMessage"] for e in output.get("errors", ()) if e["severity"] == "error"]
    if errors:
        sys.exit("\n".join(errors))
    code = {"object": "", "sourceMap": "", "linkReferences": {}, "opcodes": ""}
    for contracts in output["contracts"].values():
        for contract in contracts.values():
            contract["evm"] = {"bytecode": code, "deployedBytecode": code, "methodIdentifiers": {}}
    info = BUILD / "out/build-info"
    info.mkdir(parents=True, exist_ok=True)
    version = {"solcVersion": "0.8.37", "solcLongVersion": "0.8.37"}
    (info / "all.json").write_text(
        json.dumps({"id": "all", **version, "input": job, "output": output})
    )


def findings() -> Iterator[dict[str, Any]]:
    report = BUILD / "report.json"
    report.unlink(missing_ok=True)
    command = [SLITHER, ".", "--ignore-compile", "--foundry-out-directory", BUILD / "out"]
    command += ["--json", report, "--exclude-informational", "--exclude-optimization"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ)
    if not report.exists():
        sys.exit(f"expected a report of Slither, got: {ran.stderr[-2000:]}")
    found = json.loads(report.read_text())
    if not found["success"]:
        sys.exit(f"expected a report of Slither, got: {found['error']}")
    for one in found["results"].get("detectors", ()):
        if one["impact"] in IMPACTS:
            yield {"check": one["check"], "where": place(one), "impact": one["impact"]}


def place(finding: dict[str, Any]) -> str:
    """Contract.function, or the contract, that a finding is about."""
    first = finding["elements"][0]
    parent = first.get("type_specific_fields", {}).get("parent", {})
    inside = parent.get("type_specific_fields", {}).get("parent", {})
    if first["type"] == "node":
        return f"{inside.get('name', '')}.{parent.get('name', '')}"
    return f"{parent.get('name', '')}.{first['name']}" if parent else str(first["name"])


def main() -> int:
    build()
    found = {(one["check"], one["where"]): one["impact"] for one in findings()}
    answers = {
        (one["check"], where) for one in json.loads(ANSWERS.read_text()) for where in one["where"]
    }
    for check, where in sorted(found.keys() - answers):
        print(f"not answered: {found[check, where]:7} {check} in {where}")
    for check, where in sorted(answers - found.keys()):
        print(f"answers nothing: {check} in {where}")
    print(f"{len(found)} findings, {len(answers)} answers")
    return int(found.keys() != answers)


if __name__ == "__main__":
    activate()
    sys.exit(main())
