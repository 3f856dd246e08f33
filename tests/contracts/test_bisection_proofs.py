"""A dispute over one segment, with TensorVerifier and real proofs in the double's place."""

from dataclasses import replace

import pytest

from oracle.domain.bisection import Demand, Lapse, Prove, Publish, Span, Wait, owed, pursue
from prover.program.ir import Program, Role
from prover.program.segments import cut
from tests.contracts.bench import COVERAGE, REWARD
from tests.contracts.court import LAPSED, UPHELD, Court
from tests.contracts.desk import FINAL, PROVISIONAL, RETRACTED, Request
from tests.evm import Chain, Reverted
from tests.onchain import Deployment
from tests.programs import Case, mlp
from tests.proving import Setup, srs_of
from tests.unit.test_segments import parts, side


class Provable(Court):
    """A court over the segments of a real network, each registered."""

    def __init__(self, deployment: Deployment, segments: list[Setup]) -> None:
        super().__init__(
            deployment.chain,
            len(segments),
            2,
            registry=deployment.registry,
            verifier=deployment.verifier,
        )
        self.made = segments
        self.ids = [one.key.model_id for one in segments]
        self.model_id = self.compose(self.ids)
        self.stake()

    def segment_proof(self, request: Request, segment: int, data: bytes, result: bytes) -> bytes:
        """What the prover makes of its own run; of other bytes it has no witness."""
        made = self.made[segment]
        context = self.chain.call(
            self.optimistic.functions.contextOf(request.fields, self.operator, segment)
        )
        return replace(made, statement=replace(made.statement, context=bytes(context))).prove()


def segments_of(deployment: Deployment) -> tuple[list[Setup], list[bytes], Program]:
    case = mlp([6, 5, 4, 3])
    cases = parts(case, cut(case.program, [1, 2]))
    run = [side(cases[0].program, Role.INPUT, cases[0].given)]
    run += [side(one.program, Role.OUTPUT, one.values) for one in cases]
    return [deployment.setup(Case(one.program, one.given)) for one in cases], run, case.program


@pytest.mark.slow
def test_one_segments_proof_settles_a_dispute(chain: Chain) -> None:
    deployment = Deployment.make(chain, srs_of(None, 12))
    made, truth, _ = segments_of(deployment)
    court = Provable(deployment, made)
    false = [*truth[:2], bytes([*truth[2][:-1], truth[2][-1] ^ 1]), truth[3][:-1] + b"\x07"]
    honest, cheat = court.stood(truth), court.stood(false, nonce=1)

    court.demand(honest, truth, Span(0, 3))
    court.publish(honest, truth, Span(0, 3))
    for span in (Span(0, 1), Span(1, 3)):
        court.demand(honest, truth, span)
    court.operate(honest, truth, truth)
    assert court.game(honest)["proved"] == 1

    spans: list[Span] = []
    hashes = [court.chain.web3.keccak(data) for data in truth]
    while court.status(cheat)[0] == PROVISIONAL:
        turn = pursue(court.board(cheat, false), [bytes(h) for h in hashes], chain.now())
        match turn:
            case Demand(span):
                court.demand(cheat, false, span)
                spans.append(span)
            case Lapse(span):
                court.hand_in(cheat, false, span)
            case Wait(until):
                due = owed(court.board(cheat, false))[0]
                if isinstance(due, Publish):
                    court.publish(cheat, false, due.span)
                    continue
                assert due == Prove(Span(1, 2))
                with pytest.raises(Reverted):  # the best it has: a proof of what is true
                    court.prove_segment(cheat, false, 1)
                chain.next_timestamp(until + 1)
                chain.rpc("evm_mine")
            case _:
                raise AssertionError("the challenger gave up")
    assert spans == [Span(0, 3), Span(1, 3), Span(1, 2)]
    assert (court.status(cheat)[0], court.outcome(cheat)) == (RETRACTED, LAPSED)
    assert (court.owed(court.requester), court.owed(court.challenger)) == (COVERAGE, REWARD)

    court.prove_segment(honest, truth, 1)
    court.prove_segment(honest, truth, 2)
    court.hand_in(honest, truth)
    assert (court.status(honest)[0], court.outcome(honest)) == (FINAL, UPHELD)
