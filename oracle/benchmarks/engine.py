"""Times one model's integers beside its floats, both in torch on the same processors.

python -m oracle.benchmarks.engine FOLDER NAME BATCH RUNS    prints one line of JSON

FOLDER is what `oracle.benchmarks.models` wrote. The interpreter, which defines the semantics, runs
too: its outputs and the engine's have to be equal.
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


def measure(folder: Path, name: str, batch: int, runs: int) -> dict[str, Any]:
    """Medians of seconds for the whole batch: engine_s, interpreter_s, float_torch_s. Each sits out
    its first run. Raises EnginesDiffer."""
    import torch

    from oracle.adapters.torch_engine import Network
    from oracle.benchmarks.models import named
    from oracle.benchmarks.proving import timed
    from prover.compiler.package import read_package
    from prover.program.interpret import interpret
    from prover.program.ir import Role

    compiled, floats = read_package(folder / "package"), np.load(folder / "input.npy")
    program, spec = compiled.program, compiled.quantizer.input
    tensor = program.tensors[program.named(spec.tensor)]
    given = {spec.tensor: compiled.quantizer.quantize(floats).reshape(tensor.shape)}
    network = Network(program, compiled.weights)
    module, _ = named(name).train()
    wanted = torch.tensor(floats, dtype=torch.int64 if named(name).whole else torch.float32)

    def in_floats() -> Any:
        with torch.no_grad():
            return module(wanted)

    def seconds(work: Any) -> float:
        return median(timed(work)[0] for _ in range(runs))

    made, defined = network.run(given), interpret(program, {**compiled.weights, **given})
    for i in program.with_role(Role.OUTPUT):
        output = program.tensors[i].name
        if not np.array_equal(made[output], defined[output]):
            raise EnginesDiffer(f"{output}: expected the interpreter's integers, got others")
    in_floats()
    found = {
        "engine_s": seconds(lambda: network.run(given)),
        "interpreter_s": seconds(lambda: interpret(program, {**compiled.weights, **given})),
        "float_torch_s": seconds(in_floats),
    }
    return found | {"engine_over_float": found["engine_s"] / found["float_torch_s"]}


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
