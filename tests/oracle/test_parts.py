"""Engine, prover and model folders over the real digits network."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from oracle.adapters.engine import InterpreterEngine, TorchEngine
from oracle.adapters.models import FolderModels
from oracle.adapters.process import alive, holder
from oracle.adapters.prover import ProcessProver
from oracle.adapters.torch_engine import Network
from oracle.domain.errors import (
    EngineFailed,
    InputHidden,
    InputRefused,
    ModelMissing,
    ProverFailed,
)
from prover import api, kernels
from prover.folder import MODEL_JSON
from prover.model import Model
from prover.srs import development_srs
from tests import digits, private
from tests.evm import ROOT
from tests.oracle.world import run

CONTEXT = bytes(range(32))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A folder with the digits model, private and public, and a folder that is none."""
    root = tmp_path_factory.mktemp("models")
    made, tier = digits.compiled(), kernels.get()
    srs = development_srs(tier, 12)
    model = Model.create(made.program, made.weights, made.quantizer, tier, srs)
    model.save(root / "digits")
    model.export_public(root / "a-public-copy")
    (root / "other").mkdir()
    (root / "other" / MODEL_JSON).write_text("{}")
    return root


@pytest.fixture(scope="module")
def model(models):
    return Model.load(models / "digits")


def image(model, number=0):
    return model.encode_input(digits.held_out().images[number].reshape(1, 64))


def test_a_model_is_found_by_its_id_and_with_its_secrets(models, model):
    async def story():
        assert await FolderModels(models).find(model.id) == models / "digits"
        assert await FolderModels(models / "digits").find(model.id) == models / "digits"
        with pytest.raises(ModelMissing, match="no folder under"):
            await FolderModels(models).find(b"\x01" * 32)

    run(story())


def test_a_model_added_while_the_service_runs_is_found(models, model, tmp_path):
    async def story():
        store = FolderModels(tmp_path)
        with pytest.raises(ModelMissing):
            await store.find(model.id)
        shutil.copytree(models / "digits", tmp_path / "late")
        assert await store.find(model.id) == tmp_path / "late"

    run(story())


def test_engine_and_prover_agree_and_the_proof_holds(models, model):
    async def story():
        engine, prover, folder = TorchEngine(), ProcessProver(), models / "digits"
        try:
            for number in range(3):
                data = image(model, number)
                expected = await engine.run(folder, data)
                output, proof = await prover.prove(folder, CONTEXT, data)
                assert output == expected
                logits = model.decode_output(output).reshape(-1)
                assert np.array_equal(logits, digits.held_out().logits[number])
                claim = api.Claim(CONTEXT, model.id, model.srs_id, data, output, proof)
                api.check(model, claim)
        finally:
            prover.close()

    run(story())


@pytest.mark.parametrize(
    "data",
    [b"", bytes(127), bytes(130)],
    ids=["empty", "short", "long"],
)
def test_engine_and_prover_refuse_the_same_inputs(models, data):
    async def story():
        prover = ProcessProver()
        try:
            with pytest.raises(InputRefused):
                await TorchEngine().run(models / "digits", data)
            with pytest.raises(InputRefused):
                await prover.prove(models / "digits", CONTEXT, data)
        finally:
            prover.close()

    run(story())


def full(*_):
    raise torch.OutOfMemoryError("CUDA out of memory")


def test_an_engine_without_room_fails_by_name(models, model, monkeypatch):
    """Which excuses a member of a committee that is summoned, and has a job tried again."""
    for place in ("__init__", "run"):
        with monkeypatch.context() as patched:
            patched.setattr(Network, place, full)
            with pytest.raises(EngineFailed, match=r"torch cannot .*: CUDA out of memory"):
                run(TorchEngine().run(models / "digits", image(model)))


def test_interpreter_and_torch_engine_agree(models, model):
    async def story():
        engines = InterpreterEngine(), TorchEngine()
        for number in range(5):
            outputs = [await e.run(models / "digits", image(model, number)) for e in engines]
            assert outputs[0] == outputs[1]
        for beyond in (b"\x7f\xff" * 64, b"\x80\x00" * 64):  # no image, but it can be proved
            outputs = [await e.run(models / "digits", beyond) for e in engines]
            assert outputs[0] == outputs[1]

    run(story())


@pytest.mark.parametrize("side", ["input", "output"])
def test_a_model_with_committed_tensors_is_declined_by_name(tmp_path, side):
    own = private.session(tmp_path, (4, 3), **{f"private_{side}": True})
    own.model.save(tmp_path / "model")

    async def story():
        for engine in (InterpreterEngine(), TorchEngine()):
            with pytest.raises(InputHidden, match=f"the model's {side} is committed"):
                await engine.run(tmp_path / "model", bytes(128))

    run(story())


def test_a_public_copy_cannot_be_served(models, model):
    async def story():
        with pytest.raises(ModelMissing, match="public"):
            await TorchEngine().run(models / "a-public-copy", image(model))

    run(story())


def test_a_prover_that_dies_fails_its_job_and_lives_again(models, model):
    async def story():
        prover, folder, data = ProcessProver(), models / "digits", image(model)
        try:
            first = await prover.prove(folder, CONTEXT, data)
            (process,) = prover._pool._processes.values()
            process.kill()
            process.join()
            with pytest.raises(ProverFailed, match="died"):
                await prover.prove(folder, CONTEXT, data)
            assert (await prover.prove(folder, CONTEXT, data))[0] == first[0]
        finally:
            prover.close()

    run(story())


PARENT = """
import asyncio, sys
from pathlib import Path
from oracle.adapters.prover import ProcessProver
from oracle.adapters.torch_engine import Network

async def main():
    prover = ProcessProver()
    await prover.prove(Path(sys.argv[1]), bytes(32), bytes.fromhex(sys.argv[2]))
    print(next(iter(prover._pool._processes)), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_the_prover_does_not_outlive_a_killed_service(models, model, tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    parent = subprocess.Popen(
        [sys.executable, str(script), str(models / "digits"), image(model).hex()],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    worker = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    deadline = time.monotonic() + 20
    while running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def running(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_a_holder_is_alive_until_its_process_ends():
    assert alive(holder())
    child = subprocess.run(
        [sys.executable, "-c", "from oracle.adapters.process import holder; print(holder())"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert not alive(child.stdout.strip())
    host, pid, began, tail = holder().split("/")
    assert not alive(f"{host}/{pid}/{began}0/{tail}")  # the same number, another process
    assert alive(f"elsewhere/{pid}/{began}/{tail}")  # who can say
