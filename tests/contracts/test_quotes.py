"""AttestationRegistry: keys in Intel's enclaves and virtual machines, enrolled by their quotes."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import timedelta
from typing import Any

import pytest

from oracle.attestation import AttestationError, Kind, Policy, Revoked, verify
from oracle.attestation.enrolment import Applicant, from_quote
from oracle.attestation.quote import point as point_of
from oracle.domain import attested
from oracle.domain.attested import Hardware
from tests.attestation.authority import DAY, NOW, SGX, pck_extension
from tests.contracts.desk import ZERO
from tests.contracts.hall import DELAY, LIFE, Hall, new_key, words
from tests.contracts.test_dcap import put
from tests.evm import reverts

KINDS = [Hardware.SGX, Hardware.TDX]


def admitted(hall: Hall, kind: Hardware, **how: Any) -> tuple[Any, Any, Any]:
    """Evidence of which level and build are admitted."""
    enrolment, evidence, level = hall.intel_evidence(kind, **how)
    hall.admit_level(enrolment, level)
    return enrolment, evidence, level


def certificates(hall: Hall) -> dict[str, bytes]:
    """What an attester vetoes to revoke them."""
    pck, authority, _ = hall.intel.platform.chain
    issuers = {"pck": authority, "authority": hall.intel.root.chain[0]}
    serials = {"pck": pck.serial_number, "authority": authority.serial_number}
    return {
        name: attested.certificate_statement(*hall.where, point_of(issuer), serials[name])
        for name, issuer in issuers.items()
    }


def test_hashes_are_those_of_python(hall: Hall) -> None:
    _, _, level = hall.intel_evidence(Hardware.TDX)
    functions = hall.attestations.functions
    found = hall.chain.call(functions.levelStatement(astuple(level)))
    assert found == attested.level_statement(*hall.where, level)
    name = bytes(range(32))
    found = hall.chain.call(functions.certificateStatement(name))
    tag = attested.CERTIFICATE
    assert found == attested._statement(tag, *hall.where, ("bytes32",), (name,))


@pytest.mark.parametrize("kind", KINDS)
def test_enrol_good_quote_counts_after_the_delay_and_answers(hall: Hall, kind: Hardware) -> None:
    enrolment, evidence, _ = admitted(hall, kind)
    key_id = hall.enrol(enrolment, evidence.encoded)
    now = hall.chain.now()
    key = tuple(hall.chain.call(hall.attestations.functions.keyOf(key_id)))
    assert key == (now + DELAY, now + DELAY + LIFE, False, False, kind)
    hall.wait(DELAY)
    hall.stake()
    request = hall.request()
    hall.ask(request)
    hall.post(request)
    assert hall.status(request)[0] == 3  # Provisional


@pytest.mark.parametrize("kind", KINDS)
def test_enrol_with_what_python_makes_of_quote_and_collateral(hall: Hall, kind: Hardware) -> None:
    """The whole way of an owner: Python decides, then the contract does."""
    who = Applicant(*hall.where, hall.operator, hall.model_id, b"".join(words(hall.key)))
    tdx, named = kind is Hardware.TDX, Kind[kind.name]
    parts = {
        "quote": hall.intel.quote(who.binding, tdx),
        "collateral": hall.intel.collateral(tdx),
    }
    policy = Policy(frozenset({hall.intel.root.root}), NOW)
    enrolment, evidence, level = from_quote(named, parts, policy, who)
    assert enrolment.until == level.until == int((NOW + 20 * DAY).timestamp())  # the collateral's
    hall.admit_level(enrolment, level)
    hall.enrol(enrolment, evidence.encoded)


@pytest.mark.parametrize("missing", ["level", "build"])
@pytest.mark.parametrize("kind", KINDS)
def test_enrol_by_what_nobody_admitted_is_refused(hall: Hall, kind: Hardware, missing: str) -> None:
    enrolment, evidence, level = hall.intel_evidence(kind)
    build = (kind, enrolment.model_id, enrolment.measurement)
    statements = {
        "level": attested.level_statement(*hall.where, level),
        "build": attested.build_statement(*hall.where, *build),
    }
    for name, statement in statements.items():
        hall.admit(statement, by=1 if name == missing else 2)
    with reverts("NotAdmitted", statements[missing]):
        hall.enrol(enrolment, evidence.encoded)
    hall.admit(statements[missing])
    hall.tell_registry("veto", statements[missing], sender=hall.attesters[2])
    with reverts("NotAdmitted", statements[missing]):
        hall.enrol(enrolment, evidence.encoded)


OTHERS = {
    "engine's signer": put("engine", 128, bytes(32)),
    "engine's product": put("engine", 256, b"\7"),
    "engine's level": put("engine", 258, b"\7"),
    "module's level": put("body", 0, b"\4"),
    "attributes of the machine": put("body", 123, b"\0"),
    "machine": put("body", 136, b"\0"),
    "last register": put("body", 519, b"\0"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_enrol_other_levels_and_builds_than_were_admitted_are_refused(
    hall: Hall, name: str
) -> None:
    """All of them signed for by Intel's keys."""
    enrolment, _, _ = admitted(hall, Hardware.TDX)
    bent, evidence, _ = hall.intel_evidence(Hardware.TDX, bend=OTHERS[name])
    with reverts("NotAdmitted"):
        hall.enrol(bent, evidence.encoded)
    if bent.measurement != enrolment.measurement:
        with reverts("WrongQuote"):
            hall.enrol(enrolment, evidence.encoded)


