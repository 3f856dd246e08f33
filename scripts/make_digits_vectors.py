"""Trains, quantises and writes tests/vectors/v1/digits, so that no test has to train.

Run it only to change the vectors: every proof and snapshot made from them changes too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from oracle.adapters.torch_engine import Network
from oracle.examples import digits
from prover.compiler import compile_module
from prover.compiler.package import write_package

FOLDER = Path(__file__).parent.parent / "tests" / "vectors" / "v1" / "digits"


def main() -> None:
    training, held_out = digits.load()
    module = digits.train(training)
    compiled = compile_module(module, digits.INPUT_SHAPE, digits.INPUT_RANGE)
    write_package(FOLDER, compiled)
    save_file(module.state_dict(), FOLDER / "float.safetensors")
    sixteenths = np.rint(held_out.images * 16).astype(int)
    network = Network(compiled.program, compiled.weights)
    inputs = np.stack([compiled.quantizer.quantize(image[None]) for image in held_out.images])
    logits = network.run_batch({"input": inputs})["output"][:, 0]
    cases = {
        "pixels": ["".join(f"{p:02d}" for p in image) for image in sixteenths],
        "labels": held_out.labels.tolist(),
        "logits": logits.tolist(),
    }
    (FOLDER / "held_out.json").write_text(json.dumps(cases) + "\n", encoding="ascii")
    print(f"accuracy in integers: {digits.accuracy(logits, held_out.labels):.4f}")


if __name__ == "__main__":
    main()
