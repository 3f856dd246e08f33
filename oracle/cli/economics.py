"""einproof economics: stake, coverage, audits, and what cheating would gain."""

import json
from math import inf
from pathlib import Path
from typing import Annotated, Any

import typer

from oracle.domain.economics import Economy
from oracle.domain.errors import SettingsInvalid

FORMATS = (".svg", ".png")


def economics(
    coverage: Annotated[float, typer.Option(help="Ether that each claim covers.")] = 0.1,
    stake: Annotated[float, typer.Option(help="Ether that the operator has staked.")] = 10.0,
    beta: Annotated[float, typer.Option(help="Share that a failed audit burns.")] = 1 / 3,
    audit: Annotated[
        float | None, typer.Option(help="Audit rate to look at; default: the least that is enough.")
    ] = None,
    watch: Annotated[
        float, typer.Option(help="Probability that somebody re-executes a public model.")
    ] = 0.9,
    proof: Annotated[float, typer.Option(help="Ether that a proof costs, all told.")] = 0.01,
    plot: Annotated[
        Path | None, typer.Option(help="Draw it: a file that ends in .svg or .png.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Compute what a cheating operator would gain, and what it takes that it gains nothing."""
    try:
        economy = Economy(coverage, stake, beta)
        rate = economy.least_audit if audit is None else audit
        report = _report(economy, rate, watch, proof)
    except ValueError as error:
        raise SettingsInvalid(str(error)) from None
    if plot is not None:
        _draw(economy, rate, plot)
        report["plot"] = str(plot)
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        typer.echo(f"{name.replace('_', ' '):34} {value}")


def _report(economy: Economy, rate: float, watch: float, proof: float) -> dict[str, Any]:
    worst, gain = economy.worst_cheat(rate)
    deterred = economy.deterred_value(watch)
    return {
        "coverage": economy.coverage,
        "reward": economy.reward,
        "burn": economy.burn,
        "lock": economy.lock,
        "claims_at_once": economy.capacity,
        "deterred_value_public_weights": None if deterred == inf else deterred,
        "least_audit_rate": economy.least_audit,
        "audit_rate": rate,
        "least_stake_at_that_rate": economy.least_stake(rate),
        "audit_cost_a_claim": rate * proof,
        "best_number_of_cheats": worst,
        "gain_of_the_best_cheat": gain,
        "cheating_pays": gain > 1e-12,
    }


def _draw(economy: Economy, rate: float, path: Path) -> None:
    if path.suffix not in FORMATS:
        raise SettingsInvalid(f"expected a plot that ends in {' or '.join(FORMATS)}, got {path}")
    try:
        import matplotlib
    except ImportError as error:
        raise SettingsInvalid("plots need matplotlib: pip install matplotlib") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams["svg.hashsalt"] = "einproof"  # the same plot gives the same file
    figure, (left, middle, right) = pyplot.subplots(1, 3, figsize=(13, 4))
    counts = range(economy.capacity + 1)
    least = economy.least_audit
    for audit in sorted({rate, least, least / 2, least / 4}):
        gains = [economy.unwatched_gain([audit] * n) for n in counts]
        left.plot(counts, gains, marker=".", label=f"audited {audit:.2%}")
    left.axhline(0, color="black", linewidth=0.8)
    left.set(title="private weights: cheats at once", xlabel="claims", ylabel="gain, ether")
    left.legend()

    ratios = [2**i for i in range(-1, 9)]
    rates = [Economy(1, ratio, economy.beta, 0).least_audit for ratio in ratios]
    middle.loglog(ratios, rates, marker=".")
    middle.axvline(economy.stake / economy.coverage, color="grey", linestyle=":")
    middle.set(title="least audit rate", xlabel="stake / coverage", ylabel="C / (C + beta S)")

    chances = [i / 100 for i in range(100)]
    right.semilogy(chances, [economy.deterred_value(w) + 1e-9 for w in chances])
    right.axhline(economy.coverage, color="grey", linestyle=":")
    right.set(
        title="public weights: value that is deterred",
        xlabel="probability of re-execution",
        ylabel="ether",
        ylim=(economy.coverage / 100, economy.coverage * 100),
    )
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)
    pyplot.close(figure)
