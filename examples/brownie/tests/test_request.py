"""Against contracts and a service that run already: `make test-brownie` sets them up."""

from __future__ import annotations

import os

import pytest
from brownie import chain, web3
from scripts.request import FEE, FINAL, PROVISIONAL, TIERS, ask, deployed, logits, requester, wait
from web3.exceptions import ContractCustomError

MODEL, INPUT = os.environ["EINPROOF_MODEL"], os.environ["EINPROOF_INPUT"]
LABEL = int(os.environ["EINPROOF_LABEL"])


def test_deployment_is_on_this_chain():
    assert chain.id == 31337
    for name in ("InferenceOracle", *TIERS.values()):
        assert len(web3.eth.get_code(deployed(name).address)) > 100


def test_proof_tier_is_answered_for_good():
    before = requester().balance()
    request, request_id = ask("proof", MODEL, INPUT, requester())
    assert before - requester().balance() >= FEE
    output = wait(request_id, (FINAL,))
    scores = logits(output)
    assert scores.index(max(scores)) == LABEL
    assert deployed("InferenceOracle").idOf(request) == request_id


def test_optimistic_tier_is_answered_on_stake():
    _, request_id = ask("optimistic", MODEL, INPUT, requester())
    scores = logits(wait(request_id, (PROVISIONAL,)))
    assert scores.index(max(scores)) == LABEL


@pytest.mark.parametrize(
    ("how", "error"),
    [
        ({"pin": b"\1" * 32}, "WrongPin(bytes32,bytes32)"),
        ({"value": FEE - 1}, "WrongPayment(uint256,uint256)"),
    ],
)
def test_wrong_request_is_refused(how, error):
    with pytest.raises(ContractCustomError) as refused:
        ask("proof", MODEL, INPUT, requester(), **how)
    assert refused.value.data.startswith(web3.keccak(text=error)[:4].to_0x_hex())
