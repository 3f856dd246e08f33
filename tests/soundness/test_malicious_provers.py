"""Provers whose claims make up for each other: every check that they fool, but one, holds.

Each attack is refused; and a verifier that leaves out the one claim that refuses it, where there is
such a verifier, accepts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from prover import linear, prove
from prover.challenges import Challenges
from prover.field import P, inverse
from prover.prove import Attempt, Masks
from prover.proving import weights
from prover.proving.contractions import SideRounds
from prover.sumcheck import Mask
from prover.transcript import Transcript
from tests.soundness.broken import without_claims
from tests.soundness.lies import breaking_one
from tests.soundness.malice import Claim
from tests.soundness.meaning import eq
from tests.soundness.small import patched, target

# -- claims that compensate each other -------------------------------------------------------------


class Rewrites(Attempt):
    """Changes what is claimed after the main sumcheck, before it is absorbed."""

    change: Any = None

    def run_main(self) -> Any:
        sent = super().run_main()
        self.lookups = self.change(self)
        return sent


def swapped(a: int, b: int) -> Any:
    def change(attempt: Any) -> Any:
        slices = list(attempt.lookups.slices)
        slices[a], slices[b] = slices[b], slices[a]
        return attempt.lookups._replace(slices=tuple(slices))

    return change


def paid_by_multiplicity(attempt: Any) -> Any:
    """G changed, and M with it, so that P_lookup stays what it was: M enters it linearly."""
    v, at, drawn = attempt.v, attempt.lookups, attempt.drawn
    return _balanced(v, at, drawn, at._replace(table_helper=(at.table_helper + 1) % P))


def paid_for_slice(attempt: Any) -> Any:
    v, at, drawn = attempt.v, attempt.lookups, attempt.drawn
    slices = ((at.slices[0] + 5) % P, *at.slices[1:])
    return _balanced(v, at, drawn, at._replace(slices=slices))


def paid_for_table(attempt: Any) -> Any:
    v, at, drawn = attempt.v, attempt.lookups, attempt.drawn
    return _balanced(v, at, drawn, at._replace(table=(at.table + 5) % P))


def paid_for_helper(attempt: Any) -> Any:
    v, at, drawn = attempt.v, attempt.lookups, attempt.drawn
    return _balanced(v, at, drawn, at._replace(helper=(at.helper + 5) % P))


def _balanced(v: Any, at: Any, drawn: Any, wanted: Any) -> Any:
    """M such that P_lookup is what it was."""
    from prover.lookup import summand

    slope = summand(v, drawn, wanted._replace(multiplicity=1))
    slope = (slope - summand(v, drawn, wanted._replace(multiplicity=0))) % P
    missing = summand(v, drawn, at) - summand(v, drawn, wanted._replace(multiplicity=0))
    return wanted._replace(multiplicity=missing * inverse(slope) % P)


@pytest.mark.parametrize(
    ("change", "unchecked"),
    [
        (swapped(0, 1), (linear.SLICE, linear.SLICE + 1)),
        (swapped(2, 3), (linear.SLICE + 2, linear.SLICE + 3)),
        (paid_by_multiplicity, (linear.TABLE_HELPER, linear.MULTIPLICITY)),
        (paid_for_slice, (linear.SLICE, linear.MULTIPLICITY)),
        (paid_for_table, (linear.TABLE, linear.MULTIPLICITY)),
        (paid_for_helper, (linear.HELPER, linear.MULTIPLICITY)),
    ],
)
def test_evaluations_that_fit_each_other(change: Any, unchecked: tuple[int, ...]) -> None:
    """The sumcheck's end holds; what each column is at r is a claim of its own."""
    false = Claim.honest(target())
    assert false.refused(Rewrites, change=change) == "OpeningRejected"
    for kept in unchecked:
        with without_claims(*(c for c in unchecked if c != kept)):
            assert false.refused(Rewrites, change=change) == "OpeningRejected"
    with without_claims(*unchecked):
        assert false.refused(Rewrites, change=change) is None


