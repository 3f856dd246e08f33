"""A live software TPM, by plain commands: what it says is held against the verifier of evidence,
and against the contracts. And a TPM that lies about lengths."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from oracle.adapters.software_tpm import is_installed, software_tpm
from oracle.adapters.tpm import (
    PCR_EXTEND,
    SIGN,
    TRIES,
    CommandRefused,
    StateChanged,
    Tpm,
    TpmFailed,
    _Line,
)
from oracle.attestation.enrolment import Applicant, from_tpm, tpm_measurement, voucher_of
from oracle.attestation.evidence import UnexpectedValue
from oracle.attestation.tpm import quoted_policy, signing_key, statement, verify_certified
from oracle.domain import attested
from tests.contracts.bench import WRONG
from tests.contracts.desk import FINAL
from tests.contracts.hall import DELAY, WINDOW, Hall
from tests.evm import Chain, reverts

LABEL = b"answers"
REGISTERS = [0, 10]
NONCE = bytes(range(32))

live = pytest.mark.skipif(
    not is_installed(), reason="swtpm is not installed (apt-get install swtpm): no TPM to talk to"
)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tpm]:
    with software_tpm(tmp_path_factory.mktemp("tpm")) as tpm:
        yield tpm


def public(point: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\4" + point)


def der(signature: tuple[bytes, bytes]) -> bytes:
    r, s = (int.from_bytes(word, "big") for word in signature)
    return encode_dss_signature(r, s)


def tpm_signature(signature: tuple[bytes, bytes]) -> bytes:
    r, s = signature
    return b"\x00\x18\x00\x0b\x00\x20" + r + b"\x00\x20" + s


# --- a live one -----------------------------------------------------------------------------------


@live
def test_software_tpm_says_that_it_is_one(running: Tpm) -> None:
    assert running.is_software and "SW" in running.maker


@live
def test_keys_of_a_label_and_a_state_are_the_same_each_time_and_no_others(running: Tpm) -> None:
    found = [running.answer_point(running.sealed(LABEL, REGISTERS)) for _ in range(2)]
    assert found[0] == found[1]
    other, fewer = running.sealed(b"other", REGISTERS), running.sealed(LABEL, [0])
    found += [running.answer_point(other), running.answer_point(fewer), running.attestation_point()]
    running.extend(10, bytes(32))
    found.append(running.answer_point(running.sealed(LABEL, REGISTERS)))
    assert len(set(found)) == 5


@live
def test_sign_is_ecdsa_over_the_digest(running: Tpm) -> None:
    digest, key = sha256(b"an answer").digest(), running.sealed(LABEL, REGISTERS)
    signature = running.sign(key, digest)
    point = public(running.answer_point(key))
    point.verify(der(signature), digest, ec.ECDSA(Prehashed(SHA256())))


@live
def test_sign_in_another_state_is_refused_by_the_tpm(running: Tpm) -> None:
    """Whoever asks, and whichever registers it shows: the policy lies in the key."""
    key, narrow = running.sealed(LABEL, REGISTERS), running.sealed(LABEL, [0])
    running.sign(key, NONCE)
    running.extend(10, sha256(b"other software").digest())
    for asked in (key, replace(key, registers=(0,))):
        with pytest.raises(StateChanged, match="as they were when answer key answers was made"):
            running.sign(asked, NONCE)
    running.sign(narrow, NONCE)  # its own register rests
    running.sign(running.sealed(LABEL, REGISTERS), NONCE)  # another key, of this state
    running.certify(key, NONCE)  # is no use of it


@live
def test_sign_again_where_another_register_moves_meanwhile(
    running: Tpm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TPM ends each policy's session when any register moves, one of the key's state or not."""
    digest, key = sha256(b"an answer").digest(), running.sealed(LABEL, [0])
    honest, begun = _Line.policy, []

    @contextmanager
    def moving(line: _Line, registers: Sequence[int]) -> Iterator[int]:
        with honest(line, registers) as session:
            begun.append(session)
            if len(begun) < moves:
                what = b"\0\0\0\1\0\x0b" + bytes(32)
                line.ask(PCR_EXTEND, [11], what).end()
            yield session

    monkeypatch.setattr(_Line, "policy", moving)
    moves = 3
    signature = running.sign(key, digest)
    assert len(begun) == moves
    public(running.answer_point(key)).verify(der(signature), digest, ec.ECDSA(Prehashed(SHA256())))
    begun, moves = [], 10**9
    with pytest.raises(CommandRefused, match="code 0x128"):
        running.sign(key, digest)
    assert len(begun) == TRIES


