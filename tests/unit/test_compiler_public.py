"""What a program shows of a module's parameters: those that the compiler names, and of the others
nothing but their scales, also where a parameter is a single number."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prover.compiler import Compiled, compile_module
from prover.compiler.composite import LATE, RULES
from prover.compiler.lower import LOWERINGS, OPS
from prover.compiler.package import read_package, write_package
from prover.compiler.public import COMMITTED as PLACES
from prover.compiler.ranges import Ranges
from prover.compiler.several import SEVERAL
from prover.folder import ModelDamaged
from prover.program.encode import encode
from prover.program.ir import Role
from tests.convolutions import RANGE, assert_close, compiled
from tests.proving import setup
from tests.unnamed_networks import NETWORKS

Tensor = torch.Tensor
Function = Callable[[Tensor, Tensor], Tensor]
FEATURES = 4


class Given(nn.Module):
    """A function of a layer's values and of a parameter."""

    def __init__(self, function: Function, parameter: Tensor) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.layer, self.function = nn.Linear(FEATURES, FEATURES), function
        self.own = nn.Parameter(parameter.clone())

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer(x), self.own)


ONE, ROW = torch.tensor(0.7), torch.tensor([0.3, -0.7, 1.1, 0.9])
SLOPE = torch.tensor([0.3])
COMMITTED: dict[str, tuple[Function, Tensor]] = {
    "a slope": (F.prelu, SLOPE),
    "a slope for each channel": (F.prelu, ROW),
    "a temperature": (lambda y, p: (y / p).softmax(-1), ONE),
    "a logit scale": (lambda y, p: p.exp() * F.normalize(y + 2, dim=-1), ONE),
    "a scale of a layer": (lambda y, p: y + p * y.relu(), SLOPE),
    "a bias": (lambda y, p: y + p, ONE),
    "taken from": (lambda y, p: p - y, ONE),
    "added twice": (lambda y, p: torch.add(y, p, alpha=2), ONE),
    "taken away twice": (lambda y, p: torch.sub(y, p, alpha=2), ONE),
    "taken from, the other way": (lambda y, p: torch.rsub(y, p, alpha=2), ONE),
    "its like taken from it": (lambda y, p: torch.rsub(p, y), ONE),
    "a bias of a product": (lambda y, p: torch.addmm(p, y, y.T, beta=2), ONE),
    "a bias of products": (lambda y, p: torch.baddbmm(p, y[None], y.T[None], beta=2)[0], ONE),
    "multiplied and added": (lambda y, p: torch.addcmul(p, y, y), ONE),
    "between": (lambda y, p: torch.lerp(y, y * y, p), ONE),
    "an eps of one's own": (lambda y, p: y * torch.rsqrt((y * y).mean(-1, keepdim=True) + p), ONE),
    "a bound": (lambda y, p: torch.clamp(y, min=p * 0.1), ONE),
    "the greater of both": (lambda y, p: torch.maximum(y, p * 0.1), ONE),
    "a threshold": (lambda y, p: torch.where(y > p * 0.1, y, 2.0), ONE),
    "chosen": (lambda y, p: torch.where(y > 0, y, p), ONE),
    "filled": (lambda y, p: y.masked_fill(torch.eye(FEATURES).bool(), p), ONE),
    "a number of it": (lambda y, p: y * p.item(), ONE),
    "one group": (lambda y, p: F.group_norm(y[:, None, :], 1, p, p), SLOPE),
    "one channel": (lambda y, p: F.batch_norm(y[:, None].relu(), p * 0, p, p, p), SLOPE),
    "one matrix cell": (lambda y, p: y[:, :1] @ p.view(1, 1), ONE),
    "one kernel cell": (
        lambda y, p: F.conv1d(y[:, None], p.view(1, 1, 1), p) * y[:, None], SLOPE,
    ),
    "one pair": (lambda y, p: F.bilinear(y[:, :1], y[:, 1:2], p.view(1, 1, 1), p), SLOPE),
    "a mask of numbers": (
        lambda y, p: F.scaled_dot_product_attention(y, y, y, p.expand(4, 4)), ONE,
    ),
    "turned": (
        lambda y, p: y * p.cos() + torch.cat([-y[..., 2:], y[..., :2]], -1) * p.sin(), ONE,
    ),
    "joined": (lambda y, p: torch.cat([y, p.view(1, 1).expand(4, 1)], -1), ONE),
}  # fmt: skip
SHOWN: dict[str, tuple[Function, Tensor, str]] = {
    "a power": (lambda y, p: (y * y + 0.5) ** p, ONE, "its numbers, in pow"),
    "an order": (lambda y, p: y[:, torch.argsort(p)], ROW, "its whole numbers, in index"),
    "what is hidden": (
        lambda y, p: (y @ y.T).masked_fill(p > 0.5, -torch.inf).softmax(-1), ROW,
        "its truth values, in masked_fill",
    ),
    "what is hidden, by a sum": (
        lambda y, p: (y @ y.T + torch.where(p > 0.5, -torch.inf, 0.0)).softmax(-1), ROW,
        "which cells it hides, in add",
    ),
    "what is chosen": (
        lambda y, p: torch.where(p > 0.5, y, 0.5), ROW, "its truth values, in where",
    ),
    "the slope of a function": (
        lambda y, p: F.elu(y, p.item()), ONE, "its numbers, in elu",
    ),
    "the slope of a leak": (
        lambda y, p: F.leaky_relu(y, p.item()), ONE, "its numbers, in leaky_relu",
    ),
}  # fmt: skip


