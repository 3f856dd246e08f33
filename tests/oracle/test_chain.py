"""The node adapter against the contracts on Anvil: ids, calls, events, errors, reorgs."""

import asyncio
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account import Account
from eth_hash.auto import keccak

from oracle.adapters import abi
from oracle.adapters.keys import open_signer
from oracle.adapters.memory import MemoryStore
from oracle.adapters.rpc import Node
from oracle.domain import ids
from oracle.domain.chain import Answered, Call, Fees, Requested, Returned, Unsigned
from oracle.domain.errors import (
    CallRefused,
    ChainUnavailable,
    KeyRefused,
    NonceTaken,
    Underpriced,
    WalletEmpty,
)
from oracle.domain.job import JobState
from oracle.domain.report import trust_report
from oracle.domain.request import Answer
from oracle.fakes import FakeClock, FakeRounds
from oracle.services.flight import Posting, Runway
from oracle.services.serve import Write
from oracle.services.watch import Watch
from oracle.services.work import Terms, Work
from tests.contracts.desk import POINT, SRS, program
from tests.evm import Chain, artifact
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office
from tests.oracle.world import run

pytestmark = pytest.mark.chain

CONTRACTS = (
    "contracts/attested/AttestationRegistry.sol",
    "contracts/attested/AttestedAssurance.sol",
    "contracts/attested/Dcap.sol",
    "contracts/oracle/InferenceOracle.sol",
    "contracts/oracle/ModelRegistry.sol",
    "contracts/assurance/AuditedAssurance.sol",
    "contracts/assurance/BisectionAssurance.sol",
    "contracts/assurance/Bounty.sol",
    "contracts/assurance/CombinedAssurance.sol",
    "contracts/assurance/GuardedVerifier.sol",
    "contracts/assurance/OptimisticAssurance.sol",
    "contracts/assurance/ProofAssurance.sol",
    "contracts/assurance/StakeVault.sol",
    "contracts/committee/BlsCommitteeAssurance.sol",
    "contracts/committee/BlsKeys.sol",
    "contracts/committee/CommitteeAssurance.sol",
    "contracts/random/DevelopmentBeacon.sol",
    "contracts/interfaces/ITensorVerifier.sol",
    "contracts/types/ProofErrors.sol",
)


@pytest.fixture(scope="module")
def evm():
    with Chain.start() as chain:
        yield chain


@pytest.fixture
def office(evm):
    snapshot = evm.snapshot()
    yield Office(evm)
    evm.restore(snapshot)


def signatures(kind):
    """What the compiled contracts have of a kind, by name; several types where names are shared."""
    found = {}
    for file in CONTRACTS:
        if file.endswith("ProofErrors.sol"):
            continue
        for entry in artifact(file).abi:
            if entry["type"] == kind:
                types = tuple(_type(item) for item in entry["inputs"])
                found.setdefault(entry["name"], set()).add(types)
    return found


def _type(item):
    if not item["type"].startswith("tuple"):
        return item["type"]
    return f"({','.join(_type(each) for each in item['components'])}){item['type'][5:]}"


def test_functions_and_events_are_those_of_the_contracts():
    functions, events = signatures("function"), signatures("event")
    for known in (abi.FUNCTIONS, abi.MEMBERS, abi.GAME, abi.COMBINATION, abi.OFFERS):
        assert all(types in functions[name] for name, types in known.items())
    assert all(types in events[name] for name, types in abi.EVENTS.items())


def test_errors_are_those_of_the_contracts_and_none_is_missing():
    ours = dict(abi.ERRORS)
    source = Path("contracts/types/ProofErrors.sol").read_text()
    for name, types in signatures("error").items():
        if name in ours:
            assert ours[name] in types, name
    shared = set(re.findall(r"^error (\w+)\(", source, re.M))
    assert set(ours) - set(signatures("error")) <= shared | {"Error", "Panic"}
    assert shared <= set(ours)
    for shared_name in {name for name, _ in abi.NAMESAKES}:
        known = {types for name, types in abi.NAMESAKES if name == shared_name}
        assert known | {ours[shared_name]} == signatures("error")[shared_name]


