"""Where the project's tools are: Anvil, forge and solc from npm, beside the virtual environment."""

import os
import shutil
import sys
from pathlib import Path

from prover.errors import EinproofError

ROOT = Path(__file__).resolve().parents[1]
SOLC_FOLDER = ROOT / "scripts" / "solc"
SOLC = SOLC_FOLDER / "solc-v0.8.37"


class ToolMissing(EinproofError):
    """A program that the project needs is not on this machine."""


def activate() -> None:
    """Puts the project's tools on PATH and names the folder in which ape finds solc.

    Commands so work however they were started, with no environment activated.
    """
    folders = [str(Path(sys.executable).parent), str(ROOT / "node_modules" / ".bin")]
    here = os.environ.get("PATH", os.defpath).split(os.pathsep)
    rest = [folder for folder in here if folder not in folders]
    os.environ["PATH"] = os.pathsep.join(folders + rest)
    os.environ.setdefault("SOLCX_BINARY_PATH", str(SOLC_FOLDER))


def tool(name: str) -> Path:
    """The path of a program such as anvil. Raises ToolMissing."""
    activate()
    found = shutil.which(name)
    if found is None:
        raise ToolMissing(
            f"expected the program {name} on this machine, found none: run make setup"
        )
    return Path(found)
