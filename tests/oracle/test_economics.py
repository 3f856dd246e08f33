"""The formulas of docs/economics.md: against the contracts' shares, and against brute force."""

import json
from itertools import pairwise

import numpy as np
import pytest
from eth_hash.auto import keccak
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from oracle.cli import main
from oracle.domain.economics import Economy
from oracle.domain.terms import LEAST_AUDITS, WHOLE, rate_of
from scripts.deploy import parameters
from tests.contracts.bench import CHALLENGER_COST, COVERAGE, LOCK, REWARD

RUNNER = CliRunner()
GWEI = 1e9

calm = settings(deadline=None)  # whatever else the machine does
amounts = st.floats(1e-3, 1e3)
rates = st.floats(0.001, 0.999)


def test_shares_are_those_of_the_contract():
    economy = Economy(COVERAGE / GWEI, 10, challenger_cost=CHALLENGER_COST / GWEI)
    assert economy.lock == pytest.approx(LOCK / GWEI)
    assert economy.reward == pytest.approx(REWARD / GWEI)


@calm
@given(amounts, amounts, st.floats(0.01, 1))
def test_one_cheat_at_the_least_rate_gains_nothing(coverage, stake, beta):
    economy = Economy(coverage, stake, beta)
    assert economy.unwatched_gain([economy.least_audit]) <= 1e-9 * (coverage + stake)
    if economy.least_audit > 0.02:
        less = economy.least_audit - 1.01 / WHOLE
        assert economy.unwatched_gain([less]) > 0
        assert economy.least_stake(economy.least_audit) <= stake * (1 + 1e-9)
        assert economy.least_stake(less) > stake


@calm
@given(st.integers(1, 10**12), st.integers(1, 10**12))
def test_the_least_rate_is_one_that_the_contract_takes(coverage, stake):
    """In gwei, as AuditedAssurance computes what has to be staked; and the next lower one is not,
    but for what floats leave open."""
    rate = rate_of(Economy(coverage / GWEI, stake / GWEI).least_audit)
    assert needed(coverage, rate) <= stake + stake // 10**12
    if rate > LEAST_AUDITS:
        assert needed(coverage, rate - 1) > stake - stake // 10**12


def needed(coverage, rate):
    return (3 * coverage * (WHOLE - rate) + rate - 1) // rate


def test_a_share_is_counted_up_and_what_floats_add_is_not():
    for rate in range(LEAST_AUDITS, WHOLE + 1):
        assert rate_of(rate / WHOLE) == rate_of((rate - 0.5) / WHOLE) == rate


@calm
@given(amounts, st.floats(0.01, 1), st.lists(amounts, min_size=1, max_size=12))
def test_no_set_of_cheats_pays_when_each_is_audited_enough(stake, beta, coverages):
    """Of any coverages: the product of 1 - a_i is at most beta S / (beta S + sum C_i)."""
    escapes = np.prod([1 - Economy(c, stake, beta).least_audit for c in coverages])
    lost = beta * stake
    assert escapes * (sum(coverages) + lost) <= lost * (1 + 1e-9)


@calm
@given(st.floats(0.01, 1), st.lists(st.lists(amounts, min_size=1, max_size=4), max_size=6))
def test_no_order_of_cheats_pays_when_the_first_drawn_holds_the_rest_back(beta, rounds):
    """Claims of one round are drawn at once; where none was drawn they are paid before the next."""
    stake = 1.0
    lost, paid, free = beta * stake, 0.0, 1.0
    for coverages in rounds:
        free *= np.prod([1 - Economy(c, stake, beta).least_audit for c in coverages])
        paid += free * sum(coverages)
    assert paid <= lost * (1 - free) * (1 + 1e-9) + 1e-9


def test_without_the_freeze_many_small_lies_would_pay():
    """If what was not drawn were paid whatever becomes of the rest, as docs/economics.md says."""
    stake, beta, rate, lies = 1.0, 1 / 3, 0.02, 49
    coverage = beta * stake * rate / (1 - rate)
    assert Economy(coverage, stake, beta).least_audit == pytest.approx(rate)
    spared, all_free = lies * (1 - rate) * coverage, (1 - rate) ** lies
    assert spared - beta * stake * (1 - all_free) == pytest.approx(0.117, abs=0.001)


@settings(calm, max_examples=60)
@given(amounts, amounts, rates)
def test_the_best_number_of_cheats_is_the_best_of_all(coverage, stake, audit):
    economy = Economy(coverage, stake)
    most = 400
    gains = [economy.unwatched_gain([audit] * n) for n in range(1, most + 1)]
    best, gain = economy.worst_cheat(audit, most)
    assert gain == pytest.approx(max(gains), abs=1e-9 * (coverage + stake))
    assert gains[best - 1] == gain


