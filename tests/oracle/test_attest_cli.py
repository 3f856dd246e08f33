"""einproof attest: evidence in files, decided offline; keys enrolled, renewed, revoked."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from typer.testing import CliRunner

from oracle.adapters.answer_key import AnswerKeys, open_answer_key
from oracle.adapters.attestations import key_shown
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer
from oracle.adapters.rpc import Node
from oracle.adapters.software_tpm import is_installed, software_tpm
from oracle.attestation import Kind
from oracle.attestation.enrolment import Applicant
from oracle.cli import main
from oracle.domain.attested import Answering
from oracle.domain.errors import KeyRefused
from tests.attestation import test_evidence as made
from tests.attestation.authority import NOW, Holder
from tests.contracts.bench import HOUR, WRONG
from tests.contracts.desk import LOGITS
from tests.contracts.hall import DAY, DELAY, LIFE, Hall, new_key, point
from tests.evm import Chain
from tests.oracle.world import run

AT = NOW.isoformat()
#: What a command looks for before it does anything.
EMPTY = ("InferenceOracle", "ProofAssurance", "AttestationRegistry")
BUILD = ("--kind", "nitro", "--model", "0x" + "00" * 32)


def typed(*words, code=0, answer=""):
    result = CliRunner().invoke(main.app, ["attest", *map(str, words)], input=answer)
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in words else result.output


def files(folder, parts):
    """The options that name evidence's parts, each in a file."""
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    return [word for name in parts for word in ("--part", f"{name}={folder / name}")]


@pytest.fixture
def opened(led_to):
    """Opens a hall on a chain, and commands go there."""

    def open_hall(evm):
        hall = Hall(evm)
        names = {"InferenceOracle": hall.oracle, "ProofAssurance": hall.tier}
        names |= {"AttestationRegistry": hall.attestations, "AttestedAssurance": hall.optimistic}
        led_to(evm, names)
        return hall

    return open_hall


@pytest.mark.parametrize("kind", Kind)
def test_verify_evidence_in_files(kind, tmp_path):
    given = files(tmp_path, made.evidence(kind))
    root = ("--root", made.TOP[kind].root.hex())
    nonce = "0x" + made.NONCE.ljust(made.WIDE.get(kind, 32), b"\0").hex()
    words = ("verify", kind.value, *given, *root, "--at", AT)
    shown = typed(*words, "--report-data", nonce, "--json")
    assert shown["kind"] == kind.value and shown["report_data"] == nonce
    name, value = next(iter(shown["measurements"].items()))
    assert typed(*words, "--measurement", f"{name}={value}", "--json") == shown
    assert name in typed(*words)
    typed(*words, "--measurement", f"{name}=00", code=1)
    typed(*words, "--report-data", "0x00", code=1)
    if kind is Kind.SNP:
        assert typed(*words, "--tcb", "microcode=169", "--tcb", "snp=10", "--json") == shown
        higher = typed(*words, "--tcb", "microcode=170", code=1)
        assert "expected 170 or more, got 169" in higher
    else:
        assert "got microcode" in typed(*words, "--tcb", "microcode=0", code=1)
    typed(
        "verify",
        kind.value,
        *given,
        *root,
        "--at",
        (NOW + timedelta(days=4000)).isoformat(),
        code=1,
    )
    typed("verify", kind.value, *given, "--root", "00" * 32, "--at", AT, code=1)
    odd = ("--part", given[1].replace("=", "s=", 1))
    typed("verify", kind.value, *odd, *given[2:], *root, "--at", AT, code=1)


