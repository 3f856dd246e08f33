"""The benchmarks' own arithmetic, and what they refuse. EZKL itself does not run in tests."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from oracle.adapters.engine import TorchEngine
from oracle.adapters.torch_engine import Network
from oracle.benchmarks import chain, engine, here, models, peers, report, results
from oracle.benchmarks.models import MODELS, UnknownModelName, layers
from oracle.benchmarks.proving import peak_rss_mb
from oracle.benchmarks.solidity import deploy_and_call, verifier_gas
from oracle.benchmarks.steps import PeerFailed, worker
from oracle.bootstrap import real_parts
from oracle.cli.main import app
from oracle.domain.errors import DeviceMissing
from oracle.settings import Settings
from oracle.story.anvil import anvil
from prover.compiler.package import read_package
from prover.program.ir import Program, Role
from tests.devices import DEVICES


def side(seconds: float, **more: Any) -> dict[str, Any]:
    sample: dict[str, Any] = {"prove_s": seconds, "verify_s": 0.5, "proof_bytes": 3776}
    sample |= {"peak_rss_mb": seconds, "prove_cpu_s": 2 * seconds}
    sample["prove_runs_s"] = [2 * seconds, seconds]
    return sample | more


def prover_row(model: str, batch: int, weights: int, seconds: float) -> dict[str, Any]:
    return {
        "model": model, "batch": batch, "prove_s": seconds, "verify_s": 0.5, "commit_s": 0.1,
        "proof_bytes": 3776, "gas": 500_000, "gas_an_inference": 500_000 // batch,
        "peak_rss_mb": 166.0, "kernel_tier": "scalar", "threads": 2, "load_average": 0.5,
        "weights_stored": weights, "lookup_rows": 0, "machine": "m", "commit": "c",
        "weights": "real", "k": 12, "startup_s": 0.4,
    }  # fmt: skip


def peer_row(theirs: dict[str, Any]) -> dict[str, Any]:
    ours = side(0.1, setup_s=0.2, gas=490_000, warm_prove_s=0.05, logit_error=0.1, k=12)
    ours["kernel_tier"] = "scalar"
    return {
        "model": "digits-mlp", "runs": 5, "ours": ours, "theirs": theirs, "machine": "m",
        "theirs_over_ours": peers.ratios(ours, theirs), "load_average": [0.1, 0.2], "commit": "c",
    }  # fmt: skip


def test_a_row_takes_the_place_of_an_equal_one(tmp_path: Path) -> None:
    for model, seconds in (("a", 1.0), ("b", 2.0), ("a", 3.0)):
        results.record("prover", prover_row(model, 1, 10, seconds), tmp_path)
    rows = results.load("prover", tmp_path)
    assert [(row["model"], row["prove_s"]) for row in rows] == [("a", 3.0), ("b", 2.0)]


def test_figures_keep_five_digits() -> None:
    given = {"a": [0.123456789], "b": 123456.789, "c": 3, "d": "0.123456789"}
    expected = {"a": [0.12346], "b": 123457, "c": 3, "d": "0.123456789"}
    assert results.rounded(given) == expected


def test_a_summary_is_the_median_of_times_and_the_largest_peak() -> None:
    found = peers.summary([side(3.0), side(1.0), side(2.0)])
    assert found["prove_s"] == 2.0
    assert found["peak_rss_mb"] == 3.0
    assert found["prove_runs_s"] == [3.0, 1.0, 2.0]
    assert found["proof_bytes"] == 3776


def test_ratios_are_theirs_over_ours() -> None:
    row = peer_row(side(1.0, setup_s=2.0, gas=980_000))
    assert row["theirs_over_ours"]["gas"] == 2.0
    assert row["theirs_over_ours"]["prove_s"] == pytest.approx(10)
    assert row["theirs_over_ours"]["warm_prove_s"] == pytest.approx(20)


def test_a_report_has_every_row_and_the_same_bytes_twice(tmp_path: Path) -> None:
    settings = {"settings": {"decomp_base": 256}, "tried": [{}], "logrows": 9, "logit_error": 0.01}
    theirs = side(1.0, setup_s=2.0, gas=980_000, **settings)
    results.record("peers", peer_row(theirs), tmp_path)
    for weights, seconds in ((1000, 0.1), (10_000, 1.0), (100_000, 10.0)):
        for batch in (1, 16):
            row = prover_row(f"of-{weights}", batch, weights, seconds)
            results.record("prover", row, tmp_path)
    micro = {"item": "Fr multiply", "per": "multiplication", "kernel_tier": "scalar", "threads": 1}
    rest = {"log_size": 20, "ns": 14.0, "machine": "m", "commit": "c", "load_average": 0.1}
    results.record("micro", micro | rest, tmp_path)

    written = {path.name: path.read_bytes() for path in report.write(tmp_path)}
    plots = {f"{name}.{kind}" for name in ("peers", "prover", "batch") for kind in ("png", "svg")}
    assert set(written) == plots | {"results.md"}
    text = written["results.md"].decode()
    assert "| prove, keys read from files (s) | 0.1 | 1 | 10 |" in text
    assert "| the same, fastest turn (s) | 0.1 | 1 | 10 |" in text
    assert "einproof's tiles of 2^12 cells" in text
    assert "| of-10000 | 16 | 0.4 | 1 |" in text
    assert "| Fr multiply | multiplication | 14 |" in text
    assert {path.name: path.read_bytes() for path in report.write(tmp_path)} == written


def test_the_fitted_power_of_linear_times_is_one(tmp_path: Path) -> None:
    for weights in (1000, 10_000, 100_000):
        row = prover_row("mlp" + f"-{weights}" * 3, 1, weights, weights * 1e-6)
        results.record("prover", {**row, "weights": "random"}, tmp_path)
    written = {path.name: path for path in report.write(tmp_path)}
    assert "x^1.00" in written["scaling.svg"].read_text()
    text = written["results.md"].read_text()
    assert "with the power 1.00 of work" in text
    assert "| 10,000 | mlp-10000-10000-10000 | 0.01 |" in text


def test_tiers_have_tables_of_their_own_and_plots_are_of_one(tmp_path: Path) -> None:
    """The scalar kernels' rows are of another machine, and no point of a line."""
    for weights in (1000, 10_000, 100_000):
        row = {
            **prover_row("mlp" + f"-{weights}" * 3, 1, weights, weights * 1e-6),
            "weights": "random",
        }
        results.record("prover", {**row, "kernel_tier": "ifma"}, tmp_path)
    alone = {path.name: path.read_bytes() for path in report.write(tmp_path)}
    results.record("prover", {**row, "prove_s": 9.5, "machine": "another"}, tmp_path)
    both = {path.name: path.read_bytes() for path in report.write(tmp_path)}
    text = both.pop("results.md").decode()
    assert both == {name: data for name, data in alone.items() if name != "results.md"}
    ifma, scalar = text.index("ifma kernels"), text.index("another; scalar kernels")
    assert ifma < text.index("| 0.1 |") < scalar < text.index("| 9.5 |")
    assert "with the power 1.00 of work" in text


