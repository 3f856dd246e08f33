"""A desk (desk.py) and a bench (bench.py), each deployed once and set back after every test."""

import pytest

from tests.contracts.bench import Bench
from tests.contracts.desk import Desk
from tests.evm import Chain


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
