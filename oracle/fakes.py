"""The ports in memory, for tests: a chain that reorganises, a prover, a key, a clock.

They keep the rules that the service relies on (nonces, replacement prices, reverts, one settlement
a request, proofs bound to a context; stakes, windows, disputes and their clocks), and take what no
real node lets a test do: reorgs of a given depth with a given choice of what survives, outages, and
a stop at any call. One file, though a long one: its parts know each other's bytes.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.domain import ids
from oracle.domain.attested import Answering, said
from oracle.domain.bisection import Span
from oracle.domain.block import Block
from oracle.domain.chain import (
    Account,
    Answered,
    Audit,
    Call,
    Case,
    Disputed,
    Event,
    Fees,
    Guarding,
    Identity,
    Outcome,
    Receipt,
    Requested,
    Returned,
    Round,
    Shown,
    Signed,
    Status,
    Stood,
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
from oracle.domain.job import Standing
from oracle.domain.request import Answer, Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE, ClaimTerms, Quote
from oracle.services.moves import refutation

T = TypeVar("T")

IDENTITY = Identity(31337, "0x" + "0c" * 20)
TIER = Tier("0x" + "a5" * 20, b"\x77" * 32, "0x" + "7e" * 20, b"\x01" * 32, b"\x02" * 32, True)
STAKED = replace(TIER, assurance="0x" + "0f" * 20, kind=TierKind.OPTIMISTIC, vault="0x" + "fa" * 20)
ATTESTED = replace(STAKED, assurance="0x" + "a7" * 20, kind=TierKind.ATTESTED)
AUDITED = replace(STAKED, assurance="0x" + "ad" * 20, kind=TierKind.AUDITED)
BEACON = "0x" + "be" * 20
TERMS = ClaimTerms(10**9, 60)
QUOTE = Quote(10**9, 10**8, 10**9, window=600, prove=300, bond=10**16)
REVEAL_TIME = 1000
#: Seconds from a window's end to the round that decides about an audit, and from there until
#: silence makes final what was not drawn.
UNSEEN, HELD = 60, 120
MODEL = b"\x03" * 32
OPERATOR, CHALLENGER = "0x" + "0b" * 20, "0x" + "0d" * 20


def fake_output(input: bytes) -> bytes:
    return keccak(b"output" + input)[:20]


def fake_proof(context: bytes, output: bytes) -> bytes:
    return keccak(b"proof" + context + output)


class FakeAnswerKey:
    """Signs by hashing, so that whoever knows the digest can check it."""

    async def attest(self, claim: Answering, digest: bytes) -> bytes:
        return b"x" * 32 + b"y" * 32 + fake_signature(digest)


def fake_signature(digest: bytes) -> bytes:
    return keccak(b"r" + digest) + keccak(b"s" + digest)


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

    async def traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        return await self.run(folder, input), keccak(b"trace" + input)


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


class FakeRounds:
    """A beacon whose signatures are empty. `first` are raised, or given, in turn before."""

    def __init__(self, *first: Exception | bytes) -> None:
        self.first = list(first)

    async def signature(self, round: Round) -> bytes:
        await asyncio.sleep(0)
        found = self.first.pop(0) if self.first else b""
        if isinstance(found, Exception):
            raise found
        return found


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
                "value": transaction.call.value,
            }
        ).encode()
        return Signed(keccak(raw), raw)

    def secret(self, label: bytes) -> bytes:
        return keccak(self.address.encode() + label)

    def attest(self, digest: bytes) -> bytes:
        author = bytes.fromhex(self.address[2:])
        return author + keccak(author + digest) + bytes(12) + b"\x1b"


def fake_recover(digest: bytes, signature: bytes) -> str:
    """Whose `FakeSigner.attest` that is; empty if nobody's."""
    author = signature[:20]
    address = str(to_checksum_address(author))
    return address if signature == FakeSigner(address).attest(digest) else ""


# --- a chain -----------------------------------------------------------------------------------


class Refusal(Exception):
    """The name of the error with which a contract refuses a call."""


