"""einproof settle, by the command line on the real contracts: one request, by whoever."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from oracle import bootstrap
from oracle.adapters.keys import open_signer
from oracle.adapters.wallet import Wallet
from oracle.cli import main
from oracle.domain.bisection import Span
from oracle.domain.errors import ChainUnavailable
from tests.contracts.bench import (
    CLOCK,
    DAY,
    GWEI,
    HOUR,
    LOCK,
    UNANSWERABLE,
    WINDOW,
    WRONG,
    Bench,
    terms,
)
from tests.contracts.court import STAKE, court, run_of
from tests.contracts.desk import FINAL, HARNESS, LOGITS, RETRACTED, REVERT, ZERO
from tests.contracts.test_audits import deciding
from tests.contracts.test_deliver import standing, taken, want
from tests.evm import Chain, artifact
from tests.oracle.desk import EchoEngine, EchoModels, EchoProver
from tests.oracle.pact import both, town

__all__ = ["both", "town"]  # fixtures

pytestmark = pytest.mark.chain

RUNNER = CliRunner()
OPERATOR, STRANGER = "dev:2", "dev:6"
ALWAYS = terms(audits=10_000)


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


def staked(evm, led_to, **how):
    """A desk with the optimistic tier, or the audited one, to which commands go."""
    made = Bench(evm, **how)
    made.stake()
    tier = "AuditedAssurance" if "beacon" in how else "OptimisticAssurance"
    named = {"InferenceOracle": made.oracle, "ProofAssurance": made.tier, tier: made.optimistic}
    named |= {"ModelRegistry": made.registry, "StakeVault": made.vault}
    led_to(evm, named)
    assert open_signer(OPERATOR, "", 31337).address == made.operator
    return made


@pytest.fixture
def bench(evm, led_to):
    snapshot = evm.snapshot()
    yield staked(evm, led_to)
    evm.restore(snapshot)


@pytest.fixture
def audited(evm, led_to):
    snapshot = evm.snapshot()
    beacon = evm.deploy("contracts/random/DevelopmentBeacon.sol")
    made = staked(evm, led_to, guarded=True, beacon=beacon)
    made.beacon = beacon
    yield made
    evm.restore(snapshot)


@pytest.fixture
def pact(town, tmp_path, monkeypatch):
    """The town, to which commands go."""
    monkeypatch.setenv("EINPROOF_RPC", town.evm.url)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(town.deployment(tmp_path)))
    for name in ("EINPROOF_KEY", "EINPROOF_PAYEE"):
        monkeypatch.delenv(name, raising=False)
    return town


@pytest.fixture
def composed(evm, led_to):
    """A composition's tier, to which commands go."""
    snapshot = evm.snapshot()
    made = court(evm)
    named = {"InferenceOracle": made.oracle, "ProofAssurance": made.tier}
    led_to(evm, {**named, "BisectionAssurance": made.optimistic, "StakeVault": made.vault})
    yield made
    evm.restore(snapshot)