def test_verify_takes_a_root_in_a_file_and_a_revocation_list(tmp_path):
    kind = Kind.NITRO
    device = made.device(kind)
    given = files(tmp_path, made.evidence(kind, device))
    pem = tmp_path / "root.pem"
    pem.write_bytes(made.TOP[kind].pem)
    words = ("verify", "nitro", *given, "--root", pem, "--at", AT)
    assert typed(*words, "--json")["kind"] == "nitro"
    typed(*words, "--crl", tmp_path / "missing", code=1)


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "abacus", "--part", "a=b"),
        ("verify", "nitro", "--part", "document"),
        ("verify", "nitro", "--part", "document=/missing"),
        ("verify", "nitro", "--part", f"document={__file__}", "--at", "noon"),
        ("verify", "nitro", "--part", f"document={__file__}", "--measurement", "pcr0=xyz"),
        ("verify", "nitro", "--part", f"document={__file__}", "--status", "OutOfDate"),
        ("verify", "snp", "--part", f"report={__file__}", "--tcb", "microcode"),
        ("verify", "snp", "--part", f"report={__file__}", "--tcb", "microcode=-1"),
    ],
)
def test_verify_what_is_typed_wrong_is_refused(words):
    said = typed(*words, code=1)
    assert "expected" in said or "cannot read /missing" in said


@pytest.mark.chain
def test_enrol_renew_and_revoke_by_hand(opened, tmp_path, monkeypatch):
    """A key in a file, vouched for by an enclave; its successor is enrolled before it ends."""
    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as evm:
        hall = opened(evm)
        assert open_signer("dev:2", "", 31337).address == hall.operator
        model = "0x" + hall.model_id.hex()
        chain = NodeChain(Node(evm.url), hall.oracle.address, {})

        def enrolled(name, **how):
            """The words that enrol a new key in a file of that name."""
            key = new_key()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (tmp_path / name).write_bytes(pem)
            who = Applicant(
                31337, hall.attestations.address, hall.operator, hall.model_id, point(key)
            )
            monkeypatch.setattr(made, "NONCE", who.binding)
            folder = tmp_path / f"{name} evidence"
            folder.mkdir()
            given = files(folder, made.evidence(Kind.NITRO, **how))
            at = datetime.fromtimestamp(evm.now(), UTC).isoformat()
            shown = ("--kind", "nitro", *given, "--root", made.TOP[Kind.NITRO].root.hex())
            by = ("--answer-key", tmp_path / name, "--measurement", "pcr0", "--at", at)
            return ("enrol", model, *shown, *by, "--key", "dev:2"), (*shown, "--at", at)

        pcr0 = "pcr0=" + "01" * 48

        def approving(asked, shown):
            """The words that compute what an owner asks for."""
            whose = ("--model", model, "--owner", asked["owner"], "--point", asked["point"])
            return ("approve", *shown, *whose, "--measurement")

        # As AWS issues it; the key's life is longer.
        brief = made.device(Kind.NITRO, until=NOW + timedelta(hours=3))
        words, shown = enrolled("first", signer=brief)
        undated = words[: (at := words.index("--at"))] + words[at + 2 :]
        assert "--at or --until" in typed(*undated, code=1)
        asked = typed(*words, "--json")
        assert not asked["enrolled"] and {"approve enrolment", "approve build"} <= set(asked)
        approve = approving(asked, shown)
        assert "NotAnAttester" in typed(*approve, pcr0, "--yes", "--key", "dev:3", code=1)
        said = typed(*approve, "pcr0", "--key", "dev:7", answer="n\n", code=1)
        for word in ("AWS Nitro", asked["owner"], asked["point"], "which binds chain 31337", pcr0):
            assert word.removeprefix("pcr0=") in said
        assert "Approve enrolment and build?" in said
        unread = typed(*approve, "pcr0", "--yes", "--key", "dev:7", code=1)
        assert "expected --measurement NAME=HEX with --yes, of pcr0" in unread
        assert "approve build" in typed(*words)  # nothing was sent
        other = (*approve[: (at := approve.index("--point"))], "--point", "00" * 64)
        assert "report data" in typed(*other, *approve[at + 2 :], pcr0, "--yes", code=1)
        assert "Approve" in typed(*approve, "pcr0", "--key", "dev:7", answer="y\n")
        done = typed(*approve, pcr0, "--yes", "--key", "dev:8", "--json")
        names = ("enrolment", "build")
        assert done["admitted"] and done["approved"] == list(names)
        assert all(done[name] == asked[f"approve {name}"] for name in names)
        assert typed(*words, "--json")["enrolled"]
        assert "KeyKnown" in typed(*words, code=1)

        first = open_answer_key(str(tmp_path / "first"))
        where = (hall.attestations.address, hall.operator, hall.model_id)
        shown, ready_at = run(key_shown(chain, *where, run(first.point())))
        assert ready_at + LIFE - HOUR < shown.until <= ready_at + LIFE
        claim = Answering(
            hall.optimistic.address, bytes(32), hall.model_id, bytes(32), hall.operator, b"output"
        )

        def signer_of(keys):
            return run(keys.attest(claim, bytes(32)))[:64]

        def later(seconds):
            evm.rpc("evm_increaseTime", seconds)
            evm.rpc("evm_mine")

        later(DELAY + LIFE - 3 * DAY)
        words, shown = enrolled("second")
        asked = typed(*words, "--json")
        assert "approve build" not in asked  # the same build as before
        bare = ("approve", asked["approve enrolment"], "--evidence", tmp_path / "first")
        said = typed(*bare, "--key", "dev:7", answer="y\n")
        assert "a hash that says nothing of what it stands for" in said
        build = ("approve", "--kind", "nitro", "--model", model, "--measurement", pcr0, "--json")
        assert typed(*build)["approved"] == []  # computed of values alone: it is admitted
        done = typed(*approving(asked, shown), "pcr0", "--yes", "--key", "dev:8", "--json")
        assert done["admitted"] and done["approved"] == ["enrolment"]
        assert typed(*words, "--json")["enrolled"]
        second = open_answer_key(str(tmp_path / "second"))
        both = AnswerKeys(chain, [first, second])
        assert signer_of(both) == run(first.point())  # the second's delay is not over
        later(DELAY)
        assert signer_of(both) == run(second.point())  # which lasts longer
        typed("revoke", model, "--answer-key", tmp_path / "second", "--key", "dev:2")
        shown, _ = run(key_shown(chain, *where, run(second.point())))
        assert shown.revoked
        assert signer_of(both) == run(first.point())
        later(2 * DAY)
        with pytest.raises(KeyRefused, match="none of 2 answer keys"):
            signer_of(both)
        assert signer_of(AnswerKeys(chain, [first])) == run(first.point())  # the chain says no


