"""A job: one request, and what one role of the service does about it, down to its last transaction.

A job keeps *facts*; its state and its next move are computed from them. So a reorg only takes facts
back, and the state is right again without a table of transitions:

    seen       the block that holds the request           (taken back when that block is orphaned)
    standing   the claim that stands provisionally        (likewise)
    demand     that claim's proof is demanded, until when (likewise)
    contest    our own dispute of it                      (likewise)
    game       moves made over it, in a bisection         (likewise)
    closing    the block that settled or refunded it      (likewise)
    answer     output, and proof if there is one          (never taken back: they bind the request
                                                           id, and hold wherever that is included)
    due        what a decided dispute still owes us       (forgotten with its closing);
               a member's or watcher's next move          (forgotten with whatever it follows from);
               an operator's round to publish             (forgotten once it was)
    flight     the nonce at which a signed move may still be mined
    verdict    why this service will do nothing
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from enum import StrEnum

from oracle.domain.block import BlockRef
from oracle.domain.chain import Call
from oracle.domain.committee import Committee
from oracle.domain.move import Move, Role
from oracle.domain.request import STAKED, Answer, Request, TierKind
from oracle.domain.terms import COVERAGE_BITS, UNANSWERABLE, ClaimTerms


class JobState(StrEnum):
    """Where a job stands. NEW, DISPUTED and DECIDED wait for a worker, READY for the writer."""

    ORPHANED = "orphaned"
    SETTLED = "settled"
    REFUNDED = "refunded"
    DECLINED = "declined"
    FAILED = "failed"
    EXPIRED = "expired"
    SENT = "sent"
    READY = "ready"
    PROVISIONAL = "provisional"  # a claim stands, and its clock runs
    DISPUTED = "disputed"  # our claim is to be proved, or that another's is wrong
    DECIDED = "decided"  # our dispute has ended, and something is due to us
    WAITING = "waiting"  # for a claim to check
    CHECKED = "checked"  # the claim is right
    SEATED = "seated"  # a committee's words, an operator's game, or what stands is looked at
    NEW = "new"  # to be looked at


#: Waits for a worker.
WORK = frozenset({JobState.NEW, JobState.DISPUTED, JobState.DECIDED, JobState.SEATED})
#: Of a challenger and a member: what is to be proved, and what is to be looked at.
PROOFS = frozenset({JobState.DISPUTED})
LOOKS = WORK - PROOFS
#: Of an operator: its game is to be looked at.
GAMES = frozenset({JobState.SEATED})
#: Moves that carry a bond.
BONDED = frozenset({Move.DISPUTE, Move.DEMAND})


@dataclass(frozen=True, slots=True)
class Closing:
    """How the chain closed a request: `state` is SETTLED or REFUNDED; `payee` got the fee."""

    state: JobState
    block: BlockRef
    transaction: bytes
    payee: str = ""
    output: bytes = b""


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim that stands provisionally, since a time in seconds."""

    payee: str
    output: bytes
    since: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Demand:
    """The standing claim's proof is demanded; `prove_by` is the last second for it."""

    prove_by: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Contest:
    """Our own dispute of the standing claim: its number there."""

    index: int
    block: BlockRef


@dataclass(frozen=True, slots=True)
class Game:
    """Moves of either side over the claim of a composition: where the first and the last are."""

    first: BlockRef
    last: BlockRef


@dataclass(frozen=True, slots=True)
class Due:
    """The next step to what a decided dispute owes us, or of a member (at a `place` of its
    committee), from chain time `at` on; `call` is what makes it, where that does not follow from
    the job. None: all done. One that waits may follow from a block that a reorg takes back: it is
    looked up anew from chain time `look` on, if that is named."""

    move: Move | None
    at: int = 0
    place: int = 0
    committee: Committee | None = None
    call: Call | None = None
    look: int = 0

    @property
    def rests_until(self) -> int:
        """Chain time of its move, or of the next look, whichever is first; 0: at once."""
        return min(self.at, self.look) if self.look else self.at


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
    """The nonce of `sender` that a signed move of this job occupies."""

    sender: str
    nonce: int
    move: Move = Move.ANSWER


