"""Compiles a tier's kernels by calling each once: `python -m prover.kernels.warmup [tier]`."""

import fcntl
import functools
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from queue import Queue

import numpy as np

from prover.curve import GENERATOR, encode_point
from prover.errors import EinproofError
from prover.field import P
from prover.kernels import get
from prover.kernels.interface import Kernels, Progress

LENGTHS = (4, 140)  # a tier may have kernels for long vectors apart, and what is left over
POINTS = 8


def calls(tier: Kernels) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every function of the tier that computes, by name, on inputs that it accepts."""
    for length in LENGTHS:
        yield from vector_calls(tier, length)
    yield from point_calls(tier)


def point_calls(tier: Kernels) -> Iterator[tuple[str, Callable[[], object]]]:
    """Those on points: one long kernel serves most of them."""
    ints = np.arange(1, POINTS + 1, dtype=np.int64)
    points = tier.load_points([GENERATOR] * POINTS)
    v = tier.from_ints([P // 3 + i for i in range(POINTS)])  # small ones take one window
    data = encode_point(GENERATOR) * POINTS
    yield "points_from_bytes", lambda: tier.points_from_bytes(data)
    yield "points_to_bytes", lambda: tier.points_to_bytes(points)
    yield "msm_small", lambda: tier.msm_small(points, ints)
    yield "int16 msm_small", lambda: tier.msm_small(points, ints.astype(np.int16))
    yield "msm", lambda: tier.msm(points, v)
    places = np.zeros((1, POINTS), dtype=np.int32)
    yield "pick", lambda: tier.pick(v, places)
    yield "msm_picked", lambda: tier.msm_picked(points, v, places)
    yield "generator_powers", lambda: tier.generator_powers(2, POINTS)


def vector_calls(tier: Kernels, length: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Those on vectors, of an even length."""
    ints = np.arange(1, length + 1, dtype=np.int64)
    stored = ints.astype(np.int16)  # as weights are
    v = tier.from_ints(ints.tolist())
    point = [2] * (length.bit_length() - 1)
    yield "from_int64", lambda: tier.from_int64(ints)
    yield "to_ints", lambda: tier.to_ints(v)
    yield "add", lambda: tier.add(v, v)
    yield "sub", lambda: tier.sub(v, v)
    yield "mul", lambda: tier.mul(v, v)
    yield "scale", lambda: tier.scale(v, 2)
    yield "add_scaled", lambda: tier.add_scaled(tier.zeros(length), 2, v)
    yield "outer", lambda: tier.outer(v, v)
    yield "total", lambda: tier.total(v)
    yield "inner", lambda: tier.inner(v, v)
    yield "batch_inverse", lambda: tier.batch_inverse(v)
    yield "eq_table", lambda: tier.eq_table(point)
    yield "powers", lambda: tier.powers(2, length)
    yield "small_matvec", lambda: tier.small_matvec(ints[None, :], v)
    yield "small_matvec", lambda: tier.small_matvec(ints[:, None], v[:1])
    yield "int16 from_int64", lambda: tier.from_int64(stored)
    yield "int16 small_matvec", lambda: tier.small_matvec(stored[None, :], v)
    yield "int16 small_matvec", lambda: tier.small_matvec(stored[:, None], v[:1])
    yield "fold", lambda: tier.fold(v, 2)
    yield "round_lookup", lambda: tier.round_lookup(v, v, v, [v] * 4, 2)
    yield "round_table", lambda: tier.round_table(v, v, v, v, v, 2)
    yield "round_product", lambda: tier.round_product([v, v])
    yield "divide_power", lambda: tier.divide_power(v, length // 4, 3)
    yield "evaluate", lambda: tier.evaluate(v, 2)
    yield "correlate", lambda: tier.correlate(v, v)


COMPILED = ("scalar", "ifma")  # tiers whose code is kept per processor: prover.kernels.cache


def steps(tier: Kernels) -> Iterator[Progress]:
    """Calls them all, yielding (done, total, name) before the first and after each.

    Where a compiled tier has not been warmed before, a process a thread compiles its share first,
    into the cache that all of them load from.
    """
    fresh = not is_warm(tier.name)
    count = sum(1 for _ in calls(get("reference")))  # a tier's own inputs need its kernels
    total = count * (2 if fresh else 1)
    yield 0, total, "start"
    for done, label in enumerate(_compile(tier.name) if fresh else (), start=1):
        yield done, total, label
    for done, (label, call) in enumerate(calls(tier), start=total - count + 1):
        call()
        yield done, total, label


def is_warm(name: str) -> bool:
    """Whether all of a tier's kernels have been compiled on this processor."""
    return name not in COMPILED or _marker(name).exists()


@functools.cache
def fill(name: str) -> None:
    """Compiles a tier's kernels where that has not been done; tries once."""
    if not is_warm(name):
        for _ in _compile(name):
            pass


def _marker(name: str) -> Path:
    """The file that says that all of a tier's kernels are in the cache."""
    from prover.kernels import native

    return native.folder() / f"warm-{name}"


def _compile(name: str) -> Iterator[str]:
    """Each function's name as soon as one of the processes has compiled it; none where somebody
    else was at it, whom this waits for.

    What a process that fails leaves undone is compiled by whoever calls it first.
    """
    from prover.kernels import native

    with (native.folder() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not is_warm(name):
            yield from _compile_locked(name)


def _compile_locked(name: str) -> Iterator[str]:
    from prover.kernels import native
    from prover.kernels.cpu.kernel import threads

    command = [sys.executable, "-m", "prover.kernels.warmup", name]
    running = [
        subprocess.Popen(
            [*command, str(i), str(threads())],
            env=native.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for i in range(threads())
    ]
    labels: Queue[str | None] = Queue()

    def listen(output: Iterable[str]) -> None:
        for line in output:
            labels.put(line.strip())
        labels.put(None)

    try:
        for process in running:
            threading.Thread(target=listen, args=(process.stdout,), daemon=True).start()
        ended = 0
        while ended < len(running):
            label = labels.get()
            ended += label is None
            if label is not None:
                yield label
        if not any(process.wait() for process in running):
            _marker(name).touch()
    finally:
        for process in running:
            process.kill()
            process.wait()


def share(tier: Kernels, i: int, n: int) -> Iterator[str]:
    """Makes the calls of the i-th of n processes, yielding each name.

    The first has those on points, the others the rest, all calls of a function in one process:
    nothing long is compiled twice.
    """
    on_points = {label for label, _ in point_calls(tier)}
    rest = dict.fromkeys(label for label, _ in calls(tier) if label not in on_points)
    place = dict.fromkeys(on_points, 0) | {
        label: 1 + k % (n - 1) if n > 1 else 0 for k, label in enumerate(rest)
    }
    for label, call in calls(tier):
        if place[label] == i:
            call()
            yield label


def main() -> None:
    """Warms the tier that the command line names, with a progress bar on stderr; or the share I of
    N, a name a line on stdout."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from prover import kernels
    from prover.kernels import native

    console = Console(stderr=True)
    started = time.perf_counter()
    native.COMPILING = len(sys.argv) == 4
    try:
        tier = kernels.get(sys.argv[1] if len(sys.argv) > 1 else None)
    except EinproofError as refused:
        sys.exit(str(refused))
    if len(sys.argv) == 4:
        for label in share(tier, *map(int, sys.argv[2:])):
            print(label, flush=True)
        return
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("kernels", total=None)
        for done, total, label in tier.warmup():
            bar.update(task, completed=done, total=total, description=label)
    console.print(f"kernels {tier.name}: warm after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
