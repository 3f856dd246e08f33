"""The table and the plots of bench/results, from the rows that are there and nothing else."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from oracle.benchmarks.results import RESULTS, load
from prover.program.layout import MANY_TILES, MAX_K

TABLE = "results.md"
OURS, THEIRS = "#1b6ca8", "#c8553d"
QUANTITIES = (  # of a comparison: name in a row, name for a reader, unit
    ("prove_s", "prove, keys read from files", "s"),
    ("prove_cpu_s", "processor time of that, all threads", "s"),
    ("warm_prove_s", "prove, keys kept", "s"),
    ("verify_s", "verify off-chain", "s"),
    ("setup_s", "commit or make keys", "s"),
    ("proof_bytes", "proof", "bytes"),
    ("gas", "verify on-chain", "gas"),
    ("peak_rss_mb", "peak memory", "MiB"),
)
INTRODUCTION = """# Measured

Written by `einproof bench report` from the JSON beside it; [bench/README.md](../README.md) says
how each figure comes about. Every proof is zero-knowledge and hides the weights. Seconds are wall
time unless they are said to be the processor's. Load is the machine's average over a minute, before
and after, or after: above the number of threads, others were at work, and times are too long, for
both sides.
"""
SECTIONS = {  # what a section shows, in a sentence
    "Beside EZKL 23.0.5": "The same network with the same weights, proved in turns by both; private"
    " input and weights, public output. In the last column above 1: EZKL takes more.",
    "einproof alone, warm": "A process whose kernels, model and reference string are loaded, as in"
    " the service. Gas is a transaction straight to the verifier; the start is from the process's"
    " beginning until a proof could begin.",
    "Steps of a session": "A text proved step by step over a committed cache, as long as the model"
    " has places: its first step and its last.",
    "Scaling": "Two square layers with random weights, a thousand to a hundred million of them."
    " Work is stored weights and looked-up cells. Proof bytes grow with its logarithm; gas too, and"
    " by some 6,500 a tile of weights, of which there are at most about 64 up to 2^28 cells.",
    "Integers beside floats": "One batch through the engine that answers requests, through the"
    " definition of the integers' semantics, and through torch's float network; `on` says where"
    " engine and floats ran, the definition is the processors'.",
    "Gas by part": "What a verification spends its gas on; below it what is paid once.",
    "Kernels": "Operands of full size at random; each tier gives the same results.",
}


def write(folder: Path = RESULTS) -> list[Path]:
    """Writes results.md and plots (PNG and SVG) of what has rows; the paths written."""
    kinds = ("peers", "prover", "engine", "chain", "micro")
    peers, prover, engine, chain, micro = (load(kind, folder) for kind in kinds)
    tables = [*peer_tables(peers), *prover_table(prover), *step_table(prover)]
    tongues = {name: of_one_tier(language(prover, name)) for name in ("depth", "length")}
    prover = of_one_tier(prover)
    tables += scaling_table(scaling(prover))
    tables += [*engine_table(engine), *chain_table(chain), *micro_table(micro)]
    (folder / TABLE).write_text("\n".join([INTRODUCTION, *tables]))
    written = [folder / TABLE]
    compared = [row for row in peers if "skipped" not in row["theirs"]]
    if compared:
        written += figure(folder, "peers", lambda axes: draw_peers(axes, of_one_tier(compared)))
    if len(single(prover)) > 1:
        written += figure(folder, "prover", lambda axes: draw_prover(axes, prover))
    if len(scaling(prover)) > 1:
        written += figure(folder, "scaling", lambda axes: draw_scaling(axes, scaling(prover)))
    for name, rows in tongues.items():
        if len(rows) > 1:
            written += figure(folder, name, partial(draw_language, name=name, rows=rows))
    if any(row["batch"] > 1 for row in prover):
        written += figure(folder, "batch", lambda axes: draw_batch(axes, prover))
    if chain:
        written += figure(folder, "chain", lambda axes: draw_chain(axes, chain))
    return written


# tables


def section(title: str) -> list[str]:
    return [f"## {title}\n", f"{SECTIONS[title]}\n"]


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [list(heads), ["---"] * len(heads), *([shown(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def shown(value: Any) -> str:
    """Three digits for what was timed, thousands apart for what was counted."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def peer_tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    made = section("Beside EZKL 23.0.5") if rows else []
    for row in rows:
        ours, theirs, ratio = row["ours"], row["theirs"], row["theirs_over_ours"]
        made.append(f"### {row['model']}\n")
        tiles = f"einproof's tiles of 2^{ours['k']} cells"
        more = f"medians of {row['runs']} turns, {ours['kernel_tier']} kernels, {tiles}"
        made.append(origin([row], more))
        if "skipped" in theirs:
            made.append(f"EZKL has no figures: {theirs['skipped']}.\n")
        if "not_on_chain" in theirs:
            made.append(f"No gas of EZKL's: {theirs['not_on_chain']}.\n")
        cells = []
        for name, title, unit in QUANTITIES:
            other = theirs.get("prove_s" if name == "warm_prove_s" else name, "")
            cells.append((f"{title} ({unit})", ours[name], other, ratio.get(name, "")))
        cells.insert(1, fastest(ours, theirs))
        made.append(table(("", "einproof", "EZKL", "EZKL / einproof"), cells))
        if "settings" in theirs:
            chosen = ", ".join(f"{name} {value}" for name, value in theirs["settings"].items())
            made.append(
                f"EZKL's settings, the fastest of {len(theirs['tried'])}: {chosen}; logrows"
                f" {theirs['logrows']}. Furthest logit from the float network, of 20 inputs:"
                f" einproof {shown(ours['logit_error'])}, EZKL {shown(theirs['logit_error'])}.\n"
            )
    return made


