"""The tier of one aggregated signature on real contracts: members as processes, as in test_council;
one of them holds two of four seats. And what Python computes for it, against the contracts."""

import signal
from dataclasses import replace

import pytest
from eth_hash.auto import keccak
from py_ecc.optimized_bls12_381 import G2, Z1, curve_order, multiply

from oracle.adapters import bls
from oracle.adapters.bls import BlsAggregation, BlsKey
from oracle.adapters.board import RemoteBoard
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer
from oracle.adapters.rpc import Node
from oracle.domain.committee import DAY, Opened, message
from oracle.domain.request import TierKind
from tests.contracts.bench import COVERAGE
from tests.contracts.bls import encoded
from tests.contracts.council import GRACE, START, WINDOW
from tests.contracts.desk import FINAL, PROVISIONAL
from tests.contracts.senate import Senate
from tests.evm import Chain, artifact
from tests.oracle.desk import LOGITS, Office
from tests.oracle.test_council import (
    COLLECTOR,
    KEYS,
    OTHERS,
    PORT,
    RULES,
    address,
    asked,
    commands,
    status,
)
from tests.oracle.test_council import daemons as _daemons
from tests.oracle.world import run

pytestmark = pytest.mark.chain

TODAY = START // DAY
daemons = _daemons


def signer_of(owner):
    return next(s for s in (open_signer(key, "", 31337) for key in KEYS) if s.address == owner)


class Enrolled(Senate):
    """Its members' keys are those that the service derives, registered as the service does."""

    def admit(self, owner):
        chain = NodeChain(Node(self.chain.url), self.oracle.address, {})
        call = run(bls.register_call(chain, self.keys.address, signer_of(owner)))
        self.chain.pay(call.to, 0, data=call.data, sender=owner)

    @staticmethod
    def secret(owner):
        return BlsKey.of(signer_of(owner))._secret


@pytest.fixture(scope="module")
def evm():
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        owners = [*(address(key) for key in KEYS), address(KEYS[2])]
        chain.council = Enrolled(chain, RULES, owners)
        chain.members = chain.council.begin(TODAY)
        yield chain


@pytest.fixture
def office(evm):
    snapshot = evm.snapshot()
    tiers = {
        evm.council.tier.address: TierKind.PROOF,
        evm.council.council.address: TierKind.COMMITTEE,
    }
    yield Office.around(evm.council, tiers)
    evm.restore(snapshot)


def opened(daemon):
    return any(event["event"] == "opened" for event in daemon.logged())


def test_members_agree_under_one_signature_though_the_collector_is_killed(office, daemons):
    first, *others = [daemons(key) for key in KEYS]
    request = asked(office)
    first.until(lambda: any(e["event"] == "committed" for e in first.logged()), 60)
    first.end(signal.SIGKILL)
    first.start()
    first.until(lambda: status(office, request) == PROVISIONAL, 60)
    office.wait(WINDOW + 60)
    first.until(lambda: status(office, request) == FINAL, 60)
    for daemon in (first, *others):
        assert daemon.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.logged() if line["event"] == "unexpected"]


def test_a_captured_committee_is_slashed_by_the_member_that_it_left_out(office, daemons):
    liars = [daemons(key, "lying", collector=OTHERS[0]) for key in OTHERS]
    request = asked(office)
    liars[0].until(lambda: status(office, request) == PROVISIONAL, 60)
    honest = daemons(COLLECTOR, collector=OTHERS[0])
    honest.until(lambda: status(office, request) == FINAL, 60)
    desk = office.desk
    assert desk.owed(desk.requester) >= COVERAGE - 3 and desk.burned() >= COVERAGE
    assert [desk.account(address(key))["suspended"] for key in KEYS] == [False, True, True]


