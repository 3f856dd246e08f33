"""What whoever relies on a model checks of it, from public bytes alone.

An audit shows that a proof about this model means what the program says: the program is valid, the
verifier section is the one that it gives, and its public tables are committed as they stand. It
says nothing of the weights, which nobody but their owner knows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from prover.curve import POINT_BYTES, decode_point
from prover.errors import EinproofError
from prover.identity import model_id
from prover.kernels.interface import Kernels
from prover.model import check_quantizer
from prover.program.encode import decode
from prover.program.format import serialize
from prover.program.ir import Floor, Gather, Linear, Program, Range, Relu, Requantize, Table
from prover.program.layout import Layout, layout
from prover.program.validate import validate
from prover.proving.tiles import Tile, table_tiles
from prover.quantizer import Quantizer
from prover.srs import Srs, development_id

# Bytes from strangers may break any of these in a library; to an auditor each is a refusal.
REFUSALS = (EinproofError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError)


class AuditFailed(EinproofError):
    """A check of an audit that does not hold."""


@dataclass(frozen=True)
class Registered:
    """A model as a registry gives it; `aux_hash` is None where it could not be read."""

    id: bytes
    program: bytes
    points: bytes
    srs_id: bytes
    k: int
    aux_hash: bytes | None


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; `ok` is None for a remark that decides nothing."""

    name: str
    ok: bool | None
    detail: str


@dataclass
class Audit:
    """The findings so far, and what the program is once it has been read."""

    findings: list[Finding] = field(default_factory=list)
    layout: Layout | None = None
    bounds: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether a consumer may rely on proofs about this model."""
        return self.layout is not None and all(f.ok is not False for f in self.findings)

    def check(self, name: str, work: Callable[[], str]) -> bool:
        """Runs one check; whatever it raises is its finding."""
        try:
            self.findings.append(Finding(name, True, work()))
        except REFUSALS as error:
            text = " ".join(str(error).split()) or type(error).__name__
            self.findings.append(Finding(name, False, text))
        return self.findings[-1].ok is True


def audit(
    model: Registered,
    kernels: Kernels,
    srs: Srs | None = None,
    quantizer: Quantizer | None = None,
) -> Audit:
    """All checks, in order; those that need what failed before them are left out.

    srs: needed to recompute the commitments of public tables, if the program has any.
    """
    found = Audit()

    def source() -> str:
        size = int.from_bytes(model.program[10:14], "big")
        program = decode(model.program[size:])
        found.bounds = validate(program)
        found.layout = layout(program, model.k)
        return f"valid: {len(program.ops)} gadgets, {len(program.tensors)} tensors"

    if not found.check("program", source) or found.layout is None:
        found.layout = None
        return found
    placed = found.layout
    found.check("verifier section", lambda: _section(placed, model.program))
    if found.check("commitments", lambda: _points(placed, model.points)):
        found.check("public tables", lambda: _tables(placed, model, kernels, srs))
    found.check("model id", lambda: _id(model))
    if quantizer is not None:
        found.check("quantiser", lambda: _quantizer(placed.program, quantizer, model))
    if model.srs_id == development_id():
        detail = "development SRS: its secret is published, anyone can forge proofs"
        found.findings.append(Finding("SRS", None, detail))
    else:
        detail = f"{model.srs_id.hex()}: rests on the ceremony that it came from"
        found.findings.append(Finding("SRS", None, detail))
    found.findings.append(Finding("weights", None, "hidden: nothing is said of what they compute"))
    return found


def architecture(program: Program) -> list[dict[str, Any]]:
    """One entry a gadget: its kind, what it makes, from which axes."""
    lines: list[dict[str, Any]] = []
    layers = {
        at: stack.length
        for stack in program.stacks
        for at in range(stack.first, stack.first + stack.count)
    }
    for at, op in enumerate(program.ops):
        tensor = program.tensors[op.tensor if isinstance(op, Range) else op.out]
        entry: dict[str, Any] = {
            "gadget": type(op).__name__.lower(),
            "tensor": tensor.name,
            "shape": list(tensor.shape),
        }
        match op:
            case Linear(_, expr):
                entry["axes"] = list(expr.axes)
            case Requantize(_, expr, shift, bits) | Relu(_, expr, shift, bits):
                entry |= {"axes": list(expr.axes), "shift": shift, "bits": bits}
            case Table(_, _, _, table, _):
                entry["table"] = program.tensors[table].name
            case Floor(_, _, _, shift):
                entry["shift"] = shift
            case Gather(_, _, _, origin):
                entry["source"] = program.tensors[origin].name
            case Range(_, bits):
                entry["bits"] = bits
        if at in layers:
            entry["layers"] = layers[at]
        lines.append(entry)
    return lines


def _section(placed: Layout, program: bytes) -> str:
    expected = serialize(placed.verifier)
    if program[: len(expected)] != expected:
        raise AuditFailed("it is not the one that the source section gives")
    return f"{len(expected)} bytes, as the source section gives them"


def _points(placed: Layout, points: bytes) -> str:
    tiles = placed.verifier.fixed_tiles
    if len(points) != POINT_BYTES * tiles:
        raise AuditFailed(f"expected {POINT_BYTES * tiles} bytes, got {len(points)}")
    for at in range(0, len(points), POINT_BYTES):
        decode_point(points[at : at + POINT_BYTES])
    return f"{placed.weight_tiles} weight tiles, {tiles - placed.weight_tiles} of public tables"


def _tables(placed: Layout, model: Registered, kernels: Kernels, srs: Srs | None) -> str:
    tiles = table_tiles(placed)
    if not tiles:
        return "none"
    if srs is None or srs.id != model.srs_id:
        raise AuditFailed("not checked: name the file of this SRS with EINPROOF_SRS")
    for i, cells in enumerate(tiles, start=placed.weight_tiles):
        point = decode_point(model.points[POINT_BYTES * i : POINT_BYTES * (i + 1)])
        if Tile(cells, 0).commit(kernels, srs, placed.k) != point:
            raise AuditFailed(f"tile {i} is not the commitment of the table in the program")
    return f"{len(tiles)} commitments recomputed"


def _id(model: Registered) -> str:
    if model.aux_hash is None:
        raise AuditFailed("not checked: the registration event was not found")
    got = model_id(model.program, model.points, model.srs_id, model.k, model.aux_hash)
    if got != model.id:
        raise AuditFailed(f"expected 0x{model.id.hex()}, these contents give 0x{got.hex()}")
    return f"0x{got.hex()}"


def _quantizer(program: Program, quantizer: Quantizer, model: Registered) -> str:
    if quantizer.hash != model.aux_hash:
        raise AuditFailed("it is not the one that the model id names")
    check_quantizer(program, quantizer)
    low, high = quantizer.input.range
    return f"input in [{low:g}, {high:g}], {2.0**-quantizer.output.exponent:g} an output step"
