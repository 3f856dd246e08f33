"""einproof jobs: what the service has been asked, and what became of it."""

import asyncio
import json
from typing import Annotated, Any

import typer

from oracle.adapters.database import SqlStore
from oracle.cli.prove import parse_word
from oracle.domain.chain import Identity
from oracle.domain.errors import SettingsInvalid
from oracle.domain.job import Job, JobState
from oracle.domain.move import Role
from oracle.domain.report import Stake, Worth, trust_report
from oracle.settings import read_settings


def jobs(
    request: Annotated[
        str, typer.Argument(metavar="[ID]", help="One request, with its trust report.")
    ] = "",
    role: Annotated[Role, typer.Option(help="Whose jobs.")] = Role.OPERATOR,
    state: Annotated[
        list[JobState] | None, typer.Option(help="Only those in this state; may be repeated.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    database: Annotated[str | None, typer.Option(help="Database URL.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the service's jobs, oldest first, or show one of them."""
    whole, identity = SqlStore.find(read_settings(database=database).database)
    store = whole.of(role)
    try:
        if request:
            found = [_one(store, parse_word(request, "ID"))]
        else:
            wanted = state or list(JobState)
            found = asyncio.run(store.run(lambda ledger: ledger.jobs(wanted, limit)))
    finally:
        whole.close()
    shown = [_report(job, identity, bool(request)) for job in found]
    if as_json:
        typer.echo(json.dumps(shown[0] if request else shown))
    elif request:
        typer.echo(json.dumps(shown[0], indent=2))
    else:
        for row in shown:
            typer.echo(f"{row['request']}  {row['state']:9} {row['reason']}")


def _one(store: SqlStore, request_id: bytes) -> Job:
    job = asyncio.run(store.run(lambda ledger: ledger.job(request_id)))
    if job is None:
        raise SettingsInvalid(f"the service was not asked 0x{request_id.hex()}, or not yet")
    return job


def _report(job: Job, identity: Identity, whole: bool) -> dict[str, Any]:
    report: dict[str, Any] = {
        "request": "0x" + job.request.id.hex(),
        "model": "0x" + job.request.model_id.hex(),
        "role": job.role.value,
        "state": job.state.value,
        "reason": job.verdict.reason if job.verdict else job.note,
        "fee": job.request.fee,
        "deadline": job.request.deadline,
    }
    if job.closing is not None:
        report["transaction"] = "0x" + job.closing.transaction.hex()
    if whole and job.answer is not None:
        closing = job.closing or job.standing
        payee = closing.payee if closing else job.answer.payee
        output = closing.output if closing else job.answer.output
        report |= {
            "output": "0x" + output.hex(),
            "proof_bytes": len(job.answer.proof),
            "checked_by": job.answer.engine,
            "seconds": round(job.answer.seconds, 3),
            "trust": trust_report(identity, job.request, job.answer.tier, payee, _stake(job)),
        }
    return report


def _stake(job: Job) -> Stake | None:
    """What vouches for a job's answer, if it is not a proof from the start."""
    if job.answer is None or job.answer.quote is None:
        return None
    if job.closing is None:
        return Stake(job.answer.quote, Worth.PROVISIONAL)
    unproved = job.demand is None and not (job.mine and job.answer.proof)
    return Stake(job.answer.quote, Worth.SILENCE if unproved else Worth.PROOF)
