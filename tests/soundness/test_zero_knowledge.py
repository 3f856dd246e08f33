"""A proof says nothing but its statement: another witness with other masks gives the same bytes.

Every mask is needed: without it, no masks do. docs/protocol/zero-knowledge.md
"""

from __future__ import annotations

import random
from collections.abc import Collection
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from unittest.mock import patch

import numpy as np
import pytest

from prover.curve import Affine
from prover.field import P
from prover.kernels import reference
from prover.kernels.interface import Kernels
from prover.program.interpret import interpret
from prover.program.ir import Contraction, Expr, Gather, Program, Range, Requantize, Role, Tensor
from prover.program.layout import MAX_K
from prover.program.validate import validate
from prover.proof import decode
from prover.prove import Attempt, Masks, Witness, z_positions
from prover.proving.randomness import Randomness
from prover.srs import Srs
from prover.statement import Statement
from tests.programs import Case, mlp, one
from tests.proving import ENTROPY, Setup, setup
from tests.soundness import zk
from tests.soundness.reach import z_reach
from tests.soundness.simulator import simulate
from tests.soundness.small import four_slices
from tests.soundness.zk import EXPONENTS, Cells, NoMasks, Preset, Recorded, Views

K = 6  # the least that the contracts take, and the hardest: few cells, all of them in use

SPARE = [f"Z{tile} {i}" for tile in (1, 2) for i in range(K + 8, 1 << K)]  # few suffice, see below


def perceptrons() -> tuple[Case, Case]:
    """Two MLPs 2-2-1 that share not one weight or activation, and agree on one input."""
    first = mlp([2, 2, 1], limb=4)
    rng = np.random.default_rng(1)
    last, output = first.program.ops[-1], first.values["y1"]
    while True:
        given = mlp([2, 2, 1], limb=4, seed=int(rng.integers(1 << 30))).given
        second = Case(first.program, given | {"input": first.given["input"]})
        total = second.values["y1"] << last.shift
        given["b1"] = given["b1"] + ((output << last.shift) - total).reshape(-1)
        second = Case(first.program, second.given | {"b1": given["b1"]})
        apart = all((second.values[n] != first.values[n]).all() for n in ("w0", "b0", "w1", "y0"))
        if apart and abs(given["b1"]).max() <= 1 << 20:
            return first, second


def private_rows() -> tuple[Case, Case]:
    """Secret rows gathered by public indices, a committed input and a committed output, batches."""
    n, d = 3, 2
    tensors = (
        Tensor("index", (n,), Role.INPUT, 0, 3),
        Tensor("rows", (4, d), Role.WEIGHT, -100, 100),
        Tensor("x", (n, d), Role.INPUT_COMMITTED, -32768, 32767),
        Tensor("row", (n, d), Role.ACTIVATION, -100, 100),
        Tensor("products", (n, n), Role.OUTPUT_COMMITTED, -32768, 32767),
        Tensor("sums", (n,), Role.OUTPUT, -32768, 32767),
    )
    products = Contraction(one(3, 0, 2), one(2, 1, 2))
    squares = Contraction(one(4, 0, 1), one(4, 0, 1))
    ops = (
        Gather(3, (n,), one(0, 0), 1),
        Range(2, 16),
        Requantize(4, Expr((n, n, d), 2, (products,)), 4, 16),
        Requantize(5, Expr((n, n), 1, (squares,)), 24, 16),  # so coarse that it tells nothing
    )
    program = Program(4, tensors, ops)
    validate(program)
    cases = []
    for seed in (1, 2):
        rng = np.random.default_rng(seed)
        given = {
            "index": np.array([2, 0, 3]),
            "rows": rng.integers(-100, 101, (4, d)),
            "x": rng.integers(-200, 201, (n, d)),
        }
        cases.append(Case(program, given))
    return cases[0], cases[1]


@dataclass
class Pair:
    """One statement, two witnesses with the same commitments, an honest proof by the first."""

    setup: Setup
    second: Witness
    cells: Cells
    proof: bytes
    views: Views

    @property
    def first(self) -> Witness:
        return self.setup.witness

    def fresh(self, seed: int) -> Cells:
        rng = random.Random(seed)
        return {name: rng.randrange(P) for name in self.cells}

    def missing(self, without: Collection[str], tied: Collection[str] = ()) -> str | None:
        """The stage that tells the witnesses apart if these masks are zero, or these are one."""
        mine, start = (
            fresh | dict.fromkeys(without, 0) | {name: fresh[min(tied)] for name in tied}
            for fresh in (self.fresh(1), self.fresh(2))
        )
        wanted = self.views.view(self.first, mine)
        try:
            found = self.views.match(self.second, wanted, start, without, tied)
        except NoMasks as failed:
            return str(failed.args[0])
        assert self.views.view(self.second, found) == wanted
        return None

    def named(self, *prefixes: str) -> list[str]:
        return [name for name in self.cells if name.startswith(prefixes)]


