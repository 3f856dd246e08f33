"""The files of a model folder: written whole or not at all, and checked as they are read."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from prover.errors import EinproofError
from prover.keccak import keccak
from prover.quantizer import IntArray

MODEL_JSON, PROGRAM, COMMITMENTS = "model.json", "program.bin", "commitments.bin"
TOKENIZER = "tokenizer.json"
WEIGHTS, KEY = "weights.safetensors", "blinding.key"
SECRETS = (WEIGHTS, KEY)
RANGES = "ranges.json"


class ModelError(EinproofError):
    """A model folder that cannot be used."""


class ModelNotFound(ModelError):
    """No model folder at this path."""


class ModelDamaged(ModelError):
    """A file of the folder that is missing, or is not what was written."""


class ModelExists(ModelError):
    """A folder that would be overwritten."""


class SecretsMissing(ModelError):
    """Only the public half of a model is here: it can be checked, not run or proved."""


class KeyExposed(UserWarning):
    """Others on this machine may read the blinding key."""


def write_folder(
    folder: Path, files: Mapping[str, bytes], *, force: bool = False, mode: int = 0o700
) -> None:
    """All files in a new folder, or nothing; a folder that is replaced must be a model folder."""
    folder = Path(os.path.abspath(folder))
    if folder.exists() or folder.is_symlink():
        if not force:
            raise ModelExists(f"expected no {folder} yet: name another, or pass --force")
        if not (folder / MODEL_JSON).is_file() and (not folder.is_dir() or any(folder.iterdir())):
            raise ModelExists(f"expected a model folder to replace at {folder}, got something else")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        fresh, old = staging / "new", staging / "old"
        fresh.mkdir(mode=mode)
        for name, content in files.items():
            secret = name in (*SECRETS, RANGES)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            with os.fdopen(os.open(fresh / name, flags, 0o600 if secret else 0o644), "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        if folder.exists():
            os.rename(folder, old)
        try:
            os.rename(fresh, folder)
        except OSError:
            if old.exists():
                os.rename(old, folder)
            raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def pack_weights(weights: Mapping[str, IntArray]) -> bytes:
    """Each tensor in the narrowest integers that hold it; row-major, whatever order an array has in
    memory, which is all that the file format looks at."""

    def narrow(cells: IntArray) -> Any:
        low, high = int(cells.min()), int(cells.max())
        kinds = (np.iinfo(kind) for kind in (np.int8, np.int16, np.int32, np.int64))
        kind = next(k.dtype for k in kinds if k.min <= low and high <= k.max)
        return np.ascontiguousarray(cells, dtype=kind)

    return save_tensors({name: narrow(cells) for name, cells in weights.items()})


def unpack_weights(data: bytes) -> dict[str, IntArray]:
    """Integer tensors by name from safetensors, in 16 bits if they are stored in fewer, else in 64;
    raises ModelDamaged."""
    try:
        found = load_tensors(data)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelDamaged(f"{WEIGHTS}: expected safetensors, got {error}") from None
    for name, cells in found.items():
        if cells.dtype.kind not in "iu" or cells.dtype == np.uint64:
            raise ModelDamaged(f"{WEIGHTS}: expected integers in {name!r}, got {cells.dtype}")
        kind = np.int16 if np.can_cast(cells.dtype, np.int16) else np.int64
        found[name] = cells.astype(kind, copy=False)
    return found


def pack_ranges(ranges: Mapping[str, Sequence[float]]) -> bytes:
    """Recorded ranges by name, as JSON that gives every float back exactly."""
    found = {name: list(ends) for name, ends in ranges.items()}
    return (json.dumps(found, indent=2) + "\n").encode("ascii")


def unpack_ranges(data: bytes) -> dict[str, list[float]]:
    """The inverse; raises ValueError or TypeError."""
    found = json.loads(data)
    if not isinstance(found, dict):
        raise ValueError("expected ranges by name")
    made = {str(name): [float(end) for end in ends] for name, ends in found.items()}
    if any(len(ends) != 2 for ends in made.values()):
        raise ValueError("expected two ends a range")
    return made


def read(folder: Path, name: str) -> bytes:
    try:
        return (folder / name).read_bytes()
    except FileNotFoundError:
        raise ModelDamaged(f"{name} is missing: restore it, or build the model anew") from None


def read_hashed(folder: Path, name: str, expected: bytes) -> bytes:
    data = read(folder, name)
    if keccak(data) != expected:
        raise ModelDamaged(
            f"{name} is damaged: expected keccak256 {expected.hex()[:16]}...,"
            f" got {keccak(data).hex()[:16]}..."
        )
    return data


def unhex(text: object) -> bytes:
    if not isinstance(text, str) or len(text) != 66 or not text.startswith("0x"):
        raise ValueError(f"expected 32 bytes in hexadecimal, got {text!r}")
    return bytes.fromhex(text[2:])


@contextmanager
def damage(name: str, *more: type[Exception]) -> Iterator[None]:
    """What is refused inside, or raises one of `more`: the file is not what was written."""
    usual = (EinproofError, ValueError, ArithmeticError, RecursionError)
    kinds: tuple[type[Exception], ...] = (*usual, *more)
    try:
        yield
    except ModelDamaged:
        raise
    except kinds as error:
        raise ModelDamaged(f"{name} is damaged: {error}") from error
