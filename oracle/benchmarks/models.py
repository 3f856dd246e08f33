"""The benchmark models, by their stable names; trained for real on data that scikit-learn carries.

python -m oracle.benchmarks.models NAME BATCH FOLDER [private]     builds one, in a process of
                                                                   its own
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from prover.errors import EinproofError

if TYPE_CHECKING:
    import torch

SEED, SIDE, SAMPLES, CALIBRATED = 20, 28, 20, 256
RANDOM = re.compile(r"mlp-([1-9][0-9]{0,4}(?:-[1-9][0-9]{0,4})+)")
DEEP = re.compile(r"transformer-([1-9][0-9]?)l-64")
GPT2 = re.compile(r"gpt2-([1-9][0-9]?)x([1-9][0-9]{0,3})(?:-([1-9][0-9]{0,2}))?")


class UnknownModelName(EinproofError):
    """No benchmark model of that name."""


@dataclass(frozen=True)
class Named:
    """How to train a model, what lies in its input, and whether its weights mean anything."""

    features: int
    train: Callable[[], tuple[torch.nn.Module, Any]]  # module, inputs within `reach`
    weights: str = "real"
    tokens: int = 1
    reach: tuple[float, float] = (0.0, 1.0)
    whole: bool = False  # inputs are token ids
    image: tuple[int, ...] = ()  # channels, rows and columns, whose product is `features`
    weight_bits: int = 8
    stacked: bool = True

    @property
    def length(self) -> int:
        """Tokens that one inference reads."""
        return self.features if self.whole else self.tokens

    def shape(self, batch: int) -> tuple[int, ...]:
        if self.image:
            return (batch, *self.image)
        return (batch, self.tokens, self.features) if self.tokens > 1 else (batch, self.features)


def breast_cancer() -> tuple[torch.nn.Module, Any]:
    """Logistic regression on 30 features scaled to [0, 1]: one logit, positive for benign."""
    import torch
    from sklearn.datasets import load_breast_cancer
    from sklearn.linear_model import LogisticRegression

    data = load_breast_cancer()
    low, high = data.data.min(axis=0), data.data.max(axis=0)
    inputs = (data.data - low) / (high - low)
    fitted = LogisticRegression(max_iter=1000).fit(inputs, data.target)
    module = torch.nn.Linear(inputs.shape[1], 1)
    with torch.no_grad():
        module.weight.copy_(torch.tensor(fitted.coef_))
        module.bias.copy_(torch.tensor(fitted.intercept_))
    return module.eval(), inputs


def digits_mlp() -> tuple[torch.nn.Module, Any]:
    """The demo's 64-32-10 network."""
    from oracle.examples import digits

    training, held_out = digits.load()
    return digits.train(training), held_out.images


def large_mlp() -> tuple[torch.nn.Module, Any]:
    """784-512-512-10 on the digits enlarged to 28 x 28."""
    import torch
    from scipy.ndimage import zoom

    from oracle.examples import digits

    training, held_out = digits.load()

    def enlarge(images: Any) -> Any:
        square = images.reshape(-1, 8, 8)
        return np.clip(zoom(square, (1, SIDE / 8, SIDE / 8), order=1), 0, 1).reshape(
            len(images), -1
        )

    torch.manual_seed(SEED)
    widths = (SIDE * SIDE, 512, 512, 10)
    layers: list[torch.nn.Module] = []
    for inner, outer in pairwise(widths):
        layers += [torch.nn.Linear(inner, outer), torch.nn.ReLU()]
    module = torch.nn.Sequential(*layers[:-1])
    images = torch.tensor(enlarge(training.images), dtype=torch.float32)
    labels = torch.tensor(training.labels)
    optimiser = torch.optim.Adam(module.parameters(), lr=1e-3, weight_decay=1e-4)
    for _ in range(10):
        for chosen in torch.randperm(len(labels)).split(64):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(module(images[chosen]), labels[chosen]).backward()
            optimiser.step()
    return module.eval(), enlarge(held_out.images)


