"""The simulator of docs/protocol/zero-knowledge.md#simulator: proofs from a statement alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from prover import linear
from prover.challenges import Challenges
from prover.curve import Affine
from prover.field import P, inverse
from prover.kernels.interface import Kernels
from prover.lookup import last
from prover.opening import prove_opening
from prover.program.axis import eq_expand
from prover.program.layout import Layout
from prover.proof import LookupEvaluations, Proof
from prover.srs import Srs
from prover.sumcheck import final_claim
from prover.verify import claims, draw
from tests.soundness.zk import Preset


def simulate(
    kernels: Kernels,
    srs: Srs,
    layout: Layout,
    sides: tuple[bytes, bytes],
    known_points: Sequence[Affine],
    coin: Callable[[], int],
    transcript: Preset,
) -> bytes:
    """A proof made without a witness, for challenges chosen beforehand.

    sides: input and output bytes; known_points: of the fixed tiles and of committed tensors.
    """
    v = layout.verifier

    def scalars(count: int) -> tuple[int, ...]:
        return tuple(coin() for _ in range(count))

    def combine(points: Sequence[Affine], weights: Sequence[int]) -> Affine:
        return kernels.msm(kernels.load_points(points), kernels.from_ints(weights))

    def point() -> Affine:
        return kernels.msm(srs.points, kernels.from_ints([coin()]))

    def points(count: int) -> tuple[Affine, ...]:
        return tuple(point() for _ in range(count))

    later = point()  # stands for Z1 until it is known: nothing that is drawn depends on it
    proof = Proof(
        stage1=points(v.stage1_tiles),
        stage2=points(v.stage2_tiles),
        sigma1=coin(),
        main_rounds=tuple(scalars(v.slices + 2) for _ in range(v.n)),
        lookups=LookupEvaluations(scalars(v.slices), *scalars(4)),
        e_point=point(),
        sigma2=coin(),
        side_rounds=tuple(scalars(3) for _ in range(v.mu)),
        e_x=coin(),
        e_y=coin(),
        z_points=(later, point()),
        v_mask=coin(),
        tile_rounds=tuple(scalars(2) for _ in range(v.k)),
        opening=b"",
    )
    drawn = draw(v, proof, transcript)
    if all(table.values is None for table in layout.relations.tables):
        lookups = proof.lookups._replace(table=range_column(layout, drawn))
        proof = replace(proof, lookups=lookups)

    on_kernels = linear.values(v, drawn, sides)
    weights, scalar = linear.tile_weights(v, drawn, on_kernels)
    value = linear.claimed_value(v, drawn, claims(v, drawn, proof, on_kernels)) - scalar
    value = final_claim(value, proof.tile_rounds, drawn.tile)

    eq = kernels.eq_table(drawn.tile)
    cells = kernels.from_ints(scalars(1 << v.k))
    short = (value - kernels.inner(cells, eq)) * inverse(kernels.to_ints(eq)[0])
    kernels.add_scaled(cells[:1], 1, kernels.from_ints([short]))
    blinder = coin()
    opening = prove_opening(kernels, srs, cells, blinder, drawn.tile, transcript)

    z1, z2 = v.e_tile + 1, v.e_tile + 2
    combined = kernels.msm(srs.points, kernels.concat([cells, kernels.from_ints([blinder])]))
    others = [*known_points, *proof.stage1, *proof.stage2, proof.e_point, proof.z_points[1]]
    known = [*weights[:z1], weights[z2]]
    share = inverse(weights[z1])
    solved = combine([combined, *others], [share, *(-w * share for w in known)])
    return replace(proof, z_points=(solved, proof.z_points[1]), opening=opening).encode()


def range_column(layout: Layout, drawn: Challenges) -> int:
    """T(r_T) where every table is a range: public, the same for every witness."""
    v = layout.verifier
    eq = eq_expand(last(drawn.r, v.n_t))
    found = [(0, t) for t in range(1 << v.n_t)]  # tag, index
    for tag, (spec, first) in enumerate(
        zip(layout.relations.tables, layout.table_firsts, strict=True), 1
    ):
        for x in range(spec.rows):
            found[first + x] = tag, spec.lo + x
    return sum(w * (tag + drawn.gamma * i) for w, (tag, i) in zip(eq, found, strict=True)) % P
