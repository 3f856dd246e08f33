"""What attesters approve is computed from what they hold, and said in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from oracle.attestation import (
    AttestationError,
    Expired,
    Kind,
    MalformedEvidence,
    Revoked,
    TcbRefused,
    UnexpectedValue,
    UntrustedRoot,
    verify,
)
from oracle.attestation import words as in_words
from oracle.attestation.approval import SAYS, of_evidence, of_values
from oracle.attestation.enrolment import decide, evidence_bytes, from_quote, tpm_measurement
from oracle.domain.attested import (
    Hardware,
    Voucher,
    build_statement,
    enrolment_statement,
    level_statement,
    voucher_statement,
)
from tests.attestation import test_evidence as made
from tests.attestation.authority import DAY, NOW, Holder, Intel
from tests.attestation.test_enrolment import APPLICANT, NAMES, QUOTED, policy

WHERE = (APPLICANT.chain_id, APPLICANT.registry)
END = int((NOW + DAY).timestamp())
ATTESTED = [Kind.SNP, Kind.NITRO]
KINDS = [*ATTESTED, *QUOTED, Kind.TPM]


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bytes]]:
    monkeypatch.setattr(made, "NONCE", APPLICANT.binding)
    return made.evidence


def names(kind: Kind) -> list[str]:
    return NAMES[kind] if kind in ATTESTED else []


@pytest.mark.parametrize("kind", ATTESTED)
def test_attesters_kinds_give_the_enrolment_that_the_evidence_stands_for(
    kind: Kind, parts: Any
) -> None:
    given = parts(kind)
    enrolment = decide(kind, given, policy(kind), APPLICANT, NAMES[kind], END)
    found = of_evidence(kind, given, policy(kind), APPLICANT, NAMES[kind], END)
    build = (enrolment.kind, APPLICANT.model_id, enrolment.measurement)
    assert found.statements == {
        "enrolment": enrolment_statement(*WHERE, enrolment, evidence_bytes(kind, given)),
        "build": build_statement(*WHERE, *build),
    }
    assert found.looked_at == evidence_bytes(kind, given)


@pytest.mark.parametrize("kind", QUOTED)
def test_quotes_give_the_level_and_the_build(kind: Kind, parts: Any) -> None:
    given = parts(kind)
    enrolment, _, level = from_quote(kind, given, policy(kind), APPLICANT)
    found = of_evidence(kind, given, policy(kind), APPLICANT)
    build = (enrolment.kind, APPLICANT.model_id, enrolment.measurement)
    assert found.statements == {
        "level": level_statement(*WHERE, level),
        "build": build_statement(*WHERE, *build),
    }


def test_a_tpms_quote_gives_the_voucher_of_its_certified_key(parts: Any) -> None:
    signer = made.device(Kind.TPM)
    given = parts(Kind.TPM, signer)
    found = of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT, until=END)
    public = signer.key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    voucher = Voucher(Hardware.TPM, False, public[1:33], public[33:], END)
    build = (Hardware.TPM, APPLICANT.model_id, tpm_measurement(given["quote"]))
    assert found.statements == {
        "voucher": voucher_statement(*WHERE, voucher),
        "build": build_statement(*WHERE, *build),
    }
    with pytest.raises(UnexpectedValue, match="its end"):
        of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_approved_is_said_in_words(kind: Kind, parts: Any) -> None:
    given = parts(kind)
    shown = verify(kind, given, policy(kind))
    found = of_evidence(kind, given, policy(kind), APPLICANT, names(kind), END)
    words = found.words
    assert words["owner"] == APPLICANT.owner
    assert words["model"] == "0x" + APPLICANT.model_id.hex()
    assert words["answer key"] == "0x" + APPLICANT.point.hex()
    assert words["until"] == (NOW + DAY).isoformat()
    assert APPLICANT.binding.hex() in words["report data"] and "binds" in words["report data"]
    assert shown.valid_until.isoformat() in words["certificates"]
    levels = {
        Kind.SNP: "boot_loader 3, tee 0, snp 10, microcode 169; least: boot_loader 3, tee 0,",
        Kind.SGX: "UpToDate (UpToDate is taken)",
        Kind.TDX: "UpToDate (UpToDate is taken)",
    }
    assert words["level"].startswith(levels.get(kind, "none: evidence of this kind"))
    makes = names(kind) or shown.measurements
    for name, value in shown.measurements.items():
        mark = "" if name in makes else " (not of the build)"
        assert words[name] == f"0x{value.hex()}{mark}"
    said = {word.removeprefix("approve ") for word in words if word.startswith("approve ")}
    assert said == set(
        of_evidence(kind, given, policy(kind), APPLICANT, names(kind), END).statements
    )
    assert said < set(SAYS)


@pytest.mark.parametrize("kind", KINDS)
def test_root_leaf_and_voucher_are_named(
    kind: Kind, parts: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that a forger's chain under a root of its own is not taken for the maker's."""
    intel = made.INTEL
    signer = intel.platform if kind in QUOTED else made.device(kind)
    given = parts(kind) if kind in QUOTED else parts(kind, signer)

    def words() -> Any:
        return of_evidence(kind, given, policy(kind), APPLICANT, names(kind), END).words

    said = words()
    leaf, root = signer.chain[0], made.TOP[kind]
    assert said["root"].startswith(f"0x{root.root.hex()}, Root of ")
    pinned = "none is pinned" if kind is Kind.TPM else "NOT the one that is pinned here"
    assert pinned in said["root"]
    digest = leaf.fingerprint(SHA256()).hex()
    named = f"serial number {leaf.serial_number:#x}, SHA-256 0x{digest}, issued by CN="
    assert named in said["certificate"]
    assert leaf.subject.rfc4514_string() in said["certificate"]
    point = leaf.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)[1:]
    assert ("attestation key" in said) is (kind is Kind.TPM)
    assert kind is not Kind.TPM or said["attestation key"].startswith("0x" + point.hex())
    monkeypatch.setattr(in_words, "ROOTS", {kind: frozenset({root.root})})
    assert words()["root"].endswith(", the one that is pinned here")


