"""Nobody draws by hand: where a request waits, the collector publishes the day's round, and draws;
over fakes, and at last on real contracts, with a real round of drand's."""

import asyncio
import json
import logging

import pytest
import structlog
from structlog.testing import capture_logs

from oracle.adapters.memory import MemoryStore
from oracle.domain.chain import Status
from oracle.domain.committee import DAY
from oracle.domain.errors import BeaconUnavailable
from oracle.domain.job import JobState
from oracle.fakes import BEACON, Crash, CrashPlan, FakeClock, FakeRounds, fake_output
from oracle.services.draw import REST
from oracle.services.work import Terms
from tests.contracts.desk import PROVISIONAL
from tests.contracts.test_random import EVMNET
from tests.oracle.chamber import (
    COLLECTOR,
    COUNCIL,
    MEMBERS,
    QUOTED,
    FakeCouncil,
    Line,
    Member,
    turn,
)
from tests.oracle.relay import drands
from tests.oracle.test_council import KEYS, START, asked, nonce, status
from tests.oracle.test_council import daemons as _daemons
from tests.oracle.test_council import evm as _evm
from tests.oracle.test_council import office as _office
from tests.oracle.world import run

evm, office, daemons = _evm, _office, _daemons


class Still(FakeClock):
    """Time passes between turns only, whatever beats meanwhile."""

    async def sleep(self, seconds):
        await asyncio.sleep(0)


def undrawn(collectors=(COLLECTOR,), **how):
    """A chain on which no day's committee is drawn, a clock, and three members."""
    chain, line, clock = FakeCouncil(), Line(), Still()
    chain.drawn = False
    members = [
        Member(chain, line, key, clock=clock, collects=key in collectors, **how) for key in MEMBERS
    ]
    return chain, clock, members


