"""The worker of a committee's member: computes, exchanges words, and watches what others agreed on.

A member commits before it has seen an answer and opens once a quorum has committed. Its words are
functions of its key and the request, so that a restart, with or without its database, says the same
again. Who collects (one member, or nobody drawn) sees to the day's draw, hands a quorum's openings
in, finalises, and proves the claim where somebody dissents. A member that computed something else
dissents, then refutes with a proof. Where the requester summons the committee, members speak
on-chain; who has no answer to give says that there, so that nobody is fined for what it cannot
answer. What pays too little for the stake that it would bind is given no answer, either; a claim
that stands is checked whatever it pays.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import structlog

from oracle.domain import ids
from oracle.domain.block import BlockRef
from oracle.domain.chain import Identity
from oracle.domain.committee import (
    DAY,
    PROOF,
    Committee,
    Opened,
    Recover,
    Summons,
    Word,
    digest,
    refutation,
)
from oracle.domain.errors import (
    BoardUnavailable,
    Declined,
    EngineDisagrees,
    EngineFailed,
    OracleError,
    TooLate,
    WrongTier,
)
from oracle.domain.job import WORK, Due, Job, JobState, Standing, backoff
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request, Tier, TierKind
from oracle.domain.terms import ClaimTerms
from oracle.newest import Newest
from oracle.ports import (
    Aggregation,
    Board,
    Chain,
    Clock,
    Engine,
    JobStore,
    Ledger,
    ModelStore,
    Prover,
    Rounds,
    Signer,
    Tracer,
)
from oracle.services.board import committed
from oracle.services.draw import Draws, alone
from oracle.services.moves import opening
from oracle.services.quorum import Quorums
from oracle.services.work import Terms
from oracle.services.worker import Finding, Worker, unchanged
from prover.errors import EinproofError

log = structlog.get_logger("sit")

#: Seconds between two looks at the board; and for a summons to what we have no answer to.
PAUSE, LOOK = 1, 30

#: A refutation is handed in so often, in half an hour, before it is taken to be in vain.
TRIES = 12
#: Bytes of a refutation that name what stands: its first, payee and output hash.
NAMED = 65

#: Requests of which a refusal, or tries, are remembered, the newest.
REMEMBERED = 4096
#: Days for which a claim's coverage is reserved of every seat (Council.OPEN_EPOCHS).
RESERVED = 4

#: A member's answer, and what it wants of the chain; None: look again.
Next = tuple[Answer, Due | None]


@dataclass(frozen=True, slots=True)
class Duty:
    """How a member serves: `payee` is what it signs for, `collects` whether it hands in; tries
    before a request is given up, `lease` in seconds."""

    payee: str
    collects: bool = False
    max_attempts: int = 20
    lease: int = 60


class Sit(Worker):
    """`engines`: two that share no arithmetic; the second hashes its trace, too. `among`: LOOKS or
    PROOFS, for a worker of its own each: words and dissents wait for no proof."""

    def __init__(
        self,
        chain: Chain,
        store: JobStore,
        models: ModelStore,
        engines: tuple[Engine, Tracer],
        prover: Prover,
        clock: Clock,
        identity: Identity,
        signer: Signer,
        board: Board,
        recover: Recover,
        aggregation: Aggregation,
        rounds: Rounds,
        duty: Duty,
        terms: Terms,
        holder: str,
        among: Collection[JobState] = WORK,
    ) -> None:
        attempts, lease = duty.max_attempts, duty.lease
        super().__init__(store, clock, holder, max_attempts=attempts, lease=lease, among=among)
        self._chain = chain
        self._models = models
        self._engines = engines
        self._prover = prover
        self._identity = identity
        self._signer = signer
        self._board = board
        self._recover = recover
        self._quorums = Quorums(identity, aggregation)
        self._draws = Draws(chain, rounds, clock, signer.address)
        self._duty = duty
        self._terms = terms
        self._refusals: Newest[tuple[bytes, bool], OracleError] = Newest(REMEMBERED)
        self._tries: Newest[tuple[bytes, BlockRef | None], int] = Newest(REMEMBERED)

    async def _find(self, job: Job) -> Finding:
        if job.unproved and job.standing is not None and job.answer is not None:
            return await self._proved(job, job.standing, job.answer)
        pause, tier = PAUSE, await self._tier(job.request)
        try:
            given = await self._computed(job, tier)
        except (Declined, EngineDisagrees, EngineFailed) as reason:
            empty = self._empty(tier, str(reason))
            answer = empty if job.answer is None or job.answer.why else job.answer
            if job.standing is None:
                pause, due = LOOK, await self._excuse(job, empty, tier)
            elif (due := await self._owed(job, empty, tier)) is None:
                raise
        else:
            ours = replace(given, payee=self._duty.payee, proof=b"")
            if job.standing is not None:
                answer, due = await self._guard(job, job.standing, given, tier)
                if due is not None and due.move in (None, Move.FINALISE):
                    due = await self._owed(job, ours, tier) or due
            else:
                answer, due = await self._speak(job, ours, tier)
        again = self._clock.now() + pause
        return lambda ledger: decide(ledger, job, self._holder, answer, due, again)

    def _empty(self, tier: Tier, why: str) -> Answer:
        """The word that we have no answer."""
        return Answer(self._duty.payee, b"", b"", tier, why=why, trace=bytes(32))

    async def _tier(self, request: Request) -> Tier:
        tier = await self._chain.tier(request.assurance)
        if tier is None or tier.kind is not TierKind.COMMITTEE or tier.pin != request.pin:
            raise WrongTier(f"{request.assurance} is no committee's tier with that pin")
        return tier

    async def _computed(self, job: Job, tier: Tier) -> Answer:
        """Our answer, or why there is none: found out once a process."""
        request = job.request
        if await self._chain.stopped(tier, request.model_id):
            raise WrongTier(f"verifier {tier.verifier} was stopped for this model")
        if job.answer is not None and not job.answer.why:
            return job.answer
        looked = request.id, job.standing is None
        if looked in self._refusals:
            raise self._refusals[looked].with_traceback(None)  # else it grows with each look
        try:
            if job.standing is None:
                self._terms.take(request)
                asked = ClaimTerms.parse(request.terms)
                self._terms.cover(request, asked, RESERVED * DAY)
            return await self._compute(request, tier)
        except (Declined, EngineDisagrees) as reason:
            log.warning("no answer of ours", id=request.id.hex(), reason=str(reason))
            self._refusals[looked] = reason
            raise

    async def _compute(self, request: Request, tier: Tier) -> Answer:
        """What both engines make of the input. Raises Declined, EngineDisagrees, EngineFailed."""
        one, other = self._engines
        try:
            folder = await self._models.find(request.model_id)
            output = await one.run(folder, request.input)
            again, trace = await other.traced(folder, request.input)
        except Declined:
            raise
        except EinproofError as reason:
            raise EngineFailed(f"no engine ran: {reason}") from reason
        names = f"{one.name} and {other.name}"
        if output != again:
            raise EngineDisagrees(
                f"{names} computed {output[:16].hex()}... and {again[:16].hex()}...: nothing is "
                "said; report this model and input"
            )
        quote = await self._chain.quote(tier, request.terms)
        log.info("computed", id=request.id.hex())
        return Answer(self._duty.payee, output, b"", tier, names, quote=quote, trace=trace)

    # --- nothing stands yet ---

    def _words(self, job: Job, answer: Answer, tier: Tier, epoch: int) -> list[Opened]:
        """What we say now; and what we may have committed to before: an answer that we had, or that
        we had none. Silence would be fined whatever has changed since."""
        said = [answer, *([] if job.answer is None else [job.answer]), self._empty(tier, "")]
        paid = [replace(each, payee=self._duty.payee) for each in said]
        return [opening(self._signer, job.request, each, epoch) for each in paid]

    async def _excuse(self, job: Job, empty: Answer, tier: Tier) -> Due | None:
        """We have no answer (a model that we do not hold, or that is damaged, an input without a
        proof, a verifier that was stopped): nothing is said, unless we are summoned. Then silence
        would be fined, and we commit to the empty output and open it, which nobody can hand in as
        an answer."""
        request = job.request
        now = await self._now(request)
        committee = await self._chain.committee(tier, now // DAY)
        summons = await self._chain.summons(request)
        if committee is None or summons is None or summons.epoch != committee.epoch:
            return None
        words = self._words(job, empty, tier, committee.epoch)
        said = await self._chain.spoken(request, len(committee.owners))
        return self._word(request, said, words, committee, summons, now)

    async def _now(self, request: Request) -> int:
        """Raises TooLate once nobody can answer any more."""
        now = (await self._chain.head()).timestamp
        if now > request.deadline:
            raise TooLate(f"the deadline passed {now - request.deadline} s ago")
        return now

    async def _speak(self, job: Job, answer: Answer, tier: Tier) -> Next:
        request = job.request
        now = await self._now(request)
        committee = await self._chain.committee(tier, now // DAY)
        if committee is None:
            return answer, await self._draws.next(tier, now) if self._duty.collects else None
        ours, *before = self._words(job, answer, tier, committee.epoch)
        summons = await self._chain.summons(request)
        if summons is not None and summons.epoch == committee.epoch:
            words = [ours, *before]
            found = await self._answer_summons(
                request, answer, words, committee, summons, tier, now
            )
            if found is not None:
                return found
        heard = await self._exchange(request, ours, committee, tier)
        if not self._duty.collects:
            return answer, None
        evidence = await self._quorums.signed(tier, request, committee, ours, heard)
        return (replace(answer, proof=evidence), Due(Move.ANSWER)) if evidence else (answer, None)

    async def _exchange(
        self, request: Request, ours: Opened, committee: Committee, tier: Tier
    ) -> list[Word]:
        """Puts what there is to say now; all sound words about the request, one a member, whatever
        else its board shows. None while it is away: the requester can summon, and the chain is
        there."""
        me, chain_id = self._signer.address, self._identity.chain_id
        try:
            found = await self._board.read(request.id, committee.epoch)
            sound = {
                w.member: w
                for w in found
                if w.request_id == request.id
                and w.sound(committee, chain_id, tier.assurance, self._recover)
            }
            words = list(sound.values())
            if not committee.places(me):
                return words
            mine = sound.get(me)
            ready = committed(committee, words) >= committee.quorum
            if mine is None or (ready and mine.opened is None):
                said = ours.commitment(me)
                signed = digest(chain_id, tier.assurance, request.id, committee.epoch, said)
                sign = self._signer.attest(signed)
                shown = ours if ready and mine is not None else None
                word = Word(request.id, committee.epoch, me, said, sign, shown)
                if shown:
                    share = await self._quorums.share(tier, request, committee.epoch, ours)
                    word = replace(word, share=share)
                await self._board.put(word)
                log.info("opened" if shown else "committed", id=request.id.hex())
            return words
        except BoardUnavailable as reason:
            log.warning("the board does not take or give words", reason=str(reason))
            return []

    async def _answer_summons(
        self,
        request: Request,
        answer: Answer,
        words: Sequence[Opened],
        committee: Committee,
        summons: Summons,
        tier: Tier,
        now: int,
    ) -> Next | None:
        """The next of our places to speak for on-chain; then the quorum's, handed in."""
        said = await self._chain.spoken(request, len(committee.owners))
        due = self._word(request, said, words, committee, summons, now)
        if due is not None:
            return answer, due
        revealed = {place: shown for place, (_, shown) in enumerate(said)}
        evidence = await self._quorums.spoken(tier, committee, words[0], revealed)
        if not evidence:
            return None
        # Who is paid comes first; if it is away, any member keeps itself and others from a fine.
        later = 0 if self._duty.collects else (summons.commit_by + summons.reveal_by) // 2
        return replace(answer, proof=evidence), Due(Move.ANSWER, later)

    def _word(
        self,
        request: Request,
        said: Sequence[tuple[bytes, bytes]],
        words: Sequence[Opened],
        committee: Committee,
        summons: Summons,
        now: int,
    ) -> Due | None:
        """What the first of our places has yet to say on-chain; None: nothing now."""
        mine = words[0].commitment(self._signer.address)
        for place in committee.places(self._signer.address):
            if now <= summons.commit_by and said[place][0] != mine:
                call = self._chain.commit_call(request, committee, place, mine)
                return Due(Move.COMMIT, 0, place, committee, call)
        if summons.commit_by < now <= summons.reveal_by:
            return self._unopened(request, said, words, committee, 0)
        return None

    def _unopened(
        self,
        request: Request,
        said: Sequence[tuple[bytes, bytes]],
        words: Sequence[Opened],
        committee: Committee,
        at: int,
    ) -> Due | None:
        """The opening of the first of our places that has committed to one of our words."""
        me = self._signer.address
        known = {word.commitment(me): word for word in words}
        for place in committee.places(me):
            made, shown = said[place]
            if made in known and shown == bytes(32):
                call = self._chain.open_call(request, committee, place, known[made])
                return Due(Move.OPEN, at, place, committee, call)
        return None

    # --- a claim stands ---

    async def _owed(self, job: Job, answer: Answer, tier: Tier) -> Due | None:
        """What we committed to on-chain is opened though a claim stands: else who summoned would
        get back the bond that pays for it."""
        request = job.request
        summons = await self._chain.summons(request)
        committee = await self._chain.committee(tier, summons.epoch) if summons else None
        if summons is None or committee is None:
            return None
        if (await self._chain.head()).timestamp > summons.reveal_by:
            return None
        words = self._words(job, answer, tier, committee.epoch)
        said = await self._chain.spoken(request, len(committee.owners))
        return self._unopened(request, said, words, committee, summons.commit_by + 1)

    async def _guard(self, job: Job, standing: Standing, answer: Answer, tier: Tier) -> Next:
        request, demand = job.request, job.demand
        if standing.output == answer.output:
            if not self._duty.collects:
                return answer, Due(None)
            ours = replace(answer, payee=standing.payee, proof=b"")
            if demand is None:
                return ours, Due(Move.FINALISE, standing.since + answer.window + 1)
            return await self._shown(job, ours, Move.PROVE, PROOF)
        log.warning("wrong", id=request.id.hex(), claimed=standing.output[:32].hex())
        committee = await self._chain.committee(tier, standing.since // DAY)
        places = committee.places(self._signer.address) if committee else []
        now = (await self._chain.head()).timestamp
        if demand is None and places and now <= standing.since + answer.window:
            return answer, Due(Move.DISSENT, 0, places[0], committee)
        agreed = await self._chain.agreement(request, standing.block)
        if not agreed or self._tries.get((request.id, standing.block), 0) >= TRIES:
            return answer, Due(Move.SETTLE, demand.prove_by + 1) if demand else Due(None)
        ours = replace(answer, payee=self._signer.address)
        named = refutation(standing.payee, standing.output, b"", b"")[:NAMED]
        return await self._shown(job, ours, Move.REFUTE, named)

    async def _shown(self, job: Job, ours: Answer, move: Move, start: bytes) -> Next:
        """Our claim with its proof; unless that was made, it is to be made now. What was refused,
        or lost its nonce, is tried again later and later, and not proved again."""
        known = job.answer
        if known is None or known.payee != ours.payee or not known.proof.startswith(start):
            return replace(ours, proof=b""), Due(move)
        name = job.request.id, job.standing.block if job.standing else None
        self._tries[name] = tries = self._tries.get(name, 0) + 1
        return known, Due(move, (await self._chain.head()).timestamp + backoff(tries))

    async def _proved(self, job: Job, standing: Standing, ours: Answer) -> Finding:
        """Makes the proof that is due."""
        proof, due = await self._prove(job.request, ours), job.due
        evidence = PROOF + proof
        if due is not None and due.move is Move.REFUTE:
            agreed = await self._chain.agreement(job.request, standing.block)
            evidence = refutation(standing.payee, standing.output, agreed, proof)
        shown, again = replace(ours, proof=evidence), self._clock.now()
        return lambda ledger: decide(ledger, job, self._holder, shown, due, again)

    async def _prove(self, request: Request, answer: Answer) -> bytes:
        folder = await self._models.find(request.model_id)
        word = ids.context(self._identity.chain_id, self._identity.oracle, request, answer.payee)
        output, proof = await self._prover.prove(folder, word, request.input)
        if output != answer.output:
            raise EngineDisagrees("the engines and the prover differ: nothing is posted; report it")
        return proof


# --- what happens inside one transaction -------------------------------------------------------


def decide(
    ledger: Ledger, job: Job, holder: str, answer: Answer, due: Due | None, again: int
) -> bool:
    """Keeps what a member found, if what it looked at is still so; else it looks again."""
    if (present := unchanged(ledger, job, holder)) is None:
        return False
    if present.flight != job.flight:  # what a reorg took back flies again, and its call is due
        ledger.put_job(present.released())
        return False
    kept, due = present.answered(answer), alone(ledger, due)
    ledger.put_job(replace(kept, not_before=again) if due is None else kept.owed(due))
    return True
