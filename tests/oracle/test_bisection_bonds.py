"""Bonds of a bisection as the challenger's budget has them, and who needs none."""

from dataclasses import replace

from structlog.testing import capture_logs

from oracle.domain.bisection import Outcome, Span
from oracle.domain.chain import Fees, Status
from oracle.domain.job import JobState
from oracle.fakes import CHALLENGER, OPERATOR, QUOTE, Refusal
from oracle.services.bisect import LOOK, PROOF_GAS
from oracle.services.flight import Posting
from oracle.services.post import HOUR
from tests.oracle.arena import SEGMENTS, Arena, Liar, Pursuer
from tests.oracle.test_bisection import (
    CLAIM,
    WHOLE,
    kinds,
    moves_of,
    operator,
    segment,
    to_the_end,
    turns,
)
from tests.oracle.world import run

DECOYS = 2
#: What all proofs of a run cost at the market's price.
PAYS = SEGMENTS * PROOF_GAS * 10**9


def demanded(chain, request):
    return [Span(*move[2:4]) for move in chain.stage(request).disputes if move[0] == "demanded"]


def test_later_bonds_against_decoys_leave_the_hour_to_the_first_against_a_large_lie():
    """Who splits all that was demanded of it within one hour, and lies anew in that hour."""

    async def story():
        chain = Arena()
        posting = Posting(hourly_bonds=DECOYS * QUOTE.bond)
        one, other = operator(chain, Liar(1)), Pursuer(chain, posting=posting)
        small = replace(CLAIM, coverage=1).word
        decoys = [chain.ask_bisected(terms=small) for _ in range(DECOYS)]
        await turns(chain, one)
        await turns(chain, other)
        assert [demanded(chain, decoy) for decoy in decoys] == [[WHOLE]] * DECOYS
        other.clock.time += 2 * HOUR
        request = chain.ask_bisected()
        await turns(chain, one)
        assert all(chain.board(chain.stage(decoy)).at(WHOLE).states for decoy in decoys)
        await turns(chain, other)
        assert [demanded(chain, decoy) for decoy in decoys] == [[WHOLE, Span(0, 2)]] * DECOYS
        assert demanded(chain, request) == [WHOLE]

    run(story())


def test_first_bonds_against_large_and_small_lies_share_the_hour():
    async def story():
        chain = Arena()
        posting = Posting(hourly_bonds=QUOTE.bond)
        one, other = operator(chain, Liar(1)), Pursuer(chain, posting=posting)
        requests = [chain.ask_bisected() for _ in range(2)]
        await turns(chain, one)
        await turns(chain, other)
        assert sorted(len(demanded(chain, request)) for request in requests) == [0, 1]

    run(story())


class Struck(Arena):
    """Its operators were slashed over other claims, once they are `struck`."""

    struck = False

    def _account(self, owner, stages=None):
        found = super()._account(owner, stages)
        return replace(found, suspended=found.suspended or self.struck)


async def struck_in_its_window(chain):
    """An operator with a right claim that pays for its proofs, slashed elsewhere meanwhile."""
    one = operator(chain)
    request = chain.ask_bisected(fee=PAYS)
    await turns(chain, one)
    chain.struck = True
    chain.wait(QUOTE.window)
    return one, request


def test_a_lie_of_who_was_slashed_is_pursued_without_a_bond():
    async def story():
        chain = Struck()
        posting = Posting(hourly_bonds=0)
        one, other = operator(chain, Liar(3)), Pursuer(chain, posting=posting)
        request = chain.ask_bisected()
        await turns(chain, one)
        chain.struck = True
        await to_the_end(chain, request, one, other)
        assert chain.stage(request).slashed
        assert moves_of(chain, CHALLENGER) == ["demand"] * 3 + ["answer"]
        assert "collected" not in kinds(chain, request)

    run(story())


