"""README quotes what was measured: each figure of its table is its row's in bench/results, rounded
as it is printed, and so is what stands beside the table. The rows meet the project's aims."""

from __future__ import annotations

import re
from typing import Any

import pytest

from oracle.benchmarks import results
from oracle.benchmarks.report import fitted, of_one_tier, outgrown, scaling, shown, tier_of
from oracle.toolchain import ROOT
from prover.kernels import TIERS

MODELS = {  # how a line of the table begins: the model whose rows it quotes
    "breast-cancer regression": "breast-cancer-lr",
    "digits MLP": "digits-mlp",
    "MLP 784-512-512-10": "mlp-784-512-512-10",
    "LeNet on 28 x 28 (max-pool)": "lenet",
    "ResNet": "resnet",
    "LSTM": "lstm",
    "transformer block": "transformer-1l-64",
    "nanoGPT": "nanogpt",
    "all-MiniLM-L6-v2": "minilm-l6",
    "the shape of GPT-2": "gpt2-small",
    "a LLaMA block": "llama-block",
    "two layers of 7168 x 7168": "mlp-7168-7168-7168",
}
COLUMNS = (("prove_s", "s"), ("proof_bytes", "bytes"), ("gas", ""), ("peak_rss_mb", "iB"))
FIGURE = re.compile(r"([\d,]+)(?:\.(\d+))? ?([kMG]?)(\w*)")
STEPS = ("", "k", "M", "G")
PARTS = {"peak_rss_mb": 2**20}  # what a row counts in; the others count in ones
COMMITTED = {  # input, output: what a line says
    (False, False): "",
    (True, False): "input committed",
    (False, True): "output committed",
    (True, True): "input and output committed",
}
BEFORE = "before tiles grew beyond 2^20"


def figure(text: str) -> tuple[float, float, str]:
    """(value, half a unit of its last digit, unit) of a printed figure."""
    found = FIGURE.fullmatch(text)
    assert found, f"expected a figure, got {text!r}"
    whole, decimals, scale, unit = found.groups()
    times = (1024.0 if unit.startswith("i") else 1000.0) ** STEPS.index(scale)
    value = float(whole.replace(",", "") + "." + (decimals or "0")) * times
    return value, 0.5 * 10 ** -len(decimals or "") * times, unit


def quoted(text: str) -> list[tuple[str, int, str, list[str]]]:
    """(model, batch, the first cell, the other cells) of each line of the table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    found: list[tuple[str, int, str, list[str]]] = []
    for line in lines:
        label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if again := re.match(r"the same, (\d+) inferences", label):
            found.append((found[-1][0], int(again[1]), label, cells))
        else:
            (model,) = (name for start, name in MODELS.items() if label.startswith(start))
            found.append((model, 1, label, cells))
    return found


def differences(row: dict[str, Any], cells: list[str]) -> list[str]:
    """What a line's cells say that its row does not."""
    said = []
    for (name, unit), cell in zip(COLUMNS, cells, strict=True):
        main, _, each = cell.partition(", ") if name == "gas" else (cell, "", "")
        said.append((name, unit, main))
        if each:
            said.append(("gas_an_inference", "each", each.replace(" each", "each")))
    wrong = []
    for name, unit, text in said:
        value, half, printed = figure(text)
        measured = row[name] * PARTS.get(name, 1)
        if printed != unit or abs(value - measured) > half * (1 + 1e-9):
            wrong.append(f"{row['model']} x {row['batch']}, {name}: {text}, measured {row[name]}")
    return wrong


def marks(row: dict[str, Any], label: str) -> list[str]:
    """What a line leaves unsaid of its row, or says that is not so."""
    said, wanted = COMMITTED[(row["committed_input"], row["committed_output"])], []
    if ("committed" in label) != bool(said) or said not in label:
        wanted.append(said or "nothing committed")
    if (BEFORE in label) != outgrown(row):
        wanted.append(("" if outgrown(row) else "not ") + BEFORE)
    return [f"{row['model']} x {row['batch']}: expected {mark!r}" for mark in wanted]


def measured_section() -> str:
    readme = (ROOT / "README.md").read_text()
    return readme.partition("\n## Measured\n")[2].partition("\n## ")[0]


def test_readme_quotes_the_rows() -> None:
    lines = quoted(measured_section())
    assert len(lines) >= len(MODELS)
    wrong = []
    for row, (_, _, label, cells) in zip(quoted_rows(), lines, strict=True):
        wrong += [*differences(row, cells), *marks(row, label)]
    assert not wrong, "\n".join(["README says, bench/results/prover.json has:", *wrong])


def quoted_rows() -> list[dict[str, Any]]:
    """The row of each line of the table."""
    rows, found = of_one_tier(results.load("prover")), []
    for model, batch, _, _ in quoted(measured_section()):
        own = [row for row in rows if (row["model"], row["batch"]) == (model, batch)]
        assert len(own) == 1, f"{model} x {batch}: expected one row in prover.json, got {len(own)}"
        found += own
    return found


def words() -> str:
    """What stands around the table, on one line."""
    lines = [line for line in measured_section().splitlines() if not line.startswith("|")]
    return " ".join(" ".join(lines).split())


