"""A challenger under a combination, audited and attested, on the real contracts: it disputes a lie
in the part on stake that has the longest window, and follows it there to the end."""

import asyncio

import pytest

from oracle.bootstrap import Parts, serve
from oracle.domain.job import JobState
from oracle.domain.move import Move, Role
from oracle.services.check import Check, Vigilance
from oracle.settings import read_settings
from tests.contracts.bench import (
    BOND,
    CLOCK,
    DAY,
    LAPSED,
    LOCK,
    OVERTURNED,
    REWARD,
    UNANSWERABLE,
    UPHELD,
    WINDOW,
)
from tests.contracts.desk import FINAL, PROVISIONAL, RETRACTED
from tests.contracts.ensemble import alone, each
from tests.contracts.hall import WINDOW as SHORT
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, LyingEngine
from tests.oracle.pact import STAKE, Side, both, town
from tests.oracle.test_combined_chain import ATTESTED, AUDITED, WEEK, WRONG, Refusing
from tests.oracle.world import run

__all__ = ["both", "town"]  # fixtures

pytestmark = pytest.mark.chain


def challenger(town):
    def worker(store, clock, signer):
        assert signer.address == town.both.challenger
        ports = (EchoModels(), (EchoEngine(), EchoEngine()), EchoProver())
        return Check(town.chain, store, *ports, clock, town.identity, signer, Vigilance(), "c")

    return Side(town.chain, town.identity, Role.CHALLENGER, "dev:5", worker)


async def disputed(town):
    """A lie, and the challenger that has disputed it; the balance that it had before."""
    plain, request = await town.claimed(town.operator(engine=LyingEngine()), drawn=False)
    before = town.evm.balance(town.both.challenger)
    side = challenger(town)
    await side.settle()
    assert (await side.job(request)).contest is not None
    for part, held in ((AUDITED, BOND), (ATTESTED, 0)):
        assert town.evm.balance(town.both.parts[part].address) == held
    return plain, request, side, before


def spent(town, before):
    """All but gas."""
    return (before - town.evm.balance(town.both.challenger)) // BOND


def test_what_is_right_is_left_alone(town):
    async def story():
        _, request = await town.claimed(town.operator(), drawn=False)
        side = challenger(town)
        await side.settle()
        assert (await side.job(request)).state is JobState.CHECKED
        assert town.evm.web3.eth.get_transaction_count(town.both.challenger) == 0

    run(story())


def test_a_lie_is_disputed_and_not_proved(town):
    async def story():
        plain, request, side, before = await disputed(town)
        town.pass_time(CLOCK + 1)
        await side.settle()
        assert town.status(plain) == RETRACTED
        assert town.both.of(AUDITED).outcome(plain) == LAPSED
        assert town.both.account()["stake"] == STAKE - LOCK
        assert (town.both.owed(town.both.challenger), spent(town, before)) == (REWARD, 0)
        assert (await side.job(request)).state is JobState.REFUNDED

    run(story())


@pytest.mark.parametrize("lost", [False, True])
def test_a_lie_that_another_refutes_pays_who_disputed_it(town, lost):
    """Also one that has lost its database: its commitment is opened all the same."""

    async def story():
        plain, request, side, before = await disputed(town)
        refuted = town.both.refutation(plain, WRONG, LOGITS)
        town.both.hand_in(plain, each(refuted, refuted), payee=town.both.prover, output=LOGITS)
        assert town.status(plain) == FINAL
        side = challenger(town) if lost else side
        await side.settle()
        assert town.both.of(AUDITED).outcome(plain) == OVERTURNED
        assert (town.both.owed(town.both.challenger), spent(town, before)) == (REWARD, 0)
        assert (await side.job(request)).state is JobState.SETTLED

    run(story())


@pytest.mark.parametrize("after", [0, WEEK + DAY])
def test_a_lie_that_another_part_gives_back_is_ended_where_it_was_disputed(town, after):
    """By the clock of its dispute, which ended in the window: so no round is waited for. Or, after
    the oracle's week, by a close."""

    async def story():
        plain, request, side, before = await disputed(town)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.hand_in(plain, alone(ATTESTED), output=WRONG)
        await side.settle()
        assert (await side.job(request)).move is Move.SETTLE
        assert town.both.claim_for(plain, AUDITED) == PROVISIONAL
        if after:
            side = challenger(town)
        town.pass_time(WINDOW - SHORT + after)
        await side.settle()
        assert town.both.of(AUDITED).outcome(plain) == LAPSED
        assert (town.both.owed(town.both.challenger), spent(town, before)) == (REWARD, 0)
        assert (await side.job(request)).state is JobState.REFUNDED

    run(story())


def test_what_its_operator_proves_after_all_is_looked_up_anew(town):
    """In the part where it was disputed, another having given it back."""

    async def story():
        plain, request, side, _ = await disputed(town)
        town.both.revoke()
        town.pass_time(SHORT + 1)
        town.both.hand_in(plain, alone(ATTESTED), output=WRONG)
        await side.settle()
        proof = town.both.proof(plain, town.both.operator, output=WRONG)
        town.both.conclude(plain, AUDITED, WRONG, evidence=proof)
        town.pass_time(CLOCK)
        await side.settle()
        assert town.both.of(AUDITED).outcome(plain) == UPHELD
        assert (await side.job(request)).state is JobState.REFUNDED
        assert town.both.owed(town.both.challenger) == 0

    run(story())


def test_that_there_is_no_answer_is_refuted_in_every_part(town):
    async def story():
        cheat = town.operator(engine=Refusing(), unanswerable=True)
        plain, request = await town.claimed(cheat, drawn=False)
        assert town.both.claim_for(plain, AUDITED) == PROVISIONAL
        side = challenger(town)
        await side.settle()
        assert (await side.job(request)).standing.output == UNANSWERABLE
        assert town.status(plain) == FINAL
        assert town.both.account()["stake"] == STAKE - 2 * LOCK

    run(story())


def test_nothing_is_disputed_after_the_window_in_which_it_can_be(town):
    async def story():
        _, request = await town.claimed(town.operator(engine=LyingEngine()), drawn=False)
        town.pass_time(WINDOW + 1)
        side = challenger(town)
        await side.settle()
        assert (await side.job(request)).state is JobState.EXPIRED

    run(story())


def test_a_challengers_service_looks_at_combinations(town, tmp_path, monkeypatch):
    told = {
        "RPC": town.evm.url,
        "DEPLOYMENT": town.deployment(tmp_path),
        "DATABASE": f"sqlite:///{tmp_path}/challenger.db",
        "ROLES": "challenger",
        "KEY": "dev:5",
        "POLL": "0.05",
    }
    for name, value in told.items():
        monkeypatch.setenv(f"EINPROOF_{name}", str(value))

    async def story():
        plain, _ = await town.claimed(town.operator(engine=LyingEngine()), drawn=False)
        parts, stop = Parts(EchoModels(), EchoEngine(), EchoProver()), asyncio.Event()
        serving = asyncio.create_task(serve(read_settings(), stop, parts))
        for _ in range(600):
            if serving.done() or town.both.of(AUDITED).disputed(plain):
                break
            await asyncio.sleep(0.1)
        stop.set()
        await serving
        assert town.both.of(AUDITED).disputed(plain)

    run(story())