def fastest(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[Any, ...]:
    """The shortest of the turns, which other work on the machine disturbs least."""
    name, own = "the same, fastest turn (s)", min(ours["prove_runs_s"])
    if "skipped" in theirs:
        return name, own, "", ""
    other = min(theirs["prove_runs_s"])
    return name, own, other, other / own


def prover_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = (
        "model", "batch", "start (s)", "prove (s)", "verify (s)", "commit (s)", "proof (bytes)",
        "gas", "gas an inference", "peak (MiB)", "tile 2^k", "kernels", "threads", "load",
        "committed", "commit",
    )  # fmt: skip
    names = (
        "model", "batch", "startup_s", "prove_s", "verify_s", "commit_s", "proof_bytes", "gas",
        "gas_an_inference", "peak_rss_mb", "k", "kernel_tier", "threads", "load_average",
    )  # fmt: skip
    made = section("einproof alone, warm")
    for tier, machine in dict.fromkeys((row["kernel_tier"], row["machine"]) for row in rows):
        own = [row for row in rows if (row["kernel_tier"], row["machine"]) == (tier, machine)]
        own.sort(key=lambda row: (work_of(row), row["model"], row["batch"]))
        cells = [[*(row[name] for name in names), committed(row), commit_of(row)] for row in own]
        made += [f"{machine}; {tier} kernels.\n", table(heads, cells)]
    return made


def committed(row: dict[str, Any]) -> str:
    """Which of input and output the verifier does not see."""
    return " and ".join(end for end in ("in", "out") if row.get(f"committed_{end}put"))


def commit_of(row: dict[str, Any]) -> str:
    """As short as git prints it."""
    name, dash, dirty = row["commit"].partition("-")
    return f"{name[:7]}{dash}{dirty}"


def step_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    own = [row for row in rows if "steps" in row]
    if not own:
        return []
    names = ("prove_s", "gas")
    cells = []
    for row in own:
        for step, prefix in ((1, "first_"), (row["steps"], "")):
            at = f"{step} of {row['steps']}"
            figures = [row[prefix + name] for name in names]
            cells.append((row["model"], at, *figures, row["proof_bytes"], row["kernel_tier"]))
    heads = ("model", "step", "prove (s)", "gas", "proof (bytes)", "kernels")
    return [*section("Steps of a session"), table(heads, cells)]


def scaling_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    if len(rows) < 2:
        return []
    names = ("model", "prove_s", "proof_bytes", "gas", "peak_rss_mb")
    cells = [[work_of(row), *(row[name] for name in names)] for row in rows]
    heads = ("work", "model", "prove (s)", "proof (bytes)", "gas", "peak (MiB)")
    return [
        *section("Scaling"),
        *(
            f"{row['model']} was measured before tiles grew beyond 2^20.\n"
            for row in rows
            if outgrown(row)
        ),
        f"Proving time grows with the power {fitted(rows)[0]:.2f} of work: a line through all"
        " points, each as heavy as the others, both axes logarithmic.\n",
        table(heads, cells),
    ]


def outgrown(row: dict[str, Any]) -> bool:
    """Today's layout would take larger tiles: its weights alone are too many of these. Less gas,
    more time and memory."""
    return bool(row["weights_stored"] > MANY_TILES << row["k"] and row["k"] < MAX_K)


def fitted(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """(p, c) such that proving takes about c work^p seconds: least squares over logarithms."""
    x, y = (np.log([at(row) for row in rows]) for at in (work_of, lambda row: row["prove_s"]))
    power, offset = np.polyfit(x, y, 1)
    return float(power), float(np.exp(offset))


def engine_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = (
        "model", "batch", "on", "engine (s)", "interpreter (s)", "float torch (s)", "ratio", "load",
        "commit",
    )  # fmt: skip
    names = (
        "model", "batch", "device", "engine_s", "interpreter_s", "float_torch_s",
        "engine_over_float", "load_average",
    )  # fmt: skip
    cells = [[*(row.get(name, "processors") for name in names), commit_of(row)] for row in rows]
    return [*section("Integers beside floats"), f"{machines(rows)}.\n", table(heads, cells)]


def chain_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    if not rows:
        return []
    heads = ["gas of a verification", *titles_of(rows)]
    cells: list[list[Any]] = [
        [part, *(row["parts"].get(part, "") for row in rows)] for part in parts_of(rows)
    ]
    all_gas = ["all", *(row["gas"] for row in rows)]
    once = [[part, *(row["once"][part] for row in rows)] for part in rows[0]["once"]]
    return [
        *section("Gas by part"),
        f"{machines(rows)}.\n",
        table(heads, [*cells, all_gas, ["commit", *map(commit_of, rows)]]),
        table(["paid once", *titles_of(rows)], once),
    ]


def titles_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    return [f"{r['model']} x {r['batch']}" if r["batch"] > 1 else r["model"] for r in rows]


def parts_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(part for row in rows for part in row["parts"]))


def micro_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    made = section("Kernels") if rows else []
    for machine in dict.fromkeys(row["machine"] for row in rows):
        made += micro_of([row for row in rows if row["machine"] == machine])
    return made


def micro_of(rows: Sequence[dict[str, Any]]) -> list[str]:
    """One machine's."""
    columns = list(dict.fromkeys((row["kernel_tier"], row["threads"]) for row in rows))
    found = {(row["item"], row["kernel_tier"], row["threads"]): row for row in rows}
    heads = ["ns an operation", "of a", *(f"{tier}, {n} threads" for tier, n in columns)]
    cells = []
    for item, per in dict.fromkeys((row["item"], row["per"]) for row in rows):
        of = [found.get((item, *column)) for column in columns]
        cells.append([item, per, *(f["ns"] if f else "" for f in of)])
    sizes = ", ".join(
        f"{tier} 2^{found[next(k for k in found if k[1:] == (tier, n))]['log_size']}"
        for tier, n in columns
        if n == 1
    )
    return [origin(rows, f"sizes: {sizes}"), table(heads, cells)]


def origin(rows: Sequence[dict[str, Any]], more: str) -> str:
    """Where and from what: one line, every commit in it."""
    loads = [row["load_average"] for row in rows]
    ends = [x for load in loads for x in (load if isinstance(load, list) else [load])]
    load_text = " to ".join(
        f"{x:.1f}" for x in (ends if len(rows) == 1 else [min(ends), max(ends)])
    )
    commits = ", ".join(dict.fromkeys(map(commit_of, rows)))
    return f"{machines(rows)}; load {load_text}; commit {commits}; {more}.\n"


def machines(rows: Sequence[dict[str, Any]]) -> str:
    return " and ".join(dict.fromkeys(row["machine"] for row in rows))


# plots


def figure(folder: Path, name: str, draw: Callable[[Any], None]) -> list[Path]:
    """NAME.png and NAME.svg, the same bytes for the same rows."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams.update({"svg.hashsalt": name, "font.size": 10, "axes.axisbelow": True})
    from matplotlib import pyplot

    drawing, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", alpha=0.3)
    draw(axes)
    paths = [folder / f"{name}.{kind}" for kind in ("png", "svg")]
    drawing.savefig(paths[0], dpi=150)
    drawing.savefig(paths[1], metadata={"Date": None})
    pyplot.close(drawing)
    return paths


def draw_peers(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """EZKL's cost over ours, a group of bars a quantity: above the line we win."""
    places, width = np.arange(len(QUANTITIES)), 0.8 / len(rows)
    for i, row in enumerate(rows):
        heights = [row["theirs_over_ours"].get(name, math.nan) for name, _, _ in QUANTITIES]
        at = places + (i - (len(rows) - 1) / 2) * width
        shade = OURS if len(rows) == 1 else _shade(i, len(rows))
        bars = axes.bar(at, np.array(heights) - 1, width, bottom=1, color=shade, label=row["model"])
        labels = [f"{height:.2g}" if height < 100 else f"{height:.0f}" for height in heights]
        labels = ["" if label == "nan" else label for label in labels]
        axes.bar_label(bars, labels, fontsize=7, padding=2)
    axes.set_yscale("log")
    axes.axhline(1, color="black", linewidth=1)
    titles = [textwrap.fill(title, 15) for _, title, _ in QUANTITIES]
    axes.set_xticks(places, titles, fontsize=8)
    axes.set_ylabel("EZKL's cost / einproof's")
    axes.set_title("Beside EZKL 23.0.5: above the line einproof takes less")
    axes.legend(frameon=False)


def _shade(i: int, n: int) -> Any:
    import matplotlib

    return matplotlib.colormaps["viridis"](i / n)


def single(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["batch"] == 1]


def work_of(row: dict[str, Any]) -> int:
    """Stored weights and looked-up cells: what proving time is linear in."""
    return int(row["weights_stored"] + row["lookup_rows"])


def tier_of(row: dict[str, Any]) -> str:
    return str(row.get("ours", row)["kernel_tier"])


def of_one_tier(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the tier that has most of them: a line of a plot is of one."""
    most = Counter(map(tier_of, rows)).most_common(1)
    return [row for row in rows if most and tier_of(row) == most[0][0]]


def draw_prover(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Warm proving time over weights and lookups."""
    chosen = [row for row in single(rows) if row not in scaling(rows)]
    for row in chosen:
        axes.loglog(work_of(row), row["prove_s"], "o", color=OURS)
        place = (work_of(row), row["prove_s"])
        axes.annotate(row["model"], place, (6, -3), textcoords="offset points", fontsize=8)
    axes.set_xlabel("stored weights + looked-up cells")
    axes.set_ylabel("proving time, warm (s)")
    axes.set_title("Proving time")


def scaling(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of one family of networks, of three equal widths and random weights, by size."""
    own = [row for row in single(rows) if is_square(row["model"]) and row["weights"] == "random"]
    return sorted(own, key=work_of)


def is_square(name: str) -> bool:
    kind, *widths = name.split("-")
    return kind == "mlp" and len(widths) == 3 and len(set(widths)) == 1


def draw_scaling(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Proving time over the size of one family of networks, with the fitted power; gas, in its own
    units."""
    x = np.array([work_of(row) for row in rows], dtype=float)
    y = np.array([row["prove_s"] for row in rows])
    power, factor = fitted(rows)
    axes.loglog(x, y, "o-", color=OURS, label="proving time, warm (s)")
    axes.loglog(x, factor * x**power, "--", color=OURS, label=f"fitted: x^{power:.2f}")
    gas = [row["gas"] / 1e6 for row in rows]
    axes.loglog(x, gas, "s-", color=THEIRS, label="verification (million gas)")
    axes.set_xlabel("stored weights + looked-up cells")
    axes.set_title("Two square layers with random weights, from a thousand weights on")
    axes.legend(frameon=False)


LANGUAGE = re.compile(r"gpt2-(\d+)x128(?:-(\d+))?")  # layers, tokens: 64 if none


def language(rows: Sequence[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """The rows of GPT-2's shape at width 128, by `depth` (at 64 tokens) or by `length` (of two
    layers), each with its place `at`."""
    found = []
    for row in single(rows):
        if match := LANGUAGE.fullmatch(row["model"]):
            layers, tokens = int(match[1]), int(match[2] or 64)
            if name == "depth" and tokens == 64:
                found.append(row | {"at": layers})
            elif name == "length" and layers == 2:
                found.append(row | {"at": tokens})
    return sorted(found, key=lambda row: int(row["at"]))


def draw_language(axes: Any, name: str, rows: Sequence[dict[str, Any]]) -> None:
    """Proving time and gas over a language model's depth, or over the tokens that it reads."""
    x = [row["at"] for row in rows]
    axes.loglog(x, [row["prove_s"] for row in rows], "o-", color=OURS, label="proving, warm (s)")
    gas = [row["gas"] / 1e6 for row in rows]
    axes.loglog(x, gas, "s-", color=THEIRS, label="verification (million gas)")
    axes.set_xticks(x, [str(at) for at in x])
    axes.minorticks_off()
    axes.set_xlabel("layers" if name == "depth" else "tokens")
    axes.set_title("Tokens to the next one: GPT-2's shape at width 128, random weights")
    axes.legend(frameon=False)


def draw_batch(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """Gas an inference over the inferences of one proof."""
    for i, model in enumerate(dict.fromkeys(row["model"] for row in rows)):
        own = sorted((r for r in rows if r["model"] == model), key=lambda r: int(r["batch"]))
        x, y = [r["batch"] for r in own], [r["gas_an_inference"] for r in own]
        axes.loglog(x, y, "o-", label=model, color=_shade(i, 3))
    axes.set_xlabel("inferences in one proof")
    axes.set_ylabel("gas an inference")
    axes.set_title("Verification gas an inference")
    axes.legend(frameon=False)


def draw_chain(axes: Any, rows: Sequence[dict[str, Any]]) -> None:
    """A stack of parts for each model."""
    bottom, named = np.zeros(len(rows)), parts_of(rows)
    for i, part in enumerate(named):
        heights = np.array([row["parts"].get(part, 0) for row in rows])
        axes.bar(titles_of(rows), heights, 0.5, bottom, label=part, color=_shade(i, len(named)))
        bottom += heights
    axes.set_ylabel("gas")
    axes.set_title("Gas of a verification")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
