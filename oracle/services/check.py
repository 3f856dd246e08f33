"""The challenger's worker: re-executes what others vouch for, and follows its disputes to the end.

A claim is called wrong only if two programs that share no arithmetic, the integer interpreter and
the torch engine, agree with each other and not with it.
"""

import contextlib
from collections.abc import Collection
from dataclasses import dataclass, replace

import structlog

from oracle.domain import ids
from oracle.domain.chain import Call, Case, Identity, Outcome, Status
from oracle.domain.errors import Declined, EngineDisagrees, InputRefused, TooLate, WrongTier
from oracle.domain.job import WORK, Due, Job, JobState, Standing
from oracle.domain.move import Move
from oracle.domain.request import STAKED, Answer, Request, Tier, TierKind, forum
from oracle.domain.terms import UNANSWERABLE, Quote
from oracle.ports import Chain, Clock, Engine, JobStore, Ledger, ModelStore, Prover, Signer
from oracle.services.bisect import Bisect, answered, guide
from oracle.services.closing import Closer
from oracle.services.moves import commitment, refutation, salt, unvouched
from oracle.services.worker import Finding, Worker

log = structlog.get_logger("check")


@dataclass(frozen=True, slots=True)
class Vigilance:
    """How a challenger works: tries before a claim is given up, `lease` in seconds."""

    max_attempts: int = 20
    lease: int = 60


class Check(Worker):
    """Checks claims, and sees what its own disputes have earned. `prover` is needed only against
    claims that there is no answer. `among`: LOOKS or PROOFS, for a worker of its own each: games
    and claims that are new wait for no proof in another game."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        models: ModelStore,
        engines: tuple[Engine, Engine],
        prover: Prover,
        clock: Clock,
        identity: Identity,
        signer: Signer,
        vigilance: Vigilance,
        holder: str,
        among: Collection[JobState] = WORK,
    ) -> None:
        attempts, lease = vigilance.max_attempts, vigilance.lease
        super().__init__(store, clock, holder, max_attempts=attempts, lease=lease, among=among)
        self._chain = chain
        self._models = models
        self._engines = engines
        self._prover = prover
        self._identity = identity
        self._signer = signer
        self._closer = Closer(chain, store, signer.address)
        self._bisect = Bisect(chain, models, engines[0], prover, identity, self._closer)

    async def look(self, job: Job) -> Finding:
        """What becomes of a job, for whoever asks by hand; raises as `_find` does."""
        return await self._find(job)

    async def _find(self, job: Job) -> Finding:
        if job.closing is not None:
            if job.answer is None:  # a new database: what we committed to is made anew
                with contextlib.suppress(Declined, EngineDisagrees):
                    job = replace(job, answer=await self._recompute(job))
            due = await self._due(job)
            return lambda ledger: owe(ledger, job, due)
        if job.playing and job.standing is not None and job.answer is not None:
            turn = await self._bisect.pursue(job, job.standing, job.answer)
            return lambda ledger: guide(ledger, job, self._holder, turn)
        if job.unproved and job.standing is not None and job.answer is not None:
            refuted = await self._refuted(job, job.standing, job.answer)
            return lambda ledger: keep(ledger, job, refuted)
        answer = await self._recompute(job)
        claimed = job.standing.output if job.standing else b""
        right = answer.output == claimed
        tell = log.info if right else log.warning
        tell("checked" if right else "wrong", id=job.request.id.hex(), claimed=claimed[:32].hex())
        return lambda ledger: keep(ledger, job, answer)

    async def _recompute(self, job: Job) -> Answer:
        """What both engines make of the request's input; one byte if both refuse it."""
        request = job.request
        tier = await self._tier(request)
        quote = await self._chain.quote(tier, request.terms)
        await self._in_time(job, tier, quote)
        folder = await self._models.find(request.model_id)
        names = " and ".join(engine.name for engine in self._engines)
        plain = Answer(self._signer.address, b"", b"", tier, names, quote=quote)
        if tier.kind is TierKind.BISECTION:
            one, other = [await engine.steps(folder, request.input) for engine in self._engines]
            if one != other:
                raise EngineDisagrees(f"{names} run apart: nothing is disputed; report it")
            return answered(plain, one)
        outputs: list[bytes] = []
        for engine in self._engines:
            try:
                outputs.append(await engine.run(folder, request.input))
            except InputRefused:
                outputs.append(UNANSWERABLE)
        if outputs[0] != outputs[1]:
            shown = " and ".join(f"{output[:16].hex()}..." for output in outputs)
            raise EngineDisagrees(f"{names} computed {shown}: nothing is disputed; report it")
        return replace(plain, output=outputs[0])

    async def _in_time(self, job: Job, tier: Tier, quote: Quote) -> None:
        """Raises TooLate once nobody new can dispute the claim."""
        now, standing = (await self._chain.head()).timestamp, job.standing
        part, _, asked = forum(tier, quote, job.request)
        if standing is None or job.contest is not None or now <= standing.since + asked.window:
            return
        if not await unvouched(self._chain, part, standing):
            raise TooLate("its window is over")

    async def _refuted(self, job: Job, standing: Standing, answer: Answer) -> Answer:
        """The proof of our answer, where the claim is that there is none."""
        request = job.request
        if answer.quote is not None:
            await self._in_time(job, answer.tier, answer.quote)
        folder = await self._models.find(request.model_id)
        word = ids.context(self._identity.chain_id, self._identity.oracle, request, answer.payee)
        output, proof = await self._prover.prove(folder, word, request.input)
        if output != answer.output:
            raise EngineDisagrees(
                f"{answer.engine} and the prover differ: nothing is posted; report it"
            )
        return replace(answer, proof=refutation(standing.payee, standing.output, proof))

    async def _tier(self, request: Request) -> Tier:
        tier = await self._chain.tier(request.assurance)
        if tier is None or not any(each.kind in STAKED for each in tier.vouchers):
            raise WrongTier(f"{request.assurance} is no tier whose claims can be disputed")
        return tier

    async def _due(self, job: Job) -> Due:
        """The next step to what our ended dispute still owes us."""
        if job.contest is None:
            return Due(None)
        tier = await self._tier(job.request)
        if job.standing is not None and tier.kind is TierKind.BISECTION:
            return await self._bisect.collect(job, job.standing)
        quote = await self._chain.quote(tier, job.request.terms)
        part, seen, _ = forum(tier, quote, job.request)
        case = await self._chain.case(seen, job.contest.index)
        if case.outcome is Outcome.NONE and job.returned and job.standing is not None:
            return await self._end(job, job.standing, tier, part, seen)
        matches = (
            job.answer is not None
            and case.proved == ids.output_hash(job.answer.output)
            and case.commitment == commitment(self._signer, seen, job.answer)
        )
        now = (await self._chain.head()).timestamp
        found = due(case, job.contest.index, matches, now)
        return replace(found, call=self._call(found.move, seen, job.contest.index))

    async def _end(
        self, job: Job, standing: Standing, tier: Tier, part: Tier, seen: Request
    ) -> Due:
        """The end of a claim that was given back before our dispute of it was decided: by its clock
        where it was another part of a combination, by `close` after the oracle's week."""
        place = tier.vouchers.index(part)
        if tier.parts and await self._chain.claim_for(job.request, place) is Status.PROVISIONAL:
            claim = Answer(standing.payee, standing.output, b"", tier)
            call = self._chain.conclude_call(job.request, place, claim)
            return Due(Move.SETTLE, job.demand.prove_by + 1 if job.demand else 0, call=call)
        return await self._closer.close(self._chain.close_call(seen, standing))

    def _call(self, move: Move | None, seen: Request, index: int) -> Call | None:
        if move is Move.REVEAL:
            return self._chain.reveal_call(seen, index, salt(self._signer, seen))
        if move is Move.AWARD:
            return self._chain.award_call(seen)
        return None if move is None else self._chain.collect_call(seen, index)


