"""The scalar back-end: 256-bit integers as a Numba type, and the two fields' operations on it.

An element is one LLVM i256 (LLVM lowers its sums to carry chains over four registers), in
Montgomery form: x stands for x 2^-256 mod p, reduced below p. Both moduli have 254 bits, so that
2p < 2^255: a sum fits, and the sign bit of a difference says whether it wrapped.

A back-end offers load, store and, for either field, add, sub, mul; the formulas in this folder are
written over those names alone.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from prover.field import P, Q

WORD, PAIR, ELEMENT, SUM, WIDE = map(ir.IntType, (64, 128, 256, 320, 384))
MASK = 2**64 - 1


class Bits(types.Type):  # type: ignore[misc]
    """An LLVM integer of `width` bits, opaque to Numba."""

    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__(f"Bits({width})")


@register_model(Bits)
class BitsModel(models.PrimitiveModel):  # type: ignore[misc]
    """A Bits is held as its LLVM integer."""

    def __init__(self, manager: Any, kind: Bits) -> None:
        super().__init__(manager, kind, ir.IntType(kind.width))


u256 = Bits(256)
u384 = Bits(384)


def _split(builder: Any, value: Any) -> list[Any]:
    """The four words of a 256-bit value, the lowest first, each widened to 128 bits."""
    words = [builder.trunc(builder.lshr(value, ELEMENT(64 * j)), WORD) for j in range(4)]
    return [builder.zext(word, PAIR) for word in words]


def _join(builder: Any, words: list[Any], kind: Any) -> Any:
    """The integer of type `kind` that has these 64-bit words, the lowest first."""
    value = kind(0)
    for j, word in enumerate(words):
        value = builder.or_(value, builder.shl(builder.zext(word, kind), kind(64 * j)))
    return value


def _reduce_once(builder: Any, value: Any, modulus: int) -> Any:
    """value mod modulus, for value < 2 modulus."""
    less = builder.sub(value, ELEMENT(modulus))
    return builder.select(builder.icmp_signed("<", less, ELEMENT(0)), value, less)


def _word_product(builder: Any, word: Any, words: list[Any]) -> Any:
    """word times the number of four words, exactly, as a sum of five words."""
    carry, lows = PAIR(0), []
    for other in words:
        term = builder.add(builder.mul(word, other), carry)
        lows.append(builder.trunc(term, WORD))
        carry = builder.lshr(term, PAIR(64))
    return _join(builder, [*lows, builder.trunc(carry, WORD)], SUM)


def _montgomery(builder: Any, x: Any, y: Any, modulus: int) -> Any:
    """x y 2^-256 mod modulus, for x < modulus and any 256-bit y.

    Coarsely integrated operand scanning (Koc, Acar, Kaliski 1996): add x times a word of y, then
    the multiple of the modulus that clears the lowest word, then shift that out. After a shift the
    sum is below 2 modulus; before it, within five words.
    """
    inverse = PAIR(pow(-modulus, -1, 2**64))
    moduli = [PAIR(modulus >> 64 * j & MASK) for j in range(4)]
    xs, total = _split(builder, x), SUM(0)
    for word in _split(builder, y):
        total = builder.add(total, _word_product(builder, word, xs))
        lowest = builder.and_(builder.trunc(total, PAIR), PAIR(MASK))
        m = builder.and_(builder.mul(lowest, inverse), PAIR(MASK))
        total = builder.add(total, _word_product(builder, m, moduli))
        total = builder.lshr(total, SUM(64))
    return _reduce_once(builder, builder.trunc(total, ELEMENT), modulus)


def _binary(name: str, emit: Callable[[Any, Any, Any], Any], inlined: bool = True) -> Any:
    """An operation u256, u256 -> u256, as one LLVM function."""

    def function(module: Any) -> Any:
        kind = ir.FunctionType(ELEMENT, [ELEMENT, ELEMENT])
        found = cgutils.get_or_insert_function(module, kind, name)
        if found.is_declaration:
            found.linkage = "linkonce_odr"
            found.attributes.add("alwaysinline" if inlined else "noinline")
            builder = ir.IRBuilder(found.append_basic_block())
            builder.ret(emit(builder, *found.args))
        return found

    @intrinsic
    def operation(context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.call(function(builder.module), args)

        return u256(u256, u256), generate

    return operation


def field(modulus: int) -> tuple[Any, ...]:
    """add, sub and mul modulo `modulus`; mul takes any 256-bit second factor."""

    def add(builder: Any, x: Any, y: Any) -> Any:
        return _reduce_once(builder, builder.add(x, y), modulus)

    def sub(builder: Any, x: Any, y: Any) -> Any:
        less = builder.sub(x, y)
        wrapped = builder.ashr(less, ELEMENT(255))  # all ones if x < y
        return builder.add(less, builder.and_(wrapped, ELEMENT(modulus)))

    def mul(builder: Any, x: Any, y: Any) -> Any:
        return _montgomery(builder, x, y, modulus)

    suffix = f"{modulus:x}"
    return (
        _binary(f"add_{suffix}", add),
        _binary(f"sub_{suffix}", sub),
        _binary(f"mul_{suffix}", mul),
    )


def constant(value: int) -> Any:
    """A function of no arguments that is this u256."""

    @intrinsic
    def literal(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return ELEMENT(value)

        return u256(), generate

    return literal


add_fr, sub_fr, mul_fr = field(P)
add_fq, sub_fq, mul_fq = field(Q)
call_mul_fq = _binary(
    "call_mul", lambda builder, x, y: _montgomery(builder, x, y, Q), inlined=False
)
zero = constant(0)
one = constant(1)  # the integer: mul by it leaves Montgomery form
one_fr, one_fq = constant(2**256 % P), constant(2**256 % Q)
square_fr, square_fq = (
    constant(2**512 % P),
    constant(2**512 % Q),
)  # mul by it enters Montgomery form
order_fq = constant(Q)


def _comparison(predicate: str) -> Any:
    @intrinsic
    def compare(context: Any, x: Any, y: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return builder.icmp_unsigned(predicate, *args)

        return types.boolean(u256, u256), generate

    return compare


equal = _comparison("==")
less = _comparison("<")


@intrinsic
def add_raw(context: Any, x: Any, y: Any) -> Any:
    """x + y mod 2^256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.add(*args)

    return u256(u256, u256), generate


