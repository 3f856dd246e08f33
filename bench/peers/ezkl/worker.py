"""EZKL as one of two provers that take turns; runs in EZKL's own environment, imports nothing of
the project.

    python worker.py FOLDER setup SETTINGS     keys for FOLDER/float.npz; one JSON object
    python worker.py FOLDER prove              a command a line on stdin, a JSON object a line back
    python worker.py FOLDER contract           FOLDER/verifier.sol and FOLDER/calldata.bin

SETTINGS is a JSON object: `memory_bytes` (more ends the process), `srs` (folder for structured
reference strings), `batch`, `scale` (none: EZKL calibrates it), `calibration_inputs` (none: all
samples) and fields of EZKL's PyRunArgs.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ezkl
import numpy as np

OPSET, IR_VERSION = 17, 8
WEIGHTED = ("Gemm", "Conv")  # nodes with a weight and a bias


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[float, Any]:
    started = time.perf_counter()
    result = work(*arguments)
    return time.perf_counter() - started, result


def peak_rss_mb() -> float:
    """High-water mark of this process alone; ru_maxrss would start from its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    raise OSError("expected VmHWM in /proc/self/status, got none")


def write_onnx(arrays: Any, batch: int, path: Path) -> None:
    """The torch module's layers with its own weights, as torch's exporter writes them."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    described = json.loads(str(arrays["nodes"]))
    nodes, weights, current = [], [], "input"
    for i, (kind, attributes) in enumerate(described):
        names = []
        if kind in WEIGHTED:
            number = len(weights) // 2
            names = [f"w{number}", f"b{number}"]
            weights += [numpy_helper.from_array(arrays[name], name) for name in names]
        out = "output" if i == len(described) - 1 else f"{kind.lower()}{i}"
        nodes.append(helper.make_node(kind, [current, *names], [out], **attributes))
        current = out
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [batch, *arrays[kept].shape[1:]])
        for name, kept in (("input", "inputs"), ("output", "logits"))
    ]
    graph = helper.make_graph(nodes, "model", ends[:1], ends[1:], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    onnx.save(model, str(path))


def setup(folder: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Circuit and keys. The reference string comes from EZKL's own gen_srs and is not counted."""
    memory, srs_folder = settings.pop("memory_bytes"), Path(settings.pop("srs"))
    batch, scale = settings.pop("batch"), settings.pop("scale", None)
    samples = settings.pop("calibration_inputs", None)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    arrays = np.load(folder / "float.npz")
    inputs = np.load(folder / "input.npy").astype(np.float32)
    write_onnx(arrays, batch, folder / "model.onnx")
    write_input(folder / "input.json", inputs)
    write_input(folder / "calibration.json", arrays["inputs"][:samples] if batch == 1 else inputs)
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility, arguments.output_visibility = "private", "public"
    for name, value in settings.items():
        setattr(arguments, name, value)
    if scale is not None:
        arguments.input_scale = arguments.param_scale = scale
    os.chdir(folder)
    started = time.perf_counter()
    ezkl.gen_settings("model.onnx", "settings.json", py_run_args=arguments)
    scales = None if scale is None else [scale]
    ezkl.calibrate_settings(
        "calibration.json", "model.onnx", "settings.json", "resources", scales=scales
    )
    ezkl.compile_circuit("model.onnx", "circuit", "settings.json")
    compiled = time.perf_counter() - started
    found = json.loads(Path("settings.json").read_text())
    logrows = found["run_args"]["logrows"]
    srs = srs_folder / f"{logrows}.srs"
    if not srs.exists():
        fresh = srs.with_suffix(f".{os.getpid()}")
        ezkl.gen_srs(str(fresh), logrows)
        fresh.rename(srs)
    Path("srs.json").write_text(json.dumps(str(srs)))
    seconds, _ = timed(ezkl.setup, "circuit", "verifying.key", "proving.key", str(srs))
    return {
        "compile_s": compiled,
        "setup_s": seconds,
        "setup_peak_rss_mb": peak_rss_mb(),
        "logrows": logrows,
        "input_scale": found["run_args"]["input_scale"],
        "param_scale": found["run_args"]["param_scale"],
        "proving_key_bytes": Path("proving.key").stat().st_size,
        "verifying_key_bytes": Path("verifying.key").stat().st_size,
        **accuracy(arrays, batch, found),
    }


