"""The committee tier on real contracts: members as processes with keys and databases of their own,
over a board on HTTP, killed in between; one of them holds two seats."""

import json
import signal
import urllib.error
import urllib.request
from dataclasses import replace

import pytest
from eth_abi.abi import decode
from eth_hash.auto import keccak
from typer.testing import CliRunner

from oracle import bootstrap
from oracle.adapters.abi import FUNCTIONS, call_data
from oracle.adapters.board import RemoteBoard
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer, recover
from oracle.adapters.rpc import Node
from oracle.cli import main
from oracle.domain.block import BlockRef
from oracle.domain.committee import AGREED, DAY, Opened, digest
from oracle.domain.errors import BoardUnavailable
from oracle.domain.report import FORESEEABLE
from oracle.domain.request import Answer, TierKind
from oracle.domain.terms import ClaimTerms
from oracle.fakes import TIER
from oracle.operations import Asked, report_of, story_of
from oracle.story.anvil import free_port
from tests.contracts.bench import COVERAGE, PROVING, WRONG, ZERO, terms
from tests.contracts.council import CLOCK, FINE, GRACE, SEAT, START, TRACE, WINDOW, Council
from tests.contracts.desk import FINAL, HARNESS, PROVISIONAL
from tests.contracts.test_random import EVMNET
from tests.evm import Chain
from tests.oracle.desk import LOGITS, EchoEngine, EchoModels, EchoProver, Office
from tests.oracle.relay import drands
from tests.oracle.test_kill import Daemon
from tests.oracle.world import run

pytestmark = pytest.mark.chain

COLLECTOR, *OTHERS = KEYS = ("dev:3", "dev:4", "dev:5")
#: 3 of 4 seats must agree; the last two are dev:5's.
RULES = (4, 3, SEAT, FINE, WINDOW, GRACE)
TODAY = START // DAY
PORT = free_port()  # another one in each process that runs tests


def address(key):
    return open_signer(key, "", 31337).address


@pytest.fixture(scope="module")
def evm():
    with Chain.start("--timestamp", str(START - DAY)) as chain:
        owners = [*(address(key) for key in KEYS), address(KEYS[2])]
        council = Council(chain, RULES, owners)
        chain.council, chain.members = council, council.begin(TODAY)
        yield chain


@pytest.fixture
def office(evm):
    snapshot = evm.snapshot()
    council = evm.council.council.address
    tiers = {evm.council.tier.address: TierKind.PROOF, council: TierKind.COMMITTEE}
    yield Office.around(evm.council, tiers)
    evm.restore(snapshot)


@pytest.fixture
def daemons(office, tmp_path):
    made = []

    def start(key, *words, collector=COLLECTOR, **settings):
        settings = {"EINPROOF_PAYEE": address(collector), **settings}
        if key == collector:
            settings.setdefault("EINPROOF_BOARD_PORT", str(PORT))
        else:
            settings.setdefault("EINPROOF_BOARD", f"http://127.0.0.1:{PORT}")
        daemon = Daemon(
            office,
            tmp_path / f"{key[-1]}{''.join(words)}",
            *words,
            EINPROOF_KEY=key,
            EINPROOF_ROLES="member",
            **settings,
        )
        daemon.start()
        made.append(daemon)
        return daemon

    yield start
    for daemon in made:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.process.kill()
            daemon.process.wait()


def asked(office, **fields):
    fields = {"deadline": office.evm.now() + DAY, **fields}
    return office.ask(assurance=office.desk.council.address, terms=terms(), **fields)


def status(office, request):
    return office.evm.call(office.desk.oracle.functions.statusOf(request.id))[0]


def nonce(office, key):
    return office.evm.web3.eth.get_transaction_count(address(key))


def test_members_agree_though_the_collector_is_killed(office, daemons):
    before = [nonce(office, key) for key in KEYS]
    first, *others = [daemons(key) for key in KEYS]
    request = asked(office)
    first.until(lambda: any(e["event"] == "committed" for e in first.logged()), 60)
    first.end(signal.SIGKILL)  # the board dies with it
    first.start()
    first.until(lambda: status(office, request) == PROVISIONAL, 60)
    office.wait(WINDOW + 60)
    first.until(lambda: status(office, request) == FINAL, 60)
    assert [nonce(office, key) - had for key, had in zip(KEYS, before, strict=True)] == [2, 0, 0]
    for daemon in (first, *others):
        assert daemon.end(signal.SIGTERM) == 0
        assert not [line for line in daemon.logged() if line["event"] == "unexpected"]


