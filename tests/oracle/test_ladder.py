"""The optimistic tier on real contracts: an operator, a cheating one and a challenger, each a
process with its own key and database, killed in between; clocks by evm_increaseTime."""

import json
import signal

import pytest
from eth_hash.auto import keccak
from typer.testing import CliRunner

from oracle.adapters.abi import TOKEN, signature
from oracle.adapters.codec import dumps, loads
from oracle.adapters.keys import open_signer
from oracle.adapters.wallet import Wallet
from oracle.cli import main
from oracle.domain import ids
from oracle.domain.chain import Outcome
from oracle.domain.report import Stake, Worth, trust_report
from oracle.domain.request import Coin, Tier
from oracle.domain.terms import ClaimTerms, Quote
from oracle.operations import ask, await_answer
from oracle.services.moves import salt
from tests.contracts.bench import (
    BOND,
    CLOCK,
    COVERAGE,
    ETHER,
    GWEI,
    LAPSED,
    LOCK,
    OVERTURNED,
    REWARD,
    VOID,
    WINDOW,
    Bench,
    terms,
)
from tests.contracts.desk import FINAL, REFUNDED, RETRACTED
from tests.evm import Chain, artifact
from tests.oracle.desk import LOGITS, Office, TokenBench
from tests.oracle.test_kill import Daemon
from tests.oracle.world import run

pytestmark = pytest.mark.chain

RUNNER = CliRunner()
OPERATOR, CHEAT, CHALLENGER = "dev:1", "dev:4", "dev:3"


def address(key):
    return open_signer(key, "", 31337).address


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def office(evm, request):
    """Stakes in ether, unless the test names another bench."""
    snapshot, bench = evm.snapshot(), getattr(request, "param", Bench)
    made = Office(evm, staked=True, bench=bench)
    if bench is Bench:
        for key in (OPERATOR, CHEAT):
            made.desk.stake(owner=address(key))
    yield made
    evm.restore(snapshot)


@pytest.fixture
def daemons(office, tmp_path):
    made = []

    def start(name, key, *words, **settings):
        daemon = Daemon(office, tmp_path / name, *words, EINPROOF_KEY=key, **settings)
        daemon.start()
        made.append(daemon)
        return daemon

    yield start
    for daemon in made:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


@pytest.fixture
def cli(office, tmp_path, monkeypatch):
    """A command with its JSON."""
    deployment = tmp_path / "deployment.json"
    contracts = {name: {"address": at} for name, at in office.contracts.items()}
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", office.evm.url)
    monkeypatch.delenv("EINPROOF_KEY", raising=False)

    def call(*words, code=0):
        result = RUNNER.invoke(main.app, [*words, "--json"])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)

    return call


def signatures(file):
    return {
        signature(entry["name"], [item["type"] for item in entry["inputs"]])
        for entry in artifact(file).abi
        if entry["type"] == "function"
    }


def staked_request(office, **fields):
    desk = office.desk
    return office.ask(assurance=desk.optimistic.address, terms=terms(), **fields)


def status(office, request):
    return office.evm.call(office.desk.oracle.functions.statusOf(request.id))[0]


def outcome(office, request):
    return office.evm.call(office.desk.optimistic.functions.caseOf(request.id))[4]


def answered_and_disputed(office, daemons):
    """An honest operator's claim, its process ended since; a cheat's; and who disputed that."""
    operator = daemons("operator", OPERATOR)
    honest = staked_request(office)
    operator.until(lambda: status(office, honest) == 3, 60)
    operator.end(signal.SIGTERM)
    cheat = daemons("cheat", CHEAT, "lying")
    wrong = staked_request(office)
    cheat.until(lambda: status(office, wrong) == 3, 60)
    challenger = daemons("challenger", CHALLENGER, EINPROOF_ROLES="challenger")
    disputes = office.desk.optimistic.functions.challengeCount
    challenger.until(lambda: office.evm.call(disputes(wrong.id)) == 1, 60)
    return (operator, honest), (cheat, wrong), challenger


