"""The operator's worker: decide, infer, and prove what must be proved.

Under the Proof tier an answer is what two programs agree on: the integer engine (which checks every
range) and the prover. Under the optimistic tier the engine's word is enough to stake on, and the
proof is made when somebody demands it.
"""

import time
from collections.abc import Collection
from dataclasses import dataclass, replace

import structlog

from oracle.domain import ids
from oracle.domain.attested import Answering, said
from oracle.domain.chain import Identity
from oracle.domain.errors import (
    ChainUnavailable,
    EngineDisagrees,
    InputRefused,
    Outrun,
    TooLate,
    Uncovered,
    Underpaid,
    WrongTier,
)
from oracle.domain.evidence import for_all
from oracle.domain.job import WORK, Due, Job, JobState, Standing
from oracle.domain.request import ON_STAKE, Answer, Request, Tier, TierKind
from oracle.domain.terms import UNANSWERABLE, WHOLE, ClaimTerms, Quote
from oracle.ports import AnswerKey, Chain, Clock, Engine, JobStore, Ledger, ModelStore, Prover
from oracle.services.bisect import Bisect, answered, givable, guide
from oracle.services.closing import Closer, Ends
from oracle.services.worker import Finding, Worker
from prover.errors import EinproofError

log = structlog.get_logger("work")

HOUR = 3600
GWEI = 10**9
ETHER = 10**18
PROOF_ONLY = frozenset({TierKind.PROOF})


@dataclass(frozen=True, slots=True)
class Terms:
    """What this service answers, paid to `payee`: at least `min_fee` wei a request, and
    `min_callback_price` wei a unit of callback gas; a job that has failed `max_attempts` times is
    given up. `lease` in seconds.

    Under the optimistic tier, where the payee's stake vouches: coverage up to `max_coverage` gwei,
    for `coverage_rate` wei more an ether of coverage and hour that it is bound; no proving time
    below `proving` seconds, which a proof takes here, nor above `max_proving`, since the vault
    admits by what all open claims declare; `audit_price` wei for each proof that audits are
    expected to ask for. `unanswerable`: post that an input has no answer, in place of declining it.

    A committee's member holds requests to the same terms.
    """

    payee: str
    min_fee: int = 0
    min_callback_price: int = 0
    max_attempts: int = 20
    lease: int = 60
    tiers: frozenset[TierKind] = PROOF_ONLY
    max_coverage: int = 10**9
    coverage_rate: int = 0
    proving: int = 1
    max_proving: int = 900
    unanswerable: bool = False
    audit_price: int = 0

    def price(self, terms: ClaimTerms, bound: int) -> int:
        """The least fee, in wei, where coverage is bound for so many seconds:
        min_fee + coverage_rate * C * bound + a * audit_price."""
        covered = self.coverage_rate * terms.coverage * GWEI * bound // (HOUR * ETHER)
        return self.min_fee + covered + self.audit_price * terms.audits // WHOLE

    def take(self, request: Request) -> None:
        """Raises Underpaid for what pays less than any request must."""
        if request.fee < self.min_fee:
            raise Underpaid(f"pays {request.fee} wei, this service asks {self.min_fee}")
        if request.callback_gas and request.callback_gas_price < self.min_callback_price:
            raise Underpaid(
                f"the callback prepays {request.callback_gas_price} wei a gas unit, this service "
                f"asks {self.min_callback_price}"
            )

    def cover(self, request: Request, asked: ClaimTerms, bound: int) -> None:
        """Raises Uncovered or Underpaid for what is too much to vouch for, or earns too little
        where it binds stake for `bound` seconds."""
        if asked.coverage > self.max_coverage:
            raise Uncovered(
                f"asks {asked.coverage} gwei of coverage, this service gives {self.max_coverage}: "
                "ask for less, or for a proof"
            )
        if asked.proving < self.proving:
            raise Uncovered(
                f"declares {asked.proving} s of proving, this service needs {self.proving}"
            )
        if asked.proving > self.max_proving:
            raise Uncovered(
                f"declares {asked.proving} s of proving, this service takes {self.max_proving} "
                "at most"
            )
        if request.fee < (least := self.price(asked, bound)):
            raise Underpaid(f"pays {request.fee} wei, this coverage costs {least} here")


