"""The Engine port on model folders, off the event loop: the torch integer engine, and the
interpreter that defines the semantics. They share no arithmetic, so a challenger runs both."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from eth_hash.auto import keccak

from oracle.domain import bisection
from oracle.domain.errors import EngineFailed, InputHidden, InputRefused, ModelMissing
from prover.composition import segment_ids
from prover.errors import WrongLength
from prover.folder import MODEL_JSON, ModelNotFound, SecretsMissing
from prover.model import Model
from prover.program.evaluate import ValueRefused
from prover.program.ir import Program, Role
from prover.program.proved import proved

Run: TypeAlias = Callable[[Mapping[str, Any]], Mapping[str, Any]]
#: A machine that has no room, or a device that fails, in NumPy's words and in torch's.
EXHAUSTED = (MemoryError, RuntimeError)


class FolderEngine(ABC):
    """Keeps loaded models, and loads one anew when its model.json changes. It refuses what has no
    proof, and nothing else: stake hangs on that (prover.program.proved)."""

    name: str

    def __init__(self) -> None:
        self._loaded: dict[Path, tuple[int, Model, Program, Any]] = {}
        self._one_at_a_time = asyncio.Lock()

    @abstractmethod
    def _network(self, program: Program, weights: Mapping[str, Any]) -> Run:
        """From the input tensors to all tensors, every range checked."""

    async def run(self, folder: Path, input: bytes) -> bytes:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._run, folder, input)

    async def steps(self, folder: Path, input: bytes) -> bisection.Run:
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._steps, folder, input)

    def _run(self, folder: Path, input: bytes) -> bytes:
        return self._computed(folder, input)[0]

    def _steps(self, folder: Path, input: bytes) -> bisection.Run:
        try:
            listed = segment_ids(folder)
        except ModelNotFound as error:
            raise ModelMissing(str(error)) from error
        run = [input]
        for at, expected in enumerate(listed):
            part = folder / str(at)
            if (found := self._load(part)[0].id) != expected:
                raise ModelMissing(f"{part}: expected 0x{expected.hex()}, got 0x{found.hex()}")
            try:
                run.append(self._run(part, run[-1]))
            except InputRefused:
                return bisection.Run(tuple(run), halted=True)
        return bisection.Run(tuple(run), halted=False)

    def _computed(self, folder: Path, input: bytes) -> tuple[bytes, Mapping[str, Any]]:
        """The output's bytes, and all tensors."""
        try:
            model, program, network = self._load(folder)
        except SecretsMissing as error:
            raise ModelMissing(f"{folder}: {error}") from error
        except EXHAUSTED as error:
            raise EngineFailed(f"{self.name} cannot load {folder}: {error}") from error
        for side, role in (("input", Role.INPUT), ("output", Role.OUTPUT)):
            if model.committed(role):
                raise InputHidden(
                    f"the model's {side} is committed: only its owner has the opening that an "
                    "answer needs; prove it yourself, with einproof prove"
                )
        try:
            values = network(model.decode(Role.INPUT, input, program))
        except (ValueRefused, WrongLength) as error:
            raise InputRefused(str(error)) from error
        except EXHAUSTED as error:
            raise EngineFailed(f"{self.name} cannot compute this: {error}") from error
        outputs = [program.tensors[i].name for i in program.with_role(Role.OUTPUT)]
        cells = {name: values[name] for name in outputs}
        return model.encode(Role.OUTPUT, cells, program=program), values

    def _load(self, folder: Path) -> tuple[Model, Program, Any]:
        changed = (folder / MODEL_JSON).stat().st_mtime_ns
        held = self._loaded.get(folder)
        if held is None or held[0] != changed:
            model = Model.load(folder)
            program = proved(model.program)
            held = (changed, model, program, self._network(program, model.owned.weights))
            self._loaded[folder] = held
        return held[1:]


class TorchEngine(FolderEngine):
    """On one device; raises DeviceMissing."""

    name = "torch"

    def __init__(self, on: str = "cpu") -> None:
        super().__init__()
        self._on = on
        if on != "cpu":  # torch takes seconds to import
            from oracle.adapters.torch_engine import device

            device(on)

    def _network(self, program: Program, weights: Mapping[str, Any]) -> Run:
        from oracle.adapters.torch_engine import Network

        return Network(program, weights, self._on).run


class InterpreterEngine(FolderEngine):
    name = "interpreter"

    def _network(self, program: Program, weights: Mapping[str, Any]) -> Run:
        from prover.program.interpret import interpret

        return lambda given: interpret(program, {**weights, **given})

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