def random_network(widths: tuple[int, ...]) -> tuple[torch.nn.Module, Any]:
    """Linear layers of these widths with ReLU between them, random weights, uniform inputs: what
    proving time over the number of weights is measured on."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        layers: list[torch.nn.Module] = []
        for inner, outer in pairwise(widths):
            layers += [torch.nn.Linear(inner, outer), torch.nn.ReLU()]
    inputs = np.random.default_rng(SEED).uniform(size=(SAMPLES, widths[0]))
    return torch.nn.Sequential(*layers[:-1]).eval(), inputs


def transformer(layers: int) -> tuple[torch.nn.Module, Any]:
    """Pre-norm encoder blocks: width 64, 4 heads, 16 tokens, 256 hidden; random weights and normal
    inputs, cut at 4."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        blocks = [
            torch.nn.TransformerEncoderLayer(
                64, 4, 256, activation="gelu", batch_first=True, norm_first=True
            )
            for _ in range(layers)
        ]
    inputs = np.random.default_rng(SEED).normal(size=(SAMPLES + 12, 16, 64))
    module = blocks[0] if layers == 1 else torch.nn.Sequential(*blocks)
    return module.eval(), inputs.clip(-4.0, 4.0)


def gpt2(layers: int, width: int, tokens: int = 64) -> Named:
    """The shape of GPT-2, so many tokens to the next one: all of 50,257, random weights."""

    def made() -> tuple[torch.nn.Module, Any]:
        from oracle.zoo import gpt2 as shape

        return shape.gpt2(layers, width, tokens), shape.some_ids(SAMPLES + 8, tokens)

    ends = (-(1 << 15), 50_256 - (1 << 15))
    return Named(tokens, made, "random", reach=ends, whole=True)


def of_images(name: str) -> tuple[torch.nn.Module, Any]:
    """A network of oracle/zoo/vision.py; held-out images, then those that its ranges come from."""
    from oracle.zoo import vision

    trained = vision.trained(name)
    images = np.concatenate([trained.held_out[:SAMPLES], trained.training[:CALIBRATED]])
    return trained.module, images


def of_zoo(name: str) -> tuple[torch.nn.Module, Any]:
    """A language model of oracle/zoo; held-out inputs, then those that its ranges come from."""
    from oracle.zoo.entry import ZOO

    entry = ZOO[name]()
    inputs = np.resize(entry.held_out, (SAMPLES, *entry.shape))
    return entry.module, np.concatenate([inputs, entry.examples])


MODELS = {
    "breast-cancer-lr": Named(30, breast_cancer),
    "digits-mlp": Named(64, digits_mlp),
    "mlp-784-512-512-10": Named(784, large_mlp),
    "lenet": Named(784, lambda: of_images("lenet"), image=(1, 28, 28)),
    "lenet-average": Named(784, lambda: of_images("lenet-average"), image=(1, 28, 28)),
}
BLOCKS = {
    "transformer-1l-64": Named(64, partial(transformer, 1), "random", 16, (-4.0, 4.0)),
    "gpt2-small": gpt2(12, 768),
    "resnet": Named(1024, lambda: of_images("resnet"), image=(1, 32, 32)),
    "minilm-l6": Named(
        32, partial(of_zoo, "minilm-l6"), reach=(0, 30521), whole=True, weight_bits=12
    ),
    "moderation-minilm": Named(
        32, partial(of_zoo, "moderation-minilm"), reach=(0, 30521), whole=True, weight_bits=12
    ),
    "nanogpt": Named(
        64, partial(of_zoo, "nanogpt"), reach=(0, 95), whole=True, weight_bits=12, stacked=False
    ),
    "llama-block": Named(4096, partial(of_zoo, "llama-block"), "random", 32, (-4.0, 4.0)),
    "llama-2l": Named(4096, partial(of_zoo, "llama-2l"), "random", 32, (-4.0, 4.0)),
    "lstm": Named(784, lambda: of_images("lstm"), image=(1, 28, 28)),
}


def block(name: str) -> Named | None:
    """A network on recorded ranges: `transformer-Nl-64` of any depth, `gpt2-LxD` of any depth and
    width and `gpt2-LxD-S` of S tokens among them; None for another name."""
    if name in BLOCKS:
        return BLOCKS[name]
    if match := DEEP.fullmatch(name):
        return Named(64, partial(transformer, int(match[1])), "random", 16, (-4.0, 4.0))
    if match := GPT2.fullmatch(name):
        return gpt2(int(match[1]), int(match[2]), int(match[3] or 64))
    return None


