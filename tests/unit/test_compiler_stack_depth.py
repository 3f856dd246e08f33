"""What depth costs: transformers of width 64, from torch to gas."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from prover.compiler import compile_module
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import srs_of
from tests.transformers import REACH, Block, case, inputs

pytestmark = [pytest.mark.chain, pytest.mark.slow]
SHAPE = (1, 16, 64)
# Of what one layer costs. 24 = 16 + 8 layers stand in two boxes a tensor, 16 in one.
MOST_GAS = {2: 1.08, 16: 1.10, 24: 1.25}
MOST_BYTES = {2: 1.10, 16: 1.25, 24: 1.30}


@pytest.mark.timeout(900)
def test_gas_and_bytes_over_depth(anvil: Chain) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 19))
    found = {}
    for layers in (1, *MOST_GAS):
        torch.manual_seed(0)
        module = nn.Sequential(*(Block(64, 4, 256) for _ in range(layers))).eval()
        compiled = compile_module(module, SHAPE, (-REACH, REACH), examples=inputs(1, 2, *SHAPE))
        assert [stack.length for stack in compiled.program.stacks] == [layers] * (layers > 1)
        made = deployment.setup(case(compiled, inputs(2, *SHAPE)))
        proof = made.prove()
        made.verify(proof)
        deployment.verify(made.statement, proof)
        found[layers] = deployment.gas(made.statement, proof), len(proof)
    for layers, (gas, size) in found.items():
        assert gas <= MOST_GAS.get(layers, 1) * found[1][0], found
        assert size <= MOST_BYTES.get(layers, 1) * found[1][1], found
