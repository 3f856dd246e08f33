"""What gadgets share: affine combinations, ranges by limbs, and the hints that go with them."""

from __future__ import annotations

from prover.program.evaluate import Ints, within
from prover.program.ir import Affine, Expr, Index, View
from prover.program.relations import Relations, TableSpec


def whole(tensor: int, rank: int) -> View:
    """A tensor seen along the first `rank` axes of a relation, in order."""
    return View(tensor, tuple(Index(a) for a in range(rank)))


def one(view: View) -> Affine:
    return Affine(((1, view),))


def plus(a: Affine, *more: tuple[int, View], const: int = 0) -> Affine:
    return Affine(a.terms + more, a.const + const)


def times(a: Affine, factor: int) -> Affine:
    return Affine(tuple((factor * c, v) for c, v in a.terms), factor * a.const)


def affine_reads(*affines: Affine) -> set[int]:
    return {view.tensor for a in affines for _, view in a.terms}


def expr_reads(expr: Expr) -> set[int]:
    return affine_reads(expr.linear, *(a for c in expr.contractions for a in (c.x, c.y)))


def limbs(bits: int, limb: int) -> int:
    return -(-bits // limb)


def prove_range(
    rel: Relations, name: str, shape: tuple[int, ...], value: Affine, bits: int
) -> None:
    """value is in [0, 2^bits), bits a multiple of limb: upper limbs are hints, the lowest is what
    is left."""
    table = rel.table(TableSpec(0, 1 << rel.limb, None, 0))
    lowest = value
    for i in range(1, limbs(bits, rel.limb)):
        view = whole(rel.hint(f"{name}.u{i}", shape, 0, (1 << rel.limb) - 1), len(shape))
        rel.lookup(shape, table, one(view))
        lowest = plus(lowest, (-(1 << rel.limb * i), view))
    rel.lookup(shape, table, lowest)


def range_hints(
    name: str, value: Ints, bits: int, limb: int, offset: int = 0, label: str = ""
) -> dict[str, Ints]:
    """The upper limbs of value + offset; raises ValueRefused unless that is in [0, 2^bits)."""
    within(value, -offset, (1 << bits) - 1 - offset, label or name)
    mask = (1 << limb) - 1
    return {f"{name}.u{i}": value + offset >> limb * i & mask for i in range(1, limbs(bits, limb))}
