"""A desk (desk.py), a bench (bench.py) and a hall (hall.py), each deployed once and set back after
every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.contracts.bench import Bench
from tests.contracts.desk import Desk
from tests.evm import Chain

if TYPE_CHECKING:
    from tests.contracts.hall import Hall


@pytest.fixture(scope="session")
def deployed(anvil: Chain) -> Desk:
    return Desk(anvil)


@pytest.fixture
def desk(deployed: Desk, chain: Chain) -> Desk:
    return deployed


@pytest.fixture(scope="session")
def furnished(anvil: Chain) -> Bench:
    bench = Bench(anvil)
    bench.stake()
    return bench


@pytest.fixture
def bench(furnished: Bench, chain: Chain) -> Bench:
    return furnished


@pytest.fixture(scope="module")
def certified() -> Iterator[Hall]:
    """On a chain of its own, on which the tests' certificates are valid."""
    from tests.attestation.authority import NOW
    from tests.contracts.hall import Hall

    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as chain:
        yield Hall(chain)


@pytest.fixture
def hall(certified: Hall) -> Iterator[Hall]:
    snapshot = certified.chain.snapshot()
    yield certified
    certified.chain.restore(snapshot)
