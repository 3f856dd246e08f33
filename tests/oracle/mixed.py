"""Many requests of both tiers over three processes of the service, with a tenth of the answers
wrong and a process killed at random now and then:

    python -m tests.oracle.mixed REQUESTS [SECONDS BETWEEN KILLS] [SEED]     (`make bench-mixed`)

writes bench/results/mixed.json, and mixed.md of it. Contracts, database, processes and signals are
real; the verifier, prover and engine are the tests' doubles, so gas is without the verifier's own.
A round is asked, answered and disputed, then the chain's clock passes every window; the cheat,
suspended by then, gives way to another with a key and a stake of its own.
"""

from __future__ import annotations

import math
import random
import signal
import statistics
import sys
import tempfile
import textwrap
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from oracle.adapters.keys import open_signer
from oracle.domain.request import Request
from tests.contracts.bench import ETHER, GWEI, LAPSED, UPHELD, WINDOW, terms
from tests.contracts.desk import FINAL, PROVISIONAL, RETRACTED
from tests.evm import Chain
from tests.oracle.desk import LOGITS, Office
from tests.oracle.test_kill import Daemon

OPERATOR, CHALLENGER = "dev:1", "dev:3"
CHEATS = ("dev:4", "dev:7", "dev:8", "dev:9")  # one a round; 5 and 6 dispute without reason
STAKE = 200 * ETHER
PROVING = 10
COVERAGE, CHEATED = ETHER // 10 // GWEI, ETHER // 20 // GWEI
PROOF, SILENT, PROVED, SLASHED = PATHS = (
    "proof",
    "optimistic, undisputed",
    "optimistic, disputed and proved",
    "optimistic, wrong: disputed and slashed",
)
#: Of the requests.
SHARES = (0.44, 0.40, 0.06, 0.10)
PATIENCE = 900
#: Student's t for 95%, by the number of values.
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18}


