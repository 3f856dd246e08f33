"""A committee's members over fakes: words, silence, dissent, refutation; a death at any point."""

from dataclasses import replace

import pytest

from oracle.adapters.memory import MemoryStore
from oracle.domain.chain import Round, Status
from oracle.domain.committee import Word, digest, signed_openings
from oracle.domain.errors import BoardUnavailable, ProverFailed
from oracle.domain.job import JobState
from oracle.domain.report import FORESEEABLE, NOT_LOOKED_UP, Lookup, Stake, Worth, trust_report
from oracle.domain.request import Answer
from oracle.fakes import (
    BEACON,
    IDENTITY,
    MODEL,
    Crash,
    CrashPlan,
    FakeClock,
    FakeEngine,
    FakeProver,
    FakeSigner,
    fake_output,
)
from oracle.ports import Engine
from tests.oracle.chamber import (
    COLLECTOR,
    COUNCIL,
    GRACE,
    MEMBERS,
    QUOTED,
    FakeCouncil,
    Line,
    Member,
    turn,
)
from tests.oracle.world import run


class Corrupt(FakeEngine):
    name = "corrupt"

    async def run(self, folder, input):
        return b"wrong" + fake_output(input)[5:]


def seated(*engines: Engine | None, provers=(None, None, None), many=False):
    """A chain, a clock and its three members, with these engines."""
    chain, line, clock = FakeCouncil(many=many), Line(), FakeClock()
    engines = [*engines, None, None, None][:3]
    members = [
        Member(chain, line, key, clock=clock, engine=engine, prover=prover)
        for key, engine, prover in zip(MEMBERS, engines, provers, strict=True)
    ]
    return chain, line, clock, members


def status(chain, request):
    return chain.stage(request).status


@pytest.mark.parametrize("many", [False, True])
def test_members_agree_and_the_collector_hands_in_and_finalises(many):
    async def story():
        chain, _, clock, members = seated(many=many)
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))
        assert (await members[1].job(request)).state is JobState.CHECKED
        assert status(chain, request) is Status.PROVISIONAL
        chain.wait(QUOTED.window)
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.FINAL
        assert [(await m.job(request)).state for m in members] == [JobState.SETTLED] * 3
        assert [await chain.nonce(m) for m in MEMBERS] == [2, 0, 0]

    run(story())


def test_one_absent_or_lying_member_keeps_nobody_from_an_answer():
    async def story(engine, present):
        chain, _, clock, members = seated(None, None, engine)
        request = chain.ask_council()
        await turn(chain, clock, *members[:present])
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))

    run(story(None, 2))
    run(story(Corrupt(), 2))


def test_a_member_opens_only_when_a_quorum_has_committed():
    async def story():
        chain, line, clock, members = seated()
        request = chain.ask_council()
        await turn(chain, clock, members[0])
        (word,) = await line.read(request.id, chain.timestamp // 86_400)
        assert (word.member, word.opened) == (COLLECTOR, None)
        assert status(chain, request) is Status.OPEN
        await turn(chain, clock, *members[:2])
        words = await line.read(request.id, chain.timestamp // 86_400)
        assert all(word.opened for word in words) and len(words) == 2

    run(story())


def test_a_lazy_member_that_copies_a_commitment_opens_nothing():
    """The commitment names its author; what a copier signs counts for no claim."""

    async def story():
        chain, line, clock, members = seated()
        request = chain.ask_council()
        await turn(chain, clock, members[0], turns=3)
        epoch = chain.timestamp // 86_400
        (word,) = await line.read(request.id, epoch)
        signed = digest(31337, COUNCIL.assurance, request.id, epoch, word.commitment)
        copied = Word(
            request.id, epoch, MEMBERS[1], word.commitment, FakeSigner(MEMBERS[1]).attest(signed)
        )
        await line.put(copied)
        await turn(chain, clock, members[0], turns=4)
        first = next(w for w in await line.read(request.id, epoch) if w.member == COLLECTOR)
        assert first.opened is not None
        with pytest.raises(BoardUnavailable, match="not the word"):
            await line.put(replace(copied, opened=first.opened))
        words = await line.read(request.id, epoch)
        committee = await chain.committee(COUNCIL, epoch)
        assert len(signed_openings(committee, words, first.opened.claim)) == 1
        assert status(chain, request) is Status.OPEN

    run(story())


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("stranger", "not the word"),
        ("forged", "not the word"),
        ("other epoch", "not the word"),
        ("unknown", "not known here"),
        ("second", "something else already"),
        ("old", "no words are exchanged"),
        ("of tomorrow", "no words are exchanged"),
    ],
)
def test_the_board_takes_no_word_that_a_member_did_not_give(how, said):
    """Nor looks an old committee up, among the logs of its day: anybody could ask for old ones
    without end."""

    async def story():
        chain, line, clock, members = seated()
        request = chain.ask_council()
        await turn(chain, clock, members[0], turns=3)
        epoch = chain.timestamp // 86_400
        (word,) = await line.read(request.id, epoch)

        def by(key, **changes):
            made = replace(word, member=key, **changes)
            fields = (made.request_id, made.epoch, made.commitment)
            signed = digest(31337, COUNCIL.assurance, *fields)
            return replace(made, signature=FakeSigner(key).attest(signed))

        bad = {
            "stranger": by("0x" + "0B" * 20),
            "forged": replace(word, member=MEMBERS[1]),
            "other epoch": replace(word, epoch=epoch - 1),
            "unknown": by(COLLECTOR, request_id=bytes(32)),
            "second": by(COLLECTOR, commitment=bytes(32)),
            "old": by(COLLECTOR, epoch=epoch - 2),
            "of tomorrow": by(COLLECTOR, epoch=epoch + 1),
        }[how]
        looked, plain = [], chain.committee

        async def committee(tier, epoch):
            looked.append(epoch)
            return await plain(tier, epoch)

        chain.committee = committee
        with pytest.raises(BoardUnavailable, match=said):
            await line.put(bad)
        assert set(looked) <= {epoch, epoch - 1}
        assert await line.read(request.id, epoch) == [word]

    run(story())


