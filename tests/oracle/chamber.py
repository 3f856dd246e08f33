"""A committee in memory: a fake chain with its tier, and members that share one board."""

import json
from collections.abc import Sequence
from typing import Any

from eth_abi.abi import decode
from eth_hash.auto import keccak
from eth_utils.address import to_checksum_address

from oracle.domain import ids
from oracle.domain.block import Block, BlockRef
from oracle.domain.chain import Answered, Call, Disputed, Event, Returned, Round, Status, Stood
from oracle.domain.committee import (
    AGGREGATE,
    AGREED,
    DAY,
    PROOF,
    QUORUM,
    REFUTED,
    Committee,
    Opened,
    Summons,
    Word,
    digest,
    message,
)
from oracle.domain.errors import BoardUnavailable
from oracle.domain.job import LOOKS, PROOFS
from oracle.domain.move import Role
from oracle.domain.request import Request, Tier, TierKind
from oracle.domain.terms import Quote
from oracle.fakes import (
    BEACON,
    IDENTITY,
    STAKED,
    TERMS,
    TIER,
    Crashing,
    CrashPlan,
    FakeChain,
    FakeClock,
    FakeEngine,
    FakeModels,
    FakeRounds,
    FakeSigner,
    Refusal,
    Stage,
    fake_output,
    fake_proof,
    fake_recover,
)
from oracle.services.board import WordBoard
from oracle.services.sit import Duty, Sit
from oracle.services.watch import Seat, Watch
from oracle.services.work import Terms
from tests.oracle.world import Service

MEMBERS = [to_checksum_address("0x" + f"{n:02x}" * 20) for n in (1, 2, 3)]
COLLECTOR = MEMBERS[0]
COUNCIL = Tier(
    "0x" + "c1" * 20,
    TIER.pin,
    TIER.verifier,
    TIER.code_hash,
    TIER.srs_id,
    True,
    TierKind.COMMITTEE,
    STAKED.vault,
)
NOTHING = bytes(32)
QUOTED = Quote(10**9, 10**8, 10**9, window=600, prove=300, bond=0)
GRACE = 200


