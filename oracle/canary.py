"""The canary: one statement that is false, as anyone can compute by hand.

    program   output = relu(input), two cells, no weights and no tables
    input     (1, 1)
    output    (0, 0), where (1, 1) is right

A proof of it shows that the verifier is broken, or that the secret of its SRS is known: whoever
hands it to GuardedVerifier.stop stops that version for ever. The model has no secret, so its id
follows from the SRS.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from oracle.domain import ids
from prover.kernels import get
from prover.model import Model
from prover.program.ir import Affine, Expr, Index, Program, Relu, Role, Tensor, View
from prover.quantizer import Quantizer, Scaled
from prover.srs import Srs

CELLS = 2
INPUT, FALSE_OUTPUT = (1, 1), (0, 0)


@dataclass(frozen=True)
class Canary:
    """The statement as a verifier takes it; `hash` is what its guard keeps."""

    model: Model
    input: bytes
    output: bytes

    @property
    def hash(self) -> bytes:
        """keccak256(abi.encode(model id, input, output))."""
        return ids.statement(self.model.id, self.input, self.output)


def canary(srs: Srs) -> Canary:
    """The canary of verifiers under this SRS."""
    model = Model.create(_program(), {}, _quantizer(), get(), srs, key=bytes(32))
    values = {"input": np.array(INPUT)}, {"output": np.array(FALSE_OUTPUT)}
    return Canary(model, model.encode(Role.INPUT, values[0]), model.encode(Role.OUTPUT, values[1]))


def _program() -> Program:
    given = Tensor("input", (CELLS,), Role.INPUT, -128, 127)
    made = Tensor("output", (CELLS,), Role.OUTPUT, 0, 255)
    expr = Expr((CELLS,), 1, linear=Affine(((1, View(0, (Index(0),))),)))
    return Program(4, (given, made), (Relu(1, expr, shift=0, bits=8),))


def _quantizer() -> Quantizer:
    return Quantizer(Scaled("input", (CELLS,), 0, -128, 127), Scaled("output", (CELLS,), 0, 0, 255))
