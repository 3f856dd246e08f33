"""Field arithmetic for the GPU as PTX text, generated: 256-bit integers in eight 32-bit limbs.

A GPU multiplies 32-bit words and has one carry flag. A product of words takes two limbs, so that
products at even places do not overlap, nor do those at odd places: a row of a long multiplication
is two chains, each passing the carry flag from end to end, with no carry between them but at the
top (Emmart, Zheng, Weems, "Faster modular exponentiation using double precision floating point
arithmetic on the GPU", ARITH 2018, section II, describes this for 32-bit integers). The assembler
fuses the two halves of a product, lo and hi, into one wide multiplication.

A program is a tuple of instructions over registers named here: operands x0.., y0.., z0.., results
r0..; every result is written after the last read of an operand, so that they may share registers.
The carry flag lives within one program. An interpreter in the tests gives these programs their
meaning: Parallel Thread Execution ISA 8, "Extended-precision integer arithmetic instructions".
"""

from collections.abc import Sequence
from typing import TypeAlias

LIMBS = 8
WIDE_LIMBS = 10  # of a sum of products word * element
MASK = 2**32 - 1

Program: TypeAlias = tuple[str, ...]


def limbs(value: int, count: int = LIMBS) -> list[int]:
    """The 32-bit limbs of value, the lowest first."""
    return [value >> 32 * j & MASK for j in range(count)]


def names(letter: str, count: int = LIMBS) -> list[str]:
    """The registers of one integer."""
    return [f"{letter}{j}" for j in range(count)]


def _products(out: Sequence[str], xs: Sequence[object], y: str) -> list[str]:
    """out = sum_j xs[j] y 2^(64 j), exactly."""
    code = []
    for j, x in enumerate(xs):
        code += [f"mul.lo.u32 {out[2 * j]}, {x}, {y}", f"mul.hi.u32 {out[2 * j + 1]}, {x}, {y}"]
    return code


def _add_products(
    out: Sequence[str],
    xs: Sequence[object],
    y: str,
    terms: Sequence[str],
    carry_in: bool = False,
    carry_out: bool = False,
) -> list[str]:
    """out = terms + sum_j xs[j] y 2^(64 j), one chain of carries."""
    code = []
    for place in range(2 * len(xs)):
        half = "hi" if place % 2 else "lo"
        takes = "c" if place or carry_in else ""
        gives = ".cc" if place + 1 < 2 * len(xs) or carry_out else ""
        factor, term = xs[place // 2], terms[place]
        code.append(f"mad{takes}.{half}{gives}.u32 {out[place]}, {factor}, {y}, {term}")
    return code


def _add(out: Sequence[str], xs: Sequence[str], ys: Sequence[object]) -> list[str]:
    """out = xs + ys, the carry out of the top dropped."""
    last = len(out) - 1
    return [
        f"add{'c' if j else ''}{'.cc' if j < last else ''}.u32 {out[j]}, {xs[j]}, {ys[j]}"
        for j in range(len(out))
    ]


def _subtract(out: Sequence[str], xs: Sequence[object], ys: Sequence[object]) -> list[str]:
    """out = xs - ys modulo 2^256, and borrow = all ones if xs < ys, else zero."""
    code = [f"sub{'c' if j else ''}.cc.u32 {out[j]}, {xs[j]}, {ys[j]}" for j in range(len(out))]
    return [*code, "subc.u32 borrow, 0, 0"]


def _reduce_once(out: Sequence[str], xs: Sequence[str], modulus: int) -> list[str]:
    """out = xs mod modulus, for xs < 2 modulus."""
    less = names("l")
    code = _subtract(less, xs, limbs(modulus))
    code.append("setp.ne.u32 wrapped, borrow, 0")
    return code + [f"selp.u32 {out[j]}, {xs[j]}, {less[j]}, wrapped" for j in range(LIMBS)]


def mul(modulus: int) -> Program:
    """r = x y 2^-256 mod modulus, for x < modulus and any y below 2^256.

    Montgomery 1985 row by row: add x times a limb of y, add the multiple m of the modulus that
    clears the lowest limb, drop that limb. The sum is kept as even + odd 2^32; dropping a limb
    makes the odd part the even one, and the even part, two limbs lower, the odd one. It stays below
    2 modulus < 2^255 between rows, and below 2^287 within one, so nothing leaves the top of odd.
    """
    xs, moduli = names("x"), limbs(modulus)
    inverse = pow(-modulus, -1, 2**32)
    even, odd = names("e"), names("o")
    code: list[str] = []
    for i, y in enumerate(names("y")):
        if i == 0:
            code += _products(even, xs[::2], y) + _products(odd, xs[1::2], y)
        else:
            even, odd = odd, even
            code.append(f"add.cc.u32 {even[0]}, {even[0]}, {odd[1]}")
            code += _add_products(odd, xs[1::2], y, [*odd[2:], "0", "0"], carry_in=True)
            code += _add_products(even, xs[::2], y, even, carry_out=True)
            code.append(f"addc.u32 {odd[7]}, {odd[7]}, 0")
        code.append(f"mul.lo.u32 m, {even[0]}, {inverse}")
        code += _add_products(odd, moduli[1::2], "m", odd)
        code += _add_products(even, moduli[::2], "m", even, carry_out=True)
        code.append(f"addc.u32 {odd[7]}, {odd[7]}, 0")
    code += _add(odd, odd, [*even[1:], "0"])
    return tuple(code + _reduce_once(names("r"), odd, modulus))


def add(modulus: int) -> Program:
    """r = x + y mod modulus, for x, y < modulus < 2^255."""
    total = names("t")
    return tuple(_add(total, names("x"), names("y")) + _reduce_once(names("r"), total, modulus))


def sub(modulus: int) -> Program:
    """r = x - y mod modulus, for x, y < modulus."""
    less = names("l")
    code = _subtract(less, names("x"), names("y"))
    code += [f"and.b32 t{j}, borrow, {limb}" for j, limb in enumerate(limbs(modulus))]
    return tuple(code + _add(names("r"), less, names("t")))


def less_than() -> Program:
    """r0 = all ones if x < y as integers, else zero."""
    return (*_subtract(names("l"), names("x"), names("y")), "mov.u32 r0, borrow")


def add_word_product() -> Program:
    """r = x + y0 z: x and r of ten limbs, y0 one, z eight; modulo 2^320."""
    total, zs = names("t", WIDE_LIMBS), names("z")
    code = _add_products(total, zs[::2], "y0", names("x"), carry_out=True)
    code += [f"addc.cc.u32 {total[8]}, x8, 0", f"addc.u32 {total[9]}, x9, 0"]
    code += _add_products(total[1:9], zs[1::2], "y0", total[1:9], carry_out=True)
    code.append(f"addc.u32 {total[9]}, {total[9]}, 0")
    return tuple(code + [f"mov.u32 r{j}, {t}" for j, t in enumerate(total)])


def wide_multiplications(program: Program) -> int:
    """The multiplications that a GPU makes of it: the lo and the hi half of a product are one."""
    return sum(instruction.startswith(("mul.lo", "mad.lo", "madc.lo")) for instruction in program)
