"""einproof request: asks by hand, waits, and prints the answer with what it rests on."""

import asyncio
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from oracle.adapters.deployment import BLS_COMMITTEE, COMBINED, KINDS, Deployment
from oracle.bootstrap import Site
from oracle.cli.prove import parse_word, read_input
from oracle.domain.errors import SettingsInvalid
from oracle.domain.request import TierKind
from oracle.domain.terms import UNANSWERABLE, WHOLE, ClaimTerms, rate_of
from oracle.settings import read_settings

if TYPE_CHECKING:
    from prover.model import Model


#: Contracts by the names of their tiers; a combination's is its parts', joined by +.
CONTRACTS = {
    kind.value.lower(): name
    for name, kind in KINDS.items()
    if name not in (BLS_COMMITTEE, COMBINED)
}
NAMES = ", ".join(CONTRACTS)
PROOF, COMMITTEE, AUDITED = [
    kind.value.lower() for kind in (TierKind.PROOF, TierKind.COMMITTEE, TierKind.AUDITED)
]

#: By default: ether of coverage, seconds of proving, the share of audited claims that are drawn.
COVERAGE, PROVING, AUDIT = 0.1, 60, 0.1


def request(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model folder (public will do), or an id: 0x..."),
    ],
    source: Annotated[
        str,
        typer.Argument(
            metavar="INPUT",
            help="Numbers: .npy or JSON (with a folder); or the statement's bytes: 0x...",
        ),
    ],
    fee: Annotated[int, typer.Option(min=0, help="Wei for whoever answers.")] = 10**15,
    seconds: Annotated[int, typer.Option(min=1, help="Time to answer in.")] = 600,
    tier: Annotated[
        str,
        typer.Option(help=f"How the answer is assured: {NAMES}; or several, as audited+attested."),
    ] = PROOF,
    coverage: Annotated[
        float | None,
        typer.Option(
            min=1e-9,
            help="Ether that you get if the answer is refuted before it is final, not later "
            f"(tiers on stake); default {COVERAGE:g}.",
        ),
    ] = None,
    proving: Annotated[
        int | None,
        typer.Option(
            min=1, help=f"Seconds that a proof may take (tiers on stake); default {PROVING}."
        ),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=0, help="Hours to dispute in; default, and 0: the tier's own."),
    ] = None,
    audit: Annotated[
        float | None,
        typer.Option(min=0.02, max=1, help=f"Share of claims drawn (audited); default {AUDIT:g}."),
    ] = None,
    large: Annotated[
        bool, typer.Option("--large", help="The committee of many, which signs as one (committee).")
    ] = False,
    wait: Annotated[bool, typer.Option(help="Wait for the answer, or for the refund.")] = True,
    final: Annotated[
        bool, typer.Option(help="Wait until it is final: for hours, if optimistic.")
    ] = False,
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    key: Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one line of JSON.")] = False,
) -> None:
    """Ask the oracle for an inference."""
    from oracle.adapters.wallet import Wallet
    from oracle.operations import ask, await_answer

    settings = read_settings(rpc=rpc, key=key)
    tiers = sorted(tier.lower().split("+"))
    if not set(tiers) <= set(CONTRACTS):
        raise SettingsInvalid(f"--tier: expected {NAMES}, or several joined by +, got {tier}")
    if large and tiers != [COMMITTEE]:
        raise SettingsInvalid("--large is of a committee: ask with --tier committee")
    if audit is not None and tiers != [AUDITED]:
        fixed = ": a combination's share is fixed with it" if AUDITED in tiers else ""
        raise SettingsInvalid(f"--audit is of the audited tier alone, got --tier {tier}{fixed}")
    terms = None
    if tiers == [PROOF]:
        _refuse({"--coverage": coverage, "--proving": proving, "--window": window})
    else:
        terms = ClaimTerms(
            round((COVERAGE if coverage is None else coverage) * 10**9),
            proving or PROVING,
            window or 0,
            rate_of(AUDIT if audit is None else audit) if tiers == [AUDITED] else 0,
        )
    if tiers == [COMMITTEE] and window:
        raise SettingsInvalid(f"--window: a committee's is fixed with its tier, got {window}")
    loaded, last, model_id = _model(model)
    data = _input(source, loaded)
    console = Console(stderr=True)

    async def work() -> dict[str, Any]:
        site = await Site.reach(settings)
        wallet = Wallet(site.chain, site.signer(settings, "dev:2"), site.identity.chain_id)
        contracts = site.deployment
        started = time.monotonic()
        with console.status("sending the request"):
            asked = await ask(
                wallet,
                site.identity,
                contracts.address(BLS_COMMITTEE) if large else _assurance(contracts, tiers),
                contracts.address("ModelRegistry"),
                model_id,
                data,
                fee=fee,
                seconds=seconds,
                terms=terms,
            )
        report: dict[str, Any] = {
            "request": "0x" + asked.request.id.hex(),
            "transaction": "0x" + asked.transaction.hex(),
        }
        if wait:
            with console.status(f"waiting for request {report['request'][:18]}... to be answered"):
                settled = await await_answer(
                    wallet, site.identity, asked, final=final or terms is None
                )
            report |= {
                "output": _output(settled.output, last),
                "answer": "0x" + settled.transaction.hex(),
                "gas": settled.gas,
                "seconds": round(time.monotonic() - started, 2),
                "trust": settled.report,
            }
        site.chain.node.close()
        return report

    report = asyncio.run(work())
    if as_json:
        typer.echo(json.dumps(report))
    else:
        _show(report)


