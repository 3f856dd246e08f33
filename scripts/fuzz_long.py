"""The long fuzzing of the contracts, `make invariants-long`: bench/results/invariants.json.

forge calls the handlers of tests/invariants at random, and checks every invariant after every tenth
call and at each run's end (foundry.toml). All invariants of one test contract are checked in one
campaign, so its calls are counted once.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from typing import Any

from oracle.benchmarks import here
from oracle.benchmarks.results import RESULTS
from oracle.toolchain import ROOT, activate, tool

LEAST_CALLS = 1_000_000
BUILD = ROOT / ".build/forge-long"  # its own: a run of an hour keeps nobody else's compiler waiting


def fuzz(seed: str) -> dict[str, Any]:
    """Runs forge under the profile `long`; test contract -> its tests, as forge reports them."""
    environment = {
        **os.environ,
        "FOUNDRY_PROFILE": "long",
        "FOUNDRY_SRC": "tests/invariants",
        "FOUNDRY_OUT": str(BUILD / "out"),
        "FOUNDRY_CACHE_PATH": str(BUILD / "cache"),
    }
    command = [tool("forge"), "test", "--json", "--fuzz-seed", seed]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    try:
        return dict(json.loads(ran.stdout))
    except json.JSONDecodeError:
        said = ran.stderr.strip() or ran.stdout[-2000:]
        sys.exit(f"expected forge's report, got exit code {ran.returncode}: {said}")


def campaign(tests: dict[str, Any]) -> dict[str, Any]:
    """Calls and reverts of one test contract's campaign, and which of its tests failed."""
    runs = [test["kind"]["Invariant"] for test in tests.values() if "Invariant" in test["kind"]]
    return {
        "invariants": len(runs),
        "calls": max((run["calls"] for run in runs), default=0),
        "reverts": max((run["reverts"] for run in runs), default=0),
        "failed": {
            name: test["reason"] for name, test in tests.items() if test["status"] != "Success"
        },
    }


def main(seed: str) -> None:
    commit, started = here.commit(), time.monotonic()
    found = {name.split(":")[1]: campaign(s["test_results"]) for name, s in fuzz(seed).items()}
    row = {
        "seed": seed,
        "calls": sum(one["calls"] for one in found.values()),
        "reverts": sum(one["reverts"] for one in found.values()),
        "seconds": round(time.monotonic() - started),
        "load_average": round(here.load_average(), 1),
        "commit": commit,
        "machine": here.machine(),
        "contracts": dict(sorted(found.items())),
    }
    print(json.dumps(row, indent=2))
    if any(one["failed"] for one in found.values()):
        sys.exit("an invariant is broken: run forge test with this seed")
    if row["calls"] < LEAST_CALLS:
        sys.exit(f"expected at least {LEAST_CALLS} calls, got {row['calls']}")
    (RESULTS / "invariants.json").write_text(json.dumps([row], indent=2) + "\n")


if __name__ == "__main__":
    activate()
    main(sys.argv[1] if len(sys.argv) > 1 else "0x" + secrets.token_hex(8))
