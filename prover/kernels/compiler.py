"""Machine code of a kernel, as a function of CPython's:

    python -m prover.kernels.compiler MODULE NAME SIGNATURE      puts it into the cache

Numba compiles the kernel for its signature. Around it goes what Numba's own dispatcher would do:
arguments are checked and taken apart, the interpreter lock is released, the result is wrapped.
What is not for the signature is answered with NotImplemented. Memory that a kernel asks for comes
from the C library, in whole cache lines.
"""

import ctypes
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import njit, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.np import numpy_support
from numba.np.arrayobj import populate_array

from prover.kernels.native import KernelNotCompiled

OPTIONS = {"nogil": True, "error_model": "numpy"}
inner = njit(**OPTIONS)
BYTE, HALF, WORD = ir.IntType(8).as_pointer(), ir.IntType(32), ir.IntType(64)
# Fields of PyObject, PyArrayObject (ndarraytypes.h) and PyArray_Descr: bytes from the start.
TYPE, DATA, AXES, SHAPE, STRIDES, DESCRIPTION, FLAGS, NUMBER = 8, 16, 24, 32, 40, 56, 64, 28
PLAIN = 0x501  # C-contiguous, aligned, writeable

# What Numba's arrays ask for: memory behind a record of its count of references, destructor and
# that one's argument, address, size and allocator (numba/core/runtime/nrt.cpp), here a cache line.
HEAP = """
declare i8* @aligned_alloc(i64, i64)
declare void @free(i8*)

define weak_odr noalias i8* @NRT_MemInfo_alloc_aligned(i64 %size, i32 %align) {
  %more = add i64 %size, 127
  %whole = and i64 %more, -64
  %found = call i8* @aligned_alloc(i64 64, i64 %whole)
  %none = icmp eq i8* %found, null
  br i1 %none, label %end, label %fill
fill:
  %words = bitcast i8* %found to i64*
  store i64 1, i64* %words
  %data = getelementptr i8, i8* %found, i64 64
  %place = getelementptr i8, i8* %found, i64 24
  %pointer = bitcast i8* %place to i8**
  store i8* %data, i8** %pointer
  br label %end
end:
  ret i8* %found
}

define weak_odr void @NRT_MemInfo_call_dtor(i8* %record) {
  call void @free(i8* %record)
  ret void
}
"""


def kind_of(text: str) -> Any:
    """Numba's type for one part of a signature (`native.signature_of`)."""
    if text == "i":
        return types.int64
    scalar, _, axes = text.partition("x")
    return types.Array(numpy_support.from_dtype(np.dtype(scalar)), int(axes), "C")