@contextmanager
def moved(module: nn.Module, names: set[str], by: float = 2**-6) -> Iterator[None]:
    """With these parameters, and buffers of floats, a little different, but the greatest cells of
    each, by which its scale goes; where all are as great, all by so much."""
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    chosen = [own[name] for name in names if own[name].is_floating_point()]
    before = [tensor.detach().clone() for tensor in chosen]
    with torch.no_grad():
        for tensor in chosen:
            less = tensor.abs() < tensor.abs().max()
            tensor.mul_(torch.where(less, 1 - 2**-5, 1.0) if less.any() else 1 + by)
    try:
        yield
    finally:
        with torch.no_grad():
            for tensor, values in zip(chosen, before, strict=True):
                tensor.copy_(values)


def again(module: nn.Module, shape: tuple[int, ...], made: Compiled) -> Compiled:
    """Compiled on the same ranges, which are not the parameters' alone."""
    return compile_module(module, shape, RANGE, ranges=Ranges.from_dict(made.ranges))


def names_of(made: Compiled) -> set[str]:
    assert made.shown is not None
    return {shown.parameter for shown in made.shown}


@pytest.mark.parametrize("name", COMMITTED)
def test_a_parameter_of_one_cell_is_a_weight_and_not_in_the_program(name: str) -> None:
    module = Given(*COMMITTED[name]).double().eval()
    made, _ = assert_close(module, FEATURES, FEATURES)
    assert made.shown == ()
    with moved(module, {"own"}):
        other = again(module, (FEATURES, FEATURES), made)
    assert encode(other.program) == encode(made.program)
    assert any((other.weights[n] != made.weights[n]).any() for n in made.weights)


@pytest.mark.parametrize("name", SHOWN)
def test_a_parameter_that_the_program_shows_is_named(name: str) -> None:
    function, parameter, what = SHOWN[name]
    module = Given(function, parameter).double().eval()
    made = compiled(module, FEATURES, FEATURES)
    assert made.shown == (("own", what),)
    with torch.no_grad():
        module.own.copy_(parameter.flip(-1) if parameter.ndim else parameter * 1.25)
    assert encode(again(module, (FEATURES, FEATURES), made).program) != encode(made.program)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_show_what_is_named_and_nothing_else(name: str) -> None:
    module, shape = NETWORKS[name]
    module = module.double().eval()
    made = compiled(module, *shape)
    own = {**dict(module.named_parameters()), **dict(module.named_buffers())}

    def same(by: float) -> bool:
        with moved(module, set(own) - names_of(made), by):
            return encode(again(module, shape, made).program) == encode(made.program)

    # what norms and layers make together may pass a power of two: not in both directions
    assert same(2**-9) or same(-(2**-9))