class WrongSides(Attempt):
    """E_x[0] doubled and E_y[0] halved, or both sides of a contraction exchanged: products stay."""

    exchange = False

    def run_sides(self) -> Any:
        first = self.contractions[0]
        honest = first.ends

        def ends() -> tuple[int, int]:
            x, y = honest()
            return (y, x) if self.exchange else (2 * x % P, y * inverse(2) % P)

        first.ends = ends  # type: ignore[method-assign]
        return super().run_sides()


@contextmanager
def sides_unchecked() -> Iterator[None]:
    """E need not be what the contractions give."""
    scales = linear.scales

    def fewer(program: Any, drawn: Challenges) -> list[int]:
        found = scales(program, drawn)
        return found[: program.scale_sides] + [0] * (2 * len(program.contractions))

    def e_weight(program: Any, drawn: Challenges) -> int:
        mu, a = program.mu, linear.powers(drawn.batch, linear.claim_count(program))
        split = program.k - mu
        place = eq(drawn.tile[: split - 1], 0)
        side, low = drawn.tile[split - 1], drawn.tile[split:]
        end = 1
        for x, y in zip(drawn.side, low, strict=True):
            end = end * (x * y + (1 - x) * (1 - y)) % P
        return place * end * ((1 - side) * a[linear.E_X] + side * a[linear.E_Y]) % P

    def add_sides(kernels: Any, program: Any, drawn: Challenges, tile: Any) -> None:
        a = linear.powers(drawn.batch, linear.claim_count(program))
        table, size = kernels.eq_table(drawn.side), 1 << program.mu
        for i, claim in enumerate((linear.E_X, linear.E_Y)):
            tile.runs.append((i * size, kernels.scale(table, a[claim])))

    with patched(
        ("prover.linear.scales", fewer),
        ("prover.linear._e_weight", e_weight),
        ("prover.proving.weights._add_sides", add_sides),
    ):
        yield


@pytest.mark.parametrize("exchange", [False, True])
def test_wrong_ends_of_a_contraction(exchange: bool) -> None:
    false = Claim.honest(target())
    assert false.refused(WrongSides, exchange=exchange) == "OpeningRejected"
    with sides_unchecked():
        assert false.refused(WrongSides, exchange=exchange) is None


class CompensatedSides(Attempt):
    """A false einsum, paid for in E: sum coef E_x E_y is what the sumcheck left."""

    def run_sides(self) -> Any:
        from prover.einsum import contraction_factors
        from prover.lookup import summand
        from prover.sumcheck import final_claim

        v, drawn = self.v, self.drawn
        known = {}
        for number in {k for c in v.contractions for k in c.kernels}:
            known[number] = weights.evaluate(v.kernel(number), drawn.points, drawn.gamma)
        factors = contraction_factors(v, drawn, known)
        ends = [c.ends() for c in self.contractions]
        left = final_claim(self.sigma1, self.rounds, drawn.r)
        left -= summand(v, drawn, self.lookups) + self.masks.mask1.at(drawn.r)
        left -= sum(f * x * y for f, (x, y) in zip(factors[1:], ends[1:], strict=True))
        x = left * inverse(factors[0] * ends[0][1]) % P
        self.contractions[0].ends = lambda: (x, ends[0][1])  # type: ignore[method-assign]
        return super().run_sides()

    def run_main(self) -> Any:
        """Claims what the left sides are, not what the contractions sum to."""
        honest = self.transcript.absorb_scalar
        left = linear_claim(self)
        self.transcript.absorb_scalar = lambda label, _: honest(label, left)  # type: ignore[method-assign]
        _, self.rounds = super().run_main()
        self.sigma1 = left
        return left, self.rounds


