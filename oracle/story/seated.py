"""The story of the committee tier: its members agree and earn; a quorum that does not appear
when it is summoned is fined; the same quorum, agreeing on a lie, is refuted by one other and
slashed.

Three members are a process each. Of more, who collects is one, and all others share one
(oracle/story/crowd.py). From 24 on they sign as one (BLS12-381). The chain's clock is moved by
evm_increaseTime: to the next day, for which the committee is drawn by the development beacon, and
over windows.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oracle.adapters.abi import call_data
from oracle.adapters.bls import register_call
from oracle.adapters.deployment import BLS_COMMITTEE, COMMITTEE
from oracle.adapters.wallet import Wallet
from oracle.cli.deploy import deploy_script
from oracle.domain.chain import Call, Status
from oracle.domain.committee import DAY, Committee
from oracle.domain.request import TierKind
from oracle.examples import digits
from oracle.operations import Asked
from oracle.story.desk import FEE, Desk, StoryFailed
from oracle.story.process import CHEAT, CROWD, SERVE, service
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

FIRST = 3  # Anvil's accounts; 0 deploys, 2 asks
FEW = 3
BOARD_PORT = "18760"


class Chamber(Ladder):
    """A committee's tier by hand. `keys` are its members', by seat; of them `turned` are a quorum,
    `true` the others, who stay honest and of whom the first collects."""

    kind = TierKind.COMMITTEE
    seconds = 4 * 3600

    def __init__(self, desk: Desk, size: int) -> None:
        super().__init__(desk)
        self.many = size >= deploy_script().MANY
        self.tier = BLS_COMMITTEE if self.many else COMMITTEE
        self.rules = desk.deployment["large_committee" if self.many else "committee"]
        self.keys = tuple(f"dev:{FIRST + seat}" for seat in range(size))
        honest = size - int(self.rules["quorum"])
        self.true, self.turned = self.keys[:honest], self.keys[honest:]

    @property
    def council(self) -> Any:
        return self._desk.contract(self.tier)

    def enrol(self) -> None:
        """Every member stakes, registers a key where they sign as one, and takes a seat."""

        async def admit(wallet: Wallet) -> None:
            staked = Call(self._desk.address("StakeVault"), call_data("stake"), self.held)
            await wallet.transact(staked)
            if self.many:
                keys = self._desk.address("BlsKeys")
                await wallet.transact(await register_call(wallet.chain, keys, wallet.signer))

        async def work(purse: Wallet) -> None:
            chain, chain_id = purse.chain, self._desk.chain_id
            wallets = [Wallet(chain, self._signer(key), chain_id) for key in self.keys]
            await asyncio.gather(*map(admit, wallets))
            for seat, wallet in enumerate(wallets):
                taken = call_data("enrol", seat)
                await wallet.transact(Call(self._desk.address(self.tier), taken))

        self._run(work)

    def draw(self) -> Committee:
        """The first day begins that every seat is listed for (in a day's last hour that is not the
        next), its round is published, its committee drawn."""
        now = self._desk.ape.chain.pending_timestamp
        latest = self.council.seatAt(self.council.seatCount() - 1)  # seats are only added here
        epoch = max(now // DAY + 1, int(latest.since))
        self.pass_time(epoch * DAY - now)
        beacon = self._desk.contract("DevelopmentBeacon")
        anyone = self.account(REQUESTER)
        beacon.publish(beacon.roundAfter(epoch * DAY), b"", sender=anyone)
        receipt = self.council.draw(sender=anyone)
        (drawn,) = receipt.decode_logs(self.council.Drawn)
        return Committee(epoch, bytes(drawn.members), int(self.rules["quorum"]))

    def places(self, committee: Committee, keys: Sequence[str]) -> list[int]:
        """Where they sit today."""
        return [place for key in keys for place in committee.places(self.address(key))]

    @property
    def bond(self) -> int:
        """What a summons costs, in wei, if every place reveals."""
        return int(self.council.summonsBond())

    def summon(self, asked: Asked) -> None:
        self.council.summon(asked.request.fields, value=self.bond, sender=self.account(REQUESTER))

    def reclaim(self, asked: Asked) -> None:
        """The bond's parts of those who did not reveal; anyone may."""
        self.council.reclaim(asked.request.fields, sender=self.account(REQUESTER))

    def refund(self, asked: Asked) -> None:
        """When its deadline has passed."""
        self.pass_time(self.seconds)
        oracle = self._desk.contract("InferenceOracle")
        oracle.refund(asked.request.fields, sender=self.account(REQUESTER))

    def fine(self, asked: Asked, committee: Committee, keys: Sequence[str]) -> None:
        """Anyone may."""
        for place in self.places(committee, keys):
            named = (asked.request.id, committee.members, place)
            self.council.fineAbsent(*named, sender=self.account(REQUESTER))

    def left(self, keys: Sequence[str]) -> int:
        """Gwei that are left of their seats together."""
        return sum(int(self.council.seatAt(self.keys.index(key)).stake) for key in keys)

    def sheet(self) -> dict[str, int]:
        """With what they are credited with of bonds."""
        collector, *others = self.true
        turned = f"{len(self.turned)} who turned"
        groups = {"honest collector": (collector,), "other honest members": others}
        groups |= {turned: self.turned, "requester": (REQUESTER,)}
        self.people = {key: key for keys in groups.values() for key in keys}
        each = super().sheet()
        for key in self.people:
            each[key] += int(self.council.credit(self.address(key)))
        found = {name: sum(each[key] for key in keys) for name, keys in groups.items() if keys}
        return {**found, "burned": each["burned"]}


