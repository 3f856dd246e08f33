"""Verifiers that leave something out, and provers that do likewise: what an attack is good for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from prover import linear
from prover.challenges import Challenges
from prover.program.format import Kernel, Kind, Sum, VerifierProgram
from prover.program.layout import Layout
from tests.soundness.small import patched


def renumbered(v: VerifierProgram, moved: Callable[[int], int]) -> VerifierProgram:
    """Other ids wherever values are read."""

    def pairs(old: Sum) -> Sum:
        return tuple((moved(left), moved(right)) for left, right in old)

    records = (replace(c, kernels=tuple(map(moved, c.kernels))) for c in v.contractions)
    return replace(
        v,
        contractions=tuple(records),
        products=pairs(v.products),
        sums=tuple(map(pairs, v.sums)),
    )


def with_kernel(
    v: VerifierProgram, kernel: Kernel, instead: tuple[int, ...] = ()
) -> VerifierProgram:
    """One more kernel record of one value, which is read instead of the values of these ids."""
    new = v.first_view
    moved = renumbered(v, lambda number: new if number in instead else number + (number >= new))
    return replace(moved, kernels=(*v.kernels, kernel))


def without_relation(v: VerifierProgram, j: int) -> VerifierProgram:
    """A verifier section that forgets einsum j: the scale of its left side, and a kernel of its
    contractions, are zero."""
    assert all(c.kernels[2] == 0 for c in v.contractions)
    zero = v.first_view
    records = [
        replace(c, kernels=(zero, *c.kernels[:2])) if c.relation == j else c for c in v.contractions
    ]
    forgetful = with_kernel(v, Kernel(Kind.CUT), (v.first_scale + j,))
    return replace(forgetful, contractions=tuple(records))


def forgetting(layout: Layout, j: int) -> Layout:
    """A prover's part in that."""
    return replace(
        layout,
        verifier=without_relation(layout.verifier, j),
        terms=tuple(term for term in layout.terms if term.scale != j),
    )


@contextmanager
def without_identities(
    rows: bool = False, table: bool = False, total: bool = False
) -> Iterator[None]:
    """Prover and verifier leave out some of the lookup's three identities."""
    from prover.lookup import batching

    def fewer(program: VerifierProgram, alpha: int) -> tuple[int, ...]:
        factors = batching(program, alpha)
        return tuple(
            0 if left_out else f for f, left_out in zip(factors, (rows, table, total), strict=True)
        )

    with patched(("prover.lookup.batching", fewer), ("prover.proving.columns.batching", fewer)):
        yield


@contextmanager
def without_claims(*numbers: int) -> Iterator[None]:
    """Prover and verifier leave out linear claims whose left side is made of terms alone."""
    scales, claimed = linear.scales, linear.claimed_value

    def fewer(program: VerifierProgram, drawn: Challenges) -> list[int]:
        found = scales(program, drawn)
        width = program.c_max + 1
        for c in numbers:
            if c < linear.HELPER:
                at = program.relations + (c - linear.SLICE) * width
                found[at : at + width] = [0] * width
            elif c == linear.TABLE:
                found[program.scale_tables : program.scale_tables + width] = [0] * width
            else:
                found[program.scale_helpers + c - linear.HELPER] = 0
        return found

    def value(program: VerifierProgram, drawn: Challenges, values: dict[int, int]) -> int:
        return claimed(program, drawn, {c: v for c, v in values.items() if c not in numbers})

    with patched(("prover.linear.scales", fewer), ("prover.linear.claimed_value", value)):
        yield