@pytest.mark.chain
@pytest.mark.parametrize("kind", [Kind.SGX, Kind.TDX])
def test_enrol_by_a_quote_until_its_certificate_is_revoked(kind, opened, tmp_path):
    """Attesters admit level and build, the contract decides; Intel's lists name who is out."""
    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as evm:
        hall = opened(evm)
        model, intel = "0x" + hall.model_id.hex(), hall.intel

        def enrolling(name):
            key = new_key()
            pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            (tmp_path / name).write_bytes(pem)
            where = (31337, hall.attestations.address)
            said = Applicant(*where, hall.operator, hall.model_id, point(key)).binding
            tdx = kind is Kind.TDX
            parts = {"quote": intel.quote(said, tdx), "collateral": intel.collateral(tdx)}
            (tmp_path / f"{name}s").mkdir()
            given = files(tmp_path / f"{name}s", parts)
            root = ("--root", intel.root.root.hex(), "--at", AT)
            own = ("--answer-key", tmp_path / name, "--key", "dev:2")
            return "enrol", model, *own, "--kind", kind, *given, *root

        first = enrolling("first")
        asked = typed(*first, "--json")
        assert not asked["enrolled"] and {"approve level", "approve build"} <= set(asked)
        whose = ("--model", model, "--owner", asked["owner"], "--point", asked["point"])
        approve = ("approve", *whose, *first[first.index("--kind") :], "--key")
        said = typed(*approve, "dev:7", answer="y\n")
        assert "UpToDate (UpToDate is taken)" in said and "Approve level and build?" in said
        unread = typed(*approve, "dev:8", "--yes", code=1)
        names = ("mr_td", "rt_mr3") if kind is Kind.TDX else ("mr_enclave", "mr_signer")
        assert all(name in unread for name in names)
        for name in ("approve level", "approve build"):
            bare = ("approve", asked[name], "--evidence", tmp_path / "firsts" / "quote", "--yes")
            assert typed(*bare, "--key", "dev:8", "--json")["admitted"]
        assert typed(*first, "--json")["enrolled"]
        assert "approve level" in typed(*first, "--until", "2026-06-10T00:00:00Z")

        crl, pem = tmp_path / "crl", tmp_path / "ca.pem"
        crl.write_bytes(intel.authority.revoking(intel.platform.chain[0]))
        pem.write_bytes(intel.authority.pem)
        by = ("--crl", crl, "--issuer", pem, "--at", AT, "--key", "dev:9")
        assert "NotAnAttester" in typed("veto", *by[:-1], "dev:3", code=1)
        done = typed("veto", *by, "--json")
        assert len(done["vetoed"]) == 1 and done["known"] == 0
        assert typed("veto", *by, "--json") == {"vetoed": [], "known": 1}
        assert "CertificateRevoked" in typed(*enrolling("second"), code=1)
        forged = Holder(new_key(), intel.authority.chain).revoking(intel.platform.chain[0])
        crl.write_bytes(forged)
        assert "revocation list" in typed("veto", *by, code=1)
        crl.write_bytes(intel.authority.revoking(until=NOW))
        assert "to before 2026-06-01" in typed("veto", *by, code=1)
        for words in ((), ("0x" + "00" * 32, *by[:4]), by[:2], by[2:4]):
            assert "expected a STATEMENT" in typed("veto", *words, code=1)
        typed("veto", asked["approve level"], "--key", "dev:8")
        assert "approve level" in typed(*enrolling("third"))


