"""The story of the optimistic tier: an operator answers on stake and earns; a cheating one, a
process whose engine is corrupted on purpose, is caught by the challenger's process and slashed.

The chain's clock is moved by evm_increaseTime, so that a window of hours passes in a moment.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from oracle.adapters.chain import NodeChain
from oracle.adapters.deployment import OPTIMISTIC
from oracle.adapters.keys import AccountSigner, open_signer
from oracle.adapters.rpc import Node
from oracle.adapters.wallet import Wallet
from oracle.domain.chain import Identity, Status
from oracle.domain.request import TierKind
from oracle.domain.terms import ClaimTerms
from oracle.examples import digits
from oracle.operations import Asked, Settled, ask, await_answer
from oracle.story.desk import FEE, Desk, StoryFailed
from oracle.story.digits import Outcome, Story
from oracle.story.process import CHEAT, service
from prover.api import Session

GWEI, ETHER = 10**9, 10**18
STAKE, COVERAGE, PROVING = 2 * ETHER, ETHER // 10, 60
#: Anvil's accounts; 0 deploys.
OPERATOR, REQUESTER, CHALLENGER, CHEATER = "dev:1", "dev:2", "dev:3", "dev:4"
PEOPLE = {
    "operator": OPERATOR,
    "cheating operator": CHEATER,
    "challenger": CHALLENGER,
    "requester": REQUESTER,
}
PATIENCE = 180


@dataclass
class StakedOutcome(Outcome):
    """What the closing tables show; `sheet` is in wei, by person, before the first request and at
    the end: wallet, stake and credit in one; and what was burned."""

    tier: str = "optimistic"
    claimed: int = -1
    disputes: int = 0
    slashed_gwei: int = 0
    sheet: dict[str, dict[str, int]] = field(default_factory=dict)
    trust: dict[str, Any] = field(default_factory=dict)


class StakedStory(Story):
    """`tell` runs it, as Story does."""

    outcome: StakedOutcome

    def _begin(self) -> StakedOutcome:
        return StakedOutcome()

    def _on_chain(self, desk: Desk, session: Session) -> None:
        desk.command("register", self.folder / "models/digits")
        ladder = Ladder(desk)
        with self.step("stake") as found:
            for key in (OPERATOR, CHEATER):
                ladder.stake(key)
            found.append(f"{STAKE / ETHER:g} ether each: the operator and the one who will cheat")
        before = ladder.sheet()
        _, held_out = digits.load()
        image = session.model.encode_input(held_out.images[:1])
        self.outcome.truth = int(held_out.labels[0])
        self._honest(desk, ladder, session, image)
        self._cheated(desk, ladder, session, image)
        after = ladder.sheet()
        self.outcome.sheet = {
            name: {"before": before[name], "after": after[name]} for name in before
        }
        self._check(ladder)

    def _honest(self, desk: Desk, ladder: Ladder, session: Session, image: bytes) -> None:
        with service(desk, "operator", OPERATOR) as process:
            with self.step("answer on stake") as found:
                asked = ladder.ask(session.model.id, image)
                settled = ladder.answer(asked, process, final=False)
                self.outcome.label = label(session, settled.output)
                self.outcome.trust = dict(settled.report)
                found.append(f"label {self.outcome.label} (truth {self.outcome.truth})")
            with self.step("the window passes") as found:
                ladder.pass_time(asked.quote.window if asked.quote else 0)
                settled = ladder.answer(asked, process, final=True)
                self.outcome.gas["finalise"] = settled.gas
                found.append(str(settled.report["final"]))

    def _cheated(
        self, desk: Desk, ladder: Ladder, session: Session, image: bytes, **settings: str
    ) -> None:
        """`settings` are the cheating service's own."""
        with ExitStack() as stack:
            with self.step("a cheat answers, engine CORRUPTED") as found:
                cheating = service(desk, "cheat", CHEATER, command=CHEAT, **settings)
                cheat = stack.enter_context(cheating)
                asked = ladder.ask(session.model.id, image)
                wrong = ladder.answer(asked, cheat, final=False)
                self.outcome.claimed = label(session, wrong.output)
                found.append(f"label {self.outcome.claimed}, vouched for by stake")
            with self.step("a challenger re-executes, disputes") as found:
                watching = stack.enter_context(
                    service(desk, "challenger", CHALLENGER, roles="challenger")
                )
                tier = desk.contract(ladder.tier)
                ladder.until(lambda: tier.challengeCount(asked.request.id) == 1, watching)
                self.outcome.disputes = 1
                found.append("interpreter and torch engine agree; a bond is in")
            with self.step("the prove clock ends without a proof") as found:
                ladder.pass_time(asked.quote.prove if asked.quote else 0)
                oracle = desk.contract("InferenceOracle")
                retracted = Status.RETRACTED
                ladder.until(lambda: oracle.statusOf(asked.request.id)[0] == retracted, watching)
                bonds = desk.address(ladder.tier)
                ladder.until(lambda: desk.web3.eth.get_balance(bonds) == 0, watching)
                self.outcome.slashed_gwei = asked.quote.lock if asked.quote else 0
                found.append(f"{self.outcome.slashed_gwei} gwei slashed, the payment went back")

    def _check(self, ladder: Ladder) -> None:
        """The sheet must balance as the tier's terms say; gas makes the small differences."""
        gained = {name: row["after"] - row["before"] for name, row in self.outcome.sheet.items()}
        lost = -self.outcome.slashed_gwei * GWEI
        right = (
            self.outcome.label == self.outcome.truth != self.outcome.claimed
            and -ETHER // 100 < gained["operator"] <= FEE
            and lost - ETHER // 100 < gained["cheating operator"] <= lost
            and gained["challenger"] > 0
            and gained["burned"] == COVERAGE
        )
        if not right:
            raise StoryFailed(f"expected the cheat to pay, and nobody else, got {self.outcome}")


