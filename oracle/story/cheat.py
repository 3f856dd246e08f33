"""A cheating operator or member, for `einproof demo --tier`: the real service with one deliberate
corruption, so that what catches it is caught in earnest.

    python -m oracle.story.cheat        (settings from EINPROOF_*, as einproof serve)

Its engine swaps the two largest logits of every output before the service stakes on it. Prover,
keys, database and posting are the service's own; no proof of such an output exists, so that it can
only lose a dispute.
"""

import asyncio
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

from oracle.bootstrap import Parts, real_parts, serve
from oracle.domain.bisection import Run
from oracle.logs import configure_logs
from oracle.settings import read_settings

CELL = 2  # bytes of an int16


class CorruptedEngine:
    """Another engine's outputs, falsified: the largest value and the second largest swapped."""

    name = "CORRUPTED ON PURPOSE"

    def __init__(self, honest: Any) -> None:
        self._honest = honest

    async def run(self, folder: Path, input: bytes) -> bytes:
        return swapped(await self._honest.run(folder, input))

    async def steps(self, folder: Path, input: bytes) -> Run:
        """True up to the last segment, which is given another output."""
        run = await self._honest.steps(folder, input)
        return run if run.halted else Run((*run.data[:-1], swapped(run.data[-1])), halted=False)

    async def traced(self, folder: Path, input: bytes) -> tuple[bytes, bytes]:
        output, trace = await self._honest.traced(folder, input)
        return swapped(output), trace


def swapped(output: bytes) -> bytes:
    cells = [output[at : at + CELL] for at in range(0, len(output), CELL)]
    order = sorted(range(len(cells)), key=lambda i: int.from_bytes(cells[i], "big", signed=True))
    first, second = order[-1], order[-2]
    cells[first], cells[second] = cells[second], cells[first]
    return b"".join(cells)


def corrupted(parts: Parts) -> Parts:
    """An operator's and a member's parts whose engines lie alike."""
    engine, tracer = CorruptedEngine(parts.engine), CorruptedEngine(parts.tracer)
    return replace(parts, engine=engine, tracer=tracer)


async def main() -> None:
    settings, stop = read_settings(), asyncio.Event()
    configure_logs(settings.log)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(settings, stop, corrupted(real_parts(settings)))


if __name__ == "__main__":
    asyncio.run(main())
