"""The AVX512-IFMA back-end: eight field elements as one Numba value, and the operations on it.

A `Vectors(n)` is n LLVM vectors of eight 64-bit words. `lanes`, which has five, holds in lane k the
k-th of eight elements in limbs of 52 bits, the lowest first: what vpmadd52luq and vpmadd52huq
multiply. An element stands for x as in the scalar tier (x 2^256 mod p), but is below 2p only;
`load` and `store` are between that and the scalar tier's cells of four words below p.

`mul` shifts one factor left by four bits, so that reducing five limbs, a division by 2^260, leaves
the product's 2^256.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from prover.field import P, Q

BITS, LIMBS, WIDTH = 52, 5, 8
LOW = 2**BITS - 1
WORD = ir.IntType(64)
HALF, FULL = ir.VectorType(WORD, 4), ir.VectorType(WORD, WIDTH)
BOOLS = ir.VectorType(ir.IntType(1), WIDTH)


class Vectors(types.Type):  # type: ignore[misc]
    """`count` LLVM vectors of eight words, opaque to Numba."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"Vectors({count})")


@register_model(Vectors)
class VectorsModel(models.PrimitiveModel):  # type: ignore[misc]
    """A Vectors is held as an LLVM array."""

    def __init__(self, manager: Any, kind: Vectors) -> None:
        super().__init__(manager, kind, ir.ArrayType(FULL, kind.count))


octet = Vectors(1)  # eight words
lanes = Vectors(LIMBS)  # eight elements
sums = Vectors(LIMBS + 1)  # eight sums of (word) * (element)


def _splat(value: int) -> Any:
    return ir.Constant(FULL, [value % 2**64] * WIDTH)


def _limbs(value: int) -> list[Any]:
    """A number below 2^260 in every lane."""
    return [_splat(value >> BITS * j & LOW) for j in range(LIMBS)]


def _take(builder: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, j) for j in range(value.type.count)]


def _give(builder: Any, vectors: Sequence[Any]) -> Any:
    value = ir.Constant(ir.ArrayType(FULL, len(vectors)), ir.Undefined)
    for j, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, j)
    return value


def _shuffle(builder: Any, a: Any, b: Any, order: Sequence[int]) -> Any:
    indices = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order))
    return builder.shuffle_vector(a, b, indices)


def _multiply_add(builder: Any, part: str, total: Any, x: Any, y: Any) -> Any:
    """total + the low ("l") or high ("h") 52 bits of the product of x's and y's low 52 bits."""
    kind = ir.FunctionType(FULL, [FULL] * 3)
    name = f"llvm.x86.avx512.vpmadd52{part}.uq.512"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [total, x, y])


# Arithmetic on lists of vectors: first digits of any size and sign, then carries


def _carried(builder: Any, digits: Sequence[Any]) -> list[Any]:
    """The digits brought to 52 bits each; the top one keeps the sign and what exceeds."""
    found, carry = [], None
    for j, given in enumerate(digits):
        digit = given if carry is None else builder.add(given, carry)
        carry = builder.ashr(digit, _splat(BITS))
        found.append(digit if j == len(digits) - 1 else builder.and_(digit, _splat(LOW)))
    return found


def _with_wrap(builder: Any, digits: Sequence[Any], modulus: int) -> list[Any]:
    """The digits' number, plus modulus in the lanes where it is negative."""
    top = digits[0]
    for digit in digits[1:]:
        top = builder.add(digit, builder.ashr(top, _splat(BITS)))
    negative = builder.icmp_signed("<", top, _splat(0))
    added = [
        builder.select(negative, builder.add(digit, limb), digit)
        for digit, limb in zip(digits, _limbs(modulus), strict=True)
    ]
    return _carried(builder, added)


