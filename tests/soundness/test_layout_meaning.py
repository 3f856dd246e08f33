"""The verifier's terms say what the relations say, for any cells: the layout is not to be believed.

An auditor recomputes the layout with the same code that made it, so a layout that forgot a cell, or
read one twice, would pass. Here all cells are random field elements (no relation holds), and the
linear claims, as the verifier weighs the tiles, must be what the definitions give.
"""

from __future__ import annotations

import random
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from prover import linear
from prover.challenges import Challenges
from prover.field import P
from prover.program.addresses import whole
from prover.program.format import MASK1_POWERS, MASK2_POWERS
from prover.program.ir import PUBLIC, Role
from prover.program.layout import Layout, layout
from prover.program.lookups import F_PADS, MASK1, MASK2, TABLE_PAD, G, H, M
from prover.statement import encode_public
from tests.programs import mlp, random_case
from tests.soundness.meaning import Claims, bits_of, eq
from tests.soundness.small import every_kind, four_slices
from tests.stacks import blocks

CASES = {
    "every kind": (every_kind().program, None),
    "every kind, split tiles": (every_kind().program, 6),
    "mlp": (mlp([3, 2, 2], limb=4).program, 6),
    "mlp, batch": (mlp([5, 3, 1], batch=3, limb=4).program, None),
    "stack of 3": (blocks(3).program, None),
    "stack of 3, cut": (blocks(3).program, None),
    "stack of 6, split tiles": (blocks(6).program, 7),
    "stack of 6, split tiles, cut": (blocks(6).program, 7),
    **{f"random {seed}": (random_case(seed).program, None) for seed in (1, 2, 4, 5, 6)},
}


def field(rng: random.Random, shape: tuple[int, ...]) -> np.ndarray:
    cells = np.empty(shape, dtype=object)
    for at in np.ndindex(*shape):
        cells[at] = rng.randrange(P)
    return cells


def drawn_for(plan: Layout, rng: random.Random) -> Challenges:
    v = plan.verifier

    def point(n: int) -> list[int]:
        return [rng.randrange(P) for _ in range(n)]

    gamma, beta, alpha, batch = point(4)
    return Challenges(
        gamma,
        beta,
        point(v.rho_length),
        alpha,
        point(v.n),
        point(v.n),
        point(v.mu),
        batch,
        point(v.k),
    )


def cut_boxes(plan: Layout) -> int:
    return sum(block.box.cut > 0 for own in plan.blocks.values() for block in own)


