"""A GPU in Python: runs the PTX that numba-cuda compiles kernels to, thread after thread.

A kernel's PTX is translated to a Python function, block by block; its threads take turns, which is
sound for kernels that never wait for one another. Memory is a bytearray an allocation; an access
outside of its allocation, or not aligned to its size, raises MemoryError. Parallel Thread Execution
ISA 8; an instruction outside the subset raises ValueError.

`install` puts it in the place of numba-cuda's device, with CUDA's compiler (NVVM) at work and no
driver; it must run before prover.kernels.cuda is imported, in a process without the simulator:

    NUMBA_ENABLE_CUDASIM=0 python -m tests.gpu ARGUMENTS OF PYTEST
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

CAPABILITY = (8, 0)
SPACE = 32  # bits of an address inside an allocation
SPECIAL = {"%tid.x": "tid", "%ntid.x": "ntid", "%ctaid.x": "ctaid", "%nctaid.x": "nctaid"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
LOGIC = {"and": "&", "or": "|", "xor": "^"}
# Fewer threads in a sum, a smaller table of the generator's multiples; the rest is as on a GPU.
SMALLER = {"LANES": 64, "DIGIT": 2, "WINDOWS": 128, "IN_A_WORD": 32}
MASKS = {bits: (1 << bits) - 1 for bits in (1, 8, 16, 32, 64)}


class Memory:
    """Allocations by number; an address is number << SPACE | offset."""

    def __init__(self) -> None:
        self.allocations: list[bytearray] = [bytearray()]

    def allocate(self, size: int) -> int:
        self.allocations.append(bytearray(size))
        return len(self.allocations) - 1 << SPACE

    def place(self, address: int, size: int) -> tuple[bytearray, int]:
        data, offset = self.allocations[address >> SPACE], address & (1 << SPACE) - 1
        if offset % size or offset + size > len(data):
            raise MemoryError(f"{size} bytes at {offset} of {len(data)}")
        return data, offset

    def read(self, address: int, size: int) -> int:
        data, offset = self.place(address, size)
        return int.from_bytes(data[offset : offset + size], "little")

    def write(self, address: int, size: int, value: int) -> None:
        data, offset = self.place(address, size)
        data[offset : offset + size] = value.to_bytes(size, "little")


def signed(value: int, bits: int) -> int:
    """The two's complement of the low bits."""
    value &= MASKS[bits]
    return value - (1 << bits) if value >> bits - 1 else value


def quotient(x: int, y: int) -> int:
    """x / y, rounded towards zero."""
    return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)


# Translation


def register(name: str) -> str:
    """A Python name for a register."""
    return SPECIAL.get(name) or name.lstrip("%").replace(".", "_")


def width(name: str) -> int:
    """Bits of a register, by its name: of the compiler's, or one of ptx.py's."""
    for prefix, bits in (("%rd", 64), ("%rs", 16), ("%r", 32), ("%p", 1)):
        if name.startswith(prefix):
            return bits
    return 1 if name == "wrapped" else 32


def read(operand: str, kind: str) -> str:
    """An expression for an operand as a value of a type such as s64."""
    bits = 1 if kind == "pred" else int(kind[1:])
    literal = re.fullmatch(r"-?\d+", operand)
    value = str(int(operand) & MASKS[bits]) if literal else register(operand)
    if kind[0] == "s":
        return f"signed({value}, {bits})"
    return value if literal or width(operand) <= bits else f"({value} & {MASKS[bits]})"


def address(operand: str) -> str:
    base, _, offset = operand.strip("[]").partition("+")
    return f"{register(base)} + {int(offset or 0)}"


def assign(target: str, expression: str, bits: int | None = None) -> list[str]:
    return [f"{register(target)} = ({expression}) & {MASKS[bits or width(target)]}"]


def extended(name: str, modifiers: list[str], operands: list[str]) -> list[str]:
    """add, sub, mul, mad, with or without the carry flag `carry`."""
    target, sources = operands[0], [read(operand, "u32") for operand in operands[1:]]
    takes = "carry" if name.endswith("c") else "0"
    stem = name.removesuffix("c")
    if stem in ("mul", "mad"):
        product = f"{sources[0]} * {sources[1]}"
        half = f"({product} >> 32)" if "hi" in modifiers else f"({product} & {MASKS[32]})"
        expression = f"{half} + {sources[2]} + {takes}" if stem == "mad" else half
    elif stem == "add":
        expression = f"{sources[0]} + {sources[1]} + {takes}"
    else:
        expression = f"{sources[0]} - {sources[1]} - {takes}"
    code = [f"wide = {expression}", f"{register(target)} = wide & {MASKS[32]}"]
    return [*code, "carry = wide >> 32 & 1"] if "cc" in modifiers else code


