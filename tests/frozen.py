"""Frozen proofs (tests/vectors/v1/proofs) and the sizes that go with them (tests/snapshots).

A vector holds all that its proof is a function of; making one again gives the same bytes, on any
machine and kernel tier, for as long as the format is version 1.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
from eth_hash.auto import keccak

from prover.curve import POINT_BYTES, decode_point, encode_point
from prover.program.encode import decode, encode
from prover.program.format import parse, serialize
from prover.program.ir import (
    Argmax,
    Divide,
    Floor,
    Gather,
    Linear,
    Max,
    Op,
    Program,
    Relu,
    Requantize,
    Role,
    Rsqrt,
    Table,
)
from prover.program.layout import layout
from prover.srs import development_id, development_s_g2
from prover.statement import Statement
from prover.verify import VerifyingKey, verify
from tests import digits
from tests.programs import Case, Generator, mlp
from tests.proving import BLINDING_KEY, ENTROPY, setup
from tests.stacks import blocks

FORMAT = "einproof/proof-vector/v1"
FOLDER = Path(__file__).parent / "vectors" / "v1" / "proofs"
SIZES = Path(__file__).parent / "snapshots" / "sizes.json"
SEED = 12  # of a program that also has every role, and a limb of 8
NAMES = ("mlp", "digits", "every_gadget", "stack")
REMAKE = ".venv/bin/python -m scripts.make_proof_vectors"


def new_case(name: str) -> Case:
    """What a vector is made of when it is made anew."""
    if name == "mlp":
        return mlp([5, 4, 3], batch=2, limb=4)
    if name == "every_gadget":
        return every_gadget(SEED)
    if name == "stack":
        return blocks(3)
    compiled = digits.compiled()
    image = compiled.quantizer.quantize(digits.held_out().images[:1])
    return Case(compiled.program, {**compiled.weights, compiled.quantizer.input.tensor: image})


def every_gadget(seed: int) -> Case:
    """A random program with each gadget, committed tensors on both sides among its tensors."""
    made = Generator(seed)
    for name, role in (("in", Role.INPUT), ("secret", Role.INPUT_COMMITTED), ("w", Role.WEIGHT)):
        made.give(name, role, (3, 4), 60)
    makers = {
        made.rounded: {Linear, Relu, Requantize},
        made.table: {Table},
        made.floor: {Floor},
        made.gather: {Gather},
        made.choose: {Max, Argmax},
        made.divide: {Divide},
        made.root: {Rsqrt},
    }
    number = 0
    while missing := set(get_args(Op)) - {type(op) for op in made.ops}:
        number += made.rng.choice([m for m, kinds in makers.items() if kinds & missing])(number)
    made.rounded(number, Requantize)
    return Case(Program(made.limb, tuple(made.tensors), tuple(made.ops)), made.given)


@dataclass(frozen=True)
class Frozen:
    """A vector as its file holds it; the README beside it says what the fields are."""

    fields: dict[str, Any]

    @classmethod
    def read(cls, name: str) -> Frozen:
        return cls(json.loads((FOLDER / f"{name}.json").read_text()))

    @property
    def case(self) -> Case:
        given = {
            name: np.array(tensor["cells"], dtype=np.int64).reshape(tensor["shape"])
            for name, tensor in self.fields["given"].items()
        }
        return Case(decode(self.bytes("program")), given)

    @property
    def statement(self) -> Statement:
        return Statement(
            *(
                bytes.fromhex(self.fields["statement"][name])
                for name in ("context", "model_id", "srs_id", "input", "output")
            )
        )

    @property
    def key(self) -> VerifyingKey:
        """From the file and the published SRS alone."""
        verifier = parse(serialize(layout(self.case.program, self.fields["k"]).verifier))
        points = self.bytes("fixed_points")
        starts = range(0, len(points), POINT_BYTES)
        fixed = tuple(decode_point(points[i : i + POINT_BYTES]) for i in starts)
        return VerifyingKey(
            self.statement.model_id, verifier, fixed, development_id(), development_s_g2()
        )

    def bytes(self, name: str) -> bytes:
        return bytes.fromhex(self.fields[name])

    def remade(self, tier: str | None = None) -> Frozen:
        """The same from the program and the given tensors."""
        return make(self.fields["name"], self.case, self.fields["k"], tier)


def make(name: str, case: Case, k: int | None = None, tier: str | None = None) -> Frozen:
    made = setup(case, k, tier)
    section = serialize(made.layout.verifier)
    statement = made.statement
    return Frozen(
        {
            "format": FORMAT,
            "name": name,
            "k": made.layout.k,
            "entropy": ENTROPY.hex(),
            "blinding_key": BLINDING_KEY.hex(),
            "program": encode(case.program).hex(),
            "given": {
                tensor: {"shape": list(cells.shape), "cells": cells.reshape(-1).tolist()}
                for tensor, cells in sorted(case.given.items())
            },
            "verifier_section_keccak256": keccak(section).hex(),
            "fixed_points": b"".join(map(encode_point, made.key.fixed_points)).hex(),
            "statement": {
                "context": statement.context.hex(),
                "model_id": statement.model_id.hex(),
                "srs_id": statement.srs_id.hex(),
                "input": statement.input.hex(),
                "output": statement.output.hex(),
            },
            "proof": made.prove().hex(),
        }
    )


def sizes(frozen: Frozen) -> dict[str, int]:
    """What a change of the layout must not make worse unnoticed."""
    plan = layout(frozen.case.program, frozen.fields["k"])
    verifier = plan.verifier
    return {
        "k": verifier.k,
        "proof_bytes": verifier.proof_bytes,
        "verifier_section_bytes": len(serialize(verifier)),
        "fixed_tiles": verifier.fixed_tiles,
        "kernels": len(verifier.kernels),
        "terms": len(plan.terms),
        "products": len(verifier.products) + sum(map(len, verifier.sums)),
        "contractions": len(verifier.contractions),
    }


def write() -> None:
    """Every vector, and the sizes."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = {}
    for name in NAMES:
        frozen = make(name, new_case(name))
        verify(frozen.key, frozen.statement, frozen.bytes("proof"))
        lines = (f"  {json.dumps(key)}: {json.dumps(v)}" for key, v in frozen.fields.items())
        (FOLDER / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
        found[name] = sizes(frozen)
    SIZES.write_text(json.dumps(found, indent=2) + "\n")