def test_engines_that_disagree_say_nothing():
    async def story():
        chain, line, clock, members = seated()
        odd = Member(chain, line, MEMBERS[1], clock=clock, second=Corrupt())
        request = chain.ask_council()
        await turn(chain, clock, odd)
        job = await odd.job(request)
        assert job.state is JobState.SEATED and "nothing is said" in job.note
        assert await line.read(request.id, chain.timestamp // 86_400) == []
        assert await chain.nonce(MEMBERS[1]) == 0
        assert members

    run(story())


@pytest.mark.parametrize("many", [False, True])
def test_a_captured_committee_is_refuted_by_the_honest_member_and_slashed(many):
    async def story():
        chain, _, clock, members = seated(Corrupt(), Corrupt(), None, many=many)
        request = chain.ask_council()
        await turn(chain, clock, *members[:2])
        assert chain.stage(request).standing[1] != fake_output(request.input)
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.FINAL
        assert chain.slashed == MEMBERS[:2]
        (settled,) = chain.settlements(request)
        assert (settled.payee, settled.output) == (MEMBERS[2], fake_output(request.input))
        assert await chain.nonce(MEMBERS[2]) == 2  # dissent, refutation

    run(story())


def test_a_dissent_from_what_is_right_is_answered_with_a_proof():
    async def story():
        chain, _, clock, members = seated(None, None, Corrupt())
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.FINAL
        (settled,) = chain.settlements(request)
        assert (settled.payee, settled.output) == (COLLECTOR, fake_output(request.input))
        assert members[0].prover.proved == 1 and members[1].prover.proved == 0
        assert chain.slashed == []
        assert (await members[2].job(request)).state in (JobState.SETTLED, JobState.FAILED)

    run(story())


def test_a_dissent_that_nobody_can_prove_gives_the_payment_back():
    class Unable(FakeProver):
        async def prove(self, folder, context, input):
            raise ProverFailed("no memory")

    async def story():
        chain, _, clock, members = seated(Corrupt(), Corrupt(), None, provers=[Unable()] * 3)
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert chain.stage(request).prove_by
        chain.mine()
        chain.wait(QUOTED.prove)
        standing = chain.stage(request).standing
        chain.mine(chain.by("anyone", chain.answer_call(request, Answer(*standing, b"", COUNCIL))))
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.RETRACTED and chain.slashed == []
        assert (await members[2].job(request)).state is JobState.REFUNDED

    run(story())


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("posts", [True, False])
def test_summoned_members_speak_on_chain_when_the_board_is_away(posts, many):
    """With the collector there, or without: then a member hands in, later."""

    async def story():
        chain, line, clock, members = seated(many=many)
        line.down = True
        request = chain.ask_council()
        there = members if posts else members[1:]
        await turn(chain, clock, *there)
        assert status(chain, request) is Status.OPEN
        chain.summon(request)
        await turn(chain, clock, *there)
        assert len(chain.said) == len(there)
        chain.wait(GRACE)
        await turn(chain, clock, *there)
        if not posts:
            assert status(chain, request) is Status.OPEN
            chain.wait(GRACE // 2)
            await turn(chain, clock, *there)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))

    run(story())


@pytest.mark.parametrize("many", [False, True])
def test_who_is_summoned_for_nothing_earns_the_bond_though_a_claim_stands(many):
    """The board takes words, so that the collector hands in before anybody could reveal: what was
    committed to on-chain is opened all the same, and then the claim goes on."""

    async def story():
        chain, _, clock, members = seated(many=many)
        request = chain.ask_council()
        chain.summon(request)
        await turn(chain, clock, *members)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))
        there = [place for place in range(3) if (request.id, place) in chain.said]
        assert there and not any(any(chain.said[request.id, place][1]) for place in there)
        chain.wait(GRACE)
        await turn(chain, clock, *members)
        assert all(any(chain.said[request.id, place][1]) for place in there)
        chain.wait(QUOTED.window)
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.FINAL

    run(story())


