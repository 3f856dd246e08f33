"""The order of the transcript: against verifiers that draw one challenge before what it must depend
on, and so accept what the true one refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import pytest

from prover import linear, verify
from prover.challenges import Challenges
from prover.field import P, inverse
from prover.lookup import last
from prover.proof import Proof, Rounds, late_bytes, middle_bytes, points_bytes
from prover.prove import Attempt
from prover.proving import weights
from prover.proving.tiles import Tile
from prover.transcript import Transcript
from tests.soundness.lies import breaking_one
from tests.soundness.malice import Claim
from tests.soundness.meaning import eq
from tests.soundness.small import target


def draw_with(order: str) -> Any:
    """verify.draw, but for one thing drawn too early."""

    def draw(program: Any, proof: Proof, transcript: Transcript) -> Challenges:
        drawn, absorb, challenge = Challenges(), transcript.absorb_bytes, transcript.challenge

        def rounds(label: str, sent: Rounds) -> list[int]:
            found = []
            for polynomial in sent:
                transcript.absorb_scalars(f"{label} round", polynomial)
                found.append(challenge(label))
            return found

        def fold() -> None:
            drawn.gamma, drawn.beta = challenge("gamma"), challenge("beta")

        if order == "multiplicities":
            fold()
        absorb("stage 1", points_bytes(proof.stage1))
        if order != "multiplicities":
            fold()
        if order == "helpers":
            verify.draw_relations(program, drawn, challenge)
        absorb("stage 2", points_bytes(proof.stage2))
        if order != "helpers":
            verify.draw_relations(program, drawn, challenge)
        transcript.absorb_scalar("sigma1", proof.sigma1)
        drawn.r = rounds("r", proof.main_rounds)
        middle = middle_bytes(proof.lookups, proof.e_point, proof.sigma2)
        if order == "evaluations":
            middle = middle[32 * len(proof.lookups.flat()) :]
        absorb("middle", middle)
        drawn.side = rounds("r'", proof.side_rounds)
        late = late_bytes(proof.e_x, proof.e_y, proof.z_points, proof.v_mask)
        absorb("late", late[:-32] if order == "v_m" else late)
        drawn.batch = challenge("a")
        if order == "v_m":
            transcript.absorb_scalar("v_m", proof.v_mask)
        if order == "evaluations":
            transcript.absorb_scalars("evaluations", proof.lookups.flat())
        drawn.tile = rounds("y", proof.tile_rounds)
        return drawn

    return draw


class LateMultiplicities(Attempt):
    """M after beta: one row's multiplicity is solved for, and any value is in the table."""

    blind = False  # against the true verifier: guesses at gamma and beta, as it must

    def commit_witness(self) -> Any:
        transcript = Transcript(self.transcript.state)
        gamma, beta = transcript.challenge("gamma"), transcript.challenge("beta")
        from tests.soundness.malice import _Columns

        columns = _Columns([], self.layout, self.values)
        kernels, v = self.kernels, self.v
        missing = 0
        for column in columns.slices(kernels, gamma, [0] * 4):
            missing += sum(inverse(beta - f) for f in kernels.to_ints(column)[: v.rows])
        table, counts = kernels.to_ints(columns.table(kernels, gamma, 0)), columns.multiplicities()
        for f, found in zip(table, counts, strict=False):
            missing -= int(found) * inverse(beta - f)
        self.extra = missing * (beta - table[0]) % P
        if not self.blind:
            self.transcript.challenge("gamma")
            self.transcript.challenge("beta")
            self.early = gamma, beta
        return super().commit_witness()

    def _commit(self, label: str, made: list[Tile]) -> Any:
        if label == "stage 1":
            (block, *_) = [b for b in self.layout.blocks["M"] if b.box.base[0] == 0]
            run = self.kernels.from_ints([self.extra])
            made[block.tile - self.v.stage1_tile].runs.append((block.offset, run))
        return super()._commit(label, made)

    def commit_helpers(self) -> Any:
        from prover.proving import columns

        honest = columns.helpers

        def helpers(kernels: Any, looked: Any, table: Any, *rest: Any) -> Any:
            made = honest(kernels, looked, table, *rest)
            beta = self.drawn.beta
            first = kernels.to_ints(table[:1])[0]
            share = self.extra * inverse(beta - first)
            for column, value in ((made.mult, self.extra), (made.tables, share)):
                column[:1] = kernels.add(column[:1], kernels.from_ints([value]))
            return made

        if not self.blind:
            early = iter(self.early)
            honest_challenge = self.transcript.challenge

            def challenge(label: str) -> int:
                known = label in ("gamma", "beta")
                return next(early) if known else honest_challenge(label)

            self.transcript.challenge = challenge  # type: ignore[method-assign]
        with patch.object(columns, "helpers", helpers):
            return super().commit_helpers()


