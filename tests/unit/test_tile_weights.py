"""The prover's weights of tiles: against the verifier's, and cut in two at every place."""

import random
from collections.abc import Iterator

import numpy as np
import pytest

from prover import kernels as tiers
from prover import linear
from prover.challenges import Challenges
from prover.field import P
from prover.program.axis import eq_expand, evaluate
from prover.program.format import Kernel, Kind, Source, Span, VerifierProgram
from prover.program.layout import layout
from prover.proving.rounds import TileRounds
from prover.proving.tiles import NOTHING, Tile
from prover.proving.weights import Weights, cut, expand
from tests.programs import Case, mlp, random_case
from tests.soundness.small import every_kind
from tests.stacks import blocks

CASES = [
    every_kind(),
    mlp([5, 7, 3], batch=3),
    blocks(3),
    *(random_case(seed) for seed in range(4)),
]
KERNELS = tiers.get("scalar")


def drawn_for(program: VerifierProgram, seed: int) -> Challenges:
    """Challenges of a transcript that nobody made."""
    rng = random.Random(seed)

    def point(count: int) -> list[int]:
        return [rng.randrange(P) for _ in range(count)]

    drawn = Challenges(*(rng.randrange(P) for _ in range(2)))
    drawn.rho, drawn.r, drawn.tau = point(program.rho_length), point(program.n), point(program.n)
    drawn.alpha, drawn.batch = point(2)
    drawn.side, drawn.tile = point(program.mu), point(program.k)
    return drawn


@pytest.fixture(params=CASES, ids=range(len(CASES)))
def weights(request: pytest.FixtureRequest) -> Iterator[Weights]:
    case: Case = request.param
    plan = layout(case.program)
    yield Weights(KERNELS, plan.verifier, plan.terms, drawn_for(plan.verifier, 1))


def test_a_tiles_weight_is_the_verifiers(weights: Weights) -> None:
    program, drawn = weights.program, drawn_for(weights.program, 1)
    sides = (bytes(program.input_bytes), bytes(program.output_bytes))
    values = linear.values(program, drawn, sides)
    expected, _ = linear.tile_weights(program, drawn, values)
    at = eq_expand(drawn.tile)
    for tile, value in zip(weights.tiles, expected, strict=True):
        cells = KERNELS.to_ints(weights.vector(tile))
        assert sum(a * b for a, b in zip(cells, at, strict=True)) % P == value


def test_halves_multiply_to_the_weight_wherever_it_is_cut(weights: Weights) -> None:
    for low in range(1, weights.k + 1):
        fresh = Weights(KERNELS, weights.program, weights.terms, drawn_for(weights.program, 1))
        for tile in fresh.tiles:
            found = KERNELS.zeros(1 << weights.k)
            for u, name in fresh.halves(tile, low):
                found = KERNELS.add(found, KERNELS.outer(u, fresh.lower(name, low)))
            assert KERNELS.to_ints(found) == KERNELS.to_ints(fresh.vector(tile))


KINDS = [
    Kernel(Kind.EQ, Span(Source.R, 1, 3), Span(Source.Y, 0, 5), const=2),
    Kernel(Kind.EQ, Span(Source.R, 0, 7), Span(Source.Y, 0, 5), const=1),
    Kernel(Kind.EQ, y=Span(Source.Y, 0, 5), const=19),
    Kernel(Kind.SHIFT, Span(Source.R, 0, 6), Span(Source.Y, 0, 5), const=41, shift=13),
    Kernel(Kind.SHIFT, Span(Source.R, 0, 4), Span(Source.Y, 0, 5), const=11, shift=-9),
    Kernel(Kind.POWER, y=Span(Source.Y, 0, 5), const=3),
]


@pytest.mark.parametrize("kernel", KINDS)
def test_a_kernel_is_the_sum_of_its_parts(kernel: Kernel) -> None:
    drawn = drawn_for(layout(CASES[0].program).verifier, 2)
    drawn.r, drawn.tile = (list(range(7, 15)), list(range(100, 105)))

    def at_point(one: Kernel, y: list[int]) -> int:
        return evaluate(one, (drawn.rho, drawn.r, y), drawn.gamma)

    for high in range(6):
        total = 0
        for upper, lower in cut(kernel, high):
            product = 1
            for half, y in ((upper, drawn.tile[:high]), (lower, drawn.tile[high:])):
                for one in half:
                    product = product * at_point(one, y) % P
            total += product
        assert total % P == at_point(kernel, drawn.tile)
    start, run = expand(KERNELS, kernel, drawn)
    cells, at = KERNELS.to_ints(run), eq_expand(drawn.tile)
    assert sum(c * at[start + i] for i, c in enumerate(cells)) % P == at_point(kernel, drawn.tile)


def test_rounds_do_not_depend_on_the_cut(weights: Weights) -> None:
    """Tiles of every form: integers of both widths, of nothing, runs, scattered cells, dense."""
    rng, size = np.random.default_rng(3), 1 << weights.k
    tiles = []
    for t in range(len(weights.tiles)):
        small = rng.integers(-(2**15), 2**15, size).astype((np.int16, np.int64)[t % 2])
        run = (5, KERNELS.from_ints([3, P - 8, 1 << 200]))
        scattered = (np.array([2, size - 1]), KERNELS.from_ints([P - 1, 1 << 190]))
        tiles.append(
            (
                Tile(small, t),
                Tile(small, t, [run], scattered),
                Tile(NOTHING, t, [run], scattered),
                Tile(KERNELS.from_int64(small), t),
                Tile(KERNELS.from_int64(small), t, [run]),
            )[t % 5]
        )

    def challenge(sent: tuple[int, ...]) -> int:
        return sum(sent) * 17 % P + 1

    found = []
    for low in (None, *range(1, weights.k + 1)):
        rounds = TileRounds(KERNELS, weights, tiles, low)
        sent, point, at_point = rounds.run(challenge)
        combined, blinder = rounds.combined(at_point)
        found.append((sent, point, at_point, KERNELS.to_ints(combined), blinder))
    assert all(one == found[0] for one in found)
    sent, point, at_point, combined, _ = found[0]
    eq = eq_expand(point)
    ends = [
        sum(c * e for c, e in zip(KERNELS.to_ints(weights.vector(tile)), eq, strict=True)) % P
        for tile in weights.tiles
    ]
    assert at_point == ends
    whole = [KERNELS.to_ints(tile.vector(KERNELS, weights.k)) for tile in tiles]
    assert combined == [
        sum(a * c for a, c in zip(at_point, column, strict=True)) % P
        for column in zip(*whole, strict=True)
    ]
