"""From files to files: import, prove, verify; a ceremony's SRS; no chain, no torch."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prover.folder import KEY
from prover.model import Model
from prover.ptau import import_ptau
from prover.srs import development_id
from tests import digits
from tests.commands import CEREMONY, process, run, small_package
from tests.evm import ROOT

CONTEXT = "0x" + "5a" * 32
WITHOUT_TORCH = """
import sys
from typer.testing import CliRunner
from oracle.cli.main import app

for words in {words!r}:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
loaded = sorted({{"torch", "ape", "web3", "sqlalchemy", "requests"}} & set(sys.modules))
print(*loaded)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the digits model, its public half, and an image."""
    folder = tmp_path_factory.mktemp("home")
    run("model", "import", digits.FOLDER, "--out", folder / "digits")
    run("model", "export", folder / "digits", "--public", folder / "public")
    np.save(folder / "image.npy", digits.held_out().images[:1])
    (folder / "image.json").write_text(json.dumps(digits.held_out().images[:1].tolist()))
    (folder / "other.json").write_text(json.dumps(digits.held_out().images[1:2].tolist()))
    return folder


@pytest.mark.parametrize("image", ["image.json", "image.npy"])
def test_proof_file_round_trip(home: Path, tmp_path: Path, image: str) -> None:
    out = tmp_path / "proof.json"
    words = ["prove", home / "digits", home / image, "-o", out, "--context", CONTEXT, "--json"]
    proved = json.loads(run(*words).stdout)
    assert proved["file"] == str(out) and proved["srs_forgeable"] is True
    words = ["verify", home / "public", out, "--context", CONTEXT, "--input", home / image]
    verified = json.loads(run(*words, "--json").stdout)
    assert verified["valid"] is True and verified["context"] == CONTEXT
    assert verified["model"] == proved["model"] and verified["output"] == proved["output"]
    assert verified["proof_bytes"] == proved["proof_bytes"] <= 6000
    assert verified["input"] == digits.held_out().images[:1].tolist()
    spec = digits.compiled().quantizer.output
    logits = spec.values(digits.held_out().logits[:1])
    assert verified["output"] == logits.tolist()
    assert [path.name for path in tmp_path.iterdir()] == ["proof.json"]


def test_prove_and_verify_say_what_they_found(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    proved = run("prove", home / "digits", home / "image.json", "-o", out)
    verified = run("verify", home / "public", out)
    for result in (proved, verified):
        assert "anyone can forge" in result.stderr
    assert "proof_bytes" in proved.stdout and "seconds" in proved.stdout
    assert verified.stdout.startswith("valid          True\n")
    assert max(map(len, verified.stdout.splitlines())) < 200


def test_two_proofs_of_one_statement_share_nothing(home: Path, tmp_path: Path) -> None:
    """Randomness is fresh: equal commitments would tell that two answers are of one input."""
    proofs = []
    for name in ("a", "b"):
        run("prove", home / "digits", home / "image.json", "-o", tmp_path / name)
        proofs.append(bytes.fromhex(json.loads((tmp_path / name).read_text())["proof"][2:]))
    words = [{p[i : i + 32] for i in range(0, len(p), 32)} for p in proofs]
    assert not words[0] & words[1]


def test_an_old_proof_is_replaced(home: Path, tmp_path: Path) -> None:
    out, link = tmp_path / "proof.json", tmp_path / "link"
    out.write_text("old")
    link.symlink_to(out)
    run("prove", home / "digits", home / "image.json", "-o", link)
    run("verify", home / "public", out, "--input", home / "image.json")
    assert link.is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_exposed_key_is_one_line_of_warning(home: Path, tmp_path: Path) -> None:
    key = home / "digits" / KEY
    key.chmod(0o644)
    try:
        words = ["prove", home / "digits", home / "image.json", "-o", tmp_path / "proof.json"]
        lines = run(*words).stderr.splitlines()
    finally:
        key.chmod(0o600)
    assert lines[0] == f"warning: {key} can be read by others: run chmod 600 on it"
    assert len(lines) == 2  # and that the SRS is forgeable


def test_model_prove_and_verify_import_no_torch(home: Path, tmp_path: Path) -> None:
    words = [
        ["model", "import", str(digits.FOLDER), "--out", str(tmp_path / "model")],
        ["model", "show", str(tmp_path / "model")],
        ["model", "export", str(tmp_path / "model"), "--public", str(tmp_path / "public")],
        ["model", "audit", str(tmp_path / "public")],
        ["prove", str(tmp_path / "model"), str(home / "image.json"), "-o", str(tmp_path / "p")],
        ["verify", str(tmp_path / "public"), str(tmp_path / "p")],
        ["srs", "import", str(CEREMONY), "--k", "2", "--out", str(tmp_path / "srs.bin")],
    ]
    code = WITHOUT_TORCH.format(words=words)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ
    )
    assert (done.returncode, done.stdout) == (0, "\n"), done.stderr


def test_ceremony_srs_from_import_to_verify(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    srs, package = tmp_path / "srs.bin", small_package(tmp_path / "package")
    result = run("srs", "import", CEREMONY, "--k", 7, "--out", srs, "--json")
    imported = json.loads(result.stdout)
    assert "compare blake2b" in result.stderr and len(imported["blake2b"]) == 128
    assert imported["k"] == 7 and imported["srs_forgeable"] is False
    assert stat.S_IMODE(srs.stat().st_mode) == 0o644
    shown = json.loads(run("srs", "show", srs, "--check", "--json").stdout)
    assert shown == {name: imported[name] for name in ("srs", "k", "srs_forgeable")}
    monkeypatch.setenv("EINPROOF_SRS", str(srs))
    made = run("model", "import", package, "--out", tmp_path / "model", "--json")
    assert json.loads(made.stdout)["srs"] == imported["srs"] and "forge" not in made.stderr
    (tmp_path / "input.json").write_text("[[0.5, -0.25]]")
    proof = tmp_path / "proof.json"
    result = run("prove", tmp_path / "model", tmp_path / "input.json", "-o", proof, "--json")
    assert json.loads(result.stdout)["srs_forgeable"] is False and result.stderr == ""
    assert run("verify", tmp_path / "model", proof).stderr == ""
    assert Model.load(tmp_path / "model").srs_id != development_id()


def test_srs_show_says_that_the_development_srs_is_forgeable(tmp_path: Path) -> None:
    from prover import kernels
    from prover.srs import development_srs, save_srs

    tier = kernels.get()
    save_srs(tier, development_srs(tier, 2, tmp_path), tmp_path / "srs.bin")
    result = run("srs", "show", tmp_path / "srs.bin")
    assert "srs_forgeable  True" in result.stdout and "anyone can forge" in result.stderr


def test_import_tells_its_steps() -> None:
    from prover import kernels

    steps: list[str] = []
    import_ptau(kernels.get(), CEREMONY, 3, steps.append)
    assert [step.split()[0] for step in steps] == ["reading", "checking", "checking"]
    assert "pairings" in steps[-1]


def test_the_installed_command_proves_and_verifies(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "proof.json"
    done = process("prove", home / "digits", home / "image.json", "-o", out)
    assert done.returncode == 0, done.stderr
    done = process("verify", home / "public", out)
    assert (done.returncode, done.stdout[:19]) == (0, "valid          True"), done.stderr
