"""What an auditor finds in public bytes: an honest model passes, every tampered one does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from prover import kernels as tiers
from prover.audit import Audit, Registered, architecture, audit
from prover.curve import encode_point
from prover.identity import model_id
from prover.kernels.interface import Kernels
from prover.model import Model
from prover.program.encode import encode
from prover.program.format import serialize
from prover.program.ir import Program, Requantize, Role, Tensor
from prover.program.layout import layout
from prover.proving.tiles import Tile, table_tiles
from prover.quantizer import Quantizer, Scaled
from prover.srs import Srs, development_srs
from tests import digits
from tests.differential.test_engine import every_gadget


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return tiers.get("scalar")


@pytest.fixture(scope="module")
def srs(kernels: Kernels, tmp_path_factory: pytest.TempPathFactory) -> Srs:
    return development_srs(kernels, 12, tmp_path_factory.mktemp("srs"))


@pytest.fixture(scope="module")
def model(kernels: Kernels, srs: Srs) -> Model:
    made = digits.compiled()
    return Model.create(made.program, made.weights, made.quantizer, kernels, srs)


@pytest.fixture(scope="module")
def honest(model: Model) -> Registered:
    return Registered(
        model.id,
        model.program_bytes,
        model.point_bytes,
        model.srs_id,
        model.layout.k,
        model.aux_hash,
    )


def renamed(model: Registered) -> Registered:
    """With the id that its contents have: what an attacker would register."""
    assert model.aux_hash is not None
    own = model_id(model.program, model.points, model.srs_id, model.k, model.aux_hash)
    return replace(model, id=own)


def failed(found: Audit) -> list[str]:
    return [f.name for f in found.findings if f.ok is False]


def test_an_honest_model_passes(honest: Registered, model: Model, kernels: Kernels) -> None:
    found = audit(honest, kernels, quantizer=model.quantizer)
    assert found.passed and not failed(found)
    assert found.bounds["relu"] == (0, 65535)  # what is proved, not what is declared
    remarks = {f.name: f.detail for f in found.findings if f.ok is None}
    assert "anyone can forge" in remarks["SRS"] and "hidden" in remarks["weights"]


def test_architecture_names_every_gadget(model: Model) -> None:
    lines = architecture(model.program)
    assert [(line["gadget"], line["tensor"]) for line in lines] == [
        ("relu", "relu"),
        ("requantize", "output"),
    ]
    every = {line["gadget"] for line in architecture(every_gadget())}
    assert every == {"range", "linear", "requantize", "relu", "gather", "table"}


def test_a_changed_verifier_section_fails(honest: Registered, kernels: Kernels) -> None:
    """Every record of the section: a registrant who rewrites one is found out."""
    size = int.from_bytes(honest.program[10:14], "big")
    for at in range(12, size, 41):
        data = bytearray(honest.program)
        data[at] ^= 1
        found = audit(renamed(replace(honest, program=bytes(data))), kernels)
        assert not found.passed, at


def test_an_invalid_program_fails(honest: Registered, model: Model, kernels: Kernels) -> None:
    """A free output: the source is changed and its verifier section is computed from it."""
    program = model.program
    ghost = Tensor("ghost", (1,), Role.OUTPUT, 0, 1)
    bad = Program(program.limb, (*program.tensors, ghost), program.ops)
    section = honest.program[: int.from_bytes(honest.program[10:14], "big")]
    found = audit(renamed(replace(honest, program=section + encode(bad))), kernels)
    assert failed(found) == ["program"] and "ghost" in found.findings[0].detail


def test_another_valid_source_fails(honest: Registered, model: Model, kernels: Kernels) -> None:
    """The auditor is shown a source that rounds less than the verifier section does."""
    relu, last = model.program.ops
    assert isinstance(last, Requantize)
    shown = replace(model.program, ops=(relu, replace(last, shift=last.shift - 1)))
    section = honest.program[: int.from_bytes(honest.program[10:14], "big")]
    found = audit(renamed(replace(honest, program=section + encode(shown))), kernels)
    assert failed(found) == ["verifier section"]


@pytest.mark.parametrize("size", [0, 1, 31, 32, 200, -1])
def test_truncated_bytes_fail(honest: Registered, kernels: Kernels, size: int) -> None:
    found = audit(renamed(replace(honest, program=honest.program[:size])), kernels)
    assert not found.passed
    assert all("\n" not in f.detail for f in found.findings)


def test_random_bytes_fail(honest: Registered, kernels: Kernels) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        data = bytearray(honest.program)
        for at in rng.integers(0, len(data), 5):
            data[at] = int(rng.integers(0, 256))
        if bytes(data) != honest.program:
            assert not audit(renamed(replace(honest, program=bytes(data))), kernels).passed


def test_foreign_points_ids_and_quantisers_fail(
    honest: Registered, model: Model, kernels: Kernels
) -> None:
    def names(changed: Registered, quantizer: Quantizer | None = None) -> list[str]:
        return failed(audit(changed, kernels, quantizer=quantizer))

    off_curve = replace(honest, points=bytes(63) + b"\x01")
    assert names(renamed(off_curve)) == ["commitments"]
    assert names(renamed(replace(honest, points=honest.points * 2))) == ["commitments"]
    assert names(replace(honest, id=bytes(32))) == ["model id"]
    assert names(replace(honest, aux_hash=None)) == ["model id"]
    assert names(replace(honest, k=honest.k + 1)) == ["verifier section", "model id"]
    other = Quantizer(replace(model.quantizer.input, exponent=3), model.quantizer.output)
    assert names(honest, other) == ["quantiser"]
    wrong = Quantizer(model.quantizer.input, Scaled("relu", (1, 32), 1, 0, 32767))
    assert names(renamed(replace(honest, aux_hash=wrong.hash)), wrong) == ["quantiser"]


def test_public_tables_are_recomputed(kernels: Kernels, srs: Srs, tmp_path: Path) -> None:
    program = every_gadget()
    placed = layout(program)
    rng = np.random.default_rng(0)
    weights = [Tile(rng.integers(-9, 9, 1 << placed.k), 7)] * placed.weight_tiles
    tables = [Tile(cells, 0) for cells in table_tiles(placed)]
    assert tables
    aux = bytes(32)
    data = serialize(placed.verifier) + encode(program)

    def registered(tiles: list[Tile]) -> Registered:
        points = b"".join(encode_point(t.commit(kernels, srs, placed.k)) for t in tiles)
        return renamed(Registered(b"", data, points, srs.id, placed.k, aux))

    assert audit(registered(weights + tables), kernels, srs).passed
    unchecked = audit(registered(weights + tables), kernels)
    assert failed(unchecked) == ["public tables"]
    assert "EINPROOF_SRS" in unchecked.findings[3].detail
    cells = tables[0].small.copy()
    cells[0] += 1
    forged = registered([*weights, Tile(cells, 0), *tables[1:]])
    assert failed(audit(forged, kernels, srs)) == ["public tables"]
