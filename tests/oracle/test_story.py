"""Parts of the stories that their runs alone would not pin down; the command that tells them."""

import asyncio
import json
import re

import pytest

from oracle.adapters.deployment import read_deployment
from oracle.domain.errors import KeyRefused, SettingsInvalid
from oracle.domain.request import TierKind
from oracle.settings import Settings
from oracle.story import crowd
from oracle.story.attested import AttestedStory
from oracle.story.audited import AuditedStory
from oracle.story.bisected import BisectedStory
from oracle.story.cheat import swapped
from oracle.story.digits import Story
from oracle.story.seated import SeatedStory
from oracle.story.staked import StakedStory
from tests.commands import run

#: `einproof demo --tier`: the story that it tells.
STORIES = {
    "proof": Story,
    "optimistic": StakedStory,
    "attested": AttestedStory,
    "committee": SeatedStory,
    "audited": AuditedStory,
    "bisection": BisectedStory,
}


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


@pytest.fixture
def told(monkeypatch):
    """What `einproof demo` prints, and the story that it tells: of an outcome that is given."""

    def make(*words, **outcome):
        stories = []

        def tell(story):
            stories.append(story)
            for name, value in outcome.items():
                setattr(story.outcome, name, value)
            return story.outcome

        monkeypatch.setattr(Story, "tell", tell)
        shown = run("demo", *words)
        (story,) = stories
        return shown.stdout, story

    return make


@pytest.mark.parametrize("tier", STORIES)
def test_each_tier_has_a_demo_of_its_own(told, tmp_path, tier):
    printed, story = told("--tier", tier, "--folder", tmp_path, "--members", 24, "--json")
    assert type(story) is STORIES[tier] and story.folder == tmp_path
    assert json.loads(printed).get("tier", "proof") == tier
    if tier == "committee":  # Anvil has an account for each
        assert (story.members, story.chain) == (24, ("--accounts", "27"))


def words_of(table):
    """Its cells, without the lines between them."""
    return " ".join(re.sub(r"[^\x00-\x7f]|[|]", " ", table).split())


def test_the_demo_prints_what_each_had_before_and_after(told):
    ether = 10**18
    sheet = {
        "operator": {"before": 20 * ether, "after": 20 * ether + ether // 1000},
        "cheat": {"before": 10 * ether, "after": 10 * ether - 6 * ether // 25},
        "burned": {"before": 0, "after": ether // 10},
    }
    found = {"truth": 3, "label": 3, "claimed": 8, "slashed_gwei": 24 * 10**7, "sheet": sheet}
    found["refused"] = {"a stolen key": "KeyUnknown(0x12)"}
    found["trust"] = {"attested": {"label": "SOFTWARE TPM"}}
    printed, _ = told("--tier", "attested", **found)
    words = words_of(printed)
    assert "digit 3: 3 on honest stake; 8 cost who claimed it 0.24 ether" in words
    assert "before after change operator 20.0000 20.0010 +0.0010" in words
    assert "cheat 10.0000 9.7600 -0.2400 burned 0.0000 0.1000 +0.1000" in words
    assert "refused: a stolen key KeyUnknown(0x12) SOFTWARE TPM" in words


def test_the_demo_of_proofs_prints_what_was_measured(told):
    found = {"truth": 7, "label": 7, "proof_bytes": 12_345, "gas": {"request": 67_890}}
    found |= {"accuracy": {"float": 0.975, "integer": 0.9725}, "refused": {"a replay": "Wrong()"}}
    printed, story = told(**found)
    assert type(story) is Story  # `make demo` names no tier
    words = words_of(printed)
    assert "digit 7, classified on-chain as 7" in words
    assert "accuracy, float 97.50% accuracy, integer 97.25% proof 12,345 bytes" in words
    assert "gas: request 67,890" in words and "refused: a replay Wrong()" in words
