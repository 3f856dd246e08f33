"""Databases for the tests: SQLite files, and PostgreSQL where the machine has it."""

import logging
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

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
def relay() -> Iterator[Relay]:
    """A relay of drand's rounds that knows none yet."""
    made = Relay()
    yield made
    made.close()


@pytest.fixture(autouse=True, scope="session")
def quiet() -> None:
    """Only what went wrong is logged: thousands of services start and die here."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
