"""The story of the audited tier, for a model whose weights only its operator has: an honest
operator is drawn and proves; a cheating one lies until the beacon has spared one lie and drawn
another, which it cannot prove. A watcher says so, which holds the spared one back, and hands the
drawn one in: the whole stake is lost.

Who is drawn is computed ahead here, as anyone can with a DEVELOPMENT beacon. The chain's clock is
moved by evm_increaseTime.
"""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from typing import Any

from eth_abi.abi import encode
from eth_hash.auto import keccak

from oracle.adapters.deployment import AUDITED
from oracle.domain.chain import Status
from oracle.domain.economics import Economy
from oracle.domain.request import TierKind
from oracle.domain.terms import WHOLE, ClaimTerms
from oracle.examples import digits
from oracle.operations import Asked
from oracle.services.guard import PATIENCE
from oracle.story.desk import FEE, HOUR, Desk, StoryFailed
from oracle.story.process import CHEAT, service
from oracle.story.staked import (
    CHEATER,
    COVERAGE,
    ETHER,
    GWEI,
    OPERATOR,
    PROVING,
    REQUESTER,
    Ladder,
    StakedOutcome,
    StakedStory,
    label,
)
from prover.api import Session

RATE, STAKE = 5000, 5 * ETHER
#: Claims until the draw has been kind and unkind.
MOST = 16
WATCHER = "dev:6"
PEOPLE = {
    "operator": OPERATOR,
    "cheating operator": CHEATER,
    "watcher": WATCHER,
    "requester": REQUESTER,
}


