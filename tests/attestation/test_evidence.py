"""Every kind, honest and bent, under roots of our own."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from oracle.attestation import (
    AttestationError,
    DebugMode,
    Expired,
    Kind,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    TcbRefused,
    UnexpectedValue,
    UntrustedRoot,
    tpm,
    verify,
)
from tests.attestation.authority import (
    DAY,
    NOW,
    Holder,
    Intel,
    nitro_document,
    nvidia_report,
    root,
    snp_report,
    tpm_policy,
    tpm_public,
    tpm_quote,
    tpm_signature,
    tpm_statement,
    vcek,
)

#: Extended key usage: tcg-kp-AIKCertificate; a web server's.
ATTESTATION_KEY = ("2.5.29.37", bytes.fromhex("3007 0605 67810508 03"))
WEB_SERVER = ("2.5.29.37", bytes.fromhex("300a 0608 2b060105 05070301"))
NONCE = b"nonce of the tests".ljust(32, b".")
LEAST = {"boot_loader": 3, "tee": 0, "snp": 10, "microcode": 169}
WIDE = {Kind.SGX: 64, Kind.TDX: 64, Kind.SNP: 64}  # report data is padded
TOP = {kind: root(f"Root of {kind}", ec.SECP384R1()) for kind in Kind}
TOP[Kind.TPM] = root("Root of tpm", ec.SECP256R1())
INTEL = Intel()
TOP[Kind.SGX] = TOP[Kind.TDX] = INTEL.root


def device(kind: Kind, *, authority: Holder | None = None, **more: Any) -> Holder:
    """A device's key, one authority between it and the root."""
    authority = authority or TOP[kind].issue(f"Authority of {kind}", ca=True)
    if kind is Kind.TPM:
        more = {"extensions": (ATTESTATION_KEY,), **more}
    return vcek(authority, **more) if kind is Kind.SNP else authority.issue("device", **more)


def evidence(kind: Kind, signer: Holder | None = None, **more: Any) -> dict[str, bytes]:
    """Honest evidence for NONCE, but for what `more` changes in it."""
    if kind in (Kind.SGX, Kind.TDX):
        tdx, revoked = kind is Kind.TDX, more.pop("revoked", False)
        intel = more.pop("intel", INTEL)
        quote = intel.quote(NONCE, tdx, **more)
        return {"quote": quote, "collateral": intel.collateral(tdx, revoked)}
    signer = signer or device(kind)
    if kind is Kind.NITRO:
        return {"document": nitro_document(signer, NONCE, **more)}
    if kind is Kind.TPM:
        registers = more.pop("registers", {0: b"0" * 32, 7: b"7" * 32, 14: b"F" * 32})
        quote, pcrs = tpm_quote(NONCE, registers, **more)
        signature = tpm_signature(signer.key, quote)
        return {"quote": quote, "signature": signature, "pcrs": pcrs, "chain": signer.pem}
    make = snp_report if kind is Kind.SNP else nvidia_report
    return {"report": make(signer, NONCE, **more), "chain": signer.pem}


def policy(kind: Kind, **more: Any) -> Policy:
    data = NONCE.ljust(WIDE.get(kind, 32), b"\0")
    return Policy(frozenset({TOP[kind].root}), NOW, report_data=data, **more)


def refused(
    error: type[AttestationError], kind: Kind, parts: dict[str, bytes], asked: Policy
) -> None:
    with pytest.raises(error):
        verify(kind, parts, asked)


@pytest.mark.parametrize("kind", Kind)
def test_honest_evidence_is_accepted(kind: Kind) -> None:
    attested = verify(kind, evidence(kind), policy(kind))
    assert attested.kind is kind and attested.measurements
    assert attested.valid_until > NOW
    verify(kind, evidence(kind), policy(kind, measurements=attested.measurements))


@pytest.mark.parametrize("extensions", [(), (WEB_SERVER,)], ids=["no purpose", "a web server"])
def test_a_quote_by_a_key_that_is_no_tpms_is_refused(extensions: tuple[Any, ...]) -> None:
    """It signs whatever it is given, a quote that is made up, too."""
    odd = device(Kind.TPM, extensions=extensions)
    refused(UntrustedRoot, Kind.TPM, evidence(Kind.TPM, odd), policy(Kind.TPM))


def test_a_quote_by_an_authority_is_refused() -> None:
    usage = ("key_cert_sign", "digital_signature")
    odd = device(Kind.TPM, ca=True, usage=usage)
    refused(UntrustedRoot, Kind.TPM, evidence(Kind.TPM, odd), policy(Kind.TPM))