def test_ids_are_those_of_the_contracts(office):
    request = office.ask(callback_gas=70_000, fee=12345)
    functions = office.desk.oracle.functions
    payee = office.desk.payee
    assert request.honest(31337, office.desk.oracle.address)
    assert request.id == office.evm.call(functions.idOf(request.fields))
    context = ids.context(31337, office.desk.oracle.address, request, payee)
    assert context == office.evm.call(functions.contextOf(request.fields, payee))
    digest = ids.claim_digest(payee, LOGITS)
    assert digest == office.evm.call(functions.claimDigest(payee, LOGITS))
    assert request.payment == office.evm.call(functions.cost(12345, 70_000, 10**9))


def test_model_ids_are_those_of_the_registry(office):
    code = program()
    assert ids.model_id(code, POINT, SRS, code[6], bytes(32)) == office.desk.model_id


def test_the_tier_is_read_from_its_contracts(office):
    async def story():
        chain = office.chain()
        tier = await chain.tier(office.desk.tier.address)
        assert tier.pin == office.desk.pin
        assert tier.verifier == office.desk.verifier.address
        assert tier.code_hash == keccak(office.evm.web3.eth.get_code(tier.verifier))
        assert tier.srs_id == SRS
        assert await chain.tier(office.desk.scripted.address) is None
        request = office.ask()
        report = trust_report(office.identity, request, tier, office.desk.payee)
        assert json.loads(json.dumps(report)) == report
        label = report["srs"]["label"]
        assert ("DEVELOPMENT" in label) == tier.forgeable
        assert ("anyone" in report["could_have_cheated"][0]) == tier.forgeable

    run(story())


def test_events_are_read_in_order(office):
    async def story():
        chain, payee = office.chain(), office.desk.payee
        start = (await chain.head()).number + 1
        first, second = office.ask(), office.ask(b"x" * 3000, deadline=office.evm.now() + 5)
        context = ids.context(31337, chain.oracle, first, payee)
        prover = EchoProver()
        folder = await EchoModels().find(first.model_id)
        output, proof = await prover.prove(folder, context, first.input)
        tier = await chain.tier(first.assurance)
        call = chain.answer_call(first, Answer(payee, output, proof, tier))
        assert 100_000 < await chain.preflight(payee, call) < 400_000
        office.evm.pay(call.to, 0, data=call.data)
        with pytest.raises(CallRefused, match=r"WrongStatus\(0x[0-9a-f]{64}, 4\)"):
            await chain.preflight(payee, call)
        office.evm.next_timestamp(second.deadline + 1)
        office.evm.send(office.desk.oracle.functions.refund(second.fields))
        events = await chain.events(start, (await chain.head()).number)
        assert [type(event) for event in events] == [Requested, Requested, Answered, Returned]
        assert [event.request for event in events[:2]] == [first, second]
        assert (events[2].request_id, events[2].payee, events[2].output) == (
            first.id,
            payee,
            LOGITS,
        )
        assert events[3].request_id == second.id
        head = await chain.head()
        assert await chain.block(head.number) == head
        assert await chain.block(head.number + 5) is None
        assert events[3].block == head.ref

    run(story())


def test_a_refusal_is_named_with_its_arguments(office):
    async def story():
        chain, request = office.chain(), office.ask()
        tier = await chain.tier(request.assurance)
        bad = Answer(office.desk.payee, LOGITS, b"no proof", tier)
        with pytest.raises(CallRefused, match="unknown error 0x04625b25"):
            await chain.preflight(office.desk.payee, chain.answer_call(request, bad))
        unknown = replace(request, nonce=999)
        with pytest.raises(CallRefused, match=r"WrongStatus\(0x[0-9a-f]{64}, 0\)"):
            await chain.preflight(office.desk.payee, chain.answer_call(unknown, bad))

    run(story())


