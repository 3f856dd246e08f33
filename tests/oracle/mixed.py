"""Many requests of all tiers over three processes of the service, with a tenth of the operators and
members cheating and a process killed at random now and then:

    python -m tests.oracle.mixed REQUESTS [SECONDS BETWEEN KILLS] [SEED] [ROUNDS]     (bench-mixed)

writes bench/results/mixed.json, and mixed.md of it. Contracts, engines, proofs, processes and
signals are real; SRS and beacon are a development's, the TPM is software. A round is a day: all is
asked, answered and disputed, then the chain's clock passes every window; cheats, without stake or
standing by then, give way to others. Lies that nobody drew, of a cheat that was drawn for another,
stand until the oracle's week is over, at the end: then anyone gives them back and closes them.
"""

from __future__ import annotations

import math
import random
import shutil
import signal
import statistics
import sys
import tempfile
import textwrap
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from oracle.domain.chain import Status
from oracle.domain.request import Request
from oracle.domain.terms import ClaimTerms
from oracle.operations import Asked
from oracle.services import guard
from oracle.story.attested import ANSWERS
from oracle.story.desk import FEE
from oracle.story.staked import GWEI
from tests.oracle.books import Books, Steps
from tests.oracle.crew import CAPTURED, LAZY, falsified, mark
from tests.oracle.town import (
    AUDITS,
    CHEATED,
    HOUR,
    LAZIES,
    MEMBERS,
    PROVING,
    SEATED,
    SEGMENTS,
    Fleet,
    Town,
)

PATIENCE, SLOW = 2400, 10  # seconds
WEEK = 7 * 24 * HOUR
#: Student's t for 95%, by the number of values.
STUDENT = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78}
CLOSED = (Status.FINAL, Status.RETRACTED, Status.REFUNDED)


@dataclass(frozen=True)
class Way:
    """One way that a request can go: of a hundred, how many; what it ends as."""

    tier: str
    name: str
    share: int
    end: Status = Status.FINAL
    cheat: bool = False


PROVED = Way("proof", "answered", 16)
FORGED = Way("proof", "stolen and altered proofs refused", 1, Status.REFUNDED, True)
SILENT = Way("optimistic", "final after its window", 14)
DELIVERED = Way("optimistic", "delivered provisionally, then final", 8)
DISPUTED = Way("optimistic", "disputed for nothing, proved", 2)
WRONG = Way("optimistic", "wrong: disputed, slashed", 2, Status.RETRACTED, True)
AUDITED = Way("audited", "final, or drawn and proved", 17)
UNAUDITED = Way("audited", "wrong: slashed, held back or missed", 3, Status.RETRACTED, True)
BISECTED = Way("bisection", "final after its window", 10)
NARROWED = Way("bisection", "wrong: narrowed down, slashed", 1, Status.RETRACTED, True)
AGREED = Way("committee", "agreed", 10)
REFUTED = Way("committee", "captured: refuted, slashed", 1, Status.FINAL, True)
SUMMONED = Way("committee", "lazy: summoned, fined", 1, Status.REFUNDED, True)
SIGNED = Way("attested", "signed by the software TPM", 11)
KEYED = Way("attested", "wrong under a good key: disputed, slashed", 2, Status.RETRACTED, True)
STOLEN = Way("attested", "stolen and replayed signatures refused", 1, Status.REFUNDED, True)
PATHS = (PROVED, FORGED, SILENT, DELIVERED, DISPUTED, WRONG, AUDITED, UNAUDITED, BISECTED,
         NARROWED, AGREED, REFUTED, SUMMONED, SIGNED, KEYED, STOLEN)  # fmt: skip


def ways(attested: bool) -> tuple[Way, ...]:
    """Those that a run goes: without a TPM none of the attested tier's."""
    return tuple(path for path in PATHS if attested or path.tier != "attested")


