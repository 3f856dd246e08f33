"""A transformer block from torch to gas: proved, verified by Python and on a chain, and refused
when a cell of its answer is another."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from prover.compiler import compile_module
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import srs_of
from tests.tampering import verdict
from tests.transformers import REACH, Block, case, inputs

pytestmark = [pytest.mark.chain, pytest.mark.slow]
SHAPE = (1, 16, 64)
MOST_GAS, MOST_BYTES = 1_450_000, 6_500


@pytest.mark.parametrize("causal", [False, True])
def test_a_block_of_width_64_is_verified_on_a_chain(anvil: Chain, causal: bool) -> None:
    torch.manual_seed(0)
    module = Block(64, 4, 256, causal=causal).eval()
    compiled = compile_module(module, SHAPE, (-REACH, REACH), examples=inputs(1, 4, *SHAPE))
    deployment = Deployment.make(anvil, srs_of(None, 15))
    made = deployment.setup(case(compiled, inputs(2, *SHAPE)))
    proof = made.prove()
    made.verify(proof)
    deployment.verify(made.statement, proof)
    assert deployment.gas(made.statement, proof) < MOST_GAS
    assert len(proof) < MOST_BYTES
    answer = bytearray(made.statement.output)
    answer[-1] ^= 1
    changed = replace(made.statement, output=bytes(answer))
    assert verdict(deployment, made, changed, proof) == ("OpeningRejected", ())