@dataclass(frozen=True, slots=True)
class Job:
    """One request's row. Every method returns the job that follows; none changes it in place."""

    request: Request
    role: Role = Role.OPERATOR
    seen: BlockRef | None = None
    standing: Standing | None = None
    demand: Demand | None = None
    contest: Contest | None = None
    game: Game | None = None
    closing: Closing | None = None
    answer: Answer | None = None
    due: Due | None = None
    flight: Flight | None = None
    verdict: Verdict | None = None
    lease: Lease | None = None
    attempts: int = 0
    not_before: int = 0
    note: str = ""

    # --- what follows from the facts ---

    @property
    def facts(self) -> tuple[object, ...]:
        """What the chain has said of it."""
        return self.seen, self.standing, self.demand, self.contest, self.game, self.closing

    @property
    def mine(self) -> bool:
        """The claim that stands is our own: our stake vouches, or our fee depends on it."""
        return (
            self.role is Role.OPERATOR
            and self.standing is not None
            and self.answer is not None
            and (self.answer.payee, self.answer.output)
            == (self.standing.payee, self.standing.output)
        )

    @property
    def wrong(self) -> bool:
        """The claim that stands is not what a challenger computed."""
        return (
            self.role is Role.CHALLENGER
            and self.standing is not None
            and self.answer is not None
            and self.answer.output != self.standing.output
        )

    @property
    def playing(self) -> bool:
        """In the game over a composition's claim: our own, once somebody plays or it is final by
        proof only; or another's that is wrong, or over which we play."""
        if self.answer is None or self.answer.tier.kind is not TierKind.BISECTION:
            return False
        begun = self.game is not None or self.demand is not None
        return (self.mine and begun) or self.wrong or self.contest is not None

    @property
    def left(self) -> bool:
        """Our claim was given back: where nothing decided about it, its lock is still to end."""
        return self.mine and self.returned

    @property
    def returned(self) -> bool:
        """The request was given back, by the oracle or by a verdict."""
        return self.closing is not None and self.closing.state is JobState.REFUNDED

    @property
    def at_risk(self) -> bool:
        """Money of ours is locked in it, so it is never given up."""
        summoned = self.due is not None and self.due.move in (Move.COMMIT, Move.OPEN)
        return self.mine or self.contest is not None or summoned

    @property
    def bonded(self) -> bool:
        """Its next move carries a bond."""
        return self.move in BONDED

    @property
    def opens(self) -> bool:
        """Its next move carries our first bond against the claim. Those of a game's later rounds
        save that one, and are one a round: they count in no hour's budget, else whoever answers
        many demands at once keeps us from the first against a large lie."""
        return self.bonded and self.contest is None

    @property
    def unproved(self) -> bool:
        """A proof is due of a member, of either side in a game, or of a challenger that has an
        answer where none is claimed, and not made yet."""
        if self._refutable:
            return self.answer is not None and not self.answer.proof
        if self.due is None or self.due.move not in (Move.PROVE, Move.REFUTE):
            return False
        if self.playing:
            return self.due.call is None
        return self._sitting and (self.answer is None or not self.answer.proof)

    @property
    def _refutable(self) -> bool:
        """The claim that there is no answer is wrong, and a proof ends it: not where a committee is
        a part, which asks for its members' words besides."""
        if not self.wrong or self.answer is None or self.playing:
            return False
        alone = all(each.kind in STAKED for each in self.answer.tier.vouchers)
        return alone and self.standing is not None and self.standing.output == UNANSWERABLE

    @property
    def hasty(self) -> bool:
        """It flies with what we owe in a game, or draws the day's committee, and needs no
        confirmation: each look at the chain shows whether it counts, and the next move has a
        clock."""
        return self.flight is not None and self.hurries(self.flight.move)

    def hurries(self, move: Move) -> bool:
        """So it does with that move."""
        if self._sitting:
            rests = self.closing is not None or self.verdict is not None
            return not rests and move in (Move.PUBLISH, Move.DRAW)
        ours = self.role is Role.OPERATOR and self.playing and self.closing is None
        return ours and move in (Move.SPLIT, Move.PROVE)

    @property
    def urgency(self) -> int:
        """Of jobs that wait for the same the highest comes first: claims at stake and a verifier to
        be stopped; what a watcher freezes, and claims that a member looks at or proves, by
        coverage, since there are hours for it; then all that nothing limits. What a challenger has
        yet to check, or to find a bond for, comes last, by coverage: else small lies spend its time
        and its bonds before it looks at a large one."""
        move, coverage = self.move, ClaimTerms.parse(self.request.terms).coverage
        if self.role is Role.CHALLENGER and (move is None or self.bonded):
            return coverage + (self.at_risk << COVERAGE_BITS)
        judged = self._sitting and self.standing is not None and move is not Move.OPEN
        if judged or move is Move.FREEZE:
            return coverage + (2 << COVERAGE_BITS)
        return (3 if self.at_risk or move is Move.STOP else 2) << COVERAGE_BITS

    @property
    def move(self) -> Move | None:
        """What it wants of the chain next, once `ripe_at` has come; None: nothing."""
        if self.seen is None:
            return None
        if self.role is Role.WATCHER:
            return None if self.verdict is not None or self.due is None else self.due.move
        if self.role is Role.MEMBER:
            rests = self.closing is not None or self.verdict is not None
            return None if rests or self.due is None or self.unproved else self.due.move
        if self.closing is not None:
            owed = self.contest is not None or self.playing or self.left
            return self.due.move if owed and self.due is not None else None
        if self.verdict is not None or self.answer is None:
            return None
        if self.playing:
            return None if self.due is None or self.unproved else self.due.move
        if self.role is Role.CHALLENGER:
            return self._challengers_move(self.answer)
        if self.standing is None:
            return Move.ANSWER
        if not self.mine:
            return None
        if self.answer.proof:
            return Move.PROVE
        if self.demand is not None:
            return None
        return Move.FINALISE if self.due is None else self.due.move

    def _challengers_move(self, answer: Answer) -> Move | None:
        if self.contest is not None:  # or first, of an audited claim, its round
            return Move.SETTLE if self.due is None else self.due.move
        if not self.wrong or self.standing is None:
            return None
        if self.standing.output == UNANSWERABLE:
            return Move.REFUTE if answer.proof else None
        # A demand of another's shares its clock and its outcome with ours: one bond is enough.
        return Move.DISPUTE if self.demand is None else None

    @property
    def ripe_at(self) -> int:
        """Chain time in seconds from which its move can succeed, or is to be looked up anew; 0: at
        once."""
        move = self.move
        if self._guided or self.playing:
            return 0 if move is None or self.due is None else self.due.rests_until
        if move is Move.FINALISE and self.standing is not None and self.answer is not None:
            return self.standing.since + self.answer.draw_window + 1
        if move is Move.SETTLE and self.demand is not None:
            return self.demand.prove_by + 1
        return self.due.rests_until if self.closing is not None and self.due is not None else 0

    @property
    def answer_by(self) -> int | None:
        """Last second at which what it wants counts, if the request's deadline says so."""
        watches = self.role in (Role.CHALLENGER, Role.WATCHER)
        bound = not watches and self.standing is None
        return self.request.deadline if bound else None

    @property
    def state(self) -> JobState:
        if self.seen is None:
            return JobState.ORPHANED
        if self.role is Role.WATCHER:
            return self._watched
        owed = self.contest is not None or self.playing or self.left
        if self.closing is not None and (not owed or self._paid or self._sitting):
            return self.closing.state
        if self.verdict is not None and self.closing is None:
            return self.verdict.state
        if self.flight is not None:
            return JobState.SENT
        if self.move is not None:
            return JobState.READY if self.ripe_at == 0 else JobState.PROVISIONAL
        if self.closing is not None:
            return JobState.DECIDED
        if self.role is Role.CHALLENGER and self.standing is None:
            return JobState.WAITING
        if self.answer is None:
            return JobState.NEW
        if self.unproved:
            return JobState.DISPUTED
        if self._sitting and self.due is None:
            return JobState.SEATED
        if self.playing and self.due is None:
            return JobState.NEW if self._challenging else JobState.SEATED
        if self.mine:
            return JobState.DISPUTED
        watching = self._challenging or self._sitting
        return JobState.PROVISIONAL if self.wrong or not watching else JobState.CHECKED

    @property
    def _watched(self) -> JobState:
        """Of a watcher's job: each claim, and each ending, is looked at."""
        if self.verdict is not None:
            return self.verdict.state
        if self.flight is not None:
            return JobState.SENT
        if self.move is not None:
            return JobState.READY if self.ripe_at == 0 else JobState.PROVISIONAL
        if self.closing is not None:
            return JobState.DECIDED if self.due is None else self.closing.state
        if self.standing is None:
            return JobState.WAITING
        return JobState.NEW if self.due is None else JobState.CHECKED

    @property
    def _paid(self) -> bool:
        return self.due is not None and self.due.move is None

    @property
    def _challenging(self) -> bool:
        return self.role is Role.CHALLENGER

    @property
    def _sitting(self) -> bool:
        return self.role is Role.MEMBER

    @property
    def _guided(self) -> bool:
        """Its worker names its moves."""
        return self.role in (Role.MEMBER, Role.WATCHER)

    @property
    def _undue(self) -> "Due | None":
        """What is left of `due` when the claim that it follows from changes."""
        return None if self._guided or self.playing or self.left else self.due

    # --- what the chain says ---

    def found(self, block: BlockRef) -> "Job":
        """The request is in `block`. After a reorg it is judged afresh, but keeps its proof."""
        if self.seen is None:
            return replace(self, seen=block, verdict=None, lease=None, attempts=0, not_before=0)
        return replace(self, seen=block)

    def stood(self, standing: Standing) -> "Job":
        """A claim stands now. If it is ours after all, no earlier verdict keeps it undefended."""
        stands = replace(self, standing=standing, due=self._undue, attempts=0, not_before=0)
        ours = stands.mine or stands._challenging or stands._guided
        return replace(stands, verdict=None) if ours else stands

    def demanded(self, demand: Demand) -> "Job":
        """Disputes of one claim share the first one's clock. What is left of a combination's claim
        that was given back is looked at anew: another part may ask for a proof now."""
        if self.demand is not None and not self.left:
            return self
        return replace(self, demand=demand, due=self._undue, attempts=0, not_before=0)

    def contested(self, contest: Contest) -> "Job":
        """Ours stands, by whatever transaction: a dispute is due no more."""
        made = self.due is not None and self.due.move is Move.DISPUTE
        return replace(self, contest=contest, due=None if made else self.due)

    def played(self, block: BlockRef) -> "Job":
        """A move of the game: ours follows anew, but for one that is in flight."""
        first = block if self.game is None else self.game.first
        due = self.due if self.flight is not None else None
        moved = replace(self, game=Game(first, block), due=due, attempts=0, not_before=0)
        return replace(moved, verdict=None) if self.mine else moved

    def closed(self, closing: Closing) -> "Job":
        closed = replace(self, closing=closing, lease=None, attempts=0, not_before=0)
        watches = self.role is Role.WATCHER
        looked = watches or self.playing or closed.left
        return replace(closed, due=None, verdict=None) if looked else closed

    def rewound(self, ancestor: int) -> "Job":
        """Every block above `ancestor` is orphaned: take back what was known from them."""

        def gone(fact: "Standing | Demand | Contest | Closing | None") -> bool:
            return fact is not None and fact.block.number > ancestor

        orphaned = self.seen is not None and self.seen.number > ancestor
        # A refutation names the claim that stood; a challenger's own answer is soon made anew.
        keep = not (self._challenging and gone(self.standing))
        after = replace(
            self,
            seen=None if orphaned else self.seen,
            standing=None if gone(self.standing) else self.standing,
            demand=None if gone(self.demand) else self.demand,
            contest=None if gone(self.contest) else self.contest,
            closing=None if gone(self.closing) else self.closing,
            answer=self.answer if keep else None,
            game=self._game_until(ancestor),
            verdict=None if gone(self.standing) else self.verdict,
            lease=None if orphaned else self.lease,
        )
        # What was looked up from those blocks goes, but not what is in flight, as it was signed.
        looked_up = not keep or gone(self.closing) or self._guided or self.playing
        return replace(after, due=None) if looked_up and not after.hasty else after

    def _game_until(self, ancestor: int) -> Game | None:
        if self.game is None or self.game.first.number > ancestor:
            return None
        later = self.game.last.number > ancestor
        return Game(self.game.first, self.game.first) if later else self.game

    @property
    def newest(self) -> int:
        """Number of the newest block that a fact is from; -1 if none."""
        facts = (self.standing, self.demand, self.contest, self.closing)
        blocks = [fact.block.number for fact in facts if fact is not None]
        blocks += [self.game.last.number] if self.game is not None else []
        return max([*blocks, -1 if self.seen is None else self.seen.number])

    # --- what the service does ---

    def claimable(self, now: int, among: Collection[JobState] = WORK) -> bool:
        free = self.lease is None or self.lease.until <= now
        return self.state in among and free and self.not_before <= now

    def claimed(self, lease: Lease) -> "Job":
        """Counted when it starts, so that a request which kills the process is given up once."""
        return replace(self, lease=lease, attempts=self.attempts + 1)

    def leased(self, lease: Lease) -> "Job":
        return replace(self, lease=lease)

    def held_by(self, holder: str) -> bool:
        return self.lease is not None and self.lease.holder == holder

    def answered(self, answer: Answer) -> "Job":
        return replace(self, answer=answer, lease=None, attempts=0, not_before=0, note=answer.why)

    def owed(self, due: Due) -> "Job":
        return replace(self, due=due, lease=None, attempts=0, not_before=0)

    def renewed(self, timestamp: int) -> "Job":
        """What is due is looked up anew if it still waits and the time of its look has come."""
        due = self.due
        stale = due is not None and 0 < due.look <= timestamp < due.at
        return replace(self, due=None) if stale else self

    def judged(self, verdict: Verdict) -> "Job":
        return replace(self, verdict=verdict, lease=None)

    def reopened(self) -> "Job":
        return replace(self, verdict=None, lease=None, attempts=0, not_before=0)

    def postponed(self, until: int, note: str) -> "Job":
        """Later. A member's move that has to wait is looked up anew: others may summon it."""
        due = None if self._sitting and self.move is not None else self.due
        return replace(self, due=due, lease=None, not_before=until, note=note)

    def released(self) -> "Job":
        return replace(self, lease=None)

    def sent(self, flight: Flight) -> "Job":
        return replace(self, flight=flight, note="")

    def aloft(self, flight: Flight) -> "Job":
        """A move that was mined no longer is: what came after it is looked up anew."""
        return replace(self, flight=flight, due=None if self._paid else self.due, note="")

    def landed(self) -> "Job":
        """Its nonce is used up: nothing of this job can be mined any more. What was due next is
        looked up anew."""
        due = self.due if self._paid else None
        return replace(self, flight=None, due=due)

    def refused(self, now: int, note: str, max_attempts: int) -> "Job":
        """The contract would not take, or did not take, the move: later again, or never. What is
        due is looked up anew: others may have done it for us."""
        self = replace(self, due=None)
        attempts = self.attempts + 1
        if attempts >= max_attempts and not self.at_risk:
            text = f"given up after {attempts} refusals: {note}"
            return replace(self, attempts=attempts, verdict=Verdict(JobState.FAILED, text))
        until = now + backoff(attempts, longest=LONGEST_AT_RISK if self.at_risk else LONGEST)
        return replace(self, attempts=attempts, not_before=until, note=note)


#: Longest pauses between tries, in seconds; a claim at risk has a clock.
LONGEST, LONGEST_AT_RISK = 300, 60


def backoff(attempts: int, *, first: int = 2, longest: int = LONGEST) -> int:
    """Seconds to wait after the `attempts`-th failure: first * 2^(attempts-1), at most longest."""
    return min(longest, first << min(max(attempts - 1, 0), 16))
