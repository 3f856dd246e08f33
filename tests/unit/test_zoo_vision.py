"""LeNet, ResNet and LSTM with their trained weights: as right as the float networks, and proved."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oracle.adapters.torch_engine import Network
from oracle.examples.digits import accuracy
from oracle.zoo import vision
from oracle.zoo.entry import IMAGES, ZOO, compiled_entry
from tests.proving import setup
from tests.transformers import case

LEAST = {"lenet": 0.96, "lenet-average": 0.95, "resnet": 0.99, "lstm": 0.95}
IMAGES_A_RUN = 40


def test_the_zoo_knows_each_network() -> None:
    assert set(IMAGES) == set(vision.NETWORKS) == set(LEAST) <= set(ZOO)


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_integers_are_as_right_as_floats(name: str) -> None:
    """On the 360 images that were held out, within half a point; and one of them is proved."""
    found = vision.trained(name)
    made = compiled_entry(ZOO[name]())
    with torch.no_grad():
        logits = found.module.double()(torch.tensor(found.held_out)).numpy()
    engine, shape = Network(made.program, made.weights), made.program.tensors[0].shape
    answers = []
    for at in range(0, len(logits), IMAGES_A_RUN):
        images = found.held_out[at : at + IMAGES_A_RUN]
        given = np.stack([made.quantizer.quantize(x[None]).reshape(shape) for x in images])
        answers.append(engine.run_batch({"input": given})["output"].reshape(len(images), -1))
    floats, integers = (
        accuracy(logits, found.labels),
        accuracy(np.concatenate(answers), found.labels),
    )
    assert floats >= LEAST[name]
    assert abs(floats - integers) <= 0.005
    ready = setup(case(made, found.held_out[:1]))
    ready.verify(ready.prove())
