"""A scale for each channel: badly scaled networks keep their answers, layers' functions stay exact,
and proofs hold to the weights, the answer and the program as before."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from oracle.accuracy import measure
from oracle.cli import main
from oracle.zoo.entry import Entry, compiled_entry
from prover.compiler import Compiled
from prover.compiler.build import cells, is_chain
from prover.compiler.equalize import equalized
from prover.compiler.lower import conv, dense
from prover.compiler.lower.batch_norm import fold_batch_norms
from prover.compiler.quantize import CELL_BITS, quantize_linear
from prover.compiler.ranges import Ranges, evaluate
from prover.compiler.trace import trace
from prover.program.interpret import interpret
from prover.program.ir import Program, Relu, Role
from tests.channels import WIDTHS, balanced, normed, unbalanced
from tests.convolutions import Apply, settled
from tests.evm import Chain
from tests.onchain import Deployment
from tests.programs import Case
from tests.proving import setup, srs_of
from tests.soundness.malice import Claim
from tests.tampering import verdict
from tests.transformers import REACH, answer, case, cosine, floats, inputs

MADE = {"unbalanced": unbalanced, "normed": normed}


def entry(module: nn.Module, *shape: int, **more: int) -> Entry:
    shape = shape or (1, WIDTHS[0])
    return Entry(
        module, shape, (-REACH, REACH), inputs(1, 8, *shape), inputs(2, 200, *shape), **more
    )


@pytest.mark.parametrize("name", MADE)
def test_channels_of_different_sizes_keep_their_answers(name: str) -> None:
    """One scale a tensor loses what is small; scales that are told apart cost no gadget, and a
    limb of some remainders."""
    own = entry(MADE[name]())
    one, each = (compiled_entry(own, per_channel=p) for p in (False, True))
    lost, kept = measure(own, one), measure(own, each, per_channel=True)
    assert lost.same_greatest < 0.75 < 0.97 < kept.same_greatest
    assert kept.least_cosine > max(0.99, lost.least_cosine)
    assert [type(op) for op in one.program.ops] == [type(op) for op in each.program.ops]
    assert cells(each.program) < 1.05 * cells(one.program)


def test_sixteen_bits_a_weight_are_no_substitute() -> None:
    """What is between the layers has one scale then, too."""
    own = entry(unbalanced(), weight_bits=16)
    assert measure(own, compiled_entry(own)).same_greatest < 0.75


def test_factors_between_layers_leave_no_trace() -> None:
    """Two layers with factors come down to the integers of those without."""
    plain, moved = (
        compiled_entry(entry(nn.Sequential(*made()[2:]), 1, WIDTHS[1]), per_channel=True)
        for made in (balanced, partial(unbalanced, before=False))
    )
    assert plain.program == moved.program
    for name, weight in plain.weights.items():
        np.testing.assert_array_equal(weight, moved.weights[name], err_msg=name)


NETWORKS: dict[str, tuple[nn.Module, tuple[int, ...], int]] = {  # and how many layers change
    "a chain": (unbalanced(), (1, WIDTHS[0]), 3),
    "images": (
        nn.Sequential(
            nn.Conv2d(2, 5, 3, bias=False), settled(nn.BatchNorm2d(5)), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(5, 3, 2), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.ReLU(),
            nn.Linear(3, 4),
        ),
        (2, 2, 8, 8),
        3,
    ),
    "read by two layers": (
        Apply(
            lambda x, a, b, c: b(y := a(x).relu()) + c(y),
            nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(6, 3),
        ),
        (2, 3, 4),
        3,
    ),
    "read by a sum too": (
        Apply(lambda x, a, b: b(y := a(x).relu()) + y, nn.Linear(4, 6), nn.Linear(6, 6)), (2, 4), 0,
    ),
    "another activation": (nn.Sequential(nn.Linear(4, 6), nn.GELU(), nn.Linear(6, 3)), (2, 4), 0),
    "a group for each channel": (
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, groups=4)), (1, 2, 7, 7), 0,
    ),
    "turned rows": (
        Apply(lambda x, a, b: b(a(x).relu().transpose(1, 2)), nn.Linear(4, 6), nn.Linear(3, 2)),
        (1, 3, 4),
        0,
    ),
    "rows as features": (
        Apply(lambda x, a, b: b(a(x).relu().flatten(1)), nn.Linear(4, 6), nn.Linear(18, 2)),
        (1, 3, 4),
        0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_the_function_is_the_same(name: str) -> None:
    """Exactly: powers of two; and only where every reader takes a channel's factor back."""
    module, shape, layers = NETWORKS[name]
    torch.manual_seed(1)
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():  # so that there is something to even out
            factor = 2.0 ** torch.randint(-5, 6, (len(parameter),)).double()
            parameter *= factor.reshape(-1, *(1,) * (parameter.dim() - 1))
    graph = trace(module, shape)
    made = equalized(graph)
    assert is_chain(made) == is_chain(graph)
    before = {node.name: node for node in fold_batch_norms(graph).nodes}
    moved = [
        node
        for node in made.nodes
        if node.target in (*dense.TARGETS, *conv.TARGETS)
        and not np.array_equal(node.args[1], before[node.name].args[1])
    ]
    assert len(moved) == layers
    for x in inputs(3, 4, *shape):
        found, expected = evaluate(made, x, Ranges()), floats(module, x)
        np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_channel_has_the_bits_that_it_would_have_alone() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(6, 9)) * 2.0 ** np.array([0, -1, -3, -5, -8, -30])[:, None]
    weight[3] = 0
    whole, _, exponent = quantize_linear(weight, np.zeros(6), 3, 8, per_channel=True)
    assert np.abs(whole).max() < 1 << CELL_BITS - 1
    found = np.abs(whole).max(axis=1)
    assert (found[[0, 1, 2, 4]] >= 1 << 6).all()  # seven bits and a sign
    assert found[5] == 0  # beyond what 16 bits span
    np.testing.assert_allclose(np.ldexp(whole, 3 - exponent), weight, atol=2.0 ** (2 - exponent))
    once, _, _ = quantize_linear(weight, np.zeros(6), 3, 8)
    assert np.abs(once).max() <= 127


