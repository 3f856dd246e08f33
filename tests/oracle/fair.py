"""A tier's real contracts and the services that play it, in any order of events.

A fair is one desk, a part for each service, and who asks, cheats and harasses; what must hold of it
is `Fair.check`. Contracts, node adapter, keys and transactions are real; verifier, engines and
prover are the tests' doubles. A cheat is a service whose engine lies. The honest may lose nothing
*if* they act within the clocks, so time passes only when all have come to rest.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, ClassVar, NamedTuple

import requests
from eth_abi.abi import decode
from eth_hash.auto import keccak
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from oracle.adapters.keys import AccountSigner, open_signer, recover
from oracle.adapters.memory import MemoryStore
from oracle.domain.errors import InputRefused
from oracle.domain.move import Role
from oracle.domain.request import Request, TierKind
from oracle.fakes import FakeClock, FakeRounds
from oracle.services.board import WordBoard
from oracle.services.check import Check, Vigilance
from oracle.services.flight import Posting, Runway
from oracle.services.guard import Guard, Watchfulness
from oracle.services.serve import Write
from oracle.services.sit import Duty, Sit
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms, Work
from oracle.services.worker import recover as recover_jobs
from tests.contracts.bench import CLOCK, ETHER, GWEI, HOUR, UNANSWERABLE, WINDOW, terms
from tests.contracts.desk import FINAL, OPEN, PROVISIONAL, REFUNDED, RETRACTED
from tests.evm import Reverted, _type
from tests.oracle.chamber import Alone, Line
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office
from tests.oracle.world import run

DAY = 86_400
#: Seconds in which a request can be answered.
LATEST = 6 * HOUR
CLOSED = (FINAL, RETRACTED, REFUNDED)
STAKE = 100 * ETHER
#: Gwei: what the cheat takes, and the honest, who want a fee, leave.
CHEATED = 10**8
#: What a claim handed in without evidence may be refused for.
CLOCKS = {
    "TooEarly",
    "StillOwed",
    "OperatorSuspended",
    "SeedUnknown",
    "AuditOpen",
    "OperatorFrozen",
}
LIES = (LOGITS[:-1] + b"\xff", LOGITS[:-2], UNANSWERABLE)


class Lying(EchoEngine):
    """A lie by the input's first byte, from 1 on; the last of them is that there is no answer."""

    async def run(self, folder: Any, input: bytes) -> bytes:
        lie = LIES[(input[0] - 1) % len(LIES)]
        if lie == UNANSWERABLE:
            raise InputRefused("so it says")
        return lie


def signer_of(key: str) -> AccountSigner:
    return open_signer(key, "", 31337)


@dataclass(frozen=True)
class Part:
    """What a service is: its role, its key, what it computes with, and for whom it is `honest`."""

    role: Role
    key: str
    engine: Any
    honest: bool = True
    answer_key: Any = None
    prover: Any = field(default_factory=EchoProver)
    models: Any = field(default_factory=EchoModels)

    @property
    def address(self) -> str:
        return signer_of(self.key).address


class Player:
    """One service, whole but for its loops; `store` outlives it."""

    def __init__(self, fair: Fair, part: Part, store: MemoryStore) -> None:
        office, clock, holder = fair.office, fair.clock, part.key
        chain, identity, signer = office.chain(), office.identity, signer_of(part.key)
        self.part, self.store, self.clock, self.node = part, store, clock, chain.node
        seat = Seat(part.role, signer.address, set(office.tiers))
        self.watch = Watch(chain, store, identity, fair.since, 0, seat)
        ports = (chain, store, part.models)
        both = (part.engine, part.engine)
        self.work: Any
        if part.role is Role.OPERATOR:
            agreed = fair.terms(part)
            named = (part.prover, clock, identity, agreed, holder, part.answer_key)
            self.work = Work(*ports, part.engine, *named)
        elif part.role is Role.CHALLENGER:
            named = (part.prover, clock, identity, signer, Vigilance(), holder)
            self.work = Check(*ports, both, *named)
        elif part.role is Role.WATCHER:
            watchful = (FakeRounds(), Watchfulness(), holder)
            self.work = Guard(*ports, part.engine, part.prover, clock, identity, signer, *watchful)
        else:
            if fair.collects(part):
                fair.line.board = WordBoard(chain, store, identity, recover)
            duty = Duty(fair.collector.address, fair.collects(part))
            common = (part.prover, clock, identity, signer, fair.line, recover, Alone())
            self.work = Sit(*ports, both, *common, FakeRounds(), duty, Terms(duty.payee), holder)
        posting = Posting(hourly_bonds=10**30)
        rounds = FakeRounds()
        self.write = Write(Runway(chain, store, signer, clock, 31337, posting, holder, rounds))

    @property
    def steps(self) -> tuple[Any, Any, Any]:
        return self.watch.step, self.work.step, self.write.step

    async def start(self) -> None:
        now, sender = self.clock.now(), self.part.address
        await self.store.run(lambda ledger: recover_jobs(ledger, lambda name: False, sender, now))


