"""A software TPM of one's own: Debian's swtpm. It vouches for nothing."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from oracle.adapters.tpm import Tpm, TpmFailed

PROGRAM = "swtpm"
LABEL = "SOFTWARE TPM: its secrets lie in a file, it vouches for nothing"
STARTUP_SECONDS = 10


def is_installed() -> bool:
    return shutil.which(PROGRAM) is not None


@contextmanager
def software_tpm(folder: Path) -> Iterator[Tpm]:
    """A fresh TPM, its state and its socket in `folder`, stopped at the end. Raises TpmFailed."""
    if not is_installed():
        raise TpmFailed(f"{PROGRAM} is not installed: apt-get install swtpm")
    state, at = folder.resolve() / "state", folder.resolve() / "tpm"
    state.mkdir(parents=True)
    command = [
        PROGRAM, "socket", "--tpm2", "--tpmstate", f"dir={state}",
        "--server", f"type=unixio,path={at}", "--flags", "not-need-init,startup-clear",
    ]  # fmt: skip
    with (folder / "swtpm.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(process, at)
        yield Tpm(str(at))
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], at: Path) -> None:
    deadline = time.monotonic() + STARTUP_SECONDS
    while not at.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise TpmFailed(f"expected {PROGRAM} to listen at {at}: see {at.parent}/swtpm.log")
        time.sleep(0.02)
