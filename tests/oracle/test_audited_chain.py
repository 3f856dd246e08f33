"""Audits and stops on real contracts: operators and a watcher, each a process with its own key and
database; every claim is drawn (a rate of 10,000), so that no test depends on luck."""

import json
import signal

import pytest
from eth_hash.auto import keccak
from typer.testing import CliRunner

from oracle.adapters.keys import open_signer
from oracle.cli import doctor, main
from oracle.domain.chain import Audit, Guarding
from oracle.domain.request import TierKind
from tests.contracts.bench import (
    CLOCK,
    COVERAGE,
    ETHER,
    GWEI,
    WINDOW,
    WRONG,
    Bench,
    canary,
    terms,
)
from tests.contracts.desk import FINAL, IMAGE, PROVISIONAL, RETRACTED
from tests.evm import Chain, reverts
from tests.oracle.desk import LOGITS, Office
from tests.oracle.test_kill import Daemon
from tests.oracle.world import run

pytestmark = pytest.mark.chain

RUNNER = CliRunner()
OPERATOR, CHEAT, WATCHER = "dev:1", "dev:4", "dev:6"
ALWAYS = terms(audits=10_000)
STAKE = 10 * ETHER // GWEI
#: Seconds from one round of the beacon to the next: one is made that long after a window at most.
PERIOD = 3
PATIENCE = 660
OTHER = LOGITS[:-1] + b"\x55"


def address(key):
    return open_signer(key, "", 31337).address


class Hall(Office):
    """An office at a bench of the audited tier, with a Proof tier over the same guard."""

    def __init__(self, evm):
        beacon = evm.deploy("contracts/random/DevelopmentBeacon.sol")
        desk = Bench(evm, guarded=True, beacon=beacon)
        self.beacon = beacon
        desk.tier = evm.deploy(
            "contracts/assurance/ProofAssurance.sol", desk.verifier.address, desk.registry.address
        )
        self.evm, self.desk, self.asked = evm, desk, 0
        self.tiers = {
            desk.tier.address: TierKind.PROOF,
            desk.optimistic.address: TierKind.AUDITED,
        }
        self.identity = Office.around(desk, self.tiers).identity

    @property
    def contracts(self):
        desk = self.desk
        named = {
            "InferenceOracle": desk.oracle,
            "ProofAssurance": desk.tier,
            "ModelRegistry": desk.registry,
            "AuditedAssurance": desk.optimistic,
            "StakeVault": desk.vault,
            "DevelopmentBeacon": self.beacon,
        }
        return {name: contract.address for name, contract in named.items()}

    def ask_audited(self, input=b"", **fields):
        return self.ask(input, assurance=self.desk.optimistic.address, terms=ALWAYS, **fields)

    def ask_proved(self, input):
        return self.ask(input, assurance=self.desk.tier.address, terms=bytes(32))

    def status(self, request):
        return self.evm.call(self.desk.oracle.functions.statusOf(request.id))[0]

    def stopped(self):
        return self.evm.call(self.desk.verifier.functions.isStopped(self.desk.model_id))

    def prove(self, request, output):
        """A proof of any output: the double takes it, as a broken verifier would."""
        desk = self.desk
        proof = desk.proof(request, desk.stranger, request.input, output)
        call = desk.oracle.functions.answer(
            request.fields, request.input, desk.stranger, output, proof
        )
        self.evm.send(call, sender=desk.stranger, gas=5_000_000)


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def hall(evm):
    snapshot = evm.snapshot()
    made = Hall(evm)
    for key in (OPERATOR, CHEAT):
        made.desk.stake(owner=address(key))
    yield made
    evm.restore(snapshot)


