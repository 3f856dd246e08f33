"""What a session's steps cost: its row, its tables, and what the docs quote of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from oracle.benchmarks import report, results, run, stepping
from oracle.benchmarks.run import BenchmarkFailed, step_row
from oracle.generation import PLACE
from oracle.toolchain import ROOT
from prover.api import Claim, check
from prover.model import Model
from prover.program.ir import Role
from tests.unit.test_benchmarks import prover_row
from tests.unit.test_generation import PLACES, entry

TOKENS, NAME = 4, "nanogpt-steps"
STEP = {"steps": 8, "first_prove_s": 0.75, "first_gas": 600_000, "seq": 8}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("steps")
    stepping.build(entry(TOKENS, layers=1), folder)
    return folder, stepping.measure(folder, 1)


def claims(folder: Path) -> list[Claim]:
    names = (stepping.FIRST, stepping.LAST)
    return [Claim.from_json((folder / name).read_text()) for name in names]


def test_a_row_is_of_the_first_place_and_of_the_last(
    measured: tuple[Path, dict[str, Any]],
) -> None:
    folder, row = measured
    model = Model.load(folder / "model")
    places = []
    for claim in claims(folder):
        check(model, claim)
        places.append(int(model.decode(Role.INPUT, claim.input)[PLACE].reshape(-1)[0]))
        assert len(claim.proof) == row["proof_bytes"]
    assert places == [0, PLACES - TOKENS]
    assert (row["steps"], row["seq"]) == (PLACES // TOKENS, TOKENS)
    assert row["prove_runs_s"] == [row["prove_s"]]
    assert row["first_prove_runs_s"] == [row["first_prove_s"]]
    assert row["committed_input"] and row["committed_output"]
    assert row["peak_rss_mb"] > 0 and row["weights_stored"] > 0
    assert np.load(folder / "text.npy").tolist() == entry(TOKENS).texts[0].tolist()


def test_the_command_puts_both_into_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def child(*words: str) -> str:
        asked.append(words[:3])
        return '{"seq": 8, "steps": 8, "prove_s": 0.5}'

    monkeypatch.setattr(run, "child", child)
    gas = {stepping.FIRST: 1, stepping.LAST: 2}
    monkeypatch.setattr(run, "verify_gases", lambda _, *names: [gas[name] for name in names])
    row = run.prover_row(NAME, 1, 3, lambda _: None)
    assert [words[:2] for words in asked] == [
        ("oracle.benchmarks.stepping", "build"), ("oracle.benchmarks.stepping", "prove"),
    ]  # fmt: skip
    assert asked[0][2] == row["model"] == NAME
    assert (row["first_gas"], row["gas"], row["gas_an_inference"]) == (1, 2, 2)
    assert (row["seq"], row["batch"], row["weights"], row["zk"]) == (8, 1, "real", True)
    with pytest.raises(BenchmarkFailed, match="expected a batch of 1"):
        step_row(NAME, 2, 3, lambda _: None)


def test_a_report_shows_both(tmp_path: Path) -> None:
    """Of whichever kernels: a row is no point of a line."""
    tier, others = "reference", [prover_row(name, 1, 1000, 0.5) for name in ("another", "third")]
    steps = prover_row(NAME, 1, 1000, 0.5) | STEP | {"kernel_tier": tier}
    for row in (steps, *others):
        results.record("prover", row, tmp_path)
    text = report.write(tmp_path)[0].read_text()
    assert text.count("## Steps of a session") == 1
    assert f"| {NAME} | 1 of 8 | 0.75 | 600,000 | 3,776 | {tier} |" in text
    assert f"| {NAME} | 8 of 8 | 0.5 | 500,000 | 3,776 | {tier} |" in text


def quoted(row: dict[str, Any]) -> str:
    """The line of docs/language-models.md for a row."""
    first, last = (
        f"{row[name + 'prove_s']:.2g} s and {row[name + 'gas']:,} gas" for name in ("first_", "")
    )
    return (
        f"Measured at a load of {row['load_average']:.1f}, {row['kernel_tier']} kernels: the first"
        f" of {row['steps']} steps takes {first}, the last {last}; each proof has"
        f" {row['proof_bytes']:,} bytes."
    )


def test_the_docs_quote_what_was_measured() -> None:
    """A line for each row there is, and no figure without one."""
    said = (ROOT / "docs/language-models.md").read_text()
    rows = [row for row in results.load("prover") if row["model"] == NAME]
    assert said.count("of 8 steps takes") == len(rows)
    for row in rows:
        assert row["first_gas"] == pytest.approx(row["gas"], rel=0.005)
        line = quoted(row)
        assert line in said, f"docs/language-models.md, behind 'Every step costs the same':\n{line}"
