"""Private inputs and outputs, as typed: commit, prove, verify, and what each refuses."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from prover.private import TensorOpening
from tests.commands import refused, run

MODULE = """
import torch
from torch import nn

torch.manual_seed(0)
first = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
second = nn.Linear(3, 2)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models that chain: `first` hides both sides, `second` takes what it makes."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "net.py").write_text(MODULE)
    for name, shape, hidden in (
        ("first", "2,5", ["--private-input", "--private-output"]),
        ("second", "2,3", ["--private-input"]),
    ):
        words = ["model", "build", f"{folder / 'net.py'}:{name}", "--out", folder / name]
        words += ["--shape", shape, "--range", "-1,1", "--tile-bits", "10", *hidden]
        report = json.loads(run(*words, "--json").stdout)
        assert report["input"].endswith(", committed")
        run("model", "export", folder / name, "--public", folder / f"{name}.public")
    rng = np.random.default_rng(0)
    (folder / "x.json").write_text(json.dumps(rng.uniform(-1, 1, (2, 5)).tolist()))
    return folder


def report(*words: object) -> dict[str, object]:
    found = json.loads(run(*words, "--json").stdout)
    assert isinstance(found, dict)
    return found


def test_prove_reveal_and_chain(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.json"
    proved = report("prove", home / "first", home / "x.json", "-o", out)
    input_opening, output_opening = (tmp_path / f"a.{side}.opening" for side in ("input", "output"))
    assert proved["openings"] == [str(input_opening), str(output_opening)]
    for path in (input_opening, output_opening):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    hidden = report("verify", home / "first.public", out)
    assert hidden["valid"] is True and str(hidden["output"]).startswith("0x")
    both = ["--opening", input_opening, "--opening", output_opening]
    shown = report("verify", home / "first.public", out, *both)
    assert shown["output"] == proved["output"]
    np.testing.assert_allclose(shown["input"], json.loads((home / "x.json").read_text()), atol=1e-4)

    chained = report("prove", home / "second", output_opening, "-o", tmp_path / "b.json")
    assert "openings" not in chained
    claims = [json.loads((tmp_path / name).read_text()) for name in ("a.json", "b.json")]
    assert claims[0]["output"] == claims[1]["input"]
    seen = report(
        "verify", home / "second.public", tmp_path / "b.json", "--opening", output_opening
    )
    assert seen["valid"] is True and seen["output"] == chained["output"]

    again = refused("prove", home / "first", home / "x.json", "-o", out)
    assert "a.input.opening" in again and "OutputExists" in again


def test_the_owner_commits_and_the_operator_proves(home: Path, tmp_path: Path) -> None:
    opening, out = tmp_path / "mine.opening", tmp_path / "proof.json"
    committed = report("commit", home / "first.public", home / "x.json", "-o", opening)
    assert stat.S_IMODE(opening.stat().st_mode) == 0o600
    proved = report("prove", home / "first", opening, "-o", out)
    assert proved["openings"] == [str(tmp_path / "proof.output.opening")]
    assert json.loads(out.read_text())["input"] == committed["input"]
    assert "OutputExists" in refused("commit", home / "first", home / "x.json", "-o", opening)


def test_what_is_refused(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    run("prove", home / "first", home / "x.json", "-o", out)
    foreign = tmp_path / "foreign.opening"
    run("commit", home / "first.public", home / "x.json", "-o", foreign)
    words = ["verify", home / "first.public", out, "--opening", foreign]
    assert "OpeningMismatch" in refused(*words)
    said = json.loads(run(*words, "--json", code=1).stdout)
    assert said["valid"] is False and said["error"] == "OpeningMismatch"

    damaged = tmp_path / "damaged.opening"
    damaged.write_text(foreign.read_text()[:-9])
    damaged.chmod(0o600)
    assert "OpeningDamaged" in refused("prove", home / "first", damaged, "-o", tmp_path / "b.json")
    assert "OpeningMismatch" in refused(
        "prove", home / "second", foreign, "-o", tmp_path / "b.json"
    )
    assert "cannot be read" in refused("prove", home / "first", tmp_path / "no", "-o", out)
    assert not (tmp_path / "b.json").exists()
    values = TensorOpening.load(foreign).values
    assert values.shape == (2, 5)


def test_a_public_input_is_not_committed_to(home: Path, tmp_path: Path) -> None:
    words = ["model", "build", f"{home / 'net.py'}:second", "--out", tmp_path / "open"]
    run(*words, "--shape", "1,3", "--range", "-1,1", "--private-output", "--json")
    (tmp_path / "x.json").write_text("[[0.5, 0.25, -1]]")
    said = refused("commit", tmp_path / "open", tmp_path / "x.json", "-o", tmp_path / "o")
    assert "OpeningRefused" in said and "public" in said
    proved = report("prove", tmp_path / "open", tmp_path / "x.json", "-o", tmp_path / "p.json")
    assert proved["openings"] == [str(tmp_path / "p.output.opening")]
