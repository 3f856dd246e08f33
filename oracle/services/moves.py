"""Every move as the call that makes it."""

from dataclasses import replace

from eth_abi.abi import encode

from oracle.domain import ids
from oracle.domain.chain import Call
from oracle.domain.committee import Opened
from oracle.domain.evidence import by_all
from oracle.domain.job import Job
from oracle.domain.move import Move
from oracle.domain.request import Answer, Request
from oracle.ports import Chain, Signer

SALT = b"einproof/dispute/v1"
MEMBERS_SALT = b"einproof/committee/v1"


def order(chain: Chain, signer: Signer, job: Job, move: Move) -> Call | None:
    """The call of a job's move; None if it lacks what the move needs."""
    request, answer, standing, contest = job.request, job.answer, job.standing, job.contest
    if job.due is not None and job.due.move is move and job.due.call is not None:
        return job.due.call
    if contest is not None:
        if move is Move.REVEAL:
            return chain.reveal_call(request, contest.index, salt(signer, request))
        if move is Move.AWARD:
            return chain.award_call(request)
        if move is Move.COLLECT:
            return chain.collect_call(request, contest.index)
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
    if standing is not None:
        if move is Move.DISPUTE:
            word = commitment(signer, request, answer)
            return chain.dispute_call(request, standing.payee, standing.output, word, answer.bond)
        if move is Move.SETTLE:
            claim = Answer(standing.payee, standing.output, b"", answer.tier)
            return chain.answer_call(request, claim)
    return None


def salt(signer: Signer, request: Request) -> bytes:
    """A secret of the key, so that a lost database loses no reward."""
    return signer.secret(SALT + request.id)


def opening(signer: Signer, request: Request, answer: Answer, epoch: int) -> Opened:
    """What a member commits to in an epoch; the same after a restart with an empty database."""
    word = signer.secret(MEMBERS_SALT + request.id + epoch.to_bytes(4, "big"))
    return Opened(answer.payee, answer.output, answer.trace, word)


def commitment(signer: Signer, request: Request, answer: Answer) -> bytes:
    """What our dispute commits to: our own answer, unseen."""
    word = salt(signer, request)
    return ids.commitment(request.assurance, request.id, signer.address, answer.output, word)


def refutation(payee: str, output: bytes, proof: bytes) -> bytes:
    """Evidence of another output than the one that stands: that one's payee and hash; proof."""
    return encode(("address", "bytes32"), (payee, ids.output_hash(output))) + proof
