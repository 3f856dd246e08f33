"""Every absorb and challenge of a proof, in order: tests/snapshots/transcript.txt.

A change of that list changes the protocol. Where that is meant, run with EINPROOF_SNAPSHOTS=write.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from prover.statement import Statement
from prover.transcript import Transcript
from tests.programs import mlp
from tests.proving import Setup, setup

SNAPSHOT = Path(__file__).parents[1] / "snapshots" / "transcript.txt"
HEAD = "# MLP 2-2-1, limb 4, k = 6. Operation, bytes absorbed, label.\n"


class Listed(Transcript):
    """Lists the size of what is absorbed too."""

    lines: list[str]

    def _step(self, operation: str, label: str, data: bytes) -> None:
        super()._step(operation, label, data)
        size = f" {len(data):4}" if operation == "absorb" else " " * 5
        self.lines.append(f"{operation:9}{size}  {label}")


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the next statement's transcript does."""
    found: list[str] = []

    def transcript(self: Statement, log: list[tuple[str, str]] | None = None) -> Transcript:
        listed = Listed(plain(self, log).state)
        listed.lines = found
        found.append(f"{'absorb':9} {len(self.encode()):4}  statement")
        return listed

    plain = Statement.transcript
    monkeypatch.setattr(Statement, "transcript", transcript)
    return found


@pytest.fixture(scope="module")
def known() -> Setup:
    return setup(mlp([2, 2, 1], limb=4), 6, "reference")


def test_prove_absorbs_and_draws_what_is_listed(known: Setup, lines: list[str]) -> None:
    known.prove()
    text = HEAD + "".join(f"{line}\n" for line in lines)
    if os.environ.get("EINPROOF_SNAPSHOTS") == "write":
        SNAPSHOT.parent.mkdir(exist_ok=True)
        SNAPSHOT.write_text(text)
    assert text == SNAPSHOT.read_text()


def test_verify_absorbs_and_draws_the_same(known: Setup, lines: list[str]) -> None:
    proof = known.prove()
    proved = lines.copy()
    lines.clear()
    known.verify(proof)
    assert lines == proved


def test_prove_log_is_that_list(known: Setup) -> None:
    log: list[tuple[str, str]] = []
    known.prove(log)
    listed = SNAPSHOT.read_text().splitlines()[1:]
    assert log == [(line[:9].strip(), line[16:]) for line in listed]


def test_every_byte_of_a_proof_is_absorbed_but_the_last_point(
    known: Setup, lines: list[str]
) -> None:
    """W' alone is not: nothing is drawn after it."""
    proof = known.prove()
    absorbed = sum(int(line[9:14]) for line in lines[1:] if line.startswith("absorb"))
    assert absorbed == len(proof) - 64
