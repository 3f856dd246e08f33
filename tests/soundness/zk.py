"""Zero knowledge as linear algebra: masks under which another witness gives the same proof.

The secret of the development SRS is known, so a commitment can stand for its discrete logarithm:
`Exponents` is a kernel tier whose points are these logarithms, and a proof a list of field
elements. For fixed challenges it depends on the masks in five stages, each linear in masks that no
earlier stage has used. No formula of the prover is repeated here: what a mask does to the proof is
measured, by running the prover with that mask moved by one. docs/protocol/zero-knowledge.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from unittest.mock import patch

from prover.curve import Affine
from prover.field import ELEMENT_BYTES, P, inverse
from prover.kernels import reference
from prover.kernels.interface import Kernels, Vec
from prover.opening import PROOF_BYTES
from prover.program.format import VerifierProgram
from prover.program.layout import Layout
from prover.prove import Attempt, Masks, Witness
from prover.proving.columns import Pads
from prover.proving.tiles import Tile
from prover.srs import Srs, development_secret
from prover.statement import Statement
from prover.sumcheck import Mask
from prover.transcript import Transcript
from tests.soundness.reach import reduce, solve

Cells = dict[str, int]


# -- transcripts -----------------------------------------------------------------------------------


class Recorded(Transcript):
    """The honest transcript of a statement; keeps its challenges."""

    def __init__(self, statement: Statement) -> None:
        super().__init__(statement.transcript().state)
        self.drawn: list[int] = []

    def challenge(self, label: str) -> int:
        self.drawn.append(super().challenge(label))
        return self.drawn[-1]


class Preset(Transcript):
    """Gives challenges that were chosen beforehand, whatever it absorbs."""

    def __init__(self, challenges: Sequence[int]) -> None:
        super().__init__()
        self.left = iter(challenges)

    def challenge(self, label: str) -> int:
        return next(self.left)


# -- discrete logarithms in place of points --------------------------------------------------------


class Exponents:
    """The reference tier on points that are their logarithms d, written as the pair (d, 0)."""

    name = "exponents"

    def __getattr__(self, name: str) -> Any:
        return getattr(reference, name)

    def load_points(self, points: Sequence[Affine]) -> list[int]:
        return [logarithm for logarithm, _ in points]

    def msm(self, points: Sequence[int], scalars: Vec) -> Affine:
        return sum(p * int(c) for p, c in zip(points, scalars, strict=False)) % P, 0

    msm_small = msm

    def msm_picked(self, points: Sequence[int], values: Vec, rows: Any) -> Affine:
        return self.msm(points, reference.pick(values, rows))


EXPONENTS: Kernels = Exponents()


@cache
def powers_of_secret(k: int) -> Srs:
    """1, s, ..., s^(2^k): the SRS of the exponents."""
    powers = [1]
    for _ in range(1 << k):
        powers.append(powers[-1] * development_secret() % P)
    return Srs(k, powers, (powers[1], 0), None)


@contextmanager
def in_the_exponent() -> Iterator[None]:
    """Inside, commitments add up as logarithms do."""

    def add(a: Affine, b: Affine) -> Affine:
        return (a[0] + b[0]) % P, 0

    with patch("prover.commitment.add", add):
        yield


def logarithm(tile: Tile, k: int) -> int:
    """Of a tile's commitment."""
    with in_the_exponent():
        return tile.commit(EXPONENTS, powers_of_secret(k), k)[0]


def recommit(tiles: Sequence[Tile], others: Sequence[Tile], k: int) -> list[Tile]:
    """`tiles` with the blinders that give them the commitments of `others`."""
    top = powers_of_secret(k).points[1 << k]
    return [
        replace(tile, blinder=(logarithm(other, k) - logarithm(replace(tile, blinder=0), k))
                * inverse(top) % P)
        for tile, other in zip(tiles, others, strict=True)
    ]  # fmt: skip


# -- masks as named cells --------------------------------------------------------------------------

Z_STAGE = "Z and rho"
STAGE_OF = {"pad": "pads", "row": "rows", "g1": "mask 1", "g2": "mask 2"}
STAGES = (("pads", "rows"), ("mask 1", "mask 2"), (Z_STAGE,))  # one needs the ones before it


def stage_of(cell: str) -> str:
    return STAGE_OF.get(cell.split(" ")[0], Z_STAGE)


def cells_of(masks: Masks, layout: Layout) -> Cells:
    """Every random cell of a proof, by name."""
    pads = masks.pads
    cells = {f"pad f{i}": value for i, value in enumerate(pads.slices)}
    cells |= {"pad H": pads.helper, "pad G": pads.table_helper, "pad M": pads.multiplicity}
    if any(table.values is not None for table in layout.relations.tables):
        cells["pad T"] = pads.table
    cells["row x"], cells["row y"] = masks.e_row
    for name, mask in (("g1", masks.mask1), ("g2", masks.mask2)):
        cells[f"{name} constant"] = mask.constant
        for i, row in enumerate(mask.rows):
            cells |= {f"{name} x{i}^{d}": value for d, value in enumerate(row, 1)}
    for name, values in zip(("Z1", "Z2"), masks.z_cells, strict=True):
        cells |= {f"{name} {i}": value for i, value in enumerate(values)}
    return cells | {f"rho {i}": value for i, value in enumerate(masks.blinders)}