@dataclass
class SeatedOutcome(StakedOutcome):
    """And what those who were summoned earned of the bond."""

    earned_wei: int = 0


class SeatedStory(StakedStory):
    """`tell` runs it, as Story does; `members` are the committee."""

    def __init__(
        self,
        folder: Path,
        say: Callable[[str], None],
        said: Callable[[str, str], None],
        members: int = FEW,
    ) -> None:
        super().__init__(folder, say, said)
        self.members = members
        self.chain = ("--accounts", str(max(10, FIRST + members)))

    outcome: SeatedOutcome

    def _begin(self) -> SeatedOutcome:
        return SeatedOutcome(tier="committee")

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        chamber = Chamber(desk, self.members)
        how = "under one signature (BLS12-381)" if chamber.many else "a signature each (ECDSA)"
        with self.step("take seats, draw the day's committee") as found:
            chamber.enrol()
            committee = chamber.draw()
            found.append(
                f"{committee.quorum} of {self.members} must agree, {how}; drawn by the "
                "DEVELOPMENT beacon, foreseeable by anyone"
            )
        before = chamber.sheet()
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        self._agreed(desk, chamber, session, image)
        self._absent(desk, chamber, session, image, committee)
        self._captured(desk, chamber, session, image)
        after = chamber.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._balance(chamber)

    def _agreed(self, desk: Desk, chamber: Chamber, session: Session, image: bytes) -> None:
        with serving(desk, chamber, chamber.keys) as process:
            with self.step("commit, reveal, agree") as found:
                asked = chamber.ask(session.model.id, image)
                settled = chamber.answer(asked, process, final=False)
                self.outcome.label = label(session, settled.output)
                self.outcome.trust = dict(settled.report)
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
            with self.step("the window passes") as found:
                chamber.pass_time(asked.quote.window if asked.quote else 0)
                settled = chamber.answer(asked, process, final=True)
                self.outcome.gas["finalise"] = settled.gas
                found.append(str(settled.report["final"]))

    def _absent(
        self, desk: Desk, chamber: Chamber, session: Session, image: bytes, committee: Committee
    ) -> None:
        absent = chamber.turned
        with self.step(f"{len(absent)} members stay away, all are summoned") as found:
            with serving(desk, chamber, chamber.true) as process:
                asked = chamber.ask(session.model.id, image)
                chamber.summon(asked)
                council, grace = chamber.council, chamber.rules["grace"]
                places = chamber.places(committee, chamber.true)
                for view in (council.commitmentAt, council.revealedAt):
                    chamber.until(
                        lambda view=view: all(any(view(asked.request.id, at)) for at in places),
                        process,
                    )
                    chamber.pass_time(grace)
            held = chamber.left(absent)
            chamber.fine(asked, committee, absent)
            chamber.refund(asked)
            chamber.reclaim(asked)
            fined = held - chamber.left(absent)
            self.outcome.earned_wei = chamber.bond * len(places) // len(chamber.keys)
            found.append(
                f"{fined} gwei in fines; the others spoke on-chain, for "
                f"{self.outcome.earned_wei // GWEI} gwei of the summons' bond"
            )

    def _captured(self, desk: Desk, chamber: Chamber, session: Session, image: bytes) -> None:
        with serving(desk, chamber, chamber.turned, lie=True) as liars:
            with self.step("a quorum agrees, engines CORRUPTED") as found:
                asked = chamber.ask(session.model.id, image)
                wrong = chamber.answer(asked, liars, final=False)
                self.outcome.claimed = label(session, wrong.output)
                found.append(f"label {self.outcome.claimed}, vouched for by {len(chamber.turned)}")
            honest = chamber.true[:1]
            with (
                self.step("one dissents, refutes by a proof") as found,
                serving(desk, chamber, honest, board=chamber.turned[0]) as process,
            ):
                held = chamber.left(chamber.turned)
                oracle = desk.contract("InferenceOracle")
                final = Status.FINAL
                chamber.until(lambda: oracle.statusOf(asked.request.id)[0] == final, process)
                self.outcome.disputes = 1
                self.outcome.slashed_gwei = held - chamber.left(chamber.turned)
                right = chamber.answer(asked, process, final=True)
                lost = f"{self.outcome.slashed_gwei} gwei slashed"
                found.append(f"label {label(session, right.output)}; {lost}")

    def _balance(self, chamber: Chamber) -> None:
        """The sheet must balance as the tier's rules say; gas makes the small differences."""
        gained = {name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()}
        near, turned = ETHER // 100, len(chamber.turned)
        fines = turned * int(chamber.rules["fine"]) * GWEI
        lost = fines + self.outcome.slashed_gwei * GWEI
        each = self.outcome.earned_wei // len(chamber.true)
        others = each * (len(chamber.true) - 1)
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and gained["honest collector"] > 2 * FEE + each - near
            and others - near * self.members < gained.get("other honest members", 0) <= others
            and -lost - near * turned < gained[f"{turned} who turned"] <= -lost
            and gained["requester"] > COVERAGE - self.outcome.earned_wei - near
            and gained["burned"] >= COVERAGE + fines
        )
        if not right:
            raise StoryFailed(f"expected the liars to pay, and nobody else, got {self.outcome}")


