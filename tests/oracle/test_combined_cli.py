"""A combination by the command line: a person asks a service that is a process of its own."""

import asyncio
import json
import signal

import pytest
from typer.testing import CliRunner

from oracle import bootstrap
from oracle.cli import main
from oracle.domain.errors import SettingsInvalid
from oracle.domain.job import GAMES, LOOKS, PROOFS, WORK
from oracle.domain.move import Move, Role
from oracle.settings import read_settings
from tests.contracts.bench import BOND, CLOCK, ETHER, GWEI, HOUR, LOCK, REWARD, WINDOW, ZERO
from tests.contracts.desk import FINAL, PROVISIONAL, RETRACTED
from tests.contracts.test_audits import deciding
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver
from tests.oracle.pact import DECIDED, STAKE, both, town
from tests.oracle.test_kill import Daemon

__all__ = ["both", "town"]  # fixtures

pytestmark = pytest.mark.chain

RUNNER = CliRunner()


@pytest.fixture
def shell(town, tmp_path, monkeypatch):
    """An environment for commands; the deployment's file."""
    monkeypatch.setenv("EINPROOF_RPC", town.evm.url)
    monkeypatch.delenv("EINPROOF_KEY", raising=False)
    path = town.deployment(tmp_path)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(path))
    return path


def asking(town, tier: str, *words: str) -> list[str]:
    plain = ["request", "0x" + town.both.model_id.hex(), "0x0102", "--coverage", "0.4"]
    return [*plain, "--tier", tier, "--key", "dev:1", "--json", *words]


def test_a_person_asks_a_service_and_the_answer_becomes_final(town, shell, tmp_path):
    both = town.both
    before = both.account()["stake"]
    words = ["stake", "add", "1", "--combination", "--key", "dev:2", "--json"]
    result = RUNNER.invoke(main.app, words)
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["vault"] == both.vault.address
    assert told["stake_gwei"] == both.account()["stake"] == before + ETHER // GWEI
    settings = {"EINPROOF_DEPLOYMENT": str(shell), "EINPROOF_ANSWER_KEY": str(town.key_file)}
    daemon = Daemon(town, tmp_path / "operator", **settings)
    daemon.start()
    try:
        result = RUNNER.invoke(main.app, asking(town, "attested+audited"))
        assert result.exit_code == 0, (result.output, daemon.log.read_text()[-3000:])
        told = json.loads(result.stdout)
        assert told["output"] == "0x" + LOGITS.hex()
        assert told["trust"]["tier"] == "Audited+Attested"
        assert [part["tier"] for part in told["trust"]["parts"]] == ["Audited", "Attested"]
        id = bytes.fromhex(told["request"][2:])
        status = both.oracle.functions.statusOf(id)
        assert town.evm.call(status)[0] == PROVISIONAL
        since = town.evm.call(both.oracle.functions.claimOf(id))[2]
        town.pass_time(DECIDED)
        town.evm.send(both.beacon.functions.publish(deciding(since), b""), sender=both.stranger)
        town.pass_time(HOUR + 60)
        daemon.until(lambda: town.evm.call(status)[0] == FINAL, 120)
        assert both.account()["locked"] == 0
        assert daemon.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.logged() if line["event"] == "unexpected"]
    finally:
        if daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@pytest.mark.parametrize(
    ("tier", "words", "combined", "said"),
    [
        ("audited+attested", [], False, "has no CombinedAssurance"),
        ("audited+committee", [], True, "has the combination audited+attested, not"),
        ("audited+nonsense", [], True, "--tier: expected proof, optimistic"),
        ("audited+attested", ["--window", "5"], True, "hours and audits are fixed"),
        ("audited+attested", ["--audit", "0.5"], True, "a combination's share is fixed with it"),
        ("optimistic", ["--audit", "0.1"], True, "--audit is of the audited tier alone"),
        ("proof", ["--audit", "0.1"], True, "got --tier proof"),
    ],
)
def test_what_is_not_deployed_is_refused(
    town, shell, tmp_path, monkeypatch, tier, words, combined, said
):
    path = town.deployment(tmp_path, combined=combined)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(path))
    before = town.evm.now()
    result = RUNNER.invoke(main.app, asking(town, tier, *words))
    assert result.exit_code == 1
    assert said in " ".join(result.output.split()) or said in str(result.exception)
    assert town.evm.now() == before


