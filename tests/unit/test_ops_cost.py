"""What docs/protocol/ops.md says that a cell costs, counted in programs: committed cells with
hints, and lookups."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from prover.compiler import Compiled, compile_module
from prover.program import gadgets
from prover.program.ir import Role
from tests.transformers import Apply
from tests.unit.test_ops_doc import rows

ROWS, KEYS, MANY = 3, 7, 67  # primes: what is of every cell is a multiple of both
Cost = tuple[int, int]


def values(function: Callable[..., Any], keys: int = KEYS) -> Compiled:
    """A function of what a linear layer makes, which is stored unless the function rounds it."""
    torch.manual_seed(0)
    layer = nn.Linear(2, keys, dtype=torch.float64)
    module = Apply(function)
    module.linear = layer
    given = np.random.default_rng(0).uniform(-1, 1, (8, ROWS, 2))
    return compile_module(module, (ROWS, 2), (-1, 1), examples=given)


class OfIds(nn.Module):
    """A function of token ids, summed: a program has a product."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.function(x).sum(-1)
        return made


def ids(function: Callable[..., Any]) -> Compiled:
    given = np.random.default_rng(0).integers(0, 10, (8, ROWS, KEYS))
    return compile_module(OfIds(function), (ROWS, KEYS), (0, 9), examples=given, whole=True)


def cost(made: Compiled, keys: int = KEYS) -> Cost:
    """Cells and lookups of each of rows x keys, at a limb of 16 bits; not those of a row, nor the
    statement's."""
    relations = gadgets.expand(replace(made.program, limb=16))
    own = [t for t in relations.tensors if t.role == Role.ACTIVATION and t.name != "input.copy"]
    sizes = [t.size for t in own], [math.prod(lookup.axes) for lookup in relations.lookups]
    cells, lookups = (sum(n // (ROWS * keys) for n in some if n % keys == 0) for some in sizes)
    return cells, lookups


def stated(row: str) -> list[Cost]:
    """Cells and lookups in the row that begins so; of what has two costs, both."""
    (found,) = (cells for cells in rows() if cells[0].startswith(row))
    return [(int(a), int(b)) for a, b in re.findall(r"(\d+) cells?, (\d+) lookups?", found[3])]


def without_rounding(made: Compiled) -> Cost:
    """Of what reads stored cells: 2 cells and 2 lookups less."""
    cells, lookups = cost(made)
    return cells - 2, lookups - 2


def test_what_rounds_its_argument_costs_what_the_page_says() -> None:
    assert stated("`gelu`") == [cost(values(F.gelu))]
    assert stated("`relu`") == [cost(values(F.relu))]
    assert stated("`argmax`") == [cost(values(lambda y: y.argmax(-1)))]
    few, many = values(lambda y: y.softmax(-1)), values(lambda y: y.softmax(-1), MANY)
    assert stated("`softmax`") == [cost(few), cost(many, MANY)]


def test_what_reads_stored_cells_costs_what_the_page_says() -> None:
    """A root rounds its own radicand besides."""
    assert stated("`amax`") == [without_rounding(values(lambda y: y.amax(-1)))]
    assert stated("`rsqrt`") == [without_rounding(values(lambda y: (y * y + 1).rsqrt()))]
    above = values(lambda y: (y > 0.1).sum(-1))
    assert stated("`gt`, `ge`, `lt`, `le` of any numbers") == [without_rounding(above)]


def test_comparisons_of_ids_cost_what_the_page_says() -> None:
    assert stated("`ne`") == [cost(ids(lambda x: x != 0))]
    assert stated("`ge`") == [cost(ids(lambda x: x >= 3))]
