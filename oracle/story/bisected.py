"""The story of the bisection tier: a model cut into segments, answered on stake; an honest answer
is disputed for nothing and defended by one segment's proof; of a false one, the challenger's
process finds the segment that is wrong, which has no proof.

The chain's clock is moved by evm_increaseTime.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from eth_hash.auto import keccak

from oracle.adapters.deployment import BISECTION
from oracle.domain.bisection import Outcome, Run, Span, states_from
from oracle.domain.chain import Status
from oracle.domain.request import TierKind
from oracle.examples import digits
from oracle.operations import Asked
from oracle.story.desk import FEE, Desk, StoryFailed
from oracle.story.process import CHEAT, service
from oracle.story.staked import (
    CHALLENGER,
    CHEATER,
    COVERAGE,
    ETHER,
    GWEI,
    OPERATOR,
    REQUESTER,
    STAKE,
    Ladder,
    StakedOutcome,
    StakedStory,
    label,
)
from prover.api import Session
from prover.composition import Composition

SEGMENTS = 2
CUT = "models/digits-cut"


class Arena(Ladder):
    """The bisection tier by hand."""

    tier, kind = BISECTION, TierKind.BISECTION

    def status(self, asked: Asked) -> Status:
        return Status(self._desk.contract("InferenceOracle").statusOf(asked.request.id)[0])

    def outcome(self, asked: Asked) -> Outcome:
        return Outcome(self.game.gameOf(asked.request.id).outcome)

    def demand(self, asked: Asked, payee: str, output: bytes, place: tuple[object, ...]) -> None:
        """By the requester, who knows nothing of the run."""
        named = (asked.request.fields, payee, keccak(output), place)
        bond = asked.quote.bond if asked.quote else 0
        self.game.demand(*named, value=bond, sender=self.account(REQUESTER))

    def demanded(self, asked: Asked, span: Span) -> bool:
        return bool(self.game.spanAt(asked.request.id, *span).owedBy)

    def given(self, asked: Asked, span: Span) -> bool:
        return any(self.game.spanAt(asked.request.id, *span).states)

    @property
    def bonds(self) -> int:
        """Wei that the tier holds."""
        return int(self._desk.web3.eth.get_balance(self._desk.address(BISECTION)))

    @property
    def game(self) -> Any:
        return self._desk.contract(BISECTION)


@dataclass
class BisectedOutcome(StakedOutcome):
    """With the wei of bonds that an honest operator earned."""

    lost_bonds: int = 0


class BisectedStory(StakedStory):
    """`tell` runs it, as Story does."""

    outcome: BisectedOutcome

    def _begin(self) -> BisectedOutcome:
        return BisectedOutcome(tier="bisection")

    def _on_chain(self, desk: Desk, session: Session) -> None:
        arena, composition = Arena(desk), self._cut(desk, session)
        with self.step("stake") as found:
            for key in (OPERATOR, CHEATER):
                arena.stake(key)
            found.append(f"{STAKE / ETHER:g} ether each: the operator and the one who will cheat")
        before = arena.sheet()
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        self._defended(desk, arena, composition, session, image)
        self._narrowed(desk, arena, composition, session, image)
        after = arena.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._check(arena)

    def _cut(self, desk: Desk, session: Session) -> Composition:
        with self.step("cut the model, register its segments") as found:
            model, srs = session.model, session.srs
            made = Composition.divide(model, self.kernels, srs, SEGMENTS)
            made.save(self.folder / CUT)
            desk.command("register", self.folder / CUT)
            self.outcome.model_id = "0x" + made.id.hex()
            found.append(f"{len(made.segments)} segments; the weights are for all to have")
        return made

    def _defended(
        self, desk: Desk, arena: Arena, made: Composition, session: Session, image: bytes
    ) -> None:
        whole, last = Span(0, SEGMENTS), Span(SEGMENTS - 1, SEGMENTS)
        with service(desk, "operator", OPERATOR) as process:
            with self.step("answer on stake") as found:
                asked = arena.ask(made.id, image)
                settled = arena.answer(asked, process, final=False)
                self.outcome.label = label(session, settled.output)
                self.outcome.trust = dict(settled.report)
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
            with self.step("somebody demands its last segment") as found:
                payee, output = settled.payee, settled.output
                arena.demand(asked, payee, output, (0, 0, [], 0))
                arena.until(lambda: arena.given(asked, whole), process)
                states = states_from(Run(tuple(made.run(image)), halted=False).states)
                arena.demand(asked, payee, output, (*whole, states, SEGMENTS - 1))
                arena.until(lambda: arena.given(asked, last), process)
                self.outcome.lost_bonds = arena.bonds
                found.append("split, then proved: one segment of two")
            with self.step("the window passes") as found:
                arena.pass_time(asked.quote.window if asked.quote else 0)
                settled = arena.answer(asked, process, final=True)
                self.outcome.gas["finalise"] = settled.gas
                arena.until(lambda: arena.bonds == 0, process)
                found.append(f"{arena.outcome(asked).name.lower()}: the bonds are the operator's")

    def _narrowed(
        self, desk: Desk, arena: Arena, made: Composition, session: Session, image: bytes
    ) -> None:
        with ExitStack() as stack:
            with self.step("a cheat answers, engine CORRUPTED") as found:
                cheat = stack.enter_context(service(desk, "cheat", CHEATER, command=CHEAT))
                asked = arena.ask(made.id, image)
                wrong = arena.answer(asked, cheat, final=False)
                self.outcome.claimed = label(session, wrong.output)
                found.append(f"label {self.outcome.claimed}, vouched for by stake")
            with self.step("a challenger finds the false segment") as found:
                watching = stack.enter_context(
                    service(desk, "challenger", CHALLENGER, roles="challenger")
                )
                last = Span(SEGMENTS - 1, SEGMENTS)
                arena.until(lambda: arena.demanded(asked, last), watching)
                self.outcome.disputes = 1
                found.append(f"segment {last.start} of {SEGMENTS}; two bonds are in")
            self._lapsed(arena, asked, watching)

    def _lapsed(self, arena: Arena, asked: Asked, watching: subprocess.Popen[bytes]) -> None:
        with self.step("its clock ends without a proof") as found:
            arena.pass_time(asked.quote.prove if asked.quote else 0)
            arena.until(lambda: arena.status(asked) == Status.RETRACTED, watching)
            arena.until(lambda: arena.bonds == 0, watching)
            if arena.outcome(asked) is not Outcome.LAPSED:
                raise StoryFailed(f"expected a lapse, got {arena.outcome(asked)}")
            self.outcome.slashed_gwei = asked.quote.lock if asked.quote else 0
            found.append(f"{self.outcome.slashed_gwei} gwei slashed, the payment went back")

    def _check(self, ladder: Ladder) -> None:
        """The sheet must balance as the tier's terms say; gas makes the small differences. The
        bonds of who disputed a right answer are the operator's."""
        gained = {name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()}
        lost = -self.outcome.slashed_gwei * GWEI
        earned = FEE + self.outcome.lost_bonds
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and earned - ETHER // 100 < gained["operator"] <= earned
            and lost - ETHER // 100 < gained["cheating operator"] <= lost
            and gained["challenger"] > 0
            and gained["burned"] == COVERAGE
        )
        if not right:
            raise StoryFailed(f"expected the cheat to pay, and who disputed, got {self.outcome}")
