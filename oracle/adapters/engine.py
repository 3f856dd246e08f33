"""The Engine port on model folders, off the event loop: the torch integer engine, and the
interpreter that defines the semantics. They share no arithmetic, so a challenger runs both."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from oracle.domain.errors import InputHidden, InputRefused, ModelMissing
from prover.errors import WrongLength
from prover.folder import MODEL_JSON, SecretsMissing
from prover.model import Model
from prover.program.evaluate import ValueRefused
from prover.program.ir import Role


class FolderEngine(ABC):
    """Keeps loaded models, and loads one anew when its model.json changes."""

    name: str

    def __init__(self) -> None:
        self._loaded: dict[Path, tuple[int, Model, Any]] = {}
        self._one_at_a_time = asyncio.Lock()

    @abstractmethod
    def _network(self, model: Model) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        """From a model's input tensors to all its tensors, every range checked."""

    async def run(self, folder: Path, input: bytes) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._run, folder, input)

    def _run(self, folder: Path, input: bytes) -> bytes:
        return self._computed(folder, input)[0]

    def _computed(self, folder: Path, input: bytes) -> tuple[bytes, Mapping[str, Any]]:
        """The output's bytes, and all tensors."""
        try:
            model, network = self._load(folder)
        except SecretsMissing as error:
            raise ModelMissing(f"{folder}: {error}") from error
        for side, role in (("input", Role.INPUT), ("output", Role.OUTPUT)):
            if model.committed(role):
                raise InputHidden(
                    f"the model's {side} is committed: only its owner has the opening that an "
                    "answer needs; prove it yourself, with einproof prove"
                )
        try:
            values = network(model.decode(Role.INPUT, input))
        except (ValueRefused, WrongLength) as error:
            raise InputRefused(str(error)) from error
        outputs = [model.program.tensors[i].name for i in model.program.with_role(Role.OUTPUT)]
        return model.encode(Role.OUTPUT, {name: values[name] for name in outputs}), values

    def _load(self, folder: Path) -> tuple[Model, Any]:
        changed = (folder / MODEL_JSON).stat().st_mtime_ns
        held = self._loaded.get(folder)
        if held is None or held[0] != changed:
            model = Model.load(folder)
            held = (changed, model, self._network(model))
            self._loaded[folder] = held
        return held[1], held[2]


class TorchEngine(FolderEngine):
    name = "torch"

    def _network(self, model: Model) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        from oracle.adapters.torch_engine import Network  # torch takes seconds to import

        return Network(model.program, model.owned.weights).run


class InterpreterEngine(FolderEngine):
    name = "interpreter"

    def _network(self, model: Model) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
        from prover.program.interpret import interpret

        weights = model.owned.weights
        return lambda given: interpret(model.program, {**weights, **given})

    async def traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        """The output, and keccak256 over name, keccak256(64-bit big-endian cells) of every tensor
        that was computed, by name: whoever knows it did the work."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._traced, folder, input)

    def _traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        output, values = self._computed(folder, input)
        weights = self._load(folder)[0].owned.weights
        computed = (name for name in sorted(values) if name not in weights)
        hashes = [name.encode() + keccak(values[name].astype(">i8").tobytes()) for name in computed]
        return output, keccak(b"einproof/trace/v1" + b"".join(hashes))