def test_a_captured_committee_is_slashed_by_the_member_that_it_left_out(office, daemons):
    """dev:4 and dev:5 hold three seats of four, and agree on a lie."""
    liars = [daemons(key, "lying", collector=OTHERS[0]) for key in OTHERS]
    request = asked(office)
    liars[0].until(lambda: status(office, request) == PROVISIONAL, 60)
    honest = daemons(COLLECTOR, collector=OTHERS[0])
    honest.until(lambda: status(office, request) == FINAL, 60)
    desk = office.desk
    assert desk.owed(desk.requester) >= COVERAGE - 3
    assert desk.owed(address(COLLECTOR)) > 0
    assert desk.burned() >= COVERAGE
    assert [desk.account(address(key))["suspended"] for key in KEYS] == [False, True, True]
    assert desk.account(address(COLLECTOR))["stake"] * 10**9 == 10 * 10**18
    (last,) = office.answers()[-1:]
    assert last == request.id


def lie(office, request):
    """A wrong answer's calldata, with words of the three places that are not the collector's."""
    desk, members = office.desk, office.evm.members
    places = [n for n in range(4) if desk.member(members, n) != address(COLLECTOR)]
    quorum = desk.quorum(request, members, places, WRONG)
    answer = Answer(desk.payee, WRONG, AGREED + desk.encoded(quorum), TIER)
    return office.chain().answer_call(request, answer).data


def padded(office, data):
    """So that it has the most bytes that nodes take, and a refutation with all of it has more."""
    send(office, data + bytes(125_000))


def soiled(office, data):
    """Padding that is not zero: contracts take it, and strict decoders do not."""
    assert data.count(WRONG + bytes(12)) == 1
    send(office, data.replace(WRONG + bytes(12), WRONG + b"\xff" * 12))


def stuffed(office, data):
    """The words themselves are padded, within what is handed in as evidence."""
    fields, input, payee, output, evidence = decode(FUNCTIONS["answer"], data[4:])
    stuffing = (fields, input, payee, output, evidence + bytes(100_000))
    send(office, call_data("answer", *stuffing))


def through_a_contract(office, data):
    batch = office.evm.deploy(f"{HARNESS}/Batch.sol")
    call = batch.functions.run(office.desk.oracle.address, [data])
    office.evm.send(call, gas=8_000_000)


def send(office, data):
    office.evm.pay(office.desk.oracle.address, 0, data=data)


@pytest.mark.parametrize("hand_in", [padded, soiled, stuffed, through_a_contract])
def test_a_lie_is_refuted_however_its_words_were_handed_in(office, daemons, hand_in):
    request = asked(office)
    hand_in(office, lie(office, request))
    assert status(office, request) == PROVISIONAL
    block = office.evm.web3.eth.get_block("latest")
    honest = daemons(COLLECTOR, collector=OTHERS[0])
    honest.until(lambda: status(office, request) == FINAL, 60)
    desk = office.desk
    assert [desk.account(address(key))["suspended"] for key in KEYS] == [False, True, True]
    last = office.evm.web3.eth.get_block("latest", True)["transactions"][-1]
    assert len(last["input"]) < 10_000
    ref = BlockRef(block["number"], bytes(block["hash"]))
    other = replace(request, id=keccak(b"another"))
    assert run(office.chain().agreement(other, ref)) == b""


def test_a_captured_committee_is_slashed_by_anyone_with_the_model(office, tmp_path, monkeypatch):
    """No member is honest, nobody offers anything: who proves by hand has the claim's reward."""
    request = asked(office)
    send(office, lie(office, request))
    bounty = office.evm.deploy("contracts/assurance/Bounty.sol", office.desk.oracle.address, ZERO)
    contracts = {**office.contracts, "Bounty": bounty.address}
    commands(contracts, office.evm.url, tmp_path, monkeypatch)
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), EchoProver())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    desk, id = office.desk, f"0x{request.id.hex()}"

    def challenge(*words, code=0):
        asked = ["challenge", *words, "--key", "dev:9", "--json"]
        result = CliRunner().invoke(main.app, asked)
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if code == 0 else result.output

    (listed,) = challenge("list")
    assert (listed["request"], listed["if_wrong"]) == (id, "challenge offer prove")
    since = office.evm.call(desk.oracle.functions.claimOf(request.id))[2]
    assert listed["disputable_until"] == since + WINDOW
    for command in ("check", "dispute"):
        assert f"challenge offer prove {id}" in challenge(command, id, code=1)
    challenge("offer", "prove", id)
    assert challenge("list") == []
    reward = desk.owed(address("dev:9"))
    assert challenge("claim")["withdrawn_gwei"] == reward > 0 == desk.owed(address("dev:9"))
    assert status(office, request) == FINAL
    assert [desk.account(address(key))["suspended"] for key in KEYS] == [False, True, True]


