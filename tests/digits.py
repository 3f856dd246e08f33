"""The committed digits network (tests/vectors/v1/digits), for tests that want a real model."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from prover.compiler import Compiled
from prover.compiler.package import read_package

FOLDER = Path(__file__).parent / "vectors" / "v1" / "digits"


@dataclass(frozen=True, eq=False)
class HeldOut:
    """images (360, 64) in [0, 1]; labels (360,); the program's integer logits (360, 10)."""

    images: npt.NDArray[np.float64]
    labels: npt.NDArray[np.int64]
    logits: npt.NDArray[np.int64]


@lru_cache
def compiled() -> Compiled:
    """Program, integer weights and quantiser; the input is `input`, the output `output`."""
    return read_package(FOLDER)


@lru_cache
def held_out() -> HeldOut:
    """Images that the network was not trained on."""
    cases = json.loads((FOLDER / "held_out.json").read_text())
    pixels = [[int(row[i : i + 2]) for i in range(0, 128, 2)] for row in cases["pixels"]]
    return HeldOut(np.array(pixels) / 16.0, np.array(cases["labels"]), np.array(cases["logits"]))
