"""The verifier on a chain: registry, Mercury, TensorVerifier, and cases registered there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from web3.contract import Contract

from prover.curve import Affine, PointG2, encode_point
from prover.program import format as fmt
from prover.program.encode import encode
from prover.srs import Srs
from prover.statement import Statement
from tests.evm import Chain
from tests.programs import Case
from tests.proving import Setup, setup

CHUNK = 24_575
ZERO = bytes(32)


def words(point: PointG2) -> list[int]:
    """A point of G2 as EIP-197 has it, imaginary parts first."""
    assert point is not None
    (x0, x1), (y0, y1) = point
    return [x1, x0, y1, y0]


@dataclass
class Deployment:
    """The contracts under one SRS."""

    chain: Chain
    registry: Contract
    mercury: Contract
    verifier: Contract

    @classmethod
    def make(cls, chain: Chain, srs: Srs) -> Deployment:
        registry = chain.deploy("contracts/oracle/ModelRegistry.sol")
        arguments = (list(srs.s_g1), words(srs.s_g2), srs.k_max)
        mercury = chain.deploy("contracts/verifier/MercuryVerifier.sol", *arguments)
        verifier = chain.deploy(
            "contracts/verifier/TensorVerifier.sol", registry.address, mercury.address
        )
        return cls(chain, registry, mercury, verifier)

    def store(self, data: bytes) -> list[str]:
        """The data as blobs; their addresses."""
        pieces = [data[i : i + CHUNK] for i in range(0, len(data), CHUNK)]
        for piece in pieces:
            self.chain.send(self.registry.functions.store(piece))
        return [self.chain.call(self.registry.functions.addressOf(piece)) for piece in pieces]

    def register(
        self, program: bytes, points: tuple[Affine, ...], srs_id: bytes, aux_hash: bytes = ZERO
    ) -> bytes:
        """The id of a model of these bytes."""
        chunks = self.store(program), self.store(b"".join(map(encode_point, points)))
        function = self.registry.functions.register(*chunks, srs_id, aux_hash)
        model_id = self.chain.call(function)
        self.chain.send(function)
        assert isinstance(model_id, bytes)
        return model_id

    def setup(self, case: Case, k: int | None = None, seed: int = 0) -> Setup:
        """A case set up for the id under which it is registered here."""
        made = setup(case, k, seed=seed)
        program = fmt.serialize(made.layout.verifier) + encode(case.program)
        model_id = self.register(program, made.key.fixed_points, made.srs.id)
        return replace(
            made,
            key=replace(made.key, model_id=model_id),
            statement=replace(made.statement, model_id=model_id),
        )

    def verification(self, statement: Statement, proof: bytes) -> Any:
        """The contract function, to call or to send."""
        return self.verifier.functions.verify(
            statement.model_id, statement.context, statement.input, statement.output, proof
        )

    def verify(self, statement: Statement, proof: bytes) -> None:
        """Raises Reverted."""
        self.chain.call(self.verification(statement, proof))

    def gas(self, statement: Statement, proof: bytes) -> int:
        """gasUsed of a transaction that verifies: 21,000 and calldata included."""
        used = self.chain.send(self.verification(statement, proof))["gasUsed"]
        assert isinstance(used, int)
        return used
