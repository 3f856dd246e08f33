"""Where a mixed run happens: a chain with the real contracts, two models, people with stakes, and
the service's processes."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from oracle.adapters.deployment import PROOF
from oracle.adapters.engine import InterpreterEngine
from oracle.adapters.software_tpm import software_tpm
from oracle.adapters.tpm import Tpm
from oracle.domain.committee import Committee
from oracle.domain.request import TierKind
from oracle.domain.terms import ClaimTerms
from oracle.operations import Asked
from oracle.story.anvil import anvil, free_port
from oracle.story.attested import ANSWERS, BUILD_REGISTER, DELAY, AttestedStory, Hall
from oracle.story.audited import Lottery
from oracle.story.bisected import Arena
from oracle.story.desk import Desk
from oracle.story.seated import Chamber
from oracle.story.staked import GWEI, Ladder
from oracle.toolchain import ROOT
from prover import kernels
from prover.api import Session
from prover.composition import Composition
from prover.model import Model
from prover.srs import development_srs

ETHER, HOUR = 10**18, 3600
SRS_POWERS, SEGMENTS = 12, 2
#: Anvil's accounts, by number.
PEOPLE = {
    "deployer": 0,
    "operator": 1,
    "requester": 2,
    "challenger": 3,
    "thief": 4,
    "rival": 5,
    "watcher": 6,
    "patron": 7,
    "member 0": 10,
    "member 1": 11,
}
#: Further ones come by the day, a handful a day: they lose their standing, or their stake.
FIRST_OF_DAY, HANDFUL, ACCOUNTS = 20, 7, 60
#: Of seven members five are turned, which are a quorum; of these three are lazy.
HONEST, MEMBERS, LAZIES = ("member 0", "member 1"), 7, 3
STAKE, MEMBER_STAKE = 500 * ETHER, 40 * ETHER
#: Seconds of proving that requests declare; those that may be disputed must fit a clock together.
PROVING = 10
POLL = 0.5
AUDITS = 4000
#: What the honest answer for; cheats take no more than CHEATED on themselves.
COVERAGE, CHEATED, SEATED = ETHER // 10 // GWEI, ETHER // 20 // GWEI, ETHER // 100 // GWEI


def key(number: int) -> str:
    return f"dev:{number}"


class Town:
    """Ladders by tier, on one desk; `held` inputs of each model, as bytes. `tpms`: the operator's
    and the cheats', or none, and nobody answers under the attested tier."""

    def __init__(self, desk: Desk, folder: Path, tpms: Sequence[Tpm]) -> None:
        self.desk, self.folder, self.tpms = desk, folder, tuple(tpms)
        self.people = dict(PEOPLE)
        self.board = free_port()
        self.committee = Committee(0, b"", 0)
        self.models: dict[str, bytes] = {}
        self.inputs: dict[str, list[bytes]] = {}
        self._engine, self._truths = InterpreterEngine(), dict[tuple[str, bytes], bytes]()
        covered = ClaimTerms(COVERAGE, PROVING)
        self.proofs = at(Hand, desk, tier=PROOF, kind=TierKind.PROOF, terms=None)
        self.optimistic = at(Hand, desk, terms=covered)
        self.patron = at(Hand, desk, terms=covered, requester=key(PEOPLE["patron"]))
        self.audited = at(Draws, desk, terms=ClaimTerms(COVERAGE, PROVING, audits=AUDITS))
        self.bisected = at(Game, desk, terms=covered)
        self.seated = at(Seats, desk, MEMBERS, terms=ClaimTerms(SEATED, PROVING))
        self.attested = at(Keys, desk, terms=covered)

    @classmethod
    @contextmanager
    def founded(cls, folder: Path, attested: bool) -> Iterator[Town]:
        """Contracts deployed, models registered, stakes in; if it is `attested`, a TPM's key
        enrolled."""
        srs = development_srs(kernels.get(), SRS_POWERS)
        with ExitStack() as stack:
            url = stack.enter_context(anvil(folder / "anvil.log", "--accounts", str(ACCOUNTS)))
            desk = stack.enter_context(Desk.deployed(url, srs, folder, MEMBERS))
            names = ("tpm", "other") if attested else ()
            tpms = [stack.enter_context(software_tpm(folder / name)) for name in names]
            town = cls(desk, folder, tpms)
            town._build(srs)
            for tpm in tpms:
                tpm.extend(BUILD_REGISTER, sha256(town.models["digits"]).digest())
            for tpm in tpms[:1]:
                town.attested.enrol(tpm, town.models["digits"], ANSWERS)
            town.stake("operator", STAKE)
            for name in HONEST:
                town.stake(name, MEMBER_STAKE)
            town.sit(HONEST)
            wanted = desk.contract("InferenceOracle").wantProvisional
            wanted(True, sender=town.patron.account(key(PEOPLE["patron"])))
            yield town

    def _build(self, srs: Any) -> None:
        """Digits, whole and cut, for all to have; breast cancer for who answers alone."""
        from oracle.benchmarks.models import named
        from prover.compiler import compile_module

        whole = None
        for name, model in (("digits", "digits-mlp"), ("cancer", "breast-cancer-lr")):
            module, data = named(model).train()
            compiled = compile_module(module, (1, data.shape[1]), (0.0, 1.0))
            made = Model.create(
                compiled.program, compiled.weights, compiled.quantizer, kernels.get(), srs
            )
            made.save(self.folder / "all" / name)
            self.models[name] = made.id
            self.inputs[name] = [made.encode_input(row[None]) for row in data[:300]]
            whole = whole or made
        self.session = Session(whole, kernels.get(), srs)
        cut = Composition.divide(whole, kernels.get(), srs, SEGMENTS)
        cut.save(self.folder / "all" / "cut")
        self.models["cut"], self.inputs["cut"] = cut.id, self.inputs["digits"]
        for name in ("digits", "cut"):
            shutil.copytree(self.folder / "all" / name, self.folder / "public" / name)
        for name in self.models:
            self.desk.command("register", self.folder / "all" / name)

    def truth(self, asked: Asked) -> bytes:
        """What the request's model makes of its input."""
        request = asked.request
        folder = next(name for name, id in self.models.items() if id == request.model_id)
        known = (folder, request.input)
        if known not in self._truths:
            work = self._engine.steps if folder == "cut" else self._engine.run
            found = asyncio.run(work(self.folder / "all" / folder, request.input))
            self._truths[known] = found.data[-1] if folder == "cut" else found
        return self._truths[known]

    # --- people ---------------------------------------------------------------------------------

    def address(self, name: str) -> str:
        return self.optimistic.address(key(self.people[name]))

    def account(self, name: str) -> Any:
        return self.optimistic.account(key(self.people[name]))

    def stake(self, name: str, amount: int) -> None:
        self.desk.contract("StakeVault").stake(value=amount, sender=self.account(name))

    def sit(self, members: Sequence[str]) -> None:
        """Each takes a seat that nobody had before."""
        council = self.seated.council
        for name in members:
            council.enrol(council.seatCount(), sender=self.account(name))

    def place(self, member: str) -> int:
        """Where it sits today."""
        (place,) = self.committee.places(self.address(member))
        return place

    @staticmethod
    def turned(round: int) -> list[str]:
        """Members that can be had; the last LAZIES of them are lazy, too."""
        return [f"turned {round}.{i}" for i in range(MEMBERS - len(HONEST))]

    def lazies(self, round: int) -> list[str]:
        return self.turned(round)[-LAZIES:]

    @staticmethod
    def cheats(round: int) -> tuple[str, str]:
        """On public models, and on the private one."""
        return f"cheat {round}.public", f"cheat {round}.private"

    def admit(self, rounds: int) -> None:
        """Who turns or cheats on a day has an account and a stake, who cheats on a public model a
        key in a TPM too, as good as the operator's; all keys come of age."""
        for round in range(rounds):
            for i, name in enumerate((*self.turned(round), *self.cheats(round))):
                self.people[name] = FIRST_OF_DAY + HANDFUL * round + i
                self.stake(name, MEMBER_STAKE)
            cheat = key(self.people[self.cheats(round)[0]])
            for tpm in self.tpms[1:]:
                self.attested.enrol(tpm, self.models["digits"], self.corrupted(round), cheat)
        self.attested.pass_time(DELAY)

    @staticmethod
    def corrupted(round: int) -> str:
        """A cheat's key in its TPM."""
        return f"corrupted{round}"

    def begin_day(self, round: int) -> None:
        """Yesterday's turned members were slashed and sit no more: others do; the committee is
        drawn."""
        self.sit(self.turned(round))
        self.committee = self.seated.draw()

    # --- services -------------------------------------------------------------------------------

    def service(self, name: str, number: int, roles: str, engine: str, **more: Any) -> Any:
        """One service's settings, as tests.oracle.crew reads them."""
        holds = "public" if roles.startswith("challenger") else "all"
        return {
            "engine": engine,
            "rpc": self.desk.url,
            "key": key(number),
            "roles": roles,
            "models": str(self.folder / holds),
            "deployment": str(self.folder / "deployments/31337.json"),
            "database": f"sqlite:///{self.folder}/{name.replace(' ', '-')}.db",
            "proving": PROVING,
            "poll": POLL,
            **more,
        }

    def member(self, name: str, round: int, engine: str) -> Any:
        """All sign for the one that collects, the first of the turned."""
        collector = self.turned(round)[0]
        host = {"board": f"http://127.0.0.1:{self.board}"}
        if name == collector:
            host = {"board_port": self.board}
        payee = self.address(collector)
        return self.service(name, self.people[name], "member", engine, payee=payee, **host)

    def crews(self, round: int) -> dict[str, list[Any]]:
        """Three processes: who answers, who checks, and who cheats in this round."""
        fee: dict[str, Any] = {"min_fee": 1}
        lying: dict[str, Any] = {"tiers": "optimistic,bisection"}
        if self.tpms:
            own, other = (f"tpm:{tpm.where}" for tpm in self.tpms)
            fee["answer_key"] = f"{own}#{ANSWERS}"
            lying["answer_key"] = f"{other}#{self.corrupted(round)}"
            lying["tiers"] += ",attested"
        watching = {"watcher_key": key(self.people["watcher"]), "hourly_bonds": 1000 * ETHER}
        checks, (public, private) = self.people["challenger"], self.cheats(round)
        lazies = self.lazies(round)
        return {
            "operator": [
                self.service("operator", self.people["operator"], "operator", "honest", **fee),
                self.member(HONEST[0], round, "honest"),
            ],
            "challenger": [
                self.service("challenger", checks, "challenger,watcher", "honest", **watching),
                self.member(HONEST[1], round, "honest"),
            ],
            "cheats": [
                *(
                    self.member(name, round, "lazy" if name in lazies else "turned")
                    for name in self.turned(round)
                ),
                self._cheat(public, **lying),
                self._cheat(private, tiers="audited"),
            ],
        }

    def _cheat(self, name: str, **more: Any) -> Any:
        held = {"max_coverage": CHEATED * GWEI, **more}
        return self.service(name, self.people[name], "operator", "lying", **held)


