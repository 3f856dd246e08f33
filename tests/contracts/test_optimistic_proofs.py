"""Prove or lose, with TensorVerifier and real proofs in the double's place."""

from dataclasses import replace

from eth_abi.abi import encode
from eth_hash.auto import keccak

from tests.contracts.bench import BOND, COVERAGE, OVERTURNED, REWARD, UPHELD, Bench
from tests.contracts.desk import FINAL, PROVISIONAL, Request
from tests.evm import Chain, Reverted, reverts
from tests.onchain import Deployment
from tests.programs import mlp
from tests.proving import srs_of


def test_dispute_is_settled_by_real_proofs(chain: Chain) -> None:
    deployment = Deployment.make(chain, srs_of(None, 12))
    made = deployment.setup(mlp([8, 4]))
    input, right = made.statement.input, made.statement.output
    wrong = right[:-1] + bytes([right[-1] ^ 1])
    bench = Bench(chain, registry=deployment.registry, verifier=deployment.verifier)
    bench.model_id = made.key.model_id
    bench.stake()

    def proof(request: Request, payee: str) -> bytes:
        statement = replace(made.statement, context=bench.context(request, payee))
        return replace(made, statement=statement).prove()

    honest = bench.request(input=input)
    cheat = replace(honest, nonce=1)
    for request, output in ((honest, right), (cheat, wrong)):
        bench.ask(request, input)
        bench.post(request, image=input, output=output)
        bench.dispute(
            request, output, commitment=bench.commitment(request, bench.challenger, right)
        )
        assert bench.status(request)[0] == PROVISIONAL

    operators = proof(honest, bench.operator)
    with reverts("SameOutput", keccak(right)):
        named = encode(["address", "bytes32"], [bench.operator, keccak(right)])
        bench.prove(honest, payee=bench.rival, image=input, output=right, proof=named + operators)
    bench.prove(honest, image=input, output=right, proof=operators)
    assert (bench.status(honest)[0], bench.outcome(honest)) == (FINAL, UPHELD)

    named = encode(["address", "bytes32"], [bench.operator, keccak(wrong)])
    challengers = proof(cheat, bench.challenger)
    for claim in (
        {"payee": bench.operator, "output": wrong, "proof": proof(cheat, bench.operator)},
        {"payee": bench.operator, "output": wrong, "proof": operators},
        {"payee": bench.rival, "output": right, "proof": named + challengers},
    ):
        try:
            bench.prove(cheat, image=input, **claim)
        except Reverted:
            assert bench.status(cheat)[0] == PROVISIONAL
        else:
            raise AssertionError("a proof of another statement was taken")
    bench.prove(cheat, payee=bench.challenger, image=input, output=right, proof=named + challengers)
    assert bench.status(cheat) == (FINAL, bench.digest(bench.challenger, right), False)
    assert bench.outcome(cheat) == OVERTURNED
    id = bench.request_id(cheat)
    bench.tell("reveal", id, 0, bytes(32))
    bench.tell("award", id)
    assert (bench.owed(bench.requester), bench.owed(bench.challenger)) == (COVERAGE, REWARD)
    before = chain.balance(bench.challenger)
    bench.tell("collect", id, 0)
    assert chain.balance(bench.challenger) - before == BOND