def laid_out(name: str, slices: int) -> Layout:
    """With axes in one piece where the name says so, else where that is cheaper."""
    program, k = CASES[name]
    with nullcontext() if slices == 1 else four_slices(), pytest.MonkeyPatch.context() as patch:
        if name.endswith(", cut"):
            patch.setattr("prover.program.layout._gas", lambda plan: -cut_boxes(plan))
        plan = layout(program, k)
    assert plan.verifier.slices == slices
    return plan


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_terms_mean_the_relations(name: str, slices: int) -> None:
    rng = random.Random(name)
    plan = laid_out(name, slices)
    v, relations = plan.verifier, plan.relations
    drawn = drawn_for(plan, rng)
    cells, tiles = {}, [[0] * (1 << v.k) for _ in range(v.tiles)]
    sides = [b"", b""]
    for i, t in enumerate(relations.tensors):
        if t.role in PUBLIC:
            small = [rng.randrange(-32768, 32768) for _ in range(t.size)]
            cells[i] = np.array(small, dtype=object).reshape(t.shape)
            sides[t.role == Role.OUTPUT] += encode_public(small)
        else:
            cells[i] = field(rng, t.shape)
    columns: dict[object, list[int]] = {
        H: list(field(rng, (whole(v.rows + 1, v.k),))),
        G: list(field(rng, (whole(v.table_rows + 1, v.k),))),
        M: list(field(rng, (whole(v.table_rows + 1, v.k),))),
        MASK1: list(field(rng, (MASK1_POWERS << bits_of(v.n),))),
        MASK2: list(field(rng, (MASK2_POWERS << bits_of(v.mu),))),
        **{name: [rng.randrange(P)] for name in (*F_PADS[: v.slices], TABLE_PAD)},
    }
    taken = set()
    for owner, own in plan.blocks.items():
        source = cells[owner] if isinstance(owner, int) else np.array(columns[owner], dtype=object)
        for block in own:
            box = block.box
            inside = source[
                tuple(slice(b, b + (1 << s)) for b, s in zip(box.base, box.bits, strict=True))
            ].reshape(-1)
            for x, cell in enumerate(inside):
                assert (block.tile, block.offset + x) not in taken, "two cells at one address"
                taken.add((block.tile, block.offset + x))
                tiles[block.tile][block.offset + x] = cell
    kept = sum(t.size for t in relations.tensors if t.role not in PUBLIC)
    assert len(taken) == kept + sum(len(c) for c in columns.values()), "a cell without an address"

    size = 1 << v.mu
    e_x, e_y = list(field(rng, (size,))), list(field(rng, (size,)))
    tiles[v.e_tile][: 2 * size] = e_x + e_y
    for z in (1, 2):
        tiles[v.e_tile + z] = list(field(rng, (1 << v.k,)))
    z_tiles = (tiles[v.e_tile + 1], tiles[v.e_tile + 2])
    for used in {tile for tile, _ in taken} | {v.e_tile}:  # what nobody owns must not matter
        for x in range(1 << v.k):
            if used == v.e_tile:
                if x >= 2 * size:
                    tiles[used][x] = rng.randrange(P)
            elif (used, x) not in taken:
                tiles[used][x] = rng.randrange(P)

    weighed, extended, scalar = 0, [0] * v.tiles, 0
    for x in range(1 << v.k):
        corner = [x >> v.k - 1 - i & 1 for i in range(v.k)]
        at_corner = replace(drawn, tile=corner)
        values = linear.values(v, at_corner, sides)
        weights, scalar = linear.tile_weights(v, at_corner, values)
        weighed += sum(w * tile[x] for w, tile in zip(weights, tiles, strict=True))
        spread = eq(drawn.tile, x)
        extended = [(e + spread * w) % P for e, w in zip(extended, weights, strict=True)]
    claims = Claims(plan, drawn, cells, columns, (e_x, e_y), z_tiles)
    assert (weighed + scalar) % P == claims.batched()

    values = linear.values(v, drawn, sides)
    assert linear.tile_weights(v, drawn, values)[0] == extended, "weights are not multilinear in y"


def test_axes_are_cut() -> None:
    """The cases have tensors and rows whose first axis is in one piece, and cut."""
    for name in CASES:
        if name.endswith(", cut"):
            plan = laid_out(name, 1)
            assert cut_boxes(plan)
            assert any(slot.box.cut for slot in plan.slots)


@pytest.mark.parametrize("slices", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_rows_of_the_lookup_are_each_there_once(name: str, slices: int) -> None:
    plan = laid_out(name, slices)
    rows, points = set(), set()
    for slot in plan.slots:
        for x, at in enumerate(Claims._inside(slot.box)):
            rows.add((slot.slice, slot.row + x))
            points.add((slot.lookup, at))
    for which, start, end in plan.gaps:
        rows |= {(which, x) for x in range(start, end)}
    assert rows == {(s, x) for s in range(plan.verifier.slices) for x in range(plan.verifier.rows)}
    assert points == {
        (i, at)
        for i, lookup in enumerate(plan.relations.lookups)
        for at in np.ndindex(*lookup.axes)
    }
    filled = sum(end - start for _, start, end in plan.gaps)
    assert len(points) + filled == plan.verifier.slices * plan.verifier.rows
    tables = zip(plan.relations.tables, plan.table_firsts, strict=True)
    table = [first + x for spec, first in tables for x in range(spec.rows)]
    assert len(set(table)) == len(table)
    assert max(table) == plan.verifier.table_rows - 1


def test_committed_tensors_are_laid_out_by_their_shape_alone() -> None:
    """Whoever chains proofs by points relies on it: one that many relations read is not cut."""
    public = mlp([7, 3, 1], batch=7, limb=4).program
    given = replace(public.tensors[0], role=Role.INPUT_COMMITTED)
    committed = replace(public, tensors=(given, *public.tensors[1:]))
    assert not any(block.box.cut for block in layout(committed).blocks[0])
    stored = replace(public, tensors=(replace(given, role=Role.ACTIVATION), *public.tensors[1:]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prover.program.layout._gas", lambda plan: -cut_boxes(plan))
        assert any(block.box.cut for block in layout(stored).blocks[0])
        assert not any(block.box.cut for block in layout(committed).blocks[0])