def test_what_a_certificate_calls_itself_moves_no_cursor(parts: Any) -> None:
    authority = made.TOP[Kind.NITRO].issue("\x1b[2Jpinned", ca=True)
    signer = made.device(Kind.NITRO, authority=authority)
    given = parts(Kind.NITRO, signer)
    found = of_evidence(Kind.NITRO, given, policy(Kind.NITRO), APPLICANT, ["pcr0"], END)
    assert "?[2Jpinned" in found.words["certificate"]
    assert all(each.isprintable() for each in found.words.values())
    odd = replace(policy(Kind.NITRO), crls=(made.TOP[Kind.NITRO].revoking(until=NOW),))
    with pytest.raises(Expired) as refused:
        of_evidence(Kind.NITRO, given, odd, APPLICANT, ["pcr0"], END)
    assert str(refused.value).isprintable()


def test_a_voucher_lasts_no_longer_than_its_certificate(parts: Any) -> None:
    signer = made.device(Kind.TPM, until=NOW + 2 * DAY)
    given, end = parts(Kind.TPM, signer), int((NOW + 2 * DAY).timestamp())
    found = of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT, until=end)
    assert found.words["until"] == (NOW + 2 * DAY).isoformat()
    for odd in (end + 1, int(NOW.timestamp())):
        with pytest.raises(UnexpectedValue, match="voucher's end: expected one after") as refused:
            of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT, until=odd)
        assert (NOW + 2 * DAY).isoformat() in str(refused.value)  # the range is said


EMPTY, ONES, FULL = bytes(32), b"\xff" * 32, b"7" * 32


@pytest.mark.parametrize(
    ("registers", "why"),
    [
        ({16: FULL, 23: FULL}, r"which a running system resets to say anything, got \[16, 23\]"),
        ({7: FULL, 16: FULL}, r"got \[16\]"),
        ({7: FULL, 20: FULL, 21: FULL, 22: FULL}, r"got \[20, 21, 22\]"),
        ({0: EMPTY, 7: EMPTY}, "every boot has this state, got .0, 7., all empty"),
        ({0: EMPTY, 17: ONES, 18: ONES}, "all empty"),
    ],
)
def test_registers_that_say_nothing_are_no_build(
    registers: dict[int, bytes], why: str, parts: Any
) -> None:
    """A key for them would sign in any boot: they are reset, or every boot leaves them so."""
    with pytest.raises(UnexpectedValue, match=why):
        given = parts(Kind.TPM, registers=registers)
        of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT, until=END)
    values = {f"pcr{number}": value for number, value in registers.items()}
    with pytest.raises(UnexpectedValue, match=why):
        of_values(Kind.TPM, *WHERE, APPLICANT.model_id, values)


def test_an_empty_register_beside_a_measured_one_is_said_to_be_so(parts: Any) -> None:
    """That nothing was measured there is a part of the state, and not to be taken for a value."""
    given = parts(Kind.TPM, registers={7: FULL, 12: EMPTY, 17: ONES})
    words = of_evidence(Kind.TPM, given, policy(Kind.TPM), APPLICANT, until=END).words
    assert words["pcr7"] == "0x" + FULL.hex()
    assert words["pcr12"].endswith(" (nothing measured)")
    assert words["pcr17"].endswith(" (nothing measured)")


def test_the_level_that_is_taken_below_the_best_is_said(parts: Any) -> None:
    old = Intel(root=made.INTEL.root, status="OutOfDate")
    given = parts(Kind.SGX, intel=old)
    with pytest.raises(TcbRefused, match="expected UpToDate, got OutOfDate"):
        of_evidence(Kind.SGX, given, policy(Kind.SGX), APPLICANT)
    lax = replace(policy(Kind.SGX), statuses=frozenset({"UpToDate", "OutOfDate"}))
    words = of_evidence(Kind.SGX, given, lax, APPLICANT).words
    assert words["level"].startswith("OutOfDate (OutOfDate or UpToDate is taken)")


