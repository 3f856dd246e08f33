"""Compiles a tier's kernels by calling each once: `python -m prover.kernels.warmup [tier]`."""

import sys
import time
from collections.abc import Callable, Iterator

import numpy as np

from prover.curve import GENERATOR
from prover.errors import EinproofError
from prover.kernels.interface import Kernels, Progress

LENGTHS = (4, 140)  # a tier may have kernels for long vectors apart, and what is left over
POINTS = 8


def calls(tier: Kernels) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every function of the tier that computes, by name, on inputs that it accepts."""
    for length in LENGTHS:
        yield from vector_calls(tier, length)
    ints = np.arange(1, POINTS + 1, dtype=np.int64)
    points, v = tier.load_points([GENERATOR] * POINTS), tier.from_int64(ints)
    yield "points_to_bytes", lambda: tier.points_to_bytes(points)
    yield "msm_small", lambda: tier.msm_small(points, ints)
    yield "int16 msm_small", lambda: tier.msm_small(points, ints.astype(np.int16))
    yield "msm", lambda: tier.msm(points, v)
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
    yield "round_lookup", lambda: tier.round_lookup(v, v, v, [v] * 4, 2, 3, 4)
    yield "round_table", lambda: tier.round_table(v, v, v, v, v, 2, 3, 4)
    yield "round_product", lambda: tier.round_product([v, v])
    yield "divide_power", lambda: tier.divide_power(v, length // 4, 3)
    yield "evaluate", lambda: tier.evaluate(v, 2)
    yield "correlate", lambda: tier.correlate(v, v)


def steps(tier: Kernels) -> Iterator[Progress]:
    """Calls them all, yielding (done, total, name) before the first and after each."""
    every = list(calls(tier))
    total = len(every)
    yield 0, total, "start"
    for done, (label, call) in enumerate(every, start=1):
        call()
        yield done, total, label


def main() -> None:
    """Warms the tier that the command line names, with a progress bar on stderr."""
    from rich.console import Console
    from rich.progress import Progress as Bar

    from prover import kernels

    console = Console(stderr=True)
    started = time.perf_counter()
    try:
        tier = kernels.get(sys.argv[1] if len(sys.argv) > 1 else None)
    except EinproofError as refused:
        sys.exit(str(refused))
    with Bar(console=console, transient=True) as bar:
        task = bar.add_task("kernels", total=None)
        for done, total, label in tier.warmup():
            bar.update(task, completed=done, total=total, description=label)
    console.print(f"kernels {tier.name}: warm after {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
