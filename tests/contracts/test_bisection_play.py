"""The game of bisection, played: an honest challenger always wins against what is false, and an
honest operator never loses, whatever the others do and whenever they do it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from eth_hash.auto import keccak
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle.domain.bisection import (
    Board,
    Demand,
    Held,
    Lapse,
    Prove,
    Span,
    Wait,
    owed,
    pursue,
)
from tests.contracts.bench import BOND, CLOCK, COVERAGE, GWEI, LOCK, REWARD, WINDOW
from tests.contracts.court import LAPSED, MOVE_TIME, STAKE, UPHELD, Court, court, lie, run_of
from tests.contracts.desk import FINAL, PROVISIONAL, RETRACTED, Request
from tests.evm import Chain, Reverted, reverts

SEVEN = run_of(7)
WHOLE = Span(0, 7)
ON_CHAIN = settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def built(anvil: Chain) -> Court:
    return court(anvil, 7, 3)


@pytest.fixture
def tier(built: Court, chain: Chain) -> Court:
    """Seven segments, split three ways."""
    return built


# --- on paper: many games ---------------------------------------------------------------------


class Paper:
    """The rules once more, without a chain: what `pursue` and `owed` play on."""

    def __init__(self, run: Sequence[bytes], arity: int) -> None:
        ends = (run[0], run[-1])
        self.board = Board(len(run) - 1, arity, ends, 100, {})
        self.now = 0

    def put(self, span: Span, **held: object) -> None:
        found = self.board.at(span)
        kept = {name: getattr(found, name) for name in Held.__dataclass_fields__}
        spans = {**self.board.spans, span: Held(**{**kept, **held})}
        self.board = Board(
            self.board.segments, self.board.arity, self.board.states, self.board.demand_by, spans
        )

    def publish(self, span: Span, inner: Sequence[bytes]) -> None:
        place = self.board.place(span)
        ends = place.states[place.part : place.part + 2] or self.board.states
        demand_by = max(self.board.demand_by, self.now + 10)
        self.put(span, states=(ends[0], *inner, ends[1]), demand_by=demand_by)

    def truths(self, span: Span, truth: Sequence[bytes]) -> bool:
        """Whether a segment's proof exists."""
        place = self.board.place(span)
        return place.states[place.part : place.part + 2] == tuple(truth[span.start : span.stop + 1])


