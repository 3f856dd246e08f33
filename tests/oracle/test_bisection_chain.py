"""The bisection tier's service on real contracts; the double of the verifier proves segments."""

from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.adapters.deployment import Deployment
from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.adapters.wallet import Wallet
from oracle.bootstrap import Parts, Site
from oracle.docket import Docket
from oracle.domain.bisection import Outcome, Run, Span
from oracle.domain.errors import ModelMissing
from oracle.domain.job import JobState
from oracle.domain.move import Move, Role
from oracle.domain.request import TierKind
from oracle.domain.terms import UNANSWERABLE, ClaimTerms
from oracle.fakes import FakeClock, FakeRounds
from oracle.operations import ask, compose, segment_count
from oracle.services.check import Check, Vigilance
from oracle.services.flight import Posting, Runway
from oracle.services.serve import Write
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from prover.composition import composition_id
from tests.contracts.bench import BOND, COVERAGE, GWEI, LOCK, PROVING, REWARD, WINDOW
from tests.contracts.court import MOVE_TIME, STAKE, Court, court
from tests.contracts.desk import FINAL, RETRACTED
from tests.evm import Chain
from tests.oracle.desk import Office
from tests.oracle.world import run

pytestmark = pytest.mark.chain

SEGMENTS, ARITY = 6, 2
INPUT = bytes(8)
OPERATOR, CHALLENGER = (open_signer(key, "", 31337) for key in ("dev:1", "dev:3"))


def after(segment, data):
    return keccak(bytes([segment]) + data)[:8]


class Models:
    async def find(self, model_id):
        return Path("composition")


class Runner:
    """Runs that are false from a boundary on, or halt there."""

    name = "echo"

    def __init__(self, lie=99, halts=99):
        self.lie, self.halts = lie, halts

    async def steps(self, folder, input):
        data = [input]
        for segment in range(SEGMENTS):
            if segment == self.halts:
                return Run(tuple(data), halted=True)
            data.append(after(segment, data[-1]))
        false = [bytes(8 - len(b"lie")) + b"lie" for _ in data[self.lie :]]
        return Run((*data[: self.lie], *false), halted=False)


class Prover:
    """What EchoVerifier takes for a proof, of what is true."""

    def __init__(self, ids):
        self.ids = ids

    async def prove(self, folder, context, input):
        at = int(folder.name)
        output = after(at, input)
        kinds = ["bytes32", "bytes32", "bytes", "bytes"]
        return output, keccak(encode(kinds, [self.ids[at], context, input, output]))


class Player:
    """One role's loops, in this process."""

    def __init__(self, office, role, signer, engine):
        chain, store, clock = office.chain(), MemoryStore(), FakeClock()
        self.chain, self.store = chain, store
        prover = Prover(office.desk.ids)
        seat = Seat(role, signer.address, set(office.tiers))
        self.watch = Watch(chain, store, office.identity, office.first, 0, seat)
        common = (chain, store, Models())
        if role is Role.OPERATOR:
            tiers = frozenset({TierKind.BISECTION})
            terms = Terms(signer.address, tiers=tiers, unanswerable=True)
            self.work = Work(
                *common, engine, prover, clock, office.identity, terms, "operator", None
            )
        else:
            self.work = Check(
                *common,
                (engine, engine),
                prover,
                clock,
                office.identity,
                signer,
                Vigilance(),
                "challenger",
            )
        posting = Posting(hourly_bonds=100 * BOND)
        runway = Runway(chain, store, signer, clock, 31337, posting, "writer", FakeRounds())
        self.write = Write(runway)

    async def rest(self):
        quiet = 0
        while quiet < 3:
            busy = [await part.step() for part in (self.watch, self.work, self.write)]
            quiet = 0 if any(busy) else quiet + 1

    async def job(self, request):
        return await self.store.run(lambda ledger: ledger.job(request.id))


@pytest.fixture(scope="module")
def built():
    with Chain.start() as chain:
        made = court(chain, SEGMENTS, ARITY)
        yield made


@pytest.fixture
def office(built: Court):
    snapshot = built.chain.snapshot()
    made = Office.around(built, {built.optimistic.address: TierKind.BISECTION})
    made.first = int(built.chain.rpc("eth_blockNumber"), 16)
    built.stake(owner=OPERATOR.address)
    yield made
    built.chain.restore(snapshot)


def asked(office):
    return office.ask(INPUT, assurance=office.desk.optimistic.address)


def status(office, request):
    return office.evm.call(office.desk.oracle.functions.statusOf(request.id))[0]


def spans(office, request):
    """What was demanded, in order."""
    tier = office.desk.optimistic
    wanted = {"from_block": 0, "argument_filters": {"requestId": request.id}}
    events = tier.events.Demanded().get_logs(**wanted)
    return [Span(event["args"]["from"], event["args"]["to"]) for event in events]


def game(office, request):
    return office.evm.call(office.desk.optimistic.functions.gameOf(request.id))


