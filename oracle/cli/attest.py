"""einproof attest: evidence of measured hardware, verified offline; answer keys by hand."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oracle.adapters.deployment import ATTESTATIONS
from oracle.cli.prove import parse_word
from oracle.domain.errors import SettingsInvalid
from oracle.settings import read_settings

if TYPE_CHECKING:
    from oracle.adapters.wallet import Wallet
    from oracle.attestation import Attested, Policy
    from oracle.bootstrap import Site

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Verify hardware's evidence; enrol, approve and revoke keys that may answer.",
)

KindName = Annotated[str, typer.Argument(metavar="KIND", help="sgx tdx snp nitro nvidia tpm")]
Parts = Annotated[
    list[str], typer.Option("--part", metavar="NAME=FILE", help="Of the evidence; repeat it.")
]
Roots = Annotated[
    list[str],
    typer.Option(
        "--root",
        metavar="HASH|FILE",
        help="Trusted in place of the pinned: SHA-256, or the root alone in PEM.",
    ),
]
At = Annotated[str, typer.Option(help="Time to verify for: 2026-01-03T20:45:00Z; default now.")]
Measured = Annotated[
    list[str], typer.Option("--measurement", metavar="NAME=HEX", help="That must be so; repeat it.")
]
Crls = Annotated[list[Path], typer.Option("--crl", help="Revocation list (DER or PEM); repeat it.")]
Tcb = Annotated[
    list[str],
    typer.Option("--tcb", metavar="NAME=N", help="Lowest level that is taken (snp); repeat it."),
]
Statuses = Annotated[
    list[str], typer.Option("--status", help="Of Intel's TCB, taken beside UpToDate; repeat it.")
]
ModelId = Annotated[str, typer.Argument(metavar="MODEL", help="Its id: 0x...")]
AnswerKeyName = Annotated[
    str,
    typer.Option(
        "--answer-key", help="tpm:WHERE#LABEL@REGISTERS or a PEM file; default the settings'."
    ),
]
Rpc = Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")]
Key = Annotated[str | None, typer.Option(help="Keystore file (dev:N on 31337).")]
Json = Annotated[bool, typer.Option("--json", help="Print one line of JSON.")]
Report = dict[str, Any]


@app.command()
def verify(
    kind: KindName,
    part: Parts,
    root: Roots = [],  # noqa: B006 (typer reads it, nobody writes it)
    at: At = "",
    report_data: Annotated[str, typer.Option(help="Nonce or report data, 0x...")] = "",
    measurement: Measured = [],  # noqa: B006
    crl: Crls = [],  # noqa: B006
    status: Statuses = [],  # noqa: B006
    tcb: Tcb = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Decide offline whether evidence is real; exit code 1, with the reason, if it is not."""
    from oracle.attestation import verify as decide
    from oracle.evidence import parse_kind, parse_policy, read_parts

    named = parse_kind(kind)
    policy = parse_policy(
        named,
        root,
        at,
        measurements=measurement,
        crls=crl,
        statuses=status,
        tcb=tcb,
        report_data=report_data,
    )
    _print(_shown(decide(named, read_parts(part), policy), policy), as_json)