@live
def test_sign_by_a_password_is_refused_by_the_tpm(running: Tpm) -> None:
    key = running.sealed(LABEL, REGISTERS)
    with (
        running._open() as line,
        line.answer_key(key) as (handle, _, _),
        pytest.raises(CommandRefused, match="code 0x12f"),  # TPM_RC_AUTH_UNAVAILABLE
    ):
        ticket = b"\x80\x24\x40\0\0\7\0\0"
        line.ask(SIGN, [handle], b"\0\x20" + NONCE + b"\0\x10" + ticket)


@live
def test_extend_measures_and_a_quote_says_so(running: Tpm) -> None:
    before = running.registers(REGISTERS)
    measured = [tpm_measurement(running.quote(NONCE, REGISTERS).statement)]
    running.extend(10, sha256(b"the build").digest())
    after = running.registers(REGISTERS)
    assert after[0] == before[0]
    assert after[1] == sha256(before[1] + sha256(b"the build").digest()).digest()
    quoted = running.quote(NONCE, REGISTERS)
    measured.append(tpm_measurement(quoted.statement))
    assert measured[0] != measured[1]
    said = statement(quoted.statement)
    assert said.extra == NONCE
    assert said.body.data.endswith(sha256(b"".join(after)).digest())
    public(running.attestation_point()).verify(
        der(quoted.signature), quoted.statement, ec.ECDSA(SHA256())
    )


@live
def test_certify_names_the_answer_key(running: Tpm) -> None:
    key = running.sealed(LABEL, REGISTERS)
    policy = quoted_policy(running.quote(NONCE, REGISTERS).statement)
    certified = running.certify(key, NONCE)
    area, attests = running.public(key), public(running.attestation_point())
    signature = tpm_signature(certified.signature)
    found = verify_certified(certified.statement, signature, area, attests, policy)
    assert found.public_numbers() == public(running.answer_point(key)).public_numbers()
    assert signing_key(area, policy).public_numbers() == found.public_numbers()


@live
def test_refused_command_says_its_code(running: Tpm) -> None:
    with pytest.raises(TpmFailed, match="refused command 0x182"):
        running.extend(99, bytes(32))


@live
def test_enrol_and_answer_on_the_chain_with_a_live_tpm(running: Tpm, chain: Chain) -> None:
    """From measured registers to a final answer; a lie under the same key is disputed as ever."""
    hall = Hall(chain)
    key = running.sealed(LABEL, REGISTERS)
    point = running.answer_point(key)
    applicant = Applicant(*hall.where, hall.operator, hall.model_id, point)
    voucher = voucher_of(running, chain.now() + 30 * 86_400)
    assert voucher.software
    enrolment, evidence = from_tpm(running, applicant, key, voucher)
    hall.admit(attested.voucher_statement(*hall.where, voucher))
    build = (enrolment.kind, hall.model_id, enrolment.measurement)
    hall.admit(attested.build_statement(*hall.where, *build))
    lied = replace(evidence, voucher=replace(voucher, software=False))
    with reverts("NotAdmitted"):
        hall.enrol(enrolment, lied.encoded)
    key_id = hall.enrol(enrolment, evidence.encoded)
    assert chain.call(hall.attestations.functions.keyOf(key_id))[3] is True  # labelled software
    later, again = from_tpm(running, applicant, key, voucher)
    with reverts("KeyKnown"):
        hall.enrol(later, again.encoded)
    hall.wait(DELAY)
    hall.stake()
    request = hall.request()
    hall.ask(request)
    wrong = point + b"".join(running.sign(key, hall.said(request, WRONG)))
    with reverts("NotSigned"):
        hall.post(request, evidence=wrong)
    hall.post(request, evidence=point + b"".join(running.sign(key, hall.said(request))))
    hall.wait(WINDOW + 1)
    hall.post(request)
    assert hall.status(request)[0] == FINAL
    running.extend(10, sha256(b"something else").digest())
    with pytest.raises(StateChanged):
        running.sign(key, hall.said(request))


