"""Services as processes of their own, stopped by SIGTERM."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from oracle.story.desk import Desk
from oracle.toolchain import ROOT, tool

SERVE = (tool("einproof"), "serve")
#: The same service with a deliberately corrupted engine (oracle/story/cheat.py).
CHEAT = (sys.executable, "-m", "oracle.story.cheat")
#: Several members of a committee in one (oracle/story/crowd.py); their keys follow.
CROWD = (sys.executable, "-m", "oracle.story.crowd")


@contextmanager
def service(
    desk: Desk,
    name: str,
    key: str,
    *,
    roles: str = "operator",
    command: Sequence[str | Path] = SERVE,
    **settings: str,
) -> Iterator[subprocess.Popen[bytes]]:
    """One service with its own key, database and log, over the models of the story's folder."""
    environment = {
        **desk.environment,
        "EINPROOF_RPC": desk.url,
        "EINPROOF_KEY": key,
        "EINPROOF_ROLES": roles,
        "EINPROOF_MODELS": str(desk.folder / "models"),
        "EINPROOF_DATABASE": f"sqlite:///{desk.folder / name}.db",
        **settings,
    }
    with (desk.folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command], cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, env=environment
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
