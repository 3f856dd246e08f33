"""How kernels are compiled and launched, and how single values get in and out.

A kernel is a grid of threads over n tasks, thread i taking tasks i, i + gridsize, ...; its arrays
are flat runs of 64-bit words. No kernel needs its threads to wait for one another: what must be
added up across threads is written out and added up by the next kernel.
"""

from collections.abc import Sequence
from typing import Any

import numba_cuda
import numpy as np
import numpy.typing as npt
from numba import cuda
from numba.cuda.core import config

from prover.field import P
from prover.kernels import cache

config.CUDA_LOW_OCCUPANCY_WARNINGS = 0  # the last steps of a reduction are small
config.CACHE_DIR = str(cache.folder() / f"cuda-{numba_cuda.__version__}")

# Under Numba's simulator (NUMBA_ENABLE_CUDASIM=1) threads are Python's, so there are few of them.
SIMULATED = bool(config.ENABLE_CUDASIM)
BLOCK = 2 if SIMULATED else 128
MOST_BLOCKS = 2 if SIMULATED else 2048
LANES = 4 if SIMULATED else 1 << 13  # threads that share a sum
CHUNK = 3 if SIMULATED else 32  # tasks that a thread does one after another

RADIX = 2**256
RADIX_INVERSE = pow(RADIX, -1, P)


def kernel(function: Any) -> Any:
    """A function that the GPU runs, compiled once for each set of argument types, and kept."""
    return cuda.jit(cache=True)(function)


def device(function: Any) -> Any:
    """A function for kernels to call; the simulator's kernels call it as it is."""
    return function if SIMULATED else cuda.jit(device=True)(function)


def launch(function: Any, n: int, *arguments: Any) -> None:
    """Runs a kernel over n tasks; the last argument that it takes is n."""
    if n:
        function[min(-(-n // BLOCK), MOST_BLOCKS), BLOCK](*arguments, n)


def on_device(array: npt.NDArray[Any]) -> Any:
    """A copy of the array's cells on the device, flat."""
    return cuda.to_device(np.ascontiguousarray(array).reshape(-1))


def cell(value: int) -> Any:
    """A vector of one on the device: how a single scalar goes into a kernel."""
    return cells([value])


def cells(values: Sequence[int]) -> Any:
    """Field elements on the device, in Montgomery form, as words."""
    data = b"".join((value % P * RADIX % P).to_bytes(32, "little") for value in values)
    return on_device(np.frombuffer(bytearray(data), dtype=np.uint64))


def integers(words: Any) -> list[int]:
    """The integers that words on the device make up, four each."""
    data = words.copy_to_host().tobytes()
    return [int.from_bytes(data[i : i + 32], "little") for i in range(0, len(data), 32)]


def synchronize(result: Any) -> Any:
    """The result, once all that was launched is done."""
    cuda.synchronize()
    return result


def device_name() -> str:
    """What the kernels run on."""
    if SIMULATED:
        return "Numba's simulator"
    name = cuda.get_current_device().name
    return name.decode() if isinstance(name, bytes) else str(name)
