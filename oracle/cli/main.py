"""The command `einproof`: finds its commands, and turns every known error into one line.

A command is a file of this folder that defines either a function of its own name or, for a group,
a `typer.Typer` called `app`. Only the file of the command that was asked for is imported.
"""

import errno
import os
import pkgutil
import warnings
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

import oracle.cli
from oracle.toolchain import activate
from prover.errors import EinproofError

DEBUG = "EINPROOF_DEBUG"
ADVICE = {
    errno.ENOENT: "name one that exists",
    errno.EISDIR: "name a file",
    errno.ENOTDIR: "name another place",
    errno.EEXIST: "name another place",
    errno.EACCES: "change its permissions, or name another place",
    errno.EPERM: "change its permissions, or name another place",
    errno.EROFS: "name another place",
    errno.ENOSPC: "free some space, and try again",
}


class Commands(TyperGroup):
    """Commands by file name, imported when used; the list of them has their files' first lines."""

    listing = False

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        super().format_help(ctx, formatter)

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(_files())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in _files():
            return None
        if self.listing:
            return TyperCommand(cmd_name, help=_summary(cmd_name))
        module = import_module(f"{oracle.cli.__name__}.{cmd_name}")
        app = getattr(module, "app", None)
        if app is None:
            function = getattr(module, cmd_name, None)
            if function is None:
                return None
            app = typer.Typer(add_completion=False)
            app.command(cmd_name)(function)
        command = typer.main.get_command(app)
        command.name = cmd_name
        return command

    def invoke(self, ctx: Any) -> Any:
        try:
            with warnings.catch_warnings():
                warnings.showwarning = _warn
                return super().invoke(ctx)
        except (EinproofError, OSError) as error:
            if os.environ.get(DEBUG) == "1":
                raise
            _say(f"error: {_one_line(error)}", "red")
            raise typer.Exit(1) from error


def _say(line: str, style: str) -> None:
    from rich.console import Console  # not before there is something to say

    Console(stderr=True, soft_wrap=True).print(line, style=style, markup=False, highlight=False)


def _warn(message: Warning | str, *_: Any) -> None:
    _say(f"warning: {message}", "yellow")


def _files() -> set[str]:
    return {module.name for module in pkgutil.iter_modules(oracle.cli.__path__)} - {"main"}


def _summary(name: str) -> str:
    """What a command's file says it does, on its first line: `einproof NAME: ...`."""
    with Path(__file__).with_name(f"{name}.py").open(encoding="utf-8") as file:
        text = file.readline().strip().strip('"').partition(": ")[2]
    return text[:1].upper() + text[1:]


def _one_line(error: Exception) -> str:
    """The message and, since both verifiers share them, the name of the error."""
    if isinstance(error, OSError) and error.strerror and (error.filename or error.errno in ADVICE):
        place = f": {error.filename}" if error.filename else ""
        advice = f"; {ADVICE[error.errno]}" if error.errno in ADVICE else ""
        return f"{error.strerror}{place}{advice}"
    message = " ".join(str(error).split())
    return f"{message} [{type(error).__name__}]" if message else type(error).__name__


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"einproof {version('einproof')}")
        raise typer.Exit


app = typer.Typer(cls=Commands, add_completion=False, no_args_is_help=True)


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Proofs of neural-network inference, verified on-chain.

    Every error is one line that says what to do. EINPROOF_DEBUG=1 shows where it came from.
    """
    activate()