def test_sixteen_bits_have_no_room_for_more() -> None:
    weight = np.array([[1.0], [2.0**-9]])
    each, one = (quantize_linear(weight, np.zeros(2), 0, 16, per_channel=p) for p in (True, False))
    np.testing.assert_array_equal(each[0], one[0])
    assert each[2] == one[2]


def test_blocks_of_channels_are_still_one_stack() -> None:
    torch.manual_seed(0)
    layers = [part for _ in range(3) for part in (nn.Linear(6, 6), nn.GELU())]
    own = entry(nn.Sequential(*layers).double(), 1, 3, 6)
    made = compiled_entry(own, per_channel=True)
    assert made.program.stacks
    for x in own.held_out[:3]:
        assert cosine(answer(made, x), floats(own.module, x)) > 0.9995


# --- proofs ---


def compiled(name: str) -> Compiled:
    return compiled_entry(entry(MADE[name]()), per_channel=True)


@pytest.mark.parametrize("name", MADE)
def test_interpreter_engine_and_proof_agree(name: str) -> None:
    made = compiled(name)
    x = inputs(4, 1, WIDTHS[0])
    assert cosine(answer(made, x), floats(MADE[name](), x)) > 0.999
    own = setup(case(made, x))
    own.verify(own.prove())


def louder(weight: np.ndarray, channel: int) -> np.ndarray:
    changed = weight.copy()
    changed[channel] *= 2
    return changed


@pytest.mark.parametrize("channel", range(0, WIDTHS[1], 7))
def test_a_channel_on_another_scale_is_refused(channel: int) -> None:
    """The power of two of a channel is in its committed weights: twice it, all that follows so."""
    given = case(compiled("unbalanced"), inputs(4, 1, WIDTHS[0]))
    name = next(t.name for t in given.program.tensors if t.role == Role.WEIGHT)
    twice = louder(given.given[name], channel)
    own = setup(given)
    told = interpret(given.program, given.given | {name: twice})
    claim = Claim(own, told | {name: given.given[name]})
    assert claim.broken()
    assert claim.refused() is not None


@pytest.mark.chain
@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_both_verifiers_hold_to_weights_answer_and_program(anvil: Chain, name: str) -> None:
    deployment = Deployment.make(anvil, srs_of(None, 14))
    given = case(compiled(name), inputs(4, 1, WIDTHS[0]))
    own = deployment.setup(given)
    proof = own.prove()
    own.verify(proof)
    deployment.verify(own.statement, proof)
    answered = bytearray(own.statement.output)
    answered[-1] ^= 1
    changed = replace(own.statement, output=bytes(answered))
    assert verdict(deployment, own, changed, proof) == ("OpeningRejected", ())

    weight = next(t.name for t in given.program.tensors if t.role == Role.WEIGHT)
    others: list[Callable[[], Case]] = [
        partial(replace, given, given=given.given | {weight: louder(given.given[weight], 0)}),
        partial(replace, given, program=coarser(given.program)),
    ]
    for other in others:  # another model's proof, under this one's id
        foreign = deployment.setup(other())
        told = replace(foreign.statement, model_id=own.statement.model_id)
        assert foreign.statement.model_id != own.statement.model_id
        assert verdict(deployment, own, told, foreign.prove()) == ("OpeningRejected", ())


def coarser(program: Program) -> Program:
    """A bit more shifted away at the first ReLU."""
    at = next(i for i, op in enumerate(program.ops) if isinstance(op, Relu))
    ops = list(program.ops)
    ops[at] = replace(ops[at], shift=ops[at].shift + 1)
    return replace(program, ops=tuple(ops))


# --- commands ---


def test_the_command_takes_scales(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EINPROOF_CACHE", str(tmp_path / "srs"))
    source = tmp_path / "net.py"
    source.write_text("from tests.channels import unbalanced as net\n")
    given = [f"{source}:net", "--shape", "1,16", "--range", "-3,3"]
    found = []
    for scales in ("per-tensor", "per-channel"):
        bits = ["--scales", scales, "--json"]
        done = CliRunner().invoke(main.app, ["model", "accuracy", *given, *bits, "--count", "100"])
        assert done.exit_code == 0, done.output
        found.append(json.loads(done.stdout)["same_greatest"])
        out = tmp_path / scales
        done = CliRunner().invoke(main.app, ["model", "build", *given, *bits, "--out", str(out)])
        assert done.exit_code == 0, done.output
    assert found[0] < 0.75 < 0.97 < found[1]
    ids = [json.loads((tmp_path / s / "model.json").read_text())["id"] for s in
           ("per-tensor", "per-channel")]  # fmt: skip
    assert ids[0] != ids[1]
    done = CliRunner().invoke(main.app, ["model", "build", "nanogpt-steps", "--out", str(out),
                                         "--scales", "per-channel"])  # fmt: skip
    assert done.exit_code == 1
    assert "one scale a tensor" in done.output
