"""Services and contracts together, in any order of events, under the tiers that test_market_chain
does not play: audited, attested, committee, bisection. What must hold is in tests/oracle/fair.py.

Reorgs are for test_market and its like, over fakes.
"""

from __future__ import annotations

from typing import Any

import pytest
from eth_hash.auto import keccak
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test

from oracle.domain.attested import Answering, said
from oracle.domain.bisection import Place, Run, Span
from oracle.domain.errors import ModelMissing
from oracle.domain.move import Role
from oracle.domain.request import Request, TierKind
from tests.contracts.bench import CLOCK, HOUR, UNANSWERABLE, WINDOW, Bench
from tests.contracts.council import FINE, GRACE, SEAT, START, Council
from tests.contracts.court import MOVE_TIME, Court, court, fields
from tests.contracts.desk import FINAL, OPEN, RETRACTED
from tests.contracts.hall import DELAY, Hall, Key, new_key, point, sign
from tests.contracts.hall import WINDOW as SHORT
from tests.evm import Chain, Reverted
from tests.oracle.desk import EchoEngine
from tests.oracle.fair import (
    CHEATED,
    DAY,
    LIES,
    SEED,
    STAKE,
    Days,
    Fair,
    Lying,
    Part,
    few,
    signer_of,
)
from tests.oracle.test_bisection_chain import SEGMENTS as PIECES
from tests.oracle.test_bisection_chain import Models, Prover, Runner, after

pytestmark = [pytest.mark.chain, pytest.mark.slow]

OPERATOR, CHEAT, CHALLENGER, WATCHER = "dev:2", "dev:3", "dev:5", "dev:7"


def played(machine: type[Days], fair: type[Fair], made: Any) -> Any:
    """Runs it; the machine, for what it came to."""

    class Played(machine):  # type: ignore[misc, valid-type]
        fair_of = fair

    Played.made, Played.ends, Played.hit = made, set(), set()
    if SEED is not None:
        seed(int(SEED))(Played)
    run_state_machine_as_test(Played, settings=few())
    return Played


def staked(desk: Any) -> Any:
    for key in (OPERATOR, CHEAT):
        desk.stake(STAKE, signer_of(key).address)
    return desk


# --- audited: weights that only operators know --------------------------------------------------


class Nothing:
    """A store without models."""

    async def find(self, model_id: bytes) -> Any:
        raise ModelMissing("private")


class Audits(Fair):
    kind = TierKind.AUDITED
    stride = CLOCK // 2
    cast = {  # noqa: RUF012
        "operator": Part(Role.OPERATOR, OPERATOR, EchoEngine()),
        "cheat": Part(Role.OPERATOR, CHEAT, Lying(), honest=False),
        "watcher": Part(Role.WATCHER, WATCHER, EchoEngine(), models=Nothing()),
    }

    def window_of(self, request: Request) -> int:
        """Its claim's last second; the tier forgets what has become final."""
        wanted: Any = {"from_block": self.since, "argument_filters": {"requestId": request.id}}
        claimed, *_ = self.desk.oracle.events.Answered().get_logs(**wanted)
        since = self.evm.web3.eth.get_block(claimed["blockNumber"])["timestamp"]
        return int(since + self.evm.call(self.tier.functions.clocks(request.terms))[0])

    def is_drawn(self, request: Request) -> bool:
        """By the round after its claim's window."""
        beacon = self.desk.beacon.functions
        round = self.evm.call(beacon.roundAfter(self.window_of(request) + 60))
        value = bytes(self.evm.call(beacon.valueOf(round)))
        lot = int.from_bytes(keccak(value + request.id), "big") % 10_000
        return any(value) and lot < int.from_bytes(request.terms, "big") >> 63

    def is_safe(self, request: Request) -> bool:
        """Nobody can tell that a lie is one, unless its proof is asked for."""
        return self.is_drawn(request)

    def lies(self) -> list[Request]:
        """What the cheat claimed wrongly, and could be asked to prove."""
        told = [(request, *self.claims().get(request.id, ("", b""))) for request in self.asked]
        cheat = self.cast["cheat"].address
        return [each for each, payee, output in told if payee == cheat and output in LIES[:2]]

    def was_lost_before(self, request: Request) -> bool:
        """Disputed so early that its clock ended in the window: that costs one lock, no more."""
        prove_by = int(self.evm.call(self.tier.functions.caseOf(request.id))[0])
        return 0 < prove_by <= self.window_of(request)

    def failed(self) -> set[bytes]:
        """Requests that forfeited their operator's stake."""
        found = self.tier.events.AuditFailed().get_logs(from_block=self.since)
        return {bytes(event["args"]["requestId"]) for event in found}