def counts(requests: int, among: Sequence[Way] = PATHS) -> dict[Way, int]:
    """How many of each; at least one, among all ways a tenth of cheats at least, and all of them
    together `requests`. Raises ValueError."""
    found = {}
    for path in among:
        share = requests * path.share / 100
        found[path] = max(1, math.ceil(share) if path.cheat else round(share))
    found[PROVED] += requests - sum(found.values())
    if found[PROVED] < 1:
        raise ValueError(f"expected enough requests for each of {len(among)} ways, got {requests}")
    return found


@dataclass
class Mixed:
    """A run; `told` is what it came to."""

    town: Town
    fleet: Fleet
    dice: random.Random
    books: Books
    asked: dict[Way, list[Asked]] = field(default_factory=lambda: defaultdict(list))
    drawn: dict[bytes, bool] = field(default_factory=dict)
    #: Lies that were not drawn, but another of the same operator's was.
    held: set[bytes] = field(default_factory=set)
    #: Of a summons' request, how many members were fined.
    absent: Counter[bytes] = field(default_factory=Counter)
    #: Whose standing must be gone: turned members and cheats, of private ones those who were drawn.
    lost: set[str] = field(default_factory=set)
    refused: Counter[str] = field(default_factory=Counter)
    #: What each round asked.
    days: list[dict[Way, list[Asked]]] = field(default_factory=list)
    #: Of each round: requests, and seconds until all were answered, proved and disputed.
    rounds: list[tuple[int, float]] = field(default_factory=list)

    @property
    def ways(self) -> tuple[Way, ...]:
        return ways(bool(self.town.tpms))

    def round(self, number: int, count: int) -> None:
        town = self.town
        town.begin_day(number)
        for name, services in town.crews(number).items():
            self.fleet.crew(name, services)
        started = time.monotonic()
        asked = self._ask(counts(count, self.ways))
        self.days.append(asked)
        self._answered(asked)
        self._played(asked)
        self.rounds.append((count, time.monotonic() - started))
        self._settled(asked, number)
        for path, requests in asked.items():
            self.asked[path] += requests
        public, private = town.cheats(number)
        caught = any(self.drawn[one.request.id] for one in asked[UNAUDITED])
        self.lost |= {*town.turned(number), public, *([private] if caught else [])}
        say(f"day {number + 1}: {count} requests settled, {sum(self.fleet.kills.values())} kills")

    # --- asked ------------------------------------------------------------------------------------

    def _ask(self, numbers: dict[Way, int]) -> dict[Way, list[Asked]]:
        kinds = [path for path, number in numbers.items() for _ in range(number)]
        self.dice.shuffle(kinds)
        asked = defaultdict(list)
        for path in kinds:
            asked[path].append(self._one(path))
        return asked

    def _one(self, path: Way) -> Asked:
        town = self.town
        #: The honest ask a fee, and leave what pays none to the cheats.
        free = {"fee": 0, "terms": ClaimTerms(CHEATED, PROVING)}
        if path in (PROVED, FORGED):
            return self._to(town.proofs, "digits", fee=FEE if path is PROVED else 0)
        if path.tier == "optimistic":
            hand = town.patron if path is DELIVERED else town.optimistic
            return self._to(hand, "digits", **(free if path is WRONG else {}))
        if path.tier == "audited":
            free["terms"] = ClaimTerms(CHEATED, PROVING, audits=AUDITS)
            return self._to(town.audited, "cancer", **(free if path is UNAUDITED else {}))
        if path.tier == "bisection":
            return self._to(town.bisected, "cut", **(free if path is NARROWED else {}))
        if path.tier == "committee":
            marked = {REFUTED: CAPTURED, SUMMONED: LAZY}.get(path, 0)
            return self._to(town.seated, "digits", marked)
        if path is KEYED:
            return self._to(town.attested, "digits", **free)
        return self._to(town.attested, "digits", fee=FEE if path is SIGNED else 0)

    def _to(self, hand: Any, model: str, marked: int = 0, **fields: Any) -> Asked:
        fit = [one for one in self.town.inputs[model] if mark(one) == marked]
        return hand.ask(self.town.models[model], self.dice.choice(fit), **fields)

    # --- answered and played ----------------------------------------------------------------------

    def _answered(self, asked: dict[Way, list[Asked]]) -> None:
        for one in asked[FORGED]:
            self._forge(one)
        for one in asked[STOLEN]:
            self._steal(one, asked[SIGNED][0])
        for path in PATHS:
            if path not in (FORGED, STOLEN, SUMMONED):
                self._all(asked[path], lambda one: self._at(one) >= Status.PROVISIONAL, path)

    def _forge(self, one: Asked) -> None:
        """A proof for another's answer, or altered."""
        town, request = self.town, one.request
        thief, mine = town.address("thief"), town.address("operator")
        output, proof, _ = town.session.prove(town.desk.context(request, mine), request.input)
        flipped = bytearray(proof)
        flipped[len(proof) // 2] ^= 1
        tries = {
            "in a thief's name": (thief, output, proof),
            "of another output": (mine, falsified(output), proof),
            "altered": (mine, output, bytes(flipped)),
        }
        self._attack(FORGED, request, tries)

    def _steal(self, one: Asked, other: Asked) -> None:
        """A key's signature for another's answer, or of another request."""
        town, hall, request = self.town, self.town.attested, one.request
        thief, mine = town.address("thief"), town.address("operator")
        tpm, output = town.tpms[0], town.truth(one)
        stolen = hall.attestation(tpm, ANSWERS, hall.said(request, output))
        replayed = hall.attestation(tpm, ANSWERS, hall.said(other.request, output))
        tries = {
            "in a thief's name": (thief, output, stolen),
            "of another output": (mine, falsified(output), stolen),
            "replayed": (mine, output, replayed),
        }
        self._attack(STOLEN, request, tries)

    def _attack(
        self, path: Way, request: Request, tries: Mapping[str, tuple[str, bytes, bytes]]
    ) -> None:
        """Each must be refused by its name."""
        for name, claim in tries.items():
            self._refused(path, name, self.town.desk.try_answer(request, *claim))

    def _refused(self, path: Way, name: str, error: str | None) -> str:
        """Counts what was refused; the error's name."""
        assert error is not None, f"{path.name}: one {name} was accepted"
        found = error.partition("(")[0].strip()
        self.refused[f"{path.tier}, {name}: {found}"] += 1
        return found

    def _played(self, asked: dict[Way, list[Asked]]) -> None:
        """Deliveries, disputes without reason, summons; and what they call forth."""
        town = self.town
        oracle, tier = (
            town.desk.contract("InferenceOracle"),
            town.desk.contract("OptimisticAssurance"),
        )
        operator, rival = town.address("operator"), town.account("rival")
        for one in asked[DELIVERED]:
            oracle.deliver(one.request.fields, operator, self._output(one), sender=rival)
        for one in asked[DISPUTED]:
            claim = (one.request.fields, operator, keccak(self._output(one)), bytes(32))
            tier.dispute(*claim, value=one.quote.bond, sender=rival)
        for one in asked[SUMMONED]:
            town.seated.summon(one)
        self._all(asked[DISPUTED], self._ended, DISPUTED)
        for path in (WRONG, KEYED):
            self._all(asked[path], lambda one: self._told(one, "Disputed"), path)
        last = 2  # of two segments: the whole, then the false one
        self._all(asked[NARROWED], lambda one: self._told(one, "Demanded") >= last, NARROWED)
        self._all(asked[REFUTED], self._ended, REFUTED)
        speaking = MEMBERS - LAZIES
        self._all(asked[SUMMONED], lambda one: self._told(one, "Committed") >= speaking, SUMMONED)

    def _settled(self, asked: dict[Way, list[Asked]], number: int) -> None:
        """Grace, windows and clocks pass, one after the other."""
        town = self.town
        council, oracle = town.seated.council, town.desk.contract("InferenceOracle")
        for one in asked[AUDITED] + asked[UNAUDITED]:
            self.drawn[one.request.id] = town.audited.drawn(one)
        town.seated.pass_time(HOUR)
        speaking = MEMBERS - LAZIES
        self._all(asked[SUMMONED], lambda one: self._told(one, "Revealed") >= speaking, SUMMONED)
        self._all(asked[SIGNED], self._ended, SIGNED)
        town.seated.pass_time(HOUR)
        for one in asked[SUMMONED]:
            for name in town.lazies(number):
                place = town.place(name)
                if int.from_bytes(council.revealedAt(one.request.id, place)):
                    continue  # looked in time, and opened the word that it has no answer
                named = (one.request.id, town.committee.members, place)
                council.fineAbsent(*named, sender=town.account("rival"))
                self.absent[one.request.id] += 1
            if self.absent[one.request.id]:
                council.reclaim(one.request.fields, sender=town.account("rival"))
        town.seated.pass_time(2 * HOUR)
        self._audited(asked, number)
        for path in (SILENT, DELIVERED, BISECTED, AGREED, WRONG, KEYED):
            self._all(asked[path], self._ended, path)
        town.seated.pass_time(3 * HOUR)
        lies = [one for one in asked[UNAUDITED] if one.request.id not in self.held]
        self._all(asked[NARROWED] + lies, self._ended, NARROWED)
        for path in (FORGED, STOLEN, SUMMONED):
            for one in asked[path]:
                oracle.refund(one.request.fields, sender=town.account("rival"))
        for path in (WRONG, KEYED):
            self._all(asked[path], lambda one: self._told(one, "BondCollected"), path)
        self._all(
            asked[NARROWED], lambda one: self._told(one, "BondCollected") >= SEGMENTS, NARROWED
        )
        self.books.read()

    def _audited(self, asked: dict[Way, list[Asked]], number: int) -> None:
        """Who was drawn proves it, or the watcher says so; an hour after the rounds silence speaks
        for all others, but for a cheat that was drawn."""
        town = self.town
        honest, lies = (
            [one for one in asked[path] if self.drawn[one.request.id]]
            for path in (AUDITED, UNAUDITED)
        )
        spared = [one for one in asked[UNAUDITED] if not self.drawn[one.request.id]]
        self._all(honest, self._ended, AUDITED)
        town.seated.pass_time(guard.PATIENCE)  # the hour is not over yet
        self._all(lies, lambda one: self._told(one, "Frozen"), UNAUDITED)
        # The hour runs from when a claim's round is published.
        self._all(asked[AUDITED] + asked[UNAUDITED], self._known, AUDITED)
        town.seated.pass_time(HOUR)
        self._all(asked[AUDITED], self._ended, AUDITED)
        if not lies:
            self._all(spared, self._ended, UNAUDITED)
            return
        _, cheat = town.cheats(number)
        for one in spared:
            claim = (town.address(cheat), self._output(one), b"")
            error = town.desk.try_answer(one.request, *claim)
            found = self._refused(UNAUDITED, "by silence, another drawn", error)
            assert found == "OperatorFrozen", f"expected OperatorFrozen, got {error}"
            self.held.add(one.request.id)

    def close(self) -> None:
        """The oracle's week is over: anyone gives back what was held, and ends its lock."""
        town, tier = self.town, self.town.desk.contract("AuditedAssurance")
        oracle, anyone = town.desk.contract("InferenceOracle"), town.account("rival")
        town.audited.pass_time(WEEK)
        for number, day in enumerate(self.days):
            _, cheat = town.cheats(number)
            for one in day[UNAUDITED]:
                if one.request.id in self.held:
                    assert self._at(one) == Status.PROVISIONAL, "held until the week is over"
                    claim = (town.address(cheat), keccak(self._output(one)))
                    oracle.refund(one.request.fields, sender=anyone)
                    tier.close(one.request.fields, *claim, sender=anyone)
        self.books.read()

    # --- seen -------------------------------------------------------------------------------------

    def _all(self, requests: list[Asked], done: Callable[[Asked], Any], path: Way) -> None:
        began, waiting = time.monotonic(), list(requests)
        while waiting:
            self.books.read()
            waiting = [one for one in waiting if not done(one)]
            faults = self.fleet.unexpected()
            assert not faults, faults[:3]
            assert time.monotonic() < began + PATIENCE, (
                f"{path.tier}, {path.name}: {len(waiting)} of {len(requests)} do not move, such as "
                f"{waiting[0].request.id.hex()}; logs in {self.town.folder}"
            )
            if waiting:
                time.sleep(0.3)
        if time.monotonic() - began > SLOW:
            say(f"{path.tier}, {path.name}: {time.monotonic() - began:.0f} s")

    def _at(self, one: Asked) -> Status:
        return self.books.status[one.request.id]

    def _known(self, one: Asked) -> bool:
        """Its round is published, or it has ended without."""
        tier = self.town.desk.contract("AuditedAssurance")
        return self._ended(one) or bool(tier.auditOf(one.request.fields)[1])

    def _ended(self, one: Asked) -> bool:
        return self._at(one) in CLOSED

    def _told(self, one: Asked, name: str) -> int:
        return self.books.count(one.request.id, name)

    def _output(self, one: Asked) -> bytes:
        return self.books.outputs(one.request.id)[-1][1]

    # --- what came of it --------------------------------------------------------------------------

    def check(self, before: dict[str, int], steps: Steps) -> dict[str, int]:
        """Raises AssertionError where an honest party lost anything, a cheat got away, or the sums
        are wrong; what everybody gained, in wei and without gas."""
        for path, requests in self.asked.items():
            for one in requests:
                self._check(path, one)
        people = {name: self.town.address(name) for name in self.town.people}
        after, books = self.books.wealth(people), self.books
        gains = {
            name: after[name] - before[name] + steps.paid[people[name]] for name in people
        }  # cheats' begin when they come: all accounts have the same then
        assert set(steps.paid) <= set(people.values()), "only these people were here"
        self._check_vault()
        tiers = ("OptimisticAssurance", "BisectionAssurance", "AttestedAssurance")
        bonds = sum(books.held(name) for name in tiers)
        assert sum(gains.values()) == -books.burned() - bonds, "what one lost another has"

        # By name, exactly.
        slashed = {path: self._slashed(path) for path in PATHS}
        finals = {path: len(self.asked[path]) for path in PATHS if path.end is Status.FINAL}
        asking = sum(finals.values()) - finals[DELIVERED]
        paid = {path: CHEATED * GWEI * number for path, number in slashed.items()}
        seated = SEATED * GWEI * slashed[REFUTED]
        owed = sum(paid[path] for path in (WRONG, UNAUDITED, NARROWED, KEYED)) + seated
        part = self.town.seated.bond // MEMBERS
        spoken = part * len(self.asked[SUMMONED])
        came = sum(MEMBERS - self.absent[one.request.id] for one in self.asked[SUMMONED])
        assert gains["requester"] == owed - FEE * asking - part * came
        assert gains["patron"] == -FEE * finals[DELIVERED]
        assert gains["watcher"] == gains["thief"] == gains["deployer"] == 0
        earned = [PROVED, SILENT, DELIVERED, DISPUTED, AUDITED, BISECTED, SIGNED]
        assert gains["operator"] >= FEE * sum(finals[path] for path in earned)
        assert gains["challenger"] > 0 and gains["member 0"] >= 0 and gains["member 1"] >= 0
        both = gains["member 0"] + gains["member 1"]
        assert both == slashed[REFUTED] * (FEE + SEATED * GWEI // 10) + 2 * spoken
        assert -gains["rival"] == sum(one.quote.bond for one in self.asked[DISPUTED])
        return gains

    def _check(self, path: Way, one: Asked) -> None:
        outputs, id, truth = (
            self.books.outputs(one.request.id),
            one.request.id,
            self.town.truth(one),
        )
        end, told = path.end, f"{path.tier}, {path.name}: {id.hex()}"
        lie = falsified(truth)
        if path is UNAUDITED and not self.drawn[id]:
            end = Status.REFUNDED if id in self.held else Status.FINAL
        status = self.town.desk.contract("InferenceOracle").statusOf(id)[0]
        assert self._at(one) == status == end, f"{told}: expected {end.name}, got {status}"
        stands, last = (Status.PROVISIONAL, truth), (Status.FINAL, truth)
        expected = {
            PROVED: [last],
            FORGED: [],
            SUMMONED: [],
            STOLEN: [],
            WRONG: [(Status.PROVISIONAL, lie)],
            KEYED: [(Status.PROVISIONAL, lie)],
            NARROWED: [(Status.PROVISIONAL, lie)],
            UNAUDITED: [(Status.PROVISIONAL, lie)] + [(Status.FINAL, lie)] * (end == Status.FINAL),
            REFUTED: [(Status.PROVISIONAL, lie), last],
        }.get(path, [stands, last])
        assert outputs == expected, f"{told}: answered {outputs}, expected {expected}"
        assert bool(self._told(one, "Fined")) == (self.absent[id] > 0), told
        assert (self._told(one, "Delivered"), self._told(one, "Dissented")) == (
            path is DELIVERED,
            path is REFUTED,
        ), told

    def _check_vault(self) -> None:
        """Every ether in it is somebody's or burned; nothing is locked but seats; the honest are
        whole and in good standing."""
        vault, books = self.town.desk.contract("StakeVault"), self.books
        owed = books.burned()
        for name in self.town.people:
            account, address = vault.accountOf(self.town.address(name)), self.town.address(name)
            owed += (int(account.stake) + int(vault.credit(address))) * GWEI
            assert account.locked <= account.stake, f"{name}: {account}"
            assert account.suspended == (name in self.lost), f"{name}: {account}"
            if not name.startswith(("member", "turned")):
                assert account.locked == 0, f"{name}: {account}"
        assert books.held("StakeVault") == owed, "the vault holds what it owes"
        assert books.held("InferenceOracle") == 0, "every payment was settled, once"

    def _slashed(self, path: Way) -> int:
        """Requests of a path for which somebody's stake was taken."""
        return sum(self._told(one, "Slashed") > 0 for one in self.asked[path])

    def tell(self, steps: Steps) -> list[dict[str, Any]]:
        """By path: requests, cheats, what became of these, gas."""
        rows = []
        for path in self.ways:
            requests = self.asked[path]
            stories = [self.books.told[one.request.id] for one in requests]
            caught = len(requests) - sum(self._at(one) == Status.FINAL for one in requests)
            if path in (REFUTED, UNAUDITED):
                caught = self._slashed(path)
            elif path is SUMMONED:
                caught = sum(self.absent[one.request.id] > 0 for one in requests)
            row = {"tier": path.tier, "path": path.name, "requests": len(requests)}
            row |= {"cheats": len(requests) * path.cheat, "caught": caught * path.cheat}
            rows.append(row | self._speed(path) | steps.table(stories))
        return rows

    def _speed(self, path: Way) -> dict[str, float | None]:
        """By the chain's clock: seconds from asking to a first answer, their median; and how many
        a second were answered, beside all others, from a day's first request to its last answer."""
        days = [[self.books.answered(one.request.id) for one in day[path]] for day in self.days]
        told = [[times for times in day if times] for day in days]
        waits = [answered - asked for day in told for asked, answered in day]
        if not waits:
            return {"answer_s": None, "answered_a_second": None}
        spans = [max(end for _, end in day) - min(begun for begun, _ in day) for day in told if day]
        rate = round(len(waits) / max(1, sum(spans)), 3)
        return {"answer_s": statistics.median(waits), "answered_a_second": rate}


def say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {line}", flush=True)


def grouped(gains: dict[str, int]) -> dict[str, int]:
    """Those of a day in one."""
    found: Counter[str] = Counter()
    for name, gain in gains.items():
        kind, _, number = name.partition(" ")
        one = f"all {kind} {number.partition('.')[2]}".rstrip("0123456789 ")
        found[one if "." in number else name] += gain
    return dict(found)


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """A share's confidence interval (Wilson, JASA 1927)."""
    share, wide = hits / of, z * z / of
    middle = (share + wide / 2) / (1 + wide)
    half = math.sqrt(wide * (share * (1 - share) + wide / 4)) / (1 + wide)
    return middle - half, middle + half


def interval(values: list[float]) -> list[float]:
    """A mean's 95% confidence interval by Student's t; none of one value."""
    if len(values) == 1:
        return []
    mean, deviation = statistics.mean(values), statistics.stdev(values)
    half = STUDENT[len(values)] * deviation / math.sqrt(len(values))
    return [max(0.0, mean - half), mean + half]


def mixed(
    folder: Path, requests: int, kill_every: float, seed: int, rounds: int, attested: bool = True
) -> dict[str, Any]:
    """A whole run, checked; what there is to tell of it. Without `attested` it needs no TPM."""
    dice = random.Random(seed)
    fleet = Fleet(folder, kill_every, dice)
    with Town.founded(folder, attested) as town:
        say(f"{len(town.desk.contracts)} contracts, {len(town.models)} models")
        town.admit(rounds)
        run = Mixed(town, fleet, dice, Books(town.desk))
        before = run.books.wealth({name: town.address(name) for name in town.people})
        started = time.monotonic()
        with fleet.killing():
            for number in range(rounds):
                run.round(number, requests // rounds)
        seconds = time.monotonic() - started
        run.close()
        steps = run.books.steps()
        gains = run.check(before, steps)
        drawn = [run.drawn[one.request.id] for one in run.asked[UNAUDITED]]
        every = [run.drawn[one.request.id] for one in run.asked[UNAUDITED] + run.asked[AUDITED]]
        rates = [asked / taken for asked, taken in run.rounds]
        rows = run.tell(steps)
        count, cheats = (sum(row[name] for row in rows) for name in ("requests", "cheats"))
        public = sum(row["cheats"] for row in rows if row["path"] != UNAUDITED.name)
        return {
            "requests": count,
            "seed": seed,
            "rounds": rounds,
            "seconds_between_kills": kill_every,
            "kills": dict(fleet.kills),
            "seconds": round(seconds, 1),
            "answered_a_second": round(count / sum(taken for _, taken in run.rounds), 2),
            "answered_a_second_95": [round(end, 2) for end in interval(rates)],
            "settled_a_second": round(count / seconds, 2),
            "cheats": cheats,
            "caught_where_all_can_tell": public,  # check() raises where one is not
            "caught_share_at_least_95": round(0.05 ** (1 / public), 3),
            "audit_rate": AUDITS / 10_000,
            "lies_audited": [sum(drawn), len(drawn)],
            "lies_audited_95": [round(end, 3) for end in wilson(sum(drawn), len(drawn))],
            "lies_held_back": len(run.held),
            "claims_audited": [sum(every), len(every)],
            "claims_audited_95": [round(end, 3) for end in wilson(sum(every), len(every))],
            "refused": dict(sorted(run.refused.items())),
            "gains_in_ether": {name: gain / 10**18 for name, gain in grouped(gains).items()},
            "paths": rows,
        }


def table(row: dict[str, Any]) -> str:
    """The page of a run."""
    known = row["answered_a_second_95"]
    sure = f" (95% interval of the days' mean: {known[0]} to {known[1]})" if known else ""
    days = "a day" if row["rounds"] == 1 else f"{row['rounds']} days"
    kills = sum(row["kills"].values())
    (hit, lies), (hits, claims) = row["lies_audited"], row["claims_audited"]
    told = (
        f"{row['requests']} requests of all tiers, {row['cheats']} of them with an operator, a "
        "member or a thief that cheats, over three processes of the service, one killed at random "
        f"every {row['seconds_between_kills']} s and started again ({kills} kills), in "
        f"{days} of the chain's and {row['seconds']:.0f} s on {row['machine']}, at "
        f"load {row['load_average']}, commit {row['commit']}. Contracts, engines and proofs are "
        "real; SRS and beacon are a development's, the TPM is software."
    )
    caught = (
        f"Every cheat that others can tell was caught (all {row['caught_where_all_can_tell']}: "
        f"with 95% confidence a share of at least {row['caught_share_at_least_95']:.1%}). On the "
        f"private model claims are audited at a rate of {row['audit_rate']:.0%}: {hit} of {lies} "
        f"lies ({span(row['lies_audited_95'])} at 95%, Wilson), {hits} of {claims} claims in all "
        f"({span(row['claims_audited_95'])}). Lies that were drawn cost the whole stake, "
        f"{row['lies_held_back']} more were held back for that, unpaid, the others stood. "
        "Nobody honest lost anything but gas, nothing was lost or answered twice, what each gained "
        "and paid adds up to the wei, and the vault holds what it owes."
    )
    speed = (
        f"Asked, answered, disputed: {row['answered_a_second']} requests a second{sure}; settled, "
        f"all clocks and kills included: {row['settled_a_second']}. Gas is of all transactions "
        "that name a request, in all and of each step (its mean, and how many a request takes if "
        "not one). Caught is slashed, fined or refused, not held back. A path's speed is beside "
        "all others', by the chain's clock: the median from request to first answer, and how many "
        "a second from a day's first request to its last answer."
    )
    lines = ["# A mixed run", ""]
    for paragraph in (told, caught, speed):
        lines += [*textwrap.wrap(paragraph, 100), ""]
    head = "tier|path|requests|cheats|caught|answered after, s|a second|gas, mean|gas, most|by step"
    lines += [
        f"| {head.replace('|', ' | ')} |",
        f"| --- | --- |{' ---: |' * 7} --- |",
    ]
    for path in row["paths"]:
        figures = [path["requests"], path["cheats"], path["caught"]]
        speed = [path["answer_s"], path["answered_a_second"]]
        figures += ["" if figure is None else f"{figure:g}" for figure in speed]
        gas = [f"{path['gas_mean']:,}", f"{path['gas_most']:,}"]
        steps = (
            f"{step} {found['gas_mean']:,}{times(found['times'] / path['requests'])}"
            for step, found in path["steps"].items()
        )
        cells = [path["tier"], path["path"], *figures, *gas, "; ".join(steps)]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", "| process | kills and restarts |", "| --- | ---: |"]
    lines += [f"| {name} | {number} |" for name, number in sorted(row["kills"].items())]
    lines += ["", "| refused | times |", "| --- | ---: |"]
    lines += [f"| {name} | {number} |" for name, number in row["refused"].items()]
    lines += ["", "| who | gained, in ether, without gas |", "| --- | ---: |"]
    lines += [f"| {name} | {gain:+.6f} |" for name, gain in row["gains_in_ether"].items()]
    return "\n".join(lines) + "\n"


def span(ends: list[float]) -> str:
    return " to ".join(f"{end:.0%}" for end in ends)


def times(number: float) -> str:
    return "" if number == 1 else f" x {number:.2g}"


def main(requests: int = 1000, kill_every: float = 20, seed: int = 1, rounds: int = 4) -> None:
    from oracle.benchmarks import here
    from oracle.benchmarks.results import RESULTS, record
    from oracle.toolchain import activate

    activate()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what it started ends with it
    commit = here.commit()
    folder = Path(tempfile.mkdtemp(prefix="einproof-mixed-"))  # stays, with all logs, if it fails
    row = mixed(folder, requests, kill_every, seed, rounds)
    shutil.rmtree(folder)
    row |= {
        "load_average": round(here.load_average(), 1),
        "commit": commit,
        "machine": here.machine(),
    }
    record("mixed", row)
    (RESULTS / "mixed.md").write_text(table(row))
    say("done")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
