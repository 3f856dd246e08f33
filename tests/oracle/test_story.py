"""Parts of the optimistic story that its run alone would not pin down."""

import json

import pytest

from oracle.adapters.deployment import read_deployment
from oracle.domain.errors import SettingsInvalid
from oracle.domain.request import TierKind
from oracle.story.cheat import swapped


def cells(*values):
    return b"".join(value.to_bytes(2, "big", signed=True) for value in values)


@pytest.mark.parametrize(
    ("honest", "falsified"),
    [
        (cells(3, -9, 70, 12), cells(3, -9, 12, 70)),
        (cells(-5, -6, -7), cells(-6, -5, -7)),
        (cells(1, 2), cells(2, 1)),
    ],
)
def test_the_corrupted_engine_changes_the_answer_and_nothing_else(honest, falsified):
    assert swapped(honest) == falsified
    assert sorted(swapped(honest)) == sorted(honest)


def test_a_deployment_names_its_tiers(tmp_path):
    path, oracle, proof, staked = tmp_path / "1.json", *("0x" + b * 20 for b in ("01", "02", "03"))
    contracts = {"InferenceOracle": oracle, "ProofAssurance": proof}
    path.write_text(json.dumps({"chain_id": 1, "block": 1, "contracts": contracts}))
    assert read_deployment(1, path).tiers == {proof: TierKind.PROOF}
    contracts["OptimisticAssurance"] = staked
    path.write_text(json.dumps({"chain_id": 1, "block": 1, "contracts": contracts}))
    assert read_deployment(1, path).tiers[staked] is TierKind.OPTIMISTIC
    path.write_text(json.dumps({"chain_id": 1, "block": 1, "contracts": {}}))
    with pytest.raises(SettingsInvalid, match="has no ProofAssurance"):
        _ = read_deployment(1, path).tiers
