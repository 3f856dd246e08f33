"""Compositions on disk, as the service holds and runs them."""

import shutil

import pytest

from oracle.adapters.engine import InterpreterEngine, TorchEngine
from oracle.adapters.models import FolderModels
from oracle.domain.errors import ModelMissing
from prover import kernels
from prover.composition import Composition
from prover.model import Model
from prover.srs import development_srs
from tests import digits
from tests.oracle.world import run


@pytest.fixture(scope="module")
def made():
    tier = kernels.get()
    srs, compiled = development_srs(tier, 12), digits.compiled()
    model = Model.create(compiled.program, compiled.weights, compiled.quantizer, tier, srs)
    return Composition.divide(model, tier, srs, 2)


@pytest.fixture
def folder(made, tmp_path):
    made.save(tmp_path / "cut")
    return tmp_path / "cut"


@pytest.mark.parametrize("engine", [TorchEngine, InterpreterEngine])
def test_both_engines_run_a_composition_boundary_by_boundary(made, folder, engine):
    image = digits.held_out().images[0]
    first = made.segments[0]
    data = first.encode_input(image.reshape(first.quantizer.input.shape))
    found = run(engine().steps(folder, data))
    assert (list(found.data), found.halted) == (made.run(data), False)


def test_a_run_halts_at_the_segment_that_refuses_what_it_reads(folder):
    found = run(InterpreterEngine().steps(folder, b"\0"))
    assert (found.data, found.halted) == ((b"\0",), True)


def test_a_composition_is_found_by_its_id(made, folder):
    models = FolderModels(folder.parent)
    assert run(models.find(made.id)) == folder
    shutil.rmtree(folder)
    with pytest.raises(ModelMissing):
        run(models.find(made.id))


def test_another_segment_in_ones_place_is_refused(folder):
    shutil.rmtree(folder / "0")
    shutil.copytree(folder / "1", folder / "0")
    with pytest.raises(ModelMissing, match="expected 0x"):
        run(TorchEngine().steps(folder, bytes(128)))


def test_a_plain_model_is_no_composition(folder):
    with pytest.raises(ModelMissing, match="expected a composition"):
        run(TorchEngine().steps(folder / "0", bytes(128)))
