"""einproof srs: import a powers-of-tau ceremony, and say what an SRS file holds."""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from oracle.cli.prove import DEVELOPMENT_WARNING
from oracle.files import OutputExists, check_writable
from prover.errors import EinproofError

app = typer.Typer(
    help="Import and show structured reference strings.",
    add_completion=False,
    no_args_is_help=True,
)
CEREMONY_WARNING = (
    "compare blake2b with the hash that the ceremony published: whoever made the file may know its"
    " secret"
)

AsJson = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]


class CeremonyRefused(EinproofError):
    """A .ptau file that is damaged, too small, of another curve, or of a secret that all know."""


@app.command("import")
def import_(
    ceremony: Annotated[Path, typer.Argument(metavar="PTAU", help="A .ptau file (BN254).")],
    k: Annotated[
        int,
        typer.Option(
            "--k",
            min=1,
            max=28,
            help="Tiles of up to 2^K cells: at least the tile_bits of the models.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to make.")] = Path("srs.bin"),
    force: Annotated[bool, typer.Option("--force", help="Replace a file.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the first 2^K powers of a ceremony, check them by pairings, and keep them."""
    from prover import kernels
    from prover.ptau import import_ptau
    from prover.srs import SrsError, save_srs

    check_writable(out)
    if out.exists() and not force:
        raise OutputExists(f"expected no {out} yet: name another with --out, or pass --force")
    tier = kernels.get()
    console = Console(stderr=True)
    with console.status(f"hashing {ceremony}") as status:
        with ceremony.open("rb") as file:
            digest = hashlib.file_digest(file, "blake2b").hexdigest()
        try:
            srs = import_ptau(tier, ceremony, k, lambda step: status.update(f"{step} ..."))
        except SrsError as error:
            raise CeremonyRefused(
                f"{ceremony}: {error}; nothing was written: fetch the file anew, or change --k"
            ) from error
        status.update(f"writing {out} ...")
        save_srs(tier, srs, out.resolve())
    _report({**_summary(srs), "blake2b": digest, "file": str(out)}, as_json)
    console.print(CEREMONY_WARNING, style="yellow", soft_wrap=True)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What `srs import` wrote.")],
    check: Annotated[
        bool, typer.Option("--check", help="Check all powers by pairings, as the import does.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say what an SRS file holds, after checking it."""
    from prover import kernels
    from prover.srs import check_srs, load_srs

    tier = kernels.get()
    srs = load_srs(tier, file)
    if check:
        with Console(stderr=True).status("checking the powers by pairings"):
            check_srs(tier, srs)
    _report(_summary(srs), as_json)


def _summary(srs: Any) -> dict[str, Any]:
    return {"srs": "0x" + srs.id.hex(), "k": srs.k_max, "srs_forgeable": srs.development}


def _report(report: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
    else:
        for name, value in report.items():
            typer.echo(f"{name:14} {value}")
    if report["srs_forgeable"]:
        typer.secho(DEVELOPMENT_WARNING, err=True, fg="yellow")
