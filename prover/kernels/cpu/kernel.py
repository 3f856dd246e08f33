"""What goes into kernels and comes out of them, and how they run in parts on several threads."""

import functools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from prover.field import P
from prover.kernels.interface import T, Vec

LINE = 64


def aligned(*shape: int) -> Vec:
    """A C-contiguous array of uint64 that begins with a cache line, not yet written."""
    size = 8 * math.prod(shape)
    raw = np.empty(size + LINE, dtype=np.uint8)
    start = -raw.ctypes.data % LINE
    return raw[start : start + size].view(np.uint64).reshape(shape)


RADIX = 2**256
RADIX_INVERSE = pow(RADIX, -1, P)
THREAD_WORK = 1 << 12  # elements below which a second thread costs more than it saves


@functools.cache
def threads() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=max(1, threads() - 1), thread_name_prefix="kernels")


if hasattr(os, "register_at_fork"):  # a forked child has none of its parent's threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def run_all(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """The tasks' results, in order. The calling thread works too: each thread takes the next task
    as soon as it has done its last."""
    if len(tasks) == 1 or threads() == 1:
        return [task() for task in tasks]
    found: list[T | None] = [None] * len(tasks)
    left = iter(range(len(tasks)))  # a next() is atomic under the interpreter lock

    def work() -> None:
        for i in left:
            found[i] = tasks[i]()

    others = [_pool().submit(work) for _ in range(min(threads(), len(tasks)) - 1)]
    work()
    for other in others:
        if not other.cancel():  # one that has not begun, as where a task calls this, has none left
            other.result()
    # but it waits in its queue until the other thread is free, so that it must hold on to nothing
    done, found, tasks = found, [], ()
    return cast(list[T], done)


def ranges(length: int, least: int = THREAD_WORK) -> list[tuple[int, int]]:
    """0..length cut into a range for each thread, none (but a single one) shorter than `least`."""
    parts = max(1, min(threads(), length // least))
    return [(length * i // parts, length * (i + 1) // parts) for i in range(parts)]


def plain(a: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """a, or a copy of it that kernels can take."""
    return a if a.flags.carray else np.array(a, order="C")


def cell(value: int) -> Vec:
    """A vector of one: how a single scalar goes into a kernel."""
    return words(value % P * RADIX % P)


def words(value: int) -> Vec:
    """The four words of a 256-bit integer, as a vector of one."""
    return np.frombuffer(bytearray(value.to_bytes(32, "little")), dtype=np.uint64).reshape(1, 4)


def integers(a: Vec) -> list[int]:
    """The integers that the words of a make up, Montgomery form or not."""
    data = a.tobytes()
    return [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]


def scalars(a: Vec) -> list[int]:
    """A few cells as canonical integers: how single scalars come out of a kernel."""
    return [value * RADIX_INVERSE % P for value in integers(a)]


def addresses(vectors: Sequence[Vec]) -> npt.NDArray[np.uint64]:
    """Where the vectors' data lie; the caller keeps the vectors alive."""
    data = [vector.__array_interface__["data"][0] for vector in vectors]
    return np.array(data, dtype=np.uint64)