def test_multiplicities_named_after_beta() -> None:
    false = next(c for (k, _), c in breaking_one().items() if k == "lookup" and not c.bends)
    assert false.refused(LateMultiplicities) == "OpeningRejected"
    assert false.refused(LateMultiplicities, blind=True) == "OpeningRejected"
    with patch.object(verify, "draw", draw_with("multiplicities")):
        assert false.refused(LateMultiplicities) is None


class LateHelpers(Attempt):
    """H after tau: it need be right only where eq(tau, .) looks, and a false sum can be hidden."""

    early = False

    def commit_helpers(self) -> Any:
        kernels, v, drawn = self.kernels, self.v, self.drawn
        preview = Transcript(self.transcript.state)
        gamma, beta = preview.challenge("gamma"), preview.challenge("beta")
        known = Challenges(gamma, beta)
        verify.draw_relations(v, known, preview.challenge)
        tau = last(known.tau, v.n_f)
        slices = [kernels.to_ints(c) for c in self.columns.slices(kernels, gamma, [0] * 4)]
        table = kernels.to_ints(self.columns.table(kernels, gamma, 0))
        missing = sum(inverse(beta - f[x]) for f in slices for x in range(v.rows))
        missing -= sum(int(c) * inverse(beta - f) for f, c in zip(table, self.counts, strict=False))
        # two rows x, z: d_x + d_z = -missing, eq(tau, x) D(x) d_x + eq(tau, z) D(z) d_z = 0
        factors = []
        for x in (0, 1):
            product = eq(tau, x)
            for f in slices:
                product = product * (beta - f[x]) % P
            factors.append(product)
        d1 = missing * factors[0] * inverse(factors[1] - factors[0]) % P
        self.deltas = [(-missing - d1) % P, d1]
        from prover.proving import columns

        honest = columns.helpers

        def helpers(*arguments: Any) -> Any:
            made = honest(*arguments)
            made.rows[:2] = kernels.add(made.rows[:2], kernels.from_ints(self.deltas))
            return replace(made, sources=None)

        with patch.object(columns, "helpers", helpers):
            if not self.early:
                return super().commit_helpers()
            honest_commit = self._commit

            def commit(label: str, made: list[Tile]) -> Any:
                verify.draw_relations(v, drawn, self.transcript.challenge)
                return honest_commit(label, made)

            self._commit = commit  # type: ignore[method-assign]
            return super().commit_helpers()

    def run_main(self) -> Any:
        if not self.early:
            return super().run_main()
        known = {n: getattr(self.drawn, n) for n in ("rho", "alpha", "tau")}

        def drawn_before(program: Any, drawn: Challenges, challenge: Any) -> None:
            for name, value in known.items():
                setattr(drawn, name, value)

        with patch("prover.prove.draw_relations", drawn_before):
            return super().run_main()


def test_helpers_named_after_tau() -> None:
    false = breaking_one()["lookup", 0]
    assert false.refused(LateHelpers) == "OpeningRejected"
    with patch.object(verify, "draw", draw_with("helpers")):
        assert false.refused(LateHelpers, early=True) is None


