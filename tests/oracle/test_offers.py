"""Offers by hand, through the command line, on the real contracts: earned by a proof only."""

import json

import pytest
from typer.testing import CliRunner

from oracle import bootstrap
from oracle.adapters.keys import open_signer
from oracle.cli import main
from oracle.cli.offer import parse_ether
from oracle.domain.errors import SettingsInvalid
from tests.contracts.bench import ETHER, ZERO, terms
from tests.contracts.desk import FINAL
from tests.evm import Chain
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office

pytestmark = pytest.mark.chain

RUNNER = CliRunner()
OPERATOR, PROVER, GIVER = "dev:2", "dev:3", "dev:6"
AMOUNT = ETHER // 4


def address(key):
    return open_signer(key, "", 31337).address


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def office(evm, tmp_path, monkeypatch):
    """With stakes, and Bounty deployed; the engines are the doubles."""
    snapshot, made = evm.snapshot(), Office(evm, staked=True)
    made.desk.stake()
    bounty = evm.deploy("contracts/assurance/Bounty.sol", made.desk.oracle.address, ZERO)
    made.bounty = bounty
    named = {**made.contracts, "Bounty": bounty.address}
    deployment = tmp_path / "deployment.json"
    contracts = {name: {"address": at} for name, at in named.items()}
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", evm.url)
    monkeypatch.delenv("EINPROOF_KEY", raising=False)
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    yield made
    evm.restore(snapshot)


def offer(command, *words, key, code=0):
    asked = ["challenge", "offer", command, *words, "--key", key, "--json"]
    result = RUNNER.invoke(main.app, asked)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if code == 0 else result.output


def status(office, id):
    return office.evm.call(office.desk.oracle.functions.statusOf(bytes.fromhex(id[2:])))[0]


def test_an_offer_for_an_open_request_is_earned_by_a_proof_of_any_key(office):
    request = office.ask(assurance=office.desk.optimistic.address, terms=terms())
    id = "0x" + request.id.hex()
    made = offer("make", id, "0.25", key=GIVER)
    assert (made["offered_wei"], made["yours_wei"]) == (AMOUNT, AMOUNT)
    assert offer("show", id, key=PROVER) == {"request": id, "offered_wei": AMOUNT, "yours_wei": 0}
    before = office.evm.balance(address(PROVER))
    done = offer("prove", id, key=PROVER)
    assert (status(office, id), done["offered_wei"]) == (FINAL, 0)
    spent = AMOUNT + request.payment - (office.evm.balance(address(PROVER)) - before)
    assert 0 < spent < ETHER // 100  # gas
    assert "NothingLeft" in offer("reclaim", id, key=GIVER, code=1)


def test_a_wrong_claim_is_refuted_for_an_offer_and_a_right_one_is_its_payees_to_prove(office):
    wrong = office.desk.posted(output=LOGITS[:-1] + b"\x55")
    right = office.desk.posted(output=LOGITS, nonce=1)
    ids = ["0x" + office.desk.request_id(each).hex() for each in (wrong, right)]
    for id in ids:
        offer("make", id, "0.25", key=GIVER)
    assert offer("prove", ids[0], key=PROVER)["offered_wei"] == 0
    assert status(office, ids[0]) == FINAL
    assert office.desk.account(office.desk.operator)["suspended"]
    assert "only its key earns" in offer("prove", ids[1], key=PROVER, code=1)
    assert offer("prove", ids[1], key=OPERATOR)["offered_wei"] == 0
    assert status(office, ids[1]) == FINAL


class Watched(EchoProver):
    """Its proofs are seen before they are mined: the giver sends them first, past the offers, and
    may have what they earn paid."""

    def __init__(self, office, paid):
        super().__init__()
        self.office, self.paid, self.bounty = office, paid, office.bounty

    async def prove(self, model, context, input):
        output, proof = await super().prove(model, context, input)
        claim = (self.office.taken.fields, input, address(PROVER), output, proof)
        answer = self.office.desk.oracle.functions.answer(*claim)
        self.office.evm.send(answer, sender=address(GIVER), gas=5_000_000)
        if self.paid:
            earn = self.bounty.functions.earn(self.office.taken.fields, address(PROVER), output)
            self.office.evm.send(earn, sender=address(GIVER))
        return output, proof


@pytest.mark.parametrize("paid", [False, True])
def test_a_proof_that_the_giver_sends_first_earns_all_the_same(office, monkeypatch, paid):
    office.taken = office.ask(assurance=office.desk.optimistic.address, terms=terms())
    id = "0x" + office.taken.id.hex()
    assert "is final yet" in offer("earn", id, key=PROVER, code=1)
    offer("make", id, "0.25", key=GIVER)
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), Watched(office, paid))
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    before = office.evm.balance(address(PROVER))
    assert offer("prove", id, key=PROVER)["offered_wei"] == 0
    assert AMOUNT + ETHER // 1000 >= office.evm.balance(address(PROVER)) - before > 0.9 * AMOUNT
    assert "NothingLeft" in offer("reclaim", id, key=GIVER, code=1)


def test_what_its_operator_proved_is_sent_to_it_by_anyone(office):
    right = office.desk.posted(output=LOGITS)
    id = "0x" + office.desk.request_id(right).hex()
    offer("make", id, "0.25", key=GIVER)
    assert "is final yet" in offer("earn", id, key=GIVER, code=1)
    office.desk.prove(right, output=LOGITS)
    before = office.evm.balance(office.desk.operator)
    assert offer("earn", id, key=GIVER)["offered_wei"] == 0
    assert office.evm.balance(office.desk.operator) - before == AMOUNT


def test_an_offer_returns_where_nobody_proved(office):
    request = office.ask(assurance=office.desk.optimistic.address, terms=terms())
    id = "0x" + request.id.hex()
    offer("make", id, "0.25", key=GIVER)
    assert "Pending" in offer("reclaim", id, key=GIVER, code=1)
    office.wait(10**5 + 60)
    office.evm.send(office.desk.oracle.functions.refund(request.fields))
    before = office.evm.balance(address(GIVER))
    assert offer("reclaim", id, key=GIVER)["offered_wei"] == 0
    assert 0 < AMOUNT - (office.evm.balance(address(GIVER)) - before) < ETHER // 100


def test_what_earns_nothing_is_not_proved(office):
    """Neither what nobody offers for, nor, at the price of its stake, one's own wrong claim."""
    wrong = office.desk.posted(output=LOGITS[:-1] + b"\x55")
    id = "0x" + office.desk.request_id(wrong).hex()
    assert "nothing is offered" in offer("prove", id, key=PROVER, code=1)
    offer("make", id, "0.25", key=GIVER)
    assert "costs its stake" in offer("prove", id, key=OPERATOR, code=1)
    assert not office.desk.account(office.desk.operator)["suspended"]


def test_what_is_no_request_is_said_so(office):
    assert "no request" in offer("make", "0x" + "11" * 32, "1", key=GIVER, code=1)


def test_an_amount_is_exact_or_refused():
    assert parse_ether("1.1") == 11 * 10**17 and parse_ether("0.000000000000000001") == 1
    for wrong in ("0", "-1", "nan", "inf", "1e999999", "0.1234567890123456789", "one"):
        with pytest.raises(SettingsInvalid, match="expected ether above 0"):
            parse_ether(wrong)
