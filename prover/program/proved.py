"""What a program computes as far as proofs go: every tensor bounded by what is proved of it.

Declared bounds may be narrower: an input's, which a user's quantiser keeps, or those within which a
network was measured. No proof knows them (docs/protocol/gadgets.md#values). So whoever says under
stake that an input has no answer runs this program: it refuses just what has no proof.
"""

from __future__ import annotations

from dataclasses import replace

from prover.program.ir import Program, Role, Tensor
from prover.program.validate import validate


def proved(program: Program) -> Program:
    """The program with its tensors' proved bounds in place of the declared ones, but for weights
    and tables, which are given. Raises InvalidProgram."""
    bounds = validate(program)

    def bounded(tensor: Tensor) -> Tensor:
        if tensor.role in (Role.WEIGHT, Role.TABLE):
            return tensor
        lo, hi = bounds[tensor.name]
        return replace(tensor, lo=lo, hi=hi)

    return replace(program, tensors=tuple(map(bounded, program.tensors)))