@app.command()
def enrol(
    model: ModelId,
    kind: Annotated[
        str, typer.Option(help="tpm, sgx, tdx: the contract decides; others: attesters.")
    ] = "tpm",
    answer_key: AnswerKeyName = "",
    until: Annotated[
        str,
        typer.Option(help="End of voucher (tpm), level (sgx, tdx) or enrolment, as approved."),
    ] = "",
    part: Parts = [],  # noqa: B006
    root: Roots = [],  # noqa: B006
    at: At = "",
    measurement: Annotated[
        list[str],
        typer.Option("--measurement", help="Names that make the build (snp, nitro)."),
    ] = [],  # noqa: B006
    status: Statuses = [],  # noqa: B006
    tcb: Tcb = [],  # noqa: B006
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for a TPM's quote and attestation key, for attesters."),
    ] = None,
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Enrol an answer key of yours for a model, with its hardware's evidence. What attesters have
    not approved yet is named, and nothing is sent: ask them, and come again."""
    from oracle.attestation.enrolment import QUOTED
    from oracle.evidence import parse_end, parse_kind, parse_policy, read_parts, unread

    model_id, named = parse_word(model, "MODEL"), parse_kind(kind)
    policy = None
    if named.value == "tpm":
        beside = "a TPM's evidence, which is made here"
        unread(beside, part=part, root=root, at=at, measurement=measurement, status=status, tcb=tcb)
        if not until:
            raise SettingsInvalid("expected --until, the voucher's end: the certificate's, or less")
    else:
        unread(f"--kind {named}", out=out, measurement=measurement if named in QUOTED else None)
        if named not in QUOTED and not (at or until):
            raise SettingsInvalid("expected --at or --until: attesters approve one end")
        policy = parse_policy(named, root, at, statuses=status, tcb=tcb)

    async def work(site: "Site", wallet: "Wallet") -> Report:
        from oracle.adapters.answer_key import open_answer_key
        from oracle.attesting import Given, enrol

        opened = open_answer_key(answer_key or read_settings().answer_key)
        given = Given(named, read_parts(part), policy, measurement, parse_end(until))
        return await enrol(site, wallet, model_id, opened, given, out)

    _print(_run(work, rpc, key), as_json)


@app.command()
def approve(
    statement: Annotated[
        str, typer.Argument(metavar="[STATEMENT]", help="A bare hash, in place of --kind.")
    ] = "",
    kind: Annotated[str, typer.Option(help="sgx tdx snp nitro tpm: it is computed.")] = "",
    model: Annotated[str, typer.Option(help="Its id: 0x...")] = "",
    owner: Annotated[str, typer.Option(help="Who enrols (with --part).")] = "",
    point: Annotated[str, typer.Option(help="The answer key's x and y, as enrol says.")] = "",
    part: Parts = [],  # noqa: B006
    measurement: Annotated[
        list[str],
        typer.Option(
            "--measurement", metavar="NAME[=HEX]", help="Of the build; values must be so."
        ),
    ] = [],  # noqa: B006
    until: Annotated[str, typer.Option(help="End of voucher, level or enrolment.")] = "",
    root: Roots = [],  # noqa: B006
    at: At = "",
    crl: Crls = [],  # noqa: B006
    status: Statuses = [],  # noqa: B006
    tcb: Tcb = [],  # noqa: B006
    evidence: Annotated[
        Path | None, typer.Option(help="What you looked at, to be published; default the parts.")
    ] = None,
    only: Annotated[
        list[str], typer.Option("--only", help="voucher, level, enrolment or build; repeat it.")
    ] = [],  # noqa: B006
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Approve, as an attester: what --kind's evidence (--part) or a build's measurements
    (--measurement NAME=HEX alone) stand for, or a STATEMENT that you computed elsewhere. What is
    approved is said in words, and asked about, one by one."""
    from oracle.attestation.approval import Approval, of_evidence, of_values
    from oracle.attestation.enrolment import QUOTED, Applicant
    from oracle.evidence import (
        parse_end,
        parse_kind,
        parse_owner,
        parse_point,
        parse_policy,
        read_bytes,
        read_parts,
        unread,
    )

    if bool(statement) == bool(kind) or (statement and evidence is None):
        raise SettingsInvalid("expected a STATEMENT with --evidence, or --kind with --model")
    shown: dict[str, Any] = {"owner": owner, "point": point, "until": until, "root": root}
    shown |= {"at": at, "crl": crl, "status": status, "tcb": tcb}
    if statement:
        unread("a STATEMENT", model=model, part=part, measurement=measurement, **shown)
    elif not part:
        if not measurement or any("=" not in each for each in measurement):
            raise SettingsInvalid("expected --part NAME=FILE, or --measurement NAME=HEX alone")
        unread("--measurement alone, without --part", **shown)
    elif parse_kind(kind) not in QUOTED and kind != "tpm" and not (at or until):
        raise SettingsInvalid("expected --at or --until: attesters approve one end")
    seen = read_bytes(evidence) if evidence else b""

    def found(chain_id: int, registry: str, now: int) -> Approval:
        from oracle.attesting import check_end, check_time

        if statement:
            words = {"statement": f"{statement}, a hash that says nothing of what it stands for"}
            return Approval(words, {"statement": parse_word(statement, "STATEMENT")}, seen)
        named, model_id = parse_kind(kind), parse_word(model, "--model")
        values = [each for each in measurement if "=" in each]
        policy = parse_policy(
            named, root, at, measurements=values, crls=crl, statuses=status, tcb=tcb
        )
        if not part:
            return of_values(named, chain_id, registry, model_id, policy.measurements)
        applicant = Applicant(chain_id, registry, parse_owner(owner), model_id, parse_point(point))
        names = [each.partition("=")[0] for each in measurement]
        check_time(policy.at, now)
        check_end(end := parse_end(until), now)
        return of_evidence(named, read_parts(part), policy, applicant, names, end)

    async def work(site: "Site", wallet: "Wallet") -> Report:
        from oracle.attesting import approve

        now = (await site.chain.head()).timestamp
        approval = found(site.identity.chain_id, site.deployment.address(ATTESTATIONS), now)
        for name, words in approval.words.items():
            typer.echo(f"{name:18} {words}", err=True)

        def ask(name: str) -> bool:
            return typer.confirm(f"Approve {name}?", err=True)

        return await approve(
            site, wallet, approval, evidence=seen, only=only, ask=None if yes else ask
        )

    _print(_run(work, rpc, key), as_json)


