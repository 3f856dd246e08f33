"""Convolutions, pools and what goes with them: close to torch, the same integers everywhere,
proved; and what is refused, by operator and reason."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prover.compiler import CompileError, UnsupportedOp, compile_module
from prover.compiler.package import read_package, write_package
from prover.folder import pack_weights, unpack_weights
from prover.program.evaluate import ValueRefused
from prover.program.ir import Role
from tests.convolutions import (
    CONVOLUTIONS,
    EVERY,
    NORMS,
    OTHERS,
    POOLS,
    RANGE,
    Apply,
    assert_close,
    compiled,
    inputs,
    settled,
)
from tests.proving import setup
from tests.transformers import case, cosine, floats


@pytest.mark.parametrize("name", EVERY)
def test_operators_are_close_to_torch(name: str) -> None:
    module, shape = EVERY[name]
    assert_close(module, *shape)


@pytest.mark.parametrize(
    "name",
    [
        *(f"conv: {n}" for n in ("batch, padding, stride", "groups, two strides", "to one cell")),
        *(f"pool: {n}" for n in ("max", "max, overlapping, padded", "average, overlapping")),
        *(f"op: {n}" for n in ("cat of single rows", "crop", "max of a window", "where, constant")),
        *(f"op: {n}" for n in ("hardswish", "sqrt", "powers", "log", "stack")),
        "batch_norm: after convolutions",
    ],
)
def test_operators_are_proved_and_verified(name: str) -> None:
    module, shape = EVERY[name]
    made = compiled(module.double().eval(), *shape)
    ready = setup(case(made, inputs(4, *shape)))
    ready.verify(ready.prove())


def test_random_convolutions_and_pools() -> None:
    """Shapes that nobody chose: kernels, strides, paddings, dilations and groups at random."""
    draw = random.Random(20)
    torch.manual_seed(20)
    for _ in range(20):
        groups = draw.choice((1, 1, 2, 3))
        inner, outer = groups * draw.randint(1, 3), groups * draw.randint(1, 3)
        kernel = (draw.randint(1, 4), draw.randint(1, 4))
        convolution = nn.Conv2d(
            inner, outer, kernel,
            stride=(draw.randint(1, 3), draw.randint(1, 3)),
            padding=(draw.randint(0, 2), draw.randint(0, 2)),
            dilation=(draw.randint(1, 2), draw.randint(1, 2)),
            groups=groups, bias=draw.random() < 0.5,
        )  # fmt: skip
        size = (draw.randint(8, 13), draw.randint(8, 13))
        pool: nn.Module = nn.Identity()
        if draw.random() < 0.5:
            pool = draw.choice((nn.MaxPool2d, nn.AvgPool2d))(draw.randint(1, 2), draw.randint(1, 2))
        batch = draw.randint(1, 2) if groups == 1 else 1
        module = nn.Sequential(convolution, nn.ReLU(), pool)
        assert_close(module, batch, inner, *size)


def test_batch_norms_become_the_layer_before() -> None:
    """No gadget and no weight of their own; what something else reads stays."""
    module, shape = NORMS["after convolutions"]
    made = compiled(module.double().eval(), *shape)
    assert not [n for n in made.weights if n.endswith((".constant", ".scaled.constant"))]
    both = Apply(lambda x, c, n: n(c(x)) + c(x), nn.Conv2d(2, 4, 3), settled(nn.BatchNorm2d(4)))
    assert_close(both, 1, 2, 6, 6)
    twice = Apply(
        lambda x, c, n: (lambda y: n(y) + y)(c(x)), nn.Conv2d(2, 4, 3), settled(nn.BatchNorm2d(4))
    )
    kept, _ = assert_close(twice, 1, 2, 6, 6)
    assert [n for n in kept.weights if n.endswith(".scaled.constant")]


def test_a_longer_layer_is_read_no_further_than_it_is() -> None:
    """28 rows are stored as 32; what lies beyond changes nothing that is read."""
    module, shape = POOLS["max, 28 rows"]
    made, given = assert_close(module, *shape)
    tensors = {t.name: t for t in made.program.tensors}
    assert tensors["relu"].shape == (3, 32, 32)
    assert tensors["max_pool2d"].shape == (3, 16, 16)
    values = given.values
    assert not values["max_pool2d"][:, 14:].any()
    assert not values["max_pool2d"][:, :, 14:].any()
    pooled = values["relu"][:, :28, :28].reshape(3, 14, 2, 14, 2).max(axis=(2, 4))
    np.testing.assert_array_equal(values["max_pool2d"][:, :14, :14], pooled)


def test_nothing_beyond_is_stored_where_it_could_leave_the_range() -> None:
    """A layer whose value beyond its last row exceeds all others' is stored as it is."""
    layer = nn.Conv2d(1, 1, (1, 2), bias=True)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[[[1.0, -1.0]]]]))
        layer.bias.zero_()
    ramp = np.broadcast_to(np.linspace(0, 1, 16), (2, 1, 1, 16, 16))
    module = nn.Sequential(layer, nn.ReLU(), nn.AvgPool2d(1)).double()
    made = compile_module(module, ramp.shape[1:], RANGE, examples=ramp)
    assert {t.name: t.shape for t in made.program.tensors}["relu"] == (16, 15)


