"""Every check that the CUDA tier owes a GPU, in one run; writes bench/results/cuda.json.

    python -m scripts.bench_cuda [--largest 24] [--out FILE]

1. Lock-step: every function of the tier against the scalar tier, 2^16 cells and points (or
   --check), adversarial ones among them.
2. Times: field, matrix pass, sumcheck round, MSM from 2^20 to 2^largest, medians of five.
3. A proof made on the GPU has the bytes of the scalar tier's, and verifies.

It needs of the project's packages numpy, numba, numba-cuda, safe-pysha3 and py-ecc,
so that it also runs on a bare machine. It stops with exit code 1 at the first difference;
what was measured before is written all the same. In Numba's simulator steps 1 and 3 run at the
sizes given, and nothing is timed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from oracle.benchmarks.here import commit, load_average, machine
from oracle.benchmarks.results import RESULTS, rounded
from prover import curve, kernels
from prover.field import P
from prover.kernels.interface import Kernels
from tests.programs import mlp
from tests.proving import setup

RUNS = 5
SMALLEST = 20
MATRIX = 4096
EDGES = [0, 1, P - 1, P - 2, P // 2, P // 2 + 1, 2**64, 2**128 - 1, 2**253]
INT64S = [0, 1, -1, 2**31, -(2**31), 2**62, -(2**62)]
PROOFS = {"small": [24, 12, 5], "large": [784, 512, 512, 10]}


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


# 1. Lock-step


def elements(tier: Kernels, n: int, number: int) -> Any:
    """The same n elements in every tier: random ones, an edge at every seventh place."""
    rng = np.random.default_rng(number)
    total = tier.from_int64(rng.integers(-(1 << 63), 1 << 63, n))
    for _ in range(3):
        word = tier.from_int64(rng.integers(-(1 << 63), 1 << 63, n))
        tier.add_scaled(total, int(rng.integers(1 << 62)) ** 3, word)
    places = np.arange(0, n, 7)
    total[places] = tier.from_ints([EDGES[i % len(EDGES)] for i in range(len(places))])
    return total


def outcomes(tier: Kernels, log_size: int) -> Iterator[tuple[str, Any]]:
    """The name and the canonical result of every function, on the same inputs in every tier."""
    n, rng = 1 << log_size, np.random.default_rng(7)
    vectors = [elements(tier, n, number) for number in range(5)]
    a, b, c, d, e = vectors
    wide = rng.integers(-(1 << 63), 1 << 63, (64, n // 16))
    nonzero = tier.add(tier.mul(a, a), tier.from_ints([5] * n))  # -5 is no square: never zero
    beta, z = int(rng.integers(1 << 62)) ** 4 % P, int(rng.integers(1 << 62)) ** 4 % P
    short = max(4, n // 64)

    def held(vector: Any) -> list[int]:
        return tier.to_ints(vector)

    yield "elements", [held(vector) for vector in vectors]
    for name in ("add", "sub", "mul"):
        yield name, held(getattr(tier, name)(a, b))
    yield "scale", held(tier.scale(a, beta))
    yield "outer", held(tier.outer(a[:short], b[: n // short]))
    yield "total", tier.total(a)
    yield "inner", tier.inner(a, b)
    yield "batch_inverse", held(tier.batch_inverse(nonzero))
    yield "powers", held(tier.powers(beta, n))
    rows = rng.integers(0, short, (4, n)).astype(np.int32)
    yield "pick", held(tier.pick(a[:short], rows))
    yield "eq_table", held(tier.eq_table([beta + i for i in range(log_size)]))
    for ints in (wide, (wide >> 48).astype(np.int16), (wide >> 32).astype(np.int32)):
        name = f"small_matvec {ints.dtype}"
        yield name, held(tier.small_matvec(ints, a[: n // 16]))
    yield "fold", held(tier.fold(a, beta))
    for count in (1, 2, 4, 8):
        slices = [vectors[k % 5] for k in range(count)]
        yield f"round_lookup {count}", tier.round_lookup(a, b, c, slices, beta)
    yield "round_table", tier.round_table(a, b, c, d, e, beta)
    yield "round_product", [tier.round_product([a, b]), tier.round_product([a, b, c])]
    for width in (1, 2, short):
        yield f"divide_power {width}", [held(part) for part in tier.divide_power(a, width, z)]
    yield "evaluate", tier.evaluate(a, z)
    yield "correlate", held(tier.correlate(a[:short], b[: short // 2]))
    points = tier.generator_powers(beta, n)
    yield "generator_powers", tier.points_to_bytes(points)
    yield "points", tier.points_to_ints(tier.points_from_bytes(tier.points_to_bytes(points)))
    yield "msm", tier.msm(points, a)
    yield "msm of one scalar", tier.msm(points, tier.from_ints([P - 2] * n))
    yield "msm_picked", tier.msm_picked(points, a[:short], rows)
    small = rng.integers(-(1 << 15), (1 << 15) + 1, n)
    yield "msm_small", tier.msm_small(points, small)
    few = [None, *(curve.multiply(curve.GENERATOR, i) for i in (1, 2, 3, -1, -2, -3))]
    special = tier.load_points(few)[rng.integers(0, len(few), n)]
    yield "msm of equal and opposite points", tier.msm(special, tier.from_int64(small % 3 - 1))
    yield "msm_small of equal and opposite points", tier.msm_small(special, small)
    edges = np.resize(np.array(INT64S), n)
    yield "msm_small of 63 bits", tier.msm_small(points, edges)


def compare(log_size: int) -> list[str]:
    """The names of what the CUDA tier computes as the scalar tier does; exits where one differs."""
    pairs = zip(
        outcomes(kernels.get("cuda"), log_size),
        outcomes(kernels.get("scalar"), log_size),
        strict=True,
    )
    agreed = []
    for (name, got), (_, expected) in pairs:
        say(f"  {name}")
        if got != expected:
            raise SystemExit(f"{name} at 2^{log_size}: the CUDA tier differs from the scalar tier")
        agreed.append(name)
    return agreed


# 2. Times


def times(log_size: int) -> list[dict[str, Any]]:
    """A row an item: medians of five, after a first run that compiles; nothing leaves the GPU
    within a time but what the function returns."""
    from prover.kernels.cuda.kernel import device_name, synchronize

    tier, n, rng = kernels.get("cuda"), 1 << log_size, np.random.default_rng(1)
    a, b, c = (elements(tier, n, number) for number in range(3))
    int16 = rng.integers(-(1 << 15), 1 << 15, n, dtype=np.int16)
    points = tier.generator_powers(12345678901, n)
    work: dict[str, tuple[str, int, Callable[[], Any]]] = {
        "Fr multiply": ("multiplication", n, lambda: tier.mul(a, b)),
        "sumcheck round, product of 3": ("row", n // 2, lambda: tier.round_product([a, b, c])),
        "sumcheck round, lookup of 4": (
            "row",
            n // 2,
            lambda: tier.round_lookup(a, b, c, [a, b, c, a], 5),
        ),
        "sumcheck fold": ("row", n // 2, lambda: tier.fold(a, 5)),
        "batch inverse": ("element", n, lambda: tier.batch_inverse(a)),
        "MSM, 254-bit scalars": ("point", n, lambda: tier.msm(points, a)),
        "MSM, int16 scalars": ("point", n, lambda: tier.msm_small(points, int16)),
    }
    if log_size == SMALLEST:
        matrix = rng.integers(-(1 << 15), 1 << 15, (MATRIX, MATRIX)).astype(np.int16)
        narrow = a[:MATRIX]
        work["int16 matrix x Fr vector"] = (
            "term",
            MATRIX**2,
            lambda: tier.small_matvec(matrix, narrow),
        )
    rows = []
    for item, (per, size, run) in work.items():
        synchronize(run())
        taken = []
        for _ in range(RUNS):
            started = time.perf_counter()
            synchronize(run())
            taken.append(time.perf_counter() - started)
        row = {"item": item, "log_size": log_size, "per": per, "device": device_name()}
        rows.append({**row, "ns": median(taken) / size * 1e9, "ms": median(taken) * 1e3})
        say(f"  {item}: {rows[-1]['ms']:.3f} ms")
    return rows


# 3. Proofs


def proof(name: str) -> dict[str, Any]:
    """A proof of the same case under either tier; raises SystemExit where a byte differs."""
    made, seconds = {}, {}
    case = mlp(PROOFS[name])
    for tier in ("scalar", "cuda"):
        ready = setup(case, tier=tier)
        ready.prove()
        started = time.perf_counter()
        made[tier] = ready.prove()
        seconds[f"{tier}_s"] = time.perf_counter() - started
        ready.verify(made[tier])
    if made["scalar"] != made["cuda"]:
        raise SystemExit(f"proof {name}: the CUDA tier's bytes differ from the scalar tier's")
    say(f"  {name}: {seconds}")
    return {"widths": PROOFS[name], "bytes": len(made["cuda"]), **seconds}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", type=int, default=16, help="lock-step: 2 to this power")
    parser.add_argument("--largest", type=int, default=24, help="times: up to 2 to this power")
    parser.add_argument("--proof", choices=PROOFS, default="large")
    parser.add_argument("--out", type=Path, default=RESULTS / "cuda.json")
    chosen = parser.parse_args()
    kernels.get("cuda")
    from prover.kernels.cuda.kernel import SIMULATED, device_name

    found: dict[str, Any] = {
        "device": device_name(),
        "machine": machine(),
        "commit": commit(),
        "load_average": load_average(),
    }
    try:
        say(f"lock-step at 2^{chosen.check}")
        found["agree"] = {"log_size": chosen.check, "functions": compare(chosen.check)}
        say("proofs")
        found["proofs"] = {"small": proof("small")}
        if not SIMULATED:
            if chosen.proof != "small":
                found["proofs"][chosen.proof] = proof(chosen.proof)
            found["rows"] = []
            for log_size in range(SMALLEST, chosen.largest + 1, 2):
                say(f"times at 2^{log_size}")
                found["rows"] += times(log_size)
    finally:
        chosen.out.parent.mkdir(parents=True, exist_ok=True)
        chosen.out.write_text(json.dumps(rounded(found), indent=2) + "\n")


if __name__ == "__main__":
    main()
