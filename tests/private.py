"""Small models with committed inputs and outputs, ready to prove; all of one tile size, so that
they chain."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from prover import kernels as tiers
from prover.api import Claim, Proved, Session, check
from prover.compiler import Compiled, compile_graph
from prover.compiler.trace import Graph
from prover.model import Model
from prover.program.interpret import interpret
from prover.srs import development_srs
from tests.mlps import linear, relu

K = 10
CONTEXT = b"context of a private proof".ljust(32, b".")
RANGE = (-1.0, 1.0)


def graph(widths: tuple[int, ...], batch: int, seed: int = 0) -> Graph:
    """A ReLU network of these widths."""
    rng, nodes = np.random.default_rng(seed), []
    for i, (inner, outer) in enumerate(pairwise(widths)):
        if i:
            nodes.append(relu(f"relu_{i}", (batch, inner)))
        nodes.append(
            linear(f"linear_{i}", batch, rng.normal(size=(outer, inner)), rng.normal(size=outer))
        )
    return Graph((batch, widths[0]), tuple(nodes))


def session(
    cache: Path,
    widths: tuple[int, ...],
    batch: int = 1,
    *,
    private_input: bool = False,
    private_output: bool = False,
    k: int = K,
) -> Session:
    """A model of random weights under the development SRS, its secrets held."""
    compiled = compile_graph(
        graph(widths, batch), RANGE, private_input=private_input, private_output=private_output
    )
    return opened(cache, compiled, k)


def opened(cache: Path, compiled: Compiled, k: int) -> Session:
    kernels = tiers.get("scalar")
    srs = development_srs(kernels, k, cache)
    made = Model.create(compiled.program, compiled.weights, compiled.quantizer, kernels, srs, k=k)
    return Session(made, kernels, srs)


def random_input(own: Session, seed: int = 0) -> np.ndarray:
    """Integers that the model takes."""
    spec = own.model.quantizer.input
    shape = own.model.program.tensors[own.model.program.named(spec.tensor)].shape
    return np.random.default_rng(seed).integers(spec.lo, spec.hi + 1, shape)


def expected(own: Session, values: np.ndarray) -> np.ndarray:
    """What the interpreter says of the quantiser's output."""
    name = own.model.quantizer.input.tensor
    found = interpret(own.model.program, {**own.model.owned.weights, name: values})
    return found[own.model.quantizer.output.tensor]


def claim(own: Session, data: bytes, proved: Proved) -> Claim:
    return Claim(CONTEXT, own.model.id, own.srs.id, data, proved.output, proved.proof)


def verified(own: Session, data: bytes, proved: Proved) -> Claim:
    """The claim, once it has been checked."""
    made = claim(own, data, proved)
    check(own.model, made, CONTEXT)
    return made