@pytest.fixture
def daemons(hall, tmp_path):
    made = []

    def start(name, key, *words, **settings):
        daemon = Daemon(hall, tmp_path / name, *words, EINPROOF_KEY=key, **settings)
        daemon.start()
        made.append(daemon)
        return daemon

    yield start
    for daemon in made:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def test_a_drawn_operator_proves_and_a_drawn_cheat_loses_its_whole_stake(hall, daemons):
    desk = hall.desk
    operator = daemons("operator", OPERATOR)
    honest = hall.ask_audited()
    operator.until(lambda: hall.status(honest) == PROVISIONAL, 60)
    operator.end(signal.SIGKILL)
    cheat = daemons("cheat", CHEAT, "lying")
    wrong = hall.ask_audited()
    cheat.until(lambda: hall.status(wrong) == PROVISIONAL, 60)
    cheat.end(signal.SIGTERM)
    watcher = daemons("watcher", WATCHER, EINPROOF_ROLES="watcher")
    hall.wait(WINDOW + 60 + PERIOD)
    operator.start()
    operator.until(lambda: hall.status(honest) == FINAL, 60)
    assert desk.account(address(OPERATOR))["stake"] == STAKE
    hall.wait(PATIENCE)  # the cheat does not publish its round, nor does it prove
    frozen = desk.optimistic.functions.isFrozen(wrong.id)
    watcher.until(lambda: hall.evm.call(frozen), 60)
    watcher.until(
        lambda: any(e["event"] == "drawn for an audit" for e in watcher.logged()[-20:]), 60
    )
    assert hall.status(wrong) == PROVISIONAL
    watcher.end(signal.SIGKILL)
    hall.wait(CLOCK)
    watcher.start()
    watcher.until(lambda: hall.status(wrong) == RETRACTED, 60)
    slashed = desk.account(address(CHEAT))
    assert (slashed["stake"], slashed["suspended"]) == (0, True)
    assert desk.owed(desk.requester) == COVERAGE
    assert desk.burned() == STAKE - COVERAGE
    for daemon in (operator, watcher):
        assert daemon.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.logged() if line["event"] == "unexpected"]


def test_a_watcher_stops_a_model_by_the_proof_that_contradicts_a_false_one(hall, daemons):
    watcher = daemons("watcher", WATCHER, EINPROOF_ROLES="watcher")
    right = hall.ask_proved(b"pixels")
    hall.prove(right, LOGITS)
    watcher.until(lambda: watcher_state(watcher, right) == "settled", 60)
    assert not hall.stopped()
    wrong = hall.ask_proved(b"pixels")
    hall.prove(wrong, OTHER)
    watcher.until(hall.stopped, 60)
    operator = daemons("operator", OPERATOR)
    later = hall.ask_proved(b"more pixels")
    operator.until(lambda: declined(operator, later), 60)
    assert hall.status(later) != FINAL
    hall.prove(later, LOGITS)  # nothing counts any more: the payment goes back
    assert hall.status(later) == RETRACTED


def declined(daemon, request):
    told = [line for line in daemon.logged() if line["event"] == "declined"]
    return any(line["id"] == request.id.hex() and "stopped" in line["reason"] for line in told)


def watcher_state(daemon, request):
    from oracle.adapters.database import SqlStore
    from oracle.domain.move import Role

    async def look():
        store = SqlStore.open(daemon.url, daemon.office.identity)
        try:
            view = store.of(Role.WATCHER)
            job = await view.run(lambda ledger: ledger.job(request.id))
            return job.state.value if job else ""
        finally:
            store.close()

    return run(look())


def test_a_watcher_stops_the_version_by_the_canary(hall, daemons):
    watcher = daemons("watcher", WATCHER, EINPROOF_ROLES="watcher")
    request = hall.ask_proved(IMAGE)
    hall.prove(request, WRONG)
    watcher.until(hall.stopped, 60)
    stops = hall.desk.verifier.events.VersionStopped().get_logs(from_block=0)
    assert len(stops) == 1


def test_views_of_audits_and_guards_are_the_contracts(hall):
    async def story():
        chain, desk = hall.chain(), hall.desk
        tier = await chain.tier(desk.optimistic.address)
        assert await chain.guard(tier) == Guarding(desk.verifier.address, canary(desk))
        half = terms(audits=5000)
        assert (await chain.quote(tier, half)).stake == 3 * COVERAGE
        request = hall.ask_audited()
        plain = desk.request(
            nonce=1, assurance=request.assurance, terms=ALWAYS, deadline=request.deadline,
            input=request.input,
        )  # fmt: skip
        assert desk.request_id(plain) == request.id
        desk.stake()
        desk.post(plain, image=request.input, output=LOGITS)
        round, known, drawn, until = hall.evm.call(
            desk.optimistic.functions.auditOf(request.fields)
        )
        assert await chain.audit(request) == Audit(
            hall.beacon.address, True, round, known, until - CLOCK, drawn, until
        )
        hall.wait(WINDOW + 70)
        call = chain.publish_call(hall.beacon.address, round, b"")
        hall.evm.pay(call.to, 0, data=call.data)
        after = await chain.audit(request)
        assert (after.known, after.drawn) == (True, True)

    run(story())


