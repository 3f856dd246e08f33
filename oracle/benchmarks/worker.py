"""Our prover as one of two that take turns.

    python -m oracle.benchmarks.worker FOLDER setup    commits FOLDER/package; one JSON object
    python -m oracle.benchmarks.worker FOLDER prove    a command a line on stdin, a JSON object a
                                                       line back: `prove`, `verify`

Kernels are warm before the first answer; compiling them is in no row, `einproof warmup` shows it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from oracle.benchmarks.proving import peak_rss_mb, timed
from prover import api, kernels
from prover.model import Model
from prover.program.interpret import interpret

CONTEXT = bytes(32)


def setup(folder: Path) -> dict[str, Any]:
    """The commitment to the weights; the reference string is not counted."""
    from prover.compiler.package import read_package
    from prover.program.layout import layout
    from prover.srs import development_srs

    tier = kernels.get()
    for _ in tier.warmup():
        pass
    compiled = read_package(folder / "package")
    srs = development_srs(tier, layout(compiled.program).k)
    seconds, model = timed(
        lambda: Model.create(compiled.program, compiled.weights, compiled.quantizer, tier, srs)
    )
    model.save(folder / "model", force=True)
    return {
        "setup_s": seconds,
        "setup_peak_rss_mb": peak_rss_mb(),
        "k": model.layout.k,
        **accuracy(model, np.load(folder / "float.npz")),
    }


def accuracy(model: Model, arrays: Any) -> dict[str, Any]:
    """How far the integers are from the float network on its samples: the largest difference of
    a logit, and the share of equal labels."""
    quantizer, worst, agreed = model.quantizer, 0.0, 0
    named = quantizer.input.tensor
    stored = model.program.tensors[model.program.named(named)].shape
    for sample, logits in zip(arrays["inputs"], arrays["logits"], strict=True):
        whole = quantizer.quantize(sample.reshape(quantizer.input.shape))
        given = {named: whole.reshape(stored)}
        values = interpret(model.program, {**model.owned.weights, **given})
        got = quantizer.dequantize(values[quantizer.output.tensor]).reshape(-1)
        worst = max(worst, float(np.abs(got - logits).max()))
        agreed += label(got) == label(logits)
    return {"logit_error": worst, "labels_agree": agreed / len(arrays["inputs"])}


def label(logits: Any) -> int:
    return int(logits[0] > 0) if len(logits) == 1 else int(np.argmax(logits))


class Turns:
    """One model; `prove` first as EZKL's call does, everything read from files, then again with
    the session kept, as a service has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tier = kernels.get()
        for _ in self.tier.warmup():
            pass
        self.input = np.load(folder / "input.npy")
        self.claim: api.Claim | None = None

    def prove(self) -> dict[str, Any]:
        started, busy = time.perf_counter(), time.process_time()
        session = api.Session.open(self.folder / "model")
        loading = time.perf_counter() - started
        self._prove(session)
        total, busy = time.perf_counter() - started, time.process_time() - busy
        warm, claim = timed(lambda: self._prove(session))
        self.claim = claim
        (self.folder / "claim.json").write_text(claim.to_json())
        return {
            "load_s": loading,
            "prove_s": total,
            "prove_cpu_s": busy,
            "warm_prove_s": warm,
            "proof_bytes": len(claim.proof),
            "peak_rss_mb": peak_rss_mb(),
            "kernel_tier": self.tier.name,
        }

    def _prove(self, session: api.Session) -> api.Claim:
        """Quantising, committing the input, integer inference, proof."""
        model = session.model
        data, openings = session.open_input(model.quantize_input(self.input))
        output, proof, _ = session.prove(CONTEXT, data, openings)
        return api.Claim(CONTEXT, model.id, session.srs.id, data, output, proof)

    def verify(self) -> dict[str, Any]:
        model, claim = Model.load(self.folder / "model"), self.claim
        if claim is None:
            raise ValueError("expected a proof before verify, got none")
        return {"verify_s": timed(lambda: api.check(model, claim))[0]}


def main() -> None:
    folder, role = Path(sys.argv[1]), sys.argv[2]
    if role == "setup":
        print(json.dumps(setup(folder)))
        return
    turns = Turns(folder)
    commands: dict[str, Callable[[], dict[str, Any]]] = {
        "prove": turns.prove, "verify": turns.verify,
    }  # fmt: skip
    for line in sys.stdin:
        print(json.dumps(commands[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
