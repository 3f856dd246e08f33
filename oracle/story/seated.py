"""The story of the committee tier: three members, each a process, agree and earn; two that do not
appear when they are summoned are fined; two that agree on a lie are refuted by the third and
slashed.

The chain's clock is moved by evm_increaseTime: to the next day, for which the committee is drawn by
the development beacon, and over windows.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from oracle.adapters.deployment import COMMITTEE
from oracle.domain.chain import Status
from oracle.domain.committee import DAY, MEMBER_BYTES
from oracle.domain.request import TierKind
from oracle.examples import digits
from oracle.operations import Asked
from oracle.story.desk import FEE, Desk, StoryFailed
from oracle.story.process import CHEAT, SERVE, service
from oracle.story.staked import (
    COVERAGE,
    ETHER,
    GWEI,
    REQUESTER,
    Ladder,
    StakedOutcome,
    StakedStory,
    label,
)
from prover.api import Session

#: Anvil's accounts. The first member collects, and stays honest.
HONEST, *TURNED = ("dev:3", "dev:4", "dev:5")
MEMBERS = (HONEST, *TURNED)
PEOPLE = {
    "honest member": HONEST,
    "second member": TURNED[0],
    "third member": TURNED[1],
    "requester": REQUESTER,
}
BOARD_PORT = "18760"


class Chamber(Ladder):
    """The committee tier by hand."""

    people = PEOPLE
    tier, kind = COMMITTEE, TierKind.COMMITTEE
    seconds = 4 * 3600

    def enrol(self) -> None:
        """Every member stakes and takes a seat."""
        for seat, key in enumerate(MEMBERS):
            self.stake(key)
            self.council.enrol(seat, sender=self.account(key))

    def draw(self) -> bytes:
        """The next day begins, its round is published, its committee drawn; the members."""
        now = self._desk.ape.chain.pending_timestamp
        self.pass_time(DAY - now % DAY)
        epoch = (now // DAY) + 1
        beacon = self._desk.contract("DevelopmentBeacon")
        anyone = self.account(REQUESTER)
        beacon.publish(beacon.roundAfter(epoch * DAY), b"", sender=anyone)
        receipt = self.council.draw(sender=anyone)
        (drawn,) = receipt.decode_logs(self.council.Drawn)
        return bytes(drawn.members)

    def summon(self, asked: Asked) -> None:
        self.council.summon(asked.request.fields, sender=self.account(REQUESTER))

    def refund(self, asked: Asked) -> None:
        """When its deadline has passed."""
        self.pass_time(self.seconds)
        oracle = self._desk.contract("InferenceOracle")
        oracle.refund(asked.request.fields, sender=self.account(REQUESTER))

    def fine(self, asked: Asked, members: bytes, key: str) -> None:
        """Anyone may; the place is where the member sits today."""
        at = members.index(bytes.fromhex(self.address(key)[2:])) // MEMBER_BYTES
        self.council.fineAbsent(asked.request.id, members, at, sender=self.account(REQUESTER))

    def left(self, key: str) -> int:
        """Gwei that are left of a member's seat."""
        return int(self.council.seatAt(MEMBERS.index(key)).stake)

    @property
    def council(self) -> Any:
        return self._desk.contract(COMMITTEE)


