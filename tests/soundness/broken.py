"""Verifiers that leave something out, and provers that do likewise: what an attack is good for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from prover import linear
from prover.challenges import Challenges
from prover.program.format import Kernel, Kind, VerifierProgram
from tests.soundness.small import patched


def without_relation(v: VerifierProgram, j: int) -> VerifierProgram:
    """A verifier section that forgets einsum j: its left side has no terms, its contractions a
    kernel that is zero."""
    zero, views = len(v.kernels) + 1, len(v.kernels)
    shifted = [
        replace(t, kernels=tuple(k + 1 if k > views else k for k in t.kernels))
        for t in v.terms
        if t.scale != j
    ]
    records = [
        replace(c, kernels=(zero, *c.kernels[:2])) if c.relation == j else c for c in v.contractions
    ]
    assert all(c.kernels[2] == 0 for c in v.contractions)
    return replace(
        v,
        kernels=(*v.kernels, Kernel(Kind.CUT)),
        terms=tuple(shifted),
        contractions=tuple(records),
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
