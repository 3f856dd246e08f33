"""The Prover port: proofs made in a process of their own, so that the event loop lives.

The worker keeps the models that it has loaded. If it dies (of memory, most likely), the job at hand
is tried again later with a new one; if the service dies, the worker follows at once.
"""

import asyncio
import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from oracle.domain.errors import InputRefused, ProverFailed
from prover.errors import EinproofError, WrongLength


class ProcessProver:
    """One worker process. It starts with the first proof, or with `warm`."""

    def __init__(self) -> None:
        self._pool: ProcessPoolExecutor | None = None

    async def prove(self, folder: Path, context: bytes, input: bytes) -> tuple[bytes, bytes]:
        pool = self._started()
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool, _prove, folder, context, input)
        except BrokenProcessPool as error:
            self._pool = None
            raise ProverFailed(
                "the proving process died (out of memory?): it is started again"
            ) from error

    def close(self) -> None:
        """Ends the worker, whatever it is at."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            fresh = multiprocessing.get_context("spawn")  # a fork would copy threads' locks
            self._pool = ProcessPoolExecutor(1, fresh, initializer=_follow_parent)
        return self._pool


# --- inside the worker -------------------------------------------------------------------------

_sessions: dict[Path, tuple[int, Any]] = {}


def _follow_parent() -> None:
    """Dies when the service does, also when that is killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _prove(folder: Path, context: bytes, input: bytes) -> tuple[bytes, bytes]:
    from prover.program.evaluate import ValueRefused

    try:
        output, proof, _ = _session(folder).prove(context, input)
        return output, proof
    except (ValueRefused, WrongLength) as error:
        raise InputRefused(str(error)) from None
    except EinproofError as error:
        # Errors with fields do not survive the way between processes.
        raise ProverFailed(f"{type(error).__name__}: {error}") from None
    except MemoryError:
        raise ProverFailed("not enough memory for this model") from None


def _session(folder: Path) -> Any:
    """The model of a folder, ready to prove; made anew when its model.json changes."""
    from prover.api import Session
    from prover.folder import MODEL_JSON

    changed = (folder / MODEL_JSON).stat().st_mtime_ns
    held = _sessions.get(folder)
    if held is None or held[0] != changed:
        held = (changed, Session.open(folder, declared=False))  # whatever has a proof
        _sessions[folder] = held
    return held[1]
