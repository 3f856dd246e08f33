"""einproof model, as typed: what it makes, says and refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner, Result

from oracle.cli import main
from prover import kernels
from prover.compiler.package import read_package, write_package
from prover.folder import KEY, SECRETS
from prover.model import Model
from prover.srs import development_srs, save_srs
from tests import digits

RUNNER = CliRunner()
MODULE = """
import torch
from torch import nn

torch.manual_seed(0)
net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2))


def make():
    return net


class Floor(nn.Module):
    def forward(self, x):
        return x.floor()


def floor():
    return nn.Sequential(nn.Linear(5, 4), Floor())


def broken():
    raise KeyError("nothing")


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.head = nn.Embedding(7, 4), nn.Linear(4, 3)

    def forward(self, ids):
        return self.head(nn.functional.gelu(self.words(ids)).mean(1))


words = Words()


class Learned(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.slope = nn.Linear(5, 4), nn.PReLU()
        self.scale, self.power = (nn.Parameter(torch.tensor(n)) for n in (0.7, 1.3))

    def forward(self, x):
        return ((self.slope(self.layer(x)) * self.scale) ** 2 + 1) ** self.power


learned = Learned()
number = 3
"""


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    monkeypatch.setenv("EINPROOF_CACHE", str(tmp_path_factory.getbasetemp() / "srs"))
    monkeypatch.delenv("EINPROOF_SRS", raising=False)
    monkeypatch.delenv("EINPROOF_REGISTRY", raising=False)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text(MODULE)
    return tmp_path / "net.py"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run("import", str(digits.FOLDER), "--out", str(tmp_path / "digits"))
    return tmp_path / "digits"


def run(*arguments: str, code: int = 0) -> Result:
    result = RUNNER.invoke(main.app, ["model", *arguments])
    assert result.exit_code == code, result.output
    return result


def refused(*arguments: str) -> str:
    result = run(*arguments, code=1)
    assert result.stderr.count("\n") == 1 and result.stderr.startswith("error: ")
    return result.stderr


@pytest.mark.parametrize("name", ["net", "make"])
def test_build_from_a_file(source: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / "made"
    options = ["--shape", "3,5", "--range", "-1,1", "--out", str(out), "--json"]
    result = run("build", f"{source}:{name}", *options)
    report = json.loads(result.stdout)
    model = Model.load(out)
    assert report["model"] == "0x" + model.id.hex() and report["srs_forgeable"] is True
    assert model.quantizer.input.shape == (3, 5)
    assert "never be proved again" in result.stderr and str(out / KEY) in result.stderr
    assert "anyone can forge" in result.stderr


def test_parameters_that_the_program_shows_are_named_or_refused(
    source: Path, tmp_path: Path
) -> None:
    asked = ["build", f"{source}:learned", "--shape", "3,5", "--range", "-1,1", "--out"]
    said = run(*asked, str(tmp_path / "made")).stdout
    assert "\nshown          power: its numbers, in pow\n" in said
    report = json.loads(run(*asked, str(tmp_path / "other"), "--json").stdout)
    assert report["shown"] == [{"parameter": "power", "what": "its numbers, in pow"}]
    error = refused(*asked, str(tmp_path / "refused"), "--no-shown")
    assert "expected no parameter in the program, got power: its numbers, in pow" in error
    assert not (tmp_path / "refused").exists()
    asked[1] = f"{source}:net"
    said = run(*asked, str(tmp_path / "net"), "--no-shown").stdout
    assert "\nshown          no parameter\n" in said


def test_an_import_says_what_the_package_says(tmp_path: Path) -> None:
    package = tmp_path / "package"
    write_package(package, read_package(digits.FOLDER))
    out = ["--out", str(tmp_path / "made")]
    assert "that does not say which" in refused("import", str(package), "--no-shown", *out)
    assert json.loads(run("import", str(package), "--json", *out).stdout)["shown"] is None
    (package / "shown.json").write_text('[["scale", "its numbers, in pow"]]')
    assert "got scale: its numbers, in pow" in refused("import", str(package), "--no-shown", *out)
    (package / "shown.json").write_text("[]")
    run("import", str(package), "--no-shown", "--force", *out)


def test_build_from_an_exported_program(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    torch.export.save(torch.export.export(module, (torch.zeros(2, 5),)), tmp_path / "net.pt2")
    out = tmp_path / "made"
    run("build", str(tmp_path / "net.pt2"), "--range", "-1,1", "--out", str(out))
    assert Model.load(out).quantizer.output.shape == (2, 2)


def test_ranges_of_examples_are_kept_and_give_the_program_again(
    source: Path, tmp_path: Path
) -> None:
    """Token ids from a file; the second time without it."""
    ids = tmp_path / "ids.npy"
    np.save(ids, np.random.default_rng(0).integers(0, 3, (8, 1, 5)))
    asked = [f"{source}:words", "--range", "0,6"]
    folders = [tmp_path / name for name in ("first", "again", "other")]
    run("build", *asked, "--examples", str(ids), "--out", str(folders[0]))
    first = folders[0] / "ranges.json"
    assert set(json.loads(first.read_text())) >= {"embedding", "gelu", "mean"}
    assert first.stat().st_mode & 0o777 == 0o600
    np.save(ids, np.random.default_rng(0).integers(0, 7, (8, 1, 5)))
    known = ["--examples", str(ids), "--ranges", str(first)]
    run("build", *asked, *known, "--out", str(folders[1]))
    run("build", *asked, "--examples", str(ids), "--out", str(folders[2]))
    same, other = (
        (folder / "program.bin").read_bytes() == (folders[0] / "program.bin").read_bytes()
        for folder in folders[1:]
    )
    assert same and not other
    assert Model.load(folders[1]).owned.ranges == Model.load(folders[0]).owned.ranges
    run("export", str(folders[0]), "--public", str(tmp_path / "public"))
    assert not (tmp_path / "public" / "ranges.json").exists()
    assert Model.load(tmp_path / "public").id == Model.load(folders[0]).id


def test_ranges_that_are_damaged_or_of_another_model_are_refused(
    source: Path, tmp_path: Path
) -> None:
    ids, out = tmp_path / "ids.npy", ["--out", str(tmp_path / "made")]
    np.save(ids, np.zeros((2, 1, 5), dtype=np.int64))
    asked = ["build", f"{source}:words", "--range", "0,6", "--examples", str(ids)]
    run(*asked, *out)
    kept = tmp_path / "made" / "ranges.json"
    data = kept.read_text()
    assert "--examples" in refused("build", "digits", "--examples", str(ids), "--out", "x")
    assert "its ranges" in refused("build", "nanogpt-steps", "--ranges", str(kept), "--out", "x")
    for text in (data.replace("gelu", "relu"), data + " ", "[]", '{"gelu": [1]}', "{"):
        kept.write_text(text)
        assert "ranges.json" in refused("show", str(tmp_path / "made"))
        if text != data + " ":
            refused(*asked, "--ranges", str(kept), "--out", str(tmp_path / "other"))
    kept.unlink()
    assert "ranges.json is missing" in refused("show", str(tmp_path / "made"))


def test_show_export_and_audit(folder: Path, tmp_path: Path) -> None:
    shown = json.loads(run("show", str(folder), "--recompute", "--json").stdout)
    assert shown["secrets"] == "held" and shown["weights"] == 2410
    assert shown["proof_bytes"] <= 6000
    given, made = shown["public"]
    assert given.startswith("input [1, 64] in [0, ")
    assert made == "output [1, 10] in [-32768, 32767]"
    public = tmp_path / "public"
    run("export", str(folder), "--public", str(public))
    assert not any((public / name).exists() for name in SECRETS)
    assert json.loads(run("show", str(public), "--json").stdout)["secrets"] == "not here"
    assert "public export" in refused("show", str(public), "--recompute")
    found = json.loads(run("audit", str(public), "--json").stdout)
    assert found["passed"] is True and found["model"] == shown["model"]
    assert found["bounds"]["output"] == [-32768, 32767]
    text = run("audit", str(public)).stdout
    for word in ("requantize", "linear_1.weight", "any field element", "verdict: proofs about"):
        assert word in text
    assert "secrets" in run("show", str(folder)).stdout


def test_import_is_not_repeated(folder: Path) -> None:
    before = (folder / KEY).read_bytes()
    assert "--force" in refused("import", str(digits.FOLDER), "--out", str(folder))
    assert (folder / KEY).read_bytes() == before
    run("import", str(digits.FOLDER), "--out", str(folder), "--force")
    assert (folder / KEY).read_bytes() != before


@pytest.mark.parametrize("name", ["one.py:make", "own_nets.kept:make"])
def test_build_from_a_file_that_imports_and_from_a_module(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """What lies beside a file, and a package in the working folder, as Python itself finds them."""
    package, out = tmp_path / "own_nets", tmp_path / "made"
    package.mkdir()
    (package / "kept.py").write_text(source.read_text())
    (tmp_path / "one.py").write_text("from own_nets.kept import make\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    run("build", name, "--shape", "3,5", "--range", "-1,1", "--out", str(out))
    assert Model.load(out).quantizer.input.shape == (3, 5)
    assert sys.path == before
    for found in [known for known in sys.modules if known.startswith("own_nets")]:
        del sys.modules[found]


def test_sources_that_hold_no_model_are_refused(source: Path, tmp_path: Path) -> None:
    out = ["--out", str(tmp_path / "out")]
    shape, span = ["--shape", "1,5"], ["--range", "0,1"]
    (tmp_path / "bad.pt2").write_bytes(b"not a zip")
    tier, small = kernels.get(), tmp_path / "small.srs"
    save_srs(tier, development_srs(tier, 3), small)
    for arguments, words in (
        ([f"{source}:missing", *shape, *span], "called 'missing'"),
        ([f"{source}:number", *shape, *span], "called 'number'"),
        ([f"{source}:broken", *shape, *span], "failed: KeyError"),
        ([f"{source}:floor", *shape, *span], "aten.floor.default at node 'floor'"),
        ([f"{source}:net", "--shape", "1,x", *span], "--shape: expected numbers"),
        ([f"{source}:net", "--shape", "1,6", *span], "torch.export refused"),
        ([f"{source}:net", *shape, "--range", "0"], "--range: expected two numbers"),
        ([f"{source}:net", *shape], "--range: expected numbers"),
        ([f"{source}:net", *shape, *span, "--weight-bits", "40"], "weights of 2 to 16 bits"),
        ([f"{source}:net", *shape, *span, "--tile-bits", "30"], "expected 6 <= k"),
        ([f"{source}:net", *shape, *span, "--srs", str(tmp_path / "none")], "No such file"),
        ([f"{source}:net", *shape, *span, "--srs", str(small)], "or pass --tile-bits 3"),
        (["nothing.py:net", *shape, *span], "of a file that exists"),
        (["no_nets.kept:net", *shape, *span], "no_nets.kept failed: ModuleNotFoundError"),
        (["nothing.pt2", *span], "no file nothing.pt2"),
        ([str(tmp_path / "bad.pt2"), *span], "torch.export.save"),
    ):
        assert words in refused("build", *arguments, *out), words
        assert not (tmp_path / "out").exists()


def test_damaged_packages_are_refused(tmp_path: Path) -> None:
    for name in ("source.bin", "weights.safetensors", "quantizer.json"):
        package = tmp_path / name
        package.mkdir()
        for path in digits.FOLDER.iterdir():
            data = path.read_bytes()
            (package / path.name).write_bytes(data[:-9] if path.name == name else data)
        assert name in refused("import", str(package), "--out", str(tmp_path / "out"))
    program = tmp_path / "net.pt2"
    program.touch()
    assert "model build" in refused("import", str(program), "--out", str(tmp_path / "out"))
    assert "source.bin is missing" in refused(
        "import", str(tmp_path / "none"), "--out", str(tmp_path / "out")
    )


def test_audits_of_nothing_are_refused(folder: Path, tmp_path: Path) -> None:
    registry = ["--registry", "0x" + "11" * 20]
    some = "0x" + "ab" * 32
    assert "expected a folder or a model id" in refused("audit", "0x12", *registry)
    assert "no node answers" in refused("audit", some, "--rpc", "http://127.0.0.1:9")
    closed = refused("audit", some, *registry, "--rpc", "http://127.0.0.1:9")
    assert "no node answers" in closed and "[ChainUnavailable]" in closed
    (tmp_path / "q.json").write_text("{")
    assert "expected JSON" in refused("audit", str(folder), "--quantizer", str(tmp_path / "q.json"))


def test_a_failed_audit_is_exit_code_1(folder: Path, tmp_path: Path) -> None:
    other = json.loads((digits.FOLDER / "quantizer.json").read_text())
    other["input"]["exponent"] = 13
    (tmp_path / "q.json").write_text(json.dumps(other))
    result = run("audit", str(folder), "--quantizer", str(tmp_path / "q.json"), code=1)
    assert "do not rely on" in result.stdout
