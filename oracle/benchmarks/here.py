"""What a benchmark ran on: machine, threads, load, commit."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from oracle.toolchain import ROOT


def threads() -> int:
    """The processors that this process, and so its children, may use."""
    return len(os.sched_getaffinity(0))


def load_average() -> float:
    """Of the last minute: above the processors' number, others were at work while one measured."""
    return os.getloadavg()[0]


def commit() -> str:
    """The commit that was measured, marked where files differ from it."""
    ran = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip
    return ran.stdout.strip() or "unknown"


def machine() -> str:
    """CPU, cores, memory."""
    cpu = platform.processor() or platform.machine()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu}, {threads()} cores, {memory:.0f} GiB"