def test_an_honest_operator_earns_and_a_cheat_is_slashed(office, daemons):
    desk = office.desk
    (operator, honest), (cheat, wrong), challenger = answered_and_disputed(office, daemons)
    assert office.evm.call(desk.optimistic.functions.challengeCount(honest.id)) == 0
    challenger.end(signal.SIGKILL)
    cheat.until(lambda: any(e["event"] == "failed" for e in cheat.logged()), 30)
    office.wait(WINDOW)  # the prove clock is shorter
    challenger.start()
    operator.start()
    challenger.until(lambda: status(office, wrong) == RETRACTED, 30)
    operator.until(lambda: status(office, honest) == FINAL, 30)
    bonds = office.evm.balance
    challenger.until(lambda: bonds(desk.optimistic.address) == 0, 30)
    assert outcome(office, wrong) == LAPSED
    assert desk.account(address(OPERATOR))["stake"] == 10 * ETHER // GWEI
    slashed = desk.account(address(CHEAT))
    assert (slashed["stake"], slashed["suspended"]) == (10 * ETHER // GWEI - LOCK, True)
    assert desk.owed(desk.requester) == COVERAGE
    assert desk.owed(address(CHALLENGER)) == REWARD
    assert desk.burned() == COVERAGE
    for daemon in (operator, cheat, challenger):
        assert daemon.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.logged() if line["event"] == "unexpected"]


@pytest.mark.parametrize("office", [TokenBench], indirect=True)
def test_stakes_in_a_token_vouch_and_are_slashed_as_those_in_ether_are(office, daemons, cli):
    """Nothing but the vault differs: services, clocks and terms are the same; fees and bonds are in
    ether."""
    desk = office.desk
    staked = 30_000 * ETHER // desk.unit
    assert staked == 10 * ETHER // GWEI
    for key in (OPERATOR, CHEAT):
        desk.mint(address(key), 30_000)
        report = cli("stake", "add", "30000", "--key", key)
        assert (report["coin"], report["stake_gwei"]) == (desk.token.address, staked)
    assert cli("stake", "withdraw", "750", "--key", CHEAT)["queued_gwei"] == 25 * 10**7
    (operator, honest), (cheat, wrong), challenger = answered_and_disputed(office, daemons)
    cheat.end(signal.SIGTERM)
    office.wait(WINDOW)
    challenger.until(lambda: status(office, wrong) == RETRACTED, 60)
    operator.start()
    operator.until(lambda: status(office, honest) == FINAL, 60)
    assert desk.account(address(OPERATOR))["stake"] == staked
    slashed = desk.account(address(CHEAT))
    assert (slashed["stake"], slashed["suspended"]) == (staked - LOCK, True)
    for owner, share in ((desk.requester, COVERAGE), (address(CHALLENGER), REWARD)):
        assert desk.tokens(owner) == 0
        desk.chain.send(desk.vault.functions.withdrawFor(owner))
        assert desk.tokens(owner) == share
    assert desk.burned() == COVERAGE  # of which nobody can have anything
    assert desk.tokens(desk.vault.address) == 2 * staked - COVERAGE - REWARD
    assert operator.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("office", [TokenBench], indirect=True)
def test_what_stakes_are_in_is_read_from_the_vault_and_reported(office):
    async def story():
        desk = office.desk
        tier = await office.chain().tier(desk.optimistic.address)
        assert tier.coin == Coin(desk.token.address, desk.unit)
        assert loads(Tier, dumps(tier)) == tier
        quote = await office.chain().quote(tier, terms())
        stake = Stake(quote, Worth.PROVISIONAL)
        report = trust_report(office.identity, staked_request(office), tier, stake=stake)
        coin = {"token": desk.token.address, "unit": desk.unit}
        assert (report["staked"]["vault"], report["staked"]["coin"]) == (desk.vault.address, coin)

    run(story())
    known = signatures("contracts/assurance/TokenVault.sol")
    known |= signatures("tests/contracts/harness/Token.sol") | {"decimals()"}  # EIP-20: optional
    assert {signature(name, types) for name, types in TOKEN.items()} <= known