def due(case: Case, index: int, matches: bool, now: int) -> Due:
    """What dispute `index` of a case should do next, at chain time `now`: open its commitment while
    that counts, credit the reward if it won, collect its bond, in this order."""
    place = index + 1
    if case.outcome is Outcome.NONE:
        return Due(None)
    if case.outcome is Outcome.OVERTURNED and matches:
        if (case.winner == 0 or case.winner > place) and now <= case.reveal_by:
            return Due(Move.REVEAL)
        if case.winner == place and case.reward:
            return Due(Move.AWARD, 0 if place == 1 else case.reveal_by + 1)
    if case.bond and case.outcome is not Outcome.UPHELD:
        return Due(Move.COLLECT)
    return Due(None)


# --- what happens inside one transaction -------------------------------------------------------


def keep(ledger: Ledger, job: Job, answer: Answer) -> bool:
    """Stores what was computed or proved, if the claim that it was held against still stands."""
    present = ledger.job(job.request.id)
    if present is None or present.answer != job.answer or present.standing != job.standing:
        return False
    ledger.put_job(present.answered(answer))
    return True


def owe(ledger: Ledger, job: Job, due: Due) -> bool:
    present = ledger.job(job.request.id)
    if present is None or present.closing != job.closing or present.due is not None:
        return False
    ledger.put_job(replace(present, answer=job.answer).owed(due))
    return True