@global_compiler_lock
def machine_code(function: Callable[..., Any], signature: str, name: str) -> bytes:
    """An object file that has the function, for this signature, under this name."""
    kinds = tuple(map(kind_of, signature.split(".")))
    dispatcher = njit(**OPTIONS, no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    dispatcher.compile(kinds)
    compiled = dispatcher.overloads[kinds]
    library = compiled.target_context.codegen().create_library(name)
    library.enable_object_caching()
    library.add_llvm_module(binding.parse_assembly(HEAP))
    library.add_ir_module(_wrapper(compiled, name))
    library.add_linking_library(compiled.library)
    library.finalize()
    if missing := _missing(library._final_module):
        raise KernelNotCompiled(f"{name} refers to {', '.join(missing)}, of Numba's own runtime")
    code: bytes = library._get_compiled_object()
    return code


def _missing(module: Any) -> list[str]:
    """What a module refers to that a process without Numba lacks: to call it is to crash."""
    process, found = ctypes.CDLL(None), [*module.functions, *module.global_variables]
    named = {value.name for value in found if value.is_declaration}
    return sorted(n for n in named if not n.startswith("llvm.") and not hasattr(process, n))


def _wrapper(compiled: Any, name: str) -> Any:
    """A module with PyObject *name(PyObject *ndarray, PyObject *const *arguments, Py_ssize_t)."""
    context, kinds = compiled.target_context, compiled.signature.args
    module = context.create_module(name)
    kind = ir.FunctionType(BYTE, [BYTE, BYTE.as_pointer(), WORD])
    function = ir.Function(module, kind, name)
    builder = ir.IRBuilder(function.append_basic_block())
    python = context.get_python_api(builder)
    ndarray, arguments, count = function.args

    def unless(wrong: Any, answer: Callable[[], Any]) -> None:
        with builder.if_then(wrong, likely=False):
            builder.ret(answer())

    def not_implemented() -> Any:
        answer = python.get_c_object("_Py_NotImplementedStruct")
        python.incref(answer)
        return answer

    unless(builder.icmp_signed("!=", count, WORD(len(kinds))), not_implemented)
    kind = ir.FunctionType(WORD, [BYTE, BYTE])
    as_word = cgutils.get_or_insert_function(module, kind, "PyNumber_AsSsize_t")
    values = []
    for i, expected in enumerate(kinds):
        given = builder.load(builder.gep(arguments, [WORD(i)]))
        if isinstance(expected, types.Array):
            for wrong in _differences(builder, given, ndarray, expected):
                unless(wrong, not_implemented)
            values.append(_array(context, builder, given, expected))
        else:
            value = builder.call(as_word, [given, _error(builder, "PyExc_OverflowError")])
            failed = builder.icmp_signed("==", value, WORD(-1))
            with builder.if_then(failed, likely=False):
                unless(python.c_api_error(), lambda: BYTE(None))
            values.append(value)
    result, names = compiled.signature.return_type, compiled.fndesc
    callee = cgutils.get_or_insert_function(
        module, context.call_conv.get_function_type(result, kinds), names.llvm_func_name
    )
    state = python.save_thread()
    status, value = context.call_conv.call_function(builder, callee, result, kinds, values)
    python.restore_thread(state)
    with builder.if_then(status.is_error, likely=False):
        python.err_set_none(_error(builder, "PyExc_MemoryError"))  # the only one kernels have
        builder.ret(BYTE(None))
    builder.ret(_boxed(builder, python, result, value))
    return module


def _error(builder: Any, name: str) -> Any:
    """An exception's class, which CPython has a variable for."""
    known = builder.module.globals
    return builder.load(known.get(name) or ir.GlobalVariable(builder.module, BYTE, name))


def _field(builder: Any, record: Any, offset: int, kind: Any) -> Any:
    place = builder.gep(record, [WORD(offset)])
    return builder.load(builder.bitcast(place, kind.as_pointer()))


def _differences(builder: Any, given: Any, ndarray: Any, expected: Any) -> Iterator[Any]:
    """Whether an object is no array; and if it is one, not the expected kind of one."""
    kind = ir.FunctionType(HALF, [BYTE, BYTE])
    subtype = cgutils.get_or_insert_function(builder.module, kind, "PyType_IsSubtype")
    is_array = builder.call(subtype, [_field(builder, given, TYPE, BYTE), ndarray])
    yield builder.icmp_signed("==", is_array, HALF(0))
    flags = builder.and_(_field(builder, given, FLAGS, HALF), HALF(PLAIN))
    yield builder.icmp_signed("!=", flags, HALF(PLAIN))
    yield builder.icmp_signed("!=", _field(builder, given, AXES, HALF), HALF(expected.ndim))
    number = _field(builder, _field(builder, given, DESCRIPTION, BYTE), NUMBER, HALF)
    yield builder.icmp_signed("!=", number, HALF(numpy_support.as_dtype(expected.dtype).num))


def _array(context: Any, builder: Any, given: Any, expected: Any) -> Any:
    """Numba's record of an array, which owns nothing."""
    found = context.make_array(expected)(context, builder)
    axes = [
        [
            builder.load(builder.gep(_field(builder, given, field, WORD.as_pointer()), [WORD(i)]))
            for i in range(expected.ndim)
        ]
        for field in (SHAPE, STRIDES)
    ]
    item = WORD(context.get_abi_sizeof(context.get_data_type(expected.dtype)))
    data = builder.bitcast(_field(builder, given, DATA, BYTE), found.data.type)
    populate_array(found, data=data, shape=axes[0], strides=axes[1], itemsize=item, meminfo=None)
    return found._getvalue()


def _boxed(builder: Any, python: Any, kind: Any, value: Any) -> Any:
    if kind == types.none:
        return python.make_none()
    if kind == types.boolean:
        return python.bool_from_long(builder.zext(value, WORD))
    return python.long_from_ssize_t(builder.sext(value, WORD) if value.type != WORD else value)


def main(arguments: Sequence[str]) -> None:
    """Compiles one kernel into the cache."""
    from prover.kernels import native

    native.COMPILING = True
    module, name, signature = arguments
    getattr(import_module(module), name).compile(signature)


if __name__ == "__main__":
    main(sys.argv[1:])