def test_a_purpose_that_is_critical_is_understood_where_it_is_checked_alone() -> None:
    how: dict[str, Any] = {"extensions": (ATTESTATION_KEY,), "critical": (ATTESTATION_KEY[0],)}
    verify(Kind.TPM, evidence(Kind.TPM, device(Kind.TPM, **how)), policy(Kind.TPM))
    refused(
        UntrustedRoot,
        Kind.NITRO,
        evidence(Kind.NITRO, device(Kind.NITRO, **how)),
        policy(Kind.NITRO),
    )


@pytest.mark.parametrize("kind", Kind)
def test_another_nonce_is_refused(kind: Kind) -> None:
    other = bytes(WIDE.get(kind, 32))
    refused(UnexpectedValue, kind, evidence(kind), replace(policy(kind), report_data=other))


@pytest.mark.parametrize("kind", Kind)
def test_another_measurement_is_refused(kind: Kind) -> None:
    for name in verify(kind, evidence(kind), policy(kind)).measurements:
        asked = policy(kind, measurements={name: b"another"})
        refused(UnexpectedValue, kind, evidence(kind), asked)
    refused(UnexpectedValue, kind, evidence(kind), policy(kind, measurements={"no such": b"value"}))


@pytest.mark.parametrize("kind", Kind)
def test_a_root_that_nobody_pinned_is_refused(kind: Kind) -> None:
    """A forger with an authority of its own, of the same names."""
    asked = replace(policy(kind), roots=frozenset({root("another", ec.SECP384R1()).root}))
    refused(UntrustedRoot, kind, evidence(kind), asked)


@pytest.mark.parametrize("kind", [Kind.SNP, Kind.NITRO, Kind.NVIDIA, Kind.TPM])
def test_a_stranger_under_the_pinned_root_s_name_is_refused(kind: Kind) -> None:
    """The pinned root put above a chain that it did not sign."""
    stranger = root(f"Root of {kind}", TOP[kind].key.curve)
    authority = stranger.issue(f"Authority of {kind}", ca=True)
    signer = device(kind, authority=authority)
    signer.chain[-1] = TOP[kind].chain[0]
    refused(SignatureInvalid, kind, evidence(kind, signer), policy(kind))


@pytest.mark.parametrize("kind", [Kind.SNP, Kind.NITRO, Kind.NVIDIA, Kind.TPM])
def test_a_leaf_that_plays_authority_is_refused(kind: Kind) -> None:
    leaf = device(kind)
    signer = device(kind, authority=leaf)
    if kind is Kind.SNP:  # a chain of three, the leaf in the middle
        leaf = TOP[kind].issue("no authority")
        signer = vcek(leaf)
    refused(UntrustedRoot, kind, evidence(kind, signer), policy(kind))


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("years", [-20, 20])
def test_out_of_time_is_refused(kind: Kind, years: int) -> None:
    at = NOW + timedelta(days=365 * years)
    refused(Expired, kind, evidence(kind), replace(policy(kind), at=at))


@pytest.mark.parametrize("kind", [Kind.SNP, Kind.NITRO, Kind.NVIDIA, Kind.TPM])
def test_a_device_that_was_taken_back_is_refused(kind: Kind) -> None:
    signer = device(kind)
    authority = Holder(_key_above(signer), signer.chain[1:])
    revoking = authority.revoking(signer.chain[0])
    name = f"Authority of {kind}"
    asked = policy(kind, crls=(revoking,), crl_issuers=frozenset({name}))
    refused(Revoked, kind, evidence(kind, signer), asked)
    fresh = replace(asked, crls=(authority.revoking(),))
    verify(kind, evidence(kind, signer), fresh)
    refused(Revoked, kind, evidence(kind, signer), replace(asked, crls=()))
    stale = authority.revoking(until=NOW - DAY / 4)
    refused(Expired, kind, evidence(kind, signer), replace(asked, crls=(stale,)))
    forged = Holder(ec.generate_private_key(authority.key.curve), authority.chain).revoking()
    refused(SignatureInvalid, kind, evidence(kind, signer), replace(asked, crls=(forged,)))
    garbled = revoking.replace(b"Authority of", b"\xff\xfethority of")
    refused(MalformedEvidence, kind, evidence(kind, signer), replace(asked, crls=(garbled,)))


KEYS: dict[bytes, Any] = {}


def _key_above(signer: Holder) -> Any:
    """The issuer's private key: `issue` keeps it by its certificate."""
    return KEYS[signer.chain[1].fingerprint(signer.chain[1].signature_hash_algorithm)]


