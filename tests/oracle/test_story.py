"""Parts of the optimistic story that its run alone would not pin down."""

import asyncio
import json

import pytest

from oracle.adapters.deployment import read_deployment
from oracle.domain.errors import KeyRefused, SettingsInvalid
from oracle.domain.request import TierKind
from oracle.settings import Settings
from oracle.story import crowd
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


def test_a_deployment_names_its_combination_by_its_parts(tmp_path):
    path, addresses = tmp_path / "1.json", ["0x" + b * 20 for b in ("01", "02", "03", "04")]
    contracts = dict(zip(("ProofAssurance", "CombinedAssurance"), addresses[:2], strict=True))
    names = ("AuditedAssurance", "AttestedAssurance")
    pairs = zip(names, addresses[2:], strict=True)
    parts = [{"name": name, "address": at, "terms": "0x"} for name, at in pairs]
    found = {"chain_id": 1, "block": 1, "contracts": contracts}
    path.write_text(json.dumps(found))
    assert read_deployment(1, path).combined == ""
    path.write_text(json.dumps({**found, "combination": {"vault": "", "parts": parts}}))
    made = read_deployment(1, path)
    assert made.combined == "audited+attested"
    assert list(made.parts) == addresses[2:]
    assert made.tiers[addresses[1]] is TierKind.COMBINED
    assert not set(made.parts) & set(made.tiers)


def test_a_crowd_serves_once_for_each_key_over_its_own_database(monkeypatch):
    served = []

    async def serve(settings, stop, parts):
        served.append((settings.key, settings.database, parts))
        await stop.wait()

    async def story():
        stop = asyncio.Event()
        settings = Settings(key="dev:0", database="sqlite:////tmp/member-KEY.db")
        playing = asyncio.create_task(crowd.play(settings, ["dev:4", "dev:11"], "parts", stop))
        while len(served) < 2:
            await asyncio.sleep(0)
        assert not playing.done()
        stop.set()
        await playing

    monkeypatch.setattr(crowd, "serve", serve)
    asyncio.run(story())
    assert served == [
        ("dev:4", "sqlite:////tmp/member-4.db", "parts"),
        ("dev:11", "sqlite:////tmp/member-11.db", "parts"),
    ]


def test_a_crowd_ends_when_one_of_it_cannot_go_on(monkeypatch):
    async def serve(settings, stop, parts):
        if settings.key == "dev:5":
            raise KeyRefused("no such key")
        await stop.wait()

    monkeypatch.setattr(crowd, "serve", serve)
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(crowd.play(Settings(), ["dev:4", "dev:5"], "parts", asyncio.Event()))
    assert caught.group_contains(KeyRefused)