@intrinsic
def sub_raw(context: Any, x: Any, y: Any) -> Any:
    """x - y mod 2^256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.sub(*args)

    return u256(u256, u256), generate


@intrinsic
def widen(context: Any, x: Any) -> Any:
    """A uint64 as a u256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.zext(args[0], ELEMENT)

    return u256(types.uint64), generate


def _cell(context: Any, builder: Any, kind: Any, array: Any, index: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(builder.bitcast(data, ELEMENT.as_pointer()), [index])


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """The index-th run of four words of a C-contiguous uint64 array, whatever its shape."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_cell(context, builder, signature.args[0], *args), align=8)

    return u256(array, types.intp), generate


@intrinsic
def store(context: Any, array: Any, index: Any, value: Any) -> Any:
    """Writes what `load` reads."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.store(args[2], _cell(context, builder, signature.args[0], *args[:2]), align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, u256), generate


@intrinsic
def load_at(context: Any, address: Any, index: Any) -> Any:
    """`load` for an array that is known by the address of its data."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = builder.inttoptr(args[0], ELEMENT.as_pointer())
        return builder.load(builder.gep(data, [args[1]]), align=8)

    return u256(types.uint64, types.intp), generate


# Sums of (64-bit word) * (element), reduced once at the end. A product has below 2^318, so that 384
# bits hold 2^66 of them.


@intrinsic
def zero_wide(context: Any) -> Any:
    """The empty sum."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return WIDE(0)

    return u384(), generate


@intrinsic
def add_word_product(context: Any, total: Any, word: Any, x: Any) -> Any:
    """total + word x, as integers."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, word, x = args
        wide = builder.zext(word, PAIR)
        product = _word_product(builder, wide, _split(builder, x))
        return builder.add(total, builder.zext(product, WIDE))

    return u384(u384, types.uint64, u256), generate


@intrinsic
def low_part(context: Any, x: Any) -> Any:
    """x mod 2^256."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(args[0], ELEMENT)

    return u256(u384), generate


@intrinsic
def high_part(context: Any, x: Any) -> Any:
    """x / 2^256, rounded down."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.trunc(builder.lshr(args[0], WIDE(256)), ELEMENT)

    return u256(u384), generate