def instruction(text: str) -> list[str]:
    """The Python statements of an instruction that does not branch."""
    operation, _, rest = text.partition(" ")
    name, *modifiers = operation.split(".")
    operands = [part.strip() for part in re.findall(r"\{[^}]*\}|\[[^\]]*\]|[^,\s]+", rest)]
    operands = [operand for operand in operands if operand]
    target, kind = operands[0], modifiers[-1]
    if name == "ld" and modifiers[0] == "param":
        parameter = int(target and operands[1].strip("[]").rsplit("_", 1)[1])
        return [f"{register(target)} = parameters[{parameter}]"]
    if name in ("ld", "st") and modifiers[0] == "global":
        size, loads = int(kind[1:]) // 8, name == "ld"
        listed, where = operands if loads else reversed(operands)
        if modifiers[1] == "v4":
            parts = [part.strip() for part in listed.strip("{}").split(",")]
            code = [f"memory.place({address(where)}, {4 * size})"]
        else:
            parts, code = [listed], []
        for i, part in enumerate(parts):
            at = f"{address(where)} + {i * size}, {size}"
            if not loads:
                code.append(f"memory.write({at}, {read(part, kind.replace('s', 'u'))})")
            elif kind[0] == "s":
                code += assign(part, f"signed(memory.read({at}), {8 * size})")
            else:
                code.append(f"{register(part)} = memory.read({at})")
        return code
    if name == "atom":
        size, bits = int(kind[1:]) // 8, int(kind[1:])
        old = f"signed(wide, {bits})" if kind[0] == "s" else "wide"
        value = read(operands[2], kind)
        new = {"add": f"{old} + {value}", "min": f"min({old}, {value})"}[modifiers[1]]
        return [
            f"wide = memory.read({address(operands[1])}, {size})",
            f"memory.write({address(operands[1])}, {size}, ({new}) & {MASKS[bits]})",
            f"{register(target)} = wide",
        ]
    by_words = name.removesuffix("c") in ("add", "sub", "mul", "mad") and kind == "u32"
    if by_words and "wide" not in modifiers:
        return extended(name, modifiers, operands)
    sources = operands[1:]
    if name in ("mov", "cvta"):
        if sources[0] in SPECIAL:
            return [f"{register(target)} = {register(sources[0])}"]
        return assign(target, read(sources[0], kind))
    if name == "cvt":
        return assign(target, read(sources[0], kind), int(modifiers[0][1:]))
    if name == "setp":
        left, right = (read(source, kind) for source in sources)
        return [f"{register(target)} = int({left} {COMPARISONS[modifiers[0]]} {right})"]
    if name == "selp":
        left, right = (read(source, kind) for source in sources[:2])
        return assign(target, f"{left} if {register(sources[2])} else {right}")
    if name in LOGIC:
        left, right = (read(source, kind) for source in sources)
        return assign(target, f"{left} {LOGIC[name]} {right}")
    if name == "not":
        return assign(target, f"~{read(sources[0], kind)}")
    if name in ("shl", "shr"):
        bits = int(kind[1:])
        amount = f"min({read(sources[1], 'u32')}, {bits})"
        arrow = "<<" if name == "shl" else ">>"
        return assign(target, f"{read(sources[0], kind)} {arrow} {amount}")
    if name == "bfi":  # insert the low bits of the first into the second
        field = f"({MASKS[64]} >> 64 - {sources[3]} << {sources[2]})"
        return assign(
            target,
            f"{register(sources[1])} & ~{field} | {register(sources[0])} << {sources[2]} & {field}",
        )
    values = [read(source, kind) for source in sources]
    expressions: dict[str, str] = {
        "add": "{0} + {1}", "sub": "{0} - {1}", "mul": "{0} * {1}", "mad": "{0} * {1} + {2}",
        "neg": "-{0}", "abs": "abs({0})", "min": "min({0}, {1})", "max": "max({0}, {1})",
        "div": "quotient({0}, {1})", "rem": "{0} - {1} * quotient({0}, {1})",
    }  # fmt: skip
    if name not in expressions or "hi" in modifiers or "cc" in modifiers:
        raise ValueError(f"not in the subset: {text}")
    return assign(target, expressions[name].format(*values))


def translate(ptx: str) -> Callable[..., None]:
    """The kernel of a PTX module, as a function of parameters, places and memory."""
    body = ptx[ptx.index("\n{") + 2 : ptx.rindex("}")]
    body = re.sub(r"//[^\n]*", "", body)
    blocks: list[list[str]] = [[]]
    labels: dict[str, int] = {}
    for text in re.split(r";|\n", re.sub(r"(\$L\w+):", r"\n\1:\n", body)):
        text = text.strip().removeprefix("{ ").strip().replace("\t", " ")
        text = re.sub(r"\s+", " ", text)
        if text.endswith(":"):
            labels[text[:-1]] = len(blocks)
            blocks.append([])
        elif text and text != "}" and not text.startswith("."):
            blocks[-1].append(text)
            if re.search(r"\bbra\b", text):
                blocks.append([])
    lines = [
        "def thread(parameters, tid, ntid, ctaid, nctaid, memory):",
        " block = 0",
        " while True:",
    ]

    def emit(low: int, high: int, indent: str) -> None:
        if high - low > 1:
            middle = (low + high) // 2
            lines.append(f"{indent}if block < {middle}:")
            emit(low, middle, indent + " ")
            lines.append(f"{indent}else:")
            emit(middle, high, indent + " ")
            return
        lines.append(f"{indent}block = {low + 1}")
        for text in blocks[low]:
            guard = re.match(r"@(!?)(%\w+) ", text)
            inner = text[guard.end() :] if guard else text
            if guard:
                lines.append(f"{indent}if {'not ' if guard[1] else ''}{register(guard[2])}:")
            own = indent + " " if guard else indent
            name, _, target = inner.partition(" ")
            if name == "ret":
                lines.append(f"{own}return")
            elif name.startswith("bra"):
                lines.append(f"{own}block = {labels[target]}")
            else:
                lines.extend(own + line for line in instruction(inner))

    emit(0, len(blocks), "  ")
    found: dict[str, Any] = {"signed": signed, "quotient": quotient}
    exec("\n".join(lines), found)
    return found["thread"]  # type: ignore[no-any-return]


