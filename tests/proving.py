"""From a case to everything that proving and verifying it takes, under the development SRS."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from eth_hash.auto import keccak

from prover import kernels as tiers
from prover.curve import Affine, encode_point
from prover.field import P
from prover.kernels.interface import Kernels
from prover.program import format as fmt
from prover.program.ir import Role
from prover.program.layout import Layout, layout
from prover.prove import Witness, prove
from prover.proving.tiles import Tile, small_tiles, table_tiles, weight_tiles
from prover.srs import Srs, development_srs
from prover.statement import Statement, encode_public
from prover.verify import VerifyingKey, verify
from tests.programs import Case

ENTROPY = b"test entropy, never used outside tests"
CONTEXT = b"context of the test".ljust(32, b".")
MODEL_ID = b"model id of the test".ljust(32, b".")
BLINDING_KEY = bytes(range(32))


def tile_blinder(key: bytes, tile: int) -> int:
    return int.from_bytes(keccak(key + tile.to_bytes(8, "big")), "big") % P


@cache
def srs_of(tier: str | None, k: int) -> Srs:
    return development_srs(tiers.get(tier), k)


@dataclass
class Setup:
    """A case laid out, with its tiles committed and its statement made."""

    kernels: Kernels
    srs: Srs
    layout: Layout
    key: VerifyingKey
    statement: Statement
    witness: Witness

    def prove(self, log: list[tuple[str, str]] | None = None, entropy: bytes = ENTROPY) -> bytes:
        return prove(
            self.kernels, self.srs, self.layout, self.statement, self.witness, entropy, log
        )

    def verify(self, proof: bytes, statement: Statement | None = None) -> None:
        verify(self.key, statement or self.statement, proof)


def setup(case: Case, k: int | None = None, tier: str | None = None, seed: int = 0) -> Setup:
    """`seed` varies the blinders of weight tiles and committed tensors."""
    kernels = tiers.get(tier)
    plan = layout(case.program, k)
    v = plan.verifier
    srs = srs_of(tier, v.k)
    named = case.values
    values = {i: np.asarray(named[t.name]) for i, t in enumerate(plan.relations.tensors)}
    key = bytes([seed]) + BLINDING_KEY[1:]
    weights = weight_tiles(plan, values)
    fixed = [Tile(cells, tile_blinder(key, i)) for i, cells in enumerate(weights)]
    fixed += [Tile(cells, 0) for cells in table_tiles(plan)]
    committed = []
    for first, count, role in (
        (v.input_tile, v.input_tiles, Role.INPUT_COMMITTED),
        (v.input_tile + v.input_tiles, v.output_tiles, Role.OUTPUT_COMMITTED),
    ):
        for i, cells in enumerate(small_tiles(plan, first, count, values, role)):
            committed.append(Tile(cells, tile_blinder(key, first + i)))
    points = [tile.commit(kernels, srs, v.k) for tile in committed]
    sides = [
        public_bytes(case, named, role) + b"".join(map(encode_point, part))
        for role, part in (
            (Role.INPUT, points[: v.input_tiles]),
            (Role.OUTPUT, points[v.input_tiles :]),
        )
    ]
    fixed_points: tuple[Affine, ...] = tuple(tile.commit(kernels, srs, v.k) for tile in fixed)
    program = fmt.parse(fmt.serialize(v))
    verifying = VerifyingKey(MODEL_ID, program, fixed_points, srs.id, srs.s_g2)
    statement = Statement(CONTEXT, MODEL_ID, srs.id, sides[0], sides[1])
    return Setup(kernels, srs, plan, verifying, statement, Witness(named, fixed, committed))


def public_bytes(case: Case, values: dict[str, np.ndarray], role: Role) -> bytes:
    return b"".join(
        encode_public(values[t.name].reshape(-1).tolist())
        for t in case.program.tensors
        if t.role == role
    )