def test_a_disputed_honest_claim_is_proved_by_the_service(office, daemons):
    desk = office.desk
    operator = daemons("operator", OPERATOR)
    request = staked_request(office)
    operator.until(lambda: status(office, request) == 3, 30)
    desk.chain.send(
        desk.optimistic.functions.dispute(
            request.fields, address(OPERATOR), keccak(LOGITS), bytes(32)
        ),
        sender=desk.rival,
        value=BOND,
    )
    operator.until(lambda: status(office, request) == FINAL, 30)
    assert desk.account(address(OPERATOR))["stake"] == 10 * ETHER // GWEI
    assert operator.end(signal.SIGTERM) == 0


def test_what_the_oracles_week_gave_back_is_closed_by_who_has_something_in_it(office, daemons):
    """Everybody was away: the operator frees its stake, the challenger has the cheat slashed."""
    desk = office.desk
    (operator, honest), (cheat, wrong), challenger = answered_and_disputed(office, daemons)
    for daemon in (cheat, challenger):
        daemon.end(signal.SIGTERM)
    office.wait(8 * 86_400 + 10**5)
    for request in (honest, wrong):
        desk.chain.send(desk.oracle.functions.refund(request.fields))
        assert status(office, request) == REFUNDED
    assert desk.account(address(OPERATOR))["locked"] == LOCK
    operator.start()
    operator.until(lambda: desk.account(address(OPERATOR))["locked"] == 0, 60)
    challenger.start()
    bonds = office.evm.balance
    challenger.until(lambda: bonds(desk.optimistic.address) == 0, 60)
    assert (outcome(office, honest), outcome(office, wrong)) == (VOID, LAPSED)
    assert desk.account(address(OPERATOR))["stake"] == 10 * ETHER // GWEI
    assert desk.account(address(CHEAT))["stake"] == 10 * ETHER // GWEI - LOCK
    assert desk.owed(desk.requester) == COVERAGE
    assert desk.owed(address(CHALLENGER)) == REWARD


def test_a_daemon_of_both_roles_keeps_its_keys_apart(office, daemons):
    settings = {
        "EINPROOF_CHALLENGER_KEY": CHALLENGER,
        "EINPROOF_ROLES": "operator,challenger",
        "EINPROOF_MIN_FEE": "1",
    }
    desk = office.desk
    desk.stake()
    both = daemons("both", OPERATOR, **settings)
    own = staked_request(office)
    wrong = desk.posted(output=LOGITS[:-1] + b"\x55", fee=0)  # the service's operator asks more
    both.until(lambda: status(office, own) == 3, 30)
    disputes = desk.optimistic.functions.challengeCount
    both.until(lambda: office.evm.call(disputes(desk.request_id(wrong))) == 1, 30)
    assert office.evm.call(disputes(own.id)) == 0
    assert both.end(signal.SIGTERM) == 0
    same = daemons("same", OPERATOR, **{**settings, "EINPROOF_CHALLENGER_KEY": OPERATOR})
    assert same.process.wait(30) != 0


