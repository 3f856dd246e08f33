"""Who this process is, so that what it held can be freed once it is dead; and the real clock."""

import asyncio
import os
import secrets
import socket
import time
from pathlib import Path


class SystemClock:
    def now(self) -> int:
        return int(time.time())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def holder() -> str:
    """A name for this process: host, process id, when that id began, and a random tail."""
    pid = os.getpid()
    return f"{socket.gethostname()[:64]}/{pid}/{_began(pid)}/{secrets.token_hex(4)}"


def alive(name: str) -> bool:
    """Whether the process of that name may still live. Only deaths on this host can be seen; what
    runs elsewhere counts as alive until its leases run out."""
    host, pid, began, _ = name.split("/")
    if host != socket.gethostname()[:64]:
        return True
    return _began(int(pid)) == began != ""


def _began(pid: int) -> str:
    """When a process began; empty if there is none. A process id alone may be used again."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        state, *rest = stat.rpartition(")")[2].split()
        return "" if state in "ZX" else f"{boot}-{rest[18]}"
    except OSError:
        return _signalled(pid) if not Path("/proc/self").exists() else ""


def _signalled(pid: int) -> str:
    """The same where there is no /proc: that it exists is all that can be said."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        return "exists"
    return "exists"
