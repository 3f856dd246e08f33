"""The AVX512-IFMA back-end: eight field elements as one Numba value, and the operations on it.

A `Vectors(n)` is n LLVM vectors of eight 64-bit words. `lanes`, which has five, holds in lane k the
k-th of eight elements in limbs of 52 bits, the lowest first: what vpmadd52luq and vpmadd52huq
multiply. An element stands for x as in the scalar tier (x 2^256 mod p), but is below 2p only;
the rooms beside this one load and store them: `cells`, `gather` (points), `words` (sums).

`mul` shifts one factor left by four bits, so that reducing five limbs, a division by 2^260, leaves
the product's 2^256. A product waits for itself many times: where there are two at hand, an
operation that ends in _2 emits both, step by step in turn.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from prover.field import P, Q
from prover.kernels.ifma.shape import BITS, LIMBS, WIDTH

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
pair = types.UniTuple(lanes, 2)


def splat(value: int) -> Any:
    """A word in every lane."""
    return ir.Constant(FULL, [value % 2**64] * WIDTH)


def limbs_of(value: int) -> list[Any]:
    """The limbs of a number below 2^260, in every lane."""
    return [splat(value >> BITS * j & LOW) for j in range(LIMBS)]


def take(builder: Any, value: Any) -> list[Any]:
    """The vectors of a value."""
    return [builder.extract_value(value, j) for j in range(value.type.count)]


def give(builder: Any, vectors: Sequence[Any]) -> Any:
    """The value of vectors."""
    value = ir.Constant(ir.ArrayType(FULL, len(vectors)), ir.Undefined)
    for j, vector in enumerate(vectors):
        value = builder.insert_value(value, vector, j)
    return value


def shuffle(builder: Any, a: Any, b: Any, order: Sequence[int]) -> Any:
    """The lanes of a and b, in this order."""
    indices = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order))
    return builder.shuffle_vector(a, b, indices)


def multiply_add(builder: Any, part: str, total: Any, x: Any, y: Any) -> Any:
    """total + the low ("l") or high ("h") 52 bits of the product of x's and y's low 52 bits."""
    kind = ir.FunctionType(FULL, [FULL] * 3)
    name = f"llvm.x86.avx512.vpmadd52{part}.uq.512"
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [total, x, y])


# Arithmetic on lists of vectors: first digits of any size and sign, then carries


def carried(builder: Any, digits: Sequence[Any]) -> list[Any]:
    """The digits brought to 52 bits each; the top one keeps the sign and what exceeds."""
    found, carry = [], None
    for j, given in enumerate(digits):
        digit = given if carry is None else builder.add(given, carry)
        carry = builder.ashr(digit, splat(BITS))
        found.append(digit if j == len(digits) - 1 else builder.and_(digit, splat(LOW)))
    return found


def _with_wrap(builder: Any, digits: Sequence[Any], modulus: int) -> list[Any]:
    """The digits' number, plus modulus in the lanes where it is negative."""
    top = digits[0]
    for digit in digits[1:]:
        top = builder.add(digit, builder.ashr(top, splat(BITS)))
    negative = builder.icmp_signed("<", top, splat(0))
    added = [
        builder.select(negative, builder.add(digit, limb), digit)
        for digit, limb in zip(digits, limbs_of(modulus), strict=True)
    ]
    return carried(builder, added)


