"""Compiled kernels are kept per source and processor, and only where nobody else can write."""

import functools
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from prover.kernels import available, cache, get, native, warmup
from prover.kernels.cpu import kernel


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every place that a cache may lie, inside tmp_path."""
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_is_the_first_that_can_be_used(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cache.folder().parent == roots / "home" / ".cache" / "einproof"
    monkeypatch.setenv("XDG_CACHE_HOME", str(roots / "xdg"))
    assert cache.folder().parent == roots / "xdg" / "einproof"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(roots / "asked"))
    assert cache.folder().parent == roots / "asked"


def test_an_unusable_home_falls_back_to_the_temporary_folder(roots: Path) -> None:
    (roots / "home").write_text("a file, not a folder")
    chosen = cache.folder()
    assert chosen.parent == roots
    assert chosen == cache.folder(), "the next process must find it again"


def test_processes_that_compile_are_told_the_folder(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that nobody else would find, where no place can be used."""
    monkeypatch.setattr(cache, "_usable", lambda folder: False)
    native.folder.cache_clear()
    try:
        ours = native.folder()
        assert cache.folder() != ours
        monkeypatch.setenv(cache.CHOSEN, native.environment()[cache.CHOSEN])
        assert cache.folder() == ours
    finally:
        native.folder.cache_clear()


def test_a_folder_that_others_can_write_is_not_used(roots: Path) -> None:
    shared = cache.folder()
    shared.chmod(0o777)
    assert cache.folder() != shared


def test_an_edit_of_any_source_changes_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = tmp_path / "prover"
    for source in cache.sources(cache.PACKAGE):
        target = copy / source.relative_to(cache.PACKAGE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    before = cache.fingerprint()
    monkeypatch.setattr(cache, "PACKAGE", copy)
    assert cache.fingerprint() == before
    for name in (
        "kernels/cpu/limbs.py",
        "kernels/ifma/lanes.py",
        "kernels/compiler.py",
        "field.py",
    ):
        source = copy / name
        source.write_text(source.read_text() + "\n")
        assert cache.fingerprint() != before
        before = cache.fingerprint()


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, env=os.environ, check=False
    )


def test_the_package_loads_no_compiler_before_a_tier_is_picked() -> None:
    probe = "import sys, prover.kernels; sys.exit('numba' in sys.modules)"
    assert run("-c", probe).returncode == 0


def test_a_masked_processor_is_refused_the_vectors() -> None:
    """A whole process told to assume a plain processor: asking for IFMA is refused, not aborted."""
    probe = "from prover import kernels; kernels.get(); kernels.get('ifma')"
    masked = {**os.environ, "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "-avx512ifma"}
    masked.pop("EINPROOF_KERNELS", None)
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=masked, check=False
    )
    assert done.returncode == 1
    assert "UnknownKernels: kernels 'ifma' need a processor with avx512f" in done.stderr


def test_warmup_reports_on_stderr() -> None:
    done = run("-m", "prover.kernels.warmup", "reference")
    assert done.returncode == 0
    assert "kernels reference: warm after" in done.stderr
    refused = run("-m", "prover.kernels.warmup", "abacus")
    assert refused.returncode == 1
    assert refused.stderr == "expected kernels out of reference, scalar, ifma, cuda; got 'abacus'\n"


def test_processes_share_every_call_and_no_function() -> None:
    tier = get("reference")
    shares = [list(warmup.share(tier, i, 3)) for i in range(3)]
    assert sorted(label for part in shares for label in part) == sorted(
        label for label, _ in warmup.calls(tier)
    )
    for i, part in enumerate(shares):
        assert part
        assert not set(part) & {label for other in shares[:i] for label in other}


def test_a_share_names_what_it_has_done() -> None:
    done = run("-m", "prover.kernels.warmup", "reference", "1", "9")
    assert done.returncode == 0
    assert done.stdout.split("\n")[:-1] == list(warmup.share(get("reference"), 1, 9))


