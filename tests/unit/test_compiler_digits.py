"""The committed digits network: accuracy, and that the compiler makes exactly these integers."""

from __future__ import annotations

import numpy as np
import torch
from safetensors.torch import load_file

from oracle.adapters.torch_engine import Network
from oracle.examples import digits
from prover.compiler import compile_module
from prover.program.encode import encode
from prover.program.interpret import interpret
from tests import digits as vectors


def network_of_floats() -> torch.nn.Module:
    module = digits.build()
    module.load_state_dict(load_file(vectors.FOLDER / "float.safetensors"))
    return module.eval()


def float_logits() -> np.ndarray:
    with torch.no_grad():
        images = torch.tensor(vectors.held_out().images, dtype=torch.float32)
        return network_of_floats()(images).numpy()


def test_the_held_out_images_are_those_of_scikit_learn() -> None:
    training, held = digits.load()
    np.testing.assert_array_equal(held.images, vectors.held_out().images)
    np.testing.assert_array_equal(held.labels, vectors.held_out().labels)
    assert len(training) + len(held) == 1797
    seen = {image.tobytes() for image in training.images}
    assert not any(image.tobytes() in seen for image in held.images)


def test_the_compiler_makes_exactly_the_committed_integers() -> None:
    made = compile_module(network_of_floats(), digits.INPUT_SHAPE, digits.INPUT_RANGE)
    committed = vectors.compiled()
    assert encode(made.program) == encode(committed.program)
    assert made.quantizer == committed.quantizer
    assert set(made.weights) == set(committed.weights)
    for name, cells in made.weights.items():
        np.testing.assert_array_equal(cells, committed.weights[name])


def test_integer_accuracy_is_within_half_a_point_of_float() -> None:
    held, compiled = vectors.held_out(), vectors.compiled()
    inputs = np.stack([compiled.quantizer.quantize(image[None]) for image in held.images])
    network = Network(compiled.program, compiled.weights)
    logits = network.run_batch({"input": inputs})["output"][:, 0]
    np.testing.assert_array_equal(logits, held.logits)
    integer = digits.accuracy(logits, held.labels)
    real = digits.accuracy(float_logits(), held.labels)
    assert real > 0.95
    assert abs(integer - real) <= 0.005


def test_the_interpreter_gives_the_committed_logits() -> None:
    held, compiled = vectors.held_out(), vectors.compiled()
    for image, logits in list(zip(held.images, held.logits, strict=True))[:40]:
        cells = compiled.quantizer.quantize(image[None])
        values = interpret(compiled.program, {**compiled.weights, "input": cells})
        np.testing.assert_array_equal(values["output"][0], logits)


def test_weights_have_eight_bits_and_activations_sixteen() -> None:
    compiled = vectors.compiled()
    for name in ("linear.weight", "linear_1.weight"):
        assert np.abs(compiled.weights[name]).max() <= 127
    bounds = {t.name: (t.lo, t.hi) for t in compiled.program.tensors}
    assert bounds["relu"] == (0, 32767)
    assert bounds["output"] == (-32768, 32767)
