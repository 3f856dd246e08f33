"""What a function's table is off by at most, as the compiler states it: of all inputs, not some."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from oracle.accuracy import measure
from oracle.zoo.entry import Entry, compiled_entry
from prover.compiler import compile_graph
from prover.compiler.build import record_ranges
from prover.compiler.lower.activation import FUNCTIONS, TARGETS, Function, function, table_error
from prover.compiler.trace import Node, trace
from tests.transformers import Block, answer, inputs

Ends = tuple[float, float]
WIDE = (-3.0, 3.0)
CASES: dict[tuple[str, str], tuple[Callable[..., Any], Ends]] = {
    ("aten.gelu.default", ""): (F.gelu, WIDE),
    ("aten.gelu.default", "far"): (F.gelu, (-40.0, 17.0)),
    ("aten.gelu.default", "tanh"): (lambda x: F.gelu(x, approximate="tanh"), (-0.01, 5.0)),
    ("aten.silu.default", ""): (F.silu, WIDE),
    ("aten.sigmoid.default", ""): (torch.sigmoid, (-9.0, 6.0)),
    ("aten.tanh.default", ""): (torch.tanh, WIDE),
    ("aten.erf.default", ""): (torch.erf, WIDE),
    ("aten.erfc.default", ""): (torch.erfc, WIDE),
    ("aten.sin.default", ""): (torch.sin, WIDE),
    ("aten.sin.default", "many turns"): (torch.sin, (-500.0, 900.0)),
    ("aten.cos.default", ""): (torch.cos, (0.0, 50.0)),
    ("aten.atan.default", ""): (torch.atan, WIDE),
    ("aten.asinh.default", ""): (torch.asinh, (-30.0, 3.0)),
    ("aten.sinh.default", ""): (torch.sinh, WIDE),
    ("aten.cosh.default", ""): (torch.cosh, WIDE),
    ("aten.exp.default", ""): (torch.exp, (-6.0, 2.0)),
    ("aten.exp2.default", ""): (torch.exp2, WIDE),
    ("aten.expm1.default", ""): (torch.expm1, WIDE),
    ("aten.log.default", ""): (torch.log, (2.0, 4.0)),
    ("aten.log.default", "near zero"): (torch.log, (0.5, 4.0)),
    ("aten.log2.default", ""): (torch.log2, (2.0, 4.0)),
    ("aten.log10.default", ""): (torch.log10, (2.0, 4.0)),
    ("aten.log1p.default", ""): (torch.log1p, (2.0, 4.0)),
    ("aten.log_sigmoid.default", ""): (F.logsigmoid, WIDE),
    ("aten.selu.default", ""): (F.selu, WIDE),
    ("aten.mish.default", ""): (F.mish, WIDE),
    ("aten.elu.default", ""): (F.elu, WIDE),
    ("aten.elu.default", "falls"): (lambda x: F.elu(x, -0.7), WIDE),
    ("aten.celu.default", ""): (lambda x: F.celu(x, 0.7), WIDE),
    ("aten.celu.default", "grows"): (lambda x: F.celu(x, -2.0), WIDE),
    ("aten.softplus.default", ""): (F.softplus, WIDE),
    ("aten.softplus.default", "jumps"): (lambda x: F.softplus(x, 2.0, 1.4), WIDE),
    ("einproof.power", "a root"): (lambda x: x ** (1 / 3), (2.0, 4.0)),
    ("einproof.power", "a power"): (lambda x: x**2.5, (0.1, 3.0)),
}
NEAR_ZERO = 0.002  # of the two that are defined above 0 and recorded close to it


class Applied(nn.Module):
    """A function of the input itself, by way of the product that every program has."""

    def __init__(self, own: Callable[..., Any]) -> None:
        super().__init__()
        self.function = own
        self.same = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.ones_(self.same.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.function(self.same(x))
        return made


def test_every_function_that_has_a_table_is_here() -> None:
    plain = {target.replace("_.default", ".default") for target in TARGETS}
    assert {target for target, _ in CASES} == plain


@pytest.mark.parametrize(("target", "which"), CASES)
def test_no_input_is_further_off_than_stated(target: str, which: str) -> None:
    """Every input on its scale that the table has a row for, beside torch: within what is stated,
    which the worst of them comes close to."""
    own, (lo, hi) = CASES[target, which]
    module, width = Applied(own), hi - lo
    least = NEAR_ZERO if 0 < lo < width / 4 else lo - 0.24 * width
    most = hi + 0.24 * width
    scale = math.floor(math.log2(32767 / max(abs(least), abs(most))))
    first, last = (math.ldexp(end, scale) for end in (least, most))
    x = np.ldexp(np.arange(math.ceil(first), math.floor(last) + 1), -scale)[:, None]
    graph = trace(module, x.shape)
    assert target in {node.target for node in graph.nodes}
    recorded = record_ranges(graph, (least, most), np.clip(x, lo, hi)[None])
    made = compile_graph(graph, (least, most), ranges=recorded)
    assert made.quantizer.input.exponent == scale
    (stated,) = made.errors.values()
    floats = own(torch.tensor(x)).numpy()
    found = np.abs(answer(made, x).reshape(x.shape) - floats).max()
    assert found <= stated * (1 + 1e-9)
    assert least == NEAR_ZERO or found > 0.9 * stated


def of_numbers(target: str, *args: float) -> Function:
    return function(Node("f", target, (None, *args), ()), (None, *args))


COARSE = {target: (f, f.above) for target, f in FUNCTIONS.items()} | {
    "gelu": (of_numbers("aten.gelu.default", "none"), -math.inf),  # type: ignore[arg-type]
    "gelu tanh": (of_numbers("aten.gelu.default", "tanh"), -math.inf),  # type: ignore[arg-type]
    "elu": (of_numbers("aten.elu.default", -0.7, 1, 1), -math.inf),
    "celu": (of_numbers("aten.celu.default", -2.0), -math.inf),
    "softplus": (of_numbers("aten.softplus.default", 2.0, 1.4), -math.inf),
}


@pytest.mark.parametrize("exponent", [-3, -1, 1])
@pytest.mark.parametrize("name", COARSE)
def test_where_a_function_turns_within_a_row_is_seen(name: str, exponent: int) -> None:
    """Rows so far apart that between them it rises and falls; each looked at by itself."""
    f, above = COARSE[name]
    first = max(-5, math.floor(math.ldexp(above, exponent)) + 1) if above > -math.inf else -5
    places = np.arange(first, 5, dtype=np.float64)
    table = np.rint(f.value(np.ldexp(places, -exponent)) * 64) / 64
    for row, (place, value) in enumerate(zip(places, table, strict=True)):
        x = np.ldexp(np.linspace(place - 0.5, place + 0.5, 20001), -exponent)
        found = np.abs(value - f.value(x[x > above])).max()
        stated = table_error(f, table[row : row + 1], int(place), exponent)
        assert found * (1 - 1e-9) - 1e-12 <= stated < math.inf, place
        if place - 0.5 > math.ldexp(above, exponent):  # where f has an end, it is the last number's
            assert stated <= found * 1.01 + 1e-4, place


def test_the_report_has_it_beside_what_was_measured() -> None:
    """In the same units, of each block where they are stacked; of what has no table, nothing."""
    torch.manual_seed(0)
    module = nn.Sequential(*(Block(8, 2, 16) for _ in range(2))).double()
    entry = Entry(module, (1, 4, 8), (-3, 3), inputs(1, 8, 1, 4, 8), inputs(2, 6, 1, 4, 8))
    made = compiled_entry(entry)
    assert len(made.program.stacks) == 1
    report = measure(entry, made)
    rows = [row for row in report.layers if row.table is not None]
    assert [row.operator for row in rows] == ["aten.gelu.default"] * 2
    (stated,) = made.errors.values()
    assert [row.table for row in rows] == [pytest.approx(stated / row.width) for row in rows]
    assert stated < 0.01
