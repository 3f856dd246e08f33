"""Our prover and EZKL on the same network with the same weights, in one run, taking turns.

Private input, private weights, public output, on both sides. What a proof costs includes reading
keys and reference string from files, on both sides; ours is also timed with the session kept, as a
service has it. EZKL first tries every setting of bench/peers/ezkl/settings.json for the model and
goes on with the fastest one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from oracle.benchmarks.run import (
    child,
    commit,
    load_average,
    machine,
    threads,
    verify_gas,
)
from oracle.benchmarks.solidity import verifier_gas
from oracle.benchmarks.steps import PeerFailed, last_line, run, worker
from oracle.toolchain import ROOT

HERE = ROOT / "bench" / "peers" / "ezkl"
VENV = ROOT / ".build" / "ezkl-venv"
SRS = ROOT / ".build" / "ezkl-srs"
TUNING_RUNS, LONG = 3, 30  # proofs with each candidate; one is enough if it takes so many seconds
STEP_SECONDS = 1800
MEMORY_SHARE = 0.9  # of what is available: the machine has other work

Say = Callable[[str], None]


def peer_row(name: str, runs: int, say: Say, step_seconds: int = STEP_SECONDS) -> dict[str, Any]:
    """One row: ours, theirs, and theirs over ours. Where EZKL cannot finish a step within
    `step_seconds` or the memory that is free, `theirs` says so and has no figures."""
    python, before = environment(say), load_average()
    with tempfile.TemporaryDirectory(prefix="einproof-peers-") as made:
        folder = Path(made)
        say(f"training and compiling {name}")
        child("oracle.benchmarks.models", name, "1", made, "private")
        ours_setup = json.loads(child("oracle.benchmarks.worker", made, "setup").splitlines()[-1])
        try:
            theirs = prepare(python, folder, name, say, step_seconds)
        except PeerFailed as error:
            theirs = {"skipped": str(error)}
        ours, their_runs = take_turns(python, folder, theirs, runs, say, step_seconds)
        say("verifying on a chain")
        ours |= ours_setup | {"gas": verify_gas(folder)}
        if "skipped" in their_runs:
            theirs = their_runs
        else:
            place = Path(theirs.pop("folder"))
            run([*_theirs(python, place)[:-1], "contract"], step_seconds)
            theirs |= their_runs | on_chain(place)
    return {
        "model": name,
        "batch": 1,
        "peer": "ezkl 23.0.5",
        "runs": runs,
        "input": "private",
        "weights": "private",
        "output": "public",
        "threads": threads(),
        "ours": ours,
        "theirs": theirs,
        "theirs_over_ours": ratios(ours, theirs),
        "load_average": [before, load_average()],
        "commit": commit(),
        "machine": machine(),
    }


def on_chain(place: Path) -> dict[str, Any]:
    """Gas of EZKL's verifier; the reason, where it takes no place or proof on a chain."""
    try:
        return verifier_gas(place)
    except PeerFailed as error:
        return {"not_on_chain": str(error)}


def ratios(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, float]:
    """Above 1: theirs takes more. `warm_prove_s` compares our kept session with EZKL's call, which
    has no such thing."""
    if "skipped" in theirs:
        return {}
    names = ("setup_s", "prove_s", "prove_cpu_s", "verify_s", "proof_bytes", "gas", "peak_rss_mb")
    found = {name: theirs[name] / ours[name] for name in names if name in theirs}
    return found | {"warm_prove_s": theirs["prove_s"] / ours["warm_prove_s"]}


def environment(say: Say) -> Path:
    """EZKL's Python, its environment made if it is not there or of other pins."""
    python, wanted = VENV / "bin" / "python", HERE / "requirements.txt"
    stamp = VENV / "installed.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        say("installing EZKL into an environment of its own")
        pip = [python, "-m", "pip", "install", "--quiet", "--no-deps", "-r", wanted]
        for command in ([sys.executable, "-m", "venv", VENV], pip):
            ran = subprocess.run(command, capture_output=True, text=True)
            if ran.returncode:
                raise PeerFailed(f"EZKL cannot be installed: {last_line(ran.stderr)}")
        stamp.write_text(wanted.read_text())
    SRS.mkdir(parents=True, exist_ok=True)
    return python


