"""What the chain tells the service, and what the service hands to the chain."""

from dataclasses import dataclass, replace
from enum import IntEnum

from oracle.domain.block import BlockRef
from oracle.domain.move import Move
from oracle.domain.request import Request

#: No transaction may carry more gas (EIP-7825).
TRANSACTION_GAS = 1 << 24


class Status(IntEnum):
    """Where the oracle contract says that a request stands; values as in types/Status.sol."""

    NONE = 0
    OPEN = 1
    JUDGING = 2
    PROVISIONAL = 3
    FINAL = 4
    RETRACTED = 5
    REFUNDED = 6


@dataclass(frozen=True, slots=True)
class Requested:
    """A request was paid for."""

    request: Request
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Answered:
    """A request has its final answer, by whomever."""

    request_id: bytes
    payee: str
    output: bytes
    block: BlockRef
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Returned:
    """A request's payment went back; nothing can be answered any more."""

    request_id: bytes
    block: BlockRef
    transaction: bytes


@dataclass(frozen=True, slots=True)
class Stood:
    """A claim stands provisionally since `timestamp` (seconds)."""

    request_id: bytes
    payee: str
    output: bytes
    block: BlockRef
    timestamp: int


@dataclass(frozen=True, slots=True)
class Disputed:
    """A proof of the standing claim is demanded until `prove_by`, by dispute `index` of it."""

    request_id: bytes
    index: int
    challenger: str
    prove_by: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Played:
    """A move was made in the game over a composition's claim; by `challenger`, if it was one."""

    request_id: bytes
    challenger: str
    block: BlockRef


Event = Requested | Answered | Returned | Stood | Disputed | Played


class Outcome(IntEnum):
    """How the disputes of a claim ended; values as in IOptimisticAssurance."""

    NONE = 0
    UPHELD = 1
    OVERTURNED = 2
    LAPSED = 3
    VOID = 4


@dataclass(frozen=True, slots=True)
class Case:
    """The disputes of one claim, and one of them: its `commitment`, and its `bond` in wei (0 once
    it was collected). `winner` is 1 + the index of the earliest commitment opened, `reward` is what
    waits for it in gwei, `reveal_by` the last second to open one; `proved` hashes what was proved.
    """

    outcome: Outcome
    winner: int
    reward: int
    reveal_by: int
    proved: bytes
    commitment: bytes
    bond: int


@dataclass(frozen=True, slots=True)
class Account:
    """An operator's stake in the vault, in gwei; `ready_at` is when what is queued may leave."""

    stake: int
    locked: int
    queued: int
    ready_at: int
    suspended: bool

    @property
    def free(self) -> int:
        """What a new lock can take."""
        return max(self.stake - self.locked - self.queued, 0)


@dataclass(frozen=True, slots=True)
class Round:
    """The round of a beacon that decides a draw: published already (`known`), or to be, from chain
    time `made` on. `development`: anyone can compute that beacon ahead of time."""

    beacon: str
    development: bool
    round: int
    known: bool
    made: int


@dataclass(frozen=True, slots=True)
class Audit(Round):
    """Whether a claim under the audited tier is drawn, once its round is published; `until` is the
    last second for the proof of a drawn one, a prove clock after the publication (after `made`,
    before there is one)."""

    drawn: bool
    until: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim that was handed in with evidence, as a transaction's calldata has it."""

    payee: str
    output: bytes
    evidence: bytes


@dataclass(frozen=True, slots=True)
class Guarding:
    """The guard of a verifier, and the statement that must never be proved there, hashed."""

    address: str
    canary: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """What a database is about; two services that differ here may not share one."""

    chain_id: int
    oracle: str


@dataclass(frozen=True, slots=True)
class Fees:
    """EIP-1559 prices in wei a gas unit: the most paid in all, and the tip within it."""

    most: int
    tip: int

    def bumped(self, market: "Fees", cap: int) -> "Fees | None":
        """Fees that a node accepts as a replacement: an eighth more (nodes ask for a tenth), or
        the market's if that is higher; None if `cap` leaves no room."""
        most = max(self.most + self.most // 8 + 1, market.most)
        tip = max(self.tip + self.tip // 8 + 1, market.tip)
        return Fees(most, min(tip, most)) if most <= cap else None


@dataclass(frozen=True, slots=True)
class Call:
    """A call as a transaction carries it."""

    to: str
    data: bytes
    value: int = 0


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A transaction that waits for its signature."""

    chain_id: int
    nonce: int
    call: Call
    gas: int
    fees: Fees


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed transaction; `raw` is what nodes take, and all that is ever sent."""

    hash: bytes
    raw: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """A mined transaction; `gas_used` in gas units."""

    block: BlockRef
    succeeded: bool
    gas_used: int


@dataclass(frozen=True, slots=True)
class Flown:
    """A transaction that this service signed: one variant of what may be mined at its nonce.

    `request_id` None: a cancelling transfer, made because the request no longer wants its move
    or because a nonce below others was empty. `done`: its nonce is used up, by a variant that is
    mined at or below the cursor, or, if none is mined, by a transaction that is not ours; or no
    node takes it, and the nonce is free again. `value` is the wei that it carries, `bond` what of
    it the hour's budget for bonds counts; `call` what it asks for, where that does not follow from
    its job.
    """

    sender: str
    nonce: int
    hash: bytes
    raw: bytes
    request_id: bytes | None
    gas: int
    fees: Fees
    signed_at: int
    move: Move = Move.ANSWER
    value: int = 0
    bond: int = 0
    call: Call | None = None
    mined: Receipt | None = None
    done: bool = False

    def aloft(self) -> "Flown":
        """Nothing at its nonce is mined any more, as far as is known."""
        return replace(self, mined=None, done=False)
