"""Eight words at a time, and sums of products (word) * (element) that are reduced at the end."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from prover.kernels.ifma.cells import data, everywhere, mask, read
from prover.kernels.ifma.lanes import (
    FULL,
    LOW,
    WORD,
    carried,
    give,
    lanes,
    multiply_add,
    octet,
    pair,
    splat,
    sums,
    take,
)
from prover.kernels.ifma.shape import BITS, LIMBS, WIDTH


@intrinsic
def load_words(context: Any, array: Any, offset: Any) -> Any:
    """Eight signed integers, of 8 to 64 bits, of an array from offset on, as words."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.IntType(signature.args[0].dtype.bitwidth)
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.gep(builder.bitcast(start, kind.as_pointer()), [args[1]])
        vector = ir.VectorType(kind, WIDTH)
        found = builder.load(builder.bitcast(pointer, vector.as_pointer()), align=kind.width // 8)
        return give(builder, [found if kind.width == 64 else builder.sext(found, FULL)])

    return octet(array, types.intp), generate


@intrinsic
def raised(context: Any, words: Any, amount: Any) -> Any:
    """The words plus an amount, modulo 2^64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = take(builder, args[0])[0]
        return give(builder, [builder.add(words, everywhere(builder, args[1]))])

    return octet(octet, types.int64), generate


@intrinsic
def noted(context: Any, seen: Any, words: Any, array: Any) -> Any:
    """seen and the bits of words that `load_words` read; of an array of 64-bit integers alone."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if signature.args[2].dtype.bitwidth < 64:
            return args[0]
        left, right = (take(builder, value)[0] for value in args[:2])
        return give(builder, [builder.or_(left, right)])

    return octet(octet, octet, array), generate


@intrinsic
def beyond(context: Any, words: Any) -> Any:
    """The mask of the lanes whose word has a bit above the 32 lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = take(builder, args[0])[0]
        return mask(builder, builder.icmp_unsigned(">", words, splat(2**32 - 1)))

    return types.int64(octet), generate


@intrinsic
def negative(context: Any, words: Any) -> Any:
    """The mask of the lanes whose word, as a signed one, is negative."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = take(builder, args[0])[0]
        return mask(builder, builder.icmp_signed("<", words, splat(0)))

    return types.int64(octet), generate


@intrinsic
def magnitude(context: Any, words: Any) -> Any:
    """The absolute values of signed words, as numbers in lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = take(builder, args[0])[0]
        below = builder.icmp_signed("<", words, splat(0))
        size = builder.select(below, builder.sub(splat(0), words), words)
        low, high = builder.and_(size, splat(LOW)), builder.lshr(size, splat(BITS))
        return give(builder, [low, high, *[splat(0)] * 3])

    return lanes(octet), generate


@intrinsic
def no_sums(context: Any) -> Any:
    """Eight empty sums."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return give(builder, [splat(0)] * (LIMBS + 1))

    return sums(), generate


@intrinsic
def add_products(context: Any, total: Any, words: Any, x: Any) -> Any:
    """total + words x, for words below 2^52; 2^11 times at most between two `settled`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, word = take(builder, args[0]), take(builder, args[1])[0]
        for j, limb in enumerate(take(builder, args[2])):
            total[j] = multiply_add(builder, "l", total[j], word, limb)
            total[j + 1] = multiply_add(builder, "h", total[j + 1], word, limb)
        return give(builder, total)

    return sums(sums, octet, lanes), generate


@intrinsic
def settled(context: Any, total: Any) -> Any:
    """The same sums, carried into limbs of 52 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return give(builder, carried(builder, take(builder, args[0])))

    return sums(sums), generate


@intrinsic
def put_across(context: Any, array: Any, column: Any, total: Any) -> Any:
    """Limb j of all eight sums, added up, to array[j, column]; array has shape (6, n)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(WORD, [FULL])
        reduce = cgutils.get_or_insert_function(
            builder.module, kind, "llvm.vector.reduce.add.v8i64"
        )
        array = context.make_array(signature.args[0])(context, builder, args[0])
        width = builder.extract_value(array.shape, 1)
        for j, limb in enumerate(take(builder, args[2])):
            offset = builder.add(builder.mul(width, WORD(j)), args[1])
            pointer = data(context, builder, signature.args[0], args[0], offset)
            builder.store(builder.call(reduce, [limb]), pointer)
        return context.get_dummy_value()

    return types.void(array, types.intp, sums), generate


@intrinsic
def take_across(context: Any, array: Any, column: Any) -> Any:
    """Eight sums from the columns of what `put_across` wrote."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array = context.make_array(signature.args[0])(context, builder, args[0])
        width, limbs = builder.extract_value(array.shape, 1), []
        for j in range(LIMBS + 1):
            offset = builder.add(builder.mul(width, WORD(j)), args[1])
            pointer = data(context, builder, signature.args[0], args[0], offset)
            limbs.append(read(builder, pointer, FULL))
        return give(builder, limbs)

    return sums(array, types.intp), generate


@intrinsic
def parts(context: Any, total: Any) -> Any:
    """The low 260 bits of sums, and the rest (below 2^52), as numbers in lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        digits = take(builder, args[0])
        *low, top = carried(builder, digits)
        high = [top, *[splat(0)] * (LIMBS - 1)]
        found = [give(builder, low), give(builder, high)]
        return context.make_tuple(builder, signature.return_type, found)

    return pair(sums), generate
