"""The ports in memory, for tests: a chain that reorganises, a prover, a key, a clock.

They keep the rules that the service relies on (nonces, replacement prices, reverts, one settlement
a request, proofs bound to a context), and take what no real node lets a test do: reorgs of a given
depth with a given choice of what survives, outages, and a stop at any call. One file, though a long
one: its parts know each other's bytes.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from eth_hash.auto import keccak

from oracle.domain import ids
from oracle.domain.block import Block
from oracle.domain.chain import (
    Answered,
    Call,
    Event,
    Fees,
    Identity,
    Receipt,
    Requested,
    Returned,
    Signed,
    Status,
    Unsigned,
)
from oracle.domain.errors import (
    CallRefused,
    ChainUnavailable,
    ModelMissing,
    NonceTaken,
    Underpriced,
    WalletEmpty,
)
from oracle.domain.request import Answer, Request, Tier

T = TypeVar("T")

IDENTITY = Identity(31337, "0x" + "0c" * 20)
TIER = Tier("0x" + "a5" * 20, b"\x77" * 32, "0x" + "7e" * 20, b"\x01" * 32, b"\x02" * 32, True)
MODEL = b"\x03" * 32
OPERATOR = "0x" + "0b" * 20


def fake_output(input: bytes) -> bytes:
    return keccak(b"output" + input)[:20]


def fake_proof(context: bytes, output: bytes) -> bytes:
    return keccak(b"proof" + context + output)


class FakeClock:
    """Time that passes when somebody sleeps."""

    def __init__(self, now: int = 1_000_000) -> None:
        self.time = float(now)

    def now(self) -> int:
        return int(self.time)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.time += seconds


class FakeModels:
    """Holds the models that it is told of."""

    def __init__(self, *known: bytes) -> None:
        self.known = set(known or (MODEL,))

    async def find(self, model_id: bytes) -> Path:
        if model_id not in self.known:
            raise ModelMissing(f"no folder holds model 0x{model_id.hex()}")
        return Path(model_id.hex())


class FakeEngine:
    name = "fake"

    async def run(self, folder: Path, input: bytes) -> bytes:
        return fake_output(input)


class FakeProver:
    """Proofs that FakeChain takes for their context alone. `fails` are raised first, in turn."""

    def __init__(self, *fails: Exception, seconds: float = 0.0) -> None:
        self.fails = list(fails)
        self.seconds = seconds
        self.proved = 0

    async def prove(self, folder: Path, context: bytes, input: bytes) -> tuple[bytes, bytes]:
        await asyncio.sleep(self.seconds)
        if self.fails:
            raise self.fails.pop(0)
        self.proved += 1
        output = fake_output(input)
        return output, fake_proof(context, output)


class FakeSigner:
    """Signs by writing JSON; who owns the key is who is named."""

    def __init__(self, address: str = OPERATOR) -> None:
        self.address = address

    def sign(self, transaction: Unsigned) -> Signed:
        raw = json.dumps(
            {
                "from": self.address,
                "nonce": transaction.nonce,
                "to": transaction.call.to,
                "data": transaction.call.data.hex(),
                "gas": transaction.gas,
                "most": transaction.fees.most,
                "tip": transaction.fees.tip,
            }
        ).encode()
        return Signed(keccak(raw), raw)


# --- a chain -----------------------------------------------------------------------------------


@dataclass
class Mined:
    """One block: what it holds, and what its transactions logged."""

    block: Block
    contents: list[Any]
    events: list[Event] = field(default_factory=list)
    receipts: dict[bytes, Receipt] = field(default_factory=dict)


class FakeChain:
    """Blocks of requests and transactions. State is replayed from the blocks, so a reorg is exact.

    `automine` mines a block after every transaction, like Anvil. `down` makes every call fail.
    """

    def __init__(self, *, automine: bool = False, balance: int = 10**24) -> None:
        self.automine = automine
        self.down = False
        self.funds = balance
        self.market = Fees(10**9, 10**8)
        self.pool: list[dict[str, Any]] = []
        self.chain: list[Mined] = []
        self._salt = 0
        self._requests = 0
        self._append([])

    # --- what tests do ---

    def ask(self, input: bytes = b"", *, mine: bool = True, **changes: Any) -> Request:
        """A new request; in a block of its own unless `mine` is False (then give it to `mine`)."""
        self._requests += 1
        data = input or b"input %d" % self._requests
        request = Request(
            requester="0x" + "c0" * 20,
            refund_to="0x" + "c0" * 20,
            model_id=MODEL,
            input_hash=keccak(data),
            assurance=TIER.assurance,
            pin=TIER.pin,
            terms=bytes(32),
            fee=10**15,
            callback_gas_price=0,
            callback_gas=0,
            deadline=self.timestamp + 10**6,
            nonce=self._requests,
            input=data,
        )
        request = replace(request, **changes)
        request = replace(request, id=ids.request_id(IDENTITY.chain_id, IDENTITY.oracle, request))
        if mine:
            self.mine(request)
        return request

    def mine(self, *contents: Any) -> None:
        """A block with these requests or raw transactions, then whatever of the pool is due."""
        self._append([*contents, *self._due(contents)])

    def reorg(
        self, depth: int, *, keep: bool = True, reinject: bool = False, longer: int = 1
    ) -> list[Request]:
        """Replaces the newest `depth` blocks by `depth + longer` others; the requests that were in
        them. `keep`: these are in the first new block; else they are gone, for `mine` to bring
        back. `reinject`: transactions of the old blocks wait again; else all are forgotten."""
        old = [item for mined in self.chain[-depth:] for item in mined.contents]
        del self.chain[-depth:]
        self._salt += 1
        requests = [item for item in old if isinstance(item, Request)]
        sent = [item for item in old if isinstance(item, dict) and "hash" in item]
        self.pool = [*sent, *self.pool] if reinject else []
        self._append(requests if keep else [])
        for _ in range(depth + longer - 1):
            self._append([])
        return requests

    def settlements(self, request: Request) -> list[Answered]:
        return [
            event
            for mined in self.chain
            for event in mined.events
            if isinstance(event, Answered) and event.request_id == request.id
        ]

    def answer_by(self, request: Request, payee: str) -> dict[str, Any]:
        """A stranger's transaction that answers the request."""
        output = fake_output(request.input)
        context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
        answer = Answer(payee, output, fake_proof(context, output), TIER)
        data = self.answer_call(request, answer).data.hex()
        nonce = self._nonce(payee)
        return {"from": payee, "nonce": nonce, "to": IDENTITY.oracle, "data": data, "gas": 10**6}

    def spend(self, sender: str) -> dict[str, Any]:
        """A transaction of the operator's key that the service knows nothing of."""
        return {"from": sender, "nonce": self._nonce(sender), "to": sender, "data": "", "gas": 0}

    @property
    def timestamp(self) -> int:
        return self.chain[-1].block.timestamp if self.chain else 1_000_000

    def refund(self, request: Request) -> dict[str, Any]:
        return {"refund": request.id, "from": "anyone", "nonce": self._nonce("anyone")}

    # --- the port ---

    async def chain_id(self) -> int:
        return await self._up(IDENTITY.chain_id)

    async def head(self) -> Block:
        return await self._up(self.chain[-1].block)

    async def block(self, number: int) -> Block | None:
        return await self._up(self.chain[number].block if number < len(self.chain) else None)

    async def events(self, first: int, last: int) -> list[Event]:
        return await self._up([e for mined in self.chain[first : last + 1] for e in mined.events])

    async def tier(self, assurance: str) -> Tier | None:
        return await self._up(TIER if assurance == TIER.assurance else None)

    def answer_call(self, request: Request, answer: Answer) -> Call:
        fields = [request.id.hex(), answer.payee, answer.output.hex(), answer.proof.hex()]
        return Call(IDENTITY.oracle, json.dumps(fields).encode())

    async def preflight(self, sender: str, call: Call) -> int:
        refusal = self._refusal(call.data.hex(), self.timestamp)
        if refusal:
            raise CallRefused(refusal)
        return await self._up(500_000)

    async def fees(self) -> Fees:
        return await self._up(self.market)

    async def nonce(self, address: str) -> int:
        return await self._up(self._nonce(address))

    async def balance(self, address: str) -> int:
        return await self._up(self.funds)

    async def send(self, raw: bytes) -> None:
        await self._up(None)
        sent = {**json.loads(raw), "hash": keccak(raw)}
        if any(sent["hash"] in mined.receipts for mined in self.chain):
            return
        if sent["nonce"] < self._nonce(sent["from"]):
            raise NonceTaken("nonce too low")
        if sent["gas"] * sent["most"] > self.funds:
            raise WalletEmpty("insufficient funds")
        rivals = [s for s in self.pool if (s["from"], s["nonce"]) == (sent["from"], sent["nonce"])]
        if any(rival["hash"] == sent["hash"] for rival in rivals):
            return
        if any(sent["most"] * 10 < rival["most"] * 11 for rival in rivals):
            raise Underpriced("replacement transaction underpriced")
        self.pool = [item for item in self.pool if item not in rivals] + [sent]
        if self.automine:
            self.mine()

    async def receipt(self, hash: bytes) -> Receipt | None:
        found = (mined.receipts.get(hash) for mined in self.chain)
        return await self._up(next((receipt for receipt in found if receipt), None))

    async def knows(self, hash: bytes) -> bool:
        mined = any(hash in block.receipts for block in self.chain)
        return await self._up(mined or any(item["hash"] == hash for item in self.pool))

    # --- how it works ---

    async def _up(self, value: T) -> T:
        await asyncio.sleep(0)
        if self.down:
            raise ChainUnavailable("connection refused")
        return value

    def _due(self, contents: Iterable[Any]) -> list[Any]:
        taken = [item for item in contents if isinstance(item, dict)]
        due: list[Any] = []
        nonces: dict[str, int] = {}
        for item in taken:
            nonces[item["from"]] = item["nonce"] + 1
        for item in sorted(self.pool, key=lambda item: item["nonce"]):
            sender = item["from"]
            if item["nonce"] == nonces.setdefault(sender, self._nonce(sender)):
                nonces[sender] += 1
                due.append(item)
        self.pool = [item for item in self.pool if item["nonce"] >= nonces.get(item["from"], 0)]
        return due

    def _append(self, contents: list[Any]) -> None:
        number = len(self.chain)
        parent = self.chain[-1].block.hash if self.chain else bytes(32)
        digest = keccak(b"%d %d " % (number, self._salt) + parent + repr(contents).encode())
        timestamp = self.timestamp + 12
        mined = Mined(Block(number, digest, parent, timestamp), contents)
        self.chain.append(mined)
        ref = mined.block.ref
        for item in contents:
            if isinstance(item, Request):
                mined.events.append(Requested(item, ref))
            elif "refund" in item:
                mined.events.append(Returned(item["refund"], ref, b""))
            else:
                digest = item.get("hash", keccak(repr(item).encode()))
                refusal = self._refusal(item["data"], timestamp)
                mined.receipts[digest] = Receipt(ref, not refusal, 21_000)
                if item["data"] and not refusal:
                    request_id, payee, output, _ = json.loads(bytes.fromhex(item["data"]))
                    known = bytes.fromhex(request_id)
                    mined.events.append(Answered(known, payee, bytes.fromhex(output), ref, digest))

    def _nonce(self, address: str) -> int:
        contents = [item for mined in self.chain for item in mined.contents]
        return sum(isinstance(item, dict) and item["from"] == address for item in contents)

    def _status(self, request_id: bytes) -> Status:
        status = Status.NONE
        for event in (event for mined in self.chain for event in mined.events):
            if isinstance(event, Requested) and event.request.id == request_id:
                status = Status.OPEN
            elif isinstance(event, Answered) and event.request_id == request_id:
                status = Status.FINAL
            elif isinstance(event, Returned) and event.request_id == request_id:
                status = Status.REFUNDED
        return status

    def _refusal(self, data: str, timestamp: int) -> str:
        """The error with which the contract would refuse an answer; empty if it takes it."""
        if not data:
            return ""
        request_id, payee, output, proof = json.loads(bytes.fromhex(data))
        known = bytes.fromhex(request_id)
        if self._status(known) is not Status.OPEN:
            return "WrongStatus"
        request = next(
            item
            for mined in self.chain
            for item in mined.contents
            if isinstance(item, Request) and item.id == known
        )
        if timestamp > request.deadline:
            return "DeadlinePassed"
        context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
        good = fake_proof(context, bytes.fromhex(output)).hex() == proof
        return "" if good else "OpeningRejected"


# --- a crash -----------------------------------------------------------------------------------


class Crash(BaseException):
    """The process dies here. No handler for errors may catch it."""


class CrashPlan:
    """Counts the points at which the service touches the world, and dies at the `at`-th."""

    def __init__(self, at: int = -1) -> None:
        self.at = at
        self.passed = 0
        self.dead = False

    def point(self) -> None:
        if self.dead or self.passed == self.at:
            self.dead = True
            raise Crash
        self.passed += 1


class Crashing:
    """Any port, with a crash point before and after each of its asynchronous methods: before, and
    the call has not happened; after, and it has, but nobody learnt of it."""

    def __init__(self, port: Any, plan: CrashPlan) -> None:
        self._port = port
        self._plan = plan

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._port, name)
        if not asyncio.iscoroutinefunction(found):
            return found

        async def call(*arguments: Any, **named: Any) -> Any:
            self._plan.point()
            result = await found(*arguments, **named)
            self._plan.point()
            return result

        return call