@dataclass
class Mixed:
    """A run; `told` is what it came to."""

    office: Office
    folder: Path
    kill_every: float
    dice: random.Random
    asked: dict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))
    kills: Counter[str] = field(default_factory=Counter)
    #: Of each round: requests, and seconds until all were answered, proved and disputed.
    rounds: list[tuple[int, float]] = field(default_factory=list)
    daemons: dict[str, Daemon] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def round(self, count: int, cheat: str) -> None:
        desk, chain = self.office.desk, self.office.evm
        desk.stake(STAKE, address(cheat))
        cheating = {
            "EINPROOF_TIERS": "optimistic",
            "EINPROOF_MAX_COVERAGE": str(CHEATED * GWEI),
        }
        with self._serving("cheat " + cheat[4:], cheat, "lying", **cheating):
            started = time.monotonic()
            asked = self._ask(count)
            for path, requests in asked.items():
                stands = FINAL if path == PROOF else PROVISIONAL
                self._until(lambda r=requests, s=stands: all(self._at(one) == s for one in r))
            for request in asked[PROVED]:
                self._dispute(request)
            self._until(lambda: all(self._at(one) == FINAL for one in asked[PROVED]))
            challenges = desk.optimistic.functions.challengeCount
            self._until(lambda: all(chain.call(challenges(r.id)) for r in asked[SLASHED]))
            self.rounds.append((count, time.monotonic() - started))
            self.office.wait(WINDOW + 1)  # the prove clock is shorter
            self._until(lambda: all(self._at(one) == RETRACTED for one in asked[SLASHED]))
            self._until(lambda: all(self._at(one) == FINAL for one in asked[SILENT]))
            self._until(lambda: all(self._collected(one) for one in asked[SLASHED]))
        for path, requests in asked.items():
            self.asked[path] += requests

    def _ask(self, count: int) -> dict[str, list[Request]]:
        kinds = [path for path, share in zip(PATHS, SHARES, strict=True) for _ in
                 range(round(count * share))]  # fmt: skip
        self.dice.shuffle(kinds)
        asked = defaultdict(list)
        staked = {"assurance": self.office.desk.optimistic.address}
        for kind in kinds:
            fields: dict[str, Any] = {}
            if kind == SLASHED:  # the honest ask a fee, and leave these to the cheat
                fields = {**staked, "terms": terms(CHEATED, PROVING), "fee": 0}
            elif kind != PROOF:
                fields = {**staked, "terms": terms(COVERAGE, PROVING)}
            else:
                pin = self.office.evm.call(self.office.desk.tier.functions.pin())
                fields = {
                    "assurance": self.office.desk.tier.address,
                    "pin": pin,
                    "terms": bytes(32),
                }
            asked[kind].append(self.office.ask(**fields))
        return asked

    def _dispute(self, request: Request) -> None:
        """Somebody disputes an honest answer, and will lose the bond."""
        desk = self.office.desk
        function = desk.optimistic.functions.dispute(
            request.fields, address(OPERATOR), keccak(LOGITS), bytes(32)
        )
        bond = self.office.evm.call(desk.optimistic.functions.bond(request.terms))
        self.office.evm.send(function, sender=desk.rival, value=bond)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Operator and challenger, and a hand that kills."""
        fee = {"EINPROOF_MIN_FEE": "1", "EINPROOF_PROVING": str(PROVING)}
        bonds = {"EINPROOF_ROLES": "challenger", "EINPROOF_HOURLY_BONDS": str(1000 * ETHER)}
        over = threading.Event()
        with (
            self._serving("operator", OPERATOR, **fee),
            self._serving("challenger", CHALLENGER, **bonds),
        ):
            killer = threading.Thread(target=self._kill, args=(over,))
            killer.start()
            try:
                yield
            finally:
                over.set()
                killer.join()

    @contextmanager
    def _serving(self, name: str, key: str, *words: str, **settings: str) -> Iterator[None]:
        daemon = Daemon(
            self.office,
            self.folder / name.replace(" ", "-"),
            *words,
            EINPROOF_KEY=key,
            **{"EINPROOF_PROVING": str(PROVING), **settings},
        )
        daemon.start()
        self.daemons[name] = daemon
        try:
            yield
        finally:
            with self.lock:
                del self.daemons[name]
            daemon.end(signal.SIGKILL)
            errors = [line for line in daemon.logged() if line["event"] == "unexpected"]
            assert not errors, errors[:3]

    def _kill(self, over: threading.Event) -> None:
        """Nobody who has not come up yet: on a busy machine none ever would."""
        while not over.wait(self.kill_every):
            with self.lock:
                name = self.dice.choice(sorted(self.daemons))
                daemon = self.daemons[name]
                if births(daemon) > self.kills[name]:
                    daemon.end(signal.SIGKILL)
                    self.kills[name] = births(daemon)
                    daemon.start()

    def _until(self, condition: Callable[[], bool]) -> None:
        expires = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < expires, f"nothing moves any more: logs in {self.folder}"
            time.sleep(0.2)

    def _at(self, request: Request) -> int:
        return int(self.office.evm.call(self.office.desk.oracle.functions.statusOf(request.id))[0])

    def _collected(self, request: Request) -> bool:
        """The challenger's bond is back."""
        first = self.office.desk.optimistic.functions.challengeAt(request.id, 0)
        return int(self.office.evm.call(first)[1]) == 0

    def _outcome(self, request: Request) -> int:
        case = self.office.desk.optimistic.functions.caseOf(request.id)
        return int(self.office.evm.call(case)[4])

    # --- what came of it ------------------------------------------------------------------------

    def check(self) -> None:
        """Raises AssertionError where the honest lost anything, or a cheat kept its lock."""
        desk, chain = self.office.desk, self.office.evm
        good = [request for path in (PROOF, SILENT, PROVED) for request in self.asked[path]]
        right = desk.digest(address(OPERATOR), LOGITS)
        for request in good:
            status, digest, _ = chain.call(desk.oracle.functions.statusOf(request.id))
            assert (status, bytes(digest)) == (FINAL, right)
        for path, outcome in ((PROVED, UPHELD), (SLASHED, LAPSED)):
            assert {self._outcome(request) for request in self.asked[path]} == {outcome}
        assert {self._at(request) for request in self.asked[SLASHED]} == {RETRACTED}
        assert chain.balance(desk.oracle.address) == 0, "every payment was settled, once"
        answers = Counter(self.office.answers())
        for path, times in ((PROOF, 1), (SILENT, 2), (PROVED, 2), (SLASHED, 1)):
            assert {answers.pop(request.id) for request in self.asked[path]} == {times}
        assert not answers

        stake = STAKE // GWEI
        honest = desk.account(address(OPERATOR))
        assert (honest["stake"], honest["locked"], honest["suspended"]) == (stake, 0, False)
        number = len(self.asked[SLASHED])
        split = chain.call(desk.optimistic.functions.split(terms(CHEATED, PROVING)))
        left = sum(desk.account(address(key))["stake"] for key in CHEATS)
        staked = sum(desk.account(address(key))["suspended"] for key in CHEATS) * stake
        assert staked - left == number * sum(split)
        assert desk.burned() == number * CHEATED
        assert desk.owed(address(CHALLENGER)) == number * split[1]
        assert desk.owed(desk.requester) == number * CHEATED
        owed = stake + left + desk.burned() + number * (CHEATED + split[1])
        assert chain.balance(desk.vault.address) == owed * GWEI, "the vault holds what it owes"

    def gas(self) -> dict[str, dict[str, int]]:
        """Path -> requests, and gas of all transactions that name one: mean and most."""
        desk, chain = self.office.desk, self.office.evm
        places = [contract.address for contract in (desk.oracle, desk.optimistic, desk.vault)]
        logs = chain.rpc(
            "eth_getLogs", {"address": places, "fromBlock": "0x0", "toBlock": "latest"}
        )
        named = defaultdict(set)
        for log in logs:
            if len(log["topics"]) > 1:
                named[bytes.fromhex(log["topics"][1][2:])].add(log["transactionHash"])
        used: dict[str, int] = {}

        def spent(hash: str) -> int:
            if hash not in used:
                used[hash] = chain.web3.eth.get_transaction_receipt(hash)["gasUsed"]
            return used[hash]

        found = {}
        for path in PATHS:
            sums = [sum(map(spent, named[request.id])) for request in self.asked[path]]
            mean = round(statistics.mean(sums))
            found[path] = {"requests": len(sums), "gas_mean": mean, "gas_most": max(sums)}
        return found