class Fleet:
    """Processes, and a hand that kills them."""

    def __init__(self, folder: Path, every: float, dice: random.Random) -> None:
        self._folder, self._every, self._dice = folder, every, dice
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._sizes: dict[str, int] = {}
        self._lock = threading.Lock()
        self.starts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()

    def crew(self, name: str, services: Sequence[Any]) -> None:
        """Starts these services, in place of the process that has the name."""
        with self._lock:
            self._end(name)
            (self._folder / f"{name}.json").write_text(json.dumps(list(services)))
            self._sizes[name] = len(services)
            self._log(name).unlink(missing_ok=True)
            self.starts[name] = 0
            self._start(name)

    @contextmanager
    def killing(self) -> Iterator[None]:
        """Kills one at random now and then, all at the end."""
        over = threading.Event()
        killer = threading.Thread(target=self._kill, args=(over,))
        killer.start()
        try:
            yield
        finally:
            over.set()
            killer.join()
            for name in list(self._running):
                self._end(name)

    def unexpected(self) -> list[str]:
        """What services logged as faults of their own."""
        lines = [line for name in self._sizes for line in self._lines(name)]
        return [line for line in lines if '"event": "unexpected"' in line or "Traceback" in line]

    def _kill(self, over: threading.Event) -> None:
        """Nobody who has not come up yet: on a busy machine none ever would."""
        while not over.wait(self._every):
            with self._lock:
                name = self._dice.choice(sorted(self._running))
                up = sum('"event": "serving"' in line for line in self._lines(name))
                if up == self._sizes[name] * self.starts[name]:
                    self._end(name)
                    self.kills[name] += 1
                    self._start(name)

    def _start(self, name: str) -> None:
        clean = {k: v for k, v in os.environ.items() if not k.startswith("EINPROOF_")}
        with self._log(name).open("a") as log:
            self._running[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.oracle.crew", self._folder / f"{name}.json"],
                cwd=ROOT,
                env=clean,
                stdout=log,
                stderr=log,
            )
        self.starts[name] += 1

    def _end(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is not None:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _lines(self, name: str) -> list[str]:
        return self._log(name).read_text().splitlines()


class Hand(Ladder):
    """Some tier by hand, for as many people as there are."""

    seconds = 4 * HOUR

    def account(self, key: str) -> Any:
        made = self._desk.ape.accounts.test_accounts.containers["test"]
        return made.generate_account(int(key.partition(":")[2]))


class Draws(Hand, Lottery):
    """The audited tier."""


class Game(Hand, Arena):
    """The bisection tier."""


class Seats(Hand, Chamber):
    """The committee tier."""


class Keys(Hand, Hall):
    """The attested tier."""

    attestation = staticmethod(AttestedStory._attestation)


def at(kind: type[Any], /, *given: Any, **fields: Any) -> Any:
    """A ladder with other fields than its class's."""
    made = kind(*given)
    for name, value in fields.items():
        setattr(made, name, value)
    return made
