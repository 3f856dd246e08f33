"""Every test finds the project's own Anvil, forge and solc, however pytest was started."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from oracle.toolchain import activate

if TYPE_CHECKING:
    from tests.evm import Chain

activate()
# The CUDA tier is tested in Numba's simulator; NUMBA_ENABLE_CUDASIM=0 tests it on a GPU.
os.environ.setdefault("NUMBA_ENABLE_CUDASIM", "1")


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Weights that a test draws are the same in every run, whichever tests ran before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def anvil() -> Iterator[Chain]:
    """One chain for the whole run: what is deployed in session fixtures stays on it."""
    from tests.evm import Chain

    with Chain.start() as chain:
        yield chain


@pytest.fixture
def chain(anvil: Chain) -> Iterator[Chain]:
    """The same chain, set back after the test."""
    snapshot = anvil.snapshot()
    yield anvil
    anvil.restore(snapshot)
