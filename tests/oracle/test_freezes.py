"""What a watcher freezes, in which order, and what a look at an audit asks the chain."""

import pytest
from eth_abi.abi import encode

from oracle.adapters.abi import selector
from oracle.adapters.audits import AuditCalls
from oracle.domain.block import BlockRef
from oracle.domain.job import Due, Job, Standing
from oracle.domain.move import Move, Role
from oracle.domain.request import Answer
from oracle.domain.terms import ClaimTerms
from oracle.fakes import AUDITED, BEACON, QUOTE, FakeChain
from tests.oracle.test_audited import WINDOW, wrong_claim
from tests.oracle.test_optimistic import STRANGER, disputing
from tests.oracle.world import WATCHER, Service, Watcher, run


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr("oracle.services.guard.PATIENCE", 0)


def publish(chain, *requests):
    for request in requests:
        chain.mine(chain.by(STRANGER, chain.publish_call("", request.nonce, b"")))


def test_a_claim_whose_operator_was_slashed_is_handed_in_and_not_frozen():
    """Nothing of that operator's is final by silence any more."""

    async def story():
        chain = FakeChain()
        watcher = Watcher(chain)
        lost, drawn = await wrong_claim(chain, drawn=False), await wrong_claim(chain)
        chain.mine(disputing(chain, lost))
        chain.wait(WINDOW)
        silent = Answer(*chain.stage(lost).standing, b"", AUDITED)
        chain.mine(chain.by(STRANGER, chain.answer_call(lost, silent)))
        assert (await chain.account(AUDITED, STRANGER)).suspended
        publish(chain, drawn)
        await watcher.settle()
        assert not chain.stage(drawn).frozen
        await watcher.rest(seconds=QUOTE.prove)
        assert chain.stage(drawn).slashed
        assert await chain.nonce(WATCHER) == 1  # the claim handed in

    run(story())


def test_that_another_claim_of_its_operator_is_frozen_is_not_enough():
    """That one is proved when its operator likes, and others are paid in the same transaction."""

    async def story():
        chain = FakeChain()
        operator, watcher = Service(chain), Watcher(chain)
        requests = [chain.ask_audited(drawn=True) for _ in range(2)]
        await operator.settle()
        chain.wait(WINDOW)
        publish(chain, *requests)
        chain.mine(chain.by(STRANGER, chain.freeze_call(requests[0], None)))
        await watcher.settle()
        assert all(chain.stage(request).frozen for request in requests)
        assert await chain.nonce(WATCHER) == 1

    run(story())


def test_the_largest_claim_is_frozen_first_and_a_verifier_is_stopped_before():
    chain = FakeChain()
    small, large, middle = (
        Job(chain.ask_audited(terms=ClaimTerms(gwei, 60, audits=5000).word), Role.WATCHER)
        .found(BlockRef(1, bytes(32)))
        .stood(Standing(STRANGER, b"lie", 0, BlockRef(2, bytes(32))))
        .owed(Due(Move.FREEZE))
        for gwei in (5, 2**40 - 1, 7)
    )
    stop, published = small.owed(Due(Move.STOP)), large.owed(Due(Move.PUBLISH))
    ranked = sorted([published, small, middle, large, stop], key=lambda job: -job.urgency)
    assert ranked == [stop, large, middle, small, published]


class Asked(AuditCalls):
    """A node that keeps what it was asked."""

    ANSWERS = {  # noqa: RUF012
        "auditOf": encode(("uint64", "bool", "bool", "uint256"), (7, True, True, 9)),
        "randomness": encode(("address",), (BEACON,)),
        "development": encode(("bool",), (True,)),
        "timeOf": encode(("uint256",), (5,)),
    }

    def __init__(self):
        self.beacons, self.round_times, self.asked = {}, {}, []

    async def call(self, to, data):
        self.asked += [name for name in self.ANSWERS if selector(name) == data[:4]]
        return self.ANSWERS[self.asked[-1]]


def test_what_of_a_beacon_never_changes_is_asked_for_once():
    async def story():
        node, request = Asked(), FakeChain().ask_audited()
        first = await node.audit(request)
        assert sorted(node.asked) == ["auditOf", "development", "randomness", "timeOf"]
        assert (await node.audit(request), node.asked[4:]) == (first, ["auditOf"])

    run(story())