async def play(office, request, *players, pause=MOVE_TIME // 2):
    for _ in range(30):
        for player in players:
            await player.rest()
        if status(office, request) in (FINAL, RETRACTED):
            for player in players:
                await player.rest()
            return
        office.wait(pause)
    raise AssertionError("never closed")


def test_a_lie_is_narrowed_down_and_slashed(office):
    desk = office.desk

    async def story():
        cheat = Player(office, Role.OPERATOR, OPERATOR, Runner(lie=4))
        watching = Player(office, Role.CHALLENGER, CHALLENGER, Runner())
        request = asked(office)
        await play(office, request, cheat, watching)
        assert spans(office, request) == [Span(0, 6), Span(3, 6), Span(3, 4)]
        assert Outcome(game(office, request)[3]) is Outcome.LAPSED
        assert (desk.owed(CHALLENGER.address), desk.owed(desk.requester)) == (REWARD, COVERAGE)
        assert desk.account(OPERATOR.address)["stake"] == STAKE // GWEI - LOCK
        assert office.evm.balance(desk.optimistic.address) == 0  # every bond came back
        assert (await watching.job(request)).state is JobState.REFUNDED

    run(story())


def test_what_is_demanded_of_an_honest_operator_is_given(office):
    desk = office.desk

    async def story():
        honest = Player(office, Role.OPERATOR, OPERATOR, Runner())
        # It computes something else, and will lose its bonds.
        wrong = Player(office, Role.CHALLENGER, CHALLENGER, Runner(lie=6))
        request = asked(office)
        await play(office, request, honest, wrong)
        assert status(office, request) == FINAL
        assert spans(office, request)[-1] == Span(5, 6)
        assert Outcome(game(office, request)[3]) is Outcome.UPHELD
        assert desk.account(OPERATOR.address)["stake"] == STAKE // GWEI
        assert office.evm.balance(desk.optimistic.address) == 0  # the operator took each bond

    run(story())


def test_a_false_no_answer_is_refuted(office):
    desk = office.desk

    async def story():
        cheat = Player(office, Role.OPERATOR, OPERATOR, Runner(halts=3))
        watching = Player(office, Role.CHALLENGER, CHALLENGER, Runner())
        request = asked(office)
        await play(office, request, cheat, watching)
        assert status(office, request) == RETRACTED
        assert desk.owed(CHALLENGER.address) == REWARD
        assert desk.account(OPERATOR.address)["suspended"]

    run(story())


def test_a_true_no_answer_is_given_back_after_its_window(office):
    desk = office.desk

    async def story():
        honest = Player(office, Role.OPERATOR, OPERATOR, Runner(halts=3))
        watching = Player(office, Role.CHALLENGER, CHALLENGER, Runner(halts=3))
        request = asked(office)
        await honest.rest()
        job = await honest.job(request)
        assert job.standing.output == UNANSWERABLE
        halt = desk.chain.call(desk.optimistic.functions.haltOf(request.id))
        assert halt[0] == 3
        await play(office, request, honest, watching, pause=WINDOW // 2 + 1)
        assert desk.account(OPERATOR.address)["stake"] == STAKE // GWEI
        assert desk.account(OPERATOR.address)["locked"] == 0

    run(story())


def test_a_person_composes_asks_and_plays_by_hand(office):
    desk, tier = office.desk, office.desk.optimistic.address

    async def story():
        chain = office.chain()
        wallet = Wallet(chain, CHALLENGER, 31337)
        known = await compose(wallet, tier, desk.ids)
        assert known.known and known.model_id == desk.model_id
        made = await compose(wallet, tier, desk.ids[:2])
        assert not made.known and made.model_id == composition_id(desk.ids[:2])
        assert await segment_count(chain, tier, made.model_id) == 2
        with pytest.raises(ModelMissing):
            await put(wallet, office, bytes(32))
        cheat = Player(office, Role.OPERATOR, OPERATOR, Runner(lie=4))
        request = (await put(wallet, office, desk.model_id)).request
        await cheat.rest()
        deployment = Deployment(31337, office.first, {})
        parts = Parts(Models(), Runner(), Prover(desk.ids), Runner())
        docket = Docket(Site(chain, office.identity, deployment, True), wallet, parts)
        await docket.read()
        assert (await docket.dispute(request.id)).move is Move.DEMAND
        moves = []
        for _ in range(12):
            await cheat.rest()
            await docket.read()
            moves += [done.move for done in await docket.claim()]
            office.wait(MOVE_TIME // 2)
        assert moves == [Move.DEMAND, Move.DEMAND, Move.SETTLE, *[Move.COLLECT] * 3]
        assert desk.owed(CHALLENGER.address) == COVERAGE + REWARD  # it asked, too

    run(story())


async def put(wallet, office, model_id):
    """A request by hand."""
    desk = office.desk
    contracts = (desk.optimistic.address, desk.registry.address, model_id, INPUT)
    terms = ClaimTerms(COVERAGE, PROVING)
    return await ask(wallet, office.identity, *contracts, fee=1, seconds=3600, terms=terms)
