"""Prove and verify with a model folder: what the command line and the service call.

    session = Session.open(folder);  output, proof = session.prove(context, input)
    check(model, Claim.read(path), context)

No chain and no torch here. The interpreter runs before every proof and refuses what no proof could
show.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from prover import kernels as tiers
from prover.curve import PointG2
from prover.errors import EinproofError
from prover.kernels.interface import Kernels
from prover.model import Model
from prover.program.evaluate import Ints
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.prove import Witness, prove
from prover.srs import Srs, SrsError, development_id, development_s_g2, development_srs, load_srs
from prover.statement import Statement
from prover.verify import verify

SRS_VARIABLE = "EINPROOF_SRS"
FORMAT = "einproof/proof/v1"


class ClaimDamaged(EinproofError):
    """A proof file that is not one."""


class ClaimForeign(EinproofError):
    """A claim about another model, context or input than the one that was asked about."""


def find_srs(kernels: Kernels, srs_id: bytes, k: int) -> Srs:
    """The SRS of an id: the development one, else the file that EINPROOF_SRS names.

    Raises SrsError where it is another, too small, or not there.
    """
    if srs_id == development_id():
        return development_srs(kernels, k)
    path = os.environ.get(SRS_VARIABLE)
    if not path:
        got = "none: import the ceremony with einproof srs import"
        raise SrsError(f"SRS {srs_id.hex()}", f"a file named by {SRS_VARIABLE}", got)
    try:
        srs = load_srs(kernels, Path(path))
    except OSError as error:
        got = f"{error.strerror}: correct {SRS_VARIABLE}"
        raise SrsError(f"SRS file {path}", "a readable file", got) from error
    if srs.id != srs_id:
        got = f"{srs.id.hex()}: name the file of that SRS with {SRS_VARIABLE}"
        raise SrsError(f"SRS file {path}", srs_id.hex(), got)
    if srs.k_max < k:
        got = f"2^{srs.k_max}: import more of the ceremony"
        raise SrsError(f"SRS file {path}", f"2^{k} powers", got)
    return srs


def trusted_s_g2(srs_id: bytes) -> PointG2:
    """[s]_2 of an SRS that this machine trusts: all that a verifier needs of it."""
    if srs_id == development_id():
        return development_s_g2()
    return find_srs(tiers.get("reference"), srs_id, 0).s_g2


class Session:
    """A model ready to prove: SRS, layout and tiles are made once."""

    def __init__(
        self, model: Model, kernels: Kernels | None = None, srs: Srs | None = None
    ) -> None:
        self.model = model
        self.kernels = kernels or tiers.get()
        self.srs = srs or find_srs(self.kernels, model.srs_id, model.layout.k)
        if self.srs.id != model.srs_id:
            raise SrsError("SRS of the model", model.srs_id.hex(), self.srs.id.hex())
        self.fixed = model.fixed_tiles()

    @classmethod
    def open(cls, folder: Path) -> Session:
        return cls(Model.load(folder))

    def run(self, data: bytes) -> dict[str, Ints]:
        """Every tensor and hint for a statement's input; raises ValueRefused or WrongLength."""
        weights = self.model.owned.weights
        return interpret(self.model.program, {**weights, **self.model.decode(Role.INPUT, data)})

    def prove(self, context: bytes, data: bytes) -> tuple[bytes, bytes]:
        """(output bytes, proof bytes) for a 32-byte context and the statement's input bytes."""
        values = self.run(data)
        output = self.model.encode(Role.OUTPUT, values)
        statement = Statement(context, self.model.id, self.srs.id, data, output)
        witness = Witness(values, self.fixed, [])
        return output, prove(self.kernels, self.srs, self.model.layout, statement, witness)


@dataclass(frozen=True)
class Claim:
    """A statement and its proof, as a file holds them."""

    context: bytes
    model_id: bytes
    srs_id: bytes
    input: bytes
    output: bytes
    proof: bytes

    @property
    def statement(self) -> Statement:
        return Statement(self.context, self.model_id, self.srs_id, self.input, self.output)

    def to_json(self) -> str:
        """One JSON object, bytes as 0x-prefixed hex."""
        fields = {name: "0x" + value.hex() for name, value in asdict(self).items()}
        return json.dumps({"format": FORMAT, **fields}, indent=2) + "\n"

    @classmethod
    def read(cls, path: Path) -> Claim:
        """From a file; raises ClaimDamaged."""
        try:
            return cls.from_json(path.read_bytes())
        except OSError as error:
            raise ClaimDamaged(f"{path}: cannot be read ({error.strerror})") from error
        except ClaimDamaged as error:
            raise ClaimDamaged(f"{path}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Claim:
        """The inverse; raises ClaimDamaged."""
        try:
            found = json.loads(text)
            if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
                raise ClaimDamaged(f"expected an object of format {FORMAT}, got another")
            names = set(cls.__dataclass_fields__)
            if set(found) != names:
                raise ClaimDamaged(f"expected fields {sorted(names)}, got {sorted(found)}")
            return cls(**{name: _unhex(value) for name, value in found.items()})
        except (ValueError, TypeError, RecursionError) as error:
            raise ClaimDamaged(f"expected a proof file of format {FORMAT}: {error}") from error


def check(model: Model, claim: Claim, context: bytes | None = None) -> None:
    """Verifies a claim about a model under an SRS that this machine trusts.

    Raises a ProofError, SrsError, or ClaimForeign for another model or context. The caller must
    still check: that the model is one that it, or somebody it trusts, has audited; and, where none
    was given, that the context is the one it expects.
    """
    if claim.model_id != model.id:
        raise ClaimForeign(
            f"expected a proof about model 0x{model.id.hex()}, got one about"
            f" 0x{claim.model_id.hex()}: name that model's folder"
        )
    if context is not None and claim.context != context:
        raise ClaimForeign(
            f"expected a proof bound to context 0x{context.hex()}, got 0x{claim.context.hex()}:"
            " it answers another question"
        )
    key = model.verifying_key(trusted_s_g2(model.srs_id))
    verify(key, claim.statement, claim.proof)


def _unhex(text: object) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError(f"expected 0x and hexadecimal digits, got {text!r:.40}")
    return bytes.fromhex(text[2:])
