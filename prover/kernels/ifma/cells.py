"""Between memory and lanes: cells of four words, eight side by side; and lanes as they are."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from prover.field import P, Q
from prover.kernels.ifma.lanes import (
    BOOLS,
    FULL,
    LOW,
    WORD,
    canonical,
    give,
    lanes,
    shuffle,
    splat,
    take,
)
from prover.kernels.ifma.shape import BITS, LIMBS, WIDTH


def data(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of the word at `offset` of a C-contiguous array of words."""
    start = context.make_array(kind)(context, builder, array).data
    return builder.gep(builder.bitcast(start, WORD.as_pointer()), [offset])


def read(builder: Any, pointer: Any, kind: Any, index: int = 0) -> Any:
    """The index-th vector of type `kind` from pointer on."""
    return builder.load(
        builder.gep(builder.bitcast(pointer, kind.as_pointer()), [WORD(index)]), align=8
    )


def write(builder: Any, vector: Any, pointer: Any, index: int = 0) -> None:
    target = builder.bitcast(pointer, vector.type.as_pointer())
    builder.store(vector, builder.gep(target, [WORD(index)]), align=8)


EVEN, ODD = [0, 4, 8, 12, 1, 5, 9, 13], [2, 6, 10, 14, 3, 7, 11, 15]
LEFT, RIGHT = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]


def across(builder: Any, pairs: Sequence[Any]) -> list[Any]:
    """From four vectors of two cells each to four of one word of all eight cells."""
    a, b = (shuffle(builder, pairs[0], pairs[1], order) for order in (EVEN, ODD))
    c, d = (shuffle(builder, pairs[2], pairs[3], order) for order in (EVEN, ODD))
    return [shuffle(builder, *two, side) for two in ((a, c), (b, d)) for side in (LEFT, RIGHT)]


def back(builder: Any, words: Sequence[Any]) -> list[Any]:
    """The inverse of `_across`."""
    a, c = (shuffle(builder, words[0], words[1], side) for side in (LEFT, RIGHT))
    b, d = (shuffle(builder, words[2], words[3], side) for side in (LEFT, RIGHT))
    return [shuffle(builder, *two, order) for two in ((a, b), (c, d)) for order in (EVEN, ODD)]


def _limbs(builder: Any, words: Sequence[Any], shift: int = 0) -> list[Any]:
    """Four words to five limbs of 2^shift times the number, with bits to ignore above the 52."""
    first = builder.shl(words[0], splat(shift)) if shift else words[0]
    limbs = [first]
    for j in range(1, 4):
        low = builder.lshr(words[j - 1], splat(64 - shift - 12 * j))
        limbs.append(builder.or_(low, builder.shl(words[j], splat(12 * j + shift))))
    return [*limbs, builder.lshr(words[3], splat(16 - shift))]


def unpacked(builder: Any, words: Sequence[Any]) -> list[Any]:
    """Four words to five limbs."""
    *limbs, top = _limbs(builder, words)
    return [*(builder.and_(limb, splat(LOW)) for limb in limbs), top]


def packed(builder: Any, limbs: Sequence[Any]) -> list[Any]:
    """Five limbs to four words."""
    return [
        builder.or_(
            builder.lshr(limbs[j], splat(12 * j)),
            builder.shl(limbs[j + 1], splat(BITS - 12 * j)),
        )
        for j in range(4)
    ]


def _words(builder: Any, pointer: Any) -> list[Any]:
    """The four words of eight cells that lie side by side."""
    return across(builder, [read(builder, pointer, FULL, j) for j in range(4)])


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """The cells index..index+7 of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(4))
        pointer = data(context, builder, signature.args[0], args[0], offset)
        return give(builder, unpacked(builder, _words(builder, pointer)))

    return lanes(array, types.intp), generate


@intrinsic
def load_16(context: Any, array: Any, index: Any) -> Any:
    """16 times the cells index..index+7, for `mul_raw` and `product` alone to take."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(4))
        pointer = data(context, builder, signature.args[0], args[0], offset)
        return give(builder, _limbs(builder, _words(builder, pointer), 4))

    return lanes(array, types.intp), generate


@intrinsic
def load_at(context: Any, address: Any, index: Any) -> Any:
    """`load` for an array that is known by the address of its data."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = builder.inttoptr(args[0], WORD.as_pointer())
        pointer = builder.gep(start, [builder.mul(args[1], WORD(4))])
        return give(builder, unpacked(builder, _words(builder, pointer)))

    return lanes(types.uint64, types.intp), generate


def _storing(modulus: int) -> Any:
    @intrinsic
    def store(context: Any, array: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            offset = builder.mul(args[1], WORD(4))
            pointer = data(context, builder, signature.args[0], args[0], offset)
            limbs = canonical(builder, take(builder, args[2]), modulus)
            for j, pair in enumerate(back(builder, packed(builder, limbs))):
                write(builder, pair, pointer, j)
            return context.get_dummy_value()

        return types.void(array, types.intp, lanes), generate

    return store


store_fr, store_fq = _storing(P), _storing(Q)  # to the cells index..index+7, reduced


@intrinsic
def spread(context: Any, array: Any, index: Any) -> Any:
    """The cell at index in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(4))
        pointer = data(context, builder, signature.args[0], args[0], offset)
        words = [
            everywhere(builder, builder.load(builder.gep(pointer, [WORD(j)]))) for j in range(4)
        ]
        return give(builder, unpacked(builder, words))

    return lanes(array, types.intp), generate


def everywhere(builder: Any, word: Any) -> Any:
    single = builder.insert_element(ir.Constant(FULL, ir.Undefined), word, ir.IntType(32)(0))
    return shuffle(builder, single, single, [0] * WIDTH)


@intrinsic
def load_raw(context: Any, array: Any, row: Any) -> Any:
    """What `store_raw` wrote: a row of an array of shape (n, 5, 8)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(LIMBS * WIDTH))
        pointer = data(context, builder, signature.args[0], args[0], offset)
        return give(builder, [read(builder, pointer, FULL, j) for j in range(LIMBS)])

    return lanes(array, types.intp), generate


@intrinsic
def store_raw(context: Any, array: Any, row: Any, value: Any) -> Any:
    """Limbs as they are, into a row of an array of shape (n, 5, 8)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(LIMBS * WIDTH))
        pointer = data(context, builder, signature.args[0], args[0], offset)
        for j, limb in enumerate(take(builder, args[2])):
            write(builder, limb, pointer, j)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


# Lanes one by one: a mask has bit k for lane k


def mask(builder: Any, booleans: Any) -> Any:
    return builder.zext(builder.bitcast(booleans, ir.IntType(8)), WORD)


@intrinsic
def choose(context: Any, mask: Any, x: Any, y: Any) -> Any:
    """x in the lanes of the mask, y in the others."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        booleans = builder.bitcast(builder.trunc(args[0], ir.IntType(8)), BOOLS)
        both = zip(take(builder, args[1]), take(builder, args[2]), strict=True)
        return give(builder, [builder.select(booleans, a, b) for a, b in both])

    return lanes(types.int64, lanes, lanes), generate
