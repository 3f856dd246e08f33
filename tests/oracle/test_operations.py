"""Registering and asking by hand, and the commands' one-line errors."""

import asyncio
import json
import os
import socket
import subprocess
import sys

import pytest
from eth_account import Account
from eth_hash.auto import keccak
from typer.testing import CliRunner

from oracle import settings as config
from oracle.adapters.deployment import read_deployment
from oracle.adapters.keys import open_signer
from oracle.adapters.wallet import Wallet
from oracle.bootstrap import Parts, serve
from oracle.cli import main
from oracle.domain.chain import Call
from oracle.domain.errors import (
    CallRefused,
    KeyRefused,
    ModelMissing,
    PortInUse,
    SettingsInvalid,
    StoreDamaged,
    WalletEmpty,
)
from oracle.domain.job import JobState
from oracle.domain.move import Role
from oracle.operations import CHUNK, NotAnswered, ask, await_answer, register
from prover import kernels
from prover.model import Model
from prover.srs import development_srs
from tests import digits
from tests.evm import ROOT, Chain
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office
from tests.oracle.world import run

pytestmark = pytest.mark.chain

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def office(evm, monkeypatch, tmp_path):
    snapshot = evm.snapshot()
    made = Office(evm)
    for name in ("EINPROOF_CONFIG", "EINPROOF_KEY", "EINPROOF_MIN_FEE"):
        monkeypatch.delenv(name, raising=False)
    contracts = {
        "InferenceOracle": {"address": made.desk.oracle.address},
        "ProofAssurance": {"address": made.desk.tier.address},
        "ModelRegistry": {"address": made.desk.registry.address},
    }
    deployment = tmp_path / "deployment.json"
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", evm.url)
    monkeypatch.setenv("EINPROOF_DATABASE", f"sqlite:///{tmp_path}/jobs.db")
    yield made
    evm.restore(snapshot)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made, tier = digits.compiled(), kernels.get()
    model = Model.create(
        made.program, made.weights, made.quantizer, tier, development_srs(tier, 12)
    )
    path = tmp_path_factory.mktemp("model") / "digits"
    model.save(path)
    return path


def wallet(office, key="dev:2"):
    return Wallet(office.chain(), open_signer(key, "", 31337), 31337)


def address_of(key):
    return open_signer(key, "", 31337).address


def says(*words, code=1):
    result = RUNNER.invoke(main.app, list(words))
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result


def complains(*words):
    text = says(*words).stderr.strip()
    assert len(text.splitlines()) == 1, text
    return text


# --- deploying ---------------------------------------------------------------------------------


def test_the_set_is_deployed_and_what_is_wrong_is_one_line(evm, tmp_path):
    """A process of its own: ape holds one connection a process."""

    def deploy(*words, **changes):
        environment = {
            **os.environ,
            "EINPROOF_RPC": evm.url,
            "EINPROOF_DEPLOYMENT": str(tmp_path / "31337.json"),
            **changes,
        }
        command = [sys.executable, "-c", "from oracle.cli.main import app; app()", "deploy"]
        return subprocess.run(
            [*command, *words, "--json"], env=environment, cwd=ROOT, capture_output=True, text=True
        )

    named = [address_of(key) for key in ("dev:7", "dev:8", "dev:9")]
    ran = deploy(*(word for address in named for word in ("--attester", address.lower())))
    assert ran.returncode == 0, ran.stderr
    deployed = read_deployment(31337, tmp_path / "31337.json")
    assert json.loads(ran.stdout)["chain_id"] == 31337
    for name in ("InferenceOracle", "ProofAssurance", "ModelRegistry", "TensorVerifier"):
        assert evm.web3.eth.get_code(deployed.address(name))
    rules = json.loads(ran.stdout)["attesters"]
    assert (rules["attesters"], rules["quorum"]) == (named, 2)
    registry = deployed.address("AttestationRegistry")
    for address, known in ((named[0], 1), (named[2], 1), (address_of("dev:0"), 0)):
        data = keccak(b"isAttester(address)")[:4] + bytes(12) + bytes.fromhex(address[2:])
        found = evm.web3.eth.call({"to": registry, "data": "0x" + data.hex()})
        assert int.from_bytes(found, "big") == known
    twice = deploy("--attester", named[0], "--attester", named[0].lower())
    assert (twice.returncode, twice.stdout) == (1, "")
    assert f"attester {named[0]} is named twice" in twice.stderr.splitlines()[-1]

    down = deploy(EINPROOF_RPC="http://127.0.0.1:9")
    assert down.returncode == 1
    assert "no node answers at http://127.0.0.1:9" in down.stderr.splitlines()[-1]
    misnamed = deploy(EINPROOF_DEPLOYMENT=str(tmp_path / "mine.json"))
    assert "expected EINPROOF_DEPLOYMENT to end in 31337.json" in misnamed.stderr


