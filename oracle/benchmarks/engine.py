"""Times one model's integers beside its floats, both in torch on the same device.

python -m oracle.benchmarks.engine FOLDER NAME RUNS DEVICE    prints one line of JSON

FOLDER is what `oracle.benchmarks.models` wrote. The interpreter, which defines the semantics, runs
too, on the processors: all of its tensors and the engine's have to be equal.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from prover.errors import EinproofError


class EnginesDiffer(EinproofError):
    """The torch engine and the interpreter answered differently."""


def measure(folder: Path, name: str, runs: int, on: str = "cpu") -> dict[str, Any]:
    """Medians of seconds for the whole batch, from input to answer in the processors' memory:
    engine_s, interpreter_s, float_torch_s. Each sits out its first run. Raises EnginesDiffer,
    DeviceMissing."""
    import torch

    from oracle.adapters.torch_engine import Network, device
    from oracle.benchmarks.models import named
    from oracle.benchmarks.proving import timed
    from prover.compiler.package import read_package
    from prover.program.interpret import interpret

    compiled, floats = read_package(folder / "package"), np.load(folder / "input.npy")
    program, spec = compiled.program, compiled.quantizer.input
    tensor = program.tensors[program.named(spec.tensor)]
    given = {spec.tensor: compiled.quantizer.quantize(floats).reshape(tensor.shape)}
    network = Network(program, compiled.weights, on)
    module = named(name).train()[0].to(device(on))
    wanted = torch.tensor(floats, dtype=torch.int64 if named(name).whole else torch.float32)

    def in_floats() -> Any:
        with torch.no_grad():
            return module(wanted.to(device(on))).cpu()

    def seconds(work: Any) -> float:
        return median(timed(work)[0] for _ in range(runs))

    defined = interpret(program, {**compiled.weights, **given})
    for tensor_name, cells in network.run(given).items():
        if not np.array_equal(cells, defined[tensor_name]):
            raise EnginesDiffer(f"{tensor_name}: expected the interpreter's integers, got others")
    in_floats()
    found = {
        "engine_s": seconds(lambda: network.run(given)),
        "interpreter_s": seconds(lambda: interpret(program, {**compiled.weights, **given})),
        "float_torch_s": seconds(in_floats),
    }
    found |= {"engine_over_float": found["engine_s"] / found["float_torch_s"]}
    return found if on == "cpu" else {"device": torch.cuda.get_device_name(), **found}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])))
