"""`einproof demo` under the tiers on stake: the stories that it tells, over one chain and one
deployment, from the trained model to the balance sheet."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from oracle.adapters.software_tpm import is_installed
from oracle.story.anvil import anvil
from oracle.story.attested import AttestedStory
from oracle.story.audited import AuditedStory
from oracle.story.desk import Desk
from oracle.story.digits import SRS_POWERS
from oracle.story.seated import FEW, SeatedStory
from oracle.story.staked import COVERAGE, ETHER, StakedOutcome, StakedStory
from prover import kernels
from prover.api import Session
from prover.srs import development_srs

pytestmark = [pytest.mark.chain, pytest.mark.slow]

NEAR = ETHER // 100  # what gas makes of a sum


class Stage:
    """One chain with everything deployed, and the model; set back after each story."""

    def __init__(self, folder: Path, desk: Desk, session: Session) -> None:
        self.folder, self.desk, self.session = folder, desk, session

    def tell(self, kind: type[StakedStory]) -> StakedOutcome:
        story = told(kind, self.folder)
        web3 = self.desk.web3.provider
        snapshot = web3.make_request("evm_snapshot", [])["result"]
        try:
            story._on_chain(self.desk, self.session)
        finally:
            web3.make_request("evm_revert", [snapshot])
            for database in self.folder.glob("*.db*"):
                database.unlink()
        return story.outcome


def told(kind: type[StakedStory], folder: Path) -> Any:
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
    """Wei that each has more than before, in wallet, stake and credit."""
    return {who: row["after"] - row["before"] for who, row in outcome.sheet.items()}


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