@pytest.fixture(autouse=True)
def remember_issuers(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = Holder.issue

    def issue(self: Holder, name: str, **more: Any) -> Holder:
        made = honest(self, name, **more)
        KEYS[made.chain[0].fingerprint(made.chain[0].signature_hash_algorithm)] = made.key
        return made

    monkeypatch.setattr(Holder, "issue", issue)


@pytest.mark.parametrize("kind", [Kind.SGX, Kind.TDX])
def test_an_intel_platform_that_was_taken_back_is_refused(kind: Kind) -> None:
    refused(Revoked, kind, evidence(kind, revoked=True), policy(kind))


@pytest.mark.parametrize("kind", [Kind.SGX, Kind.TDX])
def test_intel_s_levels(kind: Kind) -> None:
    old = Intel(root=INTEL.root, status="OutOfDate")
    refused(TcbRefused, kind, evidence(kind, intel=old), policy(kind))
    taken = policy(kind, statuses=frozenset({"OutOfDate"}))
    assert verify(kind, evidence(kind, intel=old), taken).status == "OutOfDate"
    late = Intel(root=INTEL.root, next_update=NOW - DAY / 2)
    refused(Expired, kind, evidence(kind, intel=late), policy(kind))


@pytest.mark.parametrize(
    "kind, more",
    [
        (Kind.SGX, {"debug": True}),
        (Kind.TDX, {"debug": True}),
        (Kind.SNP, {"policy": 0x30000 | 1 << 19}),
        (Kind.NITRO, {"pcrs": {0: bytes(48), 1: b"1" * 48}}),
    ],
)
def test_debug_mode_is_refused(kind: Kind, more: dict[str, Any]) -> None:
    refused(DebugMode, kind, evidence(kind, **more), policy(kind))


def test_a_quote_of_the_other_intel_kind_is_refused() -> None:
    refused(MalformedEvidence, Kind.SGX, evidence(Kind.TDX), policy(Kind.SGX))
    refused(MalformedEvidence, Kind.TDX, evidence(Kind.SGX), policy(Kind.TDX))


@pytest.mark.parametrize(
    "more, error",
    [
        ({"version": 1}, MalformedEvidence),
        ({"flags": 1 << 2}, UnexpectedValue),  # signed by a VLEK, it says
        ({"levels": bytes([3, 0, 0, 0, 0, 0, 10, 168])}, UnexpectedValue),
        ({"chip": bytes(64)}, UnexpectedValue),
    ],
)
def test_reports_of_snp_that_disagree_with_their_certificate(
    more: dict[str, Any], error: type[AttestationError]
) -> None:
    refused(error, Kind.SNP, evidence(Kind.SNP, **more), policy(Kind.SNP))


def test_a_guest_that_an_agent_may_migrate_is_refused() -> None:
    """Whatever is allowed of debugging; the rest of the guest's policy is shown."""
    for lax in (False, True):
        given = evidence(Kind.SNP, policy=0x30000 | 1 << 18)
        refused(UnexpectedValue, Kind.SNP, given, policy(Kind.SNP, allow_debug=lax))
    shown = verify(Kind.SNP, evidence(Kind.SNP), policy(Kind.SNP)).measurements
    assert shown["policy"] == (0x30000).to_bytes(8, "big")


def test_amd_s_levels() -> None:
    refused(TcbRefused, Kind.SNP, evidence(Kind.SNP), policy(Kind.SNP, tcb={"microcode": 170}))
    verify(Kind.SNP, evidence(Kind.SNP), policy(Kind.SNP, tcb={"microcode": 169}))


@pytest.mark.parametrize("kind", Kind)
def test_levels_that_the_evidence_has_not_are_refused(kind: Kind) -> None:
    """Mistyped, or asked of a kind without numbers: nothing is taken in silence."""
    name = "micro code" if kind is Kind.SNP else "microcode"
    with pytest.raises(TcbRefused, match=name):
        verify(kind, evidence(kind), policy(kind, tcb={name: 0}))


@pytest.mark.parametrize("kind", [Kind.SGX, Kind.TDX])
def test_revocation_lists_beside_intel_s_collateral_are_refused(kind: Kind) -> None:
    asked = policy(kind, crls=(INTEL.authority.revoking(),))
    refused(UnexpectedValue, kind, evidence(kind), asked)


@pytest.mark.parametrize(
    "fields",
    [
        {"digest": "SHA256"},
        {"pcrs": {}},
        {"pcrs": {0: b"short"}},
        {"pcrs": {"0": bytes(48)}},
        {"pcrs": [bytes(48)]},
        {"cabundle": []},
        {"cabundle": "none"},
        {"cabundle": [1]},
        {"certificate": None},
        {"nonce": 5},
        {"public_key": "text"},
    ],
)
def test_malformed_nitro_documents(fields: dict[str, Any]) -> None:
    refused(MalformedEvidence, Kind.NITRO, evidence(Kind.NITRO, **fields), policy(Kind.NITRO))


def test_tpm_statements_that_do_not_fit() -> None:
    kind = Kind.TPM
    refused(UnexpectedValue, kind, evidence(kind, says=0x8017), policy(kind))
    refused(UnexpectedValue, kind, evidence(kind, digest=bytes(32)), policy(kind))
    refused(MalformedEvidence, kind, evidence(kind, magic=0xFF544348), policy(kind))
    given = evidence(kind)
    refused(UnexpectedValue, kind, {**given, "pcrs": bytes(96)}, policy(kind))
    refused(MalformedEvidence, kind, {**given, "pcrs": bytes(64)}, policy(kind))


def test_a_key_certified_by_a_tpm() -> None:
    signer, key = device(Kind.TPM), ec.generate_private_key(ec.SECP256R1())
    registers = {0: b"0" * 32, 7: b"7" * 32}
    policy = tpm.quoted_policy(tpm_quote(NONCE, registers)[0])
    assert policy == tpm_policy(registers)
    public = tpm_public(key, policy)
    said = tpm_statement(0x8017, b"", _name(public))
    signature, by = tpm_signature(signer.key, said), _public(signer)
    found = tpm.verify_certified(said, signature, public, by, policy)
    assert found.public_numbers() == key.public_key().public_numbers()
    other = tpm_public(ec.generate_private_key(ec.SECP256R1()), policy)
    with pytest.raises(UnexpectedValue, match="certified name"):
        tpm.verify_certified(said, signature, other, by, policy)
    with pytest.raises(SignatureInvalid):
        tpm.verify_certified(said, tpm_signature(key, said), public, by, policy)


@pytest.mark.parametrize(
    ("held", "attributes", "expected"),
    [
        ({0: b"0" * 32, 7: b"7" * 32}, 0x40012, "attributes"),  # imported
        ({0: b"0" * 32, 7: b"7" * 32}, 0x40030, "attributes"),  # can leave
        ({0: b"0" * 32, 7: b"7" * 32}, 0x50032, "attributes"),  # restricted
        ({0: b"0" * 32, 7: b"7" * 32}, 0x40072, "attributes"),  # a password lets it sign
        ({0: b"0" * 32, 7: b"8" * 32}, 0x40032, "policy"),
        ({0: b"0" * 32, 8: b"7" * 32}, 0x40032, "policy"),
        ({0: b"0" * 32}, 0x40032, "policy"),
        (None, 0x40032, "policy"),
    ],
)
def test_a_certified_key_of_another_template_is_refused(
    held: dict[int, bytes] | None, attributes: int, expected: str
) -> None:
    """In Python as in the contract (test_attestation_registry)."""
    signer, key = device(Kind.TPM), ec.generate_private_key(ec.SECP256R1())
    public = tpm_public(key, tpm_policy(held) if held else b"", attributes)
    said = tpm_statement(0x8017, b"", _name(public))
    policy = tpm_policy({0: b"0" * 32, 7: b"7" * 32})
    with pytest.raises(UnexpectedValue, match=expected):
        tpm.verify_certified(said, tpm_signature(signer.key, said), public, _public(signer), policy)


def test_a_quote_that_shows_no_state_has_no_policy() -> None:
    registers = {0: b"0" * 32}
    with pytest.raises(UnexpectedValue, match="0x8018"):
        tpm.quoted_policy(tpm_quote(NONCE, registers, says=0x8017)[0])
    with pytest.raises(MalformedEvidence, match="32 bytes"):
        tpm.quoted_policy(tpm_quote(NONCE, registers, digest=bytes(20))[0])


def _name(public: bytes) -> bytes:
    from hashlib import sha256

    from tests.attestation.authority import sized

    return sized(b"\x00\x0b" + sha256(public).digest()) + sized(b"")


def _public(holder: Holder) -> ec.EllipticCurvePublicKey:
    return holder.key.public_key()


@pytest.mark.parametrize("kind", Kind)
def test_missing_and_foreign_parts(kind: Kind) -> None:
    given = evidence(kind)
    refused(MalformedEvidence, kind, {**given, "more": b""}, policy(kind))
    refused(MalformedEvidence, kind, {}, policy(kind))


@pytest.mark.parametrize("kind", Kind)
def test_every_part_changed_or_cut_gives_a_typed_error(kind: Kind) -> None:
    honest, asked = evidence(kind), policy(kind)

    @settings(max_examples=40, deadline=None, database=None)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(honest)))
        part = honest[name]
        at = data.draw(st.integers(0, len(part) - 1))
        bent = data.draw(st.sampled_from(["flip", "cut", "insert", "noise"]))
        if bent == "flip":
            made = part[:at] + bytes([part[at] ^ data.draw(st.integers(1, 255))]) + part[at + 1 :]
        elif bent == "cut":
            made = part[:at]
        elif bent == "insert":
            made = part[:at] + data.draw(st.binary(min_size=1, max_size=9)) + part[at:]
        else:
            made = data.draw(st.binary(max_size=400))
        try:
            found = verify(kind, {**honest, name: made}, asked)
        except AttestationError:
            return
        assert found == verify(kind, honest, asked)  # what nothing signs: line ends, padding

    check()
