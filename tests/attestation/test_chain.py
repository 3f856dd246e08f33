"""Chains of certificates and revocation lists under a root of our own, and what is wrong with
each."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from oracle.attestation import (
    AttestationError,
    Expired,
    MalformedEvidence,
    Policy,
    Revoked,
    SignatureInvalid,
    UnexpectedValue,
    UntrustedRoot,
)
from oracle.attestation.chain import from_pem, revoked, verify_chain
from tests.attestation.authority import DAY, NOW, Holder, root

SECOND = timedelta(seconds=1)
ROOT = root("Root", ec.SECP256R1())
AUTHORITY = ROOT.issue("Authority", ca=True)
LEAF = AUTHORITY.issue("leaf")
UNKNOWN = ("1.2.3.4", b"\x05\x00")


def policy(*crls: bytes, **more: Any) -> Policy:
    return Policy(frozenset({ROOT.root}), NOW, crls=crls, **more)


def refused(
    error: type[AttestationError],
    leaf: Holder,
    *crls: bytes,
    saying: str | None = None,
    **more: Any,
) -> None:
    with pytest.raises(error, match=saying):
        verify_chain(leaf.chain, policy(*crls, **more))


def test_a_chain_holds_until_the_first_of_its_certificates_ends() -> None:
    soon = AUTHORITY.issue("leaf", until=NOW + DAY)
    assert verify_chain(soon.chain, policy()) == NOW + DAY
    assert verify_chain(LEAF.chain, policy(AUTHORITY.revoking(), ROOT.revoking())) > NOW


def test_an_authority_that_may_not_sign_certificates_is_refused() -> None:
    for usage in ((), ("crl_sign",), ("digital_signature", "crl_sign")):
        odd = ROOT.issue("Authority", ca=True, usage=usage)
        refused(UntrustedRoot, odd.issue("leaf"), saying="may sign certificates")


def test_an_authority_without_basic_constraints_is_refused() -> None:
    odd = ROOT.issue("Authority", ca=True, basic=False)
    refused(UntrustedRoot, odd.issue("leaf"), saying="no basic constraints")
    said = ROOT.issue("Authority", usage=("key_cert_sign",))  # it is none, it says
    refused(UntrustedRoot, said.issue("leaf"), saying="an authority over")


def test_an_authority_of_a_path_that_is_too_long_is_refused() -> None:
    for length in range(3):
        last = ROOT.issue("Authority", ca=True, path_length=length)
        for number in range(length):
            last = last.issue(f"below {number}", ca=True)
        verify_chain(last.issue("leaf").chain, policy())
        long = last.issue("one more", ca=True).issue("leaf")
        refused(UntrustedRoot, long, saying=f"Authority: expected an authority over {length + 1}")


def test_a_leaf_that_may_not_sign_data_is_refused() -> None:
    for usage in (("content_commitment",), ("key_agreement",), ("key_cert_sign", "crl_sign")):
        refused(UntrustedRoot, AUTHORITY.issue("leaf", usage=usage), saying="may sign data")
    refused(UntrustedRoot, AUTHORITY, saying="may sign data")
    verify_chain(AUTHORITY.issue("leaf", usage=()).chain, policy())  # AMD's say nothing of it


def test_critical_extensions_that_nobody_knows_are_refused() -> None:
    verify_chain(AUTHORITY.issue("leaf", extensions=(UNKNOWN,)).chain, policy())
    how: dict[str, Any] = {"extensions": (UNKNOWN,), "critical": (UNKNOWN[0],)}
    refused(UntrustedRoot, AUTHORITY.issue("leaf", **how), saying="1.2.3.4, critical")
    odd = ROOT.issue("Authority", ca=True, **how)
    refused(UntrustedRoot, odd.issue("leaf"), saying="1.2.3.4, critical")


def test_names_of_a_kind_that_nobody_reads_are_malformed() -> None:
    """An X.400 address: cryptography raises an error of its own for it, which is no ValueError."""
    odd = AUTHORITY.issue("leaf", extensions=(("2.5.29.17", bytes.fromhex("3002a300")),))
    with pytest.raises(MalformedEvidence, match="x400Address"):
        from_pem(odd.pem)


def test_a_list_that_is_stale_or_not_yet_good_is_refused() -> None:
    for since, until in ((-DAY, DAY), (timedelta(0), SECOND)):
        verify_chain(LEAF.chain, policy(AUTHORITY.revoking(since=NOW + since, until=NOW + until)))
    for since, until in ((-DAY, timedelta(0)), (-2 * DAY, -DAY), (SECOND, DAY)):
        bad = AUTHORITY.revoking(since=NOW + since, until=NOW + until)
        refused(Expired, LEAF, bad, saying="revocation list of Authority")
        refused(Expired, LEAF, AUTHORITY.revoking(), bad)
        with pytest.raises(Expired):
            revoked(bad, AUTHORITY.chain[0], NOW)


def test_a_list_whose_issuer_may_sign_none_is_refused() -> None:
    plain = ROOT.issue("Authority", ca=True, usage=("key_cert_sign",))
    leaf, crl = plain.issue("leaf"), plain.revoking()
    verify_chain(leaf.chain, policy())
    refused(UntrustedRoot, leaf, crl, saying="may sign revocation lists")
    with pytest.raises(UntrustedRoot):
        revoked(crl, plain.chain[0], NOW)


def test_a_list_of_a_part_only_is_refused() -> None:
    for part in (
        x509.DeltaCRLIndicator(1),
        x509.IssuingDistributionPoint(None, None, True, False, None, False, False),
    ):
        crl = AUTHORITY.revoking(critical=(part,))
        refused(MalformedEvidence, LEAF, crl, saying="without critical extensions")
        with pytest.raises(MalformedEvidence):
            revoked(crl, AUTHORITY.chain[0], NOW)


def test_a_list_of_somebody_else_is_refused() -> None:
    stranger = ROOT.issue("Another authority", ca=True)
    refused(UnexpectedValue, LEAF, stranger.revoking(), saying="one of Authority, Root")
    forged = Holder(stranger.key, AUTHORITY.chain).revoking()
    refused(SignatureInvalid, LEAF, forged)
    with pytest.raises(SignatureInvalid):
        revoked(forged, AUTHORITY.chain[0], NOW)


def test_what_a_list_names_is_refused_wherever_it_is_in_the_chain() -> None:
    refused(Revoked, LEAF, AUTHORITY.revoking(LEAF.chain[0]))
    refused(Revoked, LEAF, ROOT.revoking(AUTHORITY.chain[0]))
    verify_chain(LEAF.chain, policy(AUTHORITY.revoking(AUTHORITY.issue("other").chain[0])))
    refused(Revoked, LEAF, ROOT.revoking(), crl_issuers=frozenset({"Authority"}))
    crl = AUTHORITY.revoking(LEAF.chain[0])
    assert revoked(crl, AUTHORITY.chain[0], NOW) == [LEAF.chain[0].serial_number]