@pytest.fixture
def logged():
    """What the services say, warnings too."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    with capture_logs() as lines:
        yield lines
    structlog.configure(wrapper_class=before)


def complaints(logged):
    return [line["event"] for line in logged if line["log_level"] in ("warning", "error")]


def sent(chain, name):
    """How many transactions that do this were mined, whether they were refused or not."""
    mined = [item for block in chain.chain for item in block.contents if isinstance(item, dict)]
    return sum(json.loads(bytes.fromhex(item["data"]))[0] == name for item in mined if item["data"])


async def looks(member, clock):
    """At all that waits, before anything is written."""
    await member.watch.step()
    for _ in range(10):
        await member.work.step()
    clock.time += 2


def stands(chain, request):
    return chain.stage(request).standing == (COLLECTOR, fake_output(request.input))


def test_the_collector_draws_each_day_on_which_a_request_waits():
    async def story():
        chain, clock, members = undrawn()
        today = chain.timestamp // DAY
        await turn(chain, clock, *members)
        assert sent(chain, "publish") == 0  # nobody waits
        for day in (today, today + 1):
            request = chain.ask_council()
            await turn(chain, clock, *members)
            assert stands(chain, request)
            assert chain.days[-1] == day and day in chain.rounds
            chain.wait(DAY)
        chain.wait(DAY)
        await turn(chain, clock, *members)
        assert chain.days == [today, today + 1]
        assert (sent(chain, "publish"), sent(chain, "draw")) == (2, 2)
        assert [await chain.nonce(key) for key in MEMBERS[1:]] == [0, 0]
        assert [(await m.job(request)).state for m in members] == [JobState.SETTLED] * 3

    run(story())


def test_many_requests_wait_for_one_draw():
    async def story():
        chain, clock, members = undrawn()
        requests = [chain.ask_council() for _ in range(5)]
        for name in ("publish", "draw"):
            for _ in range(3):
                await looks(members[0], clock)
                await members[0].write.step()
            assert len(chain.pool) == 1
            chain.mine()
            assert sent(chain, name) == 1
            await members[0].write.step()
        await turn(chain, clock, *members, turns=40)
        assert all(stands(chain, request) for request in requests)
        assert (sent(chain, "publish"), sent(chain, "draw"), len(chain.days)) == (1, 1, 1)

    run(story())


def test_a_round_that_is_published_is_not_published_again():
    async def story():
        chain, clock, members = undrawn(rounds=FakeRounds(*[BeaconUnavailable("gone")] * 99))
        chain.mine(chain.by("anyone", chain.publish_call(BEACON, chain.timestamp // DAY, b"")))
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert stands(chain, request)
        assert (sent(chain, "publish"), sent(chain, "draw")) == (1, 1)

    run(story())


def test_two_collectors_draw_once(logged):
    """Of two that draw in one block the second is refused: it goes on, and nothing was wrong."""

    async def story():
        chain, clock, members = undrawn(MEMBERS[:2])
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert chain.days == [chain.timestamp // DAY]
        assert sent(chain, "draw") == 2
        assert stands(chain, request)
        chain.wait(QUOTED.window)
        await turn(chain, clock, *members)
        assert chain.stage(request).status is Status.FINAL
        assert [(await m.job(request)).state for m in members] == [JobState.SETTLED] * 3
        assert not complaints(logged)

    run(story())


def test_who_is_later_than_another_draws_nothing(logged):
    """Another draws after the collector has looked, and before it posts."""

    async def story():
        chain, clock, members = undrawn()
        day = chain.timestamp // DAY
        chain.rounds.add(day)
        request = chain.ask_council()
        await members[0].watch.step()
        await members[0].work.step()
        assert (await members[0].job(request)).move == "draw"
        chain.mine(chain.by("anyone", chain.draw_call(COUNCIL)))
        await turn(chain, clock, *members)
        assert (chain.days, sent(chain, "draw")) == ([day], 1)
        assert stands(chain, request)
        assert not complaints(logged)

    run(story())


def test_too_few_seats_are_said_once_a_day_and_cost_no_draw(logged):
    async def story():
        chain, clock, members = undrawn()
        chain.seats = 2
        requests = [chain.ask_council() for _ in range(3)]
        await turn(chain, clock, *members, turns=2 * REST)
        assert complaints(logged) == ["no committee, yet"]
        assert (sent(chain, "publish"), sent(chain, "draw")) == (1, 0)
        chain.seats = 3
        chain.wait(DAY)
        await turn(chain, clock, *members, turns=40)
        assert len(chain.days) == 1
        assert all(stands(chain, request) for request in requests)

    run(story())


def test_round_and_draw_wait_for_no_confirmations():
    """The first request of a day may have a short deadline."""

    async def story():
        chain, clock, members = undrawn(confirmations=12)
        request = chain.ask_council()
        for _ in range(12):
            chain.mine()
        await turn(chain, clock, *members, turns=20)
        assert (sent(chain, "publish"), sent(chain, "draw")) == (1, 1)
        assert stands(chain, request)

    run(story())


@pytest.mark.parametrize("given", [BeaconUnavailable("no relay"), b"of another round"])
def test_a_relay_without_the_rounds_signature_is_asked_anew_now_and_then(given, logged):
    """However many requests wait; and what the beacon refuses is never sent."""

    async def story():
        rounds = FakeRounds(given, given)
        chain, clock, members = undrawn(rounds=rounds)
        requests = [chain.ask_council() for _ in range(3)]
        began = clock.now()
        while clock.now() < began + REST:
            await turn(chain, clock, *members, turns=1)
        assert len(rounds.first) == 1 and sent(chain, "publish") == 0
        await turn(chain, clock, *members, turns=2 * REST)
        assert all(stands(chain, request) for request in requests)
        assert sent(chain, "publish") == 1 and not rounds.first
        assert complaints(logged) == ["no committee, yet"]

    run(story())


def test_no_round_is_asked_for_before_it_is_made():
    async def story():
        rounds = FakeRounds(BeaconUnavailable("too early"))
        chain, clock, members = undrawn(rounds=rounds)
        request = chain.ask_council()
        midnight = (chain.timestamp // DAY + 1) * DAY
        chain.wait(midnight + 1 - chain.timestamp - 12)
        assert chain.timestamp == midnight + 1
        await turn(chain, clock, *members)
        assert len(rounds.first) == 1 and sent(chain, "publish") == 0
        chain.wait(0)
        await turn(chain, clock, *members, turns=REST)
        assert stands(chain, request) and not rounds.first

    run(story())


def test_nothing_is_drawn_for_what_is_declined():
    async def story():
        chain, clock, members = undrawn(terms=Terms(COLLECTOR, min_fee=10**18))
        chain.ask_council()
        await turn(chain, clock, *members)
        assert (sent(chain, "publish"), chain.days) == (0, [])

    run(story())


@pytest.mark.slow
def test_a_death_at_any_point_draws_once():
    async def story(at):
        chain, line, clock = FakeCouncil(), Line(), FakeClock()
        chain.drawn = False
        plan, store = CrashPlan(at), MemoryStore()
        others = [Member(chain, line, key, clock=clock) for key in MEMBERS[1:]]
        one = Member(chain, line, COLLECTOR, store, clock=clock, plan=plan)
        requests = [chain.ask_council() for _ in range(2)]
        for _ in range(30):
            try:
                await one.start()
                await turn(chain, clock, one, turns=1)
            except Crash:
                one = Member(chain, line, COLLECTOR, store, clock=clock)
            await turn(chain, clock, *others, turns=1)
        assert all(stands(chain, request) for request in requests), at
        assert (sent(chain, "publish"), sent(chain, "draw")) == (1, 1), at
        return plan.dead

    async def all_points():
        at = 0
        while await story(at):
            at += 7  # no multiple of the calls of one turn, so that every kind of call is met
        assert at > 40

    run(all_points())


@pytest.mark.chain
def test_members_answer_on_a_day_that_nobody_drew(office, daemons, relay):
    drands(office, START + DAY)
    relay.say("DrandEvmnet", 1000, EVMNET[1000][0])
    office.wait(DAY)
    before = [nonce(office, key) for key in KEYS]
    first, *_ = [daemons(key, EINPROOF_DRAND=relay.url) for key in KEYS]
    request = asked(office)
    first.until(lambda: status(office, request) == PROVISIONAL, 60)
    assert [nonce(office, key) - had for key, had in zip(KEYS, before, strict=True)] == [3, 0, 0]
    moves = [line["move"] for line in first.logged() if line["event"] == "sent"]
    assert list(dict.fromkeys(moves)) == ["publish", "draw", "answer"]  # a resend is said, too
    assert not [line for line in first.logged() if line["level"] == "error"]
