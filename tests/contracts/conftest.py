"""A desk (desk.py), a bench (bench.py), a hall (hall.py) and a council (council.py), each deployed
once and set back after every test."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.contracts.bench import Bench
from tests.contracts.desk import Desk
from tests.evm import Chain

if TYPE_CHECKING:
    from tests.contracts.council import Council
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


@pytest.fixture(scope="module")
def convened() -> Iterator[tuple[Council, bytes]]:
    """A committee of the day, and its members; on a chain of its own, from the day before on."""
    from tests.contracts.bench import DAY
    from tests.contracts.council import START, Council

    with Chain.start("--timestamp", str(START - DAY)) as chain:
        council = Council(chain)
        yield council, council.begin(START // DAY)


@pytest.fixture
def seated(convened: tuple[Council, bytes]) -> Iterator[tuple[Council, bytes]]:
    chain = convened[0].chain
    snapshot = chain.snapshot()
    yield convened
    chain.restore(snapshot)


@pytest.fixture
def council(seated: tuple[Council, bytes]) -> Council:
    return seated[0]


@pytest.fixture
def members(seated: tuple[Council, bytes]) -> bytes:
    return seated[1]
