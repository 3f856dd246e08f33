"""einproof doctor: what this machine lacks, and how to mend it."""

import ctypes
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer

from oracle.toolchain import ROOT, SOLC
from prover.errors import EinproofError

OK, NOTE, MISSING = "ok", "note", "missing"
SETUP = "run: make setup"
ANVIL_PORT = 8545
DRIVER = "libcuda.so.1"
GIB = 1 << 30
PROBE = {
    "language": "Solidity",
    "sources": {"Probe.sol": {"content": "pragma solidity ^0.8.24; contract Probe {}"}},
    "settings": {"viaIR": True, "outputSelection": {"*": {"*": ["evm.bytecode.object"]}}},
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; `mend` says what to do when its state is not ok."""

    name: str
    state: str
    found: str
    mend: str = ""


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Say what is missing on this machine and how to mend it (exit code 1 if anything is)."""
    findings = list(examine())
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        _show(findings)
    if any(finding.state == MISSING for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Every finding, in the order in which one would mend them."""
    checks: list[Callable[[], Finding]] = [
        check_python,
        check_packages,
        lambda: check_program("node", least=(20,)),
        lambda: check_program("anvil"),
        lambda: check_program("forge"),
        check_solc,
        check_cpu,
        check_kernels,
        check_device,
        check_memory,
        check_disk,
        check_folders,
        check_port,
        check_verifier,
    ]
    for check in checks:
        yield check()


def check_python() -> Finding:
    found = ".".join(map(str, sys.version_info[:3]))
    state = OK if sys.version_info[:2] == (3, 11) else MISSING
    return Finding("python", state, found, "install Python 3.11, then run: make clean setup")


def check_packages() -> Finding:
    """The installed packages against the lock files."""
    wrong = []
    pins = [
        line.split("==")
        for file in ("torch.txt", "lock.txt")
        for line in (ROOT / "requirements" / file).read_text().splitlines()
    ]
    for name, pinned in pins:
        try:
            installed = metadata.version(name).partition("+")[0]
        except metadata.PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if installed != pinned:
            wrong.append(f"{name} is {installed}, pinned {pinned}")
    if wrong:
        return Finding("packages", MISSING, "; ".join(wrong), f"rm -r .venv/.stamps, then {SETUP}")
    return Finding("packages", OK, f"{len(pins)} as pinned")


def check_program(name: str, least: tuple[int, ...] = ()) -> Finding:
    path = shutil.which(name)
    if path is None:
        return Finding(name, MISSING, "not found", SETUP)
    done = _run([path, "--version"])
    if done.returncode != 0:
        return Finding(name, MISSING, f"does not run: {_last_line(done.stderr)}", SETUP)
    found = done.stdout.splitlines()[0].removeprefix(f"{name} ").removeprefix("Version: ")
    if least and tuple(map(int, found.strip("v").split(".")))[: len(least)] < least:
        return Finding(name, MISSING, found, f"install {name} {least[0]} or later, or {SETUP}")
    return Finding(name, OK, found)


def check_solc() -> Finding:
    """Compiles an empty contract: the script runs only with node and the npm package solc."""
    try:
        done = _run([str(SOLC), "--standard-json"], json.dumps(PROBE))
        compiled = json.loads(done.stdout)["contracts"]["Probe.sol"]["Probe"]["evm"]["bytecode"]
    except (OSError, ValueError, KeyError) as error:
        return Finding("solc", MISSING, f"does not compile: {type(error).__name__}", SETUP)
    return Finding("solc", OK if compiled["object"] else MISSING, f"{SOLC.name} compiles", SETUP)


def check_cpu() -> Finding:
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    known = [
        name for name in ("avx2", "avx512f", "avx512ifma", "bmi2", "adx") if features.get(name)
    ]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("cpu", OK, f"{cores} cores, {binding.get_host_cpu_name()}, {' '.join(known)}")


def check_kernels() -> Finding:
    from prover import kernels

    try:
        name = kernels.get().name
    except EinproofError as error:
        return Finding("kernels", MISSING, str(error), f"unset EINPROOF_KERNELS, or {SETUP}")
    if name == "reference":
        slow = "reference (plain integers: a hundred times slower)"
        return Finding("kernels", NOTE, slow, "unset EINPROOF_KERNELS")
    return Finding("kernels", OK, name)


def check_device() -> Finding:
    """The GPU, which nothing needs: kernels run on it where EINPROOF_KERNELS=cuda asks for it."""
    from prover import kernels

    if not _loads(DRIVER):
        return Finding("gpu", OK, f"none for kernels: no driver, {DRIVER}")
    try:
        kernels.get("cuda")
    except EinproofError as error:
        return Finding("gpu", OK, f"none for kernels: {error}")
    from prover.kernels.cuda.kernel import device_name

    return Finding("gpu", OK, f"{device_name()}; used with EINPROOF_KERNELS=cuda")


def check_memory() -> Finding:
    have = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    state = OK if have >= 4 * GIB else NOTE
    return Finding("memory", state, f"{have / GIB:.0f} GiB", "4 GiB or more are advised")


def check_disk() -> Finding:
    free = shutil.disk_usage(ROOT).free
    state = OK if free >= GIB else MISSING
    return Finding("disk", state, f"{free / GIB:.0f} GiB free", "free 1 GiB or more")


def check_folders() -> Finding:
    """The folders that commands write to; one that is not there yet needs a writable parent."""
    folders = [ROOT / ".build", ROOT / "deployments", Path.home()]
    closed = [str(folder) for folder in folders if not os.access(_existing(folder), os.W_OK)]
    if closed:
        return Finding("folders", MISSING, f"not writable: {', '.join(closed)}", "chmod u+w them")
    return Finding("folders", OK, ".build, deployments and the home folder are writable")


def check_port() -> Finding:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        taken = probe.connect_ex(("127.0.0.1", ANVIL_PORT)) == 0
    if taken:
        advice = "stop what listens there, or name another port"
        return Finding("port", NOTE, f"{ANVIL_PORT} is in use", advice)
    return Finding("port", OK, f"{ANVIL_PORT} is free")


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def check_verifier() -> Finding:
    """Whether the deployed verifier was stopped; where no node answers, or nothing is deployed,
    there is nothing to look at."""
    import asyncio

    from oracle.adapters.deployment import PROOF
    from oracle.bootstrap import Site
    from oracle.settings import read_settings

    async def look() -> Finding:
        site = await Site.reach(read_settings(rpc_timeout=2))
        try:
            tier = await site.chain.tier(site.deployment.address(PROOF))
            if tier is None:
                state = "the Proof tier vouches with another verifier than the code that is there"
                return Finding("verifier", MISSING, state, "do not use this deployment")
            guard = await site.chain.guard(tier)
            stopped = await site.chain.stopped(tier, bytes(32))
        finally:
            site.chain.node.close()
        if stopped:
            mend = "no proof counts any more: run einproof deploy with a mended verifier"
            return Finding("verifier", MISSING, f"{tier.verifier} was stopped", mend)
        how = f"canary 0x{guard.canary.hex()[:16]}..." if guard else "nothing can stop it"
        return Finding("verifier", OK, f"{tier.verifier}, {how}")

    try:
        return asyncio.run(look())
    except EinproofError as error:
        return Finding("verifier", OK, f"none to look at: {error}")


def _existing(folder: Path) -> Path:
    while not folder.exists():
        folder = folder.parent
    return folder


def _run(command: list[str], text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False
    )


def _last_line(text: str) -> str:
    return next(reversed(text.strip().splitlines()), "no message")


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.table import Table

    marks = {OK: "[green]ok[/]", NOTE: "[yellow]note[/]", MISSING: "[red]missing[/]"}
    table = Table(box=None, show_header=False, pad_edge=False)
    for finding in findings:
        mend = "" if finding.state == OK else f"[bold]-> {finding.mend}[/]"
        table.add_row(marks[finding.state], finding.name, f"{finding.found} {mend}".rstrip())
    Console().print(table)