def test_a_person_asks_checks_disputes_and_claims_by_hand(office, daemons, cli, monkeypatch):
    """The same machine, moved by commands; the engines are the doubles."""
    from oracle import bootstrap
    from tests.oracle.desk import EchoEngine, EchoModels, EchoProver

    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    desk, model = office.desk, "0x" + office.desk.model_id.hex()
    words = ("--tier", "optimistic", "--coverage", "1", "--key", "dev:2")
    daemons("cheat", CHEAT, "lying")
    asked = cli("request", model, "0x0102", *words)
    assert asked["trust"]["tier"] == "Optimistic"
    assert asked["trust"]["final"].startswith("provisional")
    assert asked["trust"]["proved"] == []
    assert asked["trust"]["staked"]["coverage_gwei"] == COVERAGE
    assert "the operator, if nobody re-executed" in asked["trust"]["could_have_cheated"][0]
    (row,) = cli("challenge", "list")
    assert (row["request"], row["prove_by"]) == (asked["request"], None)
    checked = cli("challenge", "check", asked["request"], code=3)
    assert (checked["computed"], checked["right"]) == ("0x" + LOGITS.hex(), False)
    assert cli("challenge", "dispute", asked["request"])["done"] == "dispute"
    refused = RUNNER.invoke(main.app, ["challenge", "dispute", asked["request"]])
    assert (refused.exit_code, "disputed already" in refused.output) == (1, True)
    assert cli("challenge", "claim")["done"] == []
    office.wait(CLOCK + 60)
    claimed = cli("challenge", "claim")
    assert [step.split()[0] for step in claimed["done"]] == ["settle", "collect"]
    assert claimed["withdrawn_gwei"] == REWARD
    assert desk.account(address(CHEAT))["stake"] == 10 * ETHER // GWEI - LOCK
    shown = cli("stake", "show", "--key", CHEAT)
    assert (shown["suspended"], shown["free_gwei"]) == (True, 10 * ETHER // GWEI - LOCK)
    assert cli("stake", "add", "0.5")["stake_gwei"] == 10 * ETHER // GWEI + 5 * 10**8
    cli("stake", "appoint", address(CHALLENGER))
    assert office.evm.call(desk.vault.functions.agentOf(address(OPERATOR))) == address(CHALLENGER)
    assert cli("stake", "withdraw", "0.25")["queued_gwei"] == 25 * 10**7


def test_a_refuted_claim_pays_the_reward_by_hand(office, cli, monkeypatch):
    from oracle import bootstrap
    from tests.oracle.desk import EchoEngine, EchoModels, EchoProver

    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    desk = office.desk
    desk.stake()
    plain = desk.posted(output=LOGITS[:-1] + b"\x55")
    id = "0x" + desk.request_id(plain).hex()
    assert cli("challenge", "dispute", id)["done"] == "dispute"
    desk.refute(plain, LOGITS[:-1] + b"\x55", output=LOGITS)
    assert desk.outcome(plain) == OVERTURNED
    claimed = cli("challenge", "claim")
    assert [step.split()[0] for step in claimed["done"]] == ["reveal", "award", "collect"]
    assert claimed["withdrawn_gwei"] == REWARD


def lapsed(desk, challenger):
    """A lie that the challenger disputed and that was not proved in time."""
    wrong = LOGITS[:-1] + b"\x55"
    request = desk.posted(output=wrong)
    desk.dispute(request, wrong, sender=challenger)
    desk.wait(CLOCK + 1)
    desk.post(request, output=wrong)
    assert desk.owed(challenger) == REWARD
    return request


def test_a_slashed_operators_other_lie_is_disputed_by_hand_for_no_bond(office, cli, monkeypatch):
    from oracle import bootstrap
    from tests.oracle.desk import EchoEngine, EchoModels, EchoProver

    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    desk = office.desk
    desk.stake()
    other = desk.request_id(desk.posted(output=LOGITS[:-1] + b"\x55", nonce=1))
    lapsed(desk, desk.rival)
    office.wait(WINDOW)  # which does not count any more
    assert cli("challenge", "dispute", "0x" + other.hex())["done"] == "dispute"
    who, bond, _ = office.evm.call(desk.optimistic.functions.challengeAt(other, 0))
    assert (who, bond) == (address(CHALLENGER), 0)


@pytest.mark.parametrize("gone", [False, True])
def test_rewards_are_withdrawn_of_a_tier_whose_verifier_is_another_now(office, cli, gone):
    """It is not what the tier's pin names; or it is no more."""
    desk, challenger = office.desk, address(CHALLENGER)
    desk.stake()
    id = "0x" + desk.request_id(lapsed(desk, challenger)).hex()
    code = office.evm.rpc("eth_getCode", desk.verifier.address, "latest")
    office.evm.rpc("anvil_setCode", desk.verifier.address, "0x00" if gone else code + "00")
    told = cli("challenge", "claim")
    assert (told["withdrawn_gwei"], told["withdrawn_tokens"]) == (REWARD, {})
    assert desk.owed(challenger) == 0
    (waits,) = told["waits"]
    said = "is it deployed?" if gone else "is no tier whose claims can be disputed"
    assert waits.startswith(id) and said in waits


def test_what_is_withdrawn_is_told_by_coin(office, cli, tmp_path):
    """One tier's stakes are in ether, another's in a token."""
    ether, token, challenger = office.desk, TokenBench(office.evm), address(CHALLENGER)
    ether.stake()
    token.mint(token.operator, 30_000)
    approved = token.token.functions.approve(token.vault.address, 30_000 * ETHER)
    for function in (approved, token.vault.functions.stake(30_000 * ETHER)):
        office.evm.send(function, sender=token.operator)
    path = tmp_path / "deployment.json"
    deployed = json.loads(path.read_text())
    deployed["contracts"]["AuditedAssurance"] = {"address": token.optimistic.address}
    path.write_text(json.dumps(deployed))
    for desk in (ether, token):
        lapsed(desk, challenger)
    told = cli("challenge", "claim")
    assert told["withdrawn_gwei"] == REWARD
    assert told["withdrawn_tokens"] == {token.token.address: REWARD * token.unit}
    assert token.tokens(challenger) == REWARD
    assert ether.owed(challenger) == token.owed(challenger) == 0


def test_views_are_read_as_the_contracts_have_them(office):
    async def story():
        chain, desk = office.chain(), office.desk
        tier = await chain.tier(desk.optimistic.address)
        assert (tier.vault, tier.verifier) == (desk.vault.address, desk.verifier.address)
        quote = await chain.quote(tier, terms())
        assert quote == Quote(COVERAGE, REWARD, COVERAGE, WINDOW, CLOCK, BOND)
        assert ClaimTerms.parse(terms()).word == terms()
        account = await chain.account(tier, address(OPERATOR))
        assert (account.stake, account.free) == (10 * ETHER // GWEI,) * 2
        assert not await chain.stopped(tier, desk.model_id)
        signer, request = open_signer(CHALLENGER, "", 31337), staked_request(office)
        word = salt(signer, request)
        assert word == salt(open_signer(CHALLENGER, "", 31337), request)
        assert word != salt(open_signer(CHEAT, "", 31337), request)
        ours = ids.commitment(request.assurance, request.id, signer.address, LOGITS, word)
        functions = desk.optimistic.functions
        theirs = functions.commitmentOf(request.id, signer.address, keccak(LOGITS), word)
        assert ours == office.evm.call(theirs)

    run(story())


def test_a_quiet_answer_is_final_by_silence_and_the_report_says_so(office, daemons):
    operator = daemons("operator", OPERATOR)

    async def story():
        purse = Wallet(office.chain(), open_signer("dev:2", "", 31337), 31337)
        desk = office.desk
        contracts = (desk.optimistic.address, desk.registry.address, desk.model_id, b"pixels")
        asked = await ask(
            purse,
            office.identity,
            *contracts,
            fee=10**15,
            seconds=600,
            terms=ClaimTerms(COVERAGE, 60),
        )
        first = await await_answer(purse, office.identity, asked, 0.05, final=False)
        office.wait(WINDOW + 60)
        last = await await_answer(purse, office.identity, asked, 0.05)
        assert first.output == last.output == LOGITS
        assert last.report["final"].startswith("final by silence")
        assert last.report["proved"] == []
        assert Outcome(outcome(office, asked.request)) is Outcome.NONE

    run(story())
    assert operator.end(signal.SIGTERM) == 0
