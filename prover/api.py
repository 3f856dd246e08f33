"""Prove and verify with a model folder: what the command line and the service call.

    session = Session.open(folder);  output, proof, _ = session.prove(context, input)
    check(model, Claim.read(path), context)

No chain and no torch here. The interpreter runs before every proof and refuses what no proof could
show.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple, TypeAlias

from prover import kernels as tiers
from prover.curve import PointG2
from prover.errors import EinproofError
from prover.kernels.interface import Kernels
from prover.model import Model
from prover.private import OpeningMismatch, OpeningMissing, TensorOpening
from prover.program.evaluate import Ints
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.program.proved import proved
from prover.prove import Witness, prove
from prover.srs import (
    Srs,
    SrsError,
    development_id,
    development_s_g2,
    development_srs,
    load_srs,
    read_key,
)
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
    path = _srs_file(srs_id)
    srs = load_srs(kernels, path)
    if srs.k_max < k:
        got = f"2^{srs.k_max}: import more of the ceremony"
        raise SrsError(f"SRS file {path}", f"2^{k} powers", got)
    return srs


def trusted_s_g2(srs_id: bytes) -> PointG2:
    """[s]_2 of an SRS that this machine trusts: all that a verifier needs of it; no powers are
    read."""
    if srs_id == development_id():
        return development_s_g2()
    _, s_g2 = read_key(_srs_file(srs_id))
    return s_g2


def _srs_file(srs_id: bytes) -> Path:
    """The file that EINPROOF_SRS names, which is of this id; raises SrsError."""
    path = os.environ.get(SRS_VARIABLE)
    if not path:
        got = "none: import the ceremony with einproof srs import"
        raise SrsError(f"SRS {srs_id.hex()}", f"a file named by {SRS_VARIABLE}", got)
    try:
        found, _ = read_key(Path(path))
    except OSError as error:
        got = f"{error.strerror}: correct {SRS_VARIABLE}"
        raise SrsError(f"SRS file {path}", "a readable file", got) from error
    if found != srs_id:
        got = f"{found.hex()}: name the file of that SRS with {SRS_VARIABLE}"
        raise SrsError(f"SRS file {path}", srs_id.hex(), got)
    return Path(path)


Openings: TypeAlias = Mapping[str, TensorOpening]


class Proved(NamedTuple):
    """The statement's output, the proof, and the openings of committed outputs by name: for the
    requester, or for the input of the next proof."""

    output: bytes
    proof: bytes
    openings: dict[str, TensorOpening]


class Session:
    """A model ready to prove: SRS, layout and tiles are made once."""

    def __init__(
        self,
        model: Model,
        kernels: Kernels | None = None,
        srs: Srs | None = None,
        *,
        declared: bool = True,
    ) -> None:
        """`declared`: inputs that leave a declared range are refused; else only those that have no
        proof (prover.program.proved)."""
        self.model = model
        self.program = model.program if declared else proved(model.program)
        self.kernels = kernels or tiers.get()
        self.srs = srs or find_srs(self.kernels, model.srs_id, model.layout.k)
        if self.srs.id != model.srs_id:
            raise SrsError("SRS of the model", model.srs_id.hex(), self.srs.id.hex())
        self.fixed = model.fixed_tiles()

    @classmethod
    def open(cls, folder: Path, *, declared: bool = True) -> Session:
        return cls(Model.load(folder), declared=declared)

    def run(self, data: bytes, openings: Openings | None = None) -> dict[str, Ints]:
        """Every tensor and hint for a statement's input; raises ValueRefused, WrongLength, or
        OpeningRefused where a committed input's opening is missing or another's."""
        return interpret(self.program, self._given(data, openings or {}))

    def open_input(self, values: Ints) -> tuple[bytes, dict[str, TensorOpening]]:
        """(the statement's input, its opening by name) for the quantiser's tensor: an opening
        under a fresh secret where the model takes it committed, none where it is public."""
        name = self.model.quantizer.input.tensor
        if not self.model.input_is_committed:
            return self.model.encode(Role.INPUT, {name: values}), {}
        opening = self.commit(values)
        return self.input_of(opening), {name: opening}

    def input_of(self, opening: TensorOpening) -> bytes:
        """The statement's input for an opening of the quantiser's tensor: one's own, or that of
        another proof's output, which chains the two."""
        name = self.model.quantizer.input.tensor
        if not self.model.input_is_committed:
            raise OpeningMismatch(f"{name} is public: expected its numbers, got an opening")
        _fits(self.model, name, opening)
        return self.model.encode(Role.INPUT, {}, {name: opening.points(self.kernels, self.srs)})

    def commit(self, values: Ints) -> TensorOpening:
        """A committed tensor of this model's tile size and SRS, under a fresh secret."""
        return TensorOpening.fresh(values, self.srs.id, self.model.layout.k)

    def prove(self, context: bytes, data: bytes, openings: Openings | None = None) -> Proved:
        """The answer for a 32-byte context and the statement's input, with its proof.

        openings: those of the committed inputs, by name. Raises what `run` raises.
        """
        given, program, layout = openings or {}, self.model.program, self.model.layout
        values = self.run(data, given)
        made = {
            program.tensors[i].name: self.commit(values[program.tensors[i].name])
            for i in self.model.committed(Role.OUTPUT)
        }
        points = {name: opening.points(self.kernels, self.srs) for name, opening in made.items()}
        output = self.model.encode(Role.OUTPUT, values, points, self.program)
        inputs = [given[program.tensors[i].name] for i in self.model.committed(Role.INPUT)]
        tiles = [tile for opening in (*inputs, *made.values()) for tile in opening.tiles()]
        statement = Statement(context, self.model.id, self.srs.id, data, output)
        witness = Witness(values, self.fixed, tiles)
        return Proved(output, prove(self.kernels, self.srs, layout, statement, witness), made)

    def _given(self, data: bytes, openings: Openings) -> dict[str, Ints]:
        """What the interpreter is given, every opening checked against the statement's points."""
        given = {**self.model.owned.weights, **self.model.decode(Role.INPUT, data, self.program)}
        points = self.model.decode_points(Role.INPUT, data)
        if unknown := sorted(set(openings) - set(points)):
            raise OpeningMismatch(f"expected openings of {sorted(points)}, got ones of {unknown}")
        for name, own in points.items():
            if name not in openings:
                raise OpeningMissing(f"{name} is committed: expected its opening, got none")
            _fits(self.model, name, openings[name])
            openings[name].check(self.kernels, self.srs, own)
            given[name] = openings[name].values
        return given


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


def reveal(model: Model, claim: Claim, openings: Iterable[TensorOpening]) -> dict[str, Ints]:
    """The committed tensors of a claim that these openings show, by name.

    Raises OpeningMismatch for one whose points are not in the claim, or of another shape or tile
    size than the tensor that they name. The caller must still `check` the claim.
    """
    given = list(openings)
    if not given:
        return {}
    kernels = tiers.get()
    srs = find_srs(kernels, model.srs_id, model.layout.k)
    points = model.decode_points(Role.INPUT, claim.input)
    points |= model.decode_points(Role.OUTPUT, claim.output)
    found: dict[str, Ints] = {}
    for opening in given:
        own = opening.points(kernels, srs)
        named = {name: opening.values for name, theirs in points.items() if theirs == own}
        if not named:
            raise OpeningMismatch(
                f"expected an opening of {' or '.join(points) or 'a committed tensor'}, got one of"
                f" other points"
            )
        for name in named:
            _fits(model, name, opening)
        found |= named
    return found


def _fits(model: Model, name: str, opening: TensorOpening) -> None:
    """Equal points say nothing under another shape or tile size: its cells stand elsewhere."""
    tensor, k = model.program.tensors[model.program.named(name)], model.layout.k
    if opening.values.shape != tensor.shape:
        got = opening.values.shape
        raise OpeningMismatch(f"{name}: expected an opening of shape {tensor.shape}, got {got}")
    if opening.k != k:
        raise OpeningMismatch(
            f"{name}: expected tiles of 2^{k} cells, got 2^{opening.k}: build both models with"
            " the same --tile-bits"
        )


def _unhex(text: object) -> bytes:
    if not isinstance(text, str) or not text.startswith("0x"):
        raise ValueError(f"expected 0x and hexadecimal digits, got {text!r:.40}")
    return bytes.fromhex(text[2:])