@contextmanager
def serving(
    desk: Desk, chamber: Chamber, keys: Sequence[str], *, board: str = "", lie: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """Members' processes; that of the first, who collects unless another has the `board`."""
    first, *others = keys
    settings = {"EINPROOF_PAYEE": chamber.address(board or first)}
    if len(chamber.keys) > FEW:
        settings["EINPROOF_POLL"] = "1"
    reads = settings | {"EINPROOF_BOARD": f"http://127.0.0.1:{BOARD_PORT}"}
    hosts = settings | {"EINPROOF_BOARD_PORT": BOARD_PORT}
    with ExitStack() as stack:
        process = stack.enter_context(_one(desk, first, lie, reads if board else hosts))
        if len(keys) <= FEW:
            for key in others:
                stack.enter_context(_one(desk, key, lie, reads))
        else:
            stack.enter_context(_crowd(desk, others, lie, reads))
        yield process


def _one(desk: Desk, key: str, lie: bool, settings: dict[str, str]) -> Any:
    name, command = ("liar", CHEAT) if lie else ("member", SERVE)
    return service(desk, f"{name}-{key[4:]}", key, roles="member", command=command, **settings)


def _crowd(desk: Desk, keys: Sequence[str], lie: bool, settings: dict[str, str]) -> Any:
    name = "liar" if lie else "member"
    command = (*CROWD, *["--corrupted"] * lie, *keys)
    database = f"sqlite:///{desk.folder}/{name}-KEY.db"
    settings = settings | {"EINPROOF_DATABASE": database}
    return service(desk, f"{name}s", keys[0], roles="member", command=command, **settings)