def repository(folder: Path) -> Callable[..., None]:
    """A new one, with a file of code and one of results; the function runs git in it."""

    def git(*arguments: str) -> None:
        named = ("-c", "user.name=n", "-c", "user.email=e")
        subprocess.run(["git", *named, *arguments], cwd=folder, check=True, capture_output=True)

    for name in ("code.py", f"{here.RESULTS}/rows.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("first")
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    return git


def test_results_alone_do_not_make_a_commit_dirty(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "ROOT", tmp_path)
    git = repository(tmp_path)
    clean = here.commit()
    assert len(clean) == 12
    (tmp_path / here.RESULTS / "rows.json").write_text("second")
    (tmp_path / "untracked.py").write_text("")
    assert here.commit() == clean
    (tmp_path / "code.py").write_text("second")
    assert here.commit() == f"{clean}-dirty"
    git("add", ".")
    assert here.commit() == f"{clean}-dirty"


def test_a_start_is_counted_from_the_process_on() -> None:
    code = (
        "import time; time.sleep(0.3); from oracle.benchmarks.proving import seconds_since_start;"
        "print(seconds_since_start())"
    )
    started = time.perf_counter()
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0.29 <= float(ran.stdout) <= time.perf_counter() - started + 0.02


def test_depth_and_length_have_plots_of_their_own(tmp_path: Path) -> None:
    for model in ("gpt2-2x128", "gpt2-24x128", "gpt2-2x128-8", "gpt2-2x256", "gpt2-small"):
        results.record("prover", prover_row(model, 1, 1000, 1.0), tmp_path)
    rows = results.load("prover", tmp_path)
    assert [row["at"] for row in report.language(rows, "depth")] == [2, 24]
    assert [row["at"] for row in report.language(rows, "length")] == [8, 64]
    assert {"depth.png", "length.svg"} <= {path.name for path in report.write(tmp_path)}


def test_integers_stand_beside_floats(tmp_path: Path) -> None:
    row = {
        "model": "nanogpt", "batch": 1, "engine_s": 0.5, "interpreter_s": 1.5,
        "float_torch_s": 0.25, "engine_over_float": 2.0, "load_average": 0.1, "machine": "m",
        "commit": "c",
    }  # fmt: skip
    results.record("engine", row, tmp_path)
    results.record("engine", row | {"device": "a GPU", "engine_s": 0.125}, tmp_path)
    (table,) = report.write(tmp_path)
    assert "| nanogpt | 1 | processors | 0.5 | 1.5 | 0.25 | 2 | 0.1 |" in table.read_text()
    assert "| nanogpt | 1 | a GPU | 0.125 | 1.5 | 0.25 | 2 | 0.1 |" in table.read_text()


@pytest.mark.parametrize("device", DEVICES)
def test_the_engine_answers_as_the_interpreter_does(device: str, tmp_path: Path) -> None:
    models.build("mlp-5-4-3", 3, tmp_path)
    row = engine.measure(tmp_path, "mlp-5-4-3", 1, device)
    assert ("device" in row) == (device != "cpu")
    times = {name: value for name, value in row.items() if name != "device"}
    assert set(times) == {"engine_s", "interpreter_s", "float_torch_s", "engine_over_float"}
    assert all(value > 0 for value in times.values())


def test_an_engine_that_differs_anywhere_is_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In what it answers, or in any tensor before it."""
    models.build("mlp-5-4-3", 1, tmp_path)
    program = read_package(tmp_path / "package").program
    hidden = next(t.name for t in program.tensors if t.role == Role.ACTIVATION)
    answer = program.tensors[program.with_role(Role.OUTPUT)[0]].name
    run = Network.run
    for name in (hidden, answer):

        def other(self: Network, given: Any, name: str = name) -> Any:
            made = run(self, given)
            return {**made, name: made[name] + 1}

        monkeypatch.setattr(Network, "run", other)
        with pytest.raises(engine.EnginesDiffer, match=f"^{name}: "):
            engine.measure(tmp_path, "mlp-5-4-3", 1)


def test_a_device_that_is_not_there_is_refused_before_the_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    for device, said in (("cuda", "needs an NVIDIA GPU"), ("tpu", "expected a device out of")):
        done = CliRunner().invoke(app, ["bench", "engine", "--device", device])
        assert (done.exit_code, said in done.output) == (1, True), done.output
        with pytest.raises(DeviceMissing, match=said):
            Network(Program(8, (), ()), {}, device)
    with pytest.raises(DeviceMissing, match="needs an NVIDIA GPU"):
        real_parts(Settings(), "cuda")
    by_hand = real_parts(Settings(engine_device="cuda")).engine  # as commands have it
    assert isinstance(by_hand, TorchEngine)


def test_a_name_says_how_many_tokens_are_read() -> None:
    assert models.named("gpt2-2x128").length == 64
    assert models.named("gpt2-2x128-256").length == 256
    assert models.named("transformer-4l-64").length == 16
    with pytest.raises(UnknownModelName):
        models.named("gpt2-2x128-0")


def test_a_peer_without_figures_says_why(tmp_path: Path) -> None:
    results.record("peers", peer_row({"skipped": "setup did not end within 5 s"}), tmp_path)
    (table,) = report.write(tmp_path)
    assert "EZKL has no figures: setup did not end within 5 s." in table.read_text()
    assert "| verify on-chain (gas) | 490,000 |  |  |" in table.read_text()


def test_a_peer_whose_verifier_does_not_fit_a_chain_has_its_other_figures(tmp_path: Path) -> None:
    theirs = side(1.0, setup_s=2.0) | {"not_on_chain": "its verifier has 30,000 bytes"}
    row = peer_row(theirs)
    assert "gas" not in row["theirs_over_ours"] and row["theirs_over_ours"]["prove_s"] == 10
    results.record("peers", row, tmp_path)
    page = report.write(tmp_path)[0].read_text()
    assert "No gas of EZKL's: its verifier has 30,000 bytes." in page
    assert "| verify on-chain (gas) | 490,000 |  |  |" in page


@pytest.mark.chain
def test_a_contract_above_eip_170_is_refused_by_its_size(tmp_path: Path) -> None:
    filler = "".join(f"if (x == {i}) return keccak256('{i}');" for i in range(1500))
    source = f"contract A {{ function f(uint x) external pure returns (bytes32) {{ {filler} }} }}"
    (tmp_path / "verifier.sol").write_text(f"pragma solidity ^0.8.24; {source}")
    with pytest.raises(PeerFailed, match="a chain takes 24,576"):
        verifier_gas(tmp_path)


def test_a_worker_that_fails_or_lingers_is_an_error() -> None:
    dying = [sys.executable, "-c", "import sys; input(); sys.exit('out of luck')"]
    with worker(dying, 30) as ask, pytest.raises(PeerFailed, match="out of luck"):
        ask("prove")
    slow = [sys.executable, "-c", "import time; time.sleep(60)"]
    with worker(slow, 1) as ask, pytest.raises(PeerFailed, match="within 1 s"):
        ask("prove")


def test_peak_memory_is_of_this_process() -> None:
    before = peak_rss_mb()
    held = np.ones((int(before) + 64) * 2**20 // 8)
    assert peak_rss_mb() >= held.nbytes / 2**20


def test_layers_are_the_modules_own_weights() -> None:
    torch = pytest.importorskip("torch")
    module = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    found = layers(module, np.eye(3))
    hidden = np.maximum(found["inputs"] @ found["w0"].T + found["b0"], 0)
    np.testing.assert_allclose(hidden @ found["w1"].T + found["b1"], found["logits"], atol=1e-6)
    with pytest.raises(UnknownModelName):
        layers(torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh()), np.eye(3))


def test_layers_of_images_are_described_as_onnx_has_them() -> None:
    torch = pytest.importorskip("torch")
    from oracle.zoo.vision import lenet_5

    found = layers(lenet_5(), np.zeros((2, 1, 28, 28)))
    nodes = json.loads(found["nodes"])
    kinds = [kind for kind, _ in nodes]
    assert kinds[:6] == ["Conv", "Relu", "MaxPool", "Conv", "Relu", "MaxPool"]
    assert kinds[6:] == ["Flatten", "Gemm", "Relu", "Gemm", "Relu", "Gemm"]
    assert nodes[0][1]["pads"] == [2, 2, 2, 2]
    assert found["w1"].shape == (16, 6, 5, 5)
    assert found["logits"].shape == (2, 10)
    for part in (torch.nn.Conv2d(2, 2, 3, groups=2), torch.nn.MaxPool2d(3, 1, 1)):
        with pytest.raises(UnknownModelName, match="ONNX"):
            layers(torch.nn.Sequential(part), np.zeros((1, 2, 8, 8)))


def test_ezkl_has_settings_for_each_model_and_is_not_the_projects() -> None:
    settings = json.loads((peers.HERE / "settings.json").read_text())
    assert set(settings) == set(MODELS)
    tree = ast.parse((peers.HERE / "worker.py").read_text())
    names = [n for node in ast.walk(tree) if isinstance(node, ast.Import) for n in node.names]
    names_from = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported = {name.name for name in names} | set(names_from)
    assert not {name.split(".")[0] for name in imported if name} & {"oracle", "prover"}


def test_parts_of_a_trace_add_up() -> None:
    def call(to: str, gas: int, *calls: Any) -> dict[str, Any]:
        return {"to": to, "gasUsed": hex(gas), "input": "0x", "calls": list(calls)}

    pairing = call("0x" + "0" * 39 + "8", 110_000)
    opening = call("0xB", 150_000, pairing)
    trace = call("0xA", 300_000, opening, call("0x" + "0" * 39 + "7", 6000))
    trace["input"] = "0x00ff"
    assert chain.parts(trace, {"0xa": "TensorVerifier", "0xb": "MercuryVerifier"}) == {
        "TensorVerifier": 300_000 - 21_000 - 20 - 150_000 - 6000,
        "ecPairing": 110_000,
        "MercuryVerifier": 40_000,
        "transaction": 21_000,
        "ecMul": 6000,
        "calldata": 20,
    }


@pytest.mark.chain
def test_a_verifier_must_return_true(tmp_path: Path) -> None:
    """Contracts in bytecode: runtime returns 1, returns 0, reverts."""
    runtimes = ("600160005260206000f3", "600060005260206000f3", "60006000fd")
    true, false, revert = (f"69{code:0<20}60005260{len(code) // 2:02x}6016f3" for code in runtimes)
    with anvil(tmp_path / "anvil.log") as url:
        deployed, called = deploy_and_call(url, true, b"\1" * 100)
        assert deployed > 53_000
        assert called > 21_000
        with pytest.raises(PeerFailed, match="return true"):
            deploy_and_call(url, false, b"")
        with pytest.raises(Exception, match="revert"):
            deploy_and_call(url, revert, b"")
