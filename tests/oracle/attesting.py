"""einproof attest, typed in this process."""

import json

import pytest
from typer.testing import CliRunner

from oracle.cli import main
from tests.contracts.hall import Hall


def typed(*words, code=0, answer=""):
    result = CliRunner().invoke(main.app, ["attest", *map(str, words)], input=answer)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in words else result.output


def files(folder, parts):
    """The options that name evidence's parts, each in a file."""
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    return [word for name in parts for word in ("--part", f"{name}={folder / name}")]


@pytest.fixture
def opened(led_to):
    """Opens a hall on a chain, and commands go there."""

    def open_hall(evm):
        hall = Hall(evm)
        names = {"InferenceOracle": hall.oracle, "ProofAssurance": hall.tier}
        names |= {"AttestationRegistry": hall.attestations, "AttestedAssurance": hall.optimistic}
        led_to(evm, names)
        return hall

    return open_hall
