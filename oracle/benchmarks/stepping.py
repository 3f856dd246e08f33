"""Times the steps of texts, proof after proof over a committed cache, alone in a process.

python -m oracle.benchmarks.stepping build NAME FOLDER    writes package and text
python -m oracle.benchmarks.stepping prove FOLDER RUNS    prints one line of JSON, keeps the claims
                                                          of the first and the last step

The text fills every place of the model: a session's first step is given an empty cache, its last a
full one. Both should cost the same.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from oracle.benchmarks.proving import opened, peak_rss_mb, sizes, timed

if TYPE_CHECKING:
    from oracle.zoo.cached import CachedEntry
    from prover.api import Claim

FIRST, LAST = "first.json", "claim.json"


def build(entry: CachedEntry, folder: Path) -> None:
    """Writes FOLDER/package and FOLDER/text.npy: the ids of as many tokens as there are places."""
    from oracle.zoo.cached import compiled
    from prover.compiler.package import write_package

    write_package(folder / "package", compiled(entry))
    np.save(folder / "text.npy", entry.texts[0][: entry.step.shape.places])


def measure(folder: Path, runs: int) -> dict[str, Any]:
    """As `proving.measure`, of a session's last step; `first_*` of its first, and how many `steps`
    there are. Seconds are medians over `runs` texts, the first text not counted. Raises what
    `verify_session` raises."""
    from oracle.domain.sampling import Sampling
    from oracle.generation import Chain, Steps, TextSession, verify_session
    from prover.api import check

    session, opening = opened(folder)
    prompt = [int(i) for i in np.load(folder / "text.npy")]

    def proved() -> tuple[list[float], Chain]:
        """The seconds of each step, integers and witness included; every token is known before."""
        text = TextSession(session, prompt, 1)
        times: list[float] = []
        claims: list[Claim] = []
        while (step := timed(text.step))[1] is not None:
            times.append(step[0])
            claims.append(step[1])
        return times, Chain(len(prompt), Sampling(), tuple(claims), text.secret)

    proved()  # the first one is not warm
    used = time.process_time()
    texts = [proved() for _ in range(runs)]
    used = time.process_time() - used
    peak, chain = peak_rss_mb(), texts[-1][1]
    verify_session(session.model, chain)
    claims = chain.claims
    for name, claim in ((FIRST, claims[0]), (LAST, claims[-1])):
        (folder / name).write_text(claim.to_json())
    first, last = ([times[at] for times, _ in texts] for at in (0, -1))
    return {
        **opening,
        "seq": Steps.of(session.model).tokens,
        "steps": len(claims),
        "prove_s": median(last),
        "prove_runs_s": last,
        "first_prove_s": median(first),
        "first_prove_runs_s": first,
        "prove_cpu_s": used / (runs * len(claims)),
        "verify_s": median(timed(lambda: check(session.model, claims[-1]))[0] for _ in range(runs)),
        "proof_bytes": len(claims[-1].proof),
        "peak_rss_mb": peak,
        **sizes(session, folder),
    }


if __name__ == "__main__":
    verb, *given = sys.argv[1:]
    if verb == "build":
        from oracle.zoo.entry import STEPS

        build(STEPS[given[0]](), Path(given[1]))
    else:
        print(json.dumps(measure(Path(given[0]), int(given[1]))))