class Work(Worker):
    """Turns requests into answers, and demands into proofs. `among`: GAMES, for a worker that
    splits what is demanded while others prove."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        models: ModelStore,
        engine: Engine,
        prover: Prover,
        clock: Clock,
        identity: Identity,
        terms: Terms,
        holder: str,
        key: AnswerKey | None = None,
        among: Collection[JobState] = WORK,
    ) -> None:
        attempts, lease = terms.max_attempts, terms.lease
        super().__init__(store, clock, holder, max_attempts=attempts, lease=lease, among=among)
        self._chain = chain
        self._models = models
        self._engine = engine
        self._prover = prover
        self._identity = identity
        self._terms = terms
        self._key = key
        self._closer = Closer(chain, store, terms.payee)
        self._bisect = Bisect(chain, models, engine, prover, identity, self._closer)
        self._ends = Ends(self._closer, self._proof)

    async def _find(self, job: Job) -> Finding:
        if job.playing and job.standing is not None and job.answer is not None:
            due = await self._play(job, job.standing, job.answer)
            return lambda ledger: guide(ledger, job, self._holder, due)
        if job.left and job.standing is not None:
            left = await self._close(job, job.standing)
            return lambda ledger: guide(ledger, job, self._holder, left)
        answer = await (self._answer(job) if job.answer is None else self._proof(job, job.answer))
        log.info(
            "proved" if answer.proof else "answered",
            id=job.request.id.hex(),
            bytes=len(answer.proof),
            seconds=round(answer.seconds, 3),
        )
        return lambda ledger: keep(ledger, job, answer)

    async def _answer(self, job: Job) -> Answer:
        """The engine's output, with what the request's tier asks for beside it."""
        request, payee = job.request, self._terms.payee
        if job.standing is None:
            tier = await self._admit(request)
        elif job.standing.payee != payee:
            raise Outrun(f"the answer of {job.standing.payee} stands")
        else:  # our own, from before this database: it is defended without being asked again
            tier = await self._tier(request)
        folder = await self._models.find(request.model_id)
        plain = Answer(payee, b"", b"", tier, self._engine.name)
        if tier.kind in ON_STAKE:
            plain = replace(plain, quote=await self._chain.quote(tier, request.terms))
        if tier.kind is TierKind.BISECTION:
            answer = answered(plain, await self._engine.steps(folder, request.input))
            if answer.output == UNANSWERABLE and not self._terms.unanswerable:
                raise InputRefused(answer.why)
            if job.standing is None:
                givable(answer)
            return answer
        try:
            answer = replace(plain, output=await self._engine.run(folder, request.input))
        except InputRefused as reason:
            if tier.kind is TierKind.PROOF or not self._terms.unanswerable:
                raise
            answer = replace(plain, output=UNANSWERABLE, why=f"unanswerable: {reason}")
        if tier.kind is TierKind.PROOF:
            return await self._proof(job, answer)
        try:
            return replace(answer, attestation=await self._evidence(tier, request, answer))
        except ChainUnavailable:
            raise
        except EinproofError as reason:  # a claim of ours that stands needs a proof, no signature
            if job.standing is None:
                raise
            log.warning("defended without a signature", id=request.id.hex(), reason=str(reason))
            return answer

    async def _play(self, job: Job, standing: Standing, answer: Answer) -> Due:
        """The next move of our side of a bisection."""
        if job.closing is not None:
            return await self._bisect.collect(job, standing)
        return await self._bisect.defend(job, standing, answer)

    async def _close(self, job: Job, standing: Standing) -> Due:
        """The end of our claim's lock; not where a proof of it is owed: that would slash us."""
        tier = await self._chain.tier(job.request.assurance)
        if tier is not None and tier.parts and job.answer is not None:
            return await self._ends.next(job, standing, job.answer, tier)
        drawn = False
        silent = standing.output == UNANSWERABLE  # of that no proof is asked for
        if tier is not None and tier.kind is TierKind.AUDITED and not silent:
            drawn = (await self._chain.audit(job.request)).drawn
        if tier is not None and tier.kind is TierKind.BISECTION:
            owed = job.demand is not None
            return Due(None) if owed else await self._bisect.collect(job, standing)
        # Not what was demanded: we may have done so ourselves, for want of a round.
        if drawn or await self._chain.disputed(job.request):
            return Due(None)
        return await self._closer.close(self._chain.close_call(job.request, standing))

    async def _evidence(self, tier: Tier, request: Request, answer: Answer) -> bytes:
        """What an answer on stake brings; a combination's, for each part in order."""
        if tier.parts:
            vouching = tier.vouching(request)
            return for_all([await self._evidence(*each, answer) for each in vouching])
        return await self._attest(request, answer) if tier.kind is TierKind.ATTESTED else b""

    async def _attest(self, request: Request, answer: Answer) -> bytes:
        """The answer key and its signature over this claim."""
        if self._key is None:
            raise WrongTier("the attested tier asks for an answer key: name EINPROOF_ANSWER_KEY")
        claim = Answering(
            request.assurance,
            request.id,
            request.model_id,
            request.input_hash,
            answer.payee,
            answer.output,
        )
        return await self._key.attest(claim, said(self._identity.chain_id, claim))

    async def _proof(self, job: Job, answer: Answer) -> Answer:
        """The answer with its proof. Raises EngineDisagrees if the prover computes another."""
        request = job.request
        folder = await self._models.find(request.model_id)
        word = ids.context(self._identity.chain_id, self._identity.oracle, request, answer.payee)
        started = time.perf_counter()
        output, proof = await self._prover.prove(folder, word, request.input)
        seconds = time.perf_counter() - started
        if output != answer.output:
            raise EngineDisagrees(
                f"{answer.engine} computed {answer.output[:16].hex()}..., the prover "
                f"{output[:16].hex()}...: nothing is posted; report this model and input"
            )
        return replace(answer, proof=proof, seconds=seconds)

    async def _tier(self, request: Request) -> Tier:
        tier = await self._chain.tier(request.assurance)
        vouchers = [] if tier is None else tier.vouchers
        missing = [each.name for each in vouchers if each.kind not in self._terms.tiers]
        if tier is None or (missing and not tier.parts):
            raise WrongTier(f"{request.assurance} is no tier that this service answers under")
        if missing:
            raise WrongTier(
                f"{tier.name} asks for every part, and this service does not answer under "
                f"{missing[0]}: name it in EINPROOF_TIERS"
            )
        if tier.pin != request.pin:
            raise WrongTier(
                f"pins 0x{request.pin.hex()}, tier {request.assurance} vouches with "
                f"0x{tier.pin.hex()}"
            )
        if await self._chain.stopped(tier, request.model_id):
            raise WrongTier(
                f"verifier {tier.verifier} takes no proof of model 0x{request.model_id.hex()} any "
                "more: it was stopped"
            )
        return tier

    async def _admit(self, request: Request) -> Tier:
        """The tier to answer under, if this service answers such a request at all."""
        now = (await self._chain.head()).timestamp
        if now > request.deadline:
            raise TooLate(f"the deadline passed {now - request.deadline} s ago")
        self._terms.take(request)
        tier = await self._tier(request)
        if tier.kind in ON_STAKE:
            await self._cover(tier, request)
        return tier

    async def _cover(self, tier: Tier, request: Request) -> None:
        """Raises Uncovered or Underpaid for what is too much to stake, or too little to earn."""
        vouching = tier.vouching(request)
        asked = ClaimTerms.together([ClaimTerms.parse(seen.terms) for _, seen in vouching])
        quote = await self._chain.quote(tier, request.terms)
        self._terms.cover(request, asked, quote.bound)
        for vault in dict.fromkeys(part.vault for part in tier.vouchers):
            quotes = zip(tier.vouchers, quote.parts or [quote], strict=True)
            locks = [(part, locked) for part, locked in quotes if part.vault == vault]
            whole = Quote.together([locked for _, locked in locks])
            await self._back(locks[0][0], whole, asked)

    async def _back(self, tier: Tier, quote: Quote, asked: ClaimTerms) -> None:
        """Raises Uncovered where the payee's stake in a tier's vault is not enough for a quote."""
        account = await self._chain.account(tier, self._terms.payee)
        if account.suspended:
            raise Uncovered(
                f"operator {self._terms.payee} was slashed, and stakes no more in this vault"
            )
        if account.stake < quote.stake:
            raise Uncovered(
                f"audited at {asked.audits} of {WHOLE}, this coverage needs a stake of "
                f"{quote.stake} gwei in all, this service has {account.stake}: ask for a higher "
                "rate, or for less coverage"
            )
        if account.free < quote.lock:
            raise Uncovered(
                f"locks {quote.lock} gwei, {account.free} of this service's stake are free: ask "
                "for less coverage, or for a proof"
            )


def keep(ledger: Ledger, job: Job, answer: Answer) -> bool:
    """Stores the answer, or the proof of the one that is known. A lease that was lost in a reorg
    does not make either worse."""
    present = ledger.job(job.request.id)
    if present is None:
        return False
    known = present.answer
    if known is not None and (known.proof or not answer.proof or known.output != answer.output):
        return False
    ledger.put_job(present.answered(answer))
    return True
