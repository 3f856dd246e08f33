"""What the kernels cost: nanoseconds an operation, one tier and thread count a process.

    python -m oracle.benchmarks.micro TIER THREADS LOG_SIZE      one JSON list of rows

Operands are random and full-sized unless the item says otherwise. Every item runs once before it is
timed.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Callable
from statistics import median
from typing import Any

from oracle.benchmarks.here import commit, load_average, machine, threads
from oracle.benchmarks.proving import timed
from oracle.benchmarks.run import BenchmarkFailed, child
from prover import kernels

RUNS = 5
REFERENCE_LOG_SIZE = 8  # plain integers: the definition, not a speed
MATRIX = 1024
CACHED_LOG_SIZE = 14  # cells that stay in a core's cache, 1 MB of them with the product: no memory


def micro_rows(
    log_size: int, say: Callable[[str], None], only: str | None = None
) -> list[dict[str, Any]]:
    """Rows of every tier that this processor has, or of one, on one thread and on all.

    Raises UnknownKernels where `only` cannot run here.
    """
    rows: list[dict[str, Any]] = []
    for tier in [kernels.get(only).name] if only else kernels.available():
        for count in sorted({1, threads()}):
            if tier in ("reference", "cuda") and count > 1:
                continue
            say(f"{tier} kernels, {count} threads")
            printed = child("oracle.benchmarks.micro", tier, str(count), str(log_size))
            for row in json.loads(printed.splitlines()[-1]):
                rows.append({**row, "load_average": load_average(), "commit": commit()})
                rows[-1]["machine"] = machine()
    return rows


def measure(tier_name: str, count: int, log_size: int) -> list[dict[str, Any]]:
    """A row an item: `ns` for one of `per`, over `size` of them, median of five runs."""
    import numpy as np

    from prover.field import P
    from prover.opening import prove_opening
    from prover.srs import development_srs
    from prover.transcript import Transcript

    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
    tier = kernels.get(tier_name)
    settle = settled(tier)
    if tier_name == "reference":
        log_size = REFERENCE_LOG_SIZE
    n, generator = 1 << log_size, np.random.default_rng(1)
    side = min(MATRIX, n)

    def vector(length: int) -> Any:
        words = [generator.integers(-(1 << 63), 1 << 63, length) for _ in range(4)]
        total = tier.from_int64(words[0])
        for word in words[1:]:
            tier.add_scaled(total, secrets.randbelow(P), tier.from_int64(word))
        return total

    def in_cache() -> Any:
        for _ in range(n // len(near)):
            product = tier.mul(near, near)
        return product

    a, b, c = (vector(n) for _ in range(3))
    near = a[: min(n, 1 << CACHED_LOG_SIZE)]
    int16 = generator.integers(-(1 << 15), 1 << 15, n, dtype=np.int16)
    matrix = generator.integers(-(1 << 15), 1 << 15, (side, side), dtype=np.int16)
    narrow = vector(side)
    srs = development_srs(tier, log_size)
    point = [secrets.randbelow(P) for _ in range(log_size)]
    items: dict[str, tuple[str, int, Callable[[], Any]]] = {
        "Fr multiply": ("multiplication", n, lambda: tier.mul(a, b)),
        f"Fr multiply, 2^{CACHED_LOG_SIZE} in cache": ("multiplication", n, in_cache),
        "int16 matrix x Fr vector": ("term", side**2, lambda: tier.small_matvec(matrix, narrow)),
        "sumcheck round, product of 3": ("row", n // 2, lambda: tier.round_product([a, b, c])),
        "sumcheck fold": ("row", n // 2, lambda: tier.fold(a, point[0])),
        "MSM, 254-bit scalars": ("point", n, lambda: tier.msm(srs.points, a)),
        "MSM, int16 scalars": ("point", n, lambda: tier.msm_small(srs.points, int16)),
        "opening": ("cell", n, lambda: prove_opening(tier, srs, a, 1, point, Transcript())),
    }
    rows = []
    for item, (per, size, work) in items.items():
        settle(work())
        seconds = median(timed(lambda work=work: settle(work()))[0] for _ in range(RUNS))
        row = {"item": item, "kernel_tier": tier.name, "threads": count, "log_size": log_size}
        rows.append({**row, **running_on(tier), "per": per, "ns": seconds / size * 1e9})
    return rows


def settled(tier: kernels.Kernels) -> Callable[[Any], Any]:
    """Waits until a result is there: a GPU goes on after the call that asked it has returned."""
    if tier.name != "cuda":
        return lambda result: result
    from prover.kernels.cuda.kernel import SIMULATED, synchronize

    if SIMULATED:
        raise BenchmarkFailed("kernels 'cuda': a simulator's times say nothing of a GPU")
    return synchronize


def running_on(tier: kernels.Kernels) -> dict[str, Any]:
    """The device that a tier runs on, where it is not the machine's processor."""
    if tier.name != "cuda":
        return {}
    from prover.kernels.cuda.kernel import device_name

    return {"device": device_name()}


if __name__ == "__main__":
    print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