@settings(max_examples=300, deadline=None, derandomize=True)
@given(data=st.data())
def test_honest_challenger_wins_against_every_false_output(data: st.DataObject) -> None:
    """The cheat says at every split what it likes, and proves all that is true."""
    segments = data.draw(st.integers(2, 40))
    arity = data.draw(st.integers(2, 8))
    truth = [bytes([i]) for i in range(segments + 1)]
    paper = Paper([*truth[:-1], b"false"], arity)
    demands = 0
    for _ in range(100):
        turn = pursue(paper.board, truth, paper.now)
        match turn:
            case Demand(span):
                paper.put(span, owed_by=paper.now + 10)
                demands += 1
            case Lapse(span):
                assert not span.is_segment or not paper.truths(span, truth)
                break
            case Wait(until):
                due = owed(paper.board)[0]
                if isinstance(due, Prove):
                    assert not paper.truths(due.span, truth)
                    paper.now = until + 1
                elif data.draw(st.booleans(), label="gives up"):
                    paper.now = until + 1
                else:
                    parts = due.span.parts(arity)
                    inner = [
                        data.draw(st.sampled_from([truth[p.stop], b"lie"])) for p in parts[:-1]
                    ]
                    paper.publish(due.span, inner)
            case _:
                raise AssertionError("the honest challenger gave up")
    else:
        raise AssertionError("no end")
    depth = next(d for d in range(9) if arity**d >= segments)
    assert demands <= depth + 1  # so many bonds, all of which return


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.integers(1, 600), st.integers(2, 128))
def test_parts_cover_a_span_in_order(length: int, arity: int) -> None:
    parts = Span(5, 5 + length).parts(arity)
    assert [p.start for p in parts] == [5, *(p.stop for p in parts[:-1])]
    assert parts[-1].stop == 5 + length
    lengths = {p.stop - p.start for p in parts}
    assert min(lengths) >= 1
    assert max(lengths) - min(lengths) <= 1
    assert max(lengths) == -(-length // min(arity, length))


def test_nothing_to_pursue_in_a_right_claim() -> None:
    truth = [bytes([i]) for i in range(5)]
    assert pursue(Paper(truth, 2).board, truth, 0) is None


def test_nothing_to_pursue_once_the_time_to_demand_is_over() -> None:
    truth = [bytes([i]) for i in range(5)]
    board = Paper([*truth[:-1], b"false"], 2).board
    assert pursue(board, truth, board.demand_by) == Demand(Span(0, 4))
    assert pursue(board, truth, board.demand_by + 1) is None


# --- on the chain -----------------------------------------------------------------------------


@ON_CHAIN
@given(data=st.data())
def test_challenger_wins_wherever_the_lie_is(built: Court, data: st.DataObject) -> None:
    """A false output, and lies at whatever other boundaries."""
    tier = built
    snapshot = tier.chain.snapshot()
    inner = data.draw(st.sets(st.integers(1, 6)))
    run = lie(SEVEN, {*inner, 7})
    request = tier.stood(run)
    play(tier, request, run)
    assert (tier.status(request)[0], tier.outcome(request)) == (RETRACTED, LAPSED)
    assert (tier.owed(tier.requester), tier.owed(tier.challenger)) == (COVERAGE, REWARD)
    assert tier.account()["stake"] == STAKE // GWEI - LOCK
    tier.chain.restore(snapshot)


def play(tier: Court, request: Request, run: Sequence[bytes]) -> None:
    """Both sides to the end; each waits till its clock's last second now and then."""
    while tier.status(request)[0] == PROVISIONAL:
        turn = tier.challenge(request, run, SEVEN)
        assert turn is not None
        if isinstance(turn, Wait) and not tier.operate(request, run, SEVEN):
            tier.chain.next_timestamp(turn.until + 1)
            tier.chain.rpc("evm_mine")


@ON_CHAIN
@given(data=st.data())
def test_honest_operator_never_loses(built: Court, data: st.DataObject) -> None:
    """Challengers demand whatever they like, at whatever time; the operator gives what is owed, at
    the last second too."""
    tier = built
    snapshot = tier.chain.snapshot()
    request = tier.stood(SEVEN)
    bonds = 0
    for _ in range(data.draw(st.integers(1, 4))):
        spans = open_spans(tier, request)
        if not spans:
            break
        span = data.draw(st.sampled_from(spans))
        tier.demand(request, SEVEN, span, sender=data.draw(st.sampled_from(others(tier))))
        bonds += 1
        owed_by = tier.board(request, SEVEN).at(span).owed_by
        with reverts("TooEarly", owed_by):
            tier.hand_in(request, SEVEN, span)
        if data.draw(st.booleans(), label="last second"):
            tier.chain.next_timestamp(owed_by)
        assert tier.operate(request, SEVEN, SEVEN) == 1
        with reverts("NotOwed", *span):
            tier.hand_in(request, SEVEN, span)
    until = max(tier.since(request) + WINDOW, tier.game(request)["until"])
    tier.chain.next_timestamp(max(until, tier.chain.now()) + 1)
    tier.hand_in(request, SEVEN)
    assert (tier.status(request)[0], tier.outcome(request)) == (FINAL, UPHELD)
    assert tier.account() == {
        **tier.account(), "stake": STAKE // GWEI, "locked": 0, "suspended": False
    }  # fmt: skip
    assert tier.chain.balance(tier.optimistic.address) == bonds * BOND
    tier.chain.restore(snapshot)


def others(tier: Court) -> list[str]:
    return [tier.challenger, tier.rival, tier.stranger]


def open_spans(tier: Court, request: Request) -> list[Span]:
    """What can be demanded now."""
    board = tier.board(request, SEVEN)
    known = [board.whole] if tier.chain.now() + 2 <= board.demand_by else []
    for parent, held in board.spans.items():
        if held.states and tier.chain.now() + 2 <= held.demand_by:
            known += parent.parts(board.arity)
    return [span for span in known if not board.at(span).owed_by]


# --- attacks ----------------------------------------------------------------------------------


def test_front_run_demand_costs_the_challenger_nothing(tier: Court) -> None:
    """A copier that is first pays the bond, and plays the honest move: the cheat loses all the
    same, and who was copied has no bond at stake."""
    run = lie(SEVEN, [7])
    request = tier.stood(run)
    tier.demand(request, run, WHOLE, sender=tier.rival)
    with reverts("AlreadyDemanded", 0, 7):
        tier.demand(request, run, WHOLE)
    play(tier, request, run)
    assert tier.outcome(request) == LAPSED
    assert tier.burned() == COVERAGE


def test_sock_puppet_that_demands_the_wrong_part_shields_nobody(tier: Court) -> None:
    """The operator's own puppet asks for what is true: others may still ask for what is false."""
    run = lie(SEVEN, [6, 7])
    request = tier.stood(run)
    tier.demand(request, run, WHOLE, sender=tier.rival)
    tier.publish(request, run, WHOLE)
    first, *_, last = WHOLE.parts(3)
    tier.demand(request, run, first, sender=tier.rival)
    tier.operate(request, run, SEVEN)
    tier.demand(request, run, last)
    play(tier, request, run)
    assert tier.outcome(request) == LAPSED
    assert tier.owed(tier.challenger) == REWARD


def test_puppet_that_demands_what_is_not_given_saves_the_reward_alone(tier: Court) -> None:
    """Caught by a demand of the whole, the cheat splits it and demands the false part itself: the
    reward comes back, what the consumer gets and what is burned does not."""
    run = lie(SEVEN, [6, 7])
    request = tier.stood(run)
    tier.demand(request, run, WHOLE)
    tier.publish(request, run, WHOLE)
    *_, last = WHOLE.parts(3)
    tier.demand(request, run, last, sender=tier.rival)
    tier.wait(CLOCK + MOVE_TIME)
    tier.hand_in(request, run, last)
    assert tier.outcome(request) == LAPSED
    assert (tier.owed(tier.rival), tier.owed(tier.requester)) == (REWARD, COVERAGE)
    assert tier.burned() == COVERAGE
    assert tier.account()["stake"] == STAKE // GWEI - LOCK


def test_two_challengers_share_the_work(tier: Court) -> None:
    """What is demanded once is owed once; each gets its own bonds back."""
    run = lie(SEVEN, [3, 4, 5, 6, 7])
    request = tier.stood(run)
    senders = [tier.challenger, tier.rival]
    before = [tier.chain.balance(sender) for sender in senders]
    turns = 0
    while tier.status(request)[0] == PROVISIONAL:
        turn = tier.challenge(request, run, SEVEN, senders[turns % 2])
        turns += isinstance(turn, Demand)
        if isinstance(turn, Wait) and not tier.operate(request, run, SEVEN):
            tier.chain.next_timestamp(turn.until + 1)
            tier.chain.rpc("evm_mine")
    demanded = [span for span, held in tier.board(request, run).spans.items() if held.owed_by]
    assert len(demanded) == turns == 3
    for span in demanded:
        tier.collect(request, span)
    spent = [was - tier.chain.balance(sender) for was, sender in zip(before, senders, strict=True)]
    assert max(spent) < BOND // 10  # gas alone
    assert tier.owed(tier.rival) + tier.owed(tier.challenger) == REWARD


def test_challenger_is_not_exhausted_by_a_deep_game(tier: Court) -> None:
    """A bond a round, two rounds and a segment here: what it needs is known when it begins, and all
    of it returns."""
    run = lie(SEVEN, [7])
    request = tier.stood(run)
    play(tier, request, run)
    assert tier.chain.balance(tier.optimistic.address) == 3 * BOND


def test_mass_disputes_cost_each_segment_once(tier: Court) -> None:
    """Every span of a right claim demanded: seven proofs, four splits; then it is final at once,
    and every bond is lost."""
    request = tier.stood(SEVEN)
    demanded = 0
    while spans := open_spans(tier, request):
        for span in spans:
            tier.demand(request, SEVEN, span)
            demanded += 1
        tier.operate(request, SEVEN, SEVEN)
    assert tier.game(request)["proved"] == 7
    before = tier.chain.balance(tier.operator)
    tier.hand_in(request, SEVEN)
    assert tier.status(request)[0] == FINAL
    for span in tier.board(request, SEVEN).spans:
        tier.collect(request, span)
    assert tier.chain.balance(tier.operator) == before + request.cost + demanded * BOND


def test_late_publication_is_refused_and_leaves_the_claim_lost(tier: Court) -> None:
    request = tier.stood(SEVEN)
    tier.demand(request, SEVEN, WHOLE)
    owed_by = tier.board(request, SEVEN).at(WHOLE).owed_by
    tier.chain.next_timestamp(owed_by + 1)
    with reverts("TooLate", owed_by, owed_by + 1):
        tier.publish(request, SEVEN, WHOLE)


def test_operator_that_finds_no_proof_cannot_settle(tier: Court) -> None:
    """Neither by silence, nor by what is no proof, nor by naming another span."""
    run = lie(SEVEN, [7])
    request = tier.stood(run)
    for span in (WHOLE, Span(4, 7), Span(6, 7)):
        tier.demand(request, run, span)
        tier.operate(request, run, SEVEN)
    with pytest.raises(Reverted):
        tier.prove_segment(request, run, 6, proof=keccak(b"no proof"))
    tier.wait(WINDOW * 2)
    with reverts("StillOwed", 1):
        tier.hand_in(request, run)
    with reverts("NotOwed", 4, 7):
        tier.hand_in(request, run, Span(4, 7))
