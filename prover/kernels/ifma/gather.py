"""Points of eight words, eight at a time, each named by a reference: 2 i, or 2 i + 1 for its
negative."""

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from prover.field import Q
from prover.kernels.ifma.cells import (
    LEFT,
    RIGHT,
    across,
    back,
    data,
    mask,
    packed,
    read,
    unpacked,
    write,
)
from prover.kernels.ifma.lanes import (
    BOOLS,
    HALF,
    WORD,
    canonical,
    give,
    lanes,
    limbs_of,
    minus,
    shuffle,
    splat,
    take,
)
from prover.kernels.ifma.shape import WIDTH

INDEX = ir.IntType(32)


def _indices(context: Any, builder: Any, kind: Any, array: Any, k: Any) -> Any:
    """Eight numbers of an int32 array from k on, as one vector."""
    start = context.make_array(kind)(context, builder, array).data
    pointer = builder.gep(builder.bitcast(start, INDEX.as_pointer()), [k])
    eight = ir.VectorType(INDEX, WIDTH)
    return builder.load(builder.bitcast(pointer, eight.as_pointer()), align=4)


def _addresses(
    context: Any, builder: Any, kinds: Sequence[Any], args: Sequence[Any], step: int
) -> list[Any]:
    """Where the points of (points, numbers, k) start, `step` words for each unit of a number."""
    points, numbers, k = args[:3]
    eight = _indices(context, builder, kinds[1], numbers, k)
    found = []
    for lane in range(WIDTH):
        number = builder.zext(builder.extract_element(eight, INDEX(lane)), WORD)
        number = builder.and_(number, WORD(-2 % 2**64)) if step == 4 else number
        found.append(data(context, builder, kinds[0], points, builder.mul(number, WORD(step))))
    return found


def _coordinate(offset: int) -> Any:
    @intrinsic
    def load(context: Any, points: Any, references: Any, k: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            halves = [
                read(builder, builder.gep(pointer, [WORD(offset)]), HALF)
                for pointer in _addresses(context, builder, signature.args, args, 4)
            ]
            pairs = [shuffle(builder, halves[j], halves[j + 1], range(8)) for j in range(0, 8, 2)]
            limbs = unpacked(builder, across(builder, pairs))
            if offset:  # y of the negative is Q - y; a limb may be negative
                eight = _indices(context, builder, signature.args[1], *args[1:])
                signs = builder.trunc(eight, BOOLS)
                less = minus(builder, limbs_of(Q), limbs)
                limbs = [builder.select(signs, a, b) for a, b in zip(less, limbs, strict=True)]
            return give(builder, limbs)

        return lanes(points, references, types.intp), generate

    return load


load_x = _coordinate(0)  # of the points that references[k..k+7] name
load_y = _coordinate(4)  # in limbs not carried, for add, sub, gap and store alone to take


@intrinsic
def prefetch(context: Any, points: Any, references: Any, k: Any) -> Any:
    """Asks for the points that references[k..k+7] name to be brought near."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for pointer in _addresses(context, builder, signature.args, args, 4):
            near = [builder.bitcast(pointer, byte), number(0), number(2), number(1)]
            builder.call(ask, near)
        return context.get_dummy_value()

    return types.void(points, references, types.intp), generate


@intrinsic
def store_xy(context: Any, points: Any, places: Any, k: Any, x: Any, y: Any) -> Any:
    """Writes eight points, reduced, to places[k..k+7]."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = []
        for value in args[3:]:
            limbs = canonical(builder, take(builder, value), Q)
            pairs.append(back(builder, packed(builder, limbs)))
        addresses = _addresses(context, builder, signature.args, args, 8)
        for j, (x_pair, y_pair) in enumerate(zip(*pairs, strict=True)):
            for lane, side in ((2 * j, LEFT), (2 * j + 1, RIGHT)):
                write(builder, shuffle(builder, x_pair, y_pair, side), addresses[lane])
        return context.get_dummy_value()

    return types.void(points, places, types.intp, lanes, lanes), generate


@intrinsic
def special(context: Any, x: Any, y: Any) -> Any:
    """The mask of the lanes where x or y is zero or x = y, for numbers below the modulus."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def vanishes(limbs: Sequence[Any]) -> Any:
            joined = limbs[0]
            for limb in limbs[1:]:
                joined = builder.or_(joined, limb)
            return builder.icmp_unsigned("==", joined, splat(0))

        left, right = (take(builder, value) for value in args)
        gaps = [builder.xor(a, b) for a, b in zip(left, right, strict=True)]
        either = builder.or_(vanishes(left), vanishes(right))
        return mask(builder, builder.or_(either, vanishes(gaps)))

    return types.int64(lanes, lanes), generate