def _refuse(options: dict[str, float | None]) -> None:
    """Raises SettingsInvalid for what was said of stakes where there are none."""
    for name, value in options.items():
        if value is not None:
            raise SettingsInvalid(f"{name} is of tiers on stake, got --tier {PROOF}")


def _assurance(contracts: Deployment, tiers: list[str]) -> str:
    """The tier of that name, or the combination of those. Raises SettingsInvalid if it is not
    deployed."""
    if len(tiers) == 1:
        return contracts.address(CONTRACTS[tiers[0]])
    address = contracts.address(COMBINED)
    if sorted(contracts.combined.split("+")) != tiers:
        raise SettingsInvalid(
            f"chain {contracts.chain_id} has the combination {contracts.combined}, not "
            f"{'+'.join(tiers)}"
        )
    return address


def _model(text: str) -> "tuple[Model | None, Model | None, bytes]":
    """What quantises the input, what reads the output, and the id."""
    if text.startswith("0x"):
        return None, None, parse_word(text, "MODEL")
    from prover.composition import FILE, Composition
    from prover.model import Model

    if (Path(text) / FILE).is_file():
        composition = Composition.load(Path(text))
        return composition.segments[0], composition.segments[-1], composition.id
    loaded = Model.load(Path(text))
    return loaded, loaded, loaded.id


def _input(source: str, model: "Model | None") -> bytes:
    """The statement's input bytes. Raises SettingsInvalid, or what the quantiser raises."""
    if source.startswith("0x"):
        try:
            return bytes.fromhex(source[2:])
        except ValueError:
            raise SettingsInvalid("expected hexadecimal digits after 0x in INPUT") from None
    if model is None:
        raise SettingsInvalid(
            "numbers need a model folder to be quantised by: name one, or give INPUT as 0x bytes"
        )
    return model.encode_input(read_input(Path(source), model))


def _output(output: bytes, model: "Model | None") -> Any:
    """In the model's units if its folder is at hand; else the bytes."""
    if output == UNANSWERABLE:
        return "none: the operator says that this input has no provable answer"
    if model is None:
        return "0x" + output.hex()
    return model.quantizer.dequantize(model.decode_output(output)).tolist()


def _show(report: dict[str, Any]) -> None:
    trust = report.pop("trust", None)
    for name, value in report.items():
        typer.echo(f"{name:14} {value}")
    if trust is None:
        return
    typer.echo(f"\n{'tier':14} {trust['tier']}, final {trust['final']}")
    verifier = trust["verifier"]
    typer.echo(f"{'verifier':14} {verifier['address']}  code {verifier['code_hash']}")
    for part in trust.get("parts", [trust] if "staked" in trust else []):
        staked = part["staked"]
        coin = "gwei" if staked["coin"] == "ether" else f"units of {staked['coin']['token']}"
        covers = f"covers {staked['coverage_gwei']}, {staked['window_seconds']} s to dispute"
        typer.echo(f"{'staked':14} {part['tier']}: {staked['locked_gwei']} {coin}; {covers}")
    if verifier["stopped"]:
        typer.echo(f"{'STOPPED':14} no proof counts any more here: ask under a later version")
    if "audited" in trust:
        audited = trust["audited"]
        draw = f"drawn: {audited.get('drawn', 'not known')}"
        rate = audited["rate_of_10000"] / WHOLE
        typer.echo(f"{'audited':14} with probability {rate:g}; {draw}; {audited.get('label', '')}")
    if "committee" in trust:
        drawn = trust["committee"]
        typer.echo(f"{'committee':14} drawn by {drawn.get('beacon', 'a beacon')}: {drawn['label']}")
    if "attested" in trust:
        attested = trust["attested"]
        typer.echo(f"{'attested':14} {attested.get('hardware', '')}  {attested['label']}")
    typer.echo(f"{'SRS':14} {trust['srs']['id']}  {trust['srs']['label']}")
    for name, title in (
        ("proved", "proved"),
        ("not_proved", "not proved"),
        ("could_have_cheated", "could cheat"),
    ):
        for number, line in enumerate(trust[name]):
            typer.echo(f"{title if number == 0 else '':14} {line}")
