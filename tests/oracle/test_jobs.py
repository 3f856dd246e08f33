"""What `einproof jobs ID` says of a request: of its answer what that rests on, and of none that it
is one; by a node, or by what the service read last."""

import json
from copy import copy
from dataclasses import replace

import pytest

from oracle.adapters.database import SqlStore
from oracle.adapters.keys import open_signer
from oracle.adapters.wallet import Wallet
from oracle.cli.jobs import GIVEN_BACK, ORPHANED, UNPOSTED
from oracle.domain import attested
from oracle.domain.block import BlockRef
from oracle.domain.chain import Answered, Played, Stood
from oracle.domain.job import Closing, Demand, Job, JobState, Standing
from oracle.domain.report import FORESEEABLE, NOT_LOOKED_UP, SOFTWARE, Worth
from oracle.domain.request import Answer
from oracle.fakes import (
    ATTESTED,
    AUDITED,
    CHALLENGER,
    IDENTITY,
    OPERATOR,
    QUOTE,
    STAKED,
    TIER,
    FakeChain,
)
from oracle.operations import Asked, await_answer, report_of
from tests.commands import run as said
from tests.contracts.bench import CLOCK
from tests.contracts.desk import LOGITS, RETRACTED
from tests.contracts.hall import DELAY, new_key
from tests.contracts.test_guard import stop
from tests.oracle.pact import both, town
from tests.oracle.world import run

__all__ = ["both", "town"]  # fixtures

OUTPUT, PROOF, TRANSACTION = b"output", b"proof", b"\x07" * 32
BLOCK = BlockRef(5, b"\x05" * 32)
STANDING = Standing(OPERATOR, OUTPUT, 1000, BLOCK)
DEMAND = Demand(2000, BLOCK)
SETTLED = Closing(JobState.SETTLED, BLOCK, TRANSACTION, OPERATOR, OUTPUT)
REFUNDED = Closing(JobState.REFUNDED, BLOCK, TRANSACTION)


@pytest.fixture
def told(tmp_path, monkeypatch):
    """What the command says of a job that a service left in its database; no node answers."""
    monkeypatch.setenv("EINPROOF_RPC", "http://127.0.0.1:9")

    def ask(job, identity=IDENTITY):
        url = f"sqlite:///{tmp_path}/jobs.db"
        store = SqlStore.open(url, identity)
        run(store.run(lambda ledger: ledger.put_job(job)))
        store.close()
        result = said("jobs", "0x" + job.request.id.hex(), "--database", url, "--json")
        return json.loads(result.stdout)

    return ask


def proving(**facts):
    answer = Answer(OPERATOR, OUTPUT, PROOF, TIER)
    return Job(FakeChain().ask(), seen=BLOCK, answer=answer, **facts)


def staking(tier=STAKED, **facts):
    answer = Answer(OPERATOR, OUTPUT, b"", tier, quote=QUOTE)
    request = FakeChain().ask_staked(assurance=tier.assurance)
    return Job(request, seen=BLOCK, answer=answer, **facts)


# --- as the service read it last ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (staking(standing=STANDING, demand=DEMAND, closing=REFUNDED), GIVEN_BACK),
        (staking(standing=STANDING, closing=REFUNDED), GIVEN_BACK),
        (proving(closing=REFUNDED), GIVEN_BACK),
        (proving(), UNPOSTED),
        (staking(), UNPOSTED),
        (replace(proving(), seen=None), ORPHANED),
    ],
    ids=["slashed", "undisputed", "expired", "proved here", "computed here", "orphaned"],
)
def test_what_is_no_answer_has_no_trust_report(told, job, why):
    shown = told(job)
    assert shown["no_answer"] == why
    assert not {"trust", "output"} & set(shown)
    assert shown["computed"] == "0x" + OUTPUT.hex()
    assert "final" not in json.dumps(shown)


def test_what_stakes_vouch_for_is_not_called_proved_by_a_member_that_had_no_answer(told):
    """Such a one has no quote; others' claim stands."""
    silent = Answer(OPERATOR, b"", b"", STAKED, why="pays too little")
    shown = told(replace(staking(standing=STANDING), answer=silent))
    assert (shown["output"], shown["computed"]) == ("0x" + OUTPUT.hex(), "0x")
    assert "trust" not in shown and "no node answers" in shown["not_looked_up"]


@pytest.mark.parametrize(
    ("facts", "worth"),
    [
        ({}, Worth.PROVISIONAL),
        ({"closing": SETTLED}, Worth.SILENCE),
        ({"closing": SETTLED, "demand": DEMAND}, Worth.PROOF),
    ],
)
def test_without_a_node_the_report_says_what_was_not_looked_up(told, facts, worth):
    shown = told(staking(standing=STANDING, **facts))
    assert "no node answers" in shown["not_looked_up"]
    assert (shown["output"], "no_answer" in shown) == ("0x" + OUTPUT.hex(), False)
    trust = shown["trust"]
    assert (trust["final"], bool(trust["proved"])) == (worth.value, worth is Worth.PROOF)
    assert trust["verifier"]["stopped"] is None
    assert trust["not_looked_up"] == ["whether the verifier or the model was stopped"]