def test_the_trust_report_names_the_beacon_that_drew_the_members(office):
    async def story():
        request = asked(office)
        send(office, lie(office, request))
        chain = office.chain()
        tier = await chain.tier(request.assurance)
        about = Asked(request, tier, b"", 1, await chain.quote(tier, request.terms))
        found = await story_of(chain, request, 1, office.evm.web3.eth.block_number)
        report = await report_of(chain, office.identity, about, found)
        beacon = office.desk.beacon
        first = office.evm.call(beacon.functions.roundAfter(TODAY * DAY))
        shown = {"beacon": beacon.address, "round": first, "label": FORESEEABLE}
        assert report["committee"] == shown
        assert FORESEEABLE in report["could_have_cheated"][1]

    run(story())


@pytest.mark.parametrize("early", [True, False])
def test_what_nobody_offers_for_is_proved_while_its_claim_stands(
    office, tmp_path, monkeypatch, early
):
    """Not where it is final before the proof is begun, nor sent where it is when that is done."""
    request, proofs = asked(office), []
    send(office, lie(office, request))
    office.wait(WINDOW + 60)
    silent = Answer(office.desk.payee, WRONG, b"", TIER)
    bounty = office.evm.deploy("contracts/assurance/Bounty.sol", office.desk.oracle.address, ZERO)
    contracts = {**office.contracts, "Bounty": bounty.address}
    commands(contracts, office.evm.url, tmp_path, monkeypatch)

    class Late(EchoProver):
        async def prove(self, *about):
            proofs.append(about)
            send(office, office.chain().answer_call(request, silent).data)
            return await super().prove(*about)

    if early:
        send(office, office.chain().answer_call(request, silent).data)
    parts = bootstrap.Parts(EchoModels(), EchoEngine(), Late())
    monkeypatch.setattr(bootstrap, "real_parts", lambda settings: parts)
    prove = ["challenge", "offer", "prove", f"0x{request.id.hex()}", "--key", "dev:9", "--json"]
    before = nonce(office, "dev:9")
    result = CliRunner().invoke(main.app, prove)
    assert result.exit_code == 1 and "stands any more: it is final" in result.output
    assert (len(proofs), nonce(office, "dev:9")) == (0 if early else 1, before)


def test_members_that_are_summoned_speak_on_chain_without_a_board(office, daemons):
    """The collector is away: the others commit and reveal, for every place; then one hands in."""
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
    for daemon in others:
        assert daemon.end(signal.SIGTERM) == 0


def test_a_member_needs_a_board_and_a_payee(office, daemons):
    for missing in ("EINPROOF_BOARD", "EINPROOF_PAYEE"):
        daemon = daemons(OTHERS[0], **{missing: ""})
        assert daemon.process.wait(60) != 0
        assert missing in daemon.log.read_text()


def test_the_board_refuses_what_is_no_word(office, daemons):
    first = daemons(COLLECTOR)
    board = RemoteBoard(f"http://127.0.0.1:{PORT}")
    request = asked(office)
    first.until(lambda: any(e["event"] == "committed" for e in first.logged()), 60)
    (word,) = run(board.read(request.id, TODAY))
    assert word.opened is None and word.member == address(COLLECTOR)
    with pytest.raises(BoardUnavailable, match="not the word"):
        run(board.put(replace(word, member=address(OTHERS[0]))))
    for path, body in (("/words", b"{}"), ("/words", b"x"), ("/nothing", None), ("/words/1", None)):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", body, timeout=10)
        assert refused.value.code == 400
    assert (
        json.loads(
            urllib.request.urlopen(f"http://127.0.0.1:{PORT}/words/0x{bytes(32).hex()}/1").read()
        )
        == []
    )


