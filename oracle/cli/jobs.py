"""einproof jobs: what the service has been asked, and what became of it."""

import asyncio
import json
from typing import Annotated, Any

import typer

from oracle.adapters.database import SqlStore
from oracle.bootstrap import Site
from oracle.cli.prove import parse_word
from oracle.domain.chain import Answered, Identity, Returned, Stood
from oracle.domain.errors import OracleError, SettingsInvalid
from oracle.domain.job import Job, JobState
from oracle.domain.move import Role
from oracle.domain.report import Report, Stake, Worth, trust_report
from oracle.domain.request import Answer, TierKind
from oracle.settings import Settings, read_settings

#: What became of a request that no answer stands for.
GIVEN_BACK = "given back: no claim became its answer, and the payment returned"
UNPOSTED = "none stands on the chain, and what is computed here vouches for nothing"
ORPHANED = "a reorganisation of the chain took the request back"


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
    rpc: Annotated[str | None, typer.Option(help="Node: http(s) URL or IPC socket.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the service's jobs, oldest first, or show one of them, with what a node says of it."""
    settings = read_settings(database=database, rpc=rpc)
    whole, identity = SqlStore.find(settings.database)
    store = whole.of(role)
    try:
        if request:
            found = [_one(store, parse_word(request, "ID"))]
        else:
            wanted = state or list(JobState)
            found = asyncio.run(store.run(lambda ledger: ledger.jobs(wanted, limit)))
    finally:
        whole.close()
    shown = [_row(job) for job in found]
    if request:
        shown[0] |= asyncio.run(_became(found[0], identity, settings))
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


def _row(job: Job) -> dict[str, Any]:
    row: dict[str, Any] = {
        "request": "0x" + job.request.id.hex(),
        "model": "0x" + job.request.model_id.hex(),
        "role": job.role.value,
        "state": job.state.value,
        "reason": job.verdict.reason if job.verdict else job.note,
        "fee": job.request.fee,
        "deadline": job.request.deadline,
    }
    if job.closing is not None:
        row["transaction"] = "0x" + job.closing.transaction.hex()
    return row


async def _became(job: Job, identity: Identity, settings: Settings) -> dict[str, Any]:
    """What was computed for a job, and what became of its request: the answer that stands, with
    what it rests on, or that there is none."""
    if job.answer is None:
        return {}
    computed = {
        "computed": "0x" + job.answer.output.hex(),
        "proof_bytes": len(job.answer.proof),
        "checked_by": job.answer.engine,
        "seconds": round(job.answer.seconds, 3),
    }
    if job.seen is None:
        return {**computed, "no_answer": ORPHANED}
    try:
        return {
            **computed,
            **await _by_the_chain(job, job.answer, job.seen.number, identity, settings),
        }
    except OracleError as error:
        return {**computed, **_as_read(job, job.answer, identity), "not_looked_up": str(error)}


async def _by_the_chain(
    job: Job, answer: Answer, asked_in: int, identity: Identity, settings: Settings
) -> dict[str, Any]:
    """As a node has it now. Raises OracleError if none answers, or one of another chain."""
    from oracle.operations import Asked, outcome, report_of, story_of

    site = await Site.reach(settings)
    try:
        if site.identity != identity:
            raise SettingsInvalid(
                f"the node at {settings.rpc} is for {_named(site.identity)}, the jobs are of "
                f"{_named(identity)}: name theirs with EINPROOF_RPC and EINPROOF_DEPLOYMENT"
            )
        head = await site.chain.head()
        story = await story_of(site.chain, job.request, asked_in, head.number)
        last = outcome(story)
        if last is None:
            raise SettingsInvalid(f"the node at {settings.rpc} knows no such request")
        if isinstance(last, Returned):
            return {"no_answer": GIVEN_BACK}
        if not isinstance(last, Answered | Stood):
            return {"no_answer": UNPOSTED}
        quote = answer.quote
        if quote is None and _staked(answer):  # a member's, or a watcher's, that had none to give
            quote = await site.chain.quote(answer.tier, job.request.terms)
        asked = Asked(job.request, answer.tier, b"", asked_in, quote)
        return _answer(last.output, await report_of(site.chain, identity, asked, story))
    finally:
        site.chain.node.close()


def _named(identity: Identity) -> str:
    return f"oracle {identity.oracle} on chain {identity.chain_id}"


def _as_read(job: Job, answer: Answer, identity: Identity) -> dict[str, Any]:
    """As the service read it last."""
    if job.returned:
        return {"no_answer": GIVEN_BACK}
    held = job.closing or job.standing
    if held is None:
        return {"no_answer": UNPOSTED}
    if answer.quote is None and _staked(answer):
        return {"output": "0x" + held.output.hex()}
    report = trust_report(identity, job.request, answer.tier, held.payee, _stake(job, answer))
    return _answer(held.output, report)


def _staked(answer: Answer) -> bool:
    """Stakes vouch for it, whether it says so or not."""
    return answer.tier.kind is not TierKind.PROOF


def _answer(output: bytes, report: Report) -> dict[str, Any]:
    return {"output": "0x" + output.hex(), "trust": report}


def _stake(job: Job, answer: Answer) -> Stake | None:
    """What vouches for an answer that stands, if it is not a proof from the start."""
    if answer.quote is None:
        return None
    if job.closing is None:
        return Stake(answer.quote, Worth.PROVISIONAL)
    unproved = job.demand is None and not (job.mine and answer.proof)
    return Stake(answer.quote, Worth.SILENCE if unproved else Worth.PROOF)
