"""A hundred operators (tests/unnamed.py) and forty small networks (tests/unnamed_networks.py,
tests/unnamed_ids.py) are imported, bit-equal in both engines and close to float torch, some of them
proved; what is not is refused, with the operator and the reason, never with an error of Python's or
numpy's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prover.compiler import CompileError, UnsupportedOp, compile_module
from prover.compiler.build import compile_graph, record_ranges
from prover.compiler.equalize import equalized
from prover.compiler.errors import RangesMismatch
from prover.compiler.ranges import Ranges, evaluate
from prover.compiler.trace import trace
from prover.program.ir import Role
from tests.commands import refused, run
from tests.convolutions import RANGE, Apply, assert_agreed, assert_close, inputs
from tests.evm import Chain
from tests.onchain import Deployment
from tests.proving import setup, srs_of
from tests.unit.test_compiler_transformer_attacks import assert_steps_are_bound
from tests.unnamed import OPERATORS, OPERATORS_OF_PLACES
from tests.unnamed_ids import NETWORKS_OF_IDS
from tests.unnamed_networks import NETWORKS

Tensor = torch.Tensor
EVERY = {**OPERATORS, **OPERATORS_OF_PLACES, **NETWORKS}
PROVED = [
    "cumsum", "rolled windows", "bilinear", "transposed, overlapping", "prelu of channels",
    "quotient", "where it is positive", "a U-Net", "attention without softmax",
    "learned queries", "patches and a class", "a denoiser", "windows of an image",
    "heads of a batch",
]  # fmt: skip


@pytest.mark.parametrize("name", EVERY)
def test_what_people_write_is_imported(name: str) -> None:
    module, shape = EVERY[name]
    assert_close(module, *shape)


@pytest.mark.parametrize("name", PROVED)
def test_some_are_proved(name: str) -> None:
    module, shape = EVERY[name]
    ready = setup(assert_close(module, *shape)[1])
    ready.verify(ready.prove())


def token_ids(seed: int, shape: tuple[int, ...]) -> Any:
    return np.random.default_rng(seed).integers(0, 10, shape)


@pytest.mark.parametrize("name", NETWORKS_OF_IDS)
def test_what_people_write_of_token_ids_is_imported_and_proved(name: str) -> None:
    module, shape = NETWORKS_OF_IDS[name]
    examples = token_ids(1, (24, *shape))
    made = compile_module(module.double(), shape, (0, 9), examples=examples, whole=True)
    ready = setup(assert_agreed(made, module, token_ids(2, shape), token_ids(3, shape)))
    ready.verify(ready.prove())


@pytest.mark.parametrize("name", ["cumsum", "transposed", "where it is positive", "sign"])
def test_every_step_that_is_wrong_breaks_a_relation(name: str) -> None:
    module, shape = EVERY[name]
    _, given = assert_close(module, *shape)
    assert_steps_are_bound(given, setup(given))


@pytest.mark.chain
@pytest.mark.slow
def test_a_chain_verifies_them(anvil: Chain) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 14))
    for name in ("rolled windows", "transposed", "quotient", "where it is positive"):
        module, shape = EVERY[name]
        own = deployment.setup(assert_close(module, *shape)[1])
        deployment.verify(own.statement, own.prove())


@pytest.mark.parametrize(
    ("function", "cells"),
    [
        (lambda x: x.flip(1).relu(), lambda x: x[:, ::-1]),
        (lambda x: x.roll(2, 1).relu(), lambda x: np.roll(x, 2, 1)),
        (lambda x: x.repeat(1, 2).relu(), lambda x: np.tile(x, (1, 2))),
        (lambda x: x[:, 1::2].relu(), lambda x: x[:, 1::2]),
    ],
)
def test_what_moves_cells_is_exact(function: Any, cells: Any) -> None:
    """Integer by integer, with no rounding."""
    made, given = assert_close(Apply(function), 2, 6)
    copied = [t.name for t in made.program.tensors if t.role == Role.ACTIVATION]
    stored = next(n for n in copied if n.split("_")[0] in ("flip", "roll", "repeat", "slice"))
    x = given.values["input"].reshape(2, 6)
    np.testing.assert_array_equal(given.values[stored], cells(x))


@pytest.mark.parametrize("kind", ["gt", "ge", "lt", "le"])
def test_comparisons_are_those_of_the_stored_integers(kind: str) -> None:
    compare = getattr(torch, kind)
    module = Apply(lambda x: torch.where(compare(x, 0.25), x, 0.0 * HALF) + HALF)
    made, given = assert_close(module, 3, 6)
    x = given.values["input"].reshape(3, 6)
    bound = 0.25 * 2**made.quantizer.input.exponent
    wanted = compare(torch.tensor(x), bound).numpy()
    stored = given.values[kind].reshape(3, 6).astype(bool)
    np.testing.assert_array_equal(stored, wanted if kind in ("gt", "lt") else ~wanted)


HALF = torch.tensor(0.5, dtype=torch.float64)
PLACES = torch.arange(6)

# --- refused ---


class Flow(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(x)
        return y * 2 if y.sum() > 0 else y


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(6))

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add_(1)
        return x + self.seen


class Weighing(nn.Module):
    def __init__(self, weight: float) -> None:
        super().__init__()
        self.linear = nn.Linear(6, 6).double()
        self.linear.weight.data[0, 0] = weight

    def forward(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.linear(x))


class Beside(nn.Module):
    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + y


class Keyed(nn.Module):
    def forward(self, x: Any) -> Tensor:
        made: Tensor = x["a"] * 2.0
        return made


def _first_written(y: Tensor) -> Tensor:
    y[:, 0] = 0.0
    return y


def _half_tripled(y: Tensor) -> Tensor:
    first, _ = y.chunk(2, -1)
    first.mul_(3)
    return y + 1


def _row_added(y: Tensor) -> Tensor:
    y[:, 0].add_(1)
    return y


NAN = float("nan")
LINEAR: dict[str, tuple[Any, str]] = {
    "complex numbers": (lambda y: torch.view_as_complex(y.view(2, 3, 2)).abs(), "view_as_complex"),
    "a spectrum": (lambda y: torch.fft.rfft(y).real, "fft_rfft"),
    "sorting": (lambda y: y.sort(-1)[0], "aten.sort"),
    "the greatest three": (lambda y: y.topk(3)[0], "aten.topk.*no sorting"),
    "the median": (lambda y: y.median(-1)[0], "aten.median"),
    "how many": (lambda y: y.nonzero(), "aten.nonzero.*fixed shape"),
    "those that are positive": (lambda y: y[y > 0], "aten.index.*fixed shape"),
    "scattered": (
        lambda y: torch.zeros(2, 6, dtype=y.dtype).scatter(1, y.argmax(-1, True), 1.0),
        "aten.scatter",
    ),
    "gathered": (lambda y: y.gather(1, y.argmax(-1, True)), "aten.gather"),
    "places of the input": (lambda y: y[y.argmax(0)], "aten.index.*depend on the input"),
    "one number": (lambda y: y * y[0, 0].item(), "aten.item"),
    "no number": (lambda y: y + NAN, "aten.add.*finite"),
    "no number among others": (lambda y: y + torch.tensor([1.0] * 5 + [NAN]), "add"),
    "times no number": (lambda y: y * torch.tensor([1.0] * 5 + [NAN]), "aten.mul.*finite"),
    "infinitely often": (lambda y: y * float("inf"), "aten.mul.*finite"),
    "by zero": (lambda y: y / 0, "aten.div.*finite"),
    "beyond all bounds": (lambda y: y + 1e30, "expected a shift"),
    "chosen or no number": (lambda y: torch.where(y > 0, y, NAN), "aten.where.*finite"),
    "compared with no number": (lambda y: torch.where(y > NAN, y, 0.0), "aten.gt"),
    "compared with what is far": (lambda y: torch.where(y > 1e9, y, 0.0), "aten.gt.*may reach"),
    "equal": (lambda y: torch.where(y == 0.5, y, 0.0), "aten.eq"),
    "the logarithm of negatives": (torch.log, "aten.log.*drive it to"),
    "over what may be zero": (lambda y: 1 / y, "drive its radicand"),
    "a power that depends": (lambda y: (y.abs() + 1) ** y, "aten.pow.Tensor_Tensor"),
    "rounded": (torch.round, "aten.round"),
    "a length beside what depends": (
        lambda y: y / y.norm(dim=-1, keepdim=True).clamp_min(y[:, :1]), "aten.clamp_min.Tensor",
    ),
    "a length beside several": (
        lambda y: y / y.norm(dim=-1, keepdim=True).clamp_min(torch.full((2, 1), 0.5)),
        "aten.clamp_min.Tensor",
    ),
    "filled with one of its cells": (
        lambda y: y + torch.full_like(y, y[0, 0].item()), "aten.full_like.*numbers of the code",
    ),
    "cut off": (lambda y: y.int() * 2, "aten.to.*cuts fractions off"),
    "truth": (lambda y: y > 0, "expected one tensor"),
    "truth by a cast": (lambda y: y.bool() * y, "aten.to.*cast to truth values: compare with 0"),
    "truth by the type of another": (lambda y: y.type_as(y > 0) * y, "cast to truth values"),
    "cut off as another is": (lambda y: y.type_as(PLACES) + y, "aten.to.*cuts fractions off"),
    "cut off within a norm": (
        lambda y: y * (y.int().double().square().mean(-1, True) + 1).rsqrt(), "aten.to.*cuts",
    ),
    "cut off within a rotation": (
        lambda y: torch.cat([-y.int()[:, 3:], y.int()[:, :3]], -1) * 0.5, "aten.to.*cuts",
    ),
    "random": (lambda y: y + torch.randn(6), "aten.randn.*random"),
    "random order": (lambda y: y[:, torch.randperm(6)], "aten.randperm.*random"),
    "random zeros": (lambda y: F.dropout(y, 0.5, True), "dropout.*random"),
    "no cells": (lambda y: y[:, :0], "with cells"),
    "factors of 16 bits": (lambda y: y.repeat(1, 4).diff(n=18), "expected factors below"),
    "a part changed in place": (_half_tripled, "in place, which others read"),
    "one changed in place": (_row_added, "aten.add_.*in place"),
    "one written in place": (_first_written, "in place, which others read"),
    "strides": (lambda y: y.as_strided((2, 2), (1, 2)), "as_strided"),
    "windows as a view": (lambda y: y.unfold(1, 3, 1), "aten.unfold"),
    "shares of one cell each": (
        lambda y: (y @ y.mT).unsqueeze(-1).softmax(-1).squeeze(-1) @ y, "more than one cell",
    ),
    "a running product": (lambda y: y.cumprod(1), "aten.cumprod"),
    "three factors": (lambda y: torch.einsum("ij,kj,lj->ikl", y, y, y), "einsum.*two operands"),
    "a diagonal": (lambda y: (y @ y.mT).diagonal(), "aten.diagonal"),
    "singular values": (torch.linalg.svdvals, "svdvals"),
    "a spread of one": (lambda y: y[:1].var(0), "aten.var.*more than 1"),
}  # fmt: skip
OTHERS: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "a branch": (Flow(), (2, 6), "torch.export refused the model: .*data-dependent"),
    "filled with a weight": (
        Apply(lambda x, m: m(x) + torch.full_like(x, m.bias[0].item()), nn.Linear(6, 6)),
        (2, 6), "aten.full_like.*numbers of the code beside a shape",
    ),
    "a counter": (Counter(), (2, 6), "aten.add_.*in place"),
    "a weight that is no number": (Weighing(NAN), (2, 6), "NaN or infinity"),
    "an infinite weight": (Weighing(float("inf")), (2, 6), "NaN or infinity"),
    "no outputs": (Apply(lambda x, m: m(x), nn.Linear(6, 0)), (2, 6), "with cells"),
    "a scalar": (Apply(lambda x: x * 2 + 1), (), "an input with cells"),
    "nothing given": (Apply(lambda x: x * 2 + 1), (0, 6), "with cells"),
    "two inputs": (Beside(), (2, 6), "missing a required argument"),
    "two outputs": (Apply(lambda x: (x * 2, x * 3)), (2, 6), "1 output, got 2"),
    "an input by name": (Keyed(), (2, 6), "torch.export refused the model"),
    "nothing": (Apply(lambda x: None), (2, 6), "one tensor with cells as the output, got None"),
    "a number": (Apply(lambda x: 3), (2, 6), "one tensor with cells as the output, got 3"),
    "a constant": (Apply(lambda x: torch.ones(3)), (2, 6), "depends on the input"),
    "no product": (Apply(torch.sigmoid), (2, 6), "at least one product"),
    "a long axis": (Apply(lambda x: x.cumsum(0)), (4096,), "4096 cells to 4096"),
    "five axes": (Apply(lambda x: x.softmax(-1)), (2,) * 5, "at most 4 axes"),
    "a kernel of the input": (
        Apply(lambda x: F.conv_transpose2d(x, x)), (1, 1, 4, 4), "constant kernel",
    ),
    "bicubic": (
        Apply(lambda x: F.interpolate(x, scale_factor=2, mode="bicubic")), (1, 1, 4, 4), "bicubic",
    ),
    "a state of the input": (
        Apply(
            lambda x, m: m(x, (x[:, :1, :3].transpose(0, 1).contiguous(),) * 2)[0],
            nn.LSTM(4, 3, batch_first=True),
        ),
        (1, 5, 4), "aten.lstm.*zeros",
    ),
}  # fmt: skip
REFUSED = {
    **{n: (Apply(lambda x, m, f=f: f(m(x)), nn.Linear(6, 6)), (2, 6), r)
       for n, (f, r) in LINEAR.items()},
    **OTHERS,
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    module, shape, reason = REFUSED[name]
    cells = inputs(1, 8, *shape) if shape and 0 not in shape else None
    with pytest.raises(CompileError, match=reason) as caught:
        compile_module(module.double(), shape, RANGE, examples=cells)
    assert "\n" not in str(caught.value)


IDS: dict[str, tuple[Any, int, str]] = {  # and the greatest
    "where the greatest of many stands": (lambda x, m: (x + 1).argmax(-1), 16_383, "argmax.*lose"),
    "the greatest of many": (lambda x, m: (x + 1).amax(-1), 16_383, "amax.*lose a bit"),
    "many compared": (lambda x, m: (x + 1 > 9).sum(-1), 16_383, "aten.gt.*lose a bit"),
    "ids of eight bits": (lambda x, m: m(x).sum(-1) + x.to(torch.int8), 9, "int8.*wrap around"),
    "bags of several lengths": (
        lambda x, m: F.embedding_bag(x.flatten(), m.weight, torch.tensor([0, 1])), 9, "one length",
    ),
    "bags with padding": (
        lambda x, m: F.embedding_bag(x, m.weight, padding_idx=0), 9, "without weights or padding",
    ),
    "rows and no product": (lambda x, m: m(9 - x), 9, "at least one product"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_what_is_not_known_of_token_ids_is_refused_by_name(name: str) -> None:
    function, most, reason = IDS[name]
    module = Apply(function, nn.Embedding(10, 4)).double()
    given = np.array([[[0, 1, most], [most, most - 1, 2]], [[2, 1, 0], [0, most, 1]]])
    with pytest.raises(CompileError, match=reason):
        compile_module(module, (2, 3), (0, most), examples=given, whole=True)


@pytest.mark.parametrize("kind", ["argmax", "amax", "gt"])
def test_whole_numbers_are_compared_to_the_last_bit(kind: str) -> None:
    """Up to 16,383: beyond it, storing them would round a bit away, and they are refused."""
    most = 16_382
    functions: dict[str, Any] = {
        "argmax": lambda x: (x + 1).argmax(-1),
        "amax": lambda x: (x + 1).amax(-1),
        "gt": lambda x: (x + 1 > most).sum(-1),
    }
    module = Apply(functions[kind])
    x = np.array([[most - 1, most, most - 2], [most - 2, most - 1, most - 3]])
    made = compile_module(module, (2, 3), (0, most), examples=x[None], whole=True)
    values = assert_agreed(made, module, x).values
    got = made.quantizer.dequantize(values["output"])
    np.testing.assert_array_equal(got, module(torch.tensor(x)))


def test_a_use_that_nobody_thought_of_is_refused_by_name() -> None:
    """numpy cannot multiply these shapes: the refusal says at which operator."""
    graph = trace(_two_layers(), (2, 6))
    with pytest.raises(UnsupportedOp, match=r"aten\.linear\.default .* a use of it .*ValueError"):
        evaluate(graph, np.zeros((2, 7)), Ranges())


# --- ranges of other scales ---


def _two_layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))


@pytest.mark.parametrize("per_channel", [False, True])
def test_ranges_that_were_recorded_with_other_scales_are_refused(per_channel: bool) -> None:
    graph = trace(_two_layers(), (2, 6))
    if per_channel:
        graph = equalized(graph)
    kept = Ranges.from_dict(record_ranges(graph, RANGE).to_dict())
    made = compile_graph(graph, RANGE, ranges=kept, per_channel=per_channel)
    assert Ranges.from_dict(made.ranges) == kept
    scales = {True: "--scales per-channel", False: "--scales per-tensor"}
    reason = f"recorded with {scales[not per_channel]}, got {scales[per_channel]}"
    with pytest.raises(RangesMismatch, match=reason):
        compile_module(_two_layers(), (2, 6), RANGE, ranges=kept, per_channel=not per_channel)


def test_the_command_line_refuses_them(tmp_path: Path) -> None:
    source = tmp_path / "net.py"
    source.write_text(
        "import torch\nfrom torch import nn\ntorch.manual_seed(0)\n"
        "net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))\n"
    )
    made = tmp_path / "made"
    given = ["model", "build", f"{source}:net", "--shape", "2,6", "--range", "-1,1"]
    channels = ["--scales", "per-channel"]
    run(*given, *channels, "--out", made)
    kept = ["--ranges", made / "ranges.json", "--out", tmp_path / "other"]
    told = refused(*given, *kept)
    assert "expected ranges that were recorded with --scales per-tensor" in told
    run(*given, *channels, *kept)
