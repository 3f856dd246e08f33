"""The game over a composition's claim, as either side plays it: one look at the chain, one move.

Nothing of the game is kept but the states of one's own run: every look reads the contest anew, so a
restart, a reorg or another's move changes what comes next, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import structlog

from oracle.domain import bisection as game
from oracle.domain import ids
from oracle.domain.chain import Call, Identity
from oracle.domain.errors import CallRefused, ChainMoved, EngineDisagrees, TooLate, Uncovered
from oracle.domain.job import Due, Job, Standing
from oracle.domain.move import Move, Role
from oracle.domain.request import Answer, Request
from oracle.domain.terms import UNANSWERABLE
from oracle.newest import Newest
from oracle.ports import Chain, Engine, Ledger, ModelStore, Prover
from oracle.services.closing import LOOK, NEVER, Closer
from oracle.services.worker import held, unchanged

log = structlog.get_logger("bisect")

#: Moves that bring a proof.
PROOFS = frozenset({Move.PROVE, Move.REFUTE})
#: Seconds beside its proof for each segment that is owed: two blocks of L1, and a look.
GIVING = 30
#: Gas of a segment's proof, where its worth is weighed: what proofs take, not their bound.
PROOF_GAS = 1_000_000
#: Runs that are kept in memory, the newest.
RUNS = 8
#: A segment's input, output and proof.
Proved: TypeAlias = tuple[bytes, bytes, bytes]


@dataclass(frozen=True)
class Bisect:
    """What both sides need; `closer` has the address that bonds return to, `runs` the newest of our
    own, by request."""

    chain: Chain
    models: ModelStore
    engine: Engine
    prover: Prover
    identity: Identity
    closer: Closer
    runs: Newest[bytes, tuple[bytes, ...]] = field(default_factory=lambda: Newest(RUNS))

    async def defend(self, job: Job, standing: Standing, answer: Answer) -> Due:
        """The operator's next move: what it owes, the shortest clock first; else to hand the claim
        in, once nothing can be demanded any more. Raises EngineDisagrees, TooLate, and what the
        prover raises."""
        request = job.request
        board = await self.chain.contest(request, standing)
        due, now = next(iter(game.owed(board)), None), (await self.chain.head()).timestamp
        by_proof_only = await self._by_proof_only(job, standing, answer, board)
        if due is None and by_proof_only:
            due = game.ungiven(board, now)
            if due is None:
                raise TooLate("its operator was slashed, and it cannot be proved whole any more")
            if not await self._pays(request, board):  # gas may be cheaper later: it has a week
                return Due(Move.FINALISE, NEVER, look=now + LOOK)
        if due is None:
            at = 0 if board.complete else board.until + 1
            return Due(Move.FINALISE, at, look=now + LOOK)
        place = board.place(due.span)
        if isinstance(due, game.Demand):  # of who was slashed: for no bond, and within no window
            call = self.chain.demand_call(request, standing, place, 0)
            if await self._refusal(call) == "TooLate":
                raise TooLate("its operator was slashed, and the week is too short to prove it")
            return Due(Move.DEMAND, call=call)
        if isinstance(due, game.Publish):
            ends = due.span.ends(game.states_from(answer.states), board.arity)
            call = self.chain.split_call(request, standing, place, ends)
            return Due(Move.SPLIT, call=call)
        if not job.unproved:
            return Due(Move.PROVE)  # first told; its proof keeps no split waiting
        give = partial(self.chain.segment_call, request, standing, place)
        call = await self._proved(request, due.span.start, answer.payee, give)
        if call is not None:
            return Due(Move.PROVE, call=call)
        if by_proof_only and not board.at(due.span).owed:
            raise TooLate("its operator was slashed, and a segment's verifier stopped")
        return Due(Move.SETTLE, call=self.chain.overdue_call(request, standing, due.span))

    async def _by_proof_only(
        self, job: Job, standing: Standing, answer: Answer, board: game.Board
    ) -> bool:
        """Its operator was slashed elsewhere, so silence makes the claim final no more."""
        if job.demand is None or board.complete or board.halts:
            return False
        return (await self.chain.account(answer.tier, standing.payee)).suspended

    async def _pays(self, request: Request, board: game.Board) -> bool:
        """Whether the fee is worth the proofs that the whole run lacks, though nobody asks for one:
        without them no stake is lost, only the fee."""
        given = sum(span.is_segment and held.proved for span, held in board.spans.items())
        cost = (board.segments - given) * PROOF_GAS * (await self.chain.fees()).most
        if cost > request.fee:
            log.info("its proofs cost more than it pays", id=request.id.hex(), wei=cost)
        return cost <= request.fee

    async def pursue(self, job: Job, standing: Standing, answer: Answer) -> Due:
        """A challenger's next move against a claim that is not its own run's. Raises
        EngineDisagrees, and what the prover raises."""
        request = job.request
        board = await self.chain.contest(request, standing)
        now = (await self.chain.head()).timestamp
        match game.pursue(board, game.states_from(answer.states), now):
            case game.Demand(span):
                owner = await self.chain.account(answer.tier, standing.payee)
                bond = 0 if owner.suspended else answer.bond
                call = self.chain.demand_call(request, standing, board.place(span), bond)
                return Due(Move.DEMAND, call=call)
            case game.Refute(span):
                if not job.unproved:
                    return Due(Move.REFUTE)  # first told; its proof keeps no other move waiting
                give = partial(self.chain.refute_call, request, standing)
                refuted = await self._proved(request, span.start, self.closer.sender, give)
                return Due(None) if refuted is None else Due(Move.REFUTE, call=refuted)
            case game.Lapse(span):
                return Due(Move.SETTLE, call=self.chain.overdue_call(request, standing, span))
            case game.Wait(until, span):
                call = self.chain.overdue_call(request, standing, span)
                return Due(Move.SETTLE, until + 1, call=call, look=now + LOOK)
            case game.Contradiction(span):
                log.error(
                    "a proof contradicts our run: report it, its verifier may be broken",
                    id=request.id.hex(),
                    segment=span.start,
                    tier=request.assurance,
                    payee=standing.payee,
                    since_block=standing.block.number,
                )
        log.info("nothing to be done", id=request.id.hex())
        return Due(None)

    async def collect(self, job: Job, standing: Standing) -> Due:
        """A bond that is ours now that the game has ended: a challenger's own, or, if the claim was
        upheld, the operator's share of each."""
        board = await self.chain.contest(job.request, standing)
        if board.outcome is game.Outcome.NONE and job.returned:
            return await self._close(job, standing, board)
        upheld = board.outcome is game.Outcome.UPHELD
        if board.outcome is game.Outcome.NONE or upheld != (job.role is Role.OPERATOR):
            return Due(None)
        for span, state in board.spans.items():
            if not state.owed_by:
                continue
            who, bond = await self.chain.bond_of(job.request, span)
            if bond and (upheld or who == self.closer.sender):
                return Due(Move.COLLECT, call=self.chain.collect_bond_call(job.request, span))
        return Due(None)

    async def _close(self, job: Job, standing: Standing, board: game.Board) -> Due:
        """The end of a lock that the oracle's week left; not by an operator that owes something."""
        overdue = [span for span, state in board.spans.items() if state.owed]
        overdue += [board.beyond] * board.refuted
        if overdue and job.role is Role.OPERATOR:
            return Due(None)
        call = self.chain.close_call(job.request, standing, next(iter(overdue), None))
        return await self.closer.close(call)

    async def _proved(
        self, request: Request, segment: int, payee: str, give: Callable[[Proved], Call]
    ) -> Call | None:
        """The call that gives input, output and proof of one segment of our own run; None if its
        verifier was stopped, which it says before it reads a proof."""
        folder = await self.models.find(request.model_id)
        run = await self._run(folder, request)
        following = run[segment + 1] if segment + 1 < len(run) else None
        bare = None if following is None else give((run[segment], following, b""))
        refusal = "" if bare is None else await self._refusal(bare)
        if refusal == "Stopped":
            log.warning("stopped: not proved", id=request.id.hex(), segment=segment)
            return None
        if refusal == "AlreadyGiven":  # the contest was read from a node that is behind
            raise ChainMoved(f"segment {segment} is given already")
        whole = ids.context(self.identity.chain_id, self.identity.oracle, request, payee)
        context = ids.segment_context(whole, segment)
        output, proof = await self.prover.prove(folder / str(segment), context, run[segment])
        if output != following:
            self.runs.pop(request.id, None)
            raise EngineDisagrees(
                f"{self.engine.name} and the prover differ over segment {segment}: nothing is "
                "posted; report this model and input"
            )
        return give((run[segment], output, proof))

    async def _run(self, folder: Path, request: Request) -> tuple[bytes, ...]:
        """Our own run's bytes: made once for all segments that are proved of it, and anew after a
        restart."""
        if request.id not in self.runs:
            self.runs[request.id] = (await self.engine.steps(folder, request.input)).data
        return self.runs[request.id]

    async def _refusal(self, call: Call) -> str:
        """Why the contract would refuse it; empty if it would not."""
        try:
            await self.chain.preflight(self.closer.sender, call)
        except CallRefused as reason:
            return reason.name
        return ""


