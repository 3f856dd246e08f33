"""Real processes, a real database and a real chain: SIGKILL at random, and nothing is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from oracle.adapters.database import SqlStore
from oracle.domain.job import JobState
from tests.evm import ROOT, Chain
from tests.oracle.desk import Office
from tests.oracle.world import run

pytestmark = pytest.mark.chain


class Daemon:
    """The service's process, born as often as needed."""

    def __init__(
        self, office: Office, folder: Path, *words: str, proof: float = 0.005, **settings: str
    ):
        self.office = office
        self.folder = folder
        self.proof = proof
        self.words = words
        folder.mkdir(exist_ok=True)
        self.log = folder / "log.jsonl"
        self.url = f"sqlite:///{folder}/service.db"
        deployment = folder / "deployment.json"
        contracts = {name: {"address": at} for name, at in office.contracts.items()}
        deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
        clean = {k: v for k, v in os.environ.items() if not k.startswith("EINPROOF_")}
        self.environment = {
            **clean,
            "EINPROOF_RPC": office.evm.url,
            "EINPROOF_KEY": "dev:2",
            "EINPROOF_DATABASE": self.url,
            "EINPROOF_DEPLOYMENT": str(deployment),
            "EINPROOF_POLL": "0.05",
            **settings,
        }
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.oracle.daemon", str(self.proof), *self.words],
                cwd=ROOT,
                env=self.environment,
                stderr=log,
            )

    def end(self, how: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(20)

    def logged(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line[:1] == "{"]

    def until(self, condition, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.log.read_text()[-4000:]
            assert self.process is not None
            assert self.process.poll() is None, self.log.read_text()[-4000:]
            time.sleep(0.05)

    def jobs(self, states) -> list:
        async def look():
            store = SqlStore.open(self.url, self.office.identity)
            found = await store.run(lambda ledger: ledger.jobs(states, 1000))
            store.close()
            return found

        return run(look())


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def office(evm):
    snapshot = evm.snapshot()
    yield Office(evm)
    evm.restore(snapshot)


@pytest.fixture
def daemon(office, tmp_path):
    made = Daemon(office, tmp_path, EINPROOF_MONITOR_PORT="0")
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def operator_nonce(office):
    address = office.evm.web3.to_checksum_address("0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC")
    return office.evm.web3.eth.get_transaction_count(address)


@pytest.mark.parametrize("seed", [1])
def test_two_hundred_requests_and_five_kills_lose_nothing_and_repeat_nothing(office, daemon, seed):
    dice = random.Random(seed)
    before = operator_nonce(office)
    requests = [office.ask() for _ in range(200)]
    marks = sorted(dice.sample(range(10, 190), 5))
    for mark in marks:
        daemon.start()
        daemon.until(lambda mark=mark: len(office.answers()) >= mark, 120)
        daemon.end(signal.SIGKILL)
    assert len(office.answers()) < 200  # it was killed at work
    daemon.start()
    daemon.until(lambda: len(office.answers()) >= 200, 120)
    daemon.until(lambda: len(daemon.jobs({JobState.SETTLED})) == 200, 20)
    assert daemon.end(signal.SIGTERM) == 0
    assert sorted(office.answers()) == sorted(request.id for request in requests)
    assert operator_nonce(office) - before == 200  # not one transaction too many
    assert not [line for line in daemon.logged() if line["event"] == "unexpected"]


def serving(daemon: Daemon) -> int:
    """How often the service has come up so far."""
    return sum(event["event"] == "serving" for event in daemon.logged())


def test_kills_while_blocks_are_slow_and_reorganised_lose_nothing(office, daemon):
    """Transactions wait in the pool, blocks come and go, and the service dies in between."""
    dice = random.Random(7)
    rpc = office.evm.rpc
    requests = [office.ask() for _ in range(20)]
    rpc("evm_setAutomine", False)
    try:
        for turn in range(6):
            daemon.start()
            time.sleep(0.9 + dice.random())
            rpc("evm_mine")
            time.sleep(dice.random() / 2)
            if turn % 2:
                rpc("anvil_reorg", 1, [])
            daemon.end(signal.SIGKILL)
        started = serving(daemon)
        daemon.start()
        for _ in range(200):
            rpc("evm_mine")
            time.sleep(0.1)
            if len(office.answers()) == 20:
                break
        rpc("evm_mine")
        daemon.until(lambda: len(daemon.jobs({JobState.SETTLED})) == 20, 60)
        # All may have been settled before the last start: a signal counts once it is listened for.
        daemon.until(lambda: serving(daemon) > started, 60)
    finally:
        rpc("evm_setAutomine", True)
    assert daemon.end(signal.SIGTERM) == 0
    assert sorted(office.answers()) == sorted(request.id for request in requests)


def test_a_signal_ends_it_cleanly_and_its_work_is_taken_up(office, tmp_path):
    slow = Daemon(office, tmp_path, proof=30.0)
    request = office.ask()
    slow.start()
    slow.until(lambda: any(job.lease for job in slow.jobs({JobState.NEW})), 20)
    assert slow.end(signal.SIGTERM) == 0
    (job,) = slow.jobs({JobState.NEW})
    assert job.lease is None
    slow.proof = 0.0
    slow.start()
    slow.until(lambda: office.answers() == [request.id], 20)
    assert slow.end(signal.SIGTERM) == 0


def test_a_node_that_is_down_at_the_start_and_again_later_is_waited_for(office, tmp_path):
    daemon = Daemon(office, tmp_path)
    there = daemon.environment["EINPROOF_RPC"]
    daemon.environment["EINPROOF_RPC"] = "http://127.0.0.1:9"
    daemon.start()
    daemon.until(lambda: any(e["event"] == "the chain is down" for e in daemon.logged()), 20)
    (line,) = daemon.logged()[:1]
    assert "EINPROOF_RPC" in line["reason"]
    assert daemon.end(signal.SIGTERM) == 0
    daemon.environment["EINPROOF_RPC"] = there
    daemon.start()
    request = office.ask()
    daemon.until(lambda: office.answers() == [request.id], 20)
    office.evm.process.send_signal(signal.SIGSTOP)
    office.evm.process.send_signal(signal.SIGCONT)
    again = office.ask()
    daemon.until(lambda: again.id in office.answers(), 20)
    assert daemon.end(signal.SIGTERM) == 0


def test_health_and_metrics(office, daemon):
    office.ask()
    declined = office.ask(fee=0)
    daemon.environment["EINPROOF_MIN_FEE"] = "1"
    daemon.start()
    daemon.until(lambda: any(e["event"] == "serving" for e in daemon.logged()), 20)
    port = next(e["monitor"] for e in daemon.logged() if e["event"] == "serving")

    def get(path):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
            return answer.read().decode()

    def closed():
        jobs = json.loads(get("/healthz"))["jobs"]["operator"]
        return jobs.get("settled") == 1 and jobs.get("declined") == 1

    daemon.until(closed, 20)
    assert json.loads(get("/healthz"))["healthy"] is True
    metrics = get("/metrics")
    assert 'einproof_jobs{role="operator",state="settled"} 1.0' in metrics
    assert "einproof_healthy 1.0" in metrics
    with pytest.raises(urllib.error.HTTPError):
        get("/else")
    (line,) = [e for e in daemon.logged() if e["event"] == "declined"]
    assert line["reason"] == "pays 0 wei, this service asks 1"
    assert line["id"] == declined.id.hex()