@pytest.mark.chain
@pytest.mark.skipif(
    not is_installed(), reason="swtpm is not installed (apt-get install swtpm): no TPM to sign with"
)
def test_revoke_a_key_whose_machine_has_changed(opened, tmp_path, monkeypatch):
    """Its label is another key's name by then: its point is all that is left of it."""
    with Chain.start() as evm, software_tpm(tmp_path / "tpm") as tpm:
        hall = opened(evm)
        monkeypatch.setenv("EINPROOF_ANSWER_KEY", f"tpm:{tpm.where}#answers@9+0")
        model = "0x" + hall.model_id.hex()
        chain = NodeChain(Node(evm.url), hall.oracle.address, {})

        def enrolled():
            """The point of the key that the machine's state has now, enrolled."""
            end = datetime.fromtimestamp(evm.now() + 30 * DAY, UTC).isoformat()
            words = ("enrol", model, "--until", end, "--key", "dev:2", "--json")
            for name, statement in typed(*words).items():
                if name.startswith("approve"):
                    hall.admit(bytes.fromhex(statement[2:]))
            shown = typed(*words)
            assert shown["enrolled"]
            return shown["point"]

        def is_revoked(named):
            where = (hall.attestations.address, hall.operator, hall.model_id)
            return run(key_shown(chain, *where, bytes.fromhex(named[2:])))[0].revoked

        first = enrolled()
        tpm.extend(9, bytes(32))
        second = enrolled()
        tpm.extend(9, bytes(32))
        revoke = ("revoke", model, "--key")
        assert "KeyUnknown" in typed(*revoke, "dev:2", code=1)
        assert "KeyUnknown" in typed(*revoke, "dev:3", "--point", first, code=1)
        done = typed(*revoke, "dev:2", "--point", first, "--json")
        assert done == {"owner": hall.operator, "model": model, "point": first, "revoked": True}
        assert is_revoked(first) and not is_revoked(second)
        attesters = ("--point", second, "--owner", hall.operator)
        assert "NotTheOwner" in typed(*revoke, "dev:3", *attesters, code=1)
        assert typed(*revoke, "dev:7", *attesters, "--json")["owner"] == hall.operator
        assert is_revoked(second)


