"""What the use cases need of the world. Adapters implement these; fakes.py does so in memory."""

from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from oracle.domain.attested import Answering
from oracle.domain.bisection import Board as Contest
from oracle.domain.bisection import Place, Run, Span
from oracle.domain.block import Block, BlockRef
from oracle.domain.chain import (
    Account,
    Audit,
    Call,
    Case,
    Event,
    Fees,
    Flown,
    Guarding,
    Receipt,
    Round,
    Shown,
    Signed,
    Status,
    Unsigned,
)
from oracle.domain.committee import Committee, Opened, Summons, Word
from oracle.domain.job import WORK, Job, JobState, Lease, Standing
from oracle.domain.request import Answer, Request, Tier
from oracle.domain.terms import Quote

T = TypeVar("T")


class Chain(Protocol):
    """A node, and the oracle contract behind it. Every method may raise ChainUnavailable."""

    async def chain_id(self) -> int: ...

    async def head(self) -> Block: ...

    async def block(self, number: int) -> Block | None:
        """The block of that number on the node's present chain; None above its head."""
        ...

    async def events(self, first: int, last: int) -> list[Event]:
        """The oracle's and its tiers' events in blocks first..last, in order. Raises ChainMoved if
        the node no longer has that range."""
        ...

    async def tier(self, assurance: str) -> Tier | None:
        """What an assurance contract vouches with now; None if it is no tier known here."""
        ...

    async def stopped(self, tier: Tier, model_id: bytes) -> bool:
        """Whether no proof counts any more: the verifier was stopped, or this model there."""
        ...

    async def quote(self, tier: Tier, terms: bytes) -> Quote:
        """What an optimistic tier asks for under these terms."""
        ...

    async def account(self, tier: Tier, owner: str) -> Account:
        """An operator's stake in an optimistic tier's vault."""
        ...

    async def case(self, request: Request, index: int) -> Case:
        """The disputes of a request's claim, and dispute `index` of them."""
        ...

    def answer_call(self, request: Request, answer: Answer) -> Call: ...

    def dispute_call(
        self, request: Request, payee: str, output: bytes, commitment: bytes, bond: int
    ) -> Call: ...

    def reveal_call(self, request: Request, index: int, salt: bytes) -> Call: ...

    def award_call(self, request: Request) -> Call: ...

    def collect_call(self, request: Request, index: int) -> Call: ...

    def close_call(self, request: Request, standing: Standing, span: Span | None = None) -> Call:
        """Ends the lock of a claim that the oracle gave back; `span`: one of a composition's that
        is owed."""

    async def committee(self, tier: Tier, epoch: int) -> Committee | None:
        """Who was drawn for an epoch; None if nobody was, yet."""
        ...

    async def round_of(self, tier: Tier, epoch: int) -> Round:
        """The round that draws a committee tier's members of an epoch."""
        ...

    def draw_call(self, tier: Tier) -> Call:
        """Draws today's, of a round that is published."""
        ...

    async def summons(self, request: Request) -> Summons | None:
        """Whether the request's committee was summoned to speak on-chain."""
        ...

    async def spoken(self, request: Request, places: int) -> list[tuple[bytes, bytes]]:
        """What each place committed to, and the claim that it revealed; zeros for nothing."""
        ...

    async def agreement(self, request: Request, block: BlockRef) -> bytes:
        """The evidence with which the claim that stands was handed in, in `block`, encoded anew; of
        a contract that handed it in, as the tier logged it. Empty if it is not to be had."""
        ...

    def commit_call(
        self, request: Request, committee: Committee, place: int, commitment: bytes
    ) -> Call: ...

    def open_call(
        self, request: Request, committee: Committee, place: int, opened: Opened
    ) -> Call: ...

    def dissent_call(
        self, request: Request, committee: Committee, place: int, payee: str, output: bytes
    ) -> Call: ...

    async def contest(self, request: Request, standing: Standing) -> Contest:
        """The game over the claim of a composition, as it is at the head."""
        ...

    async def bond_of(self, request: Request, span: Span) -> tuple[str, int]:
        """Who demanded a span, and the wei of its bond that were not collected."""
        ...

    def demand_call(
        self, request: Request, standing: Standing, place: Place, bond: int
    ) -> Call: ...

    def split_call(
        self, request: Request, standing: Standing, place: Place, states: Sequence[bytes]
    ) -> Call: ...

    def segment_call(
        self, request: Request, standing: Standing, place: Place, proved: tuple[bytes, bytes, bytes]
    ) -> Call:
        """A segment's input, output and proof."""
        ...

    def refute_call(
        self, request: Request, standing: Standing, proved: tuple[bytes, bytes, bytes]
    ) -> Call:
        """The same of the segment at which a claim of no answer halts."""
        ...

    def overdue_call(self, request: Request, standing: Standing, span: Span) -> Call: ...

    def collect_bond_call(self, request: Request, span: Span) -> Call: ...

    async def audit(self, request: Request) -> Audit:
        """Whether a standing claim under the audited tier is drawn, as far as is known."""
        ...

    def publish_call(self, beacon: str, round: int, signature: bytes) -> Call: ...

    async def frozen(self, request: Request) -> bool:
        """Whether it was said of a drawn claim that it was drawn."""
        ...

    def freeze_call(self, request: Request, standing: Standing) -> Call:
        """Says so: its operator's other claims wait until it is proved."""
        ...

    async def claim_for(self, request: Request, part: int) -> Status:
        """Where a claim stands for a part of a combination."""
        ...

    async def disputed(self, request: Request) -> bool:
        """Whether somebody disputed the claim of a request to an optimistic tier."""
        ...

    def conclude_call(self, request: Request, part: int, answer: Answer) -> Call:
        """Ends in a part of a combination the claim that another part gave back."""
        ...

    async def shown(self, request: Request, transaction: bytes) -> Shown | None:
        """What a plain transaction to the oracle handed in for a request; None if it did not."""
        ...

    async def guard(self, tier: Tier) -> Guarding | None:
        """The guard of the tier's verifier; None if nothing guards it."""
        ...

    def stop_call(self, guard: str, request: Request, context: bytes, shown: Shown) -> Call:
        """Stops a version by a proof (the evidence) of its canary."""
        ...

    def stop_model_call(
        self, guard: str, request: Request, one: tuple[bytes, Shown], other: tuple[bytes, Shown]
    ) -> Call:
        """Stops a model by two proofs (the evidence), each with its context."""
        ...

    async def preflight(self, sender: str, call: Call, at: str = "latest") -> int:
        """Gas that the call needs at the head, or after the block of a number, in hex. Raises
        CallRefused if it would revert."""
        ...

    async def fees(self) -> Fees:
        """What a transaction should offer now."""
        ...

    async def nonce(self, address: str) -> int:
        """How many transactions of the account are mined at the head."""
        ...

    async def balance(self, address: str) -> int: ...

    async def send(self, raw: bytes) -> None:
        """Hands a signed transaction to the node; one it has already is taken silently.
        Raises NonceTaken, Underpriced, WalletEmpty."""
        ...

    async def receipt(self, hash: bytes) -> Receipt | None: ...

    async def knows(self, hash: bytes) -> bool:
        """Whether the node holds the transaction, mined or waiting."""
        ...