def test_arguments_that_are_committed_are_of_known_operators() -> None:
    """A name that is mistyped would be one that nothing is committed for, and named in vain."""
    targets = (*OPS, *LOWERINGS, *RULES, *LATE, *SEVERAL)
    known = {target.removeprefix("aten.") for target in targets}
    known |= {name.split(".")[0] for name in known} | {"embedding_bag"}
    assert set(PLACES) <= known


def test_numbers_of_the_code_are_in_the_program_and_not_named() -> None:
    module = Given(lambda y, p: y * torch.tensor(0.7) + 0.3 * p, ROW).double()
    made = compiled(module, FEATURES, FEATURES)
    assert made.shown == () and of_one_cell(made) == []


@pytest.mark.parametrize("persistent", [True, False])
def test_a_buffer_is_a_parameter_where_it_is_stored(persistent: bool) -> None:
    module = Given(lambda y, p: y * module.held, ROW).double()
    module.register_buffer("held", ONE.double(), persistent=persistent)
    assert of_one_cell(compiled(module, FEATURES, FEATURES)) == ["mul.constant"] * persistent


def test_a_tensor_that_a_module_holds_unregistered_is_a_parameter() -> None:
    """As weights are that a hook makes."""
    module = Given(lambda y, p: y * module.held**module.held, ROW).double()
    module.held = ONE.double()
    made = compiled(module, FEATURES, FEATURES)
    assert made.shown == () and of_one_cell(made) == ["mul.constant"]
    hooked = torch.nn.utils.weight_norm(nn.Linear(1, 1)).double()  # type: ignore[no-untyped-call]
    module = Given(lambda y, p: y * hooked(y[:, :1]) * hooked.weight, ROW).double()
    module.add_module("hooked", hooked)
    made = compiled(module, FEATURES, FEATURES)
    assert made.shown == () and "mul_1.constant" in of_one_cell(made)


def of_one_cell(made: Compiled) -> list[str]:
    return [t.name for t in made.program.tensors if t.role == Role.WEIGHT and t.shape == (1,)]


def test_scales_are_public() -> None:
    module = Given(*COMMITTED["a scale of a layer"]).double()
    made = compiled(module, FEATURES, FEATURES)
    with torch.no_grad():
        module.own.mul_(4)
    assert encode(again(module, (FEATURES, FEATURES), made).program) != encode(made.program)


def test_a_slope_and_a_temperature_are_proved() -> None:
    def function(y: Tensor, p: Tensor) -> Tensor:
        return (F.prelu(y, p) / p.exp()).softmax(-1)

    ready = setup(assert_close(Given(function, SLOPE), FEATURES, FEATURES)[1])
    ready.verify(ready.prove())


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(FEATURES, FEATURES), nn.Parameter(torch.rand(()) + 0.5)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x).relu()
        return x + self.scale * y


def test_blocks_with_a_scale_of_their_own_are_stacked() -> None:
    torch.manual_seed(2)
    made, _ = assert_close(nn.Sequential(*(Residual() for _ in range(4))), FEATURES, FEATURES)
    assert [stack.length for stack in made.program.stacks] == [4]
    assert made.shown == ()


def test_a_package_keeps_what_is_shown(tmp_path: Path) -> None:
    function, parameter, _ = SHOWN["a power"]
    made = compiled(Given(function, parameter).double(), FEATURES, FEATURES)
    write_package(tmp_path, made)
    assert read_package(tmp_path).shown == made.shown != ()
    for text in ("{}", '["own"]', '[["own", 1]]', "["):
        (tmp_path / "shown.json").write_text(text)
        with pytest.raises(ModelDamaged, match=r"shown\.json"):
            read_package(tmp_path)
    write_package(tmp_path, made)
    write_package(tmp_path, replace(made, shown=None))
    assert read_package(tmp_path).shown is None
