"""A desk (tests/contracts/desk.py): deployed once, set back after every test."""

import pytest

from tests.contracts.desk import Desk
from tests.evm import Chain


@pytest.fixture(scope="session")
def deployed(anvil: Chain) -> Desk:
    return Desk(anvil)


@pytest.fixture
def desk(deployed: Desk, chain: Chain) -> Desk:
    return deployed
