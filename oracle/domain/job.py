"""A job: one request on its way to one settled answer.

A job keeps *facts*; its state is computed from them. So a reorg only takes facts back, and the
state is right again without a table of transitions:

    seen       the block that holds the request         (taken back when that block is orphaned)
    closing    the block that settled or refunded it    (taken back likewise)
    answer     output and proof                         (never taken back: they bind the request id,
                                                         and hold wherever the request is included)
    flight     the nonce at which a signed answer may still be mined
    verdict    why this service will not answer
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from oracle.domain.block import BlockRef
from oracle.domain.request import Answer, Request


class JobState(StrEnum):
    """Where a job stands; in the order of precedence that `Job.state` applies."""

    ORPHANED = "orphaned"
    SETTLED = "settled"
    REFUNDED = "refunded"
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"
    SENT = "sent"
    PROVED = "proved"
    NEW = "new"


#: States in which the service has nothing left to do unless the chain changes.
RESTING = frozenset(
    {
        JobState.ORPHANED,
        JobState.SETTLED,
        JobState.REFUNDED,
        JobState.DECLINED,
        JobState.FAILED,
        JobState.EXPIRED,
    }
)


@dataclass(frozen=True, slots=True)
class Closing:
    """How the chain closed a request: `state` is SETTLED or REFUNDED; `payee` got the fee."""

    state: JobState
    block: BlockRef
    transaction: bytes
    payee: str = ""
    output: bytes = b""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Why a job rests unanswered: `state` is DECLINED, FAILED or EXPIRED.

    `mendable`: the operator can change it (a model to add, a lower minimum fee), so that it is
    looked at again when the service starts.
    """

    state: JobState
    reason: str
    mendable: bool = False


@dataclass(frozen=True, slots=True)
class Lease:
    """Who works on a job, and until when (seconds); a lease that ran out binds nobody."""

    holder: str
    until: int


@dataclass(frozen=True, slots=True)
class Flight:
    """The nonce of `sender` that a signed answer of this job occupies."""

    sender: str
    nonce: int


@dataclass(frozen=True, slots=True)
class Job:
    """One request's row. Every method returns the job that follows; none changes it in place."""

    request: Request
    seen: BlockRef | None = None
    closing: Closing | None = None
    answer: Answer | None = None
    flight: Flight | None = None
    verdict: Verdict | None = None
    lease: Lease | None = None
    attempts: int = 0
    not_before: int = 0
    note: str = ""

    @property
    def state(self) -> JobState:
        if self.seen is None:
            return JobState.ORPHANED
        if self.closing is not None:
            return self.closing.state
        if self.verdict is not None:
            return self.verdict.state
        if self.flight is not None:
            return JobState.SENT
        return JobState.NEW if self.answer is None else JobState.PROVED

    # --- what the chain says ---

    def found(self, block: BlockRef) -> "Job":
        """The request is in `block`. After a reorg it is judged afresh, but keeps its proof."""
        if self.seen is None:
            return replace(self, seen=block, verdict=None, lease=None, attempts=0, not_before=0)
        return replace(self, seen=block)

    def closed(self, closing: Closing) -> "Job":
        return replace(self, closing=closing, lease=None)

    def rewound(self, ancestor: int) -> "Job":
        """Every block above `ancestor` is orphaned: take back what was known from them."""
        gone = self.seen is not None and self.seen.number > ancestor
        undone = self.closing is not None and self.closing.block.number > ancestor
        return replace(
            self,
            seen=None if gone else self.seen,
            closing=None if undone else self.closing,
            lease=None if gone else self.lease,
        )

    # --- what the service does ---

    def claimable(self, now: int) -> bool:
        free = self.lease is None or self.lease.until <= now
        return self.state is JobState.NEW and free and self.not_before <= now

    def claimed(self, lease: Lease) -> "Job":
        """Counted when it starts, so that a request which kills the process is given up once."""
        return replace(self, lease=lease, attempts=self.attempts + 1)

    def leased(self, lease: Lease) -> "Job":
        return replace(self, lease=lease)

    def held_by(self, holder: str) -> bool:
        return self.lease is not None and self.lease.holder == holder

    def answered(self, answer: Answer) -> "Job":
        return replace(self, answer=answer, lease=None, attempts=0, not_before=0, note="")

    def judged(self, verdict: Verdict) -> "Job":
        return replace(self, verdict=verdict, lease=None)

    def reopened(self) -> "Job":
        return replace(self, verdict=None, lease=None, attempts=0, not_before=0)

    def postponed(self, until: int, note: str) -> "Job":
        return replace(self, lease=None, not_before=until, note=note)

    def released(self) -> "Job":
        return replace(self, lease=None)

    def sent(self, flight: Flight) -> "Job":
        return replace(self, flight=flight, note="")

    def landed(self) -> "Job":
        """Its nonce is used up: nothing of this job can be mined any more."""
        return replace(self, flight=None)

    def refused(self, now: int, note: str, max_attempts: int) -> "Job":
        """The contract would not take, or did not take, the answer: later again, or never."""
        attempts = self.attempts + 1
        if attempts >= max_attempts:
            text = f"given up after {attempts} refusals: {note}"
            return replace(self, attempts=attempts, verdict=Verdict(JobState.FAILED, text))
        until = now + backoff(attempts)
        return replace(self, attempts=attempts, not_before=until, note=note)


def backoff(attempts: int, *, first: int = 2, longest: int = 300) -> int:
    """Seconds to wait after the `attempts`-th failure: first * 2^(attempts-1), at most longest."""
    return min(longest, first << min(max(attempts - 1, 0), 16))
