"""One row of a benchmark: build, prove, verify on a chain of its own; and what it ran on."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from oracle.benchmarks.here import commit, load_average, machine, threads
from oracle.benchmarks.models import named
from oracle.story.anvil import anvil
from oracle.story.desk import Desk
from oracle.toolchain import ROOT
from prover.api import Claim
from prover.errors import EinproofError

SOUNDNESS_BITS = 100  # BN254; the statistical error is below 2^-200


class BenchmarkFailed(EinproofError):
    """A step of a benchmark failed."""


def prover_row(
    name: str, batch: int, runs: int, say: Callable[[str], None], gas: bool = True
) -> dict[str, Any]:
    """The row of `einproof bench prover`; seconds are medians of `runs` warm runs."""
    weights = named(name).weights
    with tempfile.TemporaryDirectory(prefix="einproof-bench-") as made:
        folder = Path(made)
        say(f"training and compiling {name}")
        child("oracle.benchmarks.models", name, str(batch), made)
        say(f"proving {name}, {runs} runs")
        measured = json.loads(child("oracle.benchmarks.proving", made, str(runs)).splitlines()[-1])
        if gas:
            say("verifying on a chain")
            measured["gas"] = verify_gas(folder)
            measured["gas_an_inference"] = round(measured["gas"] / batch)
    return {
        "model": name,
        "batch": batch,
        "seq": named(name).length,
        "threads": threads(),
        "weights": weights,
        "zk": True,
        "soundness_bits": SOUNDNESS_BITS,
        **measured,
        "load_average": load_average(),
        "commit": commit(),
        "machine": machine(),
    }


def engine_row(
    name: str, batch: int, runs: int, on: str, say: Callable[[str], None]
) -> dict[str, Any]:
    """The row of `einproof bench engine`: seconds of one batch, integers beside floats. Raises
    DeviceMissing, before anything is compiled."""
    from oracle.adapters.torch_engine import device

    device(on)
    with tempfile.TemporaryDirectory(prefix="einproof-bench-") as made:
        say(f"training and compiling {name}")
        child("oracle.benchmarks.models", name, str(batch), made)
        say(f"running {name}, {runs} times each")
        ran = child("oracle.benchmarks.engine", made, name, str(runs), on)
    return {
        "model": name,
        "batch": batch,
        "seq": named(name).length,
        "threads": threads(),
        "weights": named(name).weights,
        **json.loads(ran.splitlines()[-1]),
        "load_average": load_average(),
        "commit": commit(),
        "machine": machine(),
    }


def verify_gas(folder: Path) -> int:
    """gasUsed of a direct verify transaction: 21,000 and calldata included, EIP-7825 cap on."""
    with registered(folder) as (desk, claim):
        return desk.verify_gas(claim)


@contextmanager
def registered(folder: Path) -> Iterator[tuple[Desk, Claim]]:
    """All contracts on a chain of one's own, FOLDER/model registered, and FOLDER/claim.json."""
    from prover import kernels
    from prover.model import Model
    from prover.srs import development_srs

    model = Model.load(folder / "model")
    claim = Claim.from_json((folder / "claim.json").read_text())
    with anvil(folder / "anvil.log") as url:
        srs = development_srs(kernels.get(), model.layout.k)
        with Desk.deployed(url, srs, folder) as desk:
            desk.command("register", folder / "model")
            yield desk, claim


def child(module: str, *arguments: str) -> str:
    """Standard output of one of this package's programs. Raises BenchmarkFailed."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *arguments], cwd=ROOT, capture_output=True, text=True
    )
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or ["no message"]
        raise BenchmarkFailed(f"{module} {' '.join(arguments[:2])}: {last[0]}")
    return ran.stdout
