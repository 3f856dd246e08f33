"""Elements on a GPU: tuples of eight 32-bit limbs in registers; their arithmetic is inline PTX.

Names and contracts are `simulated`'s, where they are one line each.
"""

import re
from typing import Any

import numpy as np
from llvmlite import ir
from numba.cuda import types
from numba.cuda.extending import intrinsic

from prover.field import P, Q
from prover.kernels.cuda import ptx
from prover.kernels.cuda.kernel import device

LIMB = ir.IntType(32)
QUAD = ir.VectorType(LIMB, 4)
u256 = types.UniTuple(types.uint32, ptx.LIMBS)
wide = types.UniTuple(types.uint32, ptx.WIDE_LIMBS)
REGISTER = re.compile(r"\b[a-z]+\d*\b(?!\.)")


def template(program: ptx.Program, results: int, operands: dict[str, int]) -> str:
    """The program as the text of an LLVM inline assembly: results, then operands, by number."""
    places = ptx.names("r", results)
    for letter, count in operands.items():
        places += ptx.names(letter, count)
    numbers = {name: f"${number}" for number, name in enumerate(places)}
    lines, local = [], set()
    for instruction in program:
        operation, _, rest = instruction.partition(" ")
        local |= {name for name in REGISTER.findall(rest) if name not in numbers}
        replaced = REGISTER.sub(lambda found: numbers.get(found[0], found[0]), rest)
        lines.append(f"{operation} {replaced};")
    predicates = local & {"wrapped"}
    declared = [f".reg .pred {name};" for name in sorted(predicates)]
    declared += [f".reg .u32 {name};" for name in sorted(local - predicates)]
    return "{ " + " ".join(declared + lines) + " }"


def _call(builder: Any, program: ptx.Program, results: int, **operands: list[Any]) -> Any:
    """The results of a program, as an array of limbs."""
    counts = {letter: len(words) for letter, words in operands.items()}
    arguments = [word for words in operands.values() for word in words]
    answer = ir.LiteralStructType([LIMB] * results) if results > 1 else LIMB
    constraints = ",".join(["=r"] * results + ["r"] * len(arguments))
    kind = ir.FunctionType(answer, [LIMB] * len(arguments))
    text = template(program, results, counts)
    found = builder.call(ir.InlineAsm(kind, text, constraints, side_effect=False), arguments)
    if results == 1:
        return found
    return _array(builder, [builder.extract_value(found, j) for j in range(results)])


def _array(builder: Any, words: list[Any]) -> Any:
    value = ir.Constant(ir.ArrayType(LIMB, len(words)), ir.Undefined)
    for j, word in enumerate(words):
        value = builder.insert_value(value, word, j)
    return value


def _limbs(builder: Any, value: Any, count: int = ptx.LIMBS) -> list[Any]:
    return [builder.extract_value(value, j) for j in range(count)]


def _binary(program: ptx.Program) -> Any:
    """The operation u256, u256 -> u256 that a program computes."""

    @intrinsic
    def operation(context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            x, y = (_limbs(builder, arg) for arg in args)
            return _call(builder, program, ptx.LIMBS, x=x, y=y)

        return u256(u256, u256), generate

    return operation


def constant(value: int) -> Any:
    """A function of no arguments that is this element."""

    @intrinsic
    def literal(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ir.Constant(ir.ArrayType(LIMB, ptx.LIMBS), [LIMB(w) for w in ptx.limbs(value)])

        return u256(), generate

    return literal


def wide_constant(value: int) -> Any:
    """The same of ten limbs."""

    @intrinsic
    def literal(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            words = ptx.limbs(value, ptx.WIDE_LIMBS)
            return ir.Constant(ir.ArrayType(LIMB, ptx.WIDE_LIMBS), [LIMB(w) for w in words])

        return wide(), generate

    return literal


add_fr, sub_fr, mul_fr = (_binary(make(P)) for make in (ptx.add, ptx.sub, ptx.mul))
add_fq, sub_fq, mul_fq = (_binary(make(Q)) for make in (ptx.add, ptx.sub, ptx.mul))


@intrinsic
def _borrow(context: Any, x: Any, y: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        x, y = (_limbs(builder, arg) for arg in args)
        return _call(builder, ptx.less_than(), 1, x=x, y=y)

    return types.uint32(u256, u256), generate


@device
def less(x: Any, y: Any) -> Any:
    """x < y, as integers."""
    return _borrow(x, y) != 0


@device
def equal(x: Any, y: Any) -> Any:
    """x == y."""
    return (
        (x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3])
        | (x[4] ^ y[4]) | (x[5] ^ y[5]) | (x[6] ^ y[6]) | (x[7] ^ y[7])
    ) == 0  # fmt: skip


@device
def widen(x: Any) -> Any:
    """A uint64 as an element."""
    none = np.uint32(0)
    return np.uint32(x), np.uint32(x >> np.uint64(32)), none, none, none, none, none, none


def _cell(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    """Where the two halves of a cell lie."""
    data = context.make_array(kind)(context, builder, array).data
    start = builder.bitcast(
        builder.gep(data, [builder.mul(index, index.type(4))]), QUAD.as_pointer()
    )
    return start, builder.gep(start, [index.type(1)])


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """The index-th run of four words of a flat uint64 array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        halves = _cell(context, builder, signature.args[0], *args)
        quads = [builder.load(half, align=16) for half in halves]
        words = [builder.extract_element(quad, LIMB(j)) for quad in quads for j in range(4)]
        return _array(builder, words)

    return u256(array, types.intp), generate


@intrinsic
def store(context: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes what `load` reads."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _limbs(builder, args[2])
        for i, half in enumerate(_cell(context, builder, signature.args[0], *args[:2])):
            quad = ir.Constant(QUAD, ir.Undefined)
            for j in range(4):
                quad = builder.insert_element(quad, words[4 * i + j], LIMB(j))
            builder.store(quad, half, align=16)
        return context.get_dummy_value()

    return types.void(array, types.intp, u256), generate


@intrinsic
def add_word_product(context: Any, total: Any, word: Any, x: Any) -> Any:
    """total + word x, as integers below 2^320; word is a uint32."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        sums, x = _limbs(builder, args[0], ptx.WIDE_LIMBS), _limbs(builder, args[2])
        program = ptx.add_word_product()
        return _call(builder, program, ptx.WIDE_LIMBS, x=sums, y=[args[1]], z=x)

    return wide(wide, types.uint32, u256), generate


@intrinsic
def low_part(context: Any, x: Any) -> Any:
    """x mod 2^256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _array(builder, _limbs(builder, args[0]))

    return u256(wide), generate


@intrinsic
def high_part(context: Any, x: Any) -> Any:
    """x / 2^256, rounded down."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _limbs(builder, args[0], ptx.WIDE_LIMBS)[ptx.LIMBS :]
        return _array(builder, words + [LIMB(0)] * (ptx.LIMBS - len(words)))

    return u256(wide), generate