def write_input(path: Path, inputs: Any) -> None:
    path.write_text(json.dumps({"input_data": [inputs.reshape(-1).tolist()]}))


def accuracy(arrays: Any, batch: int, settings: dict[str, Any]) -> dict[str, Any]:
    """How far the circuit's integers are from the float network on its samples; one at a time, so
    none for larger batches."""
    if batch != 1:
        return {}
    scale, worst, agreed = settings["model_output_scales"][0], 0.0, 0
    for sample, logits in zip(arrays["inputs"], arrays["logits"], strict=True):
        write_input(Path("sample.json"), sample)
        witness = ezkl.gen_witness("sample.json", "circuit", "sample-witness.json")
        got = np.array([ezkl.felt_to_float(felt, scale) for felt in witness["outputs"][0]])
        worst = max(worst, float(np.abs(got - logits).max()))
        agreed += label(got) == label(logits)
    return {"logit_error": worst, "labels_agree": agreed / len(arrays["inputs"])}


def label(logits: Any) -> int:
    return int(logits[0] > 0) if len(logits) == 1 else int(np.argmax(logits))


def prove() -> dict[str, Any]:
    """Witness and proof, keys and reference string read from files by the call itself."""
    busy = time.process_time()
    witness, _ = timed(ezkl.gen_witness, "input.json", "circuit", "witness.json")
    srs = json.loads(Path("srs.json").read_text())
    files = ("witness.json", "circuit", "proving.key", "proof.json", srs)
    seconds, _ = timed(ezkl.prove, *files)
    busy = time.process_time() - busy
    proof = json.loads(Path("proof.json").read_text())["hex_proof"]
    return {
        "witness_s": witness,
        "prove_s": witness + seconds,
        "prove_cpu_s": busy,
        "proof_bytes": len(proof.removeprefix("0x")) // 2,
        "peak_rss_mb": peak_rss_mb(),
    }


def verify() -> dict[str, Any]:
    srs = json.loads(Path("srs.json").read_text())
    seconds, valid = timed(ezkl.verify, "proof.json", "settings.json", "verifying.key", srs)
    if valid is not True:
        raise ValueError(f"expected a proof that EZKL accepts, got {valid}")
    return {"verify_s": seconds}


def contract() -> dict[str, Any]:
    """EZKL writes the contract, then looks for a compiler of its own on the network to write the
    ABI too; the contract is all that is needed, so that failing is no failure."""
    srs = json.loads(Path("srs.json").read_text())

    async def create() -> None:
        await ezkl.create_evm_verifier(
            "verifying.key", "settings.json", "verifier.sol", "verifier.abi", srs
        )

    ezkl.encode_evm_calldata("proof.json", "calldata.bin")
    try:
        asyncio.run(create())
    except RuntimeError as error:
        if not Path("verifier.sol").exists():
            raise
        print(f"no ABI: {error}", file=sys.stderr)
    return {"contract": "verifier.sol"}


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # EZKL reports on stdout
    folder, role = Path(sys.argv[1]).resolve(), sys.argv[2]
    if role == "setup":
        print(json.dumps(setup(folder, json.loads(sys.argv[3]))), file=answers)
        return
    os.chdir(folder)
    if role == "contract":
        print(json.dumps(contract()), file=answers)
        answers.flush()
        os._exit(0)  # after that failure EZKL's threads crash an ordinary exit
    for line in sys.stdin:
        print(json.dumps({"prove": prove, "verify": verify}[line.strip()]()), file=answers)


if __name__ == "__main__":
    main()
