"""Every cell that a prover commits to is determined: change one, exchange two, or move two so that
an einsum still holds, with the limbs that then fit, and some relation breaks.

Relations are evaluated here over int64 arrays, so that whole networks can be tried cell by cell;
tests/soundness/meaning.py has the definitions, and test_layout_meaning.py that proofs keep to them.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from prover.compiler import compile_module
from prover.program import gadgets
from prover.program.evaluate import (
    Ints,
    ValueRefused,
    affine_values,
    contraction_values,
    view_values,
)
from prover.program.interpret import interpret
from prover.program.ir import Affine, Max, Range, Role, View
from prover.program.relations import Lookup, Relations
from tests.convolutions import Apply
from tests.programs import Case, random_case
from tests.soundness.malice import LIMB, propagated
from tests.stacks import blocks

Values = dict[int, Ints]
MADE = (Role.ACTIVATION, Role.OUTPUT, Role.OUTPUT_COMMITTED)
CELLS, TRIES = 3, 150  # cells of a tensor, changes of a program


def holds(relations: Relations, values: Values) -> bool:
    """Whether all relations hold."""
    for einsum in relations.einsums:
        expr = einsum.expr
        left = affine_values(expr.linear, expr.axes, range(expr.free), values)
        right = sum(contraction_values(expr, c, values) for c in expr.contractions)
        if (left != right).any():
            return False
    return all(_is_row(relations, lookup, values) for lookup in relations.lookups)


def _is_row(relations: Relations, lookup: Lookup, values: Values) -> bool:
    spec = relations.tables[lookup.table]
    axes = range(len(lookup.axes))
    at = affine_values(lookup.index, lookup.axes, axes, values) - spec.lo
    if at.min() < 0 or at.max() >= spec.rows:
        return False
    if lookup.values is None:
        return True
    view, rows = lookup.values, values[spec.values or 0].reshape(spec.rows, spec.width)
    folded = len(view.index) > len(lookup.axes)
    lengths = (*lookup.axes, spec.width) if folded else lookup.axes
    found = view_values(view, lengths, range(len(lengths)), values)
    expected = rows[at].reshape((*lookup.axes, spec.width)[: len(lengths)])
    return bool((found == expected).all())


def refitted(relations: Relations, values: Values) -> Values:
    """With the limbs that each ranged value asks for."""
    fitted, tensors = dict(values), relations.tensors
    for lookup in relations.lookups:
        upper = [v.tensor for _, v in lookup.index.terms if LIMB.fullmatch(tensors[v.tensor].name)]
        if upper and len(lookup.index.terms) > len(upper):
            kept = tuple(t for t in lookup.index.terms if t[1].tensor not in upper)
            axes = range(len(lookup.axes))
            whole = affine_values(Affine(kept, lookup.index.const), lookup.axes, axes, fitted)
            for tensor in upper:
                shift = relations.limb * int(tensors[tensor].name.rpartition("u")[2])
                fitted[tensor] = whole >> shift & (1 << relations.limb) - 1
    return fitted


# -- what is tried ---------------------------------------------------------------------------------


def network(f: Callable[..., torch.Tensor], *modules: nn.Module, shape: tuple[int, ...]) -> Case:
    """Of one input of these; ranges recorded on 16 others."""
    rng = np.random.default_rng(0)
    module = Apply(f, *modules).double().eval()
    examples = rng.uniform(-2, 2, (16, *shape))
    made = compile_module(module, shape, (-2, 2), examples=examples)
    tensor = made.program.tensors[made.program.named(made.quantizer.input.tensor)]
    given = made.quantizer.quantize(examples[0]).reshape(tensor.shape)
    return Case(made.program, made.weights | {tensor.name: given})


def words(f: Callable[..., torch.Tensor]) -> Case:
    """The same of token ids, 0 being padding."""
    torch.manual_seed(0)
    module = Apply(f, nn.Embedding(12, 4), nn.Linear(4, 4)).double().eval()
    ids = np.random.default_rng(0).integers(1, 12, (16, 1, 5))
    ids[:, :, 3:] = 0
    made = compile_module(module, (1, 5), (0, 11), whole=True, examples=ids)
    tensor = made.program.tensors[made.program.named(made.quantizer.input.tensor)]
    return Case(made.program, made.weights | {tensor.name: ids[0].reshape(tensor.shape)})


def masked(ids: torch.Tensor, rows: nn.Module, linear: nn.Module) -> torch.Tensor:
    y = linear(rows(ids))
    return F.scaled_dot_product_attention(y, y, y, attn_mask=(ids != 0)[:, None])


def chosen(ids: torch.Tensor, rows: nn.Module, linear: nn.Module) -> torch.Tensor:
    return linear(rows(ids)).argmax(-1)


CASES: dict[str, Callable[[], Case]] = {
    **{f"random {seed}": (lambda s=seed: random_case(s)) for seed in range(8)},
    "a stack": lambda: blocks(3),
    "a padded convolution and the greatest of windows": lambda: network(
        lambda x, c: F.max_pool2d(F.relu(c(x)), 3, 2, 1), nn.Conv2d(1, 2, 3, padding=1),
        shape=(1, 1, 5, 5),
    ),
    "averages of windows, strides, groups": lambda: network(
        lambda x, c: F.avg_pool2d(c(x), 2, 1, 1), nn.Conv2d(2, 2, 2, stride=2, groups=2),
        shape=(1, 2, 4, 4),
    ),
    "a memory": lambda: network(
        lambda x, lstm: lstm(x)[0], nn.LSTM(3, 2, batch_first=True), shape=(1, 3, 3)
    ),
    "pieces and where": lambda: network(
        lambda x, c: torch.where(torch.eye(3, 4) > 0, F.hardswish(c(x)), F.leaky_relu(x, 0.3)),
        nn.Linear(4, 4), shape=(1, 3, 4),
    ),
    "a norm and its root": lambda: network(
        lambda x, c: F.layer_norm(c(x), (4,)), nn.Linear(4, 4), shape=(1, 2, 4)
    ),
    "padding that attention leaves out": lambda: words(masked),
    "a choice of words": lambda: words(chosen),
}  # fmt: skip


@cache
def ready(name: str) -> tuple[Case, Relations, Values]:
    torch.manual_seed(0)
    case = CASES[name]()
    relations, named = gadgets.expand(case.program), interpret(case.program, case.given)
    return case, relations, {i: named[t.name] for i, t in enumerate(relations.tensors)}


FOLLOWED = ("random 3", "a padded convolution and the greatest of windows", "a norm and its root",
            "pieces and where", "a choice of words")  # fmt: skip


def moved(values: Values, *changes: tuple[int, tuple[int, ...], int]) -> Values:
    found = dict(values)
    for tensor, at, delta in changes:
        found[tensor] = found[tensor].copy()
        found[tensor][at] += delta
    return found


def free_choices(case: Case) -> set[str]:
    """A Max's choice among equals is nobody's: what reads it is determined (gadgets.md#max)."""
    return {f"{case.program.tensors[op.out].name}.s" for op in case.program.ops
            if isinstance(op, Max)}  # fmt: skip


def attacks(
    case: Case, relations: Relations, values: Values, rng: random.Random
) -> Iterator[tuple[str, Values]]:
    step, tensors = 1 << relations.limb, relations.tensors
    for i, tensor in enumerate(tensors):
        if tensor.role not in MADE:
            continue
        cells = [tuple(rng.randrange(n) for n in tensor.shape) for _ in range(CELLS)]
        for at in cells:
            for delta in (1, -1, step, -step):
                yield f"{tensor.name}{at} by {delta}", moved(values, (i, at, delta))
        for at, other in pairwise(cells):
            gap = int(values[i][other] - values[i][at])
            if gap and tensor.name not in free_choices(case):
                exchanged = moved(values, (i, at, gap), (i, other, -gap))
                yield f"{tensor.name}{at} and {other} exchanged", exchanged
    for j, einsum in enumerate(relations.einsums):
        point = [rng.randrange(n) for n in einsum.expr.axes]
        seen = [(c, v.tensor, cell_of(v, point)) for c, v in einsum.lhs.terms]
        seen = [s for s in seen if tensors[s[1]].role in MADE and inside(values, s)]
        for (c, tensor, at), (d, other, there) in pairwise(seen):
            if (tensor, at) != (other, there):
                g = math.gcd(c, d)
                both = moved(values, (tensor, at, d // g), (other, there, -c // g))
                yield f"einsum {j}, {tensors[tensor].name} and {tensors[other].name}", both


def cell_of(view: View, point: list[int]) -> tuple[int, ...]:
    return tuple(i.offset + (point[i.axis] if i.axis >= 0 else 0) for i in view.index)


def inside(values: Values, seen: tuple[int, int, tuple[int, ...]]) -> bool:
    _, tensor, at = seen
    return all(0 <= x < n for x, n in zip(at, values[tensor].shape, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_every_cell_is_determined(name: str) -> None:
    case, relations, values = ready(name)
    assert holds(relations, values) and holds(relations, refitted(relations, values))
    rng = random.Random(name)
    tried = list(attacks(case, relations, values, rng))
    for what, changed in rng.sample(tried, min(len(tried), TRIES)):
        assert not holds(relations, changed), what
        again = refitted(relations, changed)
        same = all((again[i] == values[i]).all() for i in values)
        assert same or not holds(relations, again), f"{what}, refitted"
    assert len(tried) > 20


@pytest.mark.parametrize("name", FOLLOWED)
def test_a_wrong_cell_and_all_that_follows_breaks_its_own_gadget(name: str) -> None:
    """The rest is computed from the wrong cell: nothing but its gadget can tell."""
    case, relations, _ = ready(name)
    rng, tried = random.Random(name), 0
    for op in case.program.ops:
        if isinstance(op, Range):
            continue
        tensor = case.program.tensors[op.out]
        at = tuple(rng.randrange(n) for n in tensor.shape)
        try:
            changed = propagated(case, tensor.name, at, rng.choice((1, -1)))
        except ValueRefused:  # nothing follows
            continue
        found = {i: changed[t.name] for i, t in enumerate(relations.tensors)}
        assert not holds(relations, refitted(relations, found)), tensor.name
        tried += 1
    assert tried
