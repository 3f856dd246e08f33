"""Several services as one process, one of a mixed run's three:

    python -m tests.oracle.crew FILE

FILE is a list of services: settings by name, and `engine`, one of ENGINES. They share a loop, the
engines' models and a prover; each has its own key and database.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eth_hash.auto import keccak

from oracle.adapters.engine import InterpreterEngine, TorchEngine
from oracle.adapters.models import FolderModels
from oracle.adapters.prover import ProcessProver
from oracle.bootstrap import Parts, serve
from oracle.domain.bisection import Run
from oracle.domain.errors import InputRefused
from oracle.logs import configure_logs
from oracle.settings import read_settings
from oracle.story.cheat import CELL, swapped

#: What a turned member does is a function of the input, so that all lie alike, now or after a
#: kill: it lies for one input of eight, and a lazy one says nothing to another.
MARKS, CAPTURED, LAZY = 8, 1, 2


def mark(input: bytes) -> int:
    return keccak(b"mark" + input)[0] % MARKS


def falsified(output: bytes) -> bytes:
    """Another class: the two largest logits swapped; of one logit, the other sign."""
    return swapped(output) if len(output) > CELL else bytes(byte ^ 0xFF for byte in output)


class Honest:
    """Another engine's outputs, as they are."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self.name = engine.name

    def _said(self, input: bytes, output: bytes) -> bytes:
        return output

    async def run(self, folder: Path, input: bytes) -> bytes:
        return self._said(input, await self._engine.run(folder, input))

    async def steps(self, folder: Path, input: bytes) -> Run:
        """True up to the last segment."""
        run = await self._engine.steps(folder, input)
        return run if run.halted else Run((*run.data[:-1], self._said(input, run.data[-1])), False)

    async def traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        output, trace = await self._engine.traced(folder, input)
        return self._said(input, output), trace


class Lying(Honest):
    def _said(self, input: bytes, output: bytes) -> bytes:
        return falsified(output)


class Turned(Honest):
    """Captured."""

    def _said(self, input: bytes, output: bytes) -> bytes:
        return falsified(output) if mark(input) == CAPTURED else output


class LazyTurned(Turned):
    def _said(self, input: bytes, output: bytes) -> bytes:
        if mark(input) == LAZY:
            raise InputRefused("too lazy")
        return super()._said(input, output)


ENGINES: dict[str, Callable[[Any], Honest]] = {
    "honest": Honest,
    "lying": Lying,
    "turned": Turned,
    "lazy": LazyTurned,
}


async def main(file: Path) -> None:
    torch, interpreter, prover = TorchEngine(), InterpreterEngine(), ProcessProver()
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for fields in json.loads(file.read_text()):
            engine = ENGINES[fields.pop("engine")]
            settings = read_settings(**fields)
            one, other = engine(torch), engine(interpreter)
            parts = Parts(FolderModels(settings.models), one, prover, other, other)
            group.create_task(serve(settings, stop, parts))


if __name__ == "__main__":
    configure_logs("json")
    asyncio.run(main(Path(sys.argv[1])))
