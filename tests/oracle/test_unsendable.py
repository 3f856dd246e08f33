"""What no node takes: its nonce is free for others, and its job is refused."""

import json

import pytest

from oracle.adapters.rpc import Node
from oracle.domain.chain import Status
from oracle.domain.errors import NodeRefused, Unsendable
from oracle.domain.job import JobState
from oracle.fakes import OPERATOR, FakeChain
from tests.oracle.world import Service, run

LARGE = bytes(2000)


class Narrow(FakeChain):
    """A node that refuses answers about a large input, in these words; or takes them all again."""

    def __init__(self, reason):
        super().__init__()
        self.reason = reason
        self.large = set()
        self.tried = 0

    def ask_large(self, **changes):
        request = self.ask(LARGE, **changes)
        self.large.add(request.id.hex())
        return request

    async def send(self, raw):
        data = bytes.fromhex(json.loads(raw)["data"])
        if self.reason and data and json.loads(data)[1] in self.large:
            self.tried += 1
            raise self.reason
        await super().send(raw)


OVERSIZED = Unsendable("eth_sendRawTransaction: oversized data")
ODD = NodeRefused("eth_sendRawTransaction: something else")


def test_what_is_too_large_holds_no_nonce_and_is_given_up():
    async def story():
        chain = Narrow(OVERSIZED)
        service = Service(chain)
        large, small = chain.ask_large(), chain.ask()
        await service.settle()
        assert chain.stage(small).status is Status.FINAL
        job = await service.job(large)
        assert job.state is JobState.FAILED and "oversized data" in job.verdict.reason
        assert chain.tried == 5
        assert await chain.nonce(OPERATOR) == 1  # the gap was filled by what waited, not paid for

    run(story())


def test_what_is_refused_in_unknown_words_holds_its_nonce_for_a_minute():
    async def story():
        chain = Narrow(ODD)
        service = Service(chain)
        large, small = chain.ask_large(), chain.ask()
        await service.step()
        await service.step()
        assert [(await service.job(each)).flight.nonce for each in (large, small)] == [0, 1]
        for _ in range(35):
            await service.step()
            chain.mine()
            service.clock.time += 2
        assert chain.stage(small).status is Status.FINAL
        for _ in range(200):  # never given up: it may be taken yet
            await service.step()
            service.clock.time += 20
        assert (await service.job(large)).verdict is None
        chain.reason = None
        service.clock.time += 300
        await service.settle()
        assert chain.stage(large).status is Status.FINAL

    run(story())


def test_a_restart_forgets_no_nonce_that_is_held_for_nothing():
    async def story():
        chain = Narrow(ODD)
        first = Service(chain)
        large, small = chain.ask_large(), chain.ask()
        for _ in range(4):
            await first.step()
        assert (await first.job(large)).state is JobState.SENT
        chain.reason = OVERSIZED
        again = Service(chain, first.store, clock=first.clock)
        await again.start()
        await again.settle()
        assert chain.stage(small).status is Status.FINAL

    run(story())


def test_what_another_variant_of_may_be_mined_is_not_given_up():
    """A node took it, and takes no dearer one."""

    async def story():
        chain = Narrow(None)
        service = Service(chain)
        large = chain.ask_large()
        for _ in range(4):
            await service.step()
        chain.reason = OVERSIZED
        for _ in range(5):
            service.clock.time += 61
            await service.step()
        assert chain.tried and (await service.job(large)).state is JobState.SENT
        chain.mine()
        await service.settle()
        assert chain.stage(large).status is Status.FINAL
        assert len(chain.settlements(large)) == 1

    run(story())


def test_a_nonce_that_was_given_up_serves_another_whose_fee_is_raised():
    async def story():
        chain = Narrow(OVERSIZED)
        service = Service(chain)
        chain.ask_large()
        for _ in range(6):
            await service.step()
        small = chain.ask()
        for _ in range(6):
            await service.step()
        (first,) = [item for item in chain.pool if item["nonce"] == 0]
        service.clock.time += 61
        for _ in range(3):
            await service.step()
        (second,) = [item for item in chain.pool if item["nonce"] == 0]
        assert first["data"] == second["data"] and second["most"] > first["most"]
        await service.settle()
        assert chain.stage(small).status is Status.FINAL

    run(story())


@pytest.mark.parametrize(
    "words",
    [
        "oversized data: transaction size 140000, limit 131072",
        "intrinsic gas too low: gas 21000, minimum needed 53000",
        "exceeds block gas limit",
        "transaction gas limit too high (cap: 16777216, tx: 20000000)",
        "MaxTxSizeExceeded, Transaction size 140000 is over 131072",
    ],
)
def test_nodes_say_that_they_never_take_it(words, monkeypatch):
    async def story():
        node = Node("http://127.0.0.1:9")
        monkeypatch.setattr(node, "_ask", lambda *_: {"error": {"code": -32000, "message": words}})
        with pytest.raises(Unsendable):
            await node.send(b"raw")

    run(story())
