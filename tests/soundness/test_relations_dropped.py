"""Each relation and each identity of the lookup broken alone: refused, and accepted by a
verifier that leaves just that one out. So each attack is good, and nothing else stops it."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any
from unittest.mock import patch

import pytest

from prover.field import P, inverse
from prover.prove import Attempt
from prover.transcript import Transcript
from tests.soundness.broken import forgetting, without_identities
from tests.soundness.lies import EINSUMS, LOOKUPS, breaking_one
from tests.soundness.malice import Claim, Wrapped, _Contractions
from tests.soundness.small import patched, target


def test_every_relation_can_be_violated_alone() -> None:
    """So none follows from the others, and each of them is needed."""
    every = {("einsum", j) for j in range(EINSUMS)} | {("lookup", i) for i in range(LOOKUPS)}
    assert set(breaking_one()) == every


@pytest.mark.parametrize("j", range(EINSUMS))
def test_einsum_dropped(j: int) -> None:
    false = replace(breaking_one()["einsum", j])
    assert false.refused() == "OpeningRejected"
    false.layout = forgetting(target().layout, j)
    false.key = replace(target().key, program=false.layout.verifier)
    with patch.object(_Contractions, "dropped", frozenset({j})):
        assert false.refused() is None


@pytest.mark.parametrize("i", range(LOOKUPS))
def test_lookup_dropped(i: int) -> None:
    false = breaking_one()["lookup", i]
    assert false.refused() == "OpeningRejected"
    with without_identities(total=True):
        assert false.refused() is None


# -- the lookup's identities -----------------------------------------------------------------------


class WrongHelper(Attempt):
    """H off by one in two rows, its sum right."""

    def commit_helpers(self) -> Any:
        honest = self.kernels.batch_inverse
        calls = count()

        def inverses(column: Any) -> Any:
            found = honest(column)
            if next(calls) == 0:
                found[0:1] = self.kernels.add(found[0:1], self.kernels.from_ints([1]))
                found[1:2] = self.kernels.sub(found[1:2], self.kernels.from_ints([1]))
            return found

        self.kernels = Wrapped(self.kernels, batch_inverse=inverses)
        return super().commit_helpers()


class WrongTableHelper(WrongHelper):
    """G off in two rows, its sum right: the same on the table's side."""

    def commit_helpers(self) -> Any:
        honest = self.kernels.mul
        calls = count()

        def products(a: Any, b: Any) -> Any:
            found = honest(a, b)
            if next(calls) == 0:
                found[0:1] = self.kernels.add(found[0:1], self.kernels.from_ints([1]))
                found[1:2] = self.kernels.sub(found[1:2], self.kernels.from_ints([1]))
            return found

        self.kernels = Wrapped(self.kernels, mul=products)
        return Attempt.commit_helpers(self)


@pytest.mark.parametrize(
    ("prover", "left_out"), [(WrongHelper, "rows"), (WrongTableHelper, "table")]
)
def test_wrong_helpers_of_the_right_sum(prover: type[Attempt], left_out: str) -> None:
    assert Claim.honest(target()).refused(prover) == "OpeningRejected"
    with without_identities(**{left_out: True}):
        assert Claim.honest(target()).refused(prover) is None


class PaddedSum(Attempt):
    """A bad row's fraction is paid back in H's pad, at row L, which is in no relation."""

    def commit_helpers(self) -> Any:
        kernels, v = self.kernels, self.v
        transcript = Transcript(self.transcript.state)
        gamma, beta = transcript.challenge("gamma"), transcript.challenge("beta")
        total = 0
        for column in self.columns.slices(kernels, gamma, [0] * 4):
            rest = [beta - f for f in kernels.to_ints(column)[: v.rows]]
            total += sum(inverse(f) for f in rest)
        table = kernels.to_ints(self.columns.table(kernels, gamma, 0))
        for f, found in zip(table, self.counts, strict=False):
            total -= int(found) * inverse(beta - f)
        self.masks.pads.helper = -total % P
        return super().commit_helpers()


def test_rows_beyond_the_slices_do_not_count() -> None:
    false = breaking_one()["lookup", 0]
    assert false.refused(PaddedSum) == "OpeningRejected"
    from prover.lookup import cut as honest

    rows = target().key.program.rows

    def wider(point: list[int], n: int) -> int:
        return honest(point, n + (n == rows))

    from prover.proving import columns

    expanded = columns._cut

    def wider_cells(kernels: Any, first: int, count: int, length: int) -> Any:
        return expanded(kernels, first, count, length + (length == rows))

    class Summed(PaddedSum):
        """Claims the sum over L + 1 rows."""

        def run_main(self) -> Any:
            whole = self.kernels.total

            def total(column: Any) -> int:
                if len(column) == rows:
                    return (whole(column) + self.masks.pads.helper) % P
                return whole(column)

            self.kernels = Wrapped(self.kernels, total=total)
            return super().run_main()

    with patched(("prover.lookup.cut", wider), ("prover.proving.columns._cut", wider_cells)):
        assert false.refused(Summed) is None


def test_gaps_are_counted() -> None:
    """Rows that no lookup uses are looked up too: a prover who leaves them out of M is refused."""
    from tests.soundness.malice import _Columns

    plan = target().layout
    gaps = sum(end - start for _, start, end in plan.gaps)
    assert gaps
    honest = _Columns.multiplicities

    def without_gaps(columns: Any) -> Any:
        counts = honest(columns)
        counts[columns.layout.table_firsts[0]] -= gaps
        return counts

    with patch.object(_Columns, "multiplicities", without_gaps):
        assert Claim.honest(target()).refused() == "OpeningRejected"