class Account(NamedTuple):
    """What the vault has of one's; gwei."""

    stake: int
    locked: int
    suspended: bool


class StillClock(FakeClock):
    """Time passes only when a fair says so: a lease's heart beats no faster for a busy machine."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(3600)


class Fair:
    """`desk` stays deployed from one fair to the next; what happened is taken back."""

    kind: ClassVar[TierKind]
    #: Seconds that may pass between two rests.
    stride = 10**9
    #: Turns in which nobody has sent anything, until that counts as rest.
    patience = 2
    #: Events of a dispute and of its bond's end, with who puts it in and whom it is paid to.
    disputed: ClassVar[tuple[str, str]] = ("Disputed", "challenger")
    collected: ClassVar[tuple[str, str]] = ("BondCollected", "to")
    cast: dict[str, Part]
    collector: Part

    def __init__(self, desk: Any) -> None:
        self.desk, self.evm, self.tier = desk, desk.chain, self.tier_of(desk)
        self.office = Office.around(desk, {self.tier.address: self.kind})
        self.since = int(self.evm.web3.eth.block_number)
        self.clock = StillClock(self.evm.now())
        self.line = Line()
        self.asked: list[Request] = []
        self.people = list(self.evm.accounts)
        self.http = requests.Session()
        self._known: tuple[Any, dict[bytes, int]] = (None, {})
        self._checked = -1
        self.players = {name: Player(self, part, MemoryStore()) for name, part in self.cast.items()}
        stakes = self.accounts()
        self.stakes = {name: stakes[part.address].stake for name, part in self.cast.items()}

    # --- what differs from tier to tier ---------------------------------------------------------

    @staticmethod
    def tier_of(desk: Any) -> Any:
        return desk.optimistic

    def terms(self, part: Part) -> Terms:
        """Whoever cheats takes the small requests, and the honest those with a fee."""
        common = {"tiers": frozenset({self.kind}), "unanswerable": True}
        if part.honest:
            return Terms(part.address, min_fee=1, **common)
        return Terms(part.address, max_coverage=CHEATED, **common)

    def collects(self, part: Part) -> bool:
        return False

    def is_right(self, request: Request, output: bytes) -> bool:
        return output == LOGITS

    def is_safe(self, request: Request) -> bool:
        """Whether what is final of it must be right."""
        return True

    def close(self, request: Request, payee: str, output: bytes) -> Any:
        """Ends the lock of what the oracle gave back."""
        return self.tier.functions.close(request.fields, payee, keccak(output))

    # --- what people do -------------------------------------------------------------------------

    def ask(self, coverage: int, *, fee: int = 10**15, lie: int = 0, **more: int) -> Request:
        request = self.office.ask(
            bytes([lie]) + b"inp %03d" % len(self.asked),
            assurance=self.tier.address,
            terms=terms(coverage, **more),
            deadline=self.evm.now() + LATEST,
            fee=fee,
        )
        self.asked.append(request)
        return request

    def harass(self, request: Request) -> None:
        """Somebody demands a proof of what stands, rightly or wrongly."""
        payee, output = self.claims()[request.id]
        words = (request.fields, payee, keccak(output), b"\1" * 32)
        self.try_(self.tier.functions.dispute(*words), {"TooLate", "NothingToProve"}, request)

    def try_(self, function: Any, allowed: set[str], request: Request) -> None:
        """With a bond; what the contract has a reason to refuse, it may."""
        bond = self.evm.call(self.tier.functions.bond(request.terms))
        try:
            self.evm.send(function, sender=self.desk.rival, value=bond)
        except Reverted as refused:
            assert refused.name in allowed, refused

    def restart(self, name: str, lost: bool) -> None:
        """Killed between two steps; with its database, or without."""
        old = self.players[name]
        old.node.close()
        store = MemoryStore() if lost else old.store
        self.players[name] = Player(self, old.part, store)
        run(self.players[name].start())

    def rest(self) -> None:
        """Everybody acts until nobody has anything to send, though time passes for them."""

        async def act() -> None:
            quiet = 0
            for _ in range(80):
                before = self.height()
                for player in self.players.values():
                    for step in player.steps:
                        await step()
                sent = self.height() != before
                quiet = 0 if sent else quiet + 1
                if quiet == self.patience:
                    return
                self.clock.time += 0 if sent else 25
            raise AssertionError("not at rest after 80 turns")

        run(act())

    def pass_time(self, seconds: int) -> None:
        """In strides, at each end of which all rest."""
        self.rest()
        while seconds > 0:
            stride = min(seconds, self.stride)
            self.office.wait(stride)
            self.clock.time = max(self.clock.time, self.evm.now()) + 100
            self.rest()
            seconds -= stride
        self.hand_in()

    def hand_in(self) -> None:
        """Strangers do, after each rest: what the clocks have made of a claim, they may say."""
        now, oracle, claims = self.evm.now(), self.desk.oracle.functions, self.claims()
        for request in self.at(OPEN):
            if now > request.deadline:
                self.evm.send(oracle.refund(request.fields))
        for request in self.at(PROVISIONAL):
            function = oracle.answer(request.fields, request.input, *claims[request.id], b"")
            try:
                self.evm.send(function, sender=self.desk.stranger, gas=5_000_000)
            except Reverted as refused:
                assert refused.name in CLOCKS, refused

    # --- what there is --------------------------------------------------------------------------

    def height(self) -> int:
        return int(self.evm.rpc("eth_blockNumber"), 16)

    def views(self, *functions: Any) -> list[Any]:
        """What views return, asked for in one request: there are many, and after every step."""
        calls = [
            {"to": each.address, "data": each._encode_transaction_data()} for each in functions
        ]
        body = [
            {"jsonrpc": "2.0", "id": at, "method": "eth_call", "params": [call, "latest"]}
            for at, call in enumerate(calls)
        ]
        if not body:
            return []
        answers = sorted(self.http.post(self.evm.url, json=body).json(), key=itemgetter("id"))
        found = []
        for function, answer in zip(functions, answers, strict=True):
            types = [_type(each) for each in function.abi["outputs"]]
            values = decode(types, bytes.fromhex(answer["result"][2:]))
            found.append(values[0] if len(values) == 1 else values)
        return found

    def accounts(self) -> dict[str, Account]:
        """Everybody's stake."""
        account = self.desk.vault.functions.accountOf
        found = self.views(*(account(person) for person in self.people))
        return {
            person: Account(stake=words[0], locked=words[1], suspended=bool(words[5]))
            for person, words in zip(self.people, found, strict=True)
        }

    def status(self, request: Request) -> int:
        return self.statuses()[request.id]

    def statuses(self) -> dict[bytes, int]:
        """Of all requests; read anew when there is a new block."""
        height = (self.height(), len(self.asked))
        if self._known[0] != height:
            status = self.desk.oracle.functions.statusOf
            found = self.views(*(status(request.id) for request in self.asked))
            ids = [request.id for request in self.asked]
            self._known = (height, {id: int(each[0]) for id, each in zip(ids, found, strict=True)})
        return self._known[1]

    def at(self, status: int) -> list[Request]:
        known = self.statuses()
        return [request for request in self.asked if known[request.id] == status]

    def _events(self, name: str, contract: Any = None) -> list[Any]:
        found = (contract or self.desk.oracle).events[name]().get_logs(from_block=self.since)
        return [event["args"] for event in found]

    def disputes(self) -> list[Any]:
        """Those of the honest."""
        name, who = self.disputed
        honest = {part.address for part in self.cast.values() if part.honest}
        return [event for event in self._events(name, self.tier) if event[who] in honest]

    def claims(self) -> dict[bytes, tuple[str, bytes]]:
        """Request -> payee and output of the latest answer."""
        told = self._events("Answered")
        return {bytes(e["requestId"]): (e["payee"], bytes(e["output"])) for e in told}

    # --- what must hold -------------------------------------------------------------------------

    def check(self) -> None:
        """Once a block."""
        if self._checked == self.height():
            return
        self._checked = self.height()
        self._check_money()
        self._check_honest()
        ends: Counter[bytes] = Counter()
        stood: dict[bytes, bool] = {}
        answers = {request.id: request for request in self.asked}
        for event in self._events("Answered"):
            request = answers[bytes(event["requestId"])]
            right = self.is_right(request, bytes(event["output"]))
            if event["status"] == FINAL:
                ends[request.id] += 1
                assert right or not self.is_safe(request), f"{event} is final"
            if event["status"] == PROVISIONAL:
                stood[request.id] = right
        for event in self.disputes():
            assert not stood[bytes(event["requestId"])], f"{event} is of what is right"
        for event in self._events("Returned"):
            ends[bytes(event["requestId"])] += 1
        assert all(count == 1 for count in ends.values()), "settled twice"

    def _check_money(self) -> None:
        """Vault and oracle hold what they owe, to the wei; every lock is covered."""
        vault, oracle, people = self.desk.vault, self.desk.oracle, self.people
        owed, *credits = self.views(
            vault.functions.burned(),
            *(vault.functions.credit(person) for person in (*people, self.tier.address)),
        )
        owed += sum(credits)
        for person, account in self.accounts().items():
            assert 0 <= account.locked <= account.stake, (person, account)
            owed += account.stake
        assert self.evm.balance(vault.address) == owed * GWEI
        pending = [request for request in self.asked if self.status(request) in (OPEN, PROVISIONAL)]
        waiting = self.views(*(oracle.functions.credit(person) for person in people))
        sums = sum(waiting) + sum(request.payment for request in pending)
        assert self.evm.balance(oracle.address) == sums

    def _check_honest(self) -> None:
        accounts = self.accounts()
        for name, part in self.cast.items():
            if part.honest:
                found = accounts[part.address]
                whole = (found.stake, found.suspended) == (self.stakes[name], False)
                assert whole, f"{name} lost: {found}"

    def serve_out(self) -> None:
        """Until all is closed; what may not end yet, strangers try to end."""
        self.rest()
        self.hand_in()
        for _ in range(24):
            if set(self.statuses().values()) <= set(CLOSED):
                break
            self.pass_time(min(self.stride, LATEST + 1))
        else:  # what a suspended operator claimed and nobody proved: the oracle's week
            self.office.wait(8 * DAY)
            self.close_all()
        self.rest()

    def abandon(self) -> None:
        """Nobody serves any more: strangers end whatever is open, and nothing stays locked."""
        self.office.wait(40 * DAY)
        self.close_all()
        self._check_money()

    def close_all(self) -> None:
        """By strangers, after the oracle's week."""
        claims = self.claims()
        for request in self.asked:
            if self.status(request) not in CLOSED:
                self.evm.send(self.desk.oracle.functions.refund(request.fields))
            if self.status(request) == REFUNDED and request.id in claims:
                self.end(request, *claims[request.id])

    def end(self, request: Request, payee: str, output: bytes) -> None:
        """Once: what was closed before is refused."""
        try:
            self.evm.send(self.close(request, payee, output), gas=5_000_000)
        except Reverted as refused:
            assert refused.name == "WrongOutcome", refused

    def check_bonds(self) -> None:
        """Every bond that the honest put in, they have again."""
        name, who = self.collected
        disputes = self.disputes()
        people = {event[self.disputed[1]] for event in disputes}
        back = [event for event in self._events(name, self.tier) if event[who] in people]
        put, got = (sum(e[key] for e in es) for es, key in ((disputes, "bond"), (back, "amount")))
        assert put == got, f"the honest put {put} wei of bonds in, {got} came back"

    def check_unlocked(self) -> None:
        assert not any(account.locked for account in self.accounts().values())


