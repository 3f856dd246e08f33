"""The Engine port: the torch integer engine on model folders, off the event loop."""

import asyncio
from pathlib import Path
from typing import Any

from oracle.domain.errors import InputRefused, ModelMissing
from prover.errors import WrongLength
from prover.folder import MODEL_JSON, SecretsMissing
from prover.model import Model
from prover.program.evaluate import ValueRefused
from prover.program.ir import Role


class TorchEngine:
    """Keeps loaded models, and loads one anew when its model.json changes."""

    name = "torch"

    def __init__(self) -> None:
        self._loaded: dict[Path, tuple[int, Model, Any]] = {}
        self._one_at_a_time = asyncio.Lock()

    async def run(self, folder: Path, input: bytes) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._run, folder, input)

    def _run(self, folder: Path, input: bytes) -> bytes:
        try:
            model, network = self._load(folder)
        except SecretsMissing as error:
            raise ModelMissing(f"{folder}: {error}") from error
        try:
            values = network.run(model.decode(Role.INPUT, input))
        except (ValueRefused, WrongLength) as error:
            raise InputRefused(str(error)) from error
        outputs = [model.program.tensors[i].name for i in model.program.with_role(Role.OUTPUT)]
        return model.encode(Role.OUTPUT, {name: values[name] for name in outputs})

    def _load(self, folder: Path) -> tuple[Model, Any]:
        from oracle.adapters.torch_engine import Network  # torch takes seconds to import

        changed = (folder / MODEL_JSON).stat().st_mtime_ns
        held = self._loaded.get(folder)
        if held is None or held[0] != changed:
            model = Model.load(folder)
            held = (changed, model, Network(model.program, model.owned.weights))
            self._loaded[folder] = held
        return held[1], held[2]
