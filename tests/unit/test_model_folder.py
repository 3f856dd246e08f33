"""A model folder: what is in it, what it refuses, what it never loses or reveals."""

from __future__ import annotations

import json
import os
import stat
import warnings
from pathlib import Path

import numpy as np
import pytest

from oracle.domain import ids
from prover import kernels as tiers
from prover.errors import UnsupportedSize, WrongLength
from prover.folder import (
    COMMITMENTS,
    KEY,
    MODEL_JSON,
    PROGRAM,
    SECRETS,
    WEIGHTS,
    KeyExposed,
    ModelDamaged,
    ModelError,
    ModelExists,
    ModelNotFound,
    SecretsMissing,
)
from prover.identity import blinder, weights_digest
from prover.kernels.interface import Kernels
from prover.model import Model
from prover.program.evaluate import ValueRefused
from prover.program.interpret import interpret
from prover.program.ir import Role
from prover.program.layout import layout
from prover.quantizer import InputRefused, Quantizer, Scaled
from prover.srs import Srs, development_srs
from tests import digits

ALL = {MODEL_JSON, PROGRAM, COMMITMENTS, WEIGHTS, KEY}


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    return tiers.get("scalar")


@pytest.fixture(scope="module")
def srs(kernels: Kernels, tmp_path_factory: pytest.TempPathFactory) -> Srs:
    k = layout(digits.compiled().program).k
    return development_srs(kernels, k, tmp_path_factory.mktemp("srs"))


@pytest.fixture(scope="module")
def model(kernels: Kernels, srs: Srs) -> Model:
    made = digits.compiled()
    return Model.create(made.program, made.weights, made.quantizer, kernels, srs)


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "digits")
    return tmp_path / "digits"


def test_round_trip(model: Model, folder: Path, kernels: Kernels, srs: Srs) -> None:
    assert {path.name for path in folder.iterdir()} == ALL
    loaded = Model.load(folder)
    assert loaded.id == model.id
    assert loaded.program == model.program and loaded.layout.verifier == model.layout.verifier
    assert loaded.points == model.points and loaded.quantizer == model.quantizer
    assert loaded.owned.key == model.owned.key
    for name, cells in model.owned.weights.items():
        np.testing.assert_array_equal(loaded.owned.weights[name], cells)
    loaded.check_commitments(kernels, srs)


def test_the_id_is_that_of_the_registry(model: Model) -> None:
    expected = ids.model_id(
        model.program_bytes, model.point_bytes, model.srs_id, model.layout.k, model.aux_hash
    )
    assert model.id == expected


def test_model_json_says_what_the_public_needs(folder: Path, model: Model) -> None:
    data = json.loads((folder / MODEL_JSON).read_text())
    assert data["id"] == "0x" + model.id.hex() and data["k"] == model.layout.k
    assert data["srs"]["forgeable"] is True
    assert data["tokenizer"] is None
    assert [t["shape"] for t in data["tensors"]][:2] == [[1, 64], [32, 64]]
    assert Quantizer.from_dict(data["quantizer"]) == model.quantizer


def test_secrets_are_for_their_owner_alone(folder: Path) -> None:
    for name in SECRETS:
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert len((folder / KEY).read_bytes()) == 32


def test_an_exposed_key_is_warned_of(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Model.load(folder)
    (folder / KEY).chmod(0o644)
    with pytest.warns(KeyExposed, match="chmod 600"):
        Model.load(folder)


# --- damage ---


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_flipped_byte_is_found(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    rng = np.random.default_rng(0)
    for at in {0, len(data) - 1, *rng.integers(0, len(data), 12).tolist()}:
        flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
        (folder / name).write_bytes(flipped)
        if name == MODEL_JSON and _same_json(data, flipped):
            continue
        with pytest.raises((ModelDamaged, ModelNotFound)) as caught:
            Model.load(folder)
        assert "\n" not in str(caught.value)


def _same_json(a: bytes, b: bytes) -> bool:
    try:
        return bool(json.loads(a) == json.loads(b))
    except ValueError:
        return False


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("kept", [0, 1, 31, 100])
def test_truncation_is_found(folder: Path, name: str, kept: int) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: min(kept, len(data) - 1)])
    with pytest.raises(ModelDamaged):
        Model.load(folder)


