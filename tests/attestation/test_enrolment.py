"""From evidence of any kind to an enrolment: bound to one chain, registry, owner, model and key."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from typing import Any

import dcap_qvl  # type: ignore[import-untyped]
import pytest
from eth_hash.auto import keccak

from oracle.attestation import (
    DebugMode,
    Kind,
    MalformedEvidence,
    Policy,
    SignatureInvalid,
    TcbRefused,
    UnexpectedValue,
)
from oracle.attestation.enrolment import (
    FRESH,
    Applicant,
    decide,
    evidence_bytes,
    from_quote,
    measurement,
)
from oracle.attestation.quote import MACHINE_1_5, body_of, fields, measured, split
from oracle.domain.attested import Hardware
from tests.attestation import test_evidence as made
from tests.attestation.authority import DAY, NOW, SGX, SVN, Holder, Intel, pck_extension

APPLICANT = Applicant(1, "0x" + "0a" * 20, "0x" + "0b" * 20, keccak(b"model"), bytes(range(64)))
QUOTED = [Kind.SGX, Kind.TDX]
NAMES = {
    Kind.SNP: ["measurement"],
    Kind.NITRO: ["pcr0", "pcr1"],
    Kind.TPM: ["pcr0", "pcr7"],
}


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict[str, bytes]]:
    """Honest evidence for the applicant, but for what is said otherwise."""
    monkeypatch.setattr(made, "NONCE", APPLICANT.binding)
    return made.evidence


def policy(kind: Kind) -> Policy:
    tcb = made.LEAST if kind is Kind.SNP else {}
    return Policy(frozenset({made.TOP[kind].root}), NOW, tcb=tcb)


@pytest.mark.parametrize("kind", NAMES)
def test_decide_good_evidence_gives_the_enrolment(kind: Kind, parts: Any) -> None:
    found = decide(kind, parts(kind), policy(kind), APPLICANT, NAMES[kind])
    assert (found.kind, found.debug) == (Hardware[kind.name], False)
    assert (found.owner, found.model_id) == (APPLICANT.owner, APPLICANT.model_id)
    assert found.x + found.y == APPLICANT.point
    assert found.until == NOW.timestamp() + FRESH


@pytest.mark.parametrize("kind", NAMES)
def test_decide_evidence_is_good_for_one_keys_life_whatever_its_certificate_says(
    kind: Kind, parts: Any
) -> None:
    """A document of Nitro's outlives its certificate of three hours; one of years enrols once."""
    at = int(NOW.timestamp())
    soon = made.device(kind, until=NOW + timedelta(hours=3))
    for signer in (soon, made.device(kind, until=NOW + timedelta(days=2500))):
        given = (kind, parts(kind, signer), policy(kind), APPLICANT, NAMES[kind])
        assert decide(*given).until == at + FRESH
        assert decide(*given, until=at + 5).until == at + 5
        for odd in (at + FRESH + 1, at):
            expected = f"after {NOW.isoformat()} and up to "
            with pytest.raises(UnexpectedValue, match=re.escape(expected)):
                decide(*given, until=odd)


@pytest.mark.parametrize("kind", [*NAMES, *QUOTED])
@pytest.mark.parametrize("field", ["chain_id", "registry", "owner", "model_id", "point"])
def test_decide_evidence_for_another_applicant_is_refused(
    kind: Kind, field: str, parts: Any
) -> None:
    changed = {
        "chain_id": 2,
        "registry": "0x" + "0c" * 20,
        "owner": "0x" + "0c" * 20,
        "model_id": bytes(32),
        "point": bytes(64),
    }
    other = replace(APPLICANT, **{field: changed[field]})
    with pytest.raises(UnexpectedValue):
        if kind in QUOTED:
            from_quote(kind, parts(kind), policy(kind), other)
        else:
            decide(kind, parts(kind), policy(kind), other, NAMES[kind])


@pytest.mark.parametrize("kind", NAMES)
def test_decide_measurements_that_are_not_there_are_refused(kind: Kind, parts: Any) -> None:
    for names in ([], ["no such"]):
        with pytest.raises(UnexpectedValue):
            decide(kind, parts(kind), policy(kind), APPLICANT, names)