@pytest.mark.chain
def test_contradict_two_answers_by_hand(opened):
    """Of two requests; what is no contradiction is refused before anything is sent."""
    with Chain.start() as evm:
        hall = opened(evm)
        hall.ready()

        def asked(nonce, **fields):
            request = hall.request(nonce=nonce, **fields)
            return request, "0x" + hall.request_id(request).hex()

        def posted(nonce, output=LOGITS):
            request, id = asked(nonce)
            hall.ask(request)
            hall.post(request, output=output)
            return id

        def contradicted(*ids, code=0):
            return typed(
                "contradict", *ids, "--key", "dev:6", *(() if code else ("--json",)), code=code
            )

        right, again, wrong = posted(0), posted(1), posted(2, WRONG)
        assert "got the same in both" in contradicted(right, again, code=1)
        request, elsewhere = asked(3, input=b"another")
        call = hall.oracle.functions.request(request.fields, b"another")
        evm.send(call, sender=hall.requester, value=request.cost)
        unsigned = f"no key is shown to have answered {elsewhere}"
        assert unsigned in contradicted(right, elsewhere, code=1)
        claim = {"payee": hall.operator, "image": b"another", "output": WRONG}
        signed = hall.answering(request, **claim, proof=hall.attestation(request, WRONG))
        evm.send(signed, sender=hall.operator)
        assert "of one input" in contradicted(right, elsewhere, code=1)
        assert "no request 0x" in contradicted(right, "0x" + "05" * 32, code=1)
        where = (hall.attestations.address, hall.operator, hall.model_id, point(hall.key))
        chain = NodeChain(Node(evm.url), hall.oracle.address, {})
        assert not run(key_shown(chain, *where))[0].revoked
        done = contradicted(right, wrong)
        assert done["owner"] == hall.operator and done["point"] == "0x" + point(hall.key).hex()
        assert run(key_shown(chain, *where))[0].revoked
        assert "KeyRevoked" in contradicted(right, wrong, code=1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--point", "0x" + "00" * 64, "--answer-key", "a.pem"), "--point or --answer-key"),
        (("--owner", "0x" + "01" * 20), "expected --point with --owner"),
        (("--owner", "me", "--point", "0x" + "00" * 64), "expected an address after --owner"),
        (("--point", "0x00"), "expected 64 bytes"),
    ],
)
def test_revoke_what_is_typed_wrong_is_refused(words, expected):
    assert expected in typed("revoke", "0x" + "00" * 32, *words, code=1)


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("0x" + "00" * 32,),
        ("0x" + "00" * 32, "--evidence", __file__, "--kind", "nitro"),
        BUILD,
        (*BUILD, "--measurement", "pcr0"),
        (*BUILD, "--measurement", "pcr0=00", "--tcb", "a=1"),
        (*BUILD, "--part", f"document={__file__}"),
        (*BUILD, "--kind", "sgx", "--measurement", "mr_enclave=00"),
    ],
)
def test_approve_what_is_typed_wrong_is_refused(words, led_to):
    with Chain.start() as evm:
        led_to(evm, dict.fromkeys(EMPTY, evm.accounts[1]))
        assert "expected" in typed("approve", *words, code=1)


def test_enrol_a_key_in_a_file_as_a_tpms_is_refused(led_to, tmp_path):
    (tmp_path / "key").write_bytes(
        new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with Chain.start() as evm:
        led_to(evm, dict.fromkeys(EMPTY, evm.accounts[1]))
        words = ("enrol", "0x" + "00" * 32, "--answer-key", tmp_path / "key")
        assert "with a key in it" in typed(*words, code=1)