class Prover(Protocol):
    async def prove(self, folder: Path, context: bytes, input: bytes) -> tuple[bytes, bytes]:
        """Output and proof. Raises InputRefused, or ProverFailed if another try may help."""
        ...


class Engine(Protocol):
    name: str

    async def run(self, folder: Path, input: bytes) -> bytes:
        """The output under the integer semantics, every range checked. Raises InputRefused."""
        ...

    async def steps(self, folder: Path, input: bytes) -> Run:
        """A composition's run. Raises ModelMissing if the folder holds none."""
        ...


class Tracer(Protocol):
    name: str

    async def traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        """The output as an Engine has it, and a hash of all that was computed on the way."""
        ...


class Board(Protocol):
    """Where a committee's words are exchanged. A word once put is never taken back, and a member's
    commitment to a request in an epoch never changes; only its opening is added."""

    async def put(self, word: Word) -> None:
        """Raises BoardUnavailable, also if the word is not taken."""
        ...

    async def read(self, request_id: bytes, epoch: int) -> list[Word]:
        """Raises BoardUnavailable."""
        ...


class Aggregation(Protocol):
    """How members of a large committee sign as one (IBlsCommitteeAssurance). Points are encoded as
    in EIP-2537. What asks the chain may raise ChainUnavailable."""

    async def keys(self, tier: str) -> str:
        """Where a tier's keys are registered; empty if its members sign one by one."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Our own signature, the same at every call."""
        ...

    async def holds(self, keys: str, owner: str, message: bytes, signature: bytes) -> bool:
        """Whether that is the owner's signature of a message."""
        ...

    async def total(self, keys: str, owners: Sequence[str]) -> bytes:
        """The sum of owners' keys, of one who is there twice twice."""
        ...

    def together(self, signatures: Sequence[bytes]) -> bytes:
        """Their sum; each was found to hold."""
        ...


