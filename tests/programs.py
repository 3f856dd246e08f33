"""Small programs for tests: a hand-made MLP, and random programs over every gadget, view and role of format v1."""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

from prover.program.interpret import interpret
from prover.program.ir import (
    FIXED,
    Affine,
    Contraction,
    Expr,
    Gather,
    Index,
    Linear,
    Op,
    Program,
    Range,
    Relu,
    Requantize,
    Role,
    Table,
    Tensor,
    View,
)


@dataclass
class Case:
    """A program with the tensors that it is given, and all values."""

    program: Program
    given: dict[str, np.ndarray]

    @property
    def values(self) -> dict[str, np.ndarray]:
        return interpret(self.program, self.given)


def view(tensor: int, *axes: int) -> View:
    return View(tensor, tuple(Index(a) for a in axes))


def one(tensor: int, *axes: int) -> Affine:
    return Affine(((1, view(tensor, *axes)),))


def mlp(widths: list[int], batch: int = 1, limb: int = 8, seed: int = 0) -> Case:
    """Random weights; ReLU between layers, int16 logits out."""
    rng = np.random.default_rng(seed)
    tensors = [Tensor("input", (batch, widths[0]), Role.INPUT, -128, 127)]
    ops: list[Op] = []
    given = {"input": rng.integers(-128, 128, (batch, widths[0]))}
    reach, source = 128, 0
    for layer, (inner, outer) in enumerate(zip(widths, widths[1:], strict=False)):
        last = layer == len(widths) - 2
        weight, bias, out = len(tensors), len(tensors) + 1, len(tensors) + 2
        tensors.append(Tensor(f"w{layer}", (outer, inner), Role.WEIGHT, -128, 127))
        tensors.append(Tensor(f"b{layer}", (outer,), Role.WEIGHT, -(1 << 20), 1 << 20))
        given[f"w{layer}"] = rng.integers(-128, 128, (outer, inner))
        given[f"b{layer}"] = rng.integers(-1000, 1000, (outer,))
        reach = inner * 128 * reach + (1 << 20)
        shift = max(0, reach.bit_length() - 14)
        reach = (reach >> shift) + 1
        role = Role.OUTPUT if last else Role.ACTIVATION
        tensors.append(Tensor(f"y{layer}", (batch, outer), role, -32768, 32767))
        expr = Expr(
            (batch, outer, inner), 2, (Contraction(one(weight, 1, 2), one(source, 0, 2)),), one(bias, 1)
        )
        ops.append((Requantize if last else Relu)(out, expr, shift, 16))
        source = out
    return Case(Program(limb, tuple(tensors), tuple(ops)), given)
