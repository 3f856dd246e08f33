"""Every move as the call that makes it."""

from dataclasses import replace

from eth_abi.abi import encode

from oracle.domain import ids
from oracle.domain.chain import Call
from oracle.domain.committee import Opened
from oracle.domain.evidence import alone, by_all
from oracle.domain.job import Job, Standing
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request, Tier, TierKind, forum
from oracle.domain.terms import UNANSWERABLE
from oracle.ports import Chain, Signer

SALT = b"einproof/dispute/v1"
MEMBERS_SALT = b"einproof/committee/v1"


def order(chain: Chain, signer: Signer, job: Job, move: Move) -> Call | None:
    """The call of a job's move; None if it lacks what the move needs."""
    request, answer, standing = job.request, job.answer, job.standing
    if job.due is not None and job.due.move is move and job.due.call is not None:
        return job.due.call
    if answer is None:
        return None
    if move is Move.ANSWER and answer.attestation and not answer.proof:
        return chain.answer_call(request, replace(answer, proof=answer.attestation))
    if move in (Move.ANSWER, Move.PROVE, Move.FINALISE, Move.REFUTE):
        shown = replace(answer, proof=by_all(answer.tier, answer.proof))
        return chain.answer_call(request, shown)
    if job.due is not None and (committee := job.due.committee) is not None:
        place, opened = job.due.place, opening(signer, request, answer, committee.epoch)
        if move is Move.COMMIT:
            said = opened.commitment(signer.address)
            return chain.commit_call(request, committee, place, said)
        if move is Move.OPEN:
            return chain.open_call(request, committee, place, opened)
        if move is Move.DISSENT and standing is not None:
            return chain.dissent_call(request, committee, place, standing.payee, standing.output)
    if standing is not None and answer.quote is not None:
        part, seen, quote = forum(answer.tier, answer.quote, request)
        claim = Answer(standing.payee, standing.output, alone(answer.tier, part), answer.tier)
        if move is Move.DISPUTE:
            word = commitment(signer, seen, answer)
            return chain.dispute_call(seen, claim.payee, claim.output, word, quote.bond)
        if move is Move.SETTLE:
            return chain.answer_call(request, claim)
    return None


async def for_free(chain: Chain, job: Job) -> bool:
    """Whether a job's claim is disputed for no bond."""
    if job.standing is None or job.answer is None or job.answer.quote is None:
        return False
    part, _, _ = forum(job.answer.tier, job.answer.quote, job.request)
    return await unvouched(chain, part, job.standing)


async def unvouched(chain: Chain, part: Tier, standing: Standing) -> bool:
    """Whether a claim's operator was slashed, so that no silence makes it final any more: who
    disputes it binds nothing, and is bound to no window. In a bisection each move has a clock of
    its own; that there is no answer is not disputed."""
    if part.kind is TierKind.BISECTION or standing.output == UNANSWERABLE:
        return False
    return (await chain.account(part, standing.payee)).suspended


def salt(signer: Signer, request: Request) -> bytes:
    """A secret of the key, so that a lost database loses no reward."""
    return signer.secret(SALT + request.id)


def opening(signer: Signer, request: Request, answer: Answer, epoch: int) -> Opened:
    """What a member commits to in an epoch; the same after a restart with an empty database."""
    word = signer.secret(MEMBERS_SALT + request.id + epoch.to_bytes(4, "big"))
    return Opened(answer.payee, answer.output, answer.trace, word)


def commitment(signer: Signer, request: Request, answer: Answer) -> bytes:
    """What our dispute of a request, as its `forum` sees it, commits to: our own answer, unseen."""
    word = salt(signer, request)
    return ids.commitment(request.assurance, request.id, signer.address, answer.output, word)


def refutation(payee: str, output: bytes, proof: bytes) -> bytes:
    """Evidence of another output than the one that stands: that one's payee and hash; proof."""
    return encode(("address", "bytes32"), (payee, ids.output_hash(output))) + proof