def test_a_right_claim_of_who_was_slashed_is_demanded_by_itself_and_proved():
    """Its window is over, and silence is enough no more: only what was demanded can be split."""

    async def story():
        chain = Struck()
        one, request = await struck_in_its_window(chain)
        await to_the_end(chain, request, one)
        stage = chain.stage(request)
        assert (stage.status, stage.slashed) == (Status.FINAL, False)
        assert chain.board(stage).outcome is Outcome.UPHELD
        half = ["split", "segment", "segment"]
        assert moves_of(chain, OPERATOR) == ["answer", "demand", "split", *half, *half, "answer"]
        assert (await one.job(request)).state is JobState.SETTLED

    run(story())


def test_a_right_claim_of_who_was_slashed_is_proved_once_that_costs_no_more_than_it_pays():
    """Nothing is owed: gas has a week to become cheaper."""

    async def story():
        chain = Struck()
        one = operator(chain)
        request = chain.ask_bisected(fee=PAYS)
        await turns(chain, one)
        chain.struck, chain.market = True, Fees(10**9 + 1, 10**8)
        chain.wait(QUOTE.window)
        for _ in range(3):
            await turns(chain, one)
            chain.wait(LOOK)
        assert (await one.job(request)).state is JobState.PROVISIONAL
        assert moves_of(chain, OPERATOR) == ["answer"]
        chain.market = Fees(10**9, 10**8)
        await to_the_end(chain, request, one)
        assert chain.stage(request).status is Status.FINAL

    run(story())


def test_a_slash_that_a_reorg_takes_back_asks_for_no_proof():
    async def story():
        chain = Struck()
        one, request = await struck_in_its_window(chain)
        while (await one.job(request)).demand is None:
            await one.step()
        chain.struck = False
        await to_the_end(chain, request, one)
        assert moves_of(chain, OPERATOR) == ["answer", "answer"]
        assert (await one.job(request)).state is JobState.SETTLED

    run(story())


def test_a_demand_of_ones_own_that_is_refused_for_a_moment_is_made_later():
    class Shaken(Struck):
        refusals = 2

        def _demand(self, *move):
            if self.refusals:
                self.refusals -= 1
                raise Refusal("WrongStatus")
            super()._demand(*move)

    async def story():
        chain = Shaken()
        one, request = await struck_in_its_window(chain)
        await to_the_end(chain, request, one)
        assert chain.refusals == 0 and chain.stage(request).status is Status.FINAL

    run(story())


def test_a_claim_of_who_was_slashed_that_can_be_demanded_no_more_is_given_up():
    """The oracle's week ends before it could be proved."""

    class Late(Struck):
        def _demand(self, *move):
            raise Refusal("TooLate")

    async def story():
        chain = Late()
        one, request = await struck_in_its_window(chain)
        await turns(chain, one)
        job = await one.job(request)
        assert job.state is JobState.EXPIRED and "the week" in job.verdict.reason
        assert moves_of(chain, OPERATOR) == ["answer"]

    run(story())


class Broken(Arena):
    """Its verifier takes anything."""

    def _verify(self, *proved):
        pass


def test_a_segment_that_was_proved_against_our_own_run_is_said():
    """One of the two is broken, and nothing more can be done in the game."""

    async def story():
        chain, liar = Broken(), Liar(1)
        one, other = operator(chain, liar), Pursuer(chain)
        request = chain.ask_bisected()
        for _ in range(3):
            await turns(chain, one)
            await turns(chain, other)
            if Span(0, 1) in demanded(chain, request):
                break
        false = await liar.steps(None, request.input)
        chain.mine(chain.by("0x" + "ee" * 20, segment(chain, request, 0, false)))
        await turns(chain, other)
        assert (await other.job(request)).move is None
        return request

    with capture_logs() as logs:
        request = run(story())
    (said,) = [line for line in logs if "contradicts" in line["event"]]
    assert (said["log_level"], said["id"], said["segment"]) == ("error", request.id.hex(), 0)