def test_one_process_fills_a_cache_and_the_others_wait(
    roots: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two at once, of which the compiling is told but not done."""
    started, go = threading.Event(), threading.Event()
    compiled = []

    def compile_locked(name: str) -> Iterator[str]:
        started.set()
        go.wait(60)
        compiled.append(name)
        warmup._marker(name).touch()
        yield "all"

    monkeypatch.setattr(native, "folder", functools.cache(cache.folder))
    monkeypatch.setattr(warmup, "_compile_locked", compile_locked)
    found: list[list[str]] = []
    threads = [
        threading.Thread(target=lambda: found.append(list(warmup._compile("scalar"))))
        for _ in range(2)
    ]
    threads[0].start()
    assert started.wait(60)
    threads[1].start()
    assert not warmup.is_warm("scalar")
    go.set()
    for thread in threads:
        thread.join()
    assert (compiled, sorted(found)) == (["scalar"], [[], ["all"]])


@pytest.mark.slow
def test_a_cold_cache_is_filled_by_several_processes_once(roots: Path) -> None:
    """The scalar tier into an empty cache: compiled beside this process, loaded by it, and not
    compiled again by the next."""
    probe = (
        "import sys; from prover.kernels import get; steps = list(get('scalar').warmup());"
        "print(len(steps), 'numba' in sys.modules)"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(roots / "cache")}
    printed, written = [], []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", probe],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        printed.append(done.stdout.split())
        written.append({file: file.stat().st_mtime_ns for file in (roots / "cache").glob("*/*.o")})
    calls = len(list(warmup.calls(get("reference"))))
    assert printed == [[str(1 + 2 * calls), "False"], [str(1 + calls), "False"]]
    assert written[0] == written[1]


@pytest.mark.slow
@pytest.mark.parametrize("tier", [name for name in warmup.COMPILED if name in available()])
def test_a_proof_loads_no_kernel_that_was_not_warmed(tier: str) -> None:
    """In a process of its own, where no other test has called a kernel."""
    probe = (
        "from prover.kernels import get, native;"
        "steps = list(get().warmup());"
        "from tests.programs import mlp; from tests.proving import setup;"
        "load, late = native.Kernel._load, [];"
        "native.Kernel._load = lambda self, signature:"
        " late.append((self.function.__name__, signature)) or load(self, signature);"
        "ready = setup(mlp([32, 64, 64, 16], batch=16)); ready.verify(ready.prove());"
        "print(late)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        capture_output=True,
        text=True,
        env={**os.environ, "EINPROOF_KERNELS": tier},
        check=True,
    )
    assert done.stdout.split() == ["[]"]


def test_a_task_may_run_tasks_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """On the pool's only thread too, where none is left to begin them."""
    monkeypatch.setattr(kernel, "threads", lambda: 2)
    both = threading.Barrier(2)

    def outer(i: int) -> list[int]:
        both.wait(10)  # one of the two tasks is on the pool's thread
        return kernel.run_all([lambda: 2 * i, lambda: 2 * i + 1])

    found: list[list[list[int]]] = []
    tasks = [functools.partial(outer, i) for i in range(2)]
    runner = threading.Thread(target=lambda: found.append(kernel.run_all(tasks)), daemon=True)
    runner.start()
    runner.join(30)
    assert found == [[[0, 1], [2, 3]]]


def test_what_waits_for_a_busy_thread_holds_on_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task's own tasks are offered to the pool, whose thread may be busy for all of a round: what
    they had and made must not live as long, which was two gigabytes of GPT-2's."""
    monkeypatch.setattr(kernel, "threads", lambda: 2)
    both, left = threading.Barrier(2), threading.Event()

    def busy() -> list[bool]:
        both.wait(10)
        assert left.wait(10)
        return []

    def outer() -> list[bool]:
        both.wait(10)
        try:
            given = [np.zeros(4), np.zeros(4)]
            made = kernel.run_all([functools.partial(np.copy, a) for a in given])
            known = [weakref.ref(a) for a in (*given, *made)]
            del given, made
            return [one() is None for one in known]
        finally:
            left.set()

    assert [] in (found := kernel.run_all([busy, outer])) and [True] * 4 in found
