"""The meaning of the PTX that prover/kernels/cuda/ptx.py generates: an interpreter of its subset.

Parallel Thread Execution ISA 8: integer, extended-precision, comparison and logic instructions on
32-bit registers, one carry flag, predicates. Reading a register or a carry that nothing has
written is an error, as is an instruction outside the subset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

MASK = 2**32 - 1
# The modifiers that follow an operation's name, by operation; `.cc` writes the carry flag.
ARITHMETIC = {"add", "addc", "sub", "subc", "mul", "mad", "madc"}
OTHER = {"and.b32", "mov.u32", "setp.ne.u32", "selp.u32"}


@dataclass
class Machine:
    """Registers by name, and the carry flag, None until an instruction writes it."""

    registers: dict[str, int] = field(default_factory=dict)
    carry: int | None = None

    def read(self, operand: str) -> int:
        return int(operand) & MASK if operand.isdigit() else self.registers[operand]

    def flag(self) -> int:
        if self.carry is None:
            raise ValueError("the carry flag is read before anything has written it")
        return self.carry

    def step(self, instruction: str) -> None:
        operation, _, operands = instruction.partition(" ")
        target, *sources = operands.split(", ")
        values = [self.read(source) for source in sources]
        name, *modifiers = operation.split(".")
        if operation in OTHER:
            self.registers[target] = self.logic(operation, values)
            return
        if name not in ARITHMETIC or modifiers[-1] != "u32":
            raise ValueError(f"not in the subset: {instruction}")
        if name.removesuffix("c") in ("mul", "mad"):
            product = values[0] * values[1]
            half = {"lo": product & MASK, "hi": product >> 32}[modifiers[0]]
            total = half + (values[2] if name != "mul" else 0)
            total += self.flag() if name == "madc" else 0
        elif name in ("add", "addc"):
            total = sum(values) + (self.flag() if name == "addc" else 0)
        else:  # the flag is the borrow
            total = values[0] - values[1] - (self.flag() if name == "subc" else 0)
        self.registers[target] = total & MASK
        if "cc" in modifiers:
            self.carry = 1 if total < 0 else total >> 32

    def logic(self, operation: str, values: Sequence[int]) -> int:
        if operation == "and.b32":
            return values[0] & values[1]
        if operation == "mov.u32":
            return values[0]
        if operation == "setp.ne.u32":
            return int(values[0] != values[1])
        return values[0] if values[2] else values[1]


def run(program: Sequence[str], results: int = 8, **integers: tuple[int, int]) -> int:
    """The result registers as one integer; integers: letter=(value, number of limbs)."""
    machine = Machine()
    for letter, (value, count) in integers.items():
        for j in range(count):
            machine.registers[f"{letter}{j}"] = value >> 32 * j & MASK
    for instruction in program:
        machine.step(instruction)
    return sum(machine.registers[f"r{j}"] << 32 * j for j in range(results))
