"""Bad input to any command: one line that says what to do, exit code 1, nothing lost.

A usage error has exit code 2. What the service's loops do with bad requests: tests/oracle.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from eth_account import Account

from prover import kernels
from prover.folder import COMMITMENTS, KEY, MODEL_JSON, PROGRAM, WEIGHTS
from prover.srs import development_srs, save_srs
from tests import digits
from tests.commands import (
    CEREMONY,
    EINPROOF,
    one_line,
    process,
    refused,
    run,
    small_package,
)
from tests.evm import Chain
from tests.oracle.desk import Office

NO_NODE = "http://127.0.0.1:9"
SOME_ID = "0x" + "ab" * 32


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("EINPROOF_")]:
        if name != "EINPROOF_CACHE":
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Digits with its public half and a proof; a small model under a ceremony's SRS."""
    folder = tmp_path_factory.mktemp("home")
    run("model", "import", digits.FOLDER, "--out", folder / "digits")
    run("model", "export", folder / "digits", "--public", folder / "public")
    image = digits.held_out().images[:1].tolist()
    (folder / "image.json").write_text(json.dumps(image))
    (folder / "other.json").write_text(json.dumps(digits.held_out().images[1:2].tolist()))
    run("prove", folder / "digits", folder / "image.json", "-o", folder / "proof.json")
    run("srs", "import", CEREMONY, "--k", 7, "--out", folder / "srs.bin")
    package = small_package(folder / "package")
    words = ["--out", folder / "small", "--srs", folder / "srs.bin"]
    run("model", "import", package, *words)
    (folder / "pair.json").write_text("[[0.5, -0.25]]")
    return folder


# --- prove: the input --------------------------------------------------------------------------