@calm
@given(amounts, rates)
def test_re_execution_deters_what_it_says(coverage, watch):
    economy = Economy(coverage, 1)
    value = economy.deterred_value(watch)
    scale = coverage + value
    assert abs(economy.watched_gain(watch, value)) <= 1e-9 * scale
    assert economy.watched_gain(watch, value * 1.01) > 0 > economy.watched_gain(watch, value * 0.99)


def test_gains_are_those_of_a_simulation():
    """Twenty thousand operators that cheat on five claims each."""
    economy, audit, claims = Economy(1, 3), 0.2, 5
    dice = np.random.default_rng(1)
    caught = (dice.random((20_000, claims)) < audit).any(axis=1)
    gained = np.where(caught, -economy.beta * economy.stake, claims * economy.coverage).mean()
    assert gained == pytest.approx(economy.unwatched_gain([audit] * claims), abs=0.1)


@pytest.mark.parametrize(("stake", "claims"), [(3, 1), (3, 5), (6, 4)])
def test_the_audit_rate_of_the_contract_deters_in_simulated_draws(stake, claims):
    """Ten thousand operators, each with wrong claims of different coverage, drawn as the contract
    draws: keccak(value, request id) mod 10,000 < a, with a = C / (C + beta S) rounded up to
    1/10,000. The mean gain is within four standard errors of the formula, and not positive; at half
    the rates it pays, where a is not at its least."""
    dice, draws = np.random.default_rng(claims), 10_000
    coverages = dice.uniform(0.05, 1, claims)
    rates = [rate_of(Economy(c, stake).least_audit) for c in coverages]
    lots = np.array([[lot(i, j) for j in range(claims)] for i in range(draws)])
    for share, pays in ((1, False), (2, True)):
        cut = np.array(rates) // share
        caught = (lots < cut).any(axis=1)
        gains = np.where(caught, -stake / 3, coverages.sum())
        escapes = float(np.prod(1 - cut / WHOLE))
        expected = escapes * coverages.sum() - (1 - escapes) * stake / 3
        error = gains.std(ddof=1) / np.sqrt(draws)
        assert abs(gains.mean() - expected) <= 4 * error
        assert (expected > 1e-3 * stake) == pays


def lot(operator, claim):
    word = keccak(operator.to_bytes(32, "big") + claim.to_bytes(32, "big"))
    return int.from_bytes(word, "big") % WHOLE


def test_what_is_not_asked_for_is_as_the_contracts_are_deployed():
    cost = parameters(1)["challengerCost"]
    assert Economy(1, 1).challenger_cost * GWEI == pytest.approx(cost)
    assert Economy(1, 10**9).least_audit * WHOLE == LEAST_AUDITS == 200
    assert Economy(1, 1).least_stake(0.5) == pytest.approx(needed(1, WHOLE // 2))


def test_more_stake_needs_fewer_audits_down_to_the_floor():
    rates = [Economy(1, stake).least_audit for stake in (1, 2, 4, 8, 1000)]
    assert all(before > after for before, after in pairwise(rates))
    assert rates[-1] == 0.02


@pytest.mark.parametrize("wrong", [(0, 1, 0.5), (1, 0, 0.5), (1, 1, 0), (1, 1, 1.5)])
def test_senseless_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match="expected coverage > 0"):
        Economy(*wrong)
    with pytest.raises(ValueError, match="expected a probability"):
        Economy(1, 1).unwatched_gain([1.5])


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_the_command_computes_and_draws(tmp_path, suffix):
    path = tmp_path / f"plot.{suffix}"
    words = ["economics", "--coverage", "1", "--stake", "10", "--plot", str(path), "--json"]
    result = RUNNER.invoke(main.app, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["least_audit_rate"] == 0.2308  # 3 / 13
    assert (report["claims_at_once"], report["cheating_pays"]) == (4, False)
    assert path.stat().st_size > 5000


@pytest.mark.parametrize(("stake", "most", "gain"), [("10", 4, 3.43), ("1.5", 0, 0)])
def test_no_more_cheats_are_counted_than_the_stake_vouches_for(stake, most, gain):
    words = ["economics", "--audit", "0.02", "--coverage", "1", "--stake", stake, "--json"]
    report = json.loads(RUNNER.invoke(main.app, words).stdout)
    assert (report["claims_at_once"], report["best_number_of_cheats"]) == (most, most)
    assert report["gain_of_the_best_cheat"] == pytest.approx(gain, abs=0.005)
    assert report["cheating_pays"] is (gain > 0)


def test_its_mistakes_are_one_line(tmp_path):
    for words in (["--stake", "0"], ["--audit", "2"], ["--plot", str(tmp_path / "plot.gif")]):
        result = RUNNER.invoke(main.app, ["economics", *words])
        assert result.exit_code == 1
        assert result.stderr.startswith("error: expected")