def named(name: str) -> Named:
    """The model of that name; `mlp-A-B-...-Z` of any widths has random weights. Raises
    UnknownModelName."""
    known = MODELS | BLOCKS
    if name not in known and (found := block(name)):
        return found
    if name not in known and (match := RANDOM.fullmatch(name)):
        widths = tuple(map(int, match[1].split("-")))
        return Named(widths[0], lambda: random_network(widths), "random")
    if name not in known:
        raise UnknownModelName(f"expected one of {', '.join(known)}, got {name!r}")
    return known[name]


def build(name: str, batch: int, folder: Path, private_input: bool = False) -> None:
    """Writes FOLDER/package (source, weights, quantiser), FOLDER/input.npy (float) and, for other
    provers, FOLDER/float.npz (see `layers`; not of blocks)."""
    from prover.compiler import compile_module
    from prover.compiler.package import write_package

    model = named(name)
    module, inputs = model.train()
    shape, examples = model.shape(batch), None
    if len(inputs) > SAMPLES and (block(name) or model.image):
        count = max(8, (len(inputs) - SAMPLES) // batch)  # none of them is the benchmark's input
        examples = np.resize(inputs[SAMPLES:], (count, *shape))
    compiled = compile_module(
        module,
        shape,
        model.reach,
        private_input=private_input,
        examples=examples,
        whole=model.whole,
        weight_bits=model.weight_bits,
        stacked=model.stacked,
    )
    write_package(folder / "package", compiled)
    np.save(folder / "input.npy", inputs[:batch].reshape(shape))
    if block(name):
        return
    np.savez(folder / "float.npz", **layers(module, inputs[:SAMPLES]))


def layers(module: torch.nn.Module, inputs: Any) -> dict[str, Any]:
    """The float network as arrays, for a network that is a row of known layers: w0 b0 w1 b1 ..., in
    `nodes` what ONNX calls each layer with its attributes, `inputs`, and the float `logits` for
    them. Raises UnknownModelName for a network of another form."""
    import torch

    arrays: dict[str, Any] = {}
    nodes = []
    for part in module if isinstance(module, torch.nn.Sequential) else [module]:
        nodes.append(_node(part))
        if isinstance(part, (torch.nn.Linear, torch.nn.Conv2d)):
            number = len(arrays) // 2
            bias = torch.zeros(len(part.weight)) if part.bias is None else part.bias
            arrays[f"w{number}"] = part.weight.detach().numpy()
            arrays[f"b{number}"] = bias.detach().numpy()
    samples = torch.tensor(inputs, dtype=torch.float32)
    with torch.no_grad():
        logits = module(samples).numpy()
    return arrays | {"nodes": json.dumps(nodes), "inputs": samples.numpy(), "logits": logits}


def _node(part: torch.nn.Module) -> tuple[str, dict[str, Any]]:
    """ONNX's operator and its attributes."""
    from torch import nn

    def pair(value: Any) -> list[int]:
        return list(value) if isinstance(value, tuple) else [value, value]

    match part:
        case nn.Linear():
            return "Gemm", {"transB": 1}
        case nn.ReLU():
            return "Relu", {}
        case nn.Flatten():
            return "Flatten", {}
        case nn.Conv2d() if part.groups == 1 and isinstance(part.padding, tuple):
            window = {"kernel_shape": pair(part.kernel_size), "strides": pair(part.stride)}
            dilations = {"dilations": pair(part.dilation)}
            return "Conv", window | dilations | {"pads": 2 * pair(part.padding)}
        case nn.MaxPool2d() | nn.AvgPool2d() if not part.padding and not part.ceil_mode:
            name = "MaxPool" if isinstance(part, nn.MaxPool2d) else "AveragePool"
            window = {"kernel_shape": pair(part.kernel_size), "strides": pair(part.stride)}
            return name, window
    raise UnknownModelName(f"expected layers that an ONNX file is written of, got {part}")


if __name__ == "__main__":
    build(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:] == ["private"])