def npy(array: Any, **options: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def pixels(**cells: Any) -> bytes:
    """An image in JSON, one cell of which is something else."""
    row: list[Any] = [0.5] * 64
    for at, value in cells.items():
        row[int(at[1:])] = value
    return json.dumps([row]).encode()


HALVES = np.full((1, 64), 0.5)
INPUTS: dict[str, tuple[bytes, str]] = {
    "not a number": (pixels(_5=float("nan")), "expected finite numbers, got nan at [0, 5]"),
    "infinite": (pixels(_5=float("-inf")), "expected finite numbers, got -inf at [0, 5]"),
    "infinite by rounding": (b"[[" + b"1e999," * 63 + b"0]]", "expected finite numbers"),
    "infinite in npy": (npy(np.full((1, 64), np.inf)), "expected finite numbers"),
    "too large": (pixels(_63=1.5), "expected values in [0, 1], got 1.5 at [0, 63]"),
    "too small": (pixels(_0=-0.001), "expected values in [0, 1], got -0.001 at [0, 0]"),
    "a huge integer": (pixels(_0=10**400), "expected numbers of shape (1, 64)"),
    "a row less": (json.dumps([0.5] * 64).encode(), "expected an input of shape (1, 64), got (64,"),
    "a column less": (npy(HALVES[:, :63]), "expected an input of shape (1, 64), got (1, 63)"),
    "a row more": (npy(np.full((2, 64), 0.5)), "got (2, 64)"),
    "ragged": (b"[[0.5, 0.5], [0.5]]", "got a ragged list"),
    "words": (pixels(_3="0.5"), "expected numbers"),
    "null": (pixels(_3=None), "expected numbers"),
    "an object": (b'{"pixels": []}', "expected numbers"),
    "complex": (npy(HALVES.astype(complex)), "expected numbers"),
    "pickled": (npy(np.array([{}]), allow_pickle=True), "expected an array of numbers"),
    "npy cut short": (npy(HALVES)[:-9], "expected an array of numbers"),
    "npy without an array": (npy(HALVES)[:40], "expected an array of numbers"),
    "an image file": (b"\x89PNG\r\n\x1a\n" + bytes(100), "expected .npy or JSON"),
    "empty": (b"", "expected .npy or JSON"),
    "nested too deep": (b"[" * 10**5, "expected .npy or JSON"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_prove_refuses_an_input(home: Path, tmp_path: Path, name: str) -> None:
    data, words = INPUTS[name]
    (tmp_path / "input").write_bytes(data)
    (tmp_path / "proof.json").write_text("an earlier proof")
    assert words in refused(
        "prove", home / "digits", tmp_path / "input", "-o", tmp_path / "proof.json"
    )
    assert (tmp_path / "proof.json").read_text() == "an earlier proof"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["input", "proof.json"]


def test_prove_refuses_what_is_not_there(home: Path, tmp_path: Path) -> None:
    out = ["-o", tmp_path / "proof.json"]
    image = home / "image.json"
    for words, line in (
        ([home / "digits", tmp_path / "none.json"], "none.json cannot be read (No such file"),
        ([home / "digits", tmp_path], "name a .npy or JSON file of numbers"),
        ([tmp_path / "none", image], "expected a model folder at"),
        ([home / "public", image], "only its owner can run it"),
        ([home / "image.json", image], "expected a model folder at"),
    ):
        assert line in refused("prove", *words, *out)
    assert not list(tmp_path.iterdir())


def test_prove_refuses_where_it_cannot_write_before_it_works(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prover import api

    def never(*_: object) -> None:
        raise AssertionError("expected a refusal before the model is loaded")

    monkeypatch.setattr(api.Session, "open", never)
    (tmp_path / "file").write_text("")
    words = ["prove", home / "digits", home / "image.json", "-o"]
    assert "make it, or name another" in refused(*words, tmp_path / "none" / "proof.json")
    assert "make it, or name another" in refused(*words, tmp_path / "file" / "proof.json")
    assert "is a folder: name a file in it" in refused(*words, tmp_path)
    assert "is no ordinary file" in refused(*words, "/dev/null")
    if os.access("/proc", os.W_OK) is False:
        assert "is not writable" in refused(*words, "/proc/proof.json")


def test_prove_that_fills_the_disk_leaves_the_old_proof(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device", "proof.json")

    (tmp_path / "proof.json").write_text("an earlier proof")
    monkeypatch.setattr(os, "fsync", full)
    words = ["prove", home / "digits", home / "image.json", "-o", tmp_path / "proof.json"]
    assert "No space left on device" in refused(*words)
    assert [path.name for path in tmp_path.iterdir()] == ["proof.json"]
    assert (tmp_path / "proof.json").read_text() == "an earlier proof"


def test_unknown_kernels_are_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EINPROOF_KERNELS", "quantum")
    line = refused("prove", home / "digits", home / "image.json", "-o", home / "never.json")
    assert "expected kernels out of reference, scalar, ifma, cuda; got 'quantum'" in line
    assert "got 'quantum'" in refused("warmup")


@pytest.mark.parametrize("context", ["0x12", "zz" * 32, ""])
def test_context_that_is_none_is_a_usage_error(home: Path, context: str) -> None:
    words = ["--context", context]
    for command in (["prove", home / "digits", home / "image.json"], ["verify", home, home]):
        assert "expected 32 bytes in hexadecimal" in run(*command, *words, code=2).stderr


# --- verify: the proof -------------------------------------------------------------------------


def claim(home: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((home / "proof.json").read_text())
    return found


FILES: dict[str, tuple[Callable[[dict[str, str]], object], str]] = {
    "no format": (lambda c: {k: v for k, v in c.items() if k != "format"}, "of format einproof/"),
    "another format": (lambda c: {**c, "format": "einproof/proof/v2"}, "of format einproof/pro"),
    "a field less": (lambda c: {k: v for k, v in c.items() if k != "proof"}, "expected fields"),
    "a field more": (lambda c: {**c, "more": "0x"}, "expected fields"),
    "a number": (lambda c: {**c, "proof": 5}, "expected 0x and hexadecimal digits, got 5"),
    "no prefix": (lambda c: {**c, "proof": c["proof"][2:]}, "expected 0x and hexadecimal digits"),
    "half a byte": (lambda c: {**c, "proof": c["proof"][:-1]}, "expected a proof file"),
    "no digits": (lambda c: {**c, "proof": "0xzz"}, "expected a proof file"),
    "a list": (lambda c: [c], "of format einproof/proof/v1"),
}


@pytest.mark.parametrize("name", FILES)
def test_verify_refuses_a_file(home: Path, tmp_path: Path, name: str) -> None:
    change, words = FILES[name]
    path = tmp_path / "proof.json"
    path.write_text(json.dumps(change(claim(home))))
    line = refused("verify", home / "public", path)
    assert str(path) in line and words in line and "[ClaimDamaged]" in line


def test_verify_refuses_what_is_no_proof_file(home: Path, tmp_path: Path) -> None:
    text = (home / "proof.json").read_bytes()
    path = tmp_path / "proof.json"
    for data in (b"", b"\xff\xfe\x00", b"proof", text[: len(text) // 2], b"[" * 10**5, bytes(99)):
        path.write_bytes(data)
        assert "[ClaimDamaged]" in refused("verify", home / "public", path)
    for missing in (tmp_path / "none.json", tmp_path):
        assert "cannot be read" in refused("verify", home / "public", missing)


def flipped(text: str, at: int) -> str:
    data = bytearray.fromhex(text[2:])
    data[at] ^= 1
    return "0x" + data.hex()


def changed(home: Path, path: Path, **fields: str) -> Path:
    path.write_text(json.dumps({**claim(home), **fields}))
    return path


def test_verify_refuses_damaged_bytes_with_the_verifiers_error(home: Path, tmp_path: Path) -> None:
    good = claim(home)
    size = len(good["proof"]) // 2 - 1
    cases = [({"proof": flipped(good["proof"], at)}, "[") for at in (0, 63, size // 2, size - 1)]
    cases += [
        ({"proof": good["proof"][:-2]}, f"expected {size} bytes, got {size - 1} [WrongLength]"),
        ({"proof": good["proof"] + "00"}, f"got {size + 1} [WrongLength]"),
        ({"proof": "0x"}, "got 0 [WrongLength]"),
        ({"proof": "0x" + "ff" * size}, "[NonCanonicalCoordinate]"),
        ({"proof": "0x" + "00" * size}, "expected"),
        ({"output": flipped(good["output"], 1)}, "[OpeningRejected]"),
        ({"input": flipped(good["input"], 1)}, "[OpeningRejected]"),
        ({"input": good["input"][:-4]}, "[WrongLength]"),
        ({"context": "0x" + "01" * 32}, "[OpeningRejected]"),
        ({"context": "0x01"}, "[WrongLength]"),
        ({"srs_id": "0x" + "00" * 32}, "expected SRS 0xbf"),
    ]
    for fields, words in cases:
        line = refused("verify", home / "public", changed(home, tmp_path / "bad.json", **fields))
        assert words in line, fields


def test_verify_refuses_another_claim_than_was_asked_about(home: Path, tmp_path: Path) -> None:
    proof = home / "proof.json"
    small = refused("verify", home / "small", proof)
    assert "name that model's folder [ClaimForeign]" in small
    other = changed(home, tmp_path / "other.json", model_id=SOME_ID)
    assert f"got one about {SOME_ID}" in refused("verify", home / "public", other)
    words = ["verify", home / "public", proof]
    assert "it answers another question" in refused(*words, "--context", SOME_ID)
    assert "another [ClaimForeign]" in refused(*words, "--input", home / "other.json")
    assert "expected a model folder" in refused("verify", tmp_path / "none", proof)


def test_verify_says_no_in_json_too(home: Path, tmp_path: Path) -> None:
    bad = changed(home, tmp_path / "bad.json", context="0x" + "01" * 32)
    result = run("verify", home / "public", bad, "--json", code=1)
    said = json.loads(result.stdout)
    assert (said["valid"], said["error"]) == (False, "OpeningRejected")
    assert said["reason"] in one_line(result.stderr)
    words = ["verify", home / "public", home / "proof.json", "--json"]
    for asked in (["--context", SOME_ID], ["--input", home / "other.json"]):
        assert json.loads(run(*words, *asked, code=1).stdout)["error"] == "ClaimForeign"


# --- the model folder --------------------------------------------------------------------------


def damage(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    return {
        "flipped": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "cut": data[:-3],
        "longer": data + b"\0",
        "empty": b"",
    }[how]


@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "empty", "missing"])
@pytest.mark.parametrize("name", [MODEL_JSON, PROGRAM, COMMITMENTS, WEIGHTS, KEY])
def test_damaged_model_folder_is_refused(home: Path, tmp_path: Path, name: str, how: str) -> None:
    shutil.copytree(home / "small", tmp_path / "model")
    path = tmp_path / "model" / name
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(damage(path.read_bytes(), how))
    words = ["prove", tmp_path / "model", home / "pair.json", "-o", tmp_path / "proof.json"]
    for line in (refused(*words), refused("model", "show", tmp_path / "model")):
        assert name in line
        if name == KEY and how == "missing":
            assert "restore it from a backup" in line and "never be proved again" in line
    assert not (tmp_path / "proof.json").exists()


def test_model_json_of_another_kind_is_refused(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "public", tmp_path / "model")
    path = tmp_path / "model" / MODEL_JSON
    good = json.loads(path.read_text())
    for bad in ([], {}, {**good, "version": 2}, {**good, "srs": []}, {**good, "quantizer": 1}):
        path.write_text(json.dumps(bad))
        assert MODEL_JSON in refused("verify", tmp_path / "model", home / "proof.json")
    path.write_bytes(b"[" * 10**5)
    assert MODEL_JSON in refused("verify", tmp_path / "model", home / "proof.json")


def test_model_folder_that_cannot_be_made_is_named(home: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    inside = tmp_path / "file" / "model"
    for words in (
        ["model", "import", home / "package", "--out", inside],
        ["model", "export", home / "digits", "--public", inside],
    ):
        assert "name another place" in refused(*words)
    assert "--force" in refused("model", "export", home / "digits", "--public", tmp_path)
    assert (tmp_path / "file").read_text() == "precious"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_unsupported_op_is_named(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def forward(self, x):\n"
        "        return torch.fft.fft(x).real\n"
    )
    words = ["--shape", "1,5", "--range", "0,1", "--out", tmp_path / "out"]
    line = refused("model", "build", f"{tmp_path / 'net.py'}:Net", *words)
    assert "fft" in line
    assert "[UnsupportedOp]" in line
    assert not (tmp_path / "out").exists()


# --- the SRS -----------------------------------------------------------------------------------


def test_srs_of_a_model_is_asked_for_and_checked(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = (home / "srs.bin").read_bytes()
    words = ["prove", home / "small", home / "pair.json", "-o", tmp_path / "proof.json"]
    assert "einproof srs import" in refused(*words)
    path = tmp_path / "srs.bin"
    monkeypatch.setenv("EINPROOF_SRS", str(path))
    assert "correct EINPROOF_SRS" in refused(*words)
    for how in ("flipped", "cut", "longer", "empty"):
        path.write_bytes(damage(whole, how))
        for command in (words, ["srs", "show", path], ["srs", "show", path, "--check"]):
            line = refused(*command)
            assert str(path) in line and "import it anew" in line
    tier = kernels.get()
    save_srs(tier, development_srs(tier, 7, tmp_path), path)
    assert "name the file of that SRS with EINPROOF_SRS" in refused(*words)
    run("srs", "import", CEREMONY, "--k", 2, "--out", path, "--force")
    assert "import more of the ceremony" in refused(*words)
    assert not (tmp_path / "proof.json").exists()


def test_verify_under_an_srs_that_is_not_here_is_refused(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EINPROOF_SRS", str(home / "srs.bin"))
    run("prove", home / "small", home / "pair.json", "-o", tmp_path / "proof.json")
    monkeypatch.delenv("EINPROOF_SRS")
    words = ["verify", home / "small", tmp_path / "proof.json"]
    assert "a file named by EINPROOF_SRS, got none" in refused(*words)
    monkeypatch.setenv("EINPROOF_SRS", str(tmp_path))
    assert "correct EINPROOF_SRS" in refused(*words)


def test_damaged_ceremony_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    """Every kind of damage: tests/unit/test_ptau.py."""
    data, path, out = CEREMONY.read_bytes(), tmp_path / "pot.ptau", tmp_path / "srs.bin"
    words = ["srs", "import", path, "--out", out]
    swapped = data[:200] + data[264:328] + data[264:]
    for bad in (b"", data[:-1], data[:999], data + b"\0", b"zkey" + data[4:], swapped):
        path.write_bytes(bad)
        line = refused(*words, "--k", 5)
        assert str(path) in line and "nothing was written: fetch the file anew" in line
    path.write_bytes(data)
    assert "expected 1 to 7 with this file, got 8" in refused(*words, "--k", 8)
    assert "No such file" in refused("srs", "import", tmp_path / "none", "--k", 5, "--out", out)
    assert [p.name for p in tmp_path.iterdir()] == ["pot.ptau"]
    run(*words, "--k", 0, code=2)
    run(*words, code=2)
    out.write_text("precious")
    assert "pass --force" in refused(*words, "--k", 5)
    assert out.read_text() == "precious"
    words[-1] = tmp_path / "none" / "srs.bin"
    assert "make it, or name another" in refused(*words, "--k", 5)


# --- the chain ---------------------------------------------------------------------------------


def test_chain_that_is_down_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (
        ["register", home / "digits"],
        ["request", home / "digits", home / "image.json"],
        ["request", SOME_ID, "0x00"],
        ["model", "audit", SOME_ID],
    ):
        line = refused(*words, "--rpc", NO_NODE)
        assert f"no node answers at {NO_NODE}" in line and "EINPROOF_RPC" in line


def test_deploy_to_a_chain_that_is_down_is_refused() -> None:
    done = process("deploy", "--rpc", NO_NODE)
    assert done.returncode == 1 and done.stdout == ""
    assert f"no node answers at {NO_NODE}" in one_line(done.stderr)


def test_damaged_proof_as_a_process(home: Path, tmp_path: Path) -> None:
    bad = changed(home, tmp_path / "bad.json", context="0x" + "01" * 32)
    done = process("verify", home / "public", bad)
    assert (done.returncode, done.stdout) == (1, "") and one_line(done.stderr)


def test_serve_waits_for_a_chain_that_is_down(tmp_path: Path) -> None:
    """It may come back, and requests are on it: serve says so, tries again, ends when told."""
    log = tmp_path / "log"
    with log.open("w") as file:
        words = [EINPROOF, "serve", "--rpc", NO_NODE, "--json"]
        service = subprocess.Popen(words, stderr=file, stdout=file, cwd=tmp_path)
        try:
            deadline = time.monotonic() + 60
            while "EINPROOF_RPC" not in log.read_text():
                assert time.monotonic() < deadline and service.poll() is None
                time.sleep(0.05)
            service.send_signal(signal.SIGTERM)
            assert service.wait(20) == 0
        finally:
            service.kill()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert all(line["level"] == "warning" and "no node answers" in line["reason"] for line in lines)


@pytest.fixture
def office(chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Office]:
    """Contracts on a chain, and the environment that names them."""
    made = Office(chain)
    addresses = {
        "InferenceOracle": made.desk.oracle.address,
        "ProofAssurance": made.desk.tier.address,
        "ModelRegistry": made.desk.registry.address,
    }
    path = tmp_path / "deployment.json"
    path.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": addresses}))
    monkeypatch.setenv("EINPROOF_RPC", chain.url)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(path))
    monkeypatch.setenv("EINPROOF_REGISTRY", made.desk.registry.address)
    monkeypatch.setenv("EINPROOF_DATABASE", f"sqlite:///{tmp_path}/service.db")
    yield made


@pytest.mark.chain
def test_unknown_model_id_is_refused(office: Office) -> None:
    assert "is not registered on chain 31337" in refused("request", SOME_ID, "0x00")
    assert "is not registered" in refused("model", "audit", SOME_ID)
    for short in ("0x12", "0x" + "zz" * 32):
        assert "expected a folder or a model id" in refused("model", "audit", short)
        run("request", short, "0x00", code=2)


@pytest.mark.chain
def test_wallet_without_funds_is_named(
    office: Office, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account.create()
    stored = Account.encrypt(account.key, "secret", kdf="pbkdf2", iterations=2)
    (tmp_path / "key.json").write_text(json.dumps(stored))
    monkeypatch.setenv("EINPROOF_KEY", str(tmp_path / "key.json"))
    assert "the password does not open keystore" in refused("register", home / "digits")
    monkeypatch.setenv("EINPROOF_PASSWORD", "secret")
    model_id = "0x" + office.desk.model_id.hex()
    for words in (["register", home / "digits"], ["request", model_id, "0x00"]):
        line = refused(*words)
        assert account.address in line and "send it" in line and "[WalletEmpty]" in line


def settings() -> dict[str, str]:
    return {name: v for name, v in os.environ.items() if name.startswith("EINPROOF_")}


@pytest.mark.chain
def test_database_that_cannot_be_made_is_named(office: Office, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("precious")
    words = ["--database", f"sqlite:///{tmp_path}/file/service.db"]
    done = process("serve", *words, **settings())
    assert (done.returncode, done.stdout) == (1, "") and str(tmp_path) in one_line(done.stderr)
    assert (tmp_path / "file").read_text() == "precious"


@pytest.mark.chain
def test_port_in_use_is_named(office: Office, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = process("serve", "--monitor-port", port, "--models", tmp_path, **settings())
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert f"127.0.0.1:{port}" in line and "EINPROOF_MONITOR_PORT" in line