def sliced() -> tuple[Case, Case]:
    """The perceptrons, their lookups in four slices."""
    return perceptrons()


PAIRS = (perceptrons, sliced, private_rows)


@pytest.fixture(scope="module", params=PAIRS, ids=lambda f: f.__name__)
def pair(request: pytest.FixtureRequest) -> Pair:
    with four_slices() if request.param is sliced else nullcontext():
        first, second = (setup(case, K, "reference") for case in request.param())
    known = Witness(
        second.witness.values,
        zk.recommit(second.witness.fixed, first.witness.fixed, K),
        zk.recommit(second.witness.committed, first.witness.committed, K),
    )
    masks = Masks.draw(first.layout, Randomness(ENTROPY, first.statement.encode(), b"", 0))
    transcript = Recorded(first.statement)
    attempt = Attempt(reference, first.srs, first.layout, first.witness, masks, transcript)
    cells = zk.cells_of(masks, first.layout)
    assert zk.masks_of(cells, first.layout.verifier) == masks
    pair = Pair(first, known, cells, attempt.run(), Views(first.layout, transcript.drawn))
    wanted = [name for name in cells if request.param is not private_rows or name not in SPARE]
    pair.views.measure(first.witness, cells, wanted)
    return pair


def test_second_witness_is_another_with_the_same_statement(pair: Pair) -> None:
    program, v = pair.setup.layout.program, pair.setup.layout.verifier
    for tensor in program.tensors:
        mine, other = (w.values[tensor.name] for w in (pair.first, pair.second))
        assert np.array_equal(mine, other) == (tensor.role in (Role.INPUT, Role.OUTPUT)), tensor
    roles = (Role.INPUT, Role.INPUT_COMMITTED, Role.WEIGHT)
    given = {t.name: pair.second.values[t.name] for t in program.tensors if t.role in roles}
    again = interpret(program, given)
    assert all(np.array_equal(again[name], value) for name, value in pair.second.values.items())
    tiles = pair.second.fixed + pair.second.committed
    points = [*pair.setup.key.fixed_points, *pair.setup.statement.points(v)]
    assert [tile.commit(reference, pair.setup.srs, K) for tile in tiles] == points


def test_second_witness_gives_the_honest_proof_byte_for_byte(pair: Pair) -> None:
    """With the real group and the real transcript: its challenges follow from equal bytes."""
    wanted = pair.views.view(pair.first, pair.cells)
    found = pair.views.match(pair.second, wanted, pair.fresh(3))
    assert pair.views.view(pair.second, found) == wanted
    masks, s = zk.masks_of(found, pair.views.v), pair.setup
    attempt = Attempt(reference, s.srs, s.layout, pair.second, masks, Recorded(s.statement))
    assert attempt.run() == pair.proof
    s.verify(pair.proof)


def test_simulated_proof_is_a_proof_by_either_witness(pair: Pair) -> None:
    s, challenges = pair.setup, pair.views.challenges
    v, sides = s.layout.verifier, (s.statement.input, s.statement.output)
    tiles = pair.first.fixed + pair.first.committed
    points = [*s.key.fixed_points, *s.statement.points(v)]
    logarithms = [(zk.logarithm(tile, K), 0) for tile in tiles]

    def simulated(kernels: Kernels, srs: Srs, known_points: list[Affine]) -> bytes:
        rng = random.Random(5)
        coin, transcript = partial(rng.randrange, P), Preset(challenges)
        return simulate(kernels, srs, s.layout, sides, known_points, coin, transcript)

    proof = simulated(reference, s.srs, points)
    with patch.object(Statement, "transcript", lambda self: Preset(challenges)):
        s.verify(proof)
    wanted = zk.words(simulated(EXPONENTS, zk.powers_of_secret(K), logarithms))
    for witness in (pair.first, pair.second):
        found = pair.views.match(witness, wanted, pair.fresh(3))
        assert pair.views.prove(reference, s.srs, witness, found) == proof