@app.command()
def veto(
    statement: Annotated[
        str, typer.Argument(metavar="[STATEMENT]", help="0x..., as enrol names it.")
    ] = "",
    crl: Crls = [],  # noqa: B006
    issuer: Annotated[
        Path | None, typer.Option(help="Certificate (PEM) of who issued the lists.")
    ] = None,
    at: At = "",
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """End a statement for ever, as an attester; or, from Intel's revocation lists, all certificates
    that they name and nobody vetoed yet. A stale list is refused."""
    from oracle.evidence import parse_time, read_bytes, read_crl, unread

    word = parse_word(statement, "STATEMENT") if statement else None
    if (word is None) == (not crl) or (issuer is None) == bool(crl):
        raise SettingsInvalid("expected a STATEMENT, or --crl with --issuer")
    if word is not None:
        unread("a STATEMENT", at=at)

    async def work(site: "Site", wallet: "Wallet") -> Report:
        from oracle.attesting import listed, veto

        words = [word] if word is not None else []
        if issuer is not None:
            lists = [read_crl(path) for path in crl]
            words += listed(site, lists, read_bytes(issuer), parse_time(at))
        return await veto(site, wallet, words)

    _print(_run(work, rpc, key), as_json)


@app.command()
def revoke(
    model: ModelId,
    answer_key: AnswerKeyName = "",
    point: Annotated[
        str, typer.Option(help="The key's x and y, as enrol said, in place of --answer-key.")
    ] = "",
    owner: Annotated[str, typer.Option(help="Who enrolled it, if not you (attesters').")] = "",
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Revoke an answer key of yours, or, as an attester, of another's; for ever. A TPM's answers to
    its name in the state that it was made for only: after that, give its --point."""
    from oracle.evidence import parse_owner, parse_point

    if point and answer_key:
        raise SettingsInvalid("expected --point or --answer-key, got both")
    if owner and not point:
        raise SettingsInvalid("expected --point with --owner: another's key is not at hand")
    model_id = parse_word(model, "MODEL")
    named, whose = parse_point(point) if point else b"", parse_owner(owner) if owner else ""

    async def work(site: "Site", wallet: "Wallet") -> Report:
        from oracle.adapters.answer_key import open_answer_key
        from oracle.adapters.attestations import revoke_call

        by = whose or wallet.signer.address
        shown = named or await open_answer_key(answer_key or read_settings().answer_key).point()
        await wallet.transact(
            revoke_call(site.deployment.address(ATTESTATIONS), by, model_id, shown)
        )
        return {"owner": by, "model": model, "point": "0x" + shown.hex(), "revoked": True}

    _print(_run(work, rpc, key), as_json)


@app.command()
def contradict(
    one: Annotated[str, typer.Argument(metavar="REQUEST", help="The id of one request: 0x...")],
    other: Annotated[
        str, typer.Argument(metavar="REQUEST", help="Of another, of the same model and input.")
    ],
    rpc: Rpc = None,
    key: Key = None,
    as_json: Json = False,
) -> None:
    """Revoke a key that signed two outputs for one model and input, by showing both; for anyone."""
    ids = [parse_word(each, "REQUEST") for each in (one, other)]

    async def work(site: "Site", wallet: "Wallet") -> Report:
        from oracle.attesting import contradict

        return await contradict(site, wallet, *ids)

    _print(_run(work, rpc, key), as_json)


# --- what comes of it ---------------------------------------------------------------------------


def _shown(attested: "Attested", policy: "Policy") -> Report:
    from oracle.attestation.words import of_chain

    return {
        "kind": attested.kind.value,
        **of_chain(attested, policy),
        "report_data": "0x" + attested.report_data.hex(),
        "valid_until": attested.valid_until.isoformat(),
        "status": attested.status,
        "advisories": list(attested.advisories),
        "measurements": {n: "0x" + v.hex() for n, v in sorted(attested.measurements.items())},
    }


def _run(
    work: "Callable[[Site, Wallet], Awaitable[Report]]", rpc: str | None, key: str | None
) -> Report:
    from oracle.adapters.wallet import Wallet
    from oracle.bootstrap import Site

    settings = read_settings(rpc=rpc, key=key)

    async def whole() -> Report:
        site = await Site.reach(settings)
        try:
            signer = site.signer(settings, "dev:1")
            return await work(site, Wallet(site.chain, signer, site.identity.chain_id))
        finally:
            site.chain.node.close()

    return asyncio.run(whole())


def _print(report: Report, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report))
        return
    for name, value in report.items():
        rows = value.items() if isinstance(value, dict) else [(name, value)]
        for label, each in rows:
            typer.echo(f"{label:18} {', '.join(each) if isinstance(each, list) else each}")