@pytest.mark.parametrize("function", [torch.log, torch.rsqrt, torch.sqrt])
def test_outside_its_domain_a_function_is_refused_by_name(function: Any) -> None:
    """Recorded on x >= 0 alone; at the least input of the declared range, 3 x + 1.5 is negative."""
    layer = nn.Linear(6, 6).double()
    with torch.no_grad():
        layer.weight.copy_(3 * torch.eye(6))
        layer.bias.fill_(1.5)
    module = Apply(lambda x, a: function(a(x)), layer)
    examples = np.abs(inputs(1, 6, 2, 6))
    made = compile_module(module, (2, 6), RANGE, examples=examples)
    given = case(made, np.full((2, 6), -1.0))
    with pytest.raises(ValueRefused, match=rf"{function.__name__}\.(index|x|root)"):
        _ = given.values


torch.manual_seed(0)
REFUSED: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "transposed, three dimensions": (
        nn.ConvTranspose3d(1, 1, 2), (1, 1, 2, 2, 2), r"aten\.conv_transpose3d",
    ),
    "three dimensions": (nn.Conv3d(1, 1, 2), (1, 1, 4, 4, 4), r"aten\.conv3d"),
    "a large kernel": (nn.Conv2d(1, 1, 12), (1, 1, 14, 14), "a kernel of 144 cells"),
    "a kernel of the input": (
        Apply(lambda x: F.conv2d(x, x)), (1, 1, 4, 4), "constant kernel",
    ),
    "one with one": (nn.Conv2d(1, 1, 1), (1, 1, 1, 1), "one cell with one"),
    "dilated maximum of negatives": (
        nn.MaxPool2d(3, 1, 1, dilation=2), (1, 2, 6, 6), "may be negative",
    ),
    "uneven windows": (nn.AdaptiveMaxPool2d(3), (1, 2, 7, 7), "windows of one size"),
    "cropped and reflected": (
        Apply(lambda x: F.pad(x, (1, -1), mode="replicate")), (1, 2, 4), "expected cells more",
    ),
    "a place for each window": (
        Apply(lambda x: F.adaptive_max_pool2d(x, 2, True)[1] * 1.0), (1, 2, 4, 4), "of a window",
    ),
    "an odd power": (Apply(lambda x: x**2.5), (2, 3), "expected more than 0"),
    "a high power": (Apply(lambda x: x**9), (2, 3), "got 9"),
    "no bounds": (Apply(lambda x: x.clamp(min=float("-inf"))), (2, 3), "finite bounds"),
    "a Bessel function": (Apply(torch.special.bessel_j0), (2, 3), "bessel_j0"),
    "rows in parts": (
        Apply(lambda x, c: (c(x).view(1, 8, 3, 2, 6) * 2).softmax(-1), nn.Conv2d(2, 8, 3)),
        (1, 2, 8, 8), "rows or columns in parts",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str) -> None:
    module, shape, reason = REFUSED[name]
    with pytest.raises(CompileError, match=reason) as caught:
        compiled(module.double(), *shape)
    assert "\n" not in str(caught.value)


def test_a_refusal_names_node_and_operator() -> None:
    with pytest.raises(UnsupportedOp) as caught:
        compiled(nn.Conv2d(1, 1, 12).double(), 1, 1, 14, 14)
    assert (caught.value.node, caught.value.target) == ("conv2d", "aten.conv2d.default")


def test_weights_stay_secret() -> None:
    """What is public are masks, ones, strides and functions."""
    for module, shape in (*CONVOLUTIONS.values(), *POOLS.values(), *OTHERS.values()):
        made = compiled(module.double().eval(), *shape)
        public = {t.name for t in made.program.tensors if t.role == Role.TABLE}
        assert all(
            name.startswith(("every", "ones"))
            or name.endswith((".mask", ".table", ".high", ".low"))
            for name in public
        )
        assert not public & set(made.weights)


def test_private_images() -> None:
    """A committed input is read like a public one."""
    module, shape = POOLS["max"]
    made = compiled(module.double(), *shape, private_input=True)
    x = inputs(5, *shape)
    given = case(made, x)
    got = made.quantizer.dequantize(given.values["output"])
    assert cosine(got, floats(module, x)) > 0.999
    ready = setup(given)
    ready.verify(ready.prove())


def test_a_package_keeps_weights_that_were_transposed(tmp_path: Path) -> None:
    """Kernels are stored offset first: so the file has them, not as torch had them in memory."""
    module, shape = CONVOLUTIONS["groups, two strides"]
    made = compiled(module.double(), *shape)
    write_package(tmp_path, made)
    kept = read_package(tmp_path)
    for name, cells in made.weights.items():
        np.testing.assert_array_equal(kept.weights[name], cells, err_msg=name)
    turned = np.arange(6).reshape(2, 3).T
    np.testing.assert_array_equal(unpack_weights(pack_weights({"w": turned}))["w"], turned)
