"""What the report says of where its rows come from."""

from __future__ import annotations

from pathlib import Path

import pytest

from oracle.benchmarks import report, results
from tests.unit.test_benchmarks import peer_row, prover_row, side

MICRO = {"item": "Fr multiply", "per": "multiplication", "threads": 1, "log_size": 20}


def test_every_row_has_its_own_commit(tmp_path: Path) -> None:
    """In its line; none stands above a table whose rows are not all of it."""
    row = prover_row("of-1000", 1, 1000, 0.1)
    results.record("prover", {**row, "commit": "0123456789ab"}, tmp_path)
    results.record("prover", {**row, "batch": 16, "commit": "ba9876543210-dirty"}, tmp_path)
    about = {"model": "m", "batch": 1, "machine": "m", "load_average": 0.5, "once": {}, "gas": 7}
    for model, commit in (("m", "aaaaaaaaaaaa"), ("n", "bbbbbbbbbbbb")):
        made = {**about, "model": model, "commit": commit, "parts": {"modexp": 7}}
        results.record("chain", made, tmp_path)
        times = {"engine_s": 0.5, "interpreter_s": 1.5, "float_torch_s": 0.25}
        results.record("engine", {**made, **times, "engine_over_float": 2.0}, tmp_path)
    lines = report.write(tmp_path)[0].read_text().splitlines()
    for commit, start in (
        ("0123456", "| of-1000 | 1 |"),
        ("ba98765-dirty", "| of-1000 | 16 |"),
        ("aaaaaaa", "| m | 1 |"),
        ("bbbbbbb", "| n | 1 |"),
    ):
        own = [line for line in lines if f" {commit} " in line]
        assert [line for line in own if line.startswith(start)], commit
        assert all(line.startswith("|") for line in own), commit
    assert "| commit | aaaaaaa | bbbbbbb |" in lines


def test_a_machine_has_tables_of_its_own(tmp_path: Path) -> None:
    """Of the same kernels, too."""
    for machine, ns in (("old", 8.5), ("new", 25.5)):
        made = {"kernel_tier": "scalar", "machine": machine, "commit": machine, "load_average": 0.5}
        results.record("micro", {**MICRO, **made, "ns": ns + 1}, tmp_path)
        row = prover_row("of-1000", 1, 1000, ns)
        results.record("prover", {**row, "machine": machine}, tmp_path)
    text = report.write(tmp_path)[0].read_text()
    places = [
        *("old; scalar kernels", "| 8.5 |", "new; scalar kernels", "| 25.5 |"),
        *("old; load 0.5; commit old; ", "| multiplication | 9.5 |"),
        *("new; load 0.5; commit new; ", "| multiplication | 26.5 |"),
    ]
    assert [text.count(place) for place in places] == [1] * len(places)
    assert sorted(places, key=text.index) == places


def test_rows_of_kernels_say_each_commit_above_them(tmp_path: Path) -> None:
    for tier, commit, load in (("scalar", "a" * 12, 0.25), ("ifma", "b" * 12, 1.5)):
        made = {"kernel_tier": tier, "machine": "m", "commit": commit, "load_average": load}
        results.record("micro", {**MICRO, **made, "ns": 1.0}, tmp_path)
    text = report.write(tmp_path)[0].read_text()
    assert "m; load 0.2 to 1.5; commit aaaaaaa, bbbbbbb; sizes" in text


@pytest.mark.parametrize(
    ("ends", "said"), [((), ""), (("in",), "in"), (("out",), "out"), (("in", "out"), "in and out")]
)
def test_what_is_committed_is_said(ends: tuple[str, ...], said: str, tmp_path: Path) -> None:
    row = prover_row("of-1000", 1, 1000, 0.1)
    for end in ("in", "out"):
        row[f"committed_{end}put"] = end in ends
    results.record("prover", row, tmp_path)
    assert f"| 0.5 | {said} | c |" in report.write(tmp_path)[0].read_text()


def test_a_row_of_a_former_layout_is_named(tmp_path: Path) -> None:
    for side_length, k in ((1000, 20), (10_000, 20), (12_000, 22)):
        name = "mlp" + f"-{side_length}" * 3
        row = prover_row(name, 1, 2 * side_length**2, 1.0)
        results.record("prover", {**row, "weights": "random", "k": k}, tmp_path)
    text = report.write(tmp_path)[0].read_text()
    assert text.count("before tiles grew") == 1
    assert "mlp-10000-10000-10000 was measured before tiles grew" in text


def test_a_comparisons_plot_is_of_one_tier(tmp_path: Path) -> None:
    """Another tier's turns have their table, and no bars."""
    row = peer_row(side(1.0, setup_s=2.0, gas=980_000, tried=[], settings={}, logrows=9))
    row["theirs"]["logit_error"] = 0.1
    results.record("peers", row, tmp_path)
    alone = {path.name: path.read_bytes() for path in report.write(tmp_path)}
    other = {**row, "machine": "another", "ours": {**row["ours"], "kernel_tier": "ifma"}}
    results.record("peers", other, tmp_path)
    both = {path.name: path.read_bytes() for path in report.write(tmp_path)}
    assert both.pop("results.md") != alone.pop("results.md")
    assert both == alone
