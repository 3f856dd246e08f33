"""A model too large to prove in one piece: its segments, each a model of its own, in order.

    composition = Composition.divide(model, kernels, srs, 8);  composition.save(folder)
    states = Composition.load(folder).run(data)

Segments' folders are 0, 1, ... beside composition.json, which names the id. Who checks answers
needs the weights: a composition is for models whose weights are public (docs/assurance.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from eth_hash.auto import keccak

from prover.folder import ModelDamaged, ModelNotFound, damage
from prover.kernels.interface import Kernels
from prover.model import Model
from prover.program.evaluate import Ints
from prover.program.interpret import interpret
from prover.program.ir import Program, Role
from prover.program.layout import default_k
from prover.program.proved import proved
from prover.program.segments import divide
from prover.program.unroll import layer_weights, unroll
from prover.quantizer import Quantizer, Scaled
from prover.srs import Srs

FORMAT = keccak(b"einproof/composition/v1")
FILE = "composition.json"


def composition_id(ids: list[bytes]) -> bytes:
    """keccak256(abi.encode(keccak256("einproof/composition/v1"), ids)), as compose computes it."""
    head = FORMAT + (64).to_bytes(32, "big") + len(ids).to_bytes(32, "big")
    return keccak(head + b"".join(ids))


@dataclass(frozen=True, eq=False)
class Composition:
    """What a segment writes, the next one reads."""

    segments: tuple[Model, ...]

    @classmethod
    def divide(cls, model: Model, kernels: Kernels, srs: Srs, count: int) -> Composition:
        """Up to `count` segments of a model, under its blinding key; raises NotDivisible, or
        SecretsMissing for a model without its weights."""
        owned = model.owned
        programs = divide(unroll(model.program), count)
        made = []
        for i, program in enumerate(programs):
            spec = model.quantizer
            input = spec.input if i == 0 else _raw(program, Role.INPUT)
            output = spec.output if i == len(programs) - 1 else _raw(program, Role.OUTPUT)
            weights = layer_weights(program, owned.weights)
            quantizer = Quantizer(input, output)
            k = min(default_k(program), srs.k_max)  # a whole may have been built with smaller tiles
            kept = (program, weights, quantizer, kernels, srs)
            made.append(Model.create(*kept, k=k, key=owned.key))
        return cls(tuple(made))

    @cached_property
    def id(self) -> bytes:
        """What requests name."""
        return composition_id([model.id for model in self.segments])

    def run(self, data: bytes) -> list[bytes]:
        """The bytes between segments for a statement's input: it first, the output last. The hash
        of each is a state. Only what has no proof is refused (prover.program.proved): raises
        ValueRefused or WrongLength, as an input with no answer does."""
        run = [data]
        for model in self.segments:
            program = proved(model.program)
            given: Mapping[str, Ints] = model.decode(Role.INPUT, run[-1], program)
            values = interpret(program, {**model.owned.weights, **given})
            run.append(model.encode(Role.OUTPUT, values, program=program))
        return run

    def save(self, folder: Path) -> None:
        """Writes a folder a segment, and their list; raises ModelExists."""
        folder.mkdir(parents=True, exist_ok=True)
        for i, model in enumerate(self.segments):
            model.save(folder / str(i))
        record = {
            "format": "einproof/composition",
            "version": 1,
            "id": "0x" + self.id.hex(),
            "segments": ["0x" + model.id.hex() for model in self.segments],
        }
        text = json.dumps(record, indent=2) + "\n"
        (folder / FILE).write_text(text, encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> Composition:
        """The inverse; raises ModelNotFound, or ModelDamaged where the list names others."""
        listed = segment_ids(folder)
        made = cls(tuple(Model.load(folder / str(i)) for i in range(len(listed))))
        for i, (model, named) in enumerate(zip(made.segments, listed, strict=True)):
            if named != model.id:
                raise ModelDamaged(f"segment {i}: expected 0x{named.hex()}, got 0x{model.id.hex()}")
        return made


def segment_ids(folder: Path) -> list[bytes]:
    """The ids that a composition's folder lists; raises ModelNotFound, or ModelDamaged if its id is
    not theirs."""
    if not (folder / FILE).is_file():
        raise ModelNotFound(f"expected a composition at {folder}, got no {FILE} there")
    with damage(FILE, KeyError, TypeError, ValueError):
        record = json.loads((folder / FILE).read_bytes())
        ids = [bytes.fromhex(named[2:]) for named in record["segments"]]
        known = bytes.fromhex(record["id"][2:])
    if known != composition_id(ids):
        raise ModelDamaged(f"{FILE}: its id is not that of its segments")
    return ids


def _raw(program: Program, role: Role) -> Scaled:
    """The first tensor of a boundary, as the integers that it is."""
    tensor = program.tensors[program.with_role(role)[0]]
    return Scaled(tensor.name, tensor.shape, 0, tensor.lo, tensor.hi)
