"""What a benchmark ran on: machine, threads, load, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from oracle.toolchain import ROOT

RESULTS = "bench/results"


def threads() -> int:
    """The processors that this process, and so its children, may use."""
    return len(os.sched_getaffinity(0))


def load_average() -> float:
    """Of the last minute: above the processors' number, others were at work while one measured."""
    return os.getloadavg()[0]


def commit() -> str:
    """The commit that was measured, marked where files that git knows differ from it; those that
    hold what was measured do not count."""
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", f":!{RESULTS}")
    name = _git("describe", "--always", "--abbrev=12") or "unknown"
    return f"{name}-dirty" if changed else name


def _git(*arguments: str) -> str:
    ran = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)
    return ran.stdout.strip()


def machine() -> str:
    """CPU, cores, memory."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {threads()} cores, {memory:.0f} GiB"