class AuditedDays(Days):
    @initialize()
    def lie(self) -> None:
        """One that is drawn whatever the beacon says."""
        self.fair.ask(CHEATED, fee=0, lie=1, audits=10_000)

    def more(self, data: Any) -> dict[str, int]:
        return {"audits": data.draw(st.sampled_from([300, 5000, 10_000, 10_000]))}

    def look(self) -> None:
        """Who was drawn with a lie has lost its whole stake, whatever else became of it; who lost
        nothing has it all. The honest operator's is whole."""
        fair, failed = self.fair, self.fair.failed()
        drawn = [request for request in fair.lies() if fair.is_drawn(request)]
        early = {request.id for request in drawn if fair.was_lost_before(request)}
        assert {request.id for request in drawn} - early <= failed <= {r.id for r in fair.lies()}
        accounts, addresses = fair.accounts(), {n: part.address for n, part in fair.cast.items()}
        assert accounts[addresses["operator"]] == (fair.stakes["operator"], 0, False)
        cheat = accounts[addresses["cheat"]]
        if failed:
            assert cheat == (0, 0, True)
            self.hit.add("drawn")
        elif not cheat.suspended:
            assert cheat.stake == fair.stakes["cheat"]
        if cheat.suspended:
            self.hit.add("caught")


def test_audits_in_any_order_cost_the_honest_nothing() -> None:
    with Chain.start() as chain:
        beacon = chain.deploy("contracts/random/DevelopmentBeacon.sol")
        desk = staked(Bench(chain, guarded=True, beacon=beacon))
        desk.beacon = beacon
        seen = played(AuditedDays, Audits, desk)
    assert seen.ends >= {FINAL, RETRACTED} and seen.hit >= {"caught", "drawn"}


# --- attested: keys of hardware, and stake ------------------------------------------------------


class HeldKey:
    """A P-256 key in the test's hands, as a service's answer key."""

    def __init__(self, key: Key) -> None:
        self.key = key

    async def attest(self, claim: Answering, digest: bytes) -> bytes:
        return point(self.key) + b"".join(sign(self.key, digest))


class Keys(Fair):
    kind = TierKind.ATTESTED

    def __init__(self, desk: Any) -> None:
        honest, false = HeldKey(desk.key), HeldKey(desk.cheats)
        self.cast = {
            "operator": Part(Role.OPERATOR, OPERATOR, EchoEngine(), answer_key=honest),
            "cheat": Part(Role.OPERATOR, CHEAT, Lying(), honest=False, answer_key=false),
            "challenger": Part(Role.CHALLENGER, CHALLENGER, EchoEngine()),
        }
        super().__init__(desk)

    def contradict(self, request: Request) -> None:
        """The cheat's key signed two outputs of one input, and somebody shows them."""
        desk, owner, key = self.desk, signer_of(CHEAT).address, self.desk.cheats

        def one(output: bytes) -> Any:
            named = (self.tier.address, request.id, request.model_id, request.input_hash)
            digest = said(31337, Answering(*named, owner, output))
            return self.tier.address, request.id, keccak(output), *sign(key, digest)

        named = (owner, request.model_id, point(key)[:32], point(key)[32:])
        function = desk.attestations.functions.contradict(
            *named, request.input_hash, one(b"this"), one(b"that")
        )
        self.revoke(function, desk.stranger)

    def retire(self) -> None:
        """The honest operator gives its own key up."""
        key = point(self.desk.key)
        named = (self.desk.operator, self.desk.model_id, key[:32], key[32:])
        self.revoke(self.desk.attestations.functions.revoke(*named), self.desk.operator)

    def revoke(self, function: Any, sender: str) -> None:
        try:
            self.evm.send(function, sender=sender)
        except Reverted as refused:
            assert refused.name == "KeyRevoked", refused