@pytest.mark.parametrize("claimed", [False, True])
def test_an_offer_is_earned_by_a_proof_for_every_part(town, shell, monkeypatch, claimed):
    """Of an open request; against a wrong claim, which is slashed in each part."""
    both = town.both
    bounty = town.evm.deploy("contracts/assurance/Bounty.sol", both.oracle.address, ZERO)
    found = json.loads(shell.read_text())
    found["contracts"]["Bounty"] = {"address": bounty.address}
    shell.write_text(json.dumps(found))
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    plain, request = town.ask()
    if claimed:
        both.post(plain, output=LOGITS[:-1] + b"\x55")
    for words in (["make", "0x" + request.id.hex(), "0.25"], ["prove", "0x" + request.id.hex()]):
        result = RUNNER.invoke(main.app, ["challenge", "offer", *words, "--key", "dev:6", "--json"])
        assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["offered_wei"] == 0
    assert town.status(plain) == FINAL
    assert both.account()["stake"] == STAKE - 2 * LOCK * claimed


def test_a_lie_is_disputed_by_hand_in_one_part(town, shell, monkeypatch):
    """In the part on stake with the longest window; the reward is in that combination's vault."""
    both = town.both
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver(), EchoEngine())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    plain, request = town.ask()
    both.post(plain, output=LOGITS[:-1] + b"\x55")
    id = "0x" + request.id.hex()

    def challenge(*words, code=0):
        named = [*words, "--key", "dev:5", "--json"]
        result = RUNNER.invoke(main.app, ["challenge", *named])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    (listed,) = challenge("list")
    assert (listed["request"], listed["prove_by"]) == (id, None)
    assert listed["disputable_until"] == both.since(plain) + WINDOW
    assert challenge("check", id, code=3)["right"] is False
    assert challenge("dispute", id)["done"] == Move.DISPUTE.value
    assert town.evm.balance(both.parts[0].address) == BOND
    town.pass_time(CLOCK + 1)
    told = challenge("claim")
    assert told["done"] == [f"{move.value} {id}" for move in (Move.SETTLE, Move.COLLECT)]
    assert (told["withdrawn_gwei"], told["waits"]) == (REWARD, [])
    assert town.status(plain) == RETRACTED
    assert both.owed(both.challenger) == 0
    assert challenge("list") == []


def test_a_service_names_the_parts_that_it_answers_under(monkeypatch):
    monkeypatch.setenv("EINPROOF_TIERS", "audited,combined")
    with pytest.raises(SettingsInvalid, match="where all of its parts are named"):
        read_settings()


def test_who_looks_waits_for_no_proof(town, shell, tmp_path):
    """The service's own workers: what is to be looked at, and an operator's games, have one that
    proves nothing beside those that do."""
    found = {}

    def ready(running):
        found.update({crew.role: [one.among for one in crew.workers] for crew in running.crews})
        stop.set()

    given = {
        "roles": "operator,challenger,member",
        "challenger_key": "dev:5",
        "member_key": "dev:4",
        "key": "dev:2",
        "workers": 2,
        "board_port": 0,
        "database": f"sqlite:///{tmp_path / 'jobs.db'}",
    }
    stop = asyncio.Event()
    engine = EchoEngine()
    parts = bootstrap.Parts(EchoModels(), engine, EchoProver(), tracer=engine)
    asyncio.run(bootstrap.serve(read_settings(**given), stop, parts, ready))
    assert found == {
        Role.OPERATOR: [GAMES, WORK, WORK],
        Role.CHALLENGER: [LOOKS, PROOFS],
        Role.MEMBER: [LOOKS, PROOFS],
    }
