"""The verifier, as the protocol's table of contents: docs/protocol/verifier.md. Pure: integers,
Keccak, one pairing check.

Mirrored by contracts/verifier/TensorVerifier.sol: same order, same errors.
"""

from __future__ import annotations

from dataclasses import dataclass

from prover import einsum, linear, lookup
from prover.challenges import Challenges, draw_relations
from prover.curve import Affine, PointG2, msm
from prover.errors import UnknownModel, WrongSrs
from prover.opening import verify_opening
from prover.program.format import VerifierProgram
from prover.proof import Proof, Rounds, check_length, decode, late_bytes, middle_bytes, points_bytes
from prover.statement import Statement
from prover.sumcheck import final_claim
from prover.transcript import Transcript


@dataclass(frozen=True)
class VerifyingKey:
    """A model as the verifier knows it, and the SRS that it trusts."""

    model_id: bytes
    program: VerifierProgram
    fixed_points: tuple[Affine, ...]
    srs_id: bytes
    s_g2: PointG2


def verify(key: VerifyingKey, statement: Statement, data: bytes) -> None:
    """Returns if the proof shows the statement, else raises the ProofError that Solidity reverts
    with.

    The caller must still check: that the model id is of a program that it, or somebody it trusts,
    has audited; that the SRS id is one it trusts; that the context binds what it wants bound.
    """
    if statement.model_id != key.model_id:
        raise UnknownModel(statement.model_id)
    if statement.srs_id != key.srs_id:
        raise WrongSrs(key.srs_id, statement.srs_id)
    program = key.program
    statement.check_lengths(program)
    check_length(data, program)
    points = statement.points(program)
    proof = decode(data, program)
    transcript = statement.transcript()
    drawn = draw(program, proof, transcript)

    values = linear.values(program, drawn, (statement.input, statement.output))
    weights, scalar = linear.tile_weights(program, drawn, values)
    value = linear.claimed_value(program, drawn, claims(program, drawn, proof, values)) - scalar
    value = final_claim(value, proof.tile_rounds, drawn.tile)
    tiles = [*key.fixed_points, *points, *proof.stage1, *proof.stage2, proof.e_point]
    combined = msm([*tiles, *proof.z_points], weights)
    verify_opening(key.s_g2, combined, drawn.tile, value, proof.opening, transcript)


def draw(program: VerifierProgram, proof: Proof, transcript: Transcript) -> Challenges:
    """All challenges up to the opening's, each after everything that it must depend on."""
    drawn, absorb, challenge = Challenges(), transcript.absorb_bytes, transcript.challenge

    def rounds(label: str, sent: Rounds) -> list[int]:
        found = []
        for polynomial in sent:
            transcript.absorb_scalars(f"{label} round", polynomial)
            found.append(challenge(label))
        return found

    absorb("stage 1", points_bytes(proof.stage1))
    drawn.gamma, drawn.beta = challenge("gamma"), challenge("beta")
    absorb("stage 2", points_bytes(proof.stage2))
    draw_relations(program, drawn, challenge)
    transcript.absorb_scalar("sigma1", proof.sigma1)
    drawn.r = rounds("r", proof.main_rounds)
    absorb("f, H, G, M, T, E, sigma2", middle_bytes(proof.lookups, proof.e_point, proof.sigma2))
    drawn.side = rounds("r'", proof.side_rounds)
    absorb("e_x, e_y, Z, v_m", late_bytes(proof.e_x, proof.e_y, proof.z_points, proof.v_mask))
    drawn.batch = challenge("a")
    drawn.tile = rounds("y", proof.tile_rounds)
    return drawn


def claims(
    program: VerifierProgram, drawn: Challenges, proof: Proof, known: list[int]
) -> dict[int, int]:
    """The value of every linear claim that is not zero; `known`: values by id."""
    at = proof.lookups
    end1 = final_claim(proof.sigma1, proof.main_rounds, drawn.r)
    end2 = final_claim(proof.sigma2, proof.side_rounds, drawn.side)
    factors = einsum.contraction_factors(program, drawn, known)
    side = einsum.side_factor(factors, drawn.side)
    values = {
        linear.SIGMA1: proof.sigma1,
        linear.MASK1: end1 - lookup.summand(program, drawn, at) - proof.sigma2,
        linear.MASK2: end2 - side * proof.e_x * proof.e_y,
        linear.HELPER: at.helper,
        linear.TABLE_HELPER: at.table_helper,
        linear.MULTIPLICITY: at.multiplicity,
        linear.TABLE: at.table,
        linear.E_X: proof.e_x,
        linear.E_Y: proof.e_y,
        linear.Z_SUM: proof.v_mask,
    }
    return values | {linear.SLICE + kappa: f for kappa, f in enumerate(at.slices)}