def test_what_is_signed_and_quoted_is_what_the_contract_has(office):
    """Digest, commitment and terms, against the contract; the draw, from its log."""

    async def story():
        desk = office.desk
        chain = NodeChain(Node(office.evm.url), desk.oracle.address, office.tiers)
        tier = await chain.tier(desk.council.address)
        committee = await chain.committee(tier, TODAY)
        assert (committee.members, committee.quorum) == (office.evm.members, 3)
        assert sorted(len(committee.places(address(key))) for key in KEYS) == [1, 1, 2]
        assert await chain.committee(tier, TODAY + 1) is None
        quote = await chain.quote(tier, ClaimTerms(COVERAGE, PROVING).word)
        assert (quote.window, quote.prove, quote.bond) == (WINDOW, CLOCK, 0)
        signer, id = open_signer(COLLECTOR, "", 31337), keccak(b"id")
        opened = Opened(address(OTHERS[0]), LOGITS, keccak(b"t"), keccak(b"s"))
        said = opened.commitment(signer.address)
        claim = {"payee": address(OTHERS[0]), "root": keccak(b"t")}
        assert said == desk.commitment(signer.address, keccak(b"s"), LOGITS, **claim)
        word = digest(31337, tier.assurance, id, TODAY, said)
        assert word == office.evm.call(desk.council.functions.digestOf(id, TODAY, said))
        assert recover(word, signer.attest(word)) == signer.address
        sign = signer.attest(word)
        assert not any(
            recover(word, bad)
            for bad in (
                b"",
                bytes(65),
                sign[:64] + b"\0",
                sign[:64] + b"\xff",
                b"\xff" * 64 + b"\x1b",
            )
        )

    run(story())


def commands(contracts, url, tmp_path, monkeypatch):
    """einproof committee, on these contracts."""
    deployment = tmp_path / "deployment.json"
    contracts = {name: {"address": at} for name, at in contracts.items()}
    deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
    monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
    monkeypatch.setenv("EINPROOF_RPC", url)
    monkeypatch.delenv("EINPROOF_KEY", raising=False)

    def call(*words, code=0):
        result = CliRunner().invoke(main.app, ["committee", *words])
        assert result.exit_code == code, result.output
        return json.loads(result.stdout) if "--json" in words else result.output

    return call


def test_seats_and_the_draw_by_hand(office, tmp_path, monkeypatch):
    call = commands(office.contracts, office.evm.url, tmp_path, monkeypatch)
    shown = call("show", "--json")
    assert [seat["mine"] for seat in shown["seats"]] == [False, True, False, False]
    assert sorted(shown["committee"]) == sorted([*map(address, KEYS), address(KEYS[2])])
    added = call("enrol", "4", "--json")["seats"][4]
    assert (added["owner"], added["from_day"]) == (address(OTHERS[0]), TODAY + 1)
    assert call("retire", "0", "--key", COLLECTOR, "--json")["seats"][0]["until_day"] == TODAY + 1
    assert "TooEarly" in call("leave", "0", "--key", COLLECTOR, code=1)
    office.wait(DAY)
    assert call("show", "--json")["committee"] == []
    drawn = call("draw", "--json")
    assert drawn["day"] == TODAY + 1 and len(drawn["committee"]) == 4
    assert address(COLLECTOR) not in drawn["committee"]
    assert call("draw", "--json") == drawn
    assert "place    0" in call("show")


def test_the_draw_by_hand_publishes_drands_round_first(office, relay, tmp_path, monkeypatch):
    drands(office, START + DAY)
    call = commands(office.contracts, office.evm.url, tmp_path, monkeypatch)
    monkeypatch.setenv("EINPROOF_DRAND", relay.url)
    office.wait(DAY)
    before = nonce(office, OTHERS[0])
    assert "gives no signature" in call("draw", code=1)
    relay.say("DrandEvmnet", 1000, EVMNET[10_000_000][0])
    assert "WrongSignature(1000)" in call("draw", code=1)
    assert (nonce(office, OTHERS[0]), call("show", "--json")["committee"]) == (before, [])
    relay.say("DrandEvmnet", 1000, EVMNET[1000][0])
    drawn = call("draw", "--json")
    assert (drawn["day"], len(drawn["committee"])) == (TODAY + 1, 4)
    assert nonce(office, OTHERS[0]) == before + 2
    value = office.evm.call(office.desk.beacon.functions.valueOf(1000))
    assert bytes(value).hex() == EVMNET[1000][1]
    assert call("draw", "--json") == drawn
    assert nonce(office, OTHERS[0]) == before + 2


