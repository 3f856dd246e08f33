"""The PTX that the CUDA tier is built on, run by an interpreter against Python's integers."""

from __future__ import annotations

import itertools
import random
import re

import pytest

from prover.field import P, Q
from prover.kernels.cuda import ptx
from tests.ptx import run

R = 2**256
FIELDS = pytest.mark.parametrize("modulus", [P, Q], ids=["Fr", "Fq"])


def operands(modulus: int) -> list[int]:
    """Zero, one, the largest, Montgomery's one, limbs of all ones and of none, and random ones."""
    rng = random.Random(modulus)
    edges = [0, 1, 2, modulus - 1, modulus - 2, modulus // 2, R % modulus, R * R % modulus]
    for j in range(1, 8):
        edges += [2 ** (32 * j), 2 ** (32 * j) - 1, modulus - 2 ** (32 * j)]
        edges.append((2**32 - 1) << 32 * (j - 1))
    edges += [(modulus >> 224 << 224) - 1, int("ffffffff00000000" * 3, 16), int("ffffffff" * 7, 16)]
    return [value for value in edges if value < modulus] + [
        rng.randrange(modulus) for _ in "012345"
    ]


def pairs(modulus: int) -> list[tuple[int, int]]:
    return list(itertools.product(operands(modulus), repeat=2))


@FIELDS
def test_mul_is_montgomerys(modulus: int) -> None:
    program, inverse = ptx.mul(modulus), pow(R, -1, modulus)
    for x, y in pairs(modulus):
        assert run(program, x=(x, 8), y=(y, 8)) == x * y * inverse % modulus


@FIELDS
def test_mul_takes_any_second_factor(modulus: int) -> None:
    program, inverse = ptx.mul(modulus), pow(R, -1, modulus)
    for y in (modulus, 2 * modulus, R - 1, R - modulus, 2**255):
        for x in operands(modulus):
            assert run(program, x=(x, 8), y=(y, 8)) == x * y * inverse % modulus


@FIELDS
def test_add_and_sub(modulus: int) -> None:
    plus, minus = ptx.add(modulus), ptx.sub(modulus)
    for x, y in pairs(modulus):
        assert run(plus, x=(x, 8), y=(y, 8)) == (x + y) % modulus
        assert run(minus, x=(x, 8), y=(y, 8)) == (x - y) % modulus


def test_less_than() -> None:
    values = [*operands(P), Q, R - 1]
    for x, y in itertools.product(values, repeat=2):
        assert run(ptx.less_than(), 1, x=(x, 8), y=(y, 8)) == (2**32 - 1 if x < y else 0)


def test_add_word_product() -> None:
    for total in (0, 1, 2**256 - 1, 2**287, 2**319 - 1, 2**320 - 1):
        for word in (0, 1, 2**16 - 1, 2**31, 2**32 - 1):
            for z in operands(P):
                got = run(ptx.add_word_product(), 10, x=(total, 10), y=(word, 1), z=(z, 8))
                assert got == (total + word * z) % 2**320


PROGRAMS = {
    "mul": ptx.mul(P), "mul Fq": ptx.mul(Q), "add": ptx.add(P), "sub": ptx.sub(Q),
    "less_than": ptx.less_than(), "add_word_product": ptx.add_word_product(),
}  # fmt: skip


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_may_lie_in_the_registers_of_operands(name: str) -> None:
    """No operand is read once a result is written: the assembler may use one register for both."""
    written = False
    for instruction in PROGRAMS[name]:
        target, *sources = instruction.partition(" ")[2].split(", ")
        assert not (written and any(re.fullmatch(r"[xyz]\d+", source) for source in sources))
        written = written or re.fullmatch(r"r\d+", target) is not None
    assert written


@FIELDS
def test_a_multiplication_takes_136_wide_ones(modulus: int) -> None:
    """8 * 8 products, as many with the modulus, and 8 multiples m: no more."""
    assert ptx.wide_multiplications(ptx.mul(modulus)) == 136


def test_no_instruction_of_mul_is_idle() -> None:
    """With any instruction dropped, a result is wrong or missing for some of these operands.

    This guards the operands: each carry of the program does happen in them.
    """
    program, inverse = ptx.mul(P), pow(R, -1, P)
    chosen = pairs(P)[::7] + [(x, R - 1) for x in operands(P)]
    for dropped in range(len(program)):
        rest = program[:dropped] + program[dropped + 1 :]
        assert any(_wrong(rest, x, y, x * y * inverse % P) for x, y in chosen), program[dropped]


def _wrong(program: ptx.Program, x: int, y: int, expected: int) -> bool:
    try:
        return run(program, x=(x, 8), y=(y, 8)) != expected
    except (KeyError, ValueError):
        return True


def test_the_interpreter_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="not in the subset"):
        run(["add.f32 r0, x0, x1"], 1, x=(0, 2))
    with pytest.raises(ValueError, match="carry flag is read before"):
        run(["addc.u32 r0, x0, x1"], 1, x=(0, 2))
    with pytest.raises(KeyError):
        run(["add.u32 r0, x0, x9"], 1, x=(0, 2))
