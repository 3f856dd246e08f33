"""What an operator asks for the time in which an answer binds its stake."""

from dataclasses import replace

import pytest
from eth_abi.abi import encode

from oracle.adapters.abi import selector
from oracle.adapters.chain import NodeChain
from oracle.domain.job import JobState
from oracle.domain.terms import Quote
from oracle.fakes import ATTESTED, AUDITED, HELD, OPERATOR, QUOTE, TERMS, UNSEEN, FakeChain
from oracle.services.work import Terms
from tests.oracle.world import BOTH, Service, run


@pytest.mark.parametrize("short", [0, 1])
def test_coverage_is_priced_for_all_the_time_that_binds_the_stake(short):
    """Until its round, and until others could be said to be drawn."""

    async def story():
        terms = Terms(OPERATOR, coverage_rate=3600 * 10**9, tiers=BOTH)
        service = Service(FakeChain(), terms=terms)
        fee = 10**9 * (QUOTE.window + UNSEEN + HELD) - short
        request = service.chain.ask_audited(fee=fee)
        await service.settle()
        assert (await service.job(request)).state is (
            JobState.DECLINED if short else JobState.PROVISIONAL
        )

    run(story())


class Tariffs(NodeChain):
    """A node of a chain that keeps transactions out for `delay` seconds at most."""

    def __init__(self, delay):
        super().__init__(None, OPERATOR, {})
        self.delay = delay

    async def call(self, to, data):
        return {
            selector("split"): encode(("uint256",) * 3, (5, 3, 5)),
            selector("clocks"): encode(("uint256",) * 2, (600, 3 * 3600 + self.delay)),
            selector("bond"): encode(("uint256",), (7,)),
            selector("leastStake"): encode(("uint256",), (9,)),
        }[data[:4]]


@pytest.mark.parametrize("delay", [0, 12 * 3600])
def test_a_quote_says_how_long_an_audited_claim_binds_its_stake(delay):
    """A combination's: until the last of its parts is done with it."""

    async def story():
        chain, terms = Tariffs(delay), replace(TERMS, audits=5000).word
        audited = await chain.quote(AUDITED, terms)
        assert (audited.stake, audited.held) == (9, 60 + 3600 + 2 * delay)
        plain = await chain.quote(ATTESTED, TERMS.word)
        assert (plain.stake, plain.held) == (0, 0)
        longer = replace(plain, window=audited.bound + 1)
        assert Quote.together([plain, audited]).bound == audited.bound
        assert Quote.together([audited, longer]).bound == longer.window

    run(story())
