"""What the compiler made, as files: the source of a program, integer weights, the quantiser.

Another quantiser or framework can write the same three; `einproof model import` takes them.
"""

from __future__ import annotations

import json
from pathlib import Path

from prover.compiler.build import Compiled
from prover.folder import WEIGHTS, damage, pack_weights, read, unpack_weights
from prover.program.encode import decode, encode
from prover.program.validate import validate
from prover.quantizer import Quantizer

SOURCE, QUANTIZER, RANGES = "source.bin", "quantizer.json", "ranges.json"


def write_package(folder: Path, compiled: Compiled) -> None:
    """The three files, over any that are there; the weights are secret. And `ranges.json`, what the
    scales come from where they come from examples: for compiling again, not for proving."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOURCE).write_bytes(encode(compiled.program))
    (folder / WEIGHTS).write_bytes(pack_weights(compiled.weights))
    text = json.dumps(compiled.quantizer.to_dict(), indent=2) + "\n"
    (folder / QUANTIZER).write_text(text, encoding="ascii")
    if compiled.ranges:
        recorded = json.dumps(compiled.ranges, indent=2) + "\n"
        (folder / RANGES).write_text(recorded, encoding="ascii")


def read_package(folder: Path) -> Compiled:
    """The inverse; raises ModelDamaged, naming the file."""
    with damage(SOURCE):
        program = decode(read(folder, SOURCE))
        validate(program)
    with damage(QUANTIZER):
        quantizer = Quantizer.from_dict(json.loads(read(folder, QUANTIZER)))
    with damage(WEIGHTS):
        weights = unpack_weights(read(folder, WEIGHTS))
    ranges = {}
    if (folder / RANGES).is_file():
        with damage(RANGES):
            ranges = _ranges(json.loads(read(folder, RANGES)))
    return Compiled(program, weights, quantizer, ranges)


def _ranges(found: object) -> dict[str, list[float]]:
    if not isinstance(found, dict):
        raise ValueError("expected ranges by name")
    made = {str(name): [float(end) for end in ends] for name, ends in found.items()}
    if any(len(ends) != 2 for ends in made.values()):
        raise ValueError("expected two ends a range")
    return made