def test_masks_reach_every_view_that_the_simulator_makes(pair: Pair) -> None:
    """So that the two have one distribution: as many dimensions as the simulator has free choices.

    Of the opening's 13 words three follow from others: q from C* and g, W and W' from all before.
    """
    v = pair.setup.layout.verifier
    secret_table = "pad T" in pair.cells
    ranks = {stage: pair.views.rank(stage) for stage in chain.from_iterable(zk.STAGES)}
    made = v.stage1_tiles + v.stage2_tiles + 3
    assert ranks == {
        "pads": v.slices + 3 + secret_table,
        "rows": 2,
        "mask 1": 1 + v.n * (v.slices + 2),
        "mask 2": 1 + v.mu * 3,
        zk.Z_STAGE: made + 1 + 2 * v.k + 13 - 3,
    }
    for stage in ("pads", "rows", "mask 1", "mask 2"):  # none spare
        assert ranks[stage] == sum(zk.stage_of(name) == stage for name in pair.cells)


def test_each_pad_and_row_is_needed(pair: Pair) -> None:
    for name in pair.named("pad "):
        assert pair.missing({name}) == "pads", name
    for name in pair.named("row "):
        assert pair.missing({name}) == "rows", name


def test_pads_are_distinct_cells(pair: Pair) -> None:
    pads = pair.named("pad ")
    for pads_as_one in pairwise(pads):
        assert pair.missing((), tied=pads_as_one) == "pads", pads_as_one
    assert pair.missing((), tied=("pad H", "pad G")) == "pads"


def test_each_sumcheck_mask_is_needed(pair: Pair) -> None:
    for mask, stage in (("g1", "mask 1"), ("g2", "mask 2")):
        assert pair.missing(pair.named(mask)) == stage


def test_each_variable_of_a_sumcheck_mask_is_needed(pair: Pair) -> None:
    v = pair.setup.layout.verifier
    for mask, stage, n in (("g1", "mask 1", v.n), ("g2", "mask 2", v.mu)):
        for i in range(n):
            assert pair.missing(pair.named(f"{mask} x{i}^")) == stage, (mask, i)


@pytest.mark.parametrize("pair", [perceptrons, sliced], indirect=True)
def test_each_coefficient_of_a_sumcheck_mask_is_needed(pair: Pair) -> None:
    """Only those above the degree of what has joined are to spare: there they hide zeros."""
    v = pair.setup.layout.verifier
    joined = [(v.n_f, v.slices + 2), (v.n_t, 3)]
    joined += [(c.variables, 3 if any(c.kernels) else 2) for c in v.contractions]
    for name in pair.named("g1", "g2"):
        degree, at = 3, name.split(" ")[1]
        if name.startswith("g1 x"):
            i = int(at[1:].split("^")[0])
            degree = max(d for variables, d in joined if variables >= v.n - i)
        spare = "^" in at and int(at.split("^")[1]) > degree
        expected = None if spare else zk.stage_of(name)
        assert pair.missing({name}) == expected, name


def test_each_blinder_is_needed_but_those_of_z_tiles(pair: Pair) -> None:
    *needed, z1, z2 = pair.named("rho ")
    for name in needed:
        assert pair.missing({name}) == zk.Z_STAGE, name
    assert pair.missing({z1, z2}) is None  # for uniformity


def test_both_z_tiles_are_needed(pair: Pair) -> None:
    for tile in ("Z1 ", "Z2 "):
        assert pair.missing(pair.named(tile)) == zk.Z_STAGE, tile


def test_64_cells_of_a_z_tile_are_enough(pair: Pair) -> None:
    """Mercury's words, the rounds and v_m take k + 6 cells of each tile; k + 5 leak."""
    for cells, expected in ((K + 6, None), (K + 5, zk.Z_STAGE)):
        without = [f"Z{tile} {i}" for tile in (1, 2) for i in range(cells, 1 << K)]
        assert pair.missing(without) == expected, cells


def test_cells_of_z_tiles_are_enough_at_every_size() -> None:
    """The first k + 6 of the fixed positions, so the more so all 64; and k + 5 are not."""
    rng = random.Random(7)
    for k in range(K, MAX_K + 1):
        for count, short in ((k + 6, 0), (k + 5, 1)):
            positions = [z_positions(k, which).tolist()[:count] for which in (0, 1)]
            reached, there = z_reach(k, positions, partial(rng.randrange, P))
            assert reached == there - short, (k, count)


def test_small_tiles_leak_whatever_their_cells() -> None:
    """Why the format starts above them: g and h have too few coefficients."""
    rng = random.Random(8)
    for k in (2, 3, 4):
        reached, there = z_reach(k, [range(1 << k)] * 2, partial(rng.randrange, P))
        assert reached < there, k


def test_two_proofs_of_a_statement_share_no_word(pair: Pair) -> None:
    s = pair.setup
    one, two = (decode(s.prove(entropy=e), s.layout.verifier).encode() for e in (b"1", b"2"))
    assert not set(zk.words(one)) & set(zk.words(two))
