"""The service under another combination than the one that is deployed by default: optimistic and
audited, which asks for no key."""

import asyncio

import pytest

from oracle.adapters.chain import NodeChain
from oracle.adapters.rpc import Node
from oracle.domain.request import TierKind
from tests.contracts.bench import HOUR, PARAMETERS
from tests.contracts.desk import FINAL, PROVISIONAL
from tests.contracts.ensemble import AUDITS, Ensemble
from tests.evm import Chain
from tests.oracle.desk import LOGITS
from tests.oracle.pact import DECIDED, Pact

pytestmark = pytest.mark.chain

KINDS = (TierKind.OPTIMISTIC, TierKind.AUDITED)
OPTIMISTIC, AUDITED = range(2)


class Pair(Ensemble):
    def wanted(self):
        audited = "contracts/assurance/AuditedAssurance.sol"
        return [
            ("contracts/assurance/OptimisticAssurance.sol", (PARAMETERS,), bytes(32)),
            (audited, (PARAMETERS, self.beacon.address), AUDITS),
        ]


@pytest.fixture(scope="module")
def pair():
    with Chain.start() as chain:
        made = Pair(chain)
        made.ready()
        yield made


@pytest.fixture
def town(pair, tmp_path):
    snapshot = pair.chain.snapshot()
    made = Pact(pair, tmp_path)
    parts = {part.address: kind for part, kind in zip(pair.parts, KINDS, strict=True)}
    made.chain.node.close()
    made.chain = NodeChain(Node(pair.chain.url), pair.oracle.address, made.chain.tiers, parts)
    yield made
    made.chain.node.close()
    pair.chain.restore(snapshot)


async def claimed(town, *, drawn):
    side = town.operator(key=False, kinds=frozenset(KINDS))
    plain, request = await town.claimed(side, drawn=drawn)
    assert town.status(plain) == PROVISIONAL
    assert (await side.job(request)).answer.tier.name == "Optimistic+Audited"
    return side, plain, request


def test_a_quiet_claim_is_final_when_the_last_clock_is_over(town):
    async def story():
        side, plain, _ = await claimed(town, drawn=False)
        town.pass_time(DECIDED)
        await side.settle()
        assert town.status(plain) == PROVISIONAL
        town.pass_time(HOUR + 60)
        await side.settle()
        assert (town.status(plain), town.free()) == (FINAL, True)

    asyncio.run(story())


def test_a_drawn_claim_is_proved_to_both(town):
    async def story():
        side, plain, request = await claimed(town, drawn=True)
        town.pass_time(DECIDED)
        await side.settle()
        assert (await side.job(request)).answer.proof
        assert (town.status(plain), town.free()) == (FINAL, True)

    asyncio.run(story())


@pytest.mark.parametrize("part", [OPTIMISTIC, AUDITED])
def test_a_claim_that_is_disputed_in_one_is_proved_to_both(town, part):
    async def story():
        side, plain, _ = await claimed(town, drawn=False)
        town.both.of(part).dispute(town.both.seen(plain, part), LOGITS)
        await side.settle()
        assert (town.status(plain), town.free()) == (FINAL, True)

    asyncio.run(story())