def _minus(builder: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    return [builder.sub(a, b) for a, b in zip(x, y, strict=True)]


def _plus(builder: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    return [builder.add(a, b) for a, b in zip(x, y, strict=True)]


def _canonical(builder: Any, x: Sequence[Any], modulus: int) -> list[Any]:
    """x mod modulus, for x < 2 modulus."""
    return _with_wrap(builder, _minus(builder, x, _limbs(modulus)), modulus)


def _montgomery(builder: Any, x: Sequence[Any], y: Sequence[Any], modulus: int) -> list[Any]:
    """x y 2^-260 mod modulus, for factors in limbs, bits above 52 ignored.

    The lowest limb t is taken off four times by adding (t 2^-52 mod modulus) 2^52 instead, which
    waits for no other product as Montgomery's multiple of the modulus (1985) would; a fifth time by
    that multiple. For either field 2^-52 mod modulus < modulus / 7, so that the result is below
    x y 2^-260 + 8/7 modulus. A column of the product is written down only where it is needed.
    """
    inverse = pow(2**BITS, -1, modulus)
    t = [_splat(0)] * (2 * LIMBS)

    def accumulate(a: Any, b: Any, k: int) -> None:
        t[k] = _multiply_add(builder, "l", t[k], a, b)
        t[k + 1] = _multiply_add(builder, "h", t[k + 1], a, b)

    def column(k: int) -> None:
        for j in range(max(0, k - LIMBS + 1), min(k, LIMBS - 1) + 1):
            accumulate(x[j], y[k - j], k)

    column(0)
    for i in range(LIMBS - 1):
        column(i + 1)
        t[i + 1] = builder.add(t[i + 1], builder.lshr(t[i], _splat(BITS)))
        for j, limb in enumerate(_limbs(inverse)):
            accumulate(t[i], limb, i + 1 + j)
        column(i + LIMBS)
    factor, moduli = _splat(pow(-modulus, -1, 2**BITS)), _limbs(modulus)
    m = _multiply_add(builder, "l", _splat(0), t[4], factor)
    carry = builder.lshr(builder.add(t[4], _splat(LOW)), _splat(BITS))  # 1 unless the limb is zero
    t[5] = builder.add(t[5], carry)
    t[5] = _multiply_add(builder, "h", t[5], m, moduli[0])
    for j in range(1, LIMBS):
        accumulate(m, moduli[j], 4 + j)
    return _carried(builder, t[LIMBS:])


def _shifted(builder: Any, x: Sequence[Any]) -> list[Any]:
    """16 x, for x < 2^256, with bits to ignore above the 52 of a limb."""
    high = [builder.shl(limb, _splat(4)) for limb in x]
    low = [builder.lshr(limb, _splat(BITS - 4)) for limb in x[:-1]]
    return [high[0], *(builder.or_(h, l) for h, l in zip(high[1:], low, strict=True))]


def _operation(name: str, arity: int, emit: Callable[..., list[Any]]) -> Any:
    """An operation of lanes (one or two) on lanes, as one LLVM function that is always inlined."""
    kind = ir.ArrayType(FULL, LIMBS)

    def function(module: Any) -> Any:
        signature = ir.FunctionType(kind, [kind] * arity)
        found = cgutils.get_or_insert_function(module, signature, f"lanes_{name}")
        if found.is_declaration:
            found.linkage = "linkonce_odr"
            found.attributes.add("alwaysinline")
            builder = ir.IRBuilder(found.append_basic_block())
            vectors = emit(builder, *(_take(builder, value) for value in found.args))
            builder.ret(_give(builder, vectors))
        return found

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(function(builder.module), args)

    if arity == 1:

        @intrinsic
        def unary(context: Any, x: Any) -> Any:
            return lanes(lanes), generate

        return unary

    @intrinsic
    def binary(context: Any, x: Any, y: Any) -> Any:
        return lanes(lanes, lanes), generate

    return binary


def field(modulus: int) -> tuple[Any, ...]:
    """The field's operations, on numbers below 2 modulus and giving such, but for what is said.

    add, sub, mul; mul_raw: x y / 16; gap x - y and join x + y: cheaper, for numbers below modulus,
    as `load` gives them; fall: 4 (x - y), cheaper, below 16 modulus, for `mul_raw` alone to take.
    """
    twice = 2 * modulus

    def add(builder: Any, x: Any, y: Any) -> Any:
        return _with_wrap(builder, _minus(builder, _plus(builder, x, y), _limbs(twice)), twice)

    def sub(builder: Any, x: Any, y: Any) -> Any:
        return _with_wrap(builder, _minus(builder, x, y), twice)

    def mul(builder: Any, x: Any, y: Any) -> Any:
        return _montgomery(builder, _shifted(builder, x), y, modulus)

    def gap(builder: Any, x: Any, y: Any) -> Any:
        return _carried(builder, _plus(builder, _minus(builder, x, y), _limbs(modulus)))

    def join(builder: Any, x: Any, y: Any) -> Any:
        return _carried(builder, _plus(builder, x, y))

    def mul_raw(builder: Any, x: Any, y: Any) -> Any:
        return _montgomery(builder, x, y, modulus)

    def fall(builder: Any, x: Any, y: Any) -> Any:
        digits = _plus(builder, _minus(builder, x, y), _limbs(twice))
        return _carried(builder, [builder.shl(digit, _splat(2)) for digit in digits])

    return tuple(
        _operation(f"{emit.__name__}_{modulus:x}", 2, emit)
        for emit in (add, sub, mul, gap, join, mul_raw, fall)
    )


add_fr, sub_fr, mul_fr, gap_fr, join_fr, mul_raw_fr, fall_fr = field(P)
add_fq, sub_fq, mul_fq, gap_fq, join_fq, mul_raw_fq, fall_fq = field(Q)


def constant(value: int) -> Any:
    """A function of no arguments that is this number, below 2^260, in every lane."""

    @intrinsic
    def literal(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return _give(builder, _limbs(value))

        return lanes(), generate

    return literal


zero = constant(0)
one_fr, one_fq = constant(2**256 % P), constant(2**256 % Q)
square_fr = constant(2**512 % P)
lift_low_fr, lift_high_fr = constant(2**260 % P), constant(2**520 % P)


# Memory: cells of four words, points of eight


def _data(context: Any, builder: Any, kind: Any, array: Any, offset: Any) -> Any:
    """The address of the word at `offset` of a C-contiguous array of words."""
    data = context.make_array(kind)(context, builder, array).data
    return builder.gep(builder.bitcast(data, WORD.as_pointer()), [offset])


def _words(builder: Any, pointer: Any, kind: Any, index: int = 0) -> Any:
    """The index-th vector of type `kind` from pointer on."""
    return builder.load(
        builder.gep(builder.bitcast(pointer, kind.as_pointer()), [WORD(index)]), align=8
    )


def _write(builder: Any, vector: Any, pointer: Any, index: int = 0) -> None:
    target = builder.bitcast(pointer, vector.type.as_pointer())
    builder.store(vector, builder.gep(target, [WORD(index)]), align=8)


EVEN, ODD = [0, 4, 8, 12, 1, 5, 9, 13], [2, 6, 10, 14, 3, 7, 11, 15]
LEFT, RIGHT = [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15]


def _across(builder: Any, pairs: Sequence[Any]) -> list[Any]:
    """From four vectors of two cells each to four of one word of all eight cells."""
    a, b = (_shuffle(builder, pairs[0], pairs[1], order) for order in (EVEN, ODD))
    c, d = (_shuffle(builder, pairs[2], pairs[3], order) for order in (EVEN, ODD))
    return [_shuffle(builder, *two, side) for two in ((a, c), (b, d)) for side in (LEFT, RIGHT)]


def _back(builder: Any, words: Sequence[Any]) -> list[Any]:
    """The inverse of `_across`."""
    a, c = (_shuffle(builder, words[0], words[1], side) for side in (LEFT, RIGHT))
    b, d = (_shuffle(builder, words[2], words[3], side) for side in (LEFT, RIGHT))
    return [_shuffle(builder, *two, order) for two in ((a, b), (c, d)) for order in (EVEN, ODD)]


def _unpacked(builder: Any, words: Sequence[Any]) -> list[Any]:
    """Four words to five limbs."""
    limbs = [words[0]]
    for j in range(1, 4):
        low = builder.lshr(words[j - 1], _splat(64 - 12 * j))
        limbs.append(builder.or_(low, builder.shl(words[j], _splat(12 * j))))
    limbs = [builder.and_(limb, _splat(LOW)) for limb in limbs]
    return [*limbs, builder.lshr(words[3], _splat(16))]


def _packed(builder: Any, limbs: Sequence[Any]) -> list[Any]:
    """Five limbs to four words."""
    return [
        builder.or_(
            builder.lshr(limbs[j], _splat(12 * j)),
            builder.shl(limbs[j + 1], _splat(BITS - 12 * j)),
        )
        for j in range(4)
    ]


def _cells(builder: Any, pointer: Any) -> Any:
    """Eight cells that lie side by side."""
    pairs = [_words(builder, pointer, FULL, j) for j in range(4)]
    return _give(builder, _unpacked(builder, _across(builder, pairs)))


@intrinsic
def load(context: Any, array: Any, index: Any) -> Any:
    """The cells index..index+7 of an array."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(4))
        return _cells(builder, _data(context, builder, signature.args[0], args[0], offset))

    return lanes(array, types.intp), generate


@intrinsic
def load_at(context: Any, address: Any, index: Any) -> Any:
    """`load` for an array that is known by the address of its data."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        data = builder.inttoptr(args[0], WORD.as_pointer())
        return _cells(builder, builder.gep(data, [builder.mul(args[1], WORD(4))]))

    return lanes(types.uint64, types.intp), generate


def _storing(modulus: int) -> Any:
    @intrinsic
    def store(context: Any, array: Any, index: Any, value: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            offset = builder.mul(args[1], WORD(4))
            pointer = _data(context, builder, signature.args[0], args[0], offset)
            limbs = _canonical(builder, _take(builder, args[2]), modulus)
            for j, pair in enumerate(_back(builder, _packed(builder, limbs))):
                _write(builder, pair, pointer, j)
            return context.get_dummy_value()

        return types.void(array, types.intp, lanes), generate

    return store


store_fr, store_fq = _storing(P), _storing(Q)  # to the cells index..index+7, reduced


@intrinsic
def spread(context: Any, array: Any, index: Any) -> Any:
    """The cell at index in every lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(4))
        pointer = _data(context, builder, signature.args[0], args[0], offset)
        words = [
            _everywhere(builder, builder.load(builder.gep(pointer, [WORD(j)]))) for j in range(4)
        ]
        return _give(builder, _unpacked(builder, words))

    return lanes(array, types.intp), generate


def _everywhere(builder: Any, word: Any) -> Any:
    single = builder.insert_element(ir.Constant(FULL, ir.Undefined), word, ir.IntType(32)(0))
    return _shuffle(builder, single, single, [0] * WIDTH)


@intrinsic
def load_raw(context: Any, array: Any, row: Any) -> Any:
    """What `store_raw` wrote: a row of an array of shape (n, 5, 8)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(LIMBS * WIDTH))
        pointer = _data(context, builder, signature.args[0], args[0], offset)
        return _give(builder, [_words(builder, pointer, FULL, j) for j in range(LIMBS)])

    return lanes(array, types.intp), generate


@intrinsic
def store_raw(context: Any, array: Any, row: Any, value: Any) -> Any:
    """Limbs as they are, into a row of an array of shape (n, 5, 8)."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        offset = builder.mul(args[1], WORD(LIMBS * WIDTH))
        pointer = _data(context, builder, signature.args[0], args[0], offset)
        for j, limb in enumerate(_take(builder, args[2])):
            _write(builder, limb, pointer, j)
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), generate


# Points: x and y of eight points, each named by an index


def _addresses(context: Any, builder: Any, signature: Any, args: Any) -> list[Any]:
    """Where the points at[k] + shift .. at[k+7] + shift start."""
    points, at, k, shift = args[:4]
    indices = _data(context, builder, signature.args[1], at, k)
    found = []
    for lane in range(WIDTH):
        index = builder.add(builder.load(builder.gep(indices, [WORD(lane)])), shift)
        offset = builder.mul(index, WORD(8))
        found.append(_data(context, builder, signature.args[0], points, offset))
    return found


def _coordinate(offset: int) -> Any:
    @intrinsic
    def load(context: Any, points: Any, at: Any, k: Any, shift: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            halves = [
                _words(builder, builder.gep(pointer, [WORD(offset)]), HALF)
                for pointer in _addresses(context, builder, signature, args)
            ]
            pairs = [_shuffle(builder, halves[j], halves[j + 1], range(8)) for j in range(0, 8, 2)]
            return _give(builder, _unpacked(builder, _across(builder, pairs)))

        return lanes(points, at, types.intp, types.intp), generate

    return load


load_x, load_y = _coordinate(0), _coordinate(4)  # of the points at[k] + shift .. at[k+7] + shift


@intrinsic
def store_xy(context: Any, points: Any, at: Any, k: Any, shift: Any, x: Any, y: Any) -> Any:
    """Writes the points at[k] + shift .. at[k+7] + shift, reduced."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pairs = []
        for value in args[4:]:
            limbs = _canonical(builder, _take(builder, value), Q)
            pairs.append(_back(builder, _packed(builder, limbs)))
        addresses = _addresses(context, builder, signature, args)
        for j, (x_pair, y_pair) in enumerate(zip(*pairs, strict=True)):
            for lane, side in ((2 * j, LEFT), (2 * j + 1, RIGHT)):
                _write(builder, _shuffle(builder, x_pair, y_pair, side), addresses[lane])
        return context.get_dummy_value()

    return types.void(points, at, types.intp, types.intp, lanes, lanes), generate


# Lanes one by one: a mask has bit k for lane k


def _mask(builder: Any, booleans: Any) -> Any:
    return builder.zext(builder.bitcast(booleans, ir.IntType(8)), WORD)


@intrinsic
def special(context: Any, x: Any, y: Any) -> Any:
    """The mask of the lanes where x or y is zero or x = y, for numbers below the modulus."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def vanishes(limbs: Sequence[Any]) -> Any:
            joined = limbs[0]
            for limb in limbs[1:]:
                joined = builder.or_(joined, limb)
            return builder.icmp_unsigned("==", joined, _splat(0))

        left, right = (_take(builder, value) for value in args)
        gaps = [builder.xor(a, b) for a, b in zip(left, right, strict=True)]
        either = builder.or_(vanishes(left), vanishes(right))
        return _mask(builder, builder.or_(either, vanishes(gaps)))

    return types.int64(lanes, lanes), generate


@intrinsic
def choose(context: Any, mask: Any, x: Any, y: Any) -> Any:
    """x in the lanes of the mask, y in the others."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        booleans = builder.bitcast(builder.trunc(args[0], ir.IntType(8)), BOOLS)
        both = zip(_take(builder, args[1]), _take(builder, args[2]), strict=True)
        return _give(builder, [builder.select(booleans, a, b) for a, b in both])

    return lanes(types.int64, lanes, lanes), generate


# Words, and sums of products (word) * (element) that are reduced once at the end


@intrinsic
def load_words(context: Any, array: Any, offset: Any) -> Any:
    """The eight words of an array from offset on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _data(context, builder, signature.args[0], *args)
        return _give(builder, [_words(builder, pointer, FULL)])

    return octet(array, types.intp), generate


@intrinsic
def raised(context: Any, words: Any, amount: Any) -> Any:
    """The words plus an amount, modulo 2^64."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _take(builder, args[0])[0]
        return _give(builder, [builder.add(words, _everywhere(builder, args[1]))])

    return octet(octet, types.int64), generate


@intrinsic
def united(context: Any, left: Any, right: Any) -> Any:
    """The bits set in either word, lane by lane."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        left, right = (_take(builder, value)[0] for value in args)
        return _give(builder, [builder.or_(left, right)])

    return octet(octet, octet), generate


@intrinsic
def beyond(context: Any, words: Any) -> Any:
    """The mask of the lanes whose word has a bit above the 32 lowest."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _take(builder, args[0])[0]
        return _mask(builder, builder.icmp_unsigned(">", words, _splat(2**32 - 1)))

    return types.int64(octet), generate


@intrinsic
def negative(context: Any, words: Any) -> Any:
    """The mask of the lanes whose word, as a signed one, is negative."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _take(builder, args[0])[0]
        return _mask(builder, builder.icmp_signed("<", words, _splat(0)))

    return types.int64(octet), generate


@intrinsic
def magnitude(context: Any, words: Any) -> Any:
    """The absolute values of signed words, as numbers in lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        words = _take(builder, args[0])[0]
        below = builder.icmp_signed("<", words, _splat(0))
        size = builder.select(below, builder.sub(_splat(0), words), words)
        low, high = builder.and_(size, _splat(LOW)), builder.lshr(size, _splat(BITS))
        return _give(builder, [low, high, *[_splat(0)] * 3])

    return lanes(octet), generate


@intrinsic
def no_sums(context: Any) -> Any:
    """Eight empty sums."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _give(builder, [_splat(0)] * (LIMBS + 1))

    return sums(), generate


@intrinsic
def add_products(context: Any, total: Any, words: Any, x: Any) -> Any:
    """total + words x, for words below 2^52; 2^11 times at most between two `settled`."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total, word = _take(builder, args[0]), _take(builder, args[1])[0]
        for j, limb in enumerate(_take(builder, args[2])):
            total[j] = _multiply_add(builder, "l", total[j], word, limb)
            total[j + 1] = _multiply_add(builder, "h", total[j + 1], word, limb)
        return _give(builder, total)

    return sums(sums, octet, lanes), generate


@intrinsic
def settled(context: Any, total: Any) -> Any:
    """The same sums, carried into limbs of 52 bits."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _give(builder, _carried(builder, _take(builder, args[0])))

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
        for j, limb in enumerate(_take(builder, args[2])):
            offset = builder.add(builder.mul(width, WORD(j)), args[1])
            pointer = _data(context, builder, signature.args[0], args[0], offset)
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
            pointer = _data(context, builder, signature.args[0], args[0], offset)
            limbs.append(_words(builder, pointer, FULL))
        return _give(builder, limbs)

    return sums(array, types.intp), generate


@intrinsic
def parts(context: Any, total: Any) -> Any:
    """The low 260 bits of sums, and the rest (below 2^52), as numbers in lanes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        digits = _take(builder, args[0])
        *low, top = _carried(builder, digits)
        high = [top, *[_splat(0)] * (LIMBS - 1)]
        found = [_give(builder, low), _give(builder, high)]
        return context.make_tuple(builder, signature.return_type, found)

    return types.UniTuple(lanes, 2)(sums), generate
