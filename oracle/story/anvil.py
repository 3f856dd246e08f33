"""An Anvil of one's own: started on a free port, stopped with its user."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from web3 import HTTPProvider, Web3

from oracle.toolchain import tool
from prover.errors import EinproofError

STARTUP_SECONDS = 20
GAS_CAP = "--enable-tx-gas-limit"  # EIP-7825, as on mainnet
#: Old states are dropped: by default Anvil keeps them on disk, gigabytes of them if it is killed.
PRUNED = ("--prune-history", "256")


class AnvilFailed(EinproofError):
    """Anvil did not start."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def anvil(log: Path, *options: str) -> Iterator[str]:
    """The URL of a fresh chain 31337 (hardfork osaka, the transaction gas cap on); its output goes
    to `log`. Raises AnvilFailed."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    chosen = ("--port", str(port), "--hardfork", "osaka", GAS_CAP, *PRUNED, *options)
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [tool("anvil"), *chosen], stdout=output, stderr=subprocess.STDOUT
        )
        try:
            _wait(process, url, log)
            yield url
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    node = Web3(HTTPProvider(url, exception_retry_configuration=None))
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline:
        if node.is_connected():
            return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    raise AnvilFailed(f"expected Anvil at {url}, got none within {STARTUP_SECONDS} s: see {log}")
