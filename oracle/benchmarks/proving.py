"""Times one model's commitment and proofs, alone in a process, so that its peak memory is theirs.

python -m oracle.benchmarks.proving FOLDER RUNS      prints one line of JSON, keeps
FOLDER/claim.json
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prover.api import Session


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """Seconds: start-up (interpreter, imports, kernels, SRS), commitment, medians of warm proofs
    and of checks."""
    import numpy as np

    from prover import api

    session, opening = opened(folder)
    model = session.model
    data, openings = session.open_input(model.quantize_input(np.load(folder / "input.npy")))
    context = bytes(32)
    session.prove(context, data, openings)  # the first one is not warm
    used = time.process_time()
    proofs = [timed(lambda: session.prove(context, data, openings)) for _ in range(runs)]
    used = (time.process_time() - used) / runs
    output, proof, _ = proofs[-1][1]
    peak = peak_rss_mb()
    claim = api.Claim(context, model.id, session.srs.id, data, output, proof)
    (folder / "claim.json").write_text(claim.to_json())
    checks = [timed(lambda: api.check(model, claim))[0] for _ in range(runs)]
    return {
        **opening,
        "prove_s": median(seconds for seconds, _ in proofs),
        "prove_runs_s": [seconds for seconds, _ in proofs],
        "prove_cpu_s": used,
        "verify_s": median(checks),
        "proof_bytes": len(proof),
        "peak_rss_mb": peak,
        **sizes(session, folder),
    }


def opened(folder: Path) -> tuple[Session, dict[str, Any]]:
    """A session of FOLDER/package, whose model is then in FOLDER/model; kernels, tiles, and seconds
    of start-up and of the commitment."""
    from prover import api, kernels
    from prover.compiler.package import read_package
    from prover.model import Model
    from prover.program.layout import layout
    from prover.srs import development_srs

    tier = kernels.get()
    for _ in tier.warmup():
        pass
    startup, startup_cpu = seconds_since_start(), time.process_time()
    compiled = read_package(folder / "package")  # whose weights are the work, not the start
    k = layout(compiled.program).k
    busy = time.process_time()
    loading, srs = timed(lambda: development_srs(tier, k))
    startup, startup_cpu = startup + loading, startup_cpu + time.process_time() - busy
    commit, model = timed(
        lambda: Model.create(compiled.program, compiled.weights, compiled.quantizer, tier, srs)
    )
    model.save(folder / "model", force=True)
    return api.Session(model, tier, srs), {
        "kernel_tier": tier.name,
        "k": k,
        "startup_s": startup,
        "startup_cpu_s": startup_cpu,
        "commit_s": commit,
    }


def sizes(session: Session, folder: Path) -> dict[str, Any]:
    """What a model is, and what proving it may take at most."""
    from prover.folder import WEIGHTS

    model, stored = session.model, (folder / "model" / WEIGHTS).stat().st_size
    verifier, weights = model.layout.verifier, model.owned.weights
    return {
        "rss_bound_mb": rss_bound_mb(stored, fresh_cells(model), srs_bytes(session.srs.k_max)),
        "committed_input": bool(verifier.input_tiles),
        "committed_output": bool(verifier.output_tiles),
        "weights_stored": sum(cells.size for cells in weights.values()),
        "lookup_rows": verifier.rows * verifier.slices,
    }


def rss_bound_mb(stored: int, cells: int, srs: int) -> float:
    """What the proving process may take at most: 0.5 GB + 3 (stored weights + 32 bytes a fresh cell
    + SRS), all in bytes; in MB as `peak_rss_mb` counts them."""
    return (500e6 + 3 * (stored + 32 * cells + srs)) / 2**20


def fresh_cells(model: Any) -> int:
    """Cells of the tiles that are made with each proof: all but the weights' and tables', that of
    contractions and the two masks included."""
    program = model.layout.verifier
    return int((program.tiles - program.fixed_tiles) << program.k)


def srs_bytes(k: int) -> int:
    """The powers of an SRS for tiles of 2^k cells."""
    from prover.curve import POINT_BYTES

    return POINT_BYTES * ((1 << k) + 1)


def peak_rss_mb() -> float:
    """High-water mark of this process alone; ru_maxrss would start from its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("expected VmHWM in /proc/self/status, got none")


def seconds_since_start() -> float:
    """Since this process began, Python's own start included."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")  # the 22nd field: since boot
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def timed(work: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work()
    return time.perf_counter() - started, result


if __name__ == "__main__":
    print(json.dumps(measure(Path(sys.argv[1]), int(sys.argv[2]))))
