"""The fund arithmetic for all amounts, `make halmos`: bench/results/halmos.json.

Halmos runs what tests/symbolic asserts over all inputs at once: it follows every path that a call
can take, and asks a solver whether any input on it breaks an assertion. A path that it could not
decide, or a loop that it did not follow to its end, is a failure here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from typing import Any

from oracle.benchmarks import here
from oracle.benchmarks.results import RESULTS
from oracle.toolchain import ROOT, activate

BUILD = ROOT / ".build/halmos"
HALMOS = ROOT / ".build/halmos-venv/bin/halmos"
SOURCES = "tests/symbolic"
#: Seconds for one question to the solver; divisions take it long.
PATIENCE = 300


def prove(contracts: str) -> dict[str, list[dict[str, Any]]]:
    """Runs Halmos; test contract -> its checks, as Halmos reports them."""
    environment = {
        **os.environ,
        "FOUNDRY_SRC": SOURCES,
        "FOUNDRY_TEST": SOURCES,
        "FOUNDRY_SCRIPT": str(BUILD / "none"),
        "FOUNDRY_OUT": str(BUILD / "out"),
        "FOUNDRY_CACHE_PATH": str(BUILD / "cache"),
    }
    report = BUILD / "report.json"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [HALMOS, "--root", ".", "--forge-build-out", ".build/halmos/out"]
    command += ["--match-contract", contracts, "--json-output", report]
    command += ["--solver-timeout-assertion", f"{PATIENCE}s"]
    subprocess.run([str(part) for part in command], cwd=ROOT, env=environment)
    if not report.exists():
        sys.exit("expected a report of Halmos, got none")
    found: dict[str, list[dict[str, Any]]] = json.loads(report.read_text())["test_results"]
    return {place.split(":")[1]: checks for place, checks in found.items()}


def row(check: dict[str, Any]) -> dict[str, Any]:
    """One check: whether it holds on all paths, how many those are, seconds."""
    paths, seconds = check["num_paths"] or (0,), check["time"] or (0,)
    whole = check["exitcode"] == 0 and check["num_bounded_loops"] == 0
    return {"holds": whole, "paths": paths[0], "seconds": round(seconds[0], 1)}


def main(contracts: str) -> None:
    commit, started = here.commit(), time.monotonic()
    found = {
        name: {check["name"]: row(check) for check in checks}
        for name, checks in sorted(prove(contracts).items())
    }
    result = {
        "checks": sum(len(checks) for checks in found.values()),
        "seconds": round(time.monotonic() - started),
        "commit": commit,
        "machine": here.machine(),
        "contracts": found,
    }
    broken = [
        f"{contract}.{name}"
        for contract, checks in found.items()
        for name, check in checks.items()
        if not check["holds"]
    ]
    if broken or not found:
        sys.exit(f"expected every check to hold, not so: {', '.join(broken) or 'there is none'}")
    if contracts == ".*":
        (RESULTS / "halmos.json").write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    activate()
    main(sys.argv[1] if len(sys.argv) > 1 else ".*")
