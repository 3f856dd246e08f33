"""bench/results: one JSON file a kind of benchmark, a list of rows, the newest of each identity."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oracle.benchmarks import here
from oracle.toolchain import ROOT

RESULTS = ROOT / here.RESULTS
#: What tells a row from others of its kind; a newer row takes the place of an equal one.
IDENTITY = ("model", "batch", "peer", "kernel_tier", "device", "threads", "machine", "item")
DIGITS = 5


def load(kind: str, folder: Path = RESULTS) -> list[dict[str, Any]]:
    """The rows of FOLDER/<kind>.json, none where it is not there."""
    path = folder / f"{kind}.json"
    return list(json.loads(path.read_text())) if path.exists() else []


def record(kind: str, row: dict[str, Any], folder: Path = RESULTS) -> None:
    """Puts a row into FOLDER/<kind>.json in place of the one of its identity, else last."""
    row = rounded(row)
    rows, own = load(kind, folder), identity(row)
    places = [i for i, other in enumerate(rows) if identity(other) == own]
    if places:
        rows[places[0]] = row
    else:
        rows.append(row)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{kind}.json").write_text(json.dumps(rows, indent=2) + "\n")


def identity(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row.get(name) for name in IDENTITY)


def rounded(value: Any) -> Any:
    """Floats to five significant digits, or to a whole number where those are fewer digits."""
    if isinstance(value, float):
        if abs(value) >= 10**DIGITS:
            return round(value)
        return float(f"{value:.{DIGITS}g}")
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    return [rounded(item) for item in value] if isinstance(value, list | tuple) else value