def test_enrol_platform_of_another_level_is_refused(hall: Hall) -> None:
    enrolment, _, _ = admitted(hall, Hardware.SGX)
    older = pck_extension().replace(b"\2\1\x05", b"\2\1\x04", 1)
    platform = hall.intel.authority.issue("old platform", extensions=((SGX, older),))
    _, evidence, level = hall.intel_evidence(Hardware.SGX, platform=platform)
    with reverts("NotAdmitted", attested.level_statement(*hall.where, level)):
        hall.enrol(enrolment, evidence.encoded)


def test_enrol_level_with_another_end_than_was_admitted_is_refused(hall: Hall) -> None:
    enrolment, evidence, _ = admitted(hall, Hardware.SGX)
    with reverts("NotAdmitted"):
        hall.enrol(enrolment, replace(evidence, until=evidence.until + 1).encoded)


@pytest.mark.parametrize("which", ["pck", "authority"])
@pytest.mark.parametrize("kind", KINDS)
def test_enrol_by_a_certificate_that_was_taken_back_is_refused(
    hall: Hall, kind: Hardware, which: str
) -> None:
    """One attester's veto is enough; in Python the revocation list says it."""
    enrolment, evidence, _ = admitted(hall, kind)
    statement = certificates(hall)[which]
    is_vetoed = hall.attestations.functions.isVetoed(statement)
    assert not hall.chain.call(is_vetoed)
    hall.tell_registry("veto", statement, sender=hall.attesters[2])
    assert hall.chain.call(is_vetoed)
    with reverts("CertificateRevoked", statement):
        hall.enrol(enrolment, evidence.encoded)
    if which == "pck":
        tdx = kind is Hardware.TDX
        quote, collateral = hall.intel.quote(b"", tdx), hall.intel.collateral(tdx, revoked=True)
        policy = Policy(frozenset({hall.intel.root.root}), NOW)
        with pytest.raises(Revoked):
            verify(Kind[kind.name], {"quote": quote, "collateral": collateral}, policy)


