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
from oracle.attestation import Kind
from oracle.attestation.enrolment import Applicant
from oracle.cli import main
from oracle.domain.attested import Answering
from oracle.domain.errors import KeyRefused
from tests.attestation import test_evidence as made
from tests.attestation.authority import NOW, Holder
from tests.contracts.bench import HOUR
from tests.contracts.hall import DAY, DELAY, LIFE, Hall, new_key, point
from tests.evm import Chain
from tests.oracle.world import run

AT = NOW.isoformat()


def typed(*words, code=0):
    result = CliRunner().invoke(main.app, ["attest", *map(str, words)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout) if "--json" in words else result.output


def files(folder, parts):
    """The options that name evidence's parts, each in a file."""
    for name, data in parts.items():
        (folder / name).write_bytes(data)
    return [word for name in parts for word in ("--part", f"{name}={folder / name}")]


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
    ],
)
def test_verify_what_is_typed_wrong_is_refused(words):
    assert typed(*words, code=1)


@pytest.mark.chain
def test_enrol_renew_and_revoke_by_hand(tmp_path, monkeypatch):
    """A key in a file, vouched for by an enclave; its successor is enrolled before it ends."""
    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as evm:
        hall = Hall(evm)
        names = {"InferenceOracle": hall.oracle, "ProofAssurance": hall.tier}
        names |= {"AttestationRegistry": hall.attestations, "AttestedAssurance": hall.optimistic}
        contracts = {name: {"address": made_.address} for name, made_ in names.items()}
        deployment = tmp_path / "deployment.json"
        deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
        monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
        monkeypatch.setenv("EINPROOF_RPC", evm.url)
        monkeypatch.delenv("EINPROOF_KEY", raising=False)
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
            root = ("--root", made.TOP[Kind.NITRO].root.hex(), "--at", at)
            by = ("--kind", "nitro", "--answer-key", tmp_path / name, "--measurement", "pcr0")
            return ("enrol", model, *by, *given, *root, "--key", "dev:2"), folder / "document"

        def approved(asked, document):
            for name in ("approve enrolment", "approve build"):
                if name not in asked:
                    continue
                for attester in ("dev:7", "dev:8"):
                    words = ("approve", asked[name], "--evidence", document, "--key", attester)
                    done = typed(*words, "--json")
                assert done["admitted"]

        # As AWS issues it; the key's life is longer.
        brief = made.device(Kind.NITRO, until=NOW + timedelta(hours=3))
        words, document = enrolled("first", signer=brief)
        undated = words[: (at := words.index("--at"))] + words[at + 2 :]
        assert "--at or --until" in typed(*undated, code=1)
        asked = typed(*words, "--json")
        assert not asked["enrolled"] and {"approve enrolment", "approve build"} <= set(asked)
        assert "NotAnAttester" in typed(
            "approve", asked["approve build"], "--evidence", document, "--key", "dev:3", code=1
        )
        approved(asked, document)
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
        words, document = enrolled("second")
        asked = typed(*words, "--json")
        assert "approve build" not in asked  # the same build as before
        approved(asked, document)
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
def test_enrol_by_a_quote_until_its_certificate_is_revoked(kind, tmp_path, monkeypatch):
    """Attesters admit level and build, the contract decides; Intel's lists name who is out."""
    with Chain.start("--timestamp", str(int(NOW.timestamp()))) as evm:
        hall = Hall(evm)
        names = {"InferenceOracle": hall.oracle, "ProofAssurance": hall.tier}
        names |= {"AttestationRegistry": hall.attestations, "AttestedAssurance": hall.optimistic}
        contracts = {name: {"address": made_.address} for name, made_ in names.items()}
        deployment = tmp_path / "deployment.json"
        deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
        monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
        monkeypatch.setenv("EINPROOF_RPC", evm.url)
        monkeypatch.delenv("EINPROOF_KEY", raising=False)
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
            root = ("--root", intel.root.root.hex(), "--at", AT, "--key", "dev:2")
            return ("enrol", model, "--kind", kind, "--answer-key", tmp_path / name, *given, *root)

        first, document = enrolling("first"), tmp_path / "firsts" / "quote"
        asked = typed(*first, "--json")
        assert not asked["enrolled"] and {"approve level", "approve build"} <= set(asked)
        for name in ("approve level", "approve build"):
            for attester in ("dev:7", "dev:8"):
                by = ("--evidence", document, "--key", attester)
                typed("approve", asked[name], *by)
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


def test_enrol_a_key_in_a_file_as_a_tpms_is_refused(tmp_path, monkeypatch):
    (tmp_path / "key").write_bytes(
        new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with Chain.start() as evm:
        address = evm.accounts[1]
        names = ("InferenceOracle", "ProofAssurance", "AttestationRegistry")
        contracts = {name: {"address": address} for name in names}
        deployment = tmp_path / "deployment.json"
        deployment.write_text(json.dumps({"chain_id": 31337, "block": 1, "contracts": contracts}))
        monkeypatch.setenv("EINPROOF_DEPLOYMENT", str(deployment))
        monkeypatch.setenv("EINPROOF_RPC", evm.url)
        words = ("enrol", "0x" + "00" * 32, "--answer-key", tmp_path / "key")
        assert "with a key in it" in typed(*words, code=1)