def test_nothing_is_said_before_the_draw_nor_after_the_deadline():
    async def story():
        chain, line, clock, members = seated()
        chain.drawn, chain.seats = False, 0
        chain.rounds.add(chain.timestamp // 86_400)
        request = chain.ask_council(deadline=chain.timestamp + 500)
        await turn(chain, clock, *members)
        assert await line.read(request.id, chain.timestamp // 86_400) == []
        chain.wait(600)
        chain.drawn = True
        await turn(chain, clock, *members)
        assert (await members[0].job(request)).state is JobState.EXPIRED
        assert await chain.nonce(COLLECTOR) == 0

    run(story())


@pytest.mark.slow
@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("role", ["collector", "dissenter"])
def test_a_death_at_any_point_loses_nothing_and_repeats_nothing(role, many):
    """The collector (whose board dies with it), or the honest member of a captured committee; who
    sign one by one, or as one."""

    async def story(at):
        corrupt = None if role == "collector" else Corrupt()
        chain, line, clock = FakeCouncil(many=many), Line(), FakeClock()
        mortal = MEMBERS[0 if role == "collector" else 2]
        plan, store = CrashPlan(at), MemoryStore()

        def seat(key, *, plan=None, store=None):
            engine = corrupt if key != mortal else None
            return Member(chain, line, key, store, clock=clock, engine=engine, plan=plan)

        others = [seat(key) for key in MEMBERS if key != mortal]
        one = seat(mortal, plan=plan, store=store)
        request = chain.ask_council()
        for _ in range(2):
            for _ in range(14):
                try:
                    await one.start()
                    await turn(chain, clock, one, turns=1)
                except Crash:
                    one = seat(mortal, store=store)
                    await one.start()
                await turn(chain, clock, *others, turns=1)
                if status(chain, request) is Status.FINAL:
                    break
            if status(chain, request) is Status.PROVISIONAL:
                chain.wait(QUOTED.window)
        assert status(chain, request) is Status.FINAL, (at, await one.job(request))
        (settled,) = chain.settlements(request)
        assert settled.output == fake_output(request.input)
        assert await chain.nonce(mortal) == 2, at
        return plan.dead

    async def all_points():
        at = 0
        while await story(at):
            at += 3  # no multiple of the calls of one turn, so that every kind of call is met
        assert at > 40

    run(all_points())


def test_a_reorg_takes_back_what_stood_and_it_is_handed_in_again():
    async def story():
        chain, _, clock, members = seated()
        request = chain.ask_council()
        await turn(chain, clock, *members)
        assert status(chain, request) is Status.PROVISIONAL
        chain.reorg(2, keep=True)
        chain.mine(request) if request.id not in chain.chain[-1].stages else None
        await turn(chain, clock, *members, turns=30)
        assert chain.stage(request).standing == (COLLECTOR, fake_output(request.input))
        assert request.model_id == MODEL

    run(story())


def test_the_trust_report_says_who_could_have_agreed_on_a_lie():
    chain = FakeCouncil()
    request = chain.ask_council()
    silent = trust_report(IDENTITY, request, COUNCIL, COLLECTOR, Stake(QUOTED, Worth.SILENCE))
    assert silent["tier"] == "Committee" and silent["proved"] == []
    assert silent["could_have_cheated"][0].startswith("a quorum of the day's committee together")
    assert not any("the operator" in line for line in silent["could_have_cheated"])
    assert silent["staked"]["locked_gwei"] == QUOTED.lock
    proved = trust_report(IDENTITY, request, COUNCIL, COLLECTOR, Stake(QUOTED, Worth.PROOF))
    assert proved["proved"] and "quorum" not in str(proved["could_have_cheated"])


def test_the_trust_report_says_who_knows_whom_the_beacon_will_draw():
    chain = FakeCouncil()
    request = chain.ask_council()
    draw = Round(BEACON, True, 7, True, 3)

    def told(draw):
        found = None if draw is None else Lookup(False, committee=draw)
        stake = Stake(QUOTED, Worth.PROVISIONAL)
        report = trust_report(IDENTITY, request, COUNCIL, COLLECTOR, stake, found)
        cheats = report["could_have_cheated"]
        foreseen = [line for line in cheats if FORESEEABLE in line]
        operators = [line for line in cheats if line.startswith("the beacon's operators")]
        assert cheats[1:-4] == [*foreseen, *operators]
        return report, foreseen, operators

    report, foreseen, operators = told(draw)
    assert report["committee"] == {"beacon": BEACON, "round": 7, "label": FORESEEABLE}
    assert foreseen[0].startswith("whoever took the seats that would be drawn") and not operators
    report, foreseen, operators = told(replace(draw, development=False))
    assert report["committee"]["label"] == "public: its rounds are signed"
    assert operators and not foreseen
    report, foreseen, operators = told(None)
    assert report["committee"] == {"label": NOT_LOOKED_UP}
    assert "which beacon drew the committee" in report["not_looked_up"]
    assert operators and "if draws are by" in foreseen[0]
