"""The command line's frame: lazily found commands, and errors of one line."""

import subprocess
import sys
from types import ModuleType

import pytest
from typer.testing import CliRunner

from oracle.cli import main
from prover.errors import EinproofError, WrongLength

RUNNER = CliRunner()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch):
    """Makes a command `failing` that raises what it is given."""

    def make(error: Exception) -> None:
        def raise_it() -> None:
            raise error

        module = ModuleType("oracle.cli.failing")
        module.failing = raise_it
        monkeypatch.setitem(sys.modules, "oracle.cli.failing", module)
        monkeypatch.setattr(main, "_files", lambda: {"failing"})

    return make


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (WrongLength(4, 5), "error: expected 4 bytes, got 5 [WrongLength]\n"),
        (EinproofError("first\n  second"), "error: first second [EinproofError]\n"),
        (
            FileNotFoundError(2, "No such file", "a/[b]"),
            "error: No such file: a/[b]; name one that exists\n",
        ),
        (OSError(28, "Disk full"), "error: Disk full; free some space, and try again\n"),
        (OSError(5, "Broken", "disk"), "error: Broken: disk\n"),
        (OSError("odd"), "error: odd [OSError]\n"),
    ],
)
def test_known_error_is_one_line_and_exit_code_1(failing, error: Exception, line: str) -> None:
    failing(error)
    result = RUNNER.invoke(main.app, ["failing"])
    assert (result.exit_code, result.stdout, result.stderr) == (1, "", line)


def test_long_error_is_not_wrapped(failing) -> None:
    failing(EinproofError("word " * 100))
    assert RUNNER.invoke(main.app, ["failing"]).stderr.count("\n") == 1


def test_debug_shows_where_an_error_came_from(failing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(main.DEBUG, "1")
    failing(WrongLength(4, 5))
    assert isinstance(RUNNER.invoke(main.app, ["failing"]).exception, WrongLength)


def test_unexpected_error_is_not_hidden(failing) -> None:
    failing(ZeroDivisionError("a bug"))
    assert isinstance(RUNNER.invoke(main.app, ["failing"]).exception, ZeroDivisionError)


def test_unknown_command_is_a_usage_error() -> None:
    result = RUNNER.invoke(main.app, ["nonsense"])
    assert result.exit_code == 2
    assert "nonsense" in result.stderr


def test_help_lists_each_command_file() -> None:
    listed = RUNNER.invoke(main.app, ["--help"]).stdout
    assert "doctor" in listed
    assert "warmup" in listed


def test_help_says_what_each_command_does() -> None:
    """From the first line of its file: to list commands is not to import them."""
    for name in main._files():
        assert main._summary(name)[:1].isupper(), f"{name}.py begins with no `einproof {name}: ...`"
    code = (
        "import sys; from typer.testing import CliRunner; from oracle.cli.main import app;"
        "shown = CliRunner().invoke(app, ['--help']).stdout;"
        "print('What this machine lacks' in shown, 'numpy' in sys.modules,"
        "*[n for n in sys.modules if n.startswith('oracle.cli.') and n != 'oracle.cli.main'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "True False\n"


def test_start_imports_nothing_heavy() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from oracle.cli.main import app;"
        "CliRunner().invoke(app, ['--version']);"
        "print(*sorted({'torch', 'numpy', 'ape', 'web3', 'numba'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
