"""docs/attacks.md names tests that exist, and leaves out no attack of the design's list."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs/attacks.md"
DEFINED = re.compile(r"^\s*(?:async )?def (test_\w+)", re.M)

#: Attack -> what a row about it says in its first column.
NAMED = {
    "proof theft": "proof theft",
    "accept-all verifier": "accept-all verifier",
    "crafted unprovable inputs": "crafted, unprovable inputs",
    "self-dealing trio": "self-dealing trio",
    "mass disputes": "mass disputes",
    "sock-puppet shield": "sock-puppet shield",
    "late moves": "late moves",
    "dispute front-running": "front-running of disputes",
    "challenger exhaustion": "exhausted",
    "missing outputs": "outputs that are not published",
    "aggregator framing": "framing by the collector",
    "lazy committees": "lazy members",
    "captured committees": "captured committee",
    "rogue and infinity BLS keys": "rogue keys, keys at infinity",
    "stolen attestations": "stolen answer key",
    "forged attestations": "forged evidence",
    "expired and revoked attestations": "expired or revoked key",
    "debug-mode attestations": "hardware under debugging",
    "absent precompiles": "absent precompiled contract",
    "withdrawals before disputes": "withdrawal before the dispute",
    "seed grinding": "seed grinding",
    "bad consumers": "consumers that revert, burn, bomb, reenter",
    "bad tokens": "tokens that do",
    "reorgs past confirmations": "reorgs past the confirmations",
}


def rows() -> list[tuple[str, str]]:
    """Attack or rule, and its tests' column."""
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return [(row[0], row[2]) for row in cells if row[2] not in ("tests", "---")]


def named(column: str) -> Iterator[tuple[str, str]]:
    """(file or folder, pattern of a test's name) of each that a row names; "" for any test.

    `file: test_a, test_b*` is of tests/contracts where it has no folder; `test_c` alone is a file,
    or one more test of the file before; `Word` or `Word.function` is Solidity of tests/invariants.
    """
    file = ""
    for item in re.findall(r"`([^`]+)`", column):
        head, _, tests = item.partition(": ")
        if not tests and file and (TESTS / path_of(head)).exists() is False and "/" not in head:
            head, tests = file, head
        file = head
        for name in tests.split(", ") if tests else [""]:
            yield file, name


def path_of(file: str) -> str:
    if file[0].isupper():
        return "invariants"
    inside = file.removeprefix("tests/") if "/" in file else f"contracts/{file}"
    return inside if (TESTS / inside).is_dir() or inside.endswith(".py") else f"{inside}.py"


@cache
def text_of(path: Path) -> str:
    files = sorted(path.glob("*.sol")) + sorted(path.glob("*.py")) if path.is_dir() else [path]
    return "\n".join(file.read_text() for file in files)


def has(file: str, name: str) -> bool:
    path = TESTS / path_of(file)
    if not path.exists():
        return False
    text = text_of(path)
    if file[0].isupper():
        contract, _, function = file.partition(".")
        return f"contract {contract} " in text and (not function or f"function {function}(" in text)
    name, _, case = name.partition("[")
    found = [test for test in DEFINED.findall(text) if fnmatchcase(test, name or "test_*")]
    return bool(found) and case.rstrip("]") in text


@pytest.mark.parametrize(("attack", "column"), rows(), ids=lambda cell: cell[:40])
def test_each_attack_names_tests_that_exist(attack: str, column: str) -> None:
    tests = list(named(column))
    assert tests
    assert not [(file, name) for file, name in tests if not has(file, name)]


def test_what_does_not_exist_is_noticed() -> None:
    assert has("test_guard", "") and has("Market.stop", "")
    assert has("test_optimistic_attacks", "test_mass_disputes_*")
    for file, name in (
        ("test_guard", "test_that_nobody_wrote"),
        ("test_nothing", ""),
        ("tests/oracle/test_committee", "test_a_lazier_member_*"),
        ("test_committee", "test_agree_word_that_a_member_did_not_give_is_refused[no such case]"),
        ("Market.vanish", ""),
        ("NoSuchInvariants", ""),
    ):
        assert not has(file, name), (file, name)


@pytest.mark.parametrize("attack", NAMED)
def test_each_attack_of_the_design_has_its_row(attack: str) -> None:
    assert any(NAMED[attack] in row for row, _ in rows())