def test_members_that_are_summoned_speak_on_chain_without_a_board(office, daemons):
    others = [daemons(key) for key in OTHERS]
    request = asked(office)
    desk, id = office.desk, request.id
    desk.summon(request)
    views = desk.council.functions

    def spoken(view):
        return sum(any(office.evm.call(view(id, place))) for place in range(4))

    others[0].until(lambda: spoken(views.commitmentAt) == 3, 60)
    office.wait(GRACE + 1)
    others[0].until(lambda: spoken(views.revealedAt) == 3, 60)
    office.wait(GRACE // 2)
    others[0].until(lambda: status(office, request) == PROVISIONAL, 60)


def test_what_was_opened_stays_on_the_board(office, daemons):
    """A stranger puts a member's word again, with another share."""
    board = RemoteBoard(f"http://127.0.0.1:{PORT}")
    first, second = daemons(COLLECTOR), daemons(OTHERS[1])  # three places of four
    request = asked(office)
    second.until(lambda: opened(second), 60)
    words = run(board.read(request.id, TODAY))
    word = next(w for w in words if w.member == address(OTHERS[1]))
    assert len(word.share) == bls.G1_BYTES
    run(board.put(replace(word, share=encoded(Z1))))
    again = run(board.read(request.id, TODAY))
    assert word in again
    first.until(lambda: status(office, request) == PROVISIONAL, 60)


def test_what_python_signs_is_what_the_contracts_take(office):
    async def story():
        desk = office.desk
        chain = NodeChain(Node(office.evm.url), desk.oracle.address, office.tiers)
        tier = await chain.tier(desk.council.address)
        signers = [open_signer(key, "", 31337) for key in KEYS]
        claim = Opened(desk.payee, LOGITS, keccak(b"t"), keccak(b"s"))
        said = message(31337, tier.assurance, keccak(b"id"), TODAY, claim)
        words = (keccak(b"id"), TODAY, claim.payee, keccak(LOGITS), claim.trace)
        assert said == bytes(office.evm.call(desk.council.functions.messageOf(*words)))
        parts = [BlsAggregation(chain, signer) for signer in signers]
        keys = await parts[0].keys(tier.assurance)
        assert keys == desk.keys.address
        assert await bls.keys_of(chain, desk.tier.address) == ""
        shares = [part.sign(said) for part in parts]
        for signer, share in zip(signers, shares, strict=True):
            assert await parts[0].holds(keys, signer.address, said, share)
        mine = (keys, signers[0].address)
        off = shares[0][:-1] + bytes([shares[0][-1] ^ 1])
        bad = (shares[1], off, shares[0][:-1], b"", encoded(Z1))
        assert not any([await parts[0].holds(*mine, said, each) for each in bad])
        assert not await parts[0].holds(*mine, keccak(said), shares[0])
        assert not await parts[0].holds(keys, desk.requester, said, shares[0])
        owners = [signer.address for signer in signers] + [signers[2].address]
        total = await parts[0].total(keys, owners)
        one = parts[0].together([*shares, shares[2]])
        held = desk.keys.functions.signed(total, [], said, one)
        assert office.evm.call(held) is True
        assert parts[0].together([]) == encoded(Z1)

    run(story())


def test_a_key_is_a_function_of_its_account():
    one, other = (open_signer(key, "", 31337) for key in KEYS[:2])
    assert BlsKey.of(one).public == BlsKey.of(one).public != BlsKey.of(other).public
    key = BlsKey.of(one)
    assert 0 < key._secret < curve_order
    assert key.public == encoded(multiply(G2, key._secret))
    assert key.sign(b"x") != key.prove(b"x")


def test_functions_are_those_of_the_contracts():
    found = {}
    for name in ("BlsKeys", "BlsCommitteeAssurance"):
        for entry in artifact(f"contracts/committee/{name}.sol").abi:
            if entry["type"] == "function":
                found[entry["name"]] = tuple(item["type"] for item in entry["inputs"])
    assert all(found[name] == types for name, types in bls.FUNCTIONS.items())


def test_keys_and_seats_by_hand(office, tmp_path, monkeypatch):
    contracts = {
        "InferenceOracle": office.desk.oracle.address,
        "ProofAssurance": office.desk.tier.address,
        "BlsCommitteeAssurance": office.desk.council.address,
    }
    call = commands(contracts, office.evm.url, tmp_path, monkeypatch)
    new = ("--key", "dev:6")
    assert "NoKey" in call("enrol", "4", "--large", *new, code=1)
    assert call("key", *new, "--json")["registered"] == "now"
    assert call("key", *new, "--json")["registered"] == "before"
    held = office.evm.call(office.desk.keys.functions.keyOf(address("dev:6")))
    assert held == BlsKey.of(open_signer("dev:6", "", 31337)).public
    office.evm.send(office.desk.vault.functions.stake(), sender=address("dev:6"), value=10**19)
    assert call("enrol", "4", "--large", *new, "--json")["seats"][4]["mine"]
    office.wait(DAY)
    assert len(call("draw", "--large", "--json")["committee"]) == 4
    assert "run einproof deploy" in call("show", code=1)