@pytest.mark.parametrize("name", sorted(ALL - {MODEL_JSON}))
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelDamaged, match=name):
        Model.load(folder)


def test_a_missing_key_says_what_it_costs(folder: Path) -> None:
    (folder / KEY).unlink()
    with pytest.raises(ModelDamaged, match="never be proved again"):
        Model.load(folder)


def test_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="model folder"):
        Model.load(tmp_path / "nothing")


def test_files_of_two_models_do_not_mix(
    folder: Path, tmp_path: Path, kernels: Kernels, srs: Srs
) -> None:
    made = digits.compiled()
    other = tmp_path / "other"
    Model.create(made.program, made.weights, made.quantizer, kernels, srs).save(other)
    for name in (COMMITMENTS, KEY, MODEL_JSON):
        ours = (folder / name).read_bytes()
        (folder / name).write_bytes((other / name).read_bytes())
        with pytest.raises(ModelDamaged):
            Model.load(folder)
        (folder / name).write_bytes(ours)
    Model.load(folder)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("version",), 2),
        (("format",), "other"),
        (("id",), "0x" + "00" * 32),
        (("k",), 7),
        (("srs", "forgeable"), False),
        (("srs", "id"), "0x" + "11" * 32),
        (("srs",), 5),
        (("program", "bytes"), 1),
        (("quantizer", "input", "exponent"), 13),
        (("quantizer", "input", "hi"), 1),
        (("quantizer", "output", "tensor"), "relu"),
        (("tensors", 0, "hi"), 3),
        (("tokenizer",), "gpt2"),
        (("secrets",), None),
        (("extra",), 1),
    ],
)
def test_an_edited_model_json_is_found(
    folder: Path, path: tuple[object, ...], value: object
) -> None:
    data = json.loads((folder / MODEL_JSON).read_text())
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    (folder / MODEL_JSON).write_text(json.dumps(data))
    with pytest.raises(ModelDamaged):
        Model.load(folder)


def test_check_commitments_finds_foreign_points(model: Model, kernels: Kernels, srs: Srs) -> None:
    made = digits.compiled()
    other = Model.create(made.program, made.weights, made.quantizer, kernels, srs)
    assert other.points != model.points  # another key, so another hiding
    forged = Model(model.layout, model.quantizer, model.srs_id, other.point_bytes, model.secrets)
    with pytest.raises(ModelDamaged, match="tile 0"):
        forged.check_commitments(kernels, srs)


# --- writing ---


def test_nothing_is_overwritten_without_force(model: Model, folder: Path, tmp_path: Path) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(ModelExists, match="--force"):
        model.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    model.save(folder, force=True)
    Model.load(folder)
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("years of work")
    with pytest.raises(ModelExists, match="something else"):
        model.save(foreign, force=True)
    assert (foreign / "thesis.tex").read_text() == "years of work"