def test_a_round_that_another_published_is_drawn_by(office, tmp_path, monkeypatch):
    """No relay is asked: none would answer."""
    drands(office, START + DAY)
    call = commands(office.contracts, office.evm.url, tmp_path, monkeypatch)
    monkeypatch.setenv("EINPROOF_DRAND", "http://127.0.0.1:9")
    office.wait(DAY)
    office.evm.send(office.desk.beacon.functions.publish(1000, EVMNET[1000][0]))
    assert len(call("draw", "--json")["committee"]) == 4


@pytest.mark.parametrize("mined", [True, False])
def test_a_draw_in_which_another_was_first_says_what_was_drawn(
    office, tmp_path, monkeypatch, mined
):
    """A collector's is mined, or waits to be, once the draw by hand is about to be sent."""
    call = commands(office.contracts, office.evm.url, tmp_path, monkeypatch)
    office.wait(DAY)
    draw_call, committee, looks = NodeChain.draw_call, NodeChain.committee, []

    def later(self, tier):
        drawn = draw_call(self, tier)
        office.evm.rpc("evm_setAutomine", mined)
        another = {"from": office.evm.accounts[0], "to": drawn.to, "gas": hex(5_000_000)}
        office.evm.rpc("eth_sendTransaction", {**another, "data": "0x" + drawn.data.hex()})
        return drawn

    async def look(self, *of):
        looks.append(await committee(self, *of))
        if len(looks) == 2:  # nothing yet
            office.evm.rpc("evm_mine")
        return looks[-1]

    monkeypatch.setattr(NodeChain, "draw_call", later)
    monkeypatch.setattr(NodeChain, "committee", look)
    before = nonce(office, OTHERS[0])
    try:
        drawn = call("draw", "--json")
    finally:
        office.evm.rpc("evm_setAutomine", True)
    assert (drawn["day"], len(drawn["committee"])) == (TODAY + 1, 4)
    assert nonce(office, OTHERS[0]) == before + 1  # the round
    assert [found is None for found in looks[:3]] == [True, not mined, False]


def test_summons_and_fines_by_hand(office, tmp_path, monkeypatch):
    """Two of three owners stay away: their three seats are fined, once."""
    call = commands(office.contracts, office.evm.url, tmp_path, monkeypatch)
    request, desk = asked(office), office.desk
    id = "0x" + request.id.hex()
    by = ("--key", "dev:1", "--json")
    assert address("dev:1") == desk.requester
    assert "asked no request" in call("summon", "0x" + "00" * 32, code=1)
    assert "OnlyRequester" in call("summon", id, code=1)
    assert "nobody was summoned" in call("fine", id, code=1)
    summoned = call("summon", id, *by)
    part = FINE * 10**9 // 4
    assert (summoned["day"], summoned["bond_wei"]) == (TODAY, 4 * part)
    assert summoned["reveal_by"] - summoned["commit_by"] == GRACE
    place = next(n for n in range(4) if desk.member(office.evm.members, n) == address(COLLECTOR))
    word = desk.commitment(address(COLLECTOR), bytes(32), LOGITS)
    named = (request.id, office.evm.members, place)
    desk.tell("commit", *named, word, sender=address(COLLECTOR))
    assert "TooEarly" in call("fine", id, code=1)
    assert "TooEarly" in call("reclaim", id, code=1)
    office.wait(GRACE + 1)
    desk.tell("reveal", *named, desk.payee, keccak(LOGITS), TRACE, bytes(32))
    office.wait(GRACE + 1)
    fined = call("fine", id, "--json")
    assert sorted(fined["fined"]) == sorted([address(KEYS[1]), *[address(KEYS[2])] * 2])
    assert desk.burned() == 3 * FINE
    again = call("fine", id, "--json")
    assert (again["fined"], again["fined_before"]) == ([], fined["fined"])
    assert "fined_before" in call("fine", id)
    assert call("reclaim", id, "--json")["credited_wei"] == 3 * part  # by anyone
    assert "CallRefused" in call("reclaim", id, code=1)
    spoke = call("withdraw", "--key", COLLECTOR, "--json")
    assert spoke == {"owner": address(COLLECTOR), "withdrawn_wei": part}
    assert call("withdraw", *by)["withdrawn_wei"] == 3 * part
    assert call("withdraw", *by)["withdrawn_wei"] == 0
    assert office.evm.balance(desk.council.address) == 0