# The device


class Array:
    """A flat array in the device's memory, as numba-cuda's device arrays are used here."""

    def __init__(self, memory: Memory, base: int, size: int, dtype: Any) -> None:
        self.memory, self.base, self.size, self.dtype = memory, base, size, np.dtype(dtype)

    def __getitem__(self, key: slice) -> Array:
        start, stop, step = key.indices(self.size)
        if step != 1:
            raise ValueError("expected a contiguous slice")
        return Array(self.memory, self.base + start * self.dtype.itemsize, stop - start, self.dtype)

    def copy_to_host(self) -> np.ndarray[Any, Any]:
        data, first = self.memory.allocations[self.base >> SPACE], self.base & (1 << SPACE) - 1
        size = self.size * self.dtype.itemsize
        return np.frombuffer(bytes(data[first : first + size]), self.dtype)


class Device:
    """Compiles a kernel once for each signature, and runs it."""

    def __init__(self) -> None:
        self.memory = Memory()
        self.compiled: dict[tuple[Any, str], Callable[..., None]] = {}

    def device_array(self, size: int, dtype: Any) -> Array:
        array = Array(self.memory, 0, size, dtype)
        array.base = self.memory.allocate(size * array.dtype.itemsize)
        data = self.memory.allocations[-1]
        data[:] = b"\xa5" * len(data)  # what is read before it is written is wrong
        return array

    def to_device(self, source: np.ndarray[Any, Any]) -> Array:
        array = self.device_array(source.size, source.dtype)
        self.memory.allocations[-1][:] = source.tobytes()
        return array

    def launch(self, function: Any, n: int, *arguments: Any) -> None:
        """prover.kernels.cuda.kernel.launch, with as few threads as reach every branch of it."""
        if n == 0:
            return
        kinds, values = [], list[int]()
        for argument in (*arguments, n):
            if isinstance(argument, Array):
                kinds.append(f"{argument.dtype.name}[::1]")
                size, item = argument.size, argument.dtype.itemsize
                values += [0, 0, size, item, argument.base, size, item]
            else:
                kinds.append("boolean" if isinstance(argument, bool) else "int64")
                values.append(int(argument) & MASKS[64])
        thread = self.code(function, f"void({', '.join(kinds)})")
        blocks, size = min(-(-n // 2), 3), 2
        for block in range(blocks):
            for tid in range(size):
                thread(values, tid, size, block, blocks, self.memory)

    def code(self, function: Any, signature: str) -> Callable[..., None]:
        key = function, signature
        if key not in self.compiled:
            from numba import cuda
            from numba.cuda.core import sigutils

            types, _ = sigutils.normalize_signature(signature)
            ptx, _ = cuda.compile_ptx(function.py_func, types, cc=CAPABILITY)
            self.compiled[key] = translate(ptx)
        return self.compiled[key]


def install() -> Device:
    """A new device behind numba.cuda, and behind the CUDA tier, imported here."""
    import numba.cuda.dispatcher
    from numba import cuda
    from numba.cuda import cuda_paths
    from numba.cuda.cudadrv import nvrtc

    nvrtc.get_supported_ccs = lambda: (CAPABILITY,)  # the only thing asked of a compiler of C++
    cuda_paths._get_nvrtc_path = lambda: None
    device = Device()
    cuda.is_available = lambda: True
    cuda.to_device, cuda.device_array = device.to_device, device.device_array
    numba.cuda.dispatcher.get_current_device = lambda: SimpleNamespace(
        compute_capability=CAPABILITY
    )
    importlib.import_module("prover.kernels.cuda")
    for name, module in list(sys.modules.items()):
        if name.startswith("prover.kernels.cuda"):
            for constant, value in SMALLER.items():
                if hasattr(module, constant):
                    setattr(module, constant, value)
            if hasattr(module, "launch"):
                module.launch = device.launch  # type: ignore[attr-defined]
    return device


if __name__ == "__main__":
    import pytest

    install()
    sys.exit(pytest.main(sys.argv[1:]))
