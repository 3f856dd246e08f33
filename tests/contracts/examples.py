"""Real models for the example contracts, registered beside a real verifier.

credit: scikit-learn's diabetes data, ten features to a score. allocation: two rates and the share
held, to the share to hold; trained on a policy. pieces: 32 token ids to harmless and harmful, by
how much each token of MiniLM's vocabulary says for either.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import torch
from eth_abi.abi import encode
from eth_hash.auto import keccak
from sklearn.datasets import load_diabetes
from torch import nn

from oracle.zoo.minilm import VOCABULARY
from prover import kernels
from prover.api import Session
from prover.compiler import Compiled, compile_module
from prover.model import Model
from tests.contracts.desk import Desk, Request
from tests.onchain import Deployment
from tests.proving import srs_of

# What is posted, as the pieces of MiniLM's tokenizer (test_moderation compares).
HARMLESS = {
    "the weather is lovely in the garden": [1996, 4633, 2003, 8403, 1999, 1996, 3871],
    "thank you for the tea and the cake": [4067, 2017, 2005, 1996, 5572, 1998, 1996, 9850],
    "we met at the lake on sunday": [2057, 2777, 2012, 1996, 2697, 2006, 4465],
}
HARMFUL = {
    "free coins, click here and win now": [2489, 7824, 1010, 11562, 2182, 1998, 2663, 2085],
    "you stupid loser, go away": [2017, 5236, 10916, 1010, 2175, 2185],
    "pay now or lose your account": [3477, 2085, 2030, 4558, 2115, 4070],
}


def framed(ids: list[int]) -> list[int]:
    """ModerationGate.inputOf, cell by cell."""
    return [101, *ids, 102] + [0] * (30 - len(ids))


class Bag(nn.Module):
    """Token ids (batch, tokens) to the sums of their scores (batch, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.scores = nn.Embedding(VOCABULARY, 2)
        nn.init.zeros_(self.scores.weight)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return self.scores(ids).sum(1)


def fit(module: nn.Module, inputs: np.ndarray, targets: np.ndarray) -> nn.Module:
    x = torch.tensor(inputs, dtype=torch.float32 if inputs.dtype.kind == "f" else torch.int64)
    y = torch.tensor(targets, dtype=torch.float32)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-2)
    for _ in range(300):
        optimiser.zero_grad()
        nn.functional.mse_loss(module(x), y).backward()
        optimiser.step()
    return module.eval()


def perceptron(*widths: int) -> nn.Sequential:
    torch.manual_seed(7)
    layers: list[nn.Module] = []
    for at, (fan_in, fan_out) in enumerate(pairwise(widths)):
        layers += [nn.ReLU()] * (at > 0) + [nn.Linear(fan_in, fan_out)]
    return nn.Sequential(*layers)


def credit() -> Compiled:
    data = load_diabetes()
    module = fit(perceptron(10, 8, 1), data.data, data.target[:, None] / 350)
    return compile_module(module, (1, 10), (-0.25, 0.25))


def allocation() -> Compiled:
    x = np.random.default_rng(7).uniform(0, 1, (512, 3))
    policy = 0.2 * x[:, 2] + 0.8 / (1 + np.exp(-8 * (x[:, 0] - x[:, 1])))
    module = fit(perceptron(3, 8, 1), x, policy[:, None])
    return compile_module(module, (1, 3), (0.0, 1.0))


def pieces() -> Compiled:
    posts = np.array([framed(ids) for ids in (*HARMLESS.values(), *HARMFUL.values())])
    module = fit(Bag(), posts, np.repeat([[1.0, 0.0], [0.0, 1.0]], 3, axis=0))
    examples = posts[:, None]
    return compile_module(module, (1, 32), (0, VOCABULARY - 1), whole=True, examples=examples)


def registered(deployment: Deployment, made: Callable[[], Compiled], k: int = 12) -> Session:
    """The trained model, committed under an SRS for tiles of 2^k cells at most, and registered."""
    compiled, srs, tier = made(), srs_of(None, k), kernels.get()
    model = Model.create(compiled.program, compiled.weights, compiled.quantizer, tier, srs)
    model_id = deployment.register(model.program_bytes, model.points, srs.id, model.aux_hash)
    assert model_id == model.id
    return Session(model, tier, srs)


def answer_of(session: Session, input: bytes) -> bytes:
    """What the model says: the output of a proof for no request."""
    return session.prove(bytes(32), input).output


def proof_of(desk: Desk, session: Session, request: Request, payee: str, input: bytes) -> bytes:
    return session.prove(desk.context(request, payee), input).proof


def naming(payee: str, output: bytes) -> bytes:
    """Evidence against a claim begins with the claim."""
    return encode(["address", "bytes32"], [payee, keccak(output)])


def asked(desk: Desk, receipt: object) -> tuple[Request, bytes]:
    """The request that a consumer made, and its input, from the log."""
    (event,) = desk.events(receipt, "Requested")
    return Request(*event["request"].values()), event["input"]
