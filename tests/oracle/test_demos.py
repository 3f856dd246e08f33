"""`einproof demo`: the stories that it tells, over one chain and one deployment, from the trained
model to the balance sheet. The command itself is in test_story."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from oracle.adapters.software_tpm import is_installed
from oracle.cli.deploy import deploy_script
from oracle.story.anvil import anvil
from oracle.story.attested import AttestedStory
from oracle.story.audited import AuditedStory
from oracle.story.bisected import BisectedOutcome, BisectedStory
from oracle.story.desk import FEE, Desk
from oracle.story.digits import SRS_POWERS, Story
from oracle.story.seated import FEW, SeatedStory
from oracle.story.staked import COVERAGE, ETHER, StakedOutcome, StakedStory
from prover import kernels
from prover.api import Session
from prover.srs import Srs, development_srs

pytestmark = [pytest.mark.chain, pytest.mark.slow]

NEAR = ETHER // 100  # what gas makes of a sum


class Stage:
    """One chain with everything deployed, and the model; set back after each story."""

    def __init__(self, folder: Path, desk: Desk, session: Session) -> None:
        self.folder, self.desk, self.session = folder, desk, session

    def tell(self, kind: type[StakedStory]) -> Any:
        story = told(kind, self.folder)
        with self.set_back():
            story._on_chain(self.desk, self.session)
        return story.outcome

    @contextmanager
    def set_back(self) -> Iterator[None]:
        web3 = self.desk.web3.provider
        snapshot = web3.make_request("evm_snapshot", [])["result"]
        try:
            yield
        finally:
            web3.make_request("evm_revert", [snapshot])
            for database in self.folder.glob("*.db*"):
                database.unlink()


def told(kind: type[Story], folder: Path) -> Any:
    return kind(folder, lambda step: None, lambda step, found: None)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder, before = tmp_path_factory.mktemp("demo"), Path.cwd()
    srs = development_srs(kernels.get(), SRS_POWERS)
    session = told(StakedStory, folder)._model(srs, [])
    try:
        with anvil(folder / "anvil.log") as url, Desk.deployed(url, srs, folder, FEW) as desk:
            yield Stage(folder, desk, session)
    finally:
        os.chdir(before)


def gains(outcome: StakedOutcome) -> dict[str, int]:
    """Wei that each has more than before, in wallet, stake and credit. Nothing comes from outside,
    and nothing goes there but gas and, while lies wait for their proofs, their fees."""
    gained = {who: row["after"] - row["before"] for who, row in outcome.sheet.items()}
    assert -NEAR * len(gained) < sum(gained.values()) < 0, gained
    return gained


def check_cheat(outcome: StakedOutcome) -> dict[str, int]:
    """The honest answer is the truth and the cheat's is not; the cheat, and nobody else, pays."""
    gained = gains(outcome)
    assert outcome.label == outcome.truth != outcome.claimed
    lost = outcome.slashed_gwei * 10**9
    assert lost > 2 * COVERAGE
    assert -lost - NEAR < gained["cheating operator"] <= -lost
    assert gained["operator"] > -NEAR
    assert gained["challenger"] > 0
    assert gained["requester"] > COVERAGE - NEAR
    assert gained["burned"] == COVERAGE
    return gained


def test_demo_of_the_optimistic_tier(stage: Stage) -> None:
    outcome = stage.tell(StakedStory)
    check_cheat(outcome)
    assert outcome.disputes == 1 and "staked" in outcome.trust


@pytest.mark.skipif(
    not is_installed(), reason="swtpm is not installed (apt-get install swtpm): no TPM to sign with"
)
def test_demo_of_the_attested_tier(stage: Stage) -> None:
    outcome = stage.tell(AttestedStory)
    gained = check_cheat(outcome)
    assert gained["thief"] == 0 and len(outcome.refused) == 5


def test_demo_of_the_audited_tier(stage: Stage) -> None:
    outcome = stage.tell(AuditedStory)
    gained = gains(outcome)
    assert outcome.label == outcome.truth != outcome.claimed
    lost = outcome.slashed_gwei * 10**9
    assert -lost - NEAR < gained["cheating operator"] <= -lost < -2 * COVERAGE
    assert gained["operator"] > 0 and -NEAR < gained["watcher"] <= 0
    caught = lost - gained["burned"]  # what is not burned is the compensation of the drawn
    assert caught >= COVERAGE and caught % COVERAGE == 0


def test_demo_of_the_committee_tier(stage: Stage) -> None:
    outcome = stage.tell(SeatedStory)
    gained = gains(outcome)
    assert outcome.label == outcome.truth != outcome.claimed
    turned = gained["2 who turned"]
    assert turned < -outcome.slashed_gwei * 10**9 < -2 * COVERAGE + NEAR
    assert gained["honest collector"] > 0
    assert gained["requester"] > COVERAGE - NEAR
    assert gained["burned"] >= COVERAGE


def test_demo_of_the_bisection_tier(stage: Stage) -> None:
    outcome: BisectedOutcome = stage.tell(BisectedStory)
    gained = gains(outcome)
    assert outcome.label == outcome.truth != outcome.claimed
    lost = outcome.slashed_gwei * 10**9
    assert -lost - NEAR < gained["cheating operator"] <= -lost < -2 * COVERAGE
    assert outcome.lost_bonds > 0  # whoever demanded what was right pays the operator's work
    earned = FEE + outcome.lost_bonds
    assert earned - NEAR < gained["operator"] <= earned
    assert gained["challenger"] > 0 and gained["burned"] == COVERAGE


def test_demo_of_proofs_is_told_whole(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `make demo` does, but for the chain and its contracts, which are the stage's."""
    folder, asked = tmp_path / "demo", list[object]()

    @contextmanager
    def chain(log: Path, *options: str) -> Iterator[str]:
        asked.append(options)
        yield stage.desk.url

    @contextmanager
    def deployed(url: str, srs: Srs, folder: Path, members: int) -> Iterator[Desk]:
        asked.append(members)
        deploy_script().write(stage.desk.deployment, folder / "deployments")
        yield Desk(url, stage.desk.deployment, folder)

    monkeypatch.setattr("oracle.story.digits.anvil", chain)
    monkeypatch.setattr(Desk, "deployed", deployed)
    (folder / "models").mkdir(parents=True)
    (folder / "models/stale").touch()
    story = told(Story, folder)
    story.chain, story.members = ("--accounts", "12"), 4  # as the committee's has
    with stage.set_back():
        outcome = story.tell()
    assert asked == [("--accounts", "12"), 4] and not (folder / "models/stale").exists()
    assert outcome.label == outcome.truth and outcome.proof_bytes > 0
    assert min(outcome.accuracy.values()) > 0.9
    assert outcome.gas["verify directly"] < outcome.gas["answer, callback included"]