def answered(plain: Answer, run: game.Run) -> Answer:
    """A run's answer, with its states; where it halts, that word and the halt."""
    states = run.states
    if not run.halted:
        return replace(plain, output=run.data[-1], states=states)
    why = f"unanswerable: segment {len(run.data) - 1} refuses what it reads"
    halt = game.halt(states)
    return replace(plain, output=UNANSWERABLE, states=states, attestation=halt, why=why)


def givable(answer: Answer) -> None:
    """Raises Uncovered for a run of more segments than can be given within half the prove clock,
    one after the other; the other half is for their proofs, and those of other claims."""
    segments = len(answer.states) // game.STATE_BYTES - 1
    half = 0 if answer.quote is None else answer.quote.prove // 2
    if GIVING * segments > half:
        raise Uncovered(
            f"{segments} segments take {GIVING * segments} s beside their proofs if all are "
            f"demanded, there are {half}: cut the model into fewer"
        )


def guide(ledger: Ledger, job: Job, holder: str, due: Due) -> bool:
    """Keeps what is due, if what it was looked up from is still so; else it is looked up anew. What
    took a proof is kept while its claim stands: else whoever plays on would have it made again and
    again. A segment that another has given meanwhile is refused, and the next one looked up."""
    present = held(ledger, job, holder)
    kept = due.move in PROOFS and present is not None and _ground(present) == _ground(job)
    if not kept:
        present = unchanged(ledger, job, holder)
    if present is None:
        return False
    if present.flight != job.flight:  # what a reorg took back flies again, and its call is due
        ledger.put_job(present.released())
        return False
    ledger.put_job(present.owed(due))
    return True


def _ground(job: Job) -> tuple[object, ...]:
    """What a proof over a claim speaks of; and the nonce at which a move may still be mined."""
    return job.seen, job.standing, job.closing, job.flight
