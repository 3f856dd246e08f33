"""The prover, as the protocol's table of contents: docs/protocol/verifier.md#transcript, step by
step.

Zero knowledge is not an option: every proof has its blinders, masks, pads and Z tiles, drawn by
`Randomness` from fresh OS randomness, the statement and the witness.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from prover.challenges import Challenges, draw_relations
from prover.curve import Affine
from prover.einsum import contraction_factors
from prover.errors import DegenerateChallenge, EinproofError, PointAtInfinity, ZeroInverse
from prover.field import P
from prover.kernels.interface import Int64s, Kernels
from prover.opening import prove_opening
from prover.program.axis import evaluate
from prover.program.evaluate import Ints, Stored
from prover.program.format import MASK1_POWERS, MASK2_POWERS
from prover.program.ir import Role
from prover.program.layout import Layout
from prover.program.lookups import F_PADS, MASK1, MASK2, TABLE_PAD, G, H, M
from prover.proof import Proof, late_bytes, middle_bytes, points_bytes
from prover.proving import columns, joint, tiles
from prover.proving.contractions import ContractionRounds, SideRounds
from prover.proving.randomness import Randomness, fresh_entropy, witness_digest
from prover.proving.rounds import TileRounds
from prover.proving.tiles import NOTHING, Tile
from prover.proving.weights import Weights
from prover.srs import Srs
from prover.statement import Statement
from prover.sumcheck import Mask
from prover.transcript import Transcript

ATTEMPTS = 3
Z_CELLS = 64


class ProverFailed(EinproofError):
    """No proof after several attempts with fresh randomness: something other than chance is
    wrong."""


@dataclass(frozen=True)
class Witness:
    """Everything that a proof is about.

    values: every tensor and hint by name (prover.program.interpret); fixed: the weight and table
    tiles; committed: the tiles of committed inputs and outputs whose points are in the statement,
    with the blinders that made them.
    """

    values: Mapping[str, Stored]
    fixed: list[Tile]
    committed: list[Tile]


def prove(
    kernels: Kernels,
    srs: Srs,
    layout: Layout,
    statement: Statement,
    witness: Witness,
    entropy: bytes | None = None,
    log: list[tuple[str, str]] | None = None,
) -> bytes:
    """A proof of the statement.

    The caller has run the interpreter: a witness that breaks a relation gives bytes that no
    verifier accepts. `entropy` is for tests (no command or service passes it); default: fresh from
    the OS. Raises ProverFailed.
    """
    entropy = entropy or fresh_entropy()
    blinders = [tile.blinder for tile in witness.fixed + witness.committed]
    # weights, of GPT-2 a gigabyte to hash, are in the statement: its model id commits to them
    weights = {t.name for t in layout.relations.tensors if t.role == Role.WEIGHT}
    secret = {name: v for name, v in witness.values.items() if name not in weights}
    digest = witness_digest(secret, blinders)
    for attempt in range(ATTEMPTS):
        random = Randomness(entropy, statement.encode(), digest, attempt)
        masks = Masks.draw(layout, random)
        try:
            return Attempt(kernels, srs, layout, witness, masks, statement.transcript(log)).run()
        except (ZeroInverse, DegenerateChallenge, PointAtInfinity) as chance:
            failure = chance
    raise ProverFailed(f"expected a proof within {ATTEMPTS} attempts, got {failure}")


@dataclass
class Masks:
    """All the randomness of one proof; the zero-knowledge test solves for it (tests/soundness)."""

    blinders: list[int]  # of the tiles made with the proof: stages 1 and 2, E, Z1, Z2
    mask1: Mask
    mask2: Mask
    pads: columns.Pads
    e_row: tuple[int, int]
    z_cells: tuple[list[int], list[int]]

    @staticmethod
    def draw(layout: Layout, random: Randomness) -> Masks:
        v = layout.verifier
        secret_table = any(spec.values is not None for spec in layout.relations.tables)
        cells = min(Z_CELLS, 1 << v.k)
        return Masks(
            random.elements("tile blinders", v.stage1_tiles + v.stage2_tiles + 3),
            _mask(random, "mask 1", v.n, v.slices + 2),
            _mask(random, "mask 2", v.mu, 3),
            columns.Pads(
                random.elements("slice pads", v.slices),
                random.element("H pad"),
                random.element("G pad"),
                random.element("M pad"),
                random.element("T pad") if secret_table else 0,
            ),
            (random.element("E_x row"), random.element("E_y row")),
            (random.elements("Z1", cells), random.elements("Z2", cells)),
        )


def _mask(random: Randomness, label: str, n: int, degree: int) -> Mask:
    flat = random.elements(label, 1 + n * degree)
    rows = (tuple(flat[1 + i * degree : 1 + (i + 1) * degree]) for i in range(n))
    return Mask(flat[0], tuple(rows))


@functools.cache
def z_positions(k: int, which: int) -> Int64s:
    """The cells of Z1 and Z2 that are random: the first min(64, 2^k) distinct ones that a public
    XOF names."""
    stream = hashlib.shake_128(b"einproof/z/v1" + bytes([k, which])).digest(4 * 64 * Z_CELLS)
    words = (int.from_bytes(stream[i : i + 4], "big") for i in range(0, len(stream), 4))
    found = dict.fromkeys(word % (1 << k) for word in words)
    return np.array(list(found)[: min(Z_CELLS, 1 << k)], dtype=np.int64)


def z_sum(values: Sequence[int], at: Int64s, which: int) -> int:
    """sum_y Z(y) B(y): B_1 = 1, and B_2(y) = prod_i (1 + y_i), which is 2^(number of ones)."""
    ones = [int(y).bit_count() if which else 0 for y in at]
    return sum(z << n for z, n in zip(values, ones, strict=True))


class Attempt:
    """One run of the protocol; methods in the order of the transcript."""

    def __init__(
        self,
        kernels: Kernels,
        srs: Srs,
        layout: Layout,
        witness: Witness,
        masks: Masks,
        transcript: Transcript,
    ) -> None:
        self.kernels, self.srs, self.layout, self.v = kernels, srs, layout, layout.verifier
        self.masks, self.transcript = masks, transcript
        self.blinders = iter(masks.blinders)
        self.values = {
            i: witness.values[t.name] if t.name in witness.values else _table(t.values, t.shape)
            for i, t in enumerate(layout.relations.tensors)
        }
        self.tiles: list[Tile] = [*witness.fixed, *witness.committed]
        self.drawn = Challenges()

    def run(self) -> bytes:
        stage1 = self.commit_witness()
        stage2 = self.commit_helpers()
        sigma1, main_rounds = self.run_main()
        e_point, sigma2, side_rounds, e_x, e_y = self.run_sides()
        z_points, v_mask = self.commit_masks()
        tile_rounds, opening = self.open_tiles()
        proof = Proof(
            stage1, stage2, sigma1, main_rounds, self.lookups, e_point, sigma2, side_rounds,
            e_x, e_y, z_points, v_mask, tile_rounds, opening,
        )  # fmt: skip
        return proof.encode()

    # 1. activations, hints, multiplicities, masks, pads
    def commit_witness(self) -> tuple[Affine, ...]:
        kernels, v, blocks = self.kernels, self.v, self.layout.blocks
        self.columns = columns.Columns(self.layout, self.values)
        self.counts = self.columns.multiplicities()
        first = v.stage1_tile
        small = tiles.small_tiles(self.layout, first, v.stage1_tiles, self.values, Role.ACTIVATION)
        padded = np.append(self.counts, np.zeros((1 << v.n_t) - v.table_rows, dtype=np.int64))
        for block in blocks[M]:
            tiles.put(small[block.tile - first], block, padded)
        made = [Tile(cells, next(self.blinders)) for cells in small]

        def cell(name: str, position: int, value: int) -> None:
            block = next(
                b
                for b in blocks[name]
                if b.box.base[0] <= position < b.box.base[0] + (1 << b.box.size_bits)
            )
            at = block.offset + position - block.box.base[0]
            made[block.tile - first].runs.append((at, kernels.from_ints([value])))

        for name, mask, powers in (
            (MASK1, self.masks.mask1, MASK1_POWERS),
            (MASK2, self.masks.mask2, MASK2_POWERS),
        ):
            (block,) = blocks[name]
            dense = [0] * (1 << block.box.size_bits)
            for position, value in mask.cells(powers):
                dense[position] = value
            made[block.tile - first].runs.append((block.offset, kernels.from_ints(dense)))
        pads = self.masks.pads
        cell(M, v.table_rows, pads.multiplicity)
        for name, value in zip(
            (*F_PADS[: v.slices], TABLE_PAD), (*pads.slices, pads.table), strict=True
        ):
            cell(name, 0, value)
        return self._commit("stage 1", made)

    # 2. gamma, beta; H and G
    def commit_helpers(self) -> tuple[Affine, ...]:
        kernels, drawn, pads = self.kernels, self.drawn, self.masks.pads
        drawn.gamma = self.transcript.challenge("gamma")
        drawn.beta = self.transcript.challenge("beta")
        self.table = self.columns.table(kernels, drawn.gamma, pads.table)
        self.looked = self.columns.looked_up(kernels, self.table, pads.slices)
        self.helpers = columns.helpers(
            kernels, self.looked, self.table, self.counts, drawn.beta, pads
        )
        made = tiles.helper_tiles(
            kernels, self.layout, (H, self.helpers.rows, self.helpers.sources),
            (G, self.helpers.tables, None),
        )  # fmt: skip
        return self._commit("stage 2", [replace(t, blinder=next(self.blinders)) for t in made])

    # 3. rho, alpha, tau; the joint sumcheck
    def run_main(self) -> tuple[int, tuple[tuple[int, ...], ...]]:
        kernels, v, drawn = self.kernels, self.v, self.drawn
        draw_relations(v, drawn, self.transcript.challenge)
        lookups = columns.LookupRounds(
            kernels, self.layout, drawn, self.looked, self.helpers, self.table
        )
        contractions = [
            functools.partial(ContractionRounds, kernels, v.n, j, expr, c, drawn, self.values)
            for j, expr, c in self.layout.relations.contractions
        ]
        self.contractions = kernels.run_all(contractions)
        parts: list[joint.Part] = [lookups.rows, lookups.tables, *self.contractions]
        mask = self.masks.mask1
        sigma1 = (sum(part.claim for part in parts) + mask.total()) % P
        self.transcript.absorb_scalar("sigma1", sigma1)
        sent, drawn.r = joint.run(kernels, parts, mask, v.n, self._round("r"))
        self.lookups = lookups.evaluations()
        return sigma1, tuple(sent)

    # 4. E, sigma2, the sumcheck over contractions
    def run_sides(self) -> tuple[Affine, int, tuple[tuple[int, ...], ...], int, int]:
        kernels, v, mask = self.kernels, self.v, self.masks.mask2
        size, count = 1 << v.mu, len(self.contractions)
        ends = [c.ends() for c in self.contractions]
        x, y = (
            kernels.from_ints([e[i] for e in ends] + [row] + [0] * (size - count - 1))
            for i, row in enumerate(self.masks.e_row)
        )
        tile = Tile(NOTHING, next(self.blinders), [(0, x), (size, y)])
        e_point = tile.commit(kernels, self.srs, v.k)
        self.tiles.append(tile)
        # batch kernels: eq of rho with r, so known before the point in the tile
        known = {
            number: evaluate(v.kernel(number), self.drawn.points, self.drawn.gamma)
            for number in {kernel for c in v.contractions for kernel in c.kernels}
        }
        side = SideRounds(kernels, contraction_factors(v, self.drawn, known), x, y)
        sigma2 = (side.claim + mask.total()) % P
        middle = middle_bytes(self.lookups, e_point, sigma2)
        self.transcript.absorb_bytes("f, H, G, M, T, E, sigma2", middle)
        sent, self.drawn.side = joint.run(kernels, [side], mask, v.mu, self._round("r'"))
        e_x, e_y = side.ends()
        self.e = (e_x, e_y)
        return e_point, sigma2, tuple(sent), e_x, e_y

    # 5. Z tiles, and the sum that they are claimed to have, before a
    def commit_masks(self) -> tuple[tuple[Affine, Affine], int]:
        kernels, k = self.kernels, self.v.k
        points, total = [], 0
        for which, values in enumerate(self.masks.z_cells):
            at = z_positions(k, which)
            total += z_sum(values, at, which)
            scattered = (at, kernels.from_ints(values))
            tile = Tile(NOTHING, next(self.blinders), scattered=scattered)
            points.append(tile.commit(kernels, self.srs, k))
            self.tiles.append(tile)
        z_points, v_mask = (points[0], points[1]), total % P
        late = late_bytes(*self.e, z_points, v_mask)
        self.transcript.absorb_bytes("e_x, e_y, Z, v_m", late)
        return z_points, v_mask

    # 6. a; k rounds inside the tile; 7. one opening
    def open_tiles(self) -> tuple[tuple[tuple[int, ...], ...], bytes]:
        kernels, v, drawn = self.kernels, self.v, self.drawn
        drawn.batch = self.transcript.challenge("a")
        rounds = TileRounds(kernels, Weights(kernels, v, self.layout.terms, drawn), self.tiles)
        sent, drawn.tile, at_point = rounds.run(self._round("y"))
        combined, blinder = rounds.combined(at_point)
        opening = prove_opening(kernels, self.srs, combined, blinder, drawn.tile, self.transcript)
        return tuple(sent), opening

    def _commit(self, label: str, made: list[Tile]) -> tuple[Affine, ...]:
        commits = [functools.partial(t.commit, self.kernels, self.srs, self.v.k) for t in made]
        points = tuple(self.kernels.run_all(commits))
        self.transcript.absorb_bytes(label, points_bytes(points))
        self.tiles += made
        return points

    def _round(self, label: str) -> Callable[[tuple[int, ...]], int]:
        def draw(sent: tuple[int, ...]) -> int:
            self.transcript.absorb_scalars(f"{label} round", sent)
            return self.transcript.challenge(label)

        return draw


def _table(values: tuple[int, ...], shape: tuple[int, ...]) -> Ints:
    return np.array(values, dtype=np.int64).reshape(shape)
