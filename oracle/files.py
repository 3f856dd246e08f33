"""Files that commands write: whole or not at all, and refused before the work that they are for."""

import os
from pathlib import Path

from prover.errors import EinproofError


class OutputRefused(EinproofError):
    """A place where the result cannot be written."""


class OutputExists(OutputRefused):
    """A file that would be overwritten."""


def check_writable(path: Path) -> None:
    """Raises OutputRefused where `path` cannot be a file; nothing is written."""
    folder = path.resolve().parent
    if path.is_dir():
        raise OutputRefused(f"{path} is a folder: name a file in it with --out")
    if path.exists() and not path.is_file():
        raise OutputRefused(f"{path} is no ordinary file: name another with --out")
    if not folder.is_dir():
        raise OutputRefused(f"there is no folder {folder}: make it, or name another with --out")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputRefused(f"{folder} is not writable: name another folder with --out")


def write_whole(path: Path, text: str) -> None:
    """Replaces a file's text; whoever reads it sees the old text or the new. Raises OSError."""
    path = path.resolve()  # a link stays one
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