class Lottery(Ladder):
    """The audited tier by hand."""

    people = PEOPLE
    tier, kind = AUDITED, TierKind.AUDITED
    held, terms = STAKE, ClaimTerms(COVERAGE // GWEI, PROVING, audits=RATE)

    def drawn(self, asked: Asked) -> bool:
        """Whether the beacon will draw the claim that stands."""
        found = self._desk.contract("AuditedAssurance").auditOf(asked.request.fields)
        named = ("einproof development beacon", found.round)
        value = keccak(encode(("string", "uint64"), named))
        lot = keccak(encode(("bytes32", "bytes32"), (value, asked.request.id)))
        return int.from_bytes(lot, "big") % WHOLE < ClaimTerms.parse(asked.request.terms).audits

    def frozen(self, asked: Asked) -> bool:
        return bool(self._desk.contract("AuditedAssurance").isFrozen(asked.request.id))

    def status(self, asked: Asked) -> Status:
        return Status(self._desk.contract("InferenceOracle").statusOf(asked.request.id)[0])


class AuditedStory(StakedStory):
    """`tell` runs it, as Story does."""

    def _begin(self) -> StakedOutcome:
        return StakedOutcome(tier="audited")

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        lottery = Lottery(desk)
        with self.step("stake") as found:
            for key in (OPERATOR, CHEATER):
                lottery.stake(key)
            found.append(f"{STAKE / ETHER:g} ether each; weights private, {RATE / WHOLE:.0%} drawn")
        before = lottery.sheet()
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        self._honest_audit(desk, lottery, session, image)
        self._lies(desk, lottery, session, image)
        after = lottery.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._check(lottery)

    def _asked(
        self,
        lottery: Lottery,
        session: Session,
        image: bytes,
        process: subprocess.Popen[bytes],
        *,
        both: bool,
    ) -> dict[bool, list[Asked]]:
        """Claims until one will be drawn, and, if `both`, another will not."""
        claims: dict[bool, list[Asked]] = {True: [], False: []}
        for _ in range(MOST):
            asked = lottery.ask(session.model.id, image)
            settled = lottery.answer(asked, process, final=False)
            self._last, self._trust = label(session, settled.output), dict(settled.report)
            claims[lottery.drawn(asked)].append(asked)
            if claims[True] and (claims[False] or not both):
                return claims
        raise StoryFailed(f"expected some of {MOST} claims to be drawn, and some not")

    def _honest_audit(self, desk: Desk, lottery: Lottery, session: Session, image: bytes) -> None:
        with service(desk, "operator", OPERATOR) as process:
            with self.step("answer on stake until one is drawn") as found:
                claims = self._asked(lottery, session, image, process, both=False)
                self.outcome.label, self.outcome.trust = self._last, self._trust
                self._earned = sum(map(len, claims.values()))
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
                found.append(f"x {self._earned}; DEVELOPMENT beacon, foreseeable by anyone")
            with self.step("the window passes, the round decides") as found:
                window = claims[True][0].quote
                lottery.pass_time(window.window if window else 0)
                settled = lottery.answer(claims[True][0], process, final=True)
                self.outcome.gas["prove what was drawn"] = settled.gas
                lottery.pass_time(HOUR)  # others could have been drawn, and not proved
                for asked in claims[False]:
                    self.outcome.gas["finalise"] = lottery.answer(asked, process, final=True).gas
                found.append(f"the drawn one is {settled.report['final']}")

    def _lies(self, desk: Desk, lottery: Lottery, session: Session, image: bytes) -> None:
        with ExitStack() as stack:
            cheat = stack.enter_context(service(desk, "cheat", CHEATER, command=CHEAT))
            with self.step("a cheat answers, engine CORRUPTED") as found:
                claims = self._asked(lottery, session, image, cheat, both=True)
                self.outcome.claimed = self._last
                self._held, self._caught = len(claims[False]), len(claims[True])
                found.append(f"label {self.outcome.claimed}; nobody else has the weights")
            quote = claims[True][0].quote
            with self.step("the window passes: a watcher says which are drawn") as found:
                watching = stack.enter_context(service(desk, "watcher", WATCHER, roles="watcher"))
                lottery.pass_time((quote.window if quote else 0) + PATIENCE)
                for asked in claims[True]:
                    lottery.until(lambda asked=asked: lottery.frozen(asked), watching)
                found.append(f"{self._caught} drawn: {self._held} more lies wait for their proofs")
            with self.step("no proof comes: it hands them in") as found:
                lottery.pass_time(quote.prove if quote else 0)
                for asked in claims[True]:
                    lottery.until(
                        lambda asked=asked: lottery.status(asked) is Status.RETRACTED, watching
                    )
                if any(lottery.status(asked) is not Status.PROVISIONAL for asked in claims[False]):
                    raise StoryFailed("expected no lie to be final")
                locked = self._held * (quote.lock if quote else 0)
                self.outcome.slashed_gwei = STAKE // GWEI - locked
                later = f"{locked * GWEI / ETHER:g} more when the locks of the other lies end"
                found.append(
                    f"{(STAKE - locked * GWEI) / ETHER:g} ether of stake are gone, {later}"
                )
            economy = Economy(COVERAGE / ETHER, STAKE / ETHER)
            gain = economy.unwatched_gain([RATE / WHOLE])
            with self.step("what one lie is worth on average") as found:
                found.append(f"{gain:+.3f} ether, for {COVERAGE / ETHER:g} to be gained")

    def _check(self, ladder: Ladder) -> None:
        """The sheet must balance as the tier's terms say; gas makes the small differences."""
        gained: dict[str, Any] = {
            name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()
        }
        near, paid = ETHER // 50, self._caught * COVERAGE
        slashed = self.outcome.slashed_gwei * GWEI  # what is locked for lies that wait burns later
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and self._earned * FEE - near < gained["operator"] <= self._earned * FEE
            and -slashed - near < gained["cheating operator"] <= -slashed
            and gained["requester"] > paid - (self._earned + self._held) * FEE - near
            and gained["burned"] == slashed - paid
            and -near < gained["watcher"] <= 0
        )
        if not right:
            raise StoryFailed(f"expected the cheat to lose its stake, got {self.outcome}")