# --- registering -------------------------------------------------------------------------------


def test_a_model_is_registered_once_and_again_costs_nothing(office, folder):
    first = json.loads(says("register", str(folder), "--json", code=0).stdout)
    assert (first["known_before"], first["blobs_stored"]) == (False, 2)
    assert first["model"] == "0x" + Model.load(folder).id.hex()
    again = json.loads(says("register", str(folder), "--json", code=0).stdout)
    assert again == {**first, "known_before": True, "blobs_stored": 0, "gas": 0}


def test_a_registration_that_was_cut_off_is_finished_by_the_next(office, folder):
    async def story():
        model = Model.load(folder)
        office.evm.send(office.desk.registry.functions.store(model.program_bytes[:CHUNK]))
        done = await register(wallet(office), office.desk.registry.address, model)
        assert (done.known, done.stored) == (False, 1)
        registry = office.desk.registry.functions
        assert office.evm.call(registry.program(model.id)) == model.program_bytes
        assert office.evm.call(registry.points(model.id)) == model.point_bytes
        assert office.evm.call(registry.srsIdOf(model.id)) == model.srs_id

    run(story())


def test_registering_mistakes_are_one_line(office, folder, monkeypatch):
    assert "expected a model folder" in complains("register", "/nowhere")
    monkeypatch.setenv("EINPROOF_RPC", "http://127.0.0.1:9")
    assert "no node answers at http://127.0.0.1:9" in complains("register", str(folder))
    monkeypatch.setenv("EINPROOF_RPC", office.evm.url)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", "/nowhere/31337.json")
    assert "run einproof deploy" in complains("register", str(folder))


# --- asking ------------------------------------------------------------------------------------


def ask_by(office, purse, **changes):
    desk = office.desk
    arguments = {"fee": 10**15, "seconds": 600, **changes}
    model_id = arguments.pop("model_id", desk.model_id)
    contracts = (desk.tier.address, desk.registry.address)
    return ask(purse, office.identity, *contracts, model_id, b"pixels", **arguments)


def test_a_request_by_hand_is_answered_with_its_report(office, monkeypatch):
    async def story():
        stop = asyncio.Event()
        parts = Parts(EchoModels(), EchoEngine(), EchoProver())
        running = []
        settings = config.read_settings()
        service = asyncio.create_task(serve(settings, stop, parts, running.append))
        purse = wallet(office)
        asked = await ask_by(office, purse)
        settled = await asyncio.wait_for(await_answer(purse, office.identity, asked, 0.05), 20)
        while running[0].health.jobs.get(Role.OPERATOR, {}).get(JobState.SETTLED) != 1:
            await asyncio.sleep(0.05)
        stop.set()
        await service
        return asked, settled

    asked, settled = run(story())
    assert settled.output == LOGITS
    assert settled.payee == open_signer("dev:1", "", 31337).address
    assert settled.report["claim"]["request_id"] == "0x" + asked.request.id.hex()
    assert settled.report["verifier"]["code_hash"] == "0x" + asked.tier.code_hash.hex()
    assert set(settled.report) >= {"tier", "proved", "not_proved", "could_have_cheated", "srs"}
    request_id = "0x" + asked.request.id.hex()
    listed = json.loads(says("jobs", "--json", code=0).stdout)
    assert [(job["request"], job["state"]) for job in listed] == [(request_id, "settled")]
    shown = json.loads(says("jobs", request_id, "--json", code=0).stdout)
    assert shown["trust"] == settled.report
    assert shown["output"] == "0x" + LOGITS.hex()


def test_nobody_answers_and_the_payment_comes_back(office):
    async def story():
        purse = wallet(office)
        before = await purse.chain.balance(purse.signer.address)
        asked = await ask_by(office, purse, fee=10**18, seconds=1)
        with pytest.raises(NotAnswered, match="the payment is taken back"):
            await await_answer(purse, office.identity, asked, 0.05)
        assert before - await purse.chain.balance(purse.signer.address) < 10**16  # gas

    run(story())