@pytest.mark.parametrize("kind", KINDS)
def test_what_nobody_named_is_told(kind: Kind, parts: Any) -> None:
    """So that nobody approves a build unread."""
    given = parts(kind)
    shown = verify(kind, given, policy(kind)).measurements
    makes = sorted(names(kind) or shown)
    found = of_evidence(kind, given, policy(kind), APPLICANT, names(kind), END)
    assert list(found.unnamed) == makes
    wanted = {name: shown[name] for name in makes}
    asked = replace(policy(kind), measurements=wanted)
    assert of_evidence(kind, given, asked, APPLICANT, makes, END).unnamed == ()
    first = replace(policy(kind), measurements={makes[0]: b"another"})
    with pytest.raises(UnexpectedValue, match=makes[0]):
        of_evidence(kind, given, first, APPLICANT, makes, END)


@pytest.mark.parametrize("kind", [*QUOTED, Kind.TPM])
def test_names_without_values_choose_nothing_from_a_whole_report(kind: Kind, parts: Any) -> None:
    name = "pcr0" if kind is Kind.TPM else "mr_td"
    with pytest.raises(UnexpectedValue, match="the whole report is the build"):
        of_evidence(kind, parts(kind), policy(kind), APPLICANT, [name], END)


@pytest.mark.parametrize("kind", KINDS)
def test_evidence_of_another_key_or_of_strangers_stands_for_nothing(kind: Kind, parts: Any) -> None:
    def refused(error: type[AttestationError], asked: Any, applicant: Any = APPLICANT) -> None:
        with pytest.raises(error):
            of_evidence(kind, parts(kind), asked, applicant, names(kind), END)

    refused(UnexpectedValue, policy(kind), replace(APPLICANT, point=bytes(64)))
    refused(UnexpectedValue, policy(kind), replace(APPLICANT, owner="0x" + "0c" * 20))
    refused(UntrustedRoot, replace(policy(kind), roots=frozenset({bytes(32)})))
    refused(Expired, replace(policy(kind), at=NOW + 20000 * DAY))


@pytest.mark.parametrize("kind", [*ATTESTED, Kind.TPM])
def test_a_device_that_its_maker_took_back_stands_for_nothing(kind: Kind, parts: Any) -> None:
    authority = made.TOP[kind].issue(f"Authority of {kind}", ca=True)
    signer = made.device(kind, authority=authority)
    given = parts(kind, signer)

    def found(crl: bytes) -> str:
        asked = replace(policy(kind), crls=(crl,))
        return of_evidence(kind, given, asked, APPLICANT, names(kind), END).words[
            "revocation lists"
        ]

    begun, ends = (NOW - DAY).isoformat(), (NOW + DAY).isoformat()
    own = f"list 1 of CN=Authority of {kind}, from {begun} until {ends}"
    assert found(authority.revoking()) == own
    roots = found(made.TOP[kind].revoking())
    assert roots.startswith(f"list 1 of CN=Root of {kind}, ")  # says nothing of the device
    assert roots.endswith(f"; NONE of Authority of {kind}, which issued the certificate")
    with pytest.raises(Revoked):
        found(authority.revoking(signer.chain[0]))
    with pytest.raises(UnexpectedValue):
        found(Holder(authority.key, made.INTEL.root.chain).revoking())


@pytest.mark.parametrize("kind", [*ATTESTED, Kind.TPM])
def test_values_that_an_attester_knows_give_the_evidences_build(kind: Kind, parts: Any) -> None:
    given = parts(kind)
    shown = verify(kind, given, policy(kind)).measurements
    values = {name: shown[name] for name in names(kind) or shown}
    build = of_evidence(kind, given, policy(kind), APPLICANT, names(kind), END).statements["build"]
    found = of_values(kind, *WHERE, APPLICANT.model_id, values)
    assert found.statements == {"build": build} and not found.unnamed
    first = next(iter(values))
    assert f"{first}=0x{values[first].hex()}" in found.looked_at.decode().split("\n")
    reordered = dict(reversed(values.items()))
    assert of_values(kind, *WHERE, APPLICANT.model_id, reordered) == found
    other = of_values(kind, *WHERE, APPLICANT.model_id, values | {first: b"\1" * 32})
    assert other.statements != found.statements


def test_values_that_make_no_build_are_refused() -> None:
    def refused(error: type[AttestationError], kind: Kind, values: dict[str, bytes]) -> None:
        with pytest.raises(error):
            of_values(kind, *WHERE, APPLICANT.model_id, values)

    for kind in QUOTED:
        refused(UnexpectedValue, kind, {"mr_enclave": bytes(32)})
    refused(UnexpectedValue, Kind.NVIDIA, {"measurement_1": bytes(48)})
    refused(UnexpectedValue, Kind.NITRO, {})
    for name, value in (("pcr24", bytes(32)), ("pcr", bytes(32)), ("pcr0", bytes(48))):
        refused(MalformedEvidence, Kind.TPM, {"pcr7": bytes(32), name: value})
