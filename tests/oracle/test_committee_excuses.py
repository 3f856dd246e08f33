"""Members without an answer: silent, unless they are summoned; nobody is fined for what it cannot
answer."""

from traceback import walk_tb

import pytest

from oracle.domain.chain import Status
from oracle.domain.committee import DAY
from oracle.domain.errors import InputRefused
from oracle.domain.job import JobState
from oracle.fakes import TERMS, FakeEngine, FakeSigner, fake_output
from oracle.services.moves import opening
from oracle.services.sit import LOOK
from oracle.services.work import Terms
from tests.oracle.chamber import COLLECTOR, GRACE, MEMBERS, NOTHING
from tests.oracle.test_committee import Corrupt, Member, seated, turn
from tests.oracle.world import run


class Strict(FakeEngine):
    async def run(self, folder, input):
        raise InputRefused("expected values in [-128, 127], got [0, 400]")


class Counting(FakeEngine):
    runs = 0

    async def run(self, folder, input):
        self.runs += 1
        raise InputRefused("not this one")


async def summoned(chain, clock, members, request):
    """Members look again, are summoned, and have their time to speak."""
    chain.summon(request)
    for wait in (0, GRACE):
        chain.wait(wait)
        clock.time += LOOK
        await turn(chain, clock, *members)


def absent(chain, request):
    """Places that could be fined."""
    return [p for p in range(3) if chain.said.get((request.id, p), (b"", NOTHING))[1] == NOTHING]


def unheld(chain, members):
    return chain.ask_council(model_id=b"\7" * 32)


def stopped(chain, members):
    request = chain.ask_council()
    chain.stopped_models.add(request.model_id)
    return request


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize(
    ("engines", "ask"),
    [((Strict(),) * 3, None), ((), unheld), ((), stopped)],
    ids=["an input without an answer", "a model that nobody holds", "a stopped verifier"],
)
def test_who_is_summoned_for_what_it_cannot_answer_says_so_and_is_not_fined(engines, ask, many):
    async def story():
        chain, line, clock, members = seated(*engines, many=many)
        request = ask(chain, members) if ask else chain.ask_council()
        await turn(chain, clock, *members)
        assert [await chain.nonce(m) for m in MEMBERS] == [0, 0, 0]  # silent until then
        assert await line.read(request.id, chain.timestamp // DAY) == []
        await summoned(chain, clock, members, request)
        assert absent(chain, request) == []
        assert chain.stage(request).standing == ("", b"")  # nobody hands the excuse in
        assert [await chain.nonce(m) for m in MEMBERS] == [2, 2, 2]
        job = await members[1].job(request)
        assert job.state is JobState.SEATED and job.note

    run(story())


def test_engines_that_disagree_are_an_excuse_too():
    async def story():
        chain, line, clock, _ = seated()
        odd = Member(chain, line, MEMBERS[1], clock=clock, second=Corrupt())
        request = chain.ask_council()
        await summoned(chain, clock, [odd], request)
        assert absent(chain, request) == [0, 2]

    run(story())


def test_one_without_an_answer_keeps_the_others_from_none():
    async def story():
        chain, line, clock, members = seated(None, None, Strict())
        line.down = True
        request = chain.ask_council()
        await turn(chain, clock, *members)
        await summoned(chain, clock, members, request)
        assert absent(chain, request) == []
        assert chain.stage(request).standing == (MEMBERS[0], fake_output(request.input))

    run(story())


def test_an_excuse_is_opened_though_the_others_claim_stands():
    async def story():
        chain, _, clock, members = seated(None, None, Strict())
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, *members)
        assert chain.stage(request).standing == (MEMBERS[0], fake_output(request.input))
        made, shown = chain.said[request.id, 2]
        assert any(made) and not any(shown)
        chain.wait(GRACE)
        await turn(chain, clock, *members)
        assert any(chain.said[request.id, 2][1])

    run(story())


def test_what_is_refused_is_found_out_once_and_ends_with_the_deadline():
    async def story():
        engine = Counting()
        chain, _, clock, members = seated(engine)
        request = chain.ask_council(deadline=chain.timestamp + 500)
        traces = []
        for _ in range(4):
            clock.time += LOOK
            await turn(chain, clock, members[0])
            (refusal,) = members[0].work._refusals.values()
            traces.append(len(list(walk_tb(refusal.__traceback__))))
        assert engine.runs == 1
        assert max(traces) == traces[0]  # what is remembered does not grow with each look
        chain.wait(600)
        clock.time += LOOK
        await turn(chain, clock, members[0])
        assert (await members[0].job(request)).state is JobState.EXPIRED
        assert await chain.nonce(MEMBERS[0]) == 0

    run(story())