def test_what_a_node_says_of_a_transaction_has_a_type(office):
    async def story():
        chain, signer = office.chain(), open_signer("dev", "", 31337)
        used = await chain.nonce(signer.address)

        def raw(nonce, fees=None, who=signer):
            fees = fees or Fees(10**9, 10**9)
            return who.sign(Unsigned(31337, nonce, Call(who.address, b""), 21_000, fees)).raw

        office.evm.rpc("evm_setAutomine", False)
        try:
            first = raw(used)
            await chain.send(first)
            await chain.send(first)  # again is no error
            with pytest.raises(Underpriced):
                await chain.send(raw(used, Fees(10**8, 10**8)))
            await chain.send(raw(used, Fees(10**9, 10**9).bumped(Fees(1, 1), 10**12)))
        finally:
            office.evm.rpc("evm_setAutomine", True)
        office.evm.rpc("evm_mine")
        with pytest.raises(NonceTaken):
            await chain.send(first)
        poor = type(signer)(Account.create())
        with pytest.raises(WalletEmpty):
            await chain.send(raw(0, who=poor))
        assert await chain.receipt(b"\x01" * 32) is None
        assert not await chain.knows(b"\x01" * 32)

    run(story())


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "/nowhere/anvil.ipc"])
def test_a_node_that_is_down_is_one_line(url):
    async def story():
        with pytest.raises(ChainUnavailable, match=f"no node answers at {url} .*EINPROOF_RPC"):
            await Node(url, timeout=2).rpc("eth_chainId")

    run(story())


def test_a_hosted_nodes_key_is_not_shown():
    async def story():
        with pytest.raises(ChainUnavailable) as caught:
            await Node("http://user:hunter2@127.0.0.1:9/v3/topsecret?k=s3cret", 2).rpc("x")
        for secret in ("hunter2", "topsecret", "s3cret"):
            assert secret not in str(caught.value)

    run(story())


def test_a_keystore_signs_and_its_mistakes_are_one_line(tmp_path):
    account = Account.create()
    path = tmp_path / "key.json"
    path.write_text(json.dumps(Account.encrypt(account.key, "right", iterations=2)))
    signer = open_signer(str(path), "right", 1)
    assert signer.address == account.address
    unsigned = Unsigned(1, 0, Call(account.address, b""), 21_000, Fees(2, 1))
    assert signer.sign(unsigned) == signer.sign(unsigned)
    with pytest.raises(KeyRefused, match="the password does not open"):
        open_signer(str(path), "wrong", 1)
    with pytest.raises(KeyRefused, match="No such file"):
        open_signer(str(tmp_path / "none.json"), "", 1)
    path.write_text("{}")
    with pytest.raises(KeyRefused, match="no keystore file"):
        open_signer(str(path), "", 1)
    with pytest.raises(KeyRefused, match="expected chain id 31337, got 1"):
        open_signer("dev", "", 1)
    with pytest.raises(KeyRefused, match="expected dev:0 to dev:99"):
        open_signer("dev:100", "", 31337)
    with pytest.raises(KeyRefused, match="no key"):
        open_signer("", "", 31337)


def test_a_request_is_served_on_the_real_contracts_through_reorgs(office):
    """The whole story on Anvil; then its blocks are reorganised away, and it is told again."""

    async def story():
        chain, store, clock = office.chain(), MemoryStore(), FakeClock()
        signer = open_signer("dev:2", "", 31337)
        first = (await chain.head()).number + 1
        watch = Watch(chain, store, office.identity, first, 0)
        work = Work(
            chain,
            store,
            EchoModels(),
            EchoEngine(),
            EchoProver(),
            clock,
            office.identity,
            Terms(office.desk.payee),
            "me",
        )
        write = Write(Runway(chain, store, signer, clock, 31337, Posting(), "me", FakeRounds()))

        async def settle():
            quiet = 0
            while quiet < 3:
                busy = [await watch.step(), await work.step(), await write.step()]
                quiet = 0 if any(busy) else quiet + 1
                clock.time += 0 if any(busy) else 10

        async def job(request):
            return await store.run(lambda ledger: ledger.job(request.id))

        async def nonces():
            return await chain.nonce(signer.address)

        before = await nonces()
        requests = [office.ask() for _ in range(3)]
        await settle()
        assert sorted(office.answers()) == sorted(request.id for request in requests)
        for request in requests:
            assert (await job(request)).state is JobState.SETTLED
        assert await nonces() == before + 3
        # The three answers are undone, and nothing of them comes back by itself.
        office.evm.rpc("anvil_reorg", 3, [])
        assert office.answers() == []
        assert await nonces() == before
        await settle()
        assert sorted(office.answers()) == sorted(request.id for request in requests)
        assert await nonces() == before + 3

    asyncio.run(story())