def test_what_cannot_be_asked_is_refused_before_anything_is_paid(office):
    async def story():
        purse = wallet(office)
        before = await purse.chain.nonce(purse.signer.address)
        with pytest.raises(ModelMissing, match="is not registered on chain 31337"):
            await ask_by(office, purse, model_id=b"\x05" * 32)
        with pytest.raises(CallRefused, match="DeadlineOutOfRange"):
            await ask_by(office, purse, seconds=10**9)
        assert await purse.chain.nonce(purse.signer.address) == before
        poor = Wallet(office.chain(), type(purse.signer)(Account.create()), 31337)
        with pytest.raises(WalletEmpty, match=r"has 0 wei and needs \d+: send it ether"):
            await poor.transact(Call(poor.signer.address, b"", 0))
        with pytest.raises(WalletEmpty):
            await ask_by(office, poor)

    run(story())


def test_request_mistakes_are_one_line(office, folder, tmp_path):
    bad = tmp_path / "image.json"
    bad.write_text(json.dumps([[float("nan")] * 64]))
    assert "finite" in complains("request", str(folder), str(bad))
    bad.write_text(json.dumps([[0.5] * 63]))
    assert "shape" in complains("request", str(folder), str(bad))
    assert "No such file" in complains("request", str(folder), "/nowhere.json")
    unknown = "0x" + "05" * 32
    assert "need a model folder" in complains("request", unknown, str(bad))
    assert "is not registered" in complains("request", unknown, "0x00")
    assert "hexadecimal" in complains("request", unknown, "0xzz")


# --- serving -----------------------------------------------------------------------------------


def start(**given):
    """Starts the service, which refuses."""
    parts = Parts(EchoModels(), EchoEngine(), EchoProver())
    settings = config.read_settings(**given)
    asyncio.run(asyncio.wait_for(serve(settings, asyncio.Event(), parts), 20))


def test_what_keeps_the_service_from_starting_is_named(office, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=f"127.0.0.1:{port}.*EINPROOF_MONITOR_PORT"):
            start(monitor_port=port)
    with pytest.raises(KeyRefused, match="cannot read keystore"):
        start(key="/nowhere")
    (tmp_path / "bad.db").write_bytes(b"no database " * 1000)
    with pytest.raises(StoreDamaged, match="move it away"):
        start(database=f"sqlite:///{tmp_path}/bad.db")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"chain_id": 1, "block": 1, "contracts": {}}))
    with pytest.raises(SettingsInvalid, match="is of chain 1, the node is on chain 31337"):
        start(deployment=other)
    other.write_text("{")
    with pytest.raises(SettingsInvalid, match="is no deployment file"):
        start(deployment=other)


def test_settings_come_from_environment_over_file_over_defaults(monkeypatch, tmp_path):
    file = tmp_path / "einproof.toml"
    file.write_text("min_fee = 5\nworkers = 3\n")
    monkeypatch.setenv("EINPROOF_CONFIG", str(file))
    monkeypatch.setenv("EINPROOF_WORKERS", "4")
    made = config.read_settings(in_flight=2, key=None)
    assert (made.min_fee, made.workers, made.in_flight) == (5, 4, 2)
    monkeypatch.setenv("EINPROOF_WORKERS", "many")
    with pytest.raises(SettingsInvalid, match="EINPROOF_WORKERS: "):
        config.read_settings()
    monkeypatch.delenv("EINPROOF_WORKERS")
    file.write_text("min_fee = ")
    with pytest.raises(SettingsInvalid, match="settings file"):
        config.read_settings()
    monkeypatch.setenv("EINPROOF_CONFIG", "/nowhere.toml")
    with pytest.raises(SettingsInvalid, match="which is no file"):
        config.read_settings()


def test_a_password_is_never_shown(monkeypatch, tmp_path):
    monkeypatch.delenv("EINPROOF_CONFIG", raising=False)
    monkeypatch.setenv("EINPROOF_PASSWORD", "hunter2")
    assert "hunter2" not in repr(config.read_settings())
    assert config.read_settings().secret() == "hunter2"
    (tmp_path / "password").write_text("from a file\n")
    assert config.read_settings(password_file=tmp_path / "password").secret() == "from a file"
    with pytest.raises(SettingsInvalid, match="cannot read the password file"):
        config.read_settings(password_file=tmp_path / "none").secret()