def births(daemon: Daemon) -> int:
    """How often it has come up so far."""
    return sum(line["event"] == "serving" for line in daemon.logged())


def address(key: str) -> str:
    return open_signer(key, "", 31337).address


def mixed(
    chain: Chain, folder: Path, requests: int, kill_every: float, seed: int, rounds: int
) -> dict[str, Any]:
    """A whole run, checked; what there is to tell of it."""
    office = Office(chain, staked=True)
    office.desk.stake(STAKE, address(OPERATOR))
    run = Mixed(office, folder, kill_every, random.Random(seed))
    started = time.monotonic()
    with run.serving():
        for cheat in CHEATS[:rounds]:
            run.round(requests // rounds, cheat)
    seconds = time.monotonic() - started
    run.check()
    count, cheats = sum(map(len, run.asked.values())), len(run.asked[SLASHED])
    rates = [asked / taken for asked, taken in run.rounds]
    return {
        "requests": count,
        "seed": seed,
        "rounds": rounds,
        "seconds_between_kills": kill_every,
        "kills": sum(run.kills.values()),
        "seconds": round(seconds, 1),
        "answered_a_second": round(count / sum(taken for _, taken in run.rounds), 2),
        "answered_a_second_95": [round(end, 2) for end in interval(rates)],
        "settled_a_second": round(count / seconds, 2),
        "cheats": cheats,
        "slashed": cheats,  # check() raises where one is not
        "slashed_share_at_least_95": round(0.05 ** (1 / cheats), 3),
        "paths": run.gas(),
    }


def interval(values: list[float]) -> tuple[float, float]:
    """A mean's 95% confidence interval by Student's t; of one value, nothing is known."""
    if len(values) == 1:
        return 0.0, math.inf
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    half = STUDENT[len(values)] * deviation / math.sqrt(len(values))
    return max(0.0, mean - half), mean + half


def table(row: dict[str, Any]) -> str:
    """The page of a run."""
    low, high = row["answered_a_second_95"]
    told = (
        f"{row['requests']} requests, {row['cheats']} of them answered wrongly, over three "
        f"processes of the service, one killed at random every {row['seconds_between_kills']} s "
        f"({row['kills']} kills), in {row['seconds']:.0f} s on {row['machine']}, at load "
        f"{row['load_average']}, commit {row['commit']}. Every cheat was slashed (all "
        f"{row['slashed']}: with 95% confidence a share of at least "
        f"{row['slashed_share_at_least_95']:.1%}); nobody honest lost anything, and nothing was "
        f"lost or answered twice. Answered, proved and disputed: {row['answered_a_second']} "
        f"requests a second (95% interval of the rounds' mean: {low} to {high}); settled, all "
        f"clocks and kills included: {row['settled_a_second']}. Verifier and prover are the tests' "
        "doubles: gas is without the verifier's."
    )
    lines = ["# A mixed run", "", *textwrap.wrap(told, 100), ""]
    lines += [
        "| tier and path | requests | gas, mean | gas, most |",
        "| --- | ---: | ---: | ---: |",
    ]
    for path, found in row["paths"].items():
        figures = f"{found['requests']} | {found['gas_mean']:,} | {found['gas_most']:,}"
        lines.append(f"| {path} | {figures} |")
    return "\n".join(lines) + "\n"


def main(requests: int = 1000, kill_every: float = 20, seed: int = 1) -> None:
    from oracle.benchmarks import here
    from oracle.benchmarks.results import RESULTS, record
    from oracle.toolchain import activate

    activate()
    commit = here.commit()
    with Chain.start() as chain, tempfile.TemporaryDirectory() as folder:
        row = mixed(chain, Path(folder), requests, kill_every, seed, len(CHEATS))
    row |= {
        "load_average": round(here.load_average(), 1),
        "commit": commit,
        "machine": here.machine(),
    }
    print(row)
    record("mixed", row)
    (RESULTS / "mixed.md").write_text(table(row))


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