class Ladder:
    """A tier with stakes by hand, on a desk's chain: the optimistic one."""

    people = PEOPLE
    tier, kind = OPTIMISTIC, TierKind.OPTIMISTIC
    requester = REQUESTER
    seconds = 600
    held = STAKE
    #: What a request asks for, unless it says otherwise; nothing under the tier of proofs.
    terms: ClaimTerms | None = ClaimTerms(COVERAGE // GWEI, PROVING)

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._identity = Identity(desk.chain_id, desk.address("InferenceOracle"))

    def stake(self, key: str) -> None:
        self._desk.contract("StakeVault").stake(value=self.held, sender=self.account(key))

    def account(self, key: str) -> Any:
        """Ape's account of a development key."""
        accounts, address = self._desk.ape.accounts.test_accounts, self.address(key)
        return next(account for account in accounts if str(account.address) == address)

    def address(self, key: str) -> str:
        return self._signer(key).address

    def ask(
        self, model_id: bytes, image: bytes, *, fee: int = FEE, terms: ClaimTerms | None = None
    ) -> Asked:
        terms = terms or self.terms

        async def work(purse: Wallet) -> Asked:
            tier, registry = self._desk.address(self.tier), self._desk.address("ModelRegistry")
            contracts = (tier, registry, model_id, image)
            lasts = self.seconds
            return await ask(purse, self._identity, *contracts, fee=fee, seconds=lasts, terms=terms)

        return self._run(work)

    def answer(self, asked: Asked, process: subprocess.Popen[bytes], *, final: bool) -> Settled:
        async def work(purse: Wallet) -> Settled:
            waiting = await_answer(purse, self._identity, asked, 0.1, final=final)
            return await asyncio.wait_for(waiting, PATIENCE)

        try:
            return self._run(work)
        except TimeoutError:
            raise self._failed(process) from None

    def until(self, condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        expires = time.monotonic() + PATIENCE
        while not condition():
            if process.poll() is not None or time.monotonic() > expires:
                raise self._failed(process)
            time.sleep(0.1)

    def pass_time(self, seconds: int) -> None:
        for method, arguments in (("evm_increaseTime", [seconds + 90]), ("evm_mine", [])):
            self._desk.web3.provider.make_request(method, arguments)

    def sheet(self) -> dict[str, int]:
        """What each person has, in wallet, stake and credit; and what is burned; in wei."""
        vault = self._desk.contract("StakeVault")
        found = {}
        for name, key in self.people.items():
            address = self.address(key)
            held = vault.accountOf(address).stake + vault.credit(address)
            found[name] = int(self._desk.web3.eth.get_balance(address)) + held * GWEI
        return {**found, "burned": vault.burned() * GWEI}

    def _signer(self, key: str) -> AccountSigner:
        return open_signer(key, "", self._desk.chain_id)

    def _run(self, work: Callable[[Wallet], Any]) -> Any:
        async def whole() -> Any:
            node = Node(self._desk.url)
            try:
                tiers = {self._desk.address(self.tier): self.kind}
                chain = NodeChain(node, self._desk.address("InferenceOracle"), tiers)
                return await work(Wallet(chain, self._signer(self.requester), self._desk.chain_id))
            finally:
                node.close()

        return asyncio.run(whole())

    def _failed(self, process: subprocess.Popen[bytes]) -> StoryFailed:
        how = "it still runs" if process.poll() is None else f"exit code {process.returncode}"
        logs = f"{self._desk.folder}/*.log"
        return StoryFailed(f"expected the service to act within {PATIENCE} s ({how}): see {logs}")


def label(session: Session, output: bytes) -> int:
    return int(session.model.decode_output(output).reshape(-1).argmax())
