"""einproof attest: keys enrolled, renewed, ended; what attesters approve is computed and read."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_public_key,
)

from oracle.adapters.answer_key import AnswerKeys, open_answer_key
from oracle.adapters.attestations import key_shown
from oracle.adapters.chain import NodeChain
from oracle.adapters.keys import open_signer
from oracle.adapters.rpc import Node
from oracle.adapters.software_tpm import is_installed, software_tpm
from oracle.adapters.tpm import ATTESTS, Tpm
from oracle.attestation import Kind
from oracle.attestation.enrolment import Applicant
from oracle.domain.attested import Answering
from oracle.domain.errors import KeyRefused
from tests.attestation import test_evidence as made
from tests.attestation.authority import NOW, Holder, certificate
from tests.contracts.bench import HOUR
from tests.contracts.hall import DAY, DELAY, LIFE, new_key, point
from tests.evm import Chain
from tests.oracle.attesting import files, opened, typed
from tests.oracle.world import run

__all__ = ["opened"]  # a fixture

AT = NOW.isoformat()
#: What a command looks for before it does anything.
EMPTY = ("InferenceOracle", "ProofAssurance", "AttestationRegistry")
BUILD = ("--kind", "nitro", "--model", "0x" + "00" * 32)
VALUES = (*BUILD, "--measurement", "pcr0=00")
LATE = "2100-01-01T00:00:00Z"
live = pytest.mark.skipif(
    not is_installed(), reason="swtpm is not installed (apt-get install swtpm): no TPM to sign with"
)


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
        said = typed(*approve, "pcr0", "--key", "dev:7", answer="n\nn\n")
        for word in ("AWS Nitro", asked["owner"], asked["point"], "which binds chain 31337", pcr0):
            assert word.removeprefix("pcr0=") in said
        assert "Approve enrolment?" in said and "Approve build?" in said
        assert "NOT the one that is pinned here" in said
        unread = typed(*approve, "pcr0", "--yes", "--key", "dev:7", code=1)
        assert "expected --measurement NAME=HEX with --yes, of pcr0" in unread
        assert "approve build" in typed(*words)  # nothing was sent
        other = (*approve[: (at := approve.index("--point"))], "--point", "00" * 64)
        assert "report data" in typed(*other, *approve[at + 2 :], pcr0, "--yes", code=1)
        now = datetime.fromtimestamp(evm.now(), UTC)
        for days in (-10, 1):  # what was good once is not known to be so, nor what will be
            odd = ("--at", (now + timedelta(days=days)).isoformat())
            said = typed(*approve, pcr0, "--yes", *odd, "--key", "dev:7", code=1)
            assert "expected --at from " in said and "about the chain's time" in said
        for days, why in ((-1, "expected --until after "), (10, "end: expected one after ")):
            odd = ("--until", (now + timedelta(days=days)).isoformat())
            assert why in typed(*approve, pcr0, "--yes", *odd, "--key", "dev:7", code=1)
        assert "expected enrolment or build" in typed(*approve, "pcr0", "--only", "level", code=1)
        one = typed(*approve, "pcr0", "--key", "dev:7", answer="y\nn\n")
        assert f"{'approved':18} enrolment\n" in one  # its hardware is known, its program is not
        alone = (*approve, "pcr0", "--only", "build", "--key", "dev:7")
        assert "Approve enrolment?" not in typed(*alone, answer="y\n")
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
        said = typed(*approve, "dev:7", answer="y\ny\n")
        assert "UpToDate (UpToDate is taken)" in said
        assert "Approve level?" in said and "Approve build?" in said
        unread = typed(*approve, "dev:8", "--yes", code=1)
        names = ("mr_td", "rt_mr3", "mr_owner_config")
        names = names if kind is Kind.TDX else ("mr_enclave", "mr_signer", "config_id")
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
@live
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

        tpm.extend(9, bytes(32))
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


HASH = ("0x" + "00" * 32, "--evidence", __file__)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "expected a STATEMENT"),
        (HASH[:1], "expected a STATEMENT"),
        ((*HASH, "--kind", "nitro"), "expected a STATEMENT"),
        (BUILD, "expected --part NAME=FILE"),
        ((*BUILD, "--measurement", "pcr0"), "expected --part NAME=FILE"),
        ((*VALUES, "--tcb", "a=1"), "expected no --tcb with --measurement alone"),
        ((*VALUES, "--root", "00" * 32), "expected no --root with --measurement alone"),
        ((*VALUES, "--at", AT), "expected no --at with --measurement alone"),
        ((*VALUES, "--until", AT), "expected no --until with --measurement alone"),
        ((*HASH, "--at", AT, "--root", "00" * 32), "expected no --root, --at with a STATEMENT"),
        ((*HASH, "--model", "0x00"), "expected no --model with a STATEMENT"),
        ((*HASH, "--part", "a=b"), "expected no --part with a STATEMENT"),
        ((*HASH, "--measurement", "a=00"), "expected no --measurement with a STATEMENT"),
        ((*HASH, "--crl", __file__, "--status", "a"), "expected no --crl, --status with a STATE"),
    ],
)
def test_approve_what_nobody_would_read_is_refused_by_name(words, expected):
    assert expected in typed("approve", *words, code=1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((), "expected --until, the voucher's end"),
        (("--until", AT, "--root", "00" * 32), "expected no --root with a TPM's evidence"),
        (("--until", AT, "--part", "a=b", "--at", AT), "expected no --part, --at with a TPM's"),
        (("--kind", "sgx", "--measurement", "mr_enclave"), "expected no --measurement with --kind"),
        (("--kind", "nitro", "--out", "there"), "expected no --out with --kind nitro"),
    ],
)
def test_enrol_what_nobody_would_read_is_refused_by_name(words, expected):
    assert expected in typed("enrol", "0x" + "00" * 32, *words, code=1)


def test_veto_a_time_beside_a_statement_is_refused_by_name():
    assert "expected no --at with a STATEMENT" in typed("veto", HASH[0], "--at", AT, code=1)


def test_approve_what_is_typed_wrong_is_refused(led_to):
    with Chain.start() as evm:
        led_to(evm, dict.fromkeys(EMPTY, evm.accounts[1]))
        part = ("--part", f"document={__file__}")
        assert "attesters approve one end" in typed("approve", *BUILD, *part, code=1)
        part += ("--until", AT)
        assert "expected an address" in typed("approve", *BUILD, *part, code=1)
        whole = (*BUILD, "--kind", "sgx", "--measurement", "mr_enclave=00")
        assert "the whole report" in typed("approve", *whole, code=1)


@pytest.mark.chain
@live
def test_approve_what_a_live_tpm_gave_to_attesters(opened, tmp_path, monkeypatch):
    """From its quote and a certificate of its attestation key, the statements that enrol named."""
    begun = ("--timestamp", str(int(NOW.timestamp())))
    with Chain.start(*begun) as evm, software_tpm(tmp_path / "tpm") as tpm:
        hall, out = opened(evm), tmp_path / "out"
        monkeypatch.setenv("EINPROOF_ANSWER_KEY", f"tpm:{tpm.where}#answers@9+0")
        model = "0x" + hall.model_id.hex()
        now = datetime.fromtimestamp(evm.now(), UTC).replace(microsecond=0)
        end = now + timedelta(days=30)
        words = ("enrol", model, "--until", end.isoformat(), "--out", out, "--key", "dev:2")
        assert "every boot has this state" in typed(*words, code=1)
        assert not out.exists()
        tpm.extend(9, b"the build".ljust(32))
        past = (*words, "--until", (now - timedelta(days=1)).isoformat())
        assert "expected --until after" in typed(*past, code=1)
        software = typed(*words, "--json")
        # A software TPM's voucher says that it is one, and no attester computes such.
        monkeypatch.setattr(Tpm, "is_software", False)
        asked = typed(*words, "--json")
        assert asked["approve voucher"] != software["approve voucher"]
        assert asked["approve build"] == software["approve build"]

        known = load_pem_public_key((out / "attestation-key.pem").read_bytes())
        area = (out / "attestation-key").read_bytes()
        assert area[4:8] == ATTESTS.to_bytes(4, "big")
        coordinates = known.public_numbers()
        assert coordinates.x.to_bytes(32, "big") in area
        top = made.TOP[Kind.TPM]
        key, by = SimpleNamespace(public_key=lambda: known), top.chain[0].subject
        span = (now - timedelta(days=1), end)
        leaf = certificate("TPM", key, top.key, by, False, *span, (made.ATTESTATION_KEY,))
        chain, root = tmp_path / "chain.pem", tmp_path / "root.pem"
        chain.write_bytes(leaf.public_bytes(Encoding.PEM) + top.pem)
        root.write_bytes(top.pem)
        given = [f"--part={name}={out / name}" for name in ("quote", "signature", "pcrs")]
        given += [f"--part=chain={chain}", "--root", root]
        whose = ("--model", model, "--owner", asked["owner"], "--point", asked["point"])
        approve = ("approve", "--kind", "tpm", *whose, *given, "--at", now.isoformat(), "--until")
        later = (end + timedelta(seconds=1)).isoformat()
        assert "voucher's end" in typed(*approve, later, "--key", "dev:7", code=1)
        said = typed(*approve, end.isoformat(), "--key", "dev:7", answer="y\ny\n")
        assert f"0x{point(SimpleNamespace(public_key=lambda: known)).hex()}, of that cert" in said
        registers = [f"pcr{n}=0x{tpm.registers([n])[0].hex()}" for n in (0, 9)]
        named = [word for each in registers for word in ("--measurement", each)]
        done = typed(*approve, end.isoformat(), *named, "--yes", "--key", "dev:8", "--json")
        assert {name: done[name] for name in ("voucher", "build")} == {
            name: asked[f"approve {name}"] for name in ("voucher", "build")
        }
        assert done["admitted"] and typed(*words, "--json")["enrolled"]


def test_enrol_a_key_in_a_file_as_a_tpms_is_refused(led_to, tmp_path):
    (tmp_path / "key").write_bytes(
        new_key().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    with Chain.start() as evm:
        led_to(evm, dict.fromkeys(EMPTY, evm.accounts[1]))
        words = ("enrol", "0x" + "00" * 32, "--answer-key", tmp_path / "key", "--until", LATE)
        assert "with a key in it" in typed(*words, code=1)