class ModelStore(Protocol):
    async def find(self, model_id: bytes) -> Path:
        """The folder of a model or a composition. Raises ModelMissing."""
        ...


class Signer(Protocol):
    @property
    def address(self) -> str: ...

    def sign(self, transaction: Unsigned) -> Signed:
        """The same transaction gives the same bytes (RFC 6979), so signing again is harmless."""
        ...

    def attest(self, digest: bytes) -> bytes:
        """r, s, v of a digest (EIP-712's), the same at every call."""
        ...

    def secret(self, label: bytes) -> bytes:
        """A word that only this key can compute, the same at every call."""
        ...


class Rounds(Protocol):
    """Where a public beacon's signatures are had."""

    async def signature(self, round: Round) -> bytes:
        """Of a round that decides, as the beacon's contract takes it. Raises BeaconUnavailable,
        also if the round is not made yet."""
        ...


class AnswerKey(Protocol):
    """P-256 keys that measured hardware holds, for answers under the attested tier."""

    async def attest(self, claim: Answering, digest: bytes) -> bytes:
        """x, y of a key that counts for the claim's owner and model; r, s of a SHA-256 by it.
        Raises KeyRefused."""
        ...


class Clock(Protocol):
    def now(self) -> int:
        """Seconds since the epoch."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Ledger(Protocol):
    """The database inside one transaction. Nothing here is awaited: a transaction is short."""

    # jobs
    def job(self, request_id: bytes) -> Job | None: ...
    def put_job(self, job: Job) -> None: ...
    def jobs(self, states: Collection[JobState], limit: int, due: int | None = None) -> list[Job]:
        """Oldest first; with `due`, only those whose `not_before` has come."""
        ...

    def movable(self, timestamp: int, now: int, limit: int) -> list[Job]:
        """Jobs that wait for the writer: READY ones, and PROVISIONAL ones whose move is ripe at
        chain time `timestamp`. The most urgent first, then what has waited longest, then the
        oldest; `not_before` has come."""
        ...

    def overdue(self, timestamp: int) -> list[Job]:
        """READY and SENT jobs whose `answer_by` is before `timestamp`."""
        ...

    def jobs_above(self, number: int) -> list[Job]:
        """Jobs with a fact from a block above `number`."""
        ...

    def claimable(self, now: int, among: Collection[JobState] = WORK) -> Job | None:
        """A job in one of these states that `Job.claimable` holds for, demanded proofs before all
        others, then the most urgent, then what has waited longest, then the oldest; no other
        transaction gets it too."""
        ...

    def leases(self) -> list[Job]:
        """Jobs that somebody holds."""
        ...

    def counts(self) -> dict[JobState, int]: ...

    # the chain as last seen
    def checkpoints(self) -> list[BlockRef]:
        """Newest first; the first is the cursor."""
        ...

    def put_checkpoint(self, block: BlockRef, keep: int) -> None:
        """Adds one, and forgets all but the newest `keep`."""
        ...

    def drop_checkpoints_above(self, number: int) -> None: ...

    # what was signed
    def flown(self, sender: str, nonce: int) -> list[Flown]:
        """The variants at a nonce, in the order in which they were signed."""
        ...

    def flying(self, sender: str) -> list[Flown]:
        """All variants at nonces that are not done, by nonce, then as signed."""
        ...

    def mined_above(self, number: int) -> list[Flown]: ...
    def put_flown(self, flown: Flown) -> None: ...
    def spent(self, sender: str, since: int) -> int:
        """Wei of first bonds in transactions signed from `since` on, the most at each nonce."""
        ...

    # who writes
    def writer(self, sender: str) -> Lease | None: ...
    def writers(self) -> dict[str, Lease]: ...
    def put_writer(self, sender: str, lease: Lease | None) -> None: ...


class JobStore(Protocol):
    async def run(self, work: Callable[[Ledger], T]) -> T:
        """Runs `work` in one serialisable transaction: all of it is kept, or none. It may run
        more than once, so it must have no effect but on the ledger."""
        ...
