"""Real models for the example contracts, registered beside a real verifier.

credit: scikit-learn's diabetes data, ten features to a score. allocation: two rates and the share
held, to the share to hold; trained on a policy. letters: 32 counts to harmless and harmful.
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

from prover import kernels
from prover.api import Session
from prover.compiler import compile_module
from prover.model import Model
from tests.contracts.desk import Desk, Request
from tests.onchain import Deployment
from tests.proving import srs_of

HARMLESS = (
    "good morning, how are you today?",
    "the weather is lovely in the garden",
    "thank you for the tea and the cake",
    "we met at the lake on sunday",
    "my daughter learned to ride a bike",
)
HARMFUL = (
    "FREE $$$ WIN $$$ CLICK NOW $$$",
    "$$$ 100% WIN $$$ 100% FREE $$$",
    "WIN WIN WIN $$$ CLICK $$$ 1000%",
    "CLICK!!! $$$ FREE $$$ !!!",
    "$$$$$ NOW $$$$$ WIN $$$$$",
)


def counts(text: str) -> list[int]:
    """ModerationGate.features, before the scale."""
    found = [0] * 32
    for character in text.encode():
        found[character % 32] = min(15, found[character % 32] + 1)
    return found


def fit(module: nn.Module, inputs: np.ndarray, targets: np.ndarray) -> nn.Module:
    x, y = (torch.tensor(a, dtype=torch.float32) for a in (inputs, targets))
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


def credit() -> tuple[nn.Module, tuple[float, float]]:
    data = load_diabetes()
    return fit(perceptron(10, 8, 1), data.data, data.target[:, None] / 350), (-0.25, 0.25)


def allocation() -> tuple[nn.Module, tuple[float, float]]:
    x = np.random.default_rng(7).uniform(0, 1, (512, 3))
    policy = 0.2 * x[:, 2] + 0.8 / (1 + np.exp(-8 * (x[:, 0] - x[:, 1])))
    return fit(perceptron(3, 8, 1), x, policy[:, None]), (0.0, 1.0)


def letters() -> tuple[nn.Module, tuple[float, float]]:
    x = np.array([counts(text) for text in (*HARMLESS, *HARMFUL)])
    y = np.repeat([[1.0, 0.0], [0.0, 1.0]], 5, axis=0)
    return fit(perceptron(32, 8, 2), x, y), (0.0, 15.0)


def registered(
    deployment: Deployment, made: Callable[[], tuple[nn.Module, tuple[float, float]]]
) -> Session:
    """The trained model, quantised, committed and registered."""
    module, span = made()
    features = next(p for p in module.parameters()).shape[1]
    compiled = compile_module(module, (1, features), span)
    srs, tier = srs_of(None, 12), kernels.get()
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
