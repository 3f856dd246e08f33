"""Compiled kernels take what they were compiled for, and nothing else; no process but one that
compiles imports the compiler."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from prover.kernels import get, native
from prover.kernels.cpu import field, points
from prover.kernels.cpu.kernel import aligned
from prover.kernels.cpu.msm import by_bucket

CELLS = field.from_ints([3, 5])


def test_the_signature_names_what_is_given() -> None:
    ints = np.zeros((2, 3), dtype=np.int16)
    assert native.signature_of((ints, CELLS, 7, np.int64(7))) == "i2x2.u8x2.i.i"


def test_kernels_are_called_without_their_compiler() -> None:
    probe = (
        "import sys; import numpy as np; from prover import api, kernels;"
        "from prover.srs import development_srs;"
        "k = kernels.get(); s = development_srs(k, 8);"
        "v = k.from_int64(np.arange(256)); k.msm(s.points, v); k.msm_small(s.points, np.arange(9));"
        "sys.exit('numba' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0


def test_every_kernel_lets_other_threads_run() -> None:
    """Its machine code gives up the interpreter's lock, and takes it again."""
    for _ in get("scalar").warmup():
        pass
    kept = list(native.folder().glob("*.o"))
    assert len(kept) > 30
    for path in kept:
        code = path.read_bytes()
        assert b"PyEval_SaveThread" in code and b"PyEval_RestoreThread" in code, path.name


class Alike(np.ndarray):  # type: ignore[type-arg]
    """What np.memmap is: an array of another class."""


def test_a_subclass_of_arrays_is_an_array() -> None:
    out = aligned(2, 4)
    field._mul(CELLS.view(Alike), CELLS, out)
    assert field.to_ints(out) == [9, 25]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), dtype=np.uint64)[::2],
        np.zeros((4, 2), dtype=np.uint64).T,
        np.zeros(17, dtype=np.uint8)[1:].view(np.uint64).reshape(1, 2),
        np.frombuffer(bytes(64), dtype=np.uint64).reshape(2, 4),
    ],
    ids=["strided", "column-major", "unaligned", "read-only"],
)
def test_arrays_that_are_not_plain_are_refused(wrong: np.ndarray) -> None:  # type: ignore[type-arg]
    with pytest.raises(TypeError, match="_mul: expected C-contiguous, writeable arrays"):
        field._mul(wrong, CELLS, aligned(2, 4))


def test_an_integer_is_whole_and_of_a_word() -> None:
    starts, order = np.zeros(3, dtype=np.int64), np.zeros(3, dtype=np.int32)
    magnitudes = np.ones((1, 1), dtype=np.uint64)
    references = np.zeros(1, dtype=np.int32)
    kernel = by_bucket.__globals__["_by_bucket"]
    kernel(magnitudes, references, 0, np.int64(1), 2, 1, 0, 1, order, starts)
    assert starts.tolist() == [0, 1, 1]
    with pytest.raises(OverflowError):
        kernel(magnitudes, references, 0, 2**70, 2, 1, 0, 1, order, starts)
    with pytest.raises(TypeError):
        kernel(magnitudes, references, 0, 1.5, 2, 1, 0, 1, order, starts)


def test_results_are_integers_truths_or_nothing() -> None:
    out = aligned(2, 4)
    assert field._mul(CELLS, CELLS, out) is None
    assert field._batch_inverse(CELLS, out) is True
    assert field._batch_inverse(field.zeros(2), out) is False
    off_curve = np.ones((3, 8), dtype=np.uint64)
    off_curve[0] = 0
    assert points.enter_points(off_curve, aligned(3, 8)) == 1


def test_a_kernel_that_asks_for_too_much_memory_fails_alone() -> None:
    """The C library refuses; the process, its arrays and the next call are as before."""
    lines = native.Kernel(_allocating)
    if native.COMPILING:
        pytest.skip("this process compiles")
    with pytest.raises(native.KernelNotCompiled, match="_allocating"):
        lines(CELLS)  # not a name of a module that the compiler's process can import
    huge = 1 << 44  # windows: as many counts
    with pytest.raises(MemoryError):
        by_bucket.__globals__["_by_bucket"](
            np.ones((1, 1), dtype=np.uint64), np.zeros(1, dtype=np.int32), 0, huge, 2, 1, 0, 1,
            np.zeros(1, dtype=np.int32), np.zeros(3, dtype=np.int64),
        )  # fmt: skip
    assert field.to_ints(field.mul(CELLS, CELLS)) == [9, 25]


def _allocating(a: object) -> None: ...


def test_another_width_is_compiled_when_it_comes() -> None:
    """Integers of 8 bits are not among those of the warm-up."""
    values = np.array([-128, 127], dtype=np.int8)
    wanted = native.signature_of((values, CELLS))
    assert field.to_ints(field.from_int64(values))[1] == 127
    assert wanted in field._from_int64.variants
    assert field._from_int64.path(wanted).exists()


def test_damaged_machine_code_is_compiled_anew(tmp_path: Path) -> None:
    probe = (
        "from prover.kernels.cpu import field; a = field.from_ints([3]);"
        "print(field._enter.path('u8x2.u8x2'), *field.to_ints(a))"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path), "EINPROOF_KERNELS": "reference"}

    def run() -> list[str]:
        command = [sys.executable, "-c", probe]
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        return done.stdout.split()

    path, value = run()
    assert value == "3"
    Path(path).write_bytes(b"\x7fELF, but not all of it")
    assert run() == [path, "3"]
