"""`einproof request`: the terms that it asks under, what it refuses, and the report as printed."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from oracle import operations
from oracle.cli import request as command
from oracle.cli.request import AUDIT, COVERAGE, PROVING
from oracle.domain.chain import Round
from oracle.domain.report import FORESEEABLE, Lookup, Stake, Worth, trust_report
from oracle.domain.request import Coin, TierKind
from oracle.domain.terms import WHOLE, ClaimTerms
from oracle.fakes import BEACON, IDENTITY, OPERATOR, QUOTE, STAKED, FakeChain, FakeSigner
from tests.commands import refused, run

ASK = ("request", "0x" + "03" * 32, "0x0102", "--no-wait", "--json")
GWEI = 10**9


@pytest.fixture
def asked(monkeypatch):
    """The terms of what is asked for, where all that would be sent is noted here."""
    found = []

    async def reach(settings):
        node = SimpleNamespace(close=lambda: None)
        return SimpleNamespace(
            chain=SimpleNamespace(node=node),
            signer=lambda *of: FakeSigner(OPERATOR),
            identity=IDENTITY,
            deployment=SimpleNamespace(address=lambda name: name),
        )

    async def ask(wallet, identity, assurance, registry, *of, terms, **price):
        found.append((assurance, terms))
        return SimpleNamespace(request=SimpleNamespace(id=b"\1" * 32), transaction=b"\2" * 32)

    monkeypatch.setattr(command.Site, "reach", reach)
    monkeypatch.setattr(operations, "ask", ask)
    return found


@pytest.mark.parametrize(
    ("tier", "words", "terms"),
    [
        ("proof", [], None),
        ("optimistic", [], ClaimTerms(round(COVERAGE * GWEI), PROVING)),
        (
            "optimistic",
            ["--coverage", 5, "--proving", 9, "--window", 7],
            ClaimTerms(5 * GWEI, 9, 7),
        ),
        ("committee", ["--window", 0, "--coverage", 2], ClaimTerms(2 * GWEI, PROVING)),
        ("audited", [], ClaimTerms(round(COVERAGE * GWEI), PROVING, 0, round(AUDIT * WHOLE))),
        ("audited", ["--audit", 0.029126], ClaimTerms(round(COVERAGE * GWEI), PROVING, 0, 292)),
        ("audited", ["--audit", 0.0201], ClaimTerms(round(COVERAGE * GWEI), PROVING, 0, 201)),
    ],
)
def test_terms_are_as_asked_for_and_a_share_is_counted_up(asked, tier, words, terms):
    told = json.loads(run(*ASK, "--tier", tier, *words).stdout)
    assert told["request"] == "0x" + "01" * 32
    assert asked == [(command.CONTRACTS[tier], terms)]


@pytest.mark.parametrize(
    ("tier", "words", "said"),
    [
        ("proof", ["--coverage", 5], "--coverage is of tiers on stake, got --tier proof"),
        ("proof", ["--proving", 60], "--proving is of tiers on stake"),
        ("proof", ["--window", 0], "--window is of tiers on stake"),
        ("committee", ["--window", 5], "--window: a committee's is fixed with its tier, got 5"),
    ],
)
def test_what_a_tier_has_none_of_is_refused(asked, tier, words, said):
    assert said in refused(*ASK, "--tier", tier, *words)
    assert asked == []


@pytest.mark.parametrize(
    ("coin", "unit"), [(None, "gwei"), (Coin("0xToken", 3000 * GWEI), "units of 0xToken")]
)
def test_what_is_printed_names_what_stakes_are_in(capsys, coin, unit):
    shown = printed(capsys, replace(STAKED, coin=coin), Lookup(False))
    assert f"{QUOTE.lock} {unit}; covers {GWEI}, " in shown["staked"]


def test_what_is_printed_of_a_committee_names_the_beacon_that_drew_it(capsys):
    draw = Round(BEACON, True, 7, True, 3)
    tier = replace(STAKED, kind=TierKind.COMMITTEE)
    shown = printed(capsys, tier, Lookup(False, committee=draw))
    assert shown["committee"] == f"drawn by {BEACON}: {FORESEEABLE}"
    assert FORESEEABLE in shown["could cheat"]


def printed(capsys, tier, found):
    """Lines by their titles."""
    request, stake = FakeChain().ask_staked(), Stake(QUOTE, Worth.PROVISIONAL)
    command._show({"trust": trust_report(IDENTITY, request, tier, OPERATOR, stake, found)})
    lines: dict[str, str] = {}
    title = ""
    for line in capsys.readouterr().out.splitlines():
        title = line[:14].strip() or title
        lines[title] = (lines.get(title, "") + " " + line[14:].strip()).strip()
    return lines
