"""Steps of another prover, each a process with a limit on its time."""

from __future__ import annotations

import json
import selectors
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from oracle.benchmarks.run import BenchmarkFailed
from oracle.toolchain import ROOT


class PeerFailed(BenchmarkFailed):
    """A step of the other prover failed; the message has its last line."""


@contextmanager
def worker(command: list[str], seconds: int) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A process that answers a line with a line of JSON; ended when one is done with it."""
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        lines, ready = process.stdout, selectors.DefaultSelector()
        ready.register(lines, selectors.EVENT_READ)

        def ask(what: str) -> dict[str, Any]:
            print(what, file=process.stdin, flush=True)
            if not ready.select(seconds):
                raise PeerFailed(f"{what} did not end within {seconds} s")
            answer = lines.readline()
            if not answer:
                errors.seek(0)
                raise PeerFailed(f"{what} failed: {last_line(errors.read())}")
            return dict(json.loads(answer))

        try:
            yield ask
        finally:
            process.terminate()


def run(command: list[str], seconds: int, given: str | None = None) -> str:
    """Standard output of a step of EZKL's. Raises PeerFailed."""
    try:
        ran = subprocess.run(
            command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"{command[-2]} did not end within {seconds} s") from error
    if ran.returncode:
        raise PeerFailed(f"exit {ran.returncode}: {last_line(ran.stderr)}")
    return ran.stdout


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no message"])[-1]