def minus(builder: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    return [builder.sub(a, b) for a, b in zip(x, y, strict=True)]


def plus(builder: Any, x: Sequence[Any], y: Sequence[Any]) -> list[Any]:
    return [builder.add(a, b) for a, b in zip(x, y, strict=True)]


def canonical(builder: Any, x: Sequence[Any], modulus: int) -> list[Any]:
    """x mod modulus, for x < 2 modulus."""
    return _with_wrap(builder, minus(builder, x, limbs_of(modulus)), modulus)


def _steps(
    builder: Any, x: Sequence[Any], y: Sequence[Any], modulus: int
) -> Generator[None, None, list[Any]]:
    """x y 2^-260 mod modulus, for factors in limbs, bits above 52 ignored; not yet carried.

    The lowest limb t is taken off four times by adding (t 2^-52 mod modulus) 2^52 instead, which
    waits for no other product as Montgomery's multiple of the modulus (1985) would; a fifth time by
    that multiple. For either field 2^-52 mod modulus < modulus / 7, so that the result is below
    x y 2^-260 + 8/7 modulus. A column of the product is written down only where it is needed.
    """
    inverse = pow(2**BITS, -1, modulus)
    t = [splat(0)] * (2 * LIMBS)

    def accumulate(a: Any, b: Any, k: int) -> None:
        t[k] = multiply_add(builder, "l", t[k], a, b)
        t[k + 1] = multiply_add(builder, "h", t[k + 1], a, b)

    def column(k: int) -> None:
        for j in range(max(0, k - LIMBS + 1), min(k, LIMBS - 1) + 1):
            accumulate(x[j], y[k - j], k)

    column(0)
    yield
    for i in range(LIMBS - 1):
        column(i + 1)
        yield
        t[i + 1] = builder.add(t[i + 1], builder.lshr(t[i], splat(BITS)))
        for j, limb in enumerate(limbs_of(inverse)):
            accumulate(t[i], limb, i + 1 + j)
        yield
        column(i + LIMBS)
        yield
    factor, moduli = splat(pow(-modulus, -1, 2**BITS)), limbs_of(modulus)
    m = multiply_add(builder, "l", splat(0), t[4], factor)
    carry = builder.lshr(builder.add(t[4], splat(LOW)), splat(BITS))  # 1 unless the limb is zero
    yield
    t[5] = builder.add(t[5], carry)
    t[5] = multiply_add(builder, "h", t[5], m, moduli[0])
    for j in range(1, LIMBS):
        accumulate(m, moduli[j], 4 + j)
    return t[LIMBS:]


def _montgomery(builder: Any, modulus: int, *factors: Sequence[Any]) -> list[list[Any]]:
    """The products of factors two by two, their `_steps` in turn."""
    runs = [
        _steps(builder, x, y, modulus) for x, y in zip(factors[::2], factors[1::2], strict=True)
    ]
    found: dict[int, list[Any]] = {}
    while len(found) < len(runs):
        for i, run in enumerate(runs):
            try:
                next(run)
            except StopIteration as end:
                found[i] = end.value
    return [found[i] for i in range(len(runs))]


def _shifted(builder: Any, x: Sequence[Any]) -> list[Any]:
    """16 x, for x < 2^256, with bits to ignore above the 52 of a limb."""
    high = [builder.shl(limb, splat(4)) for limb in x]
    low = [builder.lshr(limb, splat(BITS - 4)) for limb in x[:-1]]
    return [high[0], *(builder.or_(h, l) for h, l in zip(high[1:], low, strict=True))]


def _operation(name: str, arity: int, emit: Callable[..., list[list[Any]]]) -> Any:
    """An operation of two lanes on one, or of four on two: one LLVM function, always inlined."""
    kind = ir.ArrayType(FULL, LIMBS)
    result = kind if arity == 2 else ir.ArrayType(kind, 2)

    def function(module: Any) -> Any:
        signature = ir.FunctionType(result, [kind] * arity)
        found = cgutils.get_or_insert_function(module, signature, f"lanes_{name}")
        if found.is_declaration:
            found.linkage = "linkonce_odr"
            found.attributes.add("alwaysinline")
            builder = ir.IRBuilder(found.append_basic_block())
            values = [
                give(builder, e) for e in emit(builder, *(take(builder, a) for a in found.args))
            ]
            builder.ret(values[0] if arity == 2 else cgutils.pack_array(builder, values))
        return found

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.call(function(builder.module), args)

    if arity == 2:

        @intrinsic
        def single(context: Any, x: Any, y: Any) -> Any:
            return lanes(lanes, lanes), generate

        return single

    @intrinsic
    def double(context: Any, x: Any, y: Any, v: Any, w: Any) -> Any:
        return pair(lanes, lanes, lanes, lanes), generate

    return double


def field(modulus: int) -> tuple[Any, ...]:
    """The field's operations, on numbers below 2 modulus and giving such, but for what is said.

    add, sub, mul; and cheaper ones:
    gap x - y and join x + y, for numbers below modulus, as `load` gives them;
    fall 4 (x - y), below 16 modulus, for mul_raw and product alone to take;
    rough is mul in limbs not carried, for add, sub and store alone to take;
    mul_raw x y / 16; product the same in limbs not carried.
    Of two at once: mul_2 (x y, v w), rough_2, mul_raw_2, product_2.
    """
    twice = 2 * modulus

    def add(builder: Any, x: Any, y: Any) -> Any:
        return [_with_wrap(builder, minus(builder, plus(builder, x, y), limbs_of(twice)), twice)]

    def sub(builder: Any, x: Any, y: Any) -> Any:
        return [_with_wrap(builder, minus(builder, x, y), twice)]

    def gap(builder: Any, x: Any, y: Any) -> Any:
        return [carried(builder, plus(builder, minus(builder, x, y), limbs_of(modulus)))]

    def join(builder: Any, x: Any, y: Any) -> Any:
        return [carried(builder, plus(builder, x, y))]

    def fall(builder: Any, x: Any, y: Any) -> Any:
        digits = plus(builder, minus(builder, x, y), limbs_of(twice))
        return [carried(builder, [builder.shl(digit, splat(2)) for digit in digits])]

    def product(builder: Any, *factors: Any) -> Any:
        return _montgomery(builder, modulus, *factors)

    def mul_raw(builder: Any, *factors: Any) -> Any:
        return [carried(builder, digits) for digits in product(builder, *factors)]

    def rough(builder: Any, *factors: Any) -> Any:
        shifted = [x if i % 2 else _shifted(builder, x) for i, x in enumerate(factors)]
        return product(builder, *shifted)

    def mul(builder: Any, *factors: Any) -> Any:
        return [carried(builder, digits) for digits in rough(builder, *factors)]

    once = (add, sub, gap, join, fall, mul, rough, mul_raw, product)
    return (
        *(_operation(f"{emit.__name__}_{modulus:x}", 2, emit) for emit in once),
        *(_operation(f"{emit.__name__}_2_{modulus:x}", 4, emit) for emit in once[5:]),
    )


(
    add_fr, sub_fr, gap_fr, join_fr, fall_fr, mul_fr, rough_fr, mul_raw_fr, product_fr,
    mul_2_fr, rough_2_fr, mul_raw_2_fr, product_2_fr,
) = field(P)  # fmt: skip
(
    add_fq, sub_fq, gap_fq, join_fq, fall_fq, mul_fq, rough_fq, mul_raw_fq, product_fq,
    mul_2_fq, rough_2_fq, mul_raw_2_fq, product_2_fq,
) = field(Q)  # fmt: skip


@intrinsic
def shifted(context: Any, x: Any) -> Any:
    """16 x, for x < 2^256, for mul_raw and product alone to take."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return give(builder, _shifted(builder, take(builder, args[0])))

    return lanes(lanes), generate


def constant(value: int) -> Any:
    """A function of no arguments that is this number, below 2^260, in every lane."""

    @intrinsic
    def literal(context: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            return give(builder, limbs_of(value))

        return lanes(), generate

    return literal


zero = constant(0)
one_fr, one_fq = constant(2**256 % P), constant(2**256 % Q)