def linear_claim(attempt: Attempt) -> int:
    """What claim 0 is worth on the cells as they are: the sum that sigma1 must be to pass."""
    from prover.verify import draw_relations
    from tests.soundness.meaning import Claims, objects

    drawn = Challenges(gamma=attempt.drawn.gamma, beta=attempt.drawn.beta)
    draw_relations(attempt.v, drawn, Transcript(attempt.transcript.state).challenge)
    cells = objects(attempt.values)
    claims = Claims(attempt.layout, drawn, cells, {}, ((), ()), ((), ()))
    total = sum(
        pow(drawn.alpha, j, P) * claims._left(e.expr)
        for j, e in enumerate(attempt.layout.relations.einsums)
    )
    return (total + attempt.masks.mask1.total()) % P


def test_a_false_einsum_paid_for_in_its_ends() -> None:
    """What an honest sumcheck leaves of a false claim is put on E: the claims on E refuse it."""
    false = next(c for r, c in breaking_one().items() if r == ("einsum", 0) and not c.bends)
    assert Claim.honest(target()).refused(CompensatedSides) is None
    assert false.refused(CompensatedSides) == "OpeningRejected"
    with sides_unchecked():
        assert false.refused(CompensatedSides) is None


class WrongSigma2(Attempt):
    """sigma2 + 1, and the side sumcheck with it."""

    def run_sides(self) -> Any:
        honest = SideRounds.__init__

        def init(rounds: Any, *arguments: Any) -> None:
            honest(rounds, *arguments)
            rounds.claim += 1

        with patch.object(SideRounds, "__init__", init):
            return super().run_sides()


def test_sigma2_is_what_the_main_sumcheck_left() -> None:
    assert Claim.honest(target()).refused(WrongSigma2) == "OpeningRejected"


class TradedEnds(Attempt):
    """e_x doubled, e_y halved: their product is right."""

    def run_sides(self) -> Any:
        e_point, sigma2, rounds, e_x, e_y = super().run_sides()
        self.e = 2 * e_x % P, e_y * inverse(2) % P
        return e_point, sigma2, rounds, *self.e


def test_e_x_and_e_y_are_claims_of_their_own() -> None:
    assert Claim.honest(target()).refused(TradedEnds) == "OpeningRejected"


class WrongMaskSum(Attempt):
    """sigma1 with another sum of mask 1, the rounds fitting it."""

    def run_main(self) -> Any:
        honest = Mask.total
        with patch.object(Mask, "total", lambda mask: honest(mask) + 1):
            return super().run_main()


def test_mask_sums_are_claims() -> None:
    """A mask's sum is not free: or sigma1 could be anything."""
    assert Claim.honest(target()).refused(WrongMaskSum) == "OpeningRejected"


class WrongZSum(Attempt):
    def commit_masks(self) -> Any:
        honest = prove.z_sum
        with patch.object(prove, "z_sum", lambda *cells: honest(*cells) + 1):
            return super().commit_masks()


def test_v_m_is_a_claim() -> None:
    assert Claim.honest(target()).refused(WrongZSum) == "OpeningRejected"


# -- masks are the prover's own affair -------------------------------------------------------------


def test_bad_masks_are_accepted() -> None:
    """Zero masks, or all masks one: a proof that hides nothing is still a proof."""

    def constant(value: int) -> Any:
        def made(masks: Masks) -> Masks:
            pads = replace(
                masks.pads, slices=[value] * 4, helper=value, table_helper=value,
                multiplicity=value, table=value,
            )  # fmt: skip
            flat = [
                Mask(value, tuple((value,) * m.degree for _ in m.rows))
                for m in (masks.mask1, masks.mask2)
            ]
            z = ([value] * 64, [value] * 64)
            return replace(
                masks, mask1=flat[0], mask2=flat[1], pads=pads, e_row=(value, value), z_cells=z
            )

        return made

    for value in (0, 1):
        assert Claim.honest(target()).refused(masks=constant(value)) is None
