"""Compositions as folders: ids as the contract has them, runs as the whole model has them."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest
from eth_abi.abi import encode
from eth_hash.auto import keccak

from prover import kernels as tiers
from prover.api import Claim, Session, check
from prover.composition import FILE, Composition, composition_id
from prover.errors import WrongLength
from prover.folder import ModelDamaged, ModelExists, ModelNotFound, SecretsMissing
from prover.model import Model
from prover.program.layout import default_k
from prover.srs import Srs, development_srs
from tests import digits
from tests.commands import run as command

TIER = tiers.get()


@pytest.fixture(scope="module")
def srs() -> Srs:
    return development_srs(TIER, 12)


@pytest.fixture(scope="module")
def model(srs: Srs) -> Model:
    made = digits.compiled()
    return Model.create(made.program, made.weights, made.quantizer, TIER, srs)


@pytest.fixture(scope="module")
def made(model: Model, srs: Srs) -> Composition:
    return Composition.divide(model, TIER, srs, 2)


def test_segments_fit_the_reference_string_of_the_whole() -> None:
    """It may have been built with smaller tiles than its parts would have by themselves."""
    program, small = digits.compiled(), development_srs(TIER, 10)
    parts = (program.program, program.weights, program.quantizer)
    whole = Model.create(*parts, TIER, small, k=10)
    divided = Composition.divide(whole, TIER, small, 2).segments
    assert max(default_k(segment.program) for segment in divided) > 10
    assert max(segment.layout.k for segment in divided) == 10


def test_id_is_the_contracts() -> None:
    ids = [keccak(bytes([i])) for i in range(3)]
    types = ["bytes32", "bytes32[]"]
    assert composition_id(ids) == keccak(encode(types, [keccak(b"einproof/composition/v1"), ids]))


def test_run_ends_in_the_models_answer(model: Model, made: Composition) -> None:
    session = Session(model)
    for image in digits.held_out().images[:5]:
        data = model.encode_input(image.reshape(model.quantizer.input.shape))
        run = made.run(data)
        assert len(run) == len(made.segments) + 1 == 3
        values = session.run(data)[model.quantizer.output.tensor]
        assert run[-1] == values.astype(">i2").tobytes()


def test_each_segment_is_proved_between_its_states(model: Model, made: Composition) -> None:
    image = digits.held_out().images[0]
    run = made.run(model.encode_input(image.reshape(model.quantizer.input.shape)))
    for segment, (data, expected) in zip(made.segments, pairwise(run), strict=True):
        output, proof, _ = Session(segment).prove(bytes(32), data)
        assert output == expected
        claim = Claim(bytes(32), segment.id, segment.srs_id, data, output, proof)
        check(segment, claim)


def test_folder_comes_back(made: Composition, tmp_path: Path) -> None:
    made.save(tmp_path / "cut")
    loaded = Composition.load(tmp_path / "cut")
    assert loaded.id == made.id
    with pytest.raises(ModelExists):
        made.save(tmp_path / "cut")


def test_folder_that_lists_others_is_refused(made: Composition, tmp_path: Path) -> None:
    made.save(tmp_path)
    good = json.loads((tmp_path / FILE).read_text())
    for changed in (
        {**good, "segments": good["segments"][::-1]},
        {**good, "id": good["segments"][0]},
        {"id": good["id"]},
    ):
        (tmp_path / FILE).write_text(json.dumps(changed))
        with pytest.raises(ModelDamaged):
            Composition.load(tmp_path)
    with pytest.raises(ModelNotFound):
        Composition.load(tmp_path / "nowhere")


def test_run_of_another_length_is_refused(made: Composition) -> None:
    with pytest.raises(WrongLength):
        made.run(b"\0")


def test_public_half_is_not_cut(model: Model, srs: Srs, tmp_path: Path) -> None:
    model.export_public(tmp_path / "public")
    with pytest.raises(SecretsMissing):
        Composition.divide(Model.load(tmp_path / "public"), TIER, srs, 2)


def test_cut_command_names_the_composition(model: Model, tmp_path: Path) -> None:
    model.save(tmp_path / "model")
    out = tmp_path / "cut"
    done = command("cut", tmp_path / "model", "--out", out, "--segments", 2, "--json")
    report = json.loads(done.stdout)
    assert report["composition"] == "0x" + Composition.load(out).id.hex()
    assert len(report["segments"]) == 2
