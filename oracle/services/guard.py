"""The watcher's worker: sees to it that audits end, and that a broken verifier is stopped.

It needs neither stake nor the audited models. A standing claim under the audited tier: its round is
published if its operator does not; if it is drawn and not proved soon, that is said, so that its
operator's other claims wait; if it is not proved in time, it is handed in. A final answer with a
proof: if that is the canary's, or cannot be right beside another proof (seen before, or made here,
where the model is at hand), the verifier's guard is told.
"""

import contextlib
from dataclasses import dataclass, replace

import structlog

from oracle.domain import ids
from oracle.domain.chain import Guarding, Identity, Shown, Status
from oracle.domain.errors import BeaconUnavailable, InputRefused, ModelMissing
from oracle.domain.evidence import alone, proof_of
from oracle.domain.job import Closing, Due, Job, JobState, Standing
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import (
    Chain,
    Clock,
    Engine,
    JobStore,
    Ledger,
    ModelStore,
    Prover,
    Rounds,
    Signer,
)
from oracle.services.closing import Closer
from oracle.services.worker import Finding, Worker, unchanged

log = structlog.get_logger("guard")

#: Seconds that an operator has to publish its round itself.
PATIENCE = 600

#: What proofs speak about: verifier, model, input.
Subject = tuple[str, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Watchfulness:
    """How a watcher works: tries before a request is given up, `lease` and the pause between two
    looks at one claim in seconds."""

    max_attempts: int = 20
    lease: int = 60
    pause: int = 20


class Guard(Worker):
    """Watches claims and proofs; the engine and the prover are for models that are at hand."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        models: ModelStore,
        engine: Engine,
        prover: Prover,
        clock: Clock,
        identity: Identity,
        signer: Signer,
        rounds: Rounds,
        watchfulness: Watchfulness,
        holder: str,
    ) -> None:
        super().__init__(
            store,
            clock,
            holder,
            max_attempts=watchfulness.max_attempts,
            lease=watchfulness.lease,
        )
        self._chain = chain
        self._models = models
        self._engine = engine
        self._prover = prover
        self._identity = identity
        self._signer = signer
        self._rounds = rounds
        self._closer = Closer(chain, store, signer.address)
        self._pause = watchfulness.pause
        self._seen: dict[Subject, set[bytes]] | None = None

    async def _find(self, job: Job) -> Finding:
        answer, due = job.answer, None
        if job.closing is not None:
            answer, due = await self._compare(job, job.closing)
        elif job.standing is not None:
            due = await self._audit(job, job.standing)
        again = self._clock.now() + self._pause
        return lambda ledger: conclude(ledger, job, self._holder, answer, due, again)

    # --- audits ---

    async def _audit(self, job: Job, standing: Standing) -> Due | None:
        """What a standing claim's audit asks for; None: look again."""
        request = job.request
        tier = await self._chain.tier(request.assurance)
        audited = None if tier is None else tier.of_kind(TierKind.AUDITED, request)
        if tier is None or audited is None or standing.output == UNANSWERABLE:
            return Due(None)
        part, seen = audited
        quote = await self._chain.quote(part, seen.terms)
        now = (await self._chain.head()).timestamp
        if now <= standing.since + quote.window:
            return None
        audit = await self._chain.audit(seen)
        if not audit.known:
            if now <= audit.made + PATIENCE:
                return None
            try:
                signature = await self._rounds.signature(audit)
            except BeaconUnavailable as reason:
                log.warning("no round to draw by, yet", id=request.id.hex(), reason=str(reason))
                return None
            call = self._chain.publish_call(audit.beacon, audit.round, signature)
            return Due(Move.PUBLISH, call=call)
        if not audit.drawn:
            return Due(None)  # if it is disputed, whoever demanded its proof sees to its clock
        if now <= audit.until and not await self._held(part, seen, standing):
            if now <= audit.made + PATIENCE:
                return None
            return Due(Move.FREEZE, call=self._chain.freeze_call(seen, standing))
        # Who is drawn may have disputed itself, to sleep over it: that is no way out either.
        until = audit.until
        if job.demand is not None and (not tier.parts or await self._chain.disputed(seen)):
            until = job.demand.prove_by
        log.info("drawn for an audit", id=request.id.hex(), prove_by=until)
        claim = Answer(standing.payee, standing.output, alone(tier, part), tier)
        call = self._chain.answer_call(request, claim)
        if job.closing is not None:  # another part of a combination gave it back
            place = tier.vouchers.index(part)
            call = self._chain.conclude_call(request, place, replace(claim, proof=b""))
        return Due(Move.SETTLE, until + 1, call=call)

    async def _held(self, part: Tier, seen: Request, standing: Standing) -> bool:
        """Whether its operator's other claims are held back until this one is proved: that was said
        of it, or its operator was slashed, which holds them back for good. That it was said of
        another claim is not enough: who can prove that one does so when it likes, and hands in what
        it holds back in the same transaction."""
        if await self._chain.frozen(seen):
            return True
        return (await self._chain.account(part, standing.payee)).suspended

    async def _close(self, job: Job, standing: Standing, tier: Tier) -> Due | None:
        """What the oracle's week gave back and an audit drew is closed: a week of silence is no way
        around the draw; nor is another part of a combination that fails before. None: look again.
        """
        audited = tier.of_kind(TierKind.AUDITED, job.request)
        if audited is None or standing.output == UNANSWERABLE:
            return Due(None)
        part, seen = audited
        if tier.parts:
            place = tier.vouchers.index(part)
            if await self._chain.claim_for(job.request, place) is Status.PROVISIONAL:
                return await self._audit(job, standing)
        audit = await self._chain.audit(seen)
        due = await self._closer.close(self._chain.close_call(seen, standing))
        if due.look:
            return due
        if due.move is None or (audit.known and not audit.drawn):
            return Due(None)  # over, or its operator's to end
        if audit.known:
            return due
        try:
            signature = await self._rounds.signature(audit)
        except BeaconUnavailable as reason:
            log.warning("no round to close by, yet", id=job.request.id.hex(), reason=str(reason))
            return None
        call = self._chain.publish_call(audit.beacon, audit.round, signature)
        return Due(Move.PUBLISH, call=call)

    # --- proofs ---

    async def _compare(self, job: Job, closing: Closing) -> tuple[Answer | None, Due | None]:
        """The proof that made a request final, and the stop that it calls for, if any."""
        request, nothing = job.request, Due(None)
        tier = await self._chain.tier(request.assurance)
        guard = await self._chain.guard(tier) if tier is not None else None
        if tier is not None and job.returned and job.standing is not None:
            return job.answer, await self._close(job, job.standing, tier)
        if tier is None or guard is None or closing.state is not JobState.SETTLED:
            return job.answer, nothing
        found = await self._chain.shown(request, closing.transaction)
        proof = b"" if found is None else proof_of(tier, job.standing, found)
        if found is None or not proof:
            return job.answer, nothing
        answer = Answer(found.payee, found.output, proof, tier)
        if await self._chain.stopped(tier, request.model_id):
            return answer, nothing
        shown = replace(found, evidence=proof)
        call = None
        if ids.statement(request.model_id, request.input, shown.output) == guard.canary:
            log.error("the canary was proved: the verifier is broken", id=request.id.hex())
            call = self._chain.stop_call(
                guard.address, request, self._context(request, shown), shown
            )
        elif (other := await self._other(request, tier, guard, shown)) is not None:
            log.error("two proofs contradict each other", id=request.id.hex())
            pair = (self._context(request, shown), shown), other
            call = self._chain.stop_model_call(guard.address, request, *pair)
        return answer, nothing if call is None else Due(Move.STOP, call=call)

    async def _other(
        self, request: Request, tier: Tier, guard: Guarding, shown: Shown
    ) -> tuple[bytes, Shown] | None:
        """A proof of another output for the same input: of an answer seen before, or our own."""
        subject = (guard.address, request.model_id, request.input_hash)
        for job in await self._known(subject, request.id):
            if job.answer is not None and job.answer.output != shown.output:
                known = Shown(job.answer.payee, job.answer.output, job.answer.proof)
                return self._context(job.request, known), known
        with contextlib.suppress(ModelMissing, InputRefused):
            folder = await self._models.find(request.model_id)
            if await self._engine.run(folder, request.input) == shown.output:
                return None
            mine = Shown(self._signer.address, b"", b"")
            word = self._context(request, mine)
            output, proof = await self._prover.prove(folder, word, request.input)
            if output != shown.output:
                return word, replace(mine, output=output, evidence=proof)
        return None

    async def _known(self, subject: Subject, own: bytes) -> list[Job]:
        """Jobs whose proofs speak about the same. The index is of what the database holds."""
        if self._seen is None:
            self._seen = {}
            for job in await self._store.run(lambda ledger: ledger.jobs(set(JobState), 1 << 30)):
                if job.answer is not None:
                    about = (job.request.model_id, job.request.input_hash)
                    self._seen.setdefault((job.answer.tier.verifier, *about), set()).add(
                        job.request.id
                    )
        held = self._seen.setdefault(subject, set())
        others = [id for id in sorted(held) if id != own]
        held.add(own)
        found = await self._store.run(lambda ledger: [ledger.job(id) for id in others])
        return [job for job in found if job is not None]

    def _context(self, request: Request, shown: Shown) -> bytes:
        return ids.context(self._identity.chain_id, self._identity.oracle, request, shown.payee)


# --- what happens inside one transaction -------------------------------------------------------


def conclude(
    ledger: Ledger, job: Job, holder: str, answer: Answer | None, due: Due | None, again: int
) -> bool:
    """Keeps what a watcher found, if what it looked at is still so; else it looks again."""
    if (present := unchanged(ledger, job, holder)) is None:
        return False
    kept = replace(present, answer=answer, lease=None)
    if due is None:
        ledger.put_job(replace(kept, attempts=0, not_before=again))
    else:  # tries add up until a move is made: what the contract refuses is given up in the end
        ledger.put_job(replace(kept.owed(due), attempts=kept.attempts if due.move else 0))
    return True