class LateSum(Attempt):
    """v_m after a: whatever is missing of all claims together is put on it."""

    order = "v_m"

    def commit_masks(self) -> Any:
        found, self.late_sum = [], 0
        honest = self.transcript.absorb_bytes

        def absorb(label: str, data: bytes) -> None:
            honest(label, data[:-32] if self.order == "v_m" and label.startswith("e_x") else data)

        self.transcript.absorb_bytes = absorb  # type: ignore[method-assign]
        found = super().commit_masks()
        self.transcript.absorb_bytes = honest  # type: ignore[method-assign]
        self.z_points, self.v_mask = found
        return found

    def open_tiles(self) -> Any:
        self.named = False
        rounds = self._round

        def round_of(label: str) -> Any:
            draw = rounds(label)

            def first(sent: tuple[int, ...]) -> int:
                if not self.named:
                    self.name_late()
                    self.named = True
                return draw(sent)

            return first

        self._round = round_of  # type: ignore[method-assign]
        return super().open_tiles()

    def name_late(self) -> None:
        """Solves the one equation that is left for what is named last."""
        self.late_sum = (self.v_mask + self.missing() * inverse(self.unit())) % P
        self.transcript.absorb_scalar("v_m", self.late_sum)

    def unit(self) -> int:
        return pow(self.drawn.batch, linear.Z_SUM, P)

    def missing(self) -> int:
        """What the tiles weigh, less the values claimed."""
        v, kernels, drawn = self.v, self.kernels, self.drawn
        cells = [tile.vector(kernels, v.k) for tile in self.tiles]
        found = weights.Weights(kernels, v, self.layout.terms, drawn)
        on_cells = [found.vector(tile) for tile in found.tiles]
        weighed = sum(kernels.inner(a, f) for a, f in zip(on_cells, cells, strict=True))
        return (weighed - self.claimed(self.v_mask, self.lookups)) % P

    def claimed(self, v_mask: int, lookups: Any) -> int:
        drawn = replace(self.drawn, tile=[0] * self.v.k)
        known = linear.values(self.v, drawn, (self.sides[0], self.sides[1]))
        _, scalar = linear.tile_weights(self.v, drawn, known)
        proof = Proof(
            (), (), self.sigma1, self.main, lookups, (0, 0), self.sigma2, self.side,
            *self.e, ((0, 0), (0, 0)), v_mask, (), b"",
        )  # fmt: skip
        values = verify.claims(self.v, drawn, proof, known)
        return linear.claimed_value(self.v, drawn, values) - scalar

    def run_main(self) -> Any:
        self.sigma1, self.main = super().run_main()
        return self.sigma1, self.main

    def run_sides(self) -> Any:
        found = super().run_sides()
        _, self.sigma2, self.side, _, _ = found
        return found

    def run(self) -> bytes:
        stage1, stage2 = self.commit_witness(), self.commit_helpers()
        sigma1, main = self.run_main()
        e_point, sigma2, side, e_x, e_y = self.run_sides()
        z_points, v_mask = self.commit_masks()
        tile_rounds, opening = self.open_tiles()
        return Proof(
            stage1, stage2, sigma1, main, self.lookups, e_point, sigma2, side, e_x, e_y, z_points,
            self.late_sum or v_mask, tile_rounds, opening,
        ).encode()  # fmt: skip


def attack(false: Claim, prover: type[Attempt]) -> str | None:
    _, statement = false.fitted()
    return false.refused(prover, sides=(statement.input, statement.output))


@pytest.mark.parametrize("kind", ["einsum", "lookup"])
def test_mask_sum_named_after_a(kind: str) -> None:
    false = next(c for (k, _), c in breaking_one().items() if k == kind and not c.bends)
    assert attack(false, LateSum) == "OpeningRejected"
    with patch.object(verify, "draw", draw_with("v_m")):
        assert attack(false, LateSum) is None


class LateEvaluations(LateSum):
    """The lookup's columns at r after a: T's value, say, is solved for."""

    order = "evaluations"

    def run_sides(self) -> Any:
        honest, size = self.transcript.absorb_bytes, 32 * len(self.lookups.flat())

        def absorb(label: str, data: bytes) -> None:
            honest(label, data[size:] if label.startswith("f, H") else data)

        self.transcript.absorb_bytes = absorb  # type: ignore[method-assign]
        found = super().run_sides()
        self.transcript.absorb_bytes = honest  # type: ignore[method-assign]
        return found

    def name_late(self) -> None:
        """The claims are linear in M's value: its own claim, and P_lookup in claim 1."""
        at, missing = self.lookups, self.missing()
        moved = at._replace(multiplicity=(at.multiplicity + 1) % P)
        slope = self.claimed(self.v_mask, moved) - self.claimed(self.v_mask, at)
        late = (at.multiplicity + missing * inverse(slope)) % P
        self.lookups = at._replace(multiplicity=late)
        self.transcript.absorb_scalars("evaluations", self.lookups.flat())


def test_evaluations_named_after_a() -> None:
    false = next(c for (k, _), c in breaking_one().items() if k == "einsum" and not c.bends)
    assert attack(false, LateEvaluations) == "OpeningRejected"
    with patch.object(verify, "draw", draw_with("evaluations")):
        assert attack(false, LateEvaluations) is None


def test_the_true_order_is_what_the_broken_ones_differ_from() -> None:
    """draw_with("") is verify.draw: the attacks above met the protocol with one thing moved."""
    with patch.object(verify, "draw", draw_with("")):
        assert Claim.honest(target()).refused() is None
    for order in ("multiplicities", "helpers", "evaluations", "v_m"):
        with patch.object(verify, "draw", draw_with(order)):
            assert Claim.honest(target()).refused() == "OpeningRejected"
