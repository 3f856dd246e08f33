"""What many of the tests need: databases, a relay, a deployment that commands are led to."""

import json
import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from tests.evm import Chain
from tests.oracle.relay import Relay


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL of our own, on a socket in a folder of its own."""
    pytest.importorskip("psycopg")
    programs = {name: shutil.which(name) for name in ("initdb", "pg_ctl")}
    if not all(programs.values()):
        pytest.skip("no PostgreSQL on this machine")
    folder = Path(tempfile.mkdtemp(prefix="einproof-pg-"))
    # PostgreSQL refuses to run as root.
    user: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root")
        shutil.chown(folder, "nobody")
        user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]

    def call(*words: str) -> None:
        subprocess.run([*user, *words], check=True, capture_output=True, cwd=folder)

    data = str(folder / "data")
    options = f"-k {folder} -c listen_addresses= -c fsync=off"
    call(str(programs["initdb"]), "-D", data, "-U", "einproof", "--auth=trust")
    call(str(programs["pg_ctl"]), "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
    try:
        yield f"postgresql+psycopg://einproof@/postgres?host={folder}"
    finally:
        call(str(programs["pg_ctl"]), "-D", data, "-m", "immediate", "stop")
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def led_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Commands go to these contracts, by name, on a chain of 31337: a deployment's file and the
    settings that name it; of what a user may have set nothing is left."""

    def lead(evm: Chain, contracts: Mapping[str, Any]) -> None:
        addresses = {name: getattr(at, "address", at) for name, at in contracts.items()}
        deployment = tmp_path / "deployment.json"
        entries = {name: {"address": address} for name, address in addresses.items()}
        deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": entries}))
        monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
        monkeypatch.setenv("EINPROOF_RPC", evm.url)
        for name in ("EINPROOF_KEY", "EINPROOF_PAYEE"):
            monkeypatch.delenv(name, raising=False)

    return lead


@pytest.fixture
def relay() -> Iterator[Relay]:
    """A relay of drand's rounds that knows none yet."""
    made = Relay()
    yield made
    made.close()


@pytest.fixture(autouse=True, scope="session")
def quiet() -> None:
    """Only what went wrong is logged: thousands of services start and die here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
