"""The doctor names what is missing, says how to mend it, and exits with 1."""

import json
import os
import socket
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from oracle.cli import doctor, main
from oracle.toolchain import ROOT
from prover.kernels.interface import UnknownKernels

RUNNER = CliRunner()


def test_a_machine_with_setup_done_lacks_nothing() -> None:
    result = RUNNER.invoke(main.app, ["doctor", "--json"])
    findings = json.loads(result.stdout)
    assert [found for found in findings if found["state"] == doctor.MISSING] == []
    assert result.exit_code == 0
    assert {"python", "packages", "node", "anvil", "forge", "solc", "cpu", "kernels"} <= {
        found["name"] for found in findings
    }


def test_a_missing_program_is_named_with_its_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    result = RUNNER.invoke(main.app, ["doctor"])
    assert result.exit_code == 1
    assert any(
        "missing" in line and "anvil" in line and "make setup" in line
        for line in result.stdout.splitlines()
    )


def test_an_old_node_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = tmp_path / "node"
    node.write_text("#!/bin/sh\necho v18.19.0\n")
    node.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = doctor.check_program("node", least=(20,))
    assert (found.state, found.found) == (doctor.MISSING, "v18.19.0")


def test_a_program_that_does_not_run_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    anvil = tmp_path / "anvil"
    anvil.write_text("#!/bin/sh\necho 'no such library' >&2\nexit 127\n")
    anvil.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = doctor.check_program("anvil")
    assert (found.state, found.found) == (doctor.MISSING, "does not run: no such library")


def test_a_package_of_another_version_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = doctor.metadata.version
    monkeypatch.setattr(
        doctor.metadata, "version", lambda name: "9.9.9" if name == "web3" else installed(name)
    )
    found = doctor.check_packages()
    assert found.state == doctor.MISSING
    assert found.found.startswith("web3 is 9.9.9, pinned ")


def test_unknown_kernels_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EINPROOF_KERNELS", "abacus")
    found = doctor.check_kernels()
    assert found.state == doctor.MISSING
    assert "abacus" in found.found


@pytest.mark.parametrize(("tier", "state"), [("scalar", doctor.OK), ("reference", doctor.NOTE)])
def test_the_kernels_in_use_are_named(
    tier: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slow ones with a word of it."""
    monkeypatch.setenv("EINPROOF_KERNELS", tier)
    found = doctor.check_kernels()
    assert (found.state, found.found.split()[0]) == (state, tier)
    assert ("slower" in found.found) == (tier == "reference")


def test_a_gpu_is_named_or_why_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "DRIVER", "libnothing.so")
    found = doctor.check_device()
    assert (found.state, found.found) == (
        doctor.OK,
        "none for kernels: no driver, libnothing.so",
    )
    monkeypatch.setattr(doctor, "_loads", lambda library: True)
    monkeypatch.setattr("prover.kernels.get", lambda name: None)
    monkeypatch.setattr("prover.kernels.cuda.kernel.device_name", lambda: "a device")
    found = doctor.check_device()
    assert (found.state, found.found) == (doctor.OK, "a device; used with EINPROOF_KERNELS=cuda")

    def refuse(name: str) -> None:
        raise UnknownKernels(f"{name}: no driver")

    monkeypatch.setattr("prover.kernels.get", refuse)
    found = doctor.check_device()
    assert (found.state, found.found) == (doctor.OK, "none for kernels: cuda: no driver")


def test_a_port_in_use_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setattr(doctor, "ANVIL_PORT", server.getsockname()[1])
        assert doctor.check_port().state == doctor.NOTE


def test_the_project_pins_what_its_lock_pins() -> None:
    """Each package that pyproject.toml names has the lock's version there; extras that `make setup`
    leaves out, each on a line with its name, are not in the lock."""
    lock = {
        name.lower().replace("_", "-"): pinned
        for file in ("torch.txt", "lock.txt")
        for name, _, pinned in (
            line.partition("==") for line in (ROOT / "requirements" / file).read_text().splitlines()
        )
    }
    lines = [line.strip() for line in (ROOT / "pyproject.toml").open() if "==" in line]
    named = [line.strip('",') for line in lines if line.startswith('"')]
    assert len(named) > 30
    for pin in named:
        name, _, pinned = pin.partition("==")
        assert lock[name.lower().replace("_", "-")] == pinned, pin


def test_the_lock_files_name_no_host() -> None:
    listed = subprocess.run(
        ["git", "grep", "-nE", r"\"resolved\"|https?://.*\.(whl|tgz|tar\.gz)", "--", "*lock*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (listed.returncode, listed.stdout) == (1, "")