def prepare(python: Path, folder: Path, name: str, say: Say, step_seconds: int) -> dict[str, Any]:
    """Keys of every setting, a few proofs with each; the fastest, its keys left in `folder`."""
    candidates = json.loads((HERE / "settings.json").read_text())[name]
    tried: list[dict[str, Any]] = []
    for number, settings in enumerate(candidates):
        say(f"EZKL's keys, setting {number + 1} of {len(candidates)}")
        place = folder / f"ezkl-{number}"
        place.mkdir()
        for file in ("float.npz", "input.npy"):
            (place / file).symlink_to(folder / file)
        found = {"settings": settings, "folder": str(place)}
        try:
            found |= _setup(python, place, settings, step_seconds)
        except PeerFailed as error:
            found["failed"] = str(error)
        tried.append(found)
    if len(tried) > 1:
        say("EZKL's settings in turn")
        tune(python, [found for found in tried if "failed" not in found], step_seconds)
    working = [found for found in tried if "failed" not in found]
    if not working:
        raise PeerFailed(tried[0]["failed"])
    best = min(working, key=lambda found: found.get("tuning_prove_s", 0.0))
    kept = ("settings", "tuning_prove_s", "setup_s", "logrows", "logit_error", "failed")
    return best | {"tried": [{n: t[n] for n in kept if n in t} for t in tried]}


def tune(python: Path, candidates: list[dict[str, Any]], step_seconds: int) -> None:
    """Proves with each candidate in turn, several times, and notes its shortest time."""
    with ExitStack() as stack:
        asked = []
        for found in candidates:
            command = _theirs(python, Path(found["folder"]))
            asked.append((found, stack.enter_context(worker(command, step_seconds))))
        for found, ask in asked * TUNING_RUNS:
            known = found.get("tuning_prove_s", 0.0)
            if known < LONG:
                seconds = ask("prove")["prove_s"]
                found["tuning_prove_s"] = min(seconds, known or seconds)


def take_turns(
    python: Path, folder: Path, theirs: dict[str, Any], runs: int, say: Say, step_seconds: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Medians of `runs` turns after one that is not counted; who begins alternates. Where EZKL
    fails, ours goes on alone and EZKL's has only the reason."""
    ours_command = [sys.executable, "-m", "oracle.benchmarks.worker", str(folder), "prove"]
    samples: list[list[dict[str, Any]]] = [[], []]
    failed = theirs if "skipped" in theirs else {}
    with ExitStack() as stack:
        asked = [stack.enter_context(worker(ours_command, step_seconds))]
        if not failed:
            command = _theirs(python, Path(theirs["folder"]))
            asked.append(stack.enter_context(worker(command, step_seconds)))
        for turn in range(runs + 1):
            say(f"turn {turn} of {runs}")
            sides = list(enumerate(asked))
            for side, ask in sides if turn % 2 else sides[::-1]:
                try:
                    sample = {**ask("prove"), **ask("verify")}
                except PeerFailed as error:
                    if side == 0:
                        raise
                    failed = {"skipped": str(error)}
                    asked.pop()
                    continue
                if turn:
                    samples[side].append(sample)
    return summary(samples[0]), failed or summary(samples[1])


def summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Medians of what is timed, the largest peak, what is the same in every sample as it is."""
    if not samples:
        return {}
    made: dict[str, Any] = {}
    for name, value in samples[0].items():
        column = [sample[name] for sample in samples]
        made[name] = median(column) if name.endswith("_s") else value
        if name == "peak_rss_mb":
            made[name] = max(column)
    return made | {"prove_runs_s": [sample["prove_s"] for sample in samples]}


def _theirs(python: Path, folder: Path) -> list[str]:
    return [str(python), str(HERE / "worker.py"), str(folder), "prove"]


def _setup(python: Path, folder: Path, settings: dict[str, Any], seconds: int) -> dict[str, Any]:
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES") + _cached()
    given = {
        **settings, "batch": 1, "srs": str(SRS), "memory_bytes": int(available * MEMORY_SHARE),
    }  # fmt: skip
    command = [*_theirs(python, folder)[:-1], "setup", json.dumps(given)]
    return dict(json.loads(run(command, seconds)))


def _cached() -> int:
    """Bytes of the page cache, which gives way."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("Cached:"):
            return int(line.split()[1]) * 1024
    return 0
