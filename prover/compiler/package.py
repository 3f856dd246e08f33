"""What the compiler made, as files: the source of a program, integer weights, the quantiser.

Another quantiser or framework can write the same three; `einproof model import` takes them.
"""

from __future__ import annotations

import json
from pathlib import Path

from prover.compiler.build import Compiled
from prover.compiler.public import Shown
from prover.folder import (
    RANGES,
    WEIGHTS,
    damage,
    pack_ranges,
    pack_weights,
    read,
    unpack_ranges,
    unpack_weights,
)
from prover.program.encode import decode, encode
from prover.program.validate import validate
from prover.quantizer import Quantizer

SOURCE, QUANTIZER, SHOWN = "source.bin", "quantizer.json", "shown.json"


def write_package(folder: Path, compiled: Compiled) -> None:
    """The three files, over any that are there; the weights are secret. And `ranges.json`, what the
    scales come from where they come from examples: for compiling again, not for proving; and
    `shown.json`, which parameters the program shows, where that is known."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SOURCE).write_bytes(encode(compiled.program))
    (folder / WEIGHTS).write_bytes(pack_weights(compiled.weights))
    text = json.dumps(compiled.quantizer.to_dict(), indent=2) + "\n"
    (folder / QUANTIZER).write_text(text, encoding="ascii")
    if compiled.ranges:
        (folder / RANGES).write_bytes(pack_ranges(compiled.ranges))
    if compiled.shown is not None:
        found = [list(one) for one in compiled.shown]
        (folder / SHOWN).write_text(json.dumps(found) + "\n", encoding="ascii")
    else:
        (folder / SHOWN).unlink(missing_ok=True)  # another program's


def read_package(folder: Path) -> Compiled:
    """The inverse; raises ModelDamaged, naming the file."""
    with damage(SOURCE):
        program = decode(read(folder, SOURCE))
        validate(program)
    with damage(QUANTIZER):
        quantizer = Quantizer.from_dict(json.loads(read(folder, QUANTIZER)))
    with damage(WEIGHTS):
        weights = unpack_weights(read(folder, WEIGHTS))
    ranges, shown = {}, None
    if (folder / RANGES).is_file():
        with damage(RANGES, TypeError):
            ranges = unpack_ranges(read(folder, RANGES))
    if (folder / SHOWN).is_file():
        with damage(SHOWN, TypeError):
            shown = _shown(json.loads(read(folder, SHOWN)))
    return Compiled(program, weights, quantizer, ranges, shown)


def _shown(found: object) -> tuple[Shown, ...]:
    if not isinstance(found, list):
        raise ValueError(f"expected a list of what is shown, got {found!r}")
    for one in found:
        if not (isinstance(one, list) and len(one) == 2 and all(isinstance(s, str) for s in one)):
            raise ValueError(f"expected a parameter and what of it is shown, got {one!r}")
    return tuple(Shown(*one) for one in found)