class FakeCouncil(FakeChain):
    """The tier's rules, over one committee of three of which two must agree, the same every day;
    of a committee of `many` under one signature. Every day's is drawn, or where `drawn` is False
    those of `days`, from as many `seats`, by the day's round, which is made three seconds into it.
    What members say on-chain, rounds and draws are outside reorgs."""

    def __init__(self, *, many: bool = False, **how: Any) -> None:
        super().__init__(**how)
        self.many = many
        self.said: dict[tuple[bytes, int], tuple[bytes, bytes]] = {}
        self.summoned: dict[bytes, Summons] = {}
        self.drawn = True
        self.days: list[int] = []
        self.rounds: set[int] = set()
        self.seats = len(MEMBERS)
        self.slashed: list[str] = []

    def ask_council(self, **changes: Any) -> Request:
        return self.ask(**{"assurance": COUNCIL.assurance, "terms": TERMS.word, **changes})

    def summon(self, request: Request) -> None:
        now = self.timestamp
        self.summoned[request.id] = Summons(now // DAY, now + GRACE, now + 2 * GRACE)

    # --- the port ---

    async def tier(self, assurance: str) -> Tier | None:
        return COUNCIL if assurance == COUNCIL.assurance else await super().tier(assurance)

    async def quote(self, tier: Tier, terms: bytes) -> Quote:
        return await self._up(QUOTED)

    async def committee(self, tier: Tier, epoch: int) -> Committee | None:
        there = self.drawn or epoch in self.days
        return await self._up(self._committee(epoch) if there else None)

    async def round_of(self, tier: Tier, epoch: int) -> Round:
        found = Round(BEACON, True, epoch, epoch in self.rounds, epoch * DAY + 3)
        return await self._up(found)

    def publish_call(self, beacon: str, round: int, signature: bytes) -> Call:
        return Call(beacon, json.dumps(["publish", "", round, signature.hex()]).encode())

    def draw_call(self, tier: Tier) -> Call:
        return Call(tier.assurance, json.dumps(["draw", ""]).encode())

    async def summons(self, request: Request) -> Summons | None:
        return await self._up(self.summoned.get(request.id))

    async def spoken(self, request: Request, places: int) -> list[tuple[bytes, bytes]]:
        nothing = (NOTHING, NOTHING)
        return await self._up([self.said.get((request.id, p), nothing) for p in range(places)])

    async def agreement(self, request: Request, block: BlockRef) -> bytes:
        for item in self.chain[block.number].contents:
            if isinstance(item, dict) and item.get("data"):
                name, about, *rest = json.loads(bytes.fromhex(item["data"]))
                if (name, about) == ("answer", request.id.hex()):
                    return await self._up(bytes.fromhex(rest[2]))
        return await self._up(b"")

    def commit_call(
        self, request: Request, committee: Committee, place: int, commitment: bytes
    ) -> Call:
        return _call("commit", request, place, commitment.hex())

    def open_call(self, request: Request, committee: Committee, place: int, opened: Opened) -> Call:
        return _call(
            "open",
            request,
            place,
            opened.payee,
            opened.output.hex(),
            opened.trace.hex(),
            opened.salt.hex(),
        )

    def dissent_call(
        self, request: Request, committee: Committee, place: int, payee: str, output: bytes
    ) -> Call:
        return _call("dissent", request, place, payee, output.hex())

    # --- the contract's rules ---

    def _committee(self, epoch: int) -> Committee:
        members = b"".join(
            n.to_bytes(4, "big") + bytes.fromhex(m[2:]) for n, m in enumerate(MEMBERS)
        )
        return Committee(epoch, members, 2)

    def _play(
        self, stages: dict[bytes, Stage], item: dict[str, Any], block: Block, hash: bytes = b""
    ) -> list[Event]:
        name, known, *rest = json.loads(bytes.fromhex(item["data"] or "5b226e222c22225d"))
        if name in ("publish", "draw"):
            self._found(name, block.timestamp, bool(hash), *rest)
            return []
        stage = stages.get(bytes.fromhex(known))
        if stage is None or stage.request.assurance != COUNCIL.assurance:
            return super()._play(stages, item, block, hash)
        if name == "answer":
            payee, output, evidence = rest
            words = (payee, bytes.fromhex(output), bytes.fromhex(evidence))
            return self._judge(stage, block, hash, *words)
        mined = bool(hash)
        return getattr(self, f"_{name}")(stage, item["from"], block, mined, *rest)

    def _found(self, name: str, now: int, mined: bool, *round: Any) -> None:
        """A round is handed in, or a day's committee drawn."""
        day = now // DAY
        if name == "publish":
            number, signature = round
            if signature:
                raise Refusal("WrongSignature")
            if now < number * DAY + 3:
                raise Refusal("RoundNotMade")
            if mined:
                self.rounds.add(number)
            return
        if day in self.days:
            raise Refusal("AlreadyDrawn")
        if day not in self.rounds:
            raise Refusal("SeedUnknown")
        if self.seats < len(MEMBERS):
            raise Refusal("TooFewSeats")
        if mined:
            self.days.append(day)

    def _judge(
        self, stage: Stage, block: Block, hash: bytes, payee: str, output: bytes, evidence: bytes
    ) -> list[Event]:
        request, now = stage.request, block.timestamp
        if stage.status not in (Status.OPEN, Status.PROVISIONAL):
            raise Refusal("WrongStatus")
        open_ = stage.status is Status.OPEN
        if open_ and now > request.deadline:
            raise Refusal("DeadlinePassed")
        same = not open_ and stage.standing == (payee, output)
        kind, rest = evidence[:1], evidence[1:]
        if not evidence and same:
            until = stage.prove_by or stage.since + QUOTED.window
            if now <= until:
                raise Refusal("TooEarly")
            stage.status = Status.RETRACTED if stage.prove_by else Status.FINAL
        elif kind == PROOF and (open_ or same):
            self._check_proof(request, payee, output, rest)
            stage.status = Status.FINAL
        elif kind == AGREED and open_:
            self._check_quorum(request, now // DAY, payee, output, rest)
            stage.status, stage.standing, stage.since = Status.PROVISIONAL, (payee, output), now
            return [Stood(request.id, payee, output, block.ref, now)]
        elif kind == REFUTED and not open_ and not same:
            who, what, said, proof = decode(("address", "bytes32", "bytes", "bytes"), rest)
            who = to_checksum_address(who)
            if (who, what) != (stage.standing[0], ids.output_hash(stage.standing[1])):
                raise Refusal("WrongClaim")
            signers = self._check_quorum(request, stage.since // DAY, *stage.standing, said)
            self._check_proof(request, payee, output, proof)
            stage.status, stage.slashed = Status.FINAL, True
            if hash:
                self.slashed += signers
        else:
            raise Refusal("WrongEvidence")
        if stage.status is Status.RETRACTED:
            return [Returned(request.id, block.ref, hash)]
        return [Answered(request.id, payee, output, block.ref, hash)]

    def _check_proof(self, request: Request, payee: str, output: bytes, proof: bytes) -> None:
        context = ids.context(IDENTITY.chain_id, IDENTITY.oracle, request, payee)
        if proof != fake_proof(context, output) or output != fake_output(request.input):
            raise Refusal("OpeningRejected")

    def _check_quorum(
        self, request: Request, epoch: int, payee: str, output: bytes, quorum: bytes
    ) -> list[str]:
        if self.many:
            return self._check_aggregate(request, epoch, payee, output, quorum)
        members, trace, openings = decode((QUORUM,), quorum)[0]
        committee, hashed = self._committee(epoch), ids.output_hash(output)
        if members != committee.members:
            raise Refusal("WrongMembers")
        if len(openings) < committee.quorum:
            raise Refusal("NoQuorum")
        signers = []
        for place, v, salt, r, s in openings:
            opened = _Hashed(payee, hashed, trace, salt)
            owner = committee.owners[place]
            if v == 0:
                if self.said.get((request.id, place), (b"", b""))[1] != opened.claim:
                    raise Refusal("NotRevealed")
            else:
                said = opened.commitment(owner)
                signed = digest(IDENTITY.chain_id, COUNCIL.assurance, request.id, epoch, said)
                if fake_recover(signed, r + s + bytes([v])) != owner:
                    raise Refusal("WrongSignature")
            signers.append(owner)
        return signers

    def _check_aggregate(
        self, request: Request, epoch: int, payee: str, output: bytes, quorum: bytes
    ) -> list[str]:
        members, trace, absent, spoken, total, signature = decode((AGGREGATE,), quorum)[0]
        committee, opened = self._committee(epoch), Opened(payee, output, trace, b"")
        if members != committee.members:
            raise Refusal("WrongMembers")
        everyone = range(len(committee.owners))
        signed = [place for place in everyone if not absent >> place & 1]
        told = [place for place in everyone if spoken >> place & 1]
        if set(signed) & set(told):
            raise Refusal("WrongPlace")
        if len(signed) + len(told) < committee.quorum:
            raise Refusal("NoQuorum")
        if any(self.said.get((request.id, p), (b"", b""))[1] != opened.claim for p in told):
            raise Refusal("NotRevealed")
        said = message(IDENTITY.chain_id, COUNCIL.assurance, request.id, epoch, opened)
        good = summed([made(committee.owners[place], said) for place in signed])
        if signed and (total, signature) != (",".join(committee.owners).encode(), good):
            raise Refusal("WrongAggregate")
        return [committee.owners[place] for place in signed + told]

    def _commit(
        self, stage: Stage, who: str, block: Block, mined: bool, place: int, word: str
    ) -> list[Event]:
        summons = self.summoned.get(stage.request.id)
        if summons is None or block.timestamp > summons.commit_by:
            raise Refusal("TooLate")
        if MEMBERS[place] != who:
            raise Refusal("OnlyOwner")
        if mined:
            self.said[stage.request.id, place] = (bytes.fromhex(word), NOTHING)
        return []

    def _open(
        self, stage: Stage, who: str, block: Block, mined: bool, place: int, payee: str, *rest: str
    ) -> list[Event]:
        summons = self.summoned[stage.request.id]
        if not summons.commit_by < block.timestamp <= summons.reveal_by:
            raise Refusal("TooEarly")
        output, trace, salt = (bytes.fromhex(word) for word in rest)
        opened = Opened(payee, output, trace, salt)
        made, _ = self.said[stage.request.id, place]
        if opened.commitment(MEMBERS[place]) != made:
            raise Refusal("WrongCommitment")
        if mined:
            self.said[stage.request.id, place] = (made, opened.claim)
        return []

    def _dissent(
        self, stage: Stage, who: str, block: Block, mined: bool, place: int, payee: str, output: str
    ) -> list[Event]:
        if stage.status is not Status.PROVISIONAL or MEMBERS[place] != who:
            raise Refusal("WrongStatus")
        if stage.standing != (payee, bytes.fromhex(output)):
            raise Refusal("WrongClaim")
        if stage.prove_by or block.timestamp > stage.since + QUOTED.window:
            raise Refusal("NothingLeft")
        stage.prove_by = block.timestamp + QUOTED.prove
        return [Disputed(stage.request.id, 0, who, stage.prove_by, block.ref)]


class _Hashed(Opened):
    """An opening of which only the output's hash is known."""

    def commitment(self, member: str) -> bytes:
        return _rehash(self, (*self._words, self.salt, member))

    @property
    def claim(self) -> bytes:
        return _rehash(self, self._words)

    @property
    def _words(self) -> tuple[Any, ...]:
        return (self.payee, self.output, self.trace)


def _rehash(opened: Opened, words: tuple[Any, ...]) -> bytes:
    from eth_abi.abi import encode

    kinds = ("address", "bytes32", "bytes32", "bytes32", "address")
    return keccak(encode(kinds[: len(words)], words))


def _call(name: str, request: Request, *arguments: Any) -> Call:
    return Call(IDENTITY.oracle, json.dumps([name, request.id.hex(), *arguments]).encode())


class Line:
    """How members reach the board of whoever collects now; `down` while it is away."""

    def __init__(self) -> None:
        self.board: WordBoard | None = None
        self.down = False

    async def put(self, word: Word) -> None:
        await self._there().put(word)

    async def read(self, request_id: bytes, epoch: int) -> list[Word]:
        return await self._there().read(request_id, epoch)

    def _there(self) -> WordBoard:
        if self.board is None or self.down:
            raise BoardUnavailable("it is away")
        return self.board


class Alone:
    """An aggregation for committees whose members sign one by one."""

    async def keys(self, tier: str) -> str:
        return ""


class Together(Alone):
    """The same for one whose members sign as one: signatures are hashes, and so is their sum."""

    def __init__(self, owner: str) -> None:
        self._owner = owner

    async def keys(self, tier: str) -> str:
        return "0x" + "b1" * 20

    def sign(self, message: bytes) -> bytes:
        return made(self._owner, message)

    async def holds(self, keys: str, owner: str, message: bytes, signature: bytes) -> bool:
        return signature == made(owner, message)

    async def total(self, keys: str, owners: Sequence[str]) -> bytes:
        return ",".join(owners).encode()

    def together(self, signatures: Sequence[bytes]) -> bytes:
        return summed(signatures)


def made(owner: str, message: bytes) -> bytes:
    return keccak(owner.encode() + message)


def summed(signatures: Sequence[bytes]) -> bytes:
    return keccak(b"".join(sorted(signatures)))


class Member(Service):
    """One member over one world; the first of them collects."""

    def __init__(
        self,
        chain: FakeCouncil,
        line: Line,
        key: str,
        store: Any = None,
        *,
        clock: FakeClock,
        engine: Any = None,
        second: Any = None,
        prover: Any = None,
        plan: CrashPlan | None = None,
        collects: bool | None = None,
        terms: Terms | None = None,
        board: Any = None,
        rounds: Any = None,
        confirmations: int = 0,
    ) -> None:
        super().__init__(chain, store, clock=clock, prover=prover, plan=plan, holder=key, key=key)

        def port(real: Any) -> Any:
            return Crashing(real, plan) if plan else real

        collects = key == COLLECTOR if collects is None else collects
        if collects:
            line.board = WordBoard(chain, self.store, IDENTITY, fake_recover)
        engine = engine or FakeEngine()
        seat = Seat(Role.MEMBER, key, {COUNCIL.assurance})
        self.watch = Watch(port(chain), self._store, IDENTITY, 1, confirmations, seat)
        self.work, self.proves = [
            Sit(
                port(chain),
                self._store,
                port(FakeModels()),
                (port(engine), port(second or engine)),
                port(self.prover),
                clock,
                IDENTITY,
                FakeSigner(key),
                port(board or line),
                fake_recover,
                port(Together(key) if chain.many else Alone()),
                port(rounds or FakeRounds()),
                Duty(COLLECTOR, collects),
                terms or Terms(COLLECTOR),
                key,
                among,
            )
            for among in (LOOKS, PROOFS)
        ]

    async def step(self) -> bool:
        busy = await self.watch.step()
        busy |= await self.work.step()
        busy |= await self.proves.step()
        return await self.write.step() or busy


async def turn(chain: FakeCouncil, clock: FakeClock, *members: Member, turns: int = 12) -> None:
    """Steps of each member in turn, a block for what they sent, and two seconds."""
    for _ in range(turns):
        for member in members:
            await member.step()
        if chain.pool:
            chain.mine()
        clock.time += 2