class SeatedStory(StakedStory):
    """`tell` runs it, as Story does."""

    def _begin(self) -> StakedOutcome:
        return StakedOutcome(tier="committee")

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        chamber = Chamber(desk)
        with self.step("take seats, draw the day's committee") as found:
            chamber.enrol()
            members = chamber.draw()
            found.append(
                "2 of 3 must agree; drawn by the DEVELOPMENT beacon, foreseeable by anyone"
            )
        before = chamber.sheet()
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        self._agreed(desk, chamber, session, image)
        self._absent(desk, chamber, session, image, members)
        self._captured(desk, chamber, session, image)
        after = chamber.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._check(chamber)

    def _agreed(self, desk: Desk, chamber: Chamber, session: Session, image: bytes) -> None:
        with ExitStack() as stack:
            processes = [stack.enter_context(member(desk, chamber, key)) for key in MEMBERS]
            with self.step("commit, reveal, agree: three processes") as found:
                asked = chamber.ask(session.model.id, image)
                settled = chamber.answer(asked, processes[0], final=False)
                self.outcome.label = label(session, settled.output)
                self.outcome.trust = dict(settled.report)
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
            with self.step("the window passes") as found:
                chamber.pass_time(asked.quote.window if asked.quote else 0)
                settled = chamber.answer(asked, processes[0], final=True)
                self.outcome.gas["finalise"] = settled.gas
                found.append(str(settled.report["final"]))

    def _absent(
        self, desk: Desk, chamber: Chamber, session: Session, image: bytes, members: bytes
    ) -> None:
        with self.step("two members stay away, all are summoned") as found:
            with member(desk, chamber, HONEST) as process:
                asked = chamber.ask(session.model.id, image)
                chamber.summon(asked)
                council, grace = chamber.council, chamber.council.rules().grace
                at = members.index(bytes.fromhex(chamber.address(HONEST)[2:])) // MEMBER_BYTES
                said = (council.commitmentAt, council.revealedAt)
                chamber.until(lambda: any(said[0](asked.request.id, at)), process)
                chamber.pass_time(grace)
                chamber.until(lambda: any(said[1](asked.request.id, at)), process)
            chamber.pass_time(grace)
            full = chamber.left(HONEST)
            for key in TURNED:
                chamber.fine(asked, members, key)
            chamber.refund(asked)
            fines = [full - chamber.left(key) for key in TURNED]
            found.append(f"{fines[0]} and {fines[1]} gwei in fines; the third spoke on-chain")

    def _captured(self, desk: Desk, chamber: Chamber, session: Session, image: bytes) -> None:
        with ExitStack() as stack:
            with self.step("two members agree, engines CORRUPTED") as found:
                liars = [
                    stack.enter_context(member(desk, chamber, key, TURNED[0], CHEAT))
                    for key in TURNED
                ]
                asked = chamber.ask(session.model.id, image)
                wrong = chamber.answer(asked, liars[0], final=False)
                self.outcome.claimed = label(session, wrong.output)
                found.append(f"label {self.outcome.claimed}, agreed on by a quorum")
            with self.step("the third dissents, refutes by a proof") as found:
                held = [chamber.left(key) for key in TURNED]
                process = stack.enter_context(member(desk, chamber, HONEST, TURNED[0]))
                oracle = desk.contract("InferenceOracle")
                final = Status.FINAL
                chamber.until(lambda: oracle.statusOf(asked.request.id)[0] == final, process)
                self.outcome.disputes = 1
                lost = [full - chamber.left(key) for full, key in zip(held, TURNED, strict=True)]
                self.outcome.slashed_gwei = sum(lost)
                right = chamber.answer(asked, process, final=True)
                found.append(f"label {label(session, right.output)}; {sum(lost)} gwei slashed")

    def _check(self, ladder: Ladder) -> None:
        """The sheet must balance as the tier's rules say; gas makes the small differences."""
        gained = {name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()}
        near, fine = ETHER // 100, ETHER // 100
        share = self.outcome.slashed_gwei * GWEI // 2
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and gained["honest member"] > 2 * FEE - near
            and -share - fine - near < gained["second member"] <= -share - fine + FEE
            and -share - fine - near < gained["third member"] <= -share - fine
            and gained["requester"] > COVERAGE - near
            and gained["burned"] >= COVERAGE + 2 * fine
        )
        if not right:
            raise StoryFailed(f"expected the liars to pay, and nobody else, got {self.outcome}")


@contextmanager
def member(
    desk: Desk, chamber: Chamber, key: str, collector: str = HONEST, command: Any = SERVE
) -> Iterator[subprocess.Popen[bytes]]:
    """One member's process; the collector's hosts the board."""
    settings = {"EINPROOF_PAYEE": chamber.address(collector)}
    if key == collector:
        settings["EINPROOF_BOARD_PORT"] = BOARD_PORT
    else:
        settings["EINPROOF_BOARD"] = f"http://127.0.0.1:{BOARD_PORT}"
    name = f"member-{key[-1]}" + ("-corrupted" if command is CHEAT else "")
    with service(desk, name, key, roles="member", command=command, **settings) as process:
        yield process