@dataclass
class Stage:
    """Where a request stands, as the contracts would have it."""

    request: Request
    status: Status = Status.OPEN
    standing: tuple[str, bytes] = ("", b"")
    since: int = 0
    staker: str = ""
    slashed: bool = False
    disputes: list[tuple[str, bytes, int]] = field(default_factory=list)
    prove_by: int = 0
    outcome: Outcome = Outcome.NONE
    winner: int = 0
    reward: int = 0
    reveal_by: int = 0
    proved: bytes = bytes(32)
    published: int = 0
    frozen: bool = False
    stopped: bool = False

    @property
    def locked(self) -> bool:
        """Also of what the oracle's week gave back, until it is closed."""
        left = self.status is Status.REFUNDED and self.standing[0] and self.outcome is Outcome.NONE
        return self.status is Status.PROVISIONAL or bool(left)


@dataclass
class Mined:
    """One block: what it holds, what its transactions logged, and how requests stand after it."""

    block: Block
    contents: list[Any]
    events: list[Event] = field(default_factory=list)
    receipts: dict[bytes, Receipt] = field(default_factory=dict)
    stages: dict[bytes, Stage] = field(default_factory=dict)


class FakeChain:
    """Blocks of requests and transactions. Each keeps the state after it, so a reorg is exact.

    `stakes` are in gwei, and outside reorgs. `drawn` are the requests that audits will draw; the
    round that decides about a request has the number of its nonce. `broken`: every output can be
    proved; `canary` is what the verifier's guard must never see. `automine` mines a block after
    every transaction, like Anvil. `down` makes every call fail.
    """

    def __init__(self, *, automine: bool = False, balance: int = 10**24) -> None:
        self.automine = automine
        self.down = False
        self.funds = balance
        self.market = Fees(10**9, 10**8)
        self.pool: list[dict[str, Any]] = []
        self.chain: list[Mined] = []
        self.stakes = {OPERATOR: 10**13}
        self.stopped_models: set[bytes] = set()
        self.drawn: set[bytes] = set()
        self.broken = False
        self.canary = bytes(32)
        self._salt = 0
        self._skip = 0
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

    def ask_staked(self, input: bytes = b"", **changes: Any) -> Request:
        """A new request under the optimistic tier."""
        staked = {"assurance": STAKED.assurance, "terms": TERMS.word}
        return self.ask(input, **{**staked, **changes})

    def ask_audited(self, input: bytes = b"", *, drawn: bool = False, **changes: Any) -> Request:
        """A new request under the audited tier, whose claim will be drawn or not."""
        terms = replace(TERMS, audits=5000).word
        audited = {"assurance": AUDITED.assurance, "terms": terms}
        request = self.ask(input, **{**audited, **changes})
        if drawn:
            self.drawn.add(request.id)
        return request

    def wait(self, seconds: int) -> None:
        """A block that much later."""
        self._skip = seconds
        self.mine()

    def stage(self, request: Request) -> Stage:
        return self.chain[-1].stages[request.id]

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
        """A stranger's transaction that answers the request with a proof."""
        return self.prove_by(request, payee, fake_output(request.input))

    def prove_by(self, request: Request, payee: str, output: bytes) -> dict[str, Any]:
        """The same for any output: only a broken verifier takes a wrong one."""
        context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
        answer = Answer(payee, output, fake_proof(context, output), TIER)
        return self.by(payee, self.answer_call(request, answer))

    def claim_by(self, request: Request, staker: str, output: bytes) -> dict[str, Any]:
        """A stranger's transaction that vouches for an output, right or wrong."""
        self.stakes.setdefault(staker, 10**13)
        return self.by(staker, self.answer_call(request, Answer(staker, output, b"", STAKED)))

    def by(self, sender: str, call: Call) -> dict[str, Any]:
        """A stranger's transaction."""
        return {
            "from": sender,
            "nonce": self._nonce(sender),
            "to": call.to,
            "data": call.data.hex(),
            "gas": 10**6,
            "value": call.value,
        }

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
        known = {tier.assurance: tier for tier in (TIER, STAKED, ATTESTED, AUDITED)}
        return await self._up(known.get(assurance))

    async def stopped(self, tier: Tier, model_id: bytes) -> bool:
        stages = self.chain[-1].stages.values()
        stopped = {stage.request.model_id for stage in stages if stage.stopped}
        return await self._up(model_id in self.stopped_models | stopped)

    async def quote(self, tier: Tier, terms: bytes) -> Quote:
        held = UNSEEN + HELD if tier.kind is TierKind.AUDITED else 0
        return await self._up(replace(QUOTE, held=held))

    async def account(self, tier: Tier, owner: str) -> Account:
        return await self._up(self._account(owner))

    async def disputed(self, request: Request) -> bool:
        return await self._up(bool(self.chain[-1].stages[request.id].disputes))

    async def case(self, request: Request, index: int) -> Case:
        stage = self.chain[-1].stages[request.id]
        _, commitment, bond = stage.disputes[index]
        found = (stage.outcome, stage.winner, stage.reward, stage.reveal_by, stage.proved)
        return await self._up(Case(*found, commitment, bond))

    async def audit(self, request: Request) -> Audit:
        stage = self.chain[-1].stages[request.id]
        drawn = stage.published and request.id in self.drawn
        made = stage.since + QUOTE.window + UNSEEN
        held = HELD if stage.published and not drawn else QUOTE.prove
        until = (stage.published or made) + held
        found = Audit(BEACON, True, request.nonce, stage.published > 0, made, drawn, until)
        return await self._up(found)

    async def frozen(self, request: Request) -> bool:
        return await self._up(self.chain[-1].stages[request.id].frozen)

    def freeze_call(self, request: Request, standing: Standing) -> Call:
        return _call("freeze", request)

    def publish_call(self, beacon: str, round: int, signature: bytes) -> Call:
        stages = self.chain[-1].stages.values()
        about = next(stage.request for stage in stages if stage.request.nonce == round)
        return replace(_call("publish", about, signature.hex()), to=beacon)

    async def shown(self, request: Request, transaction: bytes) -> Shown | None:
        for item in [item for mined in self.chain for item in mined.contents]:
            if isinstance(item, dict) and _hash(item) == transaction:
                name, _, payee, output, proof = json.loads(bytes.fromhex(item["data"]))
                assert name == "answer"
                return await self._up(Shown(payee, bytes.fromhex(output), bytes.fromhex(proof)))
        return await self._up(None)

    async def guard(self, tier: Tier) -> Guarding | None:
        return await self._up(Guarding(tier.verifier, self.canary))

    def stop_call(self, guard: str, request: Request, context: bytes, shown: Shown) -> Call:
        claim = (context.hex(), shown.output.hex(), shown.evidence.hex())
        return replace(_call("stop", request, claim), to=guard)

    def stop_model_call(
        self, guard: str, request: Request, one: tuple[bytes, Shown], other: tuple[bytes, Shown]
    ) -> Call:
        pair = [(word.hex(), at.output.hex(), at.evidence.hex()) for word, at in (one, other)]
        return replace(_call("stop", request, *pair), to=guard)

    def answer_call(self, request: Request, answer: Answer) -> Call:
        return _call("answer", request, answer.payee, answer.output.hex(), answer.proof.hex())

    def dispute_call(
        self, request: Request, payee: str, output: bytes, commitment: bytes, bond: int
    ) -> Call:
        call = _call("dispute", request, payee, output.hex(), commitment.hex())
        return replace(call, value=bond)

    def reveal_call(self, request: Request, index: int, salt: bytes) -> Call:
        return _call("reveal", request, index, salt.hex())

    def award_call(self, request: Request) -> Call:
        return _call("award", request)

    def collect_call(self, request: Request, index: int) -> Call:
        return _call("collect", request, index)

    def close_call(self, request: Request, standing: Standing, span: Span | None = None) -> Call:
        return _call("close", request, standing.payee, standing.output.hex(), span)

    async def preflight(self, sender: str, call: Call, at: str = "latest") -> int:
        mined = self.chain[-1] if at == "latest" else self.chain[int(at, 16)]
        stages = _copied(mined.stages)
        item = {"from": sender, "data": call.data.hex(), "value": call.value}
        try:
            self._play(stages, item, mined.block)
        except Refusal as refusal:
            raise CallRefused(str(refusal)) from None
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
        timestamp = self.timestamp + 12 + self._skip
        self._skip = 0
        stages = _copied(self.chain[-1].stages) if self.chain else {}
        mined = Mined(Block(number, digest, parent, timestamp), contents, stages=stages)
        ref = mined.block.ref
        for item in contents:
            if isinstance(item, Request):
                mined.events.append(Requested(item, ref))
                stages[item.id] = Stage(item)
            elif "refund" in item:
                mined.events.append(Returned(item["refund"], ref, b""))
                stages[item["refund"]].status = Status.REFUNDED
            else:
                digest = _hash(item)
                try:
                    mined.events += self._play(stages, item, mined.block, digest)
                    mined.receipts[digest] = Receipt(ref, True, 21_000)
                except Refusal:
                    mined.receipts[digest] = Receipt(ref, False, 21_000)
        self.chain.append(mined)

    def _nonce(self, address: str) -> int:
        contents = [item for mined in self.chain for item in mined.contents]
        return sum(isinstance(item, dict) and item["from"] == address for item in contents)

    def _account(self, owner: str, stages: dict[bytes, Stage] | None = None) -> Account:
        held = self.chain[-1].stages if stages is None else stages
        mine = [stage for stage in held.values() if stage.staker == owner]
        slashed = sum(stage.slashed for stage in mine)
        locked = sum(stage.locked for stage in mine)
        stake = self.stakes.get(owner, 0) - slashed * QUOTE.lock
        return Account(stake, locked * QUOTE.lock, 0, 0, slashed > 0)

    # --- the contracts' rules: each call changes its stage, and is refused before it does ---

    def _play(
        self, stages: dict[bytes, Stage], item: dict[str, Any], block: Block, digest: bytes = b""
    ) -> list[Event]:
        """What a transaction logs. Raises Refusal."""
        if not item["data"]:
            return []
        name, known, *arguments = json.loads(bytes.fromhex(item["data"]))
        stage = stages.get(bytes.fromhex(known))
        if stage is None:
            raise Refusal("WrongStatus")
        if name == "answer":
            return self._answer(stages, stage, item["from"], block, digest, *arguments)
        if name == "dispute":
            return self._dispute(stages, stage, item, block, *arguments)
        getattr(self, f"_{name}")(stage, block.timestamp, *arguments)
        return []

    def _answer(
        self,
        stages: dict[bytes, Stage],
        stage: Stage,
        sender: str,
        block: Block,
        digest: bytes,
        payee: str,
        shown: str,
        evidence: str,
    ) -> list[Event]:
        request, claimed, now = stage.request, bytes.fromhex(shown), block.timestamp
        if stage.status not in (Status.OPEN, Status.PROVISIONAL):
            raise Refusal("WrongStatus")
        if stage.status is Status.OPEN and now > request.deadline:
            raise Refusal("DeadlinePassed")
        same = stage.standing == (payee, claimed)
        final = [Answered(request.id, payee, claimed, block.ref, digest)]
        returned = [Returned(request.id, block.ref, digest)]
        if request.assurance == ATTESTED.assurance and stage.status is Status.OPEN:
            evidence = _unattested(request, payee, claimed, evidence)
        if request.assurance == TIER.assurance or evidence:
            named = b""
            if stage.status is Status.PROVISIONAL and not same:
                named = refutation(*stage.standing, b"")
                if stage.standing[1] == claimed:
                    raise Refusal("SameOutput")
            context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
            good = named + fake_proof(context, claimed)
            true = claimed == fake_output(request.input) or self.broken
            if evidence != good.hex() or not true:
                raise Refusal("OpeningRejected")
            silent = stage.standing is not None and stage.standing[1] == UNANSWERABLE
            if named and not silent and self._undrawn(stage, now):
                raise Refusal("SeedUnknown")
            if stage.disputes:
                stage.outcome = Outcome.UPHELD if same else Outcome.OVERTURNED
                stage.proved, stage.reveal_by = ids.output_hash(claimed), now + REVEAL_TIME
                stage.reward = 0 if same else QUOTE.reward
            stage.slashed = bool(named)
            stage.status = Status.FINAL
            return [*final]
        if stage.status is Status.OPEN:
            if sender != payee:
                raise Refusal("NotItsAgent")
            account = self._account(payee, stages)
            if account.suspended:
                raise Refusal("Suspended")
            if account.free < QUOTE.lock:
                raise Refusal("CoverageAboveFreeStake")
            stage.status, stage.standing = Status.PROVISIONAL, (payee, claimed)
            stage.since, stage.staker = now, payee
            return [Stood(request.id, payee, claimed, block.ref, now)]
        if not same:
            raise Refusal("WrongEvidence")
        if stage.disputes:
            if now <= stage.prove_by:
                raise Refusal("TooEarly")
            if self._undrawn(stage, stage.prove_by):
                raise Refusal("SeedUnknown")
            stage.outcome, stage.slashed, stage.status = Outcome.LAPSED, True, Status.RETRACTED
            return [*returned]
        if now <= stage.since + QUOTE.window:
            raise Refusal("TooEarly")
        if claimed == UNANSWERABLE:
            stage.status = Status.RETRACTED
            return [*returned]
        if request.assurance == AUDITED.assurance:
            if not stage.published:
                raise Refusal("SeedUnknown")
            if request.id in self.drawn:
                if now <= stage.published + QUOTE.prove:
                    raise Refusal("AuditOpen")
                stage.outcome, stage.slashed = Outcome.LAPSED, True
                stage.status = Status.RETRACTED
                return [*returned]
            if now <= stage.published + HELD:
                raise Refusal("AuditOpen")
            standing = [one for one in stages.values() if one.status is Status.PROVISIONAL]
            if any(one.frozen and one.staker == stage.staker for one in standing):
                raise Refusal("OperatorFrozen")
        if self._account(stage.staker, stages).suspended:
            raise Refusal("OperatorSuspended")
        stage.status = Status.FINAL
        return [*final]

    def _dispute(
        self,
        stages: dict[bytes, Stage],
        stage: Stage,
        item: dict[str, Any],
        block: Block,
        payee: str,
        shown: str,
        commitment: str,
    ) -> list[Event]:
        claimed, now = bytes.fromhex(shown), block.timestamp
        if stage.status is not Status.PROVISIONAL:
            raise Refusal("WrongStatus")
        if stage.standing != (payee, claimed):
            raise Refusal("WrongClaim")
        if claimed == UNANSWERABLE:
            raise Refusal("NothingToProve")
        suspended = self._account(stage.staker, stages).suspended
        if not suspended and item["value"] < QUOTE.bond:
            raise Refusal("BondTooLow")
        if not suspended and now > stage.since + QUOTE.window:
            raise Refusal("TooLate")
        stage.prove_by = stage.prove_by or now + QUOTE.prove
        stage.disputes.append((item["from"], bytes.fromhex(commitment), item["value"]))
        index, who = len(stage.disputes) - 1, item["from"]
        return [Disputed(stage.request.id, index, who, stage.prove_by, block.ref)]

    def _close(self, stage: Stage, now: int, payee: str, shown: str, span: Any) -> None:
        if stage.status is not Status.REFUNDED:
            raise Refusal("WrongStatus")
        if stage.standing != (payee, bytes.fromhex(shown)):
            raise Refusal("WrongClaim")
        if stage.outcome is not Outcome.NONE:
            raise Refusal("WrongOutcome")
        silent = not stage.disputes and stage.standing[1] != UNANSWERABLE
        if (silent or stage.disputes) and self._undrawn(stage, stage.prove_by or now):
            raise Refusal("SeedUnknown")
        audited = stage.request.assurance == AUDITED.assurance
        drawn = audited and silent and stage.request.id in self.drawn
        stage.slashed = drawn or bool(stage.disputes)
        stage.outcome = Outcome.LAPSED if stage.slashed else Outcome.VOID

    def _undrawn(self, stage: Stage, lost: int) -> bool:
        """A claim that is lost after its window waits for its round."""
        audited = stage.request.assurance == AUDITED.assurance
        return audited and lost > stage.since + QUOTE.window and not stage.published

    def _freeze(self, stage: Stage, now: int) -> None:
        if not stage.published or stage.request.id not in self.drawn or stage.frozen:
            raise Refusal("NothingToFreeze")
        if stage.status is not Status.PROVISIONAL:
            raise Refusal("WrongStatus")
        stage.frozen = True

    def _publish(self, stage: Stage, now: int, signature: str) -> None:
        if signature:
            raise Refusal("WrongSignature")
        if now < stage.since + QUOTE.window + UNSEEN:
            raise Refusal("RoundNotMade")
        stage.published = stage.published or now

    def _stop(self, stage: Stage, now: int, *proofs: list[str]) -> None:
        """One proof: of the canary. Two: of different outputs."""
        request = stage.request
        claims = [tuple(bytes.fromhex(part) for part in proof) for proof in proofs]
        for context, output, proof in claims:
            true = output == fake_output(request.input) or self.broken
            if proof != fake_proof(context, output) or not true:
                raise Refusal("OpeningRejected")
        outputs = {output for _, output, _ in claims}
        if len(claims) == 2 and len(outputs) < 2:
            raise Refusal("SameOutput")
        named = [ids.statement(request.model_id, request.input, each) for each in outputs]
        if len(claims) == 1 and named != [self.canary]:
            raise Refusal("NotTheCanary")
        stage.stopped = True

    def _reveal(self, stage: Stage, now: int, index: int, salt: str) -> None:
        if stage.outcome is not Outcome.OVERTURNED:
            raise Refusal("WrongOutcome")
        if now > stage.reveal_by:
            raise Refusal("TooLate")
        who, commitment, _ = stage.disputes[index]
        proved = fake_output(stage.request.input)
        request = stage.request
        word = bytes.fromhex(salt)
        if commitment != ids.commitment(request.assurance, request.id, who, proved, word):
            raise Refusal("WrongCommitment")
        if 0 < stage.winner <= index + 1:
            raise Refusal("NothingLeft")
        stage.winner = index + 1

    def _award(self, stage: Stage, now: int) -> None:
        if stage.outcome is not Outcome.OVERTURNED:
            raise Refusal("WrongOutcome")
        if stage.winner != 1 and now <= stage.reveal_by:
            raise Refusal("TooEarly")
        if not stage.winner or not stage.reward:
            raise Refusal("NothingLeft")
        stage.reward = 0

    def _collect(self, stage: Stage, now: int, index: int) -> None:
        who, commitment, bond = stage.disputes[index]
        if stage.outcome is Outcome.NONE:
            raise Refusal("WrongOutcome")
        if not bond or (stage.outcome is Outcome.UPHELD and index):
            raise Refusal("NothingLeft")
        stage.disputes[index] = (who, commitment, 0)


def _hash(item: dict[str, Any]) -> bytes:
    """A transaction's; a stranger's is of its text."""
    known: bytes = item.get("hash", keccak(repr(item).encode()))
    return known


def _copied(stages: dict[bytes, Stage]) -> dict[bytes, Stage]:
    return {id: replace(stage, disputes=[*stage.disputes]) for id, stage in stages.items()}


def _unattested(request: Request, payee: str, output: bytes, evidence: str) -> str:
    """A first claim's evidence, but for the key's good word. Raises Refusal without either."""
    named = (request.assurance, request.id, request.model_id, request.input_hash)
    digest = said(IDENTITY.chain_id, Answering(*named, payee, output))
    if evidence == (b"x" * 32 + b"y" * 32 + fake_signature(digest)).hex():
        return ""
    if len(evidence) in (0, 256):
        raise Refusal("NotSigned" if evidence else "NotAttested")
    return evidence


def _call(name: str, request: Request, *arguments: Any) -> Call:
    return Call(IDENTITY.oracle, json.dumps([name, request.id.hex(), *arguments]).encode())


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
