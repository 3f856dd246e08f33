"""einproof model: build, import, show, export and audit models."""

from __future__ import annotations

import asyncio
import importlib
import json
import runpy
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.console import Console
from rich.table import Table

from oracle.cli.prove import DEVELOPMENT_WARNING
from prover.errors import EinproofError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from oracle.accuracy import Accuracy
    from oracle.zoo.entry import Entry
    from prover.audit import Audit, Registered
    from prover.compiler import Compiled
    from prover.compiler.ranges import Ranges
    from prover.model import Model
    from prover.quantizer import Quantizer

app = typer.Typer(
    help="Build, import, show, export and audit models.", add_completion=False, no_args_is_help=True
)
KEY_WARNING = (
    "back up {key}: without it this model can never be proved again, and whoever reads it with the"
    " weights' commitments learns about the weights"
)

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder to make.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a model folder, its key included.")]
SrsFile = Annotated[
    Path | None,
    typer.Option("--srs", envvar="EINPROOF_SRS", help="An SRS file; default: the development SRS."),
]
TileBits = Annotated[
    int | None, typer.Option("--tile-bits", help="Cells in a tile, as a power of two.")
]
Strict = Annotated[
    bool,
    typer.Option("--no-shown", help="Refuse a model whose program shows any of its parameters."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


class Scales(StrEnum):
    """Of the weights of a layer."""

    TENSOR = "per-tensor"
    CHANNEL = "per-channel"


ScalesOf = Annotated[
    Scales, typer.Option("--scales", help="Of each layer's weights: one, or one for each channel.")
]


class SourceRefused(EinproofError):
    """A source that holds no model, or an option that it does not fit."""


@app.command()
def build(
    source: Annotated[
        str,
        typer.Argument(
            help="a name of the zoo (digits, minilm-l6, moderation-minilm, nanogpt,"
            " nanogpt-steps, gpt2-small, llama-block, llama-2l, lenet, lenet-average, resnet,"
            " lstm), FILE.py:NAME or PACKAGE.MODULE:NAME (a torch module, or what makes"
            " one) or FILE.pt2 (torch.export.save);"
            " files are run: take them from people you trust."
        ),
    ],
    out: Out,
    shape: Annotated[str, typer.Option(help="The input's shape, batch included: 1,64.")] = "",
    input_range: Annotated[
        str, typer.Option("--range", help="What every input cell lies in: 0,1.")
    ] = "",
    weight_bits: Annotated[
        int | None,
        typer.Option(help="Precision of the weights; default: 8, or what the zoo says."),
    ] = None,
    input_bits: Annotated[int, typer.Option(help="Precision of the input.")] = 16,
    scales: ScalesOf = Scales.TENSOR,
    examples: Annotated[
        Path | None,
        typer.Option(
            help="A .npy file of inputs (n, *shape) that ranges are recorded on, of token ids where"
            " it holds integers; default: uniform ones."
        ),
    ] = None,
    ranges: Annotated[
        Path | None,
        typer.Option(help="The ranges.json of a model folder: as recorded then, instead."),
    ] = None,
    private_input: Annotated[
        bool, typer.Option("--private-input", help="Proofs name the input by a commitment alone.")
    ] = False,
    private_output: Annotated[
        bool, typer.Option("--private-output", help="The output likewise.")
    ] = False,
    tile_bits: TileBits = None,
    srs: SrsFile = None,
    force: Force = False,
    no_shown: Strict = False,
    as_json: AsJson = False,
) -> None:
    """Quantise a torch model, commit to its weights, and keep both in a folder."""
    from oracle.zoo.entry import STEPS, ZOO

    if source in STEPS:
        from oracle.zoo import cached
        from oracle.zoo.tokenizers import to_bytes

        if private_input or private_output:
            raise SourceRefused(f"{source}: its cache is committed, its tokens are public")
        if examples is not None or ranges is not None:
            raise SourceRefused(f"{source}: its ranges are recorded on texts of its own")
        if scales == Scales.CHANNEL:
            raise SourceRefused(f"{source}: its weights have one scale a tensor")
        steps = STEPS[source]()
        made = cached.compiled(steps, weight_bits)
        _refuse_shown(made, no_shown)
        _create(made, out, srs, tile_bits, force, as_json, to_bytes(steps.tokenizer))
        return
    entry = ZOO[source]() if source in ZOO else None
    bits = weight_bits or (entry.weight_bits if entry else 8)
    per_channel = scales == Scales.CHANNEL
    options = Options(bits, input_bits, private_input, private_output, per_channel)
    if entry is None:
        recorded = Recorded(_array(examples), _ranges(ranges))
        compiled = _compile(source, shape, input_range, options, recorded)
        _refuse_shown(compiled, no_shown)
        _create(compiled, out, srs, tile_bits, force, as_json)
        return
    from oracle.zoo.entry import compiled_entry
    from oracle.zoo.tokenizers import to_bytes

    tokenizer = to_bytes(entry.tokenizer) if entry.tokenizer else b""
    if examples is not None:
        raise SourceRefused(f"--examples: {source} has its own")
    compiled = compiled_entry(entry, ranges=_ranges(ranges), **options._asdict())
    _refuse_shown(compiled, no_shown)
    _create(compiled, out, srs, tile_bits, force, as_json, tokenizer)


@app.command("import")
def import_(
    package: Annotated[
        Path, typer.Argument(help="A folder: source.bin, weights.safetensors, quantizer.json.")
    ],
    out: Out,
    tile_bits: TileBits = None,
    srs: SrsFile = None,
    force: Force = False,
    no_shown: Strict = False,
    as_json: AsJson = False,
) -> None:
    """The same from a program and integer weights that somebody has made already."""
    from prover.compiler.package import read_package

    if package.is_file():
        raise SourceRefused(
            f"expected a folder of a compiled program, got {package}: a torch module or a .pt2 is "
            "what `einproof model build` takes"
        )
    made = read_package(package)
    _refuse_shown(made, no_shown)
    _create(made, out, srs, tile_bits, force, as_json)


@app.command()
def accuracy(
    source: Annotated[str, typer.Argument(help="As for build.")],
    inputs: Annotated[
        Path | None,
        typer.Option(
            help="A .npy file of inputs (n, *shape); default: the zoo's, or uniform ones."
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(min=1, help="How many inputs, at most.", show_default="50, kept: 200"),
    ] = None,
    shape: Annotated[str, typer.Option(help="As for build.")] = "",
    input_range: Annotated[str, typer.Option("--range", help="As for build.")] = "",
    examples: Annotated[Path | None, typer.Option(help="As for build.")] = None,
    ranges: Annotated[Path | None, typer.Option(help="As for build.")] = None,
    weight_bits: Annotated[int | None, typer.Option(help="As for build.")] = None,
    scales: ScalesOf = Scales.TENSOR,
    plot: Annotated[
        list[Path] | None,
        typer.Option(help="Where a plot goes: .png, .svg or .pdf; may be given again."),
    ] = None,
    save: Annotated[
        bool, typer.Option("--save", help="Keep report and plots in bench/results: of the zoo.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say how far a model's integers are from float torch, layer by layer."""
    from oracle import accuracy as report
    from oracle.benchmarks import here, results
    from oracle.zoo.entry import ZOO, compiled_entry

    per_channel = scales == Scales.CHANNEL
    changed = any((inputs, examples, ranges, weight_bits, per_channel))
    if save and (source not in ZOO or changed):
        raise SourceRefused(
            f"--save: expected a name of the zoo and none of --inputs, --examples, --ranges,"
            f" --weight-bits, --scales: bench/results has one report a name; got {source}"
        )
    entry = _entry(source, shape, input_range, inputs, examples)
    bits: dict[str, Any] = {"weight_bits": weight_bits} if weight_bits else {}
    bits["ranges"] = _ranges(ranges)
    commit = here.commit()  # what runs, whatever is committed meanwhile
    with Console(stderr=True).status("compiling, and running both"):
        made = compiled_entry(entry, per_channel=per_channel, **bits)
        found = report.measure(entry, made, count or (200 if save else 50), per_channel)
    kept = [results.RESULTS / f"accuracy-{source}.{kind}" for kind in ("png", "svg") if save]
    for path in [*(plot or []), *kept]:
        try:
            report.plot(found, source, path)
        except (ImportError, ValueError) as error:
            raise SourceRefused(f"--plot: {error}") from error
    said = json.dumps(results.rounded({"model": source, "commit": commit, **found.to_dict()}))
    if save:
        (results.RESULTS / f"accuracy-{source}.json").write_text(said + "\n")
    if as_json:
        typer.echo(said)
    else:
        _show_accuracy(found)


@app.command()
def show(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    recompute: Annotated[
        bool, typer.Option("--recompute", help="Commit to the weights again and compare.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what a folder holds, after checking it."""
    from prover import api, kernels
    from prover.model import Model

    model = Model.load(folder)
    if recompute:
        tier = kernels.get()
        model.check_commitments(tier, api.find_srs(tier, model.srs_id, model.layout.k))
    _report(_summary(model, folder), as_json)


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(metavar="MODEL", help="A model folder.")],
    public: Annotated[Path, typer.Option("--public", help="The folder to make.")],
    force: Force = False,
) -> None:
    """Copy the public half: what auditors and verifiers need, and no secret."""
    from prover.model import Model

    model = Model.load(folder)
    model.export_public(public, force=force)
    typer.echo(f"0x{model.id.hex()} without its secrets is in {public}")


@app.command()
def audit(
    target: Annotated[
        str, typer.Argument(metavar="ID|FOLDER", help="A registered model's id, or a folder.")
    ],
    rpc: Annotated[str, typer.Option(envvar="EINPROOF_RPC")] = "http://127.0.0.1:8545",
    registry: Annotated[
        str,
        typer.Option(
            envvar="EINPROOF_REGISTRY", help="The ModelRegistry; default: the chain's deployment."
        ),
    ] = "",
    from_block: Annotated[int, typer.Option(help="Where to look for its event from.")] = 0,
    quantizer: Annotated[
        Path | None,
        typer.Option(help="Its model.json or quantizer.json, to check that the id names it."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether proofs about a model mean what its program says (exit code 1 if not)."""
    from prover import api, audit, kernels
    from prover.srs import SrsError

    given = None if quantizer is None else _read_quantizer(quantizer)
    if Path(target).is_dir():
        model, own = _from_folder(Path(target))
        given = given or own
    else:
        model = _fetch(target, rpc, registry, from_block)
    tier = kernels.get()
    try:
        srs = api.find_srs(tier, model.srs_id, model.k)
    except (SrsError, EinproofError):
        srs = None  # only programs with public tables need it, and their finding says so
    found = audit.audit(model, tier, srs, given)
    if as_json:
        typer.echo(json.dumps(_audit_json(model, found)))
    else:
        _show_audit(model, found)
    if not found.passed:
        raise typer.Exit(1)


# --- sources ---


class Options(NamedTuple):
    """What the compiler is asked for beside the model."""

    weight_bits: int
    input_bits: int
    private_input: bool
    private_output: bool
    per_channel: bool


class Recorded(NamedTuple):
    """What ranges are recorded on, or what was recorded; neither need be given."""

    examples: Any
    ranges: Ranges | None


def _compile(
    source: str, shape: str, input_range: str, options: Options, recorded: Recorded
) -> Compiled:
    from prover.compiler import compile_graph, compile_module
    from prover.compiler.build import is_chain, record_ranges
    from prover.compiler.equalize import equalized
    from prover.compiler.trace import graph_of

    examples, ranges = recorded
    asked = options._asdict()
    limits = _numbers(input_range, "--range", "0,1", float)
    if len(limits) != 2:
        raise SourceRefused(f"--range: expected two numbers like 0,1, got {input_range!r}")
    ends = (limits[0], limits[1])
    if source.endswith(".pt2"):
        graph = graph_of(_exported(Path(source)))
        graph = equalized(graph) if options.per_channel else graph
        if ranges is None and not is_chain(graph):
            ranges = record_ranges(graph, ends, examples)
        return compile_graph(graph, ends, ranges=ranges, **asked)
    module, whole = _module(source), examples is not None and examples.dtype.kind in "iu"
    if examples is not None and not shape:
        sizes = examples.shape[1:]
    else:
        sizes = tuple(_numbers(shape, "--shape", "1,64", int))
    return compile_module(
        module, sizes, ends, examples=examples, ranges=ranges, whole=whole, **asked
    )


def _array(path: Path | None) -> Any:
    """The array of a .npy file, if there is one."""
    import numpy as np

    from oracle.cli.prove import InputFileRefused, read_input

    found = None if path is None else read_input(path)
    if not isinstance(found, np.ndarray | None):
        raise InputFileRefused(f"{path}: expected a .npy file")
    return found


def _ranges(path: Path | None) -> Ranges | None:
    from prover.compiler.ranges import Ranges
    from prover.folder import damage, read, unpack_ranges

    if path is None:
        return None
    with damage(path.name, TypeError):
        return Ranges.from_dict(unpack_ranges(read(path.parent, path.name)))


def _module(source: str) -> Any:
    from torch import nn

    file, mark, name = source.rpartition(":")
    dotted = all(map(str.isidentifier, file.split("."))) and not file.endswith(".py")
    if not mark or not (Path(file).is_file() or dotted):
        raise SourceRefused(
            "expected a name of the zoo, or FILE.py:NAME or FILE.pt2 of a file that exists,"
            f" or PACKAGE.MODULE:NAME, got {source!r}"
        )
    try:
        found = _names(file).get(name)
        made = found if isinstance(found, nn.Module) or not callable(found) else found()
    except Exception as error:
        raise SourceRefused(f"{file} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise SourceRefused(f"expected a torch module called {name!r} in {file}, got {made!r:.60}")
    return made


def _names(file: str) -> dict[str, Any]:
    """What a file defines, with what lies beside it to import; or a module, which may lie here."""
    path = Path(file)
    here = str(path.parent.resolve() if path.is_file() else Path.cwd())
    sys.path.insert(0, here)
    try:
        return runpy.run_path(file) if path.is_file() else vars(importlib.import_module(file))
    finally:
        sys.path.remove(here)


def _exported(path: Path) -> Any:
    import torch

    if not path.is_file():
        raise SourceRefused(f"no file {path}")
    try:
        return torch.export.load(path)
    except Exception as error:
        raise SourceRefused(f"{path}: expected what torch.export.save wrote: {error}") from error


def _numbers(text: str, option: str, example: str, kind: type) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise SourceRefused(f"{option}: expected numbers like {example}, got {text!r}") from None


def _entry(
    source: str, shape: str, input_range: str, inputs: Path | None, examples: Path | None
) -> Entry:
    """A model of the zoo or one of the user's, with the inputs that it is judged by."""
    from oracle.zoo.entry import HELD_OUT, STEPS, ZOO, Entry
    from prover.compiler.ranges import example_inputs

    given, recorded = _array(inputs), _array(examples)
    if source in STEPS:
        raise SourceRefused(f"{source}: expected a model of one input; its float is nanogpt's")
    if source in ZOO:
        if recorded is not None:
            raise SourceRefused(f"--examples: {source} has its own")
        entry = ZOO[source]()
        if entry.logits is not None:  # what it chooses by says more than the choice
            entry = replace(entry, module=entry.logits, logits=None)
        entry = entry if given is None else replace(entry, held_out=given, following=None)
    else:
        module, sizes, whole = _floats(source, shape, [given, recorded])
        limits = _numbers(input_range, "--range", "0,1", float)
        if len(limits) != 2:
            raise SourceRefused(f"--range: expected two numbers like 0,1, got {input_range!r}")
        ends = (limits[0], limits[1])
        uniform = example_inputs(sizes, ends, whole, count=HELD_OUT)
        held = uniform[16:] if given is None else given
        entry = Entry(
            module, sizes, ends, uniform[:16] if recorded is None else recorded, held, whole
        )
    if entry.held_out.shape[1:] != entry.shape or not len(entry.held_out):
        got = entry.held_out.shape
        raise SourceRefused(f"--inputs: expected inputs of shape (n, {entry.shape}), got {got}")
    return entry


def _floats(
    source: str, shape: str, arrays: Sequence[Any]
) -> tuple[torch.nn.Module, tuple[int, ...], bool]:
    """A user's module, the shape of its input, and whether that is of whole numbers: as a .pt2
    says, else as the option and the arrays do."""
    if source.endswith(".pt2"):
        exported = _exported(Path(source))
        names = exported.graph_signature.user_inputs
        if len(names) != 1:
            raise SourceRefused(f"{source}: expected one input, got {len(names)}")
        read = next(node for node in exported.graph.nodes if node.name == names[0]).meta["val"]
        return exported.module(), tuple(read.shape), not read.dtype.is_floating_point
    found = [array for array in arrays if array is not None]
    whole = any(array.dtype.kind in "iu" for array in found)
    if found and not shape:
        return _module(source), found[-1].shape[1:], whole
    return _module(source), tuple(_numbers(shape, "--shape", "1,64", int)), whole


def _show_accuracy(found: Accuracy) -> None:
    console = Console()
    columns = ("layer", "operator", "greatest error", "of its table", "rms error", "range")
    layers = Table(*columns, box=None)
    for row in found.layers:
        name = row.operator.removeprefix("aten.")
        table = "" if row.table is None else f"{row.table:.1e}"
        errors = (f"{row.most:.1e}", table, f"{row.rms:.1e}")
        layers.add_row(row.name, name, *errors, f"{row.width:.4g}")
    console.print(layers)
    lines = {
        "inputs": f"{found.inputs}, {found.refused} of them refused: they leave a recorded range",
        "cosine": f"{found.least_cosine:.6f} at least, {found.mean_cosine:.6f} in the mean",
        "same greatest": f"{found.same_greatest:.2%}",
    }
    if found.perplexity is not None and found.float_perplexity is not None:
        lines["perplexity"] = f"{found.perplexity:.4f}, of floats {found.float_perplexity:.4f}"
    if found.rank_correlation is not None:
        lines["ranking"] = (
            f"{found.rank_correlation:.5f}, nearest the same {found.same_nearest:.1%}"
        )
    for name, text in lines.items():
        console.print(f"{name:14} {text}", highlight=False)


# --- folders ---


def _create(
    compiled: Compiled,
    out: Path,
    srs_file: Path | None,
    tile_bits: int | None,
    force: bool,
    as_json: bool,
    tokenizer: bytes = b"",
) -> None:
    from prover import kernels
    from prover.folder import KEY, ModelExists
    from prover.model import Model
    from prover.program.layout import layout
    from prover.srs import development_srs, load_srs

    if out.exists() and not force:  # before the work, and again when it is written
        raise ModelExists(f"expected no {out} yet: name another, or pass --force")
    tier = kernels.get()
    k = layout(compiled.program, tile_bits).k
    with Console(stderr=True).status("committing to the weights"):
        srs = load_srs(tier, srs_file) if srs_file else development_srs(tier, k)
        if srs.k_max < k:
            raise SourceRefused(
                f"expected an SRS for tiles of 2^{k}, got one of 2^{srs.k_max}: import more of the"
                f" ceremony, or pass --tile-bits {srs.k_max}"
            )
        parts = (compiled.program, compiled.weights, compiled.quantizer)
        kept: dict[str, Any] = {"tokenizer": tokenizer, "ranges": compiled.ranges}
        model = Model.create(*parts, tier, srs, k=k, **kept)
    model.save(out, force=force)
    found = None if compiled.shown is None else [one._asdict() for one in compiled.shown]
    report = _summary(model, out) | {"shown": found if as_json else _said(compiled)}
    _report(report, as_json)
    if srs.development:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")
    typer.secho(KEY_WARNING.format(key=out / KEY), err=True, fg="yellow")


def _refuse_shown(compiled: Compiled, wanted: bool) -> None:
    if wanted and compiled.shown != ():
        got = "; ".join(_said(compiled))
        raise SourceRefused(f"--no-shown: expected no parameter in the program, got {got}")


def _said(compiled: Compiled) -> list[str]:
    """The parameters that the program shows, in words."""
    if compiled.shown is None:
        return ["a package that does not say which"]
    return [f"{one.parameter}: {one.what}" for one in compiled.shown] or ["no parameter"]


def _summary(model: Model, folder: Path) -> dict[str, Any]:
    from prover.audit import architecture
    from prover.srs import development_id

    verifier = model.layout.verifier
    low, high = model.quantizer.input.range
    sizes = [t.size for t in model.program.tensors if t.role.name == "WEIGHT"]
    names = [t.name for t in model.program.tensors if t.role.name.endswith("_COMMITTED")]
    public = [t for t in model.program.tensors if t.role.name in ("INPUT", "OUTPUT")]
    sides = (model.quantizer.input, model.quantizer.output)
    hidden = [", committed" if side.tensor in names else "" for side in sides]
    beside = [name for name in names if name not in {side.tensor for side in sides}]
    return {
        "model": "0x" + model.id.hex(),
        "folder": str(folder),
        "secrets": "held" if model.secrets else "not here",
        "input": f"{list(model.quantizer.input.shape)} in [{low:g}, {high:g}]{hidden[0]}",
        "output": f"{list(model.quantizer.output.shape)}{hidden[1]}",
        "public": [f"{t.name} {list(t.shape)} in [{t.lo}, {t.hi}]" for t in public],
        **({"committed": beside} if beside else {}),
        "weights": sum(sizes),
        "gadgets": [
            f"{line['gadget']} {line['tensor']} {line['shape']}"
            for line in architecture(model.program)
        ],
        **({"tokenizer": model.quantizer.tokenizer} if model.tokenizer else {}),
        "tile_bits": model.layout.k,
        "fixed_tiles": verifier.fixed_tiles,
        "program_bytes": len(model.program_bytes),
        "proof_bytes": verifier.proof_bytes,
        "srs": "0x" + model.srs_id.hex(),
        "srs_forgeable": model.srs_id == development_id(),
    }


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        for i, line in enumerate(value if isinstance(value, list) else [value]):
            typer.echo(f"{name if i == 0 else '':14} {line}")


# --- audits ---


def _fetch(target: str, rpc: str, registry: str, first_block: int) -> Registered:
    from oracle.adapters.deployment import read_deployment
    from oracle.adapters.registry import fetch
    from oracle.adapters.rpc import Node

    digits = target.removeprefix("0x")
    if len(digits) != 64 or not all(c in "0123456789abcdefABCDEF" for c in digits):
        raise SourceRefused(f"expected a folder or a model id (0x and 64 digits), got {target!r}")
    node = Node(rpc)

    async def fetched() -> Registered:
        address, first = registry, first_block
        if not address:
            deployed = read_deployment(int(await node.rpc("eth_chainId"), 16))
            address, first = deployed.address("ModelRegistry"), max(first, deployed.block)
        return await fetch(node, address, bytes.fromhex(digits), first)

    try:
        return asyncio.run(fetched())
    finally:
        node.close()


def _from_folder(folder: Path) -> tuple[Registered, Quantizer]:
    from prover.audit import Registered
    from prover.model import Model

    m = Model.load(folder)
    found = Registered(m.id, m.program_bytes, m.point_bytes, m.srs_id, m.layout.k, m.aux_hash)
    return found, m.quantizer


def _read_quantizer(path: Path) -> Quantizer:
    from prover.quantizer import Quantizer

    try:
        data = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise SourceRefused(f"{path}: expected JSON: {error}") from error
    inner = data.get("quantizer", data) if isinstance(data, dict) else data
    return Quantizer.from_dict(inner)


def _audit_json(model: Registered, found: Audit) -> dict[str, Any]:
    from prover.audit import architecture

    placed = found.layout
    return {
        "model": "0x" + model.id.hex(),
        "passed": found.passed,
        "findings": [vars(f) for f in found.findings],
        "architecture": architecture(placed.program) if placed else [],
        "bounds": {name: list(bound) for name, bound in found.bounds.items()},
        "tile_bits": model.k,
        "proof_bytes": placed.verifier.proof_bytes if placed else None,
    }


def _show_audit(model: Registered, found: Audit) -> None:
    from prover.audit import architecture

    console = Console()
    console.print(f"model 0x{model.id.hex()}", highlight=False, soft_wrap=True)
    if found.layout is not None:
        program = found.layout.program
        tensors = Table("tensor", "role", "shape", "proved range", box=None)
        for t in program.tensors:
            low, high = found.bounds[t.name]
            hidden = "any field element" if t.role.name == "WEIGHT" else f"[{low}, {high}]"
            tensors.add_row(t.name, t.role.name.lower(), str(list(t.shape)), hidden)
        console.print(tensors)
        gadgets = Table("gadget", "makes", "axes", "shift", box=None)
        for line in architecture(program):
            axes, shift = line.get("axes", ""), line.get("shift", "")
            gadgets.add_row(line["gadget"], line["tensor"], str(axes), str(shift))
        console.print(gadgets)
    findings = Table("check", "verdict", "finding", box=None)
    words = {True: "[green]holds[/]", False: "[red]FAILS[/]", None: "note"}
    for f in found.findings:
        findings.add_row(f.name, words[f.ok], f.detail)
    console.print(findings)
    verdict = "proofs about this model mean what its program says"
    refused = "do not rely on proofs about this model"
    console.print(f"verdict: {verdict if found.passed else refused}", highlight=False)
