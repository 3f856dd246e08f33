"""README quotes what was measured: each figure of its table is its row's in bench/results, rounded
as it is printed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from oracle.benchmarks import results
from oracle.benchmarks.report import of_one_tier
from oracle.toolchain import ROOT

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
COLUMNS = (("prove_s", "s"), ("proof_bytes", "bytes"), ("gas", ""), ("peak_rss_mb", "B"))
FIGURE = re.compile(r"([\d,]+)(?:\.(\d+))? ?([kMG]?)(\w*)")
SCALES = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
PARTS = {"peak_rss_mb": 1e6}  # what a row counts in; the others count in ones


def figure(text: str) -> tuple[float, float, str]:
    """(value, half a unit of its last digit, unit) of a printed figure."""
    found = FIGURE.fullmatch(text)
    assert found, f"expected a figure, got {text!r}"
    whole, decimals, scale, unit = found.groups()
    value = float(whole.replace(",", "") + "." + (decimals or "0")) * SCALES[scale]
    return value, 0.5 * 10 ** -len(decimals or "") * SCALES[scale], unit


def quoted(text: str) -> list[tuple[str, int, list[str]]]:
    """(model, batch, the other cells) of each line of the table."""
    lines = [line for line in text.splitlines() if line.startswith("| ")][2:]
    found: list[tuple[str, int, list[str]]] = []
    for line in lines:
        label, *cells = (cell.strip() for cell in line.strip("|").split("|"))
        if again := re.match(r"the same, (\d+) inferences", label):
            found.append((found[-1][0], int(again[1]), cells))
        else:
            (model,) = (name for start, name in MODELS.items() if label.startswith(start))
            found.append((model, 1, cells))
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


def measured_table() -> str:
    readme = (ROOT / "README.md").read_text()
    return readme.partition("\n## Measured\n")[2].partition("\n## ")[0]


def test_readme_quotes_the_rows() -> None:
    rows = of_one_tier(results.load("prover"))
    lines = quoted(measured_table())
    assert len(lines) >= len(MODELS)
    wrong = []
    for model, batch, cells in lines:
        own = [row for row in rows if (row["model"], row["batch"]) == (model, batch)]
        assert len(own) == 1, f"{model} x {batch}: expected one row in prover.json, got {len(own)}"
        wrong += differences(own[0], cells)
    assert not wrong, "\n".join(["README says, bench/results/prover.json has:", *wrong])


ROW = {
    "model": "m", "batch": 4, "prove_s": 0.0541, "proof_bytes": 2816, "gas": 402_913,
    "gas_an_inference": 2_049, "peak_rss_mb": 171.26,
}  # fmt: skip


@pytest.mark.parametrize(
    ("cells", "wrong"),
    [
        (["0.05 s", "2,816 bytes", "403k, 2.0k each", "171 MB"], 0),
        (["0.054 s", "2,816 bytes", "0.40M", "0.2 GB"], 0),
        (["0.06 s", "2,816 bytes", "403k", "171 MB"], 1),
        (["0.05 s", "2,817 bytes", "402k, 2.1k each", "172 MB"], 4),
        (["0.05 MB", "2,816 bytes", "403k", "171 s"], 2),
    ],
)
def test_a_figure_is_wrong_beyond_its_last_digit(cells: list[str], wrong: int) -> None:
    assert len(differences(ROW, cells)) == wrong
