"""How far a program's integers are from the floats that it was made from: a report.

The answer is compared with torch's, in the module's own precision: cosine, the share of equal
greatest cells, and, where what follows is known, perplexity. What each operator stores is compared
with the graph in float64: greatest and root mean square error, in units of the values' range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from oracle.adapters.torch_engine import Network
from oracle.domain.errors import InputRefused
from oracle.zoo.entry import Entry
from prover.compiler import Compiled
from prover.compiler.blocks import Repeat, explicit, steps
from prover.compiler.equalize import equalized
from prover.compiler.fold import fold_norms
from prover.compiler.lower.batch_norm import fold_batch_norms
from prover.compiler.ranges import Ranges, evaluate
from prover.compiler.trace import Graph, trace
from prover.errors import EinproofError
from prover.quantizer import FloatArray, IntArray

AT_ONCE = 8  # inputs that the engine runs together
EVALUATED = 8  # inputs of which every operator's values are compared


class NothingToCompare(EinproofError):
    """No input that the model takes."""


@dataclass(frozen=True)
class LayerError:
    """Of one operator's stored values: errors over the width of the range that the floats span.
    `table`: of a function, the greatest that its own table can make; what is beyond it came in with
    the input."""

    name: str
    operator: str
    most: float
    rms: float
    width: float
    table: float | None = None


@dataclass(frozen=True)
class Accuracy:
    """`refused`: inputs that leave a recorded range. Perplexities are of the tokens that follow.

    Of vectors that are for comparing, each input's neighbours ranked by cosine:
    `rank_correlation`, Spearman's between integers and floats, in the mean; `same_nearest`, the
    share with the same first.
    """

    inputs: int
    refused: int
    least_cosine: float
    mean_cosine: float
    same_greatest: float
    perplexity: float | None
    float_perplexity: float | None
    rank_correlation: float | None
    same_nearest: float | None
    layers: tuple[LayerError, ...]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    entry: Entry, compiled: Compiled, count: int | None = None, per_channel: bool = False
) -> Accuracy:
    """The report on an entry's held-out inputs, the first `count` of them; `per_channel`: as it
    was compiled. Raises NothingToCompare."""
    held = np.asarray(entry.held_out[:count])
    found = run(compiled, held)
    taken = [i for i, values in enumerate(found) if values is not None]
    if not taken:
        raise NothingToCompare(f"{len(held)} inputs, none of which the model takes")
    output = compiled.quantizer.output
    made = np.stack([output.values(found[i][output.tensor]) for i in taken])  # type: ignore[index]
    floats = _floats(entry, held[taken])
    cosines = [_cosine(a, b) for a, b in zip(made, floats, strict=True)]
    choices = made.argmax(-1) == floats.argmax(-1) if made.shape[-1] > 1 else made == floats
    perplexities: tuple[float | None, float | None] = (None, None)
    if entry.following is not None:
        following = np.asarray(entry.following)[taken]
        perplexities = (_perplexity(made, following), _perplexity(floats, following))
    ranks = _ranking(made, floats) if entry.compared and len(taken) > 2 else (None, None)
    few = [i for i in taken if i < EVALUATED]
    values = [v for i in few if (v := found[i]) is not None]
    graph = trace(entry.module, entry.shape, entry.whole)
    graph = equalized(graph) if per_channel else graph
    layers = tuple(_layers(graph, compiled, held[few], values)) if few else ()
    return Accuracy(
        len(held),
        len(held) - len(taken),
        min(cosines),
        float(np.mean(cosines)),
        float(np.mean(choices)),
        *perplexities,
        *ranks,
        layers,
    )


def run(compiled: Compiled, inputs: Any) -> list[dict[str, IntArray] | None]:
    """Every tensor for the first inputs, the output for others; None for one that the model
    refuses."""
    engine, quantizer = Network(compiled.program, compiled.weights), compiled.quantizer
    name = quantizer.input.tensor
    shape = compiled.program.tensors[compiled.program.named(name)].shape

    def together(some: list[IntArray]) -> list[dict[str, IntArray] | None]:
        try:
            made = engine.run_batch({name: np.stack(some)})
        except InputRefused:
            return [None] if len(some) == 1 else [v for one in some for v in together([one])]
        return [{n: cells[i] for n, cells in made.items()} for i in range(len(some))]

    given = [quantizer.quantize(x).reshape(shape) for x in inputs]
    found: list[dict[str, IntArray] | None] = []
    for i in range(0, len(given), AT_ONCE):
        for values in together(given[i : i + AT_ONCE]):
            kept = quantizer.output.tensor if len(found) >= EVALUATED else None
            few = values if values is None or kept is None else {kept: values[kept].copy()}
            found.append(few)
    return found


def _floats(entry: Entry, inputs: Any) -> FloatArray:
    kinds = [p.dtype for p in entry.module.parameters() if p.dtype.is_floating_point]
    kind = torch.int64 if entry.whole else kinds[0] if kinds else torch.float32
    with torch.no_grad():
        made = [entry.module(torch.tensor(x, dtype=kind)).double().numpy() for x in inputs]
    return np.stack(made)


def _cosine(a: FloatArray, b: FloatArray) -> float:
    lengths = math.sqrt(float((a * a).sum()) * float((b * b).sum()))
    return float((a * b).sum()) / lengths if lengths else float((a == b).all())


def _ranking(made: FloatArray, floats: FloatArray) -> tuple[float, float]:
    """Mean rank correlation of neighbours, and how often the nearest is the same."""
    orders = []
    for vectors in (made, floats):
        rows = vectors.reshape(len(vectors), -1)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        alike = rows @ rows.T
        others = [np.delete(row, i) for i, row in enumerate(alike)]
        orders.append(np.argsort(np.stack(others), axis=1, kind="stable"))
    ranks = [np.argsort(order, axis=1) for order in orders]  # the inverse permutation
    n = ranks[0].shape[1]
    apart = ((ranks[0] - ranks[1]) ** 2).sum(axis=1)
    same = orders[0][:, -1] == orders[1][:, -1]
    return float((1 - 6 * apart / (n * (n * n - 1))).mean()), float(same.mean())


def _perplexity(logits: FloatArray, following: IntArray) -> float:
    """exp of the mean of -log p(following), of logits (inputs, 1, vocabulary)."""
    rows = torch.tensor(logits.reshape(len(following), -1))
    return float(torch.nn.functional.cross_entropy(rows, torch.tensor(following)).exp())


# --- layers ---


def _layers(
    graph: Graph, compiled: Compiled, inputs: Any, found: list[dict[str, IntArray]]
) -> Iterator[LayerError]:
    """In the graph's order, what is stored under an operator's name; of stacked blocks each.

    Not masks: a truth is exact, and may be stored as its opposite."""
    graph = explicit(fold_norms(fold_batch_norms(graph)))
    floats: list[dict[str, FloatArray]] = []
    for x in inputs:
        seen: dict[str, FloatArray] = {}
        evaluate(graph, x, Ranges(), seen)
        floats.append(seen)
    places = _places(graph, compiled, {name: a.size for name, a in floats[0].items()})
    for node in graph.nodes:
        if node.name not in places:
            continue
        tensor, layer = places[node.name]
        cells = [v[tensor] if layer is None else v[tensor][layer] for v in found]
        integers = np.stack([c.reshape(-1) for c in cells]).astype(np.float64)
        exact = np.stack([f[node.name].reshape(-1) for f in floats])
        if exact.dtype == np.bool_:
            continue
        made = np.ldexp(integers, -_exponent(integers, exact))
        width = float(np.ptp(exact)) or 1.0
        error = np.abs(made - exact) / width
        rms = math.sqrt(float((error**2).mean()))
        own = compiled.errors.get(tensor)
        table = None if own is None else own / width
        yield LayerError(node.name, node.target, float(error.max()), rms, width, table)


def _places(
    graph: Graph, compiled: Compiled, sizes: Mapping[str, int]
) -> dict[str, tuple[str, int | None]]:
    """The tensor of a node, and its layer where blocks are stacked."""
    tensors = {t.name: t for t in compiled.program.tensors}
    found: dict[str, tuple[str, int | None]] = {
        name: (name, None) for name, size in sizes.items() if name in tensors
        and tensors[name].size == size
    }  # fmt: skip
    for step in steps(graph):
        if not isinstance(step, Repeat):
            continue
        for layer, names in enumerate(step.names):
            for first, own in zip(step.names[0], names, strict=True):
                stacked = tensors.get(first)
                if stacked is not None and stacked.size == len(step.names) * sizes.get(own, 0):
                    found[own] = (first, layer)
    found.setdefault(graph.nodes[-1].name, (compiled.quantizer.output.tensor, None))
    return found


def _exponent(integers: FloatArray, exact: FloatArray) -> int:
    """The power of two that cells stand for: the nearest to what fits the floats best."""
    product = float((integers * exact).sum())
    return round(math.log2(float((integers**2).sum()) / product)) if product > 0 else 0


# --- plots ---


def plot(report: Accuracy, title: str, path: Path) -> None:
    """Greatest and root mean square error of each operator, as PNG, SVG or PDF by the name of the
    file."""
    from matplotlib.figure import Figure

    rows = report.layers
    figure = Figure(figsize=(8, max(2.5, 0.16 * len(rows) + 1.2)), layout="constrained")
    axes = figure.subplots()
    at = np.arange(len(rows))
    axes.hlines(at, [r.rms for r in rows], [r.most for r in rows], color="#c8c8c8", zorder=1)
    axes.scatter([r.rms for r in rows], at, s=12, label="root mean square", color="#1f5fa8")
    axes.scatter([r.most for r in rows], at, s=12, label="greatest", color="#c8552b")
    axes.set_yticks(at, [r.name for r in rows], fontsize=6)
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("error, in units of the range of the operator's values")
    said = f"least cosine {report.least_cosine:.5f}, same greatest {report.same_greatest:.1%}"
    axes.set_title(f"{title}: {said}", fontsize=9)
    axes.legend(fontsize=7)
    figure.savefig(path)