@pytest.mark.parametrize("kind", KINDS)
def test_enrol_quote_for_another_is_refused(hall: Hall, kind: Hardware) -> None:
    """Another owner, model, key, chain or registry; and report data that go on."""
    enrolment, evidence, _ = admitted(hall, kind)
    with reverts("WrongQuote"):
        hall.enrol(replace(enrolment, owner=hall.rival), evidence.encoded)
    x, y = words(new_key())
    with reverts("WrongQuote"):
        hall.enrol(replace(enrolment, x=x, y=y), evidence.encoded)
    chain_id, registry = hall.where
    point = enrolment.x + enrolment.y
    for where in ((chain_id + 1, registry), (chain_id, ZERO)):
        said = attested.binding(*where, hall.operator, hall.model_id, point)
        with reverts("WrongQuote"):
            hall.enrol(enrolment, hall.intel_evidence(kind, said)[1].encoded)
    said = attested.binding(*hall.where, hall.operator, bytes(32), point)
    with reverts("WrongQuote"):
        hall.enrol(enrolment, hall.intel_evidence(kind, said)[1].encoded)
    said = hall.binding(enrolment)
    for more in (bytes(31) + b"\1", b"\1" + bytes(31)):
        with reverts("WrongQuote"):
            hall.enrol(enrolment, hall.intel_evidence(kind, said + more)[1].encoded)


@pytest.mark.parametrize("kind", KINDS)
def test_enrol_hardware_under_debugging_is_refused(hall: Hall, kind: Hardware) -> None:
    """Although attesters admitted it, and whatever the enrolment says."""
    enrolment, evidence, _ = admitted(hall, kind, debug=True)
    with reverts("Debuggable", 0):
        hall.enrol(enrolment, evidence.encoded)
    with reverts("DebugMode"):
        hall.enrol(replace(enrolment, debug=True), evidence.encoded)


def test_enrol_attesters_word_alone_is_not_enough(hall: Hall) -> None:
    """They admit levels and builds, not enrolments."""
    enrolment, evidence, _ = admitted(hall, Hardware.SGX)
    forged = replace(evidence, key=words(new_key()))
    hall.admit(attested.enrolment_statement(*hall.where, enrolment, forged.encoded))
    with reverts("BadSignature", 0):
        hall.enrol(enrolment, forged.encoded)


def test_enrol_one_kind_as_the_other_is_refused(hall: Hall) -> None:
    enrolment, evidence, _ = admitted(hall, Hardware.SGX)
    build = (Hardware.TDX, enrolment.model_id, enrolment.measurement)
    hall.admit(attested.build_statement(*hall.where, *build))
    with reverts("WrongHeader"):
        hall.enrol(replace(enrolment, kind=Hardware.TDX), evidence.encoded)


@pytest.mark.parametrize("first", ["level", "pck", "authority", "enrolment"])
def test_enrol_ends_with_what_ends_first(hall: Hall, first: str) -> None:
    end = NOW + 5 * DAY + timedelta(seconds=7)
    seconds = int(end.timestamp())
    root = hall.intel.root
    authority = root.issue("CA", ca=True, until=end) if first == "authority" else None
    platform = (authority or hall.intel.authority).issue(
        "PCK", extensions=((SGX, pck_extension()),), until=end if first == "pck" else NOW + 9 * DAY
    )
    how = {"until": seconds} if first == "level" else {}
    enrolment, evidence, _ = admitted(hall, Hardware.SGX, platform=platform, **how)
    if first == "enrolment":
        enrolment = replace(enrolment, until=seconds)
    key_id = hall.enrol(enrolment, evidence.encoded)
    assert hall.chain.call(hall.attestations.functions.keyOf(key_id))[1] == seconds


def test_enrol_certificate_that_ended_is_refused(hall: Hall) -> None:
    """By the contract's clock; the Python verifier's is a parameter."""
    enrolment, evidence, _ = admitted(hall, Hardware.SGX)
    hall.chain.next_timestamp(int((NOW + 31 * DAY).timestamp()))
    hall.chain.rpc("evm_mine")
    with reverts("OutOfTime"):
        hall.enrol(enrolment, evidence.encoded)
    quote = hall.intel.quote(b"")
    late = Policy(frozenset({hall.intel.root.root}), NOW + 31 * DAY)
    with pytest.raises(AttestationError):
        verify(Kind.SGX, {"quote": quote, "collateral": hall.intel.collateral()}, late)
