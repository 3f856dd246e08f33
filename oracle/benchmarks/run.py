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

PROVED = {"zk": True, "soundness_bits": 100}  # of BN254; the statistical error is below 2^-200


class BenchmarkFailed(EinproofError):
    """A step of a benchmark failed."""


def prover_row(name: str, batch: int, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The row of `einproof bench prover`; seconds are medians of `runs` warm runs."""
    from oracle.zoo.entry import STEPS

    if name in STEPS:
        return step_row(name, batch, runs, say)
    named(name)  # or UnknownModelName, before the work
    with tempfile.TemporaryDirectory(prefix="einproof-bench-") as made:
        folder = Path(made)
        say(f"training and compiling {name}")
        child("oracle.benchmarks.models", name, str(batch), made)
        say(f"proving {name}, {runs} runs")
        measured = answer(child("oracle.benchmarks.proving", made, str(runs)))
        say("verifying on a chain")
        gas = verify_gas(folder)
    measured |= {"gas": gas, "gas_an_inference": round(gas / batch)}
    about = {"seq": named(name).length, "weights": named(name).weights}
    return row(name, batch, {**about, **PROVED, **measured})


def step_row(name: str, batch: int, runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The same of a model that goes step by step: a session's last step; `first_*`: its first. One
    inference is a step."""
    from oracle.benchmarks.stepping import FIRST, LAST

    if batch != 1:
        raise BenchmarkFailed(f"{name}: a step is one inference: expected a batch of 1")
    with tempfile.TemporaryDirectory(prefix="einproof-bench-") as made:
        folder = Path(made)
        say(f"compiling {name}")
        child("oracle.benchmarks.stepping", "build", name, made)
        say(f"proving {name}, {runs} texts")
        measured = answer(child("oracle.benchmarks.stepping", "prove", made, str(runs)))
        say("verifying on a chain")
        first, last = verify_gases(folder, FIRST, LAST)
    measured |= {"gas": last, "gas_an_inference": last, "first_gas": first}
    return row(name, batch, {"weights": "real", **PROVED, **measured})


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
        measured = answer(child("oracle.benchmarks.engine", made, name, str(runs), on))
    about = {"seq": named(name).length, "weights": named(name).weights}
    return row(name, batch, {**about, **measured})


def row(name: str, batch: int, measured: dict[str, Any]) -> dict[str, Any]:
    """What was measured, between what it is of and where it was."""
    return {
        "model": name,
        "batch": batch,
        "threads": threads(),
        **measured,
        "load_average": load_average(),
        "commit": commit(),
        "machine": machine(),
    }


def answer(printed: str) -> dict[str, Any]:
    """The JSON of a child's last line."""
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


def verify_gas(folder: Path) -> int:
    """gasUsed of a direct verify transaction: 21,000 and calldata included, EIP-7825 cap on."""
    return verify_gases(folder, "claim.json")[0]


def verify_gases(folder: Path, *claims: str) -> list[int]:
    """The same of several claims about FOLDER/model, in the order of their files."""
    with registered(folder) as (desk, _):
        found = [Claim.from_json((folder / name).read_text()) for name in claims]
        return [desk.verify_gas(claim) for claim in found]


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