def test_without_a_node_neither_key_nor_beacon_is_said_to_be_a_good_one(told):
    trust = told(staking(ATTESTED, standing=STANDING))["trust"]
    assert trust["attested"] == {"label": NOT_LOOKED_UP}
    assert any(SOFTWARE in who for who in trust["could_have_cheated"])
    assert "which key signed, and whether hardware holds it" in trust["not_looked_up"]
    trust = told(staking(AUDITED, standing=STANDING))["trust"]
    assert trust["audited"]["label"] == NOT_LOOKED_UP and "drawn" not in trust["audited"]
    assert FORESEEABLE in trust["could_have_cheated"][0]
    assert "which beacon draws, and whether the claim was drawn" in trust["not_looked_up"]


def test_a_move_of_the_game_after_the_answer_does_not_make_it_provisional_again():
    """A bond is collected, or a lock ended, when the answer is final."""
    chain = FakeChain()
    request = chain.ask_staked()
    end = run(chain.head()).ref
    story = [
        Stood(request.id, OPERATOR, OUTPUT, end, 0),
        Answered(request.id, OPERATOR, OUTPUT, end, TRANSACTION),
        Played(request.id, CHALLENGER, end),
    ]
    asked = Asked(request, STAKED, TRANSACTION, 0, QUOTE)
    report = run(report_of(chain, IDENTITY, asked, story))
    assert (report["final"], report["claim"]["payee"]) == (Worth.SILENCE.value, OPERATOR)


# --- by a node ------------------------------------------------------------------------------------


@pytest.fixture
def node(town, tmp_path, monkeypatch, told):
    monkeypatch.setenv("EINPROOF_RPC", town.evm.url)
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(town.deployment(tmp_path)))
    return told


def claimed(town, both):
    """A claim by that side's key; the job of who looks on, as long as it stands; what was asked."""
    plain, request = town.ask()
    both.post(plain)
    block = BlockRef(town.evm.web3.eth.block_number, TRANSACTION)

    async def looked():
        tier = await town.chain.tier(request.assurance)
        return tier, await town.chain.quote(tier, request.terms)

    tier, quote = run(looked())
    answer = Answer(both.operator, LOGITS, b"", tier, quote=quote)
    standing = Standing(both.operator, LOGITS, both.since(plain), block)
    seen = replace(block, number=1)
    job = Job(request, seen=seen, answer=answer, standing=standing)
    return plain, job, Asked(request, tier, TRANSACTION, 1, quote)


@pytest.mark.chain
def test_by_a_node_the_report_is_that_of_who_asks(town, node):
    """Of a software TPM's key and a development beacon; and once the model was stopped."""
    both = copy(town.both)
    both.key = new_key()
    voucher = both.voucher(software=True)
    both.admit(attested.voucher_statement(*both.where, voucher))
    enrolment = both.enrolment()
    both.enrol(enrolment, both.evidence(enrolment, voucher=voucher).encoded)
    town.pass_time(DELAY)
    _, job, asked = claimed(town, both)
    shown = node(job, town.identity)
    trust = shown["trust"]
    assert (shown["output"], "not_looked_up" in shown) == ("0x" + LOGITS.hex(), False)
    purse = Wallet(town.chain, open_signer("dev:1", "", 31337), 31337)
    theirs = run(await_answer(purse, town.identity, asked, final=False))
    assert trust == theirs.report
    assert trust["attested"]["label"] == SOFTWARE
    cheats = " ".join(trust["could_have_cheated"])
    assert SOFTWARE in cheats and FORESEEABLE in cheats
    assert trust["audited"]["beacon"] == both.beacon.address
    assert trust["verifier"]["stopped"] is False
    stop(both)
    assert node(job, town.identity)["trust"]["verifier"]["stopped"] is True


@pytest.mark.chain
def test_by_a_node_a_lapsed_claim_is_no_answer_though_the_service_is_behind(town, node):
    plain, job, _ = claimed(town, town.both)
    trust = node(job, town.identity)["trust"]
    assert trust["proved"] == []
    silent = replace(job.answer, output=b"", quote=None)  # of a member that had none
    assert node(replace(job, answer=silent), town.identity)["trust"] == trust
    part = town.both.of(0)
    part.dispute(part.seen(plain, 0), LOGITS)
    town.pass_time(CLOCK + 60)
    town.both.fail(plain, 0)
    assert town.status(plain) == RETRACTED
    shown = node(job, town.identity)
    assert (shown["state"], shown["no_answer"]) == ("provisional", GIVEN_BACK)
    assert "trust" not in shown


@pytest.mark.chain
def test_a_node_that_is_of_something_else_is_not_asked(town, node):
    _, job, _ = claimed(town, town.both)
    elsewhere = node(replace(job, request=FakeChain().ask_staked()), town.identity)
    assert "knows no such request" in elsewhere["not_looked_up"]
    assert elsewhere["trust"]["verifier"]["stopped"] is None