class AttestedDays(Days):
    jumps = (60, HOUR // 2, SHORT, CLOCK)

    @initialize(gives_up=st.booleans())
    def give_up(self, gives_up: bool) -> None:
        """The honest operator its key, while an answer stands that it signed."""
        if gives_up:
            self.fair.ask(10**9)
            self.fair.rest()
            self.fair.retire()
            self.hit.add("revoked")

    @precondition(lambda self: self.fair.asked)
    @rule(data=st.data(), both=st.booleans())
    def revoke(self, data: Any, both: bool) -> None:
        self.fair.contradict(data.draw(st.sampled_from(self.fair.asked)))
        if both:
            self.fair.retire()
        self.hit.add("revoked")

    def look(self) -> None:
        fair = self.fair
        if fair.desk.account(signer_of(CHEAT).address)["suspended"]:
            self.hit.add("caught")
        claims = fair.claims()
        if any(claims[request.id][0] == fair.desk.operator for request in fair.at(RETRACTED)):
            self.hit.add("given back")


@pytest.fixture(scope="module")
def hall() -> Any:
    with Chain.start() as chain:
        made = Hall(chain)
        made.ready()
        made.cheats = new_key()  # type: ignore[attr-defined]
        cheat = signer_of(CHEAT).address
        enrolment = made.enrolment(owner=cheat, key=made.cheats)  # type: ignore[attr-defined]
        certified = made.evidence(enrolment, certify=made.cheats)  # type: ignore[attr-defined]
        made.enrol(enrolment, certified.encoded)
        chain.rpc("evm_increaseTime", DELAY)
        chain.rpc("evm_mine")
        yield staked(made)


def test_attested_answers_in_any_order_cost_the_honest_nothing(hall: Hall) -> None:
    seen = played(AttestedDays, Keys, hall)
    assert seen.ends >= {FINAL, RETRACTED} and seen.hit >= {"caught", "revoked"}


# --- committee: a quorum of which may be captured ------------------------------------------------

FIRST, *TURNED = MEMBERS = ("dev:3", "dev:4", "dev:5")
TODAY = START // DAY


class Captured(EchoEngine):
    """Lies about the inputs that begin with one of `marks`, as all that are captured do."""

    def __init__(self, *marks: int) -> None:
        self.marks = marks

    async def run(self, folder: Any, input: bytes) -> bytes:
        return LIES[0] if input[0] in self.marks else await super().run(folder, input)


class Seats(Fair):
    """Of four places the honest member has one, and the captured three: one of them collects, and
    lies alone about some inputs."""

    kind = TierKind.COMMITTEE
    patience = 4
    disputed = ("Dissented", "member")
    cast = {  # noqa: RUF012
        "honest": Part(Role.MEMBER, FIRST, EchoEngine()),
        "collector": Part(Role.MEMBER, TURNED[0], Captured(1, 2), honest=False),
        "other": Part(Role.MEMBER, TURNED[1], Captured(1), honest=False),
    }
    collector = cast["collector"]

    def __init__(self, desk: Any) -> None:
        self.summoned: set[bytes] = set()
        super().__init__(desk)

    @staticmethod
    def tier_of(desk: Any) -> Any:
        return desk.council

    def collects(self, part: Part) -> bool:
        return part is self.collector

    @property
    def stride(self) -> int:  # type: ignore[override]
        """Who is summoned has an hour to commit and another to reveal."""
        waits = any(request.id in self.summoned for request in self.at(OPEN))
        return GRACE // 2 if waits else 10**9

    def summon(self, request: Request) -> None:
        try:
            function = self.tier.functions.summon(request.fields)
            bond = self.evm.call(self.tier.functions.summonsBond())
            self.evm.send(function, sender=self.desk.requester, value=bond)
            self.summoned.add(request.id)
        except Reverted as refused:
            assert refused.name in {"NothingLeft", "TooLate", "NotDrawn"}, refused

    def harass(self, request: Request) -> None:
        """A captured member dissents from what stands."""
        payee, output = self.claims()[request.id]
        epoch = int(self.evm.call(self.desk.oracle.functions.claimOf(request.id))[2]) // DAY
        members, owner = self.members_of(epoch), signer_of(TURNED[1]).address
        place = next(p for p in range(4) if Council.member(members, p) == owner)
        words = (request.fields, payee, keccak(output), members, place)
        try:
            self.evm.send(self.tier.functions.dissent(*words), sender=owner)
        except Reverted as refused:
            assert refused.name in {"TooLate", "NothingLeft"}, refused

    def pass_time(self, seconds: int) -> None:
        super().pass_time(seconds)
        self.draw()

    def draw(self) -> None:
        """A day's committee, if enough seats are left, and the collector was not first."""
        day = self.evm.now() // DAY
        if self.members_of(day):
            return
        beacon = self.desk.beacon.functions
        self.evm.send(beacon.publish(self.evm.call(beacon.roundAfter(day * DAY)), b""))
        try:
            self.evm.send(self.tier.functions.draw())
        except Reverted as refused:
            assert refused.name == "TooFewSeats", refused

    def members_of(self, day: int) -> bytes:
        wanted = {"argument_filters": {"epoch": day}, "from_block": 0}
        drawn = self.tier.events.Drawn().get_logs(**wanted)
        return bytes(drawn[0]["args"]["members"]) if drawn else b""

    def end(self, request: Request, payee: str, output: bytes) -> None:
        """A seat's reservations end by themselves."""

    def check_bonds(self) -> None:
        """Who dissents puts none in: the seat vouches."""

    def check_unlocked(self) -> None:
        """Seats stay."""


class CommitteeDays(Days):
    jumps = (60, GRACE, CLOCK, WINDOW)
    lies = 2

    def more(self, data: Any) -> dict[str, int]:
        return {}

    @precondition(lambda self: self.fair.at(OPEN))
    @rule(data=st.data())
    def summon(self, data: Any) -> None:
        self.fair.summon(data.draw(st.sampled_from(self.fair.at(OPEN))))
        self.hit.add("summoned")

    def look(self) -> None:
        if self.fair.desk.account(signer_of(TURNED[0]).address)["suspended"]:
            self.hit.add("caught")


def test_committees_in_any_order_cost_the_honest_nothing() -> None:
    owners = [signer_of(key).address for key in (*MEMBERS, MEMBERS[-1])]
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        council = Council(chain, (4, 3, SEAT, FINE, WINDOW, GRACE), owners)
        council.members = council.begin(TODAY)  # type: ignore[attr-defined]
        seen = played(CommitteeDays, Seats, council)
    assert seen.ends >= {FINAL} and "caught" in seen.hit


# --- bisection: compositions --------------------------------------------------------------------


class Crooked(Runner):
    """Runs that are false from some boundary on, or end before they do; by the input."""

    async def steps(self, folder: Any, input: bytes) -> Run:
        at = (input[0] - 1) % (2 * PIECES - 1)
        false = Runner(lie=1 + at) if at < PIECES else Runner(halts=at - PIECES + 1)
        return await false.steps(folder, input)


class Games(Fair):
    kind = TierKind.BISECTION
    disputed = ("Demanded", "challenger")
    collected = ("BondCollected", "by")

    def __init__(self, desk: Any) -> None:
        common = {"prover": Prover(desk.ids), "models": Models()}
        self.cast = {
            "operator": Part(Role.OPERATOR, OPERATOR, Runner(), **common),
            "cheat": Part(Role.OPERATOR, CHEAT, Crooked(), honest=False, **common),
            "challenger": Part(Role.CHALLENGER, CHALLENGER, Runner(), **common),
        }
        super().__init__(desk)

    def is_right(self, request: Request, output: bytes) -> bool:
        data = request.input
        for segment in range(PIECES):
            data = after(segment, data)
        return output == data

    def harass(self, request: Request) -> None:
        payee, output = self.claims()[request.id]
        halt, state = self.evm.call(self.tier.functions.haltOf(request.id))
        whole = Place(Span(0, 0), (bytes(state),) if output == UNANSWERABLE else (), halt)
        words = (request.fields, payee, keccak(output), fields(whole))
        refusals = {"TooLate", "NothingToProve", "AlreadyDemanded", "AlreadyGiven"}
        self.try_(self.tier.functions.demand(*words), refusals, request)

    def close(self, request: Request, payee: str, output: bytes) -> Any:
        wanted: Any = {"from_block": self.since, "argument_filters": {"requestId": request.id}}
        owed = (0, 0)
        for event in self.tier.events.Demanded().get_logs(**wanted):
            span = (event["args"]["from"], event["args"]["to"])
            if not any(self.evm.call(self.tier.functions.spanAt(request.id, *span))[2]):
                owed = span
        return self.tier.functions.close(request.fields, payee, keccak(output), *owed)


class BisectedDays(Days):
    jumps = (60, MOVE_TIME // 2, CLOCK, WINDOW)
    lies = 2 * PIECES - 1

    def look(self) -> None:
        if self.fair.desk.account(signer_of(CHEAT).address)["suspended"]:
            self.hit.add("caught")


def test_bisections_in_any_order_cost_the_honest_nothing() -> None:
    with Chain.start() as chain:
        desk: Court = staked(court(chain, PIECES, 2))
        seen = played(BisectedDays, Games, desk)
    assert seen.ends >= {FINAL, RETRACTED} and "caught" in seen.hit