def settled(bench, request, key=STRANGER):
    """What the command says of a request: status, what was done, what waits."""
    id = "0x" + bench.request_id(request).hex()
    result = RUNNER.invoke(main.app, ["settle", id, "--key", key, "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["request"] == id and (told["gas"] > 0) is bool(told["done"])
    return told["status"], told["done"], told["waits"]


def after(second):
    """How the first second after one is said."""
    return f"from {datetime.fromtimestamp(second + 1, UTC).isoformat()} on"


def later(evm, seconds):
    evm.rpc("evm_increaseTime", seconds)
    evm.rpc("evm_mine")


def test_a_provisional_answer_is_delivered_once_and_then_becomes_final(evm, bench):
    puppet, request = standing(bench)
    waits = {
        "hand in": after(bench.since(request) + WINDOW),
        "refund": after(request.deadline + 7 * DAY),
    }
    assert settled(bench, request) == ("Provisional", ["deliver"], waits)
    assert settled(bench, request) == ("Provisional", [], waits)  # it was told
    later(evm, WINDOW + HOUR)
    before = evm.balance(bench.operator)
    assert settled(bench, request) == ("Final", ["hand in"], {})
    assert taken(bench, puppet) == (2, FINAL, LOGITS)
    assert evm.balance(bench.operator) - before == request.cost
    assert settled(bench, request) == ("Final", [], {})


def test_nothing_provisional_goes_to_who_did_not_ask_for_it(bench):
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.post(request)
    assert settled(bench, request)[:2] == ("Provisional", [])
    want(bench, puppet)
    assert settled(bench, request)[:2] == ("Provisional", ["deliver"])


def test_a_claim_that_was_not_proved_is_given_back_and_its_consumer_told(evm, bench):
    """By anyone but its operator, whose stake it would cost."""
    puppet, request = standing(bench, WRONG)
    assert settled(bench, request)[1] == ["deliver"]
    bench.dispute(request)
    prove_by = bench.chain.now() + CLOCK
    assert settled(bench, request)[2]["hand in"] == after(prove_by)
    later(evm, CLOCK + HOUR)
    status, done, waits = settled(bench, request, OPERATOR)
    assert (status, done) == ("Provisional", [])
    assert "not without its proof" in waits["hand in"]
    assert settled(bench, request) == ("Retracted", ["hand in", "deliver"], {})
    assert taken(bench, puppet) == (2, RETRACTED, WRONG)
    assert bench.account()["suspended"]


def test_a_request_that_nobody_answered_is_paid_back(evm, bench):
    request = bench.request()
    bench.ask(request)
    assert settled(bench, request) == ("Open", [], {"refund": after(request.deadline)})
    later(evm, HOUR + DAY)
    before = evm.balance(request.refund_to)
    assert settled(bench, request) == ("Refunded", ["refund"], {})
    assert evm.balance(request.refund_to) - before == request.cost


def test_a_callback_that_failed_is_made_again(bench):
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    bench.post(request)
    later(bench.chain, WINDOW + HOUR)
    status, done, waits = settled(bench, request)
    assert (status, done) == ("Final", ["hand in"])
    assert "CallbackFailed" in waits["call back"]
    bench.chain.send(puppet.functions.behave(0, ZERO, b""))
    assert settled(bench, request) == ("Final", ["call back"], {})
    assert taken(bench, puppet) == (1, FINAL, LOGITS)


def test_a_drawn_claim_costs_its_operator_nothing_by_its_own_hand(evm, audited):
    bench = audited
    request = bench.posted(terms=ALWAYS, deadline=evm.now() + 10**5)
    since = bench.since(request)
    later(evm, WINDOW + HOUR)
    assert settled(bench, request)[2]["hand in"] == f"refused: SeedUnknown({deciding(since)})"
    bench.chain.send(bench.beacon.functions.publish(deciding(since), b""), sender=bench.stranger)
    later(evm, DAY)
    assert "not without its proof" in settled(bench, request, OPERATOR)[2]["hand in"]
    assert bench.account()["stake"] > 0
    assert settled(bench, request) == ("Retracted", ["hand in"], {})
    assert bench.account()["stake"] == 0


def test_what_no_round_decides_is_paid_back_after_the_oracles_week(evm, audited):
    request = audited.posted(terms=ALWAYS)
    later(evm, 8 * DAY)
    assert settled(audited, request) == ("Refunded", ["refund"], {})


def test_a_composition_that_gave_all_that_it_was_asked_for_is_handed_in_by_its_operator(
    evm, composed
):
    """Not while it owes something: the contract takes it then with what is overdue alone."""
    run = run_of(composed.segments)
    request = composed.stood(run)
    composed.demand(request, run, Span(0, composed.segments))
    assert settled(composed, request, OPERATOR)[2]["hand in"] == "refused: StillOwed(1)"
    composed.operate(request, run, run)
    until = composed.game(request)["until"]
    assert settled(composed, request, OPERATOR)[2]["hand in"] == after(until)
    later(evm, WINDOW + HOUR)
    assert settled(composed, request, OPERATOR) == ("Final", ["hand in"], {})
    assert composed.account()["stake"] == STAKE // GWEI


def test_one_part_of_a_combination_gives_its_claim_back(pact, monkeypatch):
    town, both = pact, pact.both
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver(), EchoEngine())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    plain, request = town.ask()
    both.post(plain, output=WRONG)
    before = both.account()["stake"]
    words = ["challenge", "dispute", "0x" + request.id.hex(), "--key", "dev:5"]
    assert RUNNER.invoke(main.app, words).exit_code == 0
    town.pass_time(CLOCK + 1)
    assert settled(both, plain)[:2] == ("Retracted", ["hand in"])
    assert before - both.account()["stake"] == LOCK


@pytest.mark.parametrize("key", [STRANGER, OPERATOR])
def test_that_there_is_no_answer_is_handed_in_for_all_parts_at_once(pact, key):
    """Not for the first whose window is over: the other's lock would be left. No proof is asked
    for, whatever the round draws."""
    town, both = pact, pact.both
    plain = both.request(deadline=town.evm.now() + 2 * DAY)
    both.ask(plain)
    town.claim_at(plain, drawn=True)
    both.post(plain, output=UNANSWERABLE)
    since = both.since(plain)
    town.pass_time(2 * HOUR)  # past the attested part's window
    waits = {"hand in": after(since + WINDOW), "refund": after(plain.deadline + 7 * DAY)}
    assert settled(both, plain, key) == ("Provisional", [], waits)
    town.pass_time(WINDOW)
    town.evm.send(both.beacon.functions.publish(deciding(since), b""), sender=both.stranger)
    assert settled(both, plain, key) == ("Retracted", ["hand in"], {})
    assert town.free()


def test_what_was_done_is_said_before_an_error(bench, monkeypatch):
    puppet = bench.puppet()
    request = bench.ask_through(puppet)
    bench.chain.send(puppet.functions.behave(REVERT, ZERO, b""))
    bench.post(request)
    later(bench.chain, WINDOW + HOUR)
    sent = Wallet.transact

    async def once(wallet, call):
        monkeypatch.setattr(Wallet, "transact", broken)
        return await sent(wallet, call)

    async def broken(wallet, call):
        raise ChainUnavailable("the node is gone")

    monkeypatch.setattr(Wallet, "transact", once)
    id = "0x" + bench.request_id(request).hex()
    result = RUNNER.invoke(main.app, ["settle", id, "--key", STRANGER, "--json"])
    told = json.loads(result.stdout)
    assert (told["status"], told["done"]) == ("Final", ["hand in"]) and told["gas"] > 0
    assert (result.exit_code, "the node is gone" in result.stderr) == (1, True)
    result = RUNNER.invoke(main.app, ["settle", id, "--key", STRANGER])
    assert (result.exit_code, result.stdout) == (1, "")  # nothing was done


def test_what_the_oracle_could_not_send_is_taken_once_the_account_takes_it(evm, bench):
    """The payee's account runs a contract (EIP-7702) that refuses what it is sent."""
    bench.chain.rpc("anvil_setCode", bench.operator, "0xef0100" + bench.puppet().address[2:])
    wallet = evm.at(artifact(f"{HARNESS}/Puppet.sol"), bench.operator)
    request = bench.posted()
    evm.send(wallet.functions.behave(REVERT, ZERO, b""))
    later(evm, WINDOW + HOUR)
    assert settled(bench, request) == ("Final", ["hand in"], {})  # nothing is the stranger's
    assert bench.credit(bench.operator) == request.cost
    status, done, waits = settled(bench, request, OPERATOR)
    assert (status, done) == ("Final", [])
    assert waits["withdraw"].startswith("refused: TransferFailed")
    evm.send(wallet.functions.behave(0, ZERO, b""))
    before = evm.balance(bench.operator)
    assert settled(bench, request, OPERATOR) == ("Final", ["withdraw"], {})
    assert bench.credit(bench.operator) == bench.held() == 0
    assert before < evm.balance(bench.operator) <= before + request.cost
    assert settled(bench, request, OPERATOR) == ("Final", [], {})


def test_it_says_so_in_one_line(evm, bench):
    request = bench.posted()
    id = "0x" + bench.request_id(request).hex()

    def said(id, code=0):
        result = RUNNER.invoke(main.app, ["settle", id])
        assert result.exit_code == code
        (line,) = (result.stdout + result.stderr).splitlines()
        return line

    waits = (after(bench.since(request) + WINDOW), after(request.deadline + 7 * DAY))
    held = "Provisional; nothing can be done now; hand in {}; refund {}"
    assert said(id) == held.format(*waits)
    later(evm, WINDOW + HOUR)
    assert said(id) == "Final; done: hand in"
    assert said(id) == "Final; nothing is left"
    assert "no request 0x" in said("0x" + "05" * 32, code=1)