def test_a_write_that_fails_leaves_what_was_there(
    model: Model, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(folder.parent.rglob("*"))
    rename, calls = os.rename, []

    def failing(source: Path, target: Path) -> None:
        calls.append(source)
        if len(calls) == 2:  # the new folder into place
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(OSError, match="No space"):
        model.save(folder, force=True)
    assert sorted(folder.parent.rglob("*")) == before
    Model.load(folder)


def test_public_export_has_no_secrets(model: Model, folder: Path, tmp_path: Path) -> None:
    Model.load(folder).export_public(tmp_path / "public")
    public = tmp_path / "public"
    assert {path.name for path in public.iterdir()} == ALL - set(SECRETS)
    loaded = Model.load(public)
    assert loaded.id == model.id and loaded.secrets is None
    with pytest.raises(SecretsMissing, match="public export"):
        loaded.fixed_tiles()
    (tmp_path / "copy").mkdir()
    for path in folder.iterdir():
        if path.name not in SECRETS:
            (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelDamaged, match="never be proved again"):  # lost, not exported
        Model.load(tmp_path / "copy")
    loaded.export_public(tmp_path / "again")
    for name in ALL - set(SECRETS):
        assert (tmp_path / "again" / name).read_bytes() == (public / name).read_bytes()
    everything = b"".join(path.read_bytes() for path in public.iterdir())
    digest = weights_digest(model.program, model.owned.weights)
    for secret in (model.owned.key, digest):
        assert secret not in everything and secret.hex().encode() not in everything


# --- creating ---


def test_blinders_are_bound_to_all_that_they_hide(model: Model) -> None:
    key, digest = model.owned.key, weights_digest(model.program, model.owned.weights)
    program, srs = bytes(32), model.srs_id
    other = bytes([1] * 32)
    variants = [
        blinder(key, program, srs, digest, 0),
        blinder(other, program, srs, digest, 0),
        blinder(key, other, srs, digest, 0),
        blinder(key, program, other, digest, 0),
        blinder(key, program, srs, other, 0),
        blinder(key, program, srs, digest, 1),
    ]
    assert len(set(variants)) == len(variants)
    assert blinder(key, program, srs, digest, 0) == variants[0]


def test_one_key_and_other_weights_share_no_blinder(
    model: Model, kernels: Kernels, srs: Srs
) -> None:
    weights = dict(model.owned.weights)
    weights["linear.bias"] = weights["linear.bias"] + 1
    key = model.owned.key
    other = Model.create(model.program, weights, model.quantizer, kernels, srs, key=key)
    ours, theirs = ([tile.blinder for tile in m.fixed_tiles()] for m in (model, other))
    assert not set(ours) & set(theirs)


def test_weights_that_do_not_fit_are_refused(kernels: Kernels, srs: Srs) -> None:
    made = digits.compiled()
    for name, cells in (
        ("linear.weight", made.weights["linear.weight"] + 127),
        ("linear.weight", made.weights["linear.weight"].T),
        ("linear.bias", made.weights["linear.bias"] * 1.0),
        ("other", made.weights["linear.bias"]),
    ):
        with pytest.raises(ValueRefused):
            Model.create(made.program, {**made.weights, name: cells}, made.quantizer, kernels, srs)


def test_a_foreign_quantiser_is_refused(kernels: Kernels, srs: Srs) -> None:
    made = digits.compiled()
    quantizer = Quantizer(Scaled("pixels", (1, 64), 14, 0, 16384), made.quantizer.output)
    with pytest.raises(ModelError, match="'pixels'"):
        Model.create(made.program, made.weights, quantizer, kernels, srs)


def test_a_small_srs_is_refused(kernels: Kernels, tmp_path: Path) -> None:
    made = digits.compiled()
    small = development_srs(kernels, 6, tmp_path)
    with pytest.raises(UnsupportedSize):
        Model.create(made.program, made.weights, made.quantizer, kernels, small)


# --- statement bytes ---


def test_statement_bytes(model: Model) -> None:
    held = digits.held_out()
    data = model.encode_input(held.images[:1])
    assert len(data) == model.layout.verifier.input_bytes == 128
    cells = model.decode(Role.INPUT, data)
    values = interpret(model.program, {**model.owned.weights, **cells})
    output = model.encode(Role.OUTPUT, values)
    assert len(output) == model.layout.verifier.output_bytes == 20
    np.testing.assert_array_equal(model.decode_output(output)[0], held.logits[0])
    assert output[:2] == int(held.logits[0][0]).to_bytes(2, "big", signed=True)


def test_statement_bytes_that_do_not_fit_are_refused(model: Model) -> None:
    for data in (b"", bytes(127), bytes(129)):
        with pytest.raises(WrongLength):
            model.decode(Role.INPUT, data)
    with pytest.raises(ValueRefused, match="input: expected values in"):
        model.decode(Role.INPUT, b"\xff\xff" * 64)
    with pytest.raises(InputRefused):
        model.encode_input(np.full((1, 64), 1.5))
    with pytest.raises(ValueRefused):
        model.encode(Role.OUTPUT, {})
