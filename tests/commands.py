"""Commands as a user types them, in this process; and a model small enough for any SRS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from typer.testing import CliRunner, Result

from oracle.cli import main
from prover.compiler import Compiled
from prover.compiler.package import write_package
from prover.quantizer import Quantizer, Scaled
from tests.programs import mlp

RUNNER = CliRunner()
EINPROOF = str(Path(sys.executable).parent / "einproof")
CEREMONY = Path(__file__).parent / "vectors" / "v1" / "ptau" / "power7.ptau"


def run(*words: object, code: int = 0) -> Result:
    """What a command that ends with this exit code says."""
    result = RUNNER.invoke(main.app, [str(word) for word in words])
    assert isinstance(result.exception, SystemExit | None), repr(result.exception)
    assert result.exit_code == code, result.output
    return result


def refused(*words: object) -> str:
    """The one line of a command that refuses, and says nothing else."""
    result = run(*words, code=1)
    assert result.stdout == ""
    return one_line(result.stderr)


def one_line(text: str) -> str:
    assert text.startswith("error: ") and text.endswith("\n") and text.count("\n") == 1, text
    return text


def process(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command as a process of its own."""
    clean = {name: v for name, v in os.environ.items() if not name.startswith("EINPROOF_")}
    return subprocess.run(
        [EINPROOF, *map(str, words)],
        env={**clean, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def small_package(folder: Path) -> Path:
    """Two numbers in [-1, 1), one out: what `einproof model import` takes. Its tiles are of 2^7."""
    case = mlp([2, 2, 1], limb=4)
    tensors = {t.name: t for t in case.program.tensors}
    sides = [
        Scaled(name, tensors[name].shape, exponent, tensors[name].lo, tensors[name].hi)
        for name, exponent in (("input", 7), ("y1", 0))
    ]
    weights = {name: cells for name, cells in case.given.items() if name != "input"}
    write_package(folder, Compiled(case.program, weights, Quantizer(*sides)))
    return folder
