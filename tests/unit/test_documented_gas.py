"""docs/assurance.md and ADR 10 quote the gas snapshots: each figure of their tables is in one of
them, or is rounded to thousands (what only Solidity's own benches measure)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from oracle.toolchain import ROOT


def figures(value: Any) -> Iterator[int]:
    if isinstance(value, dict):
        for one in value.values():
            yield from figures(one)
    else:
        yield value


def quoted(text: str) -> set[int]:
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    found = {int(n.replace(",", "")) for row in rows for n in re.findall(r"\d+(?:,\d{3})+", row)}
    return {n for n in found if n % 1000}


def test_gas_in_the_docs_is_that_of_the_snapshots() -> None:
    folder = ROOT / "tests" / "contracts"
    known = {n for path in folder.glob("gas*.json") for n in figures(json.loads(path.read_text()))}
    pages = [ROOT / "docs" / "assurance.md", *(ROOT / "docs" / "adr").glob("0010-*.md")]
    said = [quoted(page.read_text()) for page in pages]
    assert len(said) == 2 and len(said[0]) > 40 and len(said[1]) > 2
    said = set().union(*said)
    assert not said - known


def test_a_stale_figure_is_found() -> None:
    assert quoted("| request; answer | 69,597; 56,105 |\n69,598\n| beacon | 46,000 |") == {
        69597,
        56105,
    }
