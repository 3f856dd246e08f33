"""Compiled kernels, called without their compiler.

Numba makes machine code of a kernel once a processor (`compiler`), in a process that is there to
compile; everywhere else that code is loaded from the cache and Numba is never imported, which
would cost more time and memory than a small proof. The code is a function of CPython's: it checks
its arguments' types, releases the interpreter lock, and is called like any builtin.

A module of kernels imports what only their compiler needs under `if COMPILING:`.
"""

import ctypes
import functools
import hashlib
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from prover.errors import EinproofError
from prover.kernels import cache

#: Whether this process compiles kernels. Set before a tier is imported, or never.
COMPILING = False
DIGEST_BYTES = 32
FASTCALL = 0x0080  # METH_FASTCALL of methodobject.h: (self, arguments, their number)


class KernelNotCompiled(EinproofError):
    """A kernel that the compiler has failed on."""


def inner(function: Callable[..., Any]) -> Any:
    """A function for kernels to call, compiled into them."""
    if not COMPILING:
        return function
    from prover.kernels import compiler

    return compiler.inner(function)


class Kernel:
    """An entry point, made of a function of arrays and integers: machine code for each signature
    that it has been called with.

    Arrays must be C-contiguous, aligned and writeable. Raises TypeError for others, MemoryError,
    and KernelNotCompiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function
        self.variants: dict[str, Callable[..., Any]] = {}

    def __call__(self, *arguments: Any) -> Any:
        for variant in self.variants.values():
            found = variant(*arguments)
            if found is not NotImplemented:
                return found
        signature = signature_of(arguments)
        with _lock:
            if signature not in self.variants:
                self.variants = {**self.variants, signature: self._load(signature)}
        found = self.variants[signature](*arguments)
        if found is NotImplemented:
            name = self.function.__qualname__
            raise TypeError(f"{name}: expected C-contiguous, writeable arrays; got {signature}")
        return found

    def path(self, signature: str) -> Path:
        """Where the machine code of a signature is, or will be."""
        return folder() / f"{self.function.__module__}.{self.function.__name__}-{signature}.o"

    def compile(self, signature: str) -> None:
        """Puts the machine code into the cache, whole or not at all."""
        from prover.kernels import compiler

        path = self.path(signature)
        code = compiler.machine_code(self.function, signature, path.stem)
        code += hashlib.sha256(code).digest()
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=path.name)
        with os.fdopen(descriptor, "wb") as file:
            file.write(code)
        os.replace(name, path)

    def _load(self, signature: str) -> Callable[..., Any]:
        path = self.path(signature)
        code = _read(path)
        if not code:
            if COMPILING:
                self.compile(signature)
            else:
                _compile_apart(self, signature)
            code = _read(path)
        return _linked(code, path.stem)


entry = Kernel
_lock = threading.RLock()
folder = functools.cache(cache.folder)


def signature_of(arguments: tuple[Any, ...]) -> str:
    """The types of arguments: u8x2 is an array of two axes of unsigned integers of 8 bytes, i an
    integer."""
    return ".".join(
        f"{a.dtype.str[1:]}x{a.ndim}" if isinstance(a, np.ndarray) else "i" for a in arguments
    )


def environment() -> dict[str, str]:
    """For processes that compile: what they make belongs into this one's cache."""
    return {**os.environ, cache.CHOSEN: str(folder())}


def _compile_apart(kernel: Kernel, signature: str) -> None:
    """Compiles a kernel outside of this process: with its whole tier where that has not been done,
    else alone. Raises KernelNotCompiled."""
    from prover.kernels import default, warmup

    warmup.fill(default())
    if _read(kernel.path(signature)):
        return
    module, name = kernel.function.__module__, kernel.function.__name__
    command = [sys.executable, "-m", "prover.kernels.compiler", module, name, signature]
    ran = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    if ran.returncode:
        last = ran.stderr.strip().splitlines()[-1:] or ["no message"]
        raise KernelNotCompiled(f"{module}.{name} of {signature}: {last[0]}")


class _Method(ctypes.Structure):
    """PyMethodDef of methodobject.h."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("code", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_kept: list[Any] = []  # what loaded code refers to, for as long as the process lives


@functools.cache
def _engine() -> Any:
    """LLVM's linker, in memory."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    machine = binding.Target.from_default_triple().create_target_machine(jit=True)
    return binding.create_mcjit_compiler(binding.parse_assembly(""), machine)


def _read(path: Path) -> bytes:
    """The machine code in a file, behind which is its SHA-256; none where it is damaged or missing,
    for to run it would be to crash."""
    try:
        data = path.read_bytes()
    except OSError:
        return b""
    code, digest = data[:-DIGEST_BYTES], data[-DIGEST_BYTES:]
    return code if hashlib.sha256(code).digest() == digest else b""


def _linked(code: bytes, name: str) -> Callable[..., Any]:
    """The function of this name in an object file."""
    from llvmlite import binding

    engine, file = _engine(), binding.ObjectFileRef.from_data(code)
    engine.add_object_file(file)
    engine.finalize_object()
    method = _Method(name.encode(), engine.get_function_address(name), FASTCALL, None)
    _kept.extend((file, method))
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    make.restype = ctypes.py_object
    function: Callable[..., Any] = make(ctypes.byref(method), np.ndarray, None)
    return function