def test_a_member_that_starts_again_with_an_empty_database_opens_the_same_excuse():
    async def story():
        chain, line, clock, members = seated(Strict())
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, members[0])
        made, _ = chain.said[request.id, 0]
        again = Member(chain, line, MEMBERS[0], clock=clock, engine=Strict())
        chain.wait(GRACE)
        await turn(chain, clock, again)
        job = await again.job(request)
        said = opening(FakeSigner(MEMBERS[0]), request, job.answer, chain.timestamp // DAY)
        assert chain.said[request.id, 0] == (made, said.claim) and said.output == b""

    run(story())


def test_a_member_that_can_answer_gives_no_excuse():
    """And so is fined if it keeps away: the excuse is for who has no answer."""

    async def story():
        chain, line, clock, members = seated()
        line.down = True
        request = chain.ask_council()
        await summoned(chain, clock, members[:2], request)
        assert absent(chain, request) == [2]
        for place in (0, 1):
            _, shown = chain.said[request.id, place]
            job = await members[place].job(request)
            said = opening(FakeSigner(MEMBERS[place]), request, job.answer, chain.timestamp // DAY)
            assert shown == said.claim and said.output == fake_output(request.input)

    run(story())


# --- what pays too little -----------------------------------------------------------------------

#: By what is asked of each; a claim binds every seat for four days.
RATE = 10**15
UNDERPAID = {
    "a fee": Terms(COLLECTOR, min_fee=10**18 + 1),
    "a callback's price": Terms(COLLECTOR, min_callback_price=2),
    "less coverage": Terms(COLLECTOR, max_coverage=TERMS.coverage - 1),
    "its own time to prove": Terms(COLLECTOR, max_proving=TERMS.proving - 1),
    "the price of coverage": Terms(COLLECTOR, coverage_rate=RATE),
}


def charging(terms):
    chain, line, clock, _ = seated()
    return chain, line, clock, [Member(chain, line, m, clock=clock, terms=terms) for m in MEMBERS]


@pytest.mark.parametrize("terms", UNDERPAID.values(), ids=UNDERPAID)
def test_what_pays_too_little_gets_no_word_and_on_a_summons_the_empty_one(terms):
    async def story():
        chain, line, clock, members = charging(terms)
        request = chain.ask_council(fee=96 * RATE - 1, callback_gas=1, callback_gas_price=1)
        await turn(chain, clock, *members)
        assert await line.read(request.id, chain.timestamp // DAY) == []
        assert chain.stage(request).standing == ("", b"")
        await summoned(chain, clock, members, request)
        assert absent(chain, request) == []
        assert chain.stage(request).standing == ("", b"")
        job = await members[1].job(request)
        assert job.state is JobState.SEATED and "this" in job.note

    run(story())


def test_what_pays_for_the_days_that_seats_are_reserved_is_answered():
    async def story():
        chain, _, clock, members = charging(Terms(COLLECTOR, coverage_rate=RATE))
        request = chain.ask_council(fee=96 * RATE)
        await turn(chain, clock, *members)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))

    run(story())


def test_a_lie_that_pays_nothing_is_refuted_all_the_same():
    """Two take it for nothing, and lie; the third would not have, and was summoned."""

    async def story():
        chain, line, clock, (first, second, _) = seated(Corrupt(), Corrupt())
        honest = Member(chain, line, MEMBERS[2], clock=clock, terms=UNDERPAID["less coverage"])
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, first, second, honest)
        assert chain.slashed == MEMBERS[:2]
        assert chain.stage(request).status is Status.FINAL

    run(story())


def test_an_excuse_for_what_pays_too_little_is_opened_though_a_claim_stands():
    async def story():
        chain, line, clock, (first, second, _) = seated()
        dear = Member(chain, line, MEMBERS[2], clock=clock, terms=UNDERPAID["less coverage"])
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, first, second, dear)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))
        chain.wait(GRACE)
        await turn(chain, clock, first, second, dear)
        assert absent(chain, request) == []
        assert (await dear.job(request)).state is JobState.CHECKED

    run(story())