def test_decide_levels_that_nobody_named_are_refused_by_what_was_found(parts: Any) -> None:
    """AMD publishes no list of good ones: what an attester does not name, it does not take."""
    kind, found = Kind.SNP, "boot_loader 3, tee 0, snp 10, microcode 169"
    for name in made.LEAST:
        tcb = {each: number for each, number in made.LEAST.items() if each != name}
        asked = replace(policy(kind), tcb=tcb)
        with pytest.raises(TcbRefused, match=f"none was named of {name}, got {found}"):
            decide(kind, parts(kind), asked, APPLICANT, NAMES[kind])
    higher = replace(policy(kind), tcb={**made.LEAST, "microcode": 170})
    with pytest.raises(TcbRefused, match="level of microcode: expected 170 or more, got 169"):
        decide(kind, parts(kind), higher, APPLICANT, NAMES[kind])


def test_decide_a_gpu_holds_no_key_and_is_refused(parts: Any) -> None:
    """It signs any nonce, and says nothing of the program beside it."""
    kind = Kind.NVIDIA
    with pytest.raises(UnexpectedValue, match="holds the key"):
        decide(kind, parts(kind), policy(kind), APPLICANT, ["measurement_1"])


def test_decide_hardware_under_debugging_is_refused_whatever_the_policy(parts: Any) -> None:
    with pytest.raises(DebugMode):
        from_quote(Kind.SGX, parts(Kind.SGX, debug=True), policy(Kind.SGX), APPLICANT)
    lax = replace(policy(Kind.SGX), allow_debug=True)
    with pytest.raises(DebugMode):
        from_quote(Kind.SGX, parts(Kind.SGX), lax, APPLICANT)
    lax = replace(policy(Kind.SNP), allow_debug=True)
    with pytest.raises(DebugMode):
        decide(Kind.SNP, parts(Kind.SNP), lax, APPLICANT, NAMES[Kind.SNP])


@pytest.mark.parametrize("kind", QUOTED)
def test_from_quote_gives_what_the_contract_takes(kind: Kind, parts: Any) -> None:
    """tests/contracts/test_quotes.py enrols it."""
    given = parts(kind)
    found, evidence, level = from_quote(kind, given, policy(kind), APPLICANT)
    assert (found.kind, found.debug) == (Hardware[kind.name], False)
    assert found.x + found.y == APPLICANT.point
    assert found.until == level.until == evidence.until > NOW.timestamp()
    assert evidence.signed == given["quote"][: len(evidence.signed)]
    assert APPLICANT.binding in evidence.signed
    end = level.until - 5
    _, sooner, earlier = from_quote(kind, given, policy(kind), APPLICANT, until=end)
    assert sooner.until == earlier.until == end


@pytest.mark.parametrize("kind", QUOTED)
def test_from_quote_admits_a_level_no_longer_than_its_collateral(kind: Kind, parts: Any) -> None:
    """Of which lists are a part: who leans on one has to fetch it anew."""
    fresh = Intel(root=made.INTEL.root, lists_until=NOW + DAY)
    given = parts(kind, intel=fresh)
    end = int((NOW + DAY).timestamp())
    assert from_quote(kind, given, policy(kind), APPLICANT)[2].until == end
    assert from_quote(kind, given, policy(kind), APPLICANT, until=end)[2].until == end
    for odd in (end + 1, int(NOW.timestamp())):
        with pytest.raises(UnexpectedValue, match="level's end: expected one after"):
            from_quote(kind, given, policy(kind), APPLICANT, until=odd)