class Days(RuleBasedStateMachine):
    """What may happen at a fair. `ends` collects the statuses that requests came to, `hit` what
    else a test wants to have seen."""

    made: ClassVar[Any]
    fair_of: ClassVar[type[Fair]]
    jumps: ClassVar[tuple[int, ...]] = (60, CLOCK, WINDOW)
    lies: ClassVar[int] = len(LIES)
    ends: ClassVar[set[int]]
    hit: ClassVar[set[str]]

    def __init__(self) -> None:
        super().__init__()
        self.snapshot, now = self.made.chain.snapshot(), self.made.chain.now()
        self.made.chain.next_timestamp(now + 1)  # whatever the last example made of the clock
        self.made.chain.rpc("evm_mine")
        self.gone = False
        self.fair = self.fair_of(self.made)
        self.names = list(self.fair.players)

    @initialize(data=st.data())
    def begin(self, data: Any) -> None:
        self.gone = data.draw(st.integers(0, 3)) == 3
        self.ask(data)
        self.cheat(data)

    @rule(data=st.data())
    def ask(self, data: Any) -> None:
        self.fair.ask(data.draw(st.integers(CHEATED + 1, 10**9)), **self.more(data))

    @rule(data=st.data())
    def cheat(self, data: Any) -> None:
        """A request that the cheat takes: nobody else does for nothing."""
        lie = data.draw(st.integers(1, self.lies))
        self.fair.ask(CHEATED, fee=0, lie=lie, **self.more(data))

    def more(self, data: Any) -> dict[str, int]:
        """Further terms of a request."""
        return {"hours": data.draw(st.sampled_from([0, 0, 5]))}

    @precondition(lambda self: self.fair.at(PROVISIONAL))
    @rule(data=st.data())
    def harass(self, data: Any) -> None:
        self.fair.harass(data.draw(st.sampled_from(self.fair.at(PROVISIONAL))))

    @rule(data=st.data(), part=st.integers(0, 2))
    def act(self, data: Any, part: int) -> None:
        run(self.fair.players[data.draw(st.sampled_from(self.names))].steps[part]())

    @rule(data=st.data(), lost=st.booleans())
    def restart(self, data: Any, lost: bool) -> None:
        self.fair.restart(data.draw(st.sampled_from(self.names)), lost)

    @rule()
    def rest(self) -> None:
        """And strangers try to end what may not end yet."""
        self.fair.rest()
        self.fair.hand_in()

    @rule(data=st.data())
    def time_passes(self, data: Any) -> None:
        self.fair.pass_time(data.draw(st.sampled_from(self.jumps)))

    @invariant()
    def all_holds(self) -> None:
        self.fair.check()

    def teardown(self) -> None:
        """The services end it by themselves; or, if all are gone, strangers do."""
        fair = self.fair
        try:
            fair.check()
            if self.gone:
                fair.abandon()
            else:
                fair.serve_out()
                fair.check()
                fair.check_bonds()
                self.look()
            ends = set(fair.statuses().values())
            assert ends <= set(CLOSED), ends
            fair.check_unlocked()
            self.ends |= ends
        finally:
            for player in fair.players.values():
                player.node.close()
            self.made.chain.restore(self.snapshot)

    def look(self) -> None:
        """What a test wants to have seen."""


#: How long a run is, from the environment (docs/development.md); a seed makes it another one.
EXAMPLES = int(os.environ.get("EINPROOF_FAIR_EXAMPLES", "3"))
STEPS = int(os.environ.get("EINPROOF_FAIR_STEPS", "10"))
SEED = os.environ.get("EINPROOF_FAIR_SEED")


def few() -> settings:
    """The same every time, unless a seed is named. A chain is too slow to shrink on."""
    return settings(
        phases=[Phase.generate],
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        derandomize=SEED is None,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