def masks_of(cells: Cells, v: VerifierProgram) -> Masks:
    """The inverse of `cells_of`."""

    def run(name: str) -> list[int]:
        found: list[int] = []
        while (key := f"{name}{len(found)}") in cells:
            found.append(cells[key])
        return found

    def mask(name: str, n: int, degree: int) -> Mask:
        rows = (tuple(cells[f"{name} x{i}^{d}"] for d in range(1, degree + 1)) for i in range(n))
        return Mask(cells[f"{name} constant"], tuple(rows))

    helpers = (cells["pad H"], cells["pad G"], cells["pad M"], cells.get("pad T", 0))
    return Masks(
        blinders=run("rho "),
        mask1=mask("g1", v.n, v.slices + 2),
        mask2=mask("g2", v.mu, 3),
        pads=Pads(run("pad f"), *helpers),
        e_row=(cells["row x"], cells["row y"]),
        z_cells=(run("Z1 "), run("Z2 ")),
    )


# -- a proof as field elements ---------------------------------------------------------------------


def words(proof: bytes) -> list[int]:
    return [
        int.from_bytes(proof[i : i + ELEMENT_BYTES], "big")
        for i in range(0, len(proof), ELEMENT_BYTES)
    ]


def stages_of_words(v: VerifierProgram) -> list[str]:
    """For each word of a proof, the stage whose masks hide it."""
    opening = PROOF_BYTES // ELEMENT_BYTES
    parts = (
        (Z_STAGE, 2 * (v.stage1_tiles + v.stage2_tiles)),
        ("mask 1", 1 + v.n * (v.slices + 2)),
        ("pads", v.slices + 4),
        (Z_STAGE, 2),
        ("mask 2", 1 + 3 * v.mu),
        ("rows", 2),
        (Z_STAGE, 4 + 1 + 2 * v.k + opening),
    )
    return [stage for stage, count in parts for _ in range(count)]


class NoMasks(Exception):
    """No masks give the view wanted; the argument is the stage that has no solution."""


@dataclass
class Views:
    """The prover's proofs for one list of challenges, as functions of witness and masks."""

    layout: Layout
    challenges: Sequence[int]
    responses: dict[str, list[int]] = field(default_factory=dict)

    @property
    def v(self) -> VerifierProgram:
        return self.layout.verifier

    def prove(self, kernels: Kernels, srs: Srs, witness: Witness, cells: Cells) -> bytes:
        masks, transcript = masks_of(cells, self.v), Preset(self.challenges)
        return Attempt(kernels, srs, self.layout, witness, masks, transcript).run()

    def view(self, witness: Witness, cells: Cells) -> list[int]:
        """All words of the proof, points as (logarithm, 0)."""
        with in_the_exponent():
            return words(self.prove(EXPONENTS, powers_of_secret(self.v.k), witness, cells))

    def of_stage(self, stage: str, view: Sequence[int]) -> list[int]:
        return [w for w, s in zip(view, stages_of_words(self.v), strict=True) if s == stage]

    def measure(self, witness: Witness, cells: Cells, wanted: Collection[str]) -> None:
        """What one more of each wanted mask does to the words of its stage."""
        before = self.view(witness, cells)
        for cell in wanted:
            after = self.view(witness, cells | {cell: cells[cell] + 1})
            moved = [(b - a) % P for a, b in zip(before, after, strict=True)]
            self.responses[cell] = self.of_stage(stage_of(cell), moved)

    def moved(self, names: Collection[str]) -> list[int]:
        """What one more of all these cells does."""
        return [sum(word) % P for word in zip(*(self.responses[n] for n in names), strict=True)]

    def rank(self, stage: str) -> int:
        """Dimensions of the views that a stage's masks reach."""
        return len(reduce([c for n, c in self.responses.items() if stage_of(n) == stage])[1])

    def match(
        self,
        witness: Witness,
        view: Sequence[int],
        start: Cells,
        fixed: Collection[str] = (),
        tied: Collection[str] = (),
    ) -> Cells:
        """Masks that give this witness this view, stage by stage; raises NoMasks.

        start: any values; fixed: cells that keep them; tied: cells that move as one, as if the
        protocol had a single cell in their place.
        """
        cells = dict(start)
        for stages in STAGES:
            now = self.view(witness, cells)
            for stage in stages:
                missing = [
                    (wanted - got) % P
                    for wanted, got in zip(
                        self.of_stage(stage, view), self.of_stage(stage, now), strict=True
                    )
                ]
                free = [n for n in self.responses if n not in fixed and n not in tied]
                moves = [(name,) for name in free if stage_of(name) == stage]
                moves += [tuple(tied)] * any(stage_of(name) == stage for name in tied)
                steps = solve([self.moved(move) for move in moves], missing)
                if steps is None:
                    raise NoMasks(stage)
                for move, step in zip(moves, steps, strict=True):
                    cells |= {name: (cells[name] + step) % P for name in move}
        return cells
