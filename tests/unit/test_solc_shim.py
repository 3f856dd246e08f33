"""scripts/solc: the npm compiler behind the command line of the native one."""

import json
import subprocess
from pathlib import Path
from typing import Any

from oracle.toolchain import SOLC

HEAD = "// SPDX-License-Identifier: MIT\npragma solidity ^0.8.24;\n"


def solc(*words: str, text: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SOLC), *words], input=text, capture_output=True, text=True, cwd=cwd, check=False
    )


def standard(sources: dict[str, str]) -> str:
    return json.dumps(
        {
            "language": "Solidity",
            "sources": {name: {"content": HEAD + body} for name, body in sources.items()},
            "settings": {
                "viaIR": True,
                "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
            },
        }
    )


def errors(done: subprocess.CompletedProcess[str]) -> list[str]:
    return [
        error["formattedMessage"]
        for error in json.loads(done.stdout).get("errors", [])
        if error["severity"] == "error"
    ]


def test_version_reads_like_the_native_compiler() -> None:
    for _ in range(2):  # the second answer comes from the cache
        lines = solc("--version").stdout.splitlines()
        assert lines[0].startswith("solc, the solidity compiler")
        assert lines[1].startswith("Version: 0.8.37+commit.")
        assert lines[1].endswith(".Linux.g++")


def test_compiles_standard_input() -> None:
    done = solc("--standard-json", text=standard({"A.sol": "contract A { uint256 public x; }"}))
    assert (done.returncode, errors(done)) == (0, [])
    assert json.loads(done.stdout)["contracts"]["A.sol"]["A"]["evm"]["bytecode"]["object"]


def test_compiles_a_file_with_imports_from_base_and_include_path(tmp_path: Path) -> None:
    for folder, name in (("base", "B"), ("more", "C")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{name}.sol").write_text(f"{HEAD}contract {name} {{}}")
    job = tmp_path / "job.json"
    job.write_text(
        standard({"A.sol": 'import "B.sol"; import {C} from "C.sol"; contract A is B, C {}'})
    )
    roots = ["--base-path", str(tmp_path / "base"), f"--include-path={tmp_path / 'more'}"]
    done = solc("--standard-json", str(job), *roots)
    assert (done.returncode, errors(done)) == (0, [])


def test_many_files_are_compiled_as_a_few_are() -> None:
    """Of many, each thread makes its share, from all sources; of eight, one thread makes all."""
    files = {
        f"C{i}.sol": f'import {{A}} from "A.sol"; contract C{i} is A {{ uint256 public y = {i}; }}'
        for i in range(32)
    }
    job = json.loads(standard({"A.sol": "contract A { function f() external {} }"} | files))

    def compiled(names: list[str]) -> dict[str, Any]:
        job["settings"]["outputSelection"] = {
            name: {"": ["ast"], "*": ["evm.bytecode.object"]} for name in names
        }
        found: dict[str, Any] = json.loads(solc("--standard-json", text=json.dumps(job)).stdout)
        return found

    names = list(files)
    whole = compiled(names)
    for few in (names[:8], names[-8:]):
        part = compiled(few)
        assert list(part["contracts"]) == sorted(few)
        for name in few:
            assert whole["contracts"][name] == part["contracts"][name]
            assert whole["sources"][name] == part["sources"][name]
    assert set(whole["contracts"]) == set(names)
    assert set(whole["sources"]) == {"A.sol", *names}


def test_an_error_is_said_once_though_many_files_are_compiled() -> None:
    job = json.loads(standard({f"C{i}.sol": f"contract C{i} {{ }}" for i in range(32)}))
    job["sources"]["C7.sol"] = {"content": HEAD + "contract C7 { nonsense }"}
    job["settings"]["outputSelection"] = {name: {"*": ["abi"]} for name in job["sources"]}
    said = errors(solc("--standard-json", text=json.dumps(job)))
    assert len(said) == 1 and "ParserError" in said[0]


def test_an_import_outside_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    base, other = tmp_path / "base", tmp_path / "other"
    base.mkdir()
    other.mkdir()
    (other / "B.sol").write_text(f"{HEAD}contract B {{}}")
    text = standard({"A.sol": f'import "{other / "B.sol"}";'})
    words = ["--standard-json", "--base-path", str(base)]
    assert "outside of allowed directories" in errors(solc(*words, text=text))[0]
    assert errors(solc(*words, "--allow-paths", f"{base},{other}", text=text)) == []


def test_an_error_in_a_contract_is_in_the_json() -> None:
    done = solc("--standard-json", text=standard({"A.sol": "contract A { nonsense }"}))
    assert done.returncode == 0
    assert "ParserError" in errors(done)[0]


def test_deep_nesting_does_not_overflow_the_stack() -> None:
    """20,000 nested additions: 12,000 overflow the stack of a plain `node`."""
    job = json.loads(standard({"A.sol": f"uint256 constant X = {'+'.join(['1'] * 20_000)};"}))
    job["settings"] = {"outputSelection": {"*": {"*": ["abi"]}}}
    done = solc("--standard-json", text=json.dumps(job))
    assert (done.returncode, done.stderr, errors(done)) == (0, "", [])


def test_wrong_usage_is_one_line_with_exit_code_1(tmp_path: Path) -> None:
    for words in (["--bogus"], [], ["--base-path"], ["--standard-json", str(tmp_path / "none")]):
        done = solc(*words)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("solc: ")
        assert done.stderr.count("\n") == 1