@live
def test_enrol_another_measured_state_is_refused(running: Tpm, chain: Chain) -> None:
    hall = Hall(chain)
    key = running.sealed(b"measured", REGISTERS)
    point = running.answer_point(key)
    applicant = Applicant(*hall.where, hall.operator, hall.model_id, point)
    voucher = voucher_of(running, chain.now() + 30 * 86_400)
    good, _ = from_tpm(running, applicant, key, voucher)
    hall.admit(attested.voucher_statement(*hall.where, voucher))
    hall.admit(attested.build_statement(*hall.where, 6, hall.model_id, good.measurement))
    running.extend(10, sha256(b"a changed build").digest())
    changed = running.sealed(b"measured", REGISTERS)
    applicant = replace(applicant, point=running.answer_point(changed))
    found, evidence = from_tpm(running, applicant, changed, voucher)
    with reverts("NotAdmitted"):
        hall.enrol(found, evidence.encoded)
    lied = replace(found, measurement=good.measurement)
    with reverts("WrongQuote"):  # nor can the measurement be another than what was quoted
        hall.enrol(lied, evidence.encoded)


@live
def test_enrol_a_key_of_another_state_than_the_quoted_is_refused(
    running: Tpm, chain: Chain
) -> None:
    """Whether the measured state is the admitted one and the key's is not, or the other way."""
    hall = Hall(chain)
    loose = running.sealed(b"loose", REGISTERS)  # of a state that nobody admits
    running.extend(10, sha256(b"the build").digest())
    point = running.answer_point(loose)
    applicant = Applicant(*hall.where, hall.operator, hall.model_id, point)
    voucher = voucher_of(running, chain.now() + 30 * 86_400)
    with pytest.raises(UnexpectedValue, match="key's policy"):
        from_tpm(running, applicant, loose, voucher)
    # all the same, as one who takes that check out
    quoted = running.quote(applicant.binding, REGISTERS)
    certified = running.certify(loose, applicant.binding)
    enrolment = attested.Enrolment(
        attested.Hardware.TPM, False, hall.operator, hall.model_id,
        tpm_measurement(quoted.statement), point[:32], point[32:], voucher.until,
    )  # fmt: skip
    evidence = attested.TpmEvidence(
        voucher, quoted.statement, quoted.signature, certified.statement, certified.signature
    )
    hall.admit(attested.voucher_statement(*hall.where, voucher))
    build = (enrolment.kind, hall.model_id, enrolment.measurement)
    hall.admit(attested.build_statement(*hall.where, *build))
    with reverts("WrongQuote"):
        hall.enrol(enrolment, evidence.encoded)


# --- one that lies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", "expected 10 bytes of a reply, got 0"),
        (b"\x80\x01\x00\x00\x00\x0a\x00\x00", "expected 10 bytes of a reply, got 8"),
        (b"\x80\x01\x00\x00\x00\x09\x00\x00\x00\x00", "10 to 4096 bytes, got 9"),
        (b"\x80\x01\xff\xff\xff\xff\x00\x00\x00\x00", "10 to 4096 bytes"),
        (b"\x80\x01\x00\x00\x00\x0b\x00\x00\x00\x00", "expected 1 bytes"),
        (b"\x80\x02\x00\x00\x00\x0a\x00\x00\x00\x00", "tag 0x8001"),
        (b"\x80\x01\x00\x00\x00\x0a\x00\x00\x01\x01", "code 0x101"),
        (b"\x80\x01\x00\x00\x00\x0a\x00\x00\x00\x00", "expected 4 bytes, got 0"),
        (b"\x80\x01\x00\x00\x00\x0e\x00\x00\x00\x00" + bytes(4), "expected 10 bytes, got 0"),
        (
            b"\x80\x01\x00\x00\x00\x18\x00\x00\x00\x00" + bytes(14),
            "expected registers",
        ),
    ],
)  # fmt: skip
def test_malformed_replies_are_refused(tmp_path: Path, reply: bytes, expected: str) -> None:
    from prover.errors import EinproofError

    at = tmp_path / "tpm"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(at))
        server.listen(1)

        def answer() -> None:
            line, _ = server.accept()
            with line:
                line.recv(4096)
                line.sendall(reply)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(EinproofError, match=expected):
            Tpm(str(at)).registers(REGISTERS)
        thread.join()


def test_no_tpm_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TpmFailed, match="no TPM at"):
        Tpm(str(tmp_path / "nothing")).registers(REGISTERS)