def test_readme_says_how_it_was_measured() -> None:
    rows = quoted_rows()
    runs = {len(row["prove_runs_s"]) for row in rows}
    assert f"medians of {min(runs - {1})} to {max(runs)}, " in words()
    for row, (_, _, label, _) in zip(rows, quoted(measured_section()), strict=True):
        assert ("one run" in label) == (len(row["prove_runs_s"]) == 1), label
    load = [row["load_average"] for row in rows]
    assert f"at a load of {min(load):.1f} to {max(load):.1f} " in words()
    start = [row["startup_s"] for row in of_one_tier(results.load("prover"))]
    assert f"ready to prove after {min(start):.1f} to {max(start):.1f} s " in words()


def test_readme_says_what_gas_has_become() -> None:
    """Where a row of another tier has the same tiles and proof but other gas, that is a later
    verifier's: kernels do not change it."""
    every, now = results.load("prover"), {}
    for row in of_one_tier(every):
        same = ("model", "batch", "k", "proof_bytes", "committed_input", "committed_output")
        for other in every:
            if other["gas"] != row["gas"] and all(row[name] == other[name] for name in same):
                now[row["model"]] = (other["gas"], 1 - other["gas"] / row["gas"])
    saved = [100 * share for _, share in now.values()]
    if not saved:
        assert "savings since" not in words()
        return
    assert min(saved) > 0
    assert f"Two savings since take {min(saved):.0f} to {max(saved):.0f} % off: " in words()
    for model, name in (
        ("breast-cancer-lr", "the regression"),
        ("digits-mlp", "the digits MLP"),
        ("mlp-784-512-512-10", "the MLP 784-512-512-10"),
    ):
        assert f"{now[model][0] / 1e3:.0f}k for {name}, " in words()
    assert f", {now['minilm-l6'][0] / 1e6:.2f}M for MiniLM." in words()


def test_readme_quotes_the_comparison() -> None:
    """Of each model the ratio, and of both sides seconds, gas and peak; and no other ratio."""
    rows, told = of_one_tier(results.load("peers")), words().partition("Beside EZKL")[2]
    told, _, against = told.partition("Without IFMA")[0].partition("What speaks for EZKL")
    assert re.findall(r"([\d.,]+) times", told + against) == [
        shown(row["theirs_over_ours"]["prove_s"]) for row in rows
    ]
    for row in rows:
        ours, theirs = row["ours"], row["theirs"]
        seconds = f"{shown(ours['prove_s'])} s against {shown(theirs['prove_s'])}"
        gas = f"{ours['gas'] / 1e3:.0f}k gas against {theirs['gas'] / 1e3:.0f}k"
        peak = f"{shown(ours['peak_rss_mb'])} MiB against {shown(theirs['peak_rss_mb'])}"
        assert f"({seconds}; {gas}; {peak})" in told, row["model"]
        assert f"proofs of {theirs['proof_bytes']:,} bytes" in against
    checks = [row["ours"]["verify_s"] for row in rows]
    assert f"{min(checks):.1f} to {max(checks):.1f} s)" in against


def test_rows_say_which_kernels_made_them() -> None:
    """And on how many threads; of a comparison our side."""
    for kind in ("prover", "micro", "peers"):
        for row in results.load(kind):
            assert tier_of(row) in TIERS, row
            assert row["threads"] >= 1


def test_the_rows_meet_the_aims() -> None:
    """On the machine that the README's table is of: beside EZKL, in gas, memory and growth."""
    peers = {row["model"]: row["theirs_over_ours"] for row in of_one_tier(results.load("peers"))}
    for model, least in (("breast-cancer-lr", 3), ("digits-mlp", 5), ("mlp-784-512-512-10", 60)):
        assert peers[model]["prove_s"] >= least, model
        assert peers[model]["gas"] >= 1, model
    assert peers["mlp-784-512-512-10"]["peak_rss_mb"] >= 5
    rows = results.load("prover")
    batches = {row["model"]: row["gas_an_inference"] for row in rows if row["batch"] == 256}
    assert batches["breast-cancer-lr"] < 10_000
    for row in rows:
        assert row["peak_rss_mb"] <= row["rss_bound_mb"], (row["model"], row["batch"])
    squares = scaling(of_one_tier(rows))
    assert squares[0]["weights_stored"] < 2_000 and squares[-1]["weights_stored"] > 10**8
    assert fitted(squares)[0] <= 1.05


ROW = {
    "model": "m", "batch": 4, "prove_s": 0.0541, "proof_bytes": 2816, "gas": 402_913,
    "gas_an_inference": 2_049, "peak_rss_mb": 171.26,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (["0.05 s", "2,816 bytes", "403k, 2.0k each", "171 MiB"], 0),
        (["0.054 s", "2,816 bytes", "0.40M", "0.2 GiB"], 0),
        (["0.06 s", "2,816 bytes", "403k", "171 MiB"], 1),
        (["0.05 s", "2,817 bytes", "402k, 2.1k each", "172 MiB"], 4),
        (["0.05 s", "2,816 bytes", "403k", "0.171 GB"], 1),
        (["0.05 MiB", "2,816 bytes", "403k", "171 s"], 2),
    ],
)
def test_a_figure_is_wrong_beyond_its_last_digit(cells: list[str], wrong: int) -> None:
    assert len(differences(ROW, cells)) == wrong