def test_a_person_asks_under_the_audited_tier(hall, daemons, tmp_path, monkeypatch):
    deployment = tmp_path / "deployment.json"
    contracts = {name: {"address": at} for name, at in hall.contracts.items()}
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", hall.evm.url)
    monkeypatch.delenv("EINPROOF_KEY", raising=False)
    daemons("operator", OPERATOR)
    words = ["request", "0x" + hall.desk.model_id.hex(), "0x0102", "--tier", "audited"]
    words += ["--coverage", "0.5", "--audit", "0.25", "--key", "dev:2"]
    result = RUNNER.invoke(main.app, [*words, "--json"])
    assert result.exit_code == 0, result.output
    trust = json.loads(result.stdout)["trust"]
    assert trust["tier"] == "Audited"
    assert trust["proved"] == []
    assert trust["audited"]["rate_of_10000"] == 2500
    assert trust["audited"]["least_stake_gwei"] == 45 * 10**8
    assert trust["audited"]["drawn"] == "not known yet"
    assert "DEVELOPMENT BEACON" in trust["audited"]["label"]
    assert "DEVELOPMENT BEACON" in trust["could_have_cheated"][0]
    assert trust["verifier"]["stopped"] is False
    hall.evm.send(stopping(hall), sender=hall.desk.stranger)
    result = RUNNER.invoke(main.app, [*words, "--no-wait"])
    assert result.exit_code == 0, result.output


def stopping(hall):
    desk = hall.desk
    statement = (desk.model_id, bytes(32), IMAGE, WRONG)
    return desk.verifier.functions.stop(*statement, forged(*statement))


def forged(model_id, context, input, output):
    from eth_abi.abi import encode

    types = ["bytes32", "bytes32", "bytes", "bytes"]
    return keccak(encode(types, [model_id, context, input, output]))


def test_the_doctor_sees_a_stopped_version(hall, tmp_path, monkeypatch):
    deployment = tmp_path / "deployment.json"
    contracts = {name: {"address": at} for name, at in hall.contracts.items()}
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", hall.evm.url)
    found = doctor.check_verifier()
    assert (found.state, "canary 0x" in found.found) == (doctor.OK, True)
    hall.evm.send(stopping(hall), sender=hall.desk.stranger)
    found = doctor.check_verifier()
    assert (found.state, "was stopped" in found.found) == (doctor.MISSING, True)
    monkeypatch.setenv("EINPROOF_RPC", "http://127.0.0.1:9")
    assert doctor.check_verifier().state == doctor.OK


def test_a_request_pinned_to_another_version_is_refused_and_one_of_before_a_new_one_stays(hall):
    """Each request pins one verifier: its tier takes no other, and a second version with its guard
    changes nothing for what was asked before."""
    desk = hall.desk
    old = hall.ask_proved(b"pixels")
    inner = desk.chain.call(desk.verifier.functions.inner())
    guard = desk.chain.deploy(
        "contracts/assurance/GuardedVerifier.sol",
        inner,
        desk.registry.address,
        keccak(b"another canary"),
    )
    tier = desk.chain.deploy(
        "contracts/assurance/ProofAssurance.sol", guard.address, desk.registry.address
    )
    pin = bytes(desk.chain.call(tier.functions.pin()))
    with reverts("WrongPin", desk.pin, pin):
        hall.ask(assurance=tier.address, terms=bytes(32))
    new = hall.ask(assurance=tier.address, terms=bytes(32), pin=pin)
    hall.evm.send(stopping(hall), sender=desk.stranger)
    hall.prove(new, LOGITS)
    hall.prove(old, LOGITS)
    assert (hall.status(new), hall.status(old)) == (FINAL, RETRACTED)