@pytest.mark.parametrize("kind", QUOTED)
def test_from_quote_judges_the_chain_whose_level_it_gives(kind: Kind, parts: Any) -> None:
    """Collateral may carry a chain of its own: a good machine's, for a quote that names another's,
    whose level attesters would then admit unseen."""
    authority = made.INTEL.authority
    good, weak = (
        authority.issue("Intel SGX PCK Certificate", extensions=((SGX, pck_extension(svn)),))
        for svn in (SVN, SVN - 1)
    )

    def quoted(signer: Holder) -> dict[str, bytes]:
        tdx = kind is Kind.TDX
        quote = made.INTEL.quote(APPLICANT.binding, tdx, platform=good, signer=signer)
        return parts(kind) | {"quote": quote}

    def beside(given: dict[str, bytes]) -> dict[str, bytes]:
        held = json.loads(given["collateral"]) | {"pck_certificate_chain": good.pem.decode()}
        return given | {"collateral": json.dumps(held).encode()}

    for given in (quoted(weak), beside(quoted(weak))):
        with pytest.raises(SignatureInvalid):
            from_quote(kind, given, policy(kind), APPLICANT)
    honest = quoted(good)
    plain, carried = (
        from_quote(kind, given, policy(kind), APPLICANT) for given in (honest, beside(honest))
    )
    assert plain == carried


@pytest.mark.parametrize("kind", QUOTED)
def test_fields_show_every_byte_that_makes_the_build(kind: Kind, parts: Any) -> None:
    """And none that does not: what attesters read is what they approve."""
    body = body_of(kind, parts(kind)["quote"])
    assert body == split(kind, parts(kind)["quote"]).body[: len(body)]
    body = body.ljust(MACHINE_1_5, b"\0") if kind is Kind.TDX else body
    plain, build = fields(kind, body), measured(kind, body)
    for at in range(len(body)):
        bent = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
        assert (measured(kind, bent) != build) == (fields(kind, bent) != plain), at


@pytest.mark.parametrize("kind", QUOTED)
def test_fields_are_those_of_dcap_qvl(kind: Kind, parts: Any) -> None:
    """Another reader of the same bytes has the same under the same names."""

    def stirred(part: str, data: bytes) -> bytes:
        """A report of which no two fields are alike."""
        start = 16 if kind is Kind.SGX else 120
        return data[:start] + bytes(range(256)) + data[start + 256 :] if part == "body" else data

    quote = made.INTEL.quote(APPLICANT.binding, kind is Kind.TDX, bend=stirred)
    report = dcap_qvl.parse_quote(quote).report
    found = fields(kind, body_of(kind, quote))
    known = {name: value for name in found if (value := getattr(report, name, None)) is not None}
    assert len(known) >= 3 and len(set(known.values())) == len(known)
    assert known == {name: found[name] for name in known}


@pytest.mark.parametrize("kind", QUOTED)
def test_decide_leaves_to_the_contract_what_it_decides(kind: Kind, parts: Any) -> None:
    with pytest.raises(UnexpectedValue):
        decide(kind, parts(kind), policy(kind), APPLICANT, ["mr_td", "mr_enclave"])
    other = Kind.SNP
    with pytest.raises(UnexpectedValue):
        from_quote(other, parts(other), policy(other), APPLICANT)


@pytest.mark.parametrize("kind", QUOTED)
def test_split_quotes_cut_or_longer_are_refused(kind: Kind, parts: Any) -> None:
    quote = parts(kind)["quote"]
    split(kind, quote + bytes(8))
    for size in range(0, len(quote) - 1, 97):
        with pytest.raises(MalformedEvidence):
            split(kind, quote[:size])
    with pytest.raises(MalformedEvidence):
        split(kind, b"\x09\x09" + quote[2:])


def test_measurement_tells_every_name_and_value_apart() -> None:
    cases = [{"a": b"b"}, {"ab": b""}, {"a": b"", "b": b""}, {"a": b"b", "c": b""}, {"a": b"bc"}]
    assert len({measurement(case) for case in cases}) == len(cases)
    expected = sha256(b"\0\0\0\1a\0\0\0\2bc").digest()
    assert measurement({"a": b"bc"}) == expected


def test_evidence_bytes_have_every_part_in_its_kinds_order() -> None:
    parts = {"chain": b"22", "report": b"1"}
    assert evidence_bytes(Kind.SNP, parts) == b"\0\0\0\x011\0\0\0\x0222"
    with pytest.raises(MalformedEvidence):
        evidence_bytes(Kind.SNP, {"report": b"1"})
