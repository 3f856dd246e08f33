"""The cells with which H, G and M are filled up to whole boxes: a prover may put anything there,
and it enters no sum.

Each attack moves what a false multiplicity is off by into cells after the pad. It is refused; and
accepted by a verifier whose cut comes after those cells, so that the cut is what stops it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from prover import lookup
from prover.field import P
from prover.kernels.interface import Vec
from prover.program.addresses import whole
from prover.program.axis import cut
from prover.proving import columns
from tests.soundness.malice import Claim, _Columns
from tests.soundness.small import patched, refusal, target

MADE = target()
V = MADE.layout.verifier


@contextmanager
def dishonest(side: str) -> Iterator[None]:
    """A prover that counts one lookup too many, and makes up for it after the pad of H or of G."""
    true_helpers, true_cut = columns.helpers, columns._cut
    true_counts = _Columns.multiplicities

    def counts(self: _Columns) -> Any:
        found = true_counts(self)
        found[0] += 1
        return found

    def helpers(
        kernels: Any, looked: Any, table: Vec, tallied: Any, beta: int, pads: Any
    ) -> columns.Helpers:
        made, rows = true_helpers(kernels, looked, table, tallied, beta, pads), V.rows
        (first,) = kernels.to_ints(table[:1])
        excess = pow(beta - first, -1, P)
        # The pad is within a cut that comes later, too.
        if side == "H":
            made.rows[rows + 1 : rows + 2] = kernels.from_ints([(excess - pads.helper) % P])
        else:
            last = len(tallied) + 1
            owed = (-excess - pads.table_helper) % P
            made.tables[last : last + 1] = kernels.from_ints([owed])
        return replace(made, sources=None)

    def late_cut(kernels: Any, first: int, count: int, rows: int) -> Vec:
        return true_cut(kernels, first, count, late_end(side, rows))

    class Agreeing(columns.LookupRounds):
        """Both sums are those up to the later cut."""

        def __init__(self, kernels: Any, *arguments: Any) -> None:
            super().__init__(kernels, *arguments)
            made = arguments[3]
            for part, helper, rows in (
                (self.rows, made.rows, V.rows),
                (self.tables, made.tables, V.table_rows),
            ):
                part.total = kernels.total(helper[: late_end(side, rows)])
            assert (self.rows.claim + self.tables.claim) % P == 0

    with patched(
        ("prover.proving.columns.helpers", helpers),
        ("prover.proving.columns._cut", late_cut),
        ("tests.soundness.malice._Columns.multiplicities", counts),
        ("prover.proving.columns.LookupRounds", Agreeing),
    ):
        yield


def late_end(side: str, rows: int) -> int:
    """Where a cut ends that takes the pad for a row, and what is after it."""
    return rows + 2 if rows == _rows(side) else rows


def _rows(side: str) -> int:
    return V.rows if side == "H" else V.table_rows


def attacked(side: str) -> str | None:
    with dishonest(side):
        statement, proof = Claim.honest(MADE).prove()
    return refusal(MADE.key, statement, proof)


@pytest.mark.parametrize("side", ["H", "G"])
def test_what_is_after_the_pad_enters_no_sum(monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    assert whole(_rows(side) + 1, V.k) > _rows(side) + 1, "there is a cell to fill"
    assert V.rows != V.table_rows
    assert attacked(side) == "OpeningRejected"
    monkeypatch.setattr(lookup, "cut", lambda point, rows: cut(point, late_end(side, rows)))
    assert attacked(side) is None
